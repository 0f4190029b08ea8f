//! Shared libraries of the machine: where the loader would find them, and which belong together.
//!
//! A *group* becomes one store object: the libraries of one distribution package, all of them, so
//! that the group is the same whoever asks. Packages that need each other in a circle form one
//! group, because store objects cannot. One need is not written in any file: glibc opens
//! `libgcc_s.so.1` when a thread is cancelled; it counts as needed.

use super::loader::expand_run_path;
use super::memo::Memo;
use super::packages::{Package, Packages, guesses_for_library};
use super::{HostFile, file_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The libraries of one package (or of a circle of packages), flat in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The package's name; of a circle the first one that is not `libgcc-s1`; for files that no
    /// package owns the library's name.
    pub name: String,
    /// Owners, sorted; empty if there is no database or it does not know the files.
    pub packages: Vec<Package>,
    /// Files and links by name.
    pub files: BTreeMap<String, HostFile>,
    /// Names of the groups that hold the other libraries that these need.
    pub needs: BTreeSet<String>,
}

/// Where libraries are looked for, and the packages they belong to.
pub struct Libraries<'a> {
    packages: &'a Packages,
    memo: &'a Memo,
    /// The loader's directories, in its order, without symbolic links.
    dirs: &'a [PathBuf],
    machine: u16,
    /// Key of a draft (package or file) → draft.
    drafts: BTreeMap<String, Draft>,
    /// Real file → key.
    keys: BTreeMap<PathBuf, String>,
}

#[derive(Debug, Default)]
struct Draft {
    package: Option<Package>,
    files: BTreeMap<String, HostFile>,
    needs: BTreeSet<String>,
}

