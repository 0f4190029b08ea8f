//! Deletes what nothing needs.
//!
//! While a collection runs, processes that want to keep a path say so over a socket and are held
//! back if that path is being deleted right now; so nobody ever waits for a whole collection, and
//! nothing that was named in time disappears. Only the hash part counts, which protects
//! `PATH.lock` and the like together with `PATH`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use nix_formats::store_path::{HASH_LEN, StoreDir, StorePath};
use rustix::fs::{FlockOperation, Mode, OFlags};

use super::lock::{flock, open_lock_file};
use super::{LocalStore, Root, locked, reserve_space, roots};
use crate::error::StoreError;
use crate::store::Store;
use crate::sys::{Dir, delete_tree};

/// What to collect, and how far.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Only these, with the dead objects that refer to them; `None` for all that is dead.
    pub only: Option<BTreeSet<StorePath>>,
    /// With `only`: delete even what a root keeps. Never what a process uses right now or what
    /// a living object refers to.
    pub ignore_liveness: bool,
    /// Stop once this many bytes are freed.
    pub max_freed: Option<u64>,
    /// A live output keeps the derivation that made it.
    pub keep_derivations: bool,
    /// A live derivation keeps its outputs.
    pub keep_outputs: bool,
}

impl Default for CollectOptions {
    fn default() -> CollectOptions {
        CollectOptions {
            only: None,
            ignore_liveness: false,
            max_freed: None,
            keep_derivations: true,
            keep_outputs: false,
        }
    }
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The names that were deleted from the store directory, in the order of deletion.
    pub deleted: Vec<PathBuf>,
    /// Bytes of disk that were freed.
    pub bytes_freed: u64,
}

/// How many objects are made invalid in one transaction before their files go.
const BATCH: usize = 256;

impl LocalStore {
    /// All roots: permanent links first, then what running programs use and the temporary roots
    /// of processes, as `{proc/…}` and `{temp}`.
    pub fn find_roots(&self) -> Result<BTreeSet<Root>, StoreError> {
        let dir = &self.config.store_dir;
        let mut found =
            roots::find_permanent_roots(self.state_dir(), dir, self.real_store_dir(), false)?;
        for (path, place) in roots::find_runtime_roots(dir, &self.config.real_store_dir) {
            let link = PathBuf::from(format!("{{{}}}", place.display()));
            found.insert(Root { link, path });
        }
        // Only what exists can be shown as kept.
        let mut valid = BTreeSet::new();
        for root in found {
            if self.is_valid(&root.path)? {
                valid.insert(root);
            }
        }
        Ok(valid)
    }

    /// The objects that a collection would keep.
    pub fn live_paths(&self, options: &CollectOptions) -> Result<BTreeSet<StorePath>, StoreError> {
        let graph = Graph::read(self)?;
        let roots = self.root_paths(false)?;
        Ok(graph.live(&roots, options).into_iter().cloned().collect())
    }

    /// The objects that a collection would delete.
    pub fn dead_paths(&self, options: &CollectOptions) -> Result<BTreeSet<StorePath>, StoreError> {
        let graph = Graph::read(self)?;
        let roots = self.root_paths(false)?;
        let live = graph.live(&roots, options);
        Ok(graph.valid.iter().filter(|p| !live.contains(p)).cloned().collect())
    }

    fn root_paths(&self, clean: bool) -> Result<BTreeSet<StorePath>, StoreError> {
        let dir = &self.config.store_dir;
        let permanent =
            roots::find_permanent_roots(self.state_dir(), dir, self.real_store_dir(), clean)?;
        let mut found: BTreeSet<StorePath> = permanent.into_iter().map(|r| r.path).collect();
        found.extend(roots::find_runtime_roots(dir, &self.config.real_store_dir).into_keys());
        Ok(found)
    }

