//! Programs as trees, so that they can be printed with few parentheses and made smaller.

use super::rng::Rng;

/// An expression.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// A name or a literal of one token.
    Atom(String),
    /// `"…"`; texts are source, escapes included.
    Str(Vec<Piece>),
    /// `''…''`; texts are source, escapes included.
    Indented(Vec<Piece>),
    /// A path with interpolations; the first piece is a text.
    Path(Vec<Piece>),
    List(Vec<Expr>),
    Set {
        rec: bool,
        bindings: Vec<Binding>,
    },
    Let(Vec<Binding>, Box<Expr>),
    /// `let { … }`.
    OldLet(Vec<Binding>),
    With(Box<Expr>, Box<Expr>),
    Assert(Box<Expr>, Box<Expr>),
    If(Box<[Expr; 3]>),
    Lambda(Param, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Select(Box<Expr>, Vec<Name>, Option<Box<Expr>>),
    Has(Box<Expr>, Vec<Name>),
    Op(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Neg(Box<Expr>),
}

/// Part of a string or path.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Text(String),
    Interp(Expr),
}

/// A name in an attribute path.
#[derive(Clone, Debug)]
pub(crate) enum Name {
    /// As it stands: an identifier, or a string in quotes.
    Plain(String),
    /// `${…}`.
    Dynamic(Expr),
    /// `"…"` with interpolations.
    Quoted(Vec<Piece>),
}

/// A line of a set or `let`.
#[derive(Clone, Debug)]
pub(crate) enum Binding {
    Value(Vec<Name>, Expr),
    Inherit(Option<Expr>, Vec<Name>),
}

/// What a function takes.
#[derive(Clone, Debug)]
pub(crate) enum Param {
    Name(String),
    Formals {
        fields: Vec<(String, Option<Expr>)>,
        ellipsis: bool,
        /// Name of the whole argument, and whether it stands before the formals.
        at: Option<(String, bool)>,
    },
}

/// A name or literal.
pub(crate) fn atom(text: impl Into<String>) -> Expr {
    Expr::Atom(text.into())
}

/// A call.
pub(crate) fn call(function: Expr, args: Vec<Expr>) -> Expr {
    Expr::Call(Box::new(function), args)
}

/// An operation.
pub(crate) fn op(op: &'static str, left: Expr, right: Expr) -> Expr {
    Expr::Op(op, Box::new(left), Box::new(right))
}

/// How tight an expression binds; larger is tighter.
mod level {
    pub(super) const OPEN: u8 = 0;
    pub(super) const NOT: u8 = 7;
    pub(super) const HAS: u8 = 11;
    pub(super) const NEG: u8 = 12;
    pub(super) const CALL: u8 = 13;
    pub(super) const SELECT: u8 = 14;
    pub(super) const SIMPLE: u8 = 15;
}

/// Levels that the operands of an operator need, and its own: (own, left, right).
fn levels(op: &str) -> (u8, u8, u8) {
    match op {
        "->" => (1, 2, 1),
        "||" => (2, 2, 3),
        "&&" => (3, 3, 4),
        "==" | "!=" => (4, 5, 5),
        "<" | ">" | "<=" | ">=" => (5, 6, 6),
        "//" => (6, 7, 6),
        "+" | "-" => (8, 8, 9),
        "*" | "/" => (9, 9, 10),
        _ => (10, 11, 10), // ++
    }
}

impl Expr {
    fn level(&self) -> u8 {
        match self {
            Expr::Atom(_) | Expr::Str(_) | Expr::Indented(_) | Expr::Path(_) | Expr::List(_) => {
                level::SIMPLE
            }
            Expr::Set { .. } | Expr::OldLet(_) => level::SIMPLE,
            Expr::Let(..) | Expr::With(..) | Expr::Assert(..) | Expr::If(_) | Expr::Lambda(..) => {
                level::OPEN
            }
            Expr::Call(..) => level::CALL,
            Expr::Select(..) => level::SELECT,
            Expr::Has(..) => level::HAS,
            Expr::Op(op, ..) => levels(op).0,
            Expr::Not(_) => level::NOT,
            Expr::Neg(_) => level::NEG,
        }
    }

