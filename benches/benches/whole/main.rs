//! Whole processes, timed: `cargo build --release -p mini-nix && cargo bench -p benches`.
//!
//! Each row runs our executable and its peer (those of Debian's `nix-bin`) in turn, so that both see the same machine,
//! and prints the middle of the runs: wall and processor time in milliseconds, peak memory in MiB, page faults in
//! thousands, and of one more run the MiB that its evaluator allocated, by its own account; then how many times as much
//! the peer needs. A row without a peer is a budget of our own. Small rows are mostly the start of a process, which is
//! part of what users wait for; nothing is subtracted, not in the rows of the parsers either.
//!
//! Words choose rows: `cargo bench -p benches -- parse`. `MINI_NIX_NIXPKGS` names the folder of a whole nixpkgs (18.03, see `docs/testing.md`) for the rows of real size.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench reports on the terminal")]

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

mod corpus;
mod measure;

use corpus::Corpus;
use measure::{Cost, middle};

/// Runs of each side, where a run is short.
const N_RUNS: usize = 11;
/// Runs of each side, where it is long.
const N_LONG_RUNS: usize = 3;

/// Expressions that both sides evaluate.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("start", "1"),
    ("fib 24", "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 24"),
    ("foldl' 300k", "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 300000)"),
    (
        "thunks 200k",
        "builtins.foldl' (sum: x: sum + x.a + x.b) 0 (builtins.genList (n: { a = n * 2; b = (x: x + n) n; c = [ n ] ++ [ 1 ]; }) 100000)",
    ),
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

/// Thirty packages of different kinds, evaluated in one go.
const PACKAGES: &str = "bash bind cmake coreutils curl emacs ffmpeg gcc gdb gimp git go haskellPackages.pandoc htop \
    imagemagick jq libreoffice llvm mariadb nginx nodejs openssh perl postgresql python3 qemu ruby rustc vim wireshark";

