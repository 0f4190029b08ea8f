//! From names to places: the sweep that turns the parser's arena into the machine's program.
//!
//! One walk, operands first. It knows at each point which body it is in, so a name becomes a slot, a member
//! of a group, a captured word, a global or a search through `with`; an operand that must not run yet becomes
//! a body of its own, whose number stands as the operand. See [`crate::ir`] for what comes out.
//!
//! The walk recurses over nesting, counted and on a growing stack. `depth` of the parser bounds brackets; left
//! to right chains such as `a - b - c …` nest here, and count here.

mod captures;
mod classify;
mod expr;
mod lambda;
mod scope;
mod set;
#[cfg(test)]
mod tests;

use crate::{
    ir::{self, Body, BodyId, CacheId, Const, File, Node, NodeId, Place, Range, make_room},
    source::{FileId, Span},
    symbol::{Symbol, Symbols},
    syntax::{
        ReadOptions, SyntaxError, SyntaxErrorKind,
        ast::{Ast, Id, push_words},
        depth::{Depth, on_new_stack, too_deep},
    },
};
use captures::{Cell, OpenBody};
use scope::{Binding, KnownGlobal, Shadows};

pub(crate) type Fail = Box<SyntaxError>;

/// How many nodes may be made between two polls.
const POLL_NODES: u32 = 4096;

/// How many unbound names are reported besides the first.
const MAX_FURTHER: usize = 5;

struct Resolver<'a> {
    ast: &'a Ast,
    symbols: &'a Symbols,
    options: &'a ReadOptions<'a>,
    out: File,
    /// By file-local name: number + 1 of the innermost binding, 0 if there is none.
    innermost: Vec<u32>,
    bindings: Vec<Binding>,
    cells: Vec<Cell>,
    /// By file-local name: what is known about the global of that name.
    globals: Vec<KnownGlobal>,
    /// The open bodies, outermost first; those above `level` are kept for their memory.
    bodies: Vec<OpenBody>,
    level: usize,
    n_opened: u32,
    /// Cells of the subjects of the open `with`s, outermost first.
    withs: Vec<u32>,
    scope_cell: u32,
    shadows: Shadows,
    /// Operands not yet in `extra`; used as a stack.
    words: Vec<u32>,
    /// Arguments of the function at hand; used as a stack.
    args: Vec<(Symbol, Span)>,
    depth: Depth,
    countdown: u32,
    /// Words that captures may take in `extra`, against inputs that ask for the square of their size.
    captures_left: usize,
    undefined: Vec<SyntaxError>,
}

/// What the sweep needs while it works; kept from text to text.
#[derive(Default)]
pub(crate) struct Scratch {
    innermost: Vec<u32>,
    bindings: Vec<Binding>,
    cells: Vec<Cell>,
    globals: Vec<KnownGlobal>,
    bodies: Vec<OpenBody>,
    withs: Vec<u32>,
    words: Vec<u32>,
    args: Vec<(Symbol, Span)>,
    /// Where programs are put together. Whoever keeps a small one copies it, so that it takes no more memory than it
    /// needs: it lives as long as its engine.
    out: Option<File>,
}

impl Scratch {
    /// The program of the last text that was resolved without a mistake, until the next one is.
    pub(crate) fn program(&mut self) -> &mut File {
        self.out.get_or_insert_with(|| File::empty(FileId(0)))
    }

    /// Takes the program if it is so large that to copy it costs more than memory for the next one.
    pub(crate) fn take_large(&mut self) -> Option<File> {
        self.out.take_if(|out| out.nodes.len() > MOST_COPIED)
    }

    /// Gives memory back that only large texts need.
    pub(crate) fn trim(&mut self) {
        if self.out.as_ref().is_some_and(|out| out.nodes.capacity() > MOST_KEPT)
            || self.bodies.capacity() > MOST_KEPT
        {
            *self = Scratch::default();
        }
    }
}

/// Nodes of the largest text whose scratch is kept.
const MOST_KEPT: usize = 1 << 16;
/// Nodes of the largest program that is copied.
const MOST_COPIED: usize = 1 << 13;

/// Resolves a parsed text; the result is [`Scratch::program`]. Its `consts` are only those made here; they are
/// numbered after those of the parser's arena.
///
/// # Errors
/// Unbound names, all of them up to a limit; nesting that is too deep; `poll` asking to stop.
pub(crate) fn resolve(
    symbols: &Symbols,
    file: FileId,
    text: &[u8],
    ast: &Ast,
    options: &ReadOptions<'_>,
    scratch: &mut Scratch,
) -> Result<(), Fail> {
    let Scratch {
        mut innermost,
        mut bindings,
        mut cells,
        mut globals,
        bodies,
        mut withs,
        mut words,
        mut args,
        out,
    } = std::mem::take(scratch);
    let mut out = out.unwrap_or_else(|| File::empty(file));
    out.file = file;
    out.clear();
    // As in the parser: what is left behind while vectors grow is touched, what is left over is not.
    let n_nodes = ast.nodes.len();
    make_room(&mut out.nodes, n_nodes * 3 / 2);
    out.spans.make_room(n_nodes * 3 / 2);
    make_room(&mut out.extra, ast.extra.len() * 2);
    make_room(&mut out.names, ast.attrs.len());
    out.name_spans.make_room(ast.attrs.len());
    make_room(&mut out.sets, ast.sets.len());
    make_room(&mut out.bodies, n_nodes / 2);
    innermost.clear();
    innermost.resize(ast.names.len(), 0);
    globals.clear();
    globals.resize(ast.names.len(), KnownGlobal::Unasked);
    bindings.clear();
    cells.clear();
    withs.clear();
    words.clear();
    args.clear();
    let mut resolver = Resolver {
        ast,
        symbols,
        options,
        out,
        innermost,
        bindings,
        cells,
        globals,
        bodies,
        level: 0,
        n_opened: 0,
        withs,
        scope_cell: 0,
        shadows: Shadows::new(symbols, text, ast),
        words,
        args,
        depth: Depth::new(options.max_depth),
        countdown: POLL_NODES,
        captures_left: (1 << 20) + 16 * text.len(),
        undefined: Vec::new(),
    };
    resolver.file()?;
    *scratch = Scratch {
        innermost: resolver.innermost,
        bindings: resolver.bindings,
        cells: resolver.cells,
        globals: resolver.globals,
        bodies: resolver.bodies,
        withs: resolver.withs,
        words: resolver.words,
        args: resolver.args,
        out: Some(resolver.out),
    };
    finish(resolver.undefined)
}

