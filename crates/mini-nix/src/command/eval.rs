//! `mini-nix eval`: evaluate an expression or file and print its value.

use crate::{args, exit::Failure, legacy::instantiate};

/// Runs the command: `mini-nix eval [-E] [-A ATTR] [--json | --raw] WORD`, strictly.
///
/// # Errors
/// What the evaluation says.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let command =
        args::evaluating(args::common("eval", "evaluate an expression and print its value"))
            .arg(args::flag("json", "print as JSON").long("json"))
            .arg(args::flag("raw", "print the string itself").long("raw"));
    let matches = args::parse(command, "mini-nix eval", words)?;
    let form = if matches.get_flag("json") {
        instantiate::Form::Json
    } else if matches.get_flag("raw") {
        instantiate::Form::Raw
    } else {
        instantiate::Form::Nix
    };
    instantiate::evaluate(&matches, form, instantiate::Depth::Strict)
}
