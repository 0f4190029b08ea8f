//! What was read of the machine's files, kept: the same loader and C library are asked for by every
//! program.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::elf::ElfInfo;
use super::facts::Seen;
use super::loader::{loader_dirs, read_info};

/// Answers about files, as they were when they were first asked for.
#[derive(Debug, Default)]
pub struct Memo {
    seen: Arc<Seen>,
    real: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    dirs: Mutex<HashMap<PathBuf, Option<PathBuf>>>,
    info: Mutex<HashMap<PathBuf, Option<Arc<ElfInfo>>>>,
    loader_dirs: OnceLock<Vec<PathBuf>>,
}

impl Memo {
    /// Nothing read yet; what is read is noted in `seen`.
    pub(super) fn new(seen: Arc<Seen>) -> Memo {
        Memo { seen, ..Memo::default() }
    }

    /// Where is noted what is read.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// The regular file behind `path`.
    pub(super) fn resolve_link(&self, path: &Path) -> Option<PathBuf> {
        kept(&self.real, path, || {
            self.seen.look_at(path);
            let real = fs::canonicalize(path).ok()?;
            real.is_file().then_some(real)
        })
    }

    /// The directory `path` without symbolic links.
    pub(super) fn real_dir(&self, path: &Path) -> Option<PathBuf> {
        kept(&self.dirs, path, || {
            self.seen.look_at(path);
            fs::canonicalize(path).ok()
        })
    }

    /// Headers of an ELF file; `None` for anything else or anything unreadable.
    pub(super) fn info(&self, file: &Path) -> Option<Arc<ElfInfo>> {
        kept(&self.info, file, || {
            self.seen.look_at(file);
            read_info(file).map(Arc::new)
        })
    }

    /// The directories that the loader searches, without symbolic links.
    pub(super) fn loader_dirs(&self) -> &[PathBuf] {
        self.loader_dirs.get_or_init(|| loader_dirs(Path::new("/"), &self.seen))
    }
}

fn kept<T: Clone>(
    memo: &Mutex<HashMap<PathBuf, Option<T>>>,
    path: &Path,
    make: impl FnOnce() -> Option<T>,
) -> Option<T> {
    // A panic elsewhere leaves the map whole: it is only added to.
    let lock = || memo.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(path) {
        return known.clone();
    }
    let made = make();
    lock().insert(path.to_owned(), made.clone());
    made
}
