//! `nix-instantiate`: evaluate an expression, or turn it into store derivations.

use std::{io::Write, sync::Arc};

use clap::ArgMatches;
use nix_eval::{
    Error, Handle,
    builtins::{json::to_json, xml},
    machine::{Coerce, Machine},
    value::{AccessorId, ContextBuilder, Value, print},
};

use crate::{
    answers::Keeps,
    args::{self, flag},
    derivations,
    exit::Failure,
    files::{self, Operand},
    open::{self, Session, Writes},
};

/// How a value is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As an expression.
    Nix,
    /// As JSON on one line.
    Json,
    /// As XML, with places or without.
    Xml {
        /// Whether to add places.
        locations: bool,
    },
    /// The string itself, without a line break.
    Raw,
}

/// How much is evaluated before printing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Weak head normal form.
    Shallow,
    /// Everything.
    Strict,
}

/// Runs the command.
///
/// # Errors
/// Usage, evaluation, store.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let about = "evaluate an expression, or turn it into store derivations";
    let command = args::evaluating(args::common("instantiate", about))
        .arg(flag("eval", "print the value").long("eval").visible_alias("eval-only"))
        .arg(
            flag("parse", "print the program after desugaring")
                .long("parse")
                .visible_alias("parse-only"),
        )
        .arg(flag("strict", "evaluate everything before printing").long("strict"))
        .arg(flag("json", "print as JSON").long("json"))
        .arg(flag("xml", "print as XML").long("xml"))
        .arg(flag("raw", "print the string itself").long("raw"))
        .arg(flag("no-location", "no places in XML").long("no-location"))
        .arg(flag("find-file", "look the operands up in the search path").long("find-file"))
        .arg(flag("read-write-mode", "let --eval write to the store").long("read-write-mode"))
        .arg(flag("indirect", "accepted for compatibility").long("indirect").hide(true))
        .arg(
            clap::Arg::new("add-root")
                .long("add-root")
                .num_args(1)
                .value_name("LINK")
                .help("make a link that keeps the derivation alive"),
        )
        .arg(flag("dry-run", "do not write to the store").long("dry-run"));
    let matches = args::parse(command, "mini-nix-instantiate", words)?;
    if matches.get_flag("find-file") {
        return find_files(&matches);
    }
    if matches.get_flag("parse") {
        return parse(&matches);
    }
    if !matches.get_flag("eval") {
        return instantiate(&matches);
    }
    let form = match last_of(&matches, &["json", "xml", "raw"]) {
        Some("json") => Form::Json,
        Some("xml") => Form::Xml { locations: !matches.get_flag("no-location") },
        Some("raw") => Form::Raw,
        _ => Form::Nix,
    };
    let depth = if matches.get_flag("strict") { Depth::Strict } else { Depth::Shallow };
    evaluate(&matches, form, depth)
}

/// Which of these switches stands last among the words.
fn last_of<'a>(matches: &ArgMatches, names: &[&'a str]) -> Option<&'a str> {
    let given = names.iter().filter(|name| matches.get_flag(name));
    given.copied().max_by_key(|name| matches.indices_of(name).and_then(Iterator::last))
}

/// Prints the operands after desugaring; nothing is evaluated.
fn parse(matches: &ArgMatches) -> Result<u8, Failure> {
    let session = Session::open(matches, Writes::No)?;
    let directory = open::working_directory();
    for operand in files::operands(&session, matches, "./default.nix")? {
        let text = match operand {
            Operand::Text { text, name } => session.evaluator.desugar(&text, name, &directory),
            Operand::File(path) => session.evaluator.desugar_file(&path),
        };
        let mut text = text.map_err(|e| session.failure(&e))?;
        text.push(b'\n');
        std::io::stdout().write_all(&text)?;
    }
    Ok(0)
}

/// Evaluates the operands and prints each.
///
/// # Errors
/// What the evaluation says.
pub(crate) fn evaluate(matches: &ArgMatches, form: Form, depth: Depth) -> Result<u8, Failure> {
    let writes = match matches.try_get_one::<bool>("read-write-mode") {
        Ok(Some(true)) => Writes::Yes,
        _ => Writes::No,
    };
    let keeps = match writes {
        Writes::Yes => Keeps::Written,
        Writes::No => Keeps::Text,
    };
    let session = Session::open_keeping(matches, writes, keeps)?;
    if let Some(text) = session.known_text() {
        std::io::stdout().write_all(&text)?;
        return Ok(0);
    }
    let arguments = files::arguments(&session, matches)?;
    let roots = files::roots(&session, matches, "./default.nix")?;
    let mut all = Vec::new();
    for root in &roots {
        for attr in attr_paths(matches) {
            let text = root.with(|m, v| {
                let arguments = values(&arguments);
                let mut v = derivations::select(m, v, &attr, &arguments)?;
                if !arguments.is_empty() {
                    v = m.auto_call(v, &arguments)?;
                }
                show(m, v, form, depth)
            });
            let text = text.map_err(|e| session.failure(&e))?;
            std::io::stdout().write_all(&text)?;
            all.extend_from_slice(&text);
        }
    }
    if let Some(store) = &session.store {
        store.flush().map_err(Failure::new)?;
    }
    session.keep_text(&all);
    Ok(0)
}

