//! Every way to fail, one function per mistake.
//!
//! First lines use the words of C++ Nix where scripts are known to look for them. Builtins of other crates
//! use [`Error::new`] with a class when no function here fits.

use super::{Class, Error, suggest};
use crate::{
    host::NixPath,
    limits::LimitKind,
    symbol::{Symbol, Symbols},
    value::{Attrs, View},
};

/// The text of a name for a message.
fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// `throw "…"`.
#[cold]
pub fn thrown(message: impl Into<String>) -> Error {
    Error::new(Class::Throw, message)
}

/// `abort "…"`.
#[cold]
pub fn aborted(message: &str) -> Error {
    let sentence = format!("evaluation aborted with the following error message: '{message}'");
    Error::new(Class::Abort, sentence)
}

/// `assert false; …`.
#[cold]
pub fn assertion_failed(expression: &str) -> Error {
    Error::new(Class::Assert, format!("assertion '{expression}' failed"))
}

/// A value of another type than `expected` (with its article); `preview` shows the value.
#[cold]
pub fn wrong_type(expected: &str, found: &View, preview: &str) -> Error {
    let found = found.with_article();
    let message = if preview.is_empty() || preview == found {
        format!("expected {expected} but found {found}")
    } else {
        format!("expected {expected} but found {found}: {preview}")
    };
    Error::new(Class::Type, message)
}

/// A value that has no text.
#[cold]
pub fn cannot_coerce(found: &View, preview: &str) -> Error {
    let found = found.with_article();
    let message = if preview.is_empty() || preview == found {
        format!("cannot coerce {found} to a string")
    } else {
        format!("cannot coerce {found} to a string: {preview}")
    };
    Error::new(Class::Type, message).numbered(2)
}

/// A call of something that is no function and no functor.
#[cold]
pub fn not_a_function(found: &View, preview: &str) -> Error {
    let found = found.with_article();
    let message = if preview.is_empty() || preview == found {
        format!("attempt to call something which is not a function but {found}")
    } else {
        format!("attempt to call something which is not a function but {found}: {preview}")
    };
    Error::new(Class::Type, message).numbered(3)
}

/// `{ colour = 1; }.color`
#[cold]
pub fn missing_attr(symbols: &Symbols, name: Symbol, attrs: Attrs) -> Error {
    let wanted = symbols.name(name);
    let error = Error::new(Class::MissingAttr, format!("attribute '{}' missing", text(wanted)));
    // A set may say itself what to do about a missing name; `@` stands for the name.
    let own = symbols.lookup(b"__missingAttrHint").and_then(|hint| attrs.get(hint));
    if let Some(View::String(hint)) = own.map(|hint| hint.peek().view()) {
        return error.hint(text(hint.bytes()).replace('@', &text(wanted)));
    }
    let names = attrs.names();
    let near = suggest::nearest(wanted, names.iter().map(|&n| symbols.name(n)));
    let Some(question) = suggest::question(&near) else { return error };
    let error = error.instead(wanted, &near.first().map(|name| text(name)).unwrap_or_default());
    let first = near.first().and_then(|name| symbols.lookup(name));
    match first.and_then(|name| attrs.position(name)) {
        Some(place) => error.label(place, "this is there").hint(question),
        None => error.hint(question),
    }
}

/// A required attribute of a builtin's argument set.
#[cold]
pub fn required_attr(name: &str, what: &str) -> Error {
    Error::new(Class::MissingAttr, format!("attribute '{name}' missing in {what}")).numbered(2)
}

/// A variable that neither scope nor any `with` has.
#[cold]
pub fn undefined_variable(name: &[u8]) -> Error {
    Error::new(Class::Undefined, format!("undefined variable '{}'", text(name)))
}

/// A value that needs itself.
#[cold]
pub fn infinite_recursion() -> Error {
    Error::new(Class::Recursion, "infinite recursion encountered")
}

