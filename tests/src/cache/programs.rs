//! Kept programs of files: known again, replaced when the file changes, and never missed.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use libtest_mimic::Trial;

use super::{add, ask, ask_at_once, try_ask};
use crate::{
    bed::Bed,
    scratch::{Scratch, has, same},
};

/// Adds the cases.
pub(super) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    add(bed, trials, "programs-are-known", known);
    add(bed, trials, "programs-of-failures-are-known", failures);
    add(bed, trials, "programs-damaged", damaged);
    add(bed, trials, "programs-by-two-at-once", at_once);
    add(bed, trials, "programs-where-none-can-be-kept", not_writable);
    add(bed, trials, "programs-switched-off", switched_off);
    add(bed, trials, "programs-with-little-room", little_room);
    add(bed, trials, "programs-are-private", private);
    add(bed, trials, "programs-left-by-a-killed-process", left_behind);
}

const N_FILES: u64 = 4;

/// Texts that are long enough to be kept.
fn scene(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    let long = "# a comment that makes the file long enough to be worth keeping\n".repeat(4);
    scratch.write(
        "main.nix",
        &format!("{long}let z = import ./z.nix; a = import ./a.nix; in {{ inherit z a; b = import ./b.nix z; }}\n"),
    )?;
    scratch.write(
        "z.nix",
        &format!("{long}rec {{ zulu = yankee; yankee = 1; alfa = zulu + 1; }}\n"),
    )?;
    scratch.write("a.nix", &format!("{long}rec {{ alfa = yankee; yankee = 2; zulu = ./x; }}\n"))?;
    scratch.write(
        "b.nix",
        &format!("{long}{{ yankee, alfa ? 5, zulu ? alfa }}: [ zulu alfa yankee ]\n"),
    )?;
    Ok(scratch)
}

/// A call whose answer is not kept.
fn call(scratch: &Scratch) -> Command {
    let mut command = expression(scratch);
    command.arg("main.nix");
    command
}

/// As [`call`], for the expression that is added.
fn expression(scratch: &Scratch) -> Command {
    let mut command = scratch.command("instantiate");
    command.args(["--option", "eval-cache-size", "0", "--eval", "--strict"]);
    command
}

fn n_known(scratch: &Scratch) -> Result<u64, String> {
    let asked = ask(scratch, &mut call(scratch))?;
    same("known answer", asked.hit, None)?;
    Ok(asked.n_known)
}

fn folder(scratch: &Scratch) -> PathBuf {
    scratch.path("cache/mini-nix/programs")
}

fn files(scratch: &Scratch) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder(scratch)).map_err(|e| e.to_string())?;
    entries.map(|entry| Ok(entry.map_err(|e| e.to_string())?.path())).collect()
}

fn known(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let first = ask(&scratch, &mut call(&scratch))?;
    same("known at first", first.n_known, 0)?;
    let again = ask(&scratch, &mut call(&scratch))?;
    same("known again", again.n_known, N_FILES)?;
    same("said", &again.said, &first.said)?;
    // Names come in another order.
    let mut other = expression(&scratch);
    other.args(["-E", "import ./a.nix // { b = import ./b.nix (import ./z.nix); }"]);
    has(&ask(&scratch, &mut other)?.said.stdout, &["b = [ 1 2 1 ]"])?;
    for (cores, n) in [("1", N_FILES), ("4", N_FILES)] {
        let mut command = call(&scratch);
        let asked = ask(&scratch, command.args(["--eval-cores", cores]))?;
        same("known after others", asked.n_known, n)?;
        same("said", &asked.said, &first.said)?;
    }
    // A file that changed is another text.
    let text = fs::read_to_string(scratch.path("a.nix")).map_err(|e| e.to_string())?;
    scratch.write("a.nix", &text.replace("= 2", "= 3"))?;
    let changed = ask(&scratch, &mut call(&scratch))?;
    same("known of a changed file", changed.n_known, N_FILES - 1)?;
    has(&changed.said.stdout, &["alfa = 3; yankee = 3;"])?;
    scratch.write("a.nix", &text)?;
    same("known when it is as it was", n_known(&scratch)?, N_FILES)?;
    // In another directory paths are others.
    let copied = text.replace("yankee = 2", "yankee = ./x");
    scratch.write("a.nix", &copied)?;
    scratch.write("sub/a.nix", &copied)?;
    let shown = |path: &str| {
        let mut command = expression(&scratch);
        ask(&scratch, command.args(["-E", &format!("(import {path}).alfa")]))
    };
    has(&shown("./a.nix")?.said.stdout, &[&format!("{}\n", scratch.path("x").display())])?;
    let below = shown("./sub/a.nix")?;
    has(&below.said.stdout, &[&format!("{}\n", scratch.path("sub/x").display())])?;
    same("known below", below.n_known, 0)
}

