//! `extraCommands`: the user's shell text, run in the root of the layer.
//!
//! The text is a file of its own and runs in a process of its own, so neither quotes nor `exit`
//! in it can change what is packed. In a build it runs in the sandbox of that build, as the build
//! user; nothing here makes the caller safe from the text.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::layer::tree::Directory;

/// Sets the mode of new files before the text runs, and stops at the first command that fails.
const PRELUDE: &str = "umask 022; set -e; . \"$1\"";

/// How commands are run.
#[derive(Debug, Clone)]
pub struct Shell<'a> {
    /// The shell, `/bin/sh` in a sandbox.
    pub program: &'a Path,
    /// Value of `PATH`.
    pub path: &'a str,
    /// A writable directory for the tree and the text.
    pub scratch: &'a Path,
}

/// Writes the tree to disk, runs the commands in it, and reads it back.
///
/// # Errors
/// [`Error::Commands`] when the shell is missing or a command fails; [`Error::Contents`] when
/// the commands leave a socket, pipe or device.
pub fn run(tree: &Directory, commands: &str, shell: &Shell<'_>) -> Result<Directory, Error> {
    let root = shell.scratch.join("layer");
    fs::create_dir(&root).map_err(Error::io("make", &root))?;
    tree.write(&root)?;
    let script = shell.scratch.join("extra-commands.sh");
    fs::write(&script, commands).map_err(Error::io("write", &script))?;
    let mut command = Command::new(shell.program);
    command
        .args(["-c", PRELUDE, "extraCommands"])
        .arg(&script)
        .current_dir(&root)
        .env("PATH", shell.path)
        .env("PWD", &root)
        .stdin(Stdio::null());
    let status = command.status().map_err(|error| {
        Error::Commands(format!(
            "extraCommands need the shell {}, which cannot be started: {error}; in a sandbox it \
             comes from the setting sandbox-paths",
            shell.program.display()
        ))
    })?;
    if !status.success() {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown status".to_owned(),
        };
        return Err(Error::Commands(format!(
            "extraCommands failed with {how}; what they printed is in the log above"
        )));
    }
    Directory::read(&root)
}
