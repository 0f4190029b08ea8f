//! Archives of the system's `tar`, and evil ones.

use std::path::Path;
use std::process::Command;

use tar::{Builder, Header};

use super::*;
use crate::sys::FsTree;

struct Entry {
    kind: EntryType,
    name: &'static str,
    link: &'static str,
    contents: &'static [u8],
}

fn file(name: &'static str, contents: &'static [u8]) -> Entry {
    Entry { kind: EntryType::Regular, name, link: "", contents }
}

fn node(kind: EntryType, name: &'static str, link: &'static str) -> Entry {
    Entry { kind, name, link, contents: b"" }
}

/// Writes names as they are: the builder of the crate would refuse the evil ones.
fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        raw.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_entry_type(entry.kind);
        header.set_mode(0o644);
        header.set_size(entry.contents.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.contents).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Into memory and into a directory; both have to agree.
fn both(bytes: &[u8], limits: &UnpackLimits) -> Result<MemoryTree, String> {
    let temp = tempfile::tempdir().unwrap();
    let inner = temp.path().join("in");
    std::fs::create_dir(&inner).unwrap();
    let dir = Dir::open(&inner).unwrap();
    let on_disk = unpack_tar(&mut { bytes }, "x.tar", &dir, limits);
    let in_memory = unpack_tar_in_memory(&mut { bytes }, "x.tar", limits);
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "something escaped");
    match (on_disk, in_memory) {
        (Ok(()), Ok(tree)) => {
            assert_eq!(nar(&FsTree::new(inner)), nar(&tree));
            Ok(tree)
        }
        (Err(a), Err(b)) => {
            assert_eq!(a.to_string(), b.to_string());
            Err(a.to_string())
        }
        (a, b) => panic!("disk {a:?}, memory {b:?}"),
    }
}

fn nar(tree: &dyn crate::add::TreeSource) -> String {
    use nix_formats::hash::HashAlgo;
    use nix_formats::store_path::FileMethod;
    crate::add::hash_tree(tree, FileMethod::Nar, HashAlgo::Sha256).unwrap().hash.to_sri()
}

fn refusal(entries: &[Entry]) -> String {
    both(&archive(entries), &UnpackLimits::default()).unwrap_err()
}

#[test]
fn a_tree_packed_by_the_systems_tar_comes_back_in_every_format() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("tree");
    let long = "long".repeat(50);
    let deep = root.join("a").join(&long).join(&long);
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    std::fs::write(deep.join("file"), vec![5; 100_000]).unwrap();
    std::fs::write(root.join("run"), "#!/bin/sh\n").unwrap();
    std::fs::hard_link(root.join("run"), root.join("same")).unwrap();
    std::os::unix::fs::symlink("a/b".repeat(60), root.join("link")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(root.join("run"), mode).unwrap();
    let sparse = std::fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let expected = nar(&FsTree::new(&root));
    for options in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=gnu", "-S"],
        &["--format=pax", "-z"],
        &["--format=gnu", "-J"],
        &["--format=gnu", "--zstd"],
    ] {
        let out = Command::new("tar")
            .args(options)
            .args(["-c", "-C"])
            .arg(&root)
            .arg(".")
            .output()
            .unwrap();
        if !out.status.success() {
            // The compressor is not installed.
            assert!(options.len() == 2, "{}", String::from_utf8_lossy(&out.stderr));
            continue;
        }
        let tree = both(&out.stdout, &UnpackLimits::default()).unwrap();
        assert_eq!(nar(&tree), expected, "{options:?}");
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    assert!(refusal(&[file("/etc/x", b"")]).contains("absolute names"));
    assert!(refusal(&[file("a/../../x", b"")]).contains("'..'"));
    assert!(refusal(&[file("../x", b"")]).contains("entry '../x'"));
    let out = [node(EntryType::Symlink, "l", ".."), file("l/x", b"evil")];
    assert!(refusal(&out).contains("through the link 'l'"));
    let dir = [node(EntryType::Symlink, "l", "/"), node(EntryType::Directory, "l", "")];
    assert!(refusal(&dir).contains("through the link 'l'"));
    let hard = [node(EntryType::Symlink, "l", "/etc"), node(EntryType::Link, "h", "l/passwd")];
    assert!(refusal(&hard).contains("through the link"));
    assert!(refusal(&[node(EntryType::Link, "h", "../x")]).contains("'..'"));
    assert!(refusal(&[node(EntryType::Link, "h", "/etc/passwd")]).contains("absolute"));
    assert!(refusal(&[node(EntryType::Link, "h", "none")]).contains("not there"));
    assert!(refusal(&[file(".", b"root")]).contains("root has to be a directory"));
}