    /// The expressions directly inside.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Expr> {
        let mut all = Vec::new();
        match self {
            Expr::Atom(_) => {}
            Expr::Str(pieces) | Expr::Indented(pieces) | Expr::Path(pieces) => {
                all.extend(pieces.iter_mut().filter_map(Piece::expr_mut));
            }
            Expr::List(items) => all.extend(items),
            Expr::Set { bindings, .. } | Expr::OldLet(bindings) => {
                bindings.iter_mut().for_each(|b| b.children_mut(&mut all));
            }
            Expr::Let(bindings, body) => {
                bindings.iter_mut().for_each(|b| b.children_mut(&mut all));
                all.push(body);
            }
            Expr::With(a, b) | Expr::Assert(a, b) | Expr::Op(_, a, b) => all.extend([&mut **a, b]),
            Expr::If(parts) => all.extend(parts.iter_mut()),
            Expr::Lambda(param, body) => {
                if let Param::Formals { fields, .. } = param {
                    all.extend(fields.iter_mut().filter_map(|f| f.1.as_mut()));
                }
                all.push(body);
            }
            Expr::Call(function, args) => {
                all.push(function);
                all.extend(args);
            }
            Expr::Select(set, path, default) => {
                all.push(set);
                path.iter_mut().for_each(|n| n.children_mut(&mut all));
                all.extend(default.iter_mut().map(|d| &mut **d));
            }
            Expr::Has(set, path) => {
                all.push(set);
                path.iter_mut().for_each(|n| n.children_mut(&mut all));
            }
            Expr::Not(a) | Expr::Neg(a) => all.push(a),
        }
        all
    }

    /// How many expressions there are, this one included.
    pub(crate) fn size(&mut self) -> usize {
        1 + self.children_mut().into_iter().map(Expr::size).sum::<usize>()
    }

    /// The expression number `n` in the order of the text.
    pub(crate) fn nth_mut(&mut self, n: &mut usize) -> Option<&mut Expr> {
        if *n == 0 {
            return Some(self);
        }
        *n -= 1;
        self.children_mut().into_iter().find_map(|child| child.nth_mut(n))
    }
}

impl Piece {
    fn expr_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Piece::Text(_) => None,
            Piece::Interp(e) => Some(e),
        }
    }
}

impl Name {
    fn children_mut<'a>(&'a mut self, all: &mut Vec<&'a mut Expr>) {
        match self {
            Name::Plain(_) => {}
            Name::Dynamic(e) => all.push(e),
            Name::Quoted(pieces) => all.extend(pieces.iter_mut().filter_map(Piece::expr_mut)),
        }
    }
}

impl Binding {
    fn children_mut<'a>(&'a mut self, all: &mut Vec<&'a mut Expr>) {
        match self {
            Binding::Value(path, value) => {
                path.iter_mut().for_each(|n| n.children_mut(all));
                all.push(value);
            }
            Binding::Inherit(from, names) => {
                all.extend(from.as_mut());
                names.iter_mut().for_each(|n| n.children_mut(all));
            }
        }
    }
}

/// Writes programs: tokens, and between them what the language allows.
pub(crate) struct Printer<'r> {
    out: String,
    /// Chance for comments, line breaks, needless parentheses; `None` writes plainly.
    chance: Option<&'r mut Rng>,
}

/// The text of a program, with odd layout drawn from `rng`.
pub(crate) fn print_oddly(e: &Expr, rng: &mut Rng) -> String {
    let mut printer = Printer { out: String::new(), chance: Some(rng) };
    printer.expr(e, level::OPEN, true);
    printer.out
}

/// The text of a program.
pub(crate) fn print(e: &Expr) -> String {
    let mut printer = Printer { out: String::new(), chance: None };
    printer.expr(e, level::OPEN, true);
    printer.out
}

