//! Tokens to [`Ast`]: precedence by an explicit stack of operators, everything else by recursive descent on a
//! counted, growing stack.
//!
//! Chains (`a + b + …`, `f x y …`, `!!!…`, `a.b.c…`) never recurse. Nesting does: one level for each bracket,
//! lambda, `if`, `let`, `with`, `assert`, interpolation; [`Parser::enter`] counts it.

mod binding;
mod expr;
mod formals;
mod message;
mod operators;
mod string;

use super::{
    ReadOptions, SyntaxError, SyntaxErrorKind,
    ast::{Ast, Attr, Formal, Id},
    depth::Depth,
    lexer::{Kind, Lexer, Token},
    names::Name,
};
use crate::{source::Span, symbol::Symbols};

/// Errors are rare and large, so they travel in a box.
pub(super) type Fail = Box<SyntaxError>;

/// How many tokens may pass between two polls.
const POLL_TOKENS: u32 = 4096;

/// Texts from this size on, in bytes, get their memory at once.
const LARGE_TEXT: usize = 1 << 16;

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    text: &'a [u8],
    symbols: &'a Symbols,
    options: &'a ReadOptions<'a>,
    /// The token at hand.
    token: Token,
    /// End of the token before.
    last_end: u32,
    ast: &'a mut Ast,
    scratch: &'a mut Scratch,
    depth: Depth,
    countdown: u32,
    /// Keep the pieces of indented strings apart, as C++ Nix prints them.
    keep_pieces: bool,
}

/// What the parser needs while it works; kept from text to text.
#[derive(Default)]
pub(super) struct Scratch {
    /// Operands and path parts not yet in a run; used as a stack.
    words: Vec<u32>,
    ops: Vec<operators::Op>,
    /// Bindings of the sets that are open; used as a stack.
    defs: Vec<binding::Def>,
    sources: Vec<u32>,
    /// The bindings of the set at hand in the order of their symbols.
    order: Vec<u64>,
    /// Attributes of the sets that are being merged; used as a stack.
    attrs: Vec<Attr>,
    /// Formals of the functions that are open; used as a stack.
    formals: Vec<Formal>,
    /// Pieces of the indented strings that are open; used as a stack.
    pieces: Vec<string::Piece>,
    /// Text of the strings that are open; used as a stack.
    text: Vec<u8>,
}

impl Scratch {
    fn clear(&mut self) {
        self.words.clear();
        self.ops.clear();
        self.defs.clear();
        self.sources.clear();
        self.attrs.clear();
        self.formals.clear();
        self.pieces.clear();
        self.text.clear();
    }
}

/// Parses a whole text into `ast`, whose contents are replaced.
pub(super) fn parse(
    symbols: &Symbols,
    text: &[u8],
    options: &ReadOptions<'_>,
    keep_pieces: bool,
    scratch: &mut Scratch,
    ast: &mut Ast,
) -> Result<(), Fail> {
    scratch.clear();
    ast.clear();
    if u32::try_from(text.len()).is_err() {
        return Err(Box::new(SyntaxError::new(
            SyntaxErrorKind::TooDeep,
            Span::default(),
            "the text is larger than 4 GiB",
        )));
    }
    if text.len() > LARGE_TEXT {
        ast.reserve(text.len());
        crate::ir::make_room(&mut scratch.defs, text.len() / 50);
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.next(0);
    let mut parser = Parser {
        lexer,
        text,
        symbols,
        options,
        token,
        last_end: 0,
        ast,
        scratch,
        depth: Depth::new(options.max_depth),
        countdown: POLL_TOKENS,
        keep_pieces,
    };
    if !(options.poll)() {
        return Err(parser.cancelled());
    }
    let root = match parser.expr() {
        Ok(root) => root,
        Err(error) => return Err(parser.mark_unfinished(error)),
    };
    if parser.token.kind != Kind::End {
        return Err(parser.unexpected_after_expr());
    }
    parser.ast.root = root;
    Ok(())
}

impl Parser<'_> {
    /// Notes of an error whether it is only that the text ends, or ends within a comment.
    #[cold]
    fn mark_unfinished(&self, mut error: Fail) -> Fail {
        let is_end = match self.token.kind {
            Kind::End => true,
            Kind::Invalid => self.bytes_of(self.token) == b"/*",
            _ => false,
        };
        // What lies before the end is wrong by itself.
        let is_there = error.span.start >= self.last_end;
        error.unfinished |= is_end && is_there && error.kind == SyntaxErrorKind::Syntax;
        error
    }

    /// Moves to the next token.
    #[inline]
    fn advance(&mut self) -> Result<(), Fail> {
        self.advance_to(self.token.end)
    }

    /// Moves to the token at or after `at`.
    #[inline]
    fn advance_to(&mut self, at: u32) -> Result<(), Fail> {
        self.countdown -= 1;
        if self.countdown == 0 {
            self.countdown = POLL_TOKENS;
            if !(self.options.poll)() {
                return Err(self.cancelled());
            }
        }
        self.last_end = at;
        self.token = self.lexer.next(at as usize);
        Ok(())
    }

    /// The name that the token at hand spells.
    #[inline]
    fn name(&mut self) -> Name {
        let Token { start, end, .. } = self.token;
        self.ast.names.intern_at(self.symbols, self.text, start, end)
    }

    fn bytes_of(&self, token: Token) -> &[u8] {
        &self.text[token.start as usize..token.end as usize]
    }

    /// From `start` to the end of the last token.
    #[inline]
    fn since(&self, start: u32) -> Span {
        Span { start, end: self.last_end }
    }

    /// Moves over a token of this kind, or says that it is missing.
    fn expect(&mut self, kind: Kind, what: &'static str) -> Result<(), Fail> {
        if self.token.kind == kind {
            return self.advance();
        }
        Err(self.expected(what))
    }

    /// Runs `inner` one level deeper.
    #[inline]
    fn enter<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        if !self.depth.enter() {
            return Err(self.too_deep());
        }
        let result = if self.depth.is_tight() {
            super::depth::on_new_stack(self, |p| &mut p.depth, inner)
        } else {
            inner(self)
        };
        self.depth.leave();
        result
    }

    fn span_of(&self, first: Id, last: Id) -> Span {
        Span { start: self.ast.span(first).start, end: self.ast.span(last).end }
    }

    #[cold]
    fn error(&self, span: Span, message: impl Into<String>) -> Fail {
        Box::new(SyntaxError::new(SyntaxErrorKind::Syntax, span, message))
    }

    #[cold]
    fn cancelled(&self) -> Fail {
        Box::new(SyntaxError::new(
            SyntaxErrorKind::Cancelled,
            self.token.span(),
            "reading was cancelled",
        ))
    }

    #[cold]
    fn too_deep(&self) -> Fail {
        super::depth::too_deep(self.token.span(), self.options.max_depth)
    }
}
