//! Numbers, strings, paths, and the operators that make them.

use super::{Gen, Table};
use crate::programs::{
    ast::{Expr, Name, Piece, atom, op},
    texts,
    types::Ty,
};

/// Names of files that the working folder has, and some that it lacks.
const PATHS: &[&str] = &[
    "./file",
    "./dir",
    "./dir/a",
    "./dir/sub",
    "./nope",
    "./.",
    "./link",
    "/abs/x",
    "./dir/../file",
    "dir/a",
    "../w/file",
    "/a/./b",
    "./dir/sub/c.txt",
    "/x_y/z-1.0+q",
    "./...",
];

impl Gen {
    pub(super) fn int(&mut self) -> Expr {
        atom(match self.rng.below(40) {
            0 => self
                .rng
                .pick(&[
                    "9223372036854775807",
                    "4611686018427387904",
                    "2147483648",
                    "1000000",
                    "007",
                ])
                .to_owned(),
            1 => format!("(-{})", self.rng.below(100)),
            _ => self.rng.below(12).to_string(),
        })
    }

    pub(super) fn float(&mut self) -> Expr {
        atom(self.rng.pick(&[
            "0.5",
            "1.5",
            "2.25",
            "(-0.5)",
            "1.0e10",
            "1.0e-5",
            "100000.5",
            "3.0",
            "0.1",
            "1.",
            ".5",
            "1.25e2",
            "12345678.9",
            "1.0e15",
            "1.0e100",
            "2.5E-3",
            "0.3",
        ]))
    }

