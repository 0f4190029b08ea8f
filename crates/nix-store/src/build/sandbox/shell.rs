//! The `/bin/sh` of the sandbox, when the settings name none.
//!
//! A statically linked busybox needs nothing else. Without one it is the host's shell together
//! with its loader and the libraries that it names, found as the loader would find them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRTAB, FileHeader64, PT_LOAD};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::build::settings::SandboxPath;

/// Where programs of the host are looked for.
const PROGRAM_DIRS: &[&str] = &["/bin", "/usr/bin", "/usr/local/bin", "/run/current-system/sw/bin"];
/// Where the loader looks last.
const LIBRARY_DIRS: &[&str] = &["/lib", "/usr/lib", "/lib64", "/usr/lib64"];

/// The paths that make `/bin/sh` work inside a sandbox.
///
/// # Errors
/// A sentence with the remedy, if the host has no usable shell.
pub fn default_shell() -> Result<Vec<SandboxPath>, String> {
    for dir in PROGRAM_DIRS {
        for name in ["busybox", "busybox-static", "busybox.static"] {
            let path = Path::new(dir).join(name);
            if let Some(program) = Program::read(&path)
                && program.interpreter.is_none()
            {
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
    let mut paths = vec![shown("/bin/sh", &shell)];
    paths.extend(needed_files(&shell).iter().map(|path| shown(path, path)));
    Ok(paths)
}

fn shown(target: impl AsRef<Path>, source: &Path) -> SandboxPath {
    SandboxPath { target: target.as_ref().to_owned(), source: source.to_owned(), optional: false }
}

/// The loader and all libraries that a program needs, each under the name by which it is looked
/// for. What cannot be found is left out; the program will say so better than we could.
fn needed_files(program: &Path) -> BTreeSet<PathBuf> {
    let mut dirs: Vec<PathBuf> = configured_dirs();
    dirs.extend(LIBRARY_DIRS.iter().map(PathBuf::from));
    let mut found: BTreeMap<Vec<u8>, PathBuf> = BTreeMap::new();
    let mut files = BTreeSet::new();
    let mut queue = vec![program.to_owned()];
    while let Some(path) = queue.pop() {
        let Some(program) = Program::read(&path) else { continue };
        files.extend(program.interpreter);
        for name in program.needed {
            if found.contains_key(&name) {
                continue;
            }
            let file = OsStr::from_bytes(&name);
            let candidates = program.run_path.iter().chain(&dirs).map(|dir| dir.join(file));
            if let Some(path) = candidates.into_iter().find(|path| path.is_file()) {
                files.insert(path.clone());
                queue.push(path.clone());
                found.insert(name, path);
            }
        }
    }
    files
}

/// The directories of `/etc/ld.so.conf` and the files that it includes.
fn configured_dirs() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/ld.so.conf")];
    let mut included: Vec<PathBuf> = fs::read_dir("/etc/ld.so.conf.d")
        .map(|dir| dir.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    included.sort();
    files.extend(included);
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.iter().filter(|line| line.starts_with('/')).map(PathBuf::from).collect()
}

/// What a program says about how it is loaded.
struct Program {
    interpreter: Option<PathBuf>,
    needed: Vec<Vec<u8>>,
    run_path: Vec<PathBuf>,
}

impl Program {
    /// `None` if the file is not there or not an executable of this machine's form.
    fn read(path: &Path) -> Option<Program> {
        let data = fs::read(path).ok()?;
        let data = data.as_slice();
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let segments = header.program_headers(endian, data).ok()?;
        let mut program = Program { interpreter: None, needed: Vec::new(), run_path: Vec::new() };
        for segment in segments {
            if let Ok(Some(name)) = segment.interpreter(endian, data) {
                program.interpreter = Some(PathBuf::from(OsStr::from_bytes(name)));
            }
        }
        let entries = segments.iter().find_map(|s| s.dynamic(endian, data).ok().flatten());
        let entries = entries.unwrap_or_default();
        let value = |tag: i64| {
            let matching =
                entries.iter().filter(move |entry| i64::from(entry.d_tag(endian)) == tag);
            matching.map(|entry| entry.d_val(endian))
        };
        // Texts are named by address; the segment that holds the address says where in the file.
        let Some(table) = value(DT_STRTAB).next().and_then(|address| {
            segments.iter().filter(|s| s.p_type(endian) == PT_LOAD).find_map(|segment| {
                let at = address.checked_sub(segment.p_vaddr(endian))?;
                let inside = at < segment.p_filesz(endian);
                inside.then(|| segment.p_offset(endian).checked_add(at)).flatten()
            })
        }) else {
            return Some(program);
        };
        let text = |offset: u64| -> Option<&[u8]> {
            let start = usize::try_from(table.checked_add(offset)?).ok()?;
            data.get(start..)?.split(|&byte| byte == 0).next()
        };
        program.needed = value(DT_NEEDED).filter_map(text).map(<[u8]>::to_vec).collect();
        let origin = path.parent().unwrap_or(Path::new("/"));
        for list in value(DT_RPATH).chain(value(DT_RUNPATH)).filter_map(text) {
            for dir in list.split(|&byte| byte == b':') {
                let dir = OsStr::from_bytes(dir);
                program.run_path.push(match Path::new(dir).strip_prefix("$ORIGIN") {
                    Ok(rest) => origin.join(rest),
                    Err(_) => PathBuf::from(dir),
                });
            }
        }
        Some(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_of_the_host_brings_its_loader() {
        let shell = fs::canonicalize("/bin/sh").unwrap();
        let program = Program::read(&shell).unwrap();
        let files = needed_files(&shell);
        match program.interpreter {
            Some(loader) => {
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
