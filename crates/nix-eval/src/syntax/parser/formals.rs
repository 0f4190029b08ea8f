//! The arguments of a function that takes a set.

use super::{Fail, Kind, Parser};
use crate::{
    source::Span,
    syntax::{
        SyntaxError, SyntaxErrorKind,
        ast::{Formal, Id, Param, Pattern},
        names::Name,
    },
};

/// A name and where it stands.
type Named = (Name, Span);

impl Parser<'_> {
    /// `{ }` was read and `:` or `@` follows.
    pub(super) fn empty_formals_lambda(&mut self, start: u32) -> Result<Id, Fail> {
        self.finish_formals(start, None, self.scratch.formals.len(), false)
    }

    /// A function whose `{` is behind us. `args` is the name before `@`; `first` is a formal's name that was
    /// already read.
    pub(super) fn formals_lambda(
        &mut self,
        start: u32,
        args: Option<Named>,
        mut first: Option<Named>,
    ) -> Result<Id, Fail> {
        let base = self.scratch.formals.len();
        let mut ellipsis = false;
        loop {
            let (name, span) = match (first.take(), self.token.kind) {
                (Some(first), _) => first,
                (None, Kind::CloseBrace) => break,
                (None, Kind::Ellipsis) => {
                    self.advance()?;
                    ellipsis = true;
                    if self.token.kind != Kind::CloseBrace {
                        return Err(self.expected("'}' after '...'"));
                    }
                    break;
                }
                (None, Kind::Ident) => {
                    let named = (self.name(), self.token.span());
                    self.advance()?;
                    named
                }
                _ => return Err(self.expected("the name of an argument, '...' or '}'")),
            };
            let mut default = None;
            if self.token.kind == Kind::Question {
                self.advance()?;
                default = Some(self.expr()?);
            }
            self.scratch.formals.push(Formal { name, span, default });
            match self.token.kind {
                Kind::Comma => self.advance()?,
                Kind::CloseBrace => {}
                _ => return Err(self.expected("',' or '}' after an argument")),
            }
        }
        self.advance()?;
        self.finish_formals(start, args, base, ellipsis)
    }

    /// From after the `}` on. The formals are those from `base` on in the scratch.
    fn finish_formals(
        &mut self,
        start: u32,
        mut args: Option<Named>,
        base: usize,
        ellipsis: bool,
    ) -> Result<Id, Fail> {
        if args.is_none() && self.token.kind == Kind::At {
            self.advance()?;
            if self.token.kind != Kind::Ident {
                return Err(self.expected("the name of the whole argument after '@'"));
            }
            args = Some((self.name(), self.token.span()));
            self.advance()?;
        }
        if self.token.kind != Kind::Colon {
            return Err(self.expected("':' after the arguments of a function"));
        }
        self.check_formals(&self.scratch.formals[base..], args)?;
        self.advance()?;
        let first = self.ast.formals.len() as u32;
        let n = (self.scratch.formals.len() - base) as u32;
        self.ast.formals.extend(self.scratch.formals.drain(base..));
        let pattern = self.ast.patterns.len() as u32;
        self.ast.patterns.push(Pattern {
            formals: (first, n),
            args: args.map(|(name, _)| name),
            ellipsis,
        });
        self.lambda(Param::Formals(pattern), start)
    }

    fn check_formals(&self, formals: &[Formal], args: Option<Named>) -> Result<(), Fail> {
        // Most functions have few arguments.
        let is_new = |(i, formal): (usize, &Formal)| {
            formals[..i].iter().all(|other| other.name != formal.name)
                && args.is_none_or(|(name, _)| name != formal.name)
        };
        if formals.len() <= 16 && formals.iter().enumerate().all(is_new) {
            return Ok(());
        }
        let mut all: Vec<Named> = formals.iter().map(|f| (f.name, f.span)).collect();
        all.extend(args);
        all.sort_by_key(|&(name, span)| (name.0, span.start));
        let clash =
            all.windows(2).filter(|pair| pair[0].0 == pair[1].0).min_by_key(|pair| pair[1].1.start);
        let Some(&[(_, first), (name, second)]) = clash else { return Ok(()) };
        let symbol = self.ast.names.symbol(name);
        let name = String::from_utf8_lossy(self.symbols.name(symbol)).into_owned();
        Err(Box::new(
            SyntaxError::new(
                SyntaxErrorKind::Duplicate,
                second,
                format!("duplicate formal function argument '{name}'"),
            )
            .label("named again here")
            .other(first, "first named here"),
        ))
    }
}
