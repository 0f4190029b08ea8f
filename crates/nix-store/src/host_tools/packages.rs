//! The distribution's package database: which package owns a file, and in which version.
//!
//! Read without running anything. dpkg keeps one list of files a package
//! (`/var/lib/dpkg/info/NAME[:ARCH].list`); names guessed from the file (`libtinfo.so.6` →
//! `libtinfo6`) are tried first, and only a miss reads all lists, once. apk keeps one text file.
//! Other databases (rpm's) are not read; there, callers fall back to hashes of files.
//!
//! Trap: with a merged `/usr` the lists say `/bin/bash` for what is `/usr/bin/bash`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::facts::Seen;

/// A package of the distribution that owns files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The package's name without architecture.
    pub name: String,
    /// The whole version, as the distribution writes it (`2.36-9+deb12u10`).
    pub version: String,
}

/// The database of one machine, read on demand and kept.
#[derive(Debug)]
pub struct Packages {
    /// The directory that is the machine's `/`.
    root: PathBuf,
    versions: OnceLock<HashMap<String, String>>,
    owners: OnceLock<Owners>,
    /// Lists that were read; few, and asked for again and again.
    lists: Mutex<HashMap<String, Option<Arc<str>>>>,
    seen: Arc<Seen>,
}

/// File → package, for programs and shared libraries.
#[derive(Debug, Default)]
struct Owners {
    by_file: HashMap<Vec<u8>, u32>,
    /// dpkg: base name of the list without `.list`; apk: name of the package.
    names: Vec<String>,
    /// Files of each package, apk only (dpkg's are read from the list when asked for).
    files: HashMap<u32, Vec<String>>,
    versions: HashMap<String, String>,
}

impl Packages {
    /// The database below `root`. Nothing is read yet; what is read is noted in `seen`.
    pub(crate) fn new(root: &Path, seen: Arc<Seen>) -> Packages {
        Packages {
            root: root.to_owned(),
            versions: OnceLock::new(),
            owners: OnceLock::new(),
            lists: Mutex::default(),
            seen,
        }
    }

    /// The package that owns the file `path` (absolute, without symbolic links). `guesses` are
    /// package names to try first.
    pub fn owner(&self, path: &str, guesses: &[String]) -> Option<Package> {
        let list = self.owner_list(path, guesses)?;
        let name = list.split(':').next().unwrap_or(&list).to_owned();
        let version = self.version(&list)?;
        Some(Package { name, version })
    }

    /// All files of the package that owns `path`; empty if nobody does.
    pub fn files_beside(&self, path: &str, guesses: &[String]) -> Vec<String> {
        let Some(list) = self.owner_list(path, guesses) else { return Vec::new() };
        match self.read_list(&list) {
            Some(text) => text.lines().map(str::to_owned).collect(),
            None => {
                let owners = self.owners();
                let index = owners.names.iter().position(|n| *n == list);
                index.and_then(|i| owners.files.get(&(i as u32)).cloned()).unwrap_or_default()
            }
        }
    }

    fn info_dir(&self) -> PathBuf {
        self.root.join("var/lib/dpkg/info")
    }

    fn read_list(&self, list: &str) -> Option<Arc<str>> {
        let read = || {
            let place = self.info_dir().join(format!("{list}.list"));
            self.seen.look_at(&place);
            let bytes = fs::read(place).ok()?;
            Some(Arc::from(String::from_utf8_lossy(&bytes)))
        };
        // A panic elsewhere leaves the lists whole: they are only added to.
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.entry(list.to_owned()).or_insert_with(read).clone()
    }

    fn owner_list(&self, path: &str, guesses: &[String]) -> Option<String> {
        for guess in guesses.iter().filter(|g| is_package_name(g)) {
            for list in [guess.clone(), format!("{guess}:{}", architecture())] {
                let Some(text) = self.read_list(&list) else { continue };
                if text.lines().any(|line| spellings(path).any(|p| p == line)) {
                    return Some(list);
                }
            }
        }
        // Files of one package are asked for together, under names that do not tell it.
        let known = self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut known: Vec<_> =
            known.into_iter().filter_map(|(list, text)| Some((list, text?))).collect();
        known.sort();
        for (list, text) in known {
            if text.lines().any(|line| spellings(path).any(|p| p == line)) {
                return Some(list);
            }
        }
        let owners = self.owners();
        let index = spellings(path).find_map(|p| owners.by_file.get(p.as_bytes()))?;
        owners.names.get(*index as usize).cloned()
    }

