//! Whole processes, timed: `cargo build --release -p mini-nix && cargo bench -p benches`.
//!
//! Each row runs our executable and its peer (those of Debian's `nix-bin`) in turn, so that both see the same machine,
//! and prints the middle of the runs: wall and processor time in milliseconds, peak memory in MiB, page faults in
//! thousands, and of one more run the MiB that its evaluator allocated, by its own account; then how many times as much
//! wall time, processor time and memory the peer needs. Rows `…, one core` are ours with `--eval-cores 1`, beside the
//! same runs of the peer, which has no other way; those `…, programs kept` have, besides, what they parse from disk, as the
//! runs of a user have from the second on. Other rows find and keep nothing. A row without a peer is a budget of our own. Small rows are mostly the
//! start of a process, which is part of what users wait for; nothing is subtracted, not in the rows of the parsers either.
//!
//! Words choose rows: `cargo bench -p benches -- parse`. `MINI_NIX_NIXPKGS` names the folder of a whole nixpkgs (18.03,
//! see `docs/testing.md`) for the rows of real size.
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

/// How the names of rows end that are ours with one core.
const ONE_CORE: &str = ", one core";

/// How those end that find the programs of files kept, on one core.
const KEPT: &str = ", programs kept";

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
        "{:<33} {:>32}   {:>32}   {:>19}",
        "",
        "ours: wall cpu peak faults heap",
        "peer: wall cpu peak faults heap",
        "ratio: wall cpu mem"
    );
    let silent = |command: &mut Command| {
        command.env("NIX_STATE_DIR", dir.path().join("state")).env("NIX_REMOTE", "dummy://");
    };
    // Words after `--` choose rows by parts of their names.
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|w| name.contains(&**w));
    let compare = |names: &[&str], program: &str, words: &[&str], n_runs: usize| {
        let mut peer = Command::new(format!("nix-{program}"));
        silent(peer.args(words));
        let names = names.iter().filter(|name| wanted(name));
        let mut own: Vec<(&str, Command)> = names
            .map(|&name| {
                let mut own = Command::new(&ours);
                own.arg(program).env("XDG_CACHE_HOME", dir.path().join("cache"));
                match name.ends_with(KEPT) {
                    true => own.args(["--option", "eval-cache-size", "0"]),
                    false => own.arg("--no-eval-cache"),
                };
                if name.ends_with(ONE_CORE) || name.ends_with(KEPT) {
                    own.args(["--eval-cores", "1"]);
                }
                silent(own.args(words));
                (name, own)
            })
            .collect();
        for (_, own) in own.iter_mut().filter(|(name, _)| name.ends_with(KEPT)) {
            measure::run(own)?;
        }
        rows(&mut own, Some(&mut peer), n_runs)
    };
    let pair = |name: &str, program: &str, words: &[&str], n_runs: usize| {
        Ok::<_, String>(compare(&[name], program, words, n_runs)?.pop())
    };
    // With all cores, with one, and with what was kept.
    let all_ways = |name: &str, program: &str, words: &[&str], n_runs: usize| {
        let others = [ONE_CORE, KEPT].map(|way| format!("{name}{way}"));
        compare(&[name, &others[0], &others[1]], program, words, n_runs).map(drop)
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
        println!("{:<33} {:>25.0} MB/s   {peer:>27.0} MB/s", "", speed(own));
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
            all_ways(name, "instantiate", &borrowed, N_RUNS)?;
        }
        let paths: Vec<String> =
            PACKAGES.split_whitespace().map(|attr| format!("pkgs.{attr}.drvPath")).collect();
        let thirty = format!(
            "let pkgs = import {tree} {{ system = \"x86_64-linux\"; }}; in [ {} ]",
            paths.join(" ")
        );
        let strict = ["--readonly-mode", "--eval", "--strict", "-E", &thirty];
        all_ways("thirty packages", "instantiate", &strict, N_LONG_RUNS)?;
        let mut owned = of(&format!("{tree}/nixos"), "system.drvPath");
        owned.extend(["--arg", "configuration", CONFIGURATION].map(str::to_owned));
        let borrowed: Vec<&str> = owned.iter().map(String::as_str).collect();
        all_ways("a NixOS system", "instantiate", &borrowed, N_LONG_RUNS)?;
        let all = ["-f", tree, "-qaP", "--drv-path", "--arg", "overlays", "[ ]"];
        let all: Vec<&str> = all
            .into_iter()
            .chain(["--arg", "config", "{ allowUnfree = true; }"])
            .chain(system)
            .collect();
        all_ways("all of nixpkgs", "env", &all, N_LONG_RUNS)?;
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
        let mut same = [("same image again, nothing changed", build)];
        rows(&mut same, None, N_RUNS)?;
        let [(_, mut build)] = same;
        build.arg("--no-eval-cache");
        rows(&mut [("same image, evaluated", build)], None, N_RUNS)?;
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

/// Measures commands of ours beside one of the peer, all in turn, and prints a row for each; gives the middle of each
/// and of the peer.
fn rows(
    ours: &mut [(&str, Command)],
    mut peer: Option<&mut Command>,
    n_runs: usize,
) -> Result<Vec<(Cost, Option<Cost>)>, String> {
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let (mut own_costs, mut peer_costs) = (vec![Vec::new(); ours.len()], Vec::new());
    for _ in 0..n_runs {
        for ((_, own), costs) in ours.iter_mut().zip(&mut own_costs) {
            costs.push(measure::run(own)?);
        }
        if let Some(peer) = &mut peer {
            peer_costs.push(measure::run(peer)?);
        }
    }
    let peer = match peer {
        Some(peer) => Some((middle(&peer_costs), measure::heap(peer)?)),
        None => None,
    };
    let shown = |cost: Cost, heap: f64| {
        let Cost { wall, cpu, peak, faults } = cost;
        format!("{wall:>8.1} {cpu:>8.1} {peak:>5.0} {faults:>4.0} {heap:>5.0}")
    };
    let mut middles = Vec::new();
    for ((name, own), costs) in ours.iter_mut().zip(&own_costs) {
        let (heap, own) = (measure::heap(own)?, middle(costs));
        let beside = peer.map_or(String::new(), |(peer, heap)| {
            let ratios = (peer.wall / own.wall, peer.cpu / own.cpu, peer.peak / own.peak);
            let (wall, cpu, memory) = ratios;
            format!("   {}   {wall:>5.1}x {cpu:>4.1}x {memory:>5.1}x", shown(peer, heap))
        });
        println!("{name:<33} {}{beside}", shown(own, heap));
        middles.push((own, peer.map(|(peer, _)| peer)));
    }
    Ok(middles)
}
