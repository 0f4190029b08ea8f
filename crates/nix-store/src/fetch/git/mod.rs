//! Trees of git repositories, through the `git` program.
//!
//! A repository is not trusted: no system or user configuration, no hooks, no file monitor, a short list of
//! protocols, and neither a reference nor an address can become an option. Repositories elsewhere are
//! mirrored into the cache directory; those of this machine are read where they are. Trees come as archives and
//! are unpacked like any other; with submodules they are written from the object database. Of a work tree with
//! changes, the tracked files are taken as they lie.

mod address;
mod repository;
mod tree;
mod work_tree;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix_eval::host::{Fetched, GitFacts, GitRequest};
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::FileMethod;
use rustix::fs::{FlockOperation, flock};

use tempfile::TempDir;

use super::{Expected, Fetcher, is_allowed};
use crate::error::StoreError;
use crate::http::redacted;
use crate::sys::{Dir, EntryType, FsTree};
use crate::unpack::unpack_tar;

use address::{Location, check_rev, full_ref, locate, submodule_address};
use repository::Repository;

/// A repository that can be read, and what keeps it.
struct Opened<'a> {
    repository: Repository<'a>,
    location: Location,
    /// Whether another repository links to it.
    is_submodule: bool,
    /// Others leave the mirror alone meanwhile.
    _lock: Option<File>,
    _temporary: Option<TempDir>,
}

impl Opened<'_> {
    /// What relative addresses of submodules are relative to: where the repository came from.
    fn base(&self) -> Result<Location, StoreError> {
        let Location::Here(dir) = &self.location else { return Ok(self.location.clone()) };
        if self.is_submodule {
            return Ok(self.location.clone());
        }
        let setting = |name: &str| -> Result<Option<String>, StoreError> {
            let (is_set, value, _) = self.repository.try_run(&["config", "--get", name])?;
            let value = String::from_utf8_lossy(&value).trim().to_owned();
            Ok(Some(value).filter(|value| is_set && !value.is_empty()))
        };
        let (_, branch, _) =
            self.repository.try_run(&["symbolic-ref", "--quiet", "--short", "HEAD"])?;
        let branch = String::from_utf8_lossy(&branch).trim().to_owned();
        let remote = setting(&format!("branch.{branch}.remote"))?;
        let remote = remote.as_deref().unwrap_or("origin");
        match setting(&format!("remote.{remote}.url"))? {
            Some(url) if url.starts_with("./") || url.starts_with("../") => {
                submodule_address(&url, || Ok(self.location.clone()))
            }
            Some(url) => locate(&url),
            None => {
                let (_, top, _) = self.repository.try_run(&["rev-parse", "--show-toplevel"])?;
                let top = String::from_utf8_lossy(&top).trim().to_owned();
                Ok(Location::Here(if top.is_empty() { dir.clone() } else { top.into() }))
            }
        }
    }
}

impl Fetcher {
    /// The tree of a git repository, without `.git`. `expected` is the hash of its NAR.
    ///
    /// # Errors
    /// An address, reference or commit that is not allowed or not there; what `git` says;
    /// [`StoreError::HashMismatch`].
    pub fn fetch_git(
        &self,
        url: &str,
        name: &str,
        wanted: &GitRequest,
        expected: Option<&Hash>,
    ) -> Result<Fetched, StoreError> {
        let expected = Expected { url, name, method: FileMethod::Nar, hash: expected };
        let reference = wanted.reference.as_deref().map(|r| full_ref(url, r)).transpose()?;
        if let Some(rev) = &wanted.rev {
            check_rev(url, rev)?;
        }
        let location = locate(url)?;
        if let Location::Here(dir) = &location
            && wanted.rev.is_none()
            && reference.is_none()
        {
            let repository = self.here(url, dir)?;
            if let Some(dirty) = self.dirty_tree(&repository, wanted, expected)? {
                return Ok(dirty);
            }
        }
        let (opened, rev) = self.open(url, &location, reference.as_deref(), wanted)?;
        self.commit(opened, &rev, wanted, expected)
    }