    fn owners(&self) -> &Owners {
        self.owners.get_or_init(|| {
            let apk = self.root.join("lib/apk/db/installed");
            self.seen.look_at(&apk);
            match fs::read(apk) {
                Ok(bytes) => read_apk(&String::from_utf8_lossy(&bytes)),
                Err(_) => self.read_dpkg(),
            }
        })
    }

    fn read_dpkg(&self) -> Owners {
        let mut owners = Owners::default();
        // dpkg replaces its lists, which changes the directory.
        self.seen.look_at(&self.info_dir());
        let Ok(entries) = fs::read_dir(self.info_dir()) else { return owners };
        let mut names: Vec<String> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".list").map(str::to_owned))
            .collect();
        names.sort();
        for (index, name) in names.iter().enumerate() {
            let Ok(text) = fs::read(self.info_dir().join(format!("{name}.list"))) else { continue };
            for line in text.split(|b| *b == b'\n').filter(|line| is_interesting(line)) {
                owners.by_file.entry(line.to_vec()).or_insert(index as u32);
            }
        }
        owners.names = names;
        owners
    }

    fn version(&self, list: &str) -> Option<String> {
        let versions = self.versions.get_or_init(|| {
            let status = self.root.join("var/lib/dpkg/status");
            self.seen.look_at(&status);
            let status = fs::read(status).unwrap_or_default();
            read_status(&String::from_utf8_lossy(&status))
        });
        // Packages that are not `Multi-Arch: same` have lists without architecture.
        let name = list.split(':').next().unwrap_or(list);
        versions
            .get(list)
            .or_else(|| versions.get(name))
            .or_else(|| self.owners.get().and_then(|o| o.versions.get(name)))
            .cloned()
    }
}

/// `name` and `name:arch` → version, of the installed packages in dpkg's status file.
fn read_status(text: &str) -> HashMap<String, String> {
    let mut versions = HashMap::new();
    for stanza in text.split("\n\n") {
        let field =
            |key: &str| stanza.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        if !field("Status").is_some_and(|s| s.ends_with(" installed")) {
            continue;
        }
        if let Some(arch) = field("Architecture") {
            versions.insert(format!("{name}:{arch}"), version.to_owned());
            if arch != architecture() && versions.contains_key(name) {
                continue;
            }
        }
        versions.insert(name.to_owned(), version.to_owned());
    }
    versions
}

/// Stanzas of `P:` name, `V:` version, `F:` directory, `R:` file in the last directory.
fn read_apk(text: &str) -> Owners {
    let mut owners = Owners::default();
    let mut dir = "";
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key {
            "P" => owners.names.push(value.to_owned()),
            "V" => {
                if let Some(name) = owners.names.last() {
                    owners.versions.insert(name.clone(), value.to_owned());
                }
            }
            "F" => dir = value,
            "R" if !owners.names.is_empty() => {
                let index = (owners.names.len() - 1) as u32;
                let path = format!("/{dir}/{value}");
                owners.by_file.insert(path.clone().into_bytes(), index);
                owners.files.entry(index).or_default().push(path);
            }
            _ => {}
        }
    }
    owners
}

/// The ways in which a database may spell a path: with `/usr`, and without.
fn spellings(path: &str) -> impl Iterator<Item = &str> {
    [Some(path), path.strip_prefix("/usr").filter(|p| p.starts_with('/'))].into_iter().flatten()
}

/// Programs and libraries are the only files whose owner anybody asks for.
fn is_interesting(line: &[u8]) -> bool {
    let Some(slash) = line.iter().rposition(|b| *b == b'/') else { return false };
    let (dir, name) = (&line[..slash], &line[slash..]);
    dir.ends_with(b"bin")
        || name.windows(3).any(|w| w == b".so")
        || dir.windows(4).any(|w| w == b"/lib") && !dir.windows(7).any(|w| w == b"/share/")
}

/// Whether a text may be put into a file name below dpkg's directory.
fn is_package_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
        && !text.starts_with('.')
}

/// dpkg's name for the architecture of this program.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        other => other,
    }
}

