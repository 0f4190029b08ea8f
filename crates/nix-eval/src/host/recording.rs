//! Noting what an evaluation asked.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix_formats::{
    derivation::Derivation,
    deriving_path::DerivingPath,
    store_path::{StoreDir, StorePath},
};

use super::{
    Addition, FetchRequest, Fetched, FileType, Host, HostCx, HostError, HostErrorKind, Input,
    InputPath, Inputs, Metadata, NixPath, Stamp, TraceEvent,
    forward::forward,
    input::{digest_entries, sha256},
};

/// Notes every question asked of another host, the answer, and what was said.
#[derive(Debug)]
pub struct Recording<H> {
    inner: H,
    record: Mutex<Record>,
}

/// What was asked and said so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Every question with its answer, and what tells cheaply that the answer is the same, where something does. The
    /// stamp is from before the question.
    pub inputs: BTreeMap<Input, Option<Stamp>>,
    /// What was said, in order.
    pub said: Vec<Said>,
}

/// Something that was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// As [`TraceEvent::Trace`].
    Trace(Vec<u8>),
    /// As [`TraceEvent::Warning`].
    Warning(Vec<u8>),
    /// As [`TraceEvent::Note`].
    Note(Vec<u8>),
    /// Something that the embedder said itself: a report, a remark.
    Other(Vec<u8>),
}

impl Said {
    /// For saying it again; `None` if no host said it.
    pub fn event(&self) -> Option<TraceEvent<'_>> {
        Some(match self {
            Said::Trace(text) => TraceEvent::Trace(text),
            Said::Warning(text) => TraceEvent::Warning(text),
            Said::Note(text) => TraceEvent::Note(text),
            Said::Other(_) => return None,
        })
    }
}

impl From<&TraceEvent<'_>> for Said {
    fn from(event: &TraceEvent<'_>) -> Said {
        match event {
            TraceEvent::Trace(text) => Said::Trace(text.to_vec()),
            TraceEvent::Warning(text) => Said::Warning(text.to_vec()),
            TraceEvent::Note(text) => Said::Note(text.to_vec()),
        }
    }
}

impl<H: Host> Recording<H> {
    /// Records what is asked of `inner`.
    pub fn new(inner: H) -> Recording<H> {
        Recording { inner, record: Mutex::default() }
    }

    /// Every question so far with its answer.
    pub fn inputs(&self) -> Inputs {
        Inputs(self.lock().inputs.keys().cloned().collect())
    }

    /// All that was noted so far.
    pub fn record(&self) -> Record {
        self.lock().clone()
    }

    /// All that was noted so far, and begins anew.
    pub fn take(&self) -> Record {
        std::mem::take(&mut *self.lock())
    }

    /// Notes what the embedder said itself, in its place between traces and warnings.
    pub fn note_said(&self, text: impl Into<Vec<u8>>) {
        self.lock().said.push(Said::Other(text.into()));
    }

    /// Forgets what was asked and said so far.
    pub fn reset(&self) {
        self.take();
    }

    /// The host that is recorded.
    pub fn inner(&self) -> &H {
        &self.inner
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // A panic elsewhere leaves the record whole: it is only added to.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, input: Input) {
        self.note_with(input, None);
    }

    fn note_with(&self, input: Input, stamp: Option<Stamp>) {
        // Of a question that was asked twice the first stamp counts: it is the one from before both answers.
        self.lock().inputs.entry(input).or_insert(stamp);
    }

    /// A question that failed. What is missing may appear; other failures may end at any time.
    fn note_failure(&self, path: &NixPath, error: &HostError) {
        self.note(match error.kind {
            HostErrorKind::NotFound => {
                Input::Exists { path: InputPath::new(path), link: false, found: None }
            }
            _ => Input::Once(error.message.clone()),
        });
    }

    fn note_object(&self, path: &StorePath, valid: bool) {
        self.note(Input::Object(self.inner.store_dir().display(path), valid));
    }

