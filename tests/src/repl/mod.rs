//! `mini-nix repl`: sessions that are piped in, and sessions on a terminal.

mod terminal;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::{
    bed::Bed,
    scratch::{Scratch, has, same},
};

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    type Case = fn(Bed) -> Result<(), String>;
    let cases: [(&str, Case); 10] = [
        ("repl/values-print-as-in-a-real-nix", recorded),
        ("repl/errors-are-reports-and-end-nothing", errors),
        ("repl/files-are-loaded-and-loaded-again", files),
        ("repl/arguments-reach-functions-that-are-loaded", arguments),
        ("repl/documentation", documentation),
        ("repl/an-editor-is-opened-where-a-function-is-written", editor),
        ("repl/derivations-are-built", builds),
        ("repl/limits-hold", limits),
        ("repl/a-terminal-completes-and-remembers", terminal::completes_and_remembers),
        ("repl/ctrl-c-stops-what-runs", terminal::stops),
    ];
    for (name, run) in cases {
        trials.push(Trial::test(name, move || run(bed).map_err(Failed::from)));
    }
}

/// What a session printed.
struct Said {
    stdout: String,
    stderr: String,
}

/// Pipes a session in; it has to end with 0.
fn pipe(command: &mut Command, input: &str) -> Result<Said, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let mut stdin = child.stdin.take().ok_or("no pipe")?;
    // One that ends early does not read everything.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => Ok(Said { stdout, stderr }),
        false => Err(format!("{input}\n{}\n{stdout}{stderr}", output.status)),
    }
}

/// A session in the folder, with words.
fn session(scratch: &Scratch, words: &[&str], input: &str) -> Result<Said, String> {
    let mut command = scratch.command("repl");
    command
        .args(words)
        .env("HOME", scratch.path("home"))
        .env("XDG_STATE_HOME", scratch.path("state"));
    pipe(&mut command, input)
}

