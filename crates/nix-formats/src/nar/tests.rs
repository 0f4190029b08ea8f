use std::collections::BTreeMap;
use std::io::Read as _;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::hash::{Hash, HashAlgo};
use crate::wire;

/// A file tree, for round trips.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    File(bool, Vec<u8>),
    Link(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Tree>),
}

fn write_tree(nar: &mut Writer<Vec<u8>>, tree: &Tree) -> Result<(), NarError> {
    match tree {
        Tree::File(executable, contents) => nar.file(*executable, contents),
        Tree::Link(target) => nar.symlink(target),
        Tree::Dir(entries) => {
            nar.directory_start()?;
            for (name, tree) in entries {
                nar.entry(name)?;
                write_tree(nar, tree)?;
            }
            nar.directory_end()
        }
    }
}

fn nar_of(tree: &Tree) -> Vec<u8> {
    let mut nar = Writer::new(Vec::new());
    write_tree(&mut nar, tree).expect("the tree can be written");
    let n_bytes = nar.n_bytes();
    let bytes = nar.finish().expect("the tree is complete");
    assert_eq!(bytes.len() as u64, n_bytes);
    bytes
}

fn read_tree(nar: &mut Reader<&[u8]>) -> Result<Tree, NarError> {
    match nar.next_event()?.expect("a node is due") {
        Event::File { executable, size } => {
            let mut contents = Vec::new();
            nar.read_to_end(&mut contents)?;
            assert_eq!(contents.len() as u64, size);
            Ok(Tree::File(executable, contents))
        }
        Event::Symlink(target) => Ok(Tree::Link(target)),
        Event::DirectoryStart => {
            let mut entries = BTreeMap::new();
            loop {
                match nar.next_event()?.expect("a directory is open") {
                    Event::Entry(name) => {
                        let tree = read_tree(nar)?;
                        entries.insert(name, tree);
                    }
                    Event::DirectoryEnd => return Ok(Tree::Dir(entries)),
                    event => panic!("{event:?} in a directory"),
                }
            }
        }
        event => panic!("{event:?} as a node"),
    }
}

fn parse(bytes: &[u8]) -> Result<Tree, NarError> {
    let mut nar = Reader::new(bytes);
    let tree = read_tree(&mut nar)?;
    assert_eq!(nar.next_event()?, None);
    nar.expect_end()?;
    assert_eq!(nar.n_bytes(), bytes.len() as u64);
    Ok(tree)
}

/// Reads the events only, contents skipped.
fn skim(bytes: &[u8], limits: Limits) -> Result<usize, NarError> {
    let mut nar = Reader::with_limits(bytes, limits);
    let mut n_events = 0;
    while nar.next_event()?.is_some() {
        n_events += 1;
    }
    nar.expect_end()?;
    Ok(n_events)
}

/// Bytes made of these strings, right or wrong.
fn strings(texts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        wire::write_bytes(&mut out, text).expect("memory takes it");
    }
    out
}

fn dir(entries: &[(&str, Tree)]) -> Tree {
    Tree::Dir(entries.iter().map(|(name, tree)| (name.as_bytes().to_vec(), tree.clone())).collect())
}

#[test]
fn the_nar_of_hello_is_the_published_one() {
    let nar = nar_of(&Tree::File(false, b"hello\n".to_vec()));
    let published = "0d000000000000006e69782d617263686976652d3100000001000000000000002800000000000000\
                     04000000000000007479706500000000 0700000000000000726567756c617200 0800000000000000\
                     636f6e74656e7473060000000000000068656c6c6f0a000001000000000000002900000000000000";
    assert_eq!(hex::encode(&nar), published.replace(' ', ""));
    let hash = Hash::of(HashAlgo::Sha256, &nar);
    assert_eq!(hash.to_nix32(), "04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw");
}

