//! A real file system, read only, below named roots.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{FileType, Host, HostCx, HostError, HostErrorKind, Metadata, NixPath, Stamp};
use crate::value::AccessorId;

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

/// Files above this many bytes are read piece by piece.
const MAX_AT_ONCE: u64 = 1 << 28;

/// The contents of a file, read where they stay.
fn read_exactly(path: &Path) -> std::io::Result<Arc<[u8]>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    let n = if found.is_file() { found.len() } else { 0 };
    // A file in /proc says that it is empty; for one that says it is enormous there may be no memory.
    let n = if n <= MAX_AT_ONCE { n as usize } else { 0 };
    let mut text: Arc<[u8]> = std::iter::repeat_n(0, n).collect();
    let mut at = 0;
    if let Some(buffer) = Arc::get_mut(&mut text) {
        while at < buffer.len() {
            match file.read(&mut buffer[at..]) {
                Ok(0) => break,
                Ok(n) => at += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    if at > 0 && at == text.len() {
        return Ok(text);
    }
    // It has become shorter meanwhile, or never had a size.
    let mut whole = text[..at].to_vec();
    file.read_to_end(&mut whole)?;
    Ok(whole.into())
}

impl Host for FsHost {
    fn read_file(&self, path: &NixPath, _: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let real = self.check(path, true)?;
        read_exactly(&real).map_err(|e| HostError::io(path, e))
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

    fn stamp(&self, path: &NixPath) -> Option<Stamp> {
        Stamp::of_file(&self.check(path, true).ok()?)
    }

    fn tree_stamp(&self, path: &NixPath) -> Option<Stamp> {
        Stamp::of_tree(&self.check(path, false).ok()?)
    }
}
