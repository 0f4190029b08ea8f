//! The one door to the front end: bytes become a resolved program, or an error that says where and why.
//!
//! [`read`] is the hot path: a byte lexer and an operator-precedence parser fill a flat arena, then
//! [`crate::resolve`] turns it into the machine's form. The verdict about a text is always its verdict;
//! what lies in [`tree`] only explains and prints.

pub(crate) mod ast;
pub(crate) mod depth;
mod error;
mod lexer;
pub(crate) mod names;
mod options;
mod parser;
pub mod tree;

pub use error::{SyntaxError, SyntaxErrorKind};
pub use options::{DEFAULT_MAX_DEPTH, Features, Lint, ReadOptions};

use crate::{ir, resolve, source::FileId, symbol::Symbols};

/// Parses and resolves a text.
///
/// # Errors
/// The first mistake in the order in which they are found: lexical and syntactic ones, duplicate names, then
/// unbound names; besides, a nesting deeper than `max_depth` and `poll` asking to stop.
pub fn read(
    symbols: &Symbols,
    file: FileId,
    text: &[u8],
    options: &ReadOptions<'_>,
) -> Result<ir::File, SyntaxError> {
    let mut ast = parser::parse(symbols, text, options, false).map_err(|fail| *fail)?;
    let mut program = resolve::resolve(symbols, file, text, &ast, options).map_err(|fail| *fail)?;
    ast.consts.append(&mut program.consts);
    program.consts = ast.consts;
    program.warnings = ast.warnings;
    Ok(program)
}
