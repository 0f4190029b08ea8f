//! What one input at the prompt asks for.

use super::commands::takes_expression;

/// One input, which may have several lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Nothing but white space, or a comment on a line of its own.
    Blank,
    /// `:name argument`; the name has its colon, the argument is trimmed.
    Command {
        /// The name.
        name: &'a str,
        /// What comes after it.
        argument: &'a str,
    },
    /// `name = expression`.
    Bind {
        /// The variable.
        name: &'a str,
        /// Its value.
        expression: &'a str,
    },
    /// An expression.
    Expression(&'a str),
}

const KEYWORDS: [&str; 9] = ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];

impl<'a> Line<'a> {
    /// Reads an input.
    pub(super) fn parse(text: &'a str) -> Line<'a> {
        let text = text.trim();
        let is_comment = text.starts_with('#') && !text.contains('\n');
        if text.is_empty() || is_comment {
            return Line::Blank;
        }
        if text.starts_with(':') {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            let (name, argument) = text.split_at(end);
            return Line::Command { name, argument: argument.trim_start() };
        }
        match binding(text) {
            Some((name, expression)) => Line::Bind { name, expression },
            None => Line::Expression(text),
        }
    }

    /// The part that is read as an expression, and may go on in the next line.
    pub(super) fn expression(&self) -> Option<&'a str> {
        match self {
            Line::Bind { expression, .. } => Some(expression),
            Line::Expression(text) => Some(text),
            // A command alone misses its argument; waiting for it would look as if nothing happened.
            Line::Command { name, argument } if takes_expression(name) && !argument.is_empty() => {
                Some(argument)
            }
            Line::Command { .. } | Line::Blank => None,
        }
    }
}

/// Name and value of `name = value`. A `;` at the end may stand there, as in a set.
fn binding(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_'-".contains(c)))?;
    let (name, rest) = text.split_at(end);
    let begins_name = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(begins_name) || KEYWORDS.contains(&name) {
        return None;
    }
    let value = rest.trim_start().strip_prefix('=')?;
    if value.starts_with('=') {
        return None;
    }
    let value = value.trim();
    Some((name, value.strip_suffix(';').unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Line<'_>) {
        assert_eq!(Line::parse(text), expected, "{text}");
    }

    #[test]
    fn commands_begin_with_a_colon() {
        check(":t  1 + 1 ", Line::Command { name: ":t", argument: "1 + 1" });
        check(" :q", Line::Command { name: ":q", argument: "" });
        check(":t\n{\n}", Line::Command { name: ":t", argument: "{\n}" });
    }

    #[test]
    fn one_name_before_one_equals_sign_is_a_binding() {
        check("x=1", Line::Bind { name: "x", expression: "1" });
        check("a-b' = x: x;", Line::Bind { name: "a-b'", expression: "x: x" });
        check("x =", Line::Bind { name: "x", expression: "" });
        for text in ["x == 1", "x ==1", "x.y = 1", "\"x\" = 1", "1 = 1", "let = 1", "x y = 1", "x"]
        {
            check(text, Line::Expression(text));
        }
    }

    #[test]
    fn blank_lines_and_comments_ask_for_nothing() {
        check("  \n ", Line::Blank);
        check("# 1 + 1", Line::Blank);
        check("# one\n1", Line::Expression("# one\n1"));
    }

    #[test]
    fn expressions_may_go_on() {
        assert_eq!(Line::parse("x = {").expression(), Some("{"));
        assert_eq!(Line::parse(":p [").expression(), Some("["));
        assert_eq!(Line::parse(":p").expression(), None);
        assert_eq!(Line::parse(":l {").expression(), None);
    }
}
