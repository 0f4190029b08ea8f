//! Seeded corruptions: each has to be found, by the rule that it breaks.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use super::*;
use crate::layer::tar::{Entry, Kind, TarWriter, header};
use crate::testing::{ImageFixture, request};
use crate::write::member_header;

/// The members of an archive, to be changed and written again.
struct Draft {
    members: Vec<(String, Vec<u8>)>,
    summary: Summary,
}

impl Draft {
    fn new() -> Draft {
        let fixture = ImageFixture::new();
        let (bytes, summary) = fixture.build(request());
        let mut members = Vec::new();
        for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            members.push((name, contents));
        }
        Draft { members, summary }
    }

    fn find(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.members.iter_mut().find(|(other, _)| other == name);
        &mut found.unwrap_or_else(|| panic!("no member {name}")).1
    }

    fn edit(&mut self, name: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.find(name).clone()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        *self.find(name) = text.replace(from, to).into_bytes();
    }

    /// Replaces a blob and its digest and size in all documents above it.
    fn replace_blob(&mut self, digest: Digest, contents: Vec<u8>) -> Digest {
        let new = Digest::of(&contents);
        let old_size = self.find(&blob_name(&digest)).len();
        let size = contents.len();
        *self.find(&blob_name(&digest)) = contents;
        for (name, bytes) in &mut self.members {
            *name = name.replace(&digest.to_hex(), &new.to_hex());
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                let pair = format!("{digest}\",\"size\":{old_size}");
                let text = text.replace(&pair, &format!("{new}\",\"size\":{size}"));
                *bytes = text.replace(&digest.to_hex(), &new.to_hex()).into_bytes();
            }
        }
        new
    }

    /// Gives the documents above a changed one their new digests.
    fn reseal(&mut self) {
        for _ in 0..3 {
            let stale = self.members.iter().find_map(|(name, bytes)| {
                let digits = name.strip_prefix("blobs/sha256/")?;
                let digest: Digest = format!("sha256:{digits}").parse().ok()?;
                (Digest::of(bytes) != digest).then(|| (digest, bytes.clone()))
            });
            let Some((digest, bytes)) = stale else { break };
            // The size in the documents is that of the old contents, which are gone.
            let new = self.replace_blob(digest, bytes.clone());
            self.fix_size(new, bytes.len());
        }
        let index: Index = serde_json::from_slice(self.find("index.json")).unwrap();
        self.summary.digest = index.manifests[0].digest;
    }

    fn fix_size(&mut self, digest: Digest, size: usize) {
        for (_, bytes) in &mut self.members {
            let Ok(text) = String::from_utf8(bytes.clone()) else { continue };
            let key = format!("{digest}\",\"size\":");
            let Some(start) = text.find(&key).map(|start| start + key.len()) else { continue };
            let end = start + text[start..].find(['}', ',']).unwrap();
            *bytes = format!("{}{size}{}", &text[..start], &text[end..]).into_bytes();
        }
    }

    fn config_name(&self) -> String {
        blob_name(&self.summary.config_digest)
    }

    fn manifest_name(&self) -> String {
        blob_name(&self.summary.digest)
    }

    /// Replaces the tar of the only layer; every document fits the new one.
    fn set_layer(&mut self, tar: &[u8]) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(tar).unwrap();
        let layer = self.summary.layers[0].clone();
        let config = self.config_name();
        self.edit(&config, &layer.diff_id.to_string(), &Digest::of(tar).to_string());
        self.replace_blob(layer.digest, encoder.finish().unwrap());
        self.reseal();
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, contents) in &self.members {
            let kind = if name.ends_with('/') {
                Kind::Directory
            } else {
                Kind::File(contents.len() as u64)
            };
            bytes.extend(member_header(name.trim_end_matches('/'), kind));
            bytes.extend(contents);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }
}

fn rules_broken(bytes: &[u8], summary: &Summary) -> Vec<&'static str> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let owners = [Owner::root()];
    let expected =
        Expected { summary, n_base_layers: 0, owners: &owners, mtime: 1, now: 1_700_000_000 };
    match check_archive(&file, &expected) {
        Ok(()) => Vec::new(),
        Err(Invalid(findings)) => findings.iter().map(|finding| finding.rule).collect(),
    }
}

