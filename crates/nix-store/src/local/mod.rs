//! A store in directories of this machine, shared with C++ Nix.
//!
//! Database, locks, temporary roots and directory layout are those of C++ Nix, so both can use
//! the same store at the same time. Nothing may be added to its tables.
//!
//! Text objects are written at once but registered in batches ([`LocalStore::flush`]), because a
//! big package set makes thousands of them. Everything that looks at the database flushes first,
//! so nobody who asks this store sees the difference; a process that dies before leaves files
//! without a registration, which the next writer replaces and the collector deletes.

mod claims;
mod config;
mod gc;
mod lock;
mod optimise;
mod registry;
mod roots;
mod scratch;
mod transfer;
mod verify;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix_formats::derivation::{Derivation, ModuloCache};
use nix_formats::hash::HashAlgo;
use nix_formats::store_path::{FileMethod, StoreDir, StorePath};

pub use config::{Access, StoreConfig};
pub use gc::{CollectOptions, Collected};
pub use lock::PathLocks;
pub use optimise::Optimised;
pub use roots::Root;
pub(crate) use scratch::Place;
pub use verify::{Damage, VerifyOptions};

use crate::add::TreeSource;
use crate::error::StoreError;
use crate::store::{PathInfo, Store};
use crate::sys::{self, Dir};

/// How many texts wait for their registration at most, and for how long.
const MAX_PENDING: usize = 1000;
const MAX_PENDING_AGE: std::time::Duration = std::time::Duration::from_secs(2);

/// A local store, open. Share it between threads in an `Arc`.
#[derive(Debug)]
pub struct LocalStore {
    config: StoreConfig,
    registry: Mutex<registry::Registry>,
    pending: Mutex<Pending>,
    derivations: Mutex<HashMap<StorePath, Arc<Derivation>>>,
    modulo: ModuloCache,
    writer: Option<Writer>,
}

/// What only a store opened for writing has.
#[derive(Debug)]
struct Writer {
    /// The store directory.
    dir: Dir,
    /// Where objects are made before they get their name; exists once something was made.
    scratch: Mutex<Option<scratch::Scratch>>,
    temp_roots: Mutex<Option<roots::TempRoots>>,
    /// `gc.lock`: shared while a temporary root is added.
    gc_lock: File,
    /// `big-lock`, shared for as long as the store is open.
    _big_lock: File,
}

/// Texts that are in place but not yet registered.
#[derive(Debug, Default)]
struct Pending {
    infos: Vec<PathInfo>,
    index: HashMap<StorePath, usize>,
    since: Option<std::time::Instant>,
}

