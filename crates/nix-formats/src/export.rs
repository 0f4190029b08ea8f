//! Objects in a row: the stream of `--export`, and the registration text of `--dump-db`.
//!
//! The stream has, for every object and dependencies first: 1, the NAR, and a trailer that says
//! what the object is; at the end 0. The NAR itself is written and read with [`crate::nar`]
//! between the calls of this module.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use crate::hash::{Hash, HashAlgo, HashError};
use crate::store_path::{StoreDir, StorePath, StorePathError};
use crate::wire::{self, WireError};

/// What begins a trailer: `NIXE`.
const MAGIC: u64 = 0x4558_494e;
/// Longest path that is read, in bytes.
const MAX_PATH_LEN: usize = 4096;
/// The most references of one object that are read.
const MAX_REFERENCES: usize = 1_000_000;
/// Longest signature of the old kind that is skipped, in bytes.
const MAX_SIGNATURE_LEN: usize = 64 << 10;

/// What an export says about an object, behind its NAR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The object.
    pub path: StorePath,
    /// What it refers to, perhaps itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
}

/// Why a stream is not an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Reading failed, or a string is wrong.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Neither another object nor the end.
    #[error("the input does not look like one of `--export`: found {0} before an object")]
    Start(u64),
    /// No trailer behind the NAR.
    #[error("the export has no trailer behind a NAR: found {0:#x}")]
    Magic(u64),
    /// A path is wrong.
    #[error(transparent)]
    Path(#[from] StorePathError),
}

/// Writes what stands before the NAR of every object.
///
/// # Errors
/// Those of `out`.
pub fn write_object_start(out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    wire::write_u64(out, 1)
}

/// Writes what stands behind the NAR of every object.
///
/// # Errors
/// Those of `out`.
pub fn write_trailer(
    out: &mut (impl Write + ?Sized),
    dir: &StoreDir,
    trailer: &Trailer,
) -> io::Result<()> {
    wire::write_u64(out, MAGIC)?;
    wire::write_bytes(out, dir.display(&trailer.path))?;
    let references: Vec<String> = trailer.references.iter().map(|path| dir.display(path)).collect();
    wire::write_list(out, &references)?;
    wire::write_bytes(
        out,
        trailer.deriver.as_ref().map_or(String::new(), |path| dir.display(path)),
    )?;
    // No signature.
    wire::write_u64(out, 0)
}

/// Writes what stands behind the last object.
///
/// # Errors
/// Those of `out`.
pub fn write_end(out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    wire::write_u64(out, 0)
}

/// Reads whether another object follows; then its NAR is next.
///
/// # Errors
/// The stream is no export.
pub fn read_object_start(input: &mut (impl Read + ?Sized)) -> Result<bool, ExportError> {
    match wire::read_u64(input)? {
        0 => Ok(false),
        1 => Ok(true),
        number => Err(ExportError::Start(number)),
    }
}

/// Reads what stands behind a NAR. A signature of the old kind is skipped.
///
/// # Errors
/// There is no trailer, or a path in it is wrong.
pub fn read_trailer(
    input: &mut (impl Read + ?Sized),
    dir: &StoreDir,
) -> Result<Trailer, ExportError> {
    match wire::read_u64(input)? {
        MAGIC => {}
        number => return Err(ExportError::Magic(number)),
    }
    let path = dir.parse(&wire::read_text(input, MAX_PATH_LEN)?)?;
    let references = wire::read_list(input, MAX_REFERENCES, |input| {
        Ok::<_, ExportError>(dir.parse(&wire::read_text(input, MAX_PATH_LEN)?)?)
    })?;
    let deriver = match wire::read_text(input, MAX_PATH_LEN)?.as_str() {
        "" => None,
        text => Some(dir.parse(text)?),
    };
    if wire::read_bool(input)? {
        wire::read_bytes(input, MAX_SIGNATURE_LEN)?;
    }
    Ok(Trailer { path, references: references.into_iter().collect(), deriver })
}

/// What the registration text says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The object.
    pub path: StorePath,
    /// SHA-256 of its NAR and the NAR's length in bytes; left out where whoever reads computes
    /// them.
    pub nar: Option<(Hash, u64)>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// What it refers to, perhaps itself.
    pub references: BTreeSet<StorePath>,
}

/// Why a text is not a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// A line is missing.
    #[error("the registration ends early, in line {0}")]
    EndsEarly(usize),
    /// A number that is none.
    #[error("line {line} of the registration is not a number: {text:?}")]
    Number {
        /// Counted from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A path that is none.
    #[error("line {line} of the registration: {source}")]
    Path {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: StorePathError,
    },
    /// A hash that is none.
    #[error("line {line} of the registration: {source}")]
    Hash {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        source: HashError,
    },
}

impl Registration {
    /// Appends the lines of this object: path, hash and size unless left out, deriver, number of
    /// references, references.
    pub fn write(&self, dir: &StoreDir, out: &mut String) {
        let mut line = |text: &str| {
            out.push_str(text);
            out.push('\n');
        };
        line(&dir.display(&self.path));
        if let Some((hash, size)) = &self.nar {
            line(&hash.to_base16());
            line(&size.to_string());
        }
        line(&self.deriver.as_ref().map_or(String::new(), |path| dir.display(path)));
        line(&self.references.len().to_string());
        self.references.iter().for_each(|path| line(&dir.display(path)));
    }

