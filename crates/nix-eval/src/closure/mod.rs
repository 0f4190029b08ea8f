//! Builtins that are Rust closures.
//!
//! A closure sees Rust values: its arguments are converted, which forces them, save for a
//! [`Handle`], which stays lazy; see [`crate::convert`]. It may call back into the language through handles.
//!
//! # Traps
//! * A session runs one request at a time, and the request that called the closure is still running: a closure
//!   must not wait for another thread that uses the same session.
//! * A closure given to a session must not own a handle of that session, or neither is ever dropped.

mod arity;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub use self::arity::{Function, FunctionCx};
use crate::{
    convert,
    error::{self, Class, Error},
    handle::Handle,
    host::Input,
    limits::CancelToken,
    machine::Machine,
    value::Value,
};

/// A closure as code of a builtin.
pub(crate) type Code =
    Box<dyn Fn(&mut CallCx<'_>, &[Value]) -> Result<Value, Error> + Send + Sync + 'static>;

/// A closure with its name and the number of its arguments.
pub(crate) struct Closure {
    pub(crate) name: Box<str>,
    pub(crate) arity: u8,
    pub(crate) code: Code,
}

impl Closure {
    pub(crate) fn new<M, F: Function<M>>(name: &str, f: F) -> Closure {
        let (arity, code) = f.into_code();
        Closure { name: name.into(), arity, code }
    }

    pub(crate) fn new_cx<M, F: FunctionCx<M>>(name: &str, f: F) -> Closure {
        let (arity, code) = f.into_code();
        Closure { name: name.into(), arity, code }
    }
}

impl std::fmt::Debug for Closure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Closure({}, {})", self.name, self.arity)
    }
}

/// The call that a closure is running in.
pub struct CallCx<'m> {
    machine: &'m mut Machine,
    name: &'m str,
}

impl CallCx<'_> {
    /// The name of the builtin.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Counts a step and looks at limits and cancellation: to be called in every loop.
    ///
    /// # Errors
    /// When a limit was passed or somebody asked to stop.
    pub fn poll(&mut self) -> Result<(), Error> {
        self.machine.poll_now()
    }

    /// The token of the session, for work that another thread or library does.
    pub fn cancel_token(&self) -> CancelToken {
        self.machine.meter.cancel.clone()
    }

    /// Notes what the result depends on, for hosts that record.
    pub fn input(&mut self, input: Input) {
        self.machine.host().note_input(input);
    }

    /// A failure that `builtins.tryEval` catches.
    pub fn throw(&self, message: impl Into<String>) -> Error {
        error::thrown(message)
    }

    /// A failure that keeps the error which caused it.
    pub fn error(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::from_outside(error)
    }

    /// A handle of a Rust value.
    ///
    /// # Errors
    /// As [`convert::to_value`].
    pub fn value<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<Handle, Error> {
        let v = convert::to_value(self.machine, value)?;
        Ok(Handle::new(self.machine.shared.clone(), v))
    }

    /// The machine, for code that works with [`Value`]s.
    pub fn machine(&mut self) -> &mut Machine {
        self.machine
    }
}

impl std::fmt::Debug for CallCx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallCx").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Machine {
    /// Runs the closure with this number. What it does through handles counts as part of this request, and a
    /// panic in it ends this session, not the program.
    #[cold]
    #[inline(never)]
    pub(crate) fn run_closure(&mut self, number: u32, args: &[Value]) -> Result<Value, Error> {
        if self.is_tight() {
            return self.on_new_segment(|m| m.run_closure(number, args));
        }
        self.must_lead()?;
        let closure = self.shared.closure(number);
        // At once: a program that goes through closures in every step would never come to a look otherwise.
        self.poll_now()?;
        self.enter_call()?;
        let shared = self.shared.clone();
        let outer = shared.suspend(self.progress());
        self.lend_profile();
        let mut cx = CallCx { machine: self, name: &closure.name };
        let result = catch_unwind(AssertUnwindSafe(|| (closure.code)(&mut cx, args)));
        self.take_profile_back();
        self.go_on(shared.resume(outer));
        self.depth -= 1;
        match result {
            Ok(result) => result,
            Err(panic) => {
                let text = panic_text(&*panic);
                shared.poison(format!("the builtin '{}' panicked", closure.name));
                Err(Error::new(
                    Class::Internal,
                    format!("the builtin '{}' panicked: {text}", closure.name),
                )
                .note("this is a mistake of the program that provides the builtin; the session cannot be used any more"))
            }
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "…".to_owned())
}