    fn note_tree(
        &self,
        object: &Addition<'_>,
        stamp: Option<Stamp>,
        answer: &Result<StorePath, HostError>,
    ) {
        match answer {
            Ok(path) => {
                let stored = self.inner.store_dir().display(path);
                let place = InputPath::new(object.path);
                self.note_with(Input::Tree(place, object.name.to_owned(), stored), stamp);
            }
            Err(error) => self.note_failure(object.path, error),
        }
    }
}

impl<H: Host> Host for Recording<H> {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let stamp = self.inner.stamp(path);
        let answer = self.inner.read_file(path, cx);
        match &answer {
            Ok(text) => self.note_with(Input::File(InputPath::new(path), sha256(text)), stamp),
            Err(error) => self.note_failure(path, error),
        }
        answer
    }

    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let stamp = self.inner.stamp(path);
        let answer = self.inner.read_dir(path, cx);
        match &answer {
            Ok(entries) => {
                let input = Input::Directory(InputPath::new(path), digest_entries(entries));
                self.note_with(input, stamp);
            }
            Err(error) => self.note_failure(path, error),
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
        match &answer {
            Ok(found) => {
                let found = found.map(|m| m.file_type.name().to_owned());
                self.note(Input::Exists { path: InputPath::new(path), link: !follow, found });
            }
            Err(error) => self.note(Input::Once(error.message.clone())),
        }
        answer
    }

    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        let answer = self.inner.read_link(path, cx);
        self.note(match &answer {
            Ok(target) => Input::Link(InputPath::new(path), InputPath::of_bytes(target)),
            Err(error) => Input::Once(error.message.clone()),
        });
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

    fn trace(&self, event: &TraceEvent<'_>) {
        self.lock().said.push(event.into());
        self.inner.trace(event);
    }

    fn note_input(&self, input: Input) {
        self.note(input.clone());
        self.inner.note_input(input);
    }

    fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        let stamp = self.inner.tree_stamp(object.path);
        let answer = self.inner.add_to_store(object, cx);
        self.note_tree(object, stamp, &answer);
        answer
    }

    fn would_add(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        let stamp = self.inner.tree_stamp(object.path);
        let answer = self.inner.would_add(object, cx);
        self.note_tree(object, stamp, &answer);
        answer
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, HostError> {
        let answer = self.inner.is_valid(path);
        match &answer {
            Ok(valid) => self.note_object(path, *valid),
            Err(error) => self.note(Input::Once(error.message.clone())),
        }
        answer
    }

    fn realise(&self, wanted: &[DerivingPath], cx: &HostCx) -> Result<Vec<StorePath>, HostError> {
        for path in wanted {
            self.note(Input::Build(path.display(&self.inner.store_dir())));
        }
        let answer = self.inner.realise(wanted, cx);
        match &answer {
            Ok(paths) => paths.iter().for_each(|path| self.note_object(path, true)),
            Err(error) => self.note(Input::Once(error.message.clone())),
        }
        answer
    }

    fn references_of(&self, path: &NixPath, cx: &HostCx) -> Result<BTreeSet<StorePath>, HostError> {
        let text = String::from_utf8_lossy(&path.text);
        if let Ok((object, _)) = self.inner.store_dir().split(&text) {
            // References of a valid object never change.
            self.is_valid(&object)?;
        }
        self.inner.references_of(path, cx)
    }

    fn read_derivation(
        &self,
        drv: &StorePath,
        cx: &HostCx,
    ) -> Result<Option<Arc<Derivation>>, HostError> {
        self.is_valid(drv)?;
        self.inner.read_derivation(drv, cx)
    }

    fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
        let answer = self.inner.fetch(request, cx);
        match &answer {
            Ok(fetched) => {
                self.note(Input::Fetch(request.url.clone(), fetched.hash.to_sri()));
                self.note_object(&fetched.path, true);
                if !request.is_fixed() {
                    self.note(match fetched.believed_until {
                        Some(seconds) => Input::Until(seconds),
                        None => Input::Once(request.url.clone()),
                    });
                }
            }
            Err(error) => self.note(Input::Once(error.message.clone())),
        }
        answer
    }

    fn is_recorded(&self) -> bool {
        true
    }

    forward!(inner: store_dir, add_text_to_store, stamp, tree_stamp, still, as_any);
}
