//! With helpers on other cores everything is as without: values, errors with their reports, what is traced.
//!
//! Generated programs stand side by side in lists and sets that are evaluated whole, so that helpers have work;
//! some of them fail, and some of those inside `tryEval`.

use std::{fmt::Write as _, sync::Arc};

use libtest_mimic::{Failed, Trial};

use super::{answer::Mode, batches, generate::Table, lay_out, ours::Ours};

/// Programs that stand together.
const TOGETHER: usize = 20;
/// Numbers of cores that are compared with one.
const CORES: [u32; 2] = [2, 5];

/// Adds a case for each batch.
pub(super) fn collect(n: usize, first: usize, table: &Arc<Table>, trials: &mut Vec<Trial>) {
    for (batch, seeds) in batches(n, first) {
        let table = table.clone();
        trials.push(Trial::test(format!("programs/cores-{batch:04}"), move || {
            check(&table, &seeds).map_err(Failed::from)
        }));
    }
}

fn check(table: &Table, seeds: &[u64]) -> Result<(), String> {
    let (_scratch, _, folder) = lay_out()?;
    // One engine: names that are made on the way have the same numbers, which decide where `==` begins.
    let ours = Ours::new(&folder);
    let mut report = String::new();
    for seeds in seeds.chunks(TOGETHER) {
        let programs: Vec<String> =
            seeds.iter().map(|&seed| super::generate::program(seed, table).1).collect();
        let mut list = String::from("[");
        let mut caught = String::from("{");
        for (i, program) in programs.iter().enumerate() {
            let _ = write!(list, " ({program}\n)");
            let _ = write!(
                caught,
                " a{i} = let v = ({program}\n); in builtins.tryEval (builtins.deepSeq v v);"
            );
        }
        list.push_str(" ]");
        caught.push_str(" }");
        for text in [list, caught] {
            let wanted = ours.run(&text, Mode::Strict);
            for cores in CORES {
                let got = ours.run_on(cores, &text, Mode::Strict);
                let same = got.answer == wanted.answer
                    && got.report == wanted.report
                    && got.traces == wanted.traces;
                if !same {
                    let _ = writeln!(
                        report,
                        "seeds {seeds:?}, {cores} cores:\n{}\n{}\n{:?}\none core:\n{}\n{}\n{:?}",
                        got.answer.line(),
                        got.report,
                        got.traces,
                        wanted.answer.line(),
                        wanted.report,
                        wanted.traces,
                    );
                }
            }
        }
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}
