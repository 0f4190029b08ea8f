//! Where the files of store objects lie on this machine.
//!
//! Links inside store objects speak of the logical store directory, so they are followed here
//! and not by the kernel: with a store that lies elsewhere the kernel would look at the wrong
//! place, and with a link out of the store it would bring files of the machine into an image.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Most links that are followed on the way to one file, as in Linux.
const MAX_LINKS: usize = 40;

/// A store directory and the place where its objects can be read.
#[derive(Debug, Clone)]
pub struct StoreFiles {
    /// For example `/nix/store`; no slash at the end.
    logical: String,
    real: PathBuf,
}

impl StoreFiles {
    /// `logical` is what paths inside objects say, `real` where the objects lie.
    pub fn new(logical: &str, real: &Path) -> StoreFiles {
        StoreFiles { logical: logical.to_owned(), real: real.to_owned() }
    }

    /// The logical store directory, without a slash at the end.
    pub fn logical(&self) -> &str {
        &self.logical
    }

    /// The place of a logical path; `None` when it is not below the store directory.
    pub fn real(&self, logical: &[u8]) -> Option<PathBuf> {
        let rest = logical.strip_prefix(self.logical.as_bytes())?.strip_prefix(b"/")?;
        Some(self.real.join(OsStr::from_bytes(rest)))
    }

    /// Follows all links in a logical path.
    ///
    /// `None` when a part does not exist, a link leads out of the store, or there are too many.
    pub fn resolve(&self, logical: &[u8]) -> Option<Vec<u8>> {
        if logical.first() != Some(&b'/') {
            return None;
        }
        let mut pending: Vec<Vec<u8>> = split(logical).rev().map(<[u8]>::to_vec).collect();
        let mut done: Vec<Vec<u8>> = Vec::new();
        let mut n_links = 0;
        while let Some(component) = pending.pop() {
            match &component[..] {
                b"." => continue,
                b".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(component),
            }
            let path = join(&done);
            let Some(real) = self.real(&path) else { continue };
            let metadata = fs::symlink_metadata(&real).ok()?;
            if metadata.is_symlink() {
                n_links += 1;
                if n_links > MAX_LINKS {
                    return None;
                }
                let target = fs::read_link(&real).ok()?.into_os_string().into_vec();
                done.pop();
                if target.first() == Some(&b'/') {
                    done.clear();
                }
                pending.extend(split(&target).rev().map(<[u8]>::to_vec));
            }
        }
        let path = join(&done);
        self.real(&path).is_some().then_some(path)
    }
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
}

fn join(components: &[Vec<u8>]) -> Vec<u8> {
    components.iter().flat_map(|component| [b"/", &component[..]].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_inside_the_logical_store_only() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path();
        fs::create_dir_all(real.join("a/sub")).unwrap();
        fs::write(real.join("a/sub/file"), "x").unwrap();
        symlink("/logical/store/a", real.join("absolute")).unwrap();
        symlink("../absolute/sub/./file", real.join("a/up")).unwrap();
        symlink("/etc/passwd", real.join("outside")).unwrap();
        symlink("loop", real.join("loop")).unwrap();
        let store = StoreFiles::new("/logical/store", real);
        let resolve = |path: &str| {
            store.resolve(path.as_bytes()).map(|path| String::from_utf8(path).unwrap())
        };
        assert_eq!(resolve("/logical/store/a/up").as_deref(), Some("/logical/store/a/sub/file"));
        assert_eq!(resolve("/logical/store/absolute/sub").as_deref(), Some("/logical/store/a/sub"));
        assert_eq!(resolve("/logical/store/outside"), None);
        assert_eq!(resolve("/logical/store/loop"), None);
        assert_eq!(resolve("/logical/store/missing"), None);
        assert_eq!(resolve("/logical/store/../../etc"), None);
    }
}
