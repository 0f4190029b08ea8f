//! Checks an image archive of ours before anybody sees it.
//!
//! Everything is read back from the file: digests, sizes, order, media types, the entries of the
//! layers that we made. The rules have the numbers of the specification, V1 to V26.

mod layer;
mod outer;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use sha2::Digest as _;

use crate::assemble::{MAX_LAYERS, Summary};
use crate::image_name::ImageName;
use crate::layer::CHUNK;
use crate::layer::tar::Owner;
use crate::read::Packing;
use crate::spec::{Descriptor, Digest, DockerEntry, ImageConfig, Index, Manifest, MediaType};
use crate::timestamp::Timestamp;
use crate::write::BLOBS;
use outer::Outer;

/// Clocks of builders differ; a date this many seconds ahead is still not "in the future".
const CLOCK_SKEW: i64 = 86_400;

/// A rule that an archive breaks, with the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Number of the rule, as in `V9`.
    pub rule: &'static str,
    /// What is wrong, and where.
    pub text: String,
}

/// What is wrong with an archive; at least one finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid(pub Vec<Finding>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", finding.rule, finding.text)?;
        }
        Ok(())
    }
}

/// What the layers that we made have to look like.
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    /// What the writer says it wrote.
    pub summary: &'a Summary,
    /// The lowest layers come from a base image: only their digests are checked.
    pub n_base_layers: usize,
    /// The owners that entries may have.
    pub owners: &'a [Owner],
    /// The time of every entry, seconds since 1970.
    pub mtime: u64,
    /// Seconds since 1970.
    pub now: i64,
}

/// Reads a whole archive and checks all rules.
///
/// # Errors
/// [`Invalid`] lists what is wrong. A file that cannot be read is wrong too.
pub fn check_archive(file: &File, expected: &Expected<'_>) -> Result<(), Invalid> {
    let mut checker = Checker { findings: Vec::new() };
    let outer = match Outer::read(file) {
        Ok(outer) => outer,
        Err(finding) => return Err(Invalid(vec![finding])),
    };
    checker.check(&outer, expected);
    if checker.findings.is_empty() { Ok(()) } else { Err(Invalid(checker.findings)) }
}

struct Checker {
    findings: Vec<Finding>,
}

impl Checker {
    fn wrong(&mut self, rule: &'static str, text: impl Into<String>) {
        self.findings.push(Finding { rule, text: text.into() });
    }

    fn require(&mut self, holds: bool, rule: &'static str, text: impl FnOnce() -> String) {
        if !holds {
            self.wrong(rule, text());
        }
    }

    /// Reads a JSON document and checks that it is written as we write it.
    fn document<T>(&mut self, outer: &Outer<'_>, name: &str, rule: &'static str) -> Option<T>
    where
        T: serde::de::DeserializeOwned + serde::Serialize,
    {
        let bytes = match outer.bytes(name) {
            Ok(bytes) => bytes,
            Err(finding) => {
                self.findings.push(finding);
                return None;
            }
        };
        match serde_json::from_slice::<T>(&bytes) {
            Ok(document) => {
                let canonical = crate::spec::to_json(&document) == bytes;
                self.require(canonical, rule, || format!("{name} has other keys or blanks"));
                Some(document)
            }
            Err(error) => {
                self.wrong(rule, format!("{name}: {error}"));
                None
            }
        }
    }