    /// Deletes what nothing needs.
    ///
    /// # Errors
    /// [`StoreError::StillAlive`] if `only` names an object that is needed; nothing is deleted
    /// then. A file that cannot be deleted is named; what was deleted before stays so.
    pub fn collect_garbage(&self, options: &CollectOptions) -> Result<Collected, StoreError> {
        let writer = self.writer("collect garbage")?;
        // Frees room for the database to grow on a full disk.
        let reserved = self.state_dir().join("db/reserved");
        let _ = std::fs::remove_file(&reserved);
        self.flush()?;
        // An own handle: the lock of the one in `writer` comes and goes with temporary roots.
        let lock_path = self.state_dir().join("gc.lock");
        let gc_lock = open_lock_file(&lock_path)?;
        flock(&gc_lock, FlockOperation::LockExclusive)
            .map_err(|e| StoreError::io("lock", &lock_path, e))?;
        let server = RootServer::start(self.state_dir(), &self.config.store_dir)?;
        let root_paths =
            if options.ignore_liveness { BTreeSet::new() } else { self.root_paths(true)? };
        let temp = roots::read_temp_roots(self.state_dir(), &self.config.store_dir)?;
        server.protect(&temp);
        let graph = Graph::read(self)?;
        let mut collected = Collected::default();
        let doomed = match &options.only {
            Some(only) => {
                let options = CollectOptions {
                    keep_derivations: false,
                    keep_outputs: false,
                    ..options.clone()
                };
                let mut roots = root_paths;
                roots.extend(temp);
                let live = graph.live(&roots, &options);
                let mut doomed = BTreeSet::new();
                for path in only {
                    for path in graph.with_referrers(path) {
                        if live.contains(path) {
                            return Err(StoreError::StillAlive { path: self.display(path) });
                        }
                        doomed.insert(path.clone());
                    }
                }
                doomed
            }
            None => {
                let mut roots = root_paths;
                roots.extend(temp);
                let live = graph.live(&roots, options);
                graph.valid.iter().filter(|p| !live.contains(p)).cloned().collect()
            }
        };
        let order = graph.referrers_first(&doomed);
        let is_enough = |c: &Collected| options.max_freed.is_some_and(|max| c.bytes_freed >= max);
        for batch in order.chunks(BATCH) {
            if is_enough(&collected) {
                break;
            }
            // From here until `end`, whoever names one of these waits.
            let batch = server.begin(batch);
            let gone = locked(&self.registry).invalidate_all(&batch);
            let answer = gone.and_then(|gone| {
                for path in &gone {
                    locked(&self.derivations).remove(path);
                    collected.bytes_freed += delete_tree(&writer.dir, path.base_name())?;
                    collected.deleted.push(self.real_path(path));
                }
                Ok(())
            });
            server.end();
            answer?;
        }
        if options.only.is_none() && !is_enough(&collected) {
            self.delete_leftovers(&writer.dir, &server, &graph, &mut collected, &is_enough)?;
        }
        collected.bytes_freed += delete_unused_links(&writer.dir)?;
        drop(server);
        reserve_space(&reserved);
        Ok(collected)
    }

    /// Deletes names in the store directory that are no valid object.
    fn delete_leftovers(
        &self,
        dir: &Dir,
        server: &RootServer,
        graph: &Graph,
        collected: &mut Collected,
        is_enough: &dyn Fn(&Collected) -> bool,
    ) -> Result<(), StoreError> {
        for name in dir.entries()? {
            if is_enough(collected) {
                break;
            }
            let name = OsStr::from_bytes(&name);
            if name == ".links" {
                continue;
            }
            let path = name.to_str().and_then(|n| StorePath::from_base_name(n).ok());
            match &path {
                Some(path) if graph.valid.contains(path) => continue,
                None if is_in_use(dir, name) => continue,
                _ => {}
            }
            // A registration may have come since the graph was read; its temporary root did too.
            let begun = path.as_slice();
            if server.begin(begun).len() == begun.len() {
                let answer = delete_tree(dir, name);
                server.end();
                collected.bytes_freed += answer?;
                collected.deleted.push(dir.place(name));
            } else {
                server.end();
            }
        }
        Ok(())
    }
}

/// Whether this is a scratch directory whose process lives.
fn is_in_use(dir: &Dir, name: &OsStr) -> bool {
    if !name.as_bytes().starts_with(b"tmp-") {
        return false;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => !matches!(flock(&fd, FlockOperation::NonBlockingLockExclusive), Ok(true)),
        Err(_) => false,
    }
}

/// Removes scratch directories of processes that are gone.
pub(super) fn delete_dead_scratch(dir: &Dir) -> Result<(), StoreError> {
    for name in dir.entries()? {
        let name = OsStr::from_bytes(&name);
        if name.as_bytes().starts_with(b"tmp-") && !is_in_use(dir, name) {
            // One that just got its owner is locked a moment after it is made; a failure only
            // leaves it for the next time.
            let _ = delete_tree(dir, name);
        }
    }
    Ok(())
}

