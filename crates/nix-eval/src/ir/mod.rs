//! The resolved program of one file: what the parser makes and the machine walks.
//!
//! One arena per file, 32-bit node ids, operands in post-order, spans in a side table. There are no
//! environments: every *body* (the file's root, a lambda's body, a suspended expression) runs with a
//! frame of local slots on the machine's value stack and a flat array of captured words.
//!
//! # Where a variable lives
//!
//! A word in a local slot or a capture is either a value or the address of a *group*: a heap array of
//! values shared by all members of a `let`, a `rec` set or a function's formals. Code that refers to a
//! member of a group carries the group (one word), never the member, so mutually recursive bindings cost
//! one captured word each.
//!
//! # Operands are never evaluated when they are passed
//!
//! Wherever an operand may be needed later (function arguments, list elements, attribute values, group
//! members, default values) the node is in *operand position*. The machine turns it into a value without
//! running anything: constants, variables and lambdas directly, everything else because the resolver put an
//! [`Operand::Suspend`] there. In all other positions (conditions, operators, callees, bodies) a node is in
//! *strict position* and is evaluated to weak head normal form; what stands there is always a node.
//!
//! An operand that waits, or is a number or string, needs no node: its [`NodeId`] says so itself, see
//! [`NodeId::operand`].
//!
//! A group member whose initial value is a variable of the same group that is not filled yet (itself or a
//! later member) is suspended, so reading a group cell never meets a hole.

pub mod dump;
mod spans;
mod words;

pub use spans::Spans;

use crate::{
    source::{FileId, Span},
    symbol::Symbol,
};

/// Number of a node in its file's arena.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NodeId(pub u32);

/// What an id in operand position stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operand {
    /// A node of the arena.
    Node(NodeId),
    /// A thunk of the body.
    Suspend(BodyId),
    /// A number or a string.
    Const(ConstId),
}

impl NodeId {
    /// How many nodes a file may have. The bits above tell operands apart.
    pub const MAX: usize = 1 << 31;
    /// How many bodies, and how many constants.
    pub const MAX_INLINE: usize = 1 << 30;
    const SUSPEND: u32 = 0b10 << 30;
    const CONST: u32 = 0b11 << 30;

    /// A thunk of the body.
    pub const fn suspend(body: BodyId) -> NodeId {
        NodeId(body.0 | NodeId::SUSPEND)
    }
    /// A number or a string.
    pub const fn constant(id: ConstId) -> NodeId {
        NodeId(id.0 | NodeId::CONST)
    }
    /// What the id stands for. In strict position it is always a node.
    #[inline(always)]
    pub const fn operand(self) -> Operand {
        if self.0 < NodeId::SUSPEND {
            return Operand::Node(self);
        }
        let index = self.0 & (NodeId::MAX_INLINE as u32 - 1);
        if self.0 < NodeId::CONST {
            Operand::Suspend(BodyId(index))
        } else {
            Operand::Const(ConstId(index))
        }
    }
}

/// A run of words in [`File::extra`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First word.
    pub start: u32,
    /// Number of words.
    pub len: u32,
}

/// A local slot of the running body (counted from its frame's base), or a captured word.
///
/// The top bit tells which: 0 = local slot, 1 = captured word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place(pub u32);

impl Place {
    const CAPTURED: u32 = 1 << 31;
    /// The local slot `slot`.
    pub const fn local(slot: u32) -> Place {
        Place(slot)
    }
    /// The captured word `index`.
    pub const fn captured(index: u32) -> Place {
        Place(index | Place::CAPTURED)
    }
    /// Whether this is a captured word.
    pub const fn is_captured(self) -> bool {
        self.0 & Place::CAPTURED != 0
    }
    /// The slot or the index of the captured word.
    pub const fn index(self) -> u32 {
        self.0 & !Place::CAPTURED
    }
}

/// Number of a body: code that runs with a frame of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct BodyId(pub u32);

/// Number of a lambda of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct LambdaId(pub u32);

/// Number of a constant of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ConstId(pub u32);

/// Number of an attribute set literal of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SetId(pub u32);

/// Number of a `let` of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct LetId(pub u32);

/// Number of an inline cache; the evaluator owns the cells, one table per loaded file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct CacheId(pub u32);

/// Index into the engine's table of globals (`true`, `map`, `__sub`, `builtins`, …).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct GlobalId(pub u32);

