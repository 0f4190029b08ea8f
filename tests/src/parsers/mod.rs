//! Three parsers and one verdict: what we accept is what real Nix accepts, and what rnix accepts, but for the
//! rows of `tests/parsers.tsv`.
//!
//! Texts are the goldens, nixlib, a package tree where `MINI_NIX_NIXPKGS` names one, generated programs, and
//! mutants of all of them: a token deleted, doubled, swapped, or put in. `MINI_NIX_MUTANTS` asks for more.

mod list;
mod mutate;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use libtest_mimic::{Failed, Trial};
use nix_eval::{Engine, EngineOptions, error::Class, host::FsHost};

use self::list::{List, Side};
use crate::{
    bed::Bed,
    programs::{
        answer::{Answer, Mode},
        generate::{self, Table},
        peer::Peer,
        rng::Rng,
    },
};

/// Mutants that rnix reads in a run that asks for no number.
const FEW: usize = 3_000;
/// Of those, the ones that real Nix reads: it needs a process for each that it refuses.
const FEW_OF_PEER: usize = 150;
/// Texts that are longer are left to our own parser; rnix takes the square of some lengths.
const MAX_BYTES: usize = 6 << 20;
/// Stack for rnix, whose recursion is bounded for some constructs only.
const STACK: usize = 1 << 30;

/// What a parser says about a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accepted,
    /// With its message.
    Refused(String),
}

impl Verdict {
    fn is_accepted(&self) -> bool {
        *self == Verdict::Accepted
    }
}

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let mut add = |name: &str, case: fn(Bed) -> Result<(), String>| {
        let name = format!("parsers/{name}");
        trials.push(Trial::test(name, move || case(bed).map_err(Failed::from)));
    };
    add("list", listed_differences_are_there);
    add("goldens", |bed| compare(bed, goldens(bed)?));
    add("nixlib", |bed| compare(bed, files(&nixlib(bed))?));
    add("packages", |bed| match packages() {
        Some(folder) => compare(bed, files(&folder)?),
        None => Ok(()),
    });
    add("generated", |bed| compare(bed, generated(1_000)));
    add("mutants", |bed| compare(bed, mutants(bed, count("MINI_NIX_MUTANTS", FEW))?));
    add("mutants-peer", |bed| {
        compare_with_peer(mutants(bed, count("MINI_NIX_MUTANTS_PEER", FEW_OF_PEER))?)
    });
}

fn count(name: &str, few: usize) -> usize {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(few)
}

fn nixlib(bed: Bed) -> PathBuf {
    bed.tests.join("../nixlib")
}

fn packages() -> Option<PathBuf> {
    std::env::var_os("MINI_NIX_NIXPKGS").map(PathBuf::from)
}

fn goldens(bed: Bed) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for topic in ["builtins", "cli", "formats", "lang", "order", "store", "values"] {
        let file = bed.tests.join("goldens").join(format!("{topic}.jsonl"));
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
            // Pipes are a feature that rnix has always on.
            let program = row["expr"].as_str().unwrap_or("");
            if !program.contains("|>") && !program.contains("<|") {
                texts.push(program.to_owned());
            }
        }
    }
    Ok(texts)
}

/// The texts of all Nix files below a folder.
fn files(folder: &Path) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "nix") => {
                    let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
                    texts.extend(String::from_utf8(bytes));
                }
                _ => {}
            }
        }
    }
    if texts.is_empty() {
        return Err(format!("{}: there are no Nix files", folder.display()));
    }
    Ok(texts)
}

fn generated(n: u64) -> Vec<String> {
    let table = Table::new();
    (0..n).map(|seed| generate::program(seed, &table).1).collect()
}

/// Mutants of everything that is at hand. Files that change often are left out of a run that asks for no number:
/// an edit there must not bring up a difference that the list does not have yet.
fn mutants(bed: Bed, n: usize) -> Result<Vec<String>, String> {
    let mut texts = goldens(bed)?;
    texts.extend(generated(1_000));
    if n > FEW {
        texts.extend(files(&nixlib(bed))?);
    }
    if let Some(folder) = packages() {
        texts.extend(files(&folder)?.into_iter().filter(|t| t.len() < 20_000));
    }
    let mut rng = Rng::new(n as u64);
    Ok((0..n).map(|_| mutate::mutant(&texts[rng.below(texts.len())], &mut rng)).collect())
}

/// Our parser, as `nix-instantiate --parse` uses it.
struct Ours {
    engine: Engine,
}

