//! Byte-exact formats of Nix, and the names computed from them.
//!
//! | module | what |
//! |---|---|
//! | [`base32`], [`hash`] | digests and their spellings |
//! | [`store_path`] | store paths, the store directory, and computing paths from contents |
//! | [`derivation`] | derivations, their text, output paths and hashes |
//! | [`content_address`], [`deriving_path`], [`placeholder`] | other names of objects |
//! | [`nar`] | archives of file trees: writing, reading |
//! | [`wire`] | numbers and padded strings |
//! | [`references`] | which objects a stream mentions |
//!
//! Nothing here opens a file, asks the time or reads the environment; streams are arguments.
//! Every length that comes from outside has a cap, and no input can overflow the stack.

pub mod aterm;
pub mod base32;
pub mod content_address;
pub mod derivation;
pub mod deriving_path;
pub mod hash;
pub mod nar;
pub mod placeholder;
pub mod references;
mod store_dir;
pub mod store_path;
pub mod wire;
