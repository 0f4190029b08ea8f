//! What keeps objects from being collected: temporary roots of processes, permanent links, and
//! what running programs use.
//!
//! The file `temproots/<pid>` is held locked for the life of the process and names full paths,
//! each followed by NUL. While no collection runs, adding one is an append under a shared lock
//! of `gc.lock`; while one runs, the collector is told over a socket first.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix_formats::base32;
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::{StoreDir, StorePath};
use rustix::fs::FlockOperation;

use super::lock::{flock, open_lock_file};
use crate::error::StoreError;

/// A permanent root: what is kept, and the link (or the running process) that keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// The link, or a description such as `{proc/12/exe}`.
    pub link: PathBuf,
    /// The object that is kept.
    pub path: StorePath,
}

/// The temporary roots of this process in one store.
#[derive(Debug)]
pub(super) struct TempRoots {
    file: File,
    file_path: PathBuf,
    added: HashSet<StorePath>,
}

impl TempRoots {
    /// Makes and locks the file of this process.
    pub(super) fn create(state_dir: &Path) -> Result<TempRoots, StoreError> {
        let dir = state_dir.join("temproots");
        std::fs::create_dir_all(&dir)
            .map_err(|e| StoreError::io("create the directory", &dir, e))?;
        let pid = std::process::id();
        for n in 0_u32.. {
            // The plain name is what C++ Nix expects; a second store object in this process (or
            // the same number in another pid namespace) takes one with a suffix, which C++ Nix
            // reads too.
            let name = if n == 0 { format!("{pid}") } else { format!("{pid}-{n}") };
            let file_path = dir.join(name);
            loop {
                let file = open_lock_file(&file_path)?;
                let lock = FlockOperation::NonBlockingLockExclusive;
                if !flock(&file, lock).map_err(|e| StoreError::io("lock", &file_path, e))? {
                    break;
                }
                let stat = file.metadata().map_err(|e| StoreError::io("examine", &file_path, e))?;
                if stat.len() == 0 {
                    return Ok(TempRoots { file, file_path, added: HashSet::new() });
                }
                // A leftover with contents: a dead process's file, or one the collector has
                // just unlinked. Either way the name is free for a new file.
                let _ = rustix::fs::unlink(&file_path);
            }
        }
        Err(StoreError::invalid("no free name for a file of temporary roots"))
    }

    /// Whether this path was added already.
    pub(super) fn contains(&self, path: &StorePath) -> bool {
        self.added.contains(path)
    }

