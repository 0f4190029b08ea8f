//! Paths of the language: which tree, and an absolute canonical text.

use super::{BOX_PATH, BOXED, Value};
use crate::heap::{Bump, Cells, Heap};

/// Which tree a path lies in: 0 is the host's file system, others are embedded trees.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct AccessorId(pub u32);

/// A path value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathRef(pub(crate) Cells);

impl PathRef {
    /// The tree.
    pub fn accessor(self) -> AccessorId {
        AccessorId((self.0.word(0) >> 32) as u32)
    }

    /// Absolute, canonical: begins with `/`, no empty, `.` or `..` components, no trailing `/` but in `/`.
    pub fn bytes<'a>(self) -> &'a [u8] {
        self.0.skip(2).bytes(self.0.word(1) as usize)
    }

    /// The text, with invalid UTF-8 replaced.
    pub fn to_text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The path as a value.
    pub fn value(self) -> Value {
        Value::tagged(self.0, BOXED)
    }

    pub(crate) fn new(bump: &mut Bump, heap: &Heap, accessor: AccessorId, bytes: &[u8]) -> PathRef {
        let cells = bump.words(heap, 2 + bytes.len().div_ceil(8));
        cells.put(0, BOX_PATH | (accessor.0 as u64) << 32);
        cells.put(1, bytes.len() as u64);
        cells.put_bytes(16, bytes);
        PathRef(cells)
    }
}

/// Makes a path text absolute and canonical by removing empty, `.` and `..` components; `..` at the root
/// stays at the root.
pub fn canonicalise(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len() + 1);
    for part in text.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let cut = out.iter().rposition(|&b| b == b'/').unwrap_or(0);
                out.truncate(cut);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::canonicalise;

    #[test]
    fn dots_and_slashes_vanish() {
        let check = |from: &str, to: &str| {
            assert_eq!(String::from_utf8(canonicalise(from.as_bytes())).unwrap(), to);
        };
        check("/", "/");
        check("/a/../b", "/b");
        check("/a/../../b", "/b");
        check("//a//b/./c/", "/a/b/c");
        check("/a/..", "/");
    }
}
