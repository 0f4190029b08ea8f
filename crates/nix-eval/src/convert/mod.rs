//! Values of the language and values of Rust.
//!
//! Anything that implements serde's traits converts: [`crate::Handle::to`] reads, [`crate::Evaluator::value`]
//! writes. Reading forces what the Rust type names and nothing else; a [`crate::Handle`] inside a struct stays
//! lazy. A string's context is never lost silently: [`ContextPolicy`] says what happens to it, and a
//! [`NixString`] keeps it.
//!
//! | Nix | Rust | rule |
//! |---|---|---|
//! | int, float | integers, floats | exact or an error; never from one to the other unless `lossy_numbers` |
//! | string | `String`, bytes, [`NixString`] | UTF-8 is checked; context by policy |
//! | path | `PathBuf`, `String`, [`crate::host::NixPath`] | never copied to a store |
//! | null, missing | `Option` | |
//! | list | `Vec`, tuples, arrays | |
//! | set | structs, maps | names that the struct lacks are ignored, and not forced |
//! | string, set of one name | enums | as serde tags them |
//! | set with `outPath` or `__toString` | `String` | coerced, context by policy |
//! | anything | [`crate::Handle`] | not forced |

mod carrier;
mod de;
mod error;
mod into_nix;
mod ser;
mod string;

use std::collections::BTreeSet;

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use self::carrier::Exports;
use self::string::element_to_text;
pub use self::{
    into_nix::{IntoNix, Ser},
    string::NixString,
};
use crate::{
    error::Error,
    machine::Machine,
    value::{ContextElement, Value},
};

/// Names under which our own types ask for special treatment.
const HANDLE: &str = "$nix_eval::Handle";
const STRING: &str = "$nix_eval::NixString";
const PATH: &str = "$nix_eval::NixPath";

/// What happens to the context of a string that becomes a Rust string.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum ContextPolicy {
    /// A string that refers to what would have to be built is an error; references to objects that are in
    /// the store already are dropped.
    #[default]
    Reject,
    /// All references are collected; see [`crate::Handle::to_with`].
    Keep,
    /// All references are dropped.
    Drop,
}

/// How values become Rust values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ConvertOptions {
    /// What happens to the context of strings.
    pub context: ContextPolicy,
    /// Whether integers become floats and floats integers where the Rust type asks for that.
    pub lossy_numbers: bool,
    /// Levels of lists and sets inside each other at most: Rust types that nest like the data recurse.
    pub depth: u32,
}

impl Default for ConvertOptions {
    /// Context is not lost, numbers are exact, 128 levels.
    fn default() -> ConvertOptions {
        ConvertOptions { context: ContextPolicy::Reject, lossy_numbers: false, depth: 128 }
    }
}

/// A converted value and what its strings refer to.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Converted<T> {
    /// The value.
    pub value: T,
    /// What strings in it refer to; empty unless the policy is [`ContextPolicy::Keep`].
    pub context: BTreeSet<ContextElement>,
}

/// The Rust value of a value.
///
/// # Errors
/// When forcing fails or the value is not what `T` wants; the error names the place in the value.
pub fn from_value<T: DeserializeOwned>(
    m: &mut Machine,
    v: Value,
    options: ConvertOptions,
) -> Result<Converted<T>, Error> {
    let mut state = de::State::new(options);
    let value = T::deserialize(de::De::new(m, &mut state, v))?;
    Ok(Converted { value, context: state.into_context() })
}

/// The value of a Rust value, finished all through save where a [`crate::Handle`] is in it.
///
/// # Errors
/// When an integer does not fit, a map has keys that are no names, or a string has a NUL.
pub fn to_value<T: Serialize + ?Sized>(m: &mut Machine, value: &T) -> Result<Value, Error> {
    value.serialize(ser::ToValue::new(m))
}
