//! `nix-store`: query and change the store.

mod collect;
mod log;
mod query;
mod realise;
mod transfer;

use clap::{Arg, ArgAction};
use nix_formats::{
    hash::HashAlgo,
    store_path::{FileMethod, StorePath},
};
use nix_store::{LocalStore, Store, StoreError, local::CollectOptions, sys::FsTree};

pub(crate) use log::log_of;
pub(crate) use query::follow;

use crate::{
    args::{self, flag},
    exit::Failure,
    open,
};

/// The operations, by the flag that chooses them; exactly one must be given.
const OPERATIONS: &[(&str, char, &str)] = &[
    ("query", 'q', "ask about store paths"),
    ("realise", 'r', "build or fetch store paths"),
    ("add", 'A', "add files to the store"),
    ("add-fixed", '\0', "add files under a hash of the given algorithm"),
    ("delete", '\0', "delete store paths that nothing needs"),
    ("gc", '\0', "delete everything that nothing needs"),
    ("verify", '\0', "check the store"),
    ("dump", '\0', "write the NAR of a path on standard output"),
    ("restore", '\0', "make a file tree from the NAR on standard input"),
    ("export", '\0', "write paths for --import on standard output"),
    ("import", '\0', "add the paths of an export on standard input"),
    ("dump-db", '\0', "write the registrations of all valid paths"),
    ("load-db", '\0', "register what --dump-db wrote, from standard input"),
    ("register-validity", '\0', "register paths whose files are in place, from standard input"),
    ("optimise", '\0', "make equal files share their contents"),
    ("check-validity", '\0', "fail if a path is not valid"),
    ("read-log", 'l', "show the log of a build"),
    ("print-env", '\0', "show the environment of a derivation for a shell"),
    ("init", '\0', "make the store"),
];

/// Questions of `--query`.
const QUERIES: &[(&str, char)] = &[
    ("outputs", '\0'),
    ("requisites", 'R'),
    ("references", '\0'),
    ("referrers", '\0'),
    ("referrers-closure", '\0'),
    ("deriver", 'd'),
    ("valid-derivers", '\0'),
    ("hash", '\0'),
    ("size", '\0'),
    ("tree", '\0'),
    ("roots", '\0'),
];

