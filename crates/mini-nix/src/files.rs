//! What the operands of an evaluating command mean: files, expressions, `<x>`, standard input.

use std::io::Read;

use clap::ArgMatches;
use nix_eval::{Handle, host::NixPath, value::Value};

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

/// The operands of a call, in order; `-` is standard input. Without any, `default`.
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

/// The path that a word names: a file, or `<x>` of the search path.
///
/// # Errors
/// A lookup without a hit.
pub(crate) fn path_of(session: &Session, word: &str) -> Result<NixPath, Failure> {
    let Some(name) = word.strip_prefix('<').and_then(|w| w.strip_suffix('>')) else {
        return Ok(open::nix_path(std::path::Path::new(word)));
    };
    let found = session.evaluator.with_machine(|m| {
        let list = m.builtin("nixPath").unwrap_or(Value::EMPTY_LIST);
        let found = nix_eval::builtins::find_file(m, list, name.as_bytes())?;
        m.coerce_to_real_path(found)
    });
    found.map_err(|e| session.failure(&e))
}

/// The arguments of `--arg` and `--argstr`, by name.
///
/// # Errors
/// An expression that does not parse.
pub(crate) fn arguments(
    session: &Session,
    matches: &ArgMatches,
) -> Result<Vec<(String, Handle)>, Failure> {
    let directory = open::working_directory();
    let mut all = Vec::new();
    for (name, text) in args::pairs(matches, "arg") {
        let value = session.evaluator.eval_bytes(text.as_bytes(), "(string)", &directory);
        all.push((name, value.map_err(|e| session.failure(&e))?));
    }
    for (name, text) in args::pairs(matches, "argstr") {
        let value = session.evaluator.handle(|m| Ok(m.new_text(&text)));
        all.push((name, value.map_err(|e| session.failure(&e))?));
    }
    Ok(all)
}
