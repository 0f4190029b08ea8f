//! Inputs that the readers accept, to begin with.

use nix_eval::{
    answers::Answer,
    host::{Host, HostCx, Input, MemoryHost, NixPath, Recording, TraceEvent},
};
use nix_formats::nar;

use super::{kept, targets::answer_key};

use crate::programs::{
    generate::{self, Table},
    rng::Rng,
    texts,
};

/// Inputs for the target of a name.
///
/// # Errors
/// One cannot be made.
pub(super) fn of(target: &str) -> Result<Vec<Vec<u8>>, String> {
    let small_language = |kind: &str| {
        let mut rng = Rng::new(1);
        (0..200).map(|_| texts::text(kind, &mut rng).into_bytes()).collect()
    };
    Ok(match target {
        "lexer" | "parser" | "evaluator" => {
            let table = Table::new();
            (0..200).map(|seed| generate::program(seed, &table).1.into_bytes()).collect()
        }
        "json" | "toml" => small_language(target),
        "regex" => {
            let mut rng = Rng::new(1);
            let pair = |rng: &mut Rng| {
                let pattern = texts::text("regex", rng).replace('\n', " ");
                format!("{pattern}\n{}", texts::text("subject", rng)).into_bytes()
            };
            (0..200).map(|_| pair(&mut rng)).collect()
        }
        "aterm" => [DRV, FIXED_DRV, FLOATING_DRV].map(|text| text.as_bytes().to_vec()).to_vec(),
        "nar" => nars().map_err(|e| e.to_string())?,
        "answer" => vec![kept_answer(0), kept_answer(3)],
        "kept-programs" => kept::seeds().map_err(|e| e.to_string())?,
        "narinfo" => vec![NARINFO.as_bytes().to_vec()],
        "export" => exports().map_err(|e| e.to_string())?,
        "tar" => vec![archive(false), archive(true)],
        "image" => vec![docker_archive()],
        _ => return Err(format!("there are no seeds for '{target}'")),
    })
}

/// An answer that depends on `n` files, and on one of everything else.
fn kept_answer(n: u64) -> Vec<u8> {
    let host = Recording::new(MemoryHost::new([("/a", "1"), ("/b/c", "2")]));
    let cx = HostCx::default();
    for path in ["/a", "/b", "/b/c", "/missing"].map(NixPath::root) {
        // What the host has no answer to is noted all the same.
        let _ = (host.read_file(&path, &cx), host.metadata(&path, true, &cx));
        let _ = (host.read_dir(&path, &cx), host.read_link(&path, &cx));
    }
    let _ = (host.environment("HOME"), host.now(), host.system());
    host.trace(&TraceEvent::Trace(b"said"));
    host.note_input(Input::Until(n));
    host.note_input(Input::external("what", "state"));
    host.note_input(Input::Object(
        "/nix/store/008ymi3hnvhs3kkssdj22blkwr62crxl-d".to_owned(),
        true,
    ));
    Answer::new(b"text".to_vec(), host.take()).to_bytes(&answer_key())
}

const DRV: &str = concat!(
    r#"Derive([("dev","/nix/store/xdvrpf22nv4wrgdbazpql2b5jdlpb07v-d-dev","",""),"#,
    r#"("out","/nix/store/008ymi3hnvhs3kkssdj22blkwr62crxl-d","","")],"#,
    r#"[("/nix/store/nrb4avj6pm8s9wv5zqyxn1zf91648msi-d.drv",["dev","out"])],"#,
    r#"["/nix/store/rpb3rpj50k2hjds67xbn1dw5zcgdvsy3-d"],"x86_64-linux","/bin/sh",["-c","echo \"\n\t\\\r\""],"#,
    r#"[("a","b"),("name","d")])"#
);
const FIXED_DRV: &str = concat!(
    r#"Derive([("out","/nix/store/rpb3rpj50k2hjds67xbn1dw5zcgdvsy3-d","r:sha256","#,
    r#""ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")],[],[],"x","b",[],[("out","")])"#
);
const FLOATING_DRV: &str = r#"Derive([("out","","r:sha256","")],[],[],"x","b",[],[("out","")])"#;
const NARINFO: &str = "StorePath: /nix/store/008ymi3hnvhs3kkssdj22blkwr62crxl-d
URL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz
Compression: xz
FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3
FileSize: 4029176
NarHash: sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h
NarSize: 18735072
References: 008ymi3hnvhs3kkssdj22blkwr62crxl-d xdvrpf22nv4wrgdbazpql2b5jdlpb07v-d-dev
Deriver: nrb4avj6pm8s9wv5zqyxn1zf91648msi-d.drv
Sig: cache.example.org-1:Ux8tDgmDwRLSvAKxQbJ7Ez6Lf9Vd1XDQ7kQ2pMRRpKB1CBYxzvPwDB2TjTGFr8sQsjQsIf7VwQe0pqjDZ2LJDA==
";

