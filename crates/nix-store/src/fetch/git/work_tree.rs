//! The tracked files of a work tree, and whether they differ from its commit.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Fetcher;
use super::repository::Repository;
use crate::error::StoreError;

/// What a work tree has.
#[derive(Default)]
pub(super) struct WorkTree {
    /// Tracked files and the directories that lead to them, below the top.
    pub(super) tracked: HashSet<PathBuf>,
    /// Whether anything differs from the commit.
    pub(super) is_dirty: bool,
    /// A submodule that is wanted but not there.
    pub(super) not_checked_out: Option<PathBuf>,
}

impl Fetcher {
    /// Looks at the work tree whose top directory is `top`; with `submodules`, at those in it as well.
    ///
    /// `git` itself never looks into a submodule: it would do so by the submodule's own configuration, which
    /// may name programs to run.
    pub(super) fn work_tree(
        &self,
        url: &str,
        top: &Path,
        submodules: bool,
    ) -> Result<WorkTree, StoreError> {
        let mut found = WorkTree::default();
        let mut left = vec![PathBuf::new()];
        while let Some(inner) = left.pop() {
            let repository = Repository::new(self, url, top.join(&inner)).without_filters()?;
            if !found.is_dirty {
                found.is_dirty = repository.resolve("HEAD").is_err() || is_changed(&repository)?;
            }
            let listed = repository.run(&["ls-files", "-z", "--cached", "--stage"])?;
            for line in listed.split(|&b| b == 0) {
                let Some(at) = line.iter().position(|&b| b == b'\t') else { continue };
                let path = inner.join(OsStr::from_bytes(&line[at + 1..]));
                let Some(linked) = line.strip_prefix(b"160000 ") else {
                    track(&mut found.tracked, &path);
                    continue;
                };
                if !submodules {
                    track(&mut found.tracked, &path);
                } else if top.join(&path).join(".git").exists() {
                    let module = Repository::new(self, url, top.join(&path));
                    let wanted = linked.split(|&b| b == b' ').next().unwrap_or_default();
                    let here = module.resolve("HEAD").unwrap_or_default();
                    found.is_dirty |= here.as_bytes() != wanted;
                    track(&mut found.tracked, &path);
                    left.push(path);
                } else {
                    found.not_checked_out.get_or_insert(path);
                }
            }
        }
        Ok(found)
    }
}

fn is_changed(repository: &Repository<'_>) -> Result<bool, StoreError> {
    let args = ["diff", "--quiet", "--no-ext-diff", "--ignore-submodules=all", "HEAD", "--"];
    Ok(!repository.try_run(&args)?.0)
}

fn track(tracked: &mut HashSet<PathBuf>, path: &Path) {
    let mut path = path;
    while tracked.insert(path.to_owned()) {
        match path.parent() {
            Some(parent) if parent != Path::new("") => path = parent,
            _ => break,
        }
    }
}
