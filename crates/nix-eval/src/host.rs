//! The outside world, as far as an evaluation may see it.
//!
//! All effects go through the [`Host`] trait; every method has a default that refuses. [`NoHost`] refuses
//! everything, [`MemoryHost`] has files in memory, [`FsHost`] reads a real file system below named roots,
//! and [`Recording`] notes every question asked of another host.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nix_formats::{
    derivation::Derivation,
    deriving_path::DerivingPath,
    hash::{Hash, HashAlgo},
    store_path::{StoreDir, StorePath},
};

use crate::{
    error::{Class, Error},
    limits::CancelToken,
    value::AccessorId,
};

/// A path of the language outside the heap: which tree, and an absolute canonical text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NixPath {
    /// Which tree; 0 is the host's file system.
    pub accessor: AccessorId,
    /// Absolute and canonical; bytes, not necessarily UTF-8.
    pub text: Vec<u8>,
}

impl NixPath {
    /// A path in the host's file system.
    pub fn root(text: impl Into<Vec<u8>>) -> NixPath {
        NixPath { accessor: AccessorId(0), text: text.into() }
    }

    /// The text, with invalid UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The path `name` below this one.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> NixPath {
        let mut text = self.text.clone();
        if text.last() != Some(&b'/') {
            text.push(b'/');
        }
        text.extend_from_slice(name);
        NixPath { accessor: self.accessor, text: crate::value::canonicalise(&text) }
    }

    /// As a path of the operating system. Only sensible for the host's file system.
    pub fn to_os_path(&self) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(&self.text))
    }
}

/// What lies at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else.
    Unknown,
}

impl FileType {
    /// What `readDir` says.
    pub const fn name(self) -> &'static str {
        match self {
            FileType::Regular => "regular",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            FileType::Unknown => "unknown",
        }
    }

    fn of(kind: std::fs::FileType) -> FileType {
        if kind.is_file() {
            FileType::Regular
        } else if kind.is_dir() {
            FileType::Directory
        } else if kind.is_symlink() {
            FileType::Symlink
        } else {
            FileType::Unknown
        }
    }
}

/// Facts about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// Size in bytes of a regular file.
    pub size_bytes: u64,
    /// Whether the owner may execute it.
    pub is_executable: bool,
}

/// Why a host has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum HostErrorKind {
    /// There is nothing at the path.
    NotFound,
    /// The host may answer such questions but not this one, or gives none of this kind.
    Refused,
    /// The file system failed.
    Io,
    /// The store failed: not valid, not buildable.
    Store,
    /// A name or value that the host cannot take.
    Argument,
    /// A feature that is switched off.
    Feature,
    /// Somebody asked to stop.
    Cancelled,
}

/// A host without an answer.
#[derive(Clone, Debug)]
pub struct HostError {
    /// Why, for code.
    pub kind: HostErrorKind,
    /// Why, for people: what was asked and what to do.
    pub message: String,
    /// What caused it.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

impl HostError {
    /// An error without a cause.
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> HostError {
        HostError { kind, message: message.into(), source: None }
    }

    /// The host gives nothing of this kind; `capability` is such as `reading files`.
    pub fn refused(capability: &str) -> HostError {
        HostError::new(HostErrorKind::Refused, format!("{capability} is not allowed by this host"))
    }

    /// Nothing lies at the path.
    pub fn not_found(path: &NixPath) -> HostError {
        HostError::new(HostErrorKind::NotFound, format!("path '{}' does not exist", path.to_text()))
    }

    /// The file system failed at the path.
    pub fn io(path: &NixPath, error: std::io::Error) -> HostError {
        if error.kind() == std::io::ErrorKind::NotFound {
            return HostError::not_found(path);
        }
        let message = format!("cannot read '{}': {error}", path.to_text());
        HostError { kind: HostErrorKind::Io, message, source: Some(Arc::new(error)) }
    }

