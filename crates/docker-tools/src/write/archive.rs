//! One tar that is both a docker archive and an OCI layout.
//!
//! Blobs come first and the documents that name them last, so a blob can be written while its
//! digest is still being computed: its header is filled in afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write};

use crate::layer::blob::HashingWriter;
use crate::layer::tar::{BLOCK, Entry, Kind, Owner, header, padding};
use crate::spec::Digest;

/// The directory of blobs in the archive.
pub const BLOBS: &str = "blobs/sha256";

/// Writes the members of an image archive.
pub struct ArchiveWriter {
    file: File,
    /// Where the next member starts.
    position: u64,
    /// Digest → length, of the blobs that are written.
    blobs: BTreeMap<Digest, u64>,
}

impl ArchiveWriter {
    /// Starts an archive in an empty file.
    ///
    /// # Errors
    /// Those of the file.
    pub fn new(file: File) -> io::Result<ArchiveWriter> {
        let mut writer = ArchiveWriter { file, position: 0, blobs: BTreeMap::new() };
        writer.member("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        writer.put(&member_header("blobs", Kind::Directory))?;
        writer.put(&member_header(BLOBS, Kind::Directory))?;
        Ok(writer)
    }

    /// Adds a blob that lies in memory.
    ///
    /// # Errors
    /// Those of the file.
    pub fn add_bytes(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.blobs.contains_key(&digest) {
            self.member(&format!("{BLOBS}/{}", digest.to_hex()), bytes)?;
            self.blobs.insert(digest, bytes.len() as u64);
        }
        Ok(digest)
    }

    /// Adds the blob that `produce` writes; gives its digest, its length and `produce`'s answer.
    ///
    /// A blob that is there already is not stored twice.
    ///
    /// # Errors
    /// Those of `produce`, and those of the file.
    pub fn add_streamed<T, E: From<io::Error>>(
        &mut self,
        produce: impl FnOnce(&mut dyn Write) -> Result<T, E>,
    ) -> Result<(Digest, u64, T), E> {
        let start = self.position;
        self.file.seek(SeekFrom::Start(start + BLOCK as u64))?;
        let mut sink = HashingWriter::new(&mut self.file);
        let answer = produce(&mut sink)?;
        let (digest, size) = sink.finish();
        if self.blobs.insert(digest, size).is_some() {
            self.file.set_len(start)?;
            self.file.seek(SeekFrom::Start(start))?;
            return Ok((digest, size, answer));
        }
        self.file.write_all(&[0; BLOCK][..padding(size)])?;
        self.file.seek(SeekFrom::Start(start))?;
        let name = format!("{BLOBS}/{}", digest.to_hex());
        let blocks = member_header(&name, Kind::File(size));
        if blocks.len() != BLOCK {
            return Err(io::Error::other(format!(
                "a layer of {size} bytes is too large: an image archive holds layers below 8 GiB"
            ))
            .into());
        }
        self.file.write_all(&blocks)?;
        self.position = start + BLOCK as u64 + size + padding(size) as u64;
        self.file.seek(SeekFrom::Start(self.position))?;
        Ok((digest, size, answer))
    }

    /// Adds a member that is no blob.
    ///
    /// # Errors
    /// Those of the file.
    pub fn member(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.put(&member_header(name, Kind::File(bytes.len() as u64)))?;
        self.put(bytes)?;
        self.put(&[0; BLOCK][..padding(bytes.len() as u64)])
    }

    /// Ends the archive; gives the file and its length in bytes.
    ///
    /// # Errors
    /// Those of the file.
    pub fn finish(mut self) -> io::Result<(File, u64)> {
        self.put(&[0; 2 * BLOCK])?;
        self.file.flush()?;
        Ok((self.file, self.position))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// The header of a member, the same wherever and by whomever it is written.
pub(crate) fn member_header(name: &str, kind: Kind<'_>) -> Vec<u8> {
    let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
    header(&Entry { path: name.as_bytes(), kind, mode, owner: &Owner::nameless(), mtime: 1 })
}
