//! The members of an archive of ours, byte by byte as we write them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use super::Finding;
use crate::layer::tar::{BLOCK, Kind, padding};
use crate::write::member_header;

/// Largest document, in bytes.
const MAX_DOCUMENT: u64 = 4 << 20;

/// An archive whose member headers are checked.
pub(super) struct Outer<'a> {
    file: &'a File,
    /// Names (directories with their slash), with the place and length of the contents in bytes.
    members: Vec<(String, u64, u64)>,
}

impl<'a> Outer<'a> {
    /// Reads all headers, and checks that they and the padding are as we write them (V6).
    pub(super) fn read(file: &'a File) -> Result<Outer<'a>, Finding> {
        let wrong = |text: String| Finding { rule: "V6", text };
        let io = |error: io::Error| wrong(format!("the archive cannot be read: {error}"));
        let length = file.metadata().map_err(io)?.len();
        let mut members: Vec<(String, u64, u64)> = Vec::new();
        let mut position = 0;
        let mut block = [0; BLOCK];
        loop {
            file.read_exact_at(&mut block, position)
                .map_err(|_| wrong("the archive ends without its two zero blocks".to_owned()))?;
            if block == [0; BLOCK] {
                break;
            }
            position += BLOCK as u64;
            let end = block[..100].iter().position(|&byte| byte == 0).unwrap_or(100);
            let name = String::from_utf8_lossy(&block[..end]).into_owned();
            let size = std::str::from_utf8(&block[124..135])
                .ok()
                .and_then(|digits| u64::from_str_radix(digits, 8).ok())
                .ok_or_else(|| wrong(format!("member {name:?} has no size")))?;
            let kind = if name.ends_with('/') { Kind::Directory } else { Kind::File(size) };
            if member_header(name.trim_end_matches('/'), kind) != block {
                return Err(wrong(format!("member {name:?} has other metadata than we write")));
            }
            if members.iter().any(|(other, ..)| *other == name) {
                return Err(Finding {
                    rule: "V2",
                    text: format!("member {name:?} is there twice"),
                });
            }
            let n_padding = padding(size);
            file.read_exact_at(&mut block[..n_padding], position.saturating_add(size))
                .map_err(|_| wrong(format!("member {name:?} ends early")))?;
            if block[..n_padding].iter().any(|&byte| byte != 0) {
                return Err(wrong(format!("member {name:?} is not padded with zeros")));
            }
            members.push((name, position, size));
            position += size + n_padding as u64;
        }
        let mut end = [1; BLOCK];
        let two = file.read_exact_at(&mut end, position + BLOCK as u64).is_ok();
        if !two || end != [0; BLOCK] || length != position + 2 * BLOCK as u64 {
            return Err(wrong("the archive does not end with exactly two zero blocks".to_owned()));
        }
        Ok(Outer { file, members })
    }

    /// The members in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, ..)| &name[..])
    }

    /// Opens a member; the number is its length in bytes.
    pub(super) fn open(&self, name: &str) -> Result<(Section<'a>, u64), Finding> {
        match self.members.iter().find(|(other, ..)| other == name) {
            Some(&(_, start, size)) => {
                Ok((Section { file: self.file, position: start, end: start + size }, size))
            }
            None => Err(Finding { rule: "V2", text: format!("{name} is missing") }),
        }
    }

    /// Reads a document.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, Finding> {
        let (reader, size) = self.open(name)?;
        let mut bytes = Vec::new();
        let whole = size <= MAX_DOCUMENT
            && reader.take(MAX_DOCUMENT).read_to_end(&mut bytes).is_ok()
            && bytes.len() as u64 == size;
        if whole {
            return Ok(bytes);
        }
        Err(Finding { rule: "V1", text: format!("{name} cannot be read, or is longer than 4 MiB") })
    }
}

/// A part of a file.
pub(super) struct Section<'a> {
    file: &'a File,
    position: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let n_wanted = n_left.min(buffer.len());
        let n = self.file.read_at(&mut buffer[..n_wanted], self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}