    fn check(&mut self, outer: &Outer<'_>, expected: &Expected<'_>) {
        let layout = outer.bytes("oci-layout").unwrap_or_default();
        self.require(layout == br#"{"imageLayoutVersion":"1.0.0"}"#, "V3", || {
            "oci-layout does not say version 1.0.0".to_owned()
        });
        let Some(index) = self.document::<Index>(outer, "index.json", "V3") else { return };
        let is_index = index.schema_version == 2 && index.media_type == MediaType::Index;
        self.require(is_index, "V3", || "index.json is no index of version 2".to_owned());
        let [entry] = &index.manifests[..] else {
            self.wrong("V3", format!("index.json lists {} manifests", index.manifests.len()));
            return;
        };
        self.require(entry.media_type == MediaType::Manifest, "V3", || {
            "index.json calls the manifest something else".to_owned()
        });
        self.require(entry.digest == expected.summary.digest, "V26", || {
            format!("the manifest is {}, not {}", entry.digest, expected.summary.digest)
        });
        self.check_name(entry, expected);
        self.check_blob(outer, entry);
        let name = blob_name(&entry.digest);
        let Some(manifest) = self.document::<Manifest>(outer, &name, "V3") else { return };
        let is_manifest = manifest.schema_version == 2
            && manifest.media_type == MediaType::Manifest
            && manifest.config.media_type == MediaType::Config;
        self.require(is_manifest, "V3", || "the manifest has a wrong version or type".to_owned());
        self.check_blob(outer, &manifest.config);
        self.check_docker_side(outer, &manifest, expected);
        self.check_members(outer, entry, &manifest);
        let name = blob_name(&manifest.config.digest);
        let Some(config) = self.document::<ImageConfig>(outer, &name, "V7") else { return };
        self.check_config(&config, &manifest, expected);
        self.check_layers(outer, &config, &manifest, expected);
    }

    fn check_name(&mut self, entry: &Descriptor, expected: &Expected<'_>) {
        let name = &expected.summary.name;
        let says = |key: &str| entry.annotations.get(key).map_or("nothing", String::as_str);
        let full = says("io.containerd.image.name");
        self.require(full == name.fully_qualified(), "V5", || {
            format!("index.json names the image {full}")
        });
        let tag = says("org.opencontainers.image.ref.name");
        self.require(tag == name.tag(), "V5", || format!("index.json gives the tag {tag}"));
    }

    /// Fails unless a small blob has the digest and size of its descriptor.
    fn check_blob(&mut self, outer: &Outer<'_>, descriptor: &Descriptor) {
        match outer.bytes(&blob_name(&descriptor.digest)) {
            Ok(bytes) => {
                let fits = Digest::of(&bytes) == descriptor.digest
                    && bytes.len() as u64 == descriptor.size;
                self.require(fits, "V1", || {
                    format!("{} has other bytes than its name or size says", descriptor.digest)
                });
            }
            Err(finding) => self.findings.push(finding),
        }
    }

    fn check_docker_side(
        &mut self,
        outer: &Outer<'_>,
        manifest: &Manifest,
        expected: &Expected<'_>,
    ) {
        let Some(images) = self.document::<Vec<DockerEntry>>(outer, "manifest.json", "V4") else {
            return;
        };
        let [image] = &images[..] else {
            self.wrong("V4", format!("manifest.json lists {} images", images.len()));
            return;
        };
        let layers: Vec<String> =
            manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
        let agrees = image.config == blob_name(&manifest.config.digest) && image.layers == layers;
        self.require(agrees, "V4", || {
            "manifest.json and the OCI manifest name other blobs or another order".to_owned()
        });
        let tags = image.repo_tags.as_deref().unwrap_or_default();
        let parsed: Vec<_> = tags.iter().map(|tag| ImageName::parse(tag)).collect();
        let fits = matches!(&parsed[..], [Ok(name)] if *name == expected.summary.name);
        self.require(fits, "V5", || format!("manifest.json has the tags {tags:?}"));
    }

    /// The members have to be exactly those that the documents name, in the order of the format.
    fn check_members(&mut self, outer: &Outer<'_>, entry: &Descriptor, manifest: &Manifest) {
        let mut wanted = vec!["oci-layout".to_owned(), "blobs/".to_owned(), format!("{BLOBS}/")];
        let mut seen = BTreeSet::new();
        let blobs = manifest.layers.iter().chain([&manifest.config, entry]);
        for blob in blobs.map(|blob| blob_name(&blob.digest)) {
            if seen.insert(blob.clone()) {
                wanted.push(blob);
            }
        }
        wanted.extend(["index.json".to_owned(), "manifest.json".to_owned()]);
        let found: Vec<&str> = outer.names().collect();
        for name in &found {
            self.require(wanted.iter().any(|other| other == name), "V2", || {
                format!("nothing refers to the member {name}")
            });
        }
        for name in &wanted {
            self.require(found.contains(&&name[..]), "V2", || format!("{name} is missing"));
        }
        self.require(found == wanted, "V6", || "the members are in another order".to_owned());
    }

    fn check_config(&mut self, config: &ImageConfig, manifest: &Manifest, expected: &Expected<'_>) {
        self.require(config.rootfs.kind == "layers", "V7", || {
            format!("rootfs.type is {:?}", config.rootfs.kind)
        });
        let n_layers = manifest.layers.len();
        let n_diff_ids = config.rootfs.diff_ids.len();
        let n_history = config.history.iter().flatten().filter(|entry| !entry.empty_layer).count();
        self.require(n_diff_ids == n_layers && n_history == n_layers, "V8", || {
            format!("{n_layers} layers, {n_diff_ids} diff IDs, {n_history} history entries")
        });
        self.require(!config.architecture.is_empty() && config.os == "linux", "V10", || {
            format!("for architecture {:?} and system {:?}", config.architecture, config.os)
        });
        let created = config.created.as_deref().unwrap_or_default();
        match created.parse::<Timestamp>() {
            Ok(date) => {
                self.require(date.unix() <= expected.now.saturating_add(CLOCK_SKEW), "V11", || {
                    format!("created {created} is in the future")
                });
            }
            Err(error) => self.wrong("V11", error.to_string()),
        }
        self.require(n_layers <= MAX_LAYERS, "V21", || {
            format!("{n_layers} layers are more than {MAX_LAYERS}")
        });
    }

    fn check_layers(
        &mut self,
        outer: &Outer<'_>,
        config: &ImageConfig,
        manifest: &Manifest,
        expected: &Expected<'_>,
    ) {
        let mut checked = BTreeSet::new();
        for (i, (descriptor, diff_id)) in
            manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate()
        {
            let ours = i >= expected.n_base_layers;
            if !checked.insert((descriptor.digest, diff_id.0, ours)) {
                continue;
            }
            let rules = ours.then_some(expected);
            if let Err(mut findings) = check_layer(outer, descriptor, diff_id.0, rules) {
                self.findings.append(&mut findings);
            }
        }
    }
}

