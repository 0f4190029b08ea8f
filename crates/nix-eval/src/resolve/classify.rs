//! Which operands need no thunk.
//!
//! Constants, variables, functions and the empty list are values already or alias one; everything else could
//! fail, loop or cost, and waits in a thunk. The border can be seen by programs (aliased cells are equal
//! without being compared), so it is the language's, not ours. Functions are the exception: C++ Nix suspends
//! them, which only printing without evaluation shows; a bit in the function stands for it.

use super::{Fail, Resolver, scope::Meaning};
use crate::{
    ir::{Node, NodeId},
    symbol::{Symbol, names},
    syntax::ast::{Expr, Id, Part, Run},
};

/// The members of a group that must not be read yet: those at `from` and after, of the group in `cell`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unfilled {
    pub(super) cell: u32,
    pub(super) from: u32,
}

impl Resolver<'_> {
    /// An expression in operand position. `name` is what it is bound to, for messages.
    pub(super) fn operand(&mut self, id: Id, name: Option<Symbol>) -> Result<NodeId, Fail> {
        self.operand_while(id, name, None)
    }

    /// The same, where some members of the innermost group have no value yet.
    pub(super) fn operand_while(
        &mut self,
        id: Id,
        name: Option<Symbol>,
        unfilled: Option<Unfilled>,
    ) -> Result<NodeId, Fail> {
        self.poll(id)?;
        let span = self.ast.span(id);
        match self.ast.node(id) {
            Expr::Const(index) => Ok(self.const_operand(index, span)),
            Expr::EmptyList => Ok(self.add(Node::EmptyList, span)),
            Expr::Lambda(lambda) => self.lambda(lambda, name, span),
            Expr::Name(variable) => {
                let meaning = self.meaning(variable);
                let waits = match (meaning, unfilled) {
                    (Meaning::Dynamic, _) => true,
                    (Meaning::Member { cell, index }, Some(unfilled)) => {
                        cell == unfilled.cell && index >= unfilled.from
                    }
                    _ => false,
                };
                if waits {
                    return self.suspend(id);
                }
                Ok(self.variable_meaning(variable, meaning, span))
            }
            _ => self.suspend(id),
        }
    }

    /// An argument of a builtin, which would not show that `builtins.name` was suspended.
    pub(super) fn builtins_operand(&mut self, id: Id) -> Result<NodeId, Fail> {
        if let Expr::Select { base, path } = self.ast.node(id)
            && let Some(node) = self.builtins_member(base, path)
        {
            self.poll(id)?;
            return Ok(self.add(node, self.ast.span(id)));
        }
        self.operand(id, None)
    }

    /// `builtins.name`, where that is known to be a global.
    pub(super) fn builtins_member(&mut self, base: Id, path: Run) -> Option<Node> {
        let Expr::Name(name) = self.ast.node(base) else { return None };
        if self.ast.names.symbol(name) != names::BUILTINS {
            return None;
        }
        let words = self.ast.run(path);
        let Part::Name(member) = Part::from_words(words) else { return None };
        if words.len() != 2 || !self.is_builtins(name) {
            return None;
        }
        (self.options.builtins)(self.ast.names.symbol(member)).map(Node::Global)
    }
}
