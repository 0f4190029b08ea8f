//! The bytes of a kept answer.
//!
//! A mark, a SHA-256 of all that follows, the key, then text, what was said, and inputs. Numbers are little-endian;
//! everything of variable length has its length before it, in four bytes. The format is read by the program
//! that wrote it and by no other (its identity is part of the key), so there is no version to negotiate.

use nix_formats::hash::{Hash, HashAlgo};

use super::{Answer, Key};
use crate::host::{Input, InputPath, Said, Stamp};

const MARK: &[u8; 8] = b"nixansw1";
const N_DIGEST: usize = 32;

pub(super) fn write(answer: &Answer, key: &Key) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(answer.text.len() + answer.inputs.len() * 192 + 128));
    out.0.extend_from_slice(MARK);
    out.0.extend_from_slice(&[0; N_DIGEST]);
    out.0.extend_from_slice(&key.0);
    out.bytes(&answer.text);
    out.number(answer.said.len());
    for said in &answer.said {
        let (tag, text) = match said {
            Said::Trace(text) => (0, text),
            Said::Warning(text) => (1, text),
            Said::Note(text) => (2, text),
            Said::Other(text) => (3, text),
        };
        out.0.push(tag);
        out.bytes(text);
    }
    out.number(answer.inputs.len());
    for (input, stamp) in &answer.inputs {
        out.input(input);
        match stamp {
            None => out.0.push(0),
            Some(stamp) => {
                out.0.push(1);
                out.0.extend_from_slice(&stamp.to_bytes());
            }
        }
    }
    let start = MARK.len() + N_DIGEST;
    let digest = Hash::of(HashAlgo::Sha256, &out.0[start..]);
    out.0[MARK.len()..start].copy_from_slice(digest.as_bytes());
    out.0
}

pub(super) fn read(bytes: &[u8], key: &Key) -> Option<Answer> {
    let mut reader = Reader(bytes);
    if reader.take(MARK.len())? != MARK {
        return None;
    }
    let digest = reader.take(N_DIGEST)?;
    if Hash::of(HashAlgo::Sha256, reader.0).as_bytes() != digest
        || reader.take(key.0.len())? != key.0
    {
        return None;
    }
    let mut answer = Answer { text: reader.bytes()?.to_vec(), ..Answer::default() };
    for _ in 0..reader.number()? {
        let tag = reader.byte()?;
        let text = reader.bytes()?.to_vec();
        answer.said.push(match tag {
            0 => Said::Trace(text),
            1 => Said::Warning(text),
            2 => Said::Note(text),
            3 => Said::Other(text),
            _ => return None,
        });
    }
    for _ in 0..reader.number()? {
        let input = reader.input()?;
        let stamp = match reader.byte()? {
            0 => None,
            1 => Some(Stamp::from_bytes(*reader.take(16)?.first_chunk()?)),
            _ => return None,
        };
        answer.inputs.insert(input, stamp);
    }
    reader.0.is_empty().then_some(answer)
}

struct Writer(Vec<u8>);

impl Writer {
    /// Lengths are those of things in memory; one that does not fit makes a file that is refused.
    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, tag: u8, text: &str) {
        self.0.push(tag);
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.0.push(u8::from(text.is_some()));
        self.bytes(text.unwrap_or_default().as_bytes());
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::File(path, digest) => {
                self.text(0, path.as_str());
                self.bytes(digest.as_bytes());
            }
            Input::Exists { path, link, found } => {
                self.text(1, path.as_str());
                self.0.push(u8::from(*link));
                self.optional(found.as_deref());
            }
            Input::Directory(path, digest) => {
                self.text(2, path.as_str());
                self.bytes(digest.as_bytes());
            }
            Input::Link(path, target) => {
                self.text(3, path.as_str());
                self.bytes(target.as_str().as_bytes());
            }
            Input::Environment(name, value) => {
                self.text(4, name);
                self.optional(value.as_deref());
            }
            Input::Clock(time) => {
                self.0.push(5);
                self.optional(time.map(|time| time.to_string()).as_deref());
            }
            Input::System(system) => {
                self.0.push(6);
                self.optional(system.as_deref());
            }
            Input::Fetch(url, hash) => {
                self.text(7, url);
                self.bytes(hash.as_bytes());
            }
            Input::Build(path) => self.text(8, path),
            Input::Tree(path, name, stored) => {
                self.text(9, path.as_str());
                self.bytes(name.as_bytes());
                self.bytes(stored.as_bytes());
            }
            Input::Object(path, valid) => {
                self.text(10, path);
                self.0.push(u8::from(*valid));
            }
            Input::Until(seconds) => {
                self.0.push(11);
                self.0.extend_from_slice(&seconds.to_le_bytes());
            }
            Input::Once(what) => self.text(12, what),
            Input::External(what, state) => {
                self.text(13, what);
                self.bytes(state.as_bytes());
            }
        }
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.take(4)?.first_chunk()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n = self.number()?;
        self.take(n)
    }

    fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    fn path(&mut self) -> Option<InputPath> {
        self.text().map(InputPath::from_text)
    }

    fn optional(&mut self) -> Option<Option<String>> {
        let is_some = self.flag()?;
        let text = self.text()?;
        Some(is_some.then_some(text))
    }

    fn input(&mut self) -> Option<Input> {
        Some(match self.byte()? {
            0 => Input::File(self.path()?, self.text()?),
            1 => Input::Exists { path: self.path()?, link: self.flag()?, found: self.optional()? },
            2 => Input::Directory(self.path()?, self.text()?),
            3 => Input::Link(self.path()?, self.path()?),
            4 => Input::Environment(self.text()?, self.optional()?),
            5 => Input::Clock(match self.optional()? {
                Some(time) => Some(time.parse().ok()?),
                None => None,
            }),
            6 => Input::System(self.optional()?),
            7 => Input::Fetch(self.text()?, self.text()?),
            8 => Input::Build(self.text()?),
            9 => Input::Tree(self.path()?, self.text()?, self.text()?),
            10 => Input::Object(self.text()?, self.flag()?),
            11 => Input::Until(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            12 => Input::Once(self.text()?),
            13 => Input::External(self.text()?, self.text()?),
            _ => return None,
        })
    }
}