#[test]
fn the_nar_of_a_tree_is_the_published_one() {
    let tree = dir(&[
        ("bin", dir(&[("hi", Tree::File(true, b"#!/bin/sh\necho hi\n".to_vec()))])),
        ("data", Tree::File(false, b"data".to_vec())),
        ("empty", dir(&[])),
        ("link", Tree::Link(b"data".to_vec())),
    ]);
    let nar = nar_of(&tree);
    assert_eq!(nar.len(), 1056);
    assert_eq!(
        Hash::of(HashAlgo::Sha256, &nar).to_base16(),
        "47834e6ad7fd541847a6aec87be21a7d294583159dac08fffa43c5cc4780e543"
    );
    assert_eq!(parse(&nar).expect("is a NAR"), tree);
    assert_eq!(skim(&nar, Limits::default()).expect("is a NAR"), 14);
}

#[test]
fn a_nar_that_ends_early_is_refused_wherever_it_ends() {
    let tree = dir(&[("a", Tree::File(true, b"123".to_vec())), ("b", Tree::Link(b"a".to_vec()))]);
    let nar = nar_of(&tree);
    for end in 0..nar.len() {
        assert!(
            matches!(skim(&nar[..end], Limits::default()), Err(NarError::EndsEarly(at)) if at == end as u64),
            "cut at {end}"
        );
        assert!(parse(&nar[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn what_follows_is_left_in_the_stream_or_refused() {
    let mut bytes = nar_of(&Tree::File(false, vec![]));
    bytes.extend_from_slice(b"more");
    assert!(matches!(skim(&bytes, Limits::default()), Err(NarError::Trailing)));
    let mut nar = Reader::new(&bytes[..]);
    while nar.next_event().expect("is a NAR").is_some() {}
    assert_eq!(nar.into_inner(), b"more");
}

#[test]
fn every_changed_byte_of_the_form_is_refused() {
    let tree = dir(&[("a", Tree::File(true, b"1".to_vec())), ("b", Tree::Link(b"a".to_vec()))]);
    let nar = nar_of(&tree);
    // All bits of all bytes: either refused, or another tree that is written as it was read.
    for at in 0..nar.len() {
        for bit in 0..8 {
            let mut bytes = nar.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(tree) = parse(&bytes) {
                assert_eq!(nar_of(&tree), bytes, "byte {at}, bit {bit}");
            }
        }
    }
}

const HEAD: [&[u8]; 3] = [b"nix-archive-1", b"(", b"type"];

fn entry(name: &[u8]) -> Vec<u8> {
    let head: Vec<&[u8]> = HEAD.iter().copied().chain([&b"directory"[..]]).collect();
    let entry: [&[u8]; 12] = [
        b"entry", b"(", b"name", name, b"node", b"(", b"type", b"symlink", b"target", b"x", b")",
        b")",
    ];
    strings(&[&head[..], &entry[..], &[b")"]].concat())
}

#[test]
fn names_are_checked_on_reading_and_writing() {
    let long = [b'n'; 256];
    assert!(parse(&entry(b"ok")).is_ok());
    assert!(parse(&entry(&long[1..])).is_ok());
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0"] {
        assert!(matches!(parse(&entry(name)), Err(NarError::Name(_))), "{name:?}");
        let mut nar = Writer::new(Vec::new());
        nar.directory_start().expect("a node is due");
        assert!(matches!(nar.entry(name), Err(NarError::Name(_))), "{name:?}");
    }
    assert!(matches!(parse(&entry(&long)), Err(NarError::Long { len: 256, .. })));
    assert!(matches!(parse(&entry(b"a~nix~case~hack~1")), Err(NarError::CaseHack(_))));
    let limits = Limits { allow_case_hack: true, ..Limits::default() };
    assert!(skim(&entry(b"a~nix~case~hack~1"), limits).is_ok());
}

#[test]
fn names_must_increase() {
    let two = |first: &[u8], second: &[u8]| {
        let one = entry(first);
        let other = entry(second);
        // The head of a directory has 80 bytes, its end 16.
        [&one[..one.len() - 16], &other[80..]].concat()
    };
    assert!(parse(&two(b"a", b"b")).is_ok());
    assert!(parse(&two(b"a", b"aa")).is_ok());
    for (first, second) in [("a", "a"), ("b", "a"), ("aa", "a"), ("a", "B")] {
        let bytes = two(first.as_bytes(), second.as_bytes());
        assert!(matches!(parse(&bytes), Err(NarError::Order { .. })), "{first} {second}");
        let mut nar = Writer::new(Vec::new());
        nar.directory_start().expect("a node is due");
        nar.entry(first.as_bytes()).expect("a name");
        nar.symlink(b"x").expect("a node is due");
        assert!(matches!(nar.entry(second.as_bytes()), Err(NarError::Order { .. })));
        assert!(matches!(nar.directory_end(), Err(NarError::Turn(_))), "it stays failed");
    }
}

#[test]
fn targets_are_checked() {
    let link =
        |target: &[u8]| strings(&[&HEAD[..], &[b"symlink", b"target", target, b")"]].concat());
    let long = [b't'; 4096];
    assert!(parse(&link(b"../any where")).is_ok());
    assert!(parse(&link(&long[1..])).is_ok());
    assert!(matches!(parse(&link(b"")), Err(NarError::Target(_))));
    assert!(matches!(parse(&link(b"a\0b")), Err(NarError::Target(_))));
    assert!(matches!(parse(&link(&long)), Err(NarError::Long { len: 4096, .. })));
    assert!(matches!(Writer::new(Vec::new()).symlink(&long), Err(NarError::Long { .. })));
    assert!(matches!(Writer::new(Vec::new()).symlink(b""), Err(NarError::Target(_))));
}

#[test]
fn depth_is_bounded_on_reading_and_writing() {
    let deep = |depth: usize| {
        let mut nar = Writer::new(Vec::new());
        for level in 0..depth {
            if level > 0 {
                nar.entry(b"d")?;
            }
            nar.directory_start()?;
        }
        for _ in 0..depth {
            nar.directory_end()?;
        }
        nar.finish()
    };
    let nar = deep(64).expect("64 is allowed");
    assert!(skim(&nar, Limits::default()).is_ok());
    assert!(matches!(
        skim(&nar, Limits { depth: 63, ..Limits::default() }),
        Err(NarError::Depth(63))
    ));
    assert!(matches!(deep(65), Err(NarError::Depth(64))));
    // One more by hand: entry, name, node, and what a directory is.
    let mut bytes = strings(&[HEAD[0]]);
    for _ in 0..100_000 {
        bytes.extend(strings(&[
            b"(",
            b"type",
            b"directory",
            b"entry",
            b"(",
            b"name",
            b"d",
            b"node",
        ]));
    }
    let limits = Limits { depth: usize::MAX, ..Limits::default() };
    assert!(matches!(skim(&bytes, limits), Err(NarError::Depth(64))));
}

#[test]
fn other_forms_are_refused() {
    let refuse = |texts: &[&[u8]]| {
        let bytes = strings(texts);
        let error = skim(&bytes, Limits::default()).expect_err("is no NAR");
        assert!(matches!(error, NarError::Expected { .. }), "{error}");
    };
    refuse(&[b"nix-archive-2", b"(", b"type", b"regular", b"contents", b"", b")"]);
    refuse(&[b"nix-archive-1", b"[", b"type", b"regular", b"contents", b"", b")"]);
    refuse(&[b"nix-archive-1", b"(", b"kind", b"regular", b"contents", b"", b")"]);
    let node = |texts: &[&[u8]]| refuse(&[&HEAD[..], texts, &[b")", b")", b")"]].concat());
    node(&[b"fifo"]);
    node(&[b"regular"]);
    node(&[b"regular", b"executable", b"yes", b"contents", b""]);
    node(&[b"regular", b"contents", b"", b"contents", b""]);
    node(&[b"regular", b"contents", b"", b"executable", b""]);
    node(&[b"symlink", b"contents", b""]);
    node(&[b"directory", b"name", b"x"]);
    node(&[b"directory", b"entry", b"(", b"node", b"("]);
    node(&[&[b't'; 33]]);
}

#[test]
fn sizes_are_claims() {
    let mut bytes = strings(&[HEAD[0], HEAD[1], HEAD[2], b"regular", b"contents"]);
    let size_at = bytes.len();
    bytes.extend_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(skim(&bytes, Limits::default()), Err(NarError::TooLong(_))));
    bytes[size_at..].copy_from_slice(&(1u64 << 62).to_le_bytes());
    assert!(matches!(skim(&bytes, Limits::default()), Err(NarError::EndsEarly(_))));
    let limits = Limits { size_bytes: 1 << 20, ..Limits::default() };
    assert!(matches!(skim(&bytes, limits), Err(NarError::TooLong(_))));
    let nar = nar_of(&Tree::File(false, b"hello\n".to_vec()));
    assert!(skim(&nar, Limits { size_bytes: 120, ..Limits::default() }).is_ok());
    assert!(matches!(
        skim(&nar, Limits { size_bytes: 119, ..Limits::default() }),
        Err(NarError::TooLong(119))
    ));
}

#[test]
fn padding_must_be_zero() {
    let nar = nar_of(&Tree::File(false, b"hello\n".to_vec()));
    for at in [21, 23, 33, 54, 102, 103, 113] {
        let mut bytes = nar.clone();
        assert_eq!(bytes[at], 0);
        bytes[at] = 1;
        assert!(skim(&bytes, Limits::default()).is_err(), "{at}");
    }
}

#[test]
fn a_writer_keeps_to_turns() {
    let file = || {
        let mut nar = Writer::new(Vec::new());
        nar.file_start(false, 3).expect("a node is due");
        nar
    };
    let mut nar = file();
    assert!(nar.write_all(b"1234").is_err());
    let mut nar = file();
    nar.write_all(b"12").expect("is due");
    assert!(matches!(nar.file_end(), Err(NarError::Turn(_))));
    let mut nar = file();
    nar.write_all(b"1").expect("is due");
    nar.write_all(b"23").expect("is due");
    nar.file_end().expect("is complete");
    assert_eq!(nar.finish().expect("is complete"), nar_of(&Tree::File(false, b"123".to_vec())));
    let mut nar = Writer::new(Vec::new());
    nar.file_from(false, 3, &mut &b"1234"[..]).expect("is complete");
    assert!(matches!(nar.file(false, b""), Err(NarError::Turn(_))));
    let mut nar = Writer::new(Vec::new());
    assert!(matches!(nar.file_from(false, 5, &mut &b"1234"[..]), Err(NarError::Turn(_))));
    assert!(matches!(Writer::new(Vec::new()).finish(), Err(NarError::Turn(_))));
    assert!(matches!(Writer::new(Vec::new()).entry(b"a"), Err(NarError::Turn(_))));
    assert!(matches!(Writer::new(Vec::new()).directory_end(), Err(NarError::Turn(_))));
}

fn trees() -> impl Strategy<Value = Tree> {
    let bytes = |n| prop::collection::vec(any::<u8>(), 0..n);
    let leaf = prop_oneof![
        (any::<bool>(), bytes(40))
            .prop_map(|(executable, contents)| Tree::File(executable, contents)),
        "[a-z/.]{1,20}".prop_map(|target| Tree::Link(target.into_bytes())),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let names = "[A-Za-z_\u{e4}]{1,9}".prop_map(String::into_bytes);
        prop::collection::btree_map(names, inner, 0..5).prop_map(Tree::Dir)
    })
}

proptest! {
    #[test]
    fn trees_come_back(tree in trees()) {
        let nar = nar_of(&tree);
        prop_assert_eq!(parse(&nar).ok(), Some(tree));
    }

    #[test]
    fn no_bytes_break_the_reader(tree in trees(), at: prop::sample::Index, byte: u8, end: prop::sample::Index) {
        let mut nar = nar_of(&tree);
        let at = at.index(nar.len());
        nar[at] = byte;
        let end = end.index(nar.len()) + 1;
        if let Ok(tree) = parse(&nar[..end]) {
            prop_assert_eq!(nar_of(&tree), &nar[..end]);
        }
    }
}
