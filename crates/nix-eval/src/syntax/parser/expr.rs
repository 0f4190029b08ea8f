//! Expressions.

use super::{Fail, Kind, Parser};
use crate::{
    ir::Const,
    source::Span,
    syntax::{
        SyntaxError, SyntaxErrorKind,
        ast::{Expr, Id, Lambda, Param, Part, Run},
        lexer::{NumberError, Token, number},
        names::Name,
    },
};

/// An operator that waits for its last operand.
#[derive(Clone, Copy)]
pub(super) struct Op {
    kind: Kind,
    /// Prefix `-` and `!`.
    prefix: bool,
    precedence: u8,
    /// Operands so far, the last one included.
    n_operands: u32,
    /// How many `!` stand in a row.
    n_times: u32,
    start: u32,
}

/// Weakest to strongest.
mod precedence {
    pub(super) const PIPE: u8 = 1;
    pub(super) const IMPLIES: u8 = 2;
    pub(super) const OR: u8 = 3;
    pub(super) const AND: u8 = 4;
    pub(super) const EQUAL: u8 = 5;
    pub(super) const COMPARE: u8 = 6;
    pub(super) const UPDATE: u8 = 7;
    pub(super) const NOT: u8 = 8;
    pub(super) const PLUS: u8 = 9;
    pub(super) const TIMES: u8 = 10;
    pub(super) const CONCAT: u8 = 11;
    pub(super) const HAS: u8 = 12;
    pub(super) const NEGATE: u8 = 13;
}

/// What two operators of the same strength in a row do.
#[derive(Clone, Copy, PartialEq)]
enum Assoc {
    Left,
    Right,
    None,
}

/// Strength and associativity of a token as a binary operator.
#[inline]
fn binary(kind: Kind) -> Option<(u8, Assoc)> {
    use precedence::*;
    Some(match kind {
        Kind::PipeRight => (PIPE, Assoc::Left),
        Kind::PipeLeft => (PIPE, Assoc::Right),
        Kind::Implies => (IMPLIES, Assoc::Right),
        Kind::Or2 => (OR, Assoc::Left),
        Kind::And => (AND, Assoc::Left),
        Kind::Equal | Kind::NotEqual => (EQUAL, Assoc::None),
        Kind::Less | Kind::LessEqual | Kind::Greater | Kind::GreaterEqual => (COMPARE, Assoc::None),
        Kind::Update => (UPDATE, Assoc::Right),
        Kind::Plus | Kind::Minus => (PLUS, Assoc::Left),
        Kind::Star | Kind::Slash => (TIMES, Assoc::Left),
        Kind::Concat => (CONCAT, Assoc::Right),
        _ => return None,
    })
}

/// Whether a run of this operator is one node with many operands.
fn is_chain(kind: Kind) -> bool {
    matches!(kind, Kind::Or2 | Kind::And | Kind::Update | Kind::Plus | Kind::Concat)
}

/// Whether the token can begin an operand of an application.
#[inline]
fn begins_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Ident
            | Kind::Int
            | Kind::Float
            | Kind::Quote
            | Kind::IndentedQuote
            | Kind::Path
            | Kind::HomePath
            | Kind::Lookup
            | Kind::Uri
            | Kind::OpenParen
            | Kind::OpenBrace
            | Kind::OpenBracket
            | Kind::Rec
            | Kind::Let
    )
}

