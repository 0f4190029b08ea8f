//! The evaluator's host with a store: files of the machine, objects of the store, derivations.
//!
//! Paths below the store directory are looked up where the objects really lie, so a relocated store looks to
//! programs as if it were at its logical place. Without a store, or when it may not be written, store paths
//! are computed and nothing is added; derivations are then remembered here.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use nix_eval::Tree;
use nix_eval::host::{
    Addition, FetchRequest, Fetched, FileType, FsHost, Host, HostCx, HostError, HostErrorKind,
    Input, Metadata, NixPath, Stamp, TraceEvent,
};
use nix_formats::derivation::{Derivation, ModuloCache};
use nix_formats::deriving_path::DerivingPath;
use nix_formats::hash::HashAlgo;
use nix_formats::store_path::{FileMethod, StoreDir, StorePath};

use crate::add::{MemoryTree, TreeSource, tree_path};
use crate::deferred::DeferredStore;
use crate::error::StoreError;
use crate::host_tools;
use crate::local::LocalStore;
use crate::store::Store;
use crate::sys::FsTree;
use crate::texts::Texts;

/// The facts about the machine, as [`Input::External`] names them.
const MACHINE: &str = "machine";

/// Builds what an evaluation wants to read.
pub type Realise = dyn Fn(&[DerivingPath]) -> Result<Vec<StorePath>, HostError> + Send + Sync;

/// Fetches what an evaluation wants to read.
pub type Fetch = dyn Fn(&FetchRequest) -> Result<Fetched, HostError> + Send + Sync;

