//! Trees as the object database has them: submodules in their places, and neither attributes nor filters.
//!
//! `git archive` knows no submodules and leaves out what is marked `export-ignore`; this is for trees that want
//! the former or the latter. Contents are those of the blobs, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Stdio};

use nix_eval::host::GitRequest;

use super::address::{Location, submodule_address};
use super::repository::Repository;
use super::{Fetcher, Opened, is_allowed};
use crate::error::StoreError;
use crate::http::redacted;
use crate::sys::Dir;
use crate::unpack::{DirTarget, Refusal, Target, components};

/// Longest target of a symbolic link, in bytes, as Linux has it.
const LINK_BYTES: u64 = 4095;

/// A submodule whose tree has to be written.
struct Pending {
    location: Location,
    rev: String,
    /// Where it goes, below the root of the whole tree.
    place: Vec<u8>,
    /// What its parent calls it, and what messages call its parent.
    path: Vec<u8>,
    parent_url: String,
}

/// An entry of a commit that is no directory.
struct Entry {
    mode: Vec<u8>,
    id: String,
    path: Vec<u8>,
}

/// What was written so far.
#[derive(Default)]
struct Spent {
    n_entries: u64,
    n_bytes: u64,
}

impl Fetcher {
    /// Writes the tree of a commit into the empty directory `into`; if they are wanted, with the trees of its
    /// submodules and of theirs.
    pub(super) fn write_tree(
        &self,
        opened: Opened<'_>,
        rev: &str,
        wanted: &GitRequest,
        into: &Dir,
    ) -> Result<(), StoreError> {
        let mut target = DirTarget::new(into);
        let mut spent = Spent::default();
        let mut left = Vec::new();
        let links = self.write_commit(&opened.repository, rev, b"", &mut target, &mut spent)?;
        if !wanted.submodules {
            return Ok(());
        }
        left.extend(pending(&opened, rev, b"", links, wanted)?);
        // One at a time, each lock given up before the next: a repository may be a submodule of itself.
        drop(opened);
        while let Some(module) = left.pop() {
            let Pending { location, rev, place, path, parent_url } = module;
            let opened = self
                .open_submodule(&location, &rev, wanted.shallow)
                .map_err(|e| of_submodule(e, &path, &parent_url))?;
            let links =
                self.write_commit(&opened.repository, &rev, &place, &mut target, &mut spent)?;
            left.extend(pending(&opened, &rev, &place, links, wanted)?);
        }
        Ok(())
    }

