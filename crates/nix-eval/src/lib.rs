//! The Nix language: bytes become values.
//!
//! | module | what |
//! |---|---|
//! | [`Engine`], [`Evaluator`], [`Handle`] | what an embedder sees |
//! | [`host`] | the outside world, as far as an evaluation may see it |
//! | [`error`], [`limits`], [`source`], [`symbol`] | ground that all stand on |
//! | [`syntax`], [`ir`], [`resolve`] | from bytes to a resolved program |
//! | [`machine`], [`value`], [`heap`] | running it |
//! | [`builtins`], [`regex`] | what programs can call |
//! | [`packages`] | the derivations that a value holds |
//!
//! Values live in the heap of an evaluator; everything of this crate is `Send + Sync`.

pub mod builtins;
mod engine;
pub mod error;
mod evaluator;
mod handle;
pub mod heap;
pub mod host;
pub mod ir;
pub mod limits;
pub mod machine;
mod nix_tree;
pub mod packages;
pub mod regex;
pub mod resolve;
pub mod source;
pub mod stats;
pub mod symbol;
pub mod syntax;
pub mod value;

pub use self::{
    engine::{Engine, EngineOptions, SearchPathEntry, Tree},
    error::{Error, ErrorKind, Report},
    evaluator::Evaluator,
    handle::{Handle, Kind, Show},
    limits::{CancelToken, Limits},
};