    /// Adds a path; returns once no running collection can delete it any more.
    pub(super) fn add(
        &mut self,
        state_dir: &Path,
        dir: &StoreDir,
        gc_lock: &File,
        path: &StorePath,
    ) -> Result<(), StoreError> {
        let text = dir.display(path);
        let lock_path = state_dir.join("gc.lock");
        let fail = |e| StoreError::io("lock", &lock_path, e);
        loop {
            if flock(gc_lock, FlockOperation::NonBlockingLockShared).map_err(fail)? {
                let answer = self.append(&text);
                flock(gc_lock, FlockOperation::Unlock).map_err(fail)?;
                answer?;
                break;
            }
            if tell_collector(state_dir, &text) {
                self.append(&text)?;
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.added.insert(path.clone());
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), StoreError> {
        let mut line = text.as_bytes().to_vec();
        line.push(0);
        self.file
            .write_all(&line)
            .map_err(|e| StoreError::io("write the temporary root to", &self.file_path, e))
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        let _ = rustix::fs::unlink(&self.file_path);
        let _ = self.file.write_all(b"d");
    }
}

/// Tells a running collector about a new root. `false` if it went away meanwhile.
fn tell_collector(state_dir: &Path, text: &str) -> bool {
    let Ok(mut stream) = super::gc::connect(state_dir) else { return false };
    let mut answer = [0];
    stream.write_all(format!("{text}\n").as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == *b"1"
}

/// The temporary roots of all living processes; files of dead ones are removed.
///
/// The caller holds `gc.lock` exclusively.
pub(super) fn read_temp_roots(
    state_dir: &Path,
    dir: &StoreDir,
) -> Result<BTreeSet<StorePath>, StoreError> {
    let temp_dir = state_dir.join("temproots");
    let mut found = BTreeSet::new();
    let entries = match std::fs::read_dir(&temp_dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(StoreError::io("read the directory", &temp_dir, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| StoreError::io("read the directory", &temp_dir, e))?;
        if entry.file_name().as_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let mut file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(StoreError::io("open the temporary roots", &path, e)),
        };
        let lock = FlockOperation::NonBlockingLockExclusive;
        if flock(&file, lock).map_err(|e| StoreError::io("lock", &path, e))? {
            // Nobody holds it, so its process is gone.
            let _ = rustix::fs::unlink(&path);
            let _ = file.write_all(b"d");
            continue;
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|e| StoreError::io("read", &path, e))?;
        for root in text.split(|b| *b == 0) {
            if let Ok(root) = std::str::from_utf8(root)
                && let Ok(root) = dir.parse(root)
            {
                found.insert(root);
            }
        }
    }
    Ok(found)
}

/// Where the indirect root for `link` is kept, below the state directory.
pub(super) fn indirect_root_path(state_dir: &Path, link: &Path) -> PathBuf {
    let hash = Hash::of(HashAlgo::Sha1, link.as_os_str().as_bytes());
    state_dir.join("gcroots/auto").join(base32::encode(hash.as_bytes()))
}

/// Makes `path` a symbolic link to `target`, replacing what is there in one step.
pub(super) fn replace_symlink(target: &Path, path: &Path) -> Result<(), StoreError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)
            .map_err(|e| StoreError::io("create the directory", parent, e))?;
    }
    let mut name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    for n in 0_u32.. {
        let mut temp = std::ffi::OsString::from(format!(".{n}_{}_", std::process::id()));
        temp.push(&name);
        let temp = path.with_file_name(&temp);
        match std::os::unix::fs::symlink(target, &temp) {
            Ok(()) => {
                return std::fs::rename(&temp, path).map_err(|e| {
                    let _ = rustix::fs::unlink(&temp);
                    StoreError::io("create the symbolic link", path, e)
                });
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) if e.raw_os_error() == Some(libc::ENAMETOOLONG) && n == 0 => {
                name = std::ffi::OsString::from("link");
            }
            Err(e) => return Err(StoreError::io("create the symbolic link", path, e)),
        }
    }
    Err(StoreError::invalid("no free name for a temporary link"))
}

/// Finds the permanent roots below `gcroots` and `profiles`.
///
/// Links in `gcroots/auto` whose target is gone are removed if `clean`.
pub(super) fn find_permanent_roots(
    state_dir: &Path,
    dir: &StoreDir,
    real_store_dir: &Path,
    clean: bool,
) -> Result<BTreeSet<Root>, StoreError> {
    let auto = state_dir.join("gcroots/auto");
    let mut finder = Finder { dir, real: real_store_dir, auto, clean, roots: BTreeSet::new() };
    finder.below(&state_dir.join("gcroots"), 0);
    finder.below(&state_dir.join("profiles"), 0);
    Ok(finder.roots)
}

struct Finder<'a> {
    dir: &'a StoreDir,
    /// The physical store directory: what links of a moved store lead to.
    real: &'a Path,
    auto: PathBuf,
    clean: bool,
    roots: BTreeSet<Root>,
}

impl Finder<'_> {
    /// Unreadable places are skipped, as they are by C++ Nix: they belong to another user, and
    /// what they name is protected by that user's entry in `gcroots/auto`.
    fn below(&mut self, path: &Path, depth: u32) {
        let Ok(stat) = std::fs::symlink_metadata(path) else { return };
        if stat.is_dir() {
            let Ok(entries) = std::fs::read_dir(path) else { return };
            if depth < 64 {
                for entry in entries.flatten() {
                    self.below(&entry.path(), depth + 1);
                }
            }
        } else if stat.is_symlink() {
            let Ok(target) = std::fs::read_link(path) else { return };
            if let Some(found) = self.object(&target) {
                self.roots.insert(Root { link: path.to_owned(), path: found });
                return;
            }
            // An indirect root: the link names a link of the user's.
            let link = path.parent().unwrap_or(Path::new("/")).join(&target);
            match std::fs::symlink_metadata(&link) {
                Ok(stat) if stat.is_symlink() => {
                    if let Ok(target) = std::fs::read_link(&link)
                        && let Some(found) = self.object(&target)
                    {
                        self.roots.insert(Root { link, path: found });
                    }
                }
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    if self.clean && path.parent() == Some(&self.auto) {
                        let _ = rustix::fs::unlink(path);
                    }
                }
                Err(_) => {}
            }
        } else if stat.is_file()
            && let Some(name) = path.file_name().and_then(OsStr::to_str)
            && let Ok(found) = StorePath::from_base_name(name)
        {
            self.roots.insert(Root { link: path.to_owned(), path: found });
        }
    }

    fn object(&self, target: &Path) -> Option<StorePath> {
        if let Ok(below) = target.strip_prefix(self.real) {
            let name = below.components().next()?.as_os_str().to_str()?;
            return StorePath::from_base_name(name).ok();
        }
        let (path, _) = self.dir.split(target.to_str()?).ok()?;
        Some(path)
    }
}

