//! Tar headers whose bytes are a function of their arguments.
//!
//! The diff ID of a layer is a hash over these bytes, so this code is a contract: ustar, and a
//! PAX extended header only where ustar cannot hold a value. The `prefix` field of ustar is never
//! used, because readers disagree about how to split a name.
//!
//! Trap: a directory's name ends in `/` on the wire but not in [`Entry::path`].

use std::io::{self, Write};

/// Length of a tar block in bytes.
pub const BLOCK: usize = 512;

/// Longest name that fits a ustar header, in bytes.
const NAME_LEN: usize = 100;

/// Largest number that seven octal digits hold.
const MAX_OCTAL_7: u64 = 0o7_777_777;

/// Largest number that eleven octal digits hold; one byte below 8 GiB.
const MAX_OCTAL_11: u64 = 0o77_777_777_777;

/// Who an entry belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Number of the user.
    pub uid: u64,
    /// Number of the group.
    pub gid: u64,
    /// Name of the user, at most 31 bytes are written; may be empty.
    pub uname: String,
    /// Name of the group, at most 31 bytes are written; may be empty.
    pub gname: String,
}

impl Owner {
    /// The owner of store files: `0:0`, `root:root`.
    pub fn root() -> Owner {
        Owner::named(0, 0)
    }

    /// An owner known by number; only number 0 has a name.
    pub fn named(uid: u64, gid: u64) -> Owner {
        let name = |id| if id == 0 { "root".to_owned() } else { String::new() };
        Owner { uid, gid, uname: name(uid), gname: name(gid) }
    }

    /// `0:0` without names: the owner of the members of an image archive.
    pub fn nameless() -> Owner {
        Owner { uid: 0, gid: 0, uname: String::new(), gname: String::new() }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file of that many bytes.
    File(u64),
    /// A symbolic link with its target, unchecked.
    Symlink(&'a [u8]),
}

/// One member of a tar archive, without its contents.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Relative name without a trailing slash.
    pub path: &'a [u8],
    /// What it is.
    pub kind: Kind<'a>,
    /// Permission bits. Ignored for symbolic links, which have mode 0777.
    pub mode: u32,
    /// Who it belongs to.
    pub owner: &'a Owner,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// Writes entries and their contents in the order in which they are given.
///
/// Contents follow their [`TarWriter::entry`] through [`Write`]; a wrong number of bytes is an
/// error, never a damaged archive.
pub struct TarWriter<W> {
    out: W,
    /// Bytes of the current file that are still to come.
    remaining: u64,
    /// Zero bytes needed after the current file.
    padding: usize,
}

impl<W: Write> TarWriter<W> {
    /// Starts an archive.
    pub fn new(out: W) -> TarWriter<W> {
        TarWriter { out, remaining: 0, padding: 0 }
    }

    /// Writes the header of the next entry.
    ///
    /// # Errors
    /// Those of the writer beneath; `InvalidInput` when the file before is not complete.
    pub fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.end_of_file()?;
        self.out.write_all(&header(entry))?;
        if let Kind::File(size) = entry.kind {
            self.remaining = size;
            self.padding = padding(size);
        }
        Ok(())
    }

    /// Writes the two zero blocks that end an archive, and gives the writer back.
    ///
    /// # Errors
    /// As [`TarWriter::entry`].
    pub fn finish(mut self) -> io::Result<W> {
        self.end_of_file()?;
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn end_of_file(&mut self) -> io::Result<()> {
        if self.remaining != 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a file is {} bytes shorter than its header says", self.remaining),
            ));
        }
        self.out.write_all(&[0; BLOCK][..self.padding])?;
        self.padding = 0;
        Ok(())
    }
}

impl<W: Write> Write for TarWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.remaining {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a file is longer than its header says",
            ));
        }
        let n = self.out.write(bytes)?;
        self.remaining -= n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Zero bytes that follow `size` bytes of contents.
pub fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

