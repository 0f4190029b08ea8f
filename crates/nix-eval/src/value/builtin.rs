//! What a builtin is: a record with its manual, its examples and its code.

use super::Value;
use crate::{error::Error, machine::Machine};

/// A function or constant written in Rust.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Its name under `builtins`, without leading underscores.
    pub name: &'static str,
    /// Names of its parameters, in order; empty for a constant.
    pub params: &'static [&'static str],
    /// What it does, in Markdown; parameters are in asterisks.
    pub doc: &'static str,
    /// Tests and manual in one.
    pub examples: &'static [Example],
    /// Its code.
    pub run: Run,
}

/// An expression and what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// A Nix expression.
    pub source: &'static str,
    /// Its value as printed by a strict evaluation, or `error: ` and the first line of the report.
    pub shows: &'static str,
}

/// The code of a builtin. Arguments arrive unforced.
#[derive(Clone, Copy)]
pub enum Run {
    /// A constant, computed when first used.
    Constant(fn(&mut Machine) -> Result<Value, Error>),
    /// One argument.
    One(fn(&mut Machine, Value) -> Result<Value, Error>),
    /// Two arguments.
    Two(fn(&mut Machine, Value, Value) -> Result<Value, Error>),
    /// Three arguments.
    Three(fn(&mut Machine, Value, Value, Value) -> Result<Value, Error>),
    /// A Rust closure of the engine or the session.
    Closure {
        /// Its number in the session.
        number: u32,
        /// How many arguments it takes.
        arity: u8,
    },
}

impl Run {
    /// How many arguments it takes; 0 for a constant.
    pub const fn arity(&self) -> usize {
        match self {
            Run::Constant(_) => 0,
            Run::One(_) => 1,
            Run::Two(_) => 2,
            Run::Three(_) => 3,
            Run::Closure { arity, .. } => *arity as usize,
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run({})", self.arity())
    }
}
