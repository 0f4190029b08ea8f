//! Regular expressions of `builtins.match` and `builtins.split`.
//!
//! They mean what C++'s `std::regex` means in libstdc++ with the flag *extended*, byte by byte. That is
//! neither POSIX (leftmost, longest) nor Perl (first path): of the alternatives of `|` the longest wins, of
//! the paths through a repeat the first, ties go to the first path, and captures of earlier iterations
//! stay. Two engines: a backtracker of our own that has exactly this order (`backtrack`), and
//! regex-automata for long texts wherever the two cannot differ (`hir`). Neither is ever exponential.

mod backtrack;
mod ere;
mod hir;
mod program;

use std::{collections::HashMap, sync::Arc, sync::OnceLock};

use regex_automata::{Anchored, Input, meta, util::captures::Captures};

use self::{
    backtrack::{Backtracker, Mode},
    ere::Ere,
    program::{Program, State, StateId},
};

/// Why a text is not a regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegexError {
    /// A backslash before an ordinary character, or at the end.
    #[error("'\\' may only stand before one of . [ \\ ( ) * + ? {{ | ^ $")]
    Escape,
    /// `(` or `)` without its partner.
    #[error("unbalanced parenthesis")]
    Parenthesis,
    /// `[` without its partner.
    #[error("unbalanced '['")]
    Bracket,
    /// A quantifier with nothing before it.
    #[error("a quantifier has nothing to repeat")]
    Repeat,
    /// Malformed `{m,n}`.
    #[error("'{{' must begin {{m}}, {{m,}} or {{m,n}} with m <= n")]
    Interval,
    /// A range that is backwards or begins with a class.
    #[error("invalid range in '[…]'")]
    Range,
    /// Unknown name in `[: :]`.
    #[error("unknown character class")]
    Class,
    /// Unknown name in `[. .]` or `[= =]`.
    #[error("unknown collating element")]
    Collate,
    /// A NUL byte.
    #[error("NUL byte")]
    Nul,
    /// Groups or quantifiers nested beyond the limit.
    #[error("nested more than {} levels deep", ere::MAX_DEPTH)]
    TooDeep,
    /// More states than libstdc++ allows.
    #[error("too big")]
    TooBig,
}

/// Why matching stopped without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The caller's poll said so.
    Polled,
    /// Text and expression are too big for each other.
    Memory,
}

/// Called now and then while matching, with the bytes of memory that it takes; `false` stops it.
pub type Poll<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Begin and end of the match and of its groups, in bytes; `None` for a group that took no part.
pub type Groups = Vec<Option<(usize, usize)>>;

/// From this length on, in bytes, a text is worth compiling for regex-automata.
const LONG_TEXT: usize = 256;

/// A compiled expression.
#[derive(Debug)]
pub struct Regex {
    ere: Ere,
    program: Program,
    /// Bytes with which a match can begin; `None` if it can be empty.
    first_bytes: Option<Box<[bool; 256]>>,
    /// Whether regex-automata means the same when the whole text must match.
    whole_agrees: bool,
    /// The same for searches.
    search_agrees: bool,
    whole: OnceLock<Option<meta::Regex>>,
    search: OnceLock<Option<meta::Regex>>,
}

impl Regex {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What libstdc++ refuses; see `language.md` §11.
    pub fn new(pattern: &[u8]) -> Result<Regex, RegexError> {
        let (ere, n_groups, depth) = ere::parse(pattern)?;
        let program = Program::new(&ere, n_groups)?;
        let shallow = depth <= hir::MAX_DEPTH;
        let whole_agrees = shallow && (n_groups == 0 || !ere.repeats_nullable());
        let search_agrees = shallow && !ere.alternates() && !ere.is_nullable() && whole_agrees;
        let first_bytes = first_bytes(&program).map(Box::new);
        Ok(Regex {
            ere,
            program,
            first_bytes,
            whole_agrees,
            search_agrees,
            whole: OnceLock::new(),
            search: OnceLock::new(),
        })
    }