/// Locks a mutex whose data stays consistent at every panic point.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LocalStore {
    /// Opens a store; one opened for writing is created where it does not exist.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a newer program made it; whatever the system says.
    pub fn open(config: StoreConfig) -> Result<LocalStore, StoreError> {
        let db_dir = config.state_dir.join("db");
        let file = db_dir.join("db.sqlite");
        let schema_file = db_dir.join("schema");
        if config.access == Access::ReadOnly {
            check_schema(&schema_file)?;
            let registry =
                registry::Registry::open(&file, &config.store_dir, registry::Mode::Read)?;
            return Ok(LocalStore::with(config, registry, None));
        }
        for dir in [
            &config.real_store_dir.join(".links"),
            &db_dir,
            &config.state_dir.join("temproots"),
            &config.state_dir.join("gcroots/auto"),
            &config.state_dir.join("profiles"),
        ] {
            create_dir_all(dir)?;
        }
        // Profiles are roots; C++ Nix finds them through this link.
        let profiles = config.state_dir.join("gcroots/profiles");
        if std::fs::symlink_metadata(&profiles).is_err() {
            roots::replace_symlink(&config.state_dir.join("profiles"), &profiles)?;
        }
        let big_lock_file = db_dir.join("big-lock");
        let big_lock = lock::open_lock_file(&big_lock_file)?;
        let fail = |e| StoreError::io("lock", &big_lock_file, e);
        lock::flock(&big_lock, rustix::fs::FlockOperation::LockShared).map_err(fail)?;
        let mode = registry::Mode::Write { durable: config.durable };
        let reserved = db_dir.join("reserved");
        let open_registry = || {
            let open = || registry::Registry::open(&file, &config.store_dir, mode);
            // On a full disk there is no room even for opening, but there is what was put by.
            open().or_else(|e| std::fs::remove_file(&reserved).map_err(|_| e).and_then(|()| open()))
        };
        let registry = if check_schema(&schema_file)? {
            open_registry()?
        } else {
            // Only the exclusive holder may make or change tables.
            lock::flock(&big_lock, rustix::fs::FlockOperation::Unlock).map_err(fail)?;
            lock::flock(&big_lock, rustix::fs::FlockOperation::LockExclusive).map_err(fail)?;
            let registry = open_registry()?;
            if !check_schema(&schema_file)? {
                write_durably(&schema_file, registry::SCHEMA_VERSION.as_bytes())?;
            }
            lock::flock(&big_lock, rustix::fs::FlockOperation::LockShared).map_err(fail)?;
            registry
        };
        reserve_space(&reserved);
        let writer = Writer {
            dir: Dir::open(&config.real_store_dir)?,
            scratch: Mutex::new(None),
            temp_roots: Mutex::new(None),
            gc_lock: lock::open_lock_file(&config.state_dir.join("gc.lock"))?,
            _big_lock: big_lock,
        };
        Ok(LocalStore::with(config, registry, Some(writer)))
    }

    fn with(
        config: StoreConfig,
        registry: registry::Registry,
        writer: Option<Writer>,
    ) -> LocalStore {
        LocalStore {
            config,
            registry: Mutex::new(registry),
            pending: Mutex::default(),
            derivations: Mutex::default(),
            modulo: ModuloCache::new(),
            writer,
        }
    }

    /// Where the store lies and how it was opened.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Database, roots and locks.
    pub fn state_dir(&self) -> &Path {
        &self.config.state_dir
    }

    /// Build logs.
    pub fn log_dir(&self) -> &Path {
        &self.config.log_dir
    }

    /// Whether the physical store is not at the logical place, so that what is built here runs
    /// only inside a namespace.
    pub fn is_relocated(&self) -> bool {
        self.config.real_store_dir != Path::new(self.config.store_dir.as_str())
    }

    fn writer(&self, action: &'static str) -> Result<&Writer, StoreError> {
        self.writer.as_ref().ok_or_else(|| StoreError::ReadOnly {
            action,
            store: self.config.real_store_dir.clone(),
        })
    }

    /// Waits for the locks of some objects; see [`PathLocks::wait`].
    pub fn lock_paths<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a StorePath>,
    ) -> Result<PathLocks, StoreError> {
        self.writer("lock a path")?;
        PathLocks::wait(&paths.into_iter().map(|p| self.real_path(p)).collect())
    }

    /// Takes the locks of some objects, or `None` if another process has one of them.
    pub fn try_lock_paths<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a StorePath>,
    ) -> Result<Option<PathLocks>, StoreError> {
        self.writer("lock a path")?;
        PathLocks::try_now(&paths.into_iter().map(|p| self.real_path(p)).collect())
    }

    /// The registry, after everything pending is in it.
    fn flushed(&self) -> Result<MutexGuard<'_, registry::Registry>, StoreError> {
        self.flush()?;
        Ok(locked(&self.registry))
    }

    /// Registers the texts added so far. Done by itself before anything that needs it and when
    /// the store is dropped; call it to see the error.
    pub fn flush(&self) -> Result<(), StoreError> {
        // The lock is held to the end: whoever comes second must find everything registered.
        let mut pending = locked(&self.pending);
        if pending.infos.is_empty() {
            return Ok(());
        }
        let taken = std::mem::take(&mut *pending);
        self.register_in_place(&taken.infos)
    }

    /// Makes the symbolic link `link` to an object, which is kept as long as the link is there.
    ///
    /// It leads to where the files are, so that other programs can follow it in a moved store,
    /// too. A link of this name is replaced in one step.
    ///
    /// # Errors
    /// There is something else of this name; the link cannot be made.
    pub fn make_root_link(&self, link: &Path, path: &StorePath) -> Result<(), StoreError> {
        let link = std::path::absolute(link)
            .map_err(|e| StoreError::io("find the directory of", link, e))?;
        if std::fs::symlink_metadata(&link).is_ok_and(|found| !found.is_symlink()) {
            return Err(StoreError::invalid(format!(
                "cannot make the link '{}': there is something else of this name; move it away, \
                 or choose another name",
                link.display()
            )));
        }
        roots::replace_symlink(&self.real_path(path), &link)?;
        self.add_indirect_root(&link)
    }

    fn register_in_place(&self, infos: &[PathInfo]) -> Result<(), StoreError> {
        let writer = self.writer("register an object")?;
        for info in infos {
            // Another process may have thrown it away between adding and registering.
            writer.dir.stat(info.path.base_name())?;
        }
        if self.config.durable {
            sys::sync_trees(&writer.dir, infos.iter().map(|i| i.path.base_name()))?;
        }
        let mut outputs = HashMap::new();
        for info in infos.iter().filter(|i| i.path.is_derivation()) {
            let drv = self.load_derivation(&info.path)?;
            let known = drv
                .outputs
                .keys()
                .filter_map(|name| {
                    Some((name.clone(), drv.output_path(&self.config.store_dir, name)?))
                })
                .collect();
            outputs.insert(info.path.clone(), known);
        }
        locked(&self.registry).register(infos, &outputs)
    }

    /// Reads a derivation whose file is in place, valid or not.
    fn load_derivation(&self, path: &StorePath) -> Result<Arc<Derivation>, StoreError> {
        if let Some(drv) = locked(&self.derivations).get(path) {
            return Ok(Arc::clone(drv));
        }
        let file = self.real_path(path);
        let bytes =
            std::fs::read(&file).map_err(|e| StoreError::io("read the derivation", &file, e))?;
        let drv = self.parse_derivation(path, &bytes)?;
        locked(&self.derivations).insert(path.clone(), Arc::clone(&drv));
        Ok(drv)
    }

    fn parse_derivation(
        &self,
        path: &StorePath,
        bytes: &[u8],
    ) -> Result<Arc<Derivation>, StoreError> {
        let name = path.name().strip_suffix(".drv").unwrap_or(path.name());
        let drv = Derivation::parse(&self.config.store_dir, name, bytes).map_err(|e| {
            StoreError::invalid(format!("derivation '{}': {e}", self.display(path)))
        })?;
        Ok(Arc::new(drv))
    }

    /// A name in the store's scratch directory; `action` is for the error of a read-only store.
    pub(crate) fn scratch_place(&self, action: &'static str) -> Result<Place, StoreError> {
        let writer = self.writer(action)?;
        let mut slot = locked(&writer.scratch);
        match &mut *slot {
            Some(scratch) => scratch.place(),
            None => slot.insert(scratch::Scratch::create(&writer.dir)?).place(),
        }
    }

    /// Renames a finished tree to its place in the store, and seals it. What is there already is
    /// not valid, so it goes. The caller holds the path's lock.
    pub(crate) fn move_in(&self, place: &Place, path: &StorePath) -> Result<(), StoreError> {
        let writer = self.writer("add an object")?;
        sys::delete_tree(&writer.dir, path.base_name())?;
        place.dir.rename_new(&place.name, &writer.dir, path.base_name())?;
        sys::seal(&writer.dir, path.base_name())
    }

    /// Renames a finished text to its place in the store, over what is there: it is not valid,
    /// or it is the same text.
    pub(crate) fn move_text_in(&self, place: &Place, path: &StorePath) -> Result<(), StoreError> {
        let writer = self.writer("add a text")?;
        match place.dir.rename(&place.name, &writer.dir, path.base_name()) {
            Err(e) if e.raw_os_error() == Some(libc::EISDIR) => self.move_in(place, path),
            answer => answer,
        }
    }

    /// Remembers a text that is in place, to be registered with others.
    pub(crate) fn register_later(&self, info: PathInfo) -> Result<(), StoreError> {
        let is_full = {
            let mut pending = locked(&self.pending);
            if pending.index.contains_key(&info.path) {
                return Ok(());
            }
            let index = pending.infos.len();
            pending.index.insert(info.path.clone(), index);
            pending.infos.push(info);
            let since = *pending.since.get_or_insert_with(std::time::Instant::now);
            pending.infos.len() >= MAX_PENDING || since.elapsed() > MAX_PENDING_AGE
        };
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Whether the object is registered or about to be.
    fn is_known(&self, path: &StorePath) -> Result<bool, StoreError> {
        if locked(&self.pending).index.contains_key(path) {
            return Ok(true);
        }
        locked(&self.registry).is_valid(path)
    }
}