#[test]
fn devices_pipes_and_unknown_entries_are_refused() {
    assert!(refusal(&[node(EntryType::Char, "c", "")]).contains("devices"));
    assert!(refusal(&[node(EntryType::Block, "b", "")]).contains("devices"));
    assert!(refusal(&[node(EntryType::Fifo, "p", "")]).contains("pipes"));
    assert!(refusal(&[node(EntryType::new(b'M'), "m", "")]).contains("type 'M'"));
    assert!(refusal(&[node(EntryType::Symlink, "l", "")]).contains("without a target"));
}

#[test]
fn a_later_entry_replaces_an_earlier_one_but_never_writes_through_it() {
    let entries = [
        file("a", b"first"),
        node(EntryType::Link, "b", "a"),
        file("a", b"second"),
        node(EntryType::Symlink, "c", "b"),
        file("c", b"third"),
    ];
    let MemoryTree::Directory(tree) = both(&archive(&entries), &UnpackLimits::default()).unwrap()
    else {
        panic!("not a directory")
    };
    let text = |name: &[u8]| match &tree[name] {
        MemoryTree::File { contents, .. } => contents.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (text(b"a"), text(b"b"), text(b"c")),
        (b"second".into(), b"first".into(), b"third".into())
    );
}

#[test]
fn limits_hold() {
    let bytes = archive(&[file("a", b"12345"), file("b", b"12345")]);
    let limits = UnpackLimits { n_entries: 1, ..UnpackLimits::default() };
    assert!(both(&bytes, &limits).unwrap_err().contains("more than 1 entries"));
    let limits = UnpackLimits { n_bytes: 1030, ..UnpackLimits::default() };
    assert!(both(&bytes, &limits).unwrap_err().contains("too large"));
    let limits = UnpackLimits { depth: 2, ..UnpackLimits::default() };
    let deep = archive(&[file("a/b/c", b"")]);
    assert!(both(&deep, &limits).unwrap_err().contains("nested deeper"));
}

#[test]
fn a_name_of_megabytes_is_not_collected() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(8 << 20);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(vec![b'n'; 8 << 20]);
    let error = both(&bytes, &UnpackLimits::default()).unwrap_err();
    assert!(error.contains("names and facts of an entry are too large"), "{error}");
}

#[test]
fn what_is_no_archive_is_said_so() {
    assert!(both(b"", &UnpackLimits::default()).unwrap_err().contains("not a tar archive"));
    let text = [b'x'; 2000];
    assert!(both(&text, &UnpackLimits::default()).unwrap_err().contains("not a tar archive"));
    let mut cut = archive(&[file("a", &[1; 1000])]);
    cut.truncate(900);
    let error = both(&cut, &UnpackLimits::default()).unwrap_err();
    assert!(error.contains("x.tar"), "{error}");
}

#[test]
fn an_extended_headers_size_wins_over_the_plain_one() {
    // If the two disagreed between reading and skipping, the second entry would be smuggled.
    let record = b"12 size=512\n";
    let mut x = Header::new_ustar();
    x.set_entry_type(EntryType::XHeader);
    x.set_size(record.len() as u64);
    x.set_cksum();
    let mut plain = Header::new_ustar();
    plain.set_path("outer").unwrap();
    plain.set_mode(0o644);
    plain.set_size(0);
    plain.set_cksum();
    let mut bytes = x.as_bytes().to_vec();
    bytes.extend(record);
    bytes.resize(1024, 0);
    bytes.extend(plain.as_bytes());
    bytes.extend(&archive(&[file("smuggled", b"")])[..512]);
    bytes.resize(bytes.len() + 1024, 0);
    let MemoryTree::Directory(tree) = both(&bytes, &UnpackLimits::default()).unwrap() else {
        panic!("not a directory")
    };
    assert_eq!(tree.keys().collect::<Vec<_>>(), [b"outer"]);
    assert!(Path::new("outer").is_relative());
}
