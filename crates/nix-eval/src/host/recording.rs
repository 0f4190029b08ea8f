//! Noting what an evaluation asked.

use std::{
    any::Any,
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use nix_formats::{
    derivation::Derivation,
    deriving_path::DerivingPath,
    store_path::{StoreDir, StorePath},
};

use super::{
    Addition, FetchRequest, Fetched, FileType, Host, HostCx, HostError, Input, InputPath, Inputs,
    Metadata, NixPath, TraceEvent,
    forward::forward,
    input::{digest_entries, sha256},
};

/// Notes every question asked of another host, and the answer.
#[derive(Debug)]
pub struct Recording<H> {
    inner: H,
    inputs: Mutex<BTreeSet<Input>>,
}

impl<H: Host> Recording<H> {
    /// Records what is asked of `inner`.
    pub fn new(inner: H) -> Recording<H> {
        Recording { inner, inputs: Mutex::default() }
    }

    /// Every question so far with its answer.
    pub fn inputs(&self) -> Inputs {
        Inputs(self.inputs.lock().unwrap_or_else(|e| e.into_inner()).clone())
    }

    /// Forgets what was asked so far.
    pub fn reset(&self) {
        self.inputs.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }

    /// The host that is recorded.
    pub fn inner(&self) -> &H {
        &self.inner
    }

    fn note_missing(&self, path: &NixPath) {
        self.note(Input::Exists { path: InputPath::new(path), link: false, found: None });
    }

    fn note(&self, input: Input) {
        self.inputs.lock().unwrap_or_else(|e| e.into_inner()).insert(input);
    }
}

impl<H: Host> Host for Recording<H> {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let answer = self.inner.read_file(path, cx);
        match &answer {
            Ok(text) => self.note(Input::File(InputPath::new(path), sha256(text))),
            Err(_) => self.note_missing(path),
        }
        answer
    }

    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let answer = self.inner.read_dir(path, cx);
        match &answer {
            Ok(entries) => {
                self.note(Input::Directory(InputPath::new(path), digest_entries(entries)));
            }
            Err(_) => self.note_missing(path),
        }
        answer
    }

    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        let answer = self.inner.metadata(path, follow, cx);
        if let Ok(found) = &answer {
            let found = found.map(|m| m.file_type.name().to_owned());
            self.note(Input::Exists { path: InputPath::new(path), link: !follow, found });
        }
        answer
    }

    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        let answer = self.inner.read_link(path, cx);
        if let Ok(target) = &answer {
            self.note(Input::Link(InputPath::new(path), InputPath::of_bytes(target)));
        }
        answer
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        let answer = self.inner.environment(name);
        self.note(Input::Environment(name.to_owned(), answer.as_deref().map(sha256)));
        answer
    }

    fn now(&self) -> Option<i64> {
        let answer = self.inner.now();
        self.note(Input::Clock(answer));
        answer
    }

    fn system(&self) -> Option<String> {
        let answer = self.inner.system();
        self.note(Input::System(answer.clone()));
        answer
    }

    fn note_input(&self, input: Input) {
        self.note(input.clone());
        self.inner.note_input(input);
    }

    fn realise(&self, wanted: &[DerivingPath], cx: &HostCx) -> Result<Vec<StorePath>, HostError> {
        for path in wanted {
            self.note(Input::Build(path.display(&self.inner.store_dir())));
        }
        self.inner.realise(wanted, cx)
    }

    fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
        let answer = self.inner.fetch(request, cx);
        if let Ok(fetched) = &answer {
            self.note(Input::Fetch(request.url.clone(), fetched.hash.to_sri()));
        }
        answer
    }

    forward!(
        inner: trace, store_dir, add_to_store, add_text_to_store, references_of, read_derivation,
        as_any,
    );
}
