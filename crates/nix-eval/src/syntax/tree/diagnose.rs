//! Several mistakes in one answer, from rnix, in plain words.
//!
//! rnix names kinds of tokens and cascades; its errors are translated, those at one place are one, and what
//! follows from a bracket that is never closed is dropped.

use rnix::{ParseError, SyntaxKind};
use rowan::TextRange;

use super::{Bounds, SyntaxTree};
use crate::{
    source::Span,
    syntax::{
        SyntaxError, SyntaxErrorKind,
        lexer::{Lexer, Token},
    },
};

/// How many mistakes are shown besides the first.
const MAX_MISTAKES: usize = 5;
/// The mistakes that a recovering parser sees in a text, in order of position. Empty if it sees none, or must
/// not read the text. Costs up to the square of nesting; ask only after [`crate::syntax::read`] has refused.
pub fn diagnose(text: &[u8]) -> Vec<SyntaxError> {
    match SyntaxTree::read(text, Bounds::STRANGERS) {
        Ok(tree) => tree.mistakes(text),
        Err(_) => Vec::new(),
    }
}

/// The mistakes of [`diagnose`] that lie on lines after the one of `first`, up to five.
pub fn mistakes_after(text: &[u8], first: &SyntaxError) -> Vec<SyntaxError> {
    let mut mistakes = match SyntaxTree::read(text, Bounds::STRANGERS) {
        Ok(tree) if may_have_more(first) => tree.mistakes_after(text, first),
        _ => Vec::new(),
    };
    mistakes.truncate(MAX_MISTAKES);
    mistakes
}

/// Whether what comes after an error can be believed.
fn may_have_more(first: &SyntaxError) -> bool {
    matches!(first.kind, SyntaxErrorKind::Syntax | SyntaxErrorKind::Duplicate)
        // Behind a string or comment without an end everything looks wrong.
        && !first.message.contains("does not end")
}

impl SyntaxTree {
    /// The mistakes in the text that the tree was read from, in order of position: one a line, in plain words.
    fn mistakes(&self, text: &[u8]) -> Vec<SyntaxError> {
        let Ok(text) = std::str::from_utf8(text) else { return Vec::new() };
        let mut mistakes: Vec<SyntaxError> =
            self.errors.iter().filter_map(|error| translate(text, error)).collect();
        mistakes.sort_by_key(|mistake| mistake.span);
        // One mistake makes several errors on its line; the first of them says most.
        let mut seen_line = usize::MAX;
        let mut line = 0;
        let mut counted_to = 0;
        mistakes.retain(|mistake| {
            let start = mistake.span.start as usize;
            line += text.as_bytes()[counted_to..start].iter().filter(|&&b| b == b'\n').count();
            counted_to = start;
            std::mem::replace(&mut seen_line, line) != line
        });
        mistakes
    }

    /// The mistakes in the text that the tree was read from, on lines after the one of `first`, which
    /// [`crate::syntax::read`] gave.
    pub fn mistakes_after(&self, text: &[u8], first: &SyntaxError) -> Vec<SyntaxError> {
        if !may_have_more(first) {
            return Vec::new();
        }
        let from = (first.span.start as usize).min(text.len());
        // What another place of the first error explains is not a mistake of its own.
        let explained = first.others.iter().map(|(span, _)| span.end as usize).max().unwrap_or(0);
        let from = from.max(explained.min(text.len()));
        let after = &text[from..];
        let line_end = after.iter().position(|&b| b == b'\n').map_or(text.len(), |n| from + n);
        let mut mistakes = self.mistakes(text);
        mistakes.retain(|mistake| mistake.span.start as usize > line_end);
        mistakes
    }
}

fn translate(text: &str, error: &ParseError) -> Option<SyntaxError> {
    // rnix's ranges can hold a whole line; its first token is enough to point at.
    let make = |range: &TextRange, message: String| {
        let token = first_token(text, range);
        let span = Span { start: token.start, end: token.end };
        Some(SyntaxError::new(SyntaxErrorKind::Syntax, span, message))
    };
    match error {
        ParseError::Unexpected(range) => {
            make(range, format!("{} cannot stand here", quote(text, range)))
        }
        ParseError::UnexpectedExtra(range) => match &text[range.start().into()..range.end().into()]
        {
            closer @ ("}" | "]" | ")") => make(range, format!("'{closer}' closes nothing")),
            _ => make(range, format!("{} comes after the end of the program", quote(text, range))),
        },
        ParseError::UnexpectedWanted(_, range, wanted) => {
            let found = quote(text, range);
            // rnix that would take nearly anything has lost its way: that is no news.
            make(range, format!("expected {}, but found {found}", wants(wanted)?))
        }
        ParseError::UnexpectedDoubleBind(range) => {
            make(range, "the whole argument is named twice".into())
        }
        ParseError::DuplicatedArgs(range, name) => {
            make(range, format!("duplicate formal function argument '{name}'"))
        }
        // These follow from something that is open, which the first error names.
        ParseError::UnexpectedEOF
        | ParseError::UnexpectedEOFWanted(_)
        | ParseError::RecursionLimitExceeded => None,
        _ => None,
    }
}

fn first_token(text: &str, range: &TextRange) -> Token {
    Lexer::new(&text.as_bytes()[..usize::from(range.end())]).next(range.start().into())
}

/// The token at the beginning of a range, in quotes.
fn quote(text: &str, range: &TextRange) -> String {
    let token = first_token(text, range);
    let bytes = &text.as_bytes()[token.start as usize..token.end as usize];
    let token = String::from_utf8_lossy(bytes);
    match token.char_indices().nth(30) {
        Some((cut, _)) => format!("'{}…'", &token[..cut]),
        None => format!("'{token}'"),
    }
}

/// A short list of kinds in words.
fn wants(kinds: &[SyntaxKind]) -> Option<String> {
    let mut words: Vec<&str> = kinds.iter().filter_map(|&kind| word(kind)).collect();
    words.dedup();
    match words.len() {
        1..=3 => Some(words.join(" or ")),
        _ => None,
    }
}

fn word(kind: SyntaxKind) -> Option<&'static str> {
    Some(match kind {
        SyntaxKind::TOKEN_SEMICOLON => "';'",
        SyntaxKind::TOKEN_ASSIGN => "'='",
        SyntaxKind::TOKEN_COLON => "':'",
        SyntaxKind::TOKEN_COMMA => "','",
        SyntaxKind::TOKEN_DOT => "'.'",
        SyntaxKind::TOKEN_AT => "'@'",
        SyntaxKind::TOKEN_QUESTION => "'?'",
        SyntaxKind::TOKEN_ELLIPSIS => "'...'",
        SyntaxKind::TOKEN_L_BRACE => "'{'",
        SyntaxKind::TOKEN_R_BRACE => "'}'",
        SyntaxKind::TOKEN_L_BRACK => "'['",
        SyntaxKind::TOKEN_R_BRACK => "']'",
        SyntaxKind::TOKEN_L_PAREN => "'('",
        SyntaxKind::TOKEN_R_PAREN => "')'",
        SyntaxKind::TOKEN_INTERPOL_END => "'}'",
        SyntaxKind::TOKEN_IDENT => "a name",
        SyntaxKind::TOKEN_IN => "'in'",
        SyntaxKind::TOKEN_THEN => "'then'",
        SyntaxKind::TOKEN_ELSE => "'else'",
        SyntaxKind::TOKEN_STRING_END => "the end of the string",
        _ => return None,
    })
}
