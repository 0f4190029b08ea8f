//! The list of everything with its answer kept: known, unknown, and in files that are damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{arguments, both, scratch};
use crate::bed::{self, Bed};

/// What a call printed on both streams, and whether its answer was known.
type Asked = (Vec<u8>, Vec<u8>, bool);

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
        if asked.2 != is_known {
            return Err(format!("{what}: known is {}", asked.2));
        }
        if asked.1 != stderr {
            return Err(format!("{what}: {}", String::from_utf8_lossy(&asked.1)));
        }
        let at = asked.0.iter().zip(&stdout).position(|(got, wanted)| got != wanted);
        if asked.0 != stdout {
            return Err(format!("{what}: {} bytes, differing at {at:?}", asked.0.len()));
        }
        Ok(())
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

fn ask(root: &Path, command: &mut Command) -> Result<Asked, String> {
    let stats = root.join("stats");
    command.env("NIX_SHOW_STATS", "1").env("NIX_SHOW_STATS_PATH", &stats);
    let output = bed::run(command)?;
    if !output.status.success() {
        return Err(format!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let read = fs::read(&stats).map_err(|e| e.to_string())?;
    let stats: serde_json::Value = serde_json::from_slice(&read).map_err(|e| e.to_string())?;
    Ok((output.stdout, output.stderr, stats["evalCache"]["hit"] == true))
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let files: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|e| e.path())).collect();
    match &files.map_err(|e| e.to_string())?[..] {
        [file] => Ok(file.clone()),
        others => Err(format!("not one file: {others:?}")),
    }
}