/// Fails unless the change breaks the rule.
#[track_caller]
fn check(rule: &str, change: impl FnOnce(&mut Draft)) {
    let mut draft = Draft::new();
    assert_eq!(rules_broken(&draft.write(), &draft.summary), [""; 0]);
    change(&mut draft);
    let broken = rules_broken(&draft.write(), &draft.summary);
    assert!(broken.contains(&rule), "expected {rule}, found {broken:?}");
}

/// Fails unless a well-packed layer with these entries breaks exactly this rule.
#[track_caller]
fn check_entries(rule: &str, entries: &[(&str, Kind<'_>)]) {
    let owner = Owner::root();
    let mut tar = TarWriter::new(Vec::new());
    for &(path, kind) in entries {
        let path = path.as_bytes();
        tar.entry(&Entry { path, kind, mode: 0o755, owner: &owner, mtime: 1 }).unwrap();
    }
    check_tar(rule, &tar.finish().unwrap());
}

#[track_caller]
fn check_tar(rule: &str, tar: &[u8]) {
    let mut draft = Draft::new();
    draft.set_layer(tar);
    assert_eq!(rules_broken(&draft.write(), &draft.summary), [rule]);
}

#[test]
fn a_flipped_bit_in_any_blob_is_found() {
    for kind in 0..3 {
        let mut draft = Draft::new();
        let name = match kind {
            0 => blob_name(&draft.summary.layers[0].digest),
            1 => draft.config_name(),
            _ => draft.manifest_name(),
        };
        let blob = draft.find(&name);
        let middle = blob.len() / 2;
        blob[middle] ^= 1;
        let broken = rules_broken(&draft.write(), &draft.summary);
        assert!(broken.contains(&"V1"), "{name}: {broken:?}");
    }
}

#[test]
fn every_flipped_byte_of_the_archive_is_found() {
    let draft = Draft::new();
    let bytes = draft.write();
    for i in (0..bytes.len()).step_by(61) {
        let mut wrong = bytes.clone();
        wrong[i] ^= 0x10;
        assert!(!rules_broken(&wrong, &draft.summary).is_empty(), "byte {i}");
    }
    for length in [0, 511, 512, bytes.len() - 1024, bytes.len() - 512, bytes.len() - 1] {
        assert!(!rules_broken(&bytes[..length], &draft.summary).is_empty(), "length {length}");
    }
    let longer = [&bytes[..], &[0; 512]].concat();
    assert_eq!(rules_broken(&longer, &draft.summary), ["V6"]);
}

#[test]
fn members_that_are_missing_doubled_needless_or_misplaced_are_found() {
    check("V2", |draft| {
        let name = draft.config_name();
        draft.members.retain(|(other, _)| *other != name);
    });
    check("V2", |draft| draft.members.retain(|(name, _)| name != "manifest.json"));
    check("V2", |draft| draft.members.retain(|(name, _)| name != "oci-layout"));
    check("V2", |draft| {
        let name = blob_name(&Digest::of(b"more"));
        draft.members.insert(3, (name, b"more".to_vec()));
    });
    check("V2", |draft| {
        let double = draft.members[3].clone();
        draft.members.insert(3, double);
    });
    check("V6", |draft| draft.members.swap(3, 4));
    check("V6", |draft| {
        let last = draft.members.len() - 1;
        draft.members.swap(last, last - 1);
    });
}

#[test]
fn documents_that_disagree_are_found() {
    check("V3", |draft| draft.edit("oci-layout", "1.0.0", "1.0.1"));
    check("V3", |draft| draft.edit("index.json", "image.index", "image.manifest"));
    check("V3", |draft| draft.edit("index.json", "\"schemaVersion\":2", "\"schemaVersion\":1"));
    check("V3", |draft| draft.edit("index.json", ",", ", "));
    check("V3", |draft| {
        let name = draft.manifest_name();
        draft.edit(&name, "tar+gzip", "tar+bzip2");
        draft.reseal();
    });
    check("V9", |draft| {
        let name = draft.manifest_name();
        draft.edit(&name, "tar+gzip", "tar");
        draft.reseal();
    });
    check("V4", |draft| draft.edit("manifest.json", "\"Layers\":[", "\"Layers\":[\"x\","));
    check("V4", |draft| draft.edit("manifest.json", "[{", "[[{"));
    check("V5", |draft| draft.edit("manifest.json", ":v1", ":v2"));
    check("V5", |draft| draft.edit("manifest.json", "test/image", "Test/image"));
    check("V5", |draft| draft.edit("index.json", "docker.io/", ""));
    check("V5", |draft| draft.edit("index.json", "name\":\"v1", "name\":\"v2"));
    check("V26", |draft| draft.summary.digest = Digest::of(b""));
}

#[test]
fn configs_that_do_not_fit_are_found() {
    let edit = |rule: &str, from: &str, to: &str| {
        check(rule, |draft| {
            let name = draft.config_name();
            draft.edit(&name, from, to);
            draft.reseal();
        });
    };
    edit("V7", "\"type\":\"layers\"", "\"type\":\"strata\"");
    edit("V8", "\"diff_ids\":[", &format!("\"diff_ids\":[\"{}\",", Digest::of(b"")));
    edit("V8", "\"history\":[{", "\"history\":[{},{");
    edit("V8", "\"created_by\"", "\"empty_layer\":true,\"created_by\"");
    edit("V10", "\"amd64\"", "\"\"");
    edit("V10", "\"linux\"", "\"windows\"");
    edit("V11", "\"1970-01-01T00:00:01Z\"", "\"2070-01-01T00:00:01Z\"");
    edit("V11", "\"1970-01-01T00:00:01Z\"", "\"yesterday\"");
    check("V9", |draft| {
        let name = draft.config_name();
        let diff_id = draft.summary.layers[0].diff_id.to_string();
        draft.edit(&name, &diff_id, &Digest::of(b"").to_string());
        draft.reseal();
    });
}

#[test]
fn entries_that_a_layer_must_not_have_are_found() {
    use Kind::{Directory, File, Symlink};
    check_entries("V12", &[("a", File(0)), ("a", File(0))]);
    check_entries("V13", &[("a/b", File(0))]);
    check_entries("V13", &[("a", File(0)), ("a/b", File(0))]);
    check_entries("V14", &[("b", File(0)), ("a", File(0))]);
    check_entries("V14", &[("a", Directory), ("a-b", File(0)), ("a/b", File(0))]);
    check_entries("V15", &[(".wh.a", File(0))]);
    check_entries("V17", &[("..", Directory)]);
    check_entries("V17", &[("/a", File(0))]);
    check_entries("V17", &[("a", Directory), ("a//b", File(0))]);
    check_entries("V22", &[("etc", Directory), ("etc/passwd", Symlink(b"/nix/store/x"))]);
}

#[test]
fn headers_that_we_do_not_write_are_found() {
    let entry = |owner: &Owner, mtime| {
        let mut tar = TarWriter::new(Vec::new());
        let kind = Kind::File(0);
        tar.entry(&Entry { path: b"a", kind, mode: 0o644, owner, mtime }).unwrap();
        tar.finish().unwrap()
    };
    check_tar("V16", &entry(&Owner::named(7, 0), 1));
    check_tar("V16", &entry(&Owner::nameless(), 1));
    check_tar("V16", &entry(&Owner::root(), 2));
    let good = entry(&Owner::root(), 1);
    check_tar("V20", &good[..good.len() - 512]);
    check_tar("V20", &[&good[..], &[0; 512]].concat());
    check_tar("V20", &good[..100]);
    for (type_flag, rule) in [(b'1', "V18"), (b'3', "V19"), (b'6', "V19"), (b'g', "V19")] {
        let mut wrong = good.clone();
        wrong[156] = type_flag;
        check_tar(rule, &wrong);
    }
    // A PAX header whose length is wrong, and one that hides another size.
    let owner = Owner::root();
    let long = "x".repeat(120);
    let file =
        Entry { path: long.as_bytes(), kind: Kind::File(0), mode: 0o644, owner: &owner, mtime: 1 };
    let blocks = header(&file);
    let with = |from: &[u8], to: &[u8]| {
        let at = blocks.windows(from.len()).position(|window| window == from).unwrap();
        let mut wrong = blocks.clone();
        wrong[at..at + to.len()].copy_from_slice(to);
        wrong.resize(wrong.len() + 1024, 0);
        wrong
    };
    check_tar("V16", &with(b"130 path=", b"131 path="));
    check_tar("V16", &with(b"130 path=", b"130 pxth="));
}