    fn open_submodule(
        &self,
        location: &Location,
        rev: &str,
        shallow: bool,
    ) -> Result<Opened<'_>, StoreError> {
        let rev = Some(rev.to_owned());
        let wanted = GitRequest { rev, all_refs: true, shallow, ..GitRequest::default() };
        let url = match location {
            Location::Here(dir) => dir.display().to_string(),
            Location::There(address) => address.clone(),
        };
        let (opened, _) = self.open(&url, location, None, &wanted)?;
        Ok(Opened { is_submodule: true, ..opened })
    }

    /// Writes what a repository itself has of a commit; gives the commits of others that it links to.
    fn write_commit(
        &self,
        repository: &Repository<'_>,
        rev: &str,
        place: &[u8],
        target: &mut DirTarget<'_>,
        spent: &mut Spent,
    ) -> Result<Vec<Entry>, StoreError> {
        let limits = &self.settings.unpack;
        let refuse = |path: &[u8], reason: &str| {
            let path = String::from_utf8_lossy(path).escape_debug().to_string();
            repository.fail(format!("entry '{path}' of commit {rev}: {reason}"))
        };
        let listed = repository.run(&["ls-tree", "-r", "-t", "-z", "--full-tree", rev])?;
        let (mut files, mut links) = (Vec::new(), Vec::new());
        for line in listed.split(|&b| b == 0).filter(|line| !line.is_empty()) {
            let entry = parse_entry(line).ok_or_else(|| {
                repository.fail(format!("git lists '{}'", String::from_utf8_lossy(line)))
            })?;
            spent.n_entries += 1;
            if spent.n_entries > limits.n_entries {
                return Err(
                    repository.fail(format!("the tree has more than {} entries", limits.n_entries))
                );
            }
            match &entry.mode[..] {
                b"040000" | b"160000" => {
                    let path = join(place, &entry.path);
                    let parts =
                        components(&path, limits.depth).map_err(|r| refuse(&entry.path, &r))?;
                    made(target.directory(&parts), |r| refuse(&entry.path, r))?;
                    if entry.mode == b"160000" {
                        links.push(entry);
                    }
                }
                _ => files.push(entry),
            }
        }
        if files.is_empty() {
            return Ok(links);
        }
        let mut blobs = Blobs::start(repository, &files)?;
        for entry in &files {
            let size = blobs.next_size(&entry.id).map_err(|r| refuse(&entry.path, &r))?;
            spent.n_bytes = spent.n_bytes.saturating_add(size);
            if spent.n_bytes > limits.n_bytes {
                return Err(
                    repository.fail(format!("the tree is larger than {} bytes", limits.n_bytes))
                );
            }
            let path = join(place, &entry.path);
            let parts = components(&path, limits.depth).map_err(|r| refuse(&entry.path, &r))?;
            let mut contents = (&mut blobs.out).take(size);
            let answer = match &entry.mode[..] {
                b"120000" if size > LINK_BYTES => {
                    return Err(refuse(&entry.path, "the target of the link is too long"));
                }
                b"120000" => {
                    let mut link = Vec::new();
                    contents
                        .read_to_end(&mut link)
                        .map_err(|e| refuse(&entry.path, &e.to_string()))?;
                    if link.is_empty() || link.contains(&0) {
                        return Err(refuse(&entry.path, "the link has no usable target"));
                    }
                    target.symlink(&parts, &link)
                }
                mode => target.file(&parts, mode == b"100755", &mut contents),
            };
            let missing = contents.limit();
            made(answer, |r| refuse(&entry.path, r))?;
            if missing > 0 {
                return Err(refuse(&entry.path, "git stopped in the middle of the contents"));
            }
            blobs.end_one().map_err(|e| refuse(&entry.path, &e.to_string()))?;
        }
        Ok(links)
    }
}

fn made(
    answer: Result<(), Refusal>,
    refuse: impl FnOnce(&str) -> StoreError,
) -> Result<(), StoreError> {
    answer.map_err(|refusal| match refusal {
        Refusal::Entry(reason) => refuse(&reason),
        Refusal::Store(error) => error,
    })
}

fn join(place: &[u8], path: &[u8]) -> Vec<u8> {
    if place.is_empty() { path.to_vec() } else { [place, path].join(&b'/') }
}

/// A line of `ls-tree`: mode, type, object, tab, path.
fn parse_entry(line: &[u8]) -> Option<Entry> {
    let at = line.iter().position(|&b| b == b'\t')?;
    let mut words = line[..at].split(|&b| b == b' ');
    let mode = words.next()?.to_vec();
    let id = String::from_utf8(words.nth(1)?.to_vec()).ok()?;
    Some(Entry { mode, id, path: line[at + 1..].to_vec() })
}

/// The contents of blobs, one after the other.
struct Blobs {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Blobs {
    fn start(repository: &Repository<'_>, files: &[Entry]) -> Result<Blobs, StoreError> {
        let mut child = repository
            .command()
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| repository.not_started(&e))?;
        let (Some(mut ids), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(repository.fail("git has no output"));
        };
        let text: String = files.iter().flat_map(|file| [&file.id, "\n"]).collect();
        // Written beside the reading, or both would wait for each other. If git ends early, reading says so.
        std::thread::spawn(move || ids.write_all(text.as_bytes()));
        Ok(Blobs { child, out: BufReader::new(out) })
    }

