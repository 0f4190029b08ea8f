//! From a file tree or a text to a store object.
//!
//! A tree is *visited*: whoever has one calls the methods of a [`TreeSink`] in NAR order, so one
//! pass over a tree can hash it, write it to disk, or both.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;

use nix_formats::content_address::ContentAddress;
use nix_formats::hash::{Hash, HashAlgo, Hasher};
use nix_formats::store_path::{FileMethod, StoreDir, StorePath};

use crate::error::StoreError;
use crate::local::{LocalStore, Place};
use crate::store::{PathInfo, Store};
use crate::sys::{NarSink, RestoreSink, visit_nar};

/// What receives a file tree, in the order of its NAR.
///
/// One root node: `file`, `symlink`, or `directory_start`, then for every entry `entry` and the
/// node, then `directory_end`. Names come strictly increasing bytewise.
pub trait TreeSink {
    /// A regular file; exactly `size` bytes can be read from `contents`.
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), StoreError>;
    /// A symbolic link.
    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError>;
    /// A directory begins.
    fn directory_start(&mut self) -> Result<(), StoreError>;
    /// The name of the node that follows.
    fn entry(&mut self, name: &[u8]) -> Result<(), StoreError>;
    /// The innermost open directory ends.
    fn directory_end(&mut self) -> Result<(), StoreError>;
}

/// A file tree that can be added to a store.
pub trait TreeSource {
    /// Sends the whole tree into `sink`, names sorted.
    fn visit(&self, sink: &mut dyn TreeSink) -> Result<(), StoreError>;
}

/// A file tree in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryTree {
    /// A regular file.
    File {
        /// The execute bit.
        executable: bool,
        /// The bytes.
        contents: Vec<u8>,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A directory: name → node.
    Directory(BTreeMap<Vec<u8>, MemoryTree>),
}

impl TreeSource for MemoryTree {
    fn visit(&self, sink: &mut dyn TreeSink) -> Result<(), StoreError> {
        // `None` ends a directory.
        let mut left = vec![Some((None, self))];
        while let Some(step) = left.pop() {
            let Some((name, tree)) = step else {
                sink.directory_end()?;
                continue;
            };
            if let Some(name) = name {
                sink.entry(name)?;
            }
            match tree {
                MemoryTree::File { executable, contents } => {
                    sink.file(*executable, contents.len() as u64, &mut &contents[..])?;
                }
                MemoryTree::Symlink(target) => sink.symlink(target)?,
                MemoryTree::Directory(entries) => {
                    sink.directory_start()?;
                    left.push(None);
                    let entries = entries.iter().rev();
                    left.extend(entries.map(|(name, tree)| Some((Some(&name[..]), tree))));
                }
            }
        }
        Ok(())
    }
}

/// What one pass over a tree tells about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeHash {
    /// By the method and algorithm that were asked for.
    pub hash: Hash,
    /// SHA-256 of the NAR.
    pub nar_hash: Hash,
    /// Length of the NAR in bytes.
    pub nar_size: u64,
}

/// Hashes a tree without writing it anywhere.
///
/// # Errors
/// [`FileMethod::Flat`] with anything but a regular file; what the source says.
pub fn hash_tree(
    source: &dyn TreeSource,
    method: FileMethod,
    algo: HashAlgo,
) -> Result<TreeHash, StoreError> {
    let mut sink = HashSink::new(method, algo, None);
    source.visit(&mut sink)?;
    sink.finish()
}

/// The path that [`Store::add_tree`] would give, computed without a store.
///
/// # Errors
/// A name that is not allowed; as [`hash_tree`].
pub fn tree_path(
    dir: &StoreDir,
    name: &str,
    source: &dyn TreeSource,
    method: FileMethod,
    algo: HashAlgo,
) -> Result<StorePath, StoreError> {
    let hash = hash_tree(source, method, algo)?.hash;
    fixed_path(dir, name, method, &hash)
}

fn fixed_path(
    dir: &StoreDir,
    name: &str,
    method: FileMethod,
    hash: &Hash,
) -> Result<StorePath, StoreError> {
    dir.make_fixed_path(name, method, hash, &BTreeSet::new(), false)
        .map_err(|e| StoreError::invalid(e.to_string()))
}

/// One or two hashes of the same bytes.
struct Hashers {
    sha256: Hasher,
    other: Option<Hasher>,
}

