//! `kill -9` at the worst moment.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::Case;
use crate::{
    bed::Bed,
    scratch::{Scratch, same},
};

pub(super) const CASES: &[(&str, Case)] = &[
    ("killed-while-a-builder-runs", builder),
    ("killed-while-an-image-is-written", image),
    ("killed-while-sources-are-added", sources),
];

/// Starts a build and waits for a line that begins so.
fn start(scratch: &Scratch, file: &str, line: &str) -> Result<Child, String> {
    let mut command = scratch.command("build");
    command.arg(file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let stderr = child.stderr.take().ok_or("no stderr")?;
    let mut seen = String::new();
    for text in BufReader::new(stderr).lines() {
        let text = text.map_err(|e| e.to_string())?;
        if text.contains(line) {
            return Ok(child);
        }
        seen += &text;
        seen += "\n";
    }
    Err(format!("'{line}' was never said:\n{seen}"))
}

fn kill(mut child: Child) -> Result<(), String> {
    child.kill().and_then(|()| child.wait()).map(drop).map_err(|e| e.to_string())
}

/// Waits until this holds, for ten seconds.
fn soon(what: &str, holds: impl Fn() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if holds() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(format!("not within ten seconds: {what}"))
}

/// Nothing is left but objects and what the store always has.
fn nothing_left(scratch: &Scratch) -> Result<(), String> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    // What a killed process held locked stays until the next collection.
    crate::scratch::succeed(scratch.command("store").arg("--gc"))?;
    let objects = names(&scratch.real("/nix/store"));
    let registered =
        crate::scratch::succeed(scratch.command("store").args(["--gc", "--print-live"]))?;
    let dead = crate::scratch::succeed(scratch.command("store").args(["--gc", "--print-dead"]))?;
    let known = format!("{registered}{dead}");
    let strange: Vec<_> = objects
        .iter()
        .filter(|name| *name != ".links" && !known.contains(&format!("/nix/store/{name}\n")))
        .collect();
    if !strange.is_empty() {
        return Err(format!("left in the store: {strange:?}"));
    }
    same("left in the folder of builds", names(&scratch.store().join("nix/var/nix/builds")), vec![])
}

/// Whether a process runs whose command line has this word.
fn runs(word: &str) -> bool {
    let mut find = Command::new("pgrep");
    find.args(["-f", word]).stdout(Stdio::null());
    find.status().is_ok_and(|status| status.success())
}

fn builder(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    // A number that no other case sleeps for: the builder is found by it.
    let seconds = 100_000 + std::process::id();
    let expression = |then: &str| {
        format!(
            "(import <nixpkgs> {{ }}).runCommand \"long\" {{ }} \"mkdir -p $out/half; echo begun; {then}; echo whole > $out/half/file\"\n"
        )
    };
    scratch.write("long.nix", &expression(&format!("sleep {seconds}")))?;
    let child = start(&scratch, "long.nix", "begun")?;
    let word = format!("sleep {seconds}");
    soon("the builder runs", || runs(&word))?;
    kill(child)?;
    soon("the builder ends with whoever started it", || !runs(&word))?;
    scratch.verify()?;
    scratch.write("long.nix", &expression(":"))?;
    scratch.build(["long.nix"])?;
    scratch.verify()?;
    nothing_left(&scratch)
}

fn image(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    // Enough that writing takes seconds.
    scratch.write(
        "image.nix",
        "let pkgs = import <nixpkgs> { }; big = pkgs.runCommand \"big\" { } \"head -c 150000000 /dev/urandom > $out\"; in\n\
         pkgs.dockerTools.buildImage { name = \"big\"; config.Cmd = [ big ]; }\n",
    )?;
    let child = start(&scratch, "image.nix", "-docker-image-big.tar.drv'...")?;
    let builds = scratch.store().join("nix/var/nix/builds");
    let n_bytes = || -> u64 {
        let find = Command::new("du").arg("-sb").arg(&builds).output();
        let text = find.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    soon("something of the image is written", || n_bytes() > 1_000_000)?;
    kill(child)?;
    scratch.verify()?;
    scratch.build(["image.nix"])?;
    scratch.verify()?;
    nothing_left(&scratch)
}

fn sources(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    std::fs::create_dir(scratch.path("tree")).map_err(|e| e.to_string())?;
    let contents = "x".repeat(20_000);
    for n in 0..2_000 {
        std::fs::write(scratch.path(&format!("tree/{n}")), &contents).map_err(|e| e.to_string())?;
    }
    scratch.write(
        "tree.nix",
        "derivation { name = \"x\"; system = builtins.currentSystem; builder = \"/bin/sh\"; args = [ \"-c\" \"echo ${./tree} > $out\" ]; }\n",
    )?;
    // At several moments: the store is sound after each.
    for milliseconds in [5, 20, 60, 120] {
        let mut command = scratch.command("build");
        let mut child = command
            .arg("tree.nix")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        thread::sleep(Duration::from_millis(milliseconds));
        child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
        if scratch.store().exists() {
            scratch.verify()?;
        }
    }
    scratch.build(["tree.nix"])?;
    scratch.verify()
}
