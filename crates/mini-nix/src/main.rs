//! Nix without Nix: evaluate expressions, build derivations, make container images.
//!
//! One executable with many names; see `names.rs`. Everything it knows about the language comes through
//! `nix-eval`, everything about stores through `nix-store`, everything about images through `docker-tools`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the program that talks")]

mod answers;
mod args;
mod command;
mod derivations;
mod exit;
mod files;
mod legacy;
mod memory;
mod names;
mod open;
mod profile;
mod realise;
mod settings;
mod stats;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use exit::Failure;
use names::Call;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    open::start_if_asked();
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match names::find(&words) {
        Call::Run(name, rest) => (name.run)(rest),
        Call::Version => say(&format!("mini-nix {}\n", env!("CARGO_PKG_VERSION"))),
        Call::Help => say(&help()),
        Call::Unknown(word) => Err(unknown(&word)),
    };
    // A reader that went away is no failure; it has what it wanted.
    let _ = std::io::stdout().flush();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if failure.code == 0 {
                print!("{}", failure.text);
            } else if !failure.text.is_empty() {
                eprintln!("{}", printable(&failure.text, std::io::stderr().is_terminal()));
            }
            ExitCode::from(failure.code)
        }
    }
}

fn say(text: &str) -> Result<u8, Failure> {
    print!("{text}");
    Ok(0)
}

fn help() -> String {
    let mut text = String::from(
        "Nix without Nix: evaluate, build, and make container images.\n\nUsage: mini-nix COMMAND …\n\n",
    );
    for name in names::LEGACY {
        text += &format!("  {:<12} {}  (also: mini-nix-{})\n", name.name, name.about, name.name);
    }
    for name in names::COMMANDS {
        text += &format!("  {:<12} {}\n", name.name, name.about);
    }
    text + "\n'mini-nix COMMAND --help' says more about one of them.\n"
}

fn unknown(word: &str) -> Failure {
    let near = match names::nearest(word) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => String::new(),
    };
    Failure::usage("mini-nix", format!("unknown command '{word}'{near}"))
}

/// Text as it is said: control characters that came from names, files or builders do not reach a terminal, and
/// colours reach nothing else.
pub(crate) fn printable(text: &str, is_terminal: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // Colours are the one sequence that passes: reports have them, and texts of library authors.
        if let Some(colour) = colour_at(rest) {
            if is_terminal {
                out.push_str(colour);
            }
            rest = &rest[colour.len()..];
            continue;
        }
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() && is_terminal => out.push('\u{fffd}'),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// The sequence at the beginning of a text that chooses a colour or weight.
fn colour_at(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with('m').then(|| &text[..2 + end + 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(
            printable("a\x1b]8;;x\x07b\n\x1b[1mc", true),
            "a\u{fffd}]8;;x\u{fffd}b\n\x1b[1mc"
        );
        assert_eq!(printable("a\x1b]", false), "a\x1b]");
    }

    #[test]
    fn colours_reach_terminals_only() {
        let text = "\x1b[1;31mwarning:\x1b[0m old";
        assert_eq!(printable(text, true), text);
        assert_eq!(printable(text, false), "warning: old");
        assert_eq!(printable("\x1b[2J", true), "\u{fffd}[2J");
    }
}
