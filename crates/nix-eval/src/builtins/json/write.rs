//! Values as JSON text.

use crate::{
    error::{Class, Error},
    machine::{Coerce, Machine},
    symbol::Symbol,
    value::{Attrs, ContextBuilder, List, Value, View, number},
};

/// What is left to write.
enum Todo {
    /// A value and how deep it lies.
    Value(Value, u32),
    Text(&'static [u8]),
    /// The elements of a list from this one on, how deep they lie, and its end.
    Items(List, usize, u32),
    /// A name and the colon behind it.
    Name(Symbol),
}

/// Appends a value to `out` as JSON, without spaces, names in byte order. The context of strings and copied
/// paths goes into `context`. With `force` off, an unevaluated value is an error.
///
/// Walks with a work list: the depth of the value is input.
///
/// # Errors
/// When forcing fails, a function is met, a string is not UTF-8, or a path cannot be copied.
pub fn to_json(
    m: &mut Machine,
    v: Value,
    force: bool,
    context: &mut ContextBuilder,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let symbols = m.symbol_table();
    let (to_string, out_path) = (m.symbol("__toString"), m.symbol("outPath"));
    let mut todo = vec![Todo::Value(v, 0)];
    while let Some(next) = todo.pop() {
        m.poll()?;
        let (v, depth) = match next {
            Todo::Text(text) => {
                out.extend_from_slice(text);
                continue;
            }
            Todo::Name(name) => {
                write_string(symbols.name(name), out)?;
                out.push(b':');
                continue;
            }
            Todo::Items(items, at, depth) => {
                let Some(item) = items.as_slice().get(at) else {
                    out.push(b']');
                    continue;
                };
                if at > 0 {
                    out.push(b',');
                }
                todo.push(Todo::Items(items, at + 1, depth));
                todo.push(Todo::Value(*item, depth));
                continue;
            }
            Todo::Value(v, depth) if force => (m.force(v)?, depth),
            Todo::Value(v, depth) => (v.peek(), depth),
        };
        m.check_depth(depth)?;
        match v.view() {
            View::Null => out.extend_from_slice(b"null"),
            View::Bool(true) => out.extend_from_slice(b"true"),
            View::Bool(false) => out.extend_from_slice(b"false"),
            View::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            View::Float(x) => out.extend_from_slice(number::format_json(x).as_bytes()),
            View::String(s) => {
                context.add(s.context());
                write_value(m, s.bytes(), out)?;
            }
            View::Path(_) => {
                let text = m.coerce_to_string(v, Coerce::INTERPOLATE, context)?;
                write_value(m, text.bytes(), out)?;
            }
            View::List(items) => {
                out.push(b'[');
                todo.push(Todo::Items(items, 0, depth + 1));
            }
            View::Attrs(attrs) => {
                if let Some(f) = attrs.get(to_string) {
                    let text = text_of(m, f, v, context)?;
                    write_value(m, &text, out)?;
                } else if let Some(path) = attrs.get(out_path) {
                    todo.push(Todo::Value(path, depth + 1));
                } else {
                    out.push(b'{');
                    m.room_for(&mut todo, 3 * attrs.len())?;
                    push_attrs(&symbols, attrs, depth + 1, &mut todo);
                }
            }
            View::Function(_) | View::External(_) => {
                let text = format!("cannot convert {} to JSON", v.view().with_article());
                return Err(Error::new(Class::Type, text));
            }
            View::Thunk(_) => {
                return Err(Error::new(Class::Type, "cannot convert a thunk to JSON"));
            }
        }
        m.check_string_len(out.len() as u64)?;
    }
    Ok(())
}

fn push_attrs(symbols: &crate::symbol::Symbols, attrs: Attrs, depth: u32, todo: &mut Vec<Todo>) {
    todo.push(Todo::Text(b"}"));
    let all: Vec<_> = attrs.iter_by_name(symbols).collect();
    for (i, (name, value)) in all.into_iter().enumerate().rev() {
        todo.push(Todo::Value(value, depth));
        todo.push(Todo::Name(name));
        if i > 0 {
            todo.push(Todo::Text(b","));
        }
    }
}

/// The text of a set with `__toString`; a path that it gives is not copied.
fn text_of(
    m: &mut Machine,
    f: Value,
    v: Value,
    context: &mut ContextBuilder,
) -> Result<Vec<u8>, Error> {
    let f = m.force(f)?;
    let result = m.call(f, &[v])?;
    Ok(m.coerce_to_string(result, Coerce::PATH_TEXT, context)?.bytes().to_vec())
}

/// Appends a JSON string.
///
/// # Errors
/// When the bytes are not UTF-8.
pub fn write_string(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    check_text(bytes)?;
    out.push(b'"');
    write_escaped(bytes, out);
    out.push(b'"');
    Ok(())
}

/// As [`write_string`], for strings that may be long.
fn write_value(m: &mut Machine, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    const PART: usize = 256 << 10;
    if bytes.len() <= PART {
        return write_string(bytes, out);
    }
    m.poll_now()?;
    check_text(bytes)?;
    m.check_string_len((out.len() + bytes.len()) as u64)?;
    out.push(b'"');
    for part in bytes.chunks(PART) {
        m.poll_now()?;
        write_escaped(part, out);
    }
    out.push(b'"');
    Ok(())
}

fn check_text(bytes: &[u8]) -> Result<(), Error> {
    if std::str::from_utf8(bytes).is_ok() {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
    Err(Error::new(
        Class::Format,
        format!("JSON strings are UTF-8, and this string is not: \"{shown}\""),
    ))
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut plain = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0c => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
        plain = i + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
}
