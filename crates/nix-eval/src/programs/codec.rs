//! Programs as bytes, and back with the symbols of another engine.
//!
//! Everything is little-endian words of four bytes, and texts. A symbol is written as its place in the list of
//! the file's names, which is in the order in which the reader met them: reading interns them in that order, so
//! an engine that reads programs back numbers its symbols like one that reads the texts.
//!
//! Attributes of set literals and formals stand in the order of their symbols, and members of their groups are numbered
//! by it. Where another engine met the names in another order, they move, and references with them.
//!
//! Whether the bytes are those that were written is known when all are read, and a program of others is thrown away. What is
//! checked on the way keeps damage from asking for absurd amounts of memory, not from giving wrong programs.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

use super::{order::Orders, segment::NewSegment, stream::Stream};
use crate::{
    ir::{
        Body, BodyId, CacheId, Const, File, Formal, Formals, Groups, Lambda, LetGroup, Node,
        NodeId, Params, PathPart, Range, SetLiteral, SetRest, Spans, Text,
    },
    source::{FileId, Span},
    symbol::{Symbol, Symbols, names},
};

const NONE: u32 = u32::MAX;

/// Writes a program. `in_order` are the file's names as the reader met them. `None` if it has other names, or warnings,
/// which belong to a reading.
pub(super) fn encode(
    program: &File,
    symbols: &Symbols,
    in_order: impl Iterator<Item = Symbol>,
    to: &mut NewSegment,
) -> Option<()> {
    if !program.warnings.is_empty() {
        return None;
    }
    let mut out = Writer { to, bytes: Vec::with_capacity(2 * MOST), numbers: FxHashMap::default() };
    let mut list: Vec<Symbol> = in_order.collect();
    // `let { … }` selects it without spelling it.
    list.push(names::BODY);
    for (number, &name) in list.iter().enumerate() {
        out.numbers.entry(name).or_insert(number as u32);
    }
    for n in [
        list.len(),
        program.nodes.len(),
        program.extra.len(),
        program.consts.len(),
        program.text.len(),
        program.sets.len(),
        program.set_rests.len(),
        program.names.len(),
        program.lets.len(),
        program.bodies.len(),
        program.lambdas.len(),
        program.groups.members.len(),
        program.groups.len as usize,
        program.n_caches as usize,
    ] {
        out.word(u32::try_from(n).ok()?);
    }
    let lengths: Vec<u32> = list.iter().map(|&name| symbols.name(name).len() as u32).collect();
    let letters: Vec<u8> = list.iter().flat_map(|&name| symbols.name(name)).copied().collect();
    out.words(&sum_of_names(&lengths, &letters));
    out.words(&lengths);
    out.text(&letters);
    let mut extra = program.extra.clone();
    for &node in &program.nodes {
        rename_path(&mut extra, node, |name| out.number(Symbol(name)))?;
    }
    out.words(&extra);
    for &node in &program.nodes {
        let node = rename(node, |name| out.number(name).map(Symbol))?;
        out.words(&node.to_words());
    }
    out.spans(&program.spans);
    for &constant in &program.consts {
        let (tag, value) = match constant {
            Const::Int(n) => (0, n as u64),
            Const::Float(x) => (1, x.to_bits()),
            Const::String(text) => (2, u64::from(text.start) << 32 | u64::from(text.len)),
            Const::Path(text) => (3, u64::from(text.start) << 32 | u64::from(text.len)),
        };
        out.words(&[tag, (value >> 32) as u32, value as u32]);
    }
    for set in &program.sets {
        out.words(&[set.first, set.values.start, set.values.len, set.cache.0, set.rest]);
    }
    for (rest, &group) in program.set_rests.iter().zip(&program.groups.sets) {
        let (slot, overrides) = (rest.group.unwrap_or(NONE), rest.overrides.unwrap_or(NONE));
        let (sources, dynamic) = (rest.sources, rest.dynamic);
        out.words(&[group, slot, overrides]);
        out.words(&[sources.start, sources.len, dynamic.start, dynamic.len]);
    }
    for &name in &program.names {
        let number = out.number(name)?;
        out.word(number);
    }
    out.spans(&program.name_spans);
    for set in &program.lets {
        out.words(&[set.group, set.members.start, set.members.len]);
        out.words(&[set.sources.start, set.sources.len, set.body.0]);
    }
    for body in &program.bodies {
        out.words(&[body.root.0, body.captures.start, body.captures.len, body.n_locals]);
    }
    for (lambda, &group) in program.lambdas.iter().zip(&program.groups.lambdas) {
        out.lambda(lambda, group)?;
    }
    out.words(&program.groups.members);
    out.text(&program.text);
    Some(())
}

