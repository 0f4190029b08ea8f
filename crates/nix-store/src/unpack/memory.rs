//! Entries become a tree in memory.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Refusal, Target};
use crate::add::MemoryTree;

#[derive(Default)]
pub(super) struct MemoryTarget {
    root: BTreeMap<Vec<u8>, MemoryTree>,
}

impl MemoryTarget {
    pub(super) fn finish(self) -> MemoryTree {
        MemoryTree::Directory(self.root)
    }

    fn open(&mut self, path: &[&[u8]]) -> Result<&mut BTreeMap<Vec<u8>, MemoryTree>, Refusal> {
        let mut at = &mut self.root;
        for part in path {
            let next =
                at.entry(part.to_vec()).or_insert_with(|| MemoryTree::Directory(BTreeMap::new()));
            at = match next {
                MemoryTree::Directory(entries) => entries,
                MemoryTree::Symlink(_) => {
                    let name = String::from_utf8_lossy(part);
                    return Err(Refusal::Entry(format!("it goes through the link '{name}'")));
                }
                MemoryTree::File { .. } => {
                    let name = String::from_utf8_lossy(part);
                    return Err(Refusal::Entry(format!("'{name}' is not a directory")));
                }
            };
        }
        Ok(at)
    }

    fn put(&mut self, path: &[&[u8]], node: MemoryTree) -> Result<(), Refusal> {
        let Some((name, parent)) = path.split_last() else {
            return Err(Refusal::Entry("the root has to be a directory".to_owned()));
        };
        self.open(parent)?.insert(name.to_vec(), node);
        Ok(())
    }
}

impl Target for MemoryTarget {
    fn directory(&mut self, path: &[&[u8]]) -> Result<(), Refusal> {
        self.open(path).map(|_| ())
    }

    fn file(
        &mut self,
        path: &[&[u8]],
        executable: bool,
        contents: &mut dyn Read,
    ) -> Result<(), Refusal> {
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes).map_err(|e| Refusal::Entry(e.to_string()))?;
        self.put(path, MemoryTree::File { executable, contents: bytes })
    }

    fn symlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<(), Refusal> {
        self.put(path, MemoryTree::Symlink(target.to_vec()))
    }

    fn hard_link(&mut self, path: &[&[u8]], existing: &[&[u8]]) -> Result<(), Refusal> {
        let missing = || Refusal::Entry("it is a hard link to what is not there".to_owned());
        if path == existing {
            return Err(Refusal::Entry("it is a hard link to itself".to_owned()));
        }
        let (name, parent) = existing.split_last().ok_or_else(missing)?;
        let node = match self.open(parent)?.get(*name) {
            Some(MemoryTree::Directory(_)) => {
                return Err(Refusal::Entry("hard links lead to files only".to_owned()));
            }
            Some(node) => node.clone(),
            None => return Err(missing()),
        };
        self.put(path, node)
    }
}
