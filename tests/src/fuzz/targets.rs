//! What is fed with bytes. A target returns whatever they are, within a time that does not depend on what they ask
//! for; some check a property of what was read.

use std::time::Duration;

use super::kept;
use nix_eval::{
    Engine, EngineOptions, Error, Limits, Show,
    answers::{Answer, Key},
    builtins::json,
    regex::Regex,
    syntax,
};
use nix_formats::{
    derivation::Derivation,
    export,
    hash::{Hash, HashAlgo},
    nar,
    narinfo::NarInfo,
    store_path::StoreDir,
};
use nix_store::unpack::{UnpackLimits, unpack_tar_in_memory};

/// Reads bytes; gives what became of them, to tell inputs apart: `read`, or the reason why not. A panic is a
/// mistake that was found.
pub(super) type Run = Box<dyn FnMut(&[u8]) -> String>;

/// Something that reads bytes.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name, that of the case and of its seeds.
    pub(super) name: &'static str,
    /// Makes what the inputs of one run share.
    pub(super) make: fn() -> Run,
}

/// All targets.
pub(super) const TARGETS: &[Target] = &[
    Target { name: "lexer", make: || Box::new(lexer) },
    Target { name: "parser", make: parser },
    Target { name: "evaluator", make: evaluator },
    Target { name: "json", make: read_json },
    Target { name: "toml", make: toml },
    Target { name: "regex", make: || Box::new(regex) },
    Target { name: "aterm", make: || Box::new(aterm) },
    Target { name: "nar", make: || Box::new(read_nar) },
    Target { name: "narinfo", make: || Box::new(narinfo) },
    Target { name: "export", make: || Box::new(read_export) },
    Target { name: "answer", make: || Box::new(answer) },
    Target { name: "kept-programs", make: kept::programs },
    Target { name: "tar", make: || Box::new(tar) },
    Target { name: "image", make: || Box::new(image) },
];

/// What became of a text that is read or refused with a reason.
fn outcome<T>(result: Result<T, impl std::fmt::Display>) -> String {
    result.map_or_else(|e| e.to_string(), |_| "read".to_owned())
}

/// The same for evaluation; the report of an error, with its places, must not fail either.
fn evaluated<T>(result: Result<T, Error>) -> String {
    outcome(result.inspect_err(|error| drop(error.report().to_json())))
}

/// A world that refuses everything, and limits that end every program soon.
fn engine() -> Engine {
    let mut options = EngineOptions::default();
    options.builtins = nix_store::builtins::BUILTINS.to_vec();
    options.limits = Limits::untrusted();
    options.limits.steps = 100_000;
    options.limits.deadline = Some(Duration::from_secs(2));
    options.limits.heap_bytes = 128 << 20;
    options.limits.string_bytes = 4 << 20;
    options.limits.list_items = 1 << 18;
    Engine::new(options)
}

/// The lexer over a whole text: it goes first where a text is searched for several mistakes, and decides whether
/// the recovering parser may read it.
fn lexer(data: &[u8]) -> String {
    match syntax::tree::diagnose(data).first() {
        Some(mistake) => mistake.message.to_string(),
        None => "read".to_owned(),
    }
}

/// Lexer and parser, what prints a program, and what explains a refusal.
fn parser() -> Run {
    let engine = engine();
    Box::new(move |data| {
        let session = engine.evaluator();
        let printed = session.desugar(data, "input", b"/");
        if let Ok(text) = &printed {
            // Not always a program, as with C++ Nix, but bytes to read.
            evaluated(session.desugar(text, "printed", b"/"));
        }
        evaluated(printed)
    })
}

/// Evaluation to the end.
fn evaluator() -> Run {
    let engine = engine();
    Box::new(move |data| {
        let session = engine.evaluator();
        let shown = session.eval_bytes(data, "input", b"/").and_then(|v| v.show(Show::Deep));
        let outcome = evaluated(shown);
        // A session is there for the next request, whatever the last one was.
        let next = session.eval("1 + 1", "next", b"/").and_then(|v| v.show(Show::Deep));
        assert_eq!(next.ok().as_deref(), Some(&b"2"[..]), "the session is broken");
        outcome
    })
}

/// `fromJSON`, and what was read is written as JSON that reads as well.
fn read_json() -> Run {
    let engine = engine();
    Box::new(move |data| {
        evaluated(engine.evaluator().with_machine(|m| {
            let v = json::from_json(m, data)?;
            let mut context = nix_eval::value::ContextBuilder::new();
            let mut text = Vec::new();
            json::to_json(m, v, true, &mut context, &mut text)?;
            json::from_json(m, &text).map(drop)
        }))
    })
}

/// `fromTOML`.
fn toml() -> Run {
    let engine = engine();
    Box::new(move |data| {
        let text = String::from_utf8_lossy(data);
        let program = format!("builtins.fromTOML {}", crate::programs::texts::quoted(&text));
        let session = engine.evaluator();
        let read = session.eval(&program, "input", b"/").and_then(|v| v.force_deep());
        evaluated(read)
    })
}

