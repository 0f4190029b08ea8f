//! `mini-nix eval-jobs`: a line for each derivation, with the paths that a real Nix computes; a failing one does
//! not stop the others; a small heap gives the same lines.

use std::{collections::BTreeMap, path::Path};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::bed::{self, Bed};

const JOBS: &str = r#"
{ system ? "x86_64-linux" }:
let make = name: more: derivation ({ inherit name system; builder = "/bin/sh"; } // more);
in {
  plain = make "plain-1" { } // { meta = { description = "text"; bad = null; list = [ 1 ]; }; };
  "dotted.name" = make "dotted" { outputs = [ "out" "dev" ]; };
  called = { extra ? "x" }: make "called-${extra}" { };
  same = make "plain-1" { };
  nested = { recurseForDerivations = true; one = make "nested-one" { }; two.three = make "three" { }; };
  hidden.four = make "four" { };
  uses = make "uses" { input = make "plain-1" { }; };
  fails = throw "not today";
  fails-late = make "late" { text = throw "later"; };
  aborts = abort "stop";
  loops = let x = x; in x;
  deep = let f = n: 1 + f (n + 1); in make "deep" { n = f 0; };
  floating = make "floating" { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
  number = 3;
  list = [ (make "listed" { }) ];
}
"#;

/// Jobs that take some megabytes each.
const MANY: &str = r#"
builtins.listToAttrs (builtins.genList (i: {
  name = "job-${toString (1000 + i)}";
  value = derivation {
    name = "n${toString i}"; system = "x86_64-linux"; builder = "/bin/sh";
    n = builtins.length (builtins.genList (x: x + i) 100000);
  };
}) 200)
"#;

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    type Case = fn(Bed, &Path) -> Result<(), String>;
    let cases: [(&str, Case); 4] = [
        ("jobs/lines", lines),
        ("jobs/every-set", every_set),
        ("jobs/a-small-heap-gives-the-same-lines", small_heap),
        ("jobs/a-program-that-is-none-fails", no_program),
    ];
    for (name, run) in cases {
        trials.push(Trial::test(name, move || {
            let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
            let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
            std::fs::write(root.join("jobs.nix"), JOBS).map_err(|e| e.to_string())?;
            std::fs::write(root.join("many.nix"), MANY).map_err(|e| e.to_string())?;
            run(bed, &root).map_err(Failed::from)
        }));
    }
}

fn clean<'a>(command: &'a mut std::process::Command, root: &Path) -> &'a mut std::process::Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(root)
        .env("HOME", root)
        .env("NIX_CONF_DIR", root)
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .args(["--option", "experimental-features", "ca-derivations"])
}