fn nars() -> Result<Vec<Vec<u8>>, nar::NarError> {
    let mut file = nar::Writer::new(Vec::new());
    file.file(true, b"contents\n")?;
    let mut link = nar::Writer::new(Vec::new());
    link.symlink(b"../target")?;
    let mut tree = nar::Writer::new(Vec::new());
    tree.directory_start()?;
    tree.entry(b"a")?;
    tree.directory_start()?;
    tree.entry(b"empty")?;
    tree.file(false, b"")?;
    tree.directory_end()?;
    tree.entry(b"b")?;
    tree.symlink(b"a/empty")?;
    tree.entry(b"c")?;
    tree.file(false, b"12345678")?;
    tree.directory_end()?;
    Ok(vec![file.finish()?, link.finish()?, tree.finish()?])
}

fn exports() -> Result<Vec<Vec<u8>>, nar::NarError> {
    let word = |n: u64| n.to_le_bytes().to_vec();
    let text = |text: &str| {
        let mut out = word(text.len() as u64);
        out.extend_from_slice(text.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
        out
    };
    let path = "/nix/store/008ymi3hnvhs3kkssdj22blkwr62crxl-d";
    let mut all = Vec::new();
    for nar in nars()? {
        let magic = word(0x4558_494e);
        let parts =
            [word(1), nar, magic, text(path), word(1), text(path), text(""), word(0), word(0)];
        all.push(parts.concat());
    }
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    all.push(format!("{path}\n{hash}\n120\n\n1\n{path}\n").into_bytes());
    Ok(all)
}

fn append(tar: &mut Vec<u8>, name: &str, kind: u8, link: &str, contents: &[u8]) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", contents.len()).as_bytes());
    put(136, b"00000000001\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
    tar.extend_from_slice(contents);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// An archive with every kind of entry that sources have; with names in entries of their own if asked.
fn archive(long_names: bool) -> Vec<u8> {
    let mut tar = Vec::new();
    append(&mut tar, "top/", b'5', "", b"");
    if long_names {
        append(&mut tar, "pax", b'x', "", b"19 path=top/renamed\n");
        append(&mut tar, "long", b'L', "", b"top/a-name-that-is-long\0");
    }
    append(&mut tar, "top/file", b'0', "", b"contents");
    append(&mut tar, "top/link", b'2', "file", b"");
    append(&mut tar, "top/hard", b'1', "top/file", b"");
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// A smallest `docker save`.
fn docker_archive() -> Vec<u8> {
    let layer = archive(false);
    let config = br#"{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Cmd":["x"]},"rootfs":{"type":"layers","diff_ids":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]},"history":[{"created_by":"x"}]}"#;
    let manifest = br#"[{"Config":"c.json","RepoTags":["a:b"],"Layers":["l/layer.tar"]}]"#;
    let mut tar = Vec::new();
    append(&mut tar, "c.json", b'0', "", config);
    append(&mut tar, "l/layer.tar", b'0', "", &layer);
    append(&mut tar, "manifest.json", b'0', "", manifest);
    tar.resize(tar.len() + 1024, 0);
    tar
}
