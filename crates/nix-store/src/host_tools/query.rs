//! Questions that nixlib asks about the machine, as JSON in and JSON out.
//!
//! | kind | question | answer |
//! |---|---|---|
//! | `tool` | `{ name, packages }` | `{ path, real, package, version }` or null |
//! | `program` | `{ programs, packages, trees }` | files, scripts' interpreters, libraries; null if the first program is missing |
//! | `libraries` | `{ sonames, programs }` | library groups; null if one is missing |
//! | `owner` | `{ path, packages }` | the package that owns a file, or null |
//! | `exists` | `{ path }` | whether there is something |
//! | `system` | `{ }` | distribution and release |

use super::facts::Seen;
use super::libraries::{Group, Libraries};
use super::loader::expand_run_path;
use super::packages::Package;
use super::trees;
use super::{HostFile, HostTools, file_name};
use nix_formats::hash::{HashAlgo, Hasher};
use serde_json::{Map, Value, json};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

impl HostTools {
    /// Answers a question; see the table at the top of this file's source.
    ///
    /// # Errors
    /// A sentence: the kind is unknown, the question lacks a field, or a library that a program
    /// needs is not on this machine.
    pub fn answer(&self, kind: &str, question: &Value) -> Result<Value, String> {
        let answer = self.look(kind, question);
        self.seen.asked(kind, question, &answer);
        answer
    }

    fn look(&self, kind: &str, question: &Value) -> Result<Value, String> {
        match kind {
            "tool" => {
                let name = question["name"].as_str().ok_or("the question has no 'name'")?;
                let tool = self.tool(name, &texts(&question["packages"]));
                Ok(tool.map_or(Value::Null, |tool| {
                    json!({
                        "path": tool.path.to_string_lossy(),
                        "real": tool.real.to_string_lossy(),
                        "package": tool.package.as_ref().map(|p| &p.name),
                        "version": tool.package.as_ref().map(|p| &p.version),
                    })
                }))
            }
            "program" => self.program(question),
            "libraries" => self.libraries(question),
            "owner" => {
                let path = question["path"].as_str().ok_or("the question has no 'path'")?;
                let real = self.memo.resolve_link(Path::new(path));
                let package = real.and_then(|real| {
                    self.packages.owner(&real.to_string_lossy(), &texts(&question["packages"]))
                });
                Ok(package.map_or(Value::Null, |p| json!({ "name": p.name, "version": p.version })))
            }
            "exists" => Ok(json!(question["path"].as_str().is_some_and(|path| {
                self.seen.look_at(Path::new(path));
                Path::new(path).exists()
            }))),
            "system" => Ok(system(&self.seen)),
            other => Err(format!("nixlib asks the host an unknown question: '{other}'")),
        }
    }

    fn program(&self, question: &Value) -> Result<Value, String> {
        let programs = texts(&question["programs"]);
        let guesses = texts(&question["packages"]);
        let mut draft = ProgramDraft::default();
        for (index, name) in programs.iter().enumerate() {
            let Some(tool) = self.tool(name, &guesses) else {
                if index == 0 {
                    return Ok(Value::Null);
                }
                continue;
            };
            // Another package's program of that name (procps has `uptime`) is not meant.
            if let (Some(package), Some(first)) = (&tool.package, draft.packages.first())
                && package != first
                && !guesses.contains(&package.name)
            {
                continue;
            }
            let hashed = tool.package.is_none();
            let (name, real) = (file_name(&tool.path), file_name(&tool.real));
            if let Entry::Vacant(place) = draft.files.entry(format!("bin/{real}")) {
                place.insert(HostFile::copy(&tool.real, hashed)?);
                draft.sources.push(tool.real.clone());
            }
            if name != real {
                draft.files.insert(format!("bin/{name}"), HostFile::link(&real));
            }
            draft.packages.extend(tool.package);
        }
        let mut answered_trees = Vec::new();
        for tree in question["trees"].as_array().into_iter().flatten() {
            answered_trees.push(draft.add_tree(tree, &self.seen)?);
        }
        let (libraries, scripts) = self.inspect(&mut draft)?;
        let (groups, names) = match &libraries {
            Some((libraries, _)) => libraries.groups(),
            None => Default::default(),
        };
        let direct: BTreeSet<&String> =
            libraries.iter().flat_map(|(_, keys)| keys).filter_map(|k| names.get(k)).collect();
        let trees = tops(draft.files.values().map(|f| &f.from).chain(&draft.tree_roots));
        Ok(json!({
            "version": draft.packages.iter().next().map(|p| upstream(&p.version)),
            "packages": packages_json(draft.packages.iter()),
            "files": files_json(&draft.files),
            "trees": answered_trees,
            "interpreters": scripts,
            "loader": draft.loader,
            "libraries": direct,
            "groups": groups_json(&groups),
            "impure": trees,
        }))
    }