/// A call whose set lacks formals or has names that are none. `function` is its name, if it has one.
#[cold]
pub fn wrong_arguments(function: Option<&[u8]>, missing: &[&[u8]], unexpected: &[&[u8]]) -> Error {
    let list = |names: &[&[u8]]| {
        // A name that is no identifier is shown as it would be written.
        let written = |name: &[u8]| {
            let mut shown = Vec::new();
            crate::value::print::attr_name(name, &mut shown);
            text(&shown)
        };
        let quoted: Vec<String> = names.iter().map(|n| format!("'{}'", written(n))).collect();
        match quoted.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            _ => quoted.concat(),
        }
    };
    let plural = |names: &[&[u8]]| if names.len() == 1 { "argument" } else { "arguments" };
    let mut message = match function {
        Some(name) => format!("function '{}' called ", text(name)),
        None => "function 'anonymous lambda' called ".to_owned(),
    };
    if !missing.is_empty() {
        message += &format!("without required {} {}", plural(missing), list(missing));
    }
    if !unexpected.is_empty() {
        if !missing.is_empty() {
            message += ", and ";
        }
        message += &format!("with unexpected {} {}", plural(unexpected), list(unexpected));
    }
    Error::new(Class::CallArgs, message)
}

/// `9223372036854775807 + 1`
#[cold]
pub fn overflow(what: &str, left: i64, operator: &str, right: i64) -> Error {
    Error::new(Class::Arith, format!("integer overflow in {what} {left} {operator} {right}"))
}

/// `1 / 0`
#[cold]
pub fn division_by_zero() -> Error {
    Error::new(Class::Arith, "division by zero").numbered(2)
}

/// `null < null`
#[cold]
pub fn cannot_compare(left: &View, right: &View) -> Error {
    let (left, right) = (left.with_article(), right.with_article());
    let message = if left == right {
        format!("cannot compare {left} with {right}; values of that type are incomparable")
    } else {
        format!("cannot compare {left} with {right}")
    };
    Error::new(Class::Compare, message)
}

/// A position outside a list or a string.
#[cold]
pub fn index(message: impl Into<String>) -> Error {
    Error::new(Class::Index, message)
}

/// A string that refers to store paths where none may be.
#[cold]
pub fn context_not_allowed(string: &[u8], path: &str) -> Error {
    let string = text(string);
    let message =
        format!("the string '{string}' is not allowed to refer to a store path ('{path}')");
    Error::new(Class::Context, message)
}

/// Malformed JSON, TOML, regex, hash or name.
#[cold]
pub fn format(message: impl Into<String>) -> Error {
    Error::new(Class::Format, message)
}

/// Another bad argument value.
#[cold]
pub fn argument(message: impl Into<String>) -> Error {
    Error::new(Class::Argument, message)
}

/// A dynamic attribute whose name the set has already.
#[cold]
pub fn duplicate_attr(name: &[u8]) -> Error {
    Error::new(Class::Argument, format!("dynamic attribute '{}' already defined", text(name)))
        .numbered(2)
}

/// A limit was passed.
#[cold]
pub fn limit(kind: LimitKind, value: u64) -> Error {
    let message = match kind {
        LimitKind::CallDepth => {
            format!("stack overflow; max-call-depth exceeded (the limit is {value})")
        }
        LimitKind::StackBytes => {
            format!("stack overflow; the evaluation needs more than {value} bytes of stack")
        }
        LimitKind::HeapBytes => format!("out of memory; the heap limit is {value} bytes"),
        LimitKind::Steps => format!("the evaluation takes more than {value} steps"),
        LimitKind::Deadline => "the evaluation takes more time than it was given".to_owned(),
        LimitKind::StringBytes => format!("a string would be longer than {value} bytes"),
        LimitKind::ListItems => {
            format!("out of memory; a list would have more than {value} elements")
        }
        LimitKind::Imports => format!("the evaluation imports more than {value} files"),
        LimitKind::OpenFiles => format!("more than {value} files would be open"),
    };
    Error::new(Class::Limit, message).numbered(kind as u8 + 1).of_limit(kind, value)
}

/// Somebody asked to stop.
#[cold]
pub fn cancelled() -> Error {
    Error::new(Class::Interrupted, "the evaluation was cancelled")
}

/// The host could not or would not.
#[cold]
pub fn host(error: crate::host::HostError) -> Error {
    error.into_error()
}

/// There is nothing at a path that a builtin was asked to look at; `shown` is what programs call it.
#[cold]
pub fn no_such_path(path: &NixPath, shown: &[u8]) -> Error {
    Error::new(Class::Io, format!("path '{}' does not exist", String::from_utf8_lossy(shown)))
        .numbered(2)
        .about_missing(path.clone())
}
