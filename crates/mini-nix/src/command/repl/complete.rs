//! What may come where the cursor is: commands, files, variables, attributes.
//!
//! Only names and the dots between them are followed, so a look calls no function of the input. Sets on the way
//! are evaluated, without building or fetching, and for a moment at most; what fails has no candidates.

use std::path::Path;

use nix_eval::{
    Error,
    machine::Machine,
    value::{Attrs, print},
};

use super::{commands::COMMANDS, state::State};

/// What stands before the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// The beginning of a command, with its colon.
    Command(&'a str),
    /// The beginning of a file's name.
    File(&'a str),
    /// The beginning of a name, and the names before it, which dots part. A name may have begun with a quote.
    Name {
        /// The names before it; empty for a variable.
        path: Vec<&'a str>,
        /// What is there of it, without a quote.
        prefix: &'a str,
    },
    /// Something that has no continuation.
    Nothing,
}

/// The word before the cursor, and where the part begins that a candidate replaces.
pub(super) fn word(line: &str, cursor: usize) -> (usize, Word<'_>) {
    let before = &line[..cursor];
    let trimmed = before.trim_start();
    if trimmed.starts_with(':') {
        match trimmed.split_once(char::is_whitespace) {
            None => return (cursor - trimmed.len(), Word::Command(trimmed)),
            Some((":l" | ":load", file)) => {
                let file = file.trim_start();
                return (cursor - file.len(), Word::File(file));
            }
            Some(_) => {}
        }
    }
    let file = tail(before, |c| c.is_alphanumeric() || "/._-+~@".contains(c));
    if file.contains('/') {
        return (cursor - file.len(), Word::File(file));
    }
    name(before)
}

/// The longest end of a text whose characters all are of a kind.
fn tail(text: &str, is_of_kind: impl Fn(char) -> bool) -> &str {
    &text[text.trim_end_matches(is_of_kind).len()..]
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_'-".contains(c)
}

fn begins_no_name(c: char) -> bool {
    !(c.is_ascii_alphabetic() || c == '_')
}

/// A chain of names at the end of a text.
fn name(before: &str) -> (usize, Word<'_>) {
    let nothing = (before.len(), Word::Nothing);
    let prefix = tail(before, is_name);
    let mut rest = &before[..before.len() - prefix.len()];
    // A name after a dot may begin with a quote.
    if let Some(chain) = rest.strip_suffix('"').filter(|chain| chain.ends_with('.')) {
        rest = chain;
    } else if prefix.starts_with(begins_no_name) {
        return nothing;
    }
    let start = rest.len();
    let mut path = Vec::new();
    while let Some(chain) = rest.strip_suffix('.') {
        let part = match chain.strip_suffix('"') {
            Some(open) => open.rsplit('"').next().unwrap_or(open),
            None => tail(chain, is_name),
        };
        let n_quotes = if chain.ends_with('"') { 2 } else { 0 };
        let is_name = n_quotes > 0 || !part.starts_with(begins_no_name);
        match chain.len().checked_sub(part.len() + n_quotes) {
            Some(begin) if !part.is_empty() && is_name => rest = &chain[..begin],
            // What is before the dot is no name: `(f x).`.
            _ => return nothing,
        }
        path.push(part);
    }
    path.reverse();
    // Behind an open quote everything is text, but for what `${` begins.
    let is_open = rest.matches('"').count() % 2 == 1;
    if is_open && rest.rfind("${") < rest.rfind('"') {
        return nothing;
    }
    (start, Word::Name { path, prefix })
}

/// Where a candidate begins, and the candidates, in order.
pub(super) fn candidates(state: &State, line: &str, cursor: usize) -> (usize, Vec<String>) {
    let (start, word) = word(line, cursor);
    let found = match word {
        Word::Command(prefix) => {
            let names = COMMANDS.iter().flat_map(|command| command.names.iter().copied());
            names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
        }
        Word::File(prefix) => files(prefix),
        Word::Name { path, prefix } => {
            let globals = state.session.evaluator.engine().global_names();
            let found = state.look(|m, scope| {
                if path.is_empty() {
                    Ok(variables(m, scope, &globals, prefix))
                } else {
                    attributes(m, scope, &path, prefix)
                }
            });
            found.unwrap_or_default()
        }
        Word::Nothing => Vec::new(),
    };
    (start, found)
}

/// Variables, of the prompt and of the language.
fn variables(m: &Machine, scope: Attrs, globals: &[String], prefix: &str) -> Vec<String> {
    const KEYWORDS: [&str; 8] = ["assert", "else", "if", "in", "inherit", "let", "rec", "then"];
    let own = names(m, scope).into_iter();
    let words =
        globals.iter().cloned().chain(KEYWORDS.map(str::to_owned)).chain(["with".to_owned()]);
    // Names that begin with underscores are there for the sake of old programs.
    let words = words.filter(|name| prefix.starts_with('_') || !name.starts_with('_'));
    let mut all: Vec<String> = own.chain(words).filter(|name| name.starts_with(prefix)).collect();
    all.sort();
    all.dedup();
    all
}

/// Attributes of what a chain of names leads to.
fn attributes(
    m: &mut Machine,
    scope: Attrs,
    path: &[&str],
    prefix: &str,
) -> Result<Vec<String>, Error> {
    let mut found = None;
    for (i, name) in path.iter().enumerate() {
        let symbol = m.symbol(name);
        let next = match found {
            None if i == 0 => scope.get(symbol).or_else(|| m.builtin(name)),
            None => None,
            Some(v) => m.force_attrs(v, "")?.get(symbol),
        };
        match next {
            Some(v) => found = Some(v),
            None => return Ok(Vec::new()),
        }
    }
    let Some(v) = found else { return Ok(Vec::new()) };
    let attrs = m.force_attrs(v, "")?;
    let all = names(m, attrs).into_iter();
    Ok(all.filter(|name| name.starts_with(prefix)).map(|name| written(&name)).collect())
}

fn names(m: &Machine, attrs: Attrs) -> Vec<String> {
    let symbols = m.symbols();
    let names = attrs.iter_by_name(symbols);
    names.map(|(name, _)| String::from_utf8_lossy(symbols.name(name)).into_owned()).collect()
}

/// A name as it is written after a dot.
fn written(name: &str) -> String {
    let mut text = Vec::new();
    print::attr_name(name.as_bytes(), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Files whose names begin so; folders end with a slash.
fn files(prefix: &str) -> Vec<String> {
    let (folder, begin) = prefix
        .rsplit_once('/')
        .map_or(("", prefix), |(_, begin)| (&prefix[..prefix.len() - begin.len()], begin));
    let home = std::env::var("HOME").unwrap_or_default();
    let real = match folder.strip_prefix("~/") {
        Some(rest) => Path::new(&home).join(rest),
        None if folder.is_empty() => Path::new(".").to_owned(),
        None => Path::new(folder).to_owned(),
    };
    let entries = std::fs::read_dir(real).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_hidden = name.starts_with('.') && !begin.starts_with('.');
            let slash = if entry.path().is_dir() { "/" } else { "" };
            (name.starts_with(begin) && !is_hidden).then(|| format!("{folder}{name}{slash}"))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, expected_start: usize, expected: Word<'_>) {
        assert_eq!(word(before, before.len()), (expected_start, expected), "{before}");
    }

    fn named<'a>(path: &[&'a str], prefix: &'a str) -> Word<'a> {
        Word::Name { path: path.to_vec(), prefix }
    }

    #[test]
    fn names_and_the_dots_before_them_are_one_word() {
        check("lib.attr", 4, named(&["lib"], "attr"));
        check("map (x: pkgs.he", 13, named(&["pkgs"], "he"));
        check("a.b.c.", 6, named(&["a", "b", "c"], ""));
        check(":p foo", 3, named(&[], "foo"));
        check("x = ma", 4, named(&[], "ma"));
        check("[ a-b' c_d", 7, named(&[], "c_d"));
        check("", 0, named(&[], ""));
    }

    #[test]
    fn names_may_be_quoted() {
        check("a.\"b c\".d", 8, named(&["a", "b c"], "d"));
        check("a.\"b", 2, named(&["a"], "b"));
        check("\"${a.b", 5, named(&["a"], "b"));
    }

    #[test]
    fn what_is_no_chain_of_names_has_no_continuation() {
        for before in ["(f x).a", "1.", "12", "\"text", "\"text a.b", "''te", "[ 1 ].a"] {
            check(before, before.len(), Word::Nothing);
        }
    }

    #[test]
    fn slashes_make_files_and_colons_commands() {
        check("import ./fo", 7, Word::File("./fo"));
        check("~/x/y", 0, Word::File("~/x/y"));
        check(":l fo", 3, Word::File("fo"));
        check(":lo", 0, Word::Command(":lo"));
        check(" :", 1, Word::Command(":"));
    }

    #[test]
    fn the_cursor_may_stand_within_a_line() {
        assert_eq!(word("a.b.c + d", 3), (2, named(&["a"], "b")));
    }

    #[test]
    fn files_of_a_folder_are_candidates() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command/re");
        let found = files(folder);
        assert_eq!(found, [format!("{folder}pl/")]);
        assert!(files("/no such folder/x").is_empty());
    }
}