    /// A repository of this machine.
    fn here(&self, url: &str, dir: &Path) -> Result<Repository<'_>, StoreError> {
        let repository = Repository::new(self, url, dir.to_owned());
        if !dir.is_dir() {
            return Err(repository.fail("there is no such directory"));
        }
        repository.without_filters()
    }

    /// A repository and the commit of it that is wanted.
    fn open(
        &self,
        url: &str,
        location: &Location,
        reference: Option<&str>,
        wanted: &GitRequest,
    ) -> Result<(Opened<'_>, String), StoreError> {
        let dir = match location {
            Location::Here(dir) => dir,
            Location::There(address) => return self.mirrored(url, address, reference, wanted),
        };
        let repository = self.here(url, dir)?;
        let rev = match &wanted.rev {
            Some(rev) if repository.has(rev)? => rev.to_ascii_lowercase(),
            Some(rev) => {
                return Err(repository.fail(format!("the repository has no commit {rev}")));
            }
            None => repository.resolve(reference.unwrap_or("HEAD"))?,
        };
        let opened = Opened {
            repository,
            location: location.clone(),
            is_submodule: false,
            _lock: None,
            _temporary: None,
        };
        Ok((opened, rev))
    }

    /// A repository elsewhere, as the cache has it.
    fn mirrored(
        &self,
        url: &str,
        address: &str,
        reference: Option<&str>,
        wanted: &GitRequest,
    ) -> Result<(Opened<'_>, String), StoreError> {
        let io = |e| StoreError::io("make the cache directory for", url, e);
        let (root, temporary) = match self.cache.dir_for("git").map_err(io)? {
            Some(root) => (root, None),
            None => {
                let temporary = tempfile::tempdir().map_err(io)?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let shallow = if wanted.shallow { "shallow\n" } else { "" };
        let key = Hash::of(HashAlgo::Sha256, format!("{shallow}{address}")).to_nix32();
        let dir = root.join(&key);
        let lock = File::create(root.join(format!("{key}.lock"))).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| io(e.into()))?;
        if !dir.join("HEAD").exists() {
            std::fs::create_dir_all(&dir).map_err(io)?;
            let new = Repository::new(self, url, dir.clone());
            new.run(&["init", "--quiet", "--bare", "--template=", "."])?;
        }
        let mirror = Repository::new(self, url, dir);
        let local = |reference: &str| match reference {
            "HEAD" => "refs/mini-nix/head".to_owned(),
            other => other.to_owned(),
        };
        let reference = reference.unwrap_or("HEAD");
        let fetch = |spec: &str| -> Result<(), StoreError> {
            if self.settings.http.is_offline {
                return Err(mirror.fail("the network is switched off (`--offline`)"));
            }
            let mut args =
                vec!["fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head"];
            if wanted.shallow {
                args.push("--depth=1");
            }
            args.extend(["--end-of-options", address, spec]);
            mirror.run(&args).map(|_| ())
        };
        let rev = match &wanted.rev {
            Some(rev) => {
                let rev = rev.to_ascii_lowercase();
                if !mirror.has(&rev)? {
                    if wanted.all_refs {
                        fetch("refs/*:refs/*")?;
                    } else {
                        fetch(&format!("{reference}:{}", local(reference)))?;
                    }
                }
                if !mirror.has(&rev)? && fetch(&format!("{rev}:refs/mini-nix/{rev}")).is_err()
                    || !mirror.has(&rev)?
                {
                    return Err(mirror.fail(format!(
                        "commit {rev} is not reachable from '{reference}'; set `ref` to a branch that contains it, or `allRefs = true`"
                    )));
                }
                rev
            }
            None => {
                let at = local(reference);
                let stamp = root.join(format!(
                    "{key}-{}.time",
                    Hash::of(HashAlgo::Sha256, reference).to_nix32()
                ));
                let is_fresh = self.settings.http.is_offline || age(&stamp) < self.settings.ttl;
                if !is_fresh || mirror.resolve(&at).is_err() {
                    fetch(&format!("{reference}:{at}"))?;
                    File::create(&stamp).map_err(io)?;
                }
                mirror.resolve(&at)?
            }
        };
        let opened = Opened {
            repository: mirror,
            location: Location::There(address.to_owned()),
            is_submodule: false,
            _lock: Some(lock),
            _temporary: temporary,
        };
        Ok((opened, rev))
    }

    /// The tree of a commit.
    fn commit(
        &self,
        opened: Opened<'_>,
        rev: &str,
        wanted: &GitRequest,
        expected: Expected<'_>,
    ) -> Result<Fetched, StoreError> {
        let repository = &opened.repository;
        let facts = GitFacts {
            rev: Some(rev.to_owned()),
            is_dirty: false,
            n_commits: repository.n_commits(rev, wanted.shallow)?,
            last_modified: repository.last_modified(rev)?,
        };
        if let Some(known) = self.already_valid(expected)? {
            return Ok(Fetched { git: Some(facts), ..known });
        }
        let place = self.store.scratch_place("fetch a repository")?;
        let dir = place.dir.create_dir(&place.name, 0o700)?;
        if wanted.submodules || wanted.keep_ignored {
            self.write_tree(opened, rev, wanted, &dir)?;
        } else {
            self.write_archive(repository, rev, &dir)?;
        }
        let fetched = self.add(expected, &FsTree::new(place.path()))?;
        Ok(Fetched { git: Some(facts), ..fetched })
    }

    /// Writes the tree of a commit as `git archive` has it.
    fn write_archive(
        &self,
        repository: &Repository<'_>,
        rev: &str,
        into: &Dir,
    ) -> Result<(), StoreError> {
        let mut child = repository
            .command()
            .args(["archive", "--format=tar", rev])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| repository.not_started(&e))?;
        let (Some(mut out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(repository.fail("git has no output"));
        };
        // Read beside the archive, or a talkative git would block.
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read of it is only missing from a message.
            let _ = err.read_to_end(&mut text);
            text
        });
        let unpacked =
            unpack_tar(&mut out, &redacted(&repository.url), into, &self.settings.unpack);
        // Closed first: git writes no more after an archive that was refused.
        drop(out);
        let status = child.wait().map_err(|e| repository.not_started(&e))?;
        let complaints = complaints.join().unwrap_or_default();
        if !status.success() && unpacked.is_ok() || !complaints.is_empty() && !status.success() {
            let text = String::from_utf8_lossy(&complaints).trim().to_owned();
            return Err(repository.fail(format!("git says: {text}")));
        }
        unpacked
    }

    /// The tracked files of a work tree, if they differ from its commit.
    fn dirty_tree(
        &self,
        repository: &Repository<'_>,
        wanted: &GitRequest,
        expected: Expected<'_>,
    ) -> Result<Option<Fetched>, StoreError> {
        if repository.text(&["rev-parse", "--is-bare-repository"])? == "true" {
            return Ok(None);
        }
        let top = PathBuf::from(repository.text(&["rev-parse", "--show-toplevel"])?);
        let files = self.work_tree(&repository.url, &top, wanted.submodules)?;
        if !files.is_dirty {
            return Ok(None);
        }
        if let Some(path) = files.not_checked_out {
            let path = path.display();
            return Err(repository.fail(format!(
                "the work tree has changes, so its files are taken as they lie, but the submodule '{path}' is not checked out; run 'git submodule update --init --recursive', or give a `rev`"
            )));
        }
        let root = top.clone();
        let tree = FsTree::filtered(top, move |path, kind| {
            let inner = path.strip_prefix(&root).unwrap_or(path);
            Ok(kind != EntryType::Special && files.tracked.contains(inner))
        });
        let fetched = self.add(expected, &tree)?;
        let rev = repository.resolve("HEAD").ok();
        let facts = GitFacts {
            last_modified: match &rev {
                Some(rev) => repository.last_modified(rev)?,
                None => 0,
            },
            rev,
            is_dirty: true,
            n_commits: None,
        };
        Ok(Some(Fetched { git: Some(facts), ..fetched }))
    }
}

fn age(stamp: &Path) -> Duration {
    let modified = std::fs::metadata(stamp).and_then(|m| m.modified());
    modified.ok().and_then(|time| time.elapsed().ok()).unwrap_or(Duration::MAX)
}