fn finish(mut undefined: Vec<SyntaxError>) -> Result<(), Fail> {
    if undefined.is_empty() {
        return Ok(());
    }
    undefined.sort_by_key(|error| error.span);
    let mut errors = undefined.into_iter();
    let mut first = errors.next().expect("checked above");
    first.further = errors.take(MAX_FURTHER).collect();
    Err(Box::new(first))
}

impl Resolver<'_> {
    fn file(&mut self) -> Result<(), Fail> {
        self.begin_first_body();
        // The machine hands the scope set to body 0 as its word 0.
        self.scope_cell = self.new_cell(Place::captured(0));
        let root = self.strict(self.ast.root)?;
        let file_body = &self.bodies[0];
        let captures = match self.options.scope {
            Some(_) => 1,
            None => 0,
        };
        let start = self.out.extra.len() as u32;
        self.out.extra.extend((0..captures).map(|i| Place::captured(i).0));
        self.out.bodies[0] =
            Body { root, captures: Range { start, len: captures }, n_locals: file_body.n_locals };
        let n_consts = self.ast.consts.len() + self.out.consts.len();
        if self.out.nodes.len() > NodeId::MAX
            || self.out.bodies.len().max(n_consts) > NodeId::MAX_INLINE
        {
            return Err(self.stop(
                self.ast.root,
                SyntaxErrorKind::TooDeep,
                "the text is too large",
            ));
        }
        Ok(())
    }

    fn add(&mut self, node: Node, span: Span) -> NodeId {
        let id = NodeId(self.out.nodes.len() as u32);
        self.out.nodes.push(node);
        self.out.spans.push(span);
        id
    }

    fn new_cache(&mut self) -> CacheId {
        let cache = CacheId(self.out.n_caches);
        self.out.n_caches += 1;
        cache
    }

    /// Moves the words from `base` on into `extra`.
    fn take_words(&mut self, base: usize) -> Range {
        let start = self.out.extra.len() as u32;
        push_words(&mut self.out.extra, &self.words[base..]);
        let len = (self.words.len() - base) as u32;
        self.words.truncate(base);
        Range { start, len }
    }

    /// An expression in strict position.
    fn strict(&mut self, id: Id) -> Result<NodeId, Fail> {
        if !self.depth.enter() {
            return Err(too_deep(self.ast.span(id), self.options.max_depth));
        }
        self.poll(id)?;
        let result = if self.depth.is_tight() {
            on_new_stack(self, |r| &mut r.depth, |r| r.strict_here(id))
        } else {
            self.strict_here(id)
        };
        self.depth.leave();
        result
    }

    /// Counts a step, and stops if somebody asked for it or the program captures too much.
    #[inline]
    fn poll(&mut self, id: Id) -> Result<(), Fail> {
        self.countdown -= 1;
        if self.countdown == 0 {
            self.countdown = POLL_NODES;
            if !(self.options.poll)() {
                return Err(self.stop(id, SyntaxErrorKind::Cancelled, "reading was cancelled"));
            }
        }
        if self.captures_left == 0 {
            let message = "nested functions refer to too many variables of those around them";
            return Err(self.stop(id, SyntaxErrorKind::TooDeep, message));
        }
        Ok(())
    }

    /// A body that only evaluates `id`, made into a thunk.
    fn suspend(&mut self, id: Id) -> Result<NodeId, Fail> {
        let body = self.begin_body();
        let root = self.strict(id)?;
        self.end_body(body, root);
        Ok(NodeId::suspend(body))
    }

    /// A constant in operand position.
    fn const_operand(&mut self, index: u32, span: Span) -> NodeId {
        match self.ast.consts[index as usize] {
            // Messages look for the literals that name a path.
            Const::Path(_) => self.add(Node::Const(const_id(index)), span),
            _ => NodeId::constant(const_id(index)),
        }
    }

    #[cold]
    fn stop(&self, id: Id, kind: SyntaxErrorKind, message: &str) -> Fail {
        Box::new(SyntaxError::new(kind, self.ast.span(id), message))
    }

    fn end_body(&mut self, body: BodyId, root: NodeId) {
        let captures = self.close_body();
        let n_locals = self.bodies[self.level + 1].n_locals;
        self.out.bodies[body.0 as usize] = Body { root, captures, n_locals };
    }
}

/// The constant of the same number: constants are numbered alike in both arenas.
fn const_id(index: u32) -> ir::ConstId {
    ir::ConstId(index)
}
