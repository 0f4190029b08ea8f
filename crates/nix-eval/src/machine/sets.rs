//! Set literals, and the groups of `let` and `rec`.

use super::{Machine, stack::Frame};
use crate::{
    error::{self, Error},
    ir::{LetId, Node, NodeId, Operand, Place, Range, SetId, SetLiteral, SetRest},
    source::Location,
    value::{Attrs, AttrsBuilder, Shape, Value, code::Unit},
};

impl Machine {
    #[inline(never)]
    pub(super) fn bind_let(&mut self, frame: Frame, id: LetId) -> NodeId {
        let unit = frame.unit();
        let group = unit.file.lets[id.0 as usize];
        let n = group.members.len as usize;
        let cells = self.zeroed_words(n.max(1));
        frame.set(group.group, Value(cells.address() as u64));
        self.bind_sources(frame, unit, group.sources);
        for i in 0..n {
            let node = NodeId(unit.word(group.members.start + i as u32));
            let v = self.operand(frame, node);
            cells.put(i, v.0);
        }
        group.body
    }

    #[inline(always)]
    fn bind_sources(&mut self, frame: Frame, unit: &Unit, sources: Range) {
        for pair in unit.words(sources).chunks_exact(2) {
            let v = self.operand(frame, NodeId(pair[1]));
            frame.set(pair[0], v);
        }
    }

    #[inline(never)]
    pub(super) fn set(&mut self, frame: Frame, id: SetId) -> Result<Value, Error> {
        let unit = frame.unit();
        let literal = &unit.file.sets[id.0 as usize];
        let known = unit.cached(literal.cache);
        let shape =
            if known != 0 { Shape::at(known as usize) } else { self.literal_shape(unit, id) };
        let attrs = Attrs::alloc(&mut self.bump, &self.shared.heap, shape);
        let members = attrs.members();
        let rest = unit.file.rest_of(literal);
        if let Some(rest) = rest {
            if let Some(slot) = rest.group {
                frame.set(slot, Value(members.address() as u64));
                // Members that are not there yet have to be seen as such.
                for i in 0..shape.len() {
                    members.put(i, Value::HOLE.0);
                }
            }
            self.bind_sources(frame, unit, rest.sources);
        }
        for i in 0..literal.values.len {
            let v = self.operand(frame, NodeId(unit.word(literal.values.start + i)));
            members.put(i as usize, v.0);
        }
        match rest {
            Some(rest) if rest.overrides.is_some() || rest.dynamic.len > 0 => {
                self.finish_set(frame, literal, rest, attrs)
            }
            _ => Ok(attrs.value()),
        }
    }

    #[cold]
    fn literal_shape(&mut self, unit: &Unit, id: SetId) -> Shape {
        let literal = &unit.file.sets[id.0 as usize];
        let names = unit.file.names_of(literal);
        let place = |i| Location { file: unit.file.file, span: unit.file.name_span(literal, i) };
        let positions: Vec<Location> = (0..names.len()).map(place).collect();
        let heap = &self.shared.heap;
        let shape = Shape::new(&mut self.bump, heap, names, &positions, true);
        unit.cache(literal.cache)
            .store(shape.address() as u64, std::sync::atomic::Ordering::Release);
        shape
    }

    /// `__overrides` and dynamic attributes of a set literal.
    #[inline(never)]
    fn finish_set(
        &mut self,
        frame: Frame,
        literal: &SetLiteral,
        rest: &SetRest,
        attrs: Attrs,
    ) -> Result<Value, Error> {
        let unit = frame.unit();
        let names = unit.file.names_of(literal);
        let mut attrs = attrs;
        if let Some(at) = rest.overrides {
            let v = self.force_attrs(attrs.slot(at as usize), "'__overrides'")?;
            for (slot, &name) in names.iter().enumerate() {
                if let Some(v) = v.get(name) {
                    // Siblings read the members of this very set.
                    attrs.members().put(slot, v.0);
                }
            }
            // Attributes that are other names of siblings follow them; the reader only leaves those here
            // that come after what they name.
            for (slot, &name) in names.iter().enumerate() {
                let value = NodeId(unit.word(literal.values.start + slot as u32));
                if let Operand::Node(node) = value.operand()
                    && let Node::Member { group, index } = unit.node(node)
                    && Some(group) == rest.group.map(Place::local)
                    && !v.has(name)
                {
                    attrs.members().put(slot, frame.member(group, index).0);
                }
            }
            attrs = self.update(attrs, v);
        }
        if rest.dynamic.len == 0 {
            return Ok(attrs.value());
        }
        let mut builder: AttrsBuilder = self.attrs_builder(rest.dynamic.len as usize / 3);
        let mut names = rustc_hash::FxHashSet::default();
        for triple in unit.words(rest.dynamic).chunks_exact(3) {
            let (node, operand) = (NodeId(triple[0]), NodeId(triple[1]));
            let name = self.eval(frame, node)?;
            if name == Value::NULL {
                continue;
            }
            let here = unit.location(node);
            let Some(name) = name.as_string() else {
                return Err(self.wrong_type("a string", name, "").at_if_unknown(here));
            };
            if !name.context().is_none() {
                return Err(self.context_not_allowed(name).at_if_unknown(here));
            }
            let symbol = self.symbol_of_string(name);
            if attrs.has(symbol) || !names.insert(symbol) {
                return Err(error::duplicate_attr(name.bytes()).at_if_unknown(here));
            }
            let v = self.operand(frame, operand);
            let mut whole = here;
            whole.span.start = triple[2];
            builder.push(symbol, v, Some(whole));
        }
        if builder.is_empty() {
            return Ok(attrs.value());
        }
        let dynamic = self.finish_attrs(builder);
        let dynamic = dynamic.as_attrs().expect("a builder makes sets");
        Ok(self.update(attrs, dynamic).value())
    }
}