/// Hears what an evaluation says.
pub type Listen = dyn Fn(&TraceEvent<'_>) + Send + Sync;

/// What a [`StoreHost`] is made of; start from [`StoreHostOptions::new`].
pub struct StoreHostOptions {
    /// Files, environment, clock and system of the machine.
    pub files: FsHost,
    /// The store; `None` computes paths only.
    pub store: Option<Arc<LocalStore>>,
    /// Without a store: one that is opened when something of it is read or fetched into it.
    pub deferred: Option<Arc<DeferredStore>>,
    /// The store directory when there is no store.
    pub store_dir: StoreDir,
    /// Whether objects are added to the store; otherwise their paths are only computed.
    pub writes: bool,
    /// Whether [`StoreHost::written`] lists what was added.
    pub notes_written: bool,
    /// Embedded trees, as given to the engine.
    pub trees: Vec<Tree>,
    /// Builds what is to be read; without it that is refused.
    pub realise: Option<Box<Realise>>,
    /// Fetches; without it that is refused.
    pub fetch: Option<Box<Fetch>>,
    /// Hears traces and warnings.
    pub listen: Option<Box<Listen>>,
}

impl StoreHostOptions {
    /// The whole file system, no store, nothing written, built or fetched.
    pub fn new() -> StoreHostOptions {
        StoreHostOptions {
            files: FsHost::whole(),
            store: None,
            deferred: None,
            store_dir: StoreDir::default(),
            writes: false,
            notes_written: false,
            trees: Vec::new(),
            realise: None,
            fetch: None,
            listen: None,
        }
    }
}

impl Default for StoreHostOptions {
    fn default() -> StoreHostOptions {
        StoreHostOptions::new()
    }
}

/// What others need to know of a derivation.
#[derive(Debug)]
pub struct Outline {
    /// All that it refers to: input derivations and sources.
    pub references: BTreeSet<StorePath>,
    /// Names of its outputs.
    pub outputs: BTreeSet<String>,
}

/// A host with a store.
pub struct StoreHost {
    options: StoreHostOptions,
    store_dir: StoreDir,
    /// Of the derivations made in this session and not written; parsed when they are asked for.
    texts: Texts,
    /// Of those derivations that a closure was asked for.
    outlines: RwLock<HashMap<StorePath, Arc<Outline>>>,
    modulo: ModuloCache,
    /// Facts about files, asked once a session.
    metadata: Mutex<HashMap<(NixPath, bool), Option<Metadata>>>,
    /// What nixlib knows about this machine's tools.
    host_tools: host_tools::HostTools,
    /// Objects that were added, or were there when they should have been.
    written: Mutex<BTreeSet<StorePath>>,
}

impl StoreHost {
    /// The tools of this machine, asked by nixlib.
    pub fn host_tools(&self) -> &host_tools::HostTools {
        &self.host_tools
    }

    /// What nixlib was told about this machine so far, as something that an answer depends on; `None` if it asked
    /// nothing. [`Host::still`] looks at it again.
    pub fn machine_facts(&self) -> Option<Input> {
        Some(Input::external(MACHINE, self.host_tools.facts()?))
    }

    /// A host with these parts.
    pub fn new(options: StoreHostOptions) -> StoreHost {
        let store_dir = match &options.store {
            Some(store) => store.store_dir().clone(),
            None => options.store_dir.clone(),
        };
        StoreHost {
            options,
            store_dir,
            texts: Texts::default(),
            outlines: RwLock::default(),
            modulo: ModuloCache::default(),
            metadata: Mutex::default(),
            host_tools: host_tools::HostTools::default(),
            written: Mutex::default(),
        }
    }

    /// The store, if there is one. One that was deferred is opened for reading.
    pub fn store(&self) -> Option<&Arc<LocalStore>> {
        let deferred = self.options.deferred.as_ref();
        self.options.store.as_ref().or_else(|| deferred?.for_reading())
    }

    /// The store, if there is one and it is open.
    fn opened(&self) -> Option<&Arc<LocalStore>> {
        let deferred = self.options.deferred.as_ref();
        self.options.store.as_ref().or_else(|| deferred?.opened())
    }

    /// Opens a deferred store when a path lies in it.
    fn open_for(&self, path: &NixPath) {
        let dir = self.store_dir.as_str().as_bytes();
        if self.options.deferred.is_some() && path.text.starts_with(dir) {
            self.store();
        }
    }

    /// Whether objects are added to the store.
    pub fn writes(&self) -> bool {
        self.options.writes && self.options.store.is_some()
    }

    /// Hashes of derivations, computed once a session.
    pub fn modulo(&self) -> &ModuloCache {
        &self.modulo
    }

    /// Keeps the text of a derivation, as [`Derivation::write`] gives it, for later look-ups, unless the store
    /// has it.
    pub fn remember_derivation(&self, path: StorePath, text: &[u8]) {
        if self.writes() {
            return;
        }
        self.texts.insert(path, text);
    }

    /// A derivation made in this session, or one of the store. Reads it anew each time.
    ///
    /// # Errors
    /// When neither has it, or the store fails.
    pub fn derivation(&self, path: &StorePath) -> Result<Arc<Derivation>, StoreError> {
        let not_valid =
            || StoreError::NotValid { path: self.store_dir.display(path), needed_by: None };
        let text = self
            .texts
            .get(path)
            .map_err(|e| StoreError::io("read derivations back from", std::env::temp_dir(), e))?;
        if let Some(text) = text {
            let name = path.name().strip_suffix(".drv").ok_or_else(not_valid)?;
            let drv = Derivation::parse(&self.store_dir, name, &text).map_err(|e| {
                StoreError::invalid(format!("derivation '{}': {e}", self.store_dir.display(path)))
            })?;
            return Ok(Arc::new(drv));
        }
        self.store().ok_or_else(not_valid)?.read_derivation(path)
    }

    /// What a derivation refers to, and its outputs. Read once a session.
    ///
    /// # Errors
    /// As [`StoreHost::derivation`].
    pub fn outline(&self, path: &StorePath) -> Result<Arc<Outline>, StoreError> {
        let known = self.outlines.read().unwrap_or_else(|e| e.into_inner()).get(path).cloned();
        if let Some(outline) = known {
            return Ok(outline);
        }
        let drv = self.derivation(path)?;
        let outline = Arc::new(Outline {
            references: drv.references(),
            outputs: drv.outputs.keys().cloned().collect(),
        });
        let mut outlines = self.outlines.write().unwrap_or_else(|e| e.into_inner());
        outlines.insert(path.clone(), outline.clone());
        Ok(outline)
    }

    /// Adds a tree, or computes its path.
    ///
    /// # Errors
    /// A name that is not allowed; what the tree or the store says.
    pub fn add_tree(
        &self,
        name: &str,
        tree: &dyn TreeSource,
        method: FileMethod,
        algo: HashAlgo,
    ) -> Result<StorePath, StoreError> {
        match &self.options.store {
            Some(store) if self.options.writes => {
                store.add_tree(name, tree, method, algo).inspect(|path| self.note_written(path))
            }
            _ => tree_path(&self.store_dir, name, tree, method, algo),
        }
    }

    fn note_written(&self, path: &StorePath) {
        if self.options.notes_written {
            self.written.lock().unwrap_or_else(|e| e.into_inner()).insert(path.clone());
        }
    }

    /// Sources, texts and derivations that the session added to the store, or found there when it was to add them, if
    /// the options ask for it.
    pub fn written(&self) -> BTreeSet<StorePath> {
        self.written.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    /// The tree at a path, to be added to a store.
    ///
    /// # Errors
    /// When there is nothing at the path.
    pub fn tree<'a>(&self, path: &NixPath) -> Result<Box<dyn TreeSource + 'a>, HostError> {
        if let Some(tree) = (path.accessor.0 as usize).checked_sub(1) {
            let tree = self.options.trees.get(tree).ok_or_else(|| HostError::not_found(path))?;
            let tree = embedded(tree, path).ok_or_else(|| HostError::not_found(path))?;
            return Ok(Box::new(tree));
        }
        self.open_for(path);
        Ok(Box::new(FsTree::new(self.locate(&path.to_os_path()))))
    }

    /// Where a path of the language lies on this machine.
    pub fn locate(&self, path: &Path) -> PathBuf {
        match self.opened() {
            Some(store) if store.is_relocated() => match path.strip_prefix(self.store_dir.as_str())
            {
                Ok(rest) => store.real_store_dir().join(rest),
                Err(_) => path.to_owned(),
            },
            _ => path.to_owned(),
        }
    }

    fn located(&self, path: &NixPath) -> NixPath {
        use std::os::unix::ffi::OsStrExt;
        let at = self.locate(&path.to_os_path());
        NixPath { accessor: path.accessor, text: at.as_os_str().as_bytes().to_vec() }
    }

    /// Follows a final link by hand: one in a relocated store may point to a logical path.
    fn followed(&self, path: &NixPath, cx: &HostCx) -> Result<NixPath, HostError> {
        let mut at = path.clone();
        for _ in 0..64 {
            let found = self.options.files.metadata(&self.located(&at), false, cx)?;
            if found.is_none_or(|m| m.file_type != FileType::Symlink) {
                return Ok(at);
            }
            let target = self.options.files.read_link(&self.located(&at), cx)?;
            let parent = at.text.iter().rposition(|&b| b == b'/').unwrap_or(0);
            let mut text = at.text[..parent].to_vec();
            if target.first() == Some(&b'/') {
                text.clear();
            } else {
                text.push(b'/');
            }
            text.extend_from_slice(&target);
            at = NixPath { accessor: at.accessor, text: nix_eval::value::canonicalise(&text) };
        }
        Err(HostError::new(
            HostErrorKind::Io,
            format!("infinite symlink recursion in path '{}'", path.to_text()),
        ))
    }

    fn is_relocated(&self) -> bool {
        self.opened().is_some_and(|s| s.is_relocated())
    }

    /// The store object that holds a path, if one does.
    fn object_of(&self, path: &NixPath) -> Option<StorePath> {
        let text = std::str::from_utf8(&path.text).ok()?;
        self.store_dir.split(text).ok().map(|(object, _)| object)
    }
}

impl std::fmt::Debug for StoreHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreHost").field("store_dir", &self.store_dir).finish_non_exhaustive()
    }
}

