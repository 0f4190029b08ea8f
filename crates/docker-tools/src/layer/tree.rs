//! The files of a layer before they are packed.
//!
//! Only names, modes and places are in memory; contents stay on disk until they are packed.
//! Children are ordered bytewise, so a walk meets entries sorted by path component.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix_formats::store_path::StorePath;

use crate::error::Error;

/// Something at a name in a layer.
#[derive(Debug, Clone)]
pub enum Node {
    /// A directory.
    Directory(Directory),
    /// A regular file.
    File(File),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
    /// A whole store object, or the part of it that the base image lacks. Walked when packed.
    StoreObject(StoreObject),
}

/// A directory in a layer.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Permission bits.
    pub mode: u32,
    /// Whether it belongs to the store, and so to the owner of store files.
    pub of_store: bool,
    /// Name → what is there.
    pub children: BTreeMap<Vec<u8>, Node>,
}

/// A regular file in a layer.
#[derive(Debug, Clone)]
pub struct File {
    /// Permission bits.
    pub mode: u32,
    /// Where the contents lie.
    pub path: PathBuf,
    /// Length in bytes; a file that has another length when it is packed is an error.
    pub size: u64,
}

/// A store object in a layer.
#[derive(Debug, Clone)]
pub struct StoreObject {
    /// Which object.
    pub path: StorePath,
    /// Names relative to the object (empty for itself) that are packed; `None` packs all.
    pub only: Option<BTreeSet<Vec<u8>>>,
}

impl Directory {
    /// An empty directory of the layer's owner.
    pub fn new(mode: u32) -> Directory {
        Directory { mode, of_store: false, children: BTreeMap::new() }
    }

    /// What lies at a path of names, links not followed.
    pub fn lookup(&self, path: &[&[u8]]) -> Option<&Node> {
        let (last, parents) = path.split_last()?;
        let mut directory = self;
        for name in parents {
            match directory.children.get(*name)? {
                Node::Directory(child) => directory = child,
                _ => return None,
            }
        }
        directory.children.get(*last)
    }

    /// The child directory of that name, made if nothing is there; `None` if something else is.
    pub fn directory_at(
        &mut self,
        name: &[u8],
        make: impl FnOnce() -> Directory,
    ) -> Option<&mut Directory> {
        match self.children.entry(name.to_vec()).or_insert_with(|| Node::Directory(make())) {
            Node::Directory(child) => Some(child),
            _ => None,
        }
    }

    /// Reads a directory of the disk, everything below included; modes are kept.
    ///
    /// # Errors
    /// [`Error::Contents`] names a socket, pipe or device; [`Error::Io`] what cannot be read.
    pub fn read(path: &Path) -> Result<Directory, Error> {
        let metadata = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
        let mut directory = Directory::new(metadata.permissions().mode() & 0o7777);
        for name in sorted_names(path)? {
            let child = path.join(std::ffi::OsStr::from_bytes(&name));
            let metadata = fs::symlink_metadata(&child).map_err(Error::io("read", &child))?;
            let mode = metadata.permissions().mode() & 0o7777;
            let node = if metadata.is_dir() {
                Node::Directory(Directory::read(&child)?)
            } else if metadata.is_symlink() {
                Node::Symlink(read_link(&child)?)
            } else if metadata.is_file() {
                Node::File(File { mode, size: metadata.len(), path: child })
            } else {
                return Err(odd_file(&child, metadata.file_type()));
            };
            directory.children.insert(name, node);
        }
        Ok(directory)
    }

    /// Writes the files below this directory into an existing, empty directory of the disk.
    ///
    /// # Errors
    /// [`Error::Io`] names what cannot be read or written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        for (name, node) in &self.children {
            let child = path.join(std::ffi::OsStr::from_bytes(name));
            match node {
                Node::Directory(directory) => {
                    fs::DirBuilder::new()
                        .mode(0o700)
                        .create(&child)
                        .map_err(Error::io("make", &child))?;
                    directory.write(&child)?;
                }
                Node::File(file) => {
                    // A copy and not a link: the commands may change it.
                    fs::copy(&file.path, &child).map_err(Error::io("copy", &file.path))?;
                    set_mode(&child, file.mode)?;
                }
                Node::Symlink(target) => {
                    symlink(std::ffi::OsStr::from_bytes(target), &child)
                        .map_err(Error::io("make", &child))?;
                }
                Node::StoreObject(_) => {}
            }
        }
        set_mode(path, self.mode)
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))
}

/// The names in a directory, sorted bytewise: the order of the disk must not show.
pub(crate) fn sorted_names(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("list", path))? {
        names.push(entry.map_err(Error::io("list", path))?.file_name().into_vec());
    }
    names.sort_unstable();
    Ok(names)
}

pub(crate) fn read_link(path: &Path) -> Result<Vec<u8>, Error> {
    let target = fs::read_link(path).map_err(Error::io("read", path))?;
    Ok(target.into_os_string().into_vec())
}

pub(crate) fn odd_file(path: &Path, kind: fs::FileType) -> Error {
    let what = if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    };
    Error::Contents(format!(
        "{} is {what}; a layer holds regular files, directories and links",
        path.display()
    ))
}
