//! Directory trees of the machine that belong to a program, such as Python's library.
//!
//! The same walk is used twice, while evaluating (to fingerprint the tree and to find the
//! libraries that its modules need) and while building (to copy it), so both see the same files.
//! Caches that a program writes beside its sources (`__pycache__`) are never part of a tree.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How deep trees may be nested.
const MAX_DEPTH: usize = 64;

/// What lies at a place of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A directory.
    Directory,
    /// A regular file of that many bytes; the path is where its contents lie.
    File(PathBuf, u64),
    /// A link whose target lies inside the tree.
    Link(PathBuf),
}

/// Whether a pattern, a name with at most one `*`, matches a name or a relative path.
fn matches(pattern: &str, relative: &str, name: &str) -> bool {
    let subject = if pattern.contains('/') { relative } else { name };
    match pattern.split_once('*') {
        None => subject == pattern,
        Some((start, end)) => {
            subject.len() >= start.len() + end.len()
                && subject.starts_with(start)
                && subject.ends_with(end)
        }
    }
}

/// Calls `take` with each entry of the tree at `root`, parents first, sorted by name. Links that
/// leave the tree are followed if they end at a regular file, and left out otherwise.
///
/// # Errors
/// What the file system says, or what `take` says.
pub(crate) fn walk(
    root: &Path,
    exclude: &[String],
    take: &mut dyn FnMut(&Path, Entry) -> io::Result<()>,
) -> io::Result<()> {
    let root = fs::canonicalize(root)?;
    walk_dir(&root, Path::new(""), exclude, 0, take)
}

fn walk_dir(
    root: &Path,
    relative: &Path,
    exclude: &[String],
    depth: usize,
    take: &mut dyn FnMut(&Path, Entry) -> io::Result<()>,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("the directories are nested too deeply"));
    }
    let mut names: Vec<_> = fs::read_dir(root.join(relative))?
        .map(|e| Ok(e?.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let place = relative.join(&name);
        let (place_text, name_text) = (place.to_string_lossy(), name.to_string_lossy());
        if name_text == "__pycache__" || exclude.iter().any(|p| matches(p, &place_text, &name_text))
        {
            continue;
        }
        let path = root.join(&place);
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            take(&place, Entry::Directory)?;
            walk_dir(root, &place, exclude, depth + 1, take)?;
        } else if kind.is_file() {
            let size_bytes = fs::metadata(&path)?.len();
            take(&place, Entry::File(path, size_bytes))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path)?;
            let Ok(real) = fs::canonicalize(&path) else { continue };
            if target.is_relative() && real.starts_with(root) {
                take(&place, Entry::Link(target))?;
            } else if real.is_file() && real.components().nth(1) == root.components().nth(1) {
                // Only that top directory is visible while building.
                let size_bytes = fs::metadata(&real)?.len();
                take(&place, Entry::File(real, size_bytes))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_is_walked_in_order_without_caches() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = fs::canonicalize(dir.path()).expect("exists");
        for sub in ["t/b/__pycache__", "t/config-3"] {
            fs::create_dir_all(root.join(sub)).expect("made");
        }
        for file in ["t/b/m.py", "t/b/__pycache__/m.pyc", "t/config-3/x", "t/z.a", "outside"] {
            fs::write(root.join(file), "12345").expect("written");
        }
        symlink("b/m.py", root.join("t/inner")).expect("linked");
        symlink("../outside", root.join("t/outer")).expect("linked");
        symlink("/nonexistent", root.join("t/broken")).expect("linked");
        let mut seen = Vec::new();
        walk(&root.join("t"), &["config-*".into(), "*.a".into()], &mut |place, entry| {
            let what = match entry {
                Entry::Directory => "directory".to_owned(),
                Entry::File(from, size) => {
                    format!("{} {size}", from.strip_prefix(&root).expect("inside").display())
                }
                Entry::Link(target) => format!("-> {}", target.display()),
            };
            seen.push(format!("{}: {what}", place.display()));
            Ok(())
        })
        .expect("walks");
        assert_eq!(
            seen,
            ["b: directory", "b/m.py: t/b/m.py 5", "inner: -> b/m.py", "outer: outside 5"]
        );
    }
}