fn values(arguments: &[(String, Handle)]) -> Vec<(String, Value)> {
    arguments.iter().map(|(name, handle)| (name.clone(), handle.value())).collect()
}

/// The attribute paths of `-A`; the empty one if there are none.
fn attr_paths(matches: &ArgMatches) -> Vec<String> {
    let attrs = args::many(matches, "attr");
    if attrs.is_empty() { vec![String::new()] } else { attrs }
}

fn show(m: &mut Machine, v: Value, form: Form, depth: Depth) -> Result<Vec<u8>, Error> {
    let v = m.force(v)?;
    let strict = depth == Depth::Strict;
    let mut context = ContextBuilder::new();
    Ok(match form {
        Form::Nix => {
            if strict {
                m.force_deep(v)?;
            }
            let mut text = print::eval_form(m, v);
            text.push(b'\n');
            text
        }
        Form::Json => {
            let mut text = Vec::new();
            to_json(m, v, strict, &mut context, &mut text)?;
            text.push(b'\n');
            text
        }
        Form::Xml { locations } => {
            xml::to_xml(m, v, xml::XmlOptions { force: strict, locations }, &mut context)?
        }
        Form::Raw => m.coerce_to_string(v, Coerce::INTERPOLATE, &mut context)?.bytes().to_vec(),
    })
}

fn find_files(matches: &ArgMatches) -> Result<u8, Failure> {
    let session = Session::open(matches, Writes::No)?;
    for word in args::many(matches, "files") {
        let path = files::path_of(&session, &format!("<{word}>"))?;
        if path.accessor != AccessorId(0) {
            let text = session.evaluator.with_machine(|m| Ok(m.path_text(&path)));
            let text = text.map_err(|e| session.failure(&e))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            return Err(Failure::new(format!("'{text}' lies inside the program and has no file")));
        }
        println!("{}", path.to_text());
    }
    Ok(0)
}

fn instantiate(matches: &ArgMatches) -> Result<u8, Failure> {
    let writes = if matches.get_flag("dry-run") { Writes::No } else { Writes::Yes };
    let session = Session::open_kept(matches, writes)?;
    let found = find_derivations(&session, matches, "./default.nix")?;
    let link = matches.get_one::<String>("add-root");
    if link.is_none() && !found.is_empty() && session.store.is_some() {
        eprintln!(
            "warning: without '--add-root' the garbage collector may remove what was instantiated"
        );
    }
    for (n, drv) in found.iter().enumerate() {
        let output = if drv.output == "out" { String::new() } else { format!("!{}", drv.output) };
        match link {
            Some(link) => {
                let link = if n == 0 { link.clone() } else { format!("{link}-{}", n + 1) };
                let store = session.need_store()?;
                let path = nix_store::store::Store::store_dir(store.as_ref())
                    .parse(&drv.drv_path)
                    .map_err(Failure::new)?;
                let link = std::path::absolute(&link)?;
                store.make_root_link(&link, &path).map_err(Failure::new)?;
                println!("{}{output}", link.display());
            }
            None => println!("{}{output}", drv.drv_path),
        }
    }
    Ok(0)
}

/// The derivations of all operands and attribute paths of a call, in order: those that were found before, if nothing
/// changed.
///
/// # Errors
/// What the evaluation says.
pub(crate) fn find_derivations(
    session: &Session,
    matches: &ArgMatches,
    default: &str,
) -> Result<Vec<derivations::Found>, Failure> {
    if let Some(found) = session.known_derivations() {
        return Ok(found);
    }
    let arguments = files::arguments(session, matches)?;
    let roots = files::roots(session, matches, default)?;
    let paths = attr_paths(matches);
    let all = session.evaluator.with_machine(|m| {
        let arguments = Arc::new(values(&arguments));
        let paths = Arc::new(paths);
        let mut all = Vec::new();
        for root in &roots {
            // Called once for all paths: they share what it makes.
            let root = m.auto_call(root.value(), &arguments)?;
            let (ahead, with) = (paths.clone(), arguments.clone());
            m.ahead_by_number(paths.len(), move |m, n| {
                let v = derivations::select(m, root, &ahead[n], &with)?;
                derivations::collect(m, v, &with).map(drop)
            });
            for path in paths.iter() {
                let v = derivations::select(m, root, path, &arguments)?;
                all.extend(derivations::collect(m, v, &arguments)?);
            }
        }
        Ok(all)
    });
    let all = all.map_err(|e| session.failure(&e))?;
    // Texts are registered in batches; a path must not be printed before its registration succeeded.
    if let Some(store) = &session.store {
        store.flush().map_err(Failure::new)?;
    }
    session.keep_derivations(&all);
    Ok(all)
}
