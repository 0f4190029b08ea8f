//! The value: one word.
//!
//! The low three bits say what the rest is: an integer of 61 bits, a small constant, or the address of an
//! object in the evaluator's heap. A word with tag 0 is the address of a thunk, so *finished* is one test
//! of the low bits, and a finished thunk's state word is the value itself.
//!
//! # Trap
//! A value is an address without an owner. It must not outlive its evaluator, nor meet values of another
//! one. Embedders hold a [`crate::Handle`] instead, which keeps the heap alive.
#![allow(unsafe_code, reason = "values are addresses in the evaluator's heap")]

mod attrs;
mod builtin;
pub(crate) mod code;
mod context;
mod function;
mod list;
pub(crate) mod number;
mod path;
pub mod print;
mod string;
mod thunk;

pub use self::{
    attrs::{Attrs, AttrsBuilder, AttrsIter, Shape},
    builtin::{Builtin, Example, Run},
    context::{ContextBuilder, ContextElement, ContextId, Contexts},
    function::{BuiltinRef, Function, FunctionView, LambdaRef, PartialRef},
    list::List,
    path::{AccessorId, PathRef, canonicalise},
    string::Str,
    thunk::Thunk,
};
pub(crate) use self::{
    attrs::{NO_POSITION, Plans, Shapes},
    function::{BuiltinEntry, FUNCTION_KIND, LAMBDA, SEEN},
    list::SHORT as SHORT_LIST,
    string::MAX_LENGTH as MAX_STRING,
    thunk::{Claim, State},
};
use crate::heap::Cells;

/// A value or a thunk of one, in one word.
///
/// Equality of words is identity of slots: equal words are the same value, unequal words may still be
/// equal in the sense of `==`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Value(pub(crate) u64);

pub(crate) const TAG: u64 = 7;
pub(crate) const THUNK: u64 = 0;
pub(crate) const INT: u64 = 1;
pub(crate) const CONST: u64 = 2;
pub(crate) const STRING: u64 = 3;
pub(crate) const ATTRS: u64 = 4;
pub(crate) const LIST: u64 = 5;
pub(crate) const FUNCTION: u64 = 6;
pub(crate) const BOXED: u64 = 7;

/// Kinds of boxed objects: the low bits of their first word.
pub(crate) const BOX_INT: u64 = 0;
pub(crate) const BOX_FLOAT: u64 = 1;
pub(crate) const BOX_PATH: u64 = 2;
pub(crate) const BOX_EXTERNAL: u64 = 3;

impl Value {
    /// No value: an empty cell. Never handed to code that evaluates.
    pub(crate) const HOLE: Value = Value(0);
    /// `null`.
    pub const NULL: Value = Value(CONST);
    /// `false`.
    pub const FALSE: Value = Value(CONST | 1 << 3);
    /// `true`.
    pub const TRUE: Value = Value(CONST | 2 << 3);
    /// `[ ]`.
    pub const EMPTY_LIST: Value = Value(LIST);

    /// `true` or `false`.
    #[inline(always)]
    pub const fn bool(b: bool) -> Value {
        Value(CONST | (1 << 3) << b as u32)
    }

    /// The integer, if it fits into 61 bits.
    #[inline(always)]
    pub const fn small_int(n: i64) -> Option<Value> {
        if (n << 3) >> 3 == n { Some(Value((n << 3) as u64 | INT)) } else { None }
    }

    #[inline(always)]
    pub(crate) const fn tag(self) -> u64 {
        self.0 & TAG
    }

    #[inline(always)]
    pub(crate) const fn cells(self) -> Cells {
        Cells::at((self.0 & !TAG) as usize)
    }

    #[inline(always)]
    pub(crate) const fn tagged(cells: Cells, tag: u64) -> Value {
        Value(cells.address() as u64 | tag)
    }

    /// Whether this is the address of a thunk, finished or not.
    #[inline(always)]
    pub const fn is_thunk(self) -> bool {
        self.tag() == THUNK
    }

    /// Follows finished thunks: a value in weak head normal form, or a thunk that is not finished.
    #[inline(always)]
    pub fn peek(self) -> Value {
        let mut v = self;
        while v.is_thunk() {
            let state = Value(Thunk(v.cells()).state_word());
            if state.is_thunk() {
                return v;
            }
            v = state;
        }
        v
    }

