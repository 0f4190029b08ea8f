//! Forms that can give any type: `let`, `with`, `if`, `assert`, calls, selections.

use super::{Gen, Table, Var};
use crate::programs::{
    ast::{Binding, Expr, Name, Param, atom, call, op},
    texts,
    types::Ty,
};

impl Gen {
    pub(super) fn form(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        match self.rng.below(26) {
            0..=4 => self.let_(ty, depth, table),
            5 | 6 => self.with_(ty, depth, table),
            7..=9 => self.if_(ty, depth, table),
            10 => {
                let condition = if self.rng.chance(90) {
                    atom(self.rng.pick(&["true", "(1 == 1)", "(\"a\" < \"b\")", "({ } == { })"]))
                } else {
                    self.expr(&Ty::Bool, depth, table)
                };
                let body = self.expr(ty, depth, table);
                Expr::Assert(Box::new(condition), Box::new(body))
            }
            11..=14 => {
                let from = self.random_type(2);
                let function =
                    self.expr(&Ty::Fun(Box::new(from.clone()), Box::new(ty.clone())), depth, table);
                let arg = self.expr(&from, depth, table);
                call(function, vec![arg])
            }
            15 => {
                // Two arguments at once.
                let (a, b) = (self.random_type(1), self.random_type(1));
                let inner = Ty::Fun(Box::new(b.clone()), Box::new(ty.clone()));
                let function =
                    self.expr(&Ty::Fun(Box::new(a.clone()), Box::new(inner)), depth, table);
                let args = vec![self.expr(&a, depth, table), self.expr(&b, depth, table)];
                call(function, args)
            }
            16..=20 => self.select(ty, depth, table),
            21 => {
                let e = self.expr(ty, depth, table);
                let junk = self.failure();
                match self.rng.below(3) {
                    0 => call(atom("builtins.head"), vec![Expr::List(vec![e, junk])]),
                    1 => call(atom("builtins.elemAt"), vec![Expr::List(vec![junk, e]), atom("1")]),
                    _ => call(
                        atom("builtins.foldl'"),
                        vec![atom("(l: r: r)"), junk, Expr::List(vec![e])],
                    ),
                }
            }
            22 if self.traces => {
                self.n_traces += 1;
                let label = if self.rng.chance(70) {
                    atom(format!("\"t{}\"", self.n_traces))
                } else {
                    atom(self.rng.pick(&[
                        "1",
                        "[ 1 2 ]",
                        "null",
                        "true",
                        "{ a = 1; }",
                        "\"a\\nb\"",
                        "./file",
                        "1.5",
                        "[ ]",
                    ]))
                };
                let e = self.expr(ty, depth, table);
                call(atom("builtins.trace"), vec![label, e])
            }
            22 => self.recursion(ty, depth, table),
            23 => self.old_let(ty, depth, table),
            24 => self.imported(ty, depth, table),
            _ => self.shadowed(ty, depth, table),
        }
    }

    fn let_(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let mut fields: Vec<(String, Ty)> = Vec::new();
        for _ in 0..self.rng.between(1, 4) {
            let name = self.var_name();
            if fields.iter().all(|f| f.0 != name) {
                fields.push((name, self.random_type(2)));
            }
        }
        let mut bindings = self.bindings(&fields, depth, true, false, table);
        if self.rng.chance(10) {
            let junk = self.failure();
            bindings.push(Binding::Value(vec![Name::Plain("unused".to_owned())], junk));
        }
        let mark = self.scope.len();
        for (name, ty) in fields {
            self.scope.push(Var { name, ty: Some(ty), with: false });
        }
        let body = self.expr(ty, depth, table);
        self.scope.truncate(mark);
        Expr::Let(bindings, Box::new(body))
    }

    fn old_let(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let mut fields = vec![("body".to_owned(), ty.clone())];
        let name = self.var_name();
        fields.insert(0, (name, self.random_type(1)));
        Expr::OldLet(self.bindings(&fields, depth, true, true, table))
    }

    fn with_(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let mut fields: Vec<(String, Ty)> = Vec::new();
        for _ in 0..self.rng.between(0, 3) {
            let name = self.var_name();
            if fields.iter().all(|f| f.0 != name) {
                fields.push((name, self.random_type(1)));
            }
        }
        let set = if fields.is_empty() && self.rng.chance(30) {
            self.failure()
        } else {
            self.set(&fields, depth, table)
        };
        let mark = self.scope.len();
        for (name, ty) in fields {
            self.scope.push(Var { name, ty: Some(ty), with: true });
        }
        let body = self.expr(ty, depth, table);
        self.scope.truncate(mark);
        Expr::With(Box::new(set), Box::new(body))
    }

