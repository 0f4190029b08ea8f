//! Trees of git repositories, through the `git` program.
//!
//! A repository is not trusted: no system or user configuration, no hooks, no file monitor, a short list of
//! protocols, and neither a reference nor an address can become an option. Repositories elsewhere are
//! mirrored into the cache directory; those of this machine are read where they are. Trees come as archives and
//! are unpacked like any other. Of a work tree with changes, the tracked files are taken as they lie.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix_eval::host::{Fetched, GitFacts, GitRequest};
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::FileMethod;
use rustix::fs::{FlockOperation, flock};

use super::{Expected, Fetcher};
use crate::error::StoreError;
use crate::http::{file_path, redacted, scheme};
use crate::sys::{EntryType, FsTree};
use crate::unpack::unpack_tar;

/// Configuration that is always set; the last word, whatever a repository's own file says.
const CONFIG: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.sshCommand=ssh",
    "core.askPass=",
    "credential.helper=",
    "diff.external=",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "protocol.git.allow=always",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "submodule.recurse=false",
    "tar.umask=0022",
];

/// Where a repository is.
enum Location {
    /// On this machine.
    Here(PathBuf),
    /// An address for `git`.
    There(String),
}

fn locate(url: &str) -> Result<Location, StoreError> {
    let fail = |reason: String| StoreError::Fetch { url: redacted(url), reason };
    if url.starts_with('/') {
        return Ok(Location::Here(PathBuf::from(url)));
    }
    let plain = url.strip_prefix("git+").unwrap_or(url);
    if let Some((_, _)) = plain.split_once("://") {
        return match scheme(plain).as_deref() {
            Some("file") => file_path(plain)
                .map(Location::Here)
                .ok_or_else(|| fail("a file URL has no host: write file:///absolute/path".into())),
            Some("http" | "https" | "ssh" | "git") => Ok(Location::There(plain.to_owned())),
            other => Err(fail(format!(
                "the scheme '{}' is not allowed for git; use https, http, ssh, git or file",
                other.unwrap_or("")
            ))),
        };
    }
    // `user@host:path`, as people write it for ssh. A second colon would be another helper's syntax.
    match plain.split_once(':') {
        Some((host, path))
            if host.contains('@') && !host.starts_with('-') && !path.starts_with(':') =>
        {
            Ok(Location::There(format!("ssh://{host}/{}", path.trim_start_matches('/'))))
        }
        _ => Err(fail("it is neither a URL nor an absolute path".into())),
    }
}

fn check_rev(url: &str, rev: &str) -> Result<(), StoreError> {
    if matches!(rev.len(), 40 | 64) && rev.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    let rev = rev.escape_debug();
    Err(StoreError::Fetch {
        url: redacted(url),
        reason: format!("'{rev}' is not a commit; `rev` needs all 40 hexadecimal digits"),
    })
}

/// The full name of a reference.
fn full_ref(url: &str, name: &str) -> Result<String, StoreError> {
    let bad = name.is_empty()
        || name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || name.ends_with(".lock")
        || ["..", "//", "@{", "/."].iter().any(|part| name.contains(part))
        || name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c));
    if bad {
        return Err(StoreError::Fetch {
            url: redacted(url),
            reason: format!("'{}' is not a name of a git reference", name.escape_debug()),
        });
    }
    Ok(match name {
        "HEAD" => name.to_owned(),
        _ if name.starts_with("refs/") => name.to_owned(),
        _ => format!("refs/heads/{name}"),
    })
}

/// A directory that `git` reads, for one URL.
struct Repository<'a> {
    fetcher: &'a Fetcher,
    url: &'a str,
    dir: PathBuf,
    /// Configuration that names programs and is switched off.
    emptied: Vec<String>,
}

