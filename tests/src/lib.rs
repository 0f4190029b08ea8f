//! The tests of the whole: every case a named test, run through the executable that users run.
//!
//! `cargo test -p suite -- goldens/regex` runs one topic. A case that compares with a real peer fails when the
//! peer is missing and says what to install.
#![expect(clippy::print_stderr, reason = "a test runner reports on the terminal")]

mod bed;
mod cache;
mod drv;
mod env;
mod faults;
mod fuzz;
mod goldens;
mod http;
mod ifd;
mod images;
mod instantiate;
mod jobs;
mod memory;
mod nixpkgs;
mod nixpkgs_lib;
mod parse;
mod parsers;
mod programs;
mod rebuilds;
mod repl;
mod scratch;
mod store;
mod upstream;

use std::process::ExitCode;

/// Runs the cases that the words of the call choose.
pub fn run() -> ExitCode {
    if let Some(code) = memory::measure_if_asked() {
        return code;
    }
    let args = libtest_mimic::Arguments::from_args();
    let bed = match bed::Bed::find() {
        Ok(bed) => bed,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    goldens::collect(bed, &mut trials);
    drv::collect(bed, &mut trials);
    instantiate::collect(bed, &mut trials);
    jobs::collect(bed, &mut trials);
    memory::collect(bed, &mut trials);
    ifd::collect(bed, &mut trials);
    env::collect(bed, &mut trials);
    nixpkgs_lib::collect(bed, &mut trials);
    upstream::collect(bed, &mut trials);
    images::collect(bed, &mut trials);
    rebuilds::collect(bed, &mut trials);
    cache::collect(bed, &mut trials);
    store::collect(bed, &mut trials);
    faults::collect(bed, &mut trials);
    nixpkgs::collect(bed, &mut trials);
    parse::collect(bed, &mut trials);
    repl::collect(bed, &mut trials);
    parsers::collect(bed, &mut trials);
    fuzz::collect(&mut trials);
    let programs = match programs::collect(bed, &mut trials) {
        Ok(programs) => programs,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&args, trials);
    if programs.finish() { conclusion.exit_code() } else { ExitCode::FAILURE }
}