/// One expression. See the module's comment for *strict* and *operand* position.
///
/// `NodeId`s inside are strict unless the field says operand.
#[derive(Clone, Copy, PartialEq, Debug)]
#[expect(missing_docs, reason = "fields are described in the sentence of their node")]
pub enum Node {
    /// A literal: number, string without interpolation, path, or a folded constant.
    Const(ConstId),
    /// `[ ]`.
    EmptyList,
    /// `__curPos`: a set of `file`, `line`, `column` made from the node's span, `null` without a file.
    CurPos,
    /// A word that is a value: a simple lambda argument.
    Var(Place),
    /// Member `index` of the group at `group`.
    Member { group: Place, index: u32 },
    /// A builtin or global constant.
    Global(GlobalId),
    /// A name found at run time. At `withs` of `extra` stand a count and that many [`Place`]s of the enclosing
    /// `with` values, innermost first.
    With { name: Symbol, withs: u32, cache: CacheId },
    /// A name of the scope given to `scopedImport` or by an embedder: an attribute of the set at `scope`.
    /// The resolver only makes this for names that the scope has.
    Scope { scope: Place, name: Symbol },

    /// Makes a function value.
    Lambda(LambdaId),
    /// A list of operands.
    List(Range),
    /// A plain set: static attributes only. See [`SetLiteral`].
    Set(SetId),
    /// `let`; see [`LetGroup`].
    Let(LetId),
    /// `with`: `subject` is an operand stored in local slot `slot`, then `body`.
    WithScope { slot: u32, subject: NodeId, body: NodeId },

    /// Function call. `args` are operands, at least one.
    Call { function: NodeId, args: Range },
    /// A call of a global builtin that has at least as many operands as it takes.
    CallGlobal { builtin: GlobalId, args: Range },
    /// `base.name` with one static name and no default.
    Select { base: NodeId, name: Symbol, cache: CacheId },
    /// Any other selection. `path` holds [`PathPart`]s, two words each. `default` is strict (evaluated only
    /// when needed) and given by [`Node::SelectOr`].
    SelectPath { base: NodeId, path: Range },
    /// `base.path or default`. Words of `path` as in `SelectPath`; the last word is the default's node id.
    SelectOr { base: NodeId, path: Range },
    /// `base ? path`.
    HasAttr { base: NodeId, path: Range },

    /// `if c then a else b`: nodes at `branches` and `branches + 1` of `extra`.
    If { condition: NodeId, branches: u32 },
    /// `assert condition; body`.
    Assert { condition: NodeId, body: NodeId },

    /// `a + b + …`: left fold, typed by the first operand of each step.
    Plus(Range),
    /// `"…${e}…"`: parts are strict, coerced like interpolation; string literals are `Const` parts.
    Interpolate(Range),
    /// `./a/${e}`: the first part is the absolute text before the first `${`, as a string `Const` (it keeps
    /// a final `/`), or a `HomePath`. The texts are joined, then made canonical; the result is a path.
    InterpolatePath(Range),
    /// `a ++ b ++ …`, evaluated left to right.
    Concat(Range),
    /// `a // b // …`, evaluated left to right, merged from the right.
    Update(Range),
    /// `a && b && …`; every operand must be a bool.
    And(Range),
    /// `a || b || …`.
    Or(Range),
    /// `a -> b`.
    Implies(NodeId, NodeId),
    /// `!a`.
    Not(NodeId),
    /// `a == b`. Both sides are strict: they are evaluated into temporaries, so `f == f` is false for
    /// functions; only elements *inside* the two values are compared by cell first.
    Equal(NodeId, NodeId),
    /// `a != b`.
    NotEqual(NodeId, NodeId),
    /// `a < b` where `__lessThan` is the builtin. The left node is evaluated first: `a > b` is `Less(b, a)`.
    Less(NodeId, NodeId),
    /// `!(a < b)`: `a >= b` is `NotLess(a, b)`, `a <= b` is `NotLess(b, a)`.
    NotLess(NodeId, NodeId),
    /// `a - b` where `__sub` is the builtin.
    Sub(NodeId, NodeId),
    /// `a * b`.
    Mul(NodeId, NodeId),
    /// `a / b`.
    Div(NodeId, NodeId),
    /// `-a`: `0 - a`.
    Negate(NodeId),
    /// `<name>` where `__findFile` and `__nixPath` are the builtins; the constant is the name as a string.
    Lookup(ConstId),
    /// `~/x`: the constant is the text after `~`, beginning with `/`.
    HomePath(ConstId),
}

/// One step of an attribute path, stored as two words: tag and payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathPart {
    /// A name known when the file was read.
    Name(Symbol),
    /// `${e}`: strict.
    Dynamic(NodeId),
}