/// The header blocks of an entry: one, or a PAX header with its records and then one.
pub fn header(entry: &Entry<'_>) -> Vec<u8> {
    let mut path = entry.path.to_vec();
    let (type_flag, size, target): (u8, u64, &[u8]) = match entry.kind {
        Kind::Directory => {
            path.push(b'/');
            (b'5', 0, b"")
        }
        Kind::File(size) => (b'0', size, b""),
        Kind::Symlink(target) => (b'2', 0, target),
    };
    let mode = if matches!(entry.kind, Kind::Symlink(_)) { 0o777 } else { entry.mode & 0o7777 };
    let owner = entry.owner;

    // Sorted by key, as they are written.
    let mut records = Vec::new();
    if owner.gid > MAX_OCTAL_7 {
        pax_record(&mut records, b"gid", owner.gid.to_string().as_bytes());
    }
    if needs_pax(target) {
        pax_record(&mut records, b"linkpath", target);
    }
    if needs_pax(&path) {
        pax_record(&mut records, b"path", &path);
    }
    if size > MAX_OCTAL_11 {
        pax_record(&mut records, b"size", size.to_string().as_bytes());
    }
    if owner.uid > MAX_OCTAL_7 {
        pax_record(&mut records, b"uid", owner.uid.to_string().as_bytes());
    }

    let mut blocks = Vec::with_capacity(BLOCK);
    if !records.is_empty() {
        let mut name = b"PaxHeaders.0/".to_vec();
        name.extend_from_slice(&entry.path[..entry.path.len().min(NAME_LEN - name.len())]);
        let raw = RawHeader {
            name: &name,
            mode: 0o644,
            owner,
            size: records.len() as u64,
            mtime: entry.mtime,
            type_flag: b'x',
            target: b"",
        };
        blocks.extend_from_slice(&raw.block());
        let pad = padding(records.len() as u64);
        blocks.append(&mut records);
        blocks.resize(blocks.len() + pad, 0);
    }
    let raw = RawHeader { name: &path, mode, owner, size, mtime: entry.mtime, type_flag, target };
    blocks.extend_from_slice(&raw.block());
    blocks
}

fn needs_pax(value: &[u8]) -> bool {
    value.len() > NAME_LEN || !value.is_ascii()
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn pax_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3; // blank, '=', newline
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

struct RawHeader<'a> {
    name: &'a [u8],
    mode: u32,
    owner: &'a Owner,
    size: u64,
    mtime: u64,
    type_flag: u8,
    target: &'a [u8],
}

impl RawHeader<'_> {
    /// Numbers that do not fit are written as 0: a PAX record then holds them.
    fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block[0..100], self.name);
        put_octal(&mut block[100..108], u64::from(self.mode));
        put_octal(&mut block[108..116], fitting(self.owner.uid, MAX_OCTAL_7));
        put_octal(&mut block[116..124], fitting(self.owner.gid, MAX_OCTAL_7));
        put_octal(&mut block[124..136], fitting(self.size, MAX_OCTAL_11));
        put_octal(&mut block[136..148], fitting(self.mtime, MAX_OCTAL_11));
        block[148..156].fill(b' ');
        block[156] = self.type_flag;
        put(&mut block[157..257], self.target);
        block[257..265].copy_from_slice(b"ustar\x0000");
        put(&mut block[265..296], self.owner.uname.as_bytes());
        put(&mut block[297..328], self.owner.gname.as_bytes());
        put_octal(&mut block[329..337], 0);
        put_octal(&mut block[337..345], 0);
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        put_octal(&mut block[148..155], sum);
        block
    }
}

fn fitting(number: u64, most: u64) -> u64 {
    if number > most { 0 } else { number }
}

fn put(field: &mut [u8], value: &[u8]) {
    let n = value.len().min(field.len());
    field[..n].copy_from_slice(&value[..n]);
}

