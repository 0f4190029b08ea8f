//! Generates programs: mostly well typed, a few deliberate mistakes, all of the grammar.
//!
//! An expression is made for a type, within a scope of names whose types are known. Names come from a small
//! pool, so that they shadow one another. What is never evaluated is often an error, so that laziness shows.

mod forms;
mod literals;
mod sets;

use super::{
    ast::{Expr, Name, Piece, atom, call, op},
    rng::Rng,
    texts,
    types::{self, Sig, Ty, fill, fits},
};

/// A name that can be seen.
#[derive(Clone, Debug)]
struct Var {
    name: String,
    /// `None`: the name hides others but is not to be used here.
    ty: Option<Ty>,
    /// Whether it comes from a `with`, which any other binding hides.
    with: bool,
}

/// Makes programs.
pub(crate) struct Gen {
    rng: Rng,
    scope: Vec<Var>,
    /// Expressions that may still be made before everything becomes a leaf.
    fuel: usize,
    /// Chance of a mistake per expression, of 1000.
    mistakes: usize,
    traces: bool,
    n_traces: usize,
}

/// The builtins by type; made once.
#[derive(Debug)]
pub(crate) struct Table(Vec<Sig>);

impl Table {
    pub(crate) fn new() -> Table {
        Table(types::signatures())
    }
}

/// The program of a seed, as a tree and as text in an odd layout.
pub(crate) fn program(seed: u64, table: &Table) -> (Expr, String) {
    let mut rng = Rng::new(seed);
    let fuel = match rng.below(10) {
        0..=3 => rng.between(3, 15),
        4..=7 => rng.between(15, 40),
        _ => rng.between(40, 120),
    };
    let mistakes = if rng.chance(25) { 25 } else { 1 };
    let traces = rng.chance(10);
    let mut generator = Gen { rng, scope: Vec::new(), fuel, mistakes, traces, n_traces: 0 };
    let depth = generator.rng.between(2, 7);
    let e = if generator.rng.chance(15) {
        generator.of_texts(table)
    } else {
        let ty = generator.random_type(2);
        generator.expr(&ty, depth, table)
    };
    let text = super::ast::print_oddly(&e, &mut generator.rng);
    (e, text)
}

/// Names of variables and attributes.
const NAMES: &[&str] =
    &["a", "b", "c", "x", "y", "f", "g", "foo", "bar'", "x-1", "_u", "If", "or_"];
/// Names of attributes that are no identifiers, as literals.
const ODD_NAMES: &[&str] = &["a b", "", "1x", "if", "é", "or", "a.b", "$", "\"", "${x}"];

impl Gen {
    /// Calls of the builtins that read small languages.
    fn of_texts(&mut self, table: &Table) -> Expr {
        let readers: Vec<&Sig> = table
            .0
            .iter()
            .filter(|s| s.args.iter().any(|a| matches!(a, Ty::Text(kind) if *kind != "closure")))
            .collect();
        let n = self.rng.between(1, 3);
        let mut calls = Vec::new();
        for _ in 0..n {
            let sig = readers[self.rng.below(readers.len())];
            self.fuel = 4;
            calls.push(self.call_of(sig, &mut Vec::new(), sig.args.len(), 1, table));
        }
        Expr::List(calls)
    }

    fn random_type(&mut self, depth: usize) -> Ty {
        match self.rng.below(if depth > 0 { 17 } else { 11 }) {
            0..=2 => Ty::Int,
            3 => Ty::Float,
            4 | 5 => Ty::Bool,
            6 => Ty::Null,
            7..=9 => Ty::Str,
            10 => Ty::Path,
            11 | 12 => Ty::list(self.random_type(depth - 1)),
            13 | 14 => {
                let mut fields: Vec<(String, Ty)> = Vec::new();
                for _ in 0..self.rng.below(4) {
                    let name = self.attr_name();
                    if fields.iter().all(|f| f.0 != name) {
                        fields.push((name, self.random_type(depth - 1)));
                    }
                }
                Ty::Set(fields)
            }
            15 => Ty::Fun(
                Box::new(self.random_type(depth - 1)),
                Box::new(self.random_type(depth - 1)),
            ),
            _ => Ty::list(Ty::Any),
        }
    }

    fn var_name(&mut self) -> String {
        self.rng.pick(NAMES).to_owned()
    }

    /// The value of an attribute name.
    fn attr_name(&mut self) -> String {
        if self.rng.chance(10) { self.rng.pick(ODD_NAMES).to_owned() } else { self.var_name() }
    }