impl Write for Hashers {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sha256.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Hashes the tree that passes through it to `inner`.
pub(crate) struct HashSink<'a> {
    nar: NarSink<Hashers>,
    inner: Option<&'a mut dyn TreeSink>,
    method: FileMethod,
    algo: HashAlgo,
    flat: Option<Hash>,
    root_seen: bool,
}

impl<'a> HashSink<'a> {
    pub(crate) fn new(
        method: FileMethod,
        algo: HashAlgo,
        inner: Option<&'a mut dyn TreeSink>,
    ) -> HashSink<'a> {
        let other =
            (method == FileMethod::Nar && algo != HashAlgo::Sha256).then(|| Hasher::new(algo));
        let hashers = Hashers { sha256: Hasher::new(HashAlgo::Sha256), other };
        HashSink { nar: NarSink::new(hashers), inner, method, algo, flat: None, root_seen: false }
    }

    pub(crate) fn finish(self) -> Result<TreeHash, StoreError> {
        let Hashers { sha256, other } = self.nar.finish()?;
        let nar_size = sha256.n_bytes();
        let nar_hash = sha256.finish();
        let hash = match self.method {
            FileMethod::Flat => self.flat.ok_or_else(not_flat)?,
            FileMethod::Nar => other.map_or(nar_hash, Hasher::finish),
        };
        Ok(TreeHash { hash, nar_hash, nar_size })
    }

    fn node(&mut self, is_file: bool) -> Result<(), StoreError> {
        if !self.root_seen && self.method == FileMethod::Flat && !is_file {
            return Err(not_flat());
        }
        self.root_seen = true;
        Ok(())
    }
}

fn not_flat() -> StoreError {
    StoreError::invalid(
        "only a regular file can be added with a flat hash; directories and links need a \
         recursive one",
    )
}

impl TreeSink for HashSink<'_> {
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), StoreError> {
        let is_root = !self.root_seen;
        self.node(true)?;
        let mut flat = (is_root && self.method == FileMethod::Flat).then(|| Hasher::new(self.algo));
        let mut flat_reader;
        let contents: &mut dyn Read = match &mut flat {
            Some(hasher) => {
                flat_reader = HashRead { inner: contents, hasher };
                &mut flat_reader
            }
            None => contents,
        };
        match &mut self.inner {
            Some(inner) => self.nar.file_through(executable, size, contents, &mut |contents| {
                inner.file(executable, size, contents)
            })?,
            None => self.nar.file(executable, size, contents)?,
        }
        if let Some(hasher) = flat {
            self.flat = Some(hasher.finish());
        }
        Ok(())
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        self.node(false)?;
        self.nar.symlink(target)?;
        self.inner.as_deref_mut().map_or(Ok(()), |inner| inner.symlink(target))
    }

    fn directory_start(&mut self) -> Result<(), StoreError> {
        self.node(false)?;
        self.nar.directory_start()?;
        self.inner.as_deref_mut().map_or(Ok(()), TreeSink::directory_start)
    }

    fn entry(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.nar.entry(name)?;
        self.inner.as_deref_mut().map_or(Ok(()), |inner| inner.entry(name))
    }

    fn directory_end(&mut self) -> Result<(), StoreError> {
        self.nar.directory_end()?;
        self.inner.as_deref_mut().map_or(Ok(()), TreeSink::directory_end)
    }
}

/// Hashes what is read through it.
pub(crate) struct HashRead<'a> {
    pub(crate) inner: &'a mut dyn Read,
    pub(crate) hasher: &'a mut Hasher,
}

impl Read for HashRead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

