//! Sources and places in them.
//!
//! A [`Span`] is a byte range; line and column are computed when somebody looks.

use std::sync::{Arc, RwLock};

/// Number of a source in its [`SourceMap`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FileId(pub u32);

/// A byte range in one source: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A span and the source it lies in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Location {
    /// The source.
    pub file: FileId,
    /// The bytes.
    pub span: Span,
}

/// Where a source came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file: its absolute, canonical path as bytes.
    Path(Box<[u8]>),
    /// Text given on a command line or by an embedder, with a name for messages such as `(string)`.
    Text(Box<str>),
}

/// A source and its text.
#[derive(Debug)]
pub struct Source {
    /// Where it came from.
    pub origin: Origin,
    /// Its bytes; not necessarily UTF-8.
    pub text: Arc<[u8]>,
}

/// All sources an engine has read, by number. Shared by parse, lint and evaluation.
#[derive(Debug, Default)]
pub struct SourceMap {
    sources: RwLock<Vec<Arc<Source>>>,
    /// Directories whose files are not the user's own.
    libraries: Vec<Box<[u8]>>,
}

/// What messages call the text of the function `derivation`, which is written in Nix.
pub(crate) const DERIVATION: &str = "derivation";

impl SourceMap {
    /// Adds a source and numbers it.
    pub fn add(&self, source: Source) -> FileId {
        let mut sources = self.sources.write().unwrap_or_else(|e| e.into_inner());
        sources.push(Arc::new(source));
        FileId((sources.len() - 1) as u32)
    }

    /// No sources yet; files in these directories belong to libraries.
    pub(crate) fn with_libraries(libraries: Vec<Box<[u8]>>) -> SourceMap {
        SourceMap { libraries, ..SourceMap::default() }
    }

    /// Whether a source belongs to a library: to the store, the search path or an embedded tree. So does the
    /// text of the function `derivation`.
    pub fn is_library(&self, origin: &Origin) -> bool {
        let path = match origin {
            Origin::Path(path) => path,
            Origin::Text(name) => return **name == *DERIVATION,
        };
        path.starts_with(b"<")
            || self.libraries.iter().any(|dir| {
                path.strip_prefix(&**dir).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            })
    }

    /// The source with this number, if the map has it.
    pub fn get(&self, file: FileId) -> Option<Arc<Source>> {
        self.sources.read().unwrap_or_else(|e| e.into_inner()).get(file.0 as usize).cloned()
    }

    /// The bytes of a place; none if the source is not there.
    pub fn text(&self, location: Location) -> Vec<u8> {
        let Some(source) = self.get(location.file) else { return Vec::new() };
        let (start, end) = (location.span.start as usize, location.span.end as usize);
        source.text.get(start..end).unwrap_or_default().to_vec()
    }

    /// `file:line:column` of a place.
    pub fn describe(&self, location: Location) -> String {
        let Some(source) = self.get(location.file) else { return "«unknown»".to_owned() };
        let (line, column) = self.line_column(location.file, location.span.start);
        match &source.origin {
            Origin::Path(path) => format!("{}:{line}:{column}", String::from_utf8_lossy(path)),
            Origin::Text(name) => format!("«{name}»:{line}:{column}"),
        }
    }

    /// Line and column of a byte, both from 1; columns count bytes, as C++ Nix does. A lone carriage return
    /// ends a line as well.
    pub fn line_column(&self, file: FileId, offset: u32) -> (u32, u32) {
        let Some(source) = self.get(file) else { return (1, 1) };
        let offset = (offset as usize).min(source.text.len());
        let (mut line, mut start) = (1, 0);
        for at in memchr::memchr2_iter(b'\n', b'\r', &source.text[..offset]) {
            // Of a pair the line feed counts.
            if source.text[at] == b'\r' && source.text.get(at + 1) == Some(&b'\n') {
                continue;
            }
            line += 1;
            start = at + 1;
        }
        (line, (offset - start) as u32 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feeds_carriage_returns_and_pairs_end_lines() {
        let map = SourceMap::default();
        let text = b"a\r b\r\n c\n\r\r\nd";
        let file = map.add(Source { origin: Origin::Text("t".into()), text: text[..].into() });
        let places = [(b'a', (1, 1)), (b'b', (2, 2)), (b'c', (3, 2)), (b'd', (6, 1))];
        for (letter, expected) in places {
            let at = text.iter().position(|&b| b == letter).expect("is there");
            assert_eq!(map.line_column(file, at as u32), expected, "{}", letter as char);
        }
        assert_eq!(map.line_column(file, 1000), (6, 2));
    }
}