/// Reads a layer once: digest, size, form, diff ID, and the entries if `rules` are given.
fn check_layer(
    outer: &Outer<'_>,
    descriptor: &Descriptor,
    diff_id: Digest,
    rules: Option<&Expected<'_>>,
) -> Result<(), Vec<Finding>> {
    let name = blob_name(&descriptor.digest);
    let one = |rule, text: String| vec![Finding { rule, text }];
    let (blob, size) = outer.open(&name).map_err(|finding| vec![finding])?;
    let mut hashed = HashingReader::new(blob);
    let mut findings = Vec::new();
    let packing = match descriptor.media_type {
        MediaType::LayerPlain => Packing::Plain,
        MediaType::LayerGzip => Packing::Gzip,
        MediaType::LayerZstd => Packing::Zstd,
        other => return Err(one("V3", format!("{name} is listed as a layer of type {other:?}"))),
    };
    let unpacked = packing.unpack(&mut hashed).and_then(|reader| {
        let mut tar = HashingReader::new(reader);
        if let Some(rules) = rules
            && let Err(finding) = layer::check(&mut tar, rules)
        {
            findings.push(Finding { text: format!("{name}: {}", finding.text), ..finding });
        }
        tar.finish()
    });
    match unpacked {
        Ok((found, _)) if found == diff_id => {}
        Ok((found, _)) => findings.push(Finding {
            rule: "V9",
            text: format!("{name} unpacks to {found}, not {diff_id}"),
        }),
        Err(error) => {
            findings.push(Finding { rule: "V9", text: format!("{name} does not unpack: {error}") })
        }
    }
    match hashed.finish() {
        Ok((found, n_bytes)) => {
            if found != descriptor.digest || n_bytes != descriptor.size || size != descriptor.size {
                findings.push(Finding {
                    rule: "V1",
                    text: format!("{name} has other bytes than its name or size says"),
                });
            }
        }
        Err(error) => findings.push(Finding { rule: "V1", text: format!("{name}: {error}") }),
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.to_hex())
}

/// Hashes and counts what is read.
struct HashingReader<R> {
    reader: R,
    hasher: sha2::Sha256,
    n_bytes: u64,
}

impl<R: Read> HashingReader<R> {
    fn new(reader: R) -> HashingReader<R> {
        HashingReader { reader, hasher: sha2::Sha256::new(), n_bytes: 0 }
    }

    /// Reads to the end.
    fn finish(mut self) -> io::Result<(Digest, u64)> {
        let mut chunk = vec![0; CHUNK];
        while self.read(&mut chunk)? != 0 {}
        Ok((Digest(self.hasher.finalize().into()), self.n_bytes))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.n_bytes += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
