//! The program as text, for tests and `--dump=ir`. For people: its form may change.
//!
//! Every body is printed where it is made. `%n` is a local slot, `^n` a captured word, `^{…}` lists what a
//! body captures, `~` marks a thunk.

use std::fmt::Write;

use super::{
    Body, BodyId, Const, File, Formals, LambdaId, Node, NodeId, Operand, Params, PathPart, Place,
    Range,
};
use crate::symbol::{Symbol, Symbols};

/// The whole file as one expression on one line.
pub fn dump(file: &File, symbols: &Symbols) -> String {
    let mut dumper = Dumper { file, symbols, out: String::new() };
    dumper.body(BodyId(0));
    dumper.out
}

struct Dumper<'a> {
    file: &'a File,
    symbols: &'a Symbols,
    out: String,
}

impl Dumper<'_> {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn name(&mut self, symbol: Symbol) {
        let name = String::from_utf8_lossy(self.symbols.name(symbol));
        self.out.push_str(&name);
    }

    fn place(&mut self, place: Place) {
        self.out.push(if place.is_captured() { '^' } else { '%' });
        let _ = write!(self.out, "{}", place.index());
    }

    fn body(&mut self, id: BodyId) {
        let Body { root, captures, n_locals } = self.file.bodies[id.0 as usize];
        if n_locals > 0 {
            let _ = write!(self.out, "[{n_locals}]");
        }
        if captures.len > 0 {
            self.text("^{");
            for (i, &word) in self.file.words(captures).iter().enumerate() {
                if i > 0 {
                    self.text(" ");
                }
                self.place(Place(word));
            }
            self.text("}");
        }
        self.node(root);
    }

    fn constant(&mut self, value: Const) {
        match value {
            Const::Int(value) => {
                let _ = write!(self.out, "{value}");
            }
            Const::Float(value) => {
                let _ = write!(self.out, "{value:?}");
            }
            Const::String(text) => {
                let _ = write!(self.out, "{:?}", String::from_utf8_lossy(self.file.text(text)));
            }
            Const::Path(text) => {
                let text = String::from_utf8_lossy(self.file.text(text)).into_owned();
                self.text(&text);
            }
        }
    }

    /// `(head a b c)`
    fn form(&mut self, head: &str, operands: &[NodeId]) {
        self.text("(");
        self.text(head);
        for &operand in operands {
            self.text(" ");
            self.node(operand);
        }
        self.text(")");
    }

    fn ids(&self, range: Range) -> Vec<NodeId> {
        self.file.words(range).iter().map(|&word| NodeId(word)).collect()
    }

    fn chain(&mut self, head: &str, range: Range) {
        let ids = self.ids(range);
        self.form(head, &ids);
    }

    fn path(&mut self, words: &[u32]) {
        for (i, part) in words.chunks_exact(2).enumerate() {
            if i > 0 {
                self.text(".");
            }
            match PathPart::from_words([part[0], part[1]]) {
                PathPart::Name(name) => self.name(name),
                PathPart::Dynamic(node) => {
                    self.text("${");
                    self.node(node);
                    self.text("}");
                }
            }
        }
    }

    fn sources(&mut self, range: Range) {
        let words = self.file.words(range).to_vec();
        for pair in words.chunks_exact(2) {
            self.text("%");
            let _ = write!(self.out, "{}", pair[0]);
            self.text(" <- ");
            self.node(NodeId(pair[1]));
            self.text("; ");
        }
    }

    fn node(&mut self, id: NodeId) {
        let file = self.file;
        let id = match id.operand() {
            Operand::Node(id) => id,
            Operand::Const(id) => return self.constant(file.consts[id.0 as usize]),
            Operand::Suspend(body) => {
                self.text("~");
                return self.body(body);
            }
        };
        match file.node(id) {
            Node::Const(id) => self.constant(file.consts[id.0 as usize]),
            Node::EmptyList => self.text("[ ]"),
            Node::CurPos => self.text("__curPos"),
            Node::Var(place) => self.place(place),
            Node::Member { group, index } => {
                self.place(group);
                let _ = write!(self.out, ".{index}");
            }
            Node::Global(global) => {
                let _ = write!(self.out, "#{}", global.0);
            }
            Node::With { name, withs, .. } => {
                self.text("(with? ");
                self.name(name);
                let n = file.extra[withs as usize];
                for i in 0..n {
                    self.text(" ");
                    self.place(Place(file.extra[(withs + 1 + i) as usize]));
                }
                self.text(")");
            }
            Node::Scope { scope, name } => {
                self.text("(scope ");
                self.place(scope);
                self.text(" ");
                self.name(name);
                self.text(")");
            }
            Node::Lambda(id) => self.lambda(id),
            Node::List(items) => {
                self.text("[ ");
                for id in self.ids(items) {
                    self.node(id);
                    self.text(" ");
                }
                self.text("]");
            }
            Node::Set(id) => {
                let set = &file.sets[id.0 as usize];
                let rest = file.rest_of(set);
                if let Some(slot) = rest.and_then(|rest| rest.group) {
                    let _ = write!(self.out, "rec%{slot} ");
                }
                self.text("{ ");
                if let Some(rest) = rest {
                    self.sources(rest.sources);
                }
                for (&name, value) in file.names_of(set).iter().zip(self.ids(set.values)) {
                    self.name(name);
                    self.text(" = ");
                    self.node(value);
                    self.text("; ");
                }
                if let Some(at) = rest.and_then(|rest| rest.overrides) {
                    let _ = write!(self.out, "overrides {at}; ");
                }
                let dynamic = rest.map_or(&[][..], |rest| file.words(rest.dynamic));
                for triple in dynamic.chunks_exact(3) {
                    self.text("${");
                    self.node(NodeId(triple[0]));
                    self.text("} = ");
                    self.node(NodeId(triple[1]));
                    self.text("; ");
                }
                self.text("}");
            }
            Node::Let(id) => {
                let group = file.lets[id.0 as usize];
                let _ = write!(self.out, "let%{} ", group.group);
                self.sources(group.sources);
                for member in self.ids(group.members) {
                    self.node(member);
                    self.text("; ");
                }
                self.text("in ");
                self.node(group.body);
            }
            Node::WithScope { slot, subject, body } => {
                let _ = write!(self.out, "with%{slot} ");
                self.node(subject);
                self.text("; ");
                self.node(body);
            }
            Node::Call { function, args } => {
                self.text("(");
                self.node(function);
                for id in self.ids(args) {
                    self.text(" ");
                    self.node(id);
                }
                self.text(")");
            }
            Node::CallGlobal { builtin, args } => {
                let ids = self.ids(args);
                self.form(&format!("call #{}", builtin.0), &ids);
            }
            Node::Select { base, name, .. } => {
                self.node(base);
                self.text(".");
                self.name(name);
            }
            Node::SelectPath { base, path } => {
                self.text("(select ");
                self.node(base);
                self.text(" ");
                self.path(file.words(path));
                self.text(")");
            }
            Node::SelectOr { base, path } => {
                let (path, default) = file.words(path).split_at(path.len as usize - 1);
                self.text("(select ");
                self.node(base);
                self.text(" ");
                self.path(path);
                self.text(" or ");
                self.node(NodeId(default[0]));
                self.text(")");
            }
            Node::HasAttr { base, path } => {
                self.text("(has ");
                self.node(base);
                self.text(" ");
                self.path(file.words(path));
                self.text(")");
            }
            Node::If { condition, branches } => {
                let at = branches as usize;
                let (yes, no) = (NodeId(file.extra[at]), NodeId(file.extra[at + 1]));
                self.form("if", &[condition, yes, no]);
            }
            Node::Assert { condition, body } => self.form("assert", &[condition, body]),
            Node::Plus(items) => self.chain("+", items),
            Node::Interpolate(items) => self.chain("str", items),
            Node::InterpolatePath(items) => self.chain("path", items),
            Node::Concat(items) => self.chain("++", items),
            Node::Update(items) => self.chain("//", items),
            Node::And(items) => self.chain("&&", items),
            Node::Or(items) => self.chain("||", items),
            Node::Implies(a, b) => self.form("->", &[a, b]),
            Node::Not(a) => self.form("!", &[a]),
            Node::Equal(a, b) => self.form("==", &[a, b]),
            Node::NotEqual(a, b) => self.form("!=", &[a, b]),
            Node::Less(a, b) => self.form("<", &[a, b]),
            Node::NotLess(a, b) => self.form("!<", &[a, b]),
            Node::Sub(a, b) => self.form("-", &[a, b]),
            Node::Mul(a, b) => self.form("*", &[a, b]),
            Node::Div(a, b) => self.form("/", &[a, b]),
            Node::Negate(a) => self.form("neg", &[a]),
            Node::Lookup(id) => {
                self.text("<");
                self.constant(file.consts[id.0 as usize]);
                self.text(">");
            }
            Node::HomePath(id) => {
                self.text("~");
                self.constant(file.consts[id.0 as usize]);
            }
        }
    }

    fn lambda(&mut self, id: LambdaId) {
        let file = self.file;
        let lambda = &file.lambdas[id.0 as usize];
        self.text("(\\");
        if let Some(name) = lambda.name {
            self.name(name);
        }
        self.text("(");
        match &lambda.params {
            Params::Simple(args) => {
                for (i, &(name, _)) in args.iter().enumerate() {
                    if i > 0 {
                        self.text(" ");
                    }
                    self.name(name);
                }
            }
            Params::Formals(formals) => self.formals(formals),
        }
        self.text(") ");
        self.body(lambda.body);
        self.text(")");
    }

    fn formals(&mut self, formals: &Formals) {
        self.text("{");
        for (i, formal) in formals.formals.iter().enumerate() {
            self.text(if i > 0 { ", " } else { " " });
            self.name(formal.name);
            if let Some(default) = formal.default {
                self.text(" ? ");
                self.node(default);
            }
        }
        if formals.ellipsis {
            self.text(" ...");
        }
        self.text(" }");
        if let Some(args) = formals.args {
            self.text("@");
            self.name(args);
        }
    }
}
