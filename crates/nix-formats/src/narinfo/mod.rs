//! narinfo: what a binary cache says about an object, as lines `Key: value`.

mod signature;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::content_address::{ContentAddress, ContentAddressError};
use crate::hash::{Hash, HashAlgo, HashError};
use crate::store_path::{StoreDir, StorePath, StorePathError};

pub use signature::{
    KeyError, PublicKey, SecretKey, Signature, SignatureError, fingerprint, is_signed_by,
};

/// The longest text that is read, in bytes.
pub const MAX_LEN: usize = 1 << 20;
/// The most references that are read.
pub const MAX_REFERENCES: usize = 100_000;
/// The most signatures that are read.
pub const MAX_SIGNATURES: usize = 64;

/// What is written for an unknown deriver by some caches.
const NO_DERIVER: &str = "unknown-deriver";
/// What a missing `Compression` means.
const DEFAULT_COMPRESSION: &str = "bzip2";

/// What a binary cache says about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// The object. Whoever looked it up compares it with what was asked for.
    pub path: StorePath,
    /// Where the compressed NAR is: an URL, relative to the cache's or absolute; not empty.
    pub url: String,
    /// How it is compressed: `none`, `xz`, `zstd`, … Not empty; may be one that nobody knows.
    pub compression: String,
    /// Hash of the compressed NAR.
    pub file_hash: Option<Hash>,
    /// Length of the compressed NAR, in bytes.
    pub file_size: Option<u64>,
    /// SHA-256 of the NAR.
    pub nar_hash: Hash,
    /// Length of the NAR, in bytes; not 0.
    pub nar_size: u64,
    /// What the object refers to, perhaps itself.
    pub references: BTreeSet<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// Signatures, `name:base64`, as they were read.
    pub signatures: Vec<String>,
    /// What the path follows from, if not from a derivation.
    pub ca: Option<ContentAddress>,
}

