//! The local store by itself, against C++ Nix on the same files, and under faults.

mod cpp_nix;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix_formats::hash::HashAlgo;
use nix_formats::store_path::FileMethod;

use super::*;
use crate::add::MemoryTree;
use crate::closure::Closure;
use crate::sys::FsTree;

fn open(root: &Path) -> LocalStore {
    LocalStore::open(StoreConfig::chroot(root)).unwrap()
}

/// Runs a program that a test compares with; `package` is the Debian package that has it.
#[track_caller]
fn output_of(command: &mut Command, package: &str) -> std::process::Output {
    command.output().unwrap_or_else(|e| {
        panic!("cannot run {:?} (apt-get install {package}): {e}", command.get_program())
    })
}

fn scratch_store() -> (tempfile::TempDir, LocalStore) {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    (root, store)
}

fn file(text: &str) -> MemoryTree {
    MemoryTree::File { executable: false, contents: text.into() }
}

/// The tree T of the golden vectors.
fn tree_t() -> MemoryTree {
    let hi = MemoryTree::File { executable: true, contents: b"#!/bin/sh\necho hi\n".to_vec() };
    MemoryTree::Directory(BTreeMap::from([
        (b"bin".to_vec(), MemoryTree::Directory(BTreeMap::from([(b"hi".to_vec(), hi)]))),
        (b"data".to_vec(), file("data")),
        (b"empty".to_vec(), MemoryTree::Directory(BTreeMap::new())),
        (b"link".to_vec(), MemoryTree::Symlink(b"data".to_vec())),
    ]))
}

/// `hello.txt`, and `ref.txt` that refers to it.
fn two_texts(store: &LocalStore) -> (StorePath, StorePath) {
    let hello = store.add_text("hello.txt", b"hello\n", &BTreeSet::new()).unwrap();
    let text = format!("see {}\n", store.display(&hello));
    let refers =
        store.add_text("ref.txt", text.as_bytes(), &BTreeSet::from([hello.clone()])).unwrap();
    (hello, refers)
}

#[track_caller]
fn assert_clean(store: &LocalStore) {
    let options = VerifyOptions { check_contents: true };
    assert_eq!(store.verify(options, &mut |_| {}).unwrap(), []);
}

#[test]
fn texts_and_trees_get_the_paths_of_the_golden_vectors() {
    let (_root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    let add = |name, tree: &MemoryTree, method| {
        store.display(&store.add_tree(name, tree, method, HashAlgo::Sha256).unwrap())
    };
    assert_eq!(store.display(&hello), "/nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt");
    assert_eq!(store.display(&refers), "/nix/store/3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt");
    assert_eq!(
        add("hello.txt", &file("hello\n"), FileMethod::Nar),
        "/nix/store/i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt"
    );
    assert_eq!(
        add("hello.txt", &file("hello\n"), FileMethod::Flat),
        "/nix/store/gy454w1cxaq731grqwylhzf4pp9r5izh-hello.txt"
    );
    assert_eq!(
        add("tree", &tree_t(), FileMethod::Nar),
        "/nix/store/j61b8daqh9rzmyxrm7l9ybplgji2s6nz-tree"
    );
    assert_clean(&store);
}

#[test]
fn everything_in_the_store_has_canonical_metadata() {
    let (_root, store) = scratch_store();
    let path = store.add_tree("tree", &tree_t(), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let real = store.real_path(&path);
    let mode = |below: &str| {
        let stat = std::fs::symlink_metadata(real.join(below)).unwrap();
        assert_eq!((stat.mtime(), stat.mtime_nsec()), (1, 0), "{below}");
        stat.mode() & 0o7777
    };
    assert_eq!(mode(""), 0o555);
    assert_eq!(mode("bin"), 0o555);
    assert_eq!(mode("bin/hi"), 0o555);
    assert_eq!(mode("data"), 0o444);
    mode("link");
    let text = store.add_text("t", b"t", &BTreeSet::new()).unwrap();
    let stat = std::fs::metadata(store.real_path(&text)).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o444, 1));
}

