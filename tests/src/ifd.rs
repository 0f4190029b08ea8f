//! Evaluation that builds what it reads: what one value needs is built at the same time.
//!
//! Two builders meet: each waits in a named pipe for the other, so both succeed only while both run. One after the
//! other they would wait until the build's time is up.

use std::{path::Path, process::Command};

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    scratch::{Scratch, has, same, succeed},
};

/// `a` and `b` meet; `both` is the empty text that refers to both, `joined` a derivation that needs both.
const MEETING: &str = r#"
rec {
  make = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  a = make "a" "echo from-a > /meet/to-b; read text < /meet/to-a; echo \"\\\"a heard $text\\\"\" > $out";
  b = make "b" "read text < /meet/to-b; echo from-b > /meet/to-a; echo \"\\\"b heard $text\\\"\" > $out";
  both = builtins.substring 0 0 "${a}${b}";
  joined = make "joined" "read a < ${a}; read b < ${b}; echo \"[ $a $b ]\" > $out";
  two = derivation {
    name = "two";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    outputs = [ "out" "dev" ];
    args = [ "-c" "echo 1 > $out; echo 2 > $dev" ];
  };

  imported = import (both + a);
  read = builtins.readFile (both + b);
  exists = builtins.pathExists (both + "/");
  needed = import joined;
  apart = [ (import a) (import b) ];
  mapped = { list = map (d: import d) [ a b ]; };
  inputs = builtins.stringLength (derivation {
    name = "inputs";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    x = import a;
    y = import b;
  }).drvPath > 0;
  outputs = [ (import "${two}") (import "${two.dev}") ];
}
"#;

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for (attribute, shows) in [
        ("imported", "\"a heard from-b\""),
        ("read", "\"\\\"b heard from-a\\\"\\n\""),
        ("exists", "true"),
        ("needed", "[ \"a heard from-b\" \"b heard from-a\" ]"),
        ("outputs", "[ 1 2 ]"),
        // Different values, on different cores.
        ("apart", "[ \"a heard from-b\" \"b heard from-a\" ]"),
        ("mapped", "{ list = [ \"a heard from-b\" \"b heard from-a\" ]; }"),
        ("inputs", "true"),
    ] {
        let run = move || meeting(bed, attribute, shows).map_err(Failed::from);
        trials.push(Trial::test(format!("ifd/built-together/{attribute}"), run));
    }
    let run = move || switched_off(bed).map_err(Failed::from);
    trials.push(Trial::test("ifd/switched-off", run));
}

/// A scratch folder with the expression and two pipes that builders may use.
fn scene(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("meeting.nix", MEETING)?;
    let meet = scratch.path("meet");
    std::fs::create_dir(&meet).map_err(|e| e.to_string())?;
    for name in ["to-a", "to-b"] {
        succeed(Command::new("mkfifo").args(["-m", "666"]).arg(meet.join(name)))?;
    }
    Ok(scratch)
}

fn evaluation(scratch: &Scratch, meet: &Path, attribute: &str) -> Command {
    let mut command = scratch.command("instantiate");
    command.args(["--eval", "--strict", "--read-write-mode", "-A", attribute, "meeting.nix"]);
    command.args(["-j", "2", "--eval-cores", "2", "--timeout", "60"]);
    command.args(["--option", "sandbox-paths"]);
    command.arg(format!("/meet={}", meet.display()));
    command
}

fn meeting(bed: Bed, attribute: &str, shows: &str) -> Result<(), String> {
    let scratch = scene(bed)?;
    let meet = scratch.path("meet");
    let said = succeed(&mut evaluation(&scratch, &meet, attribute))?;
    same("value", said.trim_end(), shows)?;
    scratch.verify()
}

fn switched_off(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed)?;
    let meet = scratch.path("meet");
    for attribute in ["imported", "read", "exists", "needed"] {
        let mut command = evaluation(&scratch, &meet, attribute);
        command.args(["--option", "allow-import-from-derivation", "false"]);
        let output = bed::run(&mut command)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        same("exit code", output.status.code(), Some(1))?;
        has(
            &said,
            &[
                "error: cannot build '/nix/store/",
                "because the option 'allow-import-from-derivation' is disabled",
                "meeting.nix:",
            ],
        )?;
        if said.contains("building '") {
            return Err(format!("it built all the same:\n{said}"));
        }
    }
    // Without a store to write to nothing can be built either.
    let scratch = scene(bed)?;
    let output =
        bed::run(scratch.command("instantiate").args(["--eval", "-A", "imported", "meeting.nix"]))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    has(&said, &["error: path '/nix/store/", "is not valid", "see '--read-write-mode'"])
}
