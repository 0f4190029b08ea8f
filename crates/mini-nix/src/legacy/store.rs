//! `nix-store`: query and change the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    path::Path,
};

use clap::{Arg, ArgAction, ArgMatches};
use nix_formats::{
    hash::HashAlgo,
    store_path::{FileMethod, StorePath},
};
use nix_store::{
    Closure, LocalStore, PathInfo, Store, StoreError,
    local::{CollectOptions, Damage, VerifyOptions},
    sys::{Dir, FsTree, dump_nar, restore_nar},
};

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
    ("dump-db", '\0', "write the registrations of all valid paths"),
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
        "query" => query(&store, &matches, &operands),
        "realise" => super::build::realise_paths(&store, &settings, &matches, &operands),
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
            collect(&store, &options)
        }
        "gc" => gc(&store, &matches),
        "verify" => verify(&store, matches.get_flag("check-contents")),
        "dump" => {
            for path in &operands {
                let path = std::path::absolute(path)?;
                let (dir, name) = Dir::open_parent(&path).map_err(fail)?;
                dump_nar(&dir, name, &mut std::io::stdout().lock()).map_err(fail)?;
            }
            Ok(0)
        }
        "restore" => {
            let [target] = &operands[..] else {
                return Err(Failure::usage("mini-nix-store", "'--restore' needs one path"));
            };
            let target = std::path::absolute(target)?;
            let (dir, name) = Dir::open_parent(&target).map_err(fail)?;
            restore_nar(&mut std::io::stdin().lock(), "standard input", &dir, name)
                .map_err(fail)?;
            Ok(0)
        }
        "dump-db" => {
            let mut out = std::io::stdout().lock();
            for path in store.all_valid_paths().map_err(fail)? {
                let info = store.path_info(&path).map_err(fail)?;
                out.write_all(registration(&store, &info).as_bytes())?;
            }
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
        "read-log" => read_log(&store, &operands),
        "print-env" => print_env(&store, &operands),
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

/// The store object that an operand names: a path in the store, or a link that leads to one.
///
/// # Errors
/// When it leads nowhere.
pub(crate) fn follow(store: &LocalStore, text: &str) -> Result<StorePath, Failure> {
    let mut at = std::path::absolute(text)?;
    for _ in 0..64 {
        if let Ok((path, _)) = store.store_dir().split(&at.to_string_lossy()) {
            return Ok(path);
        }
        let real = store.real_store_dir();
        if let Ok(rest) = at.strip_prefix(real)
            && let Some(first) = rest.components().next()
        {
            let name = first.as_os_str().to_string_lossy();
            return StorePath::from_base_name(&name)
                .map_err(|e| Failure::new(format!("'{text}': {e}")));
        }
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => break,
        }
    }
    Err(Failure::new(format!("path '{text}' is not in the Nix store")))
}