/// [`Store::add_text`] of a local store.
pub(crate) fn add_text(
    store: &LocalStore,
    name: &str,
    contents: &[u8],
    references: &BTreeSet<StorePath>,
) -> Result<StorePath, StoreError> {
    let hash = Hash::of(HashAlgo::Sha256, contents);
    let path = store
        .store_dir()
        .make_text_path_of(name, &hash, references)
        .map_err(|e| StoreError::invalid(e.to_string()))?;
    store.add_temp_root(&path)?;
    if store.is_valid(&path)? {
        return Ok(path);
    }
    for reference in references {
        if !store.is_valid(reference)? {
            return Err(StoreError::NotValid {
                path: store.display(reference),
                needed_by: Some(store.display(&path)),
            });
        }
    }
    let mut sink = HashSink::new(FileMethod::Nar, HashAlgo::Sha256, None);
    sink.file(false, contents.len() as u64, &mut &contents[..])?;
    let hashed = sink.finish()?;
    let place = store.scratch_place("add a text")?;
    let mut file = place.dir.create_file(&place.name, 0o444)?;
    file.write_all(contents)
        .and_then(|()| file.set_permissions(PermissionsExt::from_mode(0o444)))
        .map_err(|e| StoreError::io("write", place.path(), e))?;
    drop(file);
    place.dir.set_canonical_time(&place.name)?;
    let mut info = PathInfo::new(path.clone(), hashed.nar_hash, hashed.nar_size);
    info.references = references.clone();
    info.ca = Some(ContentAddress::Text(hash));
    // No lock: whoever adds the same text at the same time puts the same file there, in one step.
    store.move_text_in(&place, &path)?;
    store.register_later(info)?;
    Ok(path)
}

/// [`Store::add_tree`] of a local store.
///
/// The tree is hashed first and copied only if the object is new: most sources are added again
/// and again without a change. What is registered is the hash of the copy.
pub(crate) fn add_tree(
    store: &LocalStore,
    name: &str,
    source: &dyn TreeSource,
    method: FileMethod,
    algo: HashAlgo,
) -> Result<StorePath, StoreError> {
    let path = tree_path(store.store_dir(), name, source, method, algo)?;
    store.add_temp_root(&path)?;
    if store.is_valid(&path)? {
        return Ok(path);
    }
    let place = store.scratch_place("add a file tree")?;
    let mut restore = RestoreSink::new(&place.dir, &place.name)?;
    let mut sink = HashSink::new(method, algo, Some(&mut restore));
    source.visit(&mut sink)?;
    let hashed = sink.finish()?;
    restore.finish()?;
    // Differs from the first only if somebody changed the tree in between.
    let path = fixed_path(store.store_dir(), name, method, &hashed.hash)?;
    let mut info = PathInfo::new(path.clone(), hashed.nar_hash, hashed.nar_size);
    info.ca = Some(ContentAddress::Fixed { method, hash: hashed.hash });
    publish(store, &place, info)?;
    Ok(path)
}

/// [`Store::add_nar`] of a local store.
pub(crate) fn add_nar(
    store: &LocalStore,
    info: &PathInfo,
    nar: &mut dyn Read,
) -> Result<(), StoreError> {
    let text = store.display(&info.path);
    store.add_temp_root(&info.path)?;
    let place = store.scratch_place("add an object")?;
    let mut restore = RestoreSink::new(&place.dir, &place.name)?;
    let mut hasher = Hasher::new(info.nar_hash.algo());
    let mut nar = BufReader::with_capacity(64 << 10, nar);
    visit_nar(&mut HashRead { inner: &mut nar, hasher: &mut hasher }, &text, &mut restore)?;
    restore.finish()?;
    let size = hasher.n_bytes();
    let got = hasher.finish();
    if got != info.nar_hash {
        return Err(StoreError::HashMismatch {
            path: text,
            expected: info.nar_hash.to_sri(),
            got: got.to_sri(),
        });
    }
    if size != info.nar_size && info.nar_size != 0 {
        return Err(StoreError::invalid(format!(
            "size mismatch in '{text}': the NAR has {size} bytes, not {}",
            info.nar_size
        )));
    }
    let info = PathInfo { nar_size: size, ..info.clone() };
    store.check_claims(&info, &place)?;
    publish(store, &place, info)
}

/// Gives what is in the scratch directory its name and registers it.
///
/// # Errors
/// A reference that is not valid.
pub(crate) fn publish(store: &LocalStore, place: &Place, info: PathInfo) -> Result<(), StoreError> {
    store.add_temp_root(&info.path)?;
    for reference in info.references.iter().filter(|r| **r != info.path) {
        if !store.is_valid(reference)? {
            return Err(StoreError::NotValid {
                path: store.display(reference),
                needed_by: Some(store.display(&info.path)),
            });
        }
    }
    let _lock = store.lock_paths([&info.path])?;
    if store.is_valid(&info.path)? {
        return Ok(());
    }
    store.move_in(place, &info.path)?;
    store.register(std::slice::from_ref(&info))
}
