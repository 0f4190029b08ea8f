//! Which command a call means: by the name of the executable, or by the first word after `mini-nix`.

use crate::{command, legacy};

/// One command: its own name and what runs it.
pub(crate) struct Name {
    /// The word after `mini-nix-`, or after `nix-` when a link stands in for C++ Nix's command.
    pub(crate) name: &'static str,
    /// One line for `mini-nix --help`.
    pub(crate) about: &'static str,
    /// Runs it with the words after the name; gives the exit code.
    pub(crate) run: fn(&[String]) -> Result<u8, crate::exit::Failure>,
}

/// Commands that have an executable name of their own.
pub(crate) const LEGACY: &[Name] = &[
    Name { name: "build", about: "build what an expression describes", run: legacy::build::run },
    Name {
        name: "env",
        about: "list the packages that an expression offers",
        run: legacy::env::run,
    },
    Name {
        name: "instantiate",
        about: "evaluate an expression, or turn it into store derivations",
        run: legacy::instantiate::run,
    },
    Name { name: "store", about: "query and change the store", run: legacy::store::run },
];

/// Commands that are only known as `mini-nix NAME`.
pub(crate) const COMMANDS: &[Name] = &[
    Name {
        name: "eval",
        about: "evaluate an expression and print its value",
        run: command::eval::run,
    },
    Name {
        name: "eval-jobs",
        about: "print the derivations of an expression as JSON, one a line",
        run: command::eval_jobs::run,
    },
    Name {
        name: "parse",
        about: "print the concrete syntax tree of a file, and all its syntax errors",
        run: command::parse::run,
    },
    Name { name: "repl", about: "evaluate expressions as they are typed", run: command::repl::run },
];

/// What a call asks for.
pub(crate) enum Call<'a> {
    /// Run this command with these words.
    Run(&'static Name, &'a [String]),
    /// `mini-nix`, `mini-nix --help`.
    Help,
    /// `mini-nix --version`.
    Version,
    /// No such command: the word that was given.
    Unknown(String),
}

/// Finds the command of a call. `words[0]` is the name of the executable as it was called.
pub(crate) fn find(words: &[String]) -> Call<'_> {
    let called = words.first().map(String::as_str).unwrap_or("mini-nix");
    let base = called.rsplit('/').next().unwrap_or(called);
    let rest = words.get(1..).unwrap_or(&[]);
    let own = base.strip_prefix("mini-nix-").or_else(|| base.strip_prefix("nix-"));
    if let Some(own) = own {
        return match LEGACY.iter().find(|n| n.name == own) {
            Some(name) => Call::Run(name, rest),
            None => Call::Unknown(own.to_owned()),
        };
    }
    match rest.first().map(String::as_str) {
        None | Some("--help" | "-h" | "help") => Call::Help,
        Some("--version") => Call::Version,
        Some(word) => match LEGACY.iter().chain(COMMANDS).find(|n| n.name == word) {
            Some(name) => Call::Run(name, &rest[1..]),
            None => Call::Unknown(word.to_owned()),
        },
    }
}

/// The command nearest to a misspelled one, if one is near.
pub(crate) fn nearest(word: &str) -> Option<&'static str> {
    let near = |name: &&'static str| distance(word, name) <= 2;
    LEGACY.iter().chain(COMMANDS).map(|n| n.name).filter(near).min_by_key(|n| distance(word, n))
}

/// Edit distance in bytes; command names are short and ASCII.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<u8> = b.bytes().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[track_caller]
    fn check(call: &[&str], expected: &str, n_rest: usize) {
        let call = words(call);
        match find(&call) {
            Call::Run(name, rest) => {
                assert_eq!(name.name, expected);
                assert_eq!(rest.len(), n_rest);
            }
            _ => panic!("{call:?} is not understood"),
        }
    }

    #[test]
    fn the_name_of_the_executable_or_the_first_word_chooses() {
        check(&["/usr/bin/mini-nix-build", "a.nix"], "build", 1);
        check(&["nix-build"], "build", 0);
        check(&["mini-nix", "build", "x", "y"], "build", 2);
        check(&["mini-nix", "eval"], "eval", 0);
    }

    #[test]
    fn a_misspelled_command_has_a_suggestion() {
        assert_eq!(nearest("biuld"), Some("build"));
        assert_eq!(nearest("frobnicate"), None);
    }
}
