//! Mutants: texts with a few tokens deleted, doubled, swapped or put in.

use crate::programs::rng::Rng;

/// Tokens that are put into texts, also such as no program has.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ";",
    ":",
    ",",
    ".",
    "=",
    "@",
    "?",
    "\"",
    "''",
    "${",
    "$",
    "//",
    "++",
    "+",
    "-",
    "*",
    "/",
    "<",
    ">",
    "==",
    "!=",
    "&&",
    "||",
    "->",
    "!",
    "...",
    "or",
    "if",
    "then",
    "else",
    "let",
    "in",
    "with",
    "rec",
    "inherit",
    "assert",
    "x",
    "1",
    "1.5",
    ".5",
    "./a",
    "/a",
    "a/b",
    "<n>",
    "~/a",
    "x:x",
    "http://a",
    "#",
    "/*",
    "*/",
    "\\",
    "'",
    "\n",
    "\t",
    " ",
    "é",
    "\u{a0}",
    "\u{c}",
    "\u{b}",
    "\r",
    "0.",
    "1.",
    "9223372036854775808",
    "__curPos",
    "a.b",
    "/",
    "a/",
    "//a",
    "<a/>",
    "x-",
    "_",
    "1e5",
    "null",
    "rec {",
    "let {",
    "a: a",
    "\"${x}\"",
    "\u{feff}",
    "|>",
    "`",
    "^",
    "%",
];

/// Pieces of a text that are roughly its tokens; together they are the text.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let class = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "_-'".contains(c) => 0,
        ' ' | '\n' | '\t' | '\r' => 1,
        _ => 2,
    };
    let mut start = 0;
    let mut last = None;
    for (at, c) in text.char_indices() {
        let kind = class(c);
        if at > start && (last != Some(kind) || kind == 2) {
            tokens.push(&text[start..at]);
            start = at;
        }
        last = Some(kind);
    }
    if start < text.len() {
        tokens.push(&text[start..]);
    }
    tokens
}

/// A text that differs from `text` in one to three places.
pub(crate) fn mutant(text: &str, rng: &mut Rng) -> String {
    let mut tokens = tokens(text);
    for _ in 0..rng.between(1, 3) {
        let at = rng.below(tokens.len() + 1);
        match rng.below(5) {
            0 if at < tokens.len() => {
                tokens.remove(at);
            }
            1 if at < tokens.len() => tokens.insert(at, tokens[at]),
            2 if at < tokens.len() => {
                let other = rng.below(tokens.len());
                tokens.swap(at, other);
            }
            3 if at < tokens.len() => tokens[at] = rng.pick(TOKENS),
            _ => tokens.insert(at, rng.pick(TOKENS)),
        }
    }
    tokens.concat()
}