    /// As an error of the language.
    pub fn into_error(self) -> Error {
        let class = match self.kind {
            HostErrorKind::NotFound | HostErrorKind::Io => Class::Io,
            HostErrorKind::Refused => Class::Restricted,
            HostErrorKind::Store => Class::Store,
            HostErrorKind::Argument => Class::Argument,
            HostErrorKind::Feature => Class::Feature,
            HostErrorKind::Cancelled => Class::Interrupted,
        };
        let error = Error::new(class, self.message);
        match self.source {
            Some(source) => error.caused_by(source),
            None => error,
        }
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Error {
        error.into_error()
    }
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct HostCx {
    /// Pulled when the answer is not wanted any more.
    pub cancel: CancelToken,
}

/// A source tree to be added to the store as it is: links kept, only the executable bit kept.
#[derive(Clone, Copy, Debug)]
pub struct Addition<'a> {
    /// Name of the store object.
    pub name: &'a str,
    /// What to add.
    pub path: &'a NixPath,
}

/// What a fetcher is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Where from.
    pub url: String,
    /// Name of the store object.
    pub name: String,
    /// Whether to unpack an archive.
    pub unpack: bool,
    /// What it must hash to.
    pub hash: Option<Hash>,
    /// The URL is that of a git repository, and this of it is wanted.
    pub git: Option<GitRequest>,
}

/// What is wanted of a git repository. The default is what its `HEAD` leads to; of a directory with a
/// work tree, the files as they lie there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRequest {
    /// A commit: 40 or 64 hexadecimal digits.
    pub rev: Option<String>,
    /// A branch, or a full name that begins with `refs/`.
    pub reference: Option<String>,
    /// Whether history may be missing; then it is not counted.
    pub shallow: bool,
    /// Whether to fetch all references, to find the commit in any.
    pub all_refs: bool,
}

/// What is known of a tree that came from a git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitFacts {
    /// The commit, in hexadecimal digits; for a dirty tree the one it was changed from, if there is one.
    pub rev: Option<String>,
    /// Whether the tree differs from the commit.
    pub is_dirty: bool,
    /// How many commits lead to it; `None` if that was not counted.
    pub n_commits: Option<u64>,
    /// When it was committed, in seconds since 1970.
    pub last_modified: i64,
}

/// What a fetcher brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The store object.
    pub path: StorePath,
    /// Its hash.
    pub hash: Hash,
    /// Answers [`FetchRequest::git`].
    pub git: Option<GitFacts>,
}