/// The node with its name replaced. A program that needs a scope is not kept.
#[inline]
fn rename(node: Node, new: impl Fn(Symbol) -> Option<Symbol>) -> Option<Node> {
    Some(match node {
        Node::Select { base, name, cache } => Node::Select { base, name: new(name)?, cache },
        Node::With { name, withs, cache } => Node::With { name: new(name)?, withs, cache },
        Node::Scope { .. } => return None,
        node => node,
    })
}

/// Replaces the names in a node's attribute path, which is in `extra`.
fn rename_path(
    extra: &mut [u32],
    node: Node,
    mut new: impl FnMut(u32) -> Option<u32>,
) -> Option<()> {
    let (path, n_words) = match node {
        Node::SelectPath { path, .. } | Node::HasAttr { path, .. } => (path, path.len),
        // The last word is the default.
        Node::SelectOr { path, .. } => (path, path.len.checked_sub(1)?),
        _ => return Some(()),
    };
    let start = path.start as usize;
    for part in extra.get_mut(start..start + n_words as usize)?.as_chunks_mut::<2>().0 {
        if let PathPart::Name(name) = PathPart::from_words(*part) {
            part[1] = new(name.0)?;
        }
    }
    Some(())
}

struct Writer<'a> {
    to: &'a mut NewSegment,
    /// What is not written yet.
    bytes: Vec<u8>,
    numbers: FxHashMap<Symbol, u32>,
}

/// How many bytes are written at a time, about.
const MOST: usize = 1 << 12;

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.to.push(&self.bytes);
    }
}

