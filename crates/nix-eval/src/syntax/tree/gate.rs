//! What rnix may be given.
//!
//! rnix wants UTF-8, takes the square of nesting and of chain lengths, and can overflow the native stack,
//! which aborts the process. So its input is measured with our lexer first: a text that is too large, too
//! deep or too long in one chain has one error instead of several.

use crate::syntax::lexer::{Kind, Lexer};

/// How much rnix may be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Largest text, in bytes.
    pub bytes: usize,
    /// Deepest nesting, with or without brackets. From 512 on rnix gives up by itself.
    pub depth: usize,
    /// Most operands and operators of one expression that are not in brackets of their own.
    pub chain: u32,
}

impl Bounds {
    /// For texts from anywhere: a few milliseconds.
    pub const STRANGERS: Bounds = Bounds { bytes: 256 * 1024, depth: 256, chain: 256 };
    /// For a user's own files, read because the user asked for it: the largest file of a package tree fits.
    pub const OWN: Bounds = Bounds { bytes: 16 * 1024 * 1024, depth: 500, chain: 1024 };
}

/// Why rnix was not given a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// More bytes than [`Bounds::bytes`].
    #[error("the text has more than {0} bytes")]
    TooLarge(usize),
    /// Bytes that are no UTF-8; the number of the first.
    #[error("the text is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// Passes [`Bounds::depth`] or [`Bounds::chain`].
    #[error("the text is nested too deeply, or has too long a chain of operands")]
    TooDeep,
}

/// Something that is open.
#[derive(Clone, Copy)]
struct Level {
    opened_by: Opener,
    /// Operands and operators since the last token that ends an expression.
    chain: u32,
    /// `x:`, `if`, `let`, … since then: they nest without a bracket.
    prefixes: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Opener {
    Bracket,
    /// `[`: elements follow one another without being a chain.
    List,
    /// `${` in a string with this quote.
    String,
    IndentedString,
}

/// The text, if rnix can read it safely.
pub(super) fn admit(text: &[u8], bounds: Bounds) -> Result<&str, Refusal> {
    if text.len() > bounds.bytes {
        return Err(Refusal::TooLarge(bounds.bytes));
    }
    let text = std::str::from_utf8(text).map_err(|e| Refusal::NotUtf8(e.valid_up_to()))?;
    let mut gate =
        Gate { lexer: Lexer::new(text.as_bytes()), levels: vec![level(Opener::Bracket)], bounds };
    if gate.pass() { Ok(text) } else { Err(Refusal::TooDeep) }
}

fn level(opened_by: Opener) -> Level {
    Level { opened_by, chain: 0, prefixes: 0 }
}

struct Gate<'a> {
    lexer: Lexer<'a>,
    /// Never empty.
    levels: Vec<Level>,
    bounds: Bounds,
}

