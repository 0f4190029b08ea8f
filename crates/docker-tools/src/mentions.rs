//! Which store objects the files of an image mention.
//!
//! As in a store, an object is mentioned where its hash part stands, whatever surrounds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;

use nix_formats::references::Scanner;
use nix_formats::store_path::StorePath;

use crate::error::Error;
use crate::graph::Graph;
use crate::layer::CHUNK;
use crate::layer::tree::{Directory, Node};

/// Finds the members of a graph that a tree or a text mentions.
pub struct Mentions {
    by_hash: BTreeMap<String, StorePath>,
    scanner: Scanner,
}

impl Mentions {
    /// Looks for the objects of `graph`.
    pub fn new(graph: &Graph) -> Mentions {
        let by_hash: BTreeMap<String, StorePath> =
            graph.objects().map(|(path, _)| (path.hash_part().to_owned(), path.clone())).collect();
        let scanner = Scanner::new(by_hash.keys());
        Mentions { by_hash, scanner }
    }

    /// Looks into a text.
    pub fn add_text(&mut self, text: &[u8]) {
        self.scanner.update(text);
        self.separate();
    }

    /// Looks into names, link targets and the contents of files.
    ///
    /// # Errors
    /// [`Error::Io`] names a file that cannot be read.
    pub fn add_tree(&mut self, root: &Directory) -> Result<(), Error> {
        let mut pending = vec![root];
        let mut chunk = vec![0; CHUNK];
        while let Some(directory) = pending.pop() {
            for (name, node) in &directory.children {
                self.add_text(name);
                match node {
                    Node::Directory(child) => pending.push(child),
                    Node::Symlink(target) => self.add_text(target),
                    Node::File(file) => {
                        let mut reader =
                            File::open(&file.path).map_err(Error::io("open", &file.path))?;
                        loop {
                            let n =
                                reader.read(&mut chunk).map_err(Error::io("read", &file.path))?;
                            if n == 0 {
                                break;
                            }
                            self.scanner.update(&chunk[..n]);
                        }
                        self.separate();
                    }
                    Node::StoreObject(_) => {}
                }
            }
        }
        Ok(())
    }

    /// What was found.
    pub fn found(&self) -> BTreeSet<StorePath> {
        let text = |hash: &[u8]| String::from_utf8_lossy(hash).into_owned();
        self.scanner
            .found()
            .iter()
            .filter_map(|hash| self.by_hash.get(&text(hash)).cloned())
            .collect()
    }

    /// Keeps the end of one text and the start of the next from making a hash part together.
    fn separate(&mut self) {
        self.scanner.update(&[0]);
    }
}
