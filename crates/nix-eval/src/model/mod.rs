//! The protocol of thunks under a model of threads and memory: every order in which two or three machines can claim,
//! settle, wait for and wake each other's thunks is gone through, with what each load may see by the rules of the
//! language's memory model, by the crate loom.
//!
//! What is checked is the code that runs: `value/thunk.rs`, `machine/force.rs`, `evaluator/waits.rs` and
//! `heap/bump.rs` are compiled here once more. They name what they need through the folder above, and here that
//! is below: words, locks and condition variables of loom, and a machine that runs a handful of programs instead of
//! a language. A plain word that one machine writes while another may read it is an error ([`Cells::word`] and
//! [`Cells::put`] are loom's cells). A wait has no end by time here: one that nobody wakes is an error, too.
//!
//! Not the real thing: `run_element` (the words of `machine/mapped.rs`, by hand), the queue of offered work, and
//! memory of 64 words. Of two machines all orders are gone through (with four preemptions at most in one case), of
//! three those with two preemptions at most.
#![allow(unsafe_code, dead_code, unreachable_pub, reason = "a stand-in for parts of the crate")]
#![allow(clippy::duplicate_mod, reason = "the same code over other words is the point")]

mod tests;

#[path = "../heap/bump.rs"]
mod bump;
#[path = "../machine/force.rs"]
mod force;
#[path = "../value/thunk.rs"]
mod thunk;
#[path = "../evaluator/waits.rs"]
mod waits;

use std::{cell::Cell, sync::Arc};

use loom::{
    cell::UnsafeCell,
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{
    bump::Bump,
    profile::Begins,
    stack::Frame,
    thunk::Thunk,
    value::code::{Code, Root},
    waits::Waits,
};
use crate::{
    error::{self, Class, Error},
    limits::CancelToken,
};

/// Words of memory, and of the blocks that a machine takes.
const MEMORY: usize = 64;
const BLOCK: usize = 16 * 8;
const LARGE: usize = BLOCK;

const TAG: u64 = 7;
const THUNK: u64 = 0;
const INT: u64 = 1;
const LIST: u64 = 5;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One word: what is read and written plainly, and what a thunk's state is.
struct Word {
    plain: UnsafeCell<u64>,
    atomic: AtomicU64,
}

thread_local! {
    /// The memory of the order that is gone through. All threads of a model are one thread of the system.
    static ARENA: Cell<*const Word> = const { Cell::new(std::ptr::null()) };
}

/// As [`crate::heap::Cells`]: word 1 has address 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cells(usize);

impl Cells {
    const fn at(address: usize) -> Cells {
        Cells(address)
    }
    const fn address(self) -> usize {
        self.0
    }
    const fn skip(self, n: usize) -> Cells {
        Cells(self.0 + n * 8)
    }
    fn cell<'a>(self, n: usize) -> &'a Word {
        let number = self.0 / 8 + n;
        assert!((1..MEMORY).contains(&number), "word {number}");
        // SAFETY: the memory has so many words, and lives as long as the machines of its order.
        unsafe { &*ARENA.get().add(number) }
    }
    fn word(self, n: usize) -> u64 {
        // SAFETY: loom finds out whether somebody writes.
        self.cell(n).plain.with(|word| unsafe { *word })
    }
    fn put(self, n: usize, word: u64) {
        // SAFETY: loom finds out whether somebody reads or writes.
        self.cell(n).plain.with_mut(|place| unsafe { *place = word });
    }
    fn atomic(&self, n: usize) -> &AtomicU64 {
        // What the thunk was before it was shared has to be there.
        self.word(n);
        &self.cell(n).atomic
    }
    fn values(self, n: usize) -> Vec<Value> {
        (0..n).map(|i| Value(self.word(i))).collect()
    }
}

/// As [`crate::value::Value`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Value(u64);

impl Value {
    const fn int(n: u64) -> Value {
        Value(n << 3 | INT)
    }
    fn is_thunk(self) -> bool {
        self.0 & TAG == THUNK
    }
    fn cells(self) -> Cells {
        Cells((self.0 & !TAG) as usize)
    }
    fn tagged(cells: Cells, tag: u64) -> Value {
        Value(cells.0 as u64 | tag)
    }
    fn as_int(self) -> u64 {
        assert_eq!(self.0 & TAG, INT, "an integer");
        self.0 >> 3
    }
}

mod value {
    pub(super) use super::{
        TAG, Value,
        thunk::{Claim, State, Thunk},
    };

    pub(super) mod code {
        use crate::source::Location;

        /// What a body does.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(in super::super) enum Root {
            /// The sum of two captured integers.
            Add,
            /// A list of two captured values, the first forced.
            Pair,
            /// The sum of the two in a captured list.
            AddPair,
            /// The sum, which a helper may not give.
            AddAloud,
            /// Fails.
            Throw,
        }

        pub(in super::super) struct Captures {
            pub(in super::super) len: u32,
        }

        pub(in super::super) struct Unit;

        impl Unit {
            pub(in super::super) fn location(&self, _: Root) -> Location {
                Location { file: crate::source::FileId(0), span: crate::source::Span::default() }
            }
        }

        pub(in super::super) struct Code {
            pub(in super::super) root: Root,
            pub(in super::super) n_locals: u32,
            pub(in super::super) captures: Captures,
        }

        const fn code(root: Root) -> Code {
            Code { root, n_locals: 0, captures: Captures { len: 2 } }
        }

        static CODES: [Code; 5] = [
            code(Root::Add),
            code(Root::Pair),
            code(Root::AddPair),
            code(Root::AddAloud),
            code(Root::Throw),
        ];

        impl Code {
            pub(in super::super) fn at(address: usize) -> &'static Code {
                &CODES[address / 8 - 1]
            }
            pub(in super::super) fn address(root: Root) -> usize {
                let number = CODES.iter().position(|code| code.root == root);
                (number.expect("is listed") + 1) * 8
            }
            pub(in super::super) fn unit(&self) -> &'static Unit {
                &Unit
            }
        }
    }
}

