//! What the dynamic loader of the machine does: which headers of a file it reads, and where it searches.

use super::elf::ElfInfo;
use super::facts::Seen;
use super::file_name;
use std::fs;
use std::path::{Path, PathBuf};

/// Headers of an ELF file; `None` for anything else or anything unreadable.
pub(crate) fn read_info(file: &Path) -> Option<ElfInfo> {
    ElfInfo::read(&fs::File::open(file).ok()?).ok()?
}

/// The directories of a file's run path, `$ORIGIN` replaced, that exist.
pub(crate) fn expand_run_path(info: &ElfInfo, file: &Path, seen: &Seen) -> Vec<PathBuf> {
    let Some(run_path) = &info.run_path else { return Vec::new() };
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    String::from_utf8_lossy(run_path)
        .split(':')
        .map(|dir| dir.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
        .filter_map(|dir| {
            seen.look_at(Path::new(&dir));
            fs::canonicalize(dir).ok()
        })
        .collect()
}

/// What `/etc/ld.so.conf` names, then the directories built into the loader.
pub(crate) fn loader_dirs(root: &Path, seen: &Seen) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    read_conf(root, &root.join("etc/ld.so.conf"), 0, &mut dirs, seen);
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    for dir in ["lib/", "usr/lib/"] {
        dirs.push(root.join(format!("{dir}{triple}")));
    }
    dirs.extend(["lib64", "usr/lib64", "lib", "usr/lib"].map(|dir| root.join(dir)));
    dirs.iter().for_each(|dir| seen.look_at(dir));
    let mut real = Vec::new();
    for dir in dirs.into_iter().filter_map(|d| fs::canonicalize(d).ok()) {
        if !real.contains(&dir) {
            real.push(dir);
        }
    }
    real
}

fn read_conf(root: &Path, file: &Path, depth: usize, dirs: &mut Vec<PathBuf>, seen: &Seen) {
    seen.look_at(file);
    let Ok(text) = fs::read_to_string(file) else { return };
    for line in text.lines().map(|l| l.split('#').next().unwrap_or("").trim()) {
        match line.strip_prefix("include ") {
            Some(pattern) if depth < 4 => {
                for file in included(root, pattern.trim(), seen) {
                    read_conf(root, &file, depth + 1, dirs, seen);
                }
            }
            Some(_) => {}
            None if line.starts_with('/') => dirs.push(root.join(&line[1..])),
            None => {}
        }
    }
}

/// Files of `DIR/*SUFFIX`, the only pattern that distributions use, sorted; or the one file.
fn included(root: &Path, pattern: &str, seen: &Seen) -> Vec<PathBuf> {
    let path = root.join(pattern.trim_start_matches('/'));
    let name = file_name(&path);
    let Some(suffix) = name.strip_prefix('*') else { return vec![path] };
    path.parent().into_iter().for_each(|dir| seen.look_at(dir));
    let Some(entries) = path.parent().and_then(|dir| fs::read_dir(dir).ok()) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| file_name(p).ends_with(suffix))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_configuration_is_followed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = fs::canonicalize(dir.path()).expect("exists");
        for made in ["etc/ld.so.conf.d", "opt/lib", "usr/lib", "lib64"] {
            fs::create_dir_all(root.join(made)).expect("made");
        }
        fs::write(root.join("etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n").expect("ok");
        fs::write(root.join("etc/ld.so.conf.d/a.conf"), "# ours\n/opt/lib\n/missing\n")
            .expect("ok");
        fs::write(root.join("etc/ld.so.conf.d/b.txt"), "/usr/lib\n").expect("ok");
        let dirs = loader_dirs(&root, &Seen::default());
        assert_eq!(dirs, ["opt/lib", "lib64", "usr/lib"].map(|d| root.join(d)));
    }
}
