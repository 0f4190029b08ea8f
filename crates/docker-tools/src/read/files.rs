//! Which store files a base image has, after its whiteouts are applied.
//!
//! Only names below the objects of interest are remembered, so a large base image costs no
//! memory. Device nodes and other oddities are mere names here: nothing is created on disk.

use std::collections::BTreeSet;
use std::io::Read;

use super::ReadError;

/// Most entries in the layers of one image.
const MAX_ENTRIES: u64 = 10_000_000;

/// The file that hides everything below its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Names of files below the store in a base image, collected layer by layer.
#[derive(Debug, Default)]
pub struct BaseFiles {
    /// The store directory, relative: `nix/store`.
    store: Vec<u8>,
    /// Base names of the store objects whose files are remembered.
    wanted: BTreeSet<Vec<u8>>,
    /// Relative names that exist, the directories above the store included.
    present: BTreeSet<Vec<u8>>,
    n_layers: usize,
    n_entries: u64,
}

impl BaseFiles {
    /// Starts with an empty image; `store` is the logical store directory.
    pub fn new(store: &str, wanted: impl IntoIterator<Item = String>) -> BaseFiles {
        BaseFiles {
            store: store.trim_matches('/').as_bytes().to_vec(),
            wanted: wanted.into_iter().map(String::into_bytes).collect(),
            ..BaseFiles::default()
        }
    }

    /// Whether the image has something at a relative name: a file of a wanted object, or a
    /// directory on the way to the store.
    pub fn has(&self, name: &[u8]) -> bool {
        self.present.contains(name)
    }

    /// Reads the next layer, lowest first, to the end of its archive.
    ///
    /// # Errors
    /// [`ReadError::Entry`] names a whiteout of the root; [`ReadError::NotTar`] a broken tar.
    pub fn add_layer(&mut self, reader: &mut dyn Read) -> Result<(), ReadError> {
        // Whiteouts hide what lower layers have, never what their own layer has.
        let mut added = BTreeSet::new();
        let mut archive = tar::Archive::new(&mut *reader);
        for entry in archive.entries().map_err(ReadError::NotTar)? {
            let entry = entry.map_err(ReadError::NotTar)?;
            self.n_entries += 1;
            if self.n_entries > MAX_ENTRIES {
                return Err(ReadError::Other(format!("it has more than {MAX_ENTRIES} files")));
            }
            let raw = entry.path_bytes();
            let name = clean(&raw);
            let (parent, base) = match name.iter().rposition(|&byte| byte == b'/') {
                Some(slash) => (&name[..slash], &name[slash + 1..]),
                None => (&b""[..], &name[..]),
            };
            let refuse = |problem| ReadError::Entry {
                layer: self.n_layers,
                entry: String::from_utf8_lossy(&raw).into_owned(),
                problem,
            };
            if base == OPAQUE {
                if parent.is_empty() {
                    return Err(refuse("an opaque whiteout of the root directory"));
                }
                let parent = parent.to_vec();
                self.hide_below(&parent);
            } else if let Some(hidden) = base.strip_prefix(b".wh.") {
                if matches!(hidden, b"" | b"." | b"..") {
                    return Err(refuse("a whiteout of a directory itself or its parent"));
                }
                let hidden = match parent {
                    b"" => hidden.to_vec(),
                    _ => [parent, b"/", hidden].concat(),
                };
                self.present.remove(&hidden);
                self.hide_below(&hidden);
            } else if !name.is_empty() {
                if !entry.header().entry_type().is_dir() {
                    self.hide_below(&name);
                }
                if self.is_wanted(&name) {
                    added.insert(name);
                }
            }
        }
        // The end of a tar comes before the end of its stream, and the stream is hashed.
        std::io::copy(reader, &mut std::io::sink())?;
        self.present.append(&mut added);
        self.n_layers += 1;
        Ok(())
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        let Some(rest) = name.strip_prefix(&self.store[..]) else {
            return self.store.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"/"));
        };
        if rest.is_empty() {
            return true;
        }
        let Some(rest) = rest.strip_prefix(b"/") else { return false };
        let object = rest.split(|&byte| byte == b'/').next().unwrap_or(rest);
        self.wanted.contains(object)
    }

    fn hide_below(&mut self, directory: &[u8]) {
        let start = [directory, b"/"].concat();
        let hidden: Vec<Vec<u8>> = self
            .present
            .range(start.clone()..)
            .take_while(|name| name.starts_with(&start))
            .cloned()
            .collect();
        for name in hidden {
            self.present.remove(&name);
        }
    }
}

/// The name relative to the root, without `.`; `..` does not lead above the root.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in name.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop();
            }
            _ => components.push(component),
        }
    }
    components.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::tar::{Entry, Kind, Owner, TarWriter};

    fn layer(names: &[&str]) -> Vec<u8> {
        let owner = Owner::root();
        let mut tar = TarWriter::new(Vec::new());
        for name in names {
            let (path, kind) = match name.strip_suffix('/') {
                Some(path) => (path, Kind::Directory),
                None => (*name, Kind::File(0)),
            };
            let entry = Entry { path: path.as_bytes(), kind, mode: 0o644, owner: &owner, mtime: 1 };
            tar.entry(&entry).unwrap();
        }
        tar.finish().unwrap()
    }

    #[track_caller]
    fn check(layers: &[&[&str]], expected: Result<&[&str], &str>) {
        let mut files = BaseFiles::new("/nix/store", ["a".to_owned(), "b".to_owned()]);
        let mut outcome = Ok(());
        for names in layers {
            outcome = outcome.and_then(|()| files.add_layer(&mut &layer(names)[..]));
        }
        let present: Vec<_> =
            files.present.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        match (outcome, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(present, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (outcome, _) => panic!("{outcome:?} {present:?}"),
        }
    }

    #[test]
    fn only_wanted_store_files_are_remembered() {
        check(
            &[&[
                "nix/",
                "./nix/store/",
                "/nix/store/a/",
                "nix/store/a/x",
                "nix/store/c",
                "etc/y",
                "nix/../nix/store/b",
            ]],
            Ok(&["nix", "nix/store", "nix/store/a", "nix/store/a/x", "nix/store/b"]),
        );
    }

    #[test]
    fn whiteouts_hide_what_lower_layers_have() {
        check(
            &[
                &["nix/store/a/", "nix/store/a/x", "nix/store/a/y", "nix/store/b"],
                &["nix/store/.wh.b", "nix/store/a/.wh..wh..opq", "nix/store/a/z"],
            ],
            Ok(&["nix/store/a", "nix/store/a/z"]),
        );
        check(&[&["nix/store/a/", "nix/store/a/x"], &[".wh.nix"]], Ok(&[]));
        check(&[&["nix/store/a/", "nix/store/a/x"], &["nix/store/a"]], Ok(&["nix/store/a"]));
        check(&[&["nix/store/b", "nix/store/.wh.b"]], Ok(&["nix/store/b"]));
    }

    #[test]
    fn whiteouts_of_the_root_are_refused() {
        check(&[&[".wh..wh..opq"]], Err("opaque whiteout of the root"));
        check(&[&["a/.wh."]], Err("whiteout of a directory itself"));
        check(&[&["a/.wh..."]], Err("whiteout of a directory itself"));
    }
}