    /// Reads the lines of any number of objects; `has_nar` says whether hash and size are there.
    ///
    /// # Errors
    /// Names the first line that is wrong.
    pub fn parse_all(
        dir: &StoreDir,
        text: &str,
        has_nar: bool,
    ) -> Result<Vec<Registration>, RegistrationError> {
        let mut lines = text.lines().zip(1..);
        let mut all = Vec::new();
        let path = |(text, line): (&str, usize)| {
            dir.parse(text).map_err(|source| RegistrationError::Path { line, source })
        };
        let number = |(text, line): (&str, usize)| {
            let wrong = || RegistrationError::Number { line, text: text.to_owned() };
            text.parse::<u64>().map_err(|_| wrong())
        };
        while let Some(first) = lines.next() {
            let mut last = first.1;
            let mut next = || {
                let line = lines.next().ok_or(RegistrationError::EndsEarly(last))?;
                last = line.1;
                Ok(line)
            };
            let nar = if has_nar {
                let (text, line) = next()?;
                let hash = Hash::parse(text, Some(HashAlgo::Sha256))
                    .map_err(|source| RegistrationError::Hash { line, source })?;
                Some((hash, number(next()?)?))
            } else {
                None
            };
            let deriver = match next()? {
                ("", _) => None,
                line => Some(path(line)?),
            };
            let n_references = number(next()?)?;
            let references = (0..n_references).map(|_| path(next()?)).collect::<Result<_, _>>()?;
            all.push(Registration { path: path(first)?, nar, deriver, references });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar;

    const HELLO: &str = "qa1w9gdfrba6jl2r57mb3c43863gqywp-hello.txt";

    fn path(base_name: &str) -> StorePath {
        StorePath::from_base_name(base_name).expect("a store path")
    }

    fn export(trailer: &Trailer) -> Vec<u8> {
        let mut out = Vec::new();
        write_object_start(&mut out).expect("memory takes it");
        let mut nar = nar::Writer::new(&mut out);
        nar.file(false, b"hello\n").expect("a node is due");
        nar.finish().expect("is complete");
        write_trailer(&mut out, &StoreDir::default(), trailer).expect("memory takes it");
        write_end(&mut out).expect("memory takes it");
        out
    }

    fn import(mut input: &[u8]) -> Result<Vec<Trailer>, Box<dyn std::error::Error>> {
        let mut all = Vec::new();
        while read_object_start(&mut input)? {
            let mut nar = nar::Reader::new(&mut input);
            while nar.next_event()?.is_some() {}
            all.push(read_trailer(&mut input, &StoreDir::default())?);
        }
        Ok(all)
    }

    #[test]
    fn the_export_of_hello_is_the_published_one() {
        let trailer = Trailer { path: path(HELLO), references: BTreeSet::new(), deriver: None };
        let out = export(&trailer);
        assert_eq!(out.len(), 232);
        assert_eq!(
            Hash::of(HashAlgo::Sha256, &out).to_base16(),
            "90fc6feed178b3fccdf06e2332e046676779475aaf05de3d8f09879931f42dda"
        );
        assert_eq!(import(&out).expect("is an export"), [trailer]);
    }

    #[test]
    fn an_export_that_is_cut_or_changed_is_refused() {
        let other = path("3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt");
        let trailer = Trailer {
            path: path(HELLO),
            references: BTreeSet::from([path(HELLO), other.clone()]),
            deriver: Some(other),
        };
        let out = export(&trailer);
        assert_eq!(import(&out).expect("is an export"), [trailer]);
        for end in 0..out.len() {
            assert!(import(&out[..end]).is_err(), "cut at {end}");
        }
        for (at, byte) in [(0, 2), (128, b'x'), (136, 0xff), (144, b'x')] {
            let mut out = out.clone();
            out[at] = byte;
            assert!(import(&out).is_err(), "{at}");
        }
    }

    #[test]
    fn a_signature_of_the_old_kind_is_skipped() {
        let trailer = Trailer { path: path(HELLO), references: BTreeSet::new(), deriver: None };
        let mut out = export(&trailer);
        let end = out.len() - 16;
        out.truncate(end);
        wire::write_u64(&mut out, 1).expect("memory takes it");
        wire::write_bytes(&mut out, b"signature").expect("memory takes it");
        write_end(&mut out).expect("memory takes it");
        assert_eq!(import(&out).expect("is an export"), [trailer]);
    }

    #[test]
    fn registrations_come_back() {
        let dir = StoreDir::default();
        let other = path("3cmrvzmwi8kl03zzg5i25crdy3pjz95w-ref.txt");
        for has_nar in [true, false] {
            let nar = has_nar.then(|| (Hash::of(HashAlgo::Sha256, b""), 120));
            let all = [
                Registration { path: path(HELLO), nar, deriver: None, references: BTreeSet::new() },
                Registration {
                    path: other.clone(),
                    nar,
                    deriver: Some(path(HELLO)),
                    references: BTreeSet::from([path(HELLO), other.clone()]),
                },
            ];
            let mut text = String::new();
            all.iter().for_each(|one| one.write(&dir, &mut text));
            assert_eq!(Registration::parse_all(&dir, &text, has_nar).as_deref(), Ok(&all[..]));
            // Without its last line, the last object is not complete.
            let cut = text.trim_end().rfind('\n').map_or("", |at| &text[..at + 1]);
            assert!(matches!(
                Registration::parse_all(&dir, cut, has_nar),
                Err(RegistrationError::EndsEarly(_))
            ));
            assert!(Registration::parse_all(&dir, &text, !has_nar).is_err());
        }
        let huge = format!("{}\n\n18446744073709551615\n", dir.display(&other));
        assert_eq!(
            Registration::parse_all(&dir, &huge, false),
            Err(RegistrationError::EndsEarly(3))
        );
    }
}
