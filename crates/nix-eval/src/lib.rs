//! The Nix language: bytes become values.
//!
//! | module | what |
//! |---|---|
//! | [`Engine`], [`Evaluator`], [`Handle`] | what an embedder sees |
//! | [`convert`], [`closure`] | Rust values and Rust functions in the language |
//! | [`host`] | the outside world, as far as an evaluation may see it |
//! | [`error`], [`limits`], [`source`], [`symbol`] | ground that all stand on |
//! | [`syntax`], [`ir`], [`resolve`] | from bytes to a resolved program |
//! | [`machine`], [`value`], [`heap`] | running it |
//! | [`builtins`], [`regex`] | what programs can call |
//! | [`answers`], [`ProgramCache`] | what is kept on disk |
//! | [`packages`] | the derivations that a value holds |
//! | [`profile`] | where the time went |
//!
//! Values live in the heap of an evaluator; everything of this crate is `Send + Sync`.

pub mod answers;
pub mod builtins;
pub mod closure;
pub mod convert;
mod engine;
pub mod error;
mod evaluator;
mod handle;
pub mod heap;
pub mod host;
pub mod ir;
mod kept;
pub mod limits;
pub mod machine;
#[cfg(test)]
mod model;
mod nix_tree;
pub mod packages;
pub mod profile;
mod programs;
pub mod regex;
pub mod resolve;
pub mod source;
pub mod stats;
pub mod symbol;
pub mod syntax;
pub mod value;

pub use self::{
    closure::CallCx,
    convert::{ContextPolicy, ConvertOptions, IntoNix, NixString, Ser},
    engine::{Engine, EngineBuilder, EngineOptions, SearchPathEntry, Tree},
    error::{Error, ErrorKind, Report},
    evaluator::Evaluator,
    handle::{Handle, Kind, Show},
    limits::{CancelToken, Limits},
    profile::Profile,
    programs::ProgramCache,
};

/// The value of one expression, without an outside world and with the limits for programs from strangers.
///
/// # Errors
/// When the text is no program, its evaluation fails, or its value is not what `T` wants.
///
/// ```
/// assert_eq!(nix_eval::eval::<i64>("let f = x: x * 2; in f 21")?, 42);
/// # Ok::<(), nix_eval::Error>(())
/// ```
pub fn eval<T: serde::de::DeserializeOwned>(source: &str) -> Result<T, Error> {
    Engine::untrusted().build()?.evaluator().eval(source, "string", b"/")?.to()
}
