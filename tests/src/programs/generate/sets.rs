//! Attribute sets in all the ways to write them.

use super::{Gen, Table, Var};
use crate::programs::{
    ast::{Binding, Expr, Name, Param, atom, op},
    types::Ty,
};

impl Gen {
    pub(super) fn set(&mut self, fields: &[(String, Ty)], depth: usize, table: &Table) -> Expr {
        if self.rng.chance(20) && depth > 0 {
            // Each name on one side or on both.
            let mut left = Vec::new();
            let mut right = Vec::new();
            for field in fields {
                match self.rng.below(3) {
                    0 => left.push(field.clone()),
                    1 => right.push(field.clone()),
                    _ => {
                        left.push((field.0.clone(), self.random_type(1)));
                        right.push(field.clone());
                    }
                }
            }
            return op("//", self.set(&left, depth - 1, table), self.set(&right, depth - 1, table));
        }
        if fields.is_empty() && self.rng.chance(60) {
            let ty = Ty::Set(self.random_fields());
            if let Ty::Set(fields) = ty {
                return self.set_literal(&fields, depth, table);
            }
        }
        self.set_literal(fields, depth, table)
    }

    fn random_fields(&mut self) -> Vec<(String, Ty)> {
        let mut fields: Vec<(String, Ty)> = Vec::new();
        for _ in 0..self.rng.below(5) {
            let name = self.attr_name();
            if fields.iter().all(|f| f.0 != name) {
                fields.push((name, self.random_type(1)));
            }
        }
        fields
    }

    pub(super) fn set_literal(
        &mut self,
        fields: &[(String, Ty)],
        depth: usize,
        table: &Table,
    ) -> Expr {
        let rec = self.rng.chance(25);
        if rec && self.rng.chance(3) && depth > 0 {
            let over = self.random_fields();
            let mut bindings = self.bindings(fields, depth, true, false, table);
            let over = self.set_literal(&over, 0, table);
            bindings.push(Binding::Value(vec![Name::Plain("__overrides".to_owned())], over));
            return Expr::Set { rec, bindings };
        }
        let bindings = self.bindings(fields, depth, rec, true, table);
        Expr::Set { rec, bindings }
    }

    /// Bindings for fields. `recursive`: the names see one another; `dynamic`: names may be computed.
    pub(super) fn bindings(
        &mut self,
        fields: &[(String, Ty)],
        depth: usize,
        recursive: bool,
        dynamic: bool,
        table: &Table,
    ) -> Vec<Binding> {
        let outer = self.scope.len();
        let inherited: Vec<bool> = fields
            .iter()
            .map(|(name, ty)| self.rng.chance(30) && self.visible(ty).contains(name))
            .collect();
        if recursive {
            for (name, _) in fields {
                self.scope.push(Var { name: name.clone(), ty: None, with: false });
            }
        }
        let mut bindings = Vec::new();
        for (n, (name, ty)) in fields.iter().enumerate() {
            if inherited[n] {
                bindings.push(Binding::Inherit(None, vec![self.name_of(name, false)]));
            } else if self.rng.chance(6) {
                let mut others = vec![(name.clone(), ty.clone())];
                if self.rng.chance(50) {
                    others.push(("other".to_owned(), Ty::Int));
                }
                let from = self.set(&others, depth.saturating_sub(1), table);
                bindings.push(Binding::Inherit(Some(from), vec![self.name_of(name, false)]));
            } else {
                match ty {
                    Ty::Set(inner) if !inner.is_empty() && self.rng.chance(35) => {
                        self.nested(name, inner, depth, table, &mut bindings);
                    }
                    _ => {
                        let value = self.expr(ty, depth, table);
                        // A computed name cannot be seen by others, so its variable stays unusable.
                        let path = self.name_of(name, dynamic);
                        let is_static = matches!(path, Name::Plain(_));
                        bindings.push(Binding::Value(vec![path], value));
                        if recursive && is_static {
                            self.scope[outer + n].ty = Some(ty.clone());
                        }
                        continue;
                    }
                }
            }
            if recursive {
                self.scope[outer + n].ty = Some(ty.clone());
            }
        }
        self.scope.truncate(outer);
        self.rng.shuffle(&mut bindings);
        bindings
    }

