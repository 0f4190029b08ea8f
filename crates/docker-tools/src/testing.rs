//! Fixtures of this crate's tests: a store on disk, listings of archives.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use nix_formats::store_path::StorePath;
use serde_json::{Value, json};

use crate::assemble::Summary;
use crate::builder::{Place, build_from_attrs};
use crate::error::Error;
use crate::graph::{Graph, Object};
use crate::store_files::StoreFiles;

/// A store directory with files in the modes of a store.
pub(crate) struct StoreFixture {
    dir: tempfile::TempDir,
    files: StoreFiles,
}

impl StoreFixture {
    pub(crate) fn new() -> StoreFixture {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        StoreFixture { files: StoreFiles::new("/nix/store", &real), dir }
    }

    pub(crate) fn files(&self) -> &StoreFiles {
        &self.files
    }

    /// A place for other files, gone with the fixture.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn logical(&self, name: &str) -> String {
        format!("/nix/store/{name}")
    }

    fn place(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("real").join(name);
        let real = self.dir.path().join("real");
        for parent in path.ancestors().skip(1).take_while(|parent| *parent != real) {
            fs::create_dir_all(parent).unwrap();
            // The listing shows modes, and the umask is not ours.
            fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    pub(crate) fn add(&self, name: &str, contents: &str) {
        let path = self.place(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    }

    pub(crate) fn add_program(&self, name: &str, contents: &str) {
        self.add(name, contents);
        fs::set_permissions(self.place(name), fs::Permissions::from_mode(0o555)).unwrap();
    }

    pub(crate) fn link(&self, name: &str, target: &str) {
        symlink(target, self.place(name)).unwrap();
    }
}

/// A store with a small closure, and a place to build images of it.
///
/// `app` refers to `lib`; `other` is in the graph, but nothing mentions it.
pub(crate) struct ImageFixture {
    pub(crate) store: StoreFixture,
    n_built: Cell<u32>,
}

impl ImageFixture {
    pub(crate) fn new() -> ImageFixture {
        let store = StoreFixture::new();
        store.add_program(&format!("{APP}/bin/app"), &format!("#!/nix/store/{LIB}/sh\n"));
        store.link(&format!("{APP}/bin/alias"), "app");
        store.add(&format!("{LIB}/sh"), "library");
        store.add(OTHER, "other");
        store.add(&format!("{ROOT}/etc/conf"), &format!("uses /nix/store/{LIB}.\n"));
        ImageFixture { store, n_built: Cell::new(0) }
    }

    /// Builds an image; gives the archive.
    pub(crate) fn build(&self, request: Value) -> (Vec<u8>, Summary) {
        let (path, summary) =
            self.build_at(request).unwrap_or_else(|error| panic!("{}", error.full_text()));
        (fs::read(path).unwrap(), summary)
    }

    pub(crate) fn build_at(&self, request: Value) -> Result<(PathBuf, Summary), Error> {
        let n = self.n_built.get();
        self.n_built.set(n + 1);
        let scratch = self.store.scratch().join(format!("scratch-{n}"));
        fs::create_dir(&scratch).unwrap();
        let out = self.store.scratch().join(format!("image-{n}.tar"));
        let place = Place {
            store: self.store.files().clone(),
            scratch,
            shell: PathBuf::from("/bin/sh"),
            n_threads: 1 + n as usize % 3,
            out: out.clone(),
        };
        let path = |name: &str| format!("/nix/store/{name}");
        let attrs = json!({
            "image": request,
            "closure": [
                {"path": path(APP), "narSize": 10, "references": [path(LIB)]},
                {"path": path(LIB), "narSize": 20, "references": [path(LIB)]},
                {"path": path(OTHER), "narSize": 5, "references": []},
                {"path": path(ROOT), "narSize": 5, "references": [path(LIB)]},
            ],
            "outputs": {"out": "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-image.tar"},
        });
        let summary = build_from_attrs(attrs.to_string().as_bytes(), &place, &|_| {})?;
        Ok((out, summary))
    }

    /// Makes an archive a member of the store, so that it can be a base image.
    pub(crate) fn add_archive(&self, name: &str, bytes: &[u8]) -> String {
        let real = self.store.files().real(self.store.logical(name).as_bytes()).unwrap();
        fs::write(real, bytes).unwrap();
        self.store.logical(name)
    }
}

pub(crate) const APP: &str = "1111111111111111111111111111111a-app";
pub(crate) const LIB: &str = "1111111111111111111111111111111b-lib";
pub(crate) const OTHER: &str = "1111111111111111111111111111111c-other";
pub(crate) const ROOT: &str = "1111111111111111111111111111111d-root";

/// The arguments of the usual test image.
pub(crate) fn request() -> Value {
    json!({
        "name": "Test/Image", "tag": "v1", "architecture": "amd64",
        "copyToRoot": [format!("/nix/store/{ROOT}")],
        "config": {"Cmd": format!("/nix/store/{APP}/bin/app"), "Env": ["A=1", "B=2"]},
    })
}

/// What a tar holds: mode, owner, size, path, one line an entry.
pub(crate) struct Listing(String);

impl Listing {
    pub(crate) fn of(tar: &[u8]) -> Listing {
        let mut lines = String::new();
        for entry in tar::Archive::new(tar).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => 'd',
                tar::EntryType::Symlink => 'l',
                tar::EntryType::Regular => '-',
                other => panic!("entry type {other:?}"),
            };
            let mut line = format!(
                "{kind}{:04o} {}:{} {} {}",
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
                entry.size(),
                String::from_utf8_lossy(&entry.path_bytes()),
            );
            if let Some(target) = entry.link_name_bytes() {
                line += &format!(" -> {}", String::from_utf8_lossy(&target));
            }
            lines += &line;
            lines.push('\n');
        }
        Listing(lines)
    }

    /// The listing of a gzip layer.
    pub(crate) fn of_gzip(blob: &[u8]) -> Listing {
        let mut tar = Vec::new();
        flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut tar).unwrap();
        Listing::of(&tar)
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The graph that the specification of layering works through.
pub(crate) const WORKED_EXAMPLE: &str = "
    python 90000 -> openssl zlib glibc tzdata; glibc 30000 -> libidn2; openssl 7000 -> glibc;
    app 5000 -> python openssl conf; customisation 2500 -> app; tzdata 1500; base-json 600 -> app;
    libidn2 400; conf 300; zlib 200 -> glibc";

/// A graph from lines `name size -> name name`, separated by `;`.
pub(crate) fn graph(text: &str) -> Graph {
    let path =
        |name: &str| StorePath::from_base_name(&format!("{}-{name}", "0".repeat(32))).unwrap();
    let mut objects = BTreeMap::new();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let (head, references) = line.split_once("->").unwrap_or((line, ""));
        let (name, size) = head.trim().split_once(' ').unwrap();
        let references = references.split_whitespace().map(path).collect();
        objects.insert(path(name), Object { nar_size: size.parse().unwrap(), references });
    }
    Graph::new(objects).unwrap()
}

/// The names of each group on a line.
pub(crate) fn show_groups(groups: &[Vec<StorePath>]) -> String {
    let line = |group: &Vec<StorePath>| {
        group.iter().map(StorePath::name).collect::<Vec<_>>().join(" ") + "\n"
    };
    groups.iter().map(line).collect()
}
