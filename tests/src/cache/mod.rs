//! Kept answers: a call that is made again and finds nothing changed says the same without evaluating, and any change
//! that the answer depends on is noticed.
//!
//! Whether an answer was known shows in the statistics, which go to a file here and so change nothing of what is said.

mod damage;
mod inputs;
mod lists;
mod machine;
mod programs;

use std::process::Command;

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    scratch::{Scratch, same},
};

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    inputs::collect(bed, trials);
    damage::collect(bed, trials);
    lists::collect(bed, trials);
    machine::collect(bed, trials);
    programs::collect(bed, trials);
}

fn add(
    bed: Bed,
    trials: &mut Vec<Trial>,
    name: &str,
    run: impl FnOnce(Bed) -> Result<(), String> + Send + 'static,
) {
    trials.push(Trial::test(format!("cache/{name}"), move || run(bed).map_err(Failed::from)));
}

/// What a call said.
#[derive(Clone, PartialEq, Debug)]
struct Said {
    stdout: String,
    stderr: String,
}

/// What a call said, and whether the answer was known; `None` if none is kept.
#[derive(Clone, PartialEq, Debug)]
struct Asked {
    said: Said,
    hit: Option<bool>,
    n_files: u64,
    /// Files whose programs were kept.
    n_known: u64,
}

/// A call that has to succeed.
fn ask(scratch: &Scratch, command: &mut Command) -> Result<Asked, String> {
    let asked = try_ask(scratch, command)?;
    asked.map_err(|said| format!("{command:?} failed: {said:?}"))
}

/// A call; what it said if it failed.
fn try_ask(scratch: &Scratch, command: &mut Command) -> Result<Result<Asked, Said>, String> {
    let stats = scratch.path(&format!("stats-{:?}", std::thread::current().id()));
    command.env("NIX_SHOW_STATS", "1").env("NIX_SHOW_STATS_PATH", &stats);
    let output = bed::run(command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = Said { stdout: text(&output.stdout), stderr: text(&output.stderr) };
    if !output.status.success() {
        return Ok(Err(said));
    }
    let read = std::fs::read(&stats).map_err(|e| format!("{command:?}: no statistics: {e}"))?;
    let stats: serde_json::Value = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    let n_files = stats["files"]["number"].as_u64().unwrap_or(u64::MAX);
    let n_known = stats["files"]["known"].as_u64().unwrap_or(u64::MAX);
    Ok(Ok(Asked { said, hit: stats["evalCache"]["hit"].as_bool(), n_files, n_known }))
}

/// Asks, and looks whether the answer was known.
fn expect(when: &str, scratch: &Scratch, command: &mut Command, hit: bool) -> Result<Said, String> {
    let asked = ask(scratch, command)?;
    same(&format!("known {when}"), asked.hit, Some(hit)).map_err(|e| format!("{e}\n{asked:?}"))?;
    if hit {
        same(&format!("files read {when}"), asked.n_files, 0)?;
    }
    Ok(asked.said)
}

/// What several calls said that were made at once.
fn ask_at_once(scratch: &Scratch, call: impl Fn() -> Command + Sync) -> Result<Vec<Asked>, String> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| ask(scratch, &mut call()))).collect();
        let joined = runs.into_iter().map(|run| run.join());
        joined.map(|r| r.unwrap_or_else(|_| Err("a thread panicked".to_owned()))).collect()
    })
}
