//! Generated programs: our value, or class of error, is that of a real Nix (gate G6).
//!
//! Programs are a function of a seed. They run in batches: ours in this process, the peer's many to a process.
//! `MINI_NIX_PROGRAMS=100000` asks for more than the few of every run, `MINI_NIX_PROGRAMS_SEED` for others,
//! `MINI_NIX_ORACLE` for another Nix than the installed one. A difference is made smaller and shown; those
//! that are known stand in `tests/differences.tsv` with a reason.

pub(crate) mod answer;
mod ast;
mod cores;
mod differences;
pub(crate) mod generate;
mod kept;
mod ours;
pub(crate) mod peer;
pub(crate) mod rng;
mod shrink;
pub(crate) mod texts;
mod types;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use self::{
    answer::{Answer, Mode},
    differences::Differences,
    generate::Table,
    ours::Ours,
    peer::Peer,
};
use crate::bed::Bed;

/// Programs in a run that asks for no number.
const FEW: usize = 400;
/// Programs in a batch.
const BATCH: usize = 100;
/// Programs from which on each listed difference must have been met.
const FULL: usize = 50_000;

/// What a run of many programs leaves for its end.
#[derive(Clone)]
pub(crate) struct Programs {
    n: usize,
    differences: Differences,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    values: AtomicUsize,
    errors: AtomicUsize,
    void: AtomicUsize,
    excused: AtomicUsize,
    different: AtomicUsize,
    version: std::sync::Mutex<String>,
}

/// Adds the cases.
///
/// # Errors
/// The list of differences cannot be read.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) -> Result<Programs, String> {
    let list = bed.tests.join("differences.tsv");
    let text = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<usize>().ok());
    let n = number("MINI_NIX_PROGRAMS").unwrap_or(FEW);
    let first = number("MINI_NIX_PROGRAMS_SEED").unwrap_or(0);
    let programs = Programs { n, differences: Differences::parse(&text)?, counts: Arc::default() };
    trials.push(Trial::test("programs/found", move || found(bed).map_err(Failed::from)));
    trials.push(Trial::test("programs/classes", move || classes(bed).map_err(Failed::from)));
    let table = Arc::new(Table::new());
    for (batch, seeds) in batches(n, first) {
        let mode = Mode::ALL[batch % Mode::ALL.len()];
        let (programs, table) = (programs.clone(), table.clone());
        trials.push(Trial::test(format!("programs/{}-{batch:04}", mode.name()), move || {
            check(&programs, &table, mode, &seeds).map_err(Failed::from)
        }));
    }
    cores::collect(n, first, &table, trials);
    kept::collect(n, first, &table, trials);
    Ok(programs)
}

/// The seeds of `n` programs from `first` on, in batches with their numbers.
fn batches(n: usize, first: usize) -> impl Iterator<Item = (usize, Vec<u64>)> {
    let seeds = move |batch| {
        let programs = batch * BATCH..n.min((batch + 1) * BATCH);
        (batch, programs.map(|seed| (first + seed) as u64).collect())
    };
    (0..n.div_ceil(BATCH)).map(seeds)
}

impl Programs {
    /// Says what a long run found; `false` if a listed difference did not show.
    pub(crate) fn finish(&self) -> bool {
        let counts = &*self.counts;
        let load = |n: &AtomicUsize| n.load(Ordering::Relaxed);
        let ran = load(&counts.values) + load(&counts.errors);
        if ran == 0 || self.n <= FEW {
            return true;
        }
        let version = counts.version.lock().unwrap_or_else(|e| e.into_inner()).clone();
        eprintln!(
            "programs: {ran} against Nix {version}: {} values, {} errors; {} different, {} of known \
             differences, {} void because the peer crashed",
            load(&counts.values),
            load(&counts.errors),
            load(&counts.different),
            load(&counts.excused),
            load(&counts.void),
        );
        if ran < FULL {
            return true;
        }
        let unmet = self.differences.unmet(&version);
        if !unmet.is_empty() {
            eprintln!("differences.tsv lists what did not show: {}", unmet.join(" "));
        }
        unmet.is_empty()
    }
}

