//! The sentences of syntax errors: answer first, then what to do.

use super::{Fail, Kind, Parser};
use crate::{
    source::Span,
    syntax::{
        SyntaxError, SyntaxErrorKind,
        lexer::{IDENT, SPACE, Token, is},
    },
};

impl Parser<'_> {
    /// What the token at hand is, for people.
    fn found(&self, token: Token) -> String {
        match token.kind {
            Kind::End => "end of file".into(),
            Kind::Quote | Kind::IndentedQuote => "a string".into(),
            Kind::Invalid => match self.bytes_of(token) {
                b"/*" => "a comment that does not end".into(),
                bytes => match bytes[0] {
                    0x20..0x7f => format!("'{}'", bytes[0] as char),
                    byte => match self.character(token.start) {
                        Some(c) => format!("the character {c:?} (U+{:04X})", c as u32),
                        None => format!("the byte 0x{byte:02x}"),
                    },
                },
            },
            _ => {
                let text = String::from_utf8_lossy(self.bytes_of(token));
                match text.char_indices().nth(40) {
                    Some((cut, _)) => format!("'{}…'", &text[..cut]),
                    None => format!("'{text}'"),
                }
            }
        }
    }

    /// The character that begins at a byte, if the text is UTF-8 there.
    fn character(&self, at: u32) -> Option<char> {
        let bytes = &self.text[at as usize..];
        (1..=4.min(bytes.len()))
            .find_map(|n| std::str::from_utf8(&bytes[..n]).ok())
            .and_then(|s| s.chars().next())
    }

    fn syntax(&self, span: Span, message: String) -> SyntaxError {
        SyntaxError::new(SyntaxErrorKind::Syntax, span, message)
    }

    /// Something else should stand where the token at hand is.
    #[cold]
    pub(super) fn expected(&self, what: &str) -> Fail {
        let found = self.found(self.token);
        let error = self.syntax(self.token.span(), format!("expected {what}, but found {found}"));
        Box::new(if self.token.kind == Kind::Assign { self.explain(error) } else { error })
    }

    #[cold]
    pub(super) fn unclosed(&self, open: Span, close: &str) -> Fail {
        let found = self.found(self.token);
        let message = format!("expected {close}, but found {found}");
        let error = self.syntax(self.token.span(), message).other(open, "opened here");
        Box::new(self.explain(error))
    }

    #[cold]
    pub(super) fn unclosed_string(&self, start: u32, quote: &'static str) -> Fail {
        let span = Span { start, end: start + quote.len() as u32 };
        let message = format!("this string does not end; its closing {quote} is missing");
        let mut error = self.syntax(span, message).label("the string begins here");
        error.unfinished = true;
        Box::new(error)
    }

    #[cold]
    pub(super) fn unclosed_interpolation(&self, open: Span) -> Fail {
        let found = self.found(self.token);
        Box::new(
            self.syntax(
                self.token.span(),
                format!("expected '}}' to end the interpolation, but found {found}"),
            )
            .other(open, "it begins here")
            .help("a literal '${' is written '''${' in indented strings and '\\${' in others"),
        )
    }

    /// The file should be over.
    #[cold]
    pub(super) fn unexpected_after_expr(&self) -> Fail {
        let error = match self.token.kind {
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen => {
                let found = self.found(self.token);
                self.syntax(self.token.span(), format!("{found} closes nothing"))
            }
            _ => {
                let found = self.found(self.token);
                self.syntax(
                    self.token.span(),
                    format!("expected the end of the file, but found {found}"),
                )
            }
        };
        Box::new(self.explain(error))
    }

    /// Adds what usually leads to a stray token like the one at hand.
    fn explain(&self, error: SyntaxError) -> SyntaxError {
        match self.token.kind {
            Kind::Colon => {
                error.help("a function that is an operand or an argument needs parentheses")
            }
            Kind::Assign => error.help("'=' binds names in sets and 'let'; equality is '=='"),
            Kind::Comma => error.help("list elements are parted by spaces, bindings by ';'"),
            Kind::Semicolon => error.help("';' ends a binding; there is none here"),
            _ => error,
        }
    }

    /// An operand should stand here.
    #[cold]
    pub(super) fn not_an_operand(&self, token: Token) -> Fail {
        let found = self.found(token);
        let error = match token.kind {
            Kind::If | Kind::Let | Kind::With | Kind::Assert => self
                .syntax(token.span(), format!("{found} cannot be an operand as it is"))
                .help("put the whole expression into parentheses"),
            Kind::Then | Kind::Else | Kind::In | Kind::Inherit => self.syntax(
                token.span(),
                format!("expected an expression, but found the keyword {found}"),
            ),
            _ => {
                let error =
                    self.syntax(token.span(), format!("expected an expression, but found {found}"));
                self.explain(error)
            }
        };
        Box::new(error)
    }

    #[cold]
    pub(super) fn bad_list_item(&self, open: Span) -> Fail {
        let found = self.found(self.token);
        let error = self
            .syntax(self.token.span(), format!("expected ']' or a list element, but found {found}"))
            .other(open, "the list begins here");
        Box::new(match self.token.kind {
            Kind::Minus | Kind::Plus | Kind::Not => {
                error.help("an element that uses an operator needs parentheses, as in [ (-1) ]")
            }
            Kind::If | Kind::With | Kind::Assert => error.help("put the element into parentheses"),
            _ => self.explain(error),
        })
    }

    /// A binding, or the end of the set, should stand here.
    #[cold]
    pub(super) fn bad_binding(&self, start: u32, close: Kind) -> Fail {
        let found = self.found(self.token);
        let (what, opened) = match close {
            Kind::In => ("a binding or 'in'", "the 'let' begins here"),
            _ => ("a binding or '}'", "the set begins here"),
        };
        let open = Span { start, end: start + 1 };
        let error = self
            .syntax(self.token.span(), format!("expected {what}, but found {found}"))
            .other(open, opened);
        Box::new(match self.token.kind {
            Kind::Comma => error.help("bindings end with ';', not ','"),
            Kind::Semicolon => error.help("this ';' ends nothing"),
            _ if close == Kind::In => error.help("the value of a 'let' comes after 'in'"),
            _ => error,
        })
    }

    #[cold]
    pub(super) fn no_assign(&self, name: Span) -> Fail {
        let found = self.found(self.token);
        let error = self
            .syntax(
                self.token.span(),
                format!("expected '=' or '.' after this name, but found {found}"),
            )
            .other(name, "the name");
        Box::new(match self.token.kind {
            Kind::Equal => error.help("a name is bound with a single '='"),
            Kind::Colon => error.help("a name is bound with '=', not ':'"),
            Kind::Semicolon | Kind::CloseBrace => {
                error.help("to take a name from outside, write 'inherit name;'")
            }
            _ => error,
        })
    }

    #[cold]
    pub(super) fn no_semicolon(&self, name: Span) -> Fail {
        let found = self.found(self.token);
        // The place that needs the semicolon is the end of the value, not the next line.
        let next = self.next_binding();
        let end = next.map_or(self.last_end, |(value_end, _)| value_end);
        let place = Span { start: end, end: end + 1 };
        let error = self.syntax(place, "expected ';' after this value".into());
        Box::new(match (self.token.kind, next) {
            (_, Some((_, next))) => {
                error.label("put ';' here").other(next, "the next binding begins here")
            }
            (Kind::CloseBrace, _) => {
                error.label("put ';' here").other(self.token.span(), "the set ends here")
            }
            (Kind::End, _) => {
                error.label("put ';' here").other(self.token.span(), "the file ends here")
            }
            (Kind::In, _) => {
                error.label("put ';' here").other(self.token.span(), "the 'let' ends here")
            }
            (Kind::Inherit, _) => {
                error.label("put ';' here").other(self.token.span(), "the next binding begins here")
            }
            (Kind::Comma, _) => error
                .label("put ';' here")
                .other(self.token.span(), "not ','")
                .help("bindings end with ';', not ','"),
            _ => {
                let message = format!("expected ';' after the value, but found {found}");
                self.explain(self.syntax(self.token.span(), message)).other(name, "of this binding")
            }
        })
    }

    /// If the token at hand is the `=` of a binding whose name was read as part of the value before: where
    /// that value ends, and the name. Such a name stands on a line of its own.
    fn next_binding(&self) -> Option<(u32, Span)> {
        if self.token.kind != Kind::Assign {
            return None;
        }
        let before = &self.text[..self.last_end as usize];
        let name = before
            .iter()
            .rposition(|&b| !(is(b, IDENT) || matches!(b, b'.' | b'"')))
            .map_or(0, |at| at + 1);
        let value_end = before[..name].iter().rposition(|&b| !is(b, SPACE))? + 1;
        let apart = &before[value_end..name];
        let span = Span { start: name as u32, end: self.last_end };
        apart.contains(&b'\n').then_some((value_end as u32, span))
    }
    #[cold]
    pub(super) fn not_associative(&self, kind: Kind) -> Fail {
        let found = self.found(self.token);
        let message = match kind {
            Kind::PipeLeft | Kind::PipeRight => "'|>' and '<|' cannot be mixed".to_string(),
            _ => format!("{found} cannot follow another comparison of its kind"),
        };
        Box::new(self.syntax(self.token.span(), message).help("use parentheses"))
    }

    #[cold]
    pub(super) fn dynamic_in_let(&self, span: Span) -> Fail {
        Box::new(
            self.syntax(span, "dynamic attributes not allowed in let".into())
                .help("the names of a 'let' must be known when the file is read"),
        )
    }

    #[cold]
    pub(super) fn dynamic_in_inherit(&self, span: Span) -> Fail {
        Box::new(
            self.syntax(span, "dynamic attributes not allowed in inherit".into())
                .help("write it as a binding: ${name} = …"),
        )
    }
}
