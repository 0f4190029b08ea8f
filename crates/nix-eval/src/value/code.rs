//! Loaded code: what thunks and functions point at.
//!
//! A [`Unit`] is one loaded file with everything the machine wants beside the program: heap values of its
//! constants, cells of its inline caches, and one small record for each body and each function. Units
//! belong to the evaluator and live as long as its heap, so heap objects hold their addresses.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::{AccessorId, Value, View};
use crate::{
    host::NixPath,
    ir::{self, BodyId, CacheId, Node, NodeId, Params, Range},
    source::Location,
    symbol::Symbol,
};

/// One loaded file. Everything is as large as it needs to be: units stay as long as the evaluator.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The program, without what the other fields hold in the machine's form: constants and bodies.
    pub(crate) file: ir::File,
    pub(crate) consts: Box<[Value]>,
    pub(crate) bodies: Box<[Code]>,
    pub(crate) lambdas: Box<[LambdaCode]>,
    caches: Box<[AtomicU64]>,
    /// The tree that the file lies in: its path literals do as well.
    pub(crate) accessor: AccessorId,
}

/// A body: what a suspended thunk points at.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Code {
    unit: *const Unit,
    pub(crate) root: NodeId,
    pub(crate) n_locals: u32,
    pub(crate) captures: Range,
    pub(crate) cheap: Cheap,
}

const _: () = assert!(size_of::<Code>() == 32);

/// Bodies that may be computed instead of suspended when their operands are at hand. There is one for each
/// body, so only what fits into a word counts: the first 256 captures, constants of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cheap {
    /// Always suspend.
    No,
    /// `captured + constant`: capture number and constant.
    Add(u8, i32),
    /// `left + right`, both captured.
    AddTwo(u8, u8),
    /// `left - right`, both captured.
    SubTwo(u8, u8),
    /// `captured.name`: the root.
    Select,
}

/// A function of a file: what a lambda value points at.
#[derive(Debug)]
pub(crate) struct LambdaCode {
    unit: *const Unit,
    pub(crate) root: NodeId,
    pub(crate) n_locals: u32,
    /// Simple arguments before the body runs; 1 for a function with formals.
    pub(crate) arity: u32,
    pub(crate) has_formals: bool,
    pub(crate) captures: Range,
    pub(crate) index: u32,
}

// SAFETY: a unit is immutable after loading but for its caches, which are atomic; the pointers in it lead
// to itself.
unsafe impl Send for Unit {}
// SAFETY: as above.
unsafe impl Sync for Unit {}
// SAFETY: the pointer leads to the unit that owns this record.
unsafe impl Send for Code {}
// SAFETY: as above.
unsafe impl Sync for Code {}
// SAFETY: as above.
unsafe impl Send for LambdaCode {}
// SAFETY: as above.
unsafe impl Sync for LambdaCode {}

/// All units of an evaluator.
#[derive(Default)]
pub(crate) struct Units(Mutex<Vec<*mut Unit>>);

// SAFETY: the pointers own their units, which are `Send`.
unsafe impl Send for Units {}
// SAFETY: the list is behind a lock.
unsafe impl Sync for Units {}

impl Units {
    /// Keeps a unit; the reference is good as long as `self`, which outlives all values of its heap.
    pub(crate) fn keep<'a>(&self, unit: Box<Unit>) -> &'a Unit {
        let unit = Box::into_raw(unit);
        self.0.lock().unwrap_or_else(|e| e.into_inner()).push(unit);
        // SAFETY: the unit stays where it is until `self` is dropped.
        unsafe { &*unit }
    }

    /// The literals that are this path.
    pub(crate) fn naming(&self, path: &NixPath) -> Vec<Location> {
        let mut found = Vec::new();
        for &unit in &*self.0.lock().unwrap_or_else(|e| e.into_inner()) {
            // SAFETY: the unit stays where it is until `self` is dropped.
            let unit = unsafe { &*unit };
            let is_path =
                |value: &Value| matches!(value.view(), View::Path(p) if p.bytes() == path.text);
            if unit.accessor != path.accessor || !unit.consts.iter().any(is_path) {
                continue;
            }
            for (number, node) in unit.file.nodes.iter().enumerate() {
                if let Node::Const(id) = node
                    && is_path(&unit.consts[id.0 as usize])
                {
                    found.push(unit.location(NodeId(number as u32)));
                }
            }
        }
        found
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        for unit in self.0.get_mut().unwrap_or_else(|e| e.into_inner()).drain(..) {
            // SAFETY: made by `Box::into_raw` in `keep`, and dropped once.
            drop(unsafe { Box::from_raw(unit) });
        }
    }
}

