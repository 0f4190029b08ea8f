//! A store of its own in a scratch folder, and calls that use it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::bed::{self, Bed};

/// A scratch folder with a store; both go when it is dropped.
pub(crate) struct Scratch {
    bed: Bed,
    dir: tempfile::TempDir,
    root: PathBuf,
}

impl Scratch {
    /// Makes the folder; the store is made by the first call that needs it.
    pub(crate) fn new(bed: Bed) -> Result<Scratch, String> {
        let dir = tempfile::tempdir().map_err(|e| format!("cannot make a scratch folder: {e}"))?;
        let root = std::fs::canonicalize(dir.path()).map_err(|e| e.to_string())?;
        Ok(Scratch { bed, dir, root })
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The root of the store: its `/nix/store` is below.
    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Where the files of a store path are.
    pub(crate) fn real(&self, path: &str) -> PathBuf {
        self.store().join(path.trim_start_matches('/'))
    }

    /// Writes a file in the folder, making the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path(name);
        let parent = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|e| format!("cannot write '{}': {e}", path.display()))?;
        Ok(path)
    }

    /// A call of `mini-nix-NAME` on the store, in the folder, which also has the caches.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = self.bed.command(name);
        command.arg("--store").arg(self.store()).current_dir(&self.root);
        command.env_remove("NIX_CONFIG").env("XDG_CACHE_HOME", self.path("cache"));
        // The machine's settings, such as no sandbox, are not those of the tests.
        command.env("NIX_CONF_DIR", self.path("conf"));
        command
    }

    /// A call of a program of C++ Nix on the same store.
    pub(crate) fn peer(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).current_dir(&self.root);
        // Without the group of builders it would warn of, in every call.
        command.env("NIX_CONFIG", "build-users-group =");
        command.arg("--store").arg(self.store());
        command
    }

    /// `mini-nix-build` with these words; gives what it printed on stdout and on stderr.
    ///
    /// # Errors
    /// What it said, if it failed.
    pub(crate) fn build<S: AsRef<OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Built, String> {
        let mut command = self.command("build");
        command.args(words);
        Built::of(&mut command)
    }

    /// What `nix-store --verify --check-contents` of C++ Nix and our own find: nothing, or the error.
    pub(crate) fn verify(&self) -> Result<(), String> {
        for command in [&mut self.peer("nix-store"), &mut self.command("store")] {
            let output = bed::run(command.args(["--verify", "--check-contents"]))?;
            let text = String::from_utf8_lossy(&output.stderr);
            let complains = ["error", "warning", "disappeared", "modified", "not in the database"];
            if !output.status.success() || complains.iter().any(|word| text.contains(word)) {
                return Err(format!("{command:?}: {text}"));
            }
        }
        Ok(())
    }

    /// Keeps the folder and gives its place, for a look at a failure.
    #[expect(dead_code, reason = "for whoever looks into a failing case")]
    pub(crate) fn keep(self) -> PathBuf {
        self.dir.keep()
    }
}

/// What a build printed.
pub(crate) struct Built {
    /// The last line of stdout: the output path.
    pub(crate) path: String,
    /// Progress and logs.
    pub(crate) stderr: String,
}

impl Built {
    /// Runs a build.
    ///
    /// # Errors
    /// What it said, if it failed or printed other than store paths on stdout.
    pub(crate) fn of(command: &mut Command) -> Result<Built, String> {
        let output = bed::run(command)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !stdout.lines().all(|line| line.starts_with("/nix/store/")) {
            return Err(format!("{command:?} ({}):\n{stdout}{stderr}", output.status));
        }
        let path = stdout.lines().last().unwrap_or_default().to_owned();
        Ok(Built { path, stderr })
    }

    /// The names of what was built, without the hash part and `.drv`.
    pub(crate) fn names(&self) -> Vec<String> {
        let built =
            self.stderr.lines().filter_map(|line| line.strip_prefix("building '/nix/store/"));
        let name = |rest: &str| Some(rest.get(33..)?.strip_suffix(".drv'...")?.to_owned());
        built.filter_map(name).collect()
    }
}

/// Runs a command that has to succeed; gives its stdout.
///
/// # Errors
/// What it said.
pub(crate) fn succeed(command: &mut Command) -> Result<String, String> {
    let output = bed::run(command)?;
    text_of(command, &output)
}

fn text_of(command: &Command, output: &Output) -> Result<String, String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ({}):\n{stdout}{stderr}", output.status))
}

/// An error with both sides, unless they are equal.
///
/// # Errors
/// They differ.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    wanted: T,
) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}:\n  wanted {wanted:?}\n  got    {got:?}"))
    }
}

/// An error with the text, unless it contains all these.
///
/// # Errors
/// One is missing.
pub(crate) fn has(text: &str, wanted: &[&str]) -> Result<(), String> {
    match wanted.iter().find(|part| !text.contains(**part)) {
        Some(missing) => Err(format!("'{missing}' is not in:\n{text}")),
        None => Ok(()),
    }
}
