//! `--max-heap`: an evaluation that grows without end stops with an error that says what to do, and its process does
//! not grow past the limit.
#![expect(unsafe_code, reason = "only wait4 tells the usage of one child")]

use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    scratch::{Scratch, has, same, succeed},
};

const MIB: u64 = 1 << 20;
/// The limit of the calls.
const LIMIT: u64 = 64 * MIB;
/// Beside the limit: the program with its stacks (9 MiB), a text or work list while it grows or is copied.
const BESIDE: u64 = 40 * MIB;
/// What a machine that helps has of these.
const HELPER: u64 = 16 * MIB;
/// Set in the process that starts a command and says what it needed.
const VARIABLE: &str = "MINI_NIX_SUITE_MEASURE";

/// Programs that never have enough.
const PROGRAMS: [(&str, &str); 6] = [
    ("a-list", "let f = xs: builtins.seq xs (f (xs ++ xs)); in f [ 1 ]"),
    ("a-string", "let f = s: builtins.seq s (f (s + s)); in f \"abc\""),
    ("thunks", "let f = n: if n < 0 then 0 else f (n + 1 + 0 * builtins.length [ n ]); in f 0"),
    (
        "sets",
        "let f = n: s: builtins.seq s (f (n + 1) (s // { \"a${toString n}\" = [ n ]; })); in f 0 { }",
    ),
    // Work for helpers.
    (
        "values-side-by-side",
        "map (i: builtins.deepSeq (builtins.genList (j: [ i j ]) 100000) i) (builtins.genList (i: i) 1000)",
    ),
    ("a-long-list", "builtins.toJSON (builtins.genList (i: i) 3000000)"),
];

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for (name, program) in PROGRAMS {
        for cores in [1, 2] {
            let run = move || grows(bed, program, cores).map_err(Failed::from);
            trials.push(Trial::test(format!("memory/{name}-{cores}-cores"), run));
        }
    }
    type Case = fn(Bed) -> Result<(), String>;
    let cases: [(&str, Case); 5] = [
        ("every-command", every_command),
        ("settings", settings),
        ("no-size", no_size),
        ("nothing-half-written", nothing_half_written),
        ("the-prompt-goes-on", the_prompt_goes_on),
    ];
    for (name, run) in cases {
        let run = move || run(bed).map_err(Failed::from);
        trials.push(Trial::test(format!("memory/{name}"), run));
    }
}

/// Becomes the process that measures, if it was started as one. A child's peak counts from that of the process that
/// started it, and the one with the tests may be big.
pub(crate) fn measure_if_asked() -> Option<ExitCode> {
    std::env::var_os(VARIABLE)?;
    let mut words = std::env::args_os().skip(1);
    let mut command = Command::new(words.next()?);
    let child = command.args(words).env_remove(VARIABLE).stdin(Stdio::null()).spawn().ok()?;
    let mut status = 0;
    // SAFETY: plain numbers, for which all bits zero are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = child.id().cast_signed();
    // SAFETY: the child is ours and was not waited for; both addresses are those of live variables.
    while unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {}
    eprintln!("\nMEASURED {}", usage.ru_maxrss);
    Some(match libc::WIFEXITED(status) {
        true => ExitCode::from(libc::WEXITSTATUS(status) as u8),
        false => ExitCode::from(255),
    })
}

/// The same call, measured: what it printed on standard error, and bytes of its peak. It has to fail with exit code 1
/// and print nothing.
fn measured(command: &Command) -> Result<(String, u64), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut outer = Command::new(own);
    outer.arg(command.get_program()).args(command.get_args()).env_clear().env(VARIABLE, "1");
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = bed::run(outer.stdin(Stdio::null()))?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    same("exit code", output.status.code(), Some(1)).map_err(|e| format!("{e}\n{stderr}"))?;
    same("stdout", &*String::from_utf8_lossy(&output.stdout), "")?;
    let (said, peak) = stderr.split_once("\nMEASURED ").ok_or_else(|| stderr.clone())?;
    let peak: u64 = peak.trim().parse().map_err(|e| format!("{e}: {peak}"))?;
    Ok((said.to_owned(), peak * 1024))
}

fn grows(bed: Bed, program: &str, cores: u64) -> Result<(), String> {
    let mut command = bed.command("instantiate");
    command.args(["--eval", "--strict", "--max-heap", "64M", "--eval-cores", &cores.to_string()]);
    let (said, peak) = measured(command.args(["-E", program]))?;
    has(
        &said,
        &[
            "error: out of memory; the heap limit is 67108864 bytes",
            "help: give it more than 64M with '--max-heap 128M' or the setting 'max-heap = 128M'",
        ],
    )?;
    // The helpers beside the machine that answers.
    let helpers = if cores > 1 { cores } else { 0 };
    let most = LIMIT + BESIDE + helpers * HELPER;
    match peak <= most {
        true => Ok(()),
        false => Err(format!("{} MiB instead of {} at most", peak / MIB, most / MIB)),
    }
}