impl Store for LocalStore {
    fn store_dir(&self) -> &StoreDir {
        &self.config.store_dir
    }

    fn real_store_dir(&self) -> &Path {
        &self.config.real_store_dir
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.is_known(path)
    }

    fn query_path_info(&self, path: &StorePath) -> Result<Option<Arc<PathInfo>>, StoreError> {
        {
            let pending = locked(&self.pending);
            if let Some(index) = pending.index.get(path) {
                return Ok(Some(Arc::new(pending.infos[*index].clone())));
            }
        }
        Ok(locked(&self.registry).path_info(path)?.map(Arc::new))
    }

    fn query_referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.flushed()?.referrers(path)
    }

    fn query_valid_derivers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>, StoreError> {
        self.flushed()?.valid_derivers(path)
    }

    fn query_derivation_outputs(
        &self,
        drv: &StorePath,
    ) -> Result<BTreeMap<String, StorePath>, StoreError> {
        self.flushed()?.derivation_outputs(drv)
    }

    fn query_path_from_hash_part(&self, hash_part: &str) -> Result<Option<StorePath>, StoreError> {
        self.flushed()?.path_from_hash_part(hash_part)
    }

    fn all_valid_paths(&self) -> Result<BTreeSet<StorePath>, StoreError> {
        self.flushed()?.all_valid_paths()
    }

    fn add_text(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath, StoreError> {
        crate::add::add_text(self, name, contents, references)
    }

    fn add_tree(
        &self,
        name: &str,
        source: &dyn TreeSource,
        method: FileMethod,
        algo: HashAlgo,
    ) -> Result<StorePath, StoreError> {
        crate::add::add_tree(self, name, source, method, algo)
    }

    fn add_nar(&self, info: &PathInfo, nar: &mut dyn Read) -> Result<(), StoreError> {
        crate::add::add_nar(self, info, nar)
    }

    fn register(&self, infos: &[PathInfo]) -> Result<(), StoreError> {
        self.flush()?;
        self.register_in_place(infos)
    }

    fn read_derivation(&self, drv: &StorePath) -> Result<Arc<Derivation>, StoreError> {
        if !self.is_known(drv)? {
            return Err(StoreError::NotValid { path: self.display(drv), needed_by: None });
        }
        self.load_derivation(drv)
    }

    fn nar_to(&self, path: &StorePath, sink: &mut dyn Write) -> Result<(), StoreError> {
        if !self.is_known(path)? {
            return Err(StoreError::NotValid { path: self.display(path), needed_by: None });
        }
        let dir = Dir::open(&self.config.real_store_dir)?;
        sys::dump_nar(&dir, path.base_name(), sink)
    }

    fn add_temp_root(&self, path: &StorePath) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        let mut slot = locked(&writer.temp_roots);
        let roots = match &mut *slot {
            Some(roots) => roots,
            None => slot.insert(roots::TempRoots::create(&self.config.state_dir)?),
        };
        if roots.contains(path) {
            return Ok(());
        }
        roots.add(&self.config.state_dir, &self.config.store_dir, &writer.gc_lock, path)
    }

    fn add_indirect_root(&self, link: &Path) -> Result<(), StoreError> {
        self.writer("add a root")?;
        self.flush()?;
        if !link.is_absolute() {
            return Err(StoreError::invalid(format!(
                "the root '{}' is not an absolute path",
                link.display()
            )));
        }
        let root = roots::indirect_root_path(&self.config.state_dir, link);
        roots::replace_symlink(link, &root)
    }
}