impl PathPart {
    /// As words of [`File::extra`].
    pub fn to_words(self) -> [u32; 2] {
        match self {
            PathPart::Name(name) => [0, name.0],
            PathPart::Dynamic(node) => [1, node.0],
        }
    }
    /// From words of [`File::extra`].
    pub fn from_words(words: [u32; 2]) -> PathPart {
        if words[0] == 0 {
            PathPart::Name(Symbol(words[1]))
        } else {
            PathPart::Dynamic(NodeId(words[1]))
        }
    }
}

/// Bytes in [`File::text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

/// A literal value. The evaluator makes heap values of these once per loaded file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Const {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string without context; bytes, not necessarily UTF-8.
    String(Text),
    /// An absolute, canonical path.
    Path(Text),
}

/// What an attribute set literal is made of. Most have nothing but names and values, and there are many.
///
/// Evaluation order: allocate; for `rec`, put the address of its member array into local slot `group` (the
/// value array of the set serves as the group); store `sources`; fill `values`; if `overrides`, force that
/// attribute and replace members; then `dynamic`, in source order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SetLiteral {
    /// Number of the first static attribute; see [`File::names_of`] and [`File::name_span`].
    pub first: u32,
    /// One operand for each static attribute, in the order of the names, as node ids in `extra`. For `rec`,
    /// member `i` of the group is name `i`.
    pub values: Range,
    /// Inline cache: the literal's shape.
    pub cache: CacheId,
    /// Number of its [`SetRest`], or `u32::MAX`.
    pub rest: u32,
}

/// What only some set literals have.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SetRest {
    /// For `rec` sets: the local slot of the group.
    pub group: Option<u32>,
    /// Subjects of `inherit (e) …`: pairs of (local slot, operand) in `extra`, stored before `values` are
    /// made, in the scope of the set. Each inherited name is then suspended: a selection from the slot.
    pub sources: Range,
    /// For `rec` sets with a static attribute `__overrides`: its position in the names.
    pub overrides: Option<u32>,
    /// Dynamic attributes: triples (strict node of the name, operand, offset of the definition in the text)
    /// in `extra`, in source order.
    pub dynamic: Range,
}

/// A `let`.
///
/// Evaluation order: allocate a group of `members.len` cells and put it into local slot `group`; store
/// `sources`; fill the members; evaluate `body`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LetGroup {
    /// The local slot of the group.
    pub group: u32,
    /// One operand for each member, as node ids in `extra`.
    pub members: Range,
    /// As [`SetRest::sources`].
    pub sources: Range,
    /// In strict position.
    pub body: NodeId,
}

/// Code with a frame of its own.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Body {
    /// The expression, in strict position.
    pub root: NodeId,
    /// [`Place`]s in the frame of the code that makes this body's thunk or function, copied in this order.
    pub captures: Range,
    /// Local slots that it needs, arguments included.
    pub n_locals: u32,
}

/// What a function takes.
#[derive(Clone, PartialEq, Debug)]
pub enum Params {
    /// `x: y: …: body`: chains of simple arguments are one lambda. They arrive in slots 0, 1, ….
    Simple(Box<[(Symbol, Span)]>),
    /// `{ a, b ? d, ... }@args: body`. The group of all formals, then `args` if named, is in slot 0.
    Formals(Box<Formals>),
}

/// The formals of a function that takes a set.
#[derive(Clone, PartialEq, Debug)]
pub struct Formals {
    /// In order of `Symbol`; member `i` of the group is `formals[i]`.
    pub formals: Box<[Formal]>,
    /// Source order: indexes into `formals`.
    pub source_order: Box<[u32]>,
    /// The name after or before `@`; it is the last member of the group.
    pub args: Option<Symbol>,
    /// Whether `...` is there.
    pub ellipsis: bool,
}

/// One formal.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Formal {
    /// Its name.
    pub name: Symbol,
    /// Where the name stands.
    pub span: Span,
    /// Its default, an operand in the frame of the function's body (slot 0 holds the group).
    pub default: Option<NodeId>,
}

/// A function of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct Lambda {
    /// Its body; `captures` are taken where the lambda stands.
    pub body: BodyId,
    /// What it takes.
    pub params: Params,
    /// The attribute or variable that it is bound to, if its source says so; for messages.
    pub name: Option<Symbol>,
    /// From the first parameter to the end of the body.
    pub span: Span,
}