/// Finds objects that running programs use: executable, current directory, open files, mapped
/// files and environment. What cannot be read is skipped.
pub(super) fn find_runtime_roots(
    dir: &StoreDir,
    real_store_dir: &Path,
) -> BTreeMap<StorePath, PathBuf> {
    let mut finder = RuntimeFinder {
        dir,
        real: real_store_dir.to_str().filter(|r| *r != dir.as_str()).map(str::to_owned),
        found: BTreeMap::new(),
    };
    let Ok(processes) = std::fs::read_dir("/proc") else { return finder.found };
    for process in processes.flatten() {
        let name = process.file_name();
        if !name.as_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let process = process.path();
        for link in ["exe", "cwd"] {
            finder.link(&process.join(link));
        }
        if let Ok(handles) = std::fs::read_dir(process.join("fd")) {
            for handle in handles.flatten() {
                finder.link(&handle.path());
            }
        }
        if let Ok(maps) = std::fs::read(process.join("maps")) {
            // Five columns, then the file.
            for line in maps.split(|b| *b == b'\n') {
                if let Some(at) = line.iter().position(|b| *b == b'/') {
                    finder.path(&line[at..], &process.join("maps"));
                }
            }
        }
        if let Ok(text) = std::fs::read(process.join("environ")) {
            finder.text(&text, &process.join("environ"));
        }
    }
    for file in ["modprobe", "poweroff_cmd", "fbsplash"] {
        let path = Path::new("/proc/sys/kernel").join(file);
        if let Ok(text) = std::fs::read(&path) {
            finder.text(&text, &path);
        }
    }
    finder.found
}

struct RuntimeFinder<'a> {
    dir: &'a StoreDir,
    /// The physical store directory, where it differs: that is what the kernel reports.
    real: Option<String>,
    found: BTreeMap<StorePath, PathBuf>,
}

impl RuntimeFinder<'_> {
    fn link(&mut self, link: &Path) {
        if let Ok(target) = std::fs::read_link(link) {
            self.path(target.as_os_str().as_bytes(), link);
        }
    }

    /// A whole path, as the kernel gives it: below the store directory or not.
    fn path(&mut self, path: &[u8], place: &Path) {
        for prefix in [Some(self.dir.as_str()), self.real.as_deref()].into_iter().flatten() {
            if let Some(rest) = path.strip_prefix(prefix.as_bytes())
                && let Some(rest) = rest.strip_prefix(b"/")
                && let Some(found) = base_name(rest)
            {
                self.found.entry(found).or_insert_with(|| place.to_owned());
                return;
            }
        }
    }

    /// A text that may have paths anywhere.
    fn text(&mut self, text: &[u8], place: &Path) {
        let prefix = format!("{}/", self.dir.as_str());
        let mut rest = text;
        while let Some(at) = find(rest, prefix.as_bytes()) {
            rest = &rest[at + prefix.len()..];
            if let Some(found) = base_name(rest) {
                self.found.entry(found).or_insert_with(|| place.to_owned());
            }
        }
    }
}

/// The store path whose base name `text` begins with.
fn base_name(text: &[u8]) -> Option<StorePath> {
    let end = text.iter().position(|b| !is_name_byte(*b)).unwrap_or(text.len());
    StorePath::from_base_name(std::str::from_utf8(&text[..end]).ok()?).ok()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}
