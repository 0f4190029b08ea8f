//! The text of `--parse`: the program after desugaring, with all parentheses.
//!
//! Printed from the parser's arena, so that it can print whatever the evaluator can read. Unbound names are
//! errors, as they are for evaluation.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    ir::Const,
    resolve,
    source::FileId,
    symbol::Symbols,
    syntax::{
        ReadOptions, Reader, SyntaxError,
        ast::{Ast, Attr, Expr, Id, Param, Part, Run, Set, Value},
        depth::on_growing_stack,
        names::Name,
    },
};

/// Words that cannot be written as names without quotes.
const KEYWORDS: [&[u8]; 9] =
    [b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];

/// The program as C++ Nix's `nix-instantiate --parse` prints it, without a final newline. `home` is what `~`
/// stands for.
///
/// # Errors
/// Those of [`crate::syntax::read`].
pub fn parse_text(
    symbols: &Symbols,
    text: &[u8],
    options: &ReadOptions<'_>,
    home: &[u8],
) -> Result<Vec<u8>, SyntaxError> {
    let mut reader = Reader::default();
    reader.parse(symbols, text, options, true)?;
    let Reader { ast, resolver, .. } = &mut reader;
    resolve::resolve(symbols, FileId(0), text, ast, options, resolver).map_err(|fail| *fail)?;
    let mut printer = Printer { ast, symbols, home, out: Vec::with_capacity(2 * text.len()) };
    printer.expr(ast.root);
    Ok(printer.out)
}

