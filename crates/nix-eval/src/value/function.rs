//! Functions: lambdas, builtins and partial applications.
//!
//! The first word of a function says which, in its low three bits: an address of code with captures after
//! it, the record of a builtin itself, or a function that is short of arguments.

use std::sync::atomic::Ordering;

use super::{
    FUNCTION, TAG, Value,
    builtin::{Builtin, Run},
    code::LambdaCode,
};
use crate::heap::{Bump, Cells, Heap};

pub(crate) const LAMBDA: u64 = 0;
pub(crate) const BUILTIN: u64 = 1;
pub(crate) const PARTIAL: u64 = 2;
/// The bits that say which function.
pub(crate) const FUNCTION_KIND: u64 = 3;
/// A lambda that was called or otherwise looked at. In C++ Nix a lambda in a list, set or argument is a thunk
/// until then, which printing without evaluation shows; here it is a value at once.
pub(crate) const SEEN: u64 = 4;

/// A function value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function(pub(crate) Cells);

/// Which function.
#[derive(Clone, Copy, Debug)]
pub enum FunctionView {
    /// Written in Nix.
    Lambda(LambdaRef),
    /// Written in Rust.
    Builtin(BuiltinRef),
    /// Short of arguments.
    Partial(PartialRef),
}

/// A function written in Nix.
#[derive(Clone, Copy, Debug)]
pub struct LambdaRef(Cells);

/// A function written in Rust.
#[derive(Clone, Copy, Debug)]
pub struct BuiltinRef(Cells);

/// A function and the arguments it has got so far.
#[derive(Clone, Copy, Debug)]
pub struct PartialRef(Cells);

/// A builtin as an engine holds it: what a builtin value points at.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct BuiltinEntry {
    kind: u64,
    pub(crate) arity: u32,
    pub(crate) builtin: Builtin,
    /// The name of a closure; tables have theirs in the record.
    name: Option<Box<str>>,
}

impl BuiltinEntry {
    pub(crate) fn new(builtin: Builtin) -> BuiltinEntry {
        BuiltinEntry { kind: BUILTIN, arity: builtin.run.arity() as u32, builtin, name: None }
    }
    /// The entry of a closure: its number in the session, its name, how many arguments it takes.
    pub(crate) fn of_closure(number: u32, name: &str, arity: u8) -> BuiltinEntry {
        let run = Run::Closure { number, arity };
        let builtin = Builtin { name: "", params: &[], doc: "", examples: &[], run };
        BuiltinEntry { name: Some(name.into()), ..BuiltinEntry::new(builtin) }
    }
    /// Its name under `builtins`.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.builtin.name)
    }
    /// The builtin as a function value. The entry must outlive the value; engines keep theirs.
    pub(crate) fn value(&self) -> Value {
        debug_assert!(self.kind == BUILTIN);
        Value::tagged(Cells::at(std::ptr::from_ref(self) as usize), FUNCTION)
    }
}

impl Function {
    /// Which function it is.
    #[inline(always)]
    pub fn view(self) -> FunctionView {
        match self.0.atomic(0).load(Ordering::Relaxed) & FUNCTION_KIND {
            LAMBDA => FunctionView::Lambda(LambdaRef(self.0)),
            BUILTIN => FunctionView::Builtin(BuiltinRef(self.0)),
            _ => FunctionView::Partial(PartialRef(self.0)),
        }
    }

    /// Notes that it was looked at, as a thunk of it would note that it was forced.
    pub(crate) fn see(self) {
        if let FunctionView::Lambda(lambda) = self.view() {
            lambda.see();
        }
    }

    /// The function as a value.
    pub fn value(self) -> Value {
        Value::tagged(self.0, FUNCTION)
    }

    /// A new partial application.
    pub(crate) fn partial(bump: &mut Bump, heap: &Heap, function: Value, args: &[Value]) -> Value {
        let cells = bump.any_words(heap, 2 + args.len());
        cells.put(0, PARTIAL | (args.len() as u64) << 3);
        cells.put(1, function.0);
        for (i, arg) in args.iter().enumerate() {
            cells.put(2 + i, arg.0);
        }
        Value::tagged(cells, FUNCTION)
    }
}

impl LambdaRef {
    /// Its code.
    #[inline(always)]
    pub(crate) fn code<'a>(self) -> &'a LambdaCode {
        LambdaCode::at((self.0.atomic(0).load(Ordering::Relaxed) & !TAG) as usize)
    }
    /// Whether it was called, or made where its value was wanted at once.
    pub(crate) fn is_seen(self) -> bool {
        self.0.atomic(0).load(Ordering::Relaxed) & SEEN != 0
    }
    /// Notes that it was looked at. Once set, the bit stays; a lost race loses nothing.
    #[inline(always)]
    pub(crate) fn see(self) {
        let word = self.0.atomic(0).load(Ordering::Relaxed);
        if word & SEEN == 0 {
            self.0.atomic(0).store(word | SEEN, Ordering::Relaxed);
        }
    }
    /// Its captured words.
    #[inline(always)]
    pub(crate) fn captures(self) -> Cells {
        self.0.skip(1)
    }
    /// Its formals, if it takes a set: name and whether it has a default, in order of `Symbol`.
    pub fn formals<'a>(self) -> Option<&'a crate::ir::Formals> {
        match &self.code().lambda().params {
            crate::ir::Params::Simple(_) => None,
            crate::ir::Params::Formals(formals) => Some(formals),
        }
    }
    /// Names of its simple arguments.
    pub fn params<'a>(self) -> &'a crate::ir::Params {
        &self.code().lambda().params
    }
    /// Where it is written.
    pub fn location(self) -> crate::source::Location {
        self.code().location()
    }
    /// The name it is bound to, if the source says so.
    pub fn name(self) -> Option<crate::symbol::Symbol> {
        self.code().name()
    }
}

impl BuiltinRef {
    /// Its engine's entry.
    #[inline(always)]
    pub(crate) fn entry<'a>(self) -> &'a BuiltinEntry {
        // SAFETY: builtin values hold the address of an entry of their engine, which outlives them.
        unsafe { &*(self.0.address() as *const BuiltinEntry) }
    }
    /// Its name under `builtins`.
    pub fn name<'a>(self) -> &'a str {
        self.entry().name()
    }
    /// Its record.
    pub fn builtin<'a>(self) -> &'a Builtin {
        &self.entry().builtin
    }
}

impl PartialRef {
    /// The function, a lambda or builtin.
    #[inline(always)]
    pub fn function(self) -> Value {
        Value(self.0.word(1))
    }
    /// The arguments so far, fewer than the function takes.
    #[inline(always)]
    pub fn args<'a>(self) -> &'a [Value] {
        let words = self.0.skip(2).slice((self.0.word(0) >> 3) as usize);
        // SAFETY: `Value` is a transparent word.
        unsafe { &*(std::ptr::from_ref(words) as *const [Value]) }
    }
}