#[test]
fn a_tree_on_disk_is_added_as_it_is_and_the_filter_is_asked_once_per_entry() {
    let (_root, store) = scratch_store();
    let source = tempfile::tempdir().unwrap();
    let top = source.path().join("top");
    std::fs::create_dir_all(top.join("bin")).unwrap();
    std::fs::create_dir_all(top.join("empty")).unwrap();
    std::fs::create_dir_all(top.join("unwanted/deep")).unwrap();
    std::fs::write(top.join("bin/hi"), "#!/bin/sh\necho hi\n").unwrap();
    std::fs::set_permissions(
        top.join("bin/hi"),
        std::os::unix::fs::PermissionsExt::from_mode(0o4711),
    )
    .unwrap();
    std::fs::write(top.join("data"), "data").unwrap();
    std::os::unix::fs::symlink("data", top.join("link")).unwrap();
    let mut asked = Vec::new();
    let tree = FsTree::filtered(&top, |path, _| {
        asked.push(path.strip_prefix(&top).unwrap().to_owned());
        Ok(!path.ends_with("unwanted"))
    });
    let path = store.add_tree("tree", &tree, FileMethod::Nar, HashAlgo::Sha256).unwrap();
    drop(tree);
    assert_eq!(store.display(&path), "/nix/store/j61b8daqh9rzmyxrm7l9ybplgji2s6nz-tree");
    let wanted = ["bin", "bin/hi", "data", "empty", "link", "unwanted"].map(PathBuf::from);
    assert_eq!(asked, wanted);
}

#[test]
fn a_directory_cannot_be_added_flat_and_a_pipe_not_at_all() {
    let (_root, store) = scratch_store();
    let error = store.add_tree("t", &tree_t(), FileMethod::Flat, HashAlgo::Sha256).unwrap_err();
    assert!(error.to_string().contains("regular file"), "{error}");
    let source = tempfile::tempdir().unwrap();
    let pipe = source.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let error = store
        .add_tree("t", &FsTree::new(source.path()), FileMethod::Nar, HashAlgo::Sha256)
        .unwrap_err();
    assert!(error.to_string().contains("pipe"), "{error}");
}

#[test]
fn bad_names_are_refused_before_anything_is_written() {
    let (root, store) = scratch_store();
    for name in ["", ".", "a/b", "ä", &"x".repeat(212)] {
        store.add_text(name, b"", &BTreeSet::new()).unwrap_err();
    }
    let names = std::fs::read_dir(root.path().join("nix/store")).unwrap();
    assert_eq!(names.count(), 1, "only .links");
}

#[test]
fn a_reference_must_be_valid() {
    let (_root, store) = scratch_store();
    let missing = StorePath::from_base_name("qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt").unwrap();
    let error = store.add_text("ref.txt", b"x", &BTreeSet::from([missing])).unwrap_err();
    assert!(
        error.to_string().contains("hello.txt' is not valid (needed by '/nix/store/"),
        "{error}"
    );
}

