//! Strings of both kinds, and paths with interpolations.

use std::borrow::Cow;

use super::{Fail, Kind, Parser};
use crate::{
    ir::Const,
    source::Span,
    syntax::{
        Lint, SyntaxError, SyntaxErrorKind,
        ast::{Expr, Id, Part},
        lexer::{Plain, leading_spaces, run_of},
    },
};

/// A piece of an indented string.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    /// Text whose lines may have indentation.
    Text(u32, u32),
    /// What an escape stands for; it ends the indentation of its line.
    Escape(&'static [u8]),
    /// The same, one byte.
    Byte(u8),
    Expr(Id),
}

impl<'a> Parser<'a> {
    /// `"…"` as an expression.
    pub(super) fn string(&mut self) -> Result<Id, Fail> {
        let start = self.token.start;
        let base = self.scratch.words.len();
        let text_base = self.scratch.text.len();
        let plain = self.string_parts(start)?;
        let span = self.since(start);
        if self.scratch.words.len() == base {
            let text = plain.unwrap_or(&self.scratch.text[text_base..]);
            let id = self.ast.add_string(text, span);
            self.scratch.text.truncate(text_base);
            return Ok(id);
        }
        self.push_rest(plain, text_base);
        let parts = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        Ok(self.ast.add(Expr::Interpolate(parts), span))
    }

    /// `"…"` as a step of an attribute path.
    pub(super) fn quoted_part(&mut self) -> Result<Part, Fail> {
        let start = self.token.start;
        let base = self.scratch.words.len();
        let text_base = self.scratch.text.len();
        let plain = self.string_parts(start)?;
        if self.scratch.words.len() == base {
            let names = &mut self.ast.names;
            let name = match plain {
                Some(_) => names.intern_at(self.symbols, self.text, start + 1, self.last_end - 1),
                None => {
                    names.intern_bytes(self.symbols, self.text, &self.scratch.text[text_base..])
                }
            };
            self.scratch.text.truncate(text_base);
            return Ok(Part::Name(name));
        }
        let span = self.since(start);
        self.push_rest(plain, text_base);
        let parts = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        Ok(Part::Dynamic(self.ast.add(Expr::Interpolate(parts), span)))
    }

    /// Pushes the text after the last interpolation of a string that just ended.
    fn push_rest(&mut self, plain: Option<&[u8]>, text_base: usize) {
        if let Some(plain) = plain {
            self.scratch.text.extend_from_slice(plain);
        }
        self.push_text(text_base, self.last_end - 1);
    }

    /// Pushes the scratch text from `base` on as a part, unless it is empty. `end` is where it ends.
    fn push_text(&mut self, base: usize, end: u32) {
        let text = &self.scratch.text[base..];
        if !text.is_empty() {
            let start = end.saturating_sub(text.len() as u32);
            let id = self.ast.add_string(text, Span { start, end });
            self.scratch.words.push(id.0);
            self.scratch.text.truncate(base);
        }
    }

