//! Where two file trees differ first, for people who look for what is not deterministic.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use crate::error::StoreError;
use crate::sys::{Dir, EntryType};

/// A directory that both trees have.
struct Level {
    first: Dir,
    second: Dir,
    /// Below the roots.
    path: String,
    /// Names in either, with who has them; sorted backwards.
    left: Vec<(Vec<u8>, bool, bool)>,
}

/// Says in a few words where two trees differ first, in the order of their NARs. Each tree is a
/// name in a directory.
pub(crate) fn first_difference(
    first: (&Dir, &str),
    second: (&Dir, &str),
) -> Result<String, StoreError> {
    let mut levels: Vec<Level> = Vec::new();
    let mut pair = (first.0.try_clone()?, second.0.try_clone()?);
    let mut names = (first.1.as_bytes().to_vec(), second.1.as_bytes().to_vec());
    let mut path = String::new();
    loop {
        let (a, b) = (OsStr::from_bytes(&names.0), OsStr::from_bytes(&names.1));
        if let Some(difference) = node_difference((&pair.0, a), (&pair.1, b))? {
            let colon = if path.is_empty() { "" } else { ": " };
            return Ok(format!("{path}{colon}{difference}"));
        }
        if EntryType::of(&pair.0.stat(a)?) == EntryType::Directory {
            levels.push(Level::of(pair.0.open_dir(a)?, pair.1.open_dir(b)?, path)?);
        }
        // The next entry of the innermost directory that has one left.
        let (level, (name, has_first, has_second)) = loop {
            let Some(mut level) = levels.pop() else {
                return Ok("no file differs, only the archive".to_owned());
            };
            if let Some(entry) = level.left.pop() {
                levels.push(level);
                let Some(level) = levels.last() else { continue };
                break (level, entry);
            }
        };
        let text = String::from_utf8_lossy(&name).into_owned();
        path = if level.path.is_empty() { text } else { format!("{}/{text}", level.path) };
        match (has_first, has_second) {
            (true, true) => {}
            (true, false) => return Ok(format!("{path}: only the first build has it")),
            _ => return Ok(format!("{path}: only the second build has it")),
        }
        pair = (level.first.try_clone()?, level.second.try_clone()?);
        names = (name.clone(), name);
    }
}

impl Level {
    fn of(first: Dir, second: Dir, path: String) -> Result<Level, StoreError> {
        let mut owners = std::collections::BTreeMap::new();
        for name in first.entries()? {
            owners.insert(name, (true, false));
        }
        for name in second.entries()? {
            owners.entry(name).or_insert((false, false)).1 = true;
        }
        let left = owners.into_iter().rev().map(|(name, (a, b))| (name, a, b)).collect();
        Ok(Level { first, second, path, left })
    }
}

/// How two nodes differ in themselves, not in what is below them.
fn node_difference(
    (first, a): (&Dir, &OsStr),
    (second, b): (&Dir, &OsStr),
) -> Result<Option<String>, StoreError> {
    let (stat_a, stat_b) = (first.stat(a)?, second.stat(b)?);
    match (EntryType::of(&stat_a), EntryType::of(&stat_b)) {
        (EntryType::Directory, EntryType::Directory) => Ok(None),
        (EntryType::Symlink, EntryType::Symlink) => {
            let (a, b) = (first.read_link(a)?, second.read_link(b)?);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok((a != b).then(|| format!("the link leads to '{}' and '{}'", text(&a), text(&b))))
        }
        (EntryType::Regular, EntryType::Regular) => {
            if (stat_a.st_mode ^ stat_b.st_mode) & 0o100 != 0 {
                return Ok(Some("one is executable, the other is not".to_owned()));
            }
            let fail = |error| StoreError::io("read the file", first.place(a), error);
            let place = differing_byte(&mut first.open_file(a)?, &mut second.open_file(b)?);
            Ok(place.map_err(fail)?.map(|offset| format!("contents differ at byte {offset}")))
        }
        _ => Ok(Some("one is of another type than the other".to_owned())),
    }
}

/// The offset of the first byte that differs; that of the shorter end if there is none.
fn differing_byte(first: &mut impl Read, second: &mut impl Read) -> std::io::Result<Option<u64>> {
    const CHUNK: u64 = 64 << 10;
    let mut offset = 0;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        a.clear();
        b.clear();
        first.by_ref().take(CHUNK).read_to_end(&mut a)?;
        second.by_ref().take(CHUNK).read_to_end(&mut b)?;
        if let Some(at) = a.iter().zip(&b).position(|(a, b)| a != b) {
            return Ok(Some(offset + at as u64));
        }
        if a.len() != b.len() {
            return Ok(Some(offset + a.len().min(b.len()) as u64));
        }
        if a.is_empty() {
            return Ok(None);
        }
        offset += a.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn check(make: &dyn Fn(&Path, bool), expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        for (name, is_second) in [("a", false), ("b", true)] {
            let tree = dir.path().join(name);
            fs::create_dir_all(tree.join("sub")).unwrap();
            fs::write(tree.join("sub/same"), "same").unwrap();
            make(&tree, is_second);
        }
        let dir = Dir::open(dir.path()).unwrap();
        assert_eq!(first_difference((&dir, "a"), (&dir, "b")).unwrap(), expected);
    }

    #[test]
    fn the_first_difference_is_named() {
        check(
            &|tree, second| fs::write(tree.join("sub/x"), format!("time {second}")).unwrap(),
            "sub/x: contents differ at byte 5",
        );
        check(
            &|tree, second| fs::write(tree.join(if second { "y" } else { "x" }), "").unwrap(),
            "x: only the first build has it",
        );
        check(
            &|tree, second| symlink(if second { "b" } else { "a" }, tree.join("l")).unwrap(),
            "l: the link leads to 'a' and 'b'",
        );
        check(
            &|tree, second| fs::write(tree.join("x"), if second { "12" } else { "123" }).unwrap(),
            "x: contents differ at byte 2",
        );
        check(&|_, _| {}, "no file differs, only the archive");
    }
}
