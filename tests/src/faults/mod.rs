//! What goes wrong: a clear message, and a store in which nothing is wrong.

mod killed;
mod places;

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    http,
    scratch::{Scratch, has, same},
};

type Case = fn(Bed) -> Result<(), String>;

const CASES: &[(&str, Case)] = &[
    ("a-wrong-hash", wrong_hash),
    ("a-file-that-cannot-be-fetched", cannot_fetch),
    ("a-builder-that-fails", builder_fails),
    ("a-builder-that-makes-no-output", no_output),
    ("mistakes-in-the-expression", expressions),
    ("a-mistake-in-the-image", image),
];

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for &(name, case) in CASES.iter().chain(killed::CASES).chain(places::CASES) {
        let run = move || case(bed).map_err(Failed::from);
        trials.push(Trial::test(format!("faults/{name}"), run));
    }
}

/// Runs a build that has to fail with this code; gives what it said.
fn fails(scratch: &Scratch, code: i32, words: &[&str]) -> Result<String, String> {
    let output = bed::run(scratch.command("build").args(words))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    same(
        &format!("exit code of {words:?}, which says {stderr}"),
        output.status.code(),
        Some(code),
    )?;
    same("stdout", String::from_utf8_lossy(&output.stdout).as_ref(), "")?;
    has(&stderr, &["error: "])?;
    if stderr.contains("panicked") || stderr.contains("RUST_BACKTRACE") {
        return Err(stderr);
    }
    Ok(stderr)
}

fn wrong_hash(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("served/file.txt", "other contents\n")?;
    let url = format!("{}/file.txt", http::serve(&scratch.path("served"))?);
    let expression = format!(
        "(import <nixpkgs> {{ }}).fetchurl {{ url = \"{url}\"; sha256 = \"0000000000000000000000000000000000000000000000000000\"; }}"
    );
    let said = fails(&scratch, 102, &["-E", &expression])?;
    let wanted = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    has(&said, &["hash mismatch", &url, wanted, "got:    sha256-"])?;
    scratch.verify()?;
    // With the hash that was told, it is right.
    let got = said.split("got:").nth(1).and_then(|rest| rest.split_whitespace().next());
    let right = expression.replace(
        "sha256 = \"0000000000000000000000000000000000000000000000000000\"",
        &format!("hash = \"{}\"", got.ok_or("no hash in the message")?),
    );
    let built = scratch.build(["-E", &right])?;
    let contents = std::fs::read_to_string(scratch.real(&built.path)).map_err(|e| e.to_string())?;
    same("contents", contents.as_str(), "other contents\n")
}

fn cannot_fetch(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("served/file.txt", "")?;
    let url = format!("{}/other.txt", http::serve(&scratch.path("served"))?);
    let expression = format!(
        "(import <nixpkgs> {{ }}).fetchurl {{ url = \"{url}\"; sha256 = \"0000000000000000000000000000000000000000000000000000\"; }}"
    );
    has(&fails(&scratch, 100, &["-E", &expression])?, &[&url, "404"])?;
    scratch.verify()
}

fn builder_fails(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let expression = "let pkgs = import <nixpkgs> { }; in pkgs.dockerTools.buildImage { name = \"x\"; config.Cmd = \
        [ (pkgs.runCommand \"broken\" { } \"for n in $(seq 100); do echo line $n; done; echo out of cheese >&2; mkdir $out; exit 3\") ]; }";
    let said = fails(&scratch, 100, &["-E", expression])?;
    has(&said, &["broken", "exit code 3", "line 100", "out of cheese", "docker-image-x.tar"])?;
    scratch.verify()?;
    // The log is kept.
    let drv =
        said.split('\'').find(|part| part.ends_with("-broken.drv")).ok_or("no derivation named")?;
    let log = bed::run(scratch.command("store").args(["--read-log", drv]))?;
    has(&String::from_utf8_lossy(&log.stdout), &["line 1\n", "line 100\n", "out of cheese"])
}

fn no_output(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let expression = "derivation { name = \"nothing\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \":\" ]; }";
    let said = fails(&scratch, 100, &["-E", expression])?;
    has(&said, &["nothing", "output"])?;
    scratch.verify()
}

fn expressions(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    scratch.write("syntax.nix", "{ pkgs ? import <nixpkgs> { } }:\npkgs.dockerTools.buildImage {\n  name = \"x\"\n  tag = \"y\";\n}\n")?;
    scratch.write("recursion.nix", "let pkgs = import <nixpkgs> { }; name = \"${tag}-x\"; tag = name; in\npkgs.dockerTools.buildImage { inherit name tag; }\n")?;
    scratch.write(
        "attribute.nix",
        "(import <nixpkgs> { }).dockerTools.buildImag { name = \"x\"; }\n",
    )?;
    scratch.write("file.nix", "(import <nixpkgs> { }).dockerTools.buildImage { name = \"x\"; copyToRoot = [ ./no/such/file ]; }\n")?;
    scratch.write("environment.nix", "{ pkgs ? import <nixpkgs> { } }:\npkgs.dockerTools.buildImage {\n  name = \"x\";\n  copyToRoot = pkgs.buildEnv { name = \"root\"; paths = [\n    ./missing\n  ]; };\n}\n")?;
    scratch.write("source.nix", "(import <nixpkgs> { }).stdenv.mkDerivation {\n  name = \"x\";\n  src = ./also/missing;\n}\n")?;
    let cases: &[(&str, &[&str])] = &[
        ("syntax.nix", &["expected ';'", "syntax.nix:3:13", "put ';' here"]),
        ("recursion.nix", &["infinite recursion", "recursion.nix:1"]),
        ("attribute.nix", &["attribute 'buildImag' missing", "buildImage", "attribute.nix:1"]),
        (
            "file.nix",
            &["no/such/file' does not exist\n   at ", "file.nix:1:76", "nothing is there"],
        ),
        (
            "environment.nix",
            &[
                "missing' does not exist\n   at ",
                "environment.nix:5:5",
                "  5 |     ./missing",
                "^^^^^^^^^",
            ],
        ),
        ("source.nix", &["also/missing' does not exist\n   at ", "source.nix:3:9"]),
        ("nowhere.nix", &["nowhere.nix' does not exist"]),
    ];
    for (file, wanted) in cases {
        has(&fails(&scratch, 1, &[file])?, wanted)?;
    }
    let said = fails(&scratch, 1, &["-E", "{ a = 1; }", "-A", "b"])?;
    has(&said, &["attribute 'b'"])?;
    scratch.verify()
}

fn image(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let build = |attributes: &str| {
        format!("(import <nixpkgs> {{ }}).dockerTools.buildImage {{ {attributes} }}")
    };
    let base = scratch.write("base.tar", "this is no image\n")?;
    let cases = [
        ("name = \"Not A Name\";".to_owned(), "Not A Name"),
        (format!("name = \"x\"; fromImage = {};", base.display()), "base.tar"),
        ("name = \"x\"; extraCommands = \"echo wrong turn >&2; exit 5\";".to_owned(), "wrong turn"),
    ];
    for (attributes, wanted) in &cases {
        let output = bed::run(scratch.command("build").args(["-E", &build(attributes)]))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            return Err(format!("accepted: {attributes}"));
        }
        has(&said, &["error: ", wanted])?;
    }
    scratch.verify()
}
