//! File trees on disk, as a stream of nodes and as a NAR.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix_formats::nar::{self, NarError};

use super::canonicalise::special;
use super::{Dir, EntryType};
use crate::add::{TreeSink, TreeSource};
use crate::error::StoreError;

/// As deep as a NAR can be.
const MAX_DEPTH: usize = 64;

/// Decides about one entry of a tree: gets its full path and its type.
pub type Filter<'a> = dyn FnMut(&Path, EntryType) -> Result<bool, StoreError> + 'a;

/// Sends the tree `name` in `dir` into `sink`. `filter` is asked about every entry below the
/// root, before anything in it is read.
///
/// # Errors
/// Special files, trees deeper than 64 and files that change their size are named.
pub fn visit_tree(
    dir: &Dir,
    name: impl AsRef<OsStr>,
    sink: &mut dyn TreeSink,
    filter: &mut Filter<'_>,
) -> Result<(), StoreError> {
    struct Level {
        dir: Dir,
        /// Sorted backwards.
        left: Vec<Vec<u8>>,
    }
    let mut levels: Vec<Level> = Vec::new();
    let enter = |dir: &Dir,
                 name: &OsStr,
                 kind,
                 sink: &mut dyn TreeSink,
                 levels: &mut Vec<Level>| {
        match kind {
            EntryType::Regular => {
                let mut file = dir.open_file(name)?;
                let stat =
                    file.metadata().map_err(|e| StoreError::io("examine", dir.place(name), e))?;
                let executable = std::os::unix::fs::MetadataExt::mode(&stat) & 0o100 != 0;
                sink.file(executable, stat.len(), &mut file)
            }
            EntryType::Symlink => sink.symlink(&dir.read_link(name)?),
            EntryType::Directory => {
                if levels.len() >= MAX_DEPTH {
                    return Err(StoreError::invalid(format!(
                        "'{}' is nested deeper than {MAX_DEPTH} directories",
                        dir.place(name).display()
                    )));
                }
                let inner = dir.open_dir(name)?;
                let mut left = inner.entries()?;
                left.reverse();
                sink.directory_start()?;
                levels.push(Level { dir: inner, left });
                Ok(())
            }
            EntryType::Special => Err(special(dir, name)),
        }
    };
    let name = name.as_ref();
    enter(dir, name, EntryType::of(&dir.stat(name)?), sink, &mut levels)?;
    loop {
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match level.left.pop() {
            None => {
                levels.pop();
                sink.directory_end()?;
            }
            Some(child) => {
                let child = OsStr::from_bytes(&child);
                let kind = EntryType::of(&level.dir.stat(child)?);
                if filter(&level.dir.place(child), kind)? {
                    sink.entry(child.as_bytes())?;
                    let dir = level.dir.try_clone()?;
                    enter(&dir, child, kind, sink, &mut levels)?;
                }
            }
        }
    }
}

/// A file tree on disk, perhaps filtered.
pub struct FsTree<'a> {
    path: PathBuf,
    filter: Option<RefCell<FilterMemo<'a>>>,
}

/// A filter and what it said: a tree is visited more than once, but a filter is asked only once
/// about each entry, since it may be slow or speak.
struct FilterMemo<'a> {
    filter: Box<Filter<'a>>,
    answers: HashMap<PathBuf, bool>,
}

impl<'a> FsTree<'a> {
    /// The whole tree at `path`. A symbolic link at `path` itself is added as a link.
    pub fn new(path: impl Into<PathBuf>) -> FsTree<'a> {
        FsTree { path: path.into(), filter: None }
    }

    /// The tree without the entries for which `filter` says no, and what is below them.
    pub fn filtered(
        path: impl Into<PathBuf>,
        filter: impl FnMut(&Path, EntryType) -> Result<bool, StoreError> + 'a,
    ) -> FsTree<'a> {
        let memo = FilterMemo { filter: Box::new(filter), answers: HashMap::new() };
        FsTree { path: path.into(), filter: Some(RefCell::new(memo)) }
    }
}

impl TreeSource for FsTree<'_> {
    fn visit(&self, sink: &mut dyn TreeSink) -> Result<(), StoreError> {
        let (dir, name) = Dir::open_parent(&self.path)?;
        match &self.filter {
            None => visit_tree(&dir, name, sink, &mut |_, _| Ok(true)),
            Some(memo) => {
                let mut memo = memo.borrow_mut();
                let FilterMemo { filter, answers } = &mut *memo;
                visit_tree(&dir, name, sink, &mut |path, kind| match answers.get(path) {
                    Some(answer) => Ok(*answer),
                    None => {
                        let answer = filter(path, kind)?;
                        answers.insert(path.to_owned(), answer);
                        Ok(answer)
                    }
                })
            }
        }
    }
}

/// Writes the NAR of the nodes it gets.
pub struct NarSink<W: Write> {
    nar: nar::Writer<W>,
    buffer: Vec<u8>,
}

impl<W: Write> NarSink<W> {
    /// Begins an archive.
    pub fn new(out: W) -> NarSink<W> {
        NarSink { nar: nar::Writer::new(out), buffer: Vec::new() }
    }

    /// The writer, once the whole tree has been sent.
    pub fn finish(self) -> Result<W, StoreError> {
        self.nar.finish().map_err(fail)
    }

    /// Like [`TreeSink::file`], but lets `consume` read the contents; what it reads is archived.
    pub fn file_through(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
        consume: &mut dyn FnMut(&mut dyn Read) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.nar.file_start(executable, size).map_err(fail)?;
        let mut tee = Tee { inner: contents.take(size), out: &mut self.nar };
        consume(&mut tee)?;
        let left = tee.inner.limit();
        if left != 0 {
            return Err(StoreError::invalid(format!(
                "a file became {left} bytes shorter while it was read"
            )));
        }
        self.nar.file_end().map_err(fail)
    }
}

/// A tree that cannot become a NAR (a name that is too long, say) is the tree's mistake, all
/// else is the writer's.
fn fail(error: NarError) -> StoreError {
    match error {
        NarError::Io(e) => StoreError::io("write", "NAR", e),
        other => StoreError::invalid(format!("the file tree cannot be archived: {other}")),
    }
}

struct Tee<'a, 'r, W: Write> {
    inner: std::io::Take<&'a mut (dyn Read + 'r)>,
    out: &'a mut nar::Writer<W>,
}

impl<W: Write> Read for Tee<'_, '_, W> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.out.write_all(&buffer[..n])?;
        Ok(n)
    }
}

impl<W: Write> TreeSink for NarSink<W> {
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 << 10, 0);
        let answer = self.file_through(executable, size, contents, &mut |contents| {
            loop {
                match contents.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(StoreError::io("read", "a file of the tree", e)),
                }
            }
        });
        self.buffer = buffer;
        answer
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        self.nar.symlink(target).map_err(fail)
    }

    fn directory_start(&mut self) -> Result<(), StoreError> {
        self.nar.directory_start().map_err(fail)
    }

    fn entry(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.nar.entry(name).map_err(fail)
    }

    fn directory_end(&mut self) -> Result<(), StoreError> {
        self.nar.directory_end().map_err(fail)
    }
}

/// Writes the NAR of the tree `name` in `dir`.
pub fn dump_nar(dir: &Dir, name: impl AsRef<OsStr>, out: &mut dyn Write) -> Result<(), StoreError> {
    let mut sink = NarSink::new(out);
    visit_tree(dir, name, &mut sink, &mut |_, _| Ok(true))?;
    sink.finish()?;
    Ok(())
}