fn fails(command: &mut Command, wanted: &str) -> Result<(), String> {
    let output = bed::run(command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    same("exit code", output.status.code(), Some(1)).map_err(|e| format!("{e}\n{said}"))?;
    same("stdout", &*String::from_utf8_lossy(&output.stdout), "")?;
    has(&said, &[wanted])
}

fn every_command(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let (_, program) = PROGRAMS[0];
    scratch.write("grows.nix", program)?;
    let wanted = "help: give it more than 16M with '--max-heap 32M'";
    for (name, words) in [
        ("build", &["grows.nix", "--no-out-link"][..]),
        ("instantiate", &["grows.nix"]),
        ("eval", &["grows.nix"]),
        ("env", &["-f", "grows.nix", "-qa"]),
        ("eval-jobs", &["grows.nix"]),
    ] {
        let mut command = scratch.command(name);
        command.args(words).args(["--max-heap", "16M"]);
        fails(&mut command, wanted).map_err(|e| format!("{name}: {e}"))?;
    }
    // One job that fails is a line; the others go on.
    scratch.write("jobs.nix", &format!("{{ a = {program}; b = {DERIVATION}; }}"))?;
    let mut command = scratch.command("eval-jobs");
    let lines = succeed(command.args(["jobs.nix", "--max-heap", "16M"]))?;
    has(&lines, &["give it more than 16M", "\"name\":\"small\""])
}

/// A derivation.
const DERIVATION: &str =
    "derivation { name = \"small\"; system = \"x86_64-linux\"; builder = \"/b\"; }";

fn settings(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let (_, program) = PROGRAMS[0];
    let file = scratch.write("conf/nix.conf", "max-heap = 3M\n")?;
    let user = scratch.write("user.conf", "max-heap = 5M\n")?;
    let call = || {
        let mut command = scratch.command("instantiate");
        command.args(["--eval", "-E", program, "--no-eval-cache"]);
        command
    };
    fails(&mut call(), "more than 3M")?;
    fails(call().env("NIX_USER_CONF_FILES", &user), "more than 5M")?;
    fails(call().env("NIX_CONFIG", "max-heap = 7M"), "more than 7M")?;
    fails(call().env("NIX_CONFIG", "max-heap = 7M").args(["--max-heap", "9M"]), "more than 9M")?;
    fails(call().args(["--option", "max-heap", "11M"]), "more than 11M")?;
    std::fs::remove_file(file).map_err(|e| e.to_string())?;
    // No limit, and enough.
    for size in ["0", "1G"] {
        let mut command = scratch.command("instantiate");
        let words =
            ["--eval", "--max-heap", size, "-E", "builtins.length (builtins.genList (i: i) 9)"];
        same("value", succeed(command.args(words))?.trim_end(), "9")?;
    }
    Ok(())
}

fn no_size(bed: Bed) -> Result<(), String> {
    for text in ["much", "1.5G", "64MB", "-1", "auto", ""] {
        let mut command = bed.command("instantiate");
        command.args(["--eval", "-E", "1", &format!("--max-heap={text}")]);
        let wanted = format!("setting 'max-heap' is a size such as 512M or 4G, not '{text}'");
        fails(&mut command, &wanted)?;
    }
    let mut command = bed.command("instantiate");
    command.args(["--eval", "-E", "1"]).env("NIX_CONFIG", "cores = 1\nmax-heap = lots");
    fails(&mut command, "NIX_CONFIG:2: setting 'max-heap' is a size such as 512M or 4G, not 'lots'")
}

fn nothing_half_written(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let (_, program) = PROGRAMS[0];
    for cores in ["1", "2"] {
        let mut command = scratch.command("instantiate");
        command.args(["--max-heap", "16M", "--eval-cores", cores]);
        command.args(["-E", DERIVATION, program, "--add-root"]).arg(scratch.path("link"));
        fails(&mut command, "more than 16M")?;
        if scratch.path("link").symlink_metadata().is_ok() {
            return Err("a link was made".to_owned());
        }
    }
    // The same call succeeds when there is enough for it, and the store is whole.
    let mut command = scratch.command("instantiate");
    has(&succeed(command.args(["--max-heap", "16M", "-E", DERIVATION]))?, &["-small.drv"])?;
    scratch.verify()
}

fn the_prompt_goes_on(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let (_, program) = PROGRAMS[0];
    let input = scratch.write("input", &format!("1 + 1\n{program}\n2 + 3\n:r\n3 + 4\n"))?;
    let mut command = scratch.command("repl");
    command.args(["--max-heap", "64M"]);
    command.stdin(std::fs::File::open(input).map_err(|e| e.to_string())?);
    let output = bed::run(&mut command)?;
    same("stdout", &*String::from_utf8_lossy(&output.stdout), "2\n5\n7\n")?;
    has(&String::from_utf8_lossy(&output.stderr), &["more than 64M with '--max-heap 128M'"])
}
