//! Builds, for commands and for evaluations that read what they build; what is said of them.

use std::{io::IsTerminal, path::PathBuf, sync::Arc, time::Duration};

use clap::ArgMatches;
use nix_eval::CancelToken;
use nix_formats::{deriving_path::DerivingPath, store_path::StorePath};
use nix_store::{
    LocalStore, Store,
    build::{
        BuildError, BuildSettings, Event, Events, InternalBuilders, Level, SandboxMode, SandboxPath,
    },
    realise::{Realised, realise},
};

use crate::{exit::Failure, settings::Settings};

/// The builders inside the program: those of stores, and that of images.
pub(crate) fn builders() -> InternalBuilders {
    InternalBuilders::standard().with(docker_tools::BUILDERS)
}

/// Builds what a command was asked for, as its flags say.
///
/// # Errors
/// Settings that make no sense; builds that failed, with their own exit codes.
pub(crate) fn run_builds(
    store: &Arc<LocalStore>,
    settings: &Settings,
    matches: &ArgMatches,
    wanted: &[DerivingPath],
) -> Result<Vec<Realised>, Failure> {
    let mut build = build_settings(settings)?;
    build.check = matches.get_flag("check");
    build.dry_run = matches.get_flag("dry-run");
    let events = Console::new(store.clone(), matches.get_flag("no-build-output"));
    realise(store, wanted, &build, &builders(), &events).map_err(failure)
}

/// Builds as the settings say, until somebody asks to stop.
///
/// # Errors
/// Settings that make no sense; builds that failed, with the log's last lines.
pub(crate) fn run_until(
    store: &Arc<LocalStore>,
    settings: &Settings,
    wanted: &[DerivingPath],
    cancel: CancelToken,
) -> Result<Vec<Realised>, Failure> {
    let mut build = build_settings(settings)?;
    build.cancelled = Some(Arc::new(move || cancel.is_cancelled()));
    let events = Console::new(store.clone(), false);
    realise(store, wanted, &build, &builders(), &events).map_err(failure)
}

/// The paths of one wanted thing, in the order of output names.
pub(crate) fn paths_of(realised: &Realised) -> Vec<StorePath> {
    match &realised.wanted {
        DerivingPath::Opaque(path) => vec![path.clone()],
        DerivingPath::Built { .. } => realised.outputs.values().cloned().collect(),
    }
}

fn failure(error: BuildError) -> Failure {
    Failure { code: error.exit_code(), text: format!("error: {error}") }
}

/// The settings of builds.
fn build_settings(settings: &Settings) -> Result<BuildSettings, Failure> {
    let seconds =
        |name: &str| Some(settings.number(name)).filter(|n| *n > 0).map(Duration::from_secs);
    let mut build = BuildSettings::new();
    build.max_jobs = settings.number("max-jobs").try_into().unwrap_or(1);
    build.cores = settings.number("cores").try_into().unwrap_or(0);
    build.sandbox = match settings.text("sandbox") {
        "true" | "yes" | "1" => SandboxMode::On,
        "relaxed" => SandboxMode::Relaxed,
        "false" | "no" | "0" => SandboxMode::Off,
        other => {
            return Err(Failure::new(format!(
                "setting 'sandbox' is true, relaxed or false, not '{other}'"
            )));
        }
    };
    for path in settings.list("sandbox-paths") {
        let parsed = SandboxPath::parse(&path).ok_or_else(|| {
            Failure::new(format!("setting 'sandbox-paths': '{path}' is not an absolute path"))
        })?;
        build.sandbox_paths.push(parsed);
    }
    build.allowed_impure_host_deps =
        settings.list("allowed-impure-host-deps").into_iter().map(PathBuf::from).collect();
    build.system = settings.text("system").to_owned();
    build.keep_failed = settings.bool("keep-failed");
    build.keep_going = settings.bool("keep-going");
    build.timeout = seconds("timeout");
    build.max_silent = seconds("max-silent-time");
    build.log_lines = settings.number("log-lines").try_into().unwrap_or(25);
    build.environment = std::env::vars_os()
        .map(|(name, value)| {
            use std::os::unix::ffi::OsStringExt;
            (name.into_vec(), value.into_vec())
        })
        .collect();
    Ok(build)
}

/// Shows on standard error what builds do.
struct Console {
    store: Arc<LocalStore>,
    quiet: bool,
    is_terminal: bool,
}

impl Console {
    fn new(store: Arc<LocalStore>, quiet: bool) -> Console {
        Console { store, quiet, is_terminal: std::io::stderr().is_terminal() }
    }
}

impl Events for Console {
    fn event(&self, event: Event) {
        match event {
            Event::Message { level, text } if level <= Level::Info => {
                eprintln!("{}", crate::printable(&text, self.is_terminal));
            }
            Event::BuildStarted { drv } => eprintln!("building '{}'...", self.store.display(&drv)),
            Event::LogLine { line, .. } if !self.quiet => {
                eprintln!("{}", crate::printable(&line, self.is_terminal));
            }
            _ => {}
        }
    }
}
