//! What tells that files are as they were without reading them.
//!
//! Identity, size, mode and both times of a file, digested. A file system writes times in steps: two changes within
//! one step leave the same times. So a file that changed a moment ago has no stamp, and is compared by its
//! contents until it is old enough (git does the same with its index).

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use nix_formats::hash::{HashAlgo, Hasher};

/// How old a change has to be: the largest step of a file system (FAT has two seconds).
const STEP_NANOS: i128 = 2_000_000_000;

/// The state of a file, of several, or of a tree, in 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stamp([u8; 16]);

impl Stamp {
    /// From what [`Stamp::to_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; 16]) -> Stamp {
        Stamp(bytes)
    }

    /// As bytes, for a file.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Of what lies at a path of the machine; links are followed. `None` if nothing does, or it is too new.
    pub(super) fn of_file(path: &Path) -> Option<Stamp> {
        let mut all = Stamper::default();
        all.add(&fs::metadata(path).ok()?);
        all.finish()
    }

    /// Of a whole tree of the machine, no link followed. `None` if something is too new or cannot be read.
    pub(super) fn of_tree(root: &Path) -> Option<Stamp> {
        let mut all = Stamper::default();
        let mut todo = vec![root.to_owned()];
        while let Some(path) = todo.pop() {
            let found = fs::symlink_metadata(&path).ok()?;
            all.name(path.as_os_str());
            all.add(&found);
            if found.is_dir() {
                let names: io::Result<Vec<_>> =
                    fs::read_dir(&path).ok()?.map(|entry| Ok(entry?.file_name())).collect();
                let mut names = names.ok()?;
                names.sort();
                todo.extend(names.into_iter().map(|name| path.join(name)));
            }
        }
        all.finish()
    }

    /// Of what lies, or does not lie, at several paths of the machine; links are followed. `None` if something
    /// is too new.
    pub fn of_places<'a>(places: impl IntoIterator<Item = &'a Path>) -> Option<Stamp> {
        let mut all = Stamper::default();
        for place in places {
            all.name(place.as_os_str());
            match fs::metadata(place) {
                Ok(found) => all.add(&found),
                Err(error) => all.number(i64::from(error.raw_os_error().unwrap_or(-1))),
            }
        }
        all.finish()
    }
}

struct Stamper {
    hasher: Hasher,
    /// Nanoseconds since 1970.
    newest: i128,
    began: i128,
}

impl Default for Stamper {
    fn default() -> Stamper {
        let began = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Stamper { hasher: Hasher::new(HashAlgo::Sha256), newest: i128::MIN, began }
    }
}

impl Stamper {
    fn name(&mut self, name: &OsStr) {
        self.number(name.len() as i64);
        self.hasher.update(name.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.hasher.update(&number.to_le_bytes());
    }

    fn add(&mut self, found: &Metadata) {
        for number in [found.dev(), found.ino(), found.size(), u64::from(found.mode())] {
            self.number(number.cast_signed());
        }
        for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
            self.number(number);
        }
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let changed = nanos(found.mtime(), found.mtime_nsec());
        self.newest = self.newest.max(changed).max(nanos(found.ctime(), found.ctime_nsec()));
    }

    fn finish(self) -> Option<Stamp> {
        // A time in the future is no better than one of just now.
        if self.newest > self.began - STEP_NANOS {
            return None;
        }
        let digest = self.hasher.finish();
        digest.as_bytes().first_chunk().copied().map(Stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_just_now_has_no_stamp_and_gets_one_when_it_is_old() {
        let dir = tempfile_dir();
        let file = dir.join("f");
        fs::write(&file, "x").expect("written");
        assert_eq!(Stamp::of_file(&file), None);
        assert_eq!(Stamp::of_tree(&dir), None);
        assert_eq!(Stamp::of_file(&dir.join("none")), None);
        let old = settled(&dir);
        assert_eq!(Stamp::of_tree(&dir), Some(old));
        assert!(Stamp::of_file(&file).is_some());
        // As long as before.
        fs::write(&file, "y").expect("written");
        assert_eq!(Stamp::of_tree(&dir), None);
        assert_ne!(settled(&dir), old);
        fs::remove_dir_all(dir).expect("removed");
    }

    /// The stamp of a tree, once it is old enough to have one.
    fn settled(dir: &Path) -> Stamp {
        for _ in 0..600 {
            if let Some(stamp) = Stamp::of_tree(dir) {
                return stamp;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{} stays too new", dir.display());
    }

    #[test]
    fn missing_places_are_part_of_a_stamp() {
        let missing = [Path::new("/nonexistent/a")];
        let other = [Path::new("/nonexistent/b")];
        assert!(Stamp::of_places(missing).is_some());
        assert_eq!(Stamp::of_places(missing), Stamp::of_places(missing));
        assert_ne!(Stamp::of_places(missing), Stamp::of_places(other));
    }

    fn tempfile_dir() -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("mini-nix-stamp-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("made");
        dir
    }
}
