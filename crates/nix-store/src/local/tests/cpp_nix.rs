//! The same store in the hands of C++ Nix and in ours.

use std::io::Write as _;
use std::process::Stdio;

use super::*;

/// Runs C++ Nix on the store.
#[track_caller]
fn nix_store(root: &Path, args: &[&str]) -> String {
    let mut command = Command::new("nix-store");
    command.arg("--store").arg(root).args(args).env("NIX_CONF_DIR", root);
    let output = output_of(&mut command, "nix-bin");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nix-store {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn cpp_nix_reads_and_verifies_what_we_wrote() {
    let (root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    let tree = store.add_tree("tree", &tree_t(), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    store.flush().unwrap();
    let root = root.path();
    let (hello, refers) = (store.display(&hello), store.display(&refers));
    nix_store(root, &["--verify", "--check-contents"]);
    let ask = |args: &[&str]| nix_store(root, args);
    assert_eq!(ask(&["-qR", &refers]), format!("{hello}\n{refers}\n"));
    assert_eq!(ask(&["-q", "--references", &refers]), format!("{hello}\n"));
    assert_eq!(ask(&["-q", "--referrers", &hello]), format!("{refers}\n"));
    assert_eq!(ask(&["-q", "--deriver", &hello]), "unknown-deriver\n");
    assert_eq!(ask(&["-q", "--size", &refers]), "176\n");
    assert_eq!(
        ask(&["-q", "--hash", &refers]),
        "sha256:0400g7b10vr4s9sjr2900dv76vycxqpsaxwl2hgwhadrlxcf8vmn\n"
    );
    assert_eq!(ask(&["-q", "--size", &store.display(&tree)]), "1056\n");
}

#[test]
fn we_read_and_verify_what_cpp_nix_wrote() {
    let root = tempfile::tempdir().unwrap();
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("hello.txt"), "hello\n").unwrap();
    let added =
        nix_store(root.path(), &["--add", source.path().join("hello.txt").to_str().unwrap()]);
    let store = open(root.path());
    let path = store.store_dir().parse(added.trim_end()).unwrap();
    assert_eq!(added, "/nix/store/i9pmrzmpshapij2kin22pff6fc2adavx-hello.txt\n");
    let info = store.path_info(&path).unwrap();
    assert_eq!(info.nar_size, 120);
    assert_eq!(
        info.ca.as_ref().unwrap().to_string(),
        "fixed:r:sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw"
    );
    // Added again, nothing changes; and the row is the same as one that we write.
    let again =
        store.add_tree("hello.txt", &file("hello\n"), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    assert_eq!(again, path);
    let (_other_root, other) = scratch_store();
    other.add_tree("hello.txt", &file("hello\n"), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let ours = PathInfo::clone(&other.path_info(&path).unwrap());
    assert_eq!(PathInfo { registration_time: info.registration_time, ..ours }, *info);
    assert_clean(&store);
}

#[test]
fn exports_go_both_ways() {
    let (from_root, from) = scratch_store();
    let (hello, refers) = two_texts(&from);
    let mut ours = Vec::new();
    from.export(&[hello.clone(), refers.clone()], &mut ours).unwrap();
    from.flush().unwrap();
    let (hello_text, refers_text) = (from.display(&hello), from.display(&refers));
    let export = ["--export", &hello_text, &refers_text];
    let theirs = nix_store(from_root.path(), &export);
    assert_eq!(theirs.as_bytes(), ours);
    let to = tempfile::tempdir().unwrap();
    let mut import = Command::new("nix-store")
        .args(["--import", "--store"])
        .arg(to.path())
        .env("NIX_CONF_DIR", to.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(&ours).unwrap();
    let answer = import.wait_with_output().unwrap();
    assert_eq!(answer.stdout, format!("{hello_text}\n{refers_text}\n").as_bytes());
    assert_clean(&open(to.path()));
}

#[test]
fn registrations_go_both_ways() {
    let (root, store) = scratch_store();
    two_texts(&store);
    store.add_tree("tree", &tree_t(), FileMethod::Nar, HashAlgo::Sha256).unwrap();
    let mut ours = Vec::new();
    store.dump_registrations(&mut ours).unwrap();
    let theirs = nix_store(root.path(), &["--dump-db"]);
    let parse = |text: &str| {
        let mut all =
            nix_formats::export::Registration::parse_all(&StoreDir::default(), text, true).unwrap();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    };
    let ours = String::from_utf8(ours).unwrap();
    assert_eq!(parse(&theirs), parse(&ours));
    // Into a store whose database is lost.
    drop(store);
    std::fs::remove_dir_all(root.path().join("nix/var/nix/db")).unwrap();
    let store = open(root.path());
    assert_eq!(store.all_valid_paths().unwrap(), BTreeSet::new());
    assert_eq!(store.load_registrations(&theirs, true).unwrap().len(), 3);
    assert_eq!(store.load_registrations(&theirs, true).unwrap(), []);
    assert_clean(&store);
}

#[test]
fn cpp_nix_keeps_what_we_keep_and_collects_what_we_do_not() {
    let (root, store) = scratch_store();
    let (hello, refers) = two_texts(&store);
    store.flush().unwrap();
    nix_store(root.path(), &["--gc"]);
    assert!(store.real_path(&refers).exists(), "a temporary root of ours");
    let link = root.path().join("result");
    std::os::unix::fs::symlink(store.display(&hello), &link).unwrap();
    store.add_indirect_root(&link).unwrap();
    drop(store);
    nix_store(root.path(), &["--gc"]);
    let store = open(root.path());
    assert!(store.is_valid(&hello).unwrap() && store.real_path(&hello).exists());
    assert!(!store.is_valid(&refers).unwrap() && !store.real_path(&refers).exists());
    assert_clean(&store);
}
