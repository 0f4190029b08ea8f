//! Whole images: what the layers hold, what the documents say, and what a base image changes.

use std::io::{Read as _, Write as _};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;
use crate::testing::{APP, ImageFixture, LIB, Listing, request};

fn member(archive: &[u8], name: &str) -> Vec<u8> {
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        if &entry.path_bytes()[..] == name.as_bytes() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            return bytes;
        }
    }
    panic!("no member {name}");
}

fn blob(archive: &[u8], digest: &Digest) -> Vec<u8> {
    member(archive, &format!("{BLOBS}/{}", digest.to_hex()))
}

fn config(archive: &[u8], summary: &Summary) -> Value {
    serde_json::from_slice(&blob(archive, &summary.config_digest)).unwrap()
}

fn with(changes: Value) -> Value {
    let mut request = request();
    for (key, value) in changes.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

/// The listing of the top layer.
#[track_caller]
fn check_top(fixture: &ImageFixture, request: Value, expected: Expect) {
    let (archive, summary) = fixture.build(request);
    let top = blob(&archive, &summary.layers.last().unwrap().digest);
    expected.assert_eq(&Listing::of_gzip(&top).to_string());
}

#[track_caller]
fn check_error(request: Value, expected: Expect) {
    let error = ImageFixture::new().build_at(request).unwrap_err();
    expected.assert_eq(&error.full_text());
}

#[test]
fn a_layer_holds_the_copied_files_and_the_closure_of_what_is_mentioned() {
    check_top(
        &ImageFixture::new(),
        request(),
        expect![[r#"
            d0555 0:0 0 etc/
            -0444 0:0 54 etc/conf
            d0555 0:0 0 nix/
            d0555 0:0 0 nix/store/
            d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/
            d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/
            l0777 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/alias -> app
            -0555 0:0 53 nix/store/1111111111111111111111111111111a-app/bin/app
            d0555 0:0 0 nix/store/1111111111111111111111111111111b-lib/
            -0444 0:0 7 nix/store/1111111111111111111111111111111b-lib/sh
        "#]],
    );
}

#[test]
fn owners_apply_to_copied_files_and_not_to_store_files() {
    check_top(
        &ImageFixture::new(),
        with(json!({"uid": 1000, "gid": 100})),
        expect![[r#"
            d0555 1000:100 0 etc/
            -0444 1000:100 54 etc/conf
            d0555 0:0 0 nix/
            d0555 0:0 0 nix/store/
            d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/
            d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/
            l0777 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/alias -> app
            -0555 0:0 53 nix/store/1111111111111111111111111111111a-app/bin/app
            d0555 0:0 0 nix/store/1111111111111111111111111111111b-lib/
            -0444 0:0 7 nix/store/1111111111111111111111111111111b-lib/sh
        "#]],
    );
}

#[test]
fn commands_change_the_tree_and_cannot_end_the_packing() {
    let commands = format!(
        "mkdir -m 1777 tmp; echo 'a (\"b\")' > tmp/x; echo /nix/store/{LIB} > y; exit 0; exit 9"
    );
    let request = json!({
        "name": "x", "tag": "1", "architecture": "amd64",
        "extraCommands": commands, "commandPath": ["/usr/bin", "/bin"],
    });
    check_top(
        &ImageFixture::new(),
        request,
        expect![[r#"
        d0555 0:0 0 nix/
        d0555 0:0 0 nix/store/
        d0555 0:0 0 nix/store/1111111111111111111111111111111b-lib/
        -0444 0:0 7 nix/store/1111111111111111111111111111111b-lib/sh
        d1777 0:0 0 tmp/
        -0644 0:0 8 tmp/x
        -0644 0:0 48 y
    "#]],
    );
    check_error(
        with(json!({"extraCommands": "exit 3"})),
        expect!["extraCommands failed with exit code 3; what they printed is in the log above"],
    );
}

#[test]
fn the_documents_are_these_bytes() {
    let fixture = ImageFixture::new();
    let (archive, summary) = fixture.build(request());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap() + "\n";
    let names: String = tar::Archive::new(&archive[..])
        .entries()
        .unwrap()
        .map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned() + "\n")
        .collect();
    let shown = names
        + &text(blob(&archive, &summary.config_digest))
        + &text(blob(&archive, &summary.digest))
        + &text(member(&archive, "index.json"))
        + &text(member(&archive, "manifest.json"));
    expect![[r#"
        oci-layout
        blobs/
        blobs/sha256/
        blobs/sha256/68728597f73ac014dd18a86b65a35585d4d092f6772d309d45e3b3d413229189
        blobs/sha256/229d7e13cd0e0830ca4f132978690d4f4cc087a8ec111fac9defc073fdfecb43
        blobs/sha256/92c0d3caab6ccbaa9af6e8ebe945671c915abfa55df6823ff781e754dc0bf50a
        index.json
        manifest.json
        {"created":"1970-01-01T00:00:01Z","architecture":"amd64","os":"linux","config":{"Cmd":["/nix/store/1111111111111111111111111111111a-app/bin/app"],"Env":["A=1","B=2"]},"rootfs":{"type":"layers","diff_ids":["sha256:616e294998375f7af9d85478d9b6ed722b3796e35a8a80d17bc32b5024489fde"]},"history":[{"created":"1970-01-01T00:00:01Z","created_by":"mini-nix","comment":"store paths: [/nix/store/1111111111111111111111111111111a-app, /nix/store/1111111111111111111111111111111b-lib]"}]}
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:229d7e13cd0e0830ca4f132978690d4f4cc087a8ec111fac9defc073fdfecb43","size":476},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:68728597f73ac014dd18a86b65a35585d4d092f6772d309d45e3b3d413229189","size":439}]}
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:92c0d3caab6ccbaa9af6e8ebe945671c915abfa55df6823ff781e754dc0bf50a","size":401,"annotations":{"io.containerd.image.name":"docker.io/test/image:v1","org.opencontainers.image.ref.name":"v1"}}]}
        [{"Config":"blobs/sha256/229d7e13cd0e0830ca4f132978690d4f4cc087a8ec111fac9defc073fdfecb43","RepoTags":["test/image:v1"],"Layers":["blobs/sha256/68728597f73ac014dd18a86b65a35585d4d092f6772d309d45e3b3d413229189"]}]
    "#]].assert_eq(&shown);
    assert_eq!(summary.size, archive.len() as u64);
}

#[test]
fn the_same_image_has_the_same_bytes_with_any_number_of_threads() {
    let fixture = ImageFixture::new();
    let (first, _) = fixture.build(request());
    for _ in 0..3 {
        assert!(fixture.build(request()).0 == first);
    }
}

#[test]
fn an_image_without_a_tag_is_called_by_its_own_hash_part() {
    let (_, summary) = ImageFixture::new().build(with(json!({"tag": null})));
    assert_eq!(summary.name.to_string(), "test/image:0123456789abcdfghijklmnpqrsvwxyz");
}

#[test]
fn a_date_of_now_changes_the_config_and_no_layer() {
    let fixture = ImageFixture::new();
    let (_, fixed) = fixture.build(request());
    let (archive, now) = fixture.build(with(json!({"created": "now"})));
    assert_eq!(fixed.layers, now.layers);
    assert_ne!(config(&archive, &now)["created"], "1970-01-01T00:00:01Z");
}

#[test]
fn wrong_arguments_are_named() {
    check_error(
        with(json!({"name": "a b"})),
        expect![[
            r#"image name "a b" is not valid: engines accept lower-case letters, digits, '.', '_', '-' between components separated by '/', and a registry host with an optional port first"#
        ]],
    );
    check_error(
        with(json!({"config": {"cmd": []}})),
        expect!["config.cmd is not a key that engines read; did you mean config.Cmd?"],
    );
    check_error(
        with(json!({"created": "soon"})),
        expect![[
            r#""soon" is not a date: expected 'now' or ISO 8601 such as 1970-01-01T00:00:01Z or 2024-02-29T12:30:00+01:00"#
        ]],
    );
    check_error(
        with(json!({"bogus": 1})),
        expect![
            "the attribute 'image' of the image derivation: unknown field `bogus`, expected one of `name`, `tag`, `created`, `architecture`, `variant`, `config`, `copyToRoot`, `keepContentsDirlinks`, `extraCommands`, `commandPath`, `uid`, `gid`, `fromImage`, `fromImageName`, `fromImageTag`, `layering`"
        ],
    );
}

#[test]
fn nothing_is_left_of_an_image_that_fails() {
    let fixture = ImageFixture::new();
    let base = fixture.add_archive("base", b"this is no archive");
    let error = fixture.build_at(with(json!({"fromImage": base}))).unwrap_err();
    assert!(error.full_text().contains("not a tar archive"), "{}", error.full_text());
    let left: Vec<_> = std::fs::read_dir(fixture.store.scratch())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("image"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn on_base(fixture: &ImageFixture, bytes: &[u8], more: Value) -> (Vec<u8>, Summary) {
    let base = fixture.add_archive("base", bytes);
    let mut request = json!({
        "name": "child", "tag": "1", "architecture": "amd64", "fromImage": base,
        "config": {"Cmd": [format!("/nix/store/{APP}/bin/app")], "Env": ["B=child", "C=3"]},
    });
    for (key, value) in more.as_object().unwrap() {
        request[key] = value.clone();
    }
    fixture.build(request)
}

#[test]
fn a_base_image_keeps_its_layers_and_what_it_has_is_not_added() {
    let fixture = ImageFixture::new();
    let (base, base_summary) = fixture.build(request());
    let (archive, summary) = on_base(&fixture, &base, json!({}));
    assert_eq!(summary.n_base_layers, 1);
    assert_eq!(summary.layers[0].digest, base_summary.layers[0].digest);
    let config = config(&archive, &summary);
    assert_eq!(config["config"]["Env"], json!(["A=1", "B=child", "C=3"]));
    assert_eq!(config["history"][0]["created_by"], "mini-nix");
    let top = blob(&archive, &summary.layers[1].digest);
    assert_eq!(Listing::of_gzip(&top).to_string(), "");
}

#[test]
fn every_packing_of_a_base_archive_gives_the_same_image() {
    let fixture = ImageFixture::new();
    let (base, _) = fixture.build(request());
    let (expected, _) = on_base(&fixture, &base, json!({}));
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&base).unwrap();
        encoder.finish().unwrap()
    };
    let bzip2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(&base).unwrap();
        encoder.finish().unwrap()
    };
    let xz = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(&base).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::stream::encode_all(&base[..], 1).unwrap();
    for packed in [gzip, bzip2, xz, zstd] {
        assert!(on_base(&fixture, &packed, json!({})).0 == expected);
    }
}

/// A docker archive as old tools write it: layers by name, with links between them.
fn old_archive(layers: &[(&str, Vec<u8>)], tars: &[&[u8]]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    for (name, bytes) in layers {
        add(name, bytes);
    }
    let diff_ids: Vec<String> = tars.iter().map(|tar| Digest::of(tar).to_string()).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"Env": ["A=1"], "Entrypoint": null},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": "one"}, {"created_by": "none", "empty_layer": true}],
    });
    add("config.json", config.to_string().as_bytes());
    let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
    let manifest = json!([
        {"Config": "missing.json", "RepoTags": ["a:1"], "Layers": []},
        {"Config": "config.json", "RepoTags": ["b:2"], "Layers": names},
    ]);
    add("manifest.json", manifest.to_string().as_bytes());
    archive.into_inner().unwrap()
}

fn small_tar(names: &[&str]) -> Vec<u8> {
    let owner = Owner::root();
    let mut tar = layer::tar::TarWriter::new(Vec::new());
    for name in names {
        let kind = layer::tar::Kind::File(0);
        let entry =
            layer::tar::Entry { path: name.as_bytes(), kind, mode: 0o644, owner: &owner, mtime: 1 };
        tar.entry(&entry).unwrap();
    }
    tar.finish().unwrap()
}

#[test]
fn layers_of_a_docker_archive_may_be_packed_in_any_way() {
    let fixture = ImageFixture::new();
    let tar = small_tar(&["etc/x"]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    let zstd = zstd::stream::encode_all(&tar[..], 1).unwrap();
    let pick = json!({"fromImageName": "b", "fromImageTag": "2"});
    for (bytes, kept) in
        [(tar.clone(), true), (gzip, true), (zstd, true), (xz.finish().unwrap(), false)]
    {
        let base = old_archive(&[("l/layer.tar", bytes.clone())], &[&tar]);
        let (_, summary) = on_base(&fixture, &base, pick.clone());
        assert_eq!(summary.layers[0].diff_id.0, Digest::of(&tar));
        assert_eq!(summary.layers[0].digest == Digest::of(&bytes), kept);
    }
}

#[test]
fn a_base_that_lies_about_its_layers_is_refused() {
    let fixture = ImageFixture::new();
    let tar = small_tar(&["etc/x"]);
    let base = old_archive(&[("layer.tar", tar.clone())], &[b"other"]);
    let path = fixture.add_archive("base", &base);
    let pick = json!({"fromImage": path, "fromImageName": "b", "fromImageTag": "2"});
    let text = fixture.build_at(with(pick)).unwrap_err().full_text();
    assert!(text.contains("the unpacked layer layer.tar has digest"), "{text}");
    let pick = json!({"fromImage": path, "fromImageName": "c", "fromImageTag": "2"});
    let text = fixture.build_at(with(pick)).unwrap_err().full_text();
    assert!(text.contains("it has no image c:2; it has: a:1, b:2"), "{text}");
    let text = fixture.build_at(with(json!({"fromImage": path}))).unwrap_err().full_text();
    assert!(text.contains("missing.json is missing"), "{text}");
    let base = old_archive(&[("layer.tar", tar.clone())], &[&tar, &tar]);
    let path = fixture.add_archive("base2", &base);
    let pick = json!({"fromImage": path, "fromImageName": "b", "fromImageTag": "2"});
    let text = fixture.build_at(with(pick)).unwrap_err().full_text();
    assert!(text.contains("names 2 layers, but there are 1"), "{text}");
}

#[test]
fn a_layer_that_is_listed_twice_is_stored_once() {
    let fixture = ImageFixture::new();
    let tar = small_tar(&["etc/x"]);
    let base =
        old_archive(&[("layer.tar", tar.clone()), ("./layer.tar", tar.clone())], &[&tar, &tar]);
    let pick = json!({"fromImageName": "b", "fromImageTag": "2"});
    let (archive, summary) = on_base(&fixture, &base, pick);
    assert_eq!(summary.n_base_layers, 2);
    assert_eq!(summary.layers[0].digest, summary.layers[1].digest);
    let n = tar::Archive::new(&archive[..]).entries().unwrap().count();
    assert_eq!(n, 3 + 2 + 2 + 2);
}

#[test]
fn an_oci_layout_directory_is_a_base() {
    let fixture = ImageFixture::new();
    let (base, base_summary) = fixture.build(request());
    let real = fixture.store.files().real(fixture.store.logical("layout").as_bytes()).unwrap();
    for entry in tar::Archive::new(&base[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().into_owned();
        let place = real.join(&name);
        if entry.header().entry_type().is_dir() || name.as_os_str() == "manifest.json" {
            continue;
        }
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        std::fs::write(place, bytes).unwrap();
    }
    let path = fixture.store.logical("layout");
    let pick = |name: &str, tag: &str| {
        with(json!({"fromImage": path, "fromImageName": name, "fromImageTag": tag}))
    };
    let (_, summary) = fixture.build_at(pick("test/image", "v1")).unwrap();
    assert_eq!(summary.layers[0].digest, base_summary.layers[0].digest);
    let text = fixture.build_at(pick("test/image", "v2")).unwrap_err().full_text();
    assert!(text.contains("it has no image test/image:v2"), "{text}");
    let manifest = real.join(BLOBS).join(base_summary.digest.to_hex());
    std::fs::write(manifest, b"{}").unwrap();
    let text = fixture.build_at(pick("test/image", "v1")).unwrap_err().full_text();
    assert!(text.contains("was promised"), "{text}");
}

#[test]
fn store_paths_are_spread_over_layers() {
    let fixture = ImageFixture::new();
    let (archive, summary) = fixture.build(with(json!({"layering": {"maxLayers": 3}})));
    let shown: Vec<String> = summary
        .layers
        .iter()
        .map(|layer| Listing::of_gzip(&blob(&archive, &layer.digest)).to_string())
        .collect();
    expect![[r#"
        d0755 0:0 0 nix/
        d0755 0:0 0 nix/store/
        d0555 0:0 0 nix/store/1111111111111111111111111111111b-lib/
        -0444 0:0 7 nix/store/1111111111111111111111111111111b-lib/sh
        --
        d0755 0:0 0 nix/
        d0755 0:0 0 nix/store/
        d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/
        d0555 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/
        l0777 0:0 0 nix/store/1111111111111111111111111111111a-app/bin/alias -> app
        -0555 0:0 53 nix/store/1111111111111111111111111111111a-app/bin/app
        d0555 0:0 0 nix/store/1111111111111111111111111111111d-root/
        d0555 0:0 0 nix/store/1111111111111111111111111111111d-root/etc/
        -0444 0:0 54 nix/store/1111111111111111111111111111111d-root/etc/conf
        --
        d0755 0:0 0 etc/
        l0777 0:0 0 etc/conf -> /nix/store/1111111111111111111111111111111d-root/etc/conf
    "#]]
    .assert_eq(&shown.join("--\n"));
    check_error(
        with(json!({"layering": {"maxLayers": 1}})),
        expect![
            "maxLayers is 1, but the base image has 0 layers and the customisation layer needs 1, which leaves none for store paths"
        ],
    );
}
