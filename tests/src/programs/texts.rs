//! Texts of small languages: regular expressions, JSON, TOML, versions, names; mostly right, some wrong.
//!
//! They are given as bytes of a string value; [`quoted`] makes a literal of them.

use std::fmt::Write as _;

use super::rng::Rng;

/// A text of the small language `kind`.
pub(crate) fn text(kind: &str, rng: &mut Rng) -> String {
    match kind {
        "version" => version(rng),
        "drvname" => format!(
            "{}{}",
            rng.pick(&["a-", "foo-bar-", "x", "g++-", "lib-a", "-", ""]),
            version(rng)
        ),
        "regex" => regex(rng, 3),
        "subject" => subject(rng),
        "json" => json_text(rng),
        "toml" => toml(rng),
        "algo" => rng.pick(&["md5", "sha1", "sha256", "sha512", "sha256", "sha3"]).to_owned(),
        "abspath" => {
            let mut path = String::from(if rng.chance(95) { "/" } else { "" });
            for _ in 0..rng.below(4) {
                path.push_str(rng.pick(&["a", "b c", "..", ".", "", "x.y", "é"]));
                path.push('/');
            }
            path
        }
        "name" => rng.pick(&["n", "a.b", "x-1.0", "_", "n+m", "q?=", "a b", "", ".x"]).to_owned(),
        _ => String::new(),
    }
}

/// A string literal with this value.
pub(crate) fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    out.push_str(&escaped(value));
    out.push('"');
    out
}

/// What stands between the quotes of a literal with this value.
pub(crate) fn escaped(value: &str) -> String {
    let mut out = String::new();
    for (at, c) in value.char_indices() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if value[at..].starts_with("${") => out.push_str("\\$"),
            c => out.push(c),
        }
    }
    out
}

fn version(rng: &mut Rng) -> String {
    let mut out = String::new();
    for n in 0..rng.between(0, 4) {
        if n > 0 {
            out.push_str(rng.pick(&[".", "-", ".", "", "..", "_", "+"]));
        }
        out.push_str(rng.pick(&[
            "1",
            "0",
            "2",
            "10",
            "007",
            "pre",
            "a",
            "rc1",
            "beta",
            "99999999999",
            "9223372036854775808",
            "1a",
            "é",
            "z",
        ]));
    }
    out
}

fn regex(rng: &mut Rng, depth: usize) -> String {
    let mut out = String::new();
    let n = rng.between(0, 3).max(usize::from(depth == 3));
    for _ in 0..n {
        let piece = match rng.below(if depth > 0 { 14 } else { 9 }) {
            0..=2 => rng.pick(&["a", "b", "ab", "c", "-", "1", " "]).to_owned(),
            3 => ".".to_owned(),
            4 => rng
                .pick(&[
                    "[ab]",
                    "[^a]",
                    "[a-c]",
                    "[[:alpha:]]",
                    "[[:digit:]]+",
                    "[]a]",
                    "[^]]",
                    "[a-]",
                    "[[:space:]]",
                    "[0-9]",
                    "[.]",
                    "[\\d]",
                    "[[.a.]]",
                    "[[=b=]]",
                    "[^[:alnum:]]",
                    "[+*?]",
                ])
                .to_owned(),
            5 => rng.pick(&["\\.", "\\*", "\\(", "\\\\", "\\[", "\\^", "\\$", "\\|"]).to_owned(),
            6 => rng.pick(&["^", "$", "^a", "b$"]).to_owned(),
            7 => rng.pick(&["\n", "é", "}", "]", "\t"]).to_owned(),
            8 if rng.chance(25) => rng
                .pick(&[
                    "\\d",
                    "(?:a)",
                    "{",
                    "a{",
                    "a{,2}",
                    "a{2,1}",
                    "[z-a]",
                    "[[:foo:]]",
                    ")",
                    "(",
                    "[",
                    "\\",
                    "*a",
                    "+",
                    "?",
                    "a||b",
                    "()",
                    "\\n",
                    "\\1",
                    "a{99999}",
                    "|",
                    "a|",
                    "|b",
                ])
                .to_owned(),
            8 => "a".to_owned(),
            9..=11 => format!("({})", regex(rng, depth - 1)),
            _ => format!("({}|{})", regex(rng, depth - 1), regex(rng, depth - 1)),
        };
        out.push_str(&piece);
        if rng.chance(30) {
            out.push_str(
                rng.pick(&["*", "+", "?", "{2}", "{0,1}", "{1,}", "*", "{0}", "**", "+?"]),
            );
        }
    }
    out
}

fn subject(rng: &mut Rng) -> String {
    let mut out = String::new();
    for _ in 0..rng.below(7) {
        out.push_str(rng.pick(&["a", "b", "ab", "c", "-", "1", " ", "\n", "é", "aa", ".", "ba"]));
    }
    out
}

