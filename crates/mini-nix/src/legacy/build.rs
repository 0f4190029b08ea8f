//! `nix-build`: build what an expression describes, and link the results.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::ArgMatches;
use nix_formats::{
    deriving_path::{DerivingPath, Outputs},
    store_path::StorePath,
};
use nix_store::{
    LocalStore, Store,
    build::{BuildError, BuildSettings, Event, Events, Level, SandboxMode, SandboxPath},
    realise::{Realised, realise},
};

use crate::{
    args::{self, flag},
    exit::Failure,
    legacy::instantiate,
    open::{self, Session, Writes},
    settings::Settings,
};

/// Runs the command.
///
/// # Errors
/// Usage, evaluation, store; builds that failed, with their own exit codes.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let command = args::evaluating(args::common("build", "build what an expression describes"))
        .arg(
            clap::Arg::new("out-link")
                .short('o')
                .long("out-link")
                .num_args(1)
                .value_name("LINK")
                .help("name of the links to the results; default 'result'"),
        )
        .arg(flag("no-out-link", "make no links").long("no-out-link").alias("no-link"))
        .arg(flag("dry-run", "say what would be built").long("dry-run"))
        .arg(flag("check", "build again and compare").long("check"))
        .arg(flag("add-drv-link", "").long("add-drv-link").hide(true))
        .arg(flag("indirect", "").long("indirect").hide(true))
        .arg(clap::Arg::new("drv-link").long("drv-link").num_args(1).hide(true));
    let matches = args::parse(command, "mini-nix-build", words)?;
    let session = Session::open(&matches, Writes::Yes)?;
    let store = session.need_store()?;

    // Each derivation with its wanted outputs, in the order in which they were first named.
    let mut wanted: Vec<(StorePath, BTreeSet<String>)> = Vec::new();
    let mut asked: Vec<(StorePath, String)> = Vec::new();
    for found in instantiate::find_derivations(&session, &matches, "./default.nix")? {
        let drv = store
            .store_dir()
            .parse(&found.drv_path)
            .map_err(|e| Failure::new(format!("'{}': {e}", found.drv_path)))?;
        match wanted.iter_mut().find(|(known, _)| *known == drv) {
            Some((_, outputs)) => drop(outputs.insert(found.output.clone())),
            None => wanted.push((drv.clone(), BTreeSet::from([found.output.clone()]))),
        }
        asked.push((drv, found.output));
    }
    let wanted_paths: Vec<DerivingPath> = wanted
        .iter()
        .map(|(drv, outputs)| DerivingPath::Built {
            drv: drv.clone(),
            outputs: Outputs::Names(outputs.clone()),
        })
        .collect();
    let built = run_builds(store, &session.settings, &matches, &wanted_paths)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    let mut paths: BTreeMap<(&StorePath, &str), &StorePath> = BTreeMap::new();
    for one in &built {
        if let DerivingPath::Built { drv, .. } = &one.wanted {
            paths.extend(one.outputs.iter().map(|(output, path)| ((drv, output.as_str()), path)));
        }
    }
    let link = match matches.get_one::<String>("out-link") {
        _ if matches.get_flag("no-out-link") => None,
        Some(link) => Some(link.clone()),
        None => Some("result".to_owned()),
    };
    for (drv, output) in &asked {
        let Some(path) = paths.get(&(drv, output.as_str())) else {
            let drv = store.display(drv);
            return Err(Failure::new(format!("derivation '{drv}' has no output '{output}'")));
        };
        if let Some(link) = &link {
            let n = wanted.iter().position(|(known, _)| known == drv).unwrap_or(0) + 1;
            let number = if n == 1 { String::new() } else { format!("-{n}") };
            let suffix = if output == "out" { String::new() } else { format!("-{output}") };
            let link = format!("{link}{number}{suffix}");
            store.make_root_link(Path::new(&link), path).map_err(Failure::new)?;
        }
        println!("{}", store.display(path));
    }
    Ok(0)
}

/// `nix-store -r`: makes paths, outputs of derivations or whole derivations valid and prints them.
///
/// # Errors
/// Builds that failed, with their own exit codes.
pub(crate) fn realise_paths(
    store: &Arc<LocalStore>,
    settings: &Settings,
    matches: &ArgMatches,
    operands: &[String],
) -> Result<u8, Failure> {
    let mut wanted = Vec::new();
    for operand in operands {
        let (path, output) = match operand.split_once(['!', '^']) {
            Some((path, output)) => (path, Some(output)),
            None => (operand.as_str(), None),
        };
        let path = super::store::follow(store, path)?;
        wanted.push(match output {
            _ if !path.is_derivation() => DerivingPath::Opaque(path),
            None | Some("*") => DerivingPath::Built { drv: path, outputs: Outputs::All },
            Some(names) => {
                let names = names.split(',').map(str::to_owned).collect();
                DerivingPath::Built { drv: path, outputs: Outputs::Names(names) }
            }
        });
    }
    let built = run_builds(store, settings, matches, &wanted)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    let link = matches.get_one::<String>("add-root");
    for (n, path) in built.iter().flat_map(paths_of).enumerate() {
        match link {
            Some(link) => {
                let link = if n == 0 { link.clone() } else { format!("{link}-{}", n + 1) };
                let link = std::path::absolute(&link)?;
                store.make_root_link(&link, &path).map_err(Failure::new)?;
                println!("{}", link.display());
            }
            None => println!("{}", store.display(&path)),
        }
    }
    Ok(0)
}

fn run_builds(
    store: &Arc<LocalStore>,
    settings: &Settings,
    matches: &ArgMatches,
    wanted: &[DerivingPath],
) -> Result<Vec<Realised>, Failure> {
    let mut build = build_settings(settings)?;
    build.check = matches.get_flag("check");
    build.dry_run = matches.get_flag("dry-run");
    let events = Console::new(store.clone(), matches.get_flag("no-build-output"));
    realise(store, wanted, &build, &open::builders(), &events).map_err(failure)
}

/// Builds for an evaluation that wants to read the results.
///
/// # Errors
/// As text, with the log's last lines.
pub(crate) fn realise_for_evaluation(
    store: &Arc<LocalStore>,
    settings: &Settings,
    wanted: &[DerivingPath],
) -> Result<Vec<StorePath>, Failure> {
    let build = build_settings(settings)?;
    let events = Console::new(store.clone(), false);
    let built = realise(store, wanted, &build, &open::builders(), &events).map_err(failure)?;
    Ok(built.iter().flat_map(paths_of).collect())
}

/// The paths of one wanted thing, in the order of output names.
fn paths_of(realised: &Realised) -> Vec<StorePath> {
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
