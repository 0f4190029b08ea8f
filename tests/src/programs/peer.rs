//! Asks a real Nix: many programs in one process, a new process after each error.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::answer::{Answer, Mode, class_of};
use crate::bed;

/// A real Nix and the folders that it works in.
pub(crate) struct Peer {
    program: PathBuf,
    /// Its version, such as `2.8.0`.
    pub(crate) version: String,
    root: PathBuf,
    folder: PathBuf,
}

/// Bytes of programs in one call; a system allows some two million.
const MAX_CALL_BYTES: usize = 600_000;
/// Programs in one call.
const MAX_CALL: usize = 500;
/// A string that no program makes.
const MARK: &str = "--- mark between programs ---";

impl Peer {
    /// The Nix that `MINI_NIX_ORACLE` names, else that of the system; it runs in `folder` and keeps what it
    /// must keep below `root`.
    ///
    /// # Errors
    /// There is none; says what to install.
    pub(crate) fn find(root: &Path, folder: &Path) -> Result<Peer, String> {
        let program = std::env::var_os("MINI_NIX_ORACLE").unwrap_or("nix-instantiate".into());
        let mut peer = Peer {
            program: PathBuf::from(program),
            version: String::new(),
            root: root.to_owned(),
            folder: folder.to_owned(),
        };
        let output = bed::run(peer.command().arg("--version"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        peer.version = text.split_whitespace().last().unwrap_or("").to_owned();
        Ok(peer)
    }

    /// A call with nothing of the machine in sight.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(&self.folder)
            .env("HOME", "/fake-home")
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_STORE_DIR", "/nix/store")
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .env("NIX_PATH", "")
            .env("NIX_CONF_DIR", self.root.join("conf"))
            .env("NIX_STATE_DIR", self.root.join("var"))
            .env("NIX_LOG_DIR", self.root.join("log"));
        command
    }

    /// The answers to programs, and what all of them traced.
    ///
    /// # Errors
    /// The peer cannot be run or says something that is not understood.
    pub(crate) fn ask(
        &self,
        programs: &[String],
        mode: Mode,
    ) -> Result<(Vec<Answer>, Vec<String>), String> {
        let mut answers = Vec::new();
        let mut traces = Vec::new();
        while answers.len() < programs.len() {
            let rest = &programs[answers.len()..];
            let mut bytes = 0;
            let fitting = rest.iter().take(MAX_CALL).take_while(|p| {
                bytes += p.len() + MARK.len() + 16;
                bytes < MAX_CALL_BYTES
            });
            let n = fitting.count().max(1);
            let mut command = self.command();
            command.args(mode.options()).arg("-E");
            // A leading minus would be an option.
            // Between programs stands a mark, since an answer may be cut short by an error.
            for program in &rest[..n] {
                command.arg(format!(" {program}")).arg(format!("\"{MARK}\""));
            }
            let output = bed::run(&mut command)?;
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            traces.extend(
                stderr.lines().filter_map(|l| l.strip_prefix("trace: ").map(str::to_owned)),
            );
            let values = split(&output.stdout, mode);
            if values.len() > n {
                return Err(format!("the peer printed {} answers to {n} programs", values.len()));
            }
            let n_values = values.len();
            answers.extend(values.into_iter().map(Answer::Value));
            if output.status.success() {
                if n_values != n {
                    return Err(format!("the peer printed {n_values} answers to {n} programs"));
                }
                continue;
            }
            if n_values == n {
                return Err(format!("the peer failed after its last answer: {stderr}"));
            }
            answers.push(match output.status.code() {
                Some(1) => {
                    let message = message(&stderr);
                    Answer::Error(class_of(&message).to_owned(), message)
                }
                _ => Answer::Crash(format!("{} {stderr}", output.status)),
            });
        }
        Ok((answers, traces))
    }
}

/// The text after the last `error: ` that begins a line and has text, up to the excerpt of the source.
pub(crate) fn message(stderr: &str) -> String {
    let mut start = None;
    let mut at = 0;
    for line in stderr.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().strip_prefix("error:").is_some_and(|text| !text.trim().is_empty()) {
            start = Some(at + indent + "error:".len());
        }
        at += line.len();
    }
    let Some(start) = start else { return stderr.lines().last().unwrap_or("").to_owned() };
    let text = &stderr[start..];
    let end =
        text.find("\n\n       at ").or_else(|| text.find("\n       at ")).unwrap_or(text.len());
    text[..end].trim().to_owned()
}

/// The answers in what was printed: what stands before each mark.
fn split(stdout: &[u8], mode: Mode) -> Vec<Vec<u8>> {
    let mark = match mode {
        Mode::Strict | Mode::Shallow | Mode::Json | Mode::Parse => format!("\"{MARK}\""),
        Mode::Xml => format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <string value=\"{MARK}\" />\n</expr>\n"
        ),
    };
    let mut values = Vec::new();
    let mut rest = stdout;
    while let Some(at) = rest.windows(mark.len()).position(|w| w == mark.as_bytes()) {
        let value = match mode {
            Mode::Xml => &rest[..at],
            // 2.8 writes no line break after JSON, others do; it belongs to the value before.
            Mode::Json => rest[..at].trim_ascii(),
            Mode::Strict | Mode::Shallow | Mode::Parse => rest[..at].trim_ascii_start(),
        };
        let value = match mode {
            Mode::Strict | Mode::Shallow | Mode::Parse => {
                value.strip_suffix(b"\n").unwrap_or(value)
            }
            _ => value,
        };
        values.push(value.to_vec());
        rest = &rest[at + mark.len()..];
    }
    values
}
