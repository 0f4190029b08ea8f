//! Which derivations a value holds, and where `-A` leads.

use nix_eval::{
    Error,
    error::{self, Class, suggest},
    machine::Machine,
    value::{Value, View},
};

/// A derivation found in a value.
pub(crate) struct Found {
    /// Full logical path of the `.drv`.
    pub(crate) drv_path: String,
    /// The output that was asked for.
    pub(crate) output: String,
}

/// Arguments for functions that are called on the way.
pub(crate) type Arguments = [(String, Value)];

/// All derivations of a value: itself, or those in a list or set, in order. Sets are entered only where
/// `recurseForDerivations` says so, but for the outermost.
///
/// # Errors
/// What the evaluation says; a value that is neither derivation, list nor set.
pub(crate) fn collect(
    m: &mut Machine,
    v: Value,
    arguments: &Arguments,
) -> Result<Vec<Found>, Error> {
    let recurse = m.symbol("recurseForDerivations");
    let symbols = m.symbol_table();
    let mut found = Vec::new();
    let mut seen: Vec<Value> = Vec::new();
    let mut todo = vec![(v, true)];
    while let Some((v, is_root)) = todo.pop() {
        m.poll()?;
        let v = if is_root { m.auto_call(v, arguments)? } else { m.force(v)? };
        match v.view() {
            View::Attrs(attrs) => {
                if m.is_derivation(attrs)? {
                    if !seen.contains(&v) {
                        seen.push(v);
                        found.push(one(m, v)?);
                    }
                    continue;
                }
                let enter = match attrs.get(recurse) {
                    _ if is_root => true,
                    Some(flag) => m.force_bool(flag, "the attribute 'recurseForDerivations'")?,
                    None => false,
                };
                if enter {
                    let all: Vec<_> = attrs.iter_by_name(&symbols).collect();
                    let named = |name: &[u8]| {
                        name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
                            && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(b))
                    };
                    let kept = all.into_iter().filter(|(n, _)| named(symbols.name(*n)));
                    let kept: Vec<_> = kept.map(|(_, v)| (v, false)).collect();
                    todo.extend(kept.into_iter().rev());
                }
            }
            View::List(items) => todo.extend(items.iter().rev().map(|v| (v, true))),
            _ if is_root => {
                return Err(Error::new(
                    Class::Type,
                    "expression does not evaluate to a derivation (or a set or list of those)",
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn one(m: &mut Machine, v: Value) -> Result<Found, Error> {
    let attrs = m.force_attrs(v, "a derivation")?;
    let text = |m: &mut Machine, name: &str| -> Result<Option<String>, Error> {
        let symbol = m.symbol(name);
        match attrs.get(symbol) {
            Some(v) => {
                let what = format!("the attribute '{name}' of a derivation");
                Ok(Some(m.force_string(v, &what)?.to_text()))
            }
            None => Ok(None),
        }
    };
    let drv_path =
        text(m, "drvPath")?.ok_or_else(|| error::required_attr("drvPath", "a derivation"))?;
    let output = text(m, "outputName")?.unwrap_or_else(|| "out".to_owned());
    Ok(Found { drv_path, output })
}

/// Splits an attribute path: dots part it, quotes protect them.
///
/// # Errors
/// An open quote, an empty name.
pub(crate) fn parse_path(text: &str) -> Result<Vec<String>, Error> {
    let mut path = Vec::new();
    if text.is_empty() {
        return Ok(path);
    }
    let mut name = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => path.push(std::mem::take(&mut name)),
            c => name.push(c),
        }
    }
    if quoted {
        let message = format!("missing closing quote in selection path '{text}'");
        return Err(Error::new(Class::Parse, message));
    }
    path.push(name);
    Ok(path)
}

/// Follows an attribute path; functions on the way are called. The last value is not.
///
/// # Errors
/// A step that leads nowhere, with names that are near.
pub(crate) fn select(
    m: &mut Machine,
    mut v: Value,
    path: &str,
    arguments: &Arguments,
) -> Result<Value, Error> {
    for name in parse_path(path)? {
        m.poll()?;
        v = m.auto_call(v, arguments)?;
        let wrong = |expected: &str, m: &Machine, v: Value| {
            let found = v.view().with_article();
            let _ = m;
            Error::new(
                Class::Type,
                format!(
                    "the expression selected by the selection path '{path}' should be {expected} but is {found}"
                ),
            )
        };
        if let Ok(index) = name.parse::<usize>() {
            let Some(items) = v.as_list() else { return Err(wrong("a list", m, v)) };
            v = items.get(index).ok_or_else(|| {
                error::index(format!(
                    "list index {index} in selection path '{path}' is out of range"
                ))
            })?;
            continue;
        }
        let Some(attrs) = v.as_attrs() else { return Err(wrong("a set", m, v)) };
        if name.is_empty() {
            let message = format!("empty attribute name in selection path '{path}'");
            return Err(Error::new(Class::Parse, message));
        }
        let symbol = m.symbol(&name);
        v = attrs.get(symbol).ok_or_else(|| {
            let names = attrs.names();
            let near =
                suggest::nearest(name.as_bytes(), names.iter().map(|&n| m.symbols().name(n)));
            let error = Error::new(
                Class::MissingAttr,
                format!("attribute '{name}' in selection path '{path}' not found"),
            );
            match suggest::question(&near) {
                Some(question) => error.hint(question),
                None => error,
            }
        })?;
    }
    Ok(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_dots() {
        assert_eq!(parse_path("a.\"b.c\".0").expect("a path"), ["a", "b.c", "0"]);
        assert!(parse_path("a.\"b").is_err());
        assert!(parse_path("").expect("the root").is_empty());
    }
}
