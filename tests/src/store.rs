//! A store that we filled is one that C++ Nix can use, and both say the same of it.

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::Bed,
    scratch::{Scratch, same, succeed},
};

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let run = move || queries(bed).map_err(Failed::from);
    trials.push(Trial::test("store/queries-answer-as-those-of-nix-store", run));
}

/// The lines of a text, sorted: neither side promises an order here.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn queries(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let built = scratch.build([bed.example("image.nix")])?;
    scratch.verify()?;
    let drv = succeed(scratch.command("store").args(["-q", "--deriver", &built.path]))?;
    let drv = drv.trim();
    let everything = succeed(scratch.command("store").args(["-qR", "--include-outputs", drv]))?;
    let everything = sorted(&everything);
    if everything.len() < 50 {
        return Err(format!("only {} objects: {everything:?}", everything.len()));
    }
    let compare = |question: &[&str], path: &str| {
        let ask = |mut command: std::process::Command| {
            succeed(command.arg("--query").args(question).arg(path))
        };
        let (ours, theirs) = (ask(scratch.command("store"))?, ask(scratch.peer("nix-store"))?);
        same(&format!("{question:?} of {path}"), sorted(&ours), sorted(&theirs))
    };
    compare(&["-R", "--include-outputs"], drv)?;
    for path in [built.path.as_str(), drv] {
        compare(&["--requisites"], path)?;
        compare(&["--referrers"], path)?;
        compare(&["--referrers-closure"], path)?;
        compare(&["--outputs"], drv)?;
    }
    // Every object once; each question starts two processes.
    for path in everything.iter().step_by(7).chain([&built.path]) {
        compare(&["--references"], path)?;
        compare(&["--hash"], path)?;
        compare(&["--size"], path)?;
        if !path.ends_with(".drv") {
            compare(&["--deriver"], path)?;
        }
    }
    let libc = everything.iter().find(|path| path.ends_with("-host-libc6-2.36"));
    let libc = libc.or_else(|| everything.iter().find(|path| path.contains("-host-libc6-")));
    compare(&["--referrers-closure"], libc.ok_or("no C library")?)
}