fn json_text(rng: &mut Rng) -> String {
    let mut out = String::new();
    json(rng, 3, &mut out);
    if rng.chance(12) {
        // Something wrong, or only odd, at a random place.
        let places: Vec<usize> = (0..=out.len()).filter(|&i| out.is_char_boundary(i)).collect();
        let at = places[rng.below(places.len())];
        let odd = rng.pick(&[
            ",", " ", "\n", "}", "1", "\"", "\\", "e", "-", "0", "//", "\u{1}", "tru", ":", "[",
            "\u{a0}",
        ]);
        out.insert_str(at, odd);
    }
    out
}

fn json(rng: &mut Rng, depth: usize, out: &mut String) {
    match rng.below(if depth > 0 { 9 } else { 6 }) {
        0 => out.push_str(rng.pick(&[
            "0",
            "1",
            "-1",
            "42",
            "-0",
            "9223372036854775807",
            "-9223372036854775808",
            "123456",
            "01",
            "+1",
        ])),
        1 => out.push_str(rng.pick(&[
            "1.5", "-0.25", "1e2", "1E-2", "0.1", "100000.5", "1.0", "-0.0", "1.", ".5", "1e5",
        ])),
        2 => out.push_str(rng.pick(&["true", "false", "null", "nul", "True"])),
        3 | 4 => {
            out.push('"');
            for _ in 0..rng.below(4) {
                out.push_str(rng.pick(&[
                    "a",
                    " ",
                    "é",
                    "\\n",
                    "\\u0041",
                    "\\ud83d\\ude00",
                    "\\\"",
                    "\\\\",
                    "\\/",
                    "\\t",
                    "\\b",
                    "\\f",
                    "\\u00e9",
                    "\u{7f}",
                    "/",
                    "${x}",
                ]));
            }
            out.push('"');
        }
        5 => out.push_str(rng.pick(&["[]", "{}", "[ ]", "{ }", "\"\""])),
        6 | 7 => {
            out.push('[');
            for n in 0..rng.below(4) {
                if n > 0 {
                    out.push_str(rng.pick(&[",", ", ", " ,\n"]));
                }
                json(rng, depth - 1, out);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for n in 0..rng.below(4) {
                if n > 0 {
                    out.push(',');
                }
                let _ = write!(
                    out,
                    "\"{}\":",
                    rng.pick(&["a", "b", "", "a b", "é", "a", "\\u0061", "if"])
                );
                json(rng, depth - 1, out);
            }
            out.push('}');
        }
    }
}

fn toml(rng: &mut Rng) -> String {
    let mut out = String::new();
    let mut n = 0;
    let mut key = |rng: &mut Rng| {
        n += 1;
        match rng.below(8) {
            0 => format!("\"k {n}\""),
            1 => format!("'q{n}'"),
            2 => format!("d{n}.x"),
            3 => rng.pick(&["a", "b", "a.b"]).to_owned(),
            _ => format!("k{n}"),
        }
    };
    for _ in 0..rng.below(5) {
        match rng.below(8) {
            0 => {
                let key = key(rng);
                let _ = writeln!(out, "[{key}]");
            }
            1 => {
                let key = key(rng);
                let _ = writeln!(out, "[[{key}]]");
            }
            2 => out.push_str(rng.pick(&["# note\n", "\n", "  \n"])),
            _ => {
                let key = key(rng);
                let value = toml_value(rng, 2);
                let _ = writeln!(out, "{key}{}{value}", rng.pick(&[" = ", "=", " =  "]));
            }
        }
    }
    if rng.chance(6) {
        out.push_str(rng.pick(&[
            "x",
            "= 1",
            "k = ",
            "[a",
            "k = [1, ",
            "k = 'a",
            "k = 01",
            "k = \"\\x\"\n",
        ]));
    }
    out
}

fn toml_value(rng: &mut Rng, depth: usize) -> String {
    match rng.below(if depth > 0 { 8 } else { 6 }) {
        0 => rng
            .pick(&["0", "1", "-17", "+3", "1_000", "0xff", "0o17", "0b101", "9223372036854775807"])
            .to_owned(),
        1 => rng.pick(&["1.5", "-0.25", "1e3", "6.25e-2", "1_0.5"]).to_owned(),
        2 => rng.pick(&["true", "false"]).to_owned(),
        3 => {
            rng.pick(&["\"a\"", "\"\\u00e9\\n\\\"\"", "\"\"", "\"a\\tb\\\\\"", "\"é\""]).to_owned()
        }
        4 => rng
            .pick(&["'a\\b'", "''", "'''x\ny'''", "\"\"\"\na \\\n   b\"\"\"", "'''\n'a'''"])
            .to_owned(),
        5 => rng.pick(&["[]", "{}", "[ ]", "[1, 2]", "[ 1, 2, ]"]).to_owned(),
        6 => {
            let items: Vec<String> =
                (0..rng.below(3)).map(|_| toml_value(rng, depth - 1)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => {
            let items: Vec<String> = (0..rng.below(3))
                .map(|n| format!("i{n} = {}", toml_value(rng, depth - 1)))
                .collect();
            format!("{{ {} }}", items.join(", "))
        }
    }
}
