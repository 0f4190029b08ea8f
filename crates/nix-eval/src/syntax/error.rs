//! What can be wrong with a text.

use crate::{source::Span, symbol::Symbol};

/// What a caller may want to tell apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyntaxErrorKind {
    /// The text is not a program (class `parse`).
    Syntax,
    /// An attribute or a formal is defined twice (class `parse`).
    Duplicate,
    /// A name that nothing binds (class `undefined`).
    Undefined(Symbol),
    /// A construct whose feature is off (class `feature`).
    Feature,
    /// A home path where the machine's state may not be read (class `restricted`).
    Restricted,
    /// Nesting beyond [`super::ReadOptions::max_depth`], or a text beyond 4 GiB (class `limit`).
    TooDeep,
    /// [`super::ReadOptions::poll`] asked to stop (class `interrupted`).
    Cancelled,
}

/// Why a text is not a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// For code.
    pub kind: SyntaxErrorKind,
    /// Where.
    pub span: Span,
    /// For people: lower case, no full stop.
    pub message: String,
    /// Label at `span`, such as "put ';' here"; may be empty.
    pub label: Box<str>,
    /// Other places that matter, with a label each.
    pub others: Vec<(Span, String)>,
    /// What to do about it, if we know.
    pub help: Option<Box<SyntaxHelp>>,
    /// Further mistakes of the same reading, such as more unbound names; they have no `further` of their own.
    pub further: Vec<SyntaxError>,
    /// Whether the text may be the beginning of a program: what is wrong is that it ends.
    pub unfinished: bool,
}

/// What to do about an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyntaxHelp {
    /// For people.
    pub text: Box<str>,
    /// What may have been meant, to be put in place of the error's span.
    pub replacement: Option<Box<str>>,
}

impl From<&str> for Box<SyntaxHelp> {
    fn from(text: &str) -> Box<SyntaxHelp> {
        Box::new(SyntaxHelp { text: text.into(), replacement: None })
    }
}

impl SyntaxError {
    /// An error with nothing but a place and a sentence.
    #[cold]
    pub fn new(kind: SyntaxErrorKind, span: Span, message: impl Into<String>) -> SyntaxError {
        SyntaxError {
            kind,
            span,
            message: message.into(),
            label: Box::default(),
            others: Vec::new(),
            help: None,
            further: Vec::new(),
            unfinished: false,
        }
    }

    /// With a label at the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<Box<str>>) -> SyntaxError {
        self.label = label.into();
        self
    }

    /// With another place.
    #[must_use]
    pub fn other(mut self, span: Span, label: impl Into<String>) -> SyntaxError {
        self.others.push((span, label.into()));
        self
    }

    /// With a hint.
    #[must_use]
    pub fn help(mut self, help: &str) -> SyntaxError {
        self.help = Some(help.into());
        self
    }
}
