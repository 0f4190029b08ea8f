//! Whole processes, timed: `cargo build --release -p mini-nix && cargo bench -p benches`.
//!
//! Each row runs our executable and its peer (`nix-instantiate` of Debian's `nix-bin`) in turn, so that both see the
//! same machine, and prints the smallest and the middle of the wall times in milliseconds and the ratio of the
//! middles. A row without a peer is a budget of our own. Small rows are mostly the start of a process, which is part
//! of what users wait for.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports on the terminal")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

/// Runs of each side.
const N_RUNS: usize = 11;

/// Expressions that both sides evaluate.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("start", "1"),
    ("fib 24", "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 24"),
    ("foldl' 300k", "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 300000)"),
    (
        "sort 60k",
        "builtins.length (builtins.sort (a: b: a < b) (builtins.genList (x: 60000 - x) 60000))",
    ),
    (
        "sets 2k",
        "builtins.length (builtins.attrNames (builtins.foldl' (s: n: s // { ${toString n} = n; }) { } (builtins.genList (x: x) 2000)))",
    ),
    (
        "toJSON 100k",
        "builtins.stringLength (builtins.toJSON (builtins.genList (x: { a = x; b = \"text\"; }) 100000))",
    ),
    (
        "strings 100k",
        "builtins.stringLength (builtins.concatStringsSep \",\" (builtins.genList toString 100000))",
    ),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let ours = executable()?;
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    println!(
        "{:<32} {:>9} {:>9} {:>9} {:>9} {:>7}",
        "", "ours min", "ours mid", "peer min", "peer mid", "ratio"
    );
    for (name, expression) in EXPRESSIONS {
        let mut own = Command::new(&ours);
        own.args(["instantiate", "--eval", "-E", expression]);
        let mut peer = Command::new("nix-instantiate");
        peer.args(["--eval", "-E", expression]);
        for command in [&mut own, &mut peer] {
            command.env("NIX_STATE_DIR", dir.path().join("state")).env("NIX_REMOTE", "dummy://");
        }
        row(name, &mut own, Some(&mut peer))?;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nixlib/examples/image.nix");
    let mut build = Command::new(&ours);
    build.arg("build").arg("--store").arg(dir.path().join("store")).arg(&example);
    build.current_dir(dir.path());
    time(&mut build)?;
    row("build of an unchanged image", &mut build, None)
}

/// The executable of this build.
fn executable() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find the bench: {e}"))?;
    let folder = own.ancestors().skip(1).find(|a| a.join("mini-nix").is_file());
    let folder = folder.ok_or("first: cargo build --release -p mini-nix")?;
    Ok(folder.join("mini-nix"))
}

/// Milliseconds of one run.
fn time(command: &mut Command) -> Result<f64, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("{command:?}: {e} (apt-get install nix-bin)"),
        _ => format!("{command:?}: {e}"),
    })?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok(milliseconds) } else { Err(format!("{command:?} failed: {status}")) }
}

fn row(name: &str, ours: &mut Command, mut peer: Option<&mut Command>) -> Result<(), String> {
    let (mut own_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..N_RUNS {
        own_times.push(time(ours)?);
        if let Some(peer) = &mut peer {
            peer_times.push(time(peer)?);
        }
    }
    own_times.sort_by(f64::total_cmp);
    peer_times.sort_by(f64::total_cmp);
    let (own_min, own_mid) = (own_times[0], own_times[N_RUNS / 2]);
    match peer_times.get(N_RUNS / 2) {
        Some(peer_mid) => {
            let (peer_min, ratio) = (peer_times[0], peer_mid / own_mid);
            println!(
                "{name:<32} {own_min:>9.1} {own_mid:>9.1} {peer_min:>9.1} {peer_mid:>9.1} {ratio:>6.1}x"
            );
        }
        None => println!("{name:<32} {own_min:>9.1} {own_mid:>9.1}"),
    }
    Ok(())
}