struct Printer<'a> {
    ast: &'a Ast,
    symbols: &'a Symbols,
    home: &'a [u8],
    out: Vec<u8>,
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn bytes_of(&self, name: Name) -> &[u8] {
        self.symbols.name(self.ast.names.symbol(name))
    }

    /// A name, quoted if it must be.
    fn name(&mut self, name: Name) {
        let bytes = self.symbols.name(self.ast.names.symbol(name));
        let plain = matches!(bytes.first(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_'))
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_'-".contains(b))
            && !KEYWORDS.contains(&bytes);
        if plain {
            self.out.extend_from_slice(bytes);
        } else {
            self.string(bytes);
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for (i, &byte) in bytes.iter().enumerate() {
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                b'\n' => self.text("\\n"),
                b'\r' => self.text("\\r"),
                b'\t' => self.text("\\t"),
                b'$' if bytes.get(i + 1) == Some(&b'{') => self.text("\\$"),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }

    fn constant(&mut self, index: u32) {
        let ast = self.ast;
        match ast.consts[index as usize] {
            Const::Int(value) => self.text(&value.to_string()),
            Const::Float(value) => self.text(&general(value)),
            Const::String(text) => self.string(ast.text_of(text)),
            Const::Path(text) => self.out.extend_from_slice(ast.text_of(text)),
        }
    }

    fn expr(&mut self, id: Id) {
        on_growing_stack(|| self.expr_here(id));
    }

    /// `(a OP b)`
    fn binary(&mut self, a: Id, op: &str, b: Id) {
        self.text("(");
        self.expr(a);
        self.text(op);
        self.expr(b);
        self.text(")");
    }

    /// `(function a b)`
    fn builtin(&mut self, function: &str, a: Id, b: Id) {
        self.text("(");
        self.text(function);
        self.text(" ");
        self.expr(a);
        self.text(" ");
        self.expr(b);
        self.text(")");
    }

    fn left(&mut self, run: Run, op: &str) {
        let ast = self.ast;
        let items = ast.run(run);
        for _ in 1..items.len() {
            self.text("(");
        }
        for (i, &item) in items.iter().enumerate() {
            if i > 0 {
                self.text(op);
            }
            self.expr(Id(item));
            if i > 0 {
                self.text(")");
            }
        }
    }

    fn right(&mut self, run: Run, op: &str) {
        let ast = self.ast;
        let items = ast.run(run);
        for (i, &item) in items.iter().enumerate() {
            if i + 1 < items.len() {
                self.text("(");
            }
            self.expr(Id(item));
            if i + 1 < items.len() {
                self.text(op);
            }
        }
        for _ in 1..items.len() {
            self.text(")");
        }
    }

    fn expr_here(&mut self, id: Id) {
        let ast = self.ast;
        match ast.node(id) {
            Expr::Const(index) => self.constant(index),
            Expr::EmptyList => self.text("[ ]"),
            Expr::CurPos => self.text("__curPos"),
            Expr::Name(name) => {
                let bytes = self.bytes_of(name).to_vec();
                self.out.extend(bytes);
            }
            Expr::List(items) => {
                self.text("[ ");
                for &item in ast.run(items) {
                    self.text("(");
                    self.expr(Id(item));
                    self.text(") ");
                }
                self.text("]");
            }
            Expr::Set(set) => self.set(&ast.sets[set as usize]),
            Expr::LegacyLet(set) => {
                self.text("(");
                self.set(&ast.sets[set as usize]);
                self.text(").body");
            }
            Expr::Let { set, body } => {
                self.text("(let ");
                self.bindings(&ast.sets[set as usize]);
                self.text("in ");
                self.expr(body);
                self.text(")");
            }
            Expr::With { subject, body } => {
                self.text("(with ");
                self.expr(subject);
                self.text("; ");
                self.expr(body);
                self.text(")");
            }
            Expr::Lambda(index) => self.lambda(index),
            Expr::Call { .. } => {
                self.text("(");
                self.call(id);
                self.text(")");
            }
            Expr::Select { base, path } => {
                self.text("(");
                self.expr(base);
                self.text(").");
                self.path(ast.run(path));
            }
            Expr::SelectOr { base, path } => {
                let words = ast.run(path);
                let (path, default) = words.split_at(words.len() - 1);
                self.text("(");
                self.expr(base);
                self.text(").");
                self.path(path);
                self.text(" or (");
                self.expr(Id(default[0]));
                self.text(")");
            }
            Expr::HasAttr { base, path } => {
                self.text("((");
                self.expr(base);
                self.text(") ? ");
                self.path(ast.run(path));
                self.text(")");
            }
            Expr::If { condition, branches } => {
                let branches = ast.run(branches);
                self.text("(if ");
                self.expr(condition);
                self.text(" then ");
                self.expr(Id(branches[0]));
                self.text(" else ");
                self.expr(Id(branches[1]));
                self.text(")");
            }
            Expr::Assert { condition, body } => {
                self.text("assert ");
                self.expr(condition);
                self.text("; ");
                self.expr(body);
            }
            Expr::Plus(run) => self.left(run, " + "),
            Expr::And(run) => self.left(run, " && "),
            Expr::Or(run) => self.left(run, " || "),
            Expr::Concat(run) => self.right(run, " ++ "),
            Expr::Update(run) => self.right(run, " // "),
            Expr::Interpolate(run) => self.parts(ast.run(run), false),
            Expr::InterpolatePath(run) => self.parts(ast.run(run), true),
            Expr::Implies(a, b) => self.binary(a, " -> ", b),
            Expr::Equal(a, b) => self.binary(a, " == ", b),
            Expr::NotEqual(a, b) => self.binary(a, " != ", b),
            Expr::Not { operand, n } => {
                for _ in 0..n {
                    self.text("(! ");
                }
                self.expr(operand);
                for _ in 0..n {
                    self.text(")");
                }
            }
            Expr::Less(a, b) => self.builtin("__lessThan", a, b),
            Expr::Greater(a, b) => self.builtin("__lessThan", b, a),
            Expr::LessEqual(a, b) => self.not_less(b, a),
            Expr::GreaterEqual(a, b) => self.not_less(a, b),
            Expr::Negate(_) | Expr::Sub(..) | Expr::Mul(..) | Expr::Div(..) => {
                self.text("(");
                self.call(id);
                self.text(")");
            }
            Expr::Lookup(index) => {
                self.text("(__findFile __nixPath ");
                self.constant(index);
                self.text(")");
            }
            Expr::HomePath(index) => self.home_path(index),
        }
    }

    fn not_less(&mut self, a: Id, b: Id) {
        self.text("(! ");
        self.builtin("__lessThan", a, b);
        self.text(")");
    }

    /// A call without its parentheses: a call of a call is one call with all arguments.
    fn call(&mut self, id: Id) {
        let ast = self.ast;
        match ast.node(id) {
            Expr::Call { function, args } => {
                on_growing_stack(|| self.call(function));
                for &arg in ast.run(args) {
                    self.text(" ");
                    self.expr(Id(arg));
                }
            }
            Expr::Negate(a) => {
                self.text("__sub 0 ");
                self.expr(a);
            }
            Expr::Sub(a, b) => self.operands("__sub ", a, b),
            Expr::Mul(a, b) => self.operands("__mul ", a, b),
            Expr::Div(a, b) => self.operands("__div ", a, b),
            Expr::Less(a, b) => self.operands("__lessThan ", a, b),
            Expr::Greater(a, b) => self.operands("__lessThan ", b, a),
            _ => self.expr(id),
        }
    }

    fn operands(&mut self, function: &str, a: Id, b: Id) {
        self.text(function);
        self.expr(a);
        self.text(" ");
        self.expr(b);
    }

    fn home_path(&mut self, index: u32) {
        self.out.extend_from_slice(self.home);
        if let Const::String(text) = self.ast.consts[index as usize] {
            self.out.extend_from_slice(self.ast.text_of(text));
        }
    }

    /// The parts of an interpolation; the first of a path is text without quotes.
    fn parts(&mut self, parts: &[u32], is_path: bool) {
        self.text("(");
        for (i, &part) in parts.iter().enumerate() {
            if i > 0 {
                self.text(" + ");
            }
            match self.ast.as_string(Id(part)) {
                Some(text) if is_path && i == 0 => {
                    let text = text.to_vec();
                    self.out.extend(text);
                }
                _ => self.expr(Id(part)),
            }
        }
        self.text(")");
    }

    fn path(&mut self, words: &[u32]) {
        for (i, part) in words.chunks_exact(2).enumerate() {
            if i > 0 {
                self.text(".");
            }
            match Part::from_words(part) {
                Part::Name(name) => self.name(name),
                Part::Dynamic(id) => {
                    self.text("\"${");
                    self.expr(id);
                    self.text("}\"");
                }
            }
        }
    }

    fn lambda(&mut self, index: u32) {
        let ast = self.ast;
        let lambda = ast.lambdas[index as usize];
        self.text("(");
        match lambda.param {
            Param::Simple(name, _) => self.name(name),
            Param::Formals(pattern) => {
                let pattern = ast.patterns[pattern as usize];
                let mut formals = ast.formals_of(&pattern).to_vec();
                formals.sort_by(|a, b| self.bytes_of(a.name).cmp(self.bytes_of(b.name)));
                self.text("{ ");
                for (i, formal) in formals.iter().enumerate() {
                    if i > 0 {
                        self.text(", ");
                    }
                    self.name(formal.name);
                    if let Some(default) = formal.default {
                        self.text(" ? ");
                        self.expr(default);
                    }
                }
                if pattern.ellipsis {
                    self.text(if formals.is_empty() { "..." } else { ", ..." });
                }
                self.text(" }");
                if let Some(args) = pattern.args {
                    self.text(" @ ");
                    self.name(args);
                }
            }
        }
        self.text(": ");
        self.expr(lambda.body);
        self.text(")");
    }

    fn set(&mut self, set: &Set) {
        self.text(if set.recursive { "rec { " } else { "{ " });
        self.bindings(set);
        self.text("}");
    }

    fn bindings(&mut self, set: &Set) {
        let ast = self.ast;
        let mut attrs: Vec<Attr> = ast.attrs_of(set).to_vec();
        attrs.sort_by(|a, b| self.bytes_of(a.name).cmp(self.bytes_of(b.name)));
        let inherited: Vec<Name> = attrs
            .iter()
            .filter(|attr| matches!(attr.value, Value::Inherit(_)))
            .map(|attr| attr.name)
            .collect();
        let mut from: BTreeMap<u32, Vec<Name>> = BTreeMap::new();
        for attr in &attrs {
            if let Value::From(source) = attr.value {
                from.entry(source).or_default().push(attr.name);
            }
        }
        if !inherited.is_empty() {
            self.text("inherit");
            self.names(&inherited);
        }
        for (source, names) in from {
            self.text("inherit (");
            self.expr(Id(ast.run(set.sources)[source as usize]));
            self.text(")");
            self.names(&names);
        }
        for attr in attrs {
            if let Value::Plain(id) = attr.value {
                self.name(attr.name);
                self.text(" = ");
                self.expr(id);
                self.text("; ");
            }
        }
        for dynamic in ast.dynamic_of(set) {
            self.text("\"${");
            self.expr(dynamic.name);
            self.text("}\" = ");
            self.expr(dynamic.value);
            self.text("; ");
        }
    }

    fn names(&mut self, names: &[Name]) {
        for &name in names {
            self.text(" ");
            self.name(name);
        }
        self.text("; ");
    }
}

/// A finite number as C's `%g` writes it.
fn general(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`e` is in the format");
    let exponent: i32 = exponent.parse().expect("the exponent is a small number");
    let trimmed = |digits: &str| -> String {
        match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.').into(),
            false => digits.into(),
        }
    };
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{value:.*}", (5 - exponent) as usize));
    }
    let mut out = trimmed(mantissa);
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.abs());
    out
}