    /// `a.b = …; a.c = …;` for a field that is a set.
    fn nested(
        &mut self,
        name: &str,
        inner: &[(String, Ty)],
        depth: usize,
        table: &Table,
        bindings: &mut Vec<Binding>,
    ) {
        for (sub, ty) in inner {
            let value = self.expr(ty, depth.saturating_sub(1), table);
            // Merging goes by static names.
            let path = vec![self.name_of(name, false), self.name_of(sub, false)];
            bindings.push(Binding::Value(path, value));
        }
    }

    pub(super) fn functor(&mut self, from: &Ty, to: &Ty, depth: usize, table: &Table) -> Expr {
        let inner = self.lambda(from, to, depth, table);
        let name = self.var_name();
        let outer = Expr::Lambda(Param::Name(format!("self-{name}")), Box::new(inner));
        let binding = Binding::Value(vec![Name::Plain("__functor".to_owned())], outer);
        Expr::Set { rec: false, bindings: vec![binding] }
    }

    pub(super) fn lambda(&mut self, from: &Ty, to: &Ty, depth: usize, table: &Table) -> Expr {
        let mark = self.scope.len();
        let param = match from {
            Ty::Set(fields) if self.rng.chance(75) => {
                let mut names: Vec<(String, Option<Expr>)> = Vec::new();
                let identifiers = fields.iter().filter(|(name, _)| {
                    super::NAMES.contains(&name.as_str())
                        || name.chars().all(|c| c.is_ascii_lowercase())
                            && name != "if"
                            && name != "or"
                });
                let fields: Vec<(String, Ty)> =
                    identifiers.filter(|f| !f.0.is_empty()).cloned().collect();
                let at = self.rng.chance(30).then(|| ("args".to_owned(), self.rng.chance(50)));
                if at.is_some() {
                    self.scope.push(Var {
                        name: "args".to_owned(),
                        ty: Some(from.clone()),
                        with: false,
                    });
                }
                for (name, ty) in &fields {
                    self.scope.push(Var { name: name.clone(), ty: Some(ty.clone()), with: false });
                }
                for (name, ty) in &fields {
                    let default = self.rng.chance(25).then(|| {
                        if self.rng.chance(30) { self.failure() } else { self.leaf(ty, table) }
                    });
                    names.push((name.clone(), default));
                }
                let extra = self.var_name();
                if self.rng.chance(30) && fields.iter().all(|f| f.0 != extra) {
                    let ty = self.random_type(1);
                    let default = self.expr(&ty, depth.min(1), table);
                    names.push((extra.clone(), Some(default)));
                    self.scope.push(Var { name: extra, ty: Some(ty), with: false });
                }
                self.rng.shuffle(&mut names);
                Param::Formals { fields: names, ellipsis: self.rng.chance(80), at }
            }
            _ => {
                let name = self.var_name();
                self.scope.push(Var { name: name.clone(), ty: Some(from.clone()), with: false });
                Param::Name(name)
            }
        };
        let body = self.expr(to, depth, table);
        self.scope.truncate(mark);
        Expr::Lambda(param, Box::new(body))
    }

    /// The argument of `genericClosure`.
    pub(super) fn closure(&mut self) -> Expr {
        let keys: Vec<String> = (0..self.rng.between(0, 3))
            .map(|_| format!("{{ key = {}; }}", self.rng.below(4)))
            .collect();
        let step = self.rng.pick(&[
            "x: if x.key < 5 then [ { key = x.key + 1; } { key = x.key + 2; from = x.key; } ] else [ ]",
            "x: [ ]",
            "{ key, ... }: [ { key = builtins.bitAnd (key * 3) 7; v = key; } ]",
            "x: map (k: { key = k; }) (builtins.genList (i: i) x.key)",
            "x: if builtins.isInt x.key then [ { key = 0.5 + x.key; } ] else [ ]",
            "x: [ { nokey = 1; } ]",
        ]);
        atom(format!("{{ startSet = [ {} ]; operator = {step}; }}", keys.join(" ")))
    }
}
