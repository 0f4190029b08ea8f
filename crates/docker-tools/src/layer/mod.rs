//! From a tree of files to the bytes of a layer.

pub mod blob;
pub mod join;
pub mod tar;
pub mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix_formats::store_path::StorePath;

use crate::error::Error;
use crate::store_files::StoreFiles;
use tar::{Entry, Kind, Owner, TarWriter};
use tree::{Directory, Node, StoreObject};

/// Bytes that are read at a time.
pub(crate) const CHUNK: usize = 64 << 10;

/// Who the entries of a layer belong to.
#[derive(Debug, Clone)]
pub struct Owners {
    /// The owner of the tree.
    pub tree: Owner,
    /// The owner of store objects and of the directories above them.
    pub store: Owner,
}

impl Default for Owners {
    fn default() -> Owners {
        Owners { tree: Owner::root(), store: Owner::root() }
    }
}

/// Writes the tar of a layer and gives the writer back. The root itself has no entry.
///
/// # Errors
/// [`Error::Io`] names what cannot be read; [`Error::Contents`] a file that changed meanwhile.
pub fn pack<W: Write>(
    root: &Directory,
    owners: &Owners,
    mtime: u64,
    store: &StoreFiles,
    out: W,
) -> Result<W, Error> {
    let tar = TarWriter::new(out);
    let mut packer = Packer { tar, owners, mtime, store, path: Vec::new(), chunk: vec![0; CHUNK] };
    packer.directory(root)?;
    packer.tar.finish().map_err(write_error)
}

fn write_error(source: std::io::Error) -> Error {
    Error::Io { action: "write", path: "the layer".to_owned(), source }
}

struct Packer<'a, W> {
    tar: TarWriter<W>,
    owners: &'a Owners,
    mtime: u64,
    store: &'a StoreFiles,
    /// The name of the current entry.
    path: Vec<u8>,
    chunk: Vec<u8>,
}

impl<W: Write> Packer<'_, W> {
    fn directory(&mut self, directory: &Directory) -> Result<(), Error> {
        for (name, node) in &directory.children {
            let length = self.push(name);
            match node {
                Node::Directory(child) => {
                    self.entry(Kind::Directory, child.mode, child.of_store)?;
                    self.directory(child)?;
                }
                Node::File(file) => self.file(&file.path, file.size, file.mode, false)?,
                Node::Symlink(target) => self.entry(Kind::Symlink(target), 0o777, false)?,
                Node::StoreObject(object) => self.store_object(object)?,
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    /// Appends a name to the path; the result is the length to cut it back to.
    fn push(&mut self, name: &[u8]) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        length
    }

    fn entry(&mut self, kind: Kind<'_>, mode: u32, of_store: bool) -> Result<(), Error> {
        let owner = if of_store { &self.owners.store } else { &self.owners.tree };
        let entry = Entry { path: &self.path, kind, mode, owner, mtime: self.mtime };
        self.tar.entry(&entry).map_err(write_error)
    }

    fn file(&mut self, real: &Path, size: u64, mode: u32, of_store: bool) -> Result<(), Error> {
        let changed = || {
            Error::Contents(format!("{} changed while it was packed into a layer", real.display()))
        };
        let mut file = fs::File::open(real).map_err(Error::io("open", real))?;
        self.entry(Kind::File(size), mode, of_store)?;
        let mut remaining = size;
        loop {
            let n = match file.read(&mut self.chunk) {
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("read", real)(error)),
            };
            if n == 0 {
                return if remaining == 0 { Ok(()) } else { Err(changed()) };
            }
            remaining = remaining.checked_sub(n as u64).ok_or_else(changed)?;
            self.tar.write_all(&self.chunk[..n]).map_err(write_error)?;
        }
    }

    fn store_object(&mut self, object: &StoreObject) -> Result<(), Error> {
        let start = self.path.len();
        let real = object_place(self.store, &object.path);
        self.store_file(&real, object, start)
    }

    /// Packs a file of a store object with everything below it, in the modes of a store.
    fn store_file(&mut self, real: &Path, object: &StoreObject, start: usize) -> Result<(), Error> {
        let relative = self.path[start..].strip_prefix(b"/").unwrap_or_default();
        if object.only.as_ref().is_some_and(|only| !only.contains(relative)) {
            return Ok(());
        }
        let metadata = fs::symlink_metadata(real).map_err(Error::io("read", real))?;
        if metadata.is_dir() {
            self.entry(Kind::Directory, 0o555, true)?;
            for name in tree::sorted_names(real)? {
                let length = self.push(&name);
                self.store_file(&real.join(std::ffi::OsStr::from_bytes(&name)), object, start)?;
                self.path.truncate(length);
            }
            Ok(())
        } else if metadata.is_symlink() {
            self.entry(Kind::Symlink(&tree::read_link(real)?), 0o777, true)
        } else if metadata.is_file() {
            self.file(real, metadata.len(), store_mode(&metadata), true)
        } else {
            Err(tree::odd_file(real, metadata.file_type()))
        }
    }
}

/// The permission bits that a store gives to a file or directory, whatever the disk says.
pub(crate) fn store_mode(metadata: &fs::Metadata) -> u32 {
    if metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0 { 0o555 } else { 0o444 }
}

/// Where a store object lies on this machine.
pub(crate) fn object_place(store: &StoreFiles, path: &StorePath) -> PathBuf {
    let logical = format!("{}/{}", store.logical(), path.base_name());
    store.real(logical.as_bytes()).expect("a store path lies below the store directory")
}

/// The names in a store object relative to it, itself (as the empty name) included.
pub(crate) fn names_in_object(
    store: &StoreFiles,
    path: &StorePath,
) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut names = BTreeSet::from([Vec::new()]);
    let mut pending = vec![(object_place(store, path), Vec::new())];
    while let Some((real, relative)) = pending.pop() {
        let metadata = fs::symlink_metadata(&real).map_err(Error::io("read", &real))?;
        if metadata.is_dir() {
            for name in tree::sorted_names(&real)? {
                let child = if relative.is_empty() {
                    name.clone()
                } else {
                    [&relative[..], b"/", &name].concat()
                };
                names.insert(child.clone());
                pending.push((real.join(std::ffi::OsStr::from_bytes(&name)), child));
            }
        }
    }
    Ok(names)
}
