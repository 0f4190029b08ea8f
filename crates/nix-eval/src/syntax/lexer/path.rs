//! Paths, search paths and URIs: tokens that are recognised by what comes after their first bytes.

use super::{
    Kind, Lexer, PATH,
    class::{InPath, URI, is, run_of},
};

/// A maximal run of path bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Run {
    start: usize,
    end: usize,
    /// One past the last `_` in it, 0 if there is none; found when somebody asks.
    after_underscore: Option<usize>,
}

impl Lexer<'_> {
    /// Measures the run of path bytes that holds `at`, or is empty there. Amortised: each run once.
    fn run_at(&mut self, at: usize) -> Run {
        if self.run.start <= at && at < self.run.end {
            return self.run;
        }
        let rest = &self.text[at.min(self.text.len())..];
        self.run = Run { start: at, end: at + run_of::<InPath>(rest), after_underscore: None };
        self.run
    }

    /// One past the last `_` of the run that was just measured; 0 if there is none.
    fn after_underscore(&mut self) -> usize {
        let Run { start, end, .. } = self.run;
        *self.run.after_underscore.get_or_insert_with(|| {
            let last = self.text[start..end].iter().rposition(|&b| b == b'_');
            last.map_or(0, |last| start + last + 1)
        })
    }

    /// Whether `/` and a path byte, or `/${`, stand at `at`.
    fn is_segment(&self, at: usize) -> bool {
        self.byte(at) == b'/' && is(self.byte(at + 1), PATH)
    }

    /// End of a path whose first slash stands at `slash`, if one does and a path goes on there.
    #[inline]
    pub(super) fn path_from_slash(&mut self, slash: usize) -> Option<usize> {
        if self.byte(slash) != b'/' {
            return None;
        }
        self.path_at_slash(slash)
    }

    #[inline(never)]
    fn path_at_slash(&mut self, slash: usize) -> Option<usize> {
        let mut end = slash;
        while self.is_segment(end) {
            end = self.run_at(end + 1).end;
        }
        if end == slash {
            // A prefix that ends in `/` is a path only before an interpolation.
            let interpolated = self.byte(slash + 1) == b'$' && self.byte(slash + 2) == b'{';
            return interpolated.then_some(slash + 1);
        }
        Some(if self.byte(end) == b'/' { end + 1 } else { end })
    }

    /// End of a path that begins with path bytes at `start`.
    pub(super) fn path_through_run(&mut self, start: usize) -> Option<usize> {
        let end = self.run_at(start).end;
        self.path_from_slash(end)
    }

    /// The path or URI that begins with the word `start..end`, whose next byte is one of `. / : +`.
    #[inline(never)]
    pub(super) fn path_or_uri(&mut self, start: usize, end: usize) -> Option<(Kind, usize)> {
        // A quote is a byte of identifiers only, so it ends the run before the word ends.
        let run = self.run_at(start);
        if run.end < end {
            return None;
        }
        if self.byte(run.end) == b':' {
            if !is(self.byte(run.end + 1), URI)
                || self.after_underscore() > start
                || self.byte(start) == b'_'
            {
                return None;
            }
            let mut end = run.end + 1;
            while is(self.byte(end), URI) {
                end += 1;
            }
            return Some((Kind::Uri, end));
        }
        Some((Kind::Path, self.path_from_slash(run.end)?))
    }

    /// End of `<a/b>` at `start`.
    pub(super) fn lookup(&mut self, start: usize) -> Option<usize> {
        let mut end = start + 1;
        if !is(self.byte(end), PATH) {
            return None;
        }
        end = self.run_at(end).end;
        while self.is_segment(end) {
            end = self.run_at(end + 1).end;
        }
        (self.byte(end) == b'>').then_some(end + 1)
    }

    /// End of the text that goes on with an interpolated path at `at`, if there is any: segments with or
    /// without a slash before and after.
    pub(in crate::syntax) fn path_text(&mut self, at: usize) -> Option<usize> {
        let run = if is(self.byte(at), PATH) { self.run_at(at).end } else { at };
        let mut end = run;
        while self.is_segment(end) {
            end = self.run_at(end + 1).end;
        }
        if self.byte(end) == b'/' {
            end += 1;
        }
        (end > at).then_some(end)
    }
}