impl Printer<'_> {
    fn dice(&mut self, percent_of_1000: usize) -> bool {
        self.chance.as_mut().is_some_and(|rng| rng.below(1000) < percent_of_1000)
    }

    /// White space that parts two tokens.
    fn space(&mut self) {
        if self.dice(30) {
            let rng = self.chance.as_mut().expect("dice needs chance");
            self.out.push_str(rng.pick(&[
                "\n",
                "  ",
                "\t",
                " # note\n",
                " /* note */ ",
                "\r\n",
                " /**/ ",
                "\n\n  ",
                " /* * / ** */",
                " #\n",
                " # \"${ '' /*\n",
                "/* # */ ",
            ]));
        } else {
            self.out.push(' ');
        }
    }

    fn word(&mut self, text: &str) {
        self.out.push_str(text);
        self.space();
    }

    /// An operand that must bind at least as tight as `need`. `tail`: nothing follows that could be taken
    /// for a part of it.
    fn expr(&mut self, e: &Expr, need: u8, tail: bool) {
        // A prefix operator may stand where only its operand would be too loose, if nothing follows it.
        let is_prefix = matches!(e, Expr::Not(_) | Expr::Neg(_));
        let fits = e.level() >= need || (is_prefix && tail && need <= level::HAS);
        if fits && !self.dice(20) {
            self.bare(e, tail);
        } else {
            self.out.push('(');
            if self.dice(500) {
                self.space();
            }
            self.bare(e, true);
            self.out.push(')');
        }
    }

    fn bare(&mut self, e: &Expr, tail: bool) {
        match e {
            Expr::Atom(text) => self.out.push_str(text),
            Expr::Str(pieces) => {
                self.out.push('"');
                self.pieces(pieces);
                self.out.push('"');
            }
            Expr::Indented(pieces) => {
                self.out.push_str("''");
                self.pieces(pieces);
                self.out.push_str("''");
            }
            Expr::Path(pieces) => self.pieces(pieces),
            Expr::List(items) => {
                self.word("[");
                for item in items {
                    self.expr(item, level::SELECT, false);
                    self.space();
                }
                self.out.push(']');
            }
            Expr::Set { rec, bindings } => {
                if *rec {
                    self.word("rec");
                }
                self.word("{");
                self.bindings(bindings);
                self.out.push('}');
            }
            Expr::OldLet(bindings) => {
                self.word("let");
                self.word("{");
                self.bindings(bindings);
                self.out.push('}');
            }
            Expr::Let(bindings, body) => {
                self.word("let");
                self.bindings(bindings);
                self.word("in");
                self.expr(body, level::OPEN, tail);
            }
            Expr::With(a, b) | Expr::Assert(a, b) => {
                self.word(if matches!(e, Expr::With(..)) { "with" } else { "assert" });
                self.expr(a, level::OPEN, true);
                self.word(";");
                self.expr(b, level::OPEN, tail);
            }
            Expr::If(parts) => {
                for (word, part) in ["if", "then", "else"].into_iter().zip(parts.iter()) {
                    self.word(word);
                    self.expr(part, level::OPEN, true);
                    if word != "else" {
                        self.space();
                    }
                }
            }
            Expr::Lambda(param, body) => {
                self.param(param);
                self.word(":");
                self.expr(body, level::OPEN, tail);
            }
            Expr::Call(function, args) => {
                self.expr(function, level::CALL, false);
                for arg in args {
                    self.space();
                    self.expr(arg, level::SELECT, false);
                }
            }
            Expr::Select(set, path, default) => {
                self.base(set);
                self.out.push('.');
                self.path(path);
                if let Some(default) = default {
                    self.space();
                    self.word("or");
                    self.expr(default, level::SELECT, false);
                }
            }
            Expr::Has(set, path) => {
                self.expr(set, level::NEG, false);
                self.space();
                self.word("?");
                self.path(path);
            }
            Expr::Op(op, left, right) => {
                let (_, need_left, need_right) = levels(op);
                self.expr(left, need_left, false);
                self.space();
                self.word(op);
                self.expr(right, need_right, tail);
            }
            Expr::Not(a) => {
                self.out.push('!');
                self.expr(a, level::NOT, tail);
            }
            Expr::Neg(a) => {
                self.out.push('-');
                // `->` and numbers are other tokens, but `-1` is the operator and a literal.
                self.expr(a, level::NEG, tail);
            }
        }
    }

    /// What stands before a dot: a dot after a number or path would belong to it.
    fn base(&mut self, e: &Expr) {
        let clear = match e {
            Expr::Atom(text) => text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'),
            Expr::Path(_) => false,
            _ => true,
        };
        self.expr(e, if clear { level::SIMPLE } else { u8::MAX }, false);
    }

    fn pieces(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.out.push_str(text),
                Piece::Interp(e) => {
                    self.out.push_str("${");
                    self.expr(e, level::OPEN, true);
                    self.out.push('}');
                }
            }
        }
    }

    fn name(&mut self, name: &Name) {
        match name {
            Name::Plain(text) => self.out.push_str(text),
            Name::Dynamic(e) => self.pieces(&[Piece::Interp(e.clone())]),
            Name::Quoted(pieces) => {
                self.out.push('"');
                self.pieces(pieces);
                self.out.push('"');
            }
        }
    }

    fn path(&mut self, path: &[Name]) {
        for (n, name) in path.iter().enumerate() {
            if n > 0 {
                self.out.push('.');
            }
            self.name(name);
        }
    }

    fn bindings(&mut self, bindings: &[Binding]) {
        for binding in bindings {
            match binding {
                Binding::Value(path, value) => {
                    self.path(path);
                    self.space();
                    self.word("=");
                    self.expr(value, level::OPEN, true);
                }
                Binding::Inherit(from, names) => {
                    self.word("inherit");
                    if let Some(from) = from {
                        self.out.push('(');
                        self.expr(from, level::OPEN, true);
                        self.word(")");
                    }
                    for name in names {
                        self.name(name);
                        self.space();
                    }
                }
            }
            self.word(";");
        }
    }

    fn param(&mut self, param: &Param) {
        match param {
            Param::Name(name) => self.out.push_str(name),
            Param::Formals { fields, ellipsis, at } => {
                if let Some((name, true)) = at {
                    self.out.push_str(name);
                    self.word("@");
                }
                self.word("{");
                for (n, (name, default)) in fields.iter().enumerate() {
                    if n > 0 {
                        self.word(",");
                    }
                    self.word(name);
                    if let Some(default) = default {
                        self.word("?");
                        self.expr(default, level::OPEN, true);
                        self.space();
                    }
                }
                if *ellipsis {
                    if !fields.is_empty() {
                        self.word(",");
                    }
                    self.word("...");
                } else if !fields.is_empty() && self.dice(200) {
                    self.word(",");
                }
                self.out.push('}');
                if let Some((name, false)) = at {
                    self.out.push('@');
                    self.out.push_str(name);
                }
            }
        }
        // A colon directly after a name could make a URL.
        self.space();
    }
}