/// The lines of a call.
fn ask(bed: Bed, root: &Path, words: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = bed.command("eval-jobs");
    clean(&mut command, root).arg("--store").arg(root.join("store")).args(words);
    let output = bed::run(&mut command)?;
    if !output.status.success() {
        return Err(format!("{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|e| format!("{e}: {line}")))
        .collect()
}

fn by_attr(lines: Vec<Value>) -> BTreeMap<String, Value> {
    lines.into_iter().map(|l| (l["attr"].as_str().unwrap_or_default().to_owned(), l)).collect()
}

/// What the peer says about one job: path of the derivation, or of an output.
fn peer(root: &Path, attr: &str, what: &str) -> Result<String, String> {
    let mut command = std::process::Command::new("nix-instantiate");
    clean(&mut command, root).env("NIX_REMOTE", "dummy://").env("NIX_STATE_DIR", root.join("var"));
    command.args(["--eval", "jobs.nix", "-A", &format!("{attr}.{what}")]);
    let output = bed::run(&mut command)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().trim_matches('"').to_owned())
}

fn equal(got: &Value, wanted: Value, what: &str) -> Result<(), String> {
    if *got == wanted { Ok(()) } else { Err(format!("{what}\n  wanted {wanted}\n  got    {got}")) }
}

fn lines(bed: Bed, root: &Path) -> Result<(), String> {
    let words = ["jobs.nix", "--meta", "--show-input-drvs", "--gc-roots-dir", "roots"];
    let lines = ask(bed, root, &words)?;
    let names: Vec<&Value> = lines.iter().map(|line| &line["attr"]).collect();
    let expected = json!([
        "aborts",
        "called",
        "deep",
        "\"dotted.name\"",
        "fails",
        "fails-late",
        "floating",
        "loops",
        "nested.one",
        "plain",
        "same",
        "uses"
    ]);
    equal(&json!(names), expected, "attributes")?;
    let lines = by_attr(lines);
    for (attr, outputs) in
        [("called", &["out"][..]), ("\"dotted.name\"", &["dev", "out"]), ("nested.one", &["out"])]
    {
        let line = &lines[attr];
        equal(&line["drvPath"], json!(peer(root, attr, "drvPath")?), attr)?;
        let mut paths = BTreeMap::new();
        for output in outputs {
            paths.insert(output, peer(root, attr, &format!("{output}.outPath"))?);
        }
        equal(&line["outputs"], json!(paths), attr)?;
    }
    let plain = &lines["plain"];
    let drv = plain["drvPath"].as_str().unwrap_or_default();
    let expected = json!({
        "attr": "plain", "attrPath": ["plain"], "name": "plain-1", "system": "x86_64-linux",
        "drvPath": peer(root, "plain", "drvPath")?,
        "outputs": { "out": peer(root, "plain", "outPath")? }, "inputDrvs": {},
        "meta": { "description": "text", "list": [1] },
    });
    equal(plain, expected, "plain")?;
    equal(&lines["same"]["drvPath"], json!(drv), "the same derivation under another name")?;
    equal(&lines["uses"]["inputDrvs"], json!({ drv: ["out"] }), "inputs")?;
    equal(&lines["floating"]["outputs"], json!({ "out": null }), "an unknown path")?;
    for (attr, text) in [
        ("fails", "not today"),
        ("fails-late", "later"),
        ("aborts", "stop"),
        ("loops", "infinite recursion"),
        ("deep", "max-call-depth"),
    ] {
        let error = lines[attr]["error"].as_str().unwrap_or_default();
        if !error.contains(text) || lines[attr].get("drvPath").is_some() {
            return Err(format!("{attr}: {}", lines[attr]));
        }
    }
    let base = drv.rsplit('/').next().unwrap_or_default();
    let link = root.join("roots").join(base);
    if link.exists() { Ok(()) } else { Err(format!("{} leads nowhere", link.display())) }
}

fn every_set(bed: Bed, root: &Path) -> Result<(), String> {
    let lines =
        by_attr(ask(bed, root, &["jobs.nix", "--force-recurse", "--argstr", "system", "s"])?);
    for attr in ["hidden.four", "nested.two.three"] {
        let line = lines.get(attr).ok_or_else(|| format!("there is no {attr}"))?;
        equal(&line["system"], json!("s"), attr)?;
    }
    Ok(())
}

fn small_heap(bed: Bed, root: &Path) -> Result<(), String> {
    let big = ask(bed, root, &["many.nix"])?;
    let small = ask(bed, root, &["many.nix", "--max-memory-size", "8"])?;
    if big.len() != 200 || big.iter().any(|line| line.get("error").is_some()) {
        return Err(format!("{} lines, the first {}", big.len(), big[0]));
    }
    if big == small { Ok(()) } else { Err("the lines differ".to_owned()) }
}

fn no_program(bed: Bed, root: &Path) -> Result<(), String> {
    for words in [&["--expr", "1 +"][..], &["--expr", "throw \"all\""], &["no-such.nix"]] {
        let error = match ask(bed, root, words) {
            Ok(lines) => return Err(format!("{words:?} gave {lines:?}")),
            Err(error) => error,
        };
        if !error.contains("error:") {
            return Err(error);
        }
    }
    Ok(())
}