    /// How many bytes the next blob has, which must be `id`.
    fn next_size(&mut self, id: &str) -> Result<u64, String> {
        let mut line = String::new();
        (&mut self.out).take(256).read_line(&mut line).map_err(|e| e.to_string())?;
        let size = line
            .trim_end()
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix(" blob "))
            .and_then(|size| size.parse().ok());
        size.ok_or_else(|| format!("the repository has no contents {id}"))
    }

    /// Passes the line break after a blob.
    fn end_one(&mut self) -> std::io::Result<()> {
        let mut end = [0];
        self.out.read_exact(&mut end)
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        // It may have ended by itself. Not waited for, it would stay in the process table.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An entry of `.gitmodules`.
#[derive(Default)]
struct Module {
    name: Vec<u8>,
    path: Vec<u8>,
    url: Option<String>,
}

/// What `.gitmodules` of a commit says.
fn modules(repository: &Repository<'_>, rev: &str) -> Result<Vec<Module>, StoreError> {
    let blob = format!("{rev}:.gitmodules");
    if !repository.try_run(&["cat-file", "-e", &blob])?.0 {
        return Ok(Vec::new());
    }
    let found = repository.run(&["config", "--null", "--list", "--blob", &blob])?;
    let mut modules: Vec<Module> = Vec::new();
    for line in found.split(|&b| b == 0) {
        let Some(at) = line.iter().position(|&b| b == b'\n') else { continue };
        let (key, value) = (&line[..at], &line[at + 1..]);
        let Some(key) = key.strip_prefix(b"submodule.") else { continue };
        let Some(dot) = key.iter().rposition(|&b| b == b'.') else { continue };
        let (name, variable) = (&key[..dot], &key[dot + 1..]);
        let known = modules.iter().position(|m| m.name == name).unwrap_or_else(|| {
            modules.push(Module { name: name.to_owned(), ..Module::default() });
            modules.len() - 1
        });
        match variable {
            b"path" => modules[known].path = value.strip_suffix(b"/").unwrap_or(value).to_vec(),
            b"url" => modules[known].url = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }
    Ok(modules)
}

/// The submodules that a commit links to and that `.gitmodules` names; the others stay empty directories.
fn pending(
    opened: &Opened<'_>,
    rev: &str,
    place: &[u8],
    links: Vec<Entry>,
    wanted: &GitRequest,
) -> Result<Vec<Pending>, StoreError> {
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let modules = modules(&opened.repository, rev)?;
    let mut found = Vec::new();
    for Entry { id, path, .. } in links {
        let Some(module) = modules.iter().rfind(|m| m.path == path) else { continue };
        let parent_url = opened.repository.url.clone();
        let location =
            locate(opened, module, wanted).map_err(|e| of_submodule(e, &path, &parent_url))?;
        let place = join(place, &path);
        found.push(Pending { location, rev: id, place, path, parent_url });
    }
    Ok(found)
}

/// Where a submodule is, if it may be fetched from there.
fn locate(
    parent: &Opened<'_>,
    module: &Module,
    wanted: &GitRequest,
) -> Result<Location, StoreError> {
    let Some(url) = &module.url else {
        return Err(parent.repository.fail("'.gitmodules' gives it no address"));
    };
    let location = submodule_address(url, || parent.base())?;
    let fail = |reason: &str| StoreError::Fetch { url: redacted(url), reason: reason.to_owned() };
    let text = match (&location, &parent.location) {
        (Location::Here(_), Location::There(_)) => {
            return Err(fail(
                "it lies on this machine, but the repository that wants it came from elsewhere",
            ));
        }
        (Location::Here(dir), _) => format!("file://{}", dir.display()),
        (Location::There(address), _) => address.clone(),
    };
    match &wanted.allowed_uris {
        Some(allowed) if !is_allowed(allowed, &text) => Err(fail(
            "access to it is forbidden in restricted mode; see the setting 'allowed-uris'",
        )),
        _ => Ok(location),
    }
}

fn of_submodule(error: StoreError, path: &[u8], parent: &str) -> StoreError {
    match error {
        StoreError::Fetch { url, reason } => {
            let path = String::from_utf8_lossy(path).escape_debug().to_string();
            let parent = redacted(parent);
            StoreError::Fetch { url, reason: format!("{reason} (submodule '{path}' of {parent})") }
        }
        other => other,
    }
}
