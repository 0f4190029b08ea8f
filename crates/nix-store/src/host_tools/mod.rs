//! The machine's own tools, as facts: what nixlib knows about the host while evaluating.
//!
//! Nothing is copied or written here. Each answer is data from which nixlib makes ordinary
//! derivations (`builtin:host-libs`, `builtin:host-program`) that carry these facts in their
//! environment, so that another machine state is another derivation. Looked at is a fixed search
//! path, never the user's `PATH`.
//!
//! Trap: sizes and package versions stand for the contents of files that a package owns; only
//! files that nobody owns are hashed. Reading a compiler's 200 MB on every evaluation would be
//! honest too, but nobody would wait for it.

mod builtin;
pub mod elf;
pub(crate) mod facts;
pub mod libraries;
pub(crate) mod loader;
mod memo;
pub mod packages;
mod query;
pub(crate) mod trees;

pub use builtin::BUILTINS;

use facts::Seen;
use memo::Memo;
use nix_formats::hash::{Hash, HashAlgo};
use packages::{Package, Packages};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Directories that are searched for tools, in order.
pub const DEFAULT_TOOL_PATH: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// What nixlib's derivations may ask to see of the machine (`__impureHostDeps`): the default of the
/// setting `allowed-impure-host-deps`.
pub const DEFAULT_HOST_TREES: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
];

/// Answers questions about one machine and remembers what it has read.
#[derive(Debug)]
pub struct HostTools {
    tool_path: Vec<PathBuf>,
    packages: Packages,
    memo: Memo,
    /// What was looked at, and what was asked.
    seen: Arc<Seen>,
}

impl Default for HostTools {
    fn default() -> HostTools {
        HostTools::new(DEFAULT_TOOL_PATH.iter().map(PathBuf::from).collect())
    }
}

/// A tool of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Where it was found, for example `/usr/bin/gcc`.
    pub path: PathBuf,
    /// The file behind all links, for example `/usr/bin/x86_64-linux-gnu-gcc-12`.
    pub real: PathBuf,
    /// Who owns the real file, if the database knows.
    pub package: Option<Package>,
}

/// A file that a derivation is to copy, or a link that it is to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// The file on the machine; empty for links.
    pub from: PathBuf,
    /// Target of a link, relative to its directory.
    pub link: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hash of the contents, for files that no package owns.
    pub hash: Option<Hash>,
}

impl HostFile {
    /// The facts about the real file `from`; `hashed` reads its contents.
    ///
    /// # Errors
    /// A sentence, if it cannot be read.
    fn copy(from: &Path, hashed: bool) -> Result<HostFile, String> {
        let failed = |error| format!("cannot read '{}': {error}", from.display());
        let size_bytes = fs::metadata(from).map_err(failed)?.len();
        let hash = match hashed {
            true => Some(Hash::of(HashAlgo::Sha256, fs::read(from).map_err(failed)?)),
            false => None,
        };
        Ok(HostFile { from: from.to_owned(), link: None, size_bytes, hash })
    }

    fn link(target: &str) -> HostFile {
        HostFile { from: PathBuf::new(), link: Some(target.to_owned()), size_bytes: 0, hash: None }
    }
}

impl HostTools {
    /// Searches tools in the directories `tool_path`. Reads nothing yet.
    pub fn new(tool_path: Vec<PathBuf>) -> HostTools {
        let seen = Arc::new(Seen::default());
        let packages = Packages::new(Path::new("/"), seen.clone());
        HostTools { tool_path, packages, memo: Memo::new(seen.clone()), seen }
    }

    /// The first executable file called `name` on the search path. `guesses` are the packages that
    /// probably own it. An absolute `name` is taken as it is.
    pub fn tool(&self, name: &str, guesses: &[String]) -> Option<Tool> {
        let (path, real) = self.find(name)?;
        let mut all = guesses.to_vec();
        let real_name = file_name(&real);
        // `x86_64-linux-gnu-gcc-12` is of the package `gcc-12`.
        let triple = format!("{}-linux-gnu-", std::env::consts::ARCH);
        all.extend(real_name.strip_prefix(&triple).map(str::to_owned));
        all.extend([real_name, name.to_owned()]);
        let package = self.packages.owner(&real.to_string_lossy(), &all);
        Some(Tool { path, real, package })
    }

    fn find(&self, name: &str) -> Option<(PathBuf, PathBuf)> {
        let candidates: Vec<PathBuf> = if name.starts_with('/') {
            vec![PathBuf::from(name)]
        } else if name.is_empty() || name.contains('/') {
            return None;
        } else {
            self.tool_path.iter().map(|dir| dir.join(name)).collect()
        };
        candidates.into_iter().find_map(|path| {
            let real = self.memo.resolve_link(&path)?;
            let mode = fs::metadata(&real).ok()?.permissions().mode();
            (mode & 0o111 != 0).then_some((path, real))
        })
    }
}

/// The last part of a path as text.
fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_executable_on_the_path_wins() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = fs::canonicalize(dir.path()).expect("exists");
        for sub in ["a", "b"] {
            fs::create_dir(root.join(sub)).expect("made");
            fs::write(root.join(sub).join("tool"), "#!/bin/sh\n").expect("written");
        }
        fs::set_permissions(root.join("b/tool"), fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::symlink("tool", root.join("b/alias")).expect("linked");
        let tools = HostTools::new(vec![root.join("a"), root.join("b")]);
        let found = tools.tool("alias", &[]).expect("found");
        assert_eq!((found.path, found.real), (root.join("b/alias"), root.join("b/tool")));
        assert_eq!(tools.tool("tool", &[]).expect("found").path, root.join("b/tool"));
        assert_eq!(tools.tool("missing", &[]), None);
        assert_eq!(tools.tool("../b/tool", &[]), None);
    }
}
