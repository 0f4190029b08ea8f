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
#[cfg(test)]
mod tests;
pub mod tree;

pub use error::{SyntaxError, SyntaxErrorKind, SyntaxHelp};
pub use options::{DEFAULT_MAX_DEPTH, Features, Lint, ReadOptions};

use crate::{ir, programs::Programs, resolve, source::FileId, symbol::Symbols};

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
    Reader::default().read(symbols, file, text, options)
}

/// Whether a text is the beginning of a program that only goes on too little, such as `{ a = 1;`: what a prompt
/// asks before it asks for another line. Empty texts are.
pub fn is_unfinished(text: &[u8], features: Features) -> bool {
    let options = ReadOptions { features, ..ReadOptions::bare() };
    let result = Reader::default().parse(&Symbols::default(), text, &options, false);
    result.is_err_and(|e| e.unfinished)
}

/// Parses a text without resolving its names: whether it is well formed.
///
/// # Errors
/// The first mistake, as [`read`] finds it.
pub fn check(text: &[u8], options: &ReadOptions<'_>) -> Result<(), SyntaxError> {
    Reader::default().parse(&Symbols::default(), text, options, false)
}

/// [`read`] with memory that is used again for the next text: worth having where many files are read.
pub struct Reader {
    ast: ast::Ast,
    parser: parser::Scratch,
    resolver: resolve::Scratch,
    /// A piece of a program as it is kept.
    kept: Vec<u8>,
    n_found: u32,
}

/// A source: its number, its text, and where its relative paths begin.
pub(crate) type Place<'a> = (FileId, &'a [u8], &'a [u8]);

/// How many files it takes for names to be remembered from one to the next.
const FILES_OF_MANY: u32 = 64;

impl Default for Reader {
    fn default() -> Reader {
        Reader {
            ast: ast::Ast::new(),
            parser: parser::Scratch::default(),
            resolver: resolve::Scratch::default(),
            kept: Vec::new(),
            n_found: 0,
        }
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// As [`read`].
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(
        &mut self,
        symbols: &Symbols,
        file: FileId,
        text: &[u8],
        options: &ReadOptions<'_>,
    ) -> Result<ir::File, SyntaxError> {
        let program = self.read_here(symbols, file, text, options)?;
        let program = program.clone();
        self.trim();
        Ok(program)
    }

    /// As [`read`], for who copies what it wants to keep: the program is gone with the next text.
    pub(crate) fn read_here(
        &mut self,
        symbols: &Symbols,
        file: FileId,
        text: &[u8],
        options: &ReadOptions<'_>,
    ) -> Result<&mut ir::File, SyntaxError> {
        self.parse(symbols, text, options, false)?;
        resolve::resolve(symbols, file, text, &self.ast, options, &mut self.resolver)
            .map_err(|fail| *fail)?;
        let ast = &mut self.ast;
        let program = self.resolver.program();
        // Constants of the text come first, then those that were made.
        ast.consts.append(&mut program.consts);
        std::mem::swap(&mut ast.consts, &mut program.consts);
        std::mem::swap(&mut ast.text, &mut program.text);
        std::mem::swap(&mut ast.warnings, &mut program.warnings);
        Ok(program)
    }

    /// The program of a text that was read before, in this or another process. Its memory is its own.
    pub(crate) fn find(
        &mut self,
        programs: &Programs,
        symbols: &Symbols,
        (file, text, base_dir): Place<'_>,
    ) -> Option<ir::File> {
        let Reader { ast, kept, n_found, .. } = self;
        let intern = |name: &[u8]| ast.names.foreign(symbols, name);
        let program = programs.find((base_dir, text), file, kept, intern)?;
        *n_found += 1;
        if *n_found == FILES_OF_MANY {
            ast.names.remember();
        }
        Some(program)
    }

    /// Keeps the program of the last [`Reader::read_here`], which succeeded.
    pub(crate) fn keep(
        &mut self,
        programs: &Programs,
        symbols: &Symbols,
        (_, text, base_dir): Place<'_>,
    ) {
        let program = self.resolver.program();
        programs.add((base_dir, text), program, symbols, self.ast.names.in_order());
    }

    /// The program of the last [`Reader::read_here`] that succeeded, if its memory is too large to be used again.
    pub(crate) fn take_large(&mut self) -> Option<ir::File> {
        self.resolver.take_large()
    }

    /// The program of the last [`Reader::read_here`] that succeeded.
    pub(crate) fn program(&mut self) -> &mut ir::File {
        self.resolver.program()
    }

    /// Gives memory back that only large texts need.
    pub(crate) fn trim(&mut self) {
        self.ast.trim();
        self.resolver.trim();
    }

    fn parse(
        &mut self,
        symbols: &Symbols,
        text: &[u8],
        options: &ReadOptions<'_>,
        keep_pieces: bool,
    ) -> Result<(), SyntaxError> {
        parser::parse(symbols, text, options, keep_pieces, &mut self.parser, &mut self.ast)
            .map_err(|fail| *fail)
    }
}