impl<'a> Libraries<'a> {
    /// Nothing on record yet; for programs of ELF machine number `machine`.
    pub fn new(packages: &'a Packages, memo: &'a Memo, machine: u16) -> Libraries<'a> {
        let dirs = memo.loader_dirs();
        Libraries { packages, memo, dirs, machine, drafts: BTreeMap::new(), keys: BTreeMap::new() }
    }

    /// Whether `dir` is one that the loader searches anyway.
    pub fn is_loader_dir(&self, dir: &Path) -> bool {
        self.dirs.iter().any(|d| d == dir)
    }

    /// The real file that a program would get for `soname`, given the run path of the asking file.
    pub fn find(&self, soname: &str, run_path: &[PathBuf]) -> Option<PathBuf> {
        if soname.contains('/') {
            return None;
        }
        run_path.iter().chain(self.dirs).find_map(|dir| {
            let file = self.memo.resolve_link(&dir.join(soname))?;
            let info = self.memo.info(&file)?;
            (info.machine == self.machine).then_some(file)
        })
    }

    /// Puts the library `file` (as found by [`Libraries::find`]) and all it needs on record.
    /// Returns the key under which [`Libraries::groups`] knows it.
    ///
    /// # Errors
    /// A sentence naming a library that is needed and not found, and by whom.
    pub fn add(&mut self, file: &Path) -> Result<String, String> {
        if let Some(key) = self.keys.get(file) {
            return Ok(key.clone());
        }
        let text = file.to_string_lossy().into_owned();
        let guesses = guesses_for_library(&file_name(file));
        let package = self.packages.owner(&text, &guesses);
        let key = package.as_ref().map_or_else(|| text.clone(), |p| p.name.clone());
        self.keys.insert(file.to_owned(), key.clone());
        let mut draft = Draft { package, ..Draft::default() };
        if draft.package.is_some() {
            for listed in self.packages.files_beside(&text, &guesses) {
                self.take_listed(&listed, &key, &mut draft);
            }
        }
        if draft.package.is_none() || !draft.files.values().any(|f| f.from == file) {
            draft.files.insert(file_name(file), HostFile::copy(file, draft.package.is_none())?);
        }
        // A file that nobody owns is found under its soname, which is rarely the file's name.
        if let (None, Some(info)) = (&draft.package, self.memo.info(file))
            && let Some(soname) = &info.soname
        {
            let soname = String::from_utf8_lossy(soname).into_owned();
            let target = file_name(file);
            draft.files.entry(soname).or_insert_with(|| HostFile::link(&target));
        }
        let files: Vec<PathBuf> =
            draft.files.values().filter(|f| f.link.is_none()).map(|f| f.from.clone()).collect();
        // On record before its needs are followed, which may lead back here.
        self.drafts.insert(key.clone(), draft);
        for file in files {
            for need in self.needs_of(&file)? {
                let need = self.add(&need)?;
                if need != key
                    && let Some(draft) = self.drafts.get_mut(&key)
                {
                    draft.needs.insert(need);
                }
            }
        }
        Ok(key)
    }

    /// Takes a file of a package's list into its draft if it is a shared library for the loader.
    fn take_listed(&mut self, listed: &str, key: &str, draft: &mut Draft) {
        let name = listed.rsplit('/').next().unwrap_or(listed);
        if !name.ends_with(".so") && !name.contains(".so.") {
            return;
        }
        let Some(dir) = Path::new(listed).parent().and_then(|d| self.memo.real_dir(d)) else {
            return;
        };
        if !self.is_loader_dir(&dir) {
            return;
        }
        let path = dir.join(name);
        let Some(real) = self.memo.resolve_link(&path) else { return };
        if self.memo.info(&real).is_none_or(|info| info.machine != self.machine) {
            return;
        }
        if real == path {
            if let Ok(file) = HostFile::copy(&real, false) {
                draft.files.insert(name.to_owned(), file);
                self.keys.insert(real, key.to_owned());
            }
        } else if real.parent() == Some(&dir) {
            draft.files.insert(name.to_owned(), HostFile::link(&file_name(&real)));
        }
    }

    /// The real files of the libraries that `file` needs.
    ///
    /// # Errors
    /// A sentence naming the library that is not found.
    pub fn needs_of(&self, file: &Path) -> Result<Vec<PathBuf>, String> {
        let Some(info) = self.memo.info(file) else { return Ok(Vec::new()) };
        let run_path = expand_run_path(&info, file, self.memo.seen());
        let mut found = Vec::new();
        for soname in &info.needed {
            let soname = String::from_utf8_lossy(soname);
            match self.find(&soname, &run_path) {
                Some(path) => found.push(path),
                None => {
                    return Err(format!(
                        "'{}' needs the library '{soname}', which is not on this machine",
                        file.display()
                    ));
                }
            }
        }
        if file_name(file) == "libc.so.6" {
            found.extend(self.find("libgcc_s.so.1", &[]));
        }
        Ok(found)
    }

    /// The groups of everything on record, and for each key the name of its group.
    pub fn groups(&self) -> (BTreeMap<String, Arc<Group>>, BTreeMap<String, String>) {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.drafts.keys().map(|key| (key.as_str(), self.reachable(key))).collect();
        let mut names = BTreeMap::new();
        let mut circles: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (key, targets) in &reach {
            // Keys that reach each other form a circle; `targets` includes the key itself.
            let circle: Vec<&str> =
                targets.iter().copied().filter(|t| reach[t].contains(key)).collect();
            let first = circle.iter().find(|k| **k != "libgcc-s1").unwrap_or(key);
            let name = first.rsplit('/').next().unwrap_or(first).to_owned();
            names.insert((*key).to_owned(), name.clone());
            circles.insert(name, circle);
        }
        let groups = circles
            .into_iter()
            .map(|(name, circle)| {
                let mut group = Group {
                    name: name.clone(),
                    packages: Vec::new(),
                    files: BTreeMap::new(),
                    needs: BTreeSet::new(),
                };
                for draft in circle.iter().filter_map(|key| self.drafts.get(*key)) {
                    group.packages.extend(draft.package.clone());
                    group.files.extend(draft.files.clone());
                    group.needs.extend(draft.needs.iter().filter_map(|n| names.get(n).cloned()));
                }
                group.packages.sort();
                group.needs.remove(&name);
                (name, Arc::new(group))
            })
            .collect();
        (groups, names)
    }

    fn reachable<'s>(&'s self, key: &'s str) -> BTreeSet<&'s str> {
        let mut seen = BTreeSet::from([key]);
        let mut open = vec![key];
        while let Some(draft) = open.pop().and_then(|k| self.drafts.get(k)) {
            for need in &draft.needs {
                if seen.insert(need) {
                    open.push(need);
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_need_each_other_are_one_group() {
        let packages = Packages::new(Path::new("/nonexistent"), Arc::default());
        let memo = Memo::default();
        let mut libraries = Libraries::new(&packages, &memo, 62);
        for (key, needs) in [
            ("libc6", &["libgcc-s1"][..]),
            ("libgcc-s1", &["libc6"]),
            ("libx", &["libc6", "/opt/liby.so.1"]),
            ("/opt/liby.so.1", &["libgcc-s1"]),
        ] {
            let needs = needs.iter().map(|n| (*n).to_owned()).collect();
            let draft = Draft { needs, ..Draft::default() };
            libraries.drafts.insert(key.to_owned(), draft);
        }
        let (groups, names) = libraries.groups();
        assert_eq!(groups.keys().collect::<Vec<_>>(), ["libc6", "libx", "liby.so.1"]);
        assert_eq!(names["libgcc-s1"], "libc6");
        assert_eq!(groups["libx"].needs, ["libc6", "liby.so.1"].map(str::to_owned).into());
        assert_eq!(groups["libc6"].needs, BTreeSet::new());
    }
}