impl Unit {
    /// Prepares a program: copies what the machine needs of it. `constant` makes the heap value of a literal.
    pub(crate) fn copy(
        program: &mut ir::File,
        accessor: AccessorId,
        constant: impl FnMut(&ir::File, ir::Const) -> Value,
    ) -> Box<Unit> {
        let consts = Unit::constants(program, constant);
        let file = ir::File {
            file: program.file,
            nodes: program.nodes.clone(),
            spans: program.spans.clone(),
            extra: program.extra.clone(),
            sets: program.sets.clone(),
            set_rests: program.set_rests.clone(),
            names: program.names.clone(),
            name_spans: program.name_spans.clone(),
            lets: program.lets.clone(),
            lambdas: program.lambdas.drain(..).collect(),
            n_caches: program.n_caches,
            ..ir::File::empty(program.file)
        };
        Unit::new(file, program, consts, accessor)
    }

    /// Prepares a program whose memory is its own and no larger than it needs.
    pub(crate) fn take(
        mut program: ir::File,
        accessor: AccessorId,
        constant: impl FnMut(&ir::File, ir::Const) -> Value,
    ) -> Box<Unit> {
        let consts = Unit::constants(&program, constant);
        program.text = Vec::new();
        let rest = ir::File {
            consts: std::mem::take(&mut program.consts),
            bodies: std::mem::take(&mut program.bodies),
            ..ir::File::empty(program.file)
        };
        Unit::new(program, &rest, consts, accessor)
    }

    fn constants(
        program: &ir::File,
        mut constant: impl FnMut(&ir::File, ir::Const) -> Value,
    ) -> Box<[Value]> {
        program.consts.iter().map(|&c| constant(program, c)).collect()
    }

    /// Of a program without constants and bodies, which `rest` has.
    fn new(
        file: ir::File,
        rest: &ir::File,
        consts: Box<[Value]>,
        accessor: AccessorId,
    ) -> Box<Unit> {
        let caches = (0..file.n_caches).map(|_| AtomicU64::new(0)).collect();
        let mut unit = Box::new(Unit {
            file,
            consts,
            bodies: Box::new([]),
            lambdas: Box::new([]),
            caches,
            accessor,
        });
        let address: *const Unit = &raw const *unit;
        let code = |body: &ir::Body| Code {
            unit: address,
            root: body.root,
            n_locals: body.n_locals,
            captures: body.captures,
            cheap: Cheap::of(&unit.file, &rest.consts, body),
        };
        let bodies = rest.bodies.iter().map(code).collect();
        unit.bodies = bodies;
        let lambda_code = |(index, lambda): (usize, &ir::Lambda)| {
            let body = &rest.bodies[lambda.body.0 as usize];
            LambdaCode {
                unit: address,
                root: body.root,
                n_locals: body.n_locals,
                arity: match &lambda.params {
                    Params::Simple(names) => names.len() as u32,
                    Params::Formals(_) => 1,
                },
                has_formals: matches!(lambda.params, Params::Formals(_)),
                captures: body.captures,
                index: index as u32,
            }
        };
        unit.lambdas = unit.file.lambdas.iter().enumerate().map(lambda_code).collect();
        unit
    }

    /// What it takes, in bytes, without the text that it was read from.
    pub(crate) fn size_bytes(&self) -> u64 {
        let file = &self.file;
        let nodes = size_of_val(&*file.nodes) + file.spans.size_bytes() + size_of_val(&*file.extra);
        let parts = size_of_val(&*file.sets) + size_of_val(&*file.set_rests);
        let parts = parts + size_of_val(&*file.lets);
        let parts = parts + size_of_val(&*file.names) + file.name_spans.size_bytes();
        let code = size_of_val(&*self.consts) + size_of_val(&*self.bodies);
        let code = code + size_of_val(&*self.lambdas) + size_of_val(&*self.caches);
        (size_of::<Unit>() + nodes + parts + code + size_of_val(&*file.lambdas)) as u64
    }

    /// The unit at an address that running code holds.
    pub(crate) fn at<'a>(address: usize) -> &'a Unit {
        // SAFETY: running code only holds addresses of units of its evaluator, which outlive it.
        unsafe { &*(address as *const Unit) }
    }

    /// The node with this id.
    #[inline(always)]
    pub(crate) fn node(&self, id: NodeId) -> Node {
        debug_assert!((id.0 as usize) < self.file.nodes.len());
        // SAFETY: node ids of a file are numbers of its own nodes; the reader made them so.
        unsafe { *self.file.nodes.get_unchecked(id.0 as usize) }
    }