    /// Matches the whole text.
    ///
    /// # Errors
    /// See [`Stop`].
    pub fn match_whole(&self, text: &[u8], poll: Poll<'_>) -> Result<Option<Groups>, Stop> {
        if self.whole_agrees && text.len() >= LONG_TEXT {
            let compiled = self.whole.get_or_init(|| hir::compile(&self.ere, true));
            if let Some(regex) = compiled {
                let input = Input::new(text).anchored(Anchored::Yes);
                if self.program.n_groups == 0 {
                    return Ok(regex.is_match(input).then(|| vec![Some((0, text.len()))]));
                }
                let mut captures = regex.create_captures();
                regex.captures(input, &mut captures);
                return Ok(groups_of(&captures));
            }
        }
        let mut backtracker = Backtracker::new(&self.program, text, poll)?;
        let end = backtracker.find_end(0, Mode::Whole, poll)?;
        Ok(end.map(|_| backtracker.groups(0, Mode::Whole)))
    }

    /// All matches in the text, from left to right, as `std::regex_iterator` finds them.
    ///
    /// # Errors
    /// See [`Stop`].
    pub fn find_all(&self, text: &[u8], poll: Poll<'_>) -> Result<Vec<Groups>, Stop> {
        if self.search_agrees && text.len() >= LONG_TEXT {
            let compiled = self.search.get_or_init(|| hir::compile(&self.ere, false));
            if let Some(regex) = compiled {
                return find_all_nonempty(regex, text, poll);
            }
        }
        let mut backtracker = Backtracker::new(&self.program, text, poll)?;
        let mut found = Vec::new();
        let mut next = self.search(&mut backtracker, text, 0, poll)?;
        while let Some((begin, end)) = next {
            // Only the search after an empty match must not be empty, and it starts where that one ended.
            let retried =
                found.last().and_then(|groups: &Groups| groups[0]) == Some((begin, begin));
            let mode = if retried { Mode::NonEmpty } else { Mode::Prefix };
            found.push(backtracker.groups(begin, mode));
            if found.len() % 1024 == 0 && !poll(backtracker.size_bytes() + size_of_groups(&found)) {
                return Err(Stop::Polled);
            }
            next = if begin != end {
                self.search(&mut backtracker, text, end, poll)?
            } else if end == text.len() {
                None
            } else {
                match backtracker.find_end(end, Mode::NonEmpty, poll)? {
                    Some(longer) => Some((end, longer)),
                    None => self.search(&mut backtracker, text, end + 1, poll)?,
                }
            };
        }
        Ok(found)
    }

    /// The first match that begins at `from` or later.
    fn search(
        &self,
        backtracker: &mut Backtracker<'_>,
        text: &[u8],
        from: usize,
        poll: Poll<'_>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let mut begin = from;
        while begin <= text.len() {
            if let Some(first_bytes) = &self.first_bytes {
                let rest = &text[begin..];
                match rest.iter().position(|&byte| first_bytes[usize::from(byte)]) {
                    Some(n_skipped) => begin += n_skipped,
                    None => return Ok(None),
                }
            }
            if let Some(end) = backtracker.find_end(begin, Mode::Prefix, poll)? {
                return Ok(Some((begin, end)));
            }
            begin += 1;
        }
        Ok(None)
    }
}

/// About what found matches take, in bytes; all have equally many groups.
pub(crate) fn size_of_groups(found: &[Groups]) -> usize {
    let groups = found.first().map_or(0, |groups| size_of_val(&groups[..]));
    // With what the allocator adds, and what a growing vector has in reserve.
    found.len() * (groups + 16 + 2 * size_of::<Groups>())
}

/// All matches of an expression that never matches the empty text.
fn find_all_nonempty(
    regex: &meta::Regex,
    text: &[u8],
    poll: Poll<'_>,
) -> Result<Vec<Groups>, Stop> {
    let mut captures = regex.create_captures();
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        if found.len() % 1024 == 0 && !poll(size_of_groups(&found)) {
            return Err(Stop::Polled);
        }
        regex.captures(Input::new(text).range(at..), &mut captures);
        let Some(groups) = groups_of(&captures) else { return Ok(found) };
        at = captures.get_match().map_or(text.len(), |whole| whole.end());
        found.push(groups);
    }
}