    /// Variables of a type that can be seen from here.
    fn visible(&self, ty: &Ty) -> Vec<String> {
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for with in [false, true] {
            for var in self.scope.iter().rev().filter(|v| v.with == with) {
                if seen.contains(&var.name.as_str()) {
                    continue;
                }
                seen.push(&var.name);
                let usable = match (&var.ty, ty) {
                    (Some(_), Ty::Any) => true,
                    (Some(Ty::Set(have)), Ty::Set(want)) => {
                        want.iter().all(|w| have.iter().any(|h| h == w))
                    }
                    (Some(have), want) => have == want,
                    (None, _) => false,
                };
                if usable {
                    found.push(var.name.clone());
                }
            }
        }
        found
    }

    fn variable(&mut self, ty: &Ty) -> Option<Expr> {
        let names = self.visible(ty);
        if names.is_empty() {
            return None;
        }
        Some(atom(names[self.rng.below(names.len())].clone()))
    }

    /// An expression of a type.
    fn expr(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        if depth == 0 || self.fuel == 0 {
            return self.leaf(ty, table);
        }
        self.fuel -= 1;
        if self.rng.below(1000) < self.mistakes {
            return self.mistake(depth, table);
        }
        let depth = depth - 1;
        match self.rng.below(100) {
            0..=14 => match self.variable(ty) {
                Some(e) => e,
                None => self.intro(ty, depth, table),
            },
            15..=49 => self.intro(ty, depth, table),
            50..=74 => match self.builtin(ty, depth, table) {
                Some(e) => e,
                None => self.intro(ty, depth, table),
            },
            _ => self.form(ty, depth, table),
        }
    }

    /// Something that fails, or has the wrong type.
    fn mistake(&mut self, depth: usize, table: &Table) -> Expr {
        match self.rng.below(4) {
            0 => self.failure(),
            _ => {
                let ty = self.random_type(1);
                self.expr(&ty, depth - 1, table)
            }
        }
    }

    /// An expression that fails when it is evaluated, or never ends.
    fn failure(&mut self) -> Expr {
        match self.rng.below(10) {
            0..=2 => call(atom("throw"), vec![atom("\"t\"")]),
            3 => call(atom("abort"), vec![atom("\"a\"")]),
            4 => op("/", atom("1"), atom("0")),
            5 => Expr::Select(
                Box::new(Expr::Set { rec: false, bindings: Vec::new() }),
                vec![Name::Plain("nope".to_owned())],
                None,
            ),
            6 => Expr::Assert(Box::new(atom("false")), Box::new(atom("1"))),
            7 => atom("(let inf = inf; in inf)"),
            8 => call(atom("1"), vec![atom("2")]),
            _ => call(atom("builtins.head"), vec![Expr::List(Vec::new())]),
        }
    }

    /// A call of a builtin, or one that lacks an argument.
    fn builtin(&mut self, ty: &Ty, depth: usize, table: &Table) -> Option<Expr> {
        for _ in 0..12 {
            let sig = &table.0[self.rng.below(table.0.len())];
            let mut vars = Vec::new();
            if *ty == Ty::Any && matches!(sig.result, Ty::Var(_)) {
                continue;
            }
            if fits(&sig.result, ty, &mut vars) {
                return Some(self.call_of(sig, &mut vars, sig.args.len(), depth, table));
            }
            // A partial application is a function.
            if let (Ty::Fun(from, to), Some(last)) = (ty, sig.args.last()) {
                let mut vars = Vec::new();
                let text = matches!(last, Ty::Text(_));
                if !text && fits(last, from, &mut vars) && fits(&sig.result, to, &mut vars) {
                    return Some(self.call_of(sig, &mut vars, sig.args.len() - 1, depth, table));
                }
            }
        }
        None
    }

    fn call_of(
        &mut self,
        sig: &Sig,
        vars: &mut types::Vars,
        n_args: usize,
        depth: usize,
        table: &Table,
    ) -> Expr {
        let mut args = Vec::new();
        for (n, arg) in sig.args.iter().enumerate().take(n_args) {
            if let Some(special) = self.special_arg(sig.name, n) {
                args.push(special);
                continue;
            }
            let mut fresh = || self.random_type(1);
            let ty = fill(arg, vars, &mut fresh);
            args.push(self.expr(&ty, depth, table));
        }
        let name = match sig.name.strip_prefix("builtins.") {
            // Most builtins are globals too.
            Some(bare) if self.rng.chance(4) => format!("__{bare}"),
            _ => sig.name.to_owned(),
        };
        if args.is_empty() { atom(name) } else { call(atom(name), args) }
    }

