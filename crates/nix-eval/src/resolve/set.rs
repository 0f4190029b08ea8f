//! Set literals and `let`.

use super::{Fail, Resolver, classify::Unfilled, scope::Meaning};
use crate::{
    ir::{Groups, LetGroup, LetId, Node, NodeId, Place, Range, SetId, SetLiteral, SetRest},
    source::Span,
    symbol::{Symbol, names},
    syntax::ast::{Attr, Dynamic, Expr, Id, Set, Value},
};

/// Where the subject of an `inherit (e)` is.
#[derive(Clone, Copy)]
enum Source {
    /// A variable: looked up again for each name, which costs nothing.
    Variable(Id),
    /// The unshadowed `builtins`.
    Builtins(Id),
    /// In a slot of its own.
    Cell(u32),
}

impl Resolver<'_> {
    /// A set literal in strict position.
    pub(super) fn set(&mut self, index: u32, span: Span) -> Result<NodeId, Fail> {
        let ast = self.ast;
        let set = &ast.sets[index as usize];
        let attrs = ast.attrs_of(set);
        let bindings = self.bindings.len();
        let base = self.words.len();
        let mut n_slots = 0;
        let mut group = None;
        let mut number = Groups::NONE;
        // `inherit a` takes `a` from outside, so it is resolved before the set's names are bound.
        self.inherited(attrs)?;
        if set.recursive {
            let slot = self.new_slot();
            n_slots += 1;
            let cell = self.bind_members(attrs, slot);
            number = self.number_group(cell);
            group = Some((slot, cell));
        }
        let cell = group.map(|(_, cell)| cell);
        let (sources, source_words) = self.sources(set, cell, &mut n_slots)?;
        self.members(attrs, &sources, base, cell)?;
        let values = self.take_words(base);
        let has_sources = !source_words.is_empty();
        let sources = self.source_words(source_words);
        let mut overrides = None;
        if set.recursive {
            overrides = attrs
                .iter()
                .position(|attr| ast.names.symbol(attr.name) == names::OVERRIDES)
                .map(|at| at as u32);
        }
        let mut dynamic = Range { start: 0, len: 0 };
        if set.dynamic.1 > 0 {
            for &Dynamic { name, value, span } in ast.dynamic_of(set) {
                let name = self.strict(name)?;
                let value = self.operand(value, None)?;
                self.words.extend_from_slice(&[name.0, value.0, span.start]);
            }
            dynamic = self.take_words(base);
        }
        self.unbind(bindings);
        self.free_slots(n_slots);
        let mut rest = u32::MAX;
        if set.recursive || has_sources || dynamic.len > 0 {
            rest = self.out.set_rests.len() as u32;
            let group = group.map(|(slot, _)| slot);
            self.out.set_rests.push(SetRest { group, sources, overrides, dynamic });
            self.out.groups.sets.push(number);
        }
        // Sets inside this one have written their names already.
        let first = self.out.names.len() as u32;
        self.out.names.extend(attrs.iter().map(|attr| ast.names.symbol(attr.name)));
        for attr in attrs {
            self.out.name_spans.push(attr.span);
        }
        let literal = SetLiteral { first, values, cache: self.new_cache(), rest };
        let id = SetId(self.out.sets.len() as u32);
        self.out.sets.push(literal);
        Ok(self.add(Node::Set(id), span))
    }

    /// A `let` in strict position.
    pub(super) fn let_in(&mut self, index: u32, body: Id, span: Span) -> Result<NodeId, Fail> {
        let ast = self.ast;
        let set = &ast.sets[index as usize];
        let attrs = ast.attrs_of(set);
        if attrs.is_empty() && ast.run(set.sources).is_empty() {
            return self.strict(body);
        }
        let bindings = self.bindings.len();
        let base = self.words.len();
        let mut n_slots = 1;
        self.inherited(attrs)?;
        let group = self.new_slot();
        let cell = self.bind_members(attrs, group);
        let (sources, source_words) = self.sources(set, Some(cell), &mut n_slots)?;
        self.members(attrs, &sources, base, Some(cell))?;
        let members = self.take_words(base);
        let sources = self.source_words(source_words);
        let body = self.strict(body)?;
        self.unbind(bindings);
        self.free_slots(n_slots);
        let id = LetId(self.out.lets.len() as u32);
        self.out.lets.push(LetGroup { group, members, sources, body });
        Ok(self.add(Node::Let(id), span))
    }

    /// Pushes one word for each attribute: the operand of an `inherit a`, or a place to fill.
    fn inherited(&mut self, attrs: &[Attr]) -> Result<(), Fail> {
        let ast = self.ast;
        let base = self.words.len();
        self.words.resize(base + attrs.len(), 0);
        for (index, attr) in attrs.iter().enumerate() {
            if let Value::Inherit(id) = attr.value {
                let operand = self.operand(id, Some(ast.names.symbol(attr.name)))?;
                self.words[base + index] = operand.0;
            }
        }
        Ok(())
    }

    /// Brings the names of a `rec` set or `let` into scope, as members of the group in `slot`.
    fn bind_members(&mut self, attrs: &[Attr], slot: u32) -> u32 {
        let cell = self.new_cell(Place::local(slot));
        for (index, attr) in attrs.iter().enumerate() {
            self.bind(attr.name, cell, Some(index as u32));
        }
        cell
    }

    /// Resolves the subjects of `inherit (e)`. Those that need a slot give pairs of words.
    fn sources(
        &mut self,
        set: &Set,
        group: Option<u32>,
        n_slots: &mut u32,
    ) -> Result<(Vec<Source>, Vec<u32>), Fail> {
        let ast = self.ast;
        let subjects = ast.run(set.sources);
        let mut sources = Vec::with_capacity(subjects.len());
        let mut words = Vec::new();
        for &subject in subjects {
            let id = Id(subject);
            if let Expr::Name(name) = ast.node(id) {
                if self.is_builtins(name) {
                    sources.push(Source::Builtins(id));
                    continue;
                }
                if self.meaning(name) != Meaning::Dynamic {
                    sources.push(Source::Variable(id));
                    continue;
                }
            }
            let slot = self.new_slot();
            *n_slots += 1;
            let unfilled = group.map(|cell| Unfilled { cell, from: 0 });
            let operand = self.operand_while(id, None, unfilled)?;
            words.extend_from_slice(&[slot, operand.0]);
            sources.push(Source::Cell(self.new_cell(Place::local(slot))));
        }
        Ok((sources, words))
    }

    fn source_words(&mut self, words: Vec<u32>) -> Range {
        let start = self.out.extra.len() as u32;
        self.out.extra.extend_from_slice(&words);
        Range { start, len: words.len() as u32 }
    }

    /// Fills the words from `base` on with the operands of the attributes.
    fn members(
        &mut self,
        attrs: &[Attr],
        sources: &[Source],
        base: usize,
        group: Option<u32>,
    ) -> Result<(), Fail> {
        let ast = self.ast;
        for (index, attr) in attrs.iter().enumerate() {
            let name = ast.names.symbol(attr.name);
            let operand = match attr.value {
                Value::Inherit(_) => continue,
                Value::Plain(id) => {
                    let unfilled = group.map(|cell| Unfilled { cell, from: index as u32 });
                    self.operand_while(id, Some(name), unfilled)?
                }
                Value::From(source) => {
                    self.inherited_from(sources[source as usize], name, attr.span)?
                }
            };
            self.words[base + index] = operand.0;
        }
        Ok(())
    }

    /// A thunk of the selection of `name` from a source.
    fn inherited_from(&mut self, source: Source, name: Symbol, span: Span) -> Result<NodeId, Fail> {
        let body = self.begin_body();
        if let Source::Builtins(_) = source
            && let Some(global) = (self.options.builtins)(name)
        {
            let root = self.add(Node::Global(global), span);
            self.end_body(body, root);
            return Ok(NodeId::suspend(body));
        }
        let subject = match source {
            Source::Variable(id) | Source::Builtins(id) => self.strict(id)?,
            Source::Cell(cell) => {
                let place = self.place(cell);
                self.add(Node::Var(place), span)
            }
        };
        let cache = self.new_cache();
        let root = self.add(Node::Select { base: subject, name, cache }, span);
        self.end_body(body, root);
        Ok(NodeId::suspend(body))
    }
}
