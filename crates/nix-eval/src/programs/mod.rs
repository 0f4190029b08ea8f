//! Programs of files, kept on disk: a file that was read before need not be parsed again.
//!
//! A program is found by the text of its file and the directory it lies in, both compared byte by byte: a file that
//! changed is another text. What else it depends on (the program that wrote it, switches of the language, globals) is the
//! identity of a set of files: others are not looked at.
//!
//! The cache only saves time: what is missing or damaged is parsed. A process writes what it had to parse into a new file,
//! which it names when it is finished, and takes in files that are not much larger than its own: so there are few, each
//! a multiple of the next, and any number of processes may use a directory at once.

mod codec;
mod order;
mod segment;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    fmt::Write,
    path::PathBuf,
    sync::{Mutex, OnceLock},
};

use self::segment::{Identity, NewSegment, Segment, hash_of};
use crate::{
    answers::Key, evaluator::lock, ir, kept, source::FileId, symbol::Symbol, symbol::Symbols,
};

/// A directory of programs.
#[derive(Clone, Debug)]
pub struct ProgramCache {
    dir: PathBuf,
    max_bytes: u64,
    key: Key,
}

impl ProgramCache {
    /// Programs in a directory, which is made when the first is kept, for its owner alone. When the files have more than
    /// `max_bytes` in all, those that were not used for longest are removed. `key` names the program that embeds the
    /// evaluator, with its version: what another version of it kept is not used.
    pub fn new(dir: impl Into<PathBuf>, max_bytes: u64, key: Key) -> ProgramCache {
        ProgramCache { dir: dir.into(), max_bytes, key }
    }
}

/// The directory that a file lies in, and its text.
pub(crate) type Source<'a> = (&'a [u8], &'a [u8]);

/// Texts shorter than this are parsed faster than found.
const MIN_TEXT: usize = 200;

/// The programs that an engine finds and keeps. Those it has to parse are written when it is dropped.
#[derive(Debug)]
pub(crate) struct Programs {
    cache: ProgramCache,
    /// What programs depend on besides directory and text.
    identity: Identity,
    /// What was there when the first was looked for; large files first.
    segments: OnceLock<Vec<Segment>>,
    new: Mutex<Written>,
}

/// What becomes of programs that were parsed.
#[derive(Debug)]
enum Written {
    /// There was none yet.
    Nothing,
    Begun(NewSegment),
    /// They cannot be kept, or are too many.
    GivenUp,
}

impl Drop for Programs {
    fn drop(&mut self) {
        self.keep();
    }
}

impl Programs {
    /// `depends` are further names and values that programs depend on.
    pub(crate) fn new(cache: ProgramCache, depends: &[(&str, &[u8])]) -> Programs {
        let own = [("program", &cache.key.0[..])];
        let Key(identity) = Key::of(own.into_iter().chain(depends.iter().copied()));
        let new = Mutex::new(Written::Nothing);
        Programs { cache, identity, segments: OnceLock::new(), new }
    }

    /// The program of a text in a directory, if it is known. `buffer` is memory to be used again.
    pub(crate) fn find(
        &self,
        (dir, text): Source<'_>,
        file: FileId,
        buffer: &mut Vec<u8>,
        mut intern: impl FnMut(&[u8]) -> Symbol,
    ) -> Option<ir::File> {
        if text.len() < MIN_TEXT {
            return None;
        }
        let segments = self.segments.get_or_init(|| self.open());
        if segments.is_empty() {
            return None;
        }
        let hash = hash_of(dir, text);
        segments.iter().find_map(|known| {
            known.find(hash, (dir, text), buffer, |stream| codec::decode(stream, file, &mut intern))
        })
    }

    /// Keeps the program of a text in a directory. `in_order` are the file's names as the reader met them.
    pub(crate) fn add(
        &self,
        (dir, text): Source<'_>,
        program: &ir::File,
        symbols: &Symbols,
        in_order: impl Iterator<Item = Symbol>,
    ) {
        if text.len() < MIN_TEXT {
            return;
        }
        let mut new = lock(&self.new);
        if matches!(*new, Written::Nothing) {
            let made = kept::make_dir(&self.cache.dir);
            *new = match made.and_then(|()| NewSegment::new(&self.cache.dir)) {
                Ok(segment) => Written::Begun(segment),
                Err(_) => Written::GivenUp,
            };
        }
        let Written::Begun(segment) = &mut *new else { return };
        segment.begin((dir, text));
        let encoded = codec::encode(program, symbols, in_order, segment);
        let added = segment.end(encoded.map(|()| hash_of(dir, text)));
        // The files of one process shall not drive out all others.
        if added.is_err() || segment.n_bytes() > self.cache.max_bytes / 2 {
            *new = Written::GivenUp;
        }
    }

    /// Writes what was added; what is added later is not kept.
    pub(crate) fn keep(&self) {
        let new = std::mem::replace(&mut *lock(&self.new), Written::GivenUp);
        let Written::Begun(mut new) = new else { return };
        let mut absorbed = Vec::new();
        for other in self.segments.get().into_iter().flatten().rev() {
            let together = new.n_bytes() + other.n_bytes;
            if other.n_bytes > 2 * new.n_bytes() || together > self.cache.max_bytes / 2 {
                break;
            }
            if new.absorb(other).is_err() {
                // Nobody shall find the damage again.
                let _ = std::fs::remove_file(&other.path);
                return;
            }
            absorbed.push(&other.path);
        }
        let name = format!("{}{}", self.prefix(), kept::unique());
        if new.finish(&self.cache.dir.join(name), &self.identity).is_ok() {
            for path in absorbed {
                // Whoever has it open may go on reading it.
                let _ = std::fs::remove_file(path);
            }
            let _ = kept::shrink(&self.cache.dir, self.cache.max_bytes);
        }
    }

    /// How the names of files of this identity begin.
    fn prefix(&self) -> String {
        let mut prefix = String::new();
        for byte in &self.identity[..8] {
            // A string cannot fail.
            let _ = write!(prefix, "{byte:02x}");
        }
        prefix.push('.');
        prefix
    }

    fn open(&self) -> Vec<Segment> {
        if !kept::is_private(&self.cache.dir) {
            return Vec::new();
        }
        let prefix = self.prefix();
        let Ok(entries) = std::fs::read_dir(&self.cache.dir) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name());
        let ours = names.filter(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()));
        let paths = ours.map(|name| self.cache.dir.join(name));
        let mut segments: Vec<Segment> =
            paths.filter_map(|path| Segment::open(path, &self.identity)).collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.n_bytes));
        segments
    }
}
