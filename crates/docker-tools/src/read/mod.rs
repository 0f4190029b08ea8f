//! Reading images that others made: docker archives and OCI layouts, as archive or directory.
//!
//! Everything here comes from outside: documents have a size limit, every digest is checked
//! before its blob is used, and no file is created from an archive's names.

mod docker_archive;
mod files;
mod oci_layout;
mod packing;
mod source;

use std::io;
use std::path::Path;

pub use files::BaseFiles;
pub use packing::{Packing, detect};
pub use source::{Blob, Source};

use crate::spec::{Digest, ImageConfig};

/// Largest manifest, config or index, in bytes.
const MAX_DOCUMENT: u64 = 4 << 20;

/// Most layers of a base image.
const MAX_LAYERS: usize = 500;

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is no tar, or a broken one.
    #[error("it is not a tar archive")]
    NotTar(#[source] io::Error),
    /// Neither `manifest.json` nor `index.json`.
    #[error("it has neither manifest.json (docker archive) nor index.json (OCI layout)")]
    NoImage,
    /// A member that a document names is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// A document is too long.
    #[error("{name} has {size} bytes; documents of images have 4 MiB at most")]
    TooLarge {
        /// Which member.
        name: String,
        /// Its length in bytes.
        size: u64,
    },
    /// The archive ends in a member.
    #[error("{0} ends early")]
    Truncated(String),
    /// The outer archive has more members than an image can have.
    #[error("it has more than {0} members")]
    TooManyMembers(usize),
    /// A document is not what the format says.
    #[error("{name} cannot be understood: {source}")]
    Json {
        /// Which member.
        name: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A blob has other bytes than its descriptor promises.
    #[error("{name} has digest {found} and {size} bytes, but {promised} was promised")]
    Mismatch {
        /// Which member.
        name: String,
        /// What its bytes hash to.
        found: Digest,
        /// How many bytes it has.
        size: u64,
        /// What the descriptor says.
        promised: String,
    },
    /// No image has the wanted name.
    #[error("it has no image {wanted}; it has: {present}")]
    NoSuchImage {
        /// Name and tag that were asked for.
        wanted: String,
        /// What is there.
        present: String,
    },
    /// The config does not fit the layers.
    #[error("its config names {diff_ids} layers, but there are {layers}")]
    LayerCount {
        /// Number of diff IDs.
        diff_ids: usize,
        /// Number of layers.
        layers: usize,
    },
    /// Too many layers.
    #[error("it has {0} layers; at most 500 are accepted")]
    TooManyLayers(usize),
    /// An entry of a layer is not allowed.
    #[error("layer {layer} has the entry {entry:?}, which is {problem}")]
    Entry {
        /// Number of the layer, from 0.
        layer: usize,
        /// Name of the entry.
        entry: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something else that the format forbids.
    #[error("{0}")]
    Other(String),
}

/// An image whose documents are read and checked, and whose layers can be opened.
#[derive(Debug)]
pub struct BaseImage {
    /// Where the layers lie.
    pub source: Source,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, lowest first: as many as the config has diff IDs.
    pub layers: Vec<BaseLayer>,
}

/// A layer of an image that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseLayer {
    /// Name of the member that holds it.
    pub member: String,
    /// Digest and length that a descriptor promises; docker archives may promise none.
    pub promised: Option<(Digest, u64)>,
}

/// Which image of an archive is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The name without a tag.
    pub name: String,
    /// The tag.
    pub tag: String,
}

impl BaseImage {
    /// Opens an image in any supported form, told by its contents.
    ///
    /// `selection` picks one of several; without it the first is taken. `scratch` is a directory
    /// for the unpacked form of a packed archive.
    ///
    /// # Errors
    /// [`ReadError`] says what is wrong with the image.
    pub fn open(
        path: &Path,
        selection: Option<&Selection>,
        scratch: &Path,
    ) -> Result<BaseImage, ReadError> {
        let source = Source::open(path, scratch)?;
        let (config, layers) = if source.has("manifest.json") {
            docker_archive::read(&source, selection)?
        } else if source.has("index.json") {
            oci_layout::read(&source, selection)?
        } else {
            return Err(ReadError::NoImage);
        };
        if layers.len() > MAX_LAYERS {
            return Err(ReadError::TooManyLayers(layers.len()));
        }
        if config.rootfs.diff_ids.len() != layers.len() {
            return Err(ReadError::LayerCount {
                diff_ids: config.rootfs.diff_ids.len(),
                layers: layers.len(),
            });
        }
        if !config.os.is_empty() && config.os != "linux" {
            return Err(ReadError::Other(format!(
                "it is for the operating system {:?}; only linux can be a base",
                config.os
            )));
        }
        Ok(BaseImage { source, config, layers })
    }
}

/// Parses a document; the error names it.
fn parse<'a, T: serde::Deserialize<'a>>(name: &str, bytes: &'a [u8]) -> Result<T, ReadError> {
    serde_json::from_slice(bytes)
        .map_err(|source| ReadError::Json { name: name.to_owned(), source })
}

/// Fails unless the bytes of a document are those that were promised.
fn check_digest(name: &str, bytes: &[u8], promised: Digest) -> Result<(), ReadError> {
    let found = Digest::of(bytes);
    if found == promised {
        return Ok(());
    }
    Err(ReadError::Mismatch {
        name: name.to_owned(),
        found,
        size: bytes.len() as u64,
        promised: promised.to_string(),
    })
}