impl Drop for LocalStore {
    fn drop(&mut self) {
        // Whoever wants to know calls `flush` before.
        let _ = self.flush();
    }
}

/// Whether there is a schema that we can work with; `false` if there is none at all.
fn check_schema(file: &Path) -> Result<bool, StoreError> {
    match std::fs::read_to_string(file) {
        // An empty file is what a power cut can leave of one that was just made.
        Ok(text) if text.trim().is_empty() => Ok(false),
        Ok(text) if text.trim() == registry::SCHEMA_VERSION => Ok(true),
        Ok(text) => {
            Err(StoreError::Schema { path: file.to_owned(), found: text.trim().to_owned() })
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("read", file, e)),
    }
}

fn create_dir_all(dir: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(dir).map_err(|e| StoreError::io("create the directory", dir, e))
}

/// Writes a small file so that after a power cut it is whole or was never there.
fn write_durably(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let temp = path.with_extension(format!("tmp-{}", std::process::id()));
    let fail = |e| StoreError::io("write", &temp, e);
    let mut file = File::create(&temp).map_err(fail)?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(fail)?;
    std::fs::rename(&temp, path).map_err(|e| StoreError::io("write", path, e))?;
    Dir::open_parent(path)?.0.sync()
}

/// Keeps 8 MiB that a collection on a full disk frees first, so that the database can grow.
/// Best effort: where there is no room now, there is nothing to keep.
fn reserve_space(file: &Path) {
    const SIZE: usize = 8 << 20;
    if std::fs::metadata(file).is_ok_and(|m| m.len() >= SIZE as u64) {
        return;
    }
    let made = File::create(file).and_then(|mut file| file.write_all(&vec![b'X'; SIZE]));
    if made.is_err() {
        let _ = std::fs::remove_file(file);
    }
}

#[cfg(test)]
mod tests;
