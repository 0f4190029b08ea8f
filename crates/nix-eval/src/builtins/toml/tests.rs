//! The reader beside the library `toml`, which reads TOML 1.1: both refuse a text, or give the same value.

use toml::Value as Toml;

use super::timestamp;
use crate::{
    Engine, EngineOptions, Evaluator,
    error::{self, Error},
    machine::Machine,
    value::{ContextId, Value, print},
};

fn session() -> Evaluator {
    let options = EngineOptions {
        features: ["parse-toml-timestamps".into()].into_iter().collect(),
        ..EngineOptions::default()
    };
    Engine::new(options).evaluator()
}

/// The value of a text, printed.
fn shown(
    session: &Evaluator,
    read: impl FnOnce(&mut Machine) -> Result<Value, Error>,
) -> Result<String, Error> {
    session.with_machine(|m| {
        let value = read(m)?;
        Ok(String::from_utf8_lossy(&print::eval_form(m, value)).into_owned())
    })
}

fn of_library(m: &mut Machine, text: &str) -> Result<Value, Error> {
    refuse_newer(text)?;
    let table: toml::Table =
        toml::from_str(text).map_err(|e| error::format(format!("library: {}", e.message())))?;
    to_value(m, Toml::Table(table))
}

fn to_value(m: &mut Machine, toml: Toml) -> Result<Value, Error> {
    Ok(match toml {
        Toml::Array(items) => {
            let items: Result<Vec<Value>, Error> =
                items.into_iter().map(|item| to_value(m, item)).collect();
            m.new_list(&items?)
        }
        Toml::Table(table) => {
            let mut attrs = Vec::new();
            for (name, item) in table {
                attrs.push((m.symbol(&name), to_value(m, item)?));
            }
            m.new_attrs(&attrs)
        }
        Toml::String(text) if text.contains('\0') => return Err(error::format("NUL")),
        Toml::String(text) => m.new_string(text.as_bytes(), ContextId::NONE),
        Toml::Integer(n) => m.new_int(n),
        Toml::Float(x) => m.new_float(x),
        Toml::Boolean(b) => Value::bool(b),
        Toml::Datetime(date) => timestamp::value(m, &date)?,
    })
}

/// Refuses what TOML 1.1 added: line breaks and trailing commas in inline tables, `\e` and `\x`, times
/// without seconds.
fn refuse_newer(text: &str) -> Result<(), Error> {
    let bytes = text.as_bytes();
    let fail = |at: usize, what: &str| {
        let line = bytes[..at].iter().filter(|&&b| b == b'\n').count() + 1;
        Err(error::format(format!("invalid TOML in line {line}: {what} (TOML 1.1)")))
    };
    // Open brackets: `{` of inline tables, `[` of arrays. Table headers open and close on one line.
    let mut open: Vec<u8> = Vec::new();
    let mut last = b'\n';
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        match byte {
            b'#' => {
                while i < bytes.len() && bytes[i] != b'\n' {
                    i += 1;
                }
                continue;
            }
            b'"' | b'\'' => {
                let start = i;
                let triple = bytes[i..].starts_with(&[byte; 3]);
                i += if triple { 3 } else { 1 };
                loop {
                    match bytes.get(i) {
                        None => break,
                        Some(b'\\') if byte == b'"' => {
                            if matches!(bytes.get(i + 1), Some(b'e' | b'x')) {
                                return fail(i, "the escapes '\\e' and '\\x' are not known");
                            }
                            i += 2;
                        }
                        Some(b'\n') if !triple => break,
                        Some(&b) if b == byte => {
                            if !triple {
                                i += 1;
                                break;
                            }
                            if bytes[i..].starts_with(&[byte; 3]) {
                                i += 3;
                                // Up to two more quotes belong to the text.
                                while bytes.get(i) == Some(&byte) && i - start < usize::MAX {
                                    i += 1;
                                }
                                break;
                            }
                            i += 1;
                        }
                        Some(_) => i += 1,
                    }
                }
                last = b'"';
                continue;
            }
            b'{' | b'[' => open.push(byte),
            b']' => {
                open.pop();
            }
            b'}' => {
                if last == b',' {
                    return fail(i, "an inline table may not end in a comma");
                }
                open.pop();
            }
            b'\n' if open.last() == Some(&b'{') => {
                return fail(i, "an inline table must stand on one line");
            }
            b':' if timestamp::is_short_time(bytes, i) => return fail(i, "a time needs seconds"),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        i += 1;
    }
    Ok(())
}