#[test]
fn what_is_added_is_found_again_after_reopening() {
    let (root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    drop(store);
    let store = open(root.path());
    let info = store.path_info(&refers).unwrap();
    assert_eq!(info.references, BTreeSet::from([hello.clone()]));
    assert_eq!(store.query_referrers(&hello).unwrap(), BTreeSet::from([refers.clone()]));
    assert_eq!(store.query_path_from_hash_part(hello.hash_part()).unwrap(), Some(hello.clone()));
    assert_eq!(store.query_path_from_hash_part("00000000000000000000000000000000").unwrap(), None);
    let closure = Closure::of(&store, std::slice::from_ref(&refers)).unwrap();
    assert_eq!(closure.paths().collect::<Vec<_>>(), [&hello, &refers]);
    assert_eq!(closure.nar_size(), 120 + 176);
}

#[test]
fn a_nar_with_another_hash_or_a_lie_in_its_address_never_becomes_visible() {
    let (_from, from) = scratch_store();
    let (hello, refers) = two_texts(&from);
    let mut nar = Vec::new();
    from.nar_to(&hello, &mut nar).unwrap();
    let info = PathInfo::clone(&from.path_info(&hello).unwrap());
    let (root, store) = scratch_store();
    let mut damaged = nar.clone();
    let at = nar.windows(5).position(|w| w == b"hello").unwrap();
    damaged[at] = b'j';
    let error = store.add_nar(&info, &mut &damaged[..]).unwrap_err();
    assert!(matches!(error, StoreError::HashMismatch { .. }), "{error}");
    let lie = PathInfo { ca: from.path_info(&refers).unwrap().ca, ..info.clone() };
    store.add_nar(&lie, &mut &nar[..]).unwrap_err();
    for end in 0..nar.len() {
        store.add_nar(&info, &mut &nar[..end]).unwrap_err();
    }
    assert!(!store.is_valid(&hello).unwrap());
    assert!(!store.real_path(&hello).exists());
    store.add_nar(&info, &mut &nar[..]).unwrap();
    assert!(store.is_valid(&hello).unwrap());
    assert_clean(&store);
    drop(store);
    let names = std::fs::read_dir(root.path().join("nix/store")).unwrap();
    assert_eq!(names.count(), 2, ".links and hello.txt, no scratch");
}

#[test]
fn collecting_keeps_roots_with_all_they_need_and_deletes_the_rest() {
    let (root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    drop(store);
    let store = open(root.path());
    let dead = store.add_text("dead", b"dead", &BTreeSet::new()).unwrap();
    drop(store);
    let store = open(root.path());
    let link = root.path().join("result");
    std::os::unix::fs::symlink(store.display(&refers), &link).unwrap();
    store.add_indirect_root(&link).unwrap();
    let options = CollectOptions::default();
    assert_eq!(store.dead_paths(&options).unwrap(), BTreeSet::from([dead.clone()]));
    assert_eq!(
        store.live_paths(&options).unwrap(),
        BTreeSet::from([hello.clone(), refers.clone()])
    );
    let collected = store.collect_garbage(&options).unwrap();
    assert_eq!(collected.deleted, [store.real_path(&dead)]);
    assert!(!store.is_valid(&dead).unwrap());
    std::fs::remove_file(&link).unwrap();
    let collected = store.collect_garbage(&options).unwrap();
    assert_eq!(collected.deleted, [store.real_path(&refers), store.real_path(&hello)]);
    assert_eq!(std::fs::read_dir(root.path().join("nix/var/nix/gcroots/auto")).unwrap().count(), 0);
    assert_clean(&store);
}

#[test]
fn a_temporary_root_of_another_store_object_protects() {
    let (root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    store.flush().unwrap();
    let other = open(root.path());
    assert_eq!(other.collect_garbage(&CollectOptions::default()).unwrap().deleted.len(), 0);
    let only = CollectOptions { only: Some(BTreeSet::from([hello.clone()])), ..Default::default() };
    let error = other.collect_garbage(&only).unwrap_err();
    assert!(matches!(error, StoreError::StillAlive { .. }), "{error}");
    drop(store);
    assert_eq!(other.collect_garbage(&only).unwrap().deleted.len(), 2);
    assert!(!other.is_valid(&refers).unwrap());
}

#[test]
fn leftovers_of_dead_processes_are_collected_and_those_of_living_ones_not() {
    let (root, store) = scratch_store();
    let objects = root.path().join("nix/store");
    std::fs::create_dir_all(objects.join("tmp-1-1/x/y")).unwrap();
    std::fs::create_dir_all(objects.join("qa1w9gdfrba6jl2r57mb3c43863gqywp-half/x")).unwrap();
    std::fs::write(objects.join("stray"), "x").unwrap();
    let place = store.scratch_place("test").unwrap();
    place.dir.create_file(&place.name, 0o600).unwrap();
    assert!(!objects.join("tmp-1-1").exists(), "removed when the first scratch was made");
    std::fs::create_dir_all(objects.join("tmp-1-1/x/y")).unwrap();
    store.collect_garbage(&CollectOptions::default()).unwrap();
    assert!(place.path().exists());
    assert!(!objects.join("tmp-1-1").exists());
    assert!(!objects.join("stray").exists());
    assert!(!objects.join("qa1w9gdfrba6jl2r57mb3c43863gqywp-half").exists());
}

#[test]
fn verifying_finds_flipped_bytes_and_missing_files() {
    let (_root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    store.flush().unwrap();
    let real = store.real_path(&hello);
    std::fs::remove_file(&real).unwrap();
    let options = VerifyOptions { check_contents: true };
    let damage = store.verify(options, &mut |_| {}).unwrap();
    let needed_by = Some(refers.clone());
    assert_eq!(damage, [Damage::Missing { path: hello.clone(), needed_by }]);
    std::fs::write(&real, "hellO\n").unwrap();
    let damage = store.verify(options, &mut |_| {}).unwrap();
    assert!(matches!(&damage[..], [Damage::Modified { path, .. }] if *path == hello), "{damage:?}");
    std::fs::remove_file(&real).unwrap();
    std::fs::remove_file(store.real_path(&refers)).unwrap();
    assert_eq!(store.verify(options, &mut |_| {}).unwrap().len(), 2);
    assert!(!store.is_valid(&hello).unwrap());
    two_texts(&store);
    assert_clean(&store);
}

#[test]
fn equal_files_are_shared_and_stay_what_they_were() {
    let (_root, store) = scratch_store();
    let first = store.add_tree("one", &tree_t(), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let second = store.add_tree("two", &tree_t(), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let done = store.optimise().unwrap();
    assert_eq!(done.n_linked, 2, "hi and data");
    let inode =
        |path: &StorePath| std::fs::metadata(store.real_path(path).join("data")).unwrap().ino();
    assert_eq!(inode(&first), inode(&second));
    assert_clean(&store);
    assert_eq!(store.optimise().unwrap().n_linked, 0);
}

#[test]
fn a_read_only_store_answers_and_refuses_to_write() {
    let (root, store) = scratch_store();
    let (hello, _) = two_texts(&store);
    drop(store);
    let config = StoreConfig { access: Access::ReadOnly, ..StoreConfig::chroot(root.path()) };
    let store = LocalStore::open(config).unwrap();
    assert!(store.is_valid(&hello).unwrap());
    let error = store.add_text("x", b"x", &BTreeSet::new()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("--store"), "{error}");
}

#[test]
fn a_newer_schema_is_refused() {
    let (root, store) = scratch_store();
    drop(store);
    std::fs::write(root.path().join("nix/var/nix/db/schema"), "11").unwrap();
    let error = LocalStore::open(StoreConfig::chroot(root.path())).unwrap_err();
    assert!(error.to_string().contains("version 11"), "{error}");
}

#[test]
fn an_object_that_refers_to_itself_needs_the_offsets_in_its_hash() {
    let text = |part: &str| {
        let own = format!("/nix/store/{part}-selfref");
        let other = "/nix/store/i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt";
        file(&format!("me={own}/x\nagain={own}\nother={other}\n"))
    };
    let nar_of = |tree: &MemoryTree| {
        let mut sink = sys::NarSink::new(Vec::new());
        tree.visit(&mut sink).unwrap();
        sink.finish().unwrap()
    };
    let (_root, store) = scratch_store();
    let hello =
        store.add_tree("hello.txt", &file("hello\n"), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let path = StorePath::from_base_name("ar25jpw5irs6pxbk1gk6rh90dq565qgl-selfref").unwrap();
    let nar = nar_of(&text(path.hash_part()));
    let mut info = PathInfo::new(
        path.clone(),
        nix_formats::hash::Hash::of(HashAlgo::Sha256, &nar),
        nar.len() as u64,
    );
    info.references = BTreeSet::from([path.clone(), hello.clone()]);
    let ca = "fixed:r:sha256:1ql6d60x90xswv69jrs6s7vviifh7cnawcrqwbjvqp500xjvywfd";
    info.ca = Some(nix_formats::content_address::ContentAddress::parse(ca).unwrap());
    store.add_nar(&info, &mut &nar[..]).unwrap();
    assert_eq!(store.query_referrers(&path).unwrap(), BTreeSet::from([path.clone()]));
    assert_clean(&store);
    // The same claim for other contents.
    let (_root, store) = scratch_store();
    store.add_tree("hello.txt", &file("hello\n"), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let nar = nar_of(&file("something else"));
    info.nar_hash = nix_formats::hash::Hash::of(HashAlgo::Sha256, &nar);
    info.nar_size = nar.len() as u64;
    let error = store.add_nar(&info, &mut &nar[..]).unwrap_err();
    assert!(matches!(error, StoreError::HashMismatch { .. }), "{error}");
}

#[test]
fn a_derivation_from_elsewhere_must_have_its_own_output_paths() {
    let text = r#"Derive([("out","/nix/store/nj83liashqlzmxjq8lyfxrx21whvgpqj-simple","","")],[],[],"x86_64-linux","/bin/sh",[],[("builder","/bin/sh"),("name","simple"),("out","/nix/store/nj83liashqlzmxjq8lyfxrx21whvgpqj-simple"),("system","x86_64-linux")])"#;
    let (_from, from) = scratch_store();
    let (_root, store) = scratch_store();
    let send = |text: &str| {
        let drv = from.add_text("simple.drv", text.as_bytes(), &BTreeSet::new()).unwrap();
        let mut nar = Vec::new();
        from.nar_to(&drv, &mut nar).unwrap();
        store.add_nar(&from.path_info(&drv).unwrap(), &mut &nar[..]).map(|()| drv)
    };
    let drv = send(text).unwrap();
    assert_eq!(store.display(&drv), "/nix/store/2wwpgwhlrid6ypd4f01r72hdpr4l7qgz-simple.drv");
    let out = StorePath::from_base_name("nj83liashqlzmxjq8lyfxrx21whvgpqj-simple").unwrap();
    let outputs = BTreeMap::from([("out".to_owned(), out.clone())]);
    assert_eq!(store.query_derivation_outputs(&drv).unwrap(), outputs);
    assert_eq!(store.query_valid_derivers(&out).unwrap(), BTreeSet::from([drv]));
    let error = send(&text.replace("nj83liashqlz", "nj83liashqlx")).unwrap_err();
    assert!(error.to_string().contains("simple.drv"), "{error}");
}

#[test]
fn an_export_can_be_imported_and_a_damaged_object_not_exported() {
    let (_from, from) = scratch_store();
    let (hello, refers) = two_texts(&from);
    let mut out = Vec::new();
    from.export(&[refers.clone(), hello.clone()], &mut out).unwrap();
    let (_root, store) = scratch_store();
    assert_eq!(store.import(&mut &out[..]).unwrap(), [hello.clone(), refers.clone()]);
    assert_eq!(store.path_info(&refers).unwrap().references, BTreeSet::from([hello.clone()]));
    assert_clean(&store);
    let (_root, store) = scratch_store();
    store.import(&mut &out[..out.len() - 8]).unwrap_err();
    std::fs::remove_file(from.real_path(&hello)).unwrap();
    std::fs::write(from.real_path(&hello), "hellO\n").unwrap();
    from.flush().unwrap();
    let error = from.export(&[hello], &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StoreError::HashMismatch { .. }), "{error}");
}

#[test]
fn a_directory_tree_deeper_than_the_open_file_limit_is_deleted() {
    let (root, store) = scratch_store();
    // Deeper than any path can be long, as a builder can make it.
    let top = root.path().join("nix/store/deep");
    std::fs::create_dir(&top).unwrap();
    let mut dir = Dir::open(&top).unwrap();
    for n in 0..3000 {
        dir.create_file("file", 0o400).unwrap();
        let inner = dir.create_dir("dddddddd", 0o700).unwrap();
        dir.chmod_self(if n % 7 == 0 { 0o000 } else { 0o500 }).unwrap();
        dir = inner;
    }
    drop(dir);
    store.collect_garbage(&CollectOptions::default()).unwrap();
    assert!(!top.exists());
}

#[test]
fn deleting_never_leaves_its_tree_while_somebody_swaps_directories_for_links() {
    let root = tempfile::tempdir().unwrap();
    let canary = root.path().join("canary");
    std::fs::create_dir(&canary).unwrap();
    std::fs::write(canary.join("file"), "alive").unwrap();
    let work = root.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let dir = Dir::open(&work).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::create_dir_all(work.join("tree/a"));
                let _ = std::fs::write(work.join("tree/a/other"), "x");
                let _ = std::fs::rename(work.join("tree/a"), work.join("tree/b"));
                let _ = std::os::unix::fs::symlink(&canary, work.join("tree/a"));
            }
        });
        for _ in 0..3000 {
            // Fails now and then, as somebody makes new names; it must only fail in peace.
            let _ = sys::delete_tree(&dir, "tree");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(std::fs::read(canary.join("file")).unwrap(), b"alive");
}

#[test]
fn a_text_replaces_whatever_lies_unregistered_at_its_place() {
    let (root, store) = scratch_store();
    let objects = root.path().join("nix/store");
    let hello = "qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";
    std::fs::create_dir_all(objects.join(hello).join("x")).unwrap();
    std::fs::write(objects.join("3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt"), "half").unwrap();
    two_texts(&store);
    assert_clean(&store);
    // Thrown away before it is registered: an error now, not a valid object without a file.
    let lost = store.add_text("lost", b"lost", &BTreeSet::new()).unwrap();
    std::fs::remove_file(store.real_path(&lost)).unwrap();
    let error = store.flush().unwrap_err();
    assert!(error.to_string().contains("-lost'"), "{error}");
    assert!(!store.is_valid(&lost).unwrap());
    assert_clean(&store);
}

#[test]
fn links_of_a_moved_store_lead_to_the_files_and_keep_them() {
    let (root, store) = scratch_store();
    let path = store.add_text("kept", b"kept", &BTreeSet::new()).unwrap();
    let link = root.path().join("result");
    store.make_root_link(&link, &path).unwrap();
    assert_eq!(std::fs::read(&link).unwrap(), b"kept");
    let roots = store.find_roots().unwrap();
    assert!(roots.iter().any(|found| found.link == link && found.path == path), "{roots:?}");
    // Replaced when it is a link, refused otherwise.
    store.make_root_link(&link, &path).unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let error = store.make_root_link(&file, &path).unwrap_err();
    assert!(error.to_string().contains("something else of this name"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}
