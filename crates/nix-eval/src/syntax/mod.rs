//! The one door to the front end: bytes become a resolved program, or an error that says where and why.
//!
//! [`read`] is the hot path: a byte lexer and an operator-precedence parser fill a flat arena, then
//! [`crate::resolve`] turns it into the machine's form. The verdict about a text is always its verdict;
//! what lies in [`tree`] only explains and prints.

mod error;
mod options;

pub use error::{SyntaxError, SyntaxErrorKind};
pub use options::{DEFAULT_MAX_DEPTH, Features, Lint, ReadOptions};

use crate::{ir, source::FileId, symbol::Symbols};

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
    let _ = (symbols, file, text, options);
    Err(SyntaxError::new(
        SyntaxErrorKind::Syntax,
        Default::default(),
        "the reader is being written",
    ))
}
