//! Entries become files below a directory handle.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use super::{Refusal, Target};
use crate::error::StoreError;
use crate::sys::{Dir, EntryType, delete_tree};

/// A directory that is being filled.
pub(crate) struct DirTarget<'a> {
    root: &'a Dir,
    /// The directory of the last entry: the next one mostly lies there too.
    last: Option<(Vec<Vec<u8>>, Dir)>,
}

impl<'a> DirTarget<'a> {
    /// Nothing is there yet.
    pub(crate) fn new(root: &'a Dir) -> DirTarget<'a> {
        DirTarget { root, last: None }
    }

    /// Opens a directory, making what is missing.
    fn open(&mut self, path: &[&[u8]]) -> Result<&Dir, Refusal> {
        let known = matches!(&self.last, Some((last, _)) if last.iter().eq(path.iter()));
        if !known {
            let mut dir = self.root.try_clone()?;
            for part in path {
                let name = OsStr::from_bytes(part);
                dir = match dir.lookup(name)?.map(|stat| EntryType::of(&stat)) {
                    None => dir.create_dir(name, 0o755)?,
                    Some(EntryType::Directory) => dir.open_dir(name)?,
                    Some(EntryType::Symlink) => {
                        let name = name.to_string_lossy();
                        return Err(Refusal::Entry(format!("it goes through the link '{name}'")));
                    }
                    Some(EntryType::Regular | EntryType::Special) => {
                        let name = name.to_string_lossy();
                        return Err(Refusal::Entry(format!("'{name}' is not a directory")));
                    }
                };
            }
            self.last = Some((path.iter().map(|p| p.to_vec()).collect(), dir));
        }
        Ok(self.last.as_ref().map_or(self.root, |(_, dir)| dir))
    }

    /// Opens the directory of an entry and clears its name: a later entry replaces an earlier one.
    fn clear<'p>(&mut self, path: &[&'p [u8]]) -> Result<(&Dir, &'p OsStr), Refusal> {
        let Some((name, parent)) = path.split_last() else {
            return Err(Refusal::Entry("the root has to be a directory".to_owned()));
        };
        let name = OsStr::from_bytes(name);
        let dir = self.open(parent)?;
        if let Some(stat) = dir.lookup(name)? {
            match EntryType::of(&stat) {
                EntryType::Directory => {
                    delete_tree(dir, name)?;
                }
                _ => dir.unlink(name)?,
            }
        }
        Ok((dir, name))
    }
}

impl Target for DirTarget<'_> {
    fn directory(&mut self, path: &[&[u8]]) -> Result<(), Refusal> {
        self.open(path).map(|_| ())
    }

    fn file(
        &mut self,
        path: &[&[u8]],
        executable: bool,
        contents: &mut dyn Read,
    ) -> Result<(), Refusal> {
        let (dir, name) = self.clear(path)?;
        let mut file = dir.create_file(name, if executable { 0o755 } else { 0o644 })?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match contents.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => file
                    .write_all(&buffer[..n])
                    .map_err(|e| StoreError::io("write", dir.place(name), e))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Refusal::Entry(e.to_string())),
            }
        }
    }

    fn symlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<(), Refusal> {
        let (dir, name) = self.clear(path)?;
        Ok(dir.symlink(target, name)?)
    }

    fn hard_link(&mut self, path: &[&[u8]], existing: &[&[u8]]) -> Result<(), Refusal> {
        let missing = || Refusal::Entry("it is a hard link to what is not there".to_owned());
        if path == existing {
            return Err(Refusal::Entry("it is a hard link to itself".to_owned()));
        }
        let (name, parent) = existing.split_last().ok_or_else(missing)?;
        let from = self.open(parent)?.try_clone()?;
        let name = OsStr::from_bytes(name);
        match from.lookup(name)?.map(|stat| EntryType::of(&stat)) {
            Some(EntryType::Regular | EntryType::Symlink) => {}
            Some(EntryType::Directory | EntryType::Special) => {
                return Err(Refusal::Entry("hard links lead to files only".to_owned()));
            }
            None => return Err(missing()),
        }
        let (dir, to) = self.clear(path)?;
        Ok(from.link(name, dir, to)?)
    }
}
