//! Store objects: add, query, build, substitute; the sandbox.
//!
//! | module | what |
//! |---|---|
//! | [`store`] | the trait [`store::Store`] and the facts about an object |
//! | [`local`] | a store in directories of this machine, shared with C++ Nix |
//! | [`add`] | file trees and texts become objects |
//! | [`codec`] | compressed streams |
//! | [`closure`] | what some roots need, in order, with sizes |
//! | [`builtins`] | builtins that need a store |
//! | [`build`] | one derivation: sandbox, environment, outputs |
//! | [`fetch`] | files, archives and repositories from elsewhere become objects |
//! | [`http`] | the contents of URLs |
//! | [`host`] | the evaluator's host with a store |
//! | [`host_tools`] | the machine's own tools, as facts for nixlib |
//! | [`unpack`] | archives |
//! | [`realise`] | what has to be built, and building it |
//! | [`sys`] | file trees that others may change while we look |
//! | [`error`] | why an operation failed |

pub mod add;
pub mod build;
pub mod builtins;
pub mod closure;
pub mod codec;
pub mod deferred;
pub mod error;
pub mod fetch;
pub mod host;
pub mod host_tools;
pub mod http;
pub mod local;
pub mod nixlib;
pub mod realise;
pub mod store;
pub mod sys;
mod texts;
pub mod unpack;

pub use builtins::BUILTINS;
pub use closure::Closure;
pub use error::StoreError;
pub use local::{LocalStore, StoreConfig};
pub use store::{PathInfo, Store};

/// The blocks of the page on embedding are programs that compile and hold.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
pub mod embedding {}
