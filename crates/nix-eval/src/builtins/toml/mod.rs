//! `fromTOML`: TOML 1.0. What 1.1 added is refused, since a file that another Nix refuses should not work with us.

mod number;
mod read;
mod scalar;
mod timestamp;

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::Machine,
    value::Value,
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
    read::read(m, text)
}

#[cfg(test)]
mod tests;