fn failures(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let text = fs::read_to_string(scratch.path("b.nix")).map_err(|e| e.to_string())?;
    scratch.write("b.nix", &text.replace("zulu alfa", "zulu (alfa.nothing)"))?;
    let fails = || {
        let mut command = call(&scratch);
        match try_ask(&scratch, command.arg("--show-trace"))? {
            Err(said) => Ok(said),
            Ok(asked) => Err(format!("it succeeded: {asked:?}")),
        }
    };
    let first = fails()?;
    has(&first.stderr, &["b.nix:5:"])?;
    // What a call that failed has parsed is known to others, and to itself.
    let mut other = expression(&scratch);
    let other = ask(&scratch, other.args(["-E", "builtins.isFunction (import ./b.nix)"]))?;
    same("known after a failure", other.n_known, 1)?;
    same("said again", &fails()?, &first)?;
    // A text that is no program is read again, with the others known.
    scratch.write("b.nix", &format!("{text} ]"))?;
    let first = fails()?;
    same("said again", &fails()?, &first)
}

fn damaged(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let first = ask(&scratch, &mut call(&scratch))?;
    let [file] = &files(&scratch)?[..] else { return Err("not one file".to_owned()) };
    let whole = fs::read(file).map_err(|e| e.to_string())?;
    let broken = |bytes: &[u8], what: &str| {
        for old in files(&scratch)? {
            fs::remove_file(old).map_err(|e| e.to_string())?;
        }
        fs::write(file, bytes).map_err(|e| e.to_string())?;
        same(what, &ask(&scratch, &mut call(&scratch))?.said, &first.said)?;
        same(&format!("known after {what}"), n_known(&scratch)?, N_FILES)
    };
    for part in 0..24 {
        let at = whole.len() * part / 24;
        broken(&whole[..at], &format!("the first {at} bytes"))?;
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        broken(&flipped, &format!("byte {at} flipped"))?;
        let end = (at + 64).min(whole.len());
        flipped[at..end].fill(0);
        broken(&flipped, &format!("bytes {at} to {end} lost"))?;
    }
    broken(b"", "empty")?;
    broken(&vec![0xff; 70_000], "foreign")
}

fn at_once(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let text = fs::read_to_string(scratch.path("a.nix")).map_err(|e| e.to_string())?;
    for round in 0..4 {
        scratch.write("a.nix", &text.replace("= 2", &format!("= 2{round}")))?;
        for asked in ask_at_once(&scratch, || call(&scratch))? {
            has(&asked.said.stdout, &[&format!("alfa = 2{round}; yankee = 2{round};")])?;
        }
        same("known afterwards", n_known(&scratch)?, N_FILES)?;
    }
    // Nothing half-written is left.
    let names = files(&scratch)?;
    let scratch_file = |path: &&PathBuf| path.to_string_lossy().contains("/new.");
    same("unfinished files", names.iter().filter(scratch_file).count(), 0)
}

fn not_writable(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    // A file where the folder should be: nobody can write there, root neither.
    scratch.write("cache", "")?;
    let first = ask(&scratch, &mut call(&scratch))?;
    same("known", n_known(&scratch)?, 0)?;
    let mut homeless = call(&scratch);
    let homeless = ask(&scratch, homeless.env_remove("XDG_CACHE_HOME"))?;
    same("said without a home", &homeless.said, &first.said)
}

fn switched_off(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    for words in [&["--no-eval-cache"][..], &["--option", "program-cache-size", "0"]] {
        let mut command = call(&scratch);
        same("known", ask(&scratch, command.args(words))?.n_known, 0)?;
    }
    same("there is a cache", scratch.path("cache").exists(), false)
}

fn little_room(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let text = fs::read_to_string(scratch.path("a.nix")).map_err(|e| e.to_string())?;
    for round in 0..12 {
        scratch.write("a.nix", &text.replace("= 2", &format!("= 2{round}")))?;
        let mut command = call(&scratch);
        ask(&scratch, command.args(["--option", "program-cache-size", "12K"]))?;
        let sizes: Result<Vec<u64>, _> =
            files(&scratch)?.iter().map(|f| fs::metadata(f).map(|m| m.len())).collect();
        let n_bytes: u64 = sizes.map_err(|e| e.to_string())?.iter().sum();
        if n_bytes > 12 << 10 {
            return Err(format!("{n_bytes} bytes are kept"));
        }
    }
    Ok(())
}

fn private(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    ask(&scratch, &mut call(&scratch))?;
    let mode = |path: PathBuf| fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
    same("folder", mode(folder(&scratch)).map_err(|e| e.to_string())?, 0o700)?;
    for file in files(&scratch)? {
        same("file", mode(file).map_err(|e| e.to_string())?, 0o600)?;
    }
    // What others could have written is not believed.
    fs::set_permissions(folder(&scratch), fs::Permissions::from_mode(0o777))
        .map_err(|e| e.to_string())?;
    same("known in an open folder", n_known(&scratch)?, 0)
}

fn left_behind(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    ask(&scratch, &mut call(&scratch))?;
    // What a process that was killed did not finish: no file of programs, and room for others.
    let left = folder(&scratch).join("new.1.1");
    fs::write(&left, vec![0; 40 << 10]).map_err(|e| e.to_string())?;
    same("known beside it", n_known(&scratch)?, N_FILES)?;
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let file = fs::File::options().append(true).open(&left).map_err(|e| e.to_string())?;
    file.set_modified(old).map_err(|e| e.to_string())?;
    scratch.write("a.nix", &format!("{}42\n", "# another text\n".repeat(20)))?;
    let mut command = call(&scratch);
    ask(&scratch, command.args(["--option", "program-cache-size", "32K"]))?;
    same("it is there", left.exists(), false)
}