    /// Finds what the programs and modules of a draft need: libraries by the keys of their
    /// groups, and the interpreters of scripts.
    #[expect(clippy::type_complexity, reason = "read in one place, where the parts are named")]
    fn inspect(
        &self,
        draft: &mut ProgramDraft,
    ) -> Result<(Option<(Libraries<'_>, BTreeSet<String>)>, BTreeSet<String>), String> {
        let mut scripts = BTreeSet::new();
        let mut found: Option<(Libraries<'_>, BTreeSet<String>)> = None;
        let mut open = std::mem::take(&mut draft.sources);
        let mut seen = BTreeSet::new();
        while let Some(file) = open.pop() {
            if !seen.insert(file.clone()) {
                continue;
            }
            let Some(info) = self.memo.info(&file) else {
                scripts.extend(script_interpreter(&file));
                continue;
            };
            if !info.is_dynamic {
                continue;
            }
            let (libraries, keys) = found.get_or_insert_with(|| {
                (Libraries::new(&self.packages, &self.memo, info.machine), BTreeSet::new())
            });
            if let Some(loader) = &info.interpreter {
                let loader = String::from_utf8_lossy(loader).into_owned();
                let name = file_name(Path::new(&loader));
                if let Some(real) = libraries.find(&name, &[]) {
                    keys.insert(libraries.add(&real)?);
                    draft.loader = Some(file_name(&real));
                }
            }
            let run_path = expand_run_path(&info, &file, &self.seen);
            for need in libraries.needs_of(&file)? {
                let dir = need.parent().unwrap_or(Path::new("/")).to_owned();
                if run_path.contains(&dir) && !libraries.is_loader_dir(&dir) {
                    // A library of the program's own, beside which nobody else looks.
                    let place = format!("lib/{}", file_name(&need));
                    draft.files.insert(place, HostFile::copy(&need, draft.packages.is_empty())?);
                    open.push(need);
                } else {
                    keys.insert(libraries.add(&need)?);
                }
            }
        }
        Ok((found, scripts))
    }

    fn libraries(&self, question: &Value) -> Result<Value, String> {
        let machine = machine_of(question["machine"].as_str().unwrap_or(std::env::consts::ARCH));
        let mut libraries = Libraries::new(&self.packages, &self.memo, machine);
        let mut roots = BTreeMap::new();
        let mut loader = None;
        for soname in texts(&question["sonames"]) {
            let Some(file) = libraries.find(&soname, &[]) else { return Ok(Value::Null) };
            let key = libraries.add(&file)?;
            if soname.starts_with("ld-") {
                loader = Some(soname.clone());
            }
            roots.insert(soname, (key, file_name(&file)));
        }
        let (groups, names) = libraries.groups();
        let roots: Map<String, Value> =
            roots.into_iter().map(|(soname, (key, _))| (soname, json!(names.get(&key)))).collect();
        Ok(json!({ "roots": roots, "loader": loader, "groups": groups_json(&groups) }))
    }
}

#[derive(Default)]
struct ProgramDraft {
    packages: BTreeSet<Package>,
    /// Place below the output → file.
    files: BTreeMap<String, HostFile>,
    tree_roots: Vec<PathBuf>,
    /// Files whose needs have not been looked at.
    sources: Vec<PathBuf>,
    loader: Option<String>,
}

impl ProgramDraft {
    /// Fingerprints a tree by the places and sizes of its files.
    fn add_tree(&mut self, tree: &Value, seen: &Seen) -> Result<Value, String> {
        let from = tree["from"].as_str().ok_or("a tree has no 'from'")?;
        let to = tree["to"].as_str().ok_or("a tree has no 'to'")?;
        let exclude = texts(&tree["exclude"]);
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        let mut n_bytes = 0;
        let sources = &mut self.sources;
        let root = Path::new(from);
        seen.look_at(root);
        trees::walk(root, &exclude, &mut |place, entry| {
            seen.look_at(&root.join(place));
            let line = match &entry {
                trees::Entry::Directory => format!("{}/\n", place.display()),
                trees::Entry::File(_, size) => format!("{} {size}\n", place.display()),
                trees::Entry::Link(target) => {
                    format!("{} -> {}\n", place.display(), target.display())
                }
            };
            hasher.update(line.as_bytes());
            if let trees::Entry::File(path, size) = entry {
                n_bytes += size;
                let name = file_name(&path);
                if name.ends_with(".so") || name.contains(".so.") || is_executable(&path) {
                    sources.push(path);
                }
            }
            Ok(())
        })
        .map_err(|error| format!("cannot read the tree '{from}': {error}"))?;
        self.tree_roots.push(fs::canonicalize(from).unwrap_or_else(|_| PathBuf::from(from)));
        Ok(json!({
            "from": from,
            "to": to,
            "exclude": exclude,
            "size": n_bytes,
            "listing": hasher.finish().to_base16(),
        }))
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

/// The interpreter that a script's first line names, `/usr/bin/env NAME` as `NAME`.
fn script_interpreter(file: &Path) -> Option<String> {
    let mut start = vec![0; 256];
    let n_bytes = fs::File::open(file).ok()?.read(&mut start).ok()?;
    start.truncate(n_bytes);
    let line = start.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace();
    let interpreter = words.next()?;
    if interpreter.ends_with("/env") {
        return words.find(|w| !w.starts_with('-') && !w.contains('=')).map(str::to_owned);
    }
    Some(interpreter.to_owned())
}

/// The version without epoch and without the distribution's revision.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, v)| v);
    let version = version.rsplit_once('-').map_or(version, |(v, _)| v);
    version.replace('~', "-")
}

/// The trees that have to be visible for these files: the first part of each path, but never the
/// whole of `/etc`.
fn tops<'a>(files: impl Iterator<Item = &'a PathBuf>) -> BTreeSet<String> {
    files
        .filter_map(|path| match path.components().nth(1) {
            Some(first) if first.as_os_str() != "etc" => {
                Some(format!("/{}", first.as_os_str().to_string_lossy()))
            }
            Some(_) => Some(path.to_string_lossy().into_owned()),
            None => None,
        })
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn packages_json<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<Value> {
    packages.map(|p| json!({ "name": p.name, "version": p.version })).collect()
}

fn files_json(files: &BTreeMap<String, HostFile>) -> Vec<Value> {
    files
        .iter()
        .map(|(to, file)| match (&file.link, &file.hash) {
            (Some(link), _) => json!({ "to": to, "link": link }),
            (None, Some(hash)) => json!({
                "to": to,
                "from": file.from.to_string_lossy(),
                "size": file.size_bytes,
                "sha256": hash.to_base16(),
            }),
            (None, None) => json!({
                "to": to,
                "from": file.from.to_string_lossy(),
                "size": file.size_bytes,
            }),
        })
        .collect()
}

fn groups_json(groups: &BTreeMap<String, std::sync::Arc<Group>>) -> Value {
    let groups: Map<String, Value> = groups
        .iter()
        .map(|(name, group)| {
            let main = group.packages.iter().find(|p| p.name == *name);
            let value = json!({
                "name": name,
                "version": main.map(|p| upstream(&p.version)),
                "packages": packages_json(group.packages.iter()),
                "files": files_json(&group.files),
                "needs": group.needs,
                "impure": tops(group.files.values().map(|f| &f.from)),
            });
            (name.clone(), value)
        })
        .collect();
    Value::Object(groups)
}

/// Distribution and release from `/etc/os-release`, architecture of this program.
fn system(seen: &Seen) -> Value {
    seen.look_at(Path::new("/etc/os-release"));
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
    };
    let existing = |paths: &[&'static str]| -> Vec<&'static str> {
        let exists = |path: &&'static str| {
            seen.look_at(Path::new(path));
            Path::new(path).exists()
        };
        paths.iter().copied().filter(exists).collect()
    };
    json!({
        "distribution": field("ID"),
        "release": field("VERSION_ID"),
        "architecture": std::env::consts::ARCH,
        "trees": existing(&["/usr", "/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"]),
        "files": existing(&["/etc/alternatives", "/etc/ld.so.cache"]),
    })
}

fn machine_of(architecture: &str) -> u16 {
    match architecture {
        "aarch64" => 183,
        "riscv64" => 243,
        _ => 62,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_lose_epoch_and_revision() {
        assert_eq!(upstream("2.36-9+deb12u10"), "2.36");
        assert_eq!(upstream("1:1.2.13.dfsg-1"), "1.2.13.dfsg");
        assert_eq!(upstream("6.4~rc1-4"), "6.4-rc1");
        assert_eq!(upstream("5"), "5");
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("script");
        for (line, expected) in [
            ("#!/bin/sh -e\n", Some("/bin/sh")),
            ("#! /usr/bin/env python3\n", Some("python3")),
            ("#!/usr/bin/env -S A=1 perl -w\n", Some("perl")),
            ("no script\n", None),
        ] {
            fs::write(&file, line).expect("written");
            assert_eq!(script_interpreter(&file).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn unknown_questions_and_missing_tools_have_answers() {
        let tools = HostTools::new(vec![PathBuf::from("/nonexistent")]);
        assert!(tools.answer("weather", &json!({})).is_err());
        assert_eq!(tools.answer("tool", &json!({ "name": "sh" })), Ok(Value::Null));
        assert_eq!(tools.answer("program", &json!({ "programs": ["sh"] })), Ok(Value::Null));
        assert_eq!(tools.answer("libraries", &json!({ "sonames": ["no.so"] })), Ok(Value::Null));
    }
}
