//! Programs that were kept on disk give what parsed ones give, also where the names come in another order.
//!
//! Two engines run the same files one after the other: one parses them, the other finds them kept. Names have the same
//! numbers in both, so even what depends on these (whether two functions are one cell, where `==` begins) is the same.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use libtest_mimic::{Failed, Trial};
use nix_eval::{ProgramCache, answers::Key};

use super::{answer::Mode, batches, generate::Table, lay_out, ours::Ours};

/// Adds a case for each batch.
pub(super) fn collect(n: usize, first: usize, table: &Arc<Table>, trials: &mut Vec<Trial>) {
    for (batch, seeds) in batches(n, first) {
        let table = table.clone();
        trials.push(Trial::test(format!("programs/kept-{batch:04}"), move || {
            check(&table, &seeds).map_err(Failed::from)
        }));
    }
}

fn check(table: &Table, seeds: &[u64]) -> Result<(), String> {
    let (_scratch, root, folder) = lay_out()?;
    let mut files = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for &seed in seeds {
        let program = super::generate::program(seed, table).1;
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "_'-".contains(c);
        names.extend(program.split(|c| !is_letter(c)).map(str::to_owned));
        let file = folder.join(format!("program-{seed}.nix"));
        // Short ones are not kept.
        let text = format!("# {}\n{program}\n", "-".repeat(200));
        std::fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))?;
        files.push(file);
    }
    names.sort();
    names.dedup();
    let cache = || Some(ProgramCache::new(root.join("programs"), 1 << 28, Key::of([])));
    // Keeps them.
    let _ = run_all(&Ours::keeping(&folder, cache()), &files);
    let mut report = String::new();
    for backwards in [false, true] {
        let [parsed, kept] = [None, cache()].map(|cache| {
            let ours = Ours::keeping(&folder, cache);
            if backwards {
                ours.number(names.iter().rev());
            }
            run_all(&ours, &files)
        });
        for ((seed, parsed), kept) in seeds.iter().zip(&parsed).zip(&kept) {
            if parsed.0 != kept.0 {
                let _ = writeln!(
                    report,
                    "seed {seed}, backwards {backwards}, kept:\n{}\nparsed:\n{}",
                    kept.0, parsed.0
                );
            }
        }
        // Those that are no programs are not kept.
        let n_known = kept.iter().filter(|run| run.1 > 0).count();
        if n_known * 10 < seeds.len() * 8 {
            let _ = writeln!(report, "only {n_known} of {} were known", seeds.len());
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// Of each file all that it gave, and how many programs were known.
fn run_all(ours: &Ours, files: &[PathBuf]) -> Vec<(String, u64)> {
    let run = |file: &PathBuf| {
        let (run, n_known) = ours.run_file(Path::new(file), Mode::Strict);
        (format!("{}\n{}\n{:?}", run.answer.line(), run.report, run.traces), n_known)
    };
    files.iter().map(run).collect()
}
