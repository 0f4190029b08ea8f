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
    let run = move || exports(bed).map_err(Failed::from);
    trials.push(Trial::test("store/exports-and-registrations-travel-both-ways", run));
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

/// A closure goes from our store to one of C++ Nix and back, byte for byte.
fn exports(bed: Bed) -> Result<(), String> {
    let (ours, theirs, back) = (Scratch::new(bed)?, Scratch::new(bed)?, Scratch::new(bed)?);
    let built = ours.build([bed.example("greeter/default.nix")])?;
    let closure = succeed(ours.command("store").args(["-qR", &built.path]))?;
    let closure: Vec<&str> = closure.lines().collect();
    let export = |mut command: std::process::Command| -> Result<Vec<u8>, String> {
        let output = crate::bed::run(command.arg("--export").args(&closure))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let import = |scratch: &Scratch, mut command: std::process::Command, bytes: &[u8]| {
        let file = scratch.path("export");
        std::fs::write(&file, bytes).map_err(|e| e.to_string())?;
        let file = std::fs::File::open(file).map_err(|e| e.to_string())?;
        succeed(command.arg("--import").stdin(file))
    };
    let first = export(ours.command("store"))?;
    same(
        "imported by nix-store",
        sorted(&import(&theirs, theirs.peer("nix-store"), &first)?),
        sorted(&closure.join("\n")),
    )?;
    theirs.verify()?;
    let second = export(theirs.peer("nix-store"))?;
    same("exports are the same bytes", first == second, true)?;
    same(
        "imported by us",
        sorted(&import(&back, back.command("store"), &second)?),
        sorted(&closure.join("\n")),
    )?;
    back.verify()?;
    // Half an export leaves nothing behind that is wrong.
    let half = Scratch::new(bed)?;
    if import(&half, half.command("store"), &first[..first.len() / 2]).is_ok() {
        return Err("half an export was accepted".to_owned());
    }
    half.verify()?;
    // Registrations: the same text from both, and what one wrote the other loads.
    let dump = succeed(back.command("store").arg("--dump-db"))?;
    let peer = succeed(theirs.peer("nix-store").arg("--dump-db"))?;
    same("registrations", sorted(&dump), sorted(&peer))?;
    let copy = Scratch::new(bed)?;
    std::fs::create_dir_all(copy.real("/nix")).map_err(|e| e.to_string())?;
    let mut files = std::process::Command::new("cp");
    succeed(files.arg("-a").arg(back.real("/nix/store")).arg(copy.real("/nix")))?;
    let file = copy.write("registrations", &peer)?;
    let file = std::fs::File::open(file).map_err(|e| e.to_string())?;
    succeed(copy.command("store").arg("--load-db").stdin(file))?;
    same("loaded", succeed(copy.command("store").arg("--dump-db"))?, dump)?;
    copy.verify()
}
