//! Builds that are ended early, from inside and outside.

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix_formats::deriving_path::{DerivingPath, Outputs};
use nix_formats::store_path::StorePath;
use nix_store::build::{BuildError, BuildSettings, NoEvents};
use nix_store::realise::realise;
use nix_store::{LocalStore, Store};

use crate::Case;
use crate::fixture::{self, Fixture, has, holds, same};

pub(crate) const CASES: &[Case] = &[
    ("a_build_that_takes_too_long_is_killed", timeout),
    ("a_silent_build_is_killed", silent),
    ("a_build_that_talks_too_much_is_killed", talkative),
    ("a_builder_that_lets_go_of_its_log_is_ended", lets_go),
    ("no_process_survives_its_builder", survivors),
    ("a_cancelled_build_ends_soon_and_leaves_nothing", cancelled),
    ("a_killed_program_takes_its_builds_along_and_leaves_no_mess", killed),
    ("two_programs_that_want_the_same_build_it_once", together),
];

/// The other side of [`build_elsewhere`]: `STORE DRV`.
pub(crate) fn build_and_report(mut args: impl Iterator<Item = String>) -> ExitCode {
    let (Some(dir), Some(drv)) = (args.next(), args.next()) else { return ExitCode::from(2) };
    let store = Arc::new(LocalStore::open(fixture::config(dir.as_ref())).unwrap());
    let drv = StorePath::from_base_name(&drv).unwrap();
    let wanted = [DerivingPath::Built { drv, outputs: Outputs::All }];
    let done = realise(&store, &wanted, &fixture::settings(), &fixture::builders(), &NoEvents);
    match done {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(error.exit_code()),
    }
}

/// Builds in another process.
pub(crate) fn build_elsewhere(f: &Fixture, drv: &StorePath) -> Result<Child, String> {
    f.store.flush().map_err(|error| error.to_string())?;
    Command::new("/proc/self/exe")
        .args(["--build", &f.dir.path().display().to_string(), drv.base_name()])
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())
}

fn timeout(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("slow", "while true; do echo; sleep 0.1; done").write();
    let settings = BuildSettings { timeout: Some(Duration::from_secs(1)), ..f.settings.clone() };
    let error = f.failure_with(&drv, &settings)?;
    holds(error.exit_code() == 101, "exit code")?;
    has(&error.to_string(), "building of 'slow' timed out after 1 seconds (setting 'timeout')")
}

fn silent(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("mute", "echo begin; sleep 1000").write();
    let settings = BuildSettings { max_silent: Some(Duration::from_secs(1)), ..f.settings.clone() };
    let error = f.failure_with(&drv, &settings)?;
    holds(error.exit_code() == 101, "exit code")?;
    has(&error.to_string(), "1 seconds of silence")?;
    has(&error.to_string(), "> begin")
}

fn talkative(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("chatty", "yes").write();
    let settings = BuildSettings { max_log_bytes: Some(100_000), ..f.settings.clone() };
    let error = f.failure_with(&drv, &settings)?;
    holds(error.exit_code() == 100, "exit code")?;
    has(&error.to_string(), "wrote more than 100000 bytes of log output")
}

fn lets_go(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("quiet", "exec > /dev/null 2>&1; sleep 1000").write();
    let started = Instant::now();
    has(&f.failure_of(&drv)?.to_string(), "failed due to signal 9 (Killed)")?;
    holds(started.elapsed() < Duration::from_secs(20), "soon")
}

fn survivors(f: &Fixture) -> Result<(), String> {
    // The argument of `sleep` finds the process on the machine.
    let mark = format!("{}.5", 100_000 + std::process::id());
    let script = format!(
        "trap '' TERM HUP INT; setsid sleep {mark} > /dev/null 2>&1 < /dev/null & echo > $out"
    );
    let drv = f.recipe("daemon", &script).write();
    f.output_of(&drv)?;
    holds(!runs(&mark), "it is gone")
}

/// Whether a process with this argument runs.
fn runs(mark: &str) -> bool {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let mut lines =
        entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.any(|line| {
        line.split(|b| *b == 0).any(|arg| arg == mark.as_bytes()) && !line.starts_with(b"sh\0")
    })
}

fn cancelled(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("endless", "echo > $out; sleep 1000").write();
    let started = Instant::now();
    let settings = BuildSettings {
        cancelled: Some(Arc::new(move || started.elapsed() > Duration::from_millis(500))),
        ..f.settings.clone()
    };
    let error = f.failure_with(&drv, &settings)?;
    holds(matches!(error, BuildError::Cancelled), &error.to_string())?;
    holds(started.elapsed() < Duration::from_secs(20), "soon")?;
    holds(f.leftovers().is_empty(), &format!("{:?}", f.leftovers()))?;
    holds(!f.real(&f.out(&drv, "out")).exists(), "no output is left")
}

fn killed(f: &Fixture) -> Result<(), String> {
    let mark = format!("{}.7", 200_000 + std::process::id());
    let script = format!(
        "mkdir $out; echo half > $out/x; [ -e /build/never ] || sleep {mark}; echo > $out/y"
    );
    let drv = f.recipe("interrupted", &script).write();
    let mut child = build_elsewhere(f, &drv)?;
    let started = Instant::now();
    while !runs(&mark) {
        holds(started.elapsed() < Duration::from_secs(60), "the build begins")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().map_err(|error| error.to_string())?;
    child.wait().map_err(|error| error.to_string())?;
    let started = Instant::now();
    while runs(&mark) {
        holds(started.elapsed() < Duration::from_secs(10), "the builder dies with its program")?;
        std::thread::sleep(Duration::from_millis(20));
    }
    holds(!f.store.is_valid(&f.out(&drv, "out")).unwrap_or(true), "nothing is registered")?;
    // A leftover at the final path, as a program killed between moving and registering leaves it.
    std::fs::write(f.real(&f.out(&drv, "out")), "leftover").map_err(|error| error.to_string())?;
    let settings = BuildSettings { timeout: Some(Duration::from_secs(1)), ..f.settings.clone() };
    holds(f.failure_with(&drv, &settings)?.exit_code() == 101, "the same build again")?;
    let other = f.recipe("other", "echo whole > $out").write();
    same(&f.output_of(&other)?, "whole\n")?;
    holds(f.leftovers().is_empty(), &format!("{:?}", f.leftovers()))?;
    let (success, text) = f.real_nix(&["--verify", "--check-contents"])?;
    holds(success && !text.contains("error") && !text.contains("modified"), &text)
}

fn together(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("once", "sleep 1; head -c 8 /dev/urandom | od -An -tx1 > $out").write();
    let mut child = build_elsewhere(f, &drv)?;
    let ours = f.output_of(&drv)?;
    let status = child.wait().map_err(|error| error.to_string())?;
    holds(status.success(), "both succeed")?;
    same(&f.read(&f.out(&drv, "out"))?, &ours)
}