fn groups_of(captures: &Captures) -> Option<Groups> {
    captures
        .is_match()
        .then(|| captures.iter().map(|span| span.map(|span| (span.start, span.end))).collect())
}

/// The bytes with which a match can begin; `None` if a match can be empty.
fn first_bytes(program: &Program) -> Option<[bool; 256]> {
    let mut bytes = [false; 256];
    let mut seen = vec![false; program.states.len()];
    let mut work: Vec<StateId> = vec![program.start];
    while let Some(state) = work.pop() {
        if std::mem::replace(&mut seen[state as usize], true) {
            continue;
        }
        match program.states[state as usize] {
            State::Byte { byte, .. } => bytes[usize::from(byte)] = true,
            State::Any { .. } => bytes = [true; 256],
            State::Set { set, .. } => {
                let set = &program.sets[set as usize];
                for byte in 0..=255u8 {
                    bytes[usize::from(byte)] |= set.contains(byte);
                }
            }
            State::Start { next }
            | State::End { next }
            | State::Open { next, .. }
            | State::Close { next, .. } => work.push(next),
            State::Repeat { more, next, .. } => work.extend([more, next]),
            State::Alternate { first, second, .. } => work.extend([first, second]),
            State::Accept => return None,
        }
    }
    Some(bytes)
}

/// How many compiled expressions an evaluation keeps.
const CACHE_CAPACITY: usize = 512;
/// Bytes of their patterns together; compiled, a byte takes about a hundred.
const CACHE_BYTES: usize = 64 << 10;

/// Compiled expressions by pattern.
///
/// Forgets everything when full: programs use either a few patterns or made-up ones.
#[derive(Debug, Default)]
pub struct RegexCache {
    known: HashMap<Box<[u8]>, Arc<Regex>>,
    /// Bytes of their patterns.
    size_bytes: usize,
}