mod evaluator {
    pub(super) use super::waits::Waited;
}

mod profile {
    pub(super) enum Begins {
        Thunk(super::Value),
    }
}

mod stack {
    use super::{Cells, value::code::Unit};

    pub(super) struct Frame {
        pub(super) captures: Cells,
    }

    impl Frame {
        pub(super) fn new(_: &Unit, (): (), captures: Cells) -> Frame {
            Frame { captures }
        }
    }

    #[derive(Default)]
    pub(super) struct ValueStack {
        pub(super) top: usize,
    }

    impl ValueStack {
        pub(super) fn push(&mut self, n: usize) -> Result<(), crate::error::Error> {
            self.top += n;
            Ok(())
        }
    }
}

/// Where machines take their blocks.
#[derive(Default)]
struct Heap {
    next: std::sync::atomic::AtomicUsize,
}

impl Heap {
    fn take(&self, bytes: usize) -> usize {
        let address = 8 + self.next.fetch_add(bytes, Ordering::Relaxed);
        assert!(address + bytes <= MEMORY * 8, "more memory is needed");
        address
    }
}

/// What the machines of a request have in common.
#[derive(Default)]
struct Shared {
    heap: Heap,
    pool: Waits,
    failures: std::sync::Mutex<Vec<Error>>,
    /// How often a body ran to its end.
    n_runs: std::sync::atomic::AtomicU32,
}

impl Shared {
    fn remember(&self, e: &Error) -> u32 {
        let mut failures = self.failures.lock().expect("nobody panics");
        failures.push(e.clone());
        failures.len() as u32 - 1
    }
    fn failure(&self, number: u32) -> Error {
        self.failures.lock().expect("nobody panics")[number as usize].clone()
    }
    fn unusable(&self) -> Option<Error> {
        None
    }
}

#[derive(Default)]
struct Stats {
    thunks_forced: u64,
}

