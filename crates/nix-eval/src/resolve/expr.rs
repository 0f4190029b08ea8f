//! Expressions in strict position.

use super::{Fail, Resolver, const_id, scope::Meaning};
use crate::{
    ir::{Const, Node, NodeId, PathPart, Place, Range},
    source::Span,
    symbol::{Symbol, names},
    syntax::ast::{Expr, Id, Part, Run},
};

/// Static paths up to this long become nested selections with a cache each.
const MAX_NESTED_SELECTS: usize = 8;

impl Resolver<'_> {
    pub(super) fn strict_here(&mut self, id: Id) -> Result<NodeId, Fail> {
        let ast = self.ast;
        let span = ast.span(id);
        let node = match ast.node(id) {
            Expr::Const(index) => Node::Const(const_id(index)),
            Expr::EmptyList => Node::EmptyList,
            Expr::CurPos => Node::CurPos,
            Expr::Name(name) => return Ok(self.variable(name, span)),
            Expr::List(items) => Node::List(self.operands(items)?),
            Expr::Set(set) => return self.set(set, span),
            Expr::LegacyLet(set) => {
                let base = self.set(set, span)?;
                Node::Select { base, name: names::BODY, cache: self.new_cache() }
            }
            Expr::Let { set, body } => return self.let_in(set, body, span),
            Expr::With { subject, body } => {
                let subject = self.operand(subject, None)?;
                let slot = self.new_slot();
                let cell = self.new_cell(Place::local(slot));
                self.withs.push(cell);
                let body = self.strict(body)?;
                self.withs.pop();
                self.free_slots(1);
                Node::WithScope { slot, subject, body }
            }
            Expr::Lambda(index) => return self.lambda(index, None, span),
            Expr::Call { function, args } => return self.call(function, args, span),
            Expr::Select { base, path } => return self.select(base, path, span),
            Expr::SelectOr { base, path } => {
                let words = ast.run(path);
                let (path, default) = words.split_at(words.len() - 1);
                let base = self.strict(base)?;
                let first = self.words.len();
                self.path_words(path)?;
                let default = self.strict(Id(default[0]))?;
                self.words.push(default.0);
                Node::SelectOr { base, path: self.take_words(first) }
            }
            Expr::HasAttr { base, path } => {
                let base = self.strict(base)?;
                let first = self.words.len();
                self.path_words(ast.run(path))?;
                Node::HasAttr { base, path: self.take_words(first) }
            }
            Expr::If { condition, branches } => {
                let condition = self.strict(condition)?;
                let branches = ast.run(branches);
                let yes = self.strict(Id(branches[0]))?;
                let no = self.strict(Id(branches[1]))?;
                let at = self.out.extra.len() as u32;
                self.out.extra.extend_from_slice(&[yes.0, no.0]);
                Node::If { condition, branches: at }
            }
            Expr::Assert { condition, body } => {
                let condition = self.strict(condition)?;
                let body = self.strict(body)?;
                Node::Assert { condition, body }
            }
            Expr::Plus(items) => Node::Plus(self.stricts(items)?),
            Expr::Concat(items) => Node::Concat(self.stricts(items)?),
            Expr::Update(items) => Node::Update(self.stricts(items)?),
            Expr::And(items) => Node::And(self.stricts(items)?),
            Expr::Or(items) => Node::Or(self.stricts(items)?),
            Expr::Interpolate(items) => Node::Interpolate(self.stricts(items)?),
            Expr::InterpolatePath(items) => Node::InterpolatePath(self.stricts(items)?),
            Expr::Implies(a, b) => {
                let (a, b) = self.two(a, b)?;
                Node::Implies(a, b)
            }
            Expr::Equal(a, b) => {
                let (a, b) = self.two(a, b)?;
                Node::Equal(a, b)
            }
            Expr::NotEqual(a, b) => {
                let (a, b) = self.two(a, b)?;
                Node::NotEqual(a, b)
            }
            Expr::Not { operand, n } => {
                let operand = self.strict(operand)?;
                // Three are as good as one.
                match n % 2 {
                    0 => Node::Not(self.add(Node::Not(operand), span)),
                    _ => Node::Not(operand),
                }
            }
            Expr::Negate(a) => return self.negate(a, span),
            Expr::Less(a, b) => return self.operator(names::LESS_THAN, Node::Less, a, b, span),
            Expr::Greater(a, b) => return self.operator(names::LESS_THAN, Node::Less, b, a, span),
            Expr::GreaterEqual(a, b) => return self.not_less(a, b, span),
            Expr::LessEqual(a, b) => return self.not_less(b, a, span),
            Expr::Sub(a, b) => return self.operator(names::SUB, Node::Sub, a, b, span),
            Expr::Mul(a, b) => return self.operator(names::MUL, Node::Mul, a, b, span),
            Expr::Div(a, b) => return self.operator(names::DIV, Node::Div, a, b, span),
            Expr::Lookup(index) => return Ok(self.lookup(index, span)),
            Expr::HomePath(index) => Node::HomePath(const_id(index)),
        };
        Ok(self.add(node, span))
    }

    fn two(&mut self, a: Id, b: Id) -> Result<(NodeId, NodeId), Fail> {
        Ok((self.strict(a)?, self.strict(b)?))
    }

    fn stricts(&mut self, items: Run) -> Result<Range, Fail> {
        let ast = self.ast;
        let base = self.words.len();
        for &item in ast.run(items) {
            let node = self.strict(Id(item))?;
            self.words.push(node.0);
        }
        Ok(self.take_words(base))
    }

    fn operands(&mut self, items: Run) -> Result<Range, Fail> {
        let ast = self.ast;
        let base = self.words.len();
        for &item in ast.run(items) {
            let node = self.operand(Id(item), None)?;
            self.words.push(node.0);
        }
        Ok(self.take_words(base))
    }

    /// Pushes the steps of an attribute path.
    fn path_words(&mut self, words: &[u32]) -> Result<(), Fail> {
        for part in words.chunks_exact(2) {
            let part = match Part::from_words(part) {
                Part::Name(name) => PathPart::Name(self.ast.names.symbol(name)),
                Part::Dynamic(id) => PathPart::Dynamic(self.strict(id)?),
            };
            self.words.extend_from_slice(&part.to_words());
        }
        Ok(())
    }

    fn select(&mut self, base: Id, path: Run, span: Span) -> Result<NodeId, Fail> {
        if let Some(node) = self.builtins_member(base, path) {
            return Ok(self.add(node, span));
        }
        let ast = self.ast;
        let words = ast.run(path);
        let is_static = words.chunks_exact(2).all(|part| part[0] == 0);
        let mut node = self.strict(base)?;
        if is_static && words.len() / 2 <= MAX_NESTED_SELECTS {
            for part in words.chunks_exact(2) {
                let Part::Name(name) = Part::from_words(part) else {
                    unreachable!("the path is static")
                };
                let name = ast.names.symbol(name);
                let cache = self.new_cache();
                node = self.add(Node::Select { base: node, name, cache }, span);
            }
            return Ok(node);
        }
        let first = self.words.len();
        self.path_words(words)?;
        let path = self.take_words(first);
        Ok(self.add(Node::SelectPath { base: node, path }, span))
    }

    fn call(&mut self, function: Id, args: Run, span: Span) -> Result<NodeId, Fail> {
        let ast = self.ast;
        let global = match ast.node(function) {
            Expr::Name(name) => match self.meaning(name) {
                Meaning::Global(global) => Some(global),
                _ => None,
            },
            Expr::Select { base, path } => match self.builtins_member(base, path) {
                Some(Node::Global(global)) => Some(global),
                _ => None,
            },
            _ => None,
        };
        if let Some(builtin) = global {
            let arity = (self.options.arity)(builtin) as usize;
            if arity > 0 && ast.run(args).len() >= arity {
                let base = self.words.len();
                for &arg in ast.run(args) {
                    let node = self.builtins_operand(Id(arg))?;
                    self.words.push(node.0);
                }
                let args = self.take_words(base);
                return Ok(self.add(Node::CallGlobal { builtin, args }, span));
            }
        }
        let function = self.strict(function)?;
        let args = self.operands(args)?;
        Ok(self.add(Node::Call { function, args }, span))
    }

    /// An operator that stands for a call of the function called `symbol`.
    fn operator(
        &mut self,
        symbol: Symbol,
        node: fn(NodeId, NodeId) -> Node,
        a: Id,
        b: Id,
        span: Span,
    ) -> Result<NodeId, Fail> {
        if let Some(function) = self.shadowed(symbol, span) {
            return self.call_shadowed(function, a, b, span);
        }
        let (a, b) = self.two(a, b)?;
        Ok(self.add(node(a, b), span))
    }

    fn call_shadowed(
        &mut self,
        function: NodeId,
        a: Id,
        b: Id,
        span: Span,
    ) -> Result<NodeId, Fail> {
        let base = self.words.len();
        for id in [a, b] {
            let operand = self.operand(id, None)?;
            self.words.push(operand.0);
        }
        let args = self.take_words(base);
        Ok(self.add(Node::Call { function, args }, span))
    }

    /// `!(a < b)`
    fn not_less(&mut self, a: Id, b: Id, span: Span) -> Result<NodeId, Fail> {
        if let Some(function) = self.shadowed(names::LESS_THAN, span) {
            let call = self.call_shadowed(function, a, b, span)?;
            return Ok(self.add(Node::Not(call), span));
        }
        let (a, b) = self.two(a, b)?;
        Ok(self.add(Node::NotLess(a, b), span))
    }

    /// `-a` is `0 - a`. A negative number is a constant.
    fn negate(&mut self, a: Id, span: Span) -> Result<NodeId, Fail> {
        if let Some(function) = self.shadowed(names::SUB, span) {
            let zero = self.new_const(Const::Int(0), span);
            let a = self.operand(a, None)?;
            let base = self.words.len();
            self.words.extend_from_slice(&[zero.0, a.0]);
            let args = self.take_words(base);
            return Ok(self.add(Node::Call { function, args }, span));
        }
        if let Expr::Const(index) = self.ast.node(a) {
            match self.ast.consts[index as usize] {
                // A literal is not negative, so this cannot overflow.
                Const::Int(value) => return Ok(self.new_const(Const::Int(-value), span)),
                // Not `-value`: zero stays positive.
                Const::Float(value) => return Ok(self.new_const(Const::Float(0.0 - value), span)),
                _ => {}
            }
        }
        let a = self.strict(a)?;
        Ok(self.add(Node::Negate(a), span))
    }

    /// `<name>`
    fn lookup(&mut self, index: u32, span: Span) -> NodeId {
        let find_file = self.shadowed(names::FIND_FILE, span);
        let nix_path = self.shadowed(names::NIX_PATH, span);
        if find_file.is_none() && nix_path.is_none() {
            return self.add(Node::Lookup(const_id(index)), span);
        }
        let function = find_file.unwrap_or_else(|| self.global(names::FIND_FILE, span));
        let nix_path = nix_path.unwrap_or_else(|| self.global(names::NIX_PATH, span));
        let name = self.add(Node::Const(const_id(index)), span);
        let base = self.words.len();
        self.words.extend_from_slice(&[nix_path.0, name.0]);
        let args = self.take_words(base);
        self.add(Node::Call { function, args }, span)
    }

    /// The global of a well-known name; an engine without it is told at run time.
    fn global(&mut self, symbol: Symbol, span: Span) -> NodeId {
        match (self.options.globals)(symbol) {
            Some(global) => self.add(Node::Global(global), span),
            None => self.add(Node::EmptyList, span),
        }
    }

    /// A constant that the text does not have.
    fn new_const(&mut self, value: Const, span: Span) -> NodeId {
        let index = self.ast.consts.len() + self.out.consts.len();
        self.out.consts.push(value);
        self.add(Node::Const(const_id(index as u32)), span)
    }
}
