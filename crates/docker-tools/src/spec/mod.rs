//! The JSON documents of an image, as data.
//!
//! The order of a struct's fields is the order of its keys in the JSON, and the JSON is hashed:
//! moving a field changes every image. Maps from the user are sorted by key.

mod config;
mod digest;
mod documents;

pub use config::{ConfigError, RuntimeConfig};
pub use digest::{DiffId, Digest, DigestError};
pub use documents::{
    Descriptor, DockerEntry, History, ImageConfig, Index, LayerForm, Manifest, MediaType, RootFs,
    to_json,
};
