//! Answers that depend on the store, or on the machine's own tools.

use std::{fs, process::Command};

use libtest_mimic::Trial;

use super::{add, ask, expect};
use crate::{
    bed::Bed,
    scratch::{Scratch, has, same, succeed},
};

/// `read` is built while it is evaluated.
const BUILT: &str = r#"rec {
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  inner = make "inner" "echo 1 > $out";
  outer = make "outer-${toString (import inner)}" "echo 2 > $out";
  text = import inner;
}"#;

/// Adds the cases.
pub(super) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    add(bed, trials, "store/a-derivation-that-was-deleted", deleted);
    add(bed, trials, "store/an-output-that-was-read-and-deleted", built);
    add(bed, trials, "store/another-store", another_store);
    add(bed, trials, "store/builds-and-their-links", builds);
    add(bed, trials, "machine/nixlib-is-not-asked-again", nixlib);
}

fn scene(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("main.nix", BUILT)?;
    Ok(scratch)
}

fn instantiate(scratch: &Scratch, attribute: &str) -> Command {
    let mut command = scratch.command("instantiate");
    command.args(["main.nix", "-A", attribute]);
    command
}

fn collect_garbage(scratch: &Scratch) -> Result<(), String> {
    succeed(scratch.command("store").arg("--gc")).map(drop)
}

fn deleted(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || instantiate(&scratch, "inner");
    let first = expect("at first", &scratch, &mut call(), false)?;
    same("said", &expect("again", &scratch, &mut call(), true)?, &first)?;
    collect_garbage(&scratch)?;
    let place = scratch.real(first.stdout.trim_end());
    same("deleted", place.exists(), false)?;
    same("said", &expect("when it is deleted", &scratch, &mut call(), false)?, &first)?;
    same("made again", place.exists(), true)?;
    same("said", &expect("when it is there again", &scratch, &mut call(), true)?, &first)
}

fn built(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || instantiate(&scratch, "outer");
    let first = expect("at first", &scratch, &mut call(), false)?;
    has(&first.stderr, &["building '/nix/store/"])?;
    let again = expect("again", &scratch, &mut call(), true)?;
    same("printed", &again.stdout, &first.stdout)?;
    same("built again", again.stderr.contains("building"), false)?;
    // The derivation stays, what it was evaluated from goes.
    let mut root = scratch.command("store");
    succeed(root.args(["--realise", "--add-root", "kept"]).arg(first.stdout.trim_end()))?;
    let inner = scratch.build(["main.nix", "-A", "inner", "--no-out-link"])?;
    succeed(scratch.command("store").arg("--delete").arg(&inner.path))?;
    let anew = expect("when it is deleted", &scratch, &mut call(), false)?;
    has(&anew.stderr, &["building '/nix/store/"])?;
    same("printed", anew.stdout, first.stdout)
}

fn another_store(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let first = expect("at first", &scratch, &mut instantiate(&scratch, "inner"), false)?;
    let mut other = bed.command("instantiate");
    other.arg("--store").arg(scratch.path("other-store")).args(["main.nix", "-A", "inner"]);
    other.env_remove("NIX_CONFIG").env("XDG_CACHE_HOME", scratch.path("cache"));
    let other = expect("in another", &scratch, other.current_dir(scratch.path("")), false)?;
    same("said", &other, &first)?;
    let place = scratch.path("other-store").join(first.stdout.trim_end().trim_start_matches('/'));
    same("made in the other", place.exists(), true)
}

fn builds(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || {
        let mut command = scratch.command("build");
        command.args(["main.nix", "-A", "inner"]);
        command
    };
    let first = expect("at first", &scratch, &mut call(), false)?;
    let link = scratch.path("result");
    fs::remove_file(&link).map_err(|e| e.to_string())?;
    let again = expect("again", &scratch, &mut call(), true)?;
    same("printed", &again.stdout, &first.stdout)?;
    same("linked", link.is_symlink(), true)?;
    // Without its output the derivation is built again, but not evaluated.
    fs::remove_file(&link).map_err(|e| e.to_string())?;
    succeed(scratch.command("store").arg("--delete").arg(first.stdout.trim_end()))?;
    let rebuilt = expect("without its output", &scratch, &mut call(), true)?;
    has(&rebuilt.stderr, &["building '/nix/store/"])?;
    same("printed", rebuilt.stdout, first.stdout)
}

fn nixlib(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("main.nix", "(import <nixlib> { }).coreutils")?;
    let call = || {
        let mut command = scratch.command("instantiate");
        command.arg("main.nix");
        command
    };
    let first = expect("at first", &scratch, &mut call(), false)?;
    for when in ["again", "and again"] {
        same("said", &expect(when, &scratch, &mut call(), true)?, &first)?;
    }
    let mut anew = call();
    same("said anew", ask(&scratch, anew.arg("--no-eval-cache"))?.said, first)
}
