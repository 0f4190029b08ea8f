//! What the results of an evaluation depend on.

use std::collections::BTreeSet;

use nix_formats::hash::{Hash, HashAlgo};
use serde::{Deserialize, Serialize};

use super::{Addition, FileType, Host, HostCx, NixPath};

/// A question to a host and what it answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Input {
    /// Contents of a file: SHA-256 in base 16.
    File(InputPath, String),
    /// What lies at a path, as `readDir` names it; `None` if nothing does. `link` says that a final link was
    /// not followed.
    Exists {
        /// Where.
        path: InputPath,
        /// Whether the question was about a link itself.
        link: bool,
        /// What the host said.
        found: Option<String>,
    },
    /// A directory's names and types: SHA-256 in base 16.
    Directory(InputPath, String),
    /// Where a link points.
    Link(InputPath, InputPath),
    /// An environment variable: SHA-256 of its value in base 16, because values may be secret.
    Environment(String, Option<String>),
    /// The clock.
    Clock(Option<i64>),
    /// The system name.
    System(Option<String>),
    /// Something fetched: URL, and the hash of what came.
    Fetch(String, String),
    /// Something built during evaluation.
    Build(String),
    /// A tree that is copied to the store: where it lies, its name, and the store path.
    Tree(InputPath, String, String),
    /// Whether the store has an object, by its full path.
    Object(String, bool),
    /// Seconds since 1970 until which something counts that may change elsewhere.
    Until(u64),
    /// An answer that cannot be asked for again without evaluating: what was asked.
    Once(String),
    /// Something that a builtin of the embedder depends on: what it is, and its state.
    External(String, String),
}

impl Input {
    /// Something that only the embedder knows how to look up: what it is, and the state it was found in.
    pub fn external(what: impl Into<String>, state: impl Into<String>) -> Input {
        Input::External(what.into(), state.into())
    }
}

/// Bytes of a path as text: UTF-8 as it is; other bytes as `\xhh`, and `\` as `\\`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputPath(String);

impl InputPath {
    pub(super) fn new(path: &NixPath) -> InputPath {
        InputPath::of_bytes(&path.text)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> InputPath {
        let mut text = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            text += &chunk.valid().replace('\\', "\\\\");
            for byte in chunk.invalid() {
                text += &format!("\\x{byte:02x}");
            }
        }
        InputPath(text)
    }

    /// From the text of another.
    pub(crate) fn from_text(text: String) -> InputPath {
        InputPath(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to_path(&self) -> NixPath {
        let bytes = self.0.as_bytes();
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let hex = bytes.get(at + 2..at + 4).and_then(|hex| std::str::from_utf8(hex).ok());
            match (bytes[at], bytes.get(at + 1), hex) {
                (b'\\', Some(b'x'), Some(hex)) if u8::from_str_radix(hex, 16).is_ok() => {
                    out.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
                    at += 4;
                }
                (b'\\', Some(b'\\'), _) => {
                    out.push(b'\\');
                    at += 2;
                }
                (byte, _, _) => {
                    out.push(byte);
                    at += 1;
                }
            }
        }
        NixPath::root(crate::value::canonicalise(&out))
    }
}

impl std::fmt::Display for InputPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that the results of an evaluation depend on, in order of kind and path.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(pub BTreeSet<Input>);

/// Whether results may be used again.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Freshness {
    /// Every question would be answered as it was.
    Fresh,
    /// These inputs have changed, or cannot be asked for again without evaluating.
    Stale(Vec<Input>),
}

impl Inputs {
    /// Asks every question again and compares the answers. Nothing is evaluated, built or fetched: what was
    /// built or fetched, and what builtins of the embedder depend on, counts as unchanged; look for
    /// [`Input::Fetch`], [`Input::Build`] and [`Input::External`] if that is not enough. [`Input::Once`] counts as
    /// changed.
    pub fn check(&self, host: &dyn Host) -> Freshness {
        let cx = HostCx::default();
        let changed: Vec<Input> =
            self.0.iter().filter(|input| !input.is_unchanged(host, &cx)).cloned().collect();
        if changed.is_empty() { Freshness::Fresh } else { Freshness::Stale(changed) }
    }

    /// The inputs of one side only: those that only `self` has, and those that only `other` has.
    pub fn difference(&self, other: &Inputs) -> (Vec<Input>, Vec<Input>) {
        (
            self.0.difference(&other.0).cloned().collect(),
            other.0.difference(&self.0).cloned().collect(),
        )
    }
}

impl Input {
    pub(crate) fn is_unchanged(&self, host: &dyn Host, cx: &HostCx) -> bool {
        match self {
            Input::File(path, digest) => {
                host.read_file(&path.to_path(), cx).is_ok_and(|text| sha256(&text) == *digest)
            }
            Input::Exists { path, link, found } => {
                let now = host.metadata(&path.to_path(), !link, cx);
                now.is_ok_and(|now| now.map(|m| m.file_type.name()) == found.as_deref())
            }
            Input::Directory(path, digest) => host
                .read_dir(&path.to_path(), cx)
                .is_ok_and(|entries| digest_entries(&entries) == *digest),
            Input::Link(path, target) => host
                .read_link(&path.to_path(), cx)
                .is_ok_and(|now| InputPath::of_bytes(&now) == *target),
            Input::Environment(name, value) => {
                host.environment(name).map(|value| sha256(&value)) == *value
            }
            Input::Clock(time) => host.now() == *time,
            Input::System(system) => host.system() == *system,
            Input::Tree(path, name, stored) => {
                let path = path.to_path();
                let now = host.would_add(&Addition { name, path: &path }, cx);
                now.is_ok_and(|now| host.store_dir().display(&now) == *stored)
            }
            Input::Object(path, valid) => host
                .store_dir()
                .parse(path)
                .is_ok_and(|path| host.is_valid(&path).is_ok_and(|now| now == *valid)),
            Input::Until(seconds) => unix_seconds() < *seconds,
            Input::Once(_) => false,
            Input::Fetch(..) | Input::Build(_) | Input::External(..) => true,
        }
    }
}

fn unix_seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs())
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Hash::of(HashAlgo::Sha256, bytes).to_base16()
}

pub(super) fn digest_entries(entries: &[(Vec<u8>, FileType)]) -> String {
    let mut text = Vec::new();
    for (name, kind) in entries {
        text.extend_from_slice(name);
        text.push(0);
        text.extend_from_slice(kind.name().as_bytes());
        text.push(0);
    }
    sha256(&text)
}