/// Folders of one batch, always at the same place within the scratch folder.
fn lay_out() -> Result<(tempfile::TempDir, PathBuf, PathBuf), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    let folder = root.join("w");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    let make = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder.join("dir/sub"))?;
        std::fs::create_dir_all(root.join("conf"))?;
        write("file", "contents\n")?;
        write("dir/a", "")?;
        write("dir/sub/c.txt", "c")?;
        write("dir/seven.nix", "3 + 4\n")?;
        write("dir/scoped.nix", "x + 1\n")?;
        write("dir/identity.nix", "x: x\n")?;
        write("dir/default.nix", "{ text = \"from a file\"; inherit (import ./scoped.nix) y; }\n")?;
        std::os::unix::fs::symlink("file", folder.join("link"))
    };
    make().map_err(|e| e.to_string())?;
    Ok((scratch, root, folder))
}

/// Programs that once showed a mistake of ours (`tests/found.jsonl`) give what real Nix gives.
fn found(bed: Bed) -> Result<(), String> {
    let list = bed.tests.join("found.jsonl");
    let text = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let (_scratch, _, folder) = lay_out()?;
    let ours = Ours::new(&folder);
    let mut report = String::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
        let (program, wanted) = (row["program"].as_str(), row["answer"].as_str());
        let mode = Mode::ALL.into_iter().find(|m| row["mode"] == m.name());
        let (Some(program), Some(wanted), Some(mode)) = (program, wanted, mode) else {
            return Err(format!("found.jsonl: program, answer and mode are needed: {line}"));
        };
        let own = match ours.run(program, mode).answer {
            Answer::Error(class, _) => format!("error {class}"),
            other => other.line(),
        };
        if own != wanted {
            let _ = writeln!(report, "{program}\n  wanted {wanted}\n  got    {own}");
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// The class of each message of real Nix in the goldens is the one that is recorded there.
fn classes(bed: Bed) -> Result<(), String> {
    let folder = bed.tests.join("goldens");
    let mut report = String::new();
    let mut n = 0;
    for topic in ["builtins", "lang", "order", "values", "formats"] {
        let file = folder.join(format!("{topic}.jsonl"));
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).map_err(|e| format!("{e}: {line}"))?;
            for version in ["nix28", "nix226"] {
                let answer = &row[version];
                let (Some(class), Some(message)) = (answer["err"].as_str(), answer["msg"].as_str())
                else {
                    continue;
                };
                n += 1;
                let found = answer::class_of(message);
                if found != class {
                    let _ = writeln!(report, "{} {class}, not {found}: {message}", row["id"]);
                }
            }
        }
    }
    if n < 500 {
        return Err(format!("the goldens have only {n} messages"));
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// Runs a batch with both and compares.
fn check(programs: &Programs, table: &Table, mode: Mode, seeds: &[u64]) -> Result<(), String> {
    let (_scratch, root, folder) = lay_out()?;
    let peer = Peer::find(&root, &folder)?;
    let ours = Ours::new(&folder);
    let made: Vec<(ast::Expr, String)> =
        seeds.iter().map(|&seed| generate::program(seed, table)).collect();
    let texts: Vec<String> = made.iter().map(|(_, text)| text.clone()).collect();
    let runs: Vec<ours::Run> = texts.iter().map(|text| ours.run(text, mode)).collect();
    let (answers, traces) = peer.ask(&texts, mode)?;
    let counts = &*programs.counts;
    peer.version.clone_into(&mut counts.version.lock().unwrap_or_else(|e| e.into_inner()));

    let mut report = String::new();
    let count = |n: &AtomicUsize| n.fetch_add(1, Ordering::Relaxed);
    for (n, (run, theirs)) in runs.iter().zip(&answers).enumerate() {
        match run.answer {
            Answer::Value(_) => count(&counts.values),
            _ => count(&counts.errors),
        };
        if run.answer.agrees(theirs, &peer.version) {
            continue;
        }
        if matches!(theirs, Answer::Crash(_)) && !matches!(run.answer, Answer::Crash(_)) {
            count(&counts.void);
            continue;
        }
        // In a batch the order of attributes depends on programs before; alone it does not.
        let theirs = alone(&peer, &texts[n], mode)?;
        let own = Ours::new(&folder).run(&texts[n], mode).answer;
        if own.agrees(&theirs, &peer.version) {
            continue;
        }
        if programs.differences.excuse(&peer.version, &own, &theirs, &texts[n]) {
            count(&counts.excused);
            continue;
        }
        count(&counts.different);
        explain(&mut report, programs, &folder, &peer, mode, seeds[n], &made[n].0);
    }
    let own: Vec<&String> = runs.iter().flat_map(|run| &run.traces).collect();
    if report.is_empty() && own.iter().copied().ne(&traces) {
        compare_traces(&mut report, programs, &peer, mode, seeds, &texts, &runs)?;
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

fn alone(peer: &Peer, text: &str, mode: Mode) -> Result<Answer, String> {
    let (mut answers, _) = peer.ask(&[text.to_owned()], mode)?;
    answers.pop().ok_or_else(|| "the peer gave no answer".to_owned())
}

/// Shows a difference with the smallest program that has it.
fn explain(
    report: &mut String,
    programs: &Programs,
    folder: &Path,
    peer: &Peer,
    mode: Mode,
    seed: u64,
    e: &ast::Expr,
) {
    let both = |e: &ast::Expr| -> Option<(Answer, Answer)> {
        let text = ast::print(e);
        Some((Ours::new(folder).run(&text, mode).answer, alone(peer, &text, mode).ok()?))
    };
    let mut differs = |e: &ast::Expr| match both(e) {
        Some((own, theirs)) => {
            !own.agrees(&theirs, &peer.version)
                && !matches!(theirs, Answer::Crash(_))
                && !programs.differences.excuse(&peer.version, &own, &theirs, &ast::print(e))
        }
        None => false,
    };
    let tries = std::env::var("MINI_NIX_PROGRAMS_SHRINK").ok().and_then(|v| v.parse().ok());
    let small = shrink::shrink(e.clone(), tries.unwrap_or(150), &mut differs);
    let (own, theirs) =
        both(&small).unwrap_or((Answer::Crash("?".to_owned()), Answer::Crash("?".to_owned())));
    let _ = writeln!(
        report,
        "seed {seed} {}\n  {}\n  Nix {}: {}\n  ours: {}",
        mode.name(),
        ast::print(&small),
        peer.version,
        theirs.line(),
        own.line()
    );
}

/// Finds the programs whose traces differ.
fn compare_traces(
    report: &mut String,
    programs: &Programs,
    peer: &Peer,
    mode: Mode,
    seeds: &[u64],
    texts: &[String],
    runs: &[ours::Run],
) -> Result<(), String> {
    for ((run, text), seed) in runs.iter().zip(texts).zip(seeds) {
        if !text.contains("trace") {
            continue;
        }
        let (_, traces) = peer.ask(std::slice::from_ref(text), mode)?;
        let (mut a, mut b) = (run.traces.clone(), traces.clone());
        if a == b {
            continue;
        }
        // The order in which attributes are forced is not specified.
        a.sort();
        b.sort();
        if a == b && mode != Mode::Shallow {
            continue;
        }
        let show = |t: &[String]| Answer::Value(format!("trace {t:?}").into_bytes());
        if programs.differences.excuse(&peer.version, &show(&run.traces), &show(&traces), text) {
            programs.counts.excused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        programs.counts.different.fetch_add(1, Ordering::Relaxed);
        let _ = writeln!(
            report,
            "seed {seed} {}\n  {text}\n  Nix {} traced {traces:?}\n  ours traced {:?}",
            mode.name(),
            peer.version,
            run.traces
        );
    }
    Ok(())
}