/// Something an evaluation says to its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceEvent<'a> {
    /// `builtins.trace`: the text.
    Trace(&'a [u8]),
    /// `builtins.warn` and warnings of our own.
    Warning(&'a [u8]),
    /// Worth knowing, once.
    Note(&'a [u8]),
}

/// The outside world. Every method has a default that refuses.
///
/// The evaluator holds no lock while a host works, so hosts may block and may be asked by several threads.
pub trait Host: Send + Sync {
    /// The contents of a regular file; links are followed.
    ///
    /// # Errors
    /// When there is no such file, or the host refuses.
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading files"))
    }

    /// Names in a directory and what they are, in byte order; links are followed to the directory.
    ///
    /// # Errors
    /// When there is no such directory, or the host refuses.
    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading directories"))
    }

    /// Facts about what lies at a path; `None` if there is nothing. `follow` follows a final link.
    ///
    /// # Errors
    /// When the host refuses.
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        let _ = (path, follow, cx);
        Err(HostError::refused("looking at files"))
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    /// When there is no link at the path, or the host refuses.
    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading links"))
    }

    /// An environment variable.
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// Seconds since 1970; `None` hides `builtins.currentTime`.
    fn now(&self) -> Option<i64> {
        None
    }

    /// What `builtins.currentSystem` says; `None` hides it.
    fn system(&self) -> Option<String> {
        None
    }

    /// Something to tell the user; the default drops it.
    fn trace(&self, event: &TraceEvent<'_>) {
        let _ = event;
    }

    /// The store directory that paths are computed for.
    fn store_dir(&self) -> StoreDir {
        StoreDir::default()
    }

    /// Adds a tree to the store, or computes where it would lie.
    ///
    /// # Errors
    /// When the tree cannot be read, or the host refuses.
    fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        let _ = (object, cx);
        Err(HostError::refused("adding to a store"))
    }

    /// Adds a text to the store, or computes where it would lie.
    ///
    /// # Errors
    /// When the name is not a legal store name.
    fn add_text_to_store(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        cx: &HostCx,
    ) -> Result<StorePath, HostError> {
        let _ = cx;
        self.store_dir()
            .make_text_path(name, contents, references)
            .map_err(|e| HostError::new(HostErrorKind::Argument, e.to_string()))
    }

    /// Makes store objects valid: builds or substitutes them. Gives the paths of the wanted outputs.
    ///
    /// # Errors
    /// When something cannot be built, or the host refuses.
    fn realise(&self, wanted: &[DerivingPath], cx: &HostCx) -> Result<Vec<StorePath>, HostError> {
        let _ = (wanted, cx);
        Err(HostError::refused("building during evaluation"))
    }

    /// What the store object that holds a file refers to; nothing for files outside the store.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn references_of(&self, path: &NixPath, cx: &HostCx) -> Result<BTreeSet<StorePath>, HostError> {
        let _ = (path, cx);
        Ok(BTreeSet::new())
    }

    /// The derivation of a valid `.drv`; `None` if the store does not have it.
    ///
    /// # Errors
    /// When the store cannot be asked or the file is no derivation.
    fn read_derivation(
        &self,
        drv: &StorePath,
        cx: &HostCx,
    ) -> Result<Option<Arc<Derivation>>, HostError> {
        let _ = (drv, cx);
        Ok(None)
    }

    /// Fetches from the network.
    ///
    /// # Errors
    /// When it cannot be fetched or hashes to something else, or the host refuses.
    fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
        let _ = (request, cx);
        Err(HostError::refused("fetching"))
    }

    /// The host itself, for builtins that know what kind of host they need.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// Nothing: pure computation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryHost {
    files: BTreeMap<Vec<u8>, Arc<[u8]>>,
    traces: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl MemoryHost {
    /// A host with these files: absolute canonical path and contents. Directories follow from them.
    pub fn new<P: AsRef<str>, C: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> MemoryHost {
        let files = files
            .into_iter()
            .map(|(path, text)| {
                (crate::value::canonicalise(path.as_ref().as_bytes()), text.into().into())
            })
            .collect();
        MemoryHost { files, traces: Arc::default() }
    }

    /// What `trace` and `warn` have said so far, in order.
    pub fn traces(&self) -> Vec<Vec<u8>> {
        self.traces.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn below(&self, path: &NixPath) -> impl Iterator<Item = (&[u8], bool)> {
        let mut prefix = path.text.clone();
        if prefix.last() != Some(&b'/') {
            prefix.push(b'/');
        }
        let n = prefix.len();
        self.files.range(prefix.clone()..).take_while(move |(p, _)| p.starts_with(&prefix)).map(
            move |(p, _)| {
                let rest = &p[n..];
                match rest.iter().position(|&b| b == b'/') {
                    Some(end) => (&rest[..end], true),
                    None => (rest, false),
                }
            },
        )
    }
}

impl Host for MemoryHost {
    fn read_file(&self, path: &NixPath, _: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.files.get(&path.text).cloned().ok_or_else(|| HostError::not_found(path))
    }

    fn read_dir(&self, path: &NixPath, _: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let mut all: Vec<(Vec<u8>, FileType)> = Vec::new();
        for (name, is_directory) in self.below(path) {
            if all.last().is_none_or(|(last, _)| last != name) {
                let kind = if is_directory { FileType::Directory } else { FileType::Regular };
                all.push((name.to_vec(), kind));
            }
        }
        if all.is_empty() && path.text != b"/" {
            return Err(HostError::not_found(path));
        }
        Ok(all)
    }

    fn metadata(&self, path: &NixPath, _: bool, _: &HostCx) -> Result<Option<Metadata>, HostError> {
        if let Some(text) = self.files.get(&path.text) {
            return Ok(Some(Metadata {
                file_type: FileType::Regular,
                size_bytes: text.len() as u64,
                is_executable: false,
            }));
        }
        if path.text == b"/" || self.below(path).next().is_some() {
            return Ok(Some(Metadata {
                file_type: FileType::Directory,
                size_bytes: 0,
                is_executable: false,
            }));
        }
        Ok(None)
    }

    fn read_link(&self, path: &NixPath, _: &HostCx) -> Result<Vec<u8>, HostError> {
        Err(HostError::not_found(path))
    }

    fn trace(&self, event: &TraceEvent<'_>) {
        let (TraceEvent::Trace(text) | TraceEvent::Warning(text) | TraceEvent::Note(text)) = event;
        self.traces.lock().unwrap_or_else(|e| e.into_inner()).push(text.to_vec());
    }
}

/// A real file system, read only.
#[derive(Clone, Debug)]
pub struct FsHost {
    /// `None`: everything.
    roots: Option<Vec<PathBuf>>,
    environment: BTreeMap<String, Vec<u8>>,
    system: Option<String>,
    now: Option<i64>,
}

impl FsHost {
    /// The whole file system.
    pub fn whole() -> FsHost {
        FsHost { roots: None, environment: BTreeMap::new(), system: None, now: None }
    }

    /// What lies below a directory, given by its real path; links that lead out of it are refused.
    ///
    /// # Errors
    /// When the directory does not exist.
    pub fn read_only(root: impl AsRef<Path>) -> std::io::Result<FsHost> {
        let root = root.as_ref().canonicalize()?;
        Ok(FsHost { roots: Some(vec![root]), ..FsHost::whole() })
    }

    /// Adds another directory that may be read.
    ///
    /// # Errors
    /// When the directory does not exist.
    pub fn and(mut self, root: impl AsRef<Path>) -> std::io::Result<FsHost> {
        let root = root.as_ref().canonicalize()?;
        if let Some(roots) = &mut self.roots {
            roots.push(root);
        }
        Ok(self)
    }

    /// Shows these environment variables.
    #[must_use]
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, Vec<u8>)>) -> FsHost {
        self.environment.extend(variables);
        self
    }

    /// Shows a system name.
    #[must_use]
    pub fn for_system(mut self, system: impl Into<String>) -> FsHost {
        self.system = Some(system.into());
        self
    }

    /// Shows a time, in seconds since 1970.
    #[must_use]
    pub fn clock(mut self, now: i64) -> FsHost {
        self.now = Some(now);
        self
    }

    /// The path to open, with links before its last component resolved and checked against the roots.
    fn check(&self, path: &NixPath, follow: bool) -> Result<PathBuf, HostError> {
        if path.accessor != AccessorId(0) {
            return Err(HostError::not_found(path));
        }
        let os = path.to_os_path();
        let Some(roots) = &self.roots else { return Ok(os) };
        let refuse = || {
            let text = path.to_text();
            HostError::new(
                HostErrorKind::Refused,
                format!(
                    "access to path '{text}' is forbidden: it lies outside of what this host may read"
                ),
            )
        };
        // Resolving everything before the last component first and opening the result leaves no link to
        // be followed out of the roots, short of a race with whoever may write there.
        let real = if follow {
            match os.canonicalize() {
                Ok(real) => real,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    self.real_parent(&os, path)?
                }
                Err(e) => return Err(HostError::io(path, e)),
            }
        } else {
            self.real_parent(&os, path)?
        };
        if roots.iter().any(|root| real.starts_with(root)) { Ok(real) } else { Err(refuse()) }
    }

    fn real_parent(&self, os: &Path, path: &NixPath) -> Result<PathBuf, HostError> {
        let (Some(parent), Some(name)) = (os.parent(), os.file_name()) else {
            return Ok(os.to_path_buf());
        };
        match parent.canonicalize() {
            Ok(parent) => Ok(parent.join(name)),
            // Nothing there: say so only if the nearest existing directory may be looked at.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.real_parent(parent, path)?.join(name))
            }
            Err(e) => Err(HostError::io(path, e)),
        }
    }
}