fn query(store: &LocalStore, matches: &ArgMatches, operands: &[String]) -> Result<u8, Failure> {
    let chosen: Vec<&str> = QUERIES.iter().map(|q| q.0).filter(|n| matches.get_flag(n)).collect();
    let question = match chosen[..] {
        [] => "outputs",
        [one] => one,
        _ => return Err(Failure::usage("mini-nix-store", "only one question can be asked")),
    };
    let fail = |e: StoreError| Failure::new(e);
    let mut paths = Vec::new();
    for operand in operands {
        let path = follow(store, operand)?;
        if (matches.get_flag("use-output") || question == "outputs") && path.is_derivation() {
            paths.extend(outputs(store, &path)?);
        } else {
            paths.push(path);
        }
    }
    let show = |path: &StorePath| println!("{}", store.display(path));
    match question {
        "outputs" => paths.iter().for_each(show),
        "requisites" => {
            let mut closure = Closure::of(store, &paths).map_err(fail)?;
            if matches.get_flag("include-outputs") {
                let mut roots = paths.clone();
                // Outputs can refer to derivations in their turn.
                loop {
                    let n = closure.paths().count();
                    let derivations: Vec<_> =
                        closure.paths().filter(|p| p.is_derivation()).cloned().collect();
                    for derivation in &derivations {
                        for output in outputs(store, derivation)? {
                            if store.is_valid(&output).map_err(fail)? {
                                roots.push(output);
                            }
                        }
                    }
                    closure = Closure::of(store, &roots).map_err(fail)?;
                    if closure.paths().count() == n {
                        break;
                    }
                }
            }
            closure.paths().for_each(show);
        }
        "references" => {
            for path in &paths {
                store.path_info(path).map_err(fail)?.references.iter().for_each(show);
            }
        }
        "referrers" | "referrers-closure" => {
            let mut found = BTreeSet::new();
            let mut todo = paths.clone();
            while let Some(path) = todo.pop() {
                store.path_info(&path).map_err(fail)?;
                if question == "referrers-closure" {
                    found.insert(path.clone());
                }
                for referrer in store.query_referrers(&path).map_err(fail)? {
                    if found.insert(referrer.clone()) && question == "referrers-closure" {
                        todo.push(referrer);
                    }
                }
            }
            found.iter().for_each(show);
        }
        "deriver" => {
            for path in &paths {
                match &store.path_info(path).map_err(fail)?.deriver {
                    Some(drv) => show(drv),
                    None => println!("unknown-deriver"),
                }
            }
        }
        "valid-derivers" => {
            for path in &paths {
                store.query_valid_derivers(path).map_err(fail)?.iter().for_each(show);
            }
        }
        "hash" => {
            for path in &paths {
                println!("{}", store.path_info(path).map_err(fail)?.nar_hash.to_prefixed_nix32());
            }
        }
        "size" => {
            for path in &paths {
                println!("{}", store.path_info(path).map_err(fail)?.nar_size);
            }
        }
        "tree" => {
            let mut seen = BTreeSet::new();
            for path in &paths {
                tree(store, path, &mut seen)?;
            }
        }
        _ => {
            let mut referrers: BTreeSet<StorePath> = BTreeSet::new();
            let mut todo = paths.clone();
            while let Some(path) = todo.pop() {
                if referrers.insert(path.clone()) {
                    todo.extend(store.query_referrers(&path).map_err(fail)?);
                }
            }
            for root in store.find_roots().map_err(fail)? {
                if referrers.contains(&root.path) {
                    println!("{} -> {}", root.link.display(), store.display(&root.path));
                }
            }
        }
    }
    Ok(0)
}

/// The output paths of a derivation, in order of their names.
fn outputs(store: &LocalStore, drv: &StorePath) -> Result<Vec<StorePath>, Failure> {
    let drv = store.read_derivation(drv).map_err(Failure::new)?;
    Ok(drv.outputs.keys().filter_map(|o| drv.output_path(store.store_dir(), o)).collect())
}

/// Prints references as a tree; what was shown before is only named.
fn tree(
    store: &LocalStore,
    root: &StorePath,
    seen: &mut BTreeSet<StorePath>,
) -> Result<(), Failure> {
    // Each entry: what to print before the path, what to print before its children.
    let mut todo = vec![(root.clone(), String::new(), String::new())];
    while let Some((path, own, below)) = todo.pop() {
        let info = store.path_info(&path).map_err(Failure::new)?;
        let again = !seen.insert(path.clone());
        println!("{own}{}{}", store.display(&path), if again { " [...]" } else { "" });
        if again {
            continue;
        }
        let children: Vec<_> = info.references.iter().filter(|r| **r != path).collect();
        for (i, child) in children.iter().enumerate().rev() {
            let is_last = i + 1 == children.len();
            let own = format!("{below}{}", if is_last { "└───" } else { "├───" });
            let next = format!("{below}{}", if is_last { "    " } else { "│   " });
            todo.push(((*child).clone(), own, next));
        }
    }
    Ok(())
}

fn gc(store: &LocalStore, matches: &ArgMatches) -> Result<u8, Failure> {
    let fail = |e: StoreError| Failure::new(e);
    let max_freed = match matches.get_one::<String>("max-freed") {
        Some(text) => Some(text.parse().map_err(|_| {
            Failure::usage(
                "mini-nix-store",
                format!("'--max-freed' is a number of bytes, not '{text}'"),
            )
        })?),
        None => None,
    };
    let options = CollectOptions { max_freed, ..CollectOptions::default() };
    if matches.get_flag("print-roots") {
        for root in store.find_roots().map_err(fail)? {
            println!("{} -> {}", root.link.display(), store.display(&root.path));
        }
    } else if matches.get_flag("print-live") {
        store
            .live_paths(&options)
            .map_err(fail)?
            .iter()
            .for_each(|p| println!("{}", store.display(p)));
    } else if matches.get_flag("print-dead") {
        store
            .dead_paths(&options)
            .map_err(fail)?
            .iter()
            .for_each(|p| println!("{}", store.display(p)));
    } else {
        return collect(store, &options);
    }
    Ok(0)
}

