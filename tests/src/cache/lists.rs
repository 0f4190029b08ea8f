//! Answers that are lists of packages, or whose evaluation writes to the store.

use std::{fs, process::Command};

use libtest_mimic::Trial;

use super::{add, ask, expect};
use crate::{
    bed::Bed,
    scratch::{Scratch, has, same, succeed},
};

/// Packages of which some fail, with something said on the way.
const PACKAGES: &str = r#"let
  make = name: more: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
  } // more);
in {
  a = make "a-1" { src = ./source; } // {
    meta = { description = "first"; license = "${./license}"; odd = x: x; };
  };
  b = throw "no b";
  c = builtins.trace "at c" (make "c-1" { });
  d = builtins.warn "at d" (assert false; make "d" { });
  e = make "e-${import ./dep.nix}" { } // { meta.odd = builtins.trace "in e" (x: x); };
  f = (make "f-1" { }) // { outPath = throw "no path"; drvPath = throw "no path"; };
  g = { }.missing;
}"#;

/// Adds the cases.
pub(super) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    add(bed, trials, "jobs/lines-reports-and-traces", jobs);
    add(bed, trials, "jobs/whatever-the-number-of-cores", cores);
    add(bed, trials, "jobs/derivations-that-were-deleted", deleted);
    add(bed, trials, "jobs/links-are-made-again", links);
    add(bed, trials, "jobs/errors-that-may-pass-are-not-kept", passing);
    add(bed, trials, "query/meta-and-remarks", meta);
    add(bed, trials, "query/packages-that-are-passed-over", skipped);
    add(bed, trials, "query/what-is-installed-is-not-kept", installed);
    add(bed, trials, "store/what-evaluation-wrote-and-was-deleted", written);
}

fn scene(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("main.nix", PACKAGES)?;
    scratch.write("dep.nix", "\"1\"")?;
    scratch.write("source", "text")?;
    scratch.write("license", "text")?;
    Ok(scratch)
}

fn list_jobs(scratch: &Scratch) -> Command {
    let mut command = scratch.command("eval-jobs");
    command.args(["main.nix", "--meta", "--show-input-drvs"]);
    command
}

fn jobs(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || list_jobs(&scratch);
    let first = expect("at first", &scratch, &mut call(), false)?;
    same("lines", first.stdout.lines().count(), 7)?;
    has(&first.stdout, &["no b", "\"name\":\"e-1\"", "\"error\":"])?;
    let place = |text: &str| first.stderr.find(text).ok_or(format!("'{text}' was not said"));
    let places = [place("no b")?, place("at c")?, place("at d")?, place("no path")?];
    same("said in order", places.is_sorted(), true)?;
    for when in ["again", "and again"] {
        same("said", &expect(when, &scratch, &mut call(), true)?, &first)?;
    }
    let mut anew = call();
    same("said anew", &ask(&scratch, anew.arg("--no-eval-cache"))?.said, &first)?;
    let mut other = scratch.command("eval-jobs");
    expect("without 'meta'", &scratch, other.arg("main.nix"), false)?;
    scratch.write("dep.nix", "\"2\"")?;
    let changed = expect("after a change", &scratch, &mut call(), false)?;
    has(&changed.stdout, &["\"name\":\"e-2\"", "no b"])?;
    same("said", &expect("after that", &scratch, &mut call(), true)?, &changed)
}

fn cores(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = |n: &str| {
        let mut command = list_jobs(&scratch);
        command.args(["--eval-cores", n]);
        command
    };
    let one = expect("with one", &scratch, &mut call("1"), false)?;
    for n in ["2", "4"] {
        same("said", &expect(n, &scratch, &mut call(n), false)?, &one)?;
        same("said again", &expect(n, &scratch, &mut call(n), true)?, &one)?;
    }
    Ok(())
}

/// The files of the derivations that lines name.
fn derivations(scratch: &Scratch, lines: &str) -> Result<Vec<std::path::PathBuf>, String> {
    let mut found = Vec::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
        found.extend(line["drvPath"].as_str().map(|path| scratch.real(path)));
    }
    Ok(found)
}

fn deleted(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || list_jobs(&scratch);
    let first = expect("at first", &scratch, &mut call(), false)?;
    let made = derivations(&scratch, &first.stdout)?;
    same("made", made.len(), 3)?;
    succeed(scratch.command("store").arg("--gc"))?;
    same("deleted", made.iter().any(|path| path.exists()), false)?;
    same("said", &expect("when deleted", &scratch, &mut call(), false)?, &first)?;
    same("made again", made.iter().all(|path| path.exists()), true)?;
    same("said", &expect("after that", &scratch, &mut call(), true)?, &first)?;
    // What no derivation refers to.
    let at = first.stdout.find("-license\"").ok_or("no license")? + "-license".len();
    let start = first.stdout[..at].rfind('"').ok_or("no license")? + 1;
    let license = &first.stdout[start..at];
    succeed(scratch.command("store").arg("--delete").arg(license))?;
    same("said", &expect("without the license", &scratch, &mut call(), false)?, &first)?;
    same("made again", scratch.real(license).exists(), true)
}