/// Removes files of the hard-link pool that no object uses any more.
fn delete_unused_links(store: &Dir) -> Result<u64, StoreError> {
    let mut freed = 0;
    if store.lookup(".links")?.is_none() {
        return Ok(0);
    }
    let links = store.open_dir(".links")?;
    for name in links.entries()? {
        let name = OsStr::from_bytes(&name);
        if let Some(stat) = links.lookup(name)?
            && stat.st_nlink == 1
        {
            links.unlink(name)?;
            freed += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
    }
    Ok(freed)
}

/// Who refers to whom, of the whole store.
struct Graph {
    valid: BTreeSet<StorePath>,
    references: BTreeMap<StorePath, Vec<StorePath>>,
    referrers: HashMap<StorePath, Vec<StorePath>>,
    /// Derivation → its valid outputs that name it as their deriver.
    made: BTreeMap<StorePath, Vec<StorePath>>,
    /// Derivation → its valid outputs.
    outputs: BTreeMap<StorePath, Vec<StorePath>>,
}

impl Graph {
    fn read(store: &LocalStore) -> Result<Graph, StoreError> {
        let registry = store.flushed()?;
        let valid = registry.all_valid_paths()?;
        let references = registry.all_references()?;
        let mut referrers: HashMap<StorePath, Vec<StorePath>> = HashMap::new();
        for path in &valid {
            for reference in references.get(path).into_iter().flatten() {
                referrers.entry(reference.clone()).or_default().push(path.clone());
            }
        }
        let made = registry.all_derivers()?;
        let outputs = registry.all_outputs()?;
        Ok(Graph { valid, references, referrers, made, outputs })
    }

    /// What the roots keep.
    fn live(&self, roots: &BTreeSet<StorePath>, options: &CollectOptions) -> HashSet<&StorePath> {
        let mut deriver_of: HashMap<&StorePath, Vec<&StorePath>> = HashMap::new();
        if options.keep_derivations {
            for (drv, outputs) in &self.made {
                for output in outputs {
                    deriver_of.entry(output).or_default().push(drv);
                }
            }
        }
        // A root need not be valid itself: `PATH.lock` or a path in the making.
        let hash_parts: HashSet<&str> = roots.iter().map(StorePath::hash_part).collect();
        let mut live = HashSet::new();
        let mut left: Vec<&StorePath> =
            self.valid.iter().filter(|p| hash_parts.contains(p.hash_part())).collect();
        while let Some(path) = left.pop() {
            let Some(path) = self.valid.get(path) else { continue };
            if !live.insert(path) {
                continue;
            }
            left.extend(self.references.get(path).into_iter().flatten());
            left.extend(deriver_of.get(path).into_iter().flatten().copied());
            if options.keep_outputs {
                left.extend(self.outputs.get(path).into_iter().flatten());
            }
        }
        live
    }

    /// An object and everything that refers to it, directly or not.
    fn with_referrers<'a>(&'a self, path: &'a StorePath) -> BTreeSet<&'a StorePath> {
        let mut found = BTreeSet::new();
        let mut left = vec![path];
        while let Some(path) = left.pop() {
            if let Some(path) = self.valid.get(path)
                && found.insert(path)
            {
                left.extend(self.referrers.get(path).into_iter().flatten());
            }
        }
        found
    }

    /// The objects of `set` in an order in which each comes before what it refers to.
    fn referrers_first(&self, set: &BTreeSet<StorePath>) -> Vec<StorePath> {
        let mut order = Vec::with_capacity(set.len());
        let mut entered: HashSet<&StorePath> = HashSet::new();
        for start in set {
            let mut left = vec![(start, false)];
            while let Some((path, is_done)) = left.pop() {
                if is_done {
                    order.push(path.clone());
                } else if set.contains(path) && entered.insert(path) {
                    left.push((path, true));
                    let referrers = self.referrers.get(path).into_iter().flatten();
                    left.extend(referrers.map(|r| (r, false)));
                }
            }
        }
        order
    }
}

/// What the collector and the threads of its socket share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<ServerState>,
    ended: Condvar,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct ServerState {
    /// Hash parts that must stay.
    kept: HashSet<[u8; HASH_LEN]>,
    /// Hash parts that are being deleted.
    deleting: HashSet<[u8; HASH_LEN]>,
}

fn hash_key(path: &StorePath) -> [u8; HASH_LEN] {
    let mut key = [0; HASH_LEN];
    key.copy_from_slice(path.hash_part().as_bytes());
    key
}

/// Takes temporary roots from other processes while a collection runs.
struct RootServer {
    shared: Arc<Shared>,
    socket: PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl RootServer {
    fn start(state_dir: &Path, dir: &StoreDir) -> Result<RootServer, StoreError> {
        let socket_dir = state_dir.join("gc-socket");
        super::create_dir_all(&socket_dir)?;
        let socket = socket_dir.join("socket");
        let _ = std::fs::remove_file(&socket);
        let listener = bind(&socket_dir, &socket)?;
        listener
            .set_nonblocking(true)
            .map_err(|e| StoreError::io("listen on the socket", &socket, e))?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let (shared, dir) = (Arc::clone(&shared), dir.clone());
            move || {
                let mut clients = Vec::new();
                while !shared.stop.load(Ordering::Acquire) {
                    match listener.accept() {
                        Ok((stream, _)) => {
                            let (shared, dir) = (Arc::clone(&shared), dir.clone());
                            clients.push(std::thread::spawn(move || serve(stream, &shared, &dir)));
                        }
                        Err(_) => std::thread::sleep(Duration::from_millis(5)),
                    }
                }
                for client in clients {
                    let _ = client.join();
                }
            }
        });
        Ok(RootServer { shared, socket, thread: Some(thread) })
    }

    fn protect(&self, paths: &BTreeSet<StorePath>) {
        locked(&self.shared.state).kept.extend(paths.iter().map(hash_key));
    }

    /// Announces that these are being deleted; gives those that nobody has asked to keep.
    fn begin(&self, paths: &[StorePath]) -> Vec<StorePath> {
        let mut state = locked(&self.shared.state);
        let free: Vec<StorePath> =
            paths.iter().filter(|p| !state.kept.contains(&hash_key(p))).cloned().collect();
        state.deleting = free.iter().map(hash_key).collect();
        free
    }

    /// Lets those go on who asked for one of them meanwhile.
    fn end(&self) {
        locked(&self.shared.state).deleting.clear();
        self.shared.ended.notify_all();
    }
}