    fn if_(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let parts = if self.rng.chance(20) {
            let e = self.expr(ty, depth, table);
            let junk = self.failure();
            if self.rng.chance(50) { [atom("true"), e, junk] } else { [atom("false"), junk, e] }
        } else {
            let condition = self.expr(&Ty::Bool, depth, table);
            [condition, self.expr(ty, depth, table), self.expr(ty, depth, table)]
        };
        Expr::If(Box::new(parts))
    }

    fn select(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let name = self.attr_name();
        let path_name = self.name_of(&name, true);
        let mut fields = vec![(name.clone(), ty.clone())];
        let extra = self.var_name();
        if extra != name && self.rng.chance(30) {
            fields.push((extra, self.random_type(1)));
        }
        match self.rng.below(10) {
            // A selection that misses and has a default.
            0 => {
                let of = self.random_type(1);
                let set = self.expr(&of, depth, table);
                let default = self.expr(ty, depth, table);
                let path = vec![Name::Plain("missing".to_owned()), path_name];
                Expr::Select(Box::new(set), path, Some(Box::new(default)))
            }
            // One that hits, whose default must not be looked at.
            1 => {
                let set = self.set(&fields, depth, table);
                let junk = self.failure();
                Expr::Select(Box::new(set), vec![path_name], Some(Box::new(junk)))
            }
            2 | 3 => {
                let outer = self.attr_name();
                let inner = Ty::Set(fields);
                let set = self.expr(&Ty::Set(vec![(outer.clone(), inner)]), depth, table);
                let outer = self.name_of(&outer, true);
                Expr::Select(Box::new(set), vec![outer, path_name], None)
            }
            4 => {
                let set = self.expr(&Ty::Set(fields), depth, table);
                call(atom("builtins.getAttr"), vec![atom(texts::quoted(&name)), set])
            }
            5 => {
                // Beside it lies something that fails.
                let mut set = self.set_literal(&fields, depth, table);
                if let Expr::Set { bindings, .. } = &mut set {
                    let junk = self.failure();
                    bindings.push(Binding::Value(vec![Name::Plain("junk".to_owned())], junk));
                }
                Expr::Select(Box::new(set), vec![path_name], None)
            }
            _ => {
                let set = self.expr(&Ty::Set(fields), depth, table);
                Expr::Select(Box::new(set), vec![path_name], None)
            }
        }
    }

    /// A function that calls itself a few times.
    fn recursion(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let base = self.expr(ty, depth, table);
        let mark = self.scope.len();
        self.scope.push(Var { name: "rest".to_owned(), ty: Some(ty.clone()), with: false });
        self.scope.push(Var { name: "n".to_owned(), ty: Some(Ty::Int), with: false });
        let step = self.expr(ty, depth, table);
        self.scope.truncate(mark);
        let again = call(atom("go"), vec![op("-", atom("n"), atom("1"))]);
        let rest = Binding::Value(vec![Name::Plain("rest".to_owned())], again);
        let step = Expr::Let(vec![rest], Box::new(step));
        let condition = op("<=", atom("n"), atom("0"));
        let body = Expr::If(Box::new([condition, base, step]));
        let function = Expr::Lambda(Param::Name("n".to_owned()), Box::new(body));
        let go = Binding::Value(vec![Name::Plain("go".to_owned())], function);
        let times = self.rng.below(4).to_string();
        Expr::Let(vec![go], Box::new(call(atom("go"), vec![atom(times)])))
    }

    /// Something from a file.
    fn imported(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        match ty {
            Ty::Int if self.rng.chance(50) => atom("import ./dir/seven.nix"),
            Ty::Int => atom(format!(
                "builtins.scopedImport {{ x = {}; }} ./dir/scoped.nix",
                self.rng.below(10)
            )),
            Ty::Str => atom("(import ./dir).text"),
            _ => {
                let e = self.expr(ty, depth, table);
                call(atom("import"), vec![atom("./dir/identity.nix"), e])
            }
        }
        .parenthesised()
    }

    /// A scope in which names that operators stand for mean something else.
    fn shadowed(&mut self, ty: &Ty, depth: usize, table: &Table) -> Expr {
        let body = self.expr(ty, depth.min(2), table);
        let binding = self.rng.pick(&[
            "__sub = a: b: 9",
            "__lessThan = a: b: true",
            "__mul = a: b: a + b",
            "__div = a: b: 1",
            "map = f: l: l",
            "true = false",
            "__nixPath = [ ]",
        ]);
        let (name, value) = binding.split_once(" = ").expect("each has a value");
        let binding = Binding::Value(vec![Name::Plain(name.to_owned())], atom(value));
        Expr::Let(vec![binding], Box::new(body))
    }
}

impl Expr {
    /// In brackets of its own, for atoms that are really calls.
    fn parenthesised(self) -> Expr {
        match self {
            Expr::Atom(text) => Expr::Atom(format!("({text})")),
            other => other,
        }
    }
}
