//! Dates and times of TOML.

use toml::value::Datetime;

use crate::{
    error::{self, Error},
    machine::Machine,
    value::Value,
};

/// A date or time of TOML 1.0; 1.1 allows times without seconds.
pub(super) fn parse(text: &str) -> Option<Datetime> {
    let bytes = text.as_bytes();
    let is_short = |(at, byte): (usize, &u8)| *byte == b':' && is_short_time(bytes, at);
    if bytes.iter().enumerate().any(is_short) {
        return None;
    }
    text.parse().ok()
}

/// `{ _type = "timestamp"; value = …; }`.
///
/// # Errors
/// The feature is switched off.
pub(super) fn value(m: &mut Machine, date: &Datetime) -> Result<Value, Error> {
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

/// Whether the colon at `at` is that of `HH:MM` without seconds.
pub(super) fn is_short_time(bytes: &[u8], at: usize) -> bool {
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let is_first = at >= 2 && digit(at - 1) && digit(at - 2) && (at < 3 || bytes[at - 3] != b':');
    let is_offset = at >= 3 && matches!(bytes[at - 3], b'+' | b'-');
    is_first && !is_offset && digit(at + 1) && digit(at + 2) && bytes.get(at + 3) != Some(&b':')
}
