//! The `/bin/sh` of the sandbox, when the settings name none.
//!
//! A statically linked busybox needs nothing else. Without one it is the host's shell together
//! with its loader and the libraries that it names, found as the loader would find them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::build::settings::SandboxPath;
use crate::host_tools::facts::Seen;
use crate::host_tools::loader::{expand_run_path, loader_dirs, read_info};

/// Where programs of the host are looked for.
const PROGRAM_DIRS: &[&str] = &["/bin", "/usr/bin", "/usr/local/bin", "/run/current-system/sw/bin"];

/// The paths that make `/bin/sh` work inside a sandbox.
///
/// # Errors
/// A sentence with the remedy, if the host has no usable shell.
pub fn default_shell() -> Result<Vec<SandboxPath>, String> {
    for dir in PROGRAM_DIRS {
        for name in ["busybox", "busybox-static", "busybox.static"] {
            let path = Path::new(dir).join(name);
            if read_info(&path).is_some_and(|info| info.interpreter.is_none()) {
                return Ok(vec![shown("/bin/sh", &path)]);
            }
        }
    }
    let shell = fs::canonicalize("/bin/sh").map_err(|error| {
        format!(
            "there is no shell for the sandbox ('/bin/sh': {error}); install a statically linked \
             busybox, or name one with `--option sandbox-paths /bin/sh=PATH`"
        )
    })?;
    let mut paths = with_libraries(&shell);
    paths[0].target = PathBuf::from("/bin/sh");
    Ok(paths)
}

/// A program of the host, first, then its loader and the libraries that it needs, all at the
/// places where they are on the host.
pub fn with_libraries(program: &Path) -> Vec<SandboxPath> {
    let needed = needed_files(program);
    [program]
        .into_iter()
        .chain(needed.iter().map(PathBuf::as_path))
        .map(|path| shown(path, path))
        .collect()
}

fn shown(target: impl AsRef<Path>, source: &Path) -> SandboxPath {
    SandboxPath { target: target.as_ref().to_owned(), source: source.to_owned(), optional: false }
}

/// The loader and all libraries that a program needs, each under the name by which it is looked
/// for. What cannot be found is left out; the program will say so better than we could.
fn needed_files(program: &Path) -> BTreeSet<PathBuf> {
    let seen = Seen::default();
    let dirs = loader_dirs(Path::new("/"), &seen);
    let mut found: BTreeMap<Vec<u8>, PathBuf> = BTreeMap::new();
    let mut files = BTreeSet::new();
    let mut queue = vec![program.to_owned()];
    while let Some(path) = queue.pop() {
        let Some(info) = read_info(&path) else { continue };
        files.extend(info.interpreter.as_ref().map(|name| PathBuf::from(OsStr::from_bytes(name))));
        let run_path = expand_run_path(&info, &path, &seen);
        for name in info.needed {
            if found.contains_key(&name) {
                continue;
            }
            let file = OsStr::from_bytes(&name);
            let mut candidates = run_path.iter().chain(&dirs).map(|dir| dir.join(file));
            if let Some(path) = candidates.find(|path| path.is_file()) {
                files.insert(path.clone());
                queue.push(path.clone());
                found.insert(name, path);
            }
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_the_host_brings_its_loader() {
        let shell = fs::canonicalize("/bin/sh").unwrap();
        let info = read_info(&shell).unwrap();
        let files = needed_files(&shell);
        match info.interpreter {
            Some(loader) => {
                let loader = PathBuf::from(OsStr::from_bytes(&loader));
                assert!(files.contains(&loader), "{files:?}");
                assert!(files.len() > 1, "a dynamic program without libraries: {files:?}");
            }
            None => assert!(files.is_empty(), "{files:?}"),
        }
    }

    #[test]
    fn some_shell_is_found() {
        let paths = default_shell().unwrap();
        assert_eq!(paths[0].target, Path::new("/bin/sh"));
        assert!(paths[0].source.is_file());
    }
}