/// Runs the command.
///
/// # Errors
/// Usage, store, builds.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let mut command = args::common("store", "query and change the store");
    for &(name, short, about) in OPERATIONS {
        let mut arg = flag(name, about).long(name);
        if short != '\0' {
            arg = arg.short(short);
        }
        if name == "realise" {
            arg = arg.alias("realize");
        }
        command = command.arg(arg);
    }
    for &(name, short) in QUERIES {
        let arg = flag(name, "").long(name).help_heading("Questions of --query");
        command = command.arg(if short == '\0' { arg } else { arg.short(short) });
    }
    let command = command
        .arg(flag("binding", "").long("binding").short('b').hide(true))
        .arg(
            flag("use-output", "ask about the outputs of derivations")
                .long("use-output")
                .short('u'),
        )
        .arg(flag("force-realise", "").long("force-realise").short('f').hide(true))
        .arg(flag("include-outputs", "requisites with outputs").long("include-outputs"))
        .arg(flag("recursive", "with --add-fixed: hash the NAR").long("recursive"))
        .arg(flag("check-contents", "with --verify: read everything").long("check-contents"))
        .arg(
            flag("hash-given", "with --register-validity: the text has hashes and sizes")
                .long("hash-given"),
        )
        .arg(flag("print-roots", "with --gc").long("print-roots"))
        .arg(flag("print-live", "with --gc").long("print-live"))
        .arg(flag("print-dead", "with --gc").long("print-dead"))
        .arg(flag("print-invalid", "with --check-validity").long("print-invalid"))
        .arg(flag("ignore-liveness", "with --delete").long("ignore-liveness"))
        .arg(flag("dry-run", "say what would be done").long("dry-run"))
        .arg(flag("check", "with --realise: build again and compare").long("check"))
        .arg(flag("indirect", "accepted for compatibility").long("indirect").hide(true))
        .arg(Arg::new("add-root").long("add-root").num_args(1).value_name("LINK"))
        .arg(Arg::new("max-freed").long("max-freed").num_args(1).value_name("BYTES"))
        .arg(Arg::new("operands").num_args(0..).action(ArgAction::Append));
    let matches = args::parse(command, "mini-nix-store", words)?;
    let chosen: Vec<&str> =
        OPERATIONS.iter().map(|o| o.0).filter(|name| matches.get_flag(name)).collect();
    let [operation] = chosen[..] else {
        let message = if chosen.is_empty() {
            "no operation given"
        } else {
            "only one operation can be given"
        };
        return Err(Failure::usage("mini-nix-store", message));
    };
    let operands = args::many(&matches, "operands");
    let settings = open::settings(&matches)?;
    let store = open::store(&settings)?
        .ok_or_else(|| Failure::new("this needs a store; 'dummy://' is none"))?;
    let fail = |e: StoreError| Failure::new(e);
    match operation {
        "query" => query::query(&store, &matches, &operands),
        "realise" => realise::realise_paths(&store, &settings, &matches, &operands),
        "add" => {
            for file in &operands {
                let name = base_name(file);
                let tree = FsTree::new(std::path::absolute(file)?);
                let path = store
                    .add_tree(&name, &tree, FileMethod::Nar, HashAlgo::Sha256)
                    .map_err(fail)?;
                println!("{}", store.display(&path));
            }
            Ok(0)
        }
        "add-fixed" => {
            let Some((algo, files)) = operands.split_first() else {
                return Err(Failure::usage(
                    "mini-nix-store",
                    "'--add-fixed' needs a hash algorithm and files",
                ));
            };
            let algo: HashAlgo = algo.parse().map_err(Failure::new)?;
            let method =
                if matches.get_flag("recursive") { FileMethod::Nar } else { FileMethod::Flat };
            for file in files {
                let tree = FsTree::new(std::path::absolute(file)?);
                let path = store.add_tree(&base_name(file), &tree, method, algo).map_err(fail)?;
                println!("{}", store.display(&path));
            }
            Ok(0)
        }
        "delete" => {
            let only = operands.iter().map(|o| follow(&store, o)).collect::<Result<_, _>>()?;
            let options = CollectOptions {
                only: Some(only),
                ignore_liveness: matches.get_flag("ignore-liveness"),
                ..CollectOptions::default()
            };
            collect::collect(&store, &options)
        }
        "gc" => collect::gc(&store, &matches),
        "verify" => collect::verify(&store, matches.get_flag("check-contents")),
        "dump" => transfer::dump(&operands),
        "restore" => transfer::restore(&operands),
        "export" => transfer::export(&store, &operands),
        "import" => transfer::import(&store),
        "dump-db" => transfer::dump_registrations(&store),
        "load-db" => transfer::load_registrations(&store, true),
        "register-validity" => transfer::load_registrations(&store, matches.get_flag("hash-given")),
        "optimise" => {
            let saved = store.optimise().map_err(fail)?;
            let mebibytes = saved.bytes_freed as f64 / f64::from(1 << 20);
            eprintln!("{mebibytes:.2} MiB freed by hard-linking {} files", saved.n_linked);
            Ok(0)
        }
        "check-validity" => {
            for operand in &operands {
                let path = parse(&store, operand)?;
                if store.is_valid(&path).map_err(fail)? {
                    continue;
                }
                if !matches.get_flag("print-invalid") {
                    return Err(Failure::new(format!("path '{operand}' is not valid")));
                }
                println!("{operand}");
            }
            Ok(0)
        }
        "read-log" => log::read_log(&store, &operands),
        "print-env" => log::print_env(&store, &operands),
        _ => Ok(0),
    }
}

fn base_name(file: &str) -> String {
    file.trim_end_matches('/').rsplit('/').next().unwrap_or(file).to_owned()
}

/// A store path given as it is.
fn parse(store: &LocalStore, text: &str) -> Result<StorePath, Failure> {
    store.store_dir().parse(text).map_err(|e| Failure::new(format!("'{text}': {e}")))
}
