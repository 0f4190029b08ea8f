//! `fromTOML`: TOML 1.0.
//!
//! The library reads TOML 1.1; what 1.1 added is refused here, since a file that another Nix refuses should
//! not work with us.

use toml::{Value as Toml, value::Datetime};

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::Machine,
    value::{ContextId, Value},
};

pub(super) const TOML: &[Builtin] = &[Builtin {
    name: "fromTOML",
    params: &["e"],
    doc: "The value of a TOML text. Dates and times need the feature `parse-toml-timestamps`.",
    examples: &[Example {
        source: r#"builtins.fromTOML "x = 1\n[t]\ny = [ 2.5 ]""#,
        shows: "{ t = { y = [ 2.5 ]; }; x = 1; }",
    }],
    run: Run::One(from_toml),
}];

fn from_toml(m: &mut Machine, text: Value) -> Result<Value, Error> {
    let text = m.force_string_no_context(text, "the argument of 'builtins.fromTOML'")?;
    let text = std::str::from_utf8(text.bytes()).map_err(|e| {
        error::format(format!("invalid TOML: not UTF-8 at byte {}", e.valid_up_to()))
    })?;
    if text.contains('\0') {
        return Err(error::format("invalid TOML: NUL bytes are not allowed"));
    }
    refuse_newer(text)?;
    let table: toml::Table = toml::from_str(text)
        .map_err(|e| error::format(format!("invalid TOML: {}", e.message())))?;
    to_value(m, Toml::Table(table))
}

/// A list or table that is being made.
enum Open {
    List(std::vec::IntoIter<Toml>, Vec<Value>),
    Table(toml::map::IntoIter<String, Toml>, String, Vec<(String, Value)>),
}

fn to_value(m: &mut Machine, root: Toml) -> Result<Value, Error> {
    let mut open: Vec<Open> = Vec::new();
    let mut next = root;
    loop {
        m.poll()?;
        let mut value = match next {
            Toml::Array(items) => {
                let mut items = items.into_iter();
                match items.next() {
                    None => Value::EMPTY_LIST,
                    Some(first) => {
                        open.push(Open::List(items, Vec::new()));
                        next = first;
                        continue;
                    }
                }
            }
            Toml::Table(table) => {
                let mut entries = table.into_iter();
                match entries.next() {
                    None => m.empty_attrs(),
                    Some((name, first)) => {
                        open.push(Open::Table(entries, name, Vec::new()));
                        next = first;
                        continue;
                    }
                }
            }
            Toml::String(text) => {
                if text.contains('\0') {
                    return Err(error::format("invalid TOML: strings may not contain NUL"));
                }
                m.new_string(text.as_bytes(), ContextId::NONE)
            }
            Toml::Integer(n) => m.new_int(n),
            Toml::Float(x) => m.new_float(x),
            Toml::Boolean(b) => Value::bool(b),
            Toml::Datetime(date) => timestamp(m, &date)?,
        };
        loop {
            match open.last_mut() {
                None => return Ok(value),
                Some(Open::List(items, done)) => {
                    done.push(value);
                    match items.next() {
                        Some(item) => {
                            next = item;
                            break;
                        }
                        None => {
                            let done = std::mem::take(done);
                            value = m.new_list(&done);
                            open.pop();
                        }
                    }
                }
                Some(Open::Table(entries, name, done)) => {
                    if name.contains('\0') {
                        return Err(error::format("invalid TOML: names may not contain NUL"));
                    }
                    done.push((std::mem::take(name), value));
                    match entries.next() {
                        Some((key, item)) => {
                            *name = key;
                            next = item;
                            break;
                        }
                        None => {
                            let done = std::mem::take(done);
                            let attrs: Vec<_> =
                                done.into_iter().map(|(n, v)| (m.symbol(&n), v)).collect();
                            value = m.new_attrs(&attrs);
                            open.pop();
                        }
                    }
                }
            }
        }
    }
}

fn timestamp(m: &mut Machine, date: &Datetime) -> Result<Value, Error> {
    if !m.options().features.contains("parse-toml-timestamps") {
        return Err(error::format(
            "invalid TOML: dates and times are not supported without the experimental feature 'parse-toml-timestamps'",
        ));
    }
    let mut text = String::new();
    if let Some(d) = &date.date {
        text += &format!("{:04}-{:02}-{:02}", d.year, d.month, d.day);
    }
    if let Some(t) = &date.time {
        if date.date.is_some() {
            text.push('T');
        }
        text += &format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second.unwrap_or(0));
        // Sub-seconds come in groups of three digits.
        match t.nanosecond.unwrap_or(0) {
            0 => {}
            n if n % 1_000_000 == 0 => text += &format!(".{:03}", n / 1_000_000),
            n if n % 1_000 == 0 => text += &format!(".{:06}", n / 1_000),
            n => text += &format!(".{n:09}"),
        }
    }
    if let Some(offset) = &date.offset {
        text += &offset.to_string();
    }
    let (kind, value) = (m.new_text("timestamp"), m.new_text(&text));
    let names = (m.symbol("_type"), m.symbol("value"));
    Ok(m.new_attrs(&[(names.0, kind), (names.1, value)]))
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
            b':' if is_short_time(bytes, i) => return fail(i, "a time needs seconds"),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        i += 1;
    }
    Ok(())
}

/// Whether the colon at `at` is that of `HH:MM` without seconds.
fn is_short_time(bytes: &[u8], at: usize) -> bool {
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let is_first = at >= 2 && digit(at - 1) && digit(at - 2) && (at < 3 || bytes[at - 3] != b':');
    let is_offset = at >= 3 && matches!(bytes[at - 3], b'+' | b'-');
    is_first && !is_offset && digit(at + 1) && digit(at + 2) && bytes.get(at + 3) != Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_toml_1_1_added_is_refused() {
        for text in [
            "a = { b = 1,\n c = 2 }",
            "a = { b = 1, }",
            r#"a = "\e""#,
            r#"a = "\x41""#,
            "a = 07:32",
            "a = 1979-05-27T07:32Z",
        ] {
            assert!(refuse_newer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn toml_1_0_passes() {
        for text in [
            "a = [ 1,\n 2,\n]",
            "a = { b = [ 1,\n 2,\n ] }",
            r#"a = '\e' # \x, { ,}"#,
            "a = 07:32:00\nb = 1979-05-27T00:32:00-07:00",
            "a = \"\"\"x\n\\\"}\"\"\"\n[t.\"k:1\"]",
        ] {
            assert!(refuse_newer(text).is_ok(), "{text}");
        }
    }
}
