//! The list of everything with its answer kept: known, unknown, and in files that are damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{CONFIGURATION, arguments, both, scratch};
use crate::bed::{self, Bed};

pub(super) fn list(bed: Bed, tree: &Path) -> Result<(), String> {
    let (_scratch, root) = scratch()?;
    let call = |more: &[&str]| {
        let [mut command, _] = both(bed, "env", &root);
        command.env("NIX_REMOTE", "dummy://").env("XDG_CACHE_HOME", root.join("cache"));
        command.arg("-f").arg(tree).args(["-qaP", "--drv-path"]).args(more);
        arguments(&mut command);
        command
    };
    let (stdout, stderr, _) = ask(&root, &mut call(&["--no-eval-cache"]))?;
    if stdout.iter().filter(|&&byte| byte == b'\n').count() < 1000 {
        return Err("fewer than 1,000 packages".to_owned());
    }
    let expect = |what: &str, is_known: bool| {
        let asked = ask(&root, &mut call(&[]))?;
        let hit = asked.2["evalCache"]["hit"] == true;
        if hit != is_known {
            return Err(format!("{what}: known is {hit}"));
        }
        if asked.1 != stderr {
            return Err(format!("{what}: {}", String::from_utf8_lossy(&asked.1)));
        }
        same_bytes(what, &asked.0, &stdout)
    };
    expect("cold", false)?;
    expect("warm", true)?;
    let file = only_file(&root.join("cache/mini-nix/answers"))?;
    let whole = fs::read(&file).map_err(|e| e.to_string())?;
    let n = whole.len();
    let damaged = |what: &str, bytes: &[u8]| {
        fs::write(&file, bytes).map_err(|e| e.to_string())?;
        expect(what, false)?;
        expect(&format!("after {what}"), true)
    };
    // The mark, the digest, the key, the text, the questions, the last byte.
    for at in [0, 20, 50, n / 8, n / 2, n - n / 8, n - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        damaged(&format!("a bit flipped in byte {at} of {n}"), &flipped)?;
    }
    for size in [0, 100, n / 3, n - 1] {
        damaged(&format!("cut to {size} bytes of {n}"), &whole[..size])?;
    }
    // One page lost, as a machine leaves it that stopped.
    let mut lost = whole.clone();
    let start = n / 2;
    lost[start..(start + 4096).min(n)].fill(0);
    damaged("a page lost", &lost)
}

/// A call that has to succeed: what it printed on both streams, and its statistics.
fn ask(root: &Path, command: &mut Command) -> Result<(Vec<u8>, Vec<u8>, Value), String> {
    let stats = root.join("stats");
    command.env("NIX_SHOW_STATS", "1").env("NIX_SHOW_STATS_PATH", &stats);
    let output = bed::run(command)?;
    if !output.status.success() {
        return Err(format!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let read = fs::read(&stats).map_err(|e| e.to_string())?;
    let stats = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    Ok((output.stdout, output.stderr, stats))
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let files: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|e| e.path())).collect();
    match &files.map_err(|e| e.to_string())?[..] {
        [file] => Ok(file.clone()),
        others => Err(format!("not one file: {others:?}")),
    }
}

/// The same list with programs of files kept, also after a system whose names came in another order, and from files that
/// are damaged.
pub(super) fn programs(bed: Bed, tree: &Path) -> Result<(), String> {
    let (_scratch, root) = scratch()?;
    let call = |name: &str, more: &[&str]| {
        let [mut command, _] = both(bed, name, &root);
        command.env("NIX_REMOTE", "dummy://").env("XDG_CACHE_HOME", root.join("cache"));
        command.args(["--option", "eval-cache-size", "0"]).args(more);
        command
    };
    let list = |more: &[&str]| {
        let mut command = call("env", more);
        command.arg("-f").arg(tree).args(["-qaP", "--drv-path"]);
        arguments(&mut command);
        ask(&root, &mut command)
    };
    let configuration = root.join("configuration.nix");
    fs::write(&configuration, CONFIGURATION).map_err(|e| e.to_string())?;
    let system = |more: &[&str]| {
        let mut command = call("instantiate", more);
        command.arg(tree.join("nixos/default.nix")).args(["--eval", "-A", "system.drvPath"]);
        command.args(["--argstr", "system", "x86_64-linux"]);
        command.arg("--arg").arg("configuration").arg(&configuration);
        ask(&root, &mut command)
    };
    let wanted = list(&["--no-eval-cache"])?.0;
    let wanted_system = system(&["--no-eval-cache"])?.0;
    let expect = |what: &str, asked: (Vec<u8>, Vec<u8>, Value), wanted: &[u8], at_least: u64| {
        let (got, _, stats) = asked;
        let n_known = stats["files"]["known"].as_u64().unwrap_or_default();
        same_bytes(what, &got, wanted)?;
        if n_known < at_least {
            return Err(format!("{what}: only {n_known} programs were known"));
        }
        Ok(())
    };
    expect("a system", system(&[])?, &wanted_system, 0)?;
    expect("the list after the system", list(&[])?, &wanted, 100)?;
    expect("the list again", list(&[])?, &wanted, 5000)?;
    expect("the list on one core", list(&["--eval-cores", "1"])?, &wanted, 5000)?;
    expect("the system after the list", system(&[])?, &wanted_system, 1000)?;
    let folder = root.join("cache/mini-nix/programs");
    for round in 0..4 {
        let entries = fs::read_dir(&folder).map_err(|e| e.to_string())?;
        for entry in entries {
            let path = entry.map_err(|e| e.to_string())?.path();
            let mut bytes = fs::read(&path).map_err(|e| e.to_string())?;
            // A bit of every so many bytes: some entries are whole, others are not.
            for at in (64 + round * 501..bytes.len()).step_by(100_003) {
                bytes[at] ^= 1 << (at % 8);
            }
            let bytes = if round == 3 { &bytes[..bytes.len() / 2] } else { &bytes[..] };
            fs::write(&path, bytes).map_err(|e| e.to_string())?;
        }
        expect(&format!("the list, damage {round}"), list(&[])?, &wanted, 0)?;
        expect(&format!("the list after damage {round}"), list(&[])?, &wanted, 5000)?;
    }
    Ok(())
}

fn same_bytes(what: &str, got: &[u8], wanted: &[u8]) -> Result<(), String> {
    let at = got.iter().zip(wanted).position(|(got, wanted)| got != wanted);
    match got == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {} bytes, differing at {at:?}", got.len())),
    }
}
