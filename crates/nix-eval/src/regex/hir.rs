//! The same expression for regex-automata, where both mean the same.
//!
//! They do whenever the whole text must match, or no `|` is there, and no captured repeat can match
//! nothing.

use regex_automata::{meta, util::syntax};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::ere::{ByteSet, Ere};

/// Most bytes that a compiled expression may take.
const MAX_BYTES: usize = 4 << 20;

/// Deepest expression to be handed over: regex-syntax and the compiler recurse.
pub(super) const MAX_DEPTH: u32 = 24;

/// Compiles for matching the whole text (`whole`), or for searching.
///
/// `None` if it would be too big.
pub(super) fn compile(ere: &Ere, whole: bool) -> Option<meta::Regex> {
    let mut hir = convert(ere);
    if whole {
        hir = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
    }
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(MAX_BYTES))
        .hybrid_cache_capacity(MAX_BYTES);
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    meta::Builder::new().configure(config).syntax(syntax).build_from_hir(&hir).ok()
}

/// Recursion is bounded by [`MAX_DEPTH`].
fn convert(ere: &Ere) -> Hir {
    match ere {
        Ere::Empty => Hir::empty(),
        Ere::Start => Hir::look(Look::Start),
        Ere::End => Hir::look(Look::End),
        Ere::Byte(byte) => Hir::literal([*byte]),
        Ere::Any => Hir::class(Class::Bytes(ClassBytes::new([ClassBytesRange::new(0, 255)]))),
        Ere::Set(set) => Hir::class(Class::Bytes(ranges(set))),
        Ere::Group(index, body) => {
            Hir::capture(Capture { index: *index, name: None, sub: Box::new(convert(body)) })
        }
        Ere::Concat(parts) => Hir::concat(parts.iter().map(convert).collect()),
        Ere::Alternate(parts) => Hir::alternation(parts.iter().map(convert).collect()),
        Ere::Repeat { min, max, body } => Hir::repetition(Repetition {
            min: *min,
            max: *max,
            greedy: true,
            sub: Box::new(convert(body)),
        }),
    }
}

fn ranges(set: &ByteSet) -> ClassBytes {
    let members = (0..=255).filter(|&byte| set.contains(byte));
    ClassBytes::new(members.map(|byte| ClassBytesRange::new(byte, byte)))
}
