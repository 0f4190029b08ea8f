//! `git` as it reads one directory.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Fetcher;
use crate::error::StoreError;
use crate::http::redacted;

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

/// A directory that `git` reads, for one URL.
pub(super) struct Repository<'a> {
    fetcher: &'a Fetcher,
    /// What messages call it.
    pub(super) url: String,
    /// The work tree, or the repository itself if it is bare.
    pub(super) dir: PathBuf,
    /// Configuration that names programs and is switched off.
    emptied: Vec<String>,
}

impl<'a> Repository<'a> {
    pub(super) fn new(fetcher: &'a Fetcher, url: &str, dir: PathBuf) -> Repository<'a> {
        Repository { fetcher, url: url.to_owned(), dir, emptied: Vec::new() }
    }

    /// Switches off the programs that a repository of this machine wants to filter contents with.
    pub(super) fn without_filters(mut self) -> Result<Self, StoreError> {
        let (_, found, _) =
            self.try_run(&["config", "--null", "--name-only", "--get-regexp", r"^filter\."])?;
        let names = found.split(|&b| b == 0).filter(|name| !name.is_empty());
        self.emptied = names.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(self)
    }

    /// `git` in this repository, told to run nothing else.
    pub(super) fn command(&self) -> Command {
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

    pub(super) fn fail(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Fetch { url: redacted(&self.url), reason: reason.into() }
    }

    /// That the program itself is missing.
    pub(super) fn not_started(&self, error: &std::io::Error) -> StoreError {
        let git = self.fetcher.settings.git.display();
        self.fail(format!("cannot run '{git}': {error}; install git"))
    }

    /// Output of a command that must succeed.
    pub(super) fn run(&self, args: &[&str]) -> Result<Vec<u8>, StoreError> {
        let (ok, out, err) = self.try_run(args)?;
        if ok { Ok(out) } else { Err(self.fail(format!("git says: {err}"))) }
    }

    /// Whether a command succeeded, its output, and what it complained about.
    pub(super) fn try_run(&self, args: &[&str]) -> Result<(bool, Vec<u8>, String), StoreError> {
        let out = self.command().args(args).output().map_err(|e| self.not_started(&e))?;
        let err = String::from_utf8_lossy(&out.stderr).trim().to_owned();
        Ok((out.status.success(), out.stdout, err))
    }

    /// Output of a command that must succeed, without spaces around it.
    pub(super) fn text(&self, args: &[&str]) -> Result<String, StoreError> {
        Ok(String::from_utf8_lossy(&self.run(args)?).trim().to_owned())
    }

    /// Whether a commit is there.
    pub(super) fn has(&self, rev: &str) -> Result<bool, StoreError> {
        Ok(self.try_run(&["cat-file", "-e", &format!("{rev}^{{commit}}")])?.0)
    }

    /// The commit that a full reference leads to.
    pub(super) fn resolve(&self, reference: &str) -> Result<String, StoreError> {
        let commit = format!("{reference}^{{commit}}");
        let (ok, out, _) =
            self.try_run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])?;
        if !ok {
            return Err(self.fail(format!("the repository has no reference '{reference}'")));
        }
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    pub(super) fn last_modified(&self, rev: &str) -> Result<i64, StoreError> {
        let text = self.text(&["log", "-1", "--format=%ct", "--no-show-signature", rev, "--"])?;
        text.parse().map_err(|_| self.fail(format!("git gave the unusable time '{text}'")))
    }

    pub(super) fn n_commits(&self, rev: &str, shallow: bool) -> Result<Option<u64>, StoreError> {
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
