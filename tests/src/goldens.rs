//! Gate G1: expressions and what real Nix answered (`tests/goldens`).
//!
//! Value or error class, and trace lines, as in column `head`. Each row runs as the facts were recorded: in an
//! empty folder, with a store that holds nothing and writes nothing.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::bed::{self, Bed};

/// Adds a case for each row.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let folder = bed.tests.join("goldens");
    let mut files: Vec<_> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect(),
        Err(_) => Vec::new(),
    };
    files.retain(|f| f.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for line in text.lines() {
            let row: Value = match serde_json::from_str(line) {
                Ok(row) => row,
                Err(e) => {
                    let message = format!("{}: {e}: {line}", file.display());
                    trials.push(Trial::test("goldens/unreadable-row", move || {
                        Err(Failed::from(message))
                    }));
                    continue;
                }
            };
            if row["compare"] == "no" {
                continue;
            }
            let id = row["id"].as_str().unwrap_or("?").to_owned();
            let name = format!("goldens/{id}");
            trials.push(Trial::test(name, move || check(bed, &row).map_err(Failed::from)));
        }
    }
}

/// What a run printed, in the form of a golden answer.
#[derive(PartialEq, Debug)]
struct Answer {
    /// Value text or error class.
    result: Result<Vec<u8>, String>,
    trace: Vec<String>,
}

fn check(bed: Bed, row: &Value) -> Result<(), String> {
    let head = &row["head"];
    let wanted = if head == "nix226" { &row["nix226"] } else { head };
    let mut wanted = answer_of(wanted)?;
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    let mut got = ask(bed, &root, row)?;
    if row["compare"] == "trace-set" {
        wanted.trace.sort();
        got.0.trace.sort();
    }
    if got.0 == wanted {
        return Ok(());
    }
    let show = |a: &Answer| match &a.result {
        Ok(out) => format!("value {} trace {:?}", String::from_utf8_lossy(out), a.trace),
        Err(class) => format!("error {class} trace {:?}", a.trace),
    };
    Err(format!(
        "{}\n  wanted {}\n  got    {}\n{}",
        row["expr"],
        show(&wanted),
        show(&got.0),
        got.1
    ))
}

fn answer_of(golden: &Value) -> Result<Answer, String> {
    let trace = golden["trace"].as_array().map(Vec::as_slice).unwrap_or_default();
    let trace = trace.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect();
    let result = if let Some(out) = golden["out"].as_str() {
        Ok(out.as_bytes().to_vec())
    } else if let Some(hex) = golden["out_hex"].as_str() {
        Ok(unhex(hex).ok_or("a golden's out_hex is not hexadecimal")?)
    } else {
        Err(golden["err"].as_str().ok_or("a golden has neither out nor err")?.to_owned())
    };
    Ok(Answer { result, trace })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
}

fn ask(bed: Bed, root: &Path, row: &Value) -> Result<(Answer, String), String> {
    let folder = root.join("w");
    let conf = root.join("conf");
    for dir in [&folder, &conf] {
        std::fs::create_dir(dir).map_err(|e| e.to_string())?;
    }
    std::fs::write(conf.join("nix.conf"), "").map_err(|e| e.to_string())?;
    let mut command = bed.command("instantiate");
    command.current_dir(&folder);
    command
        .env("HOME", "/fake-home")
        .env("NIX_REMOTE", "dummy://")
        .env("NIX_STORE_DIR", "/nix/store")
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env("NIX_CONF_DIR", &conf)
        .env("NIX_STATE_DIR", root.join("var"))
        .env("NIX_LOG_DIR", root.join("log"));
    command.args(["--error-format", "json", "--no-nixpkgs-fallback"]);
    match row["args"].as_array() {
        Some(args) => command.args(args.iter().filter_map(|a| a.as_str())),
        None => command.args(["--eval", "--strict"]),
    };
    let expression = row["expr"].as_str().ok_or("a golden has no expr")?;
    let padded = format!(" {expression}");
    command.arg("-E").arg(if expression.starts_with('-') { &padded } else { expression });
    let output = bed::run(&mut command)?;

    let place = root.display().to_string();
    let out = replace(&output.stdout, place.as_bytes(), b"/pwd");
    let stderr = String::from_utf8_lossy(&output.stderr).replace(&place, "/pwd");
    let trace =
        stderr.lines().filter_map(|l| l.strip_prefix("trace: ").map(str::to_owned)).collect();
    let result = if output.status.success() {
        Ok(out.strip_suffix(b"\n").unwrap_or(&out).to_vec())
    } else {
        let class = stderr
            .lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok())
            .find_map(|v| v["class"].as_str().map(str::to_owned));
        Err(class.unwrap_or_else(|| format!("exit {:?} without a report", output.status.code())))
    };
    Ok((Answer { result, trace }, stderr))
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|w| w == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