/// What is different, if anything is.
fn difference(session: &Evaluator, text: &str) -> Option<String> {
    let ours = shown(session, |m| super::read::read(m, text));
    let library = shown(session, |m| of_library(m, text));
    let is_same = match (&ours, &library) {
        (Ok(ours), Ok(library)) => ours == library,
        (Err(_), Err(_)) => true,
        // The library lets dotted names add to tables that headers made. TOML forbids it, and real Nix refuses it.
        (Err(ours), Ok(_)) => ours.message().contains("a dotted name cannot add to this value"),
        _ => false,
    };
    let text_of = |r: Result<String, Error>| r.unwrap_or_else(|e| e.message().to_owned());
    (!is_same)
        .then(|| format!("{text:?}\n  here:    {}\n  library: {}", text_of(ours), text_of(library)))
}

#[track_caller]
fn check(texts: impl IntoIterator<Item = String>) {
    let session = session();
    let found: Vec<String> =
        texts.into_iter().filter_map(|text| difference(&session, &text)).take(40).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Numbers below `n`, from a seed.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |n| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    }
}

const VALUES: &str = r##"
1 | +1 | -0 | 00 | 0_1 | 1_000 | 1__0 | _1 | 1_ | 9223372036854775807 | 9223372036854775808 | -9223372036854775808
0x1F | 0xff_ff | 0x | 0X1 | -0x1 | +0x1 | 0o17 | 0o8 | 0b101 | 0b2 | 0x8000000000000000 | 0x_1 | 0x1_
1.5 | 1. | .5 | 1.e3 | 1e3 | 1E+3 | 1e-0_3 | 1e | 01.5 | -0.0 | 1_0.0_1 | 6.626e-34 | 1e999 | -1e999 | 1e03 | 1._1 | 1e_1
inf | -inf | +inf | nan | -nan | +nan | infinity | true | false | True | truefalse | | 1=2 | a | é | "é"
[ | ] | {} | { } | { | [1,] | [,] | [1 2] | [1, [2, "x"], {a = 1}] | [[[]]]
{ a = 1, b.c = 2, b.d = 3 } | { a = 1, a = 2 } | { a = 1 b = 2 } | { a = 1, a.b = 2 } | { a = { b = 1 }, a.c = 2 }
{ a = 1, } | { a.b = { c = 1 }, a.d = 2 } | {a=1}
"x" | "x | "" | "a\nb\u00e9\U0001F600" | "\ud800" | "\u12" | "\u0000" | "\x41" | "\e" | "\ " | "\"" | "\\" | "\U00110000"
'a\b' | '' | 'x | '''a'b''c''' | ''''a''' | '''a'''' | '''a''''' | '''a'''''' | """""" | """""""" | """a""b""" | """a\"""" | """a\ b"""
1979-05-27 | 1979-05-27T07:32:00 | 1979-05-27 07:32:00Z | 1979-05-27t07:32:00z | 1979-05-27T07:32:00.5-07:00
1979-05-27T07:32 | 1979-05-27T07:32Z | 07:32:00 | 07:32:00.999999999 | 07:32:00.1234567890123 | 07:32 | 1979-13-27 | 1979-02-30
25:00:00 | 1979-05-27 # c | 1979-05-27 x | 1979-05-27  07:32:00 | 1979-5-27 | [ 1979-05-27, 07:32:00 ] | 07:32:60 | 07:32:00.
1979-05-27T07:32:00+25:00 | 1979-05-27T | 1979-05-27T07:32:00+07 | 1979-05-27T07:32:00 Z | 0000-01-01 | 1979_05_27
1 # c | 1 c | 1 #
"##;

#[test]
fn values_are_those_of_the_library() {
    let mut values: Vec<String> =
        VALUES.lines().flat_map(|line| line.split(" | ")).map(str::to_owned).collect();
    for odd in [
        "[1,\n # c\n2\n]",
        "{ a = 1,\n b = 2 }",
        "{ a = [\n1] }",
        "{ a = 1 # c\n}",
        "{ a = 1\n}",
        "\"a\tb\"",
        "\"a\u{1}b\"",
        "\"a\u{7f}\"",
        "'a\u{1}'",
        "'a\nb'",
        "'''a\nb'''",
        "'''\na'''",
        "'''\r\na'''",
        "\"\"\"\na\r\nb\"\"\"",
        "\"\"\"a\\\n  \n b\"\"\"",
        "\"\"\"a\\  \n b\"\"\"",
        "\"\"\"a\\\r\n b\"\"\"",
        "\"\"\"a\rb\"\"\"",
        "'''a\rb'''",
        "1\r",
        "1\r\n",
        "1 # \u{1}",
        "1 # \u{7f}",
        "1 # é",
        "1 # \r",
        "1 # a\r\n",
        "\"\"\"a\u{1}\"\"\"",
        "[1\r\n,2]",
        "[1\r,2]",
        "\u{a0}1",
        "1\u{feff}",
    ] {
        values.push(odd.to_owned());
    }
    check(values.iter().flat_map(|value| {
        [
            format!("a = {value}"),
            format!("a = {value}\nb = 1\n"),
            format!("a = [ {value} , 1 ]"),
            format!("a = {{ b = {value}, c = 1 }}"),
        ]
    }));
}

const LINES: &[&str] = &[
    "[a]",
    "[a.b]",
    "[a.b.c]",
    "[b]",
    "[[a]]",
    "[[a.b]]",
    "[[b]]",
    "a = 1",
    "a.b = 1",
    "a.b.c = 1",
    "b = 2",
    "b.c = 3",
    "c = { a = 1 }",
    "c.a = 1",
    "a = { b.c = 1 }",
    "b = [ { a = 1 } ]",
    "[c]",
    "[c.a]",
    "[a.b.c.d]",
    "c.a.b = 1",
    "[[a.b.c]]",
];

#[test]
fn tables_are_those_of_the_library() {
    let forms = [
        "\"a\".'b' = 1",
        "[ a . \"b\" ]",
        "[[ a ]]",
        "[]",
        "[[]]",
        "[[a]",
        "[a]]",
        "[a.]",
        "[.a]",
        "a",
        "= 1",
        "a. = 1",
        "# c",
        "",
        "[ [a]]",
        "[[a] ]",
        "\"\" = 1",
        "[\"\"]",
        "a = 1 b = 2",
        "\"\"\"a\"\"\" = 1",
        "1 = 1",
        "-_ = 1",
        "[a] # c",
        "[a] b = 1",
        "a b = 1",
        "\"\\u0061\" = 1",
        "\"a\\tb\" = 1",
        "é = 1",
        "'é' = 1",
        "a\n= 1",
        "a =\n1",
        "\ta\t.\tb\t=\t1\t",
        "[a\n]",
        "\u{feff}a = 1",
    ];
    let mut texts: Vec<String> = forms.iter().map(|form| form.to_string()).collect();
    // All pairs and triples, then longer ones by chance.
    for one in LINES {
        for two in LINES {
            texts.push(format!("{one}\n{two}"));
            texts.extend(LINES.iter().map(|three| format!("{one}\n{two}\r\n{three}\n")));
        }
        texts.extend(forms.iter().map(|form| format!("{one}\n{form}")));
    }
    let mut next = numbers(1);
    for _ in 0..20_000 {
        let n = 4 + next(6);
        let text: Vec<&str> = (0..n).map(|_| LINES[next(LINES.len())]).collect();
        texts.push(text.join("\n"));
    }
    check(texts);
}

#[test]
fn broken_texts_are_refused_by_both() {
    let whole = "a = [ 1, 0x2_0, -1.5e3 ] # c\n[t.\"u v\"]\nx.y = { z = 'q', w = \"\\u0041\\n\" }\n[[l]]\n\
                 d = 1979-05-27 07:32:00.5Z\nm = \"\"\"\n a\\\n b\"\"\"\n[[l]]\nk = true\ni = -inf\n";
    let mut next = numbers(7);
    let pieces = [
        "\"", "'", "[", "]", "{", "}", ",", "=", ".", "#", "\n", "\\", "1", "_", " ", "a", "-",
        ":", "\r", "e", "0", "",
    ];
    let mut texts = vec![whole.to_owned()];
    for _ in 0..30_000 {
        let mut text = whole.to_owned();
        for _ in 0..1 + next(3) {
            let at = next(text.len() + 1);
            let end = (at + next(4)).min(text.len());
            text.replace_range(at..end, pieces[next(pieces.len())]);
        }
        texts.push(text);
    }
    check(texts);
}