    pub(super) fn int_op(&mut self, depth: usize, table: &Table) -> Expr {
        let ty = Ty::Int;
        match self.rng.below(10) {
            0..=2 => self.int(),
            3 | 4 => op("+", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            5 | 6 => op("-", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            7 => op("*", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            8 => op(
                "/",
                self.expr(&ty, depth, table),
                atom(self.rng.pick(&["1", "2", "3", "(-2)", "7"])),
            ),
            _ => Expr::Neg(Box::new(self.expr(&ty, depth, table))),
        }
    }

    pub(super) fn float_op(&mut self, depth: usize, table: &Table) -> Expr {
        let int_too = if self.rng.chance(40) { Ty::Int } else { Ty::Float };
        let ty = Ty::Float;
        match self.rng.below(8) {
            0..=2 => self.float(),
            3 => op("+", self.expr(&int_too, depth, table), self.expr(&ty, depth, table)),
            4 => op("-", self.expr(&ty, depth, table), self.expr(&int_too, depth, table)),
            5 => op("*", self.expr(&int_too, depth, table), self.expr(&ty, depth, table)),
            6 => op(
                "/",
                self.expr(&ty, depth, table),
                atom(self.rng.pick(&["2", "0.5", "3", "(-4.0)"])),
            ),
            _ => Expr::Neg(Box::new(self.expr(&ty, depth, table))),
        }
    }

    pub(super) fn bool_op(&mut self, depth: usize, table: &Table) -> Expr {
        let ty = Ty::Bool;
        match self.rng.below(14) {
            0 => atom(self.rng.pick(&["true", "false"])),
            1 | 2 => op("&&", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            3 | 4 => op("||", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            5 => op("->", self.expr(&ty, depth, table), self.expr(&ty, depth, table)),
            6 => Expr::Not(Box::new(self.expr(&ty, depth, table))),
            7 | 8 => {
                let of = self.random_type(2);
                let other = if self.rng.chance(85) { of.clone() } else { self.random_type(1) };
                let sign = self.rng.pick(&["==", "!="]);
                // The operators are few: each has a static name.
                let sign = if sign == "==" { "==" } else { "!=" };
                op(sign, self.expr(&of, depth, table), self.expr(&other, depth, table))
            }
            9..=11 => {
                let of = match self.rng.below(8) {
                    0..=2 => Ty::Int,
                    3 | 4 => Ty::Str,
                    5 => Ty::Float,
                    6 => Ty::list(Ty::Int),
                    _ => Ty::Path,
                };
                let right =
                    if of == Ty::Int && self.rng.chance(25) { Ty::Float } else { of.clone() };
                let sign = ["<", ">", "<=", ">="][self.rng.below(4)];
                op(sign, self.expr(&of, depth, table), self.expr(&right, depth, table))
            }
            _ => {
                let of =
                    if self.rng.chance(80) { Ty::Set(Vec::new()) } else { self.random_type(2) };
                let set = self.expr(&of, depth, table);
                let n = self.rng.between(1, 2);
                let path = (0..n).map(|_| {
                    let name = self.attr_name();
                    self.name_of(&name, true)
                });
                let path = path.collect();
                Expr::Has(Box::new(set), path)
            }
        }
    }

    /// A name with this value; `dynamic`: whether it may be computed.
    pub(super) fn name_of(&mut self, value: &str, dynamic: bool) -> Name {
        let is_identifier = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "_'-".contains(c))
            && !["if", "or"].contains(&value);
        match self.rng.below(20) {
            0 if dynamic => Name::Dynamic(atom(texts::quoted(value))),
            1 if dynamic && !value.is_empty() => {
                let cut = value.char_indices().nth(1).map_or(value.len(), |(at, _)| at);
                let (a, b) = value.split_at(cut);
                Name::Dynamic(op("+", atom(texts::quoted(a)), atom(texts::quoted(b))))
            }
            2 if dynamic => {
                let inner = Expr::Str(vec![Piece::Text(texts::escaped(value))]);
                Name::Quoted(vec![Piece::Text(String::new()), Piece::Interp(inner)])
            }
            3 => Name::Plain(texts::quoted(value)),
            _ if is_identifier => Name::Plain(value.to_owned()),
            _ => Name::Plain(texts::quoted(value)),
        }
    }

    pub(super) fn string_leaf(&mut self) -> Expr {
        if self.rng.chance(4) {
            return atom(self.rng.pick(&[
                "\"${./file}\"",
                "(builtins.toFile \"t\" \"text\")",
                "\"${derivation { name = \"d\"; system = \"x\"; builder = \"b\"; }}\"",
                "(derivation { name = \"d\"; system = \"x\"; builder = \"b\"; }).drvPath",
                "(derivation { name = \"e\"; system = \"x\"; builder = \"b\"; outputs = [ \"out\" \"dev\" ]; }).dev.outPath",
            ]));
        }
        if self.rng.chance(3) {
            return atom(self.rng.pick(&[
                "http://example.org/a?b=c&d",
                "x:x",
                "a.b:/~c",
                "mailto:a@b.c",
                "A+b-c.:1%20",
            ]));
        }
        atom(self.rng.pick(&[
            "\"\"",
            "\"a\"",
            "\"b\"",
            "\"foo\"",
            "\"a b\"",
            "\"1.2\"",
            "\"é\"",
            "\"/x/y\"",
            "\"x\\ny\"",
            "''z''",
            "\"3\"",
            "\"a-b\"",
            "\"\\${a}\"",
            "\"$\"",
            "\"A\"",
            "\"foo/bar/\"",
        ]))
    }

    pub(super) fn string(&mut self, depth: usize, table: &Table) -> Expr {
        match self.rng.below(10) {
            0 | 1 => self.string_leaf(),
            2..=5 => {
                let mut pieces = Vec::new();
                for _ in 0..self.rng.between(0, 4) {
                    if self.rng.chance(45) {
                        pieces.push(Piece::Interp(self.stringish(depth, table)));
                    } else {
                        pieces.push(Piece::Text(
                            self.rng
                                .pick(&[
                                    "a", " b", "\\n", "\\t", "\\\"", "\\\\", "\\${", "$ ", "$$ ",
                                    "$${y}", "\\a", "\\'", "é", "\n", "\r\n", "\r", "''", "'", "#",
                                    "/*", "\\\n", "\t", "{", "}",
                                ])
                                .to_owned(),
                        ));
                    }
                }
                Expr::Str(pieces)
            }
            6 | 7 => {
                let mut pieces = Vec::new();
                for _ in 0..self.rng.between(0, 7) {
                    if self.rng.chance(25) {
                        pieces.push(Piece::Interp(self.stringish(depth, table)));
                    } else {
                        pieces.push(Piece::Text(
                            self.rng
                                .pick(&[
                                    "a", "  ", "\n", "\n", "\n  ", "\n    b", " c\n", "\n\n", "\t",
                                    "''\\n", "'''", "''$", "$ ", "''\\t", "' ", "\\", "\r\n",
                                    "$$ ", "$${y}", " \n", "    ", "''\\${z}", "\"", "''\\'",
                                    "\n\t  d", "é", "   \n   ", "''${q}", "''\\\\",
                                ])
                                .to_owned(),
                        ));
                    }
                }
                Expr::Indented(pieces)
            }
            _ => op("+", self.expr(&Ty::Str, depth, table), self.stringish(depth, table)),
        }
    }

    /// What can stand in an interpolation: mostly a string.
    fn stringish(&mut self, depth: usize, table: &Table) -> Expr {
        match self.rng.below(30) {
            0 => atom("./file"),
            1 => {
                let inner = self.expr(&Ty::Str, depth, table);
                self.with_attr("outPath", inner)
            }
            2 => {
                let inner = self.expr(&Ty::Str, depth, table);
                let function = Expr::Lambda(
                    crate::programs::ast::Param::Name("self".to_owned()),
                    Box::new(inner),
                );
                self.with_attr("__toString", function)
            }
            _ => self.expr(&Ty::Str, depth, table),
        }
    }

    fn with_attr(&mut self, name: &str, value: Expr) -> Expr {
        let binding =
            crate::programs::ast::Binding::Value(vec![Name::Plain(name.to_owned())], value);
        Expr::Set { rec: false, bindings: vec![binding] }
    }

    pub(super) fn path_leaf(&mut self) -> Expr {
        atom(self.rng.pick(PATHS))
    }

    pub(super) fn path(&mut self, depth: usize, table: &Table) -> Expr {
        match self.rng.below(6) {
            0 | 1 => self.path_leaf(),
            2 | 3 => {
                let start = self.rng.pick(&["./", "./dir/", "/abs/", "dir/", "./a-", "/x/y"]);
                let mut pieces = vec![
                    Piece::Text(start.to_owned()),
                    Piece::Interp(self.expr(&Ty::Str, depth, table)),
                ];
                if self.rng.chance(40) {
                    let rest = self.rng.pick(&["x", "/y", "-z", "/a.b", "."]);
                    pieces.push(Piece::Text(rest.to_owned()));
                }
                if self.rng.chance(20) {
                    pieces.push(Piece::Interp(self.expr(&Ty::Str, depth, table)));
                }
                Expr::Path(pieces)
            }
            _ => {
                let right = if self.rng.chance(85) { Ty::Str } else { Ty::Path };
                op("+", self.expr(&Ty::Path, depth, table), self.expr(&right, depth, table))
            }
        }
    }
}