/// A regular expression up to the first line break, and a text for it.
fn regex(data: &[u8]) -> String {
    let at = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (pattern, text) = data.split_at(at);
    let regex = match Regex::new(pattern) {
        Ok(regex) => regex,
        Err(e) => return e.to_string(),
    };
    let text = &text[..text.len().min(2_000)];
    let few = || {
        let mut polls = 0u32;
        move |_| {
            polls += 1;
            polls < 2_000
        }
    };
    let whole = regex.match_whole(text, &mut few());
    let all = regex.find_all(text, &mut few());
    format!("read {whole:?} {}", all.map_or(0, |all| all.len()))
}

/// A `.drv` file: what is read is written as it was.
fn aterm(data: &[u8]) -> String {
    let dir = StoreDir::default();
    let read = Derivation::parse(&dir, "input", data);
    if let Ok(drv) = &read {
        let text = drv.write(&dir);
        let again = Derivation::parse(&dir, "input", &text);
        assert!(again.is_ok_and(|again| again == *drv), "a derivation changes when it is written");
    }
    outcome(read)
}

/// A NAR: what is read to its end is written as it was.
fn read_nar(data: &[u8]) -> String {
    let mut reader = nar::Reader::new(data);
    let mut writer = nar::Writer::new(Vec::new());
    let mut step = |reader: &mut nar::Reader<&[u8]>| -> Result<bool, nar::NarError> {
        match reader.next_event()? {
            None => return Ok(false),
            Some(nar::Event::DirectoryStart) => writer.directory_start()?,
            Some(nar::Event::Entry(name)) => writer.entry(&name)?,
            Some(nar::Event::DirectoryEnd) => writer.directory_end()?,
            Some(nar::Event::Symlink(target)) => writer.symlink(&target)?,
            Some(nar::Event::File { executable, .. }) => {
                let mut contents = Vec::new();
                std::io::Read::read_to_end(reader, &mut contents)?;
                writer.file(executable, &contents)?;
            }
        }
        Ok(true)
    };
    loop {
        match step(&mut reader) {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => return e.to_string(),
        }
    }
    let n = reader.n_bytes() as usize;
    let written = writer.finish().expect("what was read is complete");
    assert_eq!(written, data[..n], "a NAR that was accepted is not the one that is written");
    "read".to_owned()
}

/// The key of the answers that are read.
pub(super) fn answer_key() -> Key {
    Key::of([("fuzz", &b""[..])])
}

/// A kept answer. Its digest is made right, or nothing behind it would be read.
fn answer(data: &[u8]) -> String {
    const N_BEFORE: usize = 8 + 32;
    let mut data = data.to_vec();
    if let Some((before, after)) = data.split_at_mut_checked(N_BEFORE) {
        before[8..].copy_from_slice(Hash::of(HashAlgo::Sha256, after).as_bytes());
    }
    let key = answer_key();
    let Some(read) = Answer::parse(&data, &key) else { return "no answer".to_owned() };
    assert_eq!(Answer::parse(&read.to_bytes(&key), &key), Some(read), "an answer that was written");
    "read".to_owned()
}

/// A `.narinfo` file.
fn narinfo(data: &[u8]) -> String {
    let dir = StoreDir::default();
    let read = NarInfo::parse(&dir, data);
    if let Ok(info) = &read {
        let written = info.write(&dir);
        assert!(
            NarInfo::parse(&dir, written.as_bytes()).is_ok(),
            "a narinfo cannot be read when it is written"
        );
        drop(info.fingerprint(&dir));
    }
    outcome(read)
}

/// What `nix-store --export` writes, and registrations.
fn read_export(data: &[u8]) -> String {
    let dir = StoreDir::default();
    let mut input = data;
    let mut said = String::new();
    loop {
        match export::read_object_start(&mut input) {
            Ok(true) => {}
            other => {
                said += &outcome(other);
                break;
            }
        }
        let mut reader = nar::Reader::new(&mut input);
        while let Ok(Some(_)) = reader.next_event() {}
        if let Err(e) = export::read_trailer(&mut input, &dir) {
            said += &e.to_string();
            break;
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        said += &outcome(export::Registration::parse_all(&dir, text, true));
        said += &outcome(export::Registration::parse_all(&dir, text, false));
    }
    said
}

/// A tar archive, packed or not, within limits.
fn tar(data: &[u8]) -> String {
    let limits = UnpackLimits { n_entries: 1_000, n_bytes: 4 << 20, ..UnpackLimits::default() };
    outcome(unpack_tar_in_memory(&mut &data[..], "input", &limits))
}

/// An image archive, its manifest and configuration.
fn image(data: &[u8]) -> String {
    let scratch = tempfile::tempdir().expect("a scratch folder can be made");
    let file = scratch.path().join("image.tar");
    std::fs::write(&file, data).expect("a file can be written there");
    outcome(docker_tools::read::BaseImage::open(&file, None, scratch.path()))
}