/// Which group each [`Node::Member`] is of, where the order of the members follows the numbers of symbols. Who brings
/// a program to the symbols of another engine needs to know.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// Of each `Node::Member`, in the order of the nodes: the number of its group. A `let` is [`Groups::NONE`]: what
    /// order its members have does not matter.
    pub members: Vec<u32>,
    /// Parallel to [`File::set_rests`]: the groups of `rec` sets.
    pub sets: Vec<u32>,
    /// Parallel to [`File::lambdas`]: the groups of formals.
    pub lambdas: Vec<u32>,
    /// How many there are.
    pub len: u32,
}

impl Groups {
    /// Instead of a number: no group, or that of a `let`.
    pub const NONE: u32 = u32::MAX;

    fn clear(&mut self) {
        self.members.clear();
        self.sets.clear();
        self.lambdas.clear();
        self.len = 0;
    }
}

/// A whole file, resolved. Immutable once made.
#[derive(Clone, Debug)]
pub struct File {
    /// Which source it came from.
    pub file: FileId,
    /// The arena, operands before the nodes that use them.
    pub nodes: Vec<Node>,
    /// Parallel to `nodes`.
    pub spans: Spans,
    /// Operand lists, paths, captures.
    pub extra: Vec<u32>,
    /// Literals.
    pub consts: Vec<Const>,
    /// What the literals' texts are made of.
    pub text: Vec<u8>,
    /// Set literals.
    pub sets: Vec<SetLiteral>,
    /// What some of them have besides.
    pub set_rests: Vec<SetRest>,
    /// Static attributes of all set literals: of each in order of `Symbol`, no name twice.
    pub names: Vec<Symbol>,
    /// Parallel to `names`: where the name stands, from the beginning of its attribute path.
    pub name_spans: Spans,
    /// `let` groups.
    pub lets: Vec<LetGroup>,
    /// Bodies; body 0 is the file itself and captures nothing, or one word: the scope set.
    pub bodies: Vec<Body>,
    /// Functions.
    pub lambdas: Vec<Lambda>,
    /// Of the nodes.
    pub groups: Groups,
    /// How many inline caches the file needs.
    pub n_caches: u32,
    /// What the file's author may want to change; in order of position.
    pub warnings: Vec<(Span, String)>,
}

impl File {
    /// A program of nothing.
    pub(crate) fn empty(file: FileId) -> File {
        File {
            file,
            nodes: Vec::new(),
            spans: Spans::default(),
            extra: Vec::new(),
            consts: Vec::new(),
            text: Vec::new(),
            sets: Vec::new(),
            set_rests: Vec::new(),
            names: Vec::new(),
            name_spans: Spans::default(),
            lets: Vec::new(),
            bodies: Vec::new(),
            lambdas: Vec::new(),
            groups: Groups::default(),
            n_caches: 0,
            warnings: Vec::new(),
        }
    }
    /// Forgets the program, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.spans.clear();
        self.extra.clear();
        self.consts.clear();
        self.text.clear();
        self.sets.clear();
        self.set_rests.clear();
        self.names.clear();
        self.name_spans.clear();
        self.lets.clear();
        self.bodies.clear();
        self.lambdas.clear();
        self.groups.clear();
        self.n_caches = 0;
        self.warnings.clear();
    }
    /// The node with this id.
    #[inline]
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.0 as usize]
    }
    /// Where the node stands.
    #[inline]
    pub fn span(&self, id: NodeId) -> Span {
        self.spans.get(id.0 as usize)
    }
    /// The bytes of a literal.
    #[inline]
    pub fn text(&self, text: Text) -> &[u8] {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }
    /// The static attributes of a set literal.
    #[inline]
    pub fn names_of(&self, set: &SetLiteral) -> &[Symbol] {
        &self.names[set.first as usize..(set.first + set.values.len) as usize]
    }
    /// Where the name of a static attribute stands; `index` counts within the literal.
    pub fn name_span(&self, set: &SetLiteral, index: usize) -> Span {
        self.name_spans.get(set.first as usize + index)
    }
    /// What a set literal has besides names and values.
    #[inline]
    pub fn rest_of(&self, set: &SetLiteral) -> Option<&SetRest> {
        if set.rest == u32::MAX { None } else { self.set_rests.get(set.rest as usize) }
    }
    /// The words of a range.
    #[inline]
    pub fn words(&self, range: Range) -> &[u32] {
        &self.extra[range.start as usize..(range.start + range.len) as usize]
    }
}

/// Makes room in an empty list; what it had room for before is not copied.
pub(crate) fn make_room<T>(list: &mut Vec<T>, n: usize) {
    if list.capacity() < n {
        *list = Vec::with_capacity(n);
    }
}

const _: () = assert!(size_of::<Node>() <= 16);
const _: () = assert!(size_of::<SetLiteral>() == 20);
