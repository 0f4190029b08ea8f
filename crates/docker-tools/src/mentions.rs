//! Which store objects the files of an image mention.
//!
//! As in a store, an object is mentioned where its hash part stands, whatever surrounds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;

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
        let found = self.scanner.found();
        found.filter_map(|hash| self.by_hash.get(hash).cloned()).collect()
    }

    /// Keeps the end of one text and the start of the next from making a hash part together.
    fn separate(&mut self) {
        self.scanner.update(&[0]);
    }
}

/// Length of a hash part, in characters.
const HASH_LEN: usize = 32;

/// Finds hash parts in a stream, across the borders of what is read at a time.
struct Scanner {
    wanted: BTreeSet<Vec<u8>>,
    found: BTreeSet<String>,
    /// The end of what was read: shorter than a hash part.
    tail: Vec<u8>,
}

impl Scanner {
    fn new<'a>(wanted: impl Iterator<Item = &'a String>) -> Scanner {
        let wanted = wanted.map(|hash| hash.clone().into_bytes()).collect();
        Scanner { wanted, found: BTreeSet::new(), tail: Vec::new() }
    }

    fn update(&mut self, bytes: &[u8]) {
        if self.wanted.is_empty() {
            return;
        }
        let mut border = std::mem::take(&mut self.tail);
        border.extend_from_slice(&bytes[..bytes.len().min(HASH_LEN - 1)]);
        self.search(&border);
        if bytes.len() >= HASH_LEN {
            self.search(bytes);
            self.tail = bytes[bytes.len() + 1 - HASH_LEN..].to_vec();
        } else {
            self.tail = border.split_off(border.len().saturating_sub(HASH_LEN - 1));
        }
    }

    fn search(&mut self, bytes: &[u8]) {
        let mut start = 0;
        while let Some(window) = bytes.get(start..start + HASH_LEN) {
            // A character that no hash part has rules out every window that contains it.
            match window.iter().rposition(|&byte| !is_digit(byte)) {
                Some(wrong) => start += wrong + 1,
                None => {
                    if self.wanted.remove(window) {
                        self.found.insert(String::from_utf8_lossy(window).into_owned());
                    }
                    start += 1;
                }
            }
        }
    }

    fn found(&self) -> impl Iterator<Item = &String> {
        self.found.iter()
    }
}

/// Whether a byte is a digit of Nix's base 32.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'd' | b'f'..=b'n' | b'p'..=b's' | b'v'..=b'z')
}