    /// Whether this word is a lambda that C++ Nix would still have as a thunk: nothing has called it or asked
    /// for its value. What came out of a thunk was asked for.
    pub(crate) fn is_unseen_lambda(self) -> bool {
        self.tag() == FUNCTION
            && matches!(Function(self.cells()).view(), FunctionView::Lambda(l) if !l.is_seen())
    }

    /// The value if it is a small integer.
    #[inline(always)]
    pub(crate) const fn as_small_int(self) -> Option<i64> {
        if self.tag() == INT { Some(self.0 as i64 >> 3) } else { None }
    }

    /// What the word holds. A finished thunk shows as its value.
    #[inline]
    pub fn view(self) -> View {
        let v = self.peek();
        match v.tag() {
            INT => View::Int(v.0 as i64 >> 3),
            CONST => match v {
                Value::NULL => View::Null,
                _ => View::Bool(v == Value::TRUE),
            },
            STRING => View::String(Str(v.cells())),
            ATTRS => View::Attrs(Attrs(v.cells())),
            LIST => View::List(List(v.cells())),
            FUNCTION => View::Function(Function(v.cells())),
            BOXED => {
                let cells = v.cells();
                match cells.word(0) & TAG {
                    BOX_INT => View::Int(cells.word(1) as i64),
                    BOX_FLOAT => View::Float(f64::from_bits(cells.word(1))),
                    BOX_PATH => View::Path(PathRef(cells)),
                    _ => View::External(cells.word(1) as u32),
                }
            }
            _ => View::Thunk(Thunk(v.cells())),
        }
    }

    /// The attribute set, if it is one (finished).
    #[inline(always)]
    pub fn as_attrs(self) -> Option<Attrs> {
        let v = self.peek();
        if v.tag() == ATTRS { Some(Attrs(v.cells())) } else { None }
    }

    /// The list, if it is one (finished).
    #[inline(always)]
    pub fn as_list(self) -> Option<List> {
        let v = self.peek();
        if v.tag() == LIST { Some(List(v.cells())) } else { None }
    }

    /// The string, if it is one (finished).
    #[inline(always)]
    pub fn as_string(self) -> Option<Str> {
        let v = self.peek();
        if v.tag() == STRING { Some(Str(v.cells())) } else { None }
    }

    /// The function, if it is one (finished; functors are sets).
    #[inline(always)]
    pub fn as_function(self) -> Option<Function> {
        let v = self.peek();
        if v.tag() == FUNCTION { Some(Function(v.cells())) } else { None }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the contents: those may be cyclic, and a word may outlive what it points at in a test.
        write!(f, "Value({:#x})", self.0)
    }
}

/// What a [`Value`] holds.
#[derive(Clone, Copy, Debug)]
pub enum View {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// A string with its context.
    String(Str),
    /// A path.
    Path(PathRef),
    /// A list.
    List(List),
    /// An attribute set.
    Attrs(Attrs),
    /// A lambda, a builtin or a partial application.
    Function(Function),
    /// A value of the embedder, by number.
    External(u32),
    /// Not in weak head normal form: suspended, running or failed.
    Thunk(Thunk),
}

impl View {
    /// What `typeOf` says; `"thunk"` for a thunk.
    pub fn type_name(&self) -> &'static str {
        match self {
            View::Int(_) => "int",
            View::Float(_) => "float",
            View::Bool(_) => "bool",
            View::Null => "null",
            View::String(_) => "string",
            View::Path(_) => "path",
            View::List(_) => "list",
            View::Attrs(_) => "set",
            View::Function(_) => "lambda",
            View::External(_) => "external",
            View::Thunk(_) => "thunk",
        }
    }

    /// The kind of value with its article, for messages: `an integer`, `a set`, …
    pub fn with_article(&self) -> &'static str {
        match self {
            View::Int(_) => "an integer",
            View::Float(_) => "a float",
            View::Bool(_) => "a Boolean",
            View::Null => "null",
            View::String(_) => "a string",
            View::Path(_) => "a path",
            View::List(_) => "a list",
            View::Attrs(_) => "a set",
            View::Function(f) => match f.view() {
                FunctionView::Lambda(_) => "a function",
                FunctionView::Builtin(_) => "a built-in function",
                FunctionView::Partial(_) => "a partially applied function",
            },
            View::External(_) => "an external value",
            View::Thunk(_) => "a thunk",
        }
    }
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Value>();
    assert!(size_of::<Value>() == 8);
    assert!(size_of::<Option<Value>>() == 16);
};
