//! `:doc`: what is written about a function: the record of a builtin, or the comment before a lambda.

use nix_eval::{
    Error,
    builtins::Builtin,
    error::Class,
    machine::Machine,
    value::{FunctionView, Value},
};

use super::state::State;
use crate::exit::Failure;

/// The documentation of an expression's value, without a line break at its end.
///
/// # Errors
/// When the evaluation fails, or nothing is written about the value.
pub(super) fn show(state: &State, expression: &str) -> Result<String, Failure> {
    // A builtin that is no function is known by its name only.
    let engine = state.session.evaluator.engine();
    let name = expression.strip_prefix("builtins.").unwrap_or_default();
    if let Some(record) = engine.builtins().find(|b| b.name == name && b.params.is_empty()) {
        return Ok(text(record));
    }
    state.with(expression, of_value)
}

fn of_value(m: &mut Machine, v: Value) -> Result<String, Error> {
    let mut function = v;
    if let Some(attrs) = v.as_attrs()
        && let Some(functor) = attrs.get(m.symbol("__functor"))
    {
        function = m.force(functor)?;
    }
    let mut view = function.as_function().map(|f| f.view());
    if let Some(FunctionView::Partial(partial)) = view {
        view = partial.function().as_function().map(|f| f.view());
    }
    match view {
        Some(FunctionView::Builtin(b)) if !b.builtin().doc.is_empty() => Ok(text(b.builtin())),
        Some(FunctionView::Lambda(lambda)) => {
            let place = lambda.location();
            let sources = m.sources();
            let comment = sources
                .get(place.file)
                .and_then(|source| comment_before(&source.text, place.span.start as usize));
            comment.ok_or_else(|| {
                let place = sources.describe(place);
                let message =
                    format!("there is no comment '/** … */' before the function at {place}");
                Error::new(Class::Argument, message)
            })
        }
        _ => {
            let found = v.view().with_article();
            let message = format!("expected a function that is documented, but found {found}");
            Err(Error::new(Class::Argument, message))
        }
    }
}

/// The record of a builtin as text.
fn text(builtin: &Builtin) -> String {
    let mut out = format!("Synopsis: builtins.{}", builtin.name);
    for param in builtin.params {
        out += &format!(" {param}");
    }
    out += &format!("\n\n{}", builtin.doc);
    for example in builtin.examples {
        out += &format!("\n\n  {}\n  # {}", example.source, example.shows);
    }
    out
}

/// The comment `/** … */` before a function that begins at a byte: before it, or before the name it is bound to.
fn comment_before(text: &[u8], at: usize) -> Option<String> {
    let before = std::str::from_utf8(text.get(..at)?).ok()?;
    let before = before.trim_end_matches(|c: char| c.is_whitespace() || c == '(');
    let comment = comment_at_end(before).or_else(|| {
        let name = before.strip_suffix('=')?.trim_end();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_'-.\"".contains(c);
        comment_at_end(name.trim_end_matches(is_name).trim_end())
    })?;
    Some(unindent(comment))
}

fn comment_at_end(text: &str) -> Option<&str> {
    let inner = text.strip_suffix("*/")?;
    let start = inner.rfind("/*")?;
    inner[start + 2..].strip_prefix('*')
}

/// A comment without the white space that all its lines but the first begin with.
fn unindent(comment: &str) -> String {
    let lines = comment.lines().skip(1).filter(|line| !line.trim().is_empty());
    let width = |line: &str| line.len() - line.trim_start().len();
    let least = lines.map(width).min().unwrap_or(0);
    let mut out = String::new();
    for (i, line) in comment.lines().enumerate() {
        let line = if i == 0 { line.trim_start() } else { line.get(least..).unwrap_or("") };
        out += line.trim_end();
        out.push('\n');
    }
    out.trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let at = text.find("x:").expect("has a function");
        assert_eq!(comment_before(text.as_bytes(), at).as_deref(), expected, "{text}");
    }

    #[test]
    fn the_comment_stands_before_the_function_or_its_name() {
        check("/** Doc. */ x: x", Some("Doc."));
        check("{ /** Doc. */ f = x: x; }", Some("Doc."));
        check(
            "{\n  /**\n    One.\n\n      Two.\n  */\n  a.\"b\" = (x: x); }",
            Some("One.\n\n  Two."),
        );
        check("{ a = 1; f = /** Doc. */ x: x; }", Some("Doc."));
    }

    #[test]
    fn other_comments_and_other_places_do_not_count() {
        check("/* No. */ x: x", None);
        check("{ /** No. */ a = 1; f = x: x; }", None);
        check("# /** No.\nx: x", None);
        check("x: x", None);
        check("/**/ x: x", None);
    }
}
