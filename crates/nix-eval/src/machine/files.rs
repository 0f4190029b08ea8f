//! Files as programs see them: embedded trees, the host, and what purity allows.

use std::{collections::BTreeSet, sync::Arc};

use super::Machine;
use crate::{
    error::{Class, Error},
    host::{FileType, HostError, HostErrorKind, Metadata, NixPath},
    value::AccessorId,
};

/// How many links may be followed on the way to a file.
pub(super) const MAX_LINKS: usize = 64;

impl Machine {
    /// The contents of a file. Links are followed.
    ///
    /// # Errors
    /// When there is no such file, or it may not be read.
    pub fn read_file(&mut self, path: &NixPath) -> Result<Arc<[u8]>, Error> {
        self.check_readable(path)?;
        if let Some(tree) = self.shared.engine.tree(path.accessor) {
            return tree.get(&path.text).cloned().ok_or_else(|| self.no_such_file(path));
        }
        Ok(self.host_arc().read_file(path, &self.host_cx())?)
    }

    /// Names in a directory and what they are, in byte order.
    ///
    /// # Errors
    /// When there is no such directory, or it may not be read.
    pub fn read_dir(&mut self, path: &NixPath) -> Result<Vec<(Vec<u8>, FileType)>, Error> {
        self.check_readable(path)?;
        if path.accessor != AccessorId(0) {
            let names = self.tree_dir(path);
            return if names.is_empty() { Err(self.no_such_file(path)) } else { Ok(names) };
        }
        Ok(self.host_arc().read_dir(path, &self.host_cx())?)
    }

    /// Facts about what lies at a path; `None` if there is nothing.
    ///
    /// # Errors
    /// When it may not be read.
    pub fn metadata(&mut self, path: &NixPath, follow: bool) -> Result<Option<Metadata>, Error> {
        self.check_readable(path)?;
        if let Some(tree) = self.shared.engine.tree(path.accessor) {
            if let Some(text) = tree.get(&path.text) {
                let size_bytes = text.len() as u64;
                let file_type = FileType::Regular;
                return Ok(Some(Metadata { file_type, size_bytes, is_executable: false }));
            }
            let directory =
                Metadata { file_type: FileType::Directory, size_bytes: 0, is_executable: false };
            return Ok(if self.tree_dir(path).is_empty() { None } else { Some(directory) });
        }
        Ok(self.host_arc().metadata(path, follow, &self.host_cx())?)
    }

    fn tree_dir(&self, path: &NixPath) -> Vec<(Vec<u8>, FileType)> {
        let Some(tree) = self.shared.engine.tree(path.accessor) else { return Vec::new() };
        let mut prefix = path.text.clone();
        if prefix.last() != Some(&b'/') {
            prefix.push(b'/');
        }
        let mut names = BTreeSet::new();
        for (file, _) in tree.range(prefix.clone()..).take_while(|(f, _)| f.starts_with(&prefix)) {
            let rest = &file[prefix.len()..];
            match rest.iter().position(|&b| b == b'/') {
                Some(end) => names.insert((rest[..end].to_vec(), true)),
                None => names.insert((rest.to_vec(), false)),
            };
        }
        let kind = |is_dir| if is_dir { FileType::Directory } else { FileType::Regular };
        names.into_iter().map(|(name, is_dir)| (name, kind(is_dir))).collect()
    }

    /// The accessor of the embedded tree of this name.
    pub fn tree_named(&self, name: &str) -> Option<AccessorId> {
        let at = self.options().trees.iter().position(|tree| tree.name == name)?;
        Some(AccessorId(at as u32 + 1))
    }

    fn no_such_file(&self, path: &NixPath) -> Error {
        let text = String::from_utf8_lossy(&self.path_text(path)).into_owned();
        HostError::new(HostErrorKind::NotFound, format!("path '{text}' does not exist")).into()
    }

    /// Follows links, also in the middle of a path, and gives the path of what is there in the end. A part
    /// that does not exist stays as it is.
    ///
    /// # Errors
    /// When links run in circles, or the host fails.
    pub fn resolve_links(&mut self, path: &NixPath) -> Result<NixPath, Error> {
        if path.accessor != AccessorId(0) {
            return Ok(path.clone());
        }
        let host = self.host_arc();
        let cx = self.host_cx();
        let mut todo: Vec<Vec<u8>> = parts(&path.text);
        todo.reverse();
        let mut at = NixPath::root("/");
        let mut n_links = 0;
        while let Some(part) = todo.pop() {
            if part == b".." {
                at = at.join(b"..");
                continue;
            }
            let next = at.join(&part);
            let found = host.metadata(&next, false, &cx)?;
            if found.is_none_or(|m| m.file_type != FileType::Symlink) {
                at = next;
                continue;
            }
            n_links += 1;
            if n_links > MAX_LINKS {
                return Err(too_many_links(path));
            }
            let target = host.read_link(&next, &cx)?;
            if target.first() == Some(&b'/') {
                at = NixPath::root("/");
            }
            todo.extend(parts(&target).into_iter().rev());
        }
        Ok(at)
    }

    /// Lets pure and restricted evaluation read a path and what lies below it.
    pub fn allow_path(&mut self, path: &[u8]) {
        self.shared.allow(path);
    }

    /// Refuses paths that pure or restricted evaluation may not read.
    ///
    /// # Errors
    /// Class `restricted`, naming the path.
    pub fn check_readable(&mut self, path: &NixPath) -> Result<(), Error> {
        let options = self.options();
        if path.accessor != AccessorId(0) || !(options.pure_eval || options.restrict_eval) {
            return Ok(());
        }
        if self.shared.is_allowed(&path.text) {
            // A link may lead out of what is allowed.
            let real = self.resolve_links(path)?;
            if real == *path || self.shared.is_allowed(&real.text) {
                return Ok(());
            }
        }
        let mode = if self.options().pure_eval {
            "pure evaluation mode (use '--impure' to override)"
        } else {
            "restricted mode"
        };
        let text = path.to_text();
        Err(Error::new(
            Class::Restricted,
            format!("access to absolute path '{text}' is forbidden in {mode}"),
        ))
    }
}

#[cold]
pub(super) fn too_many_links(path: &NixPath) -> Error {
    let text = path.to_text();
    Error::new(Class::Io, format!("infinite symlink recursion in path '{text}'"))
}

fn parts(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|&b| b == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}
