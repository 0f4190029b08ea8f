//! An OCI image layout: `index.json` leads to a manifest, which leads to config and layers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BaseLayer, MAX_LAYERS, ReadError, Selection, Source, check_digest, parse};
use crate::spec::{Digest, ImageConfig};

/// How deep an index may lie in an index.
const MAX_DEPTH: usize = 2;

/// Annotation with the tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation with the fully qualified name.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// A descriptor as others write it: media types of docker and unknown ones included.
#[derive(Debug, Deserialize)]
struct ForeignDescriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct ForeignIndex {
    #[serde(default)]
    manifests: Vec<ForeignDescriptor>,
}

#[derive(Debug, Deserialize)]
struct ForeignManifest {
    config: ForeignDescriptor,
    #[serde(default)]
    layers: Vec<ForeignDescriptor>,
}

/// Reads the config and the layers of one image.
pub(super) fn read(
    source: &Source,
    selection: Option<&Selection>,
) -> Result<(ImageConfig, Vec<BaseLayer>), ReadError> {
    let bytes = source.document("index.json")?;
    let index: ForeignIndex = parse("index.json", &bytes)?;
    let mut descriptor = select(index.manifests, selection)?;
    for _ in 0..MAX_DEPTH {
        let name = blob_name(&descriptor.digest);
        let bytes = document(source, &descriptor)?;
        if is_index(&descriptor.media_type) {
            let index: ForeignIndex = parse(&name, &bytes)?;
            descriptor = select(index.manifests, None)?;
            continue;
        }
        let manifest: ForeignManifest = parse(&name, &bytes)?;
        if manifest.layers.len() > MAX_LAYERS {
            return Err(ReadError::TooManyLayers(manifest.layers.len()));
        }
        let bytes = document(source, &manifest.config)?;
        let config = parse(&blob_name(&manifest.config.digest), &bytes)?;
        let layer = |layer: ForeignDescriptor| BaseLayer {
            member: blob_name(&layer.digest),
            promised: Some((layer.digest, layer.size)),
        };
        return Ok((config, manifest.layers.into_iter().map(layer).collect()));
    }
    Err(ReadError::Other(format!("its indexes are nested deeper than {MAX_DEPTH}")))
}

fn is_index(media_type: &str) -> bool {
    media_type.ends_with("image.index.v1+json") || media_type.ends_with("manifest.list.v2+json")
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.to_hex())
}

fn document(source: &Source, descriptor: &ForeignDescriptor) -> Result<Vec<u8>, ReadError> {
    let name = blob_name(&descriptor.digest);
    let bytes = source.document(&name)?;
    check_digest(&name, &bytes, descriptor.digest)?;
    if bytes.len() as u64 != descriptor.size {
        return Err(ReadError::Mismatch {
            name,
            found: descriptor.digest,
            size: bytes.len() as u64,
            promised: format!("a size of {} bytes", descriptor.size),
        });
    }
    Ok(bytes)
}

fn select(
    manifests: Vec<ForeignDescriptor>,
    selection: Option<&Selection>,
) -> Result<ForeignDescriptor, ReadError> {
    let names = |descriptor: &ForeignDescriptor| -> Vec<String> {
        let annotations = descriptor.annotations.iter().flatten();
        let named = annotations.filter(|(key, _)| matches!(&key[..], REF_NAME | IMAGE_NAME));
        named.map(|(_, value)| value.clone()).collect()
    };
    let present: Vec<String> = manifests.iter().flat_map(names).collect();
    // Attestations stand in the same list and are no images.
    let is_image = |descriptor: &ForeignDescriptor| {
        let annotations = descriptor.annotations.as_ref();
        !annotations.is_some_and(|map| map.contains_key("vnd.docker.reference.type"))
    };
    let found = match selection {
        None => manifests.into_iter().find(is_image),
        Some(Selection { name, tag }) => {
            let full = format!("{name}:{tag}");
            manifests.into_iter().find(|descriptor| {
                let fits = |candidate: &String| {
                    *candidate == full || candidate.ends_with(&format!("/{full}"))
                };
                is_image(descriptor) && names(descriptor).iter().any(fits)
            })
        }
    };
    found.ok_or_else(|| match selection {
        None => ReadError::Other("its index.json lists no image".to_owned()),
        Some(Selection { name, tag }) => ReadError::NoSuchImage {
            wanted: format!("{name}:{tag}"),
            present: if present.is_empty() {
                "no named image".to_owned()
            } else {
                present.join(", ")
            },
        },
    })
}