impl Writer<'_> {
    fn word(&mut self, word: u32) {
        self.words(&[word]);
    }

    #[inline]
    fn words(&mut self, words: &[u32]) {
        for words in words.chunks(MOST / 4) {
            self.bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            if self.bytes.len() >= MOST {
                self.to.push(&self.bytes);
                self.bytes.clear();
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.to.push(&self.bytes);
        self.bytes.clear();
        self.to.push(text);
    }

    fn number(&self, name: Symbol) -> Option<u32> {
        self.numbers.get(&name).copied()
    }

    fn spans(&mut self, spans: &Spans) {
        let (words, wide) = spans.parts();
        self.word(wide.len() as u32);
        self.words(words);
        for &(number, span) in wide {
            self.words(&[number, span.start, span.end]);
        }
    }

    fn lambda(&mut self, lambda: &Lambda, group: u32) -> Option<()> {
        let name = match lambda.name {
            Some(name) => self.number(name)?,
            None => NONE,
        };
        self.words(&[lambda.body.0, name, lambda.span.start, lambda.span.end, group]);
        match &lambda.params {
            Params::Simple(params) => {
                self.word(params.len() as u32);
                for &(name, span) in params {
                    let name = self.number(name)?;
                    self.words(&[name, span.start, span.end]);
                }
            }
            Params::Formals(formals) => {
                let args = match formals.args {
                    Some(name) => self.number(name)?,
                    None => NONE,
                };
                self.words(&[formals.formals.len() as u32, args, formals.ellipsis.into()]);
                for formal in &formals.formals {
                    let name = self.number(formal.name)?;
                    let default = formal.default.map_or(NONE, |node| node.0);
                    self.words(&[name, formal.span.start, formal.span.end, default]);
                }
                self.words(&formals.source_order);
            }
        }
        Some(())
    }
}

/// The program that [`encode`] wrote. `intern` gives the symbol of a name. `None` for bytes that are no program, and for
/// a program that cannot be brought to these symbols. Whether the bytes are those that were written is known when all
/// are read.
pub(super) fn decode(
    from: &mut Stream<'_>,
    file: FileId,
    intern: impl FnMut(&[u8]) -> Symbol,
) -> Option<File> {
    let counts = from.record::<14>()?.map(|n| n as usize);
    let [n_symbols, n_nodes, n_extra, n_consts, n_text, n_sets, n_rests, ..] = counts;
    let [.., n_names, n_lets, n_bodies, n_lambdas, n_members, n_groups, n_caches] = counts;
    let symbols = symbols(from, n_symbols, intern)?;
    let symbol = |number: u32| symbols.get(number as usize).copied();
    let mut program = File { n_caches: n_caches as u32, ..File::empty(file) };
    program.extra = from.words(n_extra)?;
    let extra = &mut program.extra;
    program.nodes = from.records(n_nodes, |words| {
        let node = rename(Node::from_words(words)?, |number| symbol(number.0))?;
        rename_path(extra, node, |number| symbol(number).map(|name| name.0))?;
        Some(node)
    })?;
    program.spans = spans(from, n_nodes)?;
    program.consts = from.records(n_consts, constant)?;
    program.sets = from.records(n_sets, set_literal)?;
    let groups = &mut program.groups;
    program.set_rests = from.records(n_rests, |words| {
        groups.sets.push(words[0]);
        set_rest(words)
    })?;
    program.names = from.records(n_names, |[name]| symbol(name))?;
    program.name_spans = spans(from, n_names)?;
    program.lets = from.records(n_lets, let_group)?;
    program.bodies = from.records(n_bodies, body)?;
    for _ in 0..n_lambdas {
        let (lambda, group) = lambda(from, symbol)?;
        program.lambdas.push(lambda);
        program.groups.lambdas.push(group);
    }
    program.lambdas.shrink_to_fit();
    match Orders::find(&program, n_groups)? {
        Some(orders) => {
            program.groups.members = from.words(n_members)?;
            orders.apply(&mut program)?;
        }
        None => from.slices(n_members, 4, |_| Some(()))?,
    }
    program.text = from.bytes(n_text)?;
    program.groups = Groups::default();
    Some(program)
}

/// A check sum of their own: names that are interned stay, and their order can be seen by who compares functions.
fn sum_of_names(lengths: &[u32], letters: &[u8]) -> [u32; 2] {
    let mut hasher = FxHasher::default();
    lengths.iter().for_each(|&length| hasher.write_u32(length));
    hasher.write(letters);
    let sum = hasher.finish();
    [(sum >> 32) as u32, sum as u32]
}

/// The symbols of the file's names: check sum, lengths of all, then letters.
fn symbols(
    from: &mut Stream<'_>,
    n: usize,
    mut intern: impl FnMut(&[u8]) -> Symbol,
) -> Option<Vec<Symbol>> {
    let sum = from.record()?;
    let lengths = from.words(n)?;
    let n_letters = lengths.iter().map(|&n| n as usize).sum();
    let letters = from.bytes(n_letters)?;
    if sum != sum_of_names(&lengths, &letters) {
        return None;
    }
    let mut rest = &letters[..];
    let mut all = Vec::with_capacity(n);
    for length in lengths {
        let (name, after) = rest.split_at_checked(length as usize)?;
        all.push(intern(name));
        rest = after;
    }
    Some(all)
}

fn spans(from: &mut Stream<'_>, n: usize) -> Option<Spans> {
    let [n_wide] = from.record()?;
    let words = from.words(n)?;
    let wide = |[number, start, end]: [u32; 3]| Some((number, Span { start, end }));
    Some(Spans::from_parts(words, from.records(n_wide as usize, wide)?))
}

fn lambda(from: &mut Stream<'_>, symbol: impl Fn(u32) -> Option<Symbol>) -> Option<(Lambda, u32)> {
    let [body, name, start, end, group, n] = from.record()?;
    let optional = |number| match number {
        NONE => Some(None),
        number => symbol(number).map(Some),
    };
    let n = n as usize;
    let params = if group == NONE {
        let param = |[name, start, end]: [u32; 3]| Some((symbol(name)?, Span { start, end }));
        Params::Simple(from.records(n, param)?.into())
    } else {
        let [args, ellipsis] = from.record()?;
        let formal = |[name, start, end, default]: [u32; 4]| {
            let default = (default != NONE).then_some(NodeId(default));
            Some(Formal { name: symbol(name)?, span: Span { start, end }, default })
        };
        let formals = from.records(n, formal)?.into();
        let source_order = from.words(n)?.into();
        let (args, ellipsis) = (optional(args)?, ellipsis != 0);
        Params::Formals(Box::new(Formals { formals, source_order, args, ellipsis }))
    };
    let span = Span { start, end };
    Some((Lambda { body: BodyId(body), params, name: optional(name)?, span }, group))
}

fn constant([tag, high, low]: [u32; 3]) -> Option<Const> {
    let value = u64::from(high) << 32 | u64::from(low);
    let text = Text { start: high, len: low };
    Some(match tag {
        0 => Const::Int(value as i64),
        1 => Const::Float(f64::from_bits(value)),
        2 => Const::String(text),
        3 => Const::Path(text),
        _ => return None,
    })
}

fn set_literal([first, start, len, cache, rest]: [u32; 5]) -> Option<SetLiteral> {
    Some(SetLiteral { first, values: Range { start, len }, cache: CacheId(cache), rest })
}

fn set_rest([_, slot, overrides, start, len, dynamic, n_dynamic]: [u32; 7]) -> Option<SetRest> {
    Some(SetRest {
        group: (slot != NONE).then_some(slot),
        sources: Range { start, len },
        overrides: (overrides != NONE).then_some(overrides),
        dynamic: Range { start: dynamic, len: n_dynamic },
    })
}

fn let_group([group, start, len, sources, n_sources, body]: [u32; 6]) -> Option<LetGroup> {
    let (members, sources) = (Range { start, len }, Range { start: sources, len: n_sources });
    Some(LetGroup { group, members, sources, body: NodeId(body) })
}

fn body([root, start, len, n_locals]: [u32; 4]) -> Option<Body> {
    Some(Body { root: NodeId(root), captures: Range { start, len }, n_locals })
}