/// Rows of `repl.jsonl`: what C++ Nix 2.26.3 printed.
fn recorded(bed: Bed) -> Result<(), String> {
    let rows = std::fs::read_to_string(bed.tests.join("repl.jsonl"))
        .map_err(|e| format!("repl.jsonl: {e}"))?;
    let scratch = Scratch::new(bed)?;
    let mut wrong = Vec::new();
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).map_err(|e| e.to_string())?;
        let input = row["input"].as_str().unwrap_or_default();
        let wanted = row["stdout"].as_str().unwrap_or_default();
        let said = session(&scratch, &[], &format!("{input}\n"))?;
        if said.stdout.trim_end_matches('\n') != wanted {
            wrong.push(format!("{input}\n  wanted {wanted:?}\n  got    {:?}", said.stdout));
        }
    }
    if scratch.path("state").exists() {
        wrong.push("a session without a terminal has written a history".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn errors(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let input = "\
{ ports = { https = 443; }; }.ports.htps
1 + 1
f = x: x +
  missingName
let a = 1; in {
  b = a
  c = 2;
}
:te
let f = x: throw \"deep\"; in f 1
:nonsense
:t
:lf nixpkgs
:b 1
x =
";
    let said = session(&scratch, &[], input)?;
    same("values", said.stdout.as_str(), "2\nshowing error traces\n")?;
    has(
        &said.stderr,
        &[
            "error: attribute 'htps' missing",
            "did you mean 'https'?",
            "«string»:1:37",
            "error: undefined variable 'missingName'",
            "expected ';' after this value",
            "error: deep",
            "while calling 'f'",
            "error: unknown command ':nonsense'",
            "error: ':t' needs an argument",
            "error: not implemented in mini-nix: :lf",
            "error: expected a derivation but found an integer: 1",
            "expected an expression, but found end of file",
        ],
    )
}

fn files(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("a.nix", "{ a = 1; n = import ./n.nix; }")?;
    scratch.write("n.nix", "3")?;
    scratch.write("dir/default.nix", "{ d = 4; }")?;
    scratch.write("bad.nix", "{ a = }")?;
    let words = ["a.nix", "-f", "<here>", "--expr", "{ e = 5; }", "-I", "here=dir"];
    let said = session(
        &scratch,
        &words,
        "[ a n d e ]\n:l bad.nix\n:l dir\n[ a d ]\n:a { d = 6; }\nd\n:r\nd\n",
    )?;
    let expected = "[\n  1\n  3\n  4\n  5\n]\n[\n  1\n  4\n]\n6\n4\n";
    same("values", said.stdout.as_str(), expected)?;
    has(&said.stderr, &["Added 2 variables.", "Added 1 variable.", "bad.nix:1:7"])?;
    // What was read is read again.
    let said = session(&scratch, &["a.nix", "--arg", "x", "1"], "n\n")?;
    same("before", said.stdout.as_str(), "3\n")?;
    let script = "n\n:e ./n.nix\nn\n";
    let mut command = scratch.command("repl");
    scratch.write("mend", "#!/bin/sh\necho 30 > \"$1\"\n")?;
    command
        .arg("a.nix")
        .env("HOME", scratch.path("home"))
        .env("EDITOR", format!("sh {}", scratch.path("mend").display()));
    let said = pipe(&mut command, script)?;
    same("after an editor has changed it", said.stdout.as_str(), "3\n30\n")
}

fn arguments(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("f.nix", "{ n, s ? \"none\", k ? 1 }: { inherit n s k; }")?;
    let words = ["--arg", "n", "1 + 1", "--argstr", "s", "x", "f.nix"];
    let said = session(&scratch, &words, "[ n s k ]\n")?;
    same("values", said.stdout.as_str(), "[\n  2\n  \"x\"\n  1\n]\n")?;
    let said = session(&scratch, &["f.nix"], "1\n")?;
    same("values", said.stdout.as_str(), "1\n")?;
    has(&said.stderr, &["without a value ('n')", "--arg n"])
}

fn documentation(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("lib.nix", "{\n  /**\n    Says it twice.\n\n    # Type\n  */\n  twice = s: s + s;\n  plain = x: x;\n}\n")?;
    let input = ":doc builtins.elem\n:doc twice\n:doc builtins.nixVersion\n:doc plain\n:doc 1\n";
    let said = session(&scratch, &["lib.nix"], input)?;
    has(
        &said.stdout,
        &[
            "Synopsis: builtins.elem x ",
            "\nSays it twice.\n\n# Type\n",
            "Synopsis: builtins.nixVersion\n",
        ],
    )?;
    has(
        &said.stderr,
        &[
            "there is no comment '/** … */' before the function at ",
            "lib.nix:8:11",
            "found an integer",
        ],
    )
}

fn editor(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let file = scratch
        .write("f.nix", "{\n  f =\n    x: x;\n  p.meta.position = \"/some/file.nix:12\";\n}\n")?;
    scratch.write("vim", "#!/bin/sh\necho \"$@\" >> seen\n")?;
    let vim = scratch.path("vim");
    let mut permissions = std::fs::metadata(&vim).map_err(|e| e.to_string())?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&vim, permissions).map_err(|e| e.to_string())?;
    let mut command = scratch.command("repl");
    command
        .arg("f.nix")
        .env("HOME", scratch.path("home"))
        .env("EDITOR", format!("{} -R", vim.display()));
    let said = pipe(&mut command, ":e f\n:e p\n:e map\n:edit ./f.nix\n")?;
    let seen = std::fs::read_to_string(scratch.path("seen")).map_err(|e| e.to_string())?;
    let file = file.display();
    same("calls", seen, format!("-R +3 {file}\n-R +12 /some/file.nix\n-R {file}\n"))?;
    has(&said.stderr, &["a built-in function has no place in a file"])?;
    let said = session(&scratch, &["f.nix"], ":e f\n")?;
    has(&said.stderr, &["set EDITOR"])
}

fn builds(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let shell = "/bin/sh";
    let input = format!(
        "d = derivation {{ name = \"d\"; system = builtins.currentSystem; builder = \"{shell}\"; \
         args = [ \"-c\" \"echo building; echo $text > $out; echo two > $dev\" ]; text = \"built\"; \
         outputs = [ \"out\" \"dev\" ]; }}\nd\n:b d\nbuiltins.readFile d\n:bl d\n:log d\n\
         :b derivation {{ name = \"bad\"; system = builtins.currentSystem; builder = \"{shell}\"; \
         args = [ \"-c\" \"exit 3\" ]; }}\n1\n"
    );
    let said = session(&scratch, &[], &input)?;
    has(
        &said.stdout,
        &[
            "«derivation /nix/store/",
            "This derivation produced the following outputs:\n  dev -> /nix/store/",
            "\n  out -> /nix/store/",
            "\n\"built\\n\"\n",
            " (link: repl-result-out)",
            "\nbuilding\n",
            "\n1\n",
        ],
    )?;
    has(
        &said.stderr,
        &["building '/nix/store/", "error: builder for 'bad' failed with exit code 3"],
    )?;
    let link =
        std::fs::read_to_string(scratch.path("repl-result-dev")).map_err(|e| e.to_string())?;
    same("the link", link.as_str(), "two\n")
}

fn limits(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let endless = ":p let f = n: { x = f (n + 1); }; in f 0\n";
    let input = format!("let f = n: 1 + f (n + 1); in f 0\n{endless}1\n");
    let said = session(&scratch, &["--max-call-depth", "500"], &input)?;
    has(&said.stderr, &["stack overflow; max-call-depth exceeded (the limit is 500)"])?;
    has(&said.stdout, &["«error: stack overflow; max-call-depth exceeded", "\n1\n"])?;
    let said = session(&scratch, &[], endless)?;
    same("where it ends", said.stdout.matches("x = { ... };").count(), 1)
}