impl RegexCache {
    /// The compiled pattern, from the cache if it was asked for before.
    ///
    /// # Errors
    /// As [`Regex::new`]; failures are not remembered.
    pub fn get(&mut self, pattern: &[u8]) -> Result<Arc<Regex>, RegexError> {
        if let Some(regex) = self.known.get(pattern) {
            return Ok(Arc::clone(regex));
        }
        let regex = Arc::new(Regex::new(pattern)?);
        self.size_bytes += pattern.len();
        if self.known.len() >= CACHE_CAPACITY || self.size_bytes > CACHE_BYTES {
            self.known.clear();
            self.size_bytes = pattern.len();
        }
        self.known.insert(pattern.into(), Arc::clone(&regex));
        Ok(regex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, groups: &Groups) -> String {
        let one = |group: &Option<(usize, usize)>| match group {
            Some((begin, end)) => format!("{:?}", &text[*begin..*end]),
            None => "null".to_owned(),
        };
        groups.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Matches, and checks that both engines agree where regex-automata is used for long texts.
    #[track_caller]
    fn check_match(pattern: &str, text: &str, expected: &str) {
        let regex = Regex::new(pattern.as_bytes()).expect("test patterns are legal");
        let found = regex.match_whole(text.as_bytes(), &mut |_| true).expect("no limit is near");
        let found = found.map_or("none".to_owned(), |groups| show(text, &groups));
        assert_eq!(found, expected, "{pattern} on {text}");
    }

    #[track_caller]
    fn check_all(pattern: &str, text: &str, expected: &str) {
        let regex = Regex::new(pattern.as_bytes()).expect("test patterns are legal");
        let found = regex.find_all(text.as_bytes(), &mut |_| true).expect("no limit is near");
        let found: Vec<_> = found.iter().map(|groups| show(text, groups)).collect();
        assert_eq!(found.join(", "), expected, "{pattern} in {text}");
    }

    #[test]
    fn alternatives_take_the_longest_but_repeats_the_first_path() {
        check_all("a|ab", "ab", r#""ab""#);
        check_all("a*(ab)?", "aab", r#""aa" null, "" null, "" null"#);
        check_all("(a|ab)*b?", "abab", r#""abab" "a", "" null"#);
        check_all("x*|y", "y", r#""y", """#);
    }

    #[test]
    fn captures_of_earlier_iterations_stay() {
        check_match("(a|(b))*", "ba", r#""ba" "a" "b""#);
        check_match("(a*)(ab)*(b*)", "abb", r#""abb" "a" null "bb""#);
        check_match("(a|b*)*", "ba", r#""ba" """#);
        check_match("(a)?(b)", "b", r#""b" null "b""#);
    }

    #[test]
    fn empty_matches_count_also_after_a_non_empty_one() {
        check_all("a*", "baac", r#""", "aa", "", """#);
        check_all("", "ab", r#""", "", """#);
        check_all("^a", "aa", r#""a""#);
    }

    #[test]
    fn anchors_hold_anywhere_in_a_pattern() {
        check_match("a^b", "a^b", "none");
        check_match("(^a$)", "a", r#""a" "a""#);
    }

    #[test]
    fn nested_repeats_on_long_texts_are_quick() {
        let text = "a".repeat(100_000);
        for pattern in ["(a*)*b", "(a|aa)*b", "((a*)*|b)*c", "(a?){30}a{30}b"] {
            let regex = Regex::new(pattern.as_bytes()).expect("legal");
            assert_eq!(regex.match_whole(text.as_bytes(), &mut |_| true), Ok(None), "{pattern}");
        }
        let regex = Regex::new(b"(a|b)*c|a").expect("legal");
        let found = regex.find_all(text.as_bytes(), &mut |_| true).expect("no limit is near");
        assert_eq!(found.len(), text.len());
    }

    #[test]
    fn a_poll_stops_the_search() {
        let regex = Regex::new(b"(a*)*b|x").expect("legal");
        let text = "a".repeat(100_000);
        assert_eq!(regex.match_whole(text.as_bytes(), &mut |_| false), Err(Stop::Polled));
    }

    #[test]
    fn nested_repeats_of_empty_parts_end_at_a_limit_of_memory() {
        let nested = format!("{}a{}*", "(".repeat(20), "*)".repeat(20));
        let deep = format!("({}z)*(y*)*", "(a|b)?".repeat(500));
        for (pattern, text) in [(nested, "b".to_owned()), (deep, "z".repeat(20_000))] {
            let regex = Regex::new(pattern.as_bytes()).expect("legal");
            assert_eq!(regex.match_whole(text.as_bytes(), &mut |_| true), Err(Stop::Memory));
        }
    }

    /// Small texts and patterns, all of them; regex-automata against the backtracker.
    #[test]
    fn both_engines_agree_where_both_may_be_used() {
        let atoms = ["a", "b", "(a)", "(b*)", "[ab]", ".", "a|b", "(a|ab)", "$", "^"];
        let marks = ["", "*", "?", "+", "{2}", "{1,2}", "{1,}"];
        let mut n_compared = 0;
        for (first, second) in atoms.iter().flat_map(|a| atoms.iter().map(move |b| (a, b))) {
            for (mark, other) in marks.iter().flat_map(|a| marks.iter().map(move |b| (a, b))) {
                let pattern = format!("({first}){mark}({second}){other}");
                let regex = Regex::new(pattern.as_bytes()).expect("legal");
                for text in ["", "a", "b", "ab", "ba", "aab", "abab", "bbaab"] {
                    let bytes = text.as_bytes();
                    if regex.whole_agrees {
                        let compiled = hir::compile(&regex.ere, true).expect("small");
                        let mut captures = compiled.create_captures();
                        compiled.captures(Input::new(bytes).anchored(Anchored::Yes), &mut captures);
                        let ours = regex.match_whole(bytes, &mut |_| true).expect("no limit");
                        assert_eq!(groups_of(&captures), ours, "{pattern} on {text}");
                        n_compared += 1;
                    }
                    if regex.search_agrees {
                        let compiled = hir::compile(&regex.ere, false).expect("small");
                        let theirs = find_all_nonempty(&compiled, bytes, &mut |_| true);
                        assert_eq!(
                            theirs,
                            regex.find_all(bytes, &mut |_| true),
                            "{pattern} in {text}"
                        );
                        n_compared += 1;
                    }
                }
            }
        }
        assert!(n_compared > 1000);
    }
}
