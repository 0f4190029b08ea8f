//! The members of an archive or directory, found by name.
//!
//! Names are only looked up, never created on disk, so a member that is called `../x` cannot do
//! harm; it cannot be found either.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::packing::{Packing, detect};
use super::{MAX_DOCUMENT, ReadError};

/// Most members that an outer archive may have.
const MAX_MEMBERS: usize = 10_000;

/// Most links between members on the way to one file.
const MAX_LINKS: usize = 8;

/// Where the blobs of an image lie.
#[derive(Debug)]
pub struct Source(Form);

#[derive(Debug)]
enum Form {
    Tar { file: Arc<File>, members: BTreeMap<String, Member> },
    Directory(PathBuf),
}

#[derive(Debug, Clone)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

/// An open blob.
pub struct Blob {
    /// Tells two names of one blob: equal for equal places.
    pub place: String,
    /// Length in bytes.
    pub size: u64,
    /// The bytes.
    pub reader: Box<dyn Read>,
}

impl Source {
    /// Opens a directory, or a tar that may be packed; `scratch` holds the unpacked one.
    ///
    /// # Errors
    /// [`ReadError`] when the file is no tar.
    pub fn open(path: &Path, scratch: &Path) -> Result<Source, ReadError> {
        if path.is_dir() {
            return Ok(Source(Form::Directory(path.to_owned())));
        }
        let mut file = File::open(path)?;
        let (packing, _) = detect(&mut file)?;
        file.seek(SeekFrom::Start(0))?;
        if packing != Packing::Plain {
            // Members are read out of order, so the packed form has to be undone first.
            let mut plain = tempfile::tempfile_in(scratch)?;
            io::copy(&mut packing.unpack(file)?, &mut plain)?;
            plain.flush()?;
            plain.seek(SeekFrom::Start(0))?;
            file = plain;
        }
        let members = list_members(&file)?;
        Ok(Source(Form::Tar { file: Arc::new(file), members }))
    }

    /// Whether a member of that name exists.
    pub fn has(&self, name: &str) -> bool {
        match &self.0 {
            Form::Tar { members, .. } => {
                clean(name).is_some_and(|name| members.contains_key(&name))
            }
            Form::Directory(path) => path.join(name).exists(),
        }
    }

    /// Opens a member, following links between members.
    ///
    /// # Errors
    /// [`ReadError::Missing`] names what is not there.
    pub fn blob(&self, name: &str) -> Result<Blob, ReadError> {
        let missing = || ReadError::Missing(name.to_owned());
        let cleaned = clean(name).ok_or_else(missing)?;
        match &self.0 {
            Form::Directory(path) => {
                let file = File::open(path.join(&cleaned)).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => missing(),
                    _ => ReadError::Io(error),
                })?;
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    return Err(missing());
                }
                Ok(Blob { place: cleaned, size: metadata.len(), reader: Box::new(file) })
            }
            Form::Tar { file, members } => {
                let mut current = cleaned;
                for _ in 0..MAX_LINKS {
                    match members.get(&current).ok_or_else(missing)? {
                        Member::Link(target) => current = target.clone(),
                        &Member::File { offset, size } => {
                            let end = offset.checked_add(size).ok_or_else(missing)?;
                            let reader = Section { file: Arc::clone(file), offset, end };
                            return Ok(Blob {
                                place: offset.to_string(),
                                size,
                                reader: Box::new(reader),
                            });
                        }
                    }
                }
                Err(missing())
            }
        }
    }

    /// Reads a whole JSON document.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] beyond 4 MiB, and as [`Source::blob`].
    pub fn document(&self, name: &str) -> Result<Vec<u8>, ReadError> {
        let blob = self.blob(name)?;
        if blob.size > MAX_DOCUMENT {
            return Err(ReadError::TooLarge { name: name.to_owned(), size: blob.size });
        }
        let mut bytes = Vec::new();
        blob.reader.take(MAX_DOCUMENT).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != blob.size {
            return Err(ReadError::Truncated(name.to_owned()));
        }
        Ok(bytes)
    }
}

fn list_members(file: &File) -> Result<BTreeMap<String, Member>, ReadError> {
    let mut members = BTreeMap::new();
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(ReadError::NotTar)? {
        let entry = entry.map_err(ReadError::NotTar)?;
        if members.len() >= MAX_MEMBERS {
            return Err(ReadError::TooManyMembers(MAX_MEMBERS));
        }
        // Members whose names cannot be asked for are passed over.
        let Some(name) = std::str::from_utf8(&entry.path_bytes()).ok().and_then(clean) else {
            continue;
        };
        let link = |base: &str| {
            let target = entry.link_name_bytes()?;
            let target = std::str::from_utf8(&target).ok()?.to_owned();
            clean(&format!("{base}{target}"))
        };
        let member = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                Some(Member::File { offset: entry.raw_file_position(), size: entry.size() })
            }
            tar::EntryType::Symlink => {
                let parent = name.rfind('/').map_or("", |slash| &name[..=slash]);
                link(parent).map(Member::Link)
            }
            tar::EntryType::Link => link("").map(Member::Link),
            _ => None,
        };
        if let Some(member) = member {
            members.insert(name, member);
        }
    }
    Ok(members)
}

/// The name without `.`, doubled slashes and `..`; `None` when it leads out or is empty.
fn clean(name: &str) -> Option<String> {
    let mut components: Vec<&str> = Vec::new();
    for component in name.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            _ => components.push(component),
        }
    }
    (!components.is_empty()).then(|| components.join("/"))
}

/// A part of a file that is read without moving the file's position.
struct Section {
    file: Arc<File>,
    offset: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_left = self.end - self.offset;
        let n_wanted = usize::try_from(n_left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..n_wanted], self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
