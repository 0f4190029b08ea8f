//! The Nix language: bytes become values.
#![allow(missing_docs, reason = "being written")]

pub mod ir;
pub mod resolve;
pub mod regex;
pub mod source;
pub mod symbol;
pub mod syntax;
