//! Image config, manifest, index, and docker's `manifest.json`.
//!
//! Source: OCI image specification 1.0; docker image specification 1.2 for [`DockerEntry`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DiffId, Digest, RuntimeConfig};

/// The JSON form: one line, no blanks, no newline at the end.
pub fn to_json<T: Serialize>(document: &T) -> Vec<u8> {
    serde_json::to_vec(document).expect("documents have text keys and finite numbers")
}

/// How the bytes of a layer are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerForm {
    /// A plain tar.
    Plain,
    /// gzip, perhaps of several members.
    Gzip,
    /// zstd frames.
    Zstd,
}

/// What a blob is, in the words of the OCI specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaType {
    /// An index of manifests.
    #[serde(rename = "application/vnd.oci.image.index.v1+json")]
    Index,
    /// A manifest.
    #[serde(rename = "application/vnd.oci.image.manifest.v1+json")]
    Manifest,
    /// An image config.
    #[serde(rename = "application/vnd.oci.image.config.v1+json")]
    Config,
    /// A layer, uncompressed.
    #[serde(rename = "application/vnd.oci.image.layer.v1.tar")]
    LayerPlain,
    /// A layer, gzip.
    #[serde(rename = "application/vnd.oci.image.layer.v1.tar+gzip")]
    LayerGzip,
    /// A layer, zstd.
    #[serde(rename = "application/vnd.oci.image.layer.v1.tar+zstd")]
    LayerZstd,
}

impl From<LayerForm> for MediaType {
    fn from(form: LayerForm) -> MediaType {
        match form {
            LayerForm::Plain => MediaType::LayerPlain,
            LayerForm::Gzip => MediaType::LayerGzip,
            LayerForm::Zstd => MediaType::LayerZstd,
        }
    }
}

/// A blob as another document refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// What the blob is.
    #[serde(rename = "mediaType")]
    pub media_type: MediaType,
    /// Hash of the blob.
    pub digest: Digest,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Names and notes; in an index, the tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Which blobs make an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// Always [`MediaType::Manifest`].
    #[serde(rename = "mediaType")]
    pub media_type: MediaType,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Notes on the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The entry document of an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Always 2.
    #[serde(rename = "schemaVersion")]
    pub schema_version: u32,
    /// Always [`MediaType::Index`].
    #[serde(rename = "mediaType")]
    pub media_type: MediaType,
    /// One manifest per image.
    pub manifests: Vec<Descriptor>,
}

/// One image in docker's `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerEntry {
    /// Member that holds the image config.
    #[serde(rename = "Config")]
    pub config: String,
    /// `name:tag` of the image; absent or `null` when it has none.
    #[serde(rename = "RepoTags", default)]
    pub repo_tags: Option<Vec<String>>,
    /// Members that hold the layers, lowest first.
    #[serde(rename = "Layers", default)]
    pub layers: Vec<String>,
}

/// What an image runs and what its layers hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Date of the image, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The processor, in Go's words (`amd64`).
    #[serde(default)]
    pub architecture: String,
    /// Variant of the processor (`v7`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Always `linux` in images that we write.
    #[serde(default)]
    pub os: String,
    /// What to run, and how.
    #[serde(default)]
    pub config: Option<RuntimeConfig>,
    /// Hashes of the layers.
    pub rootfs: RootFs,
    /// Where the layers come from.
    #[serde(default)]
    pub history: Option<Vec<History>>,
}

/// Hashes of the layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Hashes of the uncompressed layers, lowest first.
    #[serde(default)]
    pub diff_ids: Vec<DiffId>,
}

/// Where a layer comes from. Unknown keys of a base image's entries are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// Date of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Which command or program made the layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whatever else there is to say: our layers list their store paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The step made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}