    /// Reads a string up to its closing quote and the token after. Pushes the parts up to the last
    /// interpolation. The text after it is returned if it stands in the source as it is, else left in the
    /// scratch.
    fn string_parts(&mut self, start: u32) -> Result<Option<&'a [u8]>, Fail> {
        let mut at = start as usize + 1;
        let base = self.scratch.text.len();
        loop {
            let begin = at;
            let rest = &self.text[at..];
            at += run_of::<Plain>(rest);
            let text: &'a [u8] = self.text;
            let plain = &text[begin..at];
            if self.scratch.text.len() == base && self.lexer.byte(at) == b'"' {
                self.advance_to(at as u32 + 1)?;
                return Ok(Some(plain));
            }
            let out = &mut self.scratch.text;
            out.extend_from_slice(plain);
            match self.lexer.byte(at) {
                b'"' => {
                    self.advance_to(at as u32 + 1)?;
                    return Ok(None);
                }
                b'\\' => {
                    at += 1;
                    if at >= self.text.len() {
                        return Err(self.unclosed_string(start, "\""));
                    }
                    let byte = self.escape(at)?;
                    self.scratch.text.push(byte);
                    at += 1;
                }
                b'$' => match self.lexer.byte(at + 1) {
                    b'{' => {
                        self.push_text(base, at as u32);
                        at = self.interpolation(at)?;
                    }
                    // The second dollar cannot begin an interpolation.
                    b'$' => {
                        out.extend_from_slice(b"$$");
                        at += 2;
                    }
                    _ => {
                        out.push(b'$');
                        at += 1;
                    }
                },
                b'\r' => {
                    out.push(b'\n');
                    at += 1;
                    if self.lexer.byte(at) == b'\n' {
                        at += 1;
                    }
                }
                _ => return Err(self.nul_or_end(start, at, "\"")),
            }
        }
    }

    /// What the byte after a backslash stands for.
    fn escape(&self, at: usize) -> Result<u8, Fail> {
        match self.text[at] {
            b'n' => Ok(b'\n'),
            b'r' => Ok(b'\r'),
            b't' => Ok(b'\t'),
            0 => Err(self.nul(at)),
            other => Ok(other),
        }
    }

    /// `${ e }` at `at`: pushes the expression, returns the place after the brace.
    fn interpolation(&mut self, at: usize) -> Result<usize, Fail> {
        let open = Span { start: at as u32, end: at as u32 + 2 };
        self.advance_to(at as u32 + 2)?;
        let id = self.expr()?;
        if self.token.kind != Kind::CloseBrace {
            return Err(self.unclosed_interpolation(open));
        }
        self.scratch.words.push(id.0);
        Ok(self.token.end as usize)
    }

    /// `''…''`
    pub(super) fn indented_string(&mut self) -> Result<Id, Fail> {
        let start = self.token.start;
        let mut at = start as usize + 2;
        // The rest of the opening line does not count if it is blank.
        let mut blank = at;
        while self.lexer.byte(blank) == b' ' {
            blank += 1;
        }
        if self.lexer.byte(blank) == b'\n' {
            at = blank + 1;
        }
        let base_piece = self.scratch.pieces.len();
        let mut begin = at;
        loop {
            let rest = &self.text[at..];
            at += memchr::memchr3(b'\'', b'$', 0, rest).unwrap_or(rest.len());
            let next = self.lexer.byte(at + 1);
            match self.lexer.byte(at) {
                b'$' if next == b'{' => {
                    self.push_piece(begin, at);
                    let base = self.scratch.words.len();
                    at = self.interpolation(at).map_err(meant_for_the_shell)?;
                    let id = Id(self.scratch.words[base]);
                    self.scratch.pieces.push(Piece::Expr(id));
                    self.scratch.words.truncate(base);
                    begin = at;
                }
                b'$' if next == b'\'' => {
                    // A dollar before a quote is a piece of its own, and not indentation.
                    self.push_piece(begin, at);
                    self.scratch.pieces.push(Piece::Escape(b"$"));
                    at += 1;
                    begin = at;
                }
                // Any other byte after a dollar is text, also a second dollar.
                b'$' if at + 1 < self.text.len() => {
                    if next == 0 {
                        return Err(self.nul(at + 1));
                    }
                    at += 2;
                }
                b'$' => return Err(self.unclosed_string(start, "''")),
                b'\'' if next == b'\'' => {
                    self.push_piece(begin, at);
                    match self.lexer.byte(at + 2) {
                        b'$' => {
                            self.scratch.pieces.push(Piece::Escape(b"$"));
                            at += 3;
                        }
                        b'\'' => {
                            self.scratch.pieces.push(Piece::Escape(b"''"));
                            at += 3;
                        }
                        b'\\' => {
                            if at + 3 >= self.text.len() {
                                return Err(self.unclosed_string(start, "''"));
                            }
                            let byte = self.escape(at + 3)?;
                            self.scratch.pieces.push(Piece::Byte(byte));
                            at += 4;
                        }
                        _ => {
                            self.advance_to(at as u32 + 2)?;
                            break;
                        }
                    }
                    begin = at;
                }
                b'\'' if next == b'$' => {
                    self.push_piece(begin, at);
                    self.scratch.pieces.push(Piece::Escape(b"'"));
                    at += 1;
                    begin = at;
                }
                // Any other byte after a single quote is text.
                b'\'' if at + 1 < self.text.len() => {
                    if next == 0 {
                        return Err(self.nul(at + 1));
                    }
                    at += 2;
                }
                b'\'' => return Err(self.unclosed_string(start, "''")),
                _ => return Err(self.nul_or_end(start, at, "''")),
            }
        }
        let id = self.strip(start, base_piece);
        self.scratch.pieces.truncate(base_piece);
        Ok(id)
    }

    fn push_piece(&mut self, begin: usize, end: usize) {
        if end > begin {
            self.scratch.pieces.push(Piece::Text(begin as u32, end as u32));
        }
    }

    /// Drops the common indentation and makes the node.
    fn strip(&mut self, start: u32, base_piece: usize) -> Id {
        let span = self.since(start);
        let indent = self.indentation(&self.scratch.pieces[base_piece..]);
        let base = self.scratch.words.len();
        let text_base = self.scratch.text.len();
        let mut line_start = true;
        let mut dropped = 0;
        let n_pieces = self.scratch.pieces.len();
        for index in base_piece..n_pieces {
            let one;
            let bytes = match self.scratch.pieces[index] {
                Piece::Text(from, to) => &self.text[from as usize..to as usize],
                Piece::Escape(bytes) => bytes,
                Piece::Byte(byte) => {
                    one = [byte];
                    &one[..]
                }
                Piece::Expr(id) => {
                    line_start = false;
                    dropped = 0;
                    self.push_text(text_base, self.ast.span(id).start);
                    self.scratch.words.push(id.0);
                    continue;
                }
            };
            let text = &mut self.scratch.text;
            let piece_start = text.len();
            let mut rest = bytes;
            while !rest.is_empty() {
                if line_start {
                    let blanks = leading_spaces(rest);
                    let drop = blanks.min(indent - dropped);
                    text.resize(text.len() + blanks - drop, b' ');
                    dropped += drop;
                    rest = &rest[blanks..];
                    if rest.is_empty() {
                        break;
                    }
                    line_start = false;
                    dropped = 0;
                }
                let line = match memchr::memchr(b'\n', rest) {
                    Some(n) => {
                        line_start = true;
                        n + 1
                    }
                    None => rest.len(),
                };
                text.extend_from_slice(&rest[..line]);
                rest = &rest[line..];
            }
            if index + 1 == n_pieces
                && let Some(newline) = text[piece_start..].iter().rposition(|&b| b == b'\n')
                && text[piece_start + newline + 1..].iter().all(|&b| b == b' ')
            {
                text.truncate(piece_start + newline + 1);
            }
            if self.keep_pieces {
                self.push_text(text_base, span.end);
            }
        }
        self.push_text(text_base, span.end - 2);
        let parts = &self.scratch.words[base..];
        let id = match parts {
            [] => self.ast.add_string(b"", span),
            // One literal string is that string, wherever it came from.
            &[one] if self.ast.as_string(Id(one)).is_some() => {
                let id = Id(one);
                self.ast.nodes[one as usize].1 = span;
                id
            }
            _ => {
                let parts = self.ast.add_run(&self.scratch.words[base..]);
                self.ast.add(Expr::Interpolate(parts), span)
            }
        };
        self.scratch.words.truncate(base);
        id
    }

    /// The smallest number of leading spaces over all lines that hold anything else.
    fn indentation(&self, pieces: &[Piece]) -> usize {
        let mut smallest = usize::MAX;
        let mut line_start = true;
        let mut now = 0;
        for piece in pieces {
            let &Piece::Text(from, to) = piece else {
                if line_start {
                    line_start = false;
                    smallest = smallest.min(now);
                }
                continue;
            };
            let mut rest = &self.text[from as usize..to as usize];
            while !rest.is_empty() {
                if line_start {
                    let blanks = leading_spaces(rest);
                    now += blanks;
                    rest = &rest[blanks..];
                    match rest.first() {
                        None => break,
                        // A blank line says nothing.
                        Some(b'\n') => {
                            now = 0;
                            rest = &rest[1..];
                            continue;
                        }
                        Some(_) => {
                            line_start = false;
                            smallest = smallest.min(now);
                        }
                    }
                }
                match memchr::memchr(b'\n', rest) {
                    Some(n) => {
                        line_start = true;
                        now = 0;
                        rest = &rest[n + 1..];
                    }
                    None => break,
                }
            }
        }
        smallest
    }

    /// A path literal, with or without interpolations.
    pub(super) fn path(&mut self) -> Result<Id, Fail> {
        let token = self.token;
        let start = token.start;
        let is_home = token.kind == Kind::HomePath;
        if is_home && !self.options.features.home_paths {
            return Err(Box::new(SyntaxError::new(
                SyntaxErrorKind::Restricted,
                token.span(),
                "the path refers to the home directory, which is not allowed in pure mode",
            )));
        }
        let mut at = token.end as usize;
        let mut first: Cow<'a, [u8]> = Cow::Borrowed(&self.text[start as usize..at]);
        // Between the first segment and the first interpolation one more text may stand: `a//b${x}`.
        if first.ends_with(b"/")
            && let Some(end) = self.lexer.path_text(at)
        {
            first.to_mut().extend_from_slice(&self.text[at..end]);
            at = end;
            if !self.is_interpolation(at) {
                let message = "a path may not have two slashes in a row";
                let span = Span { start, end: at as u32 };
                return Err(self.error(span, message));
            }
        }
        if !self.is_interpolation(at) {
            if first.ends_with(b"/") {
                return Err(self.trailing_slash(start, at));
            }
            self.advance_to(at as u32)?;
            let span = Span { start, end: at as u32 };
            if is_home {
                let index = self.ast.consts.len() as u32;
                let text = self.ast.keep_text(&first[1..]);
                self.ast.consts.push(Const::String(text));
                return Ok(self.ast.add(Expr::HomePath(index), span));
            }
            self.lint_path(span, &first)?;
            let base = self.scratch.text.len();
            self.absolute(&first);
            let path = self.ast.keep_text(&self.scratch.text[base..]);
            self.scratch.text.truncate(base);
            return Ok(self.ast.add_const(Const::Path(path), span));
        }
        let span = Span { start, end: at as u32 };
        let head = if is_home {
            let index = self.ast.consts.len() as u32;
            let text = self.ast.keep_text(&first[1..]);
            self.ast.consts.push(Const::String(text));
            self.ast.add(Expr::HomePath(index), span)
        } else {
            self.lint_path(span, &first)?;
            let base = self.scratch.text.len();
            self.absolute(&first);
            if first.ends_with(b"/") && self.scratch.text.len() - base > 1 {
                self.scratch.text.push(b'/');
            }
            let id = self.ast.add_string(&self.scratch.text[base..], span);
            self.scratch.text.truncate(base);
            id
        };
        let base = self.scratch.words.len();
        self.scratch.words.push(head.0);
        loop {
            if self.is_interpolation(at) {
                at = self.interpolation(at)?;
            } else if let Some(end) = self.lexer.path_text(at) {
                let text = &self.text[at..end];
                let slash = text.ends_with(b"/");
                let base = self.scratch.text.len();
                self.scratch.text.extend_from_slice(text);
                self.push_text(base, end as u32);
                at = end;
                if slash && !self.is_interpolation(at) && self.lexer.path_text(at).is_none() {
                    return Err(self.trailing_slash(start, at));
                }
            } else {
                break;
            }
        }
        self.advance_to(at as u32)?;
        let parts = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        let span = Span { start, end: at as u32 };
        Ok(self.ast.add(Expr::InterpolatePath(parts), span))
    }

    fn is_interpolation(&self, at: usize) -> bool {
        self.lexer.byte(at) == b'$' && self.lexer.byte(at + 1) == b'{'
    }

    /// Appends the absolute, canonical form of a path literal to the scratch text.
    fn absolute(&mut self, path: &[u8]) {
        let out = &mut self.scratch.text;
        let root = out.len();
        if !path.starts_with(b"/") && self.options.base_dir != b"/" {
            // Canonical already.
            out.extend_from_slice(self.options.base_dir);
        }
        append_segments(out, root, path);
        if out.len() == root {
            out.push(b'/');
        }
    }

    fn lint_path(&mut self, span: Span, path: &[u8]) -> Result<(), Fail> {
        let features = &self.options.features;
        if path.starts_with(b"/") {
            let message = "absolute path literals are not portable";
            self.lint(features.absolute_path_literals, span, message)
        } else if !path.starts_with(b".") {
            let message =
                "a path literal that begins neither with '/' nor with '.' is easily misread";
            self.lint(features.short_path_literals, span, message)
        } else {
            Ok(())
        }
    }

    pub(super) fn lint_url(&mut self, span: Span) -> Result<(), Fail> {
        let message = "URL literals are deprecated; write it as a string";
        self.lint(self.options.features.url_literals, span, message)
    }

    fn lint(&mut self, lint: Lint, span: Span, message: &str) -> Result<(), Fail> {
        match lint {
            Lint::Ignore => Ok(()),
            Lint::Warn => {
                self.ast.warnings.push((span, message.into()));
                Ok(())
            }
            Lint::Fatal => Err(self.error(span, message)),
        }
    }

    #[cold]
    fn trailing_slash(&self, start: u32, at: usize) -> Fail {
        self.error(Span { start, end: at as u32 }, "path has a trailing slash")
    }

    #[cold]
    fn nul(&self, at: usize) -> Fail {
        let span = Span { start: at as u32, end: at as u32 + 1 };
        self.error(span, "a string may not contain a NUL byte")
    }

    #[cold]
    fn nul_or_end(&self, start: u32, at: usize, quote: &'static str) -> Fail {
        if at < self.text.len() { self.nul(at) } else { self.unclosed_string(start, quote) }
    }
}

/// A mistake in `${…}` of an indented string is often a shell's variable.
#[cold]
fn meant_for_the_shell(mut error: Fail) -> Fail {
    if error.kind == SyntaxErrorKind::Syntax && error.help.is_none() {
        error.help = Some("a '${' that is meant literally is written ''${ in this string".into());
    }
    error
}

/// Appends the segments of a path to the one that begins at `root` of `out`, which is empty for the root.
fn append_segments(out: &mut Vec<u8>, root: usize, path: &[u8]) {
    for segment in path.split(|&b| b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = out[root..].iter().rposition(|&b| b == b'/').unwrap_or(0);
                out.truncate(root + parent);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
            }
        }
    }
}