    /// Arguments that must be chosen with care.
    fn special_arg(&mut self, name: &str, n: usize) -> Option<Expr> {
        match (name, n) {
            // An inconsistent comparator gives some permutation, which is not specified.
            ("builtins.sort", 0) => Some(atom(self.rng.pick(&[
                "builtins.lessThan",
                "(a: b: a < b)",
                "(x: y: y < x)",
                "(p: q: builtins.stringLength (toString p) < builtins.stringLength (toString q))",
                "(_: _: false)",
            ]))),
            ("builtins.genList", 1) => {
                Some(atom(self.rng.pick(&["0", "1", "2", "3", "3", "5", "(-1)"])))
            }
            ("builtins.elemAt", 1) => {
                Some(atom(self.rng.pick(&["0", "0", "0", "1", "1", "2", "(-1)"])))
            }
            ("builtins.substring", 0 | 1) => Some(atom(self.rng.pick(&[
                "0",
                "1",
                "2",
                "3",
                "10",
                "(-1)",
                "9223372036854775807",
            ]))),
            ("builtins.readFile" | "builtins.readDir", 0) => Some(atom(self.rng.pick(&[
                "./file",
                "./dir",
                "./dir/a",
                "./dir/sub",
                "./nope",
                "./link",
            ]))),
            (
                "builtins.hasAttr"
                | "builtins.getAttr"
                | "builtins.catAttrs"
                | "builtins.unsafeGetAttrPos",
                0,
            ) => {
                let name = self.attr_name();
                Some(atom(texts::quoted(&name)))
            }
            ("builtins.toJSON" | "builtins.toXML" | "builtins.deepSeq" | "toString", 0)
                if self.rng.chance(50) =>
            {
                None
            }
            _ => None,
        }
    }

    /// The smallest expression of a type.
    fn leaf(&mut self, ty: &Ty, table: &Table) -> Expr {
        if self.rng.chance(50)
            && let Some(e) = self.variable(ty)
        {
            return e;
        }
        match ty {
            Ty::Int => self.int(),
            Ty::Float => self.float(),
            Ty::Bool => atom(self.rng.pick(&["true", "false"])),
            Ty::Null => atom("null"),
            Ty::Str => self.string_leaf(),
            Ty::Path => self.path_leaf(),
            Ty::Any | Ty::Var(_) => {
                let ty = self.random_type(0);
                self.leaf(&ty, table)
            }
            Ty::List(of) => {
                let n = self.rng.pick(&[&0, &1, &1, &2, &3]);
                Expr::List((0..*n).map(|_| self.leaf(of, table)).collect())
            }
            Ty::Set(fields) => {
                let fields = fields.clone();
                self.set_literal(&fields, 0, table)
            }
            Ty::Fun(from, to) => self.lambda(from, to, 0, table),
            Ty::Text(kind) => self.text(kind),
        }
    }

    fn text(&mut self, kind: &str) -> Expr {
        if kind == "closure" {
            return self.closure();
        }
        let text = texts::text(kind, &mut self.rng);
        Expr::Str(vec![Piece::Text(texts::escaped(&text))])
    }

    /// The expression in its own form: literals, operators, functions.
    fn intro(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        match ty {
            Ty::Int => self.int_op(depth, table),
            Ty::Float => self.float_op(depth, table),
            Ty::Bool => self.bool_op(depth, table),
            Ty::Str => self.string(depth, table),
            Ty::Path => self.path(depth, table),
            Ty::Null => atom("null"),
            Ty::Any | Ty::Var(_) => {
                let ty = self.random_type(1);
                self.expr(&ty, depth, table)
            }
            Ty::List(of) => match self.rng.below(5) {
                0 => op("++", self.expr(ty, depth, table), self.expr(ty, depth, table)),
                _ => {
                    let n = self.rng.between(0, 4);
                    Expr::List((0..n).map(|_| self.expr(of, depth, table)).collect())
                }
            },
            Ty::Set(fields) => {
                let fields = fields.clone();
                self.set(&fields, depth, table)
            }
            Ty::Fun(from, to) => match self.rng.below(10) {
                0 => self.functor(from, to, depth, table),
                _ => self.lambda(from, to, depth, table),
            },
            Ty::Text(kind) => self.text(kind),
        }
    }
}