impl Host for FsHost {
    fn read_file(&self, path: &NixPath, _: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let real = self.check(path, true)?;
        std::fs::read(real).map(Into::into).map_err(|e| HostError::io(path, e))
    }

    fn read_dir(&self, path: &NixPath, _: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        use std::os::unix::ffi::OsStringExt;
        let real = self.check(path, true)?;
        let mut all = Vec::new();
        for entry in std::fs::read_dir(real).map_err(|e| HostError::io(path, e))? {
            let entry = entry.map_err(|e| HostError::io(path, e))?;
            let kind = entry.file_type().map_or(FileType::Unknown, FileType::of);
            all.push((entry.file_name().into_vec(), kind));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        _: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        use std::{io::ErrorKind, os::unix::fs::PermissionsExt};
        let real = self.check(path, follow)?;
        let found =
            if follow { std::fs::metadata(&real) } else { std::fs::symlink_metadata(&real) };
        match found {
            Ok(found) => Ok(Some(Metadata {
                file_type: FileType::of(found.file_type()),
                size_bytes: found.len(),
                is_executable: found.permissions().mode() & 0o100 != 0,
            })),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(e) => Err(HostError::io(path, e)),
        }
    }

    fn read_link(&self, path: &NixPath, _: &HostCx) -> Result<Vec<u8>, HostError> {
        use std::os::unix::ffi::OsStringExt;
        let real = self.check(path, false)?;
        std::fs::read_link(real)
            .map(|target| target.into_os_string().into_vec())
            .map_err(|e| HostError::io(path, e))
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.environment.get(name).cloned()
    }

    fn now(&self) -> Option<i64> {
        self.now
    }

    fn system(&self) -> Option<String> {
        self.system.clone()
    }
}

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
