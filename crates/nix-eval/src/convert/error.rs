//! Serde's complaints in the words of the language.

use std::fmt::Display;

use serde::de::{Expected, Unexpected};

use crate::error::{Class, Error, suggest};

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Error {
        Error::new(Class::Type, message.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<T: Display>(message: T) -> Error {
        Error::new(Class::Type, message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Error {
        mismatch(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Error {
        mismatch(found, expected)
    }

    fn invalid_length(len: usize, expected: &dyn Expected) -> Error {
        let expected = wanted(&expected.to_string());
        Error::new(Class::Type, format!("expected {expected} but found {len} elements"))
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Error {
        let error = Error::new(
            Class::Type,
            format!("expected one of {} but found '{found}'", quoted(expected)),
        );
        did_you_mean(error, found, expected)
    }

    fn unknown_field(found: &str, expected: &'static [&'static str]) -> Error {
        let error = Error::new(Class::Type, format!("unexpected attribute '{found}'"));
        match suggest::nearest(found.as_bytes(), expected.iter().map(|n| n.as_bytes())).is_empty() {
            true if !expected.is_empty() => error.hint(format!("known are {}", quoted(expected))),
            _ => did_you_mean(error, found, expected),
        }
    }

    fn missing_field(name: &'static str) -> Error {
        Error::new(Class::MissingAttr, format!("attribute '{name}' missing"))
    }

    fn duplicate_field(name: &'static str) -> Error {
        Error::new(Class::Type, format!("attribute '{name}' given twice"))
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(", ")
}

fn did_you_mean(error: Error, found: &str, expected: &[&str]) -> Error {
    let near = suggest::nearest(found.as_bytes(), expected.iter().map(|name| name.as_bytes()));
    match suggest::question(&near) {
        Some(question) => error.hint(question),
        None => error,
    }
}

#[cold]
fn mismatch(found: Unexpected<'_>, expected: &dyn Expected) -> Error {
    let expected = wanted(&expected.to_string());
    let found = match found {
        Unexpected::Bool(b) => format!("a Boolean: {b}"),
        Unexpected::Signed(n) => format!("an integer: {n}"),
        Unexpected::Unsigned(n) => format!("an integer: {n}"),
        Unexpected::Float(x) => format!("a float: {}", crate::value::number::format_f(x)),
        Unexpected::Str(text) => {
            let mut shown = Vec::new();
            let short: String = text.chars().take(60).collect();
            crate::value::print::quote(short.as_bytes(), &mut shown);
            let dots = if short.len() < text.len() { "…" } else { "" };
            format!("a string: {}{dots}", String::from_utf8_lossy(&shown))
        }
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a set".to_owned(),
        other => other.to_string(),
    };
    Error::new(Class::Type, format!("expected {expected} but found {found}"))
}

/// What serde expects, in the words of the language.
fn wanted(expected: &str) -> String {
    let integer = |low: i128, high: i128| format!("an integer from {low} to {high}");
    match expected {
        "i8" => integer(i8::MIN.into(), i8::MAX.into()),
        "i16" => integer(i16::MIN.into(), i16::MAX.into()),
        "i32" => integer(i32::MIN.into(), i32::MAX.into()),
        "i64" | "i128" | "isize" => "an integer".to_owned(),
        "u8" => integer(0, u8::MAX.into()),
        "u16" => integer(0, u16::MAX.into()),
        "u32" => integer(0, u32::MAX.into()),
        "u64" | "u128" | "usize" => "an integer from 0 on".to_owned(),
        "f32" | "f64" => "a float".to_owned(),
        "a boolean" => "a Boolean".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a set".to_owned(),
        "unit" => "null".to_owned(),
        "path string" => "a path".to_owned(),
        _ => match expected.split_once(' ') {
            Some(("struct", name)) => format!("a set ({name})"),
            Some(("enum", name)) => format!("a string or a set of one attribute ({name})"),
            _ => expected.to_owned(),
        },
    }
}