    /// Word number `at` of the extra words.
    #[inline(always)]
    pub(crate) fn word(&self, at: u32) -> u32 {
        debug_assert!((at as usize) < self.file.extra.len());
        // SAFETY: as in `node`, for ranges.
        unsafe { *self.file.extra.get_unchecked(at as usize) }
    }

    /// The words of a range.
    #[inline(always)]
    pub(crate) fn words(&self, range: Range) -> &[u32] {
        let (start, len) = (range.start as usize, range.len as usize);
        debug_assert!(start + len <= self.file.extra.len());
        // SAFETY: as in `node`, for ranges.
        unsafe { self.file.extra.get_unchecked(start..start + len) }
    }

    /// The constant.
    #[inline(always)]
    pub(crate) fn constant(&self, id: ir::ConstId) -> Value {
        self.consts[id.0 as usize]
    }

    /// The cell of an inline cache: 0 when empty.
    #[inline(always)]
    pub(crate) fn cache(&self, id: CacheId) -> &AtomicU64 {
        &self.caches[id.0 as usize]
    }

    /// The contents of an inline cache.
    #[inline(always)]
    pub(crate) fn cached(&self, id: CacheId) -> u64 {
        self.cache(id).load(Ordering::Acquire)
    }

    /// The record of a body.
    #[inline(always)]
    pub(crate) fn body(&self, id: BodyId) -> &Code {
        &self.bodies[id.0 as usize]
    }

    /// The place of a node.
    pub(crate) fn location(&self, id: NodeId) -> Location {
        Location { file: self.file.file, span: self.file.span(id) }
    }
}

impl Code {
    /// The record at an address that a thunk holds.
    #[inline(always)]
    pub(crate) fn at<'a>(address: usize) -> &'a Code {
        // SAFETY: thunks only hold addresses of records of units of their evaluator, which outlive it.
        unsafe { &*(address as *const Code) }
    }
    /// The file it belongs to.
    #[inline(always)]
    pub(crate) fn unit<'a>(&self) -> &'a Unit {
        // SAFETY: the unit owns this record.
        unsafe { &*self.unit }
    }
    /// Its address, for a thunk.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

impl LambdaCode {
    /// The record at an address that a function holds.
    #[inline(always)]
    pub(crate) fn at<'a>(address: usize) -> &'a LambdaCode {
        // SAFETY: as for `Code::at`.
        unsafe { &*(address as *const LambdaCode) }
    }
    /// The file it belongs to.
    #[inline(always)]
    pub(crate) fn unit<'a>(&self) -> &'a Unit {
        // SAFETY: the unit owns this record.
        unsafe { &*self.unit }
    }
    /// Its address, for a function.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
    /// The function in the file.
    pub(crate) fn lambda<'a>(&self) -> &'a ir::Lambda {
        &self.unit().file.lambdas[self.index as usize]
    }
    /// Where it is written.
    pub(crate) fn location(&self) -> Location {
        Location { file: self.unit().file.file, span: self.lambda().span }
    }
    /// The name it is bound to, if the source says so.
    pub(crate) fn name(&self) -> Option<Symbol> {
        self.lambda().name
    }
}

impl Cheap {
    fn of(file: &ir::File, consts: &[ir::Const], body: &ir::Body) -> Cheap {
        let captured = |id: NodeId| match file.node(id) {
            Node::Var(place) if place.is_captured() => u8::try_from(place.index()).ok(),
            _ => None,
        };
        let constant = |id: NodeId| match file.node(id) {
            Node::Const(c) => match consts[c.0 as usize] {
                ir::Const::Int(n) if n > i64::from(i32::MIN) => i32::try_from(n).ok(),
                _ => None,
            },
            _ => None,
        };
        match file.node(body.root) {
            Node::Sub(a, b) => match (captured(a), captured(b), constant(b)) {
                (Some(a), Some(b), _) => Cheap::SubTwo(a, b),
                (Some(a), _, Some(n)) => Cheap::Add(a, -n),
                _ => Cheap::No,
            },
            Node::Plus(range) => match *file.words(range) {
                [a, b] => {
                    let (a, b) = (NodeId(a), NodeId(b));
                    match (captured(a), captured(b), constant(a), constant(b)) {
                        (Some(a), Some(b), ..) => Cheap::AddTwo(a, b),
                        (Some(a), _, _, Some(n)) | (_, Some(a), Some(n), _) => Cheap::Add(a, n),
                        _ => Cheap::No,
                    }
                }
                _ => Cheap::No,
            },
            Node::Select { base, .. } => match file.node(base) {
                Node::Var(place) | Node::Member { group: place, .. } if place.is_captured() => {
                    Cheap::Select
                }
                _ => Cheap::No,
            },
            _ => Cheap::No,
        }
    }
}