/// A system with a server of each kind.
const CONFIGURATION: &str = "{ services.openssh.enable = true; services.nginx.enable = true; \
    fileSystems.\"/\".device = \"/dev/sda1\"; boot.loader.grub.device = \"/dev/sda\"; }";

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
        "{:<30} {:>32}   {:>32}   {:>17}",
        "",
        "ours: wall cpu peak faults heap",
        "peer: wall cpu peak faults heap",
        "ratio: cpu memory"
    );
    let silent = |command: &mut Command| {
        command.env("NIX_STATE_DIR", dir.path().join("state")).env("NIX_REMOTE", "dummy://");
    };
    // Words after `--` choose rows by parts of their names.
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(&**w));
    let pair = |name: &str, program: &str, words: &[&str], n_runs: usize| {
        if !wanted(name) {
            return Ok(None);
        }
        let (mut own, mut peer) = (Command::new(&ours), Command::new(format!("nix-{program}")));
        own.arg(program).arg("--no-eval-cache");
        for command in [&mut own, &mut peer] {
            silent(command.args(words));
        }
        row(name, &mut own, Some(&mut peer), n_runs).map(Some)
    };
    for (name, expression) in EXPRESSIONS {
        pair(name, "instantiate", &["--eval", "-E", expression], N_RUNS)?;
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nixlib/lib");
    let lib = lib.canonicalize().map_err(|e| format!("{}: {e}", lib.display()))?;
    let packages = format!(
        "import {}/benches/whole/packages.nix {{ lib = import {}; n = 5000; }}",
        env!("CARGO_MANIFEST_DIR"),
        lib.display()
    );
    pair("5,000 small packages", "instantiate", &["--eval", "-E", &packages], N_RUNS)?;
    let parse = |name: &str, corpus: &Corpus, n_runs: usize| {
        let expression = corpus.import();
        let costs = pair(name, "instantiate", &["--eval", "-E", &expression], n_runs)?;
        let Some((own, peer)) = costs else { return Ok(()) };
        let speed = |cost: Cost| corpus.size_bytes as f64 / 1e3 / cost.cpu;
        let peer = peer.map_or(f64::NAN, speed);
        println!("{:<30} {:>25.0} MB/s   {peer:>27.0} MB/s", "", speed(own));
        Ok::<(), String>(())
    };
    parse("parse nixlib", &Corpus::committed(dir.path().join("nixlib"))?, N_RUNS)?;
    if let Some(tree) = std::env::var_os("MINI_NIX_NIXPKGS") {
        let tree = tree.to_str().ok_or("MINI_NIX_NIXPKGS: not UTF-8")?;
        if wanted("parse nixpkgs") {
            let corpus = Corpus::of_tree(dir.path().join("nixpkgs"), Path::new(tree), &ours)?;
            parse("parse nixpkgs", &corpus, N_LONG_RUNS)?;
        }
        let system = ["--argstr", "system", "x86_64-linux"];
        let of = |file: &str, attr: &str| -> Vec<String> {
            let words = ["--readonly-mode", "--eval", file, "-A", attr];
            words.iter().chain(&system).map(|&word| word.to_owned()).collect()
        };
        for (name, attr) in [("hello", "hello.drvPath"), ("firefox", "firefox.drvPath")] {
            let owned = of(tree, attr);
            let borrowed: Vec<&str> = owned.iter().map(String::as_str).collect();
            pair(name, "instantiate", &borrowed, N_RUNS)?;
        }
        let paths: Vec<String> =
            PACKAGES.split_whitespace().map(|attr| format!("pkgs.{attr}.drvPath")).collect();
        let thirty = format!(
            "let pkgs = import {tree} {{ system = \"x86_64-linux\"; }}; in [ {} ]",
            paths.join(" ")
        );
        let strict = ["--readonly-mode", "--eval", "--strict", "-E", &thirty];
        pair("thirty packages", "instantiate", &strict, N_LONG_RUNS)?;
        let mut owned = of(&format!("{tree}/nixos"), "system.drvPath");
        owned.extend(["--arg", "configuration", CONFIGURATION].map(str::to_owned));
        let borrowed: Vec<&str> = owned.iter().map(String::as_str).collect();
        pair("a NixOS system", "instantiate", &borrowed, N_LONG_RUNS)?;
        let all = ["-f", tree, "-qaP", "--drv-path", "--arg", "overlays", "[ ]"];
        let all: Vec<&str> = all
            .into_iter()
            .chain(["--arg", "config", "{ allowUnfree = true; }"])
            .chain(system)
            .collect();
        pair("all of nixpkgs", "env", &all, N_LONG_RUNS)?;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nixlib/examples/image.nix");
    let mut build = Command::new(&ours);
    build.arg("build").arg("--store").arg(dir.path().join("store")).arg(&example);
    build.current_dir(dir.path()).env("XDG_CACHE_HOME", dir.path().join("cache"));
    if wanted("same") {
        // Built, then evaluated once more by comparing contents, so that the rows see what a user sees from then on.
        for _ in 0..2 {
            measure::run(&mut build)?;
        }
        row("same image again, nothing changed", &mut build, None, N_RUNS)?;
        build.arg("--no-eval-cache");
        row("same image, evaluated", &mut build, None, N_RUNS)?;
    }
    Ok(())
}

/// The executable of this build.
fn executable() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("cannot find the bench: {e}"))?;
    let folder = own.ancestors().skip(1).find(|a| a.join("mini-nix").is_file());
    let folder = folder.ok_or("first: cargo build --release -p mini-nix")?;
    Ok(folder.join("mini-nix"))
}

/// Measures and prints a row; gives the middle of each side.
fn row(
    name: &str,
    ours: &mut Command,
    mut peer: Option<&mut Command>,
    n_runs: usize,
) -> Result<(Cost, Option<Cost>), String> {
    let (mut own_costs, mut peer_costs) = (Vec::new(), Vec::new());
    for _ in 0..n_runs {
        own_costs.push(measure::run(ours)?);
        if let Some(peer) = &mut peer {
            peer_costs.push(measure::run(peer)?);
        }
    }
    let shown = |cost: Cost, heap: f64| {
        let Cost { wall, cpu, peak, faults } = cost;
        format!("{wall:>8.1} {cpu:>8.1} {peak:>5.0} {faults:>4.0} {heap:>5.0}")
    };
    let own_heap = measure::heap(ours)?;
    let own = middle(&own_costs);
    if peer_costs.is_empty() {
        println!("{name:<30} {}", shown(own, own_heap));
        return Ok((own, None));
    }
    let peer_heap = peer.map_or(Ok(f64::NAN), measure::heap)?;
    let peer = middle(&peer_costs);
    let (cpu, memory) = (peer.cpu / own.cpu, peer.peak / own.peak);
    println!(
        "{name:<30} {}   {}   {cpu:>8.1}x {memory:>6.1}x",
        shown(own, own_heap),
        shown(peer, peer_heap)
    );
    Ok((own, Some(peer)))
}