fn links(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let call = || {
        let mut command = list_jobs(&scratch);
        command.args(["--gc-roots-dir", "roots"]);
        command
    };
    let first = expect("at first", &scratch, &mut call(), false)?;
    let count =
        || fs::read_dir(scratch.path("roots")).map(Iterator::count).map_err(|e| e.to_string());
    same("links", count()?, 3)?;
    fs::remove_dir_all(scratch.path("roots")).map_err(|e| e.to_string())?;
    same("said", &expect("again", &scratch, &mut call(), true)?, &first)?;
    same("links made again", count()?, 3)?;
    succeed(scratch.command("store").arg("--gc"))?;
    let kept = derivations(&scratch, &first.stdout)?;
    same("kept by them", kept.iter().all(|path| path.exists()), true)
}

fn passing(bed: Bed) -> Result<(), String> {
    let sources = [
        "{ a = import ./missing.nix; }",
        "{ a = builtins.genList (x: x) 100000000; }",
        "{ a = builtins.readFile ./.; }",
    ];
    for source in sources {
        let scratch = Scratch::new(bed)?;
        scratch.write("main.nix", source)?;
        let call = || {
            let mut command = scratch.command("eval-jobs");
            command.args(["main.nix", "--max-memory-size", "32"]);
            command
        };
        let first = expect("at first", &scratch, &mut call(), false)?;
        has(&first.stdout, &["\"error\":"])?;
        same("said again", &expect("again", &scratch, &mut call(), false)?, &first)?;
    }
    Ok(())
}

fn meta(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    for words in [&["--json"][..], &["--json", "--drv-path"], &["--xml"]] {
        let call = || {
            let mut command = scratch.command("env");
            command.args(["-f", "main.nix", "-qaP", "--meta", "-A", "e"]).args(words);
            command
        };
        scratch.write("dep.nix", "\"1\"")?;
        let first = expect("at first", &scratch, &mut call(), false)?;
        let remark = "derivation 'e-1' has invalid meta attribute 'odd'\n";
        same("said", first.stderr.as_str(), &*format!("trace: in e\n{remark}"))?;
        same("said again", &expect("again", &scratch, &mut call(), true)?, &first)?;
        scratch.write("dep.nix", "\"2\"")?;
        let changed = expect("after a change", &scratch, &mut call(), false)?;
        has(&changed.stderr, &["'e-2' has invalid"])?;
    }
    Ok(())
}

fn skipped(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    scratch.write("main.nix", &PACKAGES.replace("  g = { }.missing;\n", ""))?;
    let call = || {
        let mut command = scratch.command("env");
        command.args(["-v", "-f", "main.nix", "-qaP", "--drv-path"]);
        command
    };
    let first = expect("at first", &scratch, &mut call(), false)?;
    has(&first.stderr, &["skipping derivation named 'f-1'"])?;
    same("said again", expect("again", &scratch, &mut call(), true)?, first)
}

fn installed(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    for word in ["--status", "--prebuilt-only", "--compare-versions"] {
        let mut command = scratch.command("env");
        command.args(["-f", "main.nix", "-qaP", "-A", "e", word]);
        same(word, ask(&scratch, &mut command)?.hit, None)?;
    }
    Ok(())
}

fn written(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    scratch.write("tree/kept", "1")?;
    scratch.write("tree/left", "1")?;
    let filtered = "builtins.filterSource (p: _: baseNameOf p == \"kept\") ./tree";
    // Not one of them is a derivation that the answer names.
    let sources =
        ["(import ./main.nix).e.drvPath", "\"${./source}\"", "builtins.toFile \"t\" \"u\""];
    for source in sources.into_iter().chain([filtered]) {
        scratch.write("asked.nix", source)?;
        let call = || {
            let mut command = scratch.command("instantiate");
            command.args(["--eval", "--read-write-mode", "--raw", "asked.nix"]);
            command
        };
        let first = expect("at first", &scratch, &mut call(), false)?;
        let place = scratch.real(&first.stdout);
        same("made", place.exists(), true)?;
        same("said", &expect("again", &scratch, &mut call(), true)?, &first)?;
        succeed(scratch.command("store").arg("--gc"))?;
        same("deleted", place.exists(), false)?;
        same("said", &expect("when deleted", &scratch, &mut call(), false)?, &first)?;
        same("made again", place.exists(), true)?;
    }
    // What is written beside the answer.
    scratch.write("asked.nix", "builtins.seq (builtins.toFile \"t\" \"v\") 1")?;
    let call = || {
        let mut command = scratch.command("instantiate");
        command.args(["--eval", "--read-write-mode", "asked.nix"]);
        command
    };
    expect("at first", &scratch, &mut call(), false)?;
    expect("again", &scratch, &mut call(), true)?;
    succeed(scratch.command("store").arg("--gc"))?;
    expect("when deleted", &scratch, &mut call(), false).map(drop)
}
