//! What `docker save` writes: `manifest.json` names a config and layers for each image.
//!
//! Since docker 25 the same archive is an OCI layout too; its `manifest.json` says all we need.

use super::{BaseLayer, ReadError, Selection, Source, check_digest, parse};
use crate::spec::{Digest, DockerEntry, ImageConfig};

/// Reads the config and the layers of one image.
pub(super) fn read(
    source: &Source,
    selection: Option<&Selection>,
) -> Result<(ImageConfig, Vec<BaseLayer>), ReadError> {
    let name = "manifest.json";
    let bytes = source.document(name)?;
    let entries: Vec<DockerEntry> = parse(name, &bytes)?;
    let entry = select(&entries, selection)?;
    let bytes = source.document(&entry.config)?;
    if let Some(promised) = digest_in_name(&entry.config) {
        check_digest(&entry.config, &bytes, promised)?;
    }
    let config = parse(&entry.config, &bytes)?;
    let mut layers = Vec::new();
    for member in &entry.layers {
        // Only blobs/sha256/… names the stored bytes; <hex>.tar and <hex>/layer.tar do not.
        let promised = match digest_in_name(member) {
            Some(digest) if member.contains("blobs/sha256/") => {
                Some((digest, source.blob(member)?.size))
            }
            _ => None,
        };
        layers.push(BaseLayer { member: member.clone(), promised });
    }
    Ok((config, layers))
}

fn select<'a>(
    entries: &'a [DockerEntry],
    selection: Option<&Selection>,
) -> Result<&'a DockerEntry, ReadError> {
    let Some(selection) = selection else {
        return entries
            .first()
            .ok_or_else(|| ReadError::Other("its manifest.json lists no image".to_owned()));
    };
    let wanted = format!("{}:{}", selection.name, selection.tag);
    let tags = |entry: &'a DockerEntry| entry.repo_tags.as_deref().unwrap_or_default();
    let found = entries.iter().find(|entry| tags(entry).contains(&wanted));
    found.ok_or_else(|| {
        let present: Vec<&str> = entries.iter().flat_map(tags).map(String::as_str).collect();
        let present =
            if present.is_empty() { "no named image".to_owned() } else { present.join(", ") };
        ReadError::NoSuchImage { wanted, present }
    })
}

/// The digest that a member is called by: `…/<64 digits>` or `<64 digits>.json`.
fn digest_in_name(name: &str) -> Option<Digest> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let digits = base.strip_suffix(".json").unwrap_or(base);
    format!("sha256:{digits}").parse().ok()
}