/// A file or directory of an embedded tree.
fn embedded(tree: &Tree, path: &NixPath) -> Option<MemoryTree> {
    let wanted = std::str::from_utf8(&path.text).ok()?.trim_matches('/');
    let file = |text: &str| MemoryTree::File { executable: false, contents: text.into() };
    if let Some((_, text)) = tree.files.iter().find(|(name, _)| *name == wanted) {
        return Some(file(text));
    }
    let mut root = std::collections::BTreeMap::new();
    for (name, text) in tree.files {
        let rest = if wanted.is_empty() {
            Some(*name)
        } else {
            name.strip_prefix(wanted).and_then(|r| r.strip_prefix('/'))
        };
        let Some(rest) = rest else { continue };
        let mut at = &mut root;
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                at.insert(part.as_bytes().to_vec(), file(text));
                break;
            }
            let next = at
                .entry(part.as_bytes().to_vec())
                .or_insert_with(|| MemoryTree::Directory(std::collections::BTreeMap::new()));
            match next {
                MemoryTree::Directory(entries) => at = entries,
                // A tree never has a file and a directory of one name.
                MemoryTree::File { .. } | MemoryTree::Symlink(_) => return None,
            }
        }
    }
    if root.is_empty() { None } else { Some(MemoryTree::Directory(root)) }
}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> HostError {
        let kind = match &error {
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                HostErrorKind::NotFound
            }
            StoreError::Io { .. } => HostErrorKind::Io,
            _ => HostErrorKind::Store,
        };
        let message = error.to_string();
        HostError { source: Some(Arc::new(error)), ..HostError::new(kind, message) }
    }
}

