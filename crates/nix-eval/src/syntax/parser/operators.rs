//! Operators and their operands: precedence by an explicit stack.

use super::{Fail, Kind, Parser};
use crate::syntax::{
    SyntaxError, SyntaxErrorKind,
    ast::{Expr, Id},
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

impl Parser<'_> {
    /// Operators and their operands. `first` is an operand without its selections that was read before.
    pub(super) fn operators(&mut self, first: Option<Id>) -> Result<Id, Fail> {
        match first {
            Some(head) => {
                let head = self.select_from(head)?;
                self.operators_after_head(head)
            }
            None if matches!(self.token.kind, Kind::Not | Kind::Minus) => self.operator_loop(None),
            None => {
                let head = self.simple()?;
                let head = self.select_from(head)?;
                self.operators_after_head(head)
            }
        }
    }

    pub(super) fn operators_after_head(&mut self, head: Id) -> Result<Id, Fail> {
        let first = self.apply(head)?;
        // Most expressions are one operand.
        if self.token.kind != Kind::Question && binary(self.token.kind).is_none() {
            return Ok(first);
        }
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
