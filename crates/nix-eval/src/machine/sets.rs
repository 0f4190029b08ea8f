//! Set literals, and the groups of `let` and `rec`.

use super::{Machine, stack::Frame};
use crate::{
    error::{self, Error},
    ir::{LetId, Node, NodeId, Place, Range, SetId},
    source::Location,
    value::{Attrs, AttrsBuilder, Shape, Value, code::Unit},
};

impl Machine {
    #[inline(never)]
    pub(super) fn bind_let(&mut self, frame: Frame, id: LetId) -> NodeId {
        let unit = frame.unit();
        let group = unit.file.lets[id.0 as usize];
        let n = group.members.len as usize;
        let cells = self.words(n.max(1));
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
        if let Some(slot) = literal.group {
            frame.set(slot, Value(members.address() as u64));
        }
        self.bind_sources(frame, unit, literal.sources);
        for i in 0..literal.values.len {
            let v = self.operand(frame, NodeId(unit.word(literal.values.start + i)));
            members.put(i as usize, v.0);
        }
        if literal.overrides.is_none() && literal.dynamic.len == 0 {
            return Ok(attrs.value());
        }
        self.finish_set(frame, id, attrs)
    }

    #[cold]
    fn literal_shape(&mut self, unit: &Unit, id: SetId) -> Shape {
        let literal = &unit.file.sets[id.0 as usize];
        let names: Vec<_> = literal.names.iter().map(|n| n.0).collect();
        let file = unit.file.file;
        let positions: Vec<Location> =
            literal.names.iter().map(|&(_, span)| Location { file, span }).collect();
        let heap = &self.shared.heap;
        let shape = Shape::new(&mut self.bump, heap, &names, &positions, true);
        unit.cache(literal.cache)
            .store(shape.address() as u64, std::sync::atomic::Ordering::Release);
        shape
    }

    /// `__overrides` and dynamic attributes of a set literal.
    #[inline(never)]
    fn finish_set(&mut self, frame: Frame, id: SetId, attrs: Attrs) -> Result<Value, Error> {
        let unit = frame.unit();
        let literal = &unit.file.sets[id.0 as usize];
        let mut attrs = attrs;
        if let Some(at) = literal.overrides {
            let v = self.force_attrs(attrs.slot(at as usize), "'__overrides'")?;
            for (slot, (name, _)) in literal.names.iter().enumerate() {
                if let Some(v) = v.get(*name) {
                    // Siblings read the members of this very set.
                    attrs.members().put(slot, v.0);
                }
            }
            // Attributes that are other names of siblings follow them; the reader only leaves those here
            // that come after what they name.
            for (slot, (name, _)) in literal.names.iter().enumerate() {
                let node = unit.node(NodeId(unit.word(literal.values.start + slot as u32)));
                if let Node::Member { group, index } = node
                    && Some(group) == literal.group.map(Place::local)
                    && !v.has(*name)
                {
                    attrs.members().put(slot, frame.member(group, index).0);
                }
            }
            attrs = self.update(attrs, v);
        }
        if literal.dynamic.len == 0 {
            return Ok(attrs.value());
        }
        let mut builder: AttrsBuilder = self.attrs_builder(literal.dynamic.len as usize / 3);
        let mut names = rustc_hash::FxHashSet::default();
        for triple in unit.words(literal.dynamic).chunks_exact(3) {
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
            let symbol = self.symbol_of(name.bytes());
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