impl Parser<'_> {
    /// An expression of any kind.
    pub(super) fn expr(&mut self) -> Result<Id, Fail> {
        self.enter(Self::expr_here)
    }

    fn expr_here(&mut self) -> Result<Id, Fail> {
        let start = self.token.start;
        match self.token.kind {
            Kind::Ident => {
                let span = self.token.span();
                let is_cur_pos = self.bytes_of(self.token) == b"__curPos";
                let name = self.name();
                self.advance()?;
                match self.token.kind {
                    Kind::Colon => {
                        self.advance()?;
                        self.lambda(Param::Simple(name, span), start)
                    }
                    Kind::At => {
                        self.advance()?;
                        if self.token.kind != Kind::OpenBrace {
                            return Err(self.expected("'{' with the function's arguments"));
                        }
                        self.advance()?;
                        self.formals_lambda(start, Some((name, span)), None)
                    }
                    _ => {
                        let node = if is_cur_pos { Expr::CurPos } else { Expr::Name(name) };
                        let id = self.ast.add(node, span);
                        self.operators(Some(id))
                    }
                }
            }
            Kind::OpenBrace => self.brace(),
            Kind::Let => {
                self.advance()?;
                if self.token.kind == Kind::OpenBrace {
                    let set = self.legacy_let(start)?;
                    return self.operators(Some(set));
                }
                let set = self.bindings(start, Kind::In, true, None)?;
                self.advance()?;
                let body = self.expr()?;
                let span = self.since(start);
                Ok(self.ast.add(Expr::Let { set, body }, span))
            }
            Kind::If => {
                self.advance()?;
                let condition = self.expr()?;
                self.expect(Kind::Then, "'then'")?;
                let yes = self.expr()?;
                self.expect(Kind::Else, "'else'")?;
                let no = self.expr()?;
                let branches = self.ast.add_run(&[yes.0, no.0]);
                let span = self.since(start);
                Ok(self.ast.add(Expr::If { condition, branches }, span))
            }
            Kind::With => {
                self.advance()?;
                let subject = self.expr()?;
                self.expect(Kind::Semicolon, "';' after the subject of 'with'")?;
                let body = self.expr()?;
                let span = self.since(start);
                Ok(self.ast.add(Expr::With { subject, body }, span))
            }
            Kind::Assert => {
                self.advance()?;
                let condition = self.expr()?;
                self.expect(Kind::Semicolon, "';' after the condition of 'assert'")?;
                let body = self.expr()?;
                let span = self.since(start);
                Ok(self.ast.add(Expr::Assert { condition, body }, span))
            }
            _ => self.operators(None),
        }
    }

    /// The body of a function, after the colon.
    pub(super) fn lambda(&mut self, param: Param, start: u32) -> Result<Id, Fail> {
        let body = self.expr()?;
        let index = self.ast.lambdas.len() as u32;
        self.ast.lambdas.push(Lambda { param, body });
        let span = self.since(start);
        Ok(self.ast.add(Expr::Lambda(index), span))
    }

    /// `{` where a function may stand: a set or the arguments of a function.
    fn brace(&mut self) -> Result<Id, Fail> {
        let start = self.token.start;
        self.advance()?;
        match self.token.kind {
            Kind::Ellipsis => return self.formals_lambda(start, None, None),
            Kind::CloseBrace => {
                self.advance()?;
                if matches!(self.token.kind, Kind::Colon | Kind::At) {
                    return self.empty_formals_lambda(start);
                }
                let set = self.empty_set(start);
                let set = self.select_from(set)?;
                return self.operators_after_head(set);
            }
            Kind::Ident => {
                let first = self.token;
                let name = self.name();
                self.advance()?;
                if matches!(self.token.kind, Kind::Comma | Kind::Question | Kind::CloseBrace) {
                    return self.formals_lambda(start, None, Some((name, first.span())));
                }
                let set = self.set_after_brace(start, false, Some((name, first)))?;
                return self.operators(Some(set));
            }
            _ => {}
        }
        let set = self.set_after_brace(start, false, None)?;
        self.operators(Some(set))
    }

    /// A set literal whose `{` is behind us.
    fn set_after_brace(
        &mut self,
        start: u32,
        recursive: bool,
        first: Option<(Name, Token)>,
    ) -> Result<Id, Fail> {
        let set = self.bindings(start, Kind::CloseBrace, recursive, first)?;
        self.advance()?;
        let span = self.since(start);
        Ok(self.ast.add(Expr::Set(set), span))
    }

    fn legacy_let(&mut self, start: u32) -> Result<Id, Fail> {
        let brace = self.token.start;
        self.advance()?;
        let set = self.bindings(brace, Kind::CloseBrace, true, None)?;
        self.advance()?;
        let span = self.since(start);
        Ok(self.ast.add(Expr::LegacyLet(set), span))
    }

    /// Operators and their operands. `first` is an operand without its selections that was read before.
    fn operators(&mut self, first: Option<Id>) -> Result<Id, Fail> {
        match first {
            Some(head) => {
                let head = self.select_from(head)?;
                self.operators_after_head(head)
            }
            None => self.operator_loop(None),
        }
    }

    fn operators_after_head(&mut self, head: Id) -> Result<Id, Fail> {
        let first = self.apply(head)?;
        self.operator_loop(Some(first))
    }

    fn operator_loop(&mut self, mut first: Option<Id>) -> Result<Id, Fail> {
        let base = self.scratch.ops.len();
        loop {
            let operand = match first.take() {
                Some(operand) => operand,
                None => {
                    while let Kind::Not | Kind::Minus = self.token.kind {
                        let kind = self.token.kind;
                        let precedence = match kind {
                            Kind::Not => precedence::NOT,
                            _ => precedence::NEGATE,
                        };
                        match self.scratch.ops[base..].last_mut() {
                            // A long row of them is one node: neither deep nor slow.
                            Some(top) if kind == Kind::Not && top.kind == Kind::Not => {
                                top.n_times += 1;
                            }
                            _ => self.scratch.ops.push(Op {
                                kind,
                                prefix: true,
                                precedence,
                                n_operands: 1,
                                n_times: 1,
                                start: self.token.start,
                            }),
                        }
                        self.advance()?;
                    }
                    let head = self.simple()?;
                    let head = self.select_from(head)?;
                    self.apply(head)?
                }
            };
            self.scratch.words.push(operand.0);
            while self.token.kind == Kind::Question {
                self.reduce(base, precedence::HAS);
                self.advance()?;
                let path = self.attr_path_run()?;
                let operand = Id(self.scratch.words.pop().expect("an operand was just pushed"));
                let span = self.since(self.ast.span(operand).start);
                let id = self.ast.add(Expr::HasAttr { base: operand, path }, span);
                self.scratch.words.push(id.0);
            }
            let kind = self.token.kind;
            let Some((strength, assoc)) = binary(kind) else {
                self.reduce(base, 0);
                return Ok(Id(self.scratch.words.pop().expect("the operators left one operand")));
            };
            if strength == precedence::PIPE && !self.options.features.pipe_operators {
                return Err(self.pipes_are_off());
            }
            self.reduce(base, strength);
            let start = self.token.start;
            let mut joined = false;
            if self.scratch.ops.len() > base
                && let Some(top) = self.scratch.ops.last_mut()
                && top.precedence == strength
            {
                if top.kind == kind && is_chain(kind) {
                    top.n_operands += 1;
                    joined = true;
                } else if assoc == Assoc::None || strength == precedence::PIPE && top.kind != kind {
                    return Err(self.not_associative(kind));
                } else if assoc == Assoc::Left {
                    self.reduce_one();
                }
            }
            if !joined {
                self.scratch.ops.push(Op {
                    kind,
                    prefix: false,
                    precedence: strength,
                    n_operands: 2,
                    n_times: 1,
                    start,
                });
            }
            self.advance()?;
        }
    }

    /// Finishes the waiting operators that bind more strongly than `strength`.
    #[inline]
    fn reduce(&mut self, base: usize, strength: u8) {
        while self.scratch.ops.len() > base
            && self.scratch.ops[self.scratch.ops.len() - 1].precedence > strength
        {
            self.reduce_one();
        }
    }

    fn reduce_one(&mut self) {
        let op = self.scratch.ops.pop().expect("the caller saw an operator");
        let at = self.scratch.words.len() - op.n_operands as usize;
        let first = Id(self.scratch.words[at]);
        let last = Id(self.scratch.words[self.scratch.words.len() - 1]);
        let mut span = self.span_of(first, last);
        let node = if op.prefix {
            span.start = op.start;
            match op.kind {
                Kind::Not => Expr::Not { operand: first, n: op.n_times },
                _ => Expr::Negate(first),
            }
        } else if is_chain(op.kind) {
            let operands = self.ast.add_run(&self.scratch.words[at..]);
            match op.kind {
                Kind::Or2 => Expr::Or(operands),
                Kind::And => Expr::And(operands),
                Kind::Update => Expr::Update(operands),
                Kind::Plus => Expr::Plus(operands),
                _ => Expr::Concat(operands),
            }
        } else {
            match op.kind {
                Kind::PipeRight => {
                    Expr::Call { function: last, args: self.ast.add_run(&[first.0]) }
                }
                Kind::PipeLeft => Expr::Call { function: first, args: self.ast.add_run(&[last.0]) },
                Kind::Implies => Expr::Implies(first, last),
                Kind::Equal => Expr::Equal(first, last),
                Kind::NotEqual => Expr::NotEqual(first, last),
                Kind::Less => Expr::Less(first, last),
                Kind::LessEqual => Expr::LessEqual(first, last),
                Kind::Greater => Expr::Greater(first, last),
                Kind::GreaterEqual => Expr::GreaterEqual(first, last),
                Kind::Minus => Expr::Sub(first, last),
                Kind::Star => Expr::Mul(first, last),
                _ => Expr::Div(first, last),
            }
        };
        self.scratch.words.truncate(at);
        let id = self.ast.add(node, span);
        self.scratch.words.push(id.0);
    }

    /// A function and its arguments, the function being read.
    #[inline]
    fn apply(&mut self, function: Id) -> Result<Id, Fail> {
        if !begins_operand(self.token.kind) {
            return Ok(function);
        }
        let base = self.scratch.words.len();
        while begins_operand(self.token.kind) {
            let head = self.simple()?;
            let argument = self.select_from(head)?;
            self.scratch.words.push(argument.0);
        }
        let args = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        let span = self.since(self.ast.span(function).start);
        Ok(self.ast.add(Expr::Call { function, args }, span))
    }

    /// The selections after an operand: `.a.b`, `.a or d`, and the legacy `e or`.
    #[inline]
    fn select_from(&mut self, base: Id) -> Result<Id, Fail> {
        match self.token.kind {
            Kind::Dot => {
                let start = self.ast.span(base).start;
                self.advance()?;
                let words = self.scratch.words.len();
                self.attr_path_words()?;
                if self.token.kind == Kind::Or {
                    self.advance()?;
                    // The default is a selection itself, so a chain of them nests.
                    let default = self.enter(|p| {
                        let head = p.simple()?;
                        p.select_from(head)
                    })?;
                    self.scratch.words.push(default.0);
                    let path = self.ast.add_run(&self.scratch.words[words..]);
                    self.scratch.words.truncate(words);
                    let span = self.since(start);
                    return Ok(self.ast.add(Expr::SelectOr { base, path }, span));
                }
                let path = self.ast.add_run(&self.scratch.words[words..]);
                self.scratch.words.truncate(words);
                let span = self.since(start);
                Ok(self.ast.add(Expr::Select { base, path }, span))
            }
            Kind::Or => {
                let name = self.name();
                let or = self.ast.add(Expr::Name(name), self.token.span());
                self.ast.warnings.push((
                    self.token.span(),
                    "'or' is read as a variable here; this is deprecated".into(),
                ));
                self.advance()?;
                let args = self.ast.add_run(&[or.0]);
                let span = self.since(self.ast.span(base).start);
                Ok(self.ast.add(Expr::Call { function: base, args }, span))
            }
            _ => Ok(base),
        }
    }

    /// A path after `?`.
    fn attr_path_run(&mut self) -> Result<Run, Fail> {
        let base = self.scratch.words.len();
        self.attr_path_words()?;
        let run = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        Ok(run)
    }

    fn attr_path_words(&mut self) -> Result<(), Fail> {
        loop {
            let part = self.attr_part()?;
            self.scratch.words.extend_from_slice(&part.to_words());
            if self.token.kind != Kind::Dot {
                return Ok(());
            }
            self.advance()?;
        }
    }

    /// One step of an attribute path.
    pub(super) fn attr_part(&mut self) -> Result<Part, Fail> {
        match self.token.kind {
            Kind::Ident | Kind::Or => {
                let name = self.name();
                self.advance()?;
                Ok(Part::Name(name))
            }
            Kind::Quote => self.quoted_part(),
            Kind::DollarBrace => {
                self.advance()?;
                let id = self.expr()?;
                self.expect(Kind::CloseBrace, "'}' after the interpolated name")?;
                // A name that is a literal string is static.
                match self.ast.as_string(id) {
                    Some(text) => {
                        let text = text.to_vec();
                        Ok(Part::Name(self.ast.names.intern_bytes(self.symbols, self.text, &text)))
                    }
                    None => Ok(Part::Dynamic(id)),
                }
            }
            _ => Err(self.expected("the name of an attribute")),
        }
    }

    /// An operand without its selections.
    fn simple(&mut self) -> Result<Id, Fail> {
        let token = self.token;
        let span = token.span();
        match token.kind {
            Kind::Ident => {
                let node = if self.bytes_of(token) == b"__curPos" {
                    Expr::CurPos
                } else {
                    Expr::Name(self.name())
                };
                self.advance()?;
                Ok(self.ast.add(node, span))
            }
            Kind::Int | Kind::Float => {
                let value = number(self.bytes_of(token), token.kind == Kind::Float)
                    .map_err(|error| self.bad_number(span, error))?;
                self.advance()?;
                Ok(self.ast.add_const(value, span))
            }
            Kind::Quote => self.string(),
            Kind::IndentedQuote => self.indented_string(),
            Kind::Path | Kind::HomePath => self.path(),
            Kind::Uri => {
                self.lint_url(span)?;
                let text = self.text;
                self.advance()?;
                Ok(self.ast.add_string(&text[span.start as usize..span.end as usize], span))
            }
            Kind::Lookup => {
                self.advance()?;
                let bytes = &self.text[span.start as usize + 1..span.end as usize - 1];
                let text = self.ast.keep_text(bytes);
                let index = self.ast.consts.len() as u32;
                self.ast.consts.push(Const::String(text));
                Ok(self.ast.add(Expr::Lookup(index), span))
            }
            Kind::OpenParen => {
                self.advance()?;
                let inner = self.expr()?;
                if self.token.kind != Kind::CloseParen {
                    return Err(self.unclosed(span, "')'"));
                }
                self.advance()?;
                Ok(inner)
            }
            Kind::OpenBracket => self.list(),
            Kind::OpenBrace => {
                self.advance()?;
                self.set_after_brace(span.start, false, None)
            }
            Kind::Rec => {
                self.advance()?;
                if self.token.kind != Kind::OpenBrace {
                    return Err(self.expected("'{' after 'rec'"));
                }
                self.advance()?;
                self.set_after_brace(span.start, true, None)
            }
            Kind::Let => {
                self.advance()?;
                if self.token.kind == Kind::OpenBrace {
                    return self.legacy_let(span.start);
                }
                Err(self.not_an_operand(token))
            }
            _ => Err(self.not_an_operand(token)),
        }
    }

    fn list(&mut self) -> Result<Id, Fail> {
        let open = self.token.span();
        self.advance()?;
        if self.token.kind == Kind::CloseBracket {
            self.advance()?;
            let span = self.since(open.start);
            return Ok(self.ast.add(Expr::EmptyList, span));
        }
        // Sets and lists nest without passing through `expr`.
        self.enter(|p| {
            let base = p.scratch.words.len();
            while begins_operand(p.token.kind) {
                let head = p.simple()?;
                let item = p.select_from(head)?;
                p.scratch.words.push(item.0);
            }
            if p.token.kind != Kind::CloseBracket {
                return Err(p.bad_list_item(open));
            }
            p.advance()?;
            let items = p.ast.add_run(&p.scratch.words[base..]);
            p.scratch.words.truncate(base);
            let span = p.since(open.start);
            Ok(p.ast.add(Expr::List(items), span))
        })
    }

    #[cold]
    fn bad_number(&self, span: Span, error: NumberError) -> Fail {
        let message = match error {
            NumberError::IntTooLarge => "this integer does not fit into 64 bits",
            NumberError::FloatTooLarge => "this number is too large for a float",
            NumberError::FloatTooSmall => "this number is too close to zero for a float",
        };
        self.error(span, message)
    }

    #[cold]
    fn pipes_are_off(&self) -> Fail {
        Box::new(
            SyntaxError::new(
                SyntaxErrorKind::Feature,
                self.token.span(),
                "experimental feature 'pipe-operators' is disabled",
            )
            .help("add '--extra-experimental-features pipe-operators' to enable it"),
        )
    }
}