fn collect(store: &LocalStore, options: &CollectOptions) -> Result<u8, Failure> {
    let collected = store.collect_garbage(options).map_err(Failure::new)?;
    for path in &collected.deleted {
        println!("{}", path.display());
    }
    let mebibytes = collected.bytes_freed as f64 / f64::from(1 << 20);
    eprintln!("{} store paths deleted, {mebibytes:.2} MiB freed", collected.deleted.len());
    Ok(0)
}

fn verify(store: &LocalStore, contents: bool) -> Result<u8, Failure> {
    let options = VerifyOptions { check_contents: contents };
    let damage = store.verify(options, &mut |_| {}).map_err(Failure::new)?;
    for one in &damage {
        eprintln!("error: {}", describe(store, one));
    }
    Ok(u8::from(!damage.is_empty()))
}

/// What is wrong, as a sentence.
fn describe(store: &LocalStore, damage: &Damage) -> String {
    match damage {
        Damage::Database(complaint) => format!("the database is damaged: {complaint}"),
        Damage::Missing { path, needed_by } => {
            let path = store.display(path);
            match needed_by {
                Some(by) => {
                    format!(
                        "path '{path}' disappeared, but it still has valid referrers such as '{}'",
                        store.display(by)
                    )
                }
                None => format!("path '{path}' disappeared, removed from the database"),
            }
        }
        Damage::Modified { path, expected, got } => {
            format!(
                "path '{}' was modified! expected hash '{expected}', got '{got}'",
                store.display(path)
            )
        }
        Damage::Unreadable { path, reason } => {
            format!("cannot read path '{}': {reason}", store.display(path))
        }
        Damage::Link(link) => format!("link '{}' was modified and is removed", link.display()),
    }
}

/// The registration text of an object.
fn registration(store: &LocalStore, info: &PathInfo) -> String {
    let deriver = info.deriver.as_ref().map(|d| store.display(d)).unwrap_or_default();
    let mut text = format!(
        "{}\n{}\n{}\n{deriver}\n{}\n",
        store.display(&info.path),
        info.nar_hash.to_base16(),
        info.nar_size,
        info.references.len()
    );
    for reference in &info.references {
        text += &store.display(reference);
        text.push('\n');
    }
    text
}

fn read_log(store: &LocalStore, operands: &[String]) -> Result<u8, Failure> {
    for operand in operands {
        let path = follow(store, operand)?;
        let mut candidates = vec![path.clone()];
        if let Ok(Some(info)) = store.query_path_info(&path) {
            candidates.extend(info.deriver.clone());
        }
        let log = candidates.iter().find_map(|drv| log_of(store, drv));
        let Some(log) = log else {
            return Err(Failure::new(format!(
                "build log of derivation '{operand}' is not available"
            )));
        };
        std::io::stdout().write_all(&log)?;
    }
    Ok(0)
}

fn log_of(store: &LocalStore, drv: &StorePath) -> Option<Vec<u8>> {
    let (folder, rest) = drv.base_name().split_at_checked(2)?;
    let plain = store.log_dir().join("drvs").join(folder).join(rest);
    if let Ok(text) = std::fs::read(&plain) {
        return Some(text);
    }
    let packed = std::fs::File::open(format!("{}.bz2", plain.display())).ok()?;
    let mut text = Vec::new();
    bzip2::read::BzDecoder::new(packed).read_to_end(&mut text).ok()?;
    Some(text)
}

fn print_env(store: &LocalStore, operands: &[String]) -> Result<u8, Failure> {
    let [operand] = operands else {
        return Err(Failure::usage("mini-nix-store", "'--print-env' needs one derivation"));
    };
    let path = follow(store, operand)?;
    let drv = store.read_derivation(&path).map_err(Failure::new)?;
    let variables: BTreeMap<_, _> = drv.env.iter().collect();
    let mut out = std::io::stdout().lock();
    for (name, value) in variables {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        writeln!(out, "export {name}; {name}={}", quote(&value))?;
    }
    let args: Vec<String> = drv.args.iter().map(|a| quote(&String::from_utf8_lossy(a))).collect();
    writeln!(out, "export _args; _args={}", quote(&args.join(" ")))?;
    Ok(0)
}

/// A word for a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
