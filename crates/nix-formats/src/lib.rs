//! Byte-exact formats of Nix, and the names computed from them.
//!
//! | module | what |
//! |---|---|
//! | [`base32`], [`hash`] | digests and their spellings |
//! | [`store_path`] | store paths, the store directory, and computing paths from contents |
//! | [`content_address`], [`deriving_path`], [`placeholder`] | other names of objects |
//! | [`derivation`], on [`aterm`] | derivations, their text, output paths and hashes modulo inputs |
//! | [`nar`] | archives of file trees: writing, reading |
//! | [`references`] | which objects a stream mentions; rewriting; hashes modulo self-references |
//! | [`narinfo`] | what binary caches say about objects; keys and signatures |
//! | [`export`], on [`wire`] | objects in a row, and registration texts |
//!
//! Nothing here opens a file, asks the time or reads the environment; streams are arguments.
//! Every length that comes from outside has a cap, memory grows with what really came, and no
//! input can overflow the stack. Each format has its own error type beside its parser.

pub mod aterm;
pub mod base32;
pub mod content_address;
pub mod derivation;
pub mod deriving_path;
pub mod export;
pub mod hash;
pub mod nar;
pub mod narinfo;
pub mod placeholder;
pub mod references;
mod store_dir;
pub mod store_path;
pub mod wire;