impl Drop for RootServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        self.shared.stop.store(true, Ordering::Release);
        self.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket's name has at most 107 bytes; a longer one is reached through a handle on its
/// directory.
fn bind(dir: &Path, socket: &Path) -> Result<UnixListener, StoreError> {
    let fail = |e| StoreError::io("listen on the socket", socket, e);
    if socket.as_os_str().len() < 108 {
        return UnixListener::bind(socket).map_err(fail);
    }
    let handle = std::fs::File::open(dir).map_err(fail)?;
    UnixListener::bind(through_handle(&handle)).map_err(fail)
}

fn through_handle(handle: &std::fs::File) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}/socket", handle.as_raw_fd()))
}

/// Connects to a collector's socket, however long its name.
pub(super) fn connect(state_dir: &Path) -> std::io::Result<UnixStream> {
    let dir = state_dir.join("gc-socket");
    let socket = dir.join("socket");
    if socket.as_os_str().len() < 108 {
        return UnixStream::connect(socket);
    }
    UnixStream::connect(through_handle(&std::fs::File::open(dir)?))
}

/// One client: lines with a path, each answered by `1` once the path is safe.
fn serve(stream: UnixStream, shared: &Shared, dir: &StoreDir) {
    if stream.set_nonblocking(false).is_err()
        || stream.set_read_timeout(Some(Duration::from_millis(50))).is_err()
    {
        return;
    }
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        match std::io::Read::take(&mut lines, 4096).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                if shared.stop.load(Ordering::Acquire) {
                    return;
                }
                continue;
            }
            Err(_) => return,
        }
        if line.pop() != Some(b'\n') {
            return;
        }
        let path = std::str::from_utf8(&line).ok().and_then(|text| dir.parse(text).ok());
        if let Some(path) = path {
            let key = hash_key(&path);
            let mut state = locked(&shared.state);
            state.kept.insert(key);
            while state.deleting.contains(&key) {
                state = shared.ended.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        }
        line.clear();
        if answers.write_all(b"1").is_err() {
            return;
        }
    }
}
