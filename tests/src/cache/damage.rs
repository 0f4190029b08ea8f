//! Files of the cache that are broken, foreign, not writable, or written by several at once.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use libtest_mimic::Trial;

use super::{add, ask, ask_at_once, expect};
use crate::{
    bed::Bed,
    scratch::{Scratch, has, same},
};

/// Adds the cases.
pub(super) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    add(bed, trials, "damaged-files-are-replaced", damaged);
    add(bed, trials, "two-at-once", at_once);
    add(bed, trials, "a-folder-that-cannot-be-written", not_writable);
    add(bed, trials, "switched-off", switched_off);
    add(bed, trials, "little-room", little_room);
    add(bed, trials, "files-are-private", private);
}

fn scene(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("main.nix", "builtins.trace \"t\" { a = import ./dep.nix; }")?;
    scratch.write("dep.nix", "42")?;
    Ok(scratch)
}

fn call(scratch: &Scratch) -> Command {
    let mut command = scratch.command("instantiate");
    command.args(["--eval", "--strict", "main.nix"]);
    command
}

/// The files of the cache.
fn files(scratch: &Scratch) -> Result<Vec<PathBuf>, String> {
    let dir = scratch.path("cache/mini-nix/answers");
    let entries = fs::read_dir(dir).map_err(|e| e.to_string())?;
    entries.map(|entry| Ok(entry.map_err(|e| e.to_string())?.path())).collect()
}

fn only_file(scratch: &Scratch) -> Result<PathBuf, String> {
    match &files(scratch)?[..] {
        [file] => Ok(file.clone()),
        others => Err(format!("not one file: {others:?}")),
    }
}

fn damaged(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let first = expect("at first", &scratch, &mut call(&scratch), false)?;
    let file = only_file(&scratch)?;
    let whole = fs::read(&file).map_err(|e| e.to_string())?;
    let broken = |bytes: &[u8], what: &str| {
        fs::write(&file, bytes).map_err(|e| e.to_string())?;
        let said = expect(what, &scratch, &mut call(&scratch), false)?;
        same(what, &said, &first)?;
        same("said after", &expect("when replaced", &scratch, &mut call(&scratch), true)?, &first)
    };
    for part in 0..16 {
        let at = whole.len() * part / 16;
        broken(&whole[..at], &format!("the first {at} bytes"))?;
        let mut flipped = whole.clone();
        let end = (at + 7).min(whole.len());
        flipped[at..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        broken(&flipped, &format!("bytes {at} to {end} flipped"))?;
    }
    broken(&[whole.clone(), vec![0]].concat(), "one byte more")?;
    broken(b"", "empty")?;
    broken(&vec![0xff; 70_000], "foreign")?;
    // The answer to another call.
    scratch.write("other.nix", "1")?;
    let mut other = scratch.command("instantiate");
    ask(&scratch, other.args(["--eval", "other.nix"]))?;
    let all = files(&scratch)?;
    let strange = all.iter().find(|f| **f != file).ok_or("nothing was kept")?;
    let strange = fs::read(strange).map_err(|e| e.to_string())?;
    broken(&strange, "that of another call")
}

fn at_once(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let first = ask(&scratch, &mut call(&scratch))?.said;
    for round in 0..4 {
        scratch.write("dep.nix", &format!("4{round}"))?;
        for asked in ask_at_once(&scratch, || call(&scratch))? {
            let said = asked.said;
            has(&said.stdout, &[&format!("a = 4{round};")])?;
            same("said beside", &said.stderr, &first.stderr)?;
        }
        expect("afterwards", &scratch, &mut call(&scratch), true)?;
    }
    only_file(&scratch).map(drop)
}

fn not_writable(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    // A file where the folder should be: nobody can write there, root neither.
    scratch.write("cache", "")?;
    let first = expect("at first", &scratch, &mut call(&scratch), false)?;
    same("said", &expect("again", &scratch, &mut call(&scratch), false)?, &first)?;
    let mut homeless = call(&scratch);
    homeless.env_remove("XDG_CACHE_HOME");
    let homeless = ask(&scratch, &mut homeless)?;
    same("known without a home", homeless.hit, None)?;
    same("said without a home", &homeless.said, &first)
}

fn switched_off(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    for words in [&["--no-eval-cache"][..], &["--option", "eval-cache", "false"]] {
        let mut command = call(&scratch);
        same("known", ask(&scratch, command.args(words))?.hit, None)?;
    }
    let mut command = call(&scratch);
    let asked = ask(&scratch, command.env("NIX_CONFIG", "eval-cache = false"))?;
    same("known", asked.hit, None)?;
    same("there is a cache", scratch.path("cache").exists(), false)
}

fn little_room(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let sized = |number: usize| {
        let mut command = scratch.command("instantiate");
        command.args(["--option", "eval-cache-size", "8K", "--eval", "-E"]);
        command.arg(format!(
            "builtins.substring 0 3000 (toString (builtins.genList (x: {number}) 3000))"
        ));
        command
    };
    for number in 0..5 {
        expect("at first", &scratch, &mut sized(number), false)?;
    }
    expect("the last", &scratch, &mut sized(4), true)?;
    expect("the first", &scratch, &mut sized(0), false)?;
    let sizes: Result<Vec<u64>, _> =
        files(&scratch)?.iter().map(|f| fs::metadata(f).map(|m| m.len())).collect();
    let n_bytes: u64 = sizes.map_err(|e| e.to_string())?.iter().sum();
    if n_bytes > 8 << 10 { Err(format!("{n_bytes} bytes are kept")) } else { Ok(()) }
}

fn private(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    ask(&scratch, &mut call(&scratch))?;
    let mode = |path: PathBuf| fs::metadata(path).map(|m| m.permissions().mode() & 0o777);
    let dir = scratch.path("cache/mini-nix/answers");
    same("folder", mode(dir.clone()).map_err(|e| e.to_string())?, 0o700)?;
    same("file", mode(only_file(&scratch)?).map_err(|e| e.to_string())?, 0o600)?;
    // What others could have written is not believed.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(|e| e.to_string())?;
    expect("in an open folder", &scratch, &mut call(&scratch), false).map(drop)
}
