//! The little of ATerm that derivations need: strings, lists and tuples, without white space.
//!
//! Bytes are arbitrary. Only `"`, `\`, newline, carriage return and tab are escaped; on reading, a
//! backslash before any other byte means that byte.

use std::borrow::Cow;

/// What stands between two items of a list, and at its ends.
const COMMA: u8 = b',';

/// Why a text is not the ATerm that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtermError {
    /// Something else stands here.
    #[error("expected {expected:?} at offset {at}")]
    Expected {
        /// What should stand here.
        expected: &'static str,
        /// Where, in bytes.
        at: usize,
    },
    /// A string without its closing quote.
    #[error("the string at offset {at} does not end")]
    OpenString {
        /// Where the string begins, in bytes.
        at: usize,
    },
    /// A string that must be text is not UTF-8.
    #[error("the string at offset {at} is not UTF-8")]
    Utf8 {
        /// Where the string begins, in bytes.
        at: usize,
    },
}

/// Where the next byte is that is not written as it is.
fn next_escaped(bytes: &[u8]) -> Option<usize> {
    let is_escaped = |byte: u8| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t');
    // A whole block is looked at without branches, which the compiler does with wide registers.
    const BLOCK: usize = 32;
    let has_none = |block: &&[u8]| !block.iter().fold(false, |any, &b| any | is_escaped(b));
    let passed = BLOCK * bytes.chunks_exact(BLOCK).take_while(has_none).count();
    bytes[passed..].iter().position(|&byte| is_escaped(byte)).map(|at| passed + at)
}

/// Appends `bytes` in quotes, escaped.
pub(crate) fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = next_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        let escaped = match rest[at] {
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            byte => byte,
        };
        out.extend_from_slice(&[b'\\', escaped]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `text` in quotes, as it is.
pub(crate) fn write_raw_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends `[`, the items with commas between, `]`.
pub(crate) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    let start = out.len();
    for value in items {
        if out.len() > start {
            out.push(COMMA);
        }
        item(out, value);
    }
    out.push(b']');
}

/// A place in a text, moving forward as parts of it are read.
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// The offset, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// Goes over `token` if it stands here.
    pub(crate) fn skip(&mut self, token: &'static str) -> bool {
        let found = self.text[self.at..].starts_with(token.as_bytes());
        if found {
            self.at += token.len();
        }
        found
    }

    /// Goes over `token`, which must stand here.
    pub(crate) fn expect(&mut self, token: &'static str) -> Result<(), AtermError> {
        if self.skip(token) {
            Ok(())
        } else {
            Err(AtermError::Expected { expected: token, at: self.at })
        }
    }

    /// A string, unescaped.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, AtermError> {
        let begin = self.at;
        self.expect("\"")?;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let rest = &self.text[self.at..];
            let stop = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\'))
                .ok_or(AtermError::OpenString { at: begin })?;
            let run = &rest[..stop];
            if rest[stop] == b'"' {
                self.at += stop + 1;
                return Ok(match unescaped {
                    None => Cow::Borrowed(run),
                    Some(mut bytes) => {
                        bytes.extend_from_slice(run);
                        Cow::Owned(bytes)
                    }
                });
            }
            let escaped = *rest.get(stop + 1).ok_or(AtermError::OpenString { at: begin })?;
            let bytes = unescaped.get_or_insert_default();
            bytes.extend_from_slice(run);
            bytes.push(match escaped {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                byte => byte,
            });
            self.at += stop + 2;
        }
    }

    /// A string that must be UTF-8.
    pub(crate) fn text(&mut self) -> Result<String, AtermError> {
        let at = self.at;
        String::from_utf8(self.string()?.into_owned()).map_err(|_| AtermError::Utf8 { at })
    }

    /// A list whose items `item` reads.
    pub(crate) fn list<E: From<AtermError>>(
        &mut self,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect("[")?;
        if self.skip("]") {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.skip("]") {
                return Ok(());
            }
            self.expect(",")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Result<Vec<u8>, AtermError> {
        Reader::new(text).string().map(Cow::into_owned)
    }

    #[test]
    fn escaped_bytes_are_found_wherever_they_are() {
        for at in 0..100 {
            let mut bytes = vec![b'x'; 100];
            assert_eq!(next_escaped(&bytes), None);
            for byte in *b"\"\\\n\r\t" {
                bytes[at] = byte;
                assert_eq!(next_escaped(&bytes), Some(at));
            }
        }
    }

    #[test]
    fn strings_are_escaped_as_nix_does() {
        let mut out = Vec::new();
        write_string(&mut out, b"a\"b\\c\nd\re\tf\0\xff$");
        assert_eq!(out, b"\"a\\\"b\\\\c\\nd\\re\\tf\0\xff$\"");
        assert_eq!(read(br#""\q\"\\""#), Ok(b"q\"\\".to_vec()));
    }

    #[test]
    fn open_strings_are_refused() {
        for text in [&b"\""[..], b"\"abc", b"\"abc\\", b"\"abc\\\""] {
            assert_eq!(read(text), Err(AtermError::OpenString { at: 0 }));
        }
        assert_eq!(read(b"abc"), Err(AtermError::Expected { expected: "\"", at: 0 }));
        assert_eq!(Reader::new(b"\"\xff\"").text(), Err(AtermError::Utf8 { at: 0 }));
    }

    #[test]
    fn lists_have_no_trailing_comma() {
        let items = |text: &[u8]| {
            let mut found = Vec::new();
            let mut reader = Reader::new(text);
            reader.list(|item| {
                found.push(item.text()?);
                Ok::<(), AtermError>(())
            })?;
            Ok::<_, AtermError>((found, reader.is_at_end()))
        };
        assert_eq!(items(b"[]"), Ok((vec![], true)));
        assert_eq!(items(br#"["a","b"]"#), Ok((vec!["a".into(), "b".into()], true)));
        for text in [&br#"["a",]"#[..], b"[,]", br#"["a""b"]"#, br#"["a""#, b"["] {
            assert!(items(text).is_err());
        }
    }

    proptest! {
        #[test]
        fn strings_come_back(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            write_string(&mut out, &bytes);
            prop_assert_eq!(read(&out), Ok(bytes));
        }
    }
}
