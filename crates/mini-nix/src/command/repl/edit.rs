//! `:e`: opens the file of a value in the user's editor.

use std::process::Command;

use nix_eval::{
    Error,
    error::Class,
    machine::{Coerce, Machine},
    source::{Location, Origin},
    value::{ContextBuilder, FunctionView, Value, View},
};

use super::state::State;
use crate::exit::Failure;

/// A file, and a line in it, from 1.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    file: String,
    line: u32,
}

/// Opens the file of an expression's value, and waits for the editor to end.
///
/// # Errors
/// A value that no file belongs to, no `$EDITOR`, an editor that cannot be started or fails.
pub(super) fn open(state: &State, expression: &str) -> Result<(), Failure> {
    let place = state.with(expression, place)?;
    let editor = std::env::var("EDITOR").unwrap_or_default();
    let words = words(&editor, &place);
    let Some((program, words)) = words.split_first() else {
        return Err(Failure::new("no editor is known: set EDITOR"));
    };
    let status = Command::new(program)
        .args(words)
        .status()
        .map_err(|e| Failure::new(format!("cannot start the editor '{program}': {e}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("the editor '{program}' failed ({status})"))),
    }
}

/// The words that start an editor at a place. Only some editors are known to take a line.
fn words(editor: &str, place: &Place) -> Vec<String> {
    const WITH_LINE: [&str; 10] =
        ["emacs", "emacsclient", "jed", "joe", "kak", "micro", "nano", "nvim", "vi", "vim"];
    let mut words: Vec<String> = editor.split_whitespace().map(str::to_owned).collect();
    let name = words.first().and_then(|program| program.rsplit('/').next());
    if name.is_some_and(|name| WITH_LINE.contains(&name)) && place.line > 0 {
        words.push(format!("+{}", place.line));
    }
    if !words.is_empty() {
        words.push(place.file.clone());
    }
    words
}

/// Where a value is written: a path or string names a file, a function knows its place, a package says its own.
fn place(m: &mut Machine, v: Value) -> Result<Place, Error> {
    match v.view() {
        View::Path(_) | View::String(_) => {
            let text = m.coerce_to_string(v, Coerce::PATH_TEXT, &mut ContextBuilder::new())?;
            Ok(Place { file: text.to_text(), line: 0 })
        }
        View::Function(function) => match function.view() {
            FunctionView::Lambda(lambda) => in_file(m, lambda.location()),
            _ => Err(nowhere(m, v)),
        },
        View::Attrs(attrs) => {
            let Some(meta) = attrs.get(m.symbol("meta")) else { return Err(nowhere(m, v)) };
            let meta = m.force_attrs(meta, "'meta'")?;
            let Some(position) = meta.get(m.symbol("position")) else { return Err(nowhere(m, v)) };
            let position = m.force_string(position, "'meta.position'")?.to_text();
            match position.rsplit_once(':').map(|(file, line)| (file, line.parse())) {
                Some((file, Ok(line))) => Ok(Place { file: file.to_owned(), line }),
                _ => Ok(Place { file: position, line: 0 }),
            }
        }
        _ => Err(nowhere(m, v)),
    }
}

fn in_file(m: &Machine, location: Location) -> Result<Place, Error> {
    let sources = m.sources();
    let source = sources.get(location.file);
    match source.as_ref().map(|source| &source.origin) {
        Some(Origin::Path(path)) if !path.starts_with(b"<") => {
            let (line, _) = sources.line_column(location.file, location.span.start);
            Ok(Place { file: String::from_utf8_lossy(path).into_owned(), line })
        }
        _ => {
            let place = sources.describe(location);
            Err(Error::new(Class::Argument, format!("the function at {place} lies in no file")))
        }
    }
}

fn nowhere(m: &Machine, v: Value) -> Error {
    let found = v.view().with_article();
    let message =
        format!("{found} has no place in a file, and no 'meta.position': {}", m.preview(v));
    Error::new(Class::Argument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_that_are_known_are_given_the_line() {
        let place = Place { file: "/a b.nix".to_owned(), line: 7 };
        assert_eq!(words("/usr/bin/vim -R", &place), ["/usr/bin/vim", "-R", "+7", "/a b.nix"]);
        assert_eq!(words("ed", &place), ["ed", "/a b.nix"]);
        assert!(words("", &place).is_empty());
        let file = Place { file: "/x".to_owned(), line: 0 };
        assert_eq!(words("nano", &file), ["nano", "/x"]);
    }
}