impl Host for StoreHost {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.open_for(path);
        let at = if self.is_relocated() { self.followed(path, cx)? } else { path.clone() };
        self.options.files.read_file(&self.located(&at), cx)
    }

    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        self.open_for(path);
        let at = if self.is_relocated() { self.followed(path, cx)? } else { path.clone() };
        self.options.files.read_dir(&self.located(&at), cx)
    }

    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        let key = (path.clone(), follow);
        let known = self.metadata.lock().unwrap_or_else(|e| e.into_inner()).get(&key).copied();
        if let Some(Some(known)) = known {
            return Ok(Some(known));
        }
        self.open_for(path);
        let at =
            if follow && self.is_relocated() { self.followed(path, cx)? } else { path.clone() };
        let found = self.options.files.metadata(&self.located(&at), follow, cx)?;
        // What is missing may appear: an import from a derivation builds it.
        if found.is_some() {
            self.metadata.lock().unwrap_or_else(|e| e.into_inner()).insert(key, found);
        }
        Ok(found)
    }

    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        self.open_for(path);
        self.options.files.read_link(&self.located(path), cx)
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.options.files.environment(name)
    }

    fn now(&self) -> Option<i64> {
        self.options.files.now()
    }

    fn system(&self) -> Option<String> {
        self.options.files.system()
    }

    fn trace(&self, event: &TraceEvent<'_>) {
        if let Some(listen) = &self.options.listen {
            listen(event);
        }
    }

    fn store_dir(&self) -> StoreDir {
        self.store_dir.clone()
    }

    fn add_to_store(&self, object: &Addition<'_>, _: &HostCx) -> Result<StorePath, HostError> {
        let tree = self.tree(object.path)?;
        Ok(self.add_tree(object.name, &*tree, FileMethod::Nar, HashAlgo::Sha256)?)
    }

    fn add_text_to_store(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        _: &HostCx,
    ) -> Result<StorePath, HostError> {
        match &self.options.store {
            Some(store) if self.options.writes => {
                let path = store.add_text(name, contents, references)?;
                self.note_written(&path);
                Ok(path)
            }
            _ => self
                .store_dir
                .make_text_path(name, contents, references)
                .map_err(|e| HostError::new(HostErrorKind::Argument, e.to_string())),
        }
    }

    fn would_add(&self, object: &Addition<'_>, _: &HostCx) -> Result<StorePath, HostError> {
        let tree = self.tree(object.path)?;
        Ok(tree_path(&self.store_dir, object.name, &*tree, FileMethod::Nar, HashAlgo::Sha256)?)
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, HostError> {
        match self.store() {
            Some(store) => Ok(store.is_valid(path)?),
            None => Ok(false),
        }
    }

    fn stamp(&self, path: &NixPath) -> Option<Stamp> {
        self.open_for(path);
        let at = match self.is_relocated() {
            true => self.followed(path, &HostCx::default()).ok()?,
            false => path.clone(),
        };
        self.options.files.stamp(&self.located(&at))
    }

    fn tree_stamp(&self, path: &NixPath) -> Option<Stamp> {
        if path.accessor.0 != 0 {
            return None;
        }
        self.open_for(path);
        self.options.files.tree_stamp(&self.located(path))
    }

    fn still(&self, what: &str, state: &str) -> Option<String> {
        if what == MACHINE { host_tools::facts::still(state) } else { None }
    }

    fn realise(&self, wanted: &[DerivingPath], _: &HostCx) -> Result<Vec<StorePath>, HostError> {
        if let Some(realise) = &self.options.realise {
            return realise(wanted);
        }
        // Without a builder, what is valid can still be read.
        wanted
            .iter()
            .map(|path| match (path, self.store()) {
                (DerivingPath::Opaque(path), Some(store)) if store.is_valid(path)? => {
                    Ok(path.clone())
                }
                (DerivingPath::Opaque(path), _) => Err(HostError::from(StoreError::NotValid {
                    path: self.store_dir.display(path),
                    needed_by: None,
                })),
                (DerivingPath::Built { drv, .. }, store) => {
                    let path = self.store_dir.display(drv);
                    let is_valid = match store {
                        Some(store) => store.is_valid(drv)?,
                        None => false,
                    };
                    // What is wrong first: a derivation that was only computed cannot be built anyway.
                    let what = match is_valid {
                        true => format!("cannot build '{path}' during evaluation"),
                        false => format!("path '{path}' is not valid"),
                    };
                    Err(HostError::new(
                        HostErrorKind::Store,
                        format!(
                            "{what}: this evaluation builds nothing and may write nothing to the store (see '--read-write-mode')"
                        ),
                    ))
                }
            })
            .collect()
    }

    fn references_of(&self, path: &NixPath, _: &HostCx) -> Result<BTreeSet<StorePath>, HostError> {
        let (Some(object), Some(store)) = (self.object_of(path), self.store()) else {
            return Ok(BTreeSet::new());
        };
        Ok(store.query_path_info(&object)?.map(|i| i.references.clone()).unwrap_or_default())
    }

    fn read_derivation(
        &self,
        drv: &StorePath,
        _: &HostCx,
    ) -> Result<Option<Arc<Derivation>>, HostError> {
        match self.derivation(drv) {
            Ok(drv) => Ok(Some(drv)),
            Err(StoreError::NotValid { .. }) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn fetch(&self, request: &FetchRequest, _: &HostCx) -> Result<Fetched, HostError> {
        match &self.options.fetch {
            Some(fetch) => fetch(request),
            None => Err(HostError::refused("fetching")),
        }
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}