/// Zero-padded octal digits and a NUL.
fn put_octal(field: &mut [u8], mut value: u64) {
    let (last, digits) = field.split_last_mut().expect("number fields are not empty");
    *last = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    const HELLO: &[u8] = b"nix/store/qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";

    fn archive(entries: &[(&[u8], Kind<'_>, u32, &[u8])]) -> Vec<u8> {
        let owner = Owner::root();
        let mut tar = TarWriter::new(Vec::new());
        for &(path, kind, mode, contents) in entries {
            tar.entry(&Entry { path, kind, mode, owner: &owner, mtime: 1 }).unwrap();
            tar.write_all(contents).unwrap();
        }
        tar.finish().unwrap()
    }

    #[test]
    fn store_layers_have_the_specified_bytes() {
        let tree = "nix/store/j61b8daqh9rzmyxrm7l9ybplgji2s6nz-tree";
        let below = |name: &str| format!("{tree}/{name}").into_bytes();
        let (bin, hi, data) = (below("bin"), below("bin/hi"), below("data"));
        let (empty, link) = (below("empty"), below("link"));
        let entries: [(&[u8], Kind<'_>, u32, &[u8]); 9] = [
            (b"nix", Kind::Directory, 0o755, b""),
            (b"nix/store", Kind::Directory, 0o755, b""),
            (HELLO, Kind::File(6), 0o444, b"hello\n"),
            (tree.as_bytes(), Kind::Directory, 0o555, b""),
            (&bin, Kind::Directory, 0o555, b""),
            (&hi, Kind::File(18), 0o555, b"#!/bin/sh\necho hi\n"),
            (&data, Kind::File(4), 0o444, b"data"),
            (&empty, Kind::Directory, 0o555, b""),
            (&link, Kind::Symlink(b"data"), 0o777, b""),
        ];
        let check = |bytes: &[u8], size: usize, digest: &str| {
            assert_eq!(bytes.len(), size);
            assert_eq!(hex::encode(Sha256::digest(bytes)), digest);
        };
        check(
            &archive(&entries[..3]),
            3072,
            "b60be25ae0dac38e8eda8b424467996f9b0b8e21807a6d05c76883650763f100",
        );
        check(
            &archive(&entries),
            7168,
            "80dda22a5746a5f87e28aaa13b4b7209d67f7dab2708161f4de44a2e2eb4003d",
        );
    }

    #[test]
    fn long_and_non_ascii_names_get_a_pax_header_that_another_reader_understands() {
        let long = [b"directory/".repeat(30), b"file".to_vec()].concat();
        let bytes = archive(&[
            (&long, Kind::File(3), 0o444, b"abc"),
            ("gr\u{fc}n".as_bytes(), Kind::Symlink("\u{e4}".as_bytes()), 0, b""),
            (b"new\nline", Kind::Directory, 0o755, b""),
        ]);
        let mut seen = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let entry = entry.unwrap();
            seen.push((entry.path_bytes().into_owned(), entry.size()));
        }
        assert_eq!(
            seen,
            [(long, 3), ("gr\u{fc}n".as_bytes().to_vec(), 0), (b"new\nline/".to_vec(), 0)]
        );
    }

    #[test]
    fn sizes_and_owners_that_ustar_cannot_hold_go_to_pax() {
        let owner = Owner::named(3_000_000, 4_000_000);
        let size = 8 << 30;
        let bytes = header(&Entry {
            path: b"big",
            kind: Kind::File(size),
            mode: 0o644,
            owner: &owner,
            mtime: 1,
        });
        assert_eq!(bytes.len(), 3 * BLOCK);
        let mut archive = tar::Archive::new(&bytes[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), size);
        let text = String::from_utf8_lossy(&bytes[BLOCK..2 * BLOCK]).into_owned();
        assert!(text.starts_with("15 gid=4000000\n19 size=8589934592\n15 uid=3000000\n"), "{text}");
    }

    #[test]
    fn a_pax_length_that_crosses_a_power_of_ten_counts_itself() {
        for n in 1..1200 {
            let mut records = Vec::new();
            pax_record(&mut records, b"path", &vec![b'a'; n]);
            let digits = records.iter().position(|&byte| byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&records[..digits]).unwrap().parse().unwrap();
            assert_eq!(length, records.len());
        }
    }

    #[test]
    fn a_file_of_another_length_than_announced_is_an_error() {
        let owner = Owner::root();
        let entry = Entry { path: b"f", kind: Kind::File(2), mode: 0o444, owner: &owner, mtime: 1 };
        let mut tar = TarWriter::new(Vec::new());
        tar.entry(&entry).unwrap();
        tar.write_all(b"a").unwrap();
        assert!(tar.finish().is_err());
        let mut tar = TarWriter::new(Vec::new());
        tar.entry(&entry).unwrap();
        assert!(tar.write_all(b"abc").is_err());
    }
}
