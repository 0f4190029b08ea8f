//! Bytes to tokens, on demand.
//!
//! The longest match wins, so nearly every token can turn out to be the beginning of a path or a URI: `a` in
//! `a/b`, `1` in `1/3`, `-` in `-x/y`, `a.b` in `a.b:c`. Such a token is followed by more bytes of the class
//! that paths are made of; the end of that *run* decides, and it is remembered, so `a.b.c…` stays linear.
//!
//! Strings, indented strings and what follows the first segment of a path are read by the parser, which asks
//! for the next token only when it is back in plain code.

mod class;
mod number;
mod path;

use class::{COMMENT, Ident};
pub(super) use class::{DIGIT, IDENT, PATH, Plain, SPACE, is, run_of};
pub(super) use number::{NumberError, number};

use crate::source::Span;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    End,
    /// A byte that begins nothing, or an unterminated comment.
    Invalid,
    Ident,
    If,
    Then,
    Else,
    Assert,
    With,
    Let,
    In,
    Rec,
    Inherit,
    Or,
    Int,
    Float,
    /// A path, or the first segment of an interpolated one.
    Path,
    /// The same, beginning with `~`.
    HomePath,
    /// `<a/b>`
    Lookup,
    Uri,
    /// `"`
    Quote,
    /// `''`
    IndentedQuote,
    /// `${`
    DollarBrace,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    Assign,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or2,
    Implies,
    Update,
    Concat,
    Plus,
    Minus,
    Star,
    Slash,
    Not,
    Question,
    Dot,
    Ellipsis,
    At,
    Colon,
    Semicolon,
    Comma,
    PipeRight,
    PipeLeft,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Token {
    pub(super) fn span(self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// A position in a text, and what is known about the bytes around it.
pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    /// The last run of path bytes that was measured, and its last underscore.
    run: path::Run,
}

impl<'a> Lexer<'a> {
    /// `text` must be shorter than 4 GiB.
    pub(super) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer { text, run: path::Run::default() }
    }

    /// The byte at a position; 0 past the end.
    #[inline]
    pub(super) fn byte(&self, at: usize) -> u8 {
        match self.text.get(at) {
            Some(&byte) => byte,
            None => 0,
        }
    }

    /// Skips white space and comments. `Err` is where an unterminated comment begins.
    #[inline(never)]
    fn skip_space(&self, mut at: usize) -> Result<usize, usize> {
        loop {
            let byte = self.byte(at);
            if is(byte, SPACE) {
                at += 1;
                // Lines are indented by spaces, eight at a time.
                while let Some(eight) = self.text.get(at..at + 8)
                    && let n = n_spaces(eight)
                    && n > 0
                {
                    at += n;
                    if n < 8 {
                        break;
                    }
                }
            } else if byte == b'#' {
                let rest = &self.text[at..];
                at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            } else if byte == b'/' && self.byte(at + 1) == b'*' {
                let begin = at;
                at += 2;
                loop {
                    match memchr::memchr(b'*', &self.text[at.min(self.text.len())..]) {
                        None => return Err(begin),
                        Some(n) => at += n + 1,
                    }
                    if self.byte(at) == b'/' {
                        at += 1;
                        break;
                    }
                }
            } else {
                return Ok(at);
            }
        }
    }

    /// The token that begins at or after `at`.
    pub(super) fn next(&mut self, at: usize) -> Token {
        let mut start = at;
        let mut first = self.byte(start);
        if first == b' ' {
            start += 1;
            first = self.byte(start);
        }
        if is(first, SPACE | COMMENT) {
            match self.skip_space(start) {
                Ok(end) => start = end,
                Err(comment) => {
                    let (start, end) = (comment as u32, comment as u32 + 2);
                    return Token { kind: Kind::Invalid, start, end };
                }
            }
            first = self.byte(start);
        }
        let (kind, end) = self.token(start, first);
        Token { kind, start: start as u32, end: end as u32 }
    }

    #[inline]
    fn token(&mut self, start: usize, first: u8) -> (Kind, usize) {
        let one = |kind| (kind, start + 1);
        // The usual ones that need no second byte.
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start),
            b'0'..=b'9' => self.digits(start),
            b';' => one(Kind::Semicolon),
            b'"' => one(Kind::Quote),
            b'{' => one(Kind::OpenBrace),
            b'}' => one(Kind::CloseBrace),
            b'(' => one(Kind::OpenParen),
            b')' => one(Kind::CloseParen),
            b'[' => one(Kind::OpenBracket),
            b']' => one(Kind::CloseBracket),
            b':' => one(Kind::Colon),
            b',' => one(Kind::Comma),
            b'@' => one(Kind::At),
            b'?' => one(Kind::Question),
            _ => self.longer_token(start, first),
        }
    }

    #[inline]
    fn longer_token(&mut self, start: usize, first: u8) -> (Kind, usize) {
        let second = self.byte(start + 1);
        let one = |kind| (kind, start + 1);
        let two = |kind| (kind, start + 2);
        match first {
            b'=' if second == b'=' => two(Kind::Equal),
            b'=' => one(Kind::Assign),
            b'.' | b'-' | b'+' => self.dot_or_sign(start, first, second),
            b'/' => {
                if let Some(end) = self.path_from_slash(start) {
                    (Kind::Path, end)
                } else if second == b'/' {
                    two(Kind::Update)
                } else {
                    one(Kind::Slash)
                }
            }
            b'\'' if second == b'\'' => two(Kind::IndentedQuote),
            b'$' if second == b'{' => two(Kind::DollarBrace),
            b'!' if second == b'=' => two(Kind::NotEqual),
            b'!' => one(Kind::Not),
            b'&' if second == b'&' => two(Kind::And),
            b'|' if second == b'|' => two(Kind::Or2),
            b'|' if second == b'>' => two(Kind::PipeRight),
            b'<' => {
                if let Some(end) = self.lookup(start) {
                    (Kind::Lookup, end)
                } else if second == b'=' {
                    two(Kind::LessEqual)
                } else if second == b'|' {
                    two(Kind::PipeLeft)
                } else {
                    one(Kind::Less)
                }
            }
            b'>' if second == b'=' => two(Kind::GreaterEqual),
            b'>' => one(Kind::Greater),
            b'*' => one(Kind::Star),
            b'~' => match self.path_from_slash(start + 1) {
                Some(end) => (Kind::HomePath, end),
                None => one(Kind::Invalid),
            },
            0 if start >= self.text.len() => (Kind::End, start),
            _ => one(Kind::Invalid),
        }
    }

    /// A token that begins with a letter or `_`.
    #[inline]
    fn word(&mut self, start: usize) -> (Kind, usize) {
        let end = start + run_of::<Ident>(&self.text[start..]);
        match self.byte(end) {
            b'.' | b'/' | b':' | b'+' => {
                if let Some(token) = self.path_or_uri(start, end) {
                    return token;
                }
            }
            _ => {}
        }
        (keyword(&self.text[start..end]), end)
    }

    #[inline(never)]
    fn digits(&mut self, start: usize) -> (Kind, usize) {
        let mut end = start + 1;
        while is(self.byte(end), DIGIT) {
            end += 1;
        }
        if is(self.byte(end), PATH) || self.byte(end) == b'/' {
            if let Some(end) = self.path_through_run(start) {
                return (Kind::Path, end);
            }
            if let Some(end) = self.float(start, end) {
                return (Kind::Float, end);
            }
        }
        (Kind::Int, end)
    }

    #[inline]
    fn dot_or_sign(&mut self, start: usize, first: u8, second: u8) -> (Kind, usize) {
        // The usual `a.b`, `a - b`, `a + b` are decided by one byte more; `.` inside `a.b` by the run that
        // was measured for `a`.
        if (is(second, PATH) || second == b'/')
            && let Some(end) = self.path_through_run(start)
        {
            return (Kind::Path, end);
        }
        match (first, second) {
            (b'.', b'.') if self.byte(start + 2) == b'.' => (Kind::Ellipsis, start + 3),
            (b'.', b'0'..=b'9') => match self.float(start, start) {
                Some(end) => (Kind::Float, end),
                None => (Kind::Dot, start + 1),
            },
            (b'.', _) => (Kind::Dot, start + 1),
            (b'-', b'>') => (Kind::Implies, start + 2),
            (b'-', _) => (Kind::Minus, start + 1),
            (_, b'+') => (Kind::Concat, start + 2),
            _ => (Kind::Plus, start + 1),
        }
    }
}

/// How many spaces a text begins with.
#[inline]
pub(super) fn leading_spaces(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = text.get(at..at + 8) {
        let n = n_spaces(eight);
        at += n;
        if n < 8 {
            return at;
        }
    }
    at + text[at..].iter().take_while(|&&b| b == b' ').count()
}

/// How many of eight bytes are spaces before the first that is not.
#[inline]
fn n_spaces(eight: &[u8]) -> usize {
    let word = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
    (word ^ 0x2020_2020_2020_2020).trailing_zeros() as usize / 8
}

#[inline]
fn keyword(word: &[u8]) -> Kind {
    match word {
        b"if" => Kind::If,
        b"then" => Kind::Then,
        b"else" => Kind::Else,
        b"assert" => Kind::Assert,
        b"with" => Kind::With,
        b"let" => Kind::Let,
        b"in" => Kind::In,
        b"rec" => Kind::Rec,
        b"inherit" => Kind::Inherit,
        b"or" => Kind::Or,
        _ => Kind::Ident,
    }
}
