//! Expressions.

use super::{Fail, Kind, Parser};
use crate::{
    ir::Const,
    source::Span,
    symbol::names,
    syntax::{
        ast::{Expr, Id, Lambda, Param, Part, Run},
        lexer::{NumberError, Token, number},
        names::Name,
    },
};

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
                        let node = self.name_or_place(name);
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

    /// A function and its arguments, the function being read.
    #[inline]
    pub(super) fn apply(&mut self, function: Id) -> Result<Id, Fail> {
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
    pub(super) fn select_from(&mut self, base: Id) -> Result<Id, Fail> {
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
    pub(super) fn attr_path_run(&mut self) -> Result<Run, Fail> {
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

    #[inline]
    fn name_or_place(&self, name: Name) -> Expr {
        match self.ast.names.symbol(name) {
            names::CUR_POS => Expr::CurPos,
            _ => Expr::Name(name),
        }
    }

    /// An operand without its selections.
    pub(super) fn simple(&mut self) -> Result<Id, Fail> {
        let token = self.token;
        let span = token.span();
        match token.kind {
            Kind::Ident => {
                let name = self.name();
                let node = self.name_or_place(name);
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
}
