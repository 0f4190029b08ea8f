//! Noting what an evaluation asked.

use std::{
    any::Any,
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use nix_formats::{
    deriving_path::DerivingPath,
    hash::{Hash, HashAlgo},
    store_path::{StoreDir, StorePath},
};

use super::{
    Addition, FetchRequest, Fetched, FileType, Host, HostCx, HostError, Metadata, NixPath,
    TraceEvent,
};

/// A question to a host and what it answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Contents of a file: SHA-256.
    File(NixPath, Hash),
    /// Whether something is there, and what.
    Exists(NixPath, Option<&'static str>),
    /// A directory's names and types: SHA-256.
    Directory(NixPath, Hash),
    /// Where a link points.
    Link(NixPath, Vec<u8>),
    /// An environment variable.
    Environment(String, Option<Vec<u8>>),
    /// The clock.
    Clock(Option<i64>),
    /// The system name.
    System(Option<String>),
    /// Something fetched.
    Fetch(String, String),
    /// Something built.
    Build(String),
}

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

    /// Every question so far with its answer, in order of kind and path.
    pub fn inputs(&self) -> Vec<Input> {
        self.inputs.lock().unwrap_or_else(|e| e.into_inner()).iter().cloned().collect()
    }

    fn note(&self, input: Input) {
        self.inputs.lock().unwrap_or_else(|e| e.into_inner()).insert(input);
    }
}

fn digest_entries(entries: &[(Vec<u8>, FileType)]) -> Hash {
    let mut text = Vec::new();
    for (name, kind) in entries {
        text.extend_from_slice(name);
        text.push(0);
        text.extend_from_slice(kind.name().as_bytes());
        text.push(0);
    }
    Hash::of(HashAlgo::Sha256, text)
}

impl<H: Host> Host for Recording<H> {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let answer = self.inner.read_file(path, cx);
        match &answer {
            Ok(text) => self.note(Input::File(path.clone(), Hash::of(HashAlgo::Sha256, text))),
            Err(_) => self.note(Input::Exists(path.clone(), None)),
        }
        answer
    }

    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let answer = self.inner.read_dir(path, cx);
        if let Ok(entries) = &answer {
            self.note(Input::Directory(path.clone(), digest_entries(entries)));
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
            self.note(Input::Exists(path.clone(), found.map(|m| m.file_type.name())));
        }
        answer
    }

    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        let answer = self.inner.read_link(path, cx);
        if let Ok(target) = &answer {
            self.note(Input::Link(path.clone(), target.clone()));
        }
        answer
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        let answer = self.inner.environment(name);
        self.note(Input::Environment(name.to_owned(), answer.clone()));
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

    fn trace(&self, event: &TraceEvent<'_>) {
        self.inner.trace(event);
    }

    fn store_dir(&self) -> StoreDir {
        self.inner.store_dir()
    }

    fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        self.inner.add_to_store(object, cx)
    }

    fn add_text_to_store(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        cx: &HostCx,
    ) -> Result<StorePath, HostError> {
        self.inner.add_text_to_store(name, contents, references, cx)
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

    fn as_any(&self) -> Option<&dyn Any> {
        self.inner.as_any()
    }
}