impl<'a> Repository<'a> {
    fn new(fetcher: &'a Fetcher, url: &'a str, dir: PathBuf) -> Repository<'a> {
        Repository { fetcher, url, dir, emptied: Vec::new() }
    }

    /// Switches off the programs that a repository of this machine wants to filter contents with.
    fn without_filters(mut self) -> Result<Self, StoreError> {
        let (_, found, _) =
            self.try_run(&["config", "--null", "--name-only", "--get-regexp", r"^filter\."])?;
        let names = found.split(|&b| b == 0).filter(|name| !name.is_empty());
        self.emptied = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(self)
    }
    fn command(&self) -> Command {
        let mut command = Command::new(&self.fetcher.settings.git);
        command.env_clear().envs(&self.fetcher.settings.git_environment);
        command.envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("LC_ALL", "C"),
        ]);
        // By environment: a name may hold whatever an option could not.
        command.env("GIT_CONFIG_COUNT", self.emptied.len().to_string());
        for (n, name) in self.emptied.iter().enumerate() {
            let value = if name.ends_with(".required") { "false" } else { "" };
            command.env(format!("GIT_CONFIG_KEY_{n}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{n}"), value);
        }
        command.stdin(Stdio::null());
        for setting in CONFIG {
            command.args(["-c", setting]);
        }
        command.arg("-C").arg(&self.dir);
        command
    }

    fn fail(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Fetch { url: redacted(self.url), reason: reason.into() }
    }

    fn not_started(&self, error: &std::io::Error) -> StoreError {
        let git = self.fetcher.settings.git.display();
        self.fail(format!("cannot run '{git}': {error}; install git"))
    }

    /// Output of a command that must succeed.
    fn run(&self, args: &[&str]) -> Result<Vec<u8>, StoreError> {
        let (ok, out, err) = self.try_run(args)?;
        if ok { Ok(out) } else { Err(self.fail(format!("git says: {err}"))) }
    }

    /// Whether a command succeeded, its output, and what it complained about.
    fn try_run(&self, args: &[&str]) -> Result<(bool, Vec<u8>, String), StoreError> {
        let out = self.command().args(args).output().map_err(|e| self.not_started(&e))?;
        let err = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        Ok((out.status.success(), out.stdout, err))
    }

    fn text(&self, args: &[&str]) -> Result<String, StoreError> {
        Ok(String::from_utf8_lossy(&self.run(args)?).trim().to_owned())
    }

    fn has(&self, rev: &str) -> Result<bool, StoreError> {
        Ok(self.try_run(&["cat-file", "-e", &format!("{rev}^{{commit}}")])?.0)
    }

    /// The commit that a full reference leads to.
    fn resolve(&self, reference: &str) -> Result<String, StoreError> {
        let commit = format!("{reference}^{{commit}}");
        let (ok, out, _) =
            self.try_run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])?;
        if !ok {
            return Err(self.fail(format!("the repository has no reference '{reference}'")));
        }
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    fn last_modified(&self, rev: &str) -> Result<i64, StoreError> {
        let text = self.text(&["log", "-1", "--format=%ct", "--no-show-signature", rev, "--"])?;
        text.parse().map_err(|_| self.fail(format!("git gave the unusable time '{text}'")))
    }

    fn n_commits(&self, rev: &str, shallow: bool) -> Result<Option<u64>, StoreError> {
        if shallow {
            return Ok(None);
        }
        if self.text(&["rev-parse", "--is-shallow-repository"])? == "true" {
            return Err(self.fail(
                "it is a shallow repository, so its commits cannot be counted; set `shallow = true`",
            ));
        }
        let text = self.text(&["rev-list", "--count", rev, "--"])?;
        text.parse()
            .map(Some)
            .map_err(|_| self.fail(format!("git gave the unusable count '{text}'")))
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
        match locate(url)? {
            Location::Here(dir) => {
                let repository = Repository::new(self, url, dir);
                if !repository.dir.is_dir() {
                    return Err(repository.fail("there is no such directory"));
                }
                let repository = repository.without_filters()?;
                if wanted.rev.is_none()
                    && reference.is_none()
                    && let Some(dirty) = self.dirty_tree(&repository, expected)?
                {
                    return Ok(dirty);
                }
                let rev = match &wanted.rev {
                    Some(rev) if repository.has(rev)? => rev.to_ascii_lowercase(),
                    Some(rev) => {
                        return Err(repository.fail(format!("the repository has no commit {rev}")));
                    }
                    None => repository.resolve(reference.as_deref().unwrap_or("HEAD"))?,
                };
                self.commit(&repository, &rev, wanted, expected)
            }
            Location::There(address) => {
                self.mirrored(url, &address, reference.as_deref(), wanted, expected)
            }
        }
    }

    /// A repository elsewhere.
    fn mirrored(
        &self,
        url: &str,
        address: &str,
        reference: Option<&str>,
        wanted: &GitRequest,
        expected: Expected<'_>,
    ) -> Result<Fetched, StoreError> {
        let io = |e| StoreError::io("make the cache directory for", url, e);
        let temporary;
        let root = match self.cache.dir_for("git").map_err(io)? {
            Some(root) => root,
            None => {
                temporary = tempfile::tempdir().map_err(io)?;
                temporary.path().to_owned()
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
        self.commit(&mirror, &rev, wanted, expected)
    }

    /// The tree of a commit.
    fn commit(
        &self,
        repository: &Repository<'_>,
        rev: &str,
        wanted: &GitRequest,
        expected: Expected<'_>,
    ) -> Result<Fetched, StoreError> {
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
        let unpacked = unpack_tar(&mut out, &redacted(repository.url), &dir, &self.settings.unpack);
        // Closed first: git writes no more after an archive that was refused.
        drop(out);
        let status = child.wait().map_err(|e| repository.not_started(&e))?;
        let complaints = complaints.join().unwrap_or_default();
        if !status.success() && unpacked.is_ok() || !complaints.is_empty() && !status.success() {
            let text = String::from_utf8_lossy(&complaints).trim().to_owned();
            return Err(repository.fail(format!("git says: {text}")));
        }
        unpacked?;
        let fetched = self.add(expected, &FsTree::new(place.path()))?;
        Ok(Fetched { git: Some(facts), ..fetched })
    }

    /// The tracked files of a work tree, if they differ from its commit.
    fn dirty_tree(
        &self,
        repository: &Repository<'_>,
        expected: Expected<'_>,
    ) -> Result<Option<Fetched>, StoreError> {
        if repository.text(&["rev-parse", "--is-bare-repository"])? == "true" {
            return Ok(None);
        }
        let rev = repository.resolve("HEAD").ok();
        let is_clean = rev.is_some()
            && repository
                .try_run(&[
                    "diff",
                    "--quiet",
                    "--no-ext-diff",
                    "--ignore-submodules=all",
                    "HEAD",
                    "--",
                ])?
                .0;
        if is_clean {
            return Ok(None);
        }
        let top = PathBuf::from(repository.text(&["rev-parse", "--show-toplevel"])?);
        let at_top = Repository::new(self, repository.url, top.clone());
        let listed = at_top.run(&["ls-files", "-z", "--cached"])?;
        let mut wanted = HashSet::new();
        for name in listed.split(|&b| b == 0).filter(|name| !name.is_empty()) {
            let mut path = Path::new(std::ffi::OsStr::from_bytes(name));
            while wanted.insert(path.to_owned()) {
                match path.parent() {
                    Some(parent) if parent != Path::new("") => path = parent,
                    _ => break,
                }
            }
        }
        let root = top.clone();
        let tree = FsTree::filtered(top, move |path, kind| {
            let inner = path.strip_prefix(&root).unwrap_or(path);
            Ok(kind != EntryType::Special && wanted.contains(inner))
        });
        let fetched = self.add(expected, &tree)?;
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