/// Package names that a library's file name suggests: Debian names the package after the soname.
pub fn guesses_for_library(file_name: &str) -> Vec<String> {
    let Some((stem, version)) = file_name.split_once(".so") else { return Vec::new() };
    let mut parts = version.trim_start_matches('.').split('.');
    let (major, minor) = (parts.next().unwrap_or(""), parts.next());
    let stem = stem.to_lowercase().replace('_', "-");
    let joint = if stem.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    let mut guesses = vec![format!("{stem}{joint}{major}")];
    match stem.as_str() {
        "libgcc-s" => guesses.insert(0, "libgcc-s1".to_owned()),
        "libz" => guesses.insert(0, "zlib1g".to_owned()),
        "libcrypto" | "libssl" => guesses.insert(0, format!("libssl{major}")),
        "ld-linux-x86-64" | "ld-linux-aarch64" | "libm" | "libdl" | "libpthread" | "librt"
        | "libresolv" | "libutil" | "libnsl" => guesses.insert(0, "libc6".to_owned()),
        _ => {}
    }
    if let Some(minor) = minor {
        // `libbz2.so.1.0` is of `libbz2-1.0`.
        guesses.push(format!("{stem}{joint}{major}.{minor}"));
    }
    if let Some(short) = stem.strip_suffix('w') {
        guesses.push(format!("{short}w{major}"));
    }
    guesses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(lists: &[(&str, &str)], status: &str) -> (tempfile::TempDir, Packages) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let info = dir.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).expect("made");
        for (name, text) in lists {
            fs::write(info.join(format!("{name}.list")), text).expect("written");
        }
        fs::write(dir.path().join("var/lib/dpkg/status"), status).expect("written");
        let packages = Packages::new(dir.path(), Arc::default());
        (dir, packages)
    }

    #[test]
    fn the_owner_is_found_by_guess_and_by_search() {
        let arch = architecture();
        let (_dir, packages) = machine(
            &[
                ("bash", "/.\n/bin\n/bin/bash\n"),
                (&format!("zlib1g:{arch}"), "/usr/lib/libz.so.1\n"),
                ("removed", "/usr/bin/gone\n"),
            ],
            &format!(
                "Package: bash\nStatus: install ok installed\nArchitecture: {arch}\nVersion: 5.2-1\n\n\
                 Package: zlib1g\nStatus: install ok installed\nArchitecture: {arch}\nVersion: 1:1.2\n\n\
                 Package: removed\nStatus: deinstall ok config-files\nVersion: 3\n"
            ),
        );
        let bash = Package { name: "bash".into(), version: "5.2-1".into() };
        assert_eq!(packages.owner("/usr/bin/bash", &["bash".into()]), Some(bash.clone()));
        assert_eq!(packages.owner("/usr/bin/bash", &["../x".into()]), Some(bash));
        let zlib = packages.owner("/usr/lib/libz.so.1", &guesses_for_library("libz.so.1"));
        assert_eq!(zlib, Some(Package { name: "zlib1g".into(), version: "1:1.2".into() }));
        assert_eq!(packages.owner("/usr/bin/gone", &[]), None);
        assert_eq!(packages.owner("/usr/bin/other", &[]), None);
    }

    #[test]
    fn an_apk_database_is_read() {
        let owners =
            read_apk("P:busybox\nV:1.36-r5\nF:bin\nR:busybox\n\nP:musl\nV:1.2\nF:lib\nR:libc.so\n");
        assert_eq!(owners.by_file.get(&b"/bin/busybox"[..]), Some(&0));
        assert_eq!(owners.by_file.get(&b"/lib/libc.so"[..]), Some(&1));
        assert_eq!(owners.versions["musl"], "1.2");
    }

    #[test]
    fn library_names_suggest_packages() {
        assert_eq!(guesses_for_library("libtinfo.so.6")[0], "libtinfo6");
        assert_eq!(guesses_for_library("libstdc++.so.6")[0], "libstdc++6");
        assert_eq!(guesses_for_library("libgcc_s.so.1")[0], "libgcc-s1");
        assert_eq!(guesses_for_library("libpcre2-8.so.0")[0], "libpcre2-8-0");
        assert_eq!(guesses_for_library("libsqlite3.so.0")[0], "libsqlite3-0");
        assert_eq!(guesses_for_library("libbz2.so.1.0.4")[1], "libbz2-1.0");
    }
}
