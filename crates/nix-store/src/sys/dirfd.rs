//! A directory handle, and the few operations on the names in it.
//!
//! Names are single components. They reach us from archives and from builders, so each method
//! checks that: a name with a slash, `.`, `..` or NUL is refused, whatever the system call
//! would have made of it. Nothing here follows a symbolic link.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};

use crate::error::StoreError;

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Anything else: device, pipe, socket.
    Special,
}

impl EntryType {
    /// From the mode word of `stat`.
    pub fn of(stat: &Stat) -> EntryType {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryType::Regular,
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
            _ => EntryType::Special,
        }
    }
}

/// An open directory. `path` is only for messages; no system call uses it after opening.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory by path. The last component must not be a symbolic link.
    pub fn open(path: &Path) -> Result<Dir, StoreError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| StoreError::io("open the directory", path, e))?;
        Ok(Dir { fd, path: path.to_owned() })
    }

    /// Opens the directory that holds `path`, and gives the last component.
    pub fn open_parent(path: &Path) -> Result<(Dir, &OsStr), StoreError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(StoreError::invalid(format!(
                "'{}' has no parent directory to work in",
                path.display()
            )));
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(parent, flags, Mode::empty()).map_err(|e| match e {
            // Without its directory it cannot be there: the path that was asked for is missing.
            rustix::io::Errno::NOENT => StoreError::io("open", path, e),
            _ => StoreError::io("open the directory", parent, e),
        })?;
        Ok((Dir { fd, path: parent.to_owned() }, name))
    }

    /// Where the directory was when it was opened; for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name a message uses for an entry.
    pub fn place(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(name.as_ref())
    }

    /// A second handle on the same directory.
    pub fn try_clone(&self) -> Result<Dir, StoreError> {
        let fd = self.fd.try_clone().map_err(|e| StoreError::io("open", &self.path, e))?;
        Ok(Dir { fd, path: self.path.clone() })
    }

    fn check<'n>(&self, name: &'n (impl AsRef<OsStr> + ?Sized)) -> Result<&'n OsStr, StoreError> {
        let name = name.as_ref();
        let bytes = name.as_bytes();
        if bytes.is_empty()
            || bytes == b"."
            || bytes == b".."
            || bytes.iter().any(|b| matches!(b, b'/' | 0))
        {
            return Err(StoreError::invalid(format!(
                "'{}' is not a file name (in '{}')",
                name.to_string_lossy().escape_debug(),
                self.path.display()
            )));
        }
        Ok(name)
    }

    fn fail<'a, N: AsRef<OsStr> + ?Sized>(
        &'a self,
        action: &'static str,
        name: &'a N,
    ) -> impl FnOnce(rustix::io::Errno) -> StoreError + 'a {
        move |e| StoreError::io(action, self.place(name), e)
    }

    /// Opens a directory in this one.
    pub fn open_dir(&self, name: impl AsRef<OsStr>) -> Result<Dir, StoreError> {
        let name = self.check(&name)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(self.fail("open the directory", name))?;
        Ok(Dir { fd, path: self.place(name) })
    }

    /// Makes a directory that must not exist yet, and opens it.
    pub fn create_dir(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<Dir, StoreError> {
        let name = self.check(&name)?;
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode))
            .map_err(self.fail("create the directory", name))?;
        self.open_dir(name)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// If it is anything but a regular file; a pipe does not block.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File, StoreError> {
        let name = self.check(&name)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(self.fail("open the file", name))?;
        let stat = rustix::fs::fstat(&fd).map_err(self.fail("examine", name))?;
        if EntryType::of(&stat) != EntryType::Regular {
            return Err(StoreError::invalid(format!(
                "'{}' is not a regular file",
                self.place(name).display()
            )));
        }
        Ok(File::from(fd))
    }

    /// Creates a regular file that must not exist yet, and opens it for writing.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<File, StoreError> {
        let name = self.check(&name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode))
            .map_err(self.fail("create the file", name))?;
        Ok(File::from(fd))
    }

    /// Creates a symbolic link.
    pub fn symlink(&self, target: &[u8], name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = self.check(&name)?;
        rustix::fs::symlinkat(OsStr::from_bytes(target), &self.fd, name)
            .map_err(self.fail("create the symbolic link", name))
    }

    /// Makes a hard link to `name` in another directory of the same file system.
    pub fn link(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        to_name: impl AsRef<OsStr>,
    ) -> Result<(), StoreError> {
        let (name, to_name) = (self.check(&name)?, to.check(&to_name)?);
        rustix::fs::linkat(&self.fd, name, &to.fd, to_name, AtFlags::empty())
            .map_err(to.fail("create the hard link", to_name))
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<Vec<u8>, StoreError> {
        let name = self.check(&name)?;
        rustix::fs::readlinkat(&self.fd, name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(self.fail("read the symbolic link", name))
    }

    /// What `name` is, without following links; `None` if it does not exist.
    pub fn lookup(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>, StoreError> {
        let name = self.check(&name)?;
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(e) => Err(self.fail("examine", name)(e)),
        }
    }

    /// What `name` is, without following links.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Stat, StoreError> {
        let name = self.check(&name)?;
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.fail("examine", name))
    }

    /// What the directory itself is.
    pub fn stat_self(&self) -> Result<Stat, StoreError> {
        rustix::fs::fstat(&self.fd).map_err(|e| StoreError::io("examine", &self.path, e))
    }

    /// The names in the directory, sorted bytewise, without `.` and `..`.
    pub fn entries(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let fail = |e| StoreError::io("read the directory", &self.path, e);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes a file or link.
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = self.check(&name)?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()).map_err(self.fail("delete", name))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = self.check(&name)?;
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
            .map_err(self.fail("delete the directory", name))
    }

    /// Moves an entry, replacing what is there as `rename` does.
    pub fn rename(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        to_name: impl AsRef<OsStr>,
    ) -> Result<(), StoreError> {
        let (name, to_name) = (self.check(&name)?, to.check(&to_name)?);
        rustix::fs::renameat(&self.fd, name, &to.fd, to_name)
            .map_err(to.fail("move a file to", to_name))
    }

    /// Moves an entry to a name that must not exist.
    pub fn rename_new(
        &self,
        name: impl AsRef<OsStr>,
        to: &Dir,
        to_name: impl AsRef<OsStr>,
    ) -> Result<(), StoreError> {
        let (name, to_name) = (self.check(&name)?, to.check(&to_name)?);
        match rustix::fs::renameat_with(&self.fd, name, &to.fd, to_name, RenameFlags::NOREPLACE) {
            // Some file systems (and some sandboxes) do not know the flag.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                if to.lookup(to_name)?.is_some() {
                    return Err(to.fail("move a file to", to_name)(rustix::io::Errno::EXIST));
                }
                self.rename(name, to, to_name)
            }
            answer => answer.map_err(to.fail("move a file to", to_name)),
        }
    }

    /// Sets the permission bits of a file or directory. Not for symbolic links.
    ///
    /// Goes through a handle opened without following links, so a swapped name cannot redirect it.
    pub fn chmod(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<(), StoreError> {
        let name = self.check(&name)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(self.fail("open", name))?;
        let stat = rustix::fs::fstat(&fd).map_err(self.fail("examine", name))?;
        if EntryType::of(&stat) == EntryType::Symlink {
            return Err(StoreError::invalid(format!(
                "'{}' became a symbolic link",
                self.place(name).display()
            )));
        }
        chmod_handle(fd.as_fd(), mode).map_err(self.fail("change the mode of", name))
    }

    /// Sets the permission bits of the directory itself.
    pub fn chmod_self(&self, mode: u32) -> Result<(), StoreError> {
        rustix::fs::fchmod(&self.fd, Mode::from_raw_mode(mode))
            .map_err(|e| StoreError::io("change the mode of", &self.path, e))
    }

    /// Sets the modification time of an entry (of a link itself) to one second past the epoch.
    pub fn set_canonical_time(&self, name: impl AsRef<OsStr>) -> Result<(), StoreError> {
        let name = self.check(&name)?;
        rustix::fs::utimensat(&self.fd, name, &CANONICAL_TIMES, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(self.fail("set the time of", name))
    }

    /// Sets the modification time of the directory itself to one second past the epoch.
    pub fn set_canonical_time_self(&self) -> Result<(), StoreError> {
        rustix::fs::futimens(&self.fd, &CANONICAL_TIMES)
            .map_err(|e| StoreError::io("set the time of", &self.path, e))
    }

    /// Waits until the directory's entries are on disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        rustix::fs::fsync(&self.fd).map_err(|e| StoreError::io("flush to disk", &self.path, e))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Modification time of everything in a store.
pub(super) const CANONICAL_TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
};

/// `fchmod` does not work on `O_PATH` handles, hence the way through `/proc`; where there is no
/// `/proc`, the handle is reopened.
pub(super) fn chmod_handle(fd: BorrowedFd<'_>, mode: u32) -> Result<(), rustix::io::Errno> {
    use std::os::fd::AsRawFd;
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::chmodat(
        rustix::fs::CWD,
        format!("/proc/self/fd/{}", fd.as_raw_fd()),
        mode,
        AtFlags::empty(),
    ) {
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {
            let open = rustix::fs::openat(
                fd,
                ".",
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            rustix::fs::fchmod(open, mode)
        }
        answer => answer,
    }
}

/// Waits until everything written to the file system that holds `dir` is on disk.
pub fn sync_file_system(dir: &Dir) -> Result<(), StoreError> {
    rustix::fs::syncfs(&dir.fd).map_err(|e| StoreError::io("flush to disk", &dir.path, e))
}

/// Waits until a file's contents are on disk.
pub(crate) fn sync_file(file: &File, path: &Path) -> Result<(), StoreError> {
    file.sync_all().map_err(|e: io::Error| StoreError::io("flush to disk", path, e))
}
