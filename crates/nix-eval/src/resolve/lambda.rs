//! Functions.

use super::{Fail, Resolver, classify::Unfilled};
use crate::{
    ir::{Formal, Formals, Groups, Lambda, LambdaId, Node, NodeId, Params, Place},
    source::Span,
    symbol::Symbol,
    syntax::{
        ast::{Expr, Param},
        depth::{on_new_stack, too_deep},
        names::Name,
    },
};

/// Arguments of one function; longer chains are functions that return functions.
const MAX_ARGS: usize = 64;

impl Resolver<'_> {
    /// The function with this number in the parser's table. `name` is what it is bound to.
    pub(super) fn lambda(
        &mut self,
        index: u32,
        name: Option<Symbol>,
        span: Span,
    ) -> Result<NodeId, Fail> {
        // Defaults nest functions without passing through `strict`.
        if !self.depth.enter() {
            return Err(too_deep(span, self.options.max_depth));
        }
        let result = if self.depth.is_tight() {
            on_new_stack(self, |r| &mut r.depth, |r| r.lambda_here(index, name, span))
        } else {
            self.lambda_here(index, name, span)
        };
        self.depth.leave();
        result
    }

    fn lambda_here(
        &mut self,
        index: u32,
        name: Option<Symbol>,
        span: Span,
    ) -> Result<NodeId, Fail> {
        let body = self.begin_body();
        let bindings = self.bindings.len();
        let first = self.ast.lambdas[index as usize];
        let mut code = first.body;
        let mut group = Groups::NONE;
        let params = match first.param {
            Param::Simple(name, span) => {
                let base = self.args.len();
                self.simple_arg(name, span);
                while let Expr::Lambda(next) = self.ast.node(code)
                    && let next = self.ast.lambdas[next as usize]
                    && let Param::Simple(name, span) = next.param
                    && self.args.len() - base < MAX_ARGS
                {
                    self.simple_arg(name, span);
                    code = next.body;
                }
                let args = self.args[base..].into();
                self.args.truncate(base);
                Params::Simple(args)
            }
            Param::Formals(pattern) => {
                let (formals, number) = self.formals(pattern)?;
                group = number;
                Params::Formals(Box::new(formals))
            }
        };
        let root = match self.ast.node(code) {
            // A function that returns a function passes its name on.
            Expr::Lambda(inner) => self.lambda(inner, name, self.ast.span(code))?,
            _ => self.strict(code)?,
        };
        self.unbind(bindings);
        self.end_body(body, root);
        let id = LambdaId(self.out.lambdas.len() as u32);
        self.out.lambdas.push(Lambda { body, params, name, span });
        self.out.groups.lambdas.push(group);
        Ok(self.add(Node::Lambda(id), span))
    }

    fn simple_arg(&mut self, name: Name, span: Span) {
        let slot = self.new_slot();
        let cell = self.new_cell(Place::local(slot));
        self.bind(name, cell, None);
        self.args.push((self.ast.names.symbol(name), span));
    }

    /// Binds the formals and resolves their defaults, which see all of them. Gives the number of their group, too.
    fn formals(&mut self, pattern: u32) -> Result<(Formals, u32), Fail> {
        let ast = self.ast;
        let pattern = ast.patterns[pattern as usize];
        let source = ast.formals_of(&pattern);
        let slot = self.new_slot();
        let cell = self.new_cell(Place::local(slot));
        let group = self.number_group(cell);
        let mut order: Vec<u32> = (0..source.len() as u32).collect();
        order.sort_by_key(|&i| ast.names.symbol(source[i as usize].name));
        let mut source_order = vec![0; source.len()].into_boxed_slice();
        for (index, &i) in order.iter().enumerate() {
            source_order[i as usize] = index as u32;
            self.bind(source[i as usize].name, cell, Some(index as u32));
        }
        if let Some(args) = pattern.args {
            self.bind(args, cell, Some(source.len() as u32));
        }
        let mut formals = Vec::with_capacity(source.len());
        for &i in &order {
            let formal = source[i as usize];
            let name = ast.names.symbol(formal.name);
            let default = match formal.default {
                // Other formals may get their values later than this one.
                Some(default) => {
                    let unfilled = Unfilled { cell, from: 0 };
                    Some(self.operand_while(default, Some(name), Some(unfilled))?)
                }
                None => None,
            };
            formals.push(Formal { name, span: formal.span, default });
        }
        let args = pattern.args.map(|name| ast.names.symbol(name));
        let ellipsis = pattern.ellipsis;
        Ok((Formals { formals: formals.into(), source_order, args, ellipsis }, group))
    }
}
