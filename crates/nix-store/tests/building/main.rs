//! Real builds in real sandboxes, as the user who runs the tests and, if that is root, as an
//! ordinary user, too.
//!
//! Not the usual harness: a program that builds has to become the starter when it is asked to,
//! before any thread exists.

#![expect(clippy::unwrap_used, reason = "a test program: a panic is a failed case")]

mod basics;
mod fixture;
mod outputs;
mod sandbox;
mod stopping;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use fixture::Fixture;

/// A case: its name, a sentence, and what it does.
type Case = (&'static str, fn(&Fixture) -> Result<(), String>);

/// `nobody`: a user with a number but without rights.
const ORDINARY: u32 = 65534;

fn main() -> ExitCode {
    nix_store::build::starter::run_if_asked(&fixture::builders());
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("--build") {
        return stopping::build_and_report(args);
    }
    let arguments = Arguments::from_args();
    let cases = [basics::CASES, outputs::CASES, sandbox::CASES, stopping::CASES].concat();
    let mut trials: Vec<Trial> = cases
        .into_iter()
        .map(|(name, run)| {
            Trial::test(name, move || {
                let fixture = Fixture::new();
                run(&fixture).map_err(Failed::from)
            })
        })
        .collect();
    if rustix::process::geteuid().is_root() {
        let filter = arguments.filter.clone();
        trials.push(Trial::test("all_of_these_pass_for_an_ordinary_user", move || {
            as_ordinary_user(filter.as_deref()).map_err(Failed::from)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the whole program again as somebody else.
fn as_ordinary_user(filter: Option<&str>) -> Result<(), String> {
    // A copy: the folder of the build may be one that only its owner can enter.
    let fail = |error: std::io::Error| error.to_string();
    let dir = tempfile::tempdir().map_err(fail)?;
    let program = dir.path().join("building");
    std::fs::copy(std::env::current_exe().map_err(fail)?, &program).map_err(fail)?;
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).map_err(fail)?;
    let mut command = Command::new(program);
    command.uid(ORDINARY).gid(ORDINARY).current_dir("/").env("TMPDIR", "/tmp");
    command
        .args(filter.filter(|filter| !"all_of_these_pass_for_an_ordinary_user".contains(filter)));
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