/// Why a text is not a narinfo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarInfoError {
    /// More than [`MAX_LEN`].
    #[error("the narinfo has {0} bytes, more than 1 MiB")]
    Long(usize),
    /// The text is not UTF-8, or contains a carriage return or NUL.
    #[error("the narinfo contains bytes that it must not contain")]
    Bytes,
    /// The last line does not end.
    #[error("the last line does not end in a newline")]
    OpenLine,
    /// A line without a colon.
    #[error("line {line} has no ':'")]
    NoColon {
        /// Counted from 1.
        line: usize,
    },
    /// A field that may be there once.
    #[error("field {0} is given twice")]
    Twice(&'static str),
    /// A field that must be there.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A number that is none, or 0 where that cannot be.
    #[error("{field} {text:?} is not a number of bytes")]
    Size {
        /// The field.
        field: &'static str,
        /// Its value.
        text: String,
    },
    /// A hash that is none.
    #[error("{field}: {source}")]
    Hash {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: HashError,
    },
    /// A path that is none.
    #[error("{field}: {source}")]
    Path {
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: StorePathError,
    },
    /// The content address.
    #[error("CA: {0}")]
    ContentAddress(#[from] ContentAddressError),
    /// More of something than is read.
    #[error("more than {max} in field {field}")]
    Many {
        /// The field.
        field: &'static str,
        /// The cap.
        max: usize,
    },
}

impl NarInfo {
    /// Reads a narinfo. Unknown keys are ignored.
    ///
    /// # Errors
    /// Names the line or the field that is wrong or missing, or the limit that is broken.
    pub fn parse(dir: &StoreDir, text: &[u8]) -> Result<NarInfo, NarInfoError> {
        if text.len() > MAX_LEN {
            return Err(NarInfoError::Long(text.len()));
        }
        let text = std::str::from_utf8(text).map_err(|_| NarInfoError::Bytes)?;
        if text.contains(['\0', '\r']) {
            return Err(NarInfoError::Bytes);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(NarInfoError::OpenLine);
        }
        let mut path = None;
        let mut url = None;
        let mut compression = None;
        let mut file_hash = None;
        let mut file_size = None;
        let mut nar_hash = None;
        let mut nar_size = None;
        let mut references = None;
        let mut deriver = None;
        let mut signatures = Vec::new();
        let mut ca = None;
        for (i, line) in text.lines().enumerate() {
            let (key, value) = line.split_once(':').ok_or(NarInfoError::NoColon { line: i + 1 })?;
            let value = value.strip_prefix(' ').unwrap_or(value);
            match key {
                "StorePath" => once("StorePath", &mut path, full_path("StorePath", dir, value)?)?,
                "URL" => once("URL", &mut url, value.to_owned())?,
                "Compression" => once("Compression", &mut compression, value.to_owned())?,
                "FileHash" => once("FileHash", &mut file_hash, hash("FileHash", value)?)?,
                "FileSize" => once("FileSize", &mut file_size, size("FileSize", value)?)?,
                "NarHash" => once("NarHash", &mut nar_hash, sha256("NarHash", value)?)?,
                "NarSize" => match size("NarSize", value)? {
                    0 => {
                        return Err(NarInfoError::Size { field: "NarSize", text: value.into() });
                    }
                    n => once("NarSize", &mut nar_size, n)?,
                },
                "References" => once("References", &mut references, read_references(value)?)?,
                "Deriver" => once(
                    "Deriver",
                    &mut deriver,
                    match value {
                        NO_DERIVER | "" => None,
                        value => Some(base_name("Deriver", value)?),
                    },
                )?,
                "Sig" if signatures.len() == MAX_SIGNATURES => {
                    return Err(NarInfoError::Many { field: "Sig", max: MAX_SIGNATURES });
                }
                "Sig" => signatures.push(value.to_owned()),
                "CA" => once(
                    "CA",
                    &mut ca,
                    if value.is_empty() { None } else { Some(ContentAddress::parse(value)?) },
                )?,
                _ => {}
            }
        }
        Ok(NarInfo {
            path: path.ok_or(NarInfoError::Missing("StorePath"))?,
            url: url.filter(|url: &String| !url.is_empty()).ok_or(NarInfoError::Missing("URL"))?,
            compression: compression
                .filter(|name: &String| !name.is_empty())
                .unwrap_or_else(|| DEFAULT_COMPRESSION.to_owned()),
            file_hash,
            file_size,
            nar_hash: nar_hash.ok_or(NarInfoError::Missing("NarHash"))?,
            nar_size: nar_size.ok_or(NarInfoError::Missing("NarSize"))?,
            references: references.unwrap_or_default(),
            deriver: deriver.flatten(),
            signatures,
            ca: ca.flatten(),
        })
    }

    /// The text that [`NarInfo::parse`] reads, lines in the usual order.
    ///
    /// Line ends in the URL, the compression or a signature would make other lines: those come
    /// from [`NarInfo::parse`] or from somebody who knows.
    #[must_use]
    pub fn write(&self, dir: &StoreDir) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            writeln!(text, "{key}: {value}").expect("a String takes all text");
        };
        line("StorePath", &dir.display(&self.path));
        line("URL", &self.url);
        line("Compression", &self.compression);
        if let Some(hash) = &self.file_hash {
            line("FileHash", &hash.to_prefixed_nix32());
        }
        if let Some(size) = self.file_size {
            line("FileSize", &size.to_string());
        }
        line("NarHash", &self.nar_hash.to_prefixed_nix32());
        line("NarSize", &self.nar_size.to_string());
        let references: Vec<&str> = self.references.iter().map(StorePath::base_name).collect();
        line("References", &references.join(" "));
        if let Some(deriver) = &self.deriver {
            line("Deriver", deriver.base_name());
        }
        for signature in &self.signatures {
            line("Sig", signature);
        }
        if let Some(ca) = &self.ca {
            line("CA", &ca.render());
        }
        text
    }

    /// The text that signatures are made of: see [`fingerprint`].
    #[must_use]
    pub fn fingerprint(&self, dir: &StoreDir) -> String {
        fingerprint(dir, &self.path, &self.nar_hash, self.nar_size, &self.references)
    }
}

fn once<T>(field: &'static str, place: &mut Option<T>, value: T) -> Result<(), NarInfoError> {
    match place.replace(value) {
        Some(_) => Err(NarInfoError::Twice(field)),
        None => Ok(()),
    }
}

fn full_path(field: &'static str, dir: &StoreDir, text: &str) -> Result<StorePath, NarInfoError> {
    dir.parse(text).map_err(|source| NarInfoError::Path { field, source })
}

fn base_name(field: &'static str, text: &str) -> Result<StorePath, NarInfoError> {
    StorePath::from_base_name(text).map_err(|source| NarInfoError::Path { field, source })
}

fn read_references(text: &str) -> Result<BTreeSet<StorePath>, NarInfoError> {
    let names = text.split(' ').filter(|name| !name.is_empty());
    if names.clone().nth(MAX_REFERENCES).is_some() {
        return Err(NarInfoError::Many { field: "References", max: MAX_REFERENCES });
    }
    names.map(|name| base_name("References", name)).collect()
}

fn hash(field: &'static str, text: &str) -> Result<Hash, NarInfoError> {
    Hash::parse(text, None).map_err(|source| NarInfoError::Hash { field, source })
}

/// A hash that says that it is SHA-256.
fn sha256(field: &'static str, text: &str) -> Result<Hash, NarInfoError> {
    let hash = hash(field, text)?;
    if hash.algo() == HashAlgo::Sha256 {
        Ok(hash)
    } else {
        let source = HashError::OtherAlgo { text: text.to_owned(), expected: HashAlgo::Sha256 };
        Err(NarInfoError::Hash { field, source })
    }
}

fn size(field: &'static str, text: &str) -> Result<u64, NarInfoError> {
    // `parse` would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| NarInfoError::Size { field, text: text.to_owned() })
}

#[cfg(test)]
mod tests;