/// A machine that knows the programs of [`Root`].
pub(crate) struct Machine {
    shared: Arc<Shared>,
    bump: Bump,
    stack: stack::ValueStack,
    stats: Stats,
    worker: u32,
    alone: bool,
    spoiled: Cell<bool>,
    token: CancelToken,
}

impl Machine {
    fn new(shared: Arc<Shared>, worker: u32) -> Machine {
        let token = shared.pool.token(worker);
        Machine {
            shared,
            bump: Bump::default(),
            stack: stack::ValueStack::default(),
            stats: Stats::default(),
            worker,
            alone: false,
            spoiled: Cell::new(false),
            token,
        }
    }

    fn near_end(&self) -> bool {
        false
    }
    fn on_new_segment<T>(&mut self, run: impl FnOnce(&mut Machine) -> T) -> T {
        run(self)
    }
    fn is_ahead(&self) -> bool {
        self.worker != 0
    }
    fn poll_in(&mut self, begins: impl FnOnce() -> Begins) -> Result<(), Error> {
        let Begins::Thunk(_) = begins();
        self.poll_now()
    }
    fn poll_now(&mut self) -> Result<(), Error> {
        if self.is_ahead() && self.token.is_cancelled() { Err(error::cancelled()) } else { Ok(()) }
    }

    /// A new thunk, in words that were given back if there are some.
    fn thunk(&mut self, word: u64, rest: &[Value]) -> Value {
        let cells = self.bump.any_words(&self.shared.heap, 1 + rest.len());
        self.thunk_at(cells, word, rest)
    }
    fn thunk_at(&mut self, cells: Cells, word: u64, rest: &[Value]) -> Value {
        cells.put(0, word);
        cells.atomic(0).store(word, Ordering::Relaxed);
        for (i, v) in rest.iter().enumerate() {
            cells.put(1 + i, v.0);
        }
        Thunk(cells).value()
    }
    fn suspend(&mut self, root: Root, captures: [Value; 2]) -> Value {
        self.thunk(Thunk::code_word(Code::address(root)), &captures)
    }

    fn ran(&self) {
        self.shared.n_runs.fetch_add(1, Ordering::Relaxed);
    }

    fn eval(&mut self, frame: Frame, root: Root) -> Result<Value, Error> {
        let captures = frame.captures;
        let result = match root {
            Root::Add | Root::AddAloud => {
                let a = self.force(Value(captures.word(0)))?.as_int();
                let b = self.force(Value(captures.word(1)))?.as_int();
                if root == Root::AddAloud && self.is_ahead() {
                    self.spoiled.set(true);
                }
                Value::int(a + b)
            }
            Root::Pair => {
                let a = self.force(Value(captures.word(0)))?;
                let cells = self.bump.any_words(&self.shared.heap, 2);
                cells.put(0, a.0);
                cells.put(1, captures.word(1));
                Value::tagged(cells, LIST)
            }
            Root::AddPair => {
                let list = self.force(Value(captures.word(0)))?.cells();
                let a = self.force(Value(list.word(0)))?.as_int();
                let b = self.force(Value(list.word(1)))?.as_int();
                Value::int(a + b + captures.word(1) / 8)
            }
            Root::Throw => return Err(Error::new(Class::Throw, "no")),
        };
        self.ran();
        Ok(result)
    }

    /// Calls are sums of a number, which stands for the function, and the argument.
    fn call(&mut self, f: Value, args: Vec<Value>) -> Result<Value, Error> {
        let argument = self.force(args[0])?.as_int();
        self.ran();
        Ok(Value::int(f.as_int() + argument))
    }

    /// As in `machine/mapped.rs`, over a list of numbers: words 0 and 1 of the block are the function and the list.
    fn run_element(&mut self, thunk: Thunk, index: usize) -> Result<Value, Error> {
        let block = Cells::at(thunk.address() - (2 + index) * 8);
        let (f, source) = (Value(block.word(0)), Value(block.word(1)));
        let element = Value(source.cells().word(index));
        self.call(f, vec![element])
    }
}
