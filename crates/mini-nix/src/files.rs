//! What the operands of an evaluating command mean: files, expressions, `<x>`, standard input.

use std::io::Read;

use clap::ArgMatches;
use nix_eval::{
    Handle,
    host::NixPath,
    value::{ContextId, Value},
};

use crate::{
    args,
    exit::Failure,
    open::{self, Session},
};

/// One operand of an evaluating command.
pub(crate) enum Operand {
    /// An expression given as a word, or read from standard input.
    Text {
        /// The expression.
        text: Vec<u8>,
        /// What stands for it in messages.
        name: &'static str,
    },
    /// A file.
    File(NixPath),
}

/// The operands of a call, in order; `-` is standard input and comes first. Without any, `default`.
///
/// # Errors
/// A lookup without a hit, standard input that cannot be read.
pub(crate) fn operands(
    session: &Session,
    matches: &ArgMatches,
    default: &str,
) -> Result<Vec<Operand>, Failure> {
    let mut words = args::many(matches, "files");
    let is_expression = matches.get_flag("expr");
    if words.is_empty() && !is_expression {
        words.push(default.to_owned());
    }
    if words.iter().any(|word| word == "-") {
        words.retain(|word| word != "-");
        words.insert(0, "-".to_owned());
    }
    let operand = |word: &String| {
        if word == "-" {
            let mut text = Vec::new();
            std::io::stdin().read_to_end(&mut text)?;
            return Ok(Operand::Text { text, name: "(stdin)" });
        }
        if is_expression {
            return Ok(Operand::Text { text: word.clone().into_bytes(), name: "(string)" });
        }
        path_of(session, word).map(Operand::File)
    };
    words.iter().map(operand).collect()
}

/// Evaluates the operands of a call, one handle each, in order.
///
/// # Errors
/// What the evaluation says.
pub(crate) fn roots(
    session: &Session,
    matches: &ArgMatches,
    default: &str,
) -> Result<Vec<Handle>, Failure> {
    let evaluator = &session.evaluator;
    let directory = open::working_directory();
    let root = |operand: Operand| {
        let value = match operand {
            Operand::Text { text, name } => evaluator.eval_bytes(&text, name, &directory),
            Operand::File(path) => evaluator.import(&path),
        };
        value.map_err(|e| session.failure(&e))
    };
    operands(session, matches, default)?.into_iter().map(root).collect()
}

/// The path that a word names: a file, `<x>` of the search path, or what a tarball's address holds.
///
/// # Errors
/// A lookup without a hit; an address that cannot be fetched.
pub(crate) fn path_of(session: &Session, word: &str) -> Result<NixPath, Failure> {
    let looked_up = word.strip_prefix('<').and_then(|w| w.strip_suffix('>'));
    let address = nix_eval::builtins::as_url(word);
    if looked_up.is_none() && address.is_none() {
        return Ok(open::nix_path(std::path::Path::new(word)));
    }
    let found = session.evaluator.with_machine(|m| {
        let found = match looked_up {
            Some(name) => {
                let list = m.builtin("nixPath").unwrap_or(Value::EMPTY_LIST);
                nix_eval::builtins::find_file(m, list, name.as_bytes())?
            }
            None => {
                let fetch = m.builtin("fetchTarball").unwrap_or(Value::NULL);
                let address = m.new_text(address.as_deref().unwrap_or_default());
                m.call(fetch, &[address])?
            }
        };
        m.coerce_to_real_path(found)
    });
    found.map_err(|e| session.failure(&e))
}

/// The arguments of `--arg` and its kin, by name; the last one of a name counts. Expressions are evaluated when
/// they are used.
///
/// # Errors
/// An expression that does not parse, a file that cannot be read.
pub(crate) fn arguments(
    session: &Session,
    matches: &ArgMatches,
) -> Result<Vec<(String, Handle)>, Failure> {
    let directory = open::working_directory();
    let mut given: Vec<(usize, String, Handle)> = Vec::new();
    for flag in ["arg", "argstr", "arg-from-file", "arg-from-stdin"] {
        let places = matches.indices_of(flag).into_iter().flatten();
        let per_flag = if flag == "arg-from-stdin" { 1 } else { 2 };
        for (words, place) in args::occurrences(matches, flag).iter().zip(places.step_by(per_flag))
        {
            let name = words[0].to_owned();
            let text = |bytes: &[u8]| {
                session.evaluator.handle(|m| Ok(m.new_string(bytes, ContextId::NONE)))
            };
            let value = match flag {
                "arg" => session.evaluator.suspend(words[1].as_bytes(), "(string)", &directory),
                "argstr" => text(words[1].as_bytes()),
                "arg-from-file" => text(&std::fs::read(words[1]).map_err(|e| {
                    Failure::new(format!("cannot read '{}' for '{name}': {e}", words[1]))
                })?),
                _ => {
                    let mut bytes = Vec::new();
                    std::io::stdin().read_to_end(&mut bytes)?;
                    text(&bytes)
                }
            };
            given.push((place, name, value.map_err(|e| session.failure(&e))?));
        }
    }
    given.sort_by_key(|(place, ..)| *place);
    let mut all: Vec<(String, Handle)> = Vec::new();
    for (_, name, value) in given {
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }
    Ok(all)
}