impl Gate<'_> {
    fn pass(&mut self) -> bool {
        let mut at = 0;
        let mut previous = Kind::OpenBracket;
        loop {
            let token = self.lexer.next(at);
            at = token.end as usize;
            let last = self.levels.len() - 1;
            let top = &mut self.levels[last];
            if top.opened_by == Opener::List && begins_operand(token.kind) && ends_operand(previous)
            {
                top.chain = 0;
            }
            previous = token.kind;
            match token.kind {
                Kind::End => return true,
                Kind::OpenBracket => self.levels.push(level(Opener::List)),
                Kind::OpenBrace | Kind::OpenParen | Kind::DollarBrace => {
                    self.levels.push(level(Opener::Bracket));
                }
                Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen => {
                    // A stray closer closes nothing.
                    if last > 0 {
                        let closed = top.opened_by;
                        self.levels.pop();
                        match closed {
                            Opener::String => at = self.string(at, Opener::String),
                            Opener::IndentedString => at = self.string(at, Opener::IndentedString),
                            Opener::Bracket | Opener::List => self.levels[last - 1].chain += 1,
                        }
                    }
                }
                Kind::Semicolon | Kind::Comma | Kind::Assign => {
                    top.chain = 0;
                    top.prefixes = 0;
                }
                Kind::Colon | Kind::If | Kind::Else | Kind::Let | Kind::With | Kind::Assert => {
                    top.prefixes += 1;
                }
                Kind::Quote => {
                    top.chain += 1;
                    at = self.string(at, Opener::String);
                }
                Kind::IndentedQuote => {
                    top.chain += 1;
                    at = self.string(at, Opener::IndentedString);
                }
                _ => top.chain += 1,
            }
            let top = self.levels[self.levels.len() - 1];
            let (prefixes, chain) = (top.prefixes, top.chain);
            if self.levels.len() + prefixes > self.bounds.depth || chain > self.bounds.chain {
                return false;
            }
        }
    }

    /// Skips the text of a string from `at`, up to its end or an interpolation, which becomes a level.
    fn string(&mut self, mut at: usize, opener: Opener) -> usize {
        let indented = opener == Opener::IndentedString;
        loop {
            let (byte, next) = (self.lexer.byte(at), self.lexer.byte(at + 1));
            match byte {
                0 if at >= self.lexer.text.len() => return at,
                b'\\' if !indented => at += 2,
                b'"' if !indented => return at + 1,
                b'\'' if indented && next == b'\'' => match self.lexer.byte(at + 2) {
                    b'$' | b'\'' => at += 3,
                    b'\\' => at += 4,
                    _ => return at + 2,
                },
                b'$' if next == b'{' => {
                    self.levels.push(level(opener));
                    return at + 2;
                }
                b'$' if next == b'$' => at += 2,
                _ => at += 1,
            }
        }
    }
}

fn begins_operand(kind: Kind) -> bool {
    matches!(kind, Kind::OpenBrace | Kind::OpenParen | Kind::OpenBracket | Kind::Rec | Kind::Let)
        || is_word(kind)
}

fn ends_operand(kind: Kind) -> bool {
    // An opening bracket has no element before it.
    matches!(kind, Kind::CloseBrace | Kind::CloseParen | Kind::CloseBracket | Kind::OpenBracket)
        || is_word(kind)
}

fn is_word(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ident
            | Kind::Int
            | Kind::Float
            | Kind::Path
            | Kind::HomePath
            | Kind::Lookup
            | Kind::Uri
            | Kind::Quote
            | Kind::IndentedQuote
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_texts_pass() {
        assert!(admit(b"{ a = 1; b = [ 1 2 3 ]; c = x: x + 1; }", Bounds::STRANGERS).is_ok());
        let long = "{ a = 1; } // ".repeat(100) + "{ }";
        assert!(admit(long.as_bytes(), Bounds::STRANGERS).is_ok());
        let wide = format!("[ {} ]", "x ".repeat(20_000));
        assert!(admit(wide.as_bytes(), Bounds::STRANGERS).is_ok());
        let wide = format!("[ {} ]", "(f x) a.b \"s\" ".repeat(2_000));
        assert!(admit(wide.as_bytes(), Bounds::STRANGERS).is_ok());
        let prose = format!("''{}''", "words of a long text ${x} ".repeat(200));
        assert!(admit(prose.as_bytes(), Bounds::STRANGERS).is_ok());
    }

    #[test]
    fn what_would_hurt_rnix_does_not() {
        for bad in [
            "(".repeat(300),
            "!".repeat(300) + "1",
            "1+".repeat(300) + "1",
            "a.".repeat(300) + "b",
            "x: ".repeat(300) + "x",
            "if a then b else ".repeat(300) + "c",
            "\"${".repeat(300),
            "x ".repeat(300),
            "(x)".repeat(300),
            "\"a\"".repeat(300),
            "[ a.b".to_owned() + &".b".repeat(300),
        ] {
            assert!(admit(bad.as_bytes(), Bounds::STRANGERS).is_err(), "{}", &bad[..20]);
        }
        assert!(admit(b"\"\xff\"", Bounds::STRANGERS).is_err());
    }
}
