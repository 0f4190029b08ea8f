//! `builtin:host-libs` and `builtin:host-program`: files of the machine become store objects.
//!
//! What to copy is decided while evaluating (`crate::host_tools`) and stands in the attribute
//! `request`, as JSON. Here files are copied and then pointed at the store: interpreter and run
//! path of ELF files, first lines of scripts. Afterwards nothing in the output needs a file of the
//! machine; what cannot be satisfied fails the build by name.
//!
//! Trap: the loader itself and libraries that need nothing stay as they are, byte for byte.

use super::{InternalBuild, InternalBuilder};
use crate::host_tools::elf::{self, ElfInfo, Rewrite};
use crate::host_tools::trees::{self, Entry};
use nix_formats::hash::{Hash, HashAlgo};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// The builders of this file, for the table.
pub const BUILDERS: &[InternalBuilder] = &[
    InternalBuilder { name: "builtin:host-libs", run: |build| import(build, "lib") },
    InternalBuilder { name: "builtin:host-program", run: |build| import(build, "") },
];

/// The attribute `request`.
#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    files: Vec<FileRequest>,
    #[serde(default)]
    trees: Vec<TreeRequest>,
    /// Directories of store objects in which needed libraries lie.
    #[serde(default)]
    libraries: Vec<PathBuf>,
    /// The interpreter for programs; absent if the output brings its own.
    loader: Option<String>,
    /// Interpreter as scripts name it → the one to name instead.
    #[serde(default)]
    interpreters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct FileRequest {
    to: PathBuf,
    link: Option<PathBuf>,
    from: Option<PathBuf>,
    size: Option<u64>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct TreeRequest {
    from: PathBuf,
    to: PathBuf,
    #[serde(default)]
    exclude: Vec<String>,
}

fn import(build: &InternalBuild, prefix: &str) -> Result<(), String> {
    let request: Request = serde_json::from_str(build.env_text("request")?)
        .map_err(|error| format!("the attribute 'request' is not understood: {error}"))?;
    let mut import = Import {
        out: build.output("out")?.to_owned(),
        request,
        copied: Vec::new(),
        own_libraries: BTreeMap::new(),
        seen: BTreeMap::new(),
    };
    import.copy(Path::new(prefix))?;
    let n_rewritten = import.rewrite()?;
    build.log(&format!(
        "copied {} files of this machine, pointed {n_rewritten} of them at the store",
        import.copied.len()
    ));
    Ok(())
}

struct Import {
    out: PathBuf,
    request: Request,
    /// Regular files, in the order in which they were copied.
    copied: Vec<PathBuf>,
    /// Name of a shared library in the output → its directory.
    own_libraries: BTreeMap<String, PathBuf>,
    /// Device and number of a source with several names → where its first name went.
    seen: BTreeMap<(u64, u64), PathBuf>,
}

impl Import {
    fn copy(&mut self, prefix: &Path) -> Result<(), String> {
        let root = self.out.join(prefix);
        make_dir(&root)?;
        for file in std::mem::take(&mut self.request.files) {
            let target = below(&root, &file.to)?;
            if let Some(parent) = target.parent() {
                make_dir(parent)?;
            }
            match (&file.link, &file.from) {
                (Some(link), _) => make_link(link, &target)?,
                (None, Some(from)) => {
                    self.take(from, &target)?;
                    check_unchanged(&file, from, &target)?;
                }
                (None, None) => {
                    return Err(format!("'{}' has neither source nor link", file.to.display()));
                }
            }
            self.note_library(&target);
        }
        for tree in std::mem::take(&mut self.request.trees) {
            let to = below(&root, &tree.to)?;
            make_dir(&to)?;
            trees::walk(&tree.from, &tree.exclude, &mut |place, entry| {
                let target = to.join(place);
                match entry {
                    Entry::Directory => make_dir(&target).map_err(io::Error::other)?,
                    Entry::Link(link) => make_link(&link, &target).map_err(io::Error::other)?,
                    Entry::File(from, _) => {
                        self.take(&from, &target).map_err(io::Error::other)?;
                        self.note_library(&target);
                    }
                }
                Ok(())
            })
            .map_err(|error| format!("cannot copy the tree '{}': {error}", tree.from.display()))?;
        }
        Ok(())
    }

    /// Copies a file. Further names of one file (git has a hundred) become links to the first.
    fn take(&mut self, from: &Path, target: &Path) -> Result<(), String> {
        let metadata = fs::metadata(from)
            .map_err(|error| format!("cannot read '{}': {error}", from.display()))?;
        if metadata.nlink() > 1 {
            let first = self
                .seen
                .entry((metadata.dev(), metadata.ino()))
                .or_insert_with(|| target.to_owned());
            if first != target {
                return make_link(&relative(target.parent().unwrap_or(target), first), target);
            }
        }
        copy_file(from, target)?;
        self.copied.push(target.to_owned());
        Ok(())
    }

    fn note_library(&mut self, target: &Path) {
        let name = name_of(target);
        if (name.ends_with(".so") || name.contains(".so."))
            && let Some(dir) = target.parent()
        {
            self.own_libraries.entry(name).or_insert_with(|| dir.to_owned());
        }
    }

    /// Points every copied file at the store. Returns how many were changed.
    fn rewrite(&self) -> Result<usize, String> {
        let mut n_rewritten = 0;
        for file in &self.copied {
            let in_file = |error: String| format!("'{}': {error}", file.display());
            let bytes = fs::read(file).map_err(|e| in_file(e.to_string()))?;
            let new = if bytes.starts_with(b"#!") && is_executable(file) {
                self.rewrite_script(file, &bytes).map_err(in_file)?
            } else if bytes.starts_with(b"\x7fELF") {
                self.rewrite_elf(file, &bytes).map_err(in_file)?
            } else {
                None
            };
            if let Some(new) = new {
                let mode = fs::metadata(file).map_err(|e| in_file(e.to_string()))?.permissions();
                // A new file: the copy may be open for execution elsewhere, or read-only.
                fs::remove_file(file).map_err(|e| in_file(e.to_string()))?;
                fs::write(file, new).map_err(|e| in_file(e.to_string()))?;
                fs::set_permissions(file, mode).map_err(|e| in_file(e.to_string()))?;
                n_rewritten += 1;
            }
        }
        Ok(n_rewritten)
    }

    fn rewrite_elf(&self, file: &Path, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let info = match ElfInfo::read(bytes) {
            Ok(Some(info)) => info,
            Ok(None) | Err(elf::ElfError::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let interpreter = match &info.interpreter {
            Some(old) => Some(self.interpreter(&String::from_utf8_lossy(old))?.into_bytes()),
            None => None,
        };
        let dirs = self.run_path(file, &info)?;
        let run_path = match dirs.is_empty() {
            true if info.run_path.is_none() => None,
            true => Some(b"$ORIGIN".to_vec()),
            false => Some(dirs.join(":").into_bytes()),
        };
        elf::rewrite(bytes, &Rewrite { interpreter, run_path }).map_err(|error| error.to_string())
    }

    fn interpreter(&self, old: &str) -> Result<String, String> {
        if let Some(loader) = &self.request.loader {
            return Ok(loader.clone());
        }
        let name = name_of(Path::new(old));
        let own = self.own_libraries.get(&name);
        let dir = own.or_else(|| self.request.libraries.iter().find(|d| d.join(&name).exists()));
        match dir {
            Some(dir) => Ok(dir.join(name).to_string_lossy().into_owned()),
            None => Err(format!("no store object holds its interpreter '{old}'")),
        }
    }

    /// The directories that hold what the file needs, in the order of its needs.
    fn run_path(&self, file: &Path, info: &ElfInfo) -> Result<Vec<String>, String> {
        let loader = self.request.loader.as_ref().map(|l| name_of(Path::new(l)));
        let mut dirs: Vec<String> = Vec::new();
        let mut add = |dir: String| {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        };
        for needed in &info.needed {
            let needed = String::from_utf8_lossy(needed).into_owned();
            // The loader is in memory already when it looks for what is needed.
            if loader.as_ref() == Some(&needed) || needed.starts_with("ld-linux") {
                continue;
            }
            if let Some(dir) = self.own_libraries.get(&needed) {
                add(origin_to(file.parent().unwrap_or(Path::new("/")), dir));
                continue;
            }
            let found = self.request.libraries.iter().find(|dir| dir.join(&needed).exists());
            let dir = found.ok_or_else(|| {
                format!(
                    "needs the library '{needed}', which no store object of this build holds; \
                     is it installed on this machine?"
                )
            })?;
            add(dir.to_string_lossy().into_owned());
        }
        // Not written in the file: glibc opens this library when a thread is cancelled.
        if name_of(file) == "libc.so.6"
            && let Some(dir) = self.own_libraries.get("libgcc_s.so.1")
        {
            add(origin_to(file.parent().unwrap_or(Path::new("/")), dir));
        }
        Ok(dirs)
    }

    fn rewrite_script(&self, file: &Path, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
        let line = String::from_utf8_lossy(&bytes[2..end]).into_owned();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let Some(first) = words.first().copied() else { return Ok(None) };
        let mut old = first;
        if first.ends_with("/env") {
            let skip = words.iter().skip(1).take_while(|w| w.starts_with('-') || w.contains('='));
            let n_skipped = 1 + skip.count();
            words.drain(..n_skipped.min(words.len()));
            old = words.first().copied().unwrap_or(first);
        }
        let new = match self.request.interpreters.get(old) {
            Some(new) => new.clone(),
            None => {
                let own = self.out.join("bin").join(name_of(Path::new(old)));
                if own == *file || !own.exists() {
                    return Err(format!(
                        "its first line names '{old}', which no store object of this build holds"
                    ));
                }
                own.to_string_lossy().into_owned()
            }
        };
        let rest: String = words.iter().skip(1).map(|word| format!(" {word}")).collect();
        let mut text = format!("#!{new}{rest}").into_bytes();
        text.extend_from_slice(&bytes[end..]);
        Ok(Some(text))
    }
}

/// `to` as seen from the directory `from`.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let n_shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - n_shared);
    up.chain(to[n_shared..].iter().copied()).collect()
}

/// `dir` as seen from a file in `from`, in the loader's words.
fn origin_to(from: &Path, dir: &Path) -> String {
    let steps = relative(from, dir);
    match steps.as_os_str().is_empty() {
        true => "$ORIGIN".to_owned(),
        false => format!("$ORIGIN/{}", steps.display()),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

/// `place` below `root`; places that climb out are refused.
fn below(root: &Path, place: &Path) -> Result<PathBuf, String> {
    if place.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Ok(root.join(place));
    }
    Err(format!("'{}' is not a place below the output", place.display()))
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path)
        .map_err(|error| format!("cannot make the directory '{}': {error}", path.display()))
}

fn make_link(link: &Path, target: &Path) -> Result<(), String> {
    symlink(link, target)
        .map_err(|error| format!("cannot make the link '{}': {error}", target.display()))
}

/// Copies contents and the executable bit, nothing else.
fn copy_file(from: &Path, target: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot copy '{}': {error}", from.display());
    fs::copy(from, target).map_err(failed)?;
    let mode = fs::metadata(from).map_err(failed)?.permissions().mode();
    let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
    fs::set_permissions(target, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// A file that is another one than at evaluation must not be stored under that evaluation's name.
fn check_unchanged(file: &FileRequest, from: &Path, copy: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read '{}': {error}", copy.display());
    let mut is_same = true;
    if let Some(size) = file.size {
        is_same &= fs::metadata(copy).map_err(failed)?.len() == size;
    }
    if let Some(sha256) = &file.sha256 {
        let hash = Hash::of(HashAlgo::Sha256, fs::read(copy).map_err(failed)?);
        is_same &= hash.to_base16() == *sha256;
    }
    match is_same {
        true => Ok(()),
        false => Err(format!(
            "'{}' has changed since the expression was evaluated; evaluate it again",
            from.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(root: &Path, request: &serde_json::Value) -> Result<PathBuf, String> {
        let out = root.join("out");
        let build = InternalBuild {
            env: BTreeMap::from([("request".to_owned(), request.to_string().into_bytes())]),
            outputs: BTreeMap::from([("out".to_owned(), out.clone())]),
            build_dir: root.to_owned(),
            attrs_json: None,
            store_dir: root.to_owned(),
            cores: 1,
        };
        import(&build, "").map(|()| out)
    }

    fn script(root: &Path, text: &str) -> PathBuf {
        let file = root.join("script");
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        file
    }

    #[test]
    fn scripts_name_interpreters_in_the_store() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = script(dir.path(), "#!/usr/bin/env -S perl -w\nprint 1;\n");
        let out = run(
            dir.path(),
            &json!({
                "files": [
                    { "to": "bin/tool", "from": file, "size": 35 },
                    { "to": "bin/alias", "link": "tool" },
                ],
                "interpreters": { "perl": "/nix/store/x-perl/bin/perl" },
            }),
        )
        .expect("imports");
        let text = fs::read_to_string(out.join("bin/alias")).expect("reads");
        assert_eq!(text, "#!/nix/store/x-perl/bin/perl -w\nprint 1;\n");
        assert!(is_executable(&out.join("bin/tool")));
    }

    #[test]
    fn what_cannot_be_satisfied_is_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = script(dir.path(), "#!/bin/sh\n");
        let request = json!({ "files": [{ "to": "bin/tool", "from": file }] });
        let error = run(dir.path(), &request).expect_err("no interpreter");
        assert!(error.ends_with("names '/bin/sh', which no store object of this build holds"));
        for (changed, expected) in [
            (json!({ "to": "bin/b", "from": file, "size": 3 }), "evaluate it again"),
            (json!({ "to": "bin/c", "from": file, "sha256": "00" }), "evaluate it again"),
            (json!({ "to": "../d", "from": file }), "is not a place below the output"),
            (json!({ "to": "e" }), "has neither source nor link"),
        ] {
            let error = run(dir.path(), &json!({ "files": [changed] })).expect_err("refused");
            assert!(error.ends_with(expected), "{error}");
        }
    }

    #[test]
    fn directories_are_spelled_from_the_file() {
        let spelled = |from: &str, to: &str| origin_to(Path::new(from), Path::new(to));
        assert_eq!(spelled("/s/o/lib", "/s/o/lib"), "$ORIGIN");
        assert_eq!(spelled("/s/o/bin", "/s/o/lib"), "$ORIGIN/../lib");
        assert_eq!(spelled("/s/o/lib/p/d", "/s/o/lib"), "$ORIGIN/../..");
    }
}
