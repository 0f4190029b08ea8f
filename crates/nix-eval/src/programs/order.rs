//! Attributes and formals in the order of other symbols.

use crate::ir::{
    Body, BodyId, File, Groups, Node, NodeId, Operand, Params, Place, Range, SetLiteral,
};

/// What has to move in a program.
pub(super) struct Orders {
    /// By group: where its members go, if they move.
    moved: Vec<Option<Box<[u32]>>>,
    /// Set literals whose names are not in order.
    sets: Vec<u32>,
    /// Functions whose formals are not.
    lambdas: Vec<u32>,
}

impl Orders {
    /// Looks for names that are out of order; `Some(None)` if there are none. `None` if the program is none.
    pub(super) fn find(program: &File, n_groups: usize) -> Option<Option<Orders>> {
        let mut orders = Orders { moved: Vec::new(), sets: Vec::new(), lambdas: Vec::new() };
        // Each name belongs to one literal: what is done for each of them is done once.
        let n_names: usize = program.sets.iter().map(|set| set.values.len as usize).sum();
        if n_names != program.names.len() {
            return None;
        }
        for (number, set) in program.sets.iter().enumerate() {
            let first = set.first as usize;
            let names = program.names.get(first..first.checked_add(set.values.len as usize)?)?;
            if !names.is_sorted() {
                orders.sets.push(number as u32);
            }
        }
        for (number, lambda) in program.lambdas.iter().enumerate() {
            if let Params::Formals(formals) = &lambda.params
                && !formals.formals.is_sorted_by_key(|formal| formal.name)
            {
                orders.lambdas.push(number as u32);
            }
        }
        if orders.sets.is_empty() && orders.lambdas.is_empty() {
            return Some(None);
        }
        // Every group has a set or a function of its own.
        if n_groups > program.set_rests.len() + program.lambdas.len() {
            return None;
        }
        orders.moved.resize_with(n_groups, || None);
        Some(Some(orders))
    }

    /// Puts everything into order. `None` if it cannot be done.
    pub(super) fn apply(mut self, program: &mut File) -> Option<()> {
        let mut moved_sets = Vec::new();
        for number in std::mem::take(&mut self.sets) {
            let set = program.sets[number as usize];
            let first = set.first as usize;
            let order = order_of(program.names_of(&set));
            let values = set.values.start as usize;
            let values = values..values.checked_add(set.values.len as usize)?;
            reorder(program.extra.get_mut(values)?, &order);
            let n = order.len();
            reorder(program.names.get_mut(first..first + n)?, &order);
            program.name_spans.reorder(first, &order);
            if set.rest == u32::MAX {
                continue;
            }
            let places = places_of(&order);
            let rest = program.set_rests.get_mut(set.rest as usize)?;
            if let Some(at) = &mut rest.overrides {
                *at = *places.get(*at as usize)?;
            }
            let group = *program.groups.sets.get(set.rest as usize)?;
            if group != Groups::NONE {
                *self.moved.get_mut(group as usize)? = Some(places);
                moved_sets.push((set, group));
            }
        }
        for number in std::mem::take(&mut self.lambdas) {
            let group = *program.groups.lambdas.get(number as usize)?;
            let Params::Formals(formals) = &mut program.lambdas[number as usize].params else {
                return None;
            };
            let names: Vec<_> = formals.formals.iter().map(|formal| formal.name).collect();
            let order = order_of(&names);
            reorder(&mut formals.formals, &order);
            let places = places_of(&order);
            for at in &mut formals.source_order {
                *at = *places.get(*at as usize)?;
            }
            *self.moved.get_mut(group as usize)? = Some(places);
        }
        let groups = std::mem::take(&mut program.groups.members);
        // Members of moved groups.
        let mut moved = Vec::new();
        let members = program.nodes.iter_mut().enumerate();
        let members = members.filter_map(|(number, node)| match node {
            Node::Member { index, .. } => Some((number, index)),
            _ => None,
        });
        for ((number, index), &group) in members.zip(&groups) {
            if group == Groups::NONE {
                continue;
            }
            if let Some(places) = self.moved.get(group as usize)? {
                // The one after the formals is the whole argument.
                *index = places.get(*index as usize).copied().unwrap_or(*index);
                moved.push((number as u32, group));
            }
        }
        for (set, group) in moved_sets {
            let is_own = |node: NodeId| moved.binary_search(&(node.0, group)).is_ok();
            rename_aliases(program, &set, is_own)?;
        }
        Some(())
    }
}

/// A member of a `rec` set that is only another name of a member before it is that member's cell; of one that comes
/// later, or of itself, it waits.
fn rename_aliases(
    program: &mut File,
    set: &SetLiteral,
    is_own: impl Fn(NodeId) -> bool,
) -> Option<()> {
    let slot = program.rest_of(set)?.group?;
    for at in 0..set.values.len {
        let word = (set.values.start + at) as usize;
        let value = NodeId(*program.extra.get(word)?);
        let (node, waits) = match value.operand() {
            Operand::Node(node) => (node, false),
            Operand::Suspend(body) => (program.bodies.get(body.0 as usize)?.root, true),
            Operand::Const(_) => continue,
        };
        let Some(&Node::Member { index, .. }) = program.nodes.get(node.0 as usize) else {
            continue;
        };
        if !is_own(node) || waits == (index >= at) {
            continue;
        }
        let span = program.spans.get(node.0 as usize);
        let new = NodeId(u32::try_from(program.nodes.len()).ok()?);
        program.spans.push(span);
        let place = Place::local(slot);
        if waits {
            program.nodes.push(Node::Member { group: place, index });
            program.extra[word] = new.0;
            continue;
        }
        program.nodes.push(Node::Member { group: Place::captured(0), index });
        let captures = Range { start: u32::try_from(program.extra.len()).ok()?, len: 1 };
        program.extra.push(place.0);
        let body = BodyId(u32::try_from(program.bodies.len()).ok()?);
        program.bodies.push(Body { root: new, captures, n_locals: 0 });
        program.extra[word] = NodeId::suspend(body).0;
    }
    Some(())
}

/// Which element comes to each place.
fn order_of<T: Ord>(keys: &[T]) -> Box<[u32]> {
    let mut order: Box<[u32]> = (0..keys.len() as u32).collect();
    order.sort_by_key(|&at| &keys[at as usize]);
    order
}

/// The other way round: to which place each element goes.
fn places_of(order: &[u32]) -> Box<[u32]> {
    let mut places = vec![0; order.len()].into_boxed_slice();
    for (at, &from) in order.iter().enumerate() {
        places[from as usize] = at as u32;
    }
    places
}

fn reorder<T: Copy>(list: &mut [T], order: &[u32]) {
    let old = list.to_vec();
    for (to, &from) in list.iter_mut().zip(order) {
        *to = old[from as usize];
    }
}