impl Ours {
    fn new() -> Ours {
        let mut options = EngineOptions::default();
        options.builtins = nix_store::builtins::BUILTINS.to_vec();
        options.host = Arc::new(FsHost::whole());
        Ours { engine: Engine::new(options) }
    }

    /// Whether the text is a program; names that nothing binds do not count.
    fn verdict(&self, text: &str) -> Verdict {
        match self.engine.evaluator().desugar(text.as_bytes(), "text", b"/w") {
            Ok(_) => Verdict::Accepted,
            Err(e) if e.class() == Class::Undefined => Verdict::Accepted,
            Err(e) => Verdict::Refused(e.message().to_owned()),
        }
    }
}

fn rnix_verdict(text: &str) -> Verdict {
    match rnix::Root::parse(text).errors().first() {
        None => Verdict::Accepted,
        Some(error) => Verdict::Refused(error.to_string()),
    }
}

/// Runs `work` on a stack that rnix cannot overflow with texts of corpora.
fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|e| format!("no thread for rnix: {e}"))?;
        thread.join().map_err(|_| "a parser panicked".to_owned())
    })
}

/// Our verdict and that of rnix are the same for all texts, but for what is listed.
fn compare(bed: Bed, texts: Vec<String>) -> Result<(), String> {
    let list = List::read(bed)?;
    on_large_stack(move || {
        let ours = Ours::new();
        let mut report = String::new();
        let mut n = 0;
        for text in texts.iter().filter(|t| t.len() <= MAX_BYTES) {
            let (own, rnix) = (ours.verdict(text), rnix_verdict(text));
            if own.is_accepted() == rnix.is_accepted() || list.excuse(&own, &rnix, text) {
                continue;
            }
            n += 1;
            if n <= 40 {
                let short: String = text.chars().take(600).collect();
                let _ = writeln!(report, "ours {own:?}, rnix {rnix:?}\n  {short:?}");
            }
        }
        if n == 0 { Ok(()) } else { Err(format!("{n} of {} texts differ\n{report}", texts.len())) }
    })?
}

/// Our verdict is that of real Nix.
fn compare_with_peer(texts: Vec<String>) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    for folder in ["conf", "w"] {
        std::fs::create_dir(root.join(folder)).map_err(|e| e.to_string())?;
    }
    let peer = Peer::find(&root, &root.join("w"))?;
    let ours = Ours::new();
    let mut report = String::new();
    let texts: Vec<String> = texts.into_iter().filter(|t| !t.contains('\0')).collect();
    let (answers, _) = peer.ask(&texts, Mode::Parse)?;
    for (text, theirs) in texts.iter().zip(answers) {
        let own = ours.verdict(text);
        let accepted = match &theirs {
            Answer::Value(_) => true,
            Answer::Error(class, _) => class == "undefined",
            Answer::Crash(_) => continue,
        };
        // A mutant may use what 2.8 does not know yet.
        let newer = matches!(&own, Verdict::Refused(m) if m.contains("pipe-operators"));
        if own.is_accepted() != accepted && !newer {
            let _ = writeln!(report, "ours {own:?}, Nix {}\n  {text:?}", theirs.line());
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// Each listed difference is still there, and real Nix stands on the side that the list says.
fn listed_differences_are_there(bed: Bed) -> Result<(), String> {
    let list = List::read(bed)?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    for folder in ["conf", "w"] {
        std::fs::create_dir(root.join(folder)).map_err(|e| e.to_string())?;
    }
    let peer = Peer::find(&root, &root.join("w"))?;
    let ours = Ours::new();
    let mut report = String::new();
    for row in &list.rows {
        let text = &row.example;
        let (own, rnix) = (ours.verdict(text), rnix_verdict(text));
        if own.is_accepted() == rnix.is_accepted() {
            let _ = writeln!(report, "{}: ours and rnix agree now: take the row out", row.id);
        } else if !list.excuse(&own, &rnix, text) {
            let _ = writeln!(
                report,
                "{}: the row does not fit its example: ours {own:?}, rnix {rnix:?}",
                row.id
            );
        }
        let (answers, _) = peer.ask(std::slice::from_ref(text), Mode::Parse)?;
        let accepted = match &answers[..] {
            [Answer::Value(_)] => true,
            [Answer::Error(class, _)] => class == "undefined",
            _ => return Err(format!("{}: the peer gave no answer: {answers:?}", row.id)),
        };
        let right = if accepted == own.is_accepted() { Side::Ours } else { Side::Rnix };
        if right != row.right {
            let _ = writeln!(
                report,
                "{}: {right:?} is right, by Nix {}: {answers:?}",
                row.id, peer.version
            );
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}
