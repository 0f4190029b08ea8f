//! Which derivations a value holds, and where `-A` leads.

use nix_eval::{
    Error,
    error::{self, Class, suggest},
    machine::Machine,
    packages::{Failures, Names, Package, Seen, Walk, Wants},
    value::Value,
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
    let (failures, names, wants) = (Failures::Raise, Names::Plain, Wants::Drv);
    let walk = Walk { arguments, failures, names, wants };
    let mut packages = Vec::new();
    walk.run(m, v, &mut |_, seen| {
        if let Seen::Package(package) = seen {
            packages.push(package);
        }
        Ok(())
    })?;
    packages.iter().map(|package| one(m, package)).collect()
}

fn one(m: &mut Machine, package: &Package) -> Result<Found, Error> {
    let drv_path = package.drv_path(m)?;
    let drv_path = drv_path.ok_or_else(|| error::required_attr("drvPath", "a derivation"))?;
    let output = String::from_utf8_lossy(&package.output_name(m)?).into_owned();
    let output = if output.is_empty() { "out".to_owned() } else { output };
    Ok(Found { drv_path: m.store_dir().display(&drv_path), output })
}

/// Splits an attribute path: dots part it, quotes protect them.
///
/// # Errors
/// An open quote.
pub(crate) fn parse_path(text: &str) -> Result<Vec<String>, Error> {
    let mut path = Vec::new();
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
    // COMPAT: nothing after the last dot is no name.
    if !name.is_empty() {
        path.push(name);
    }
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
        assert_eq!(parse_path("a.").expect("a path"), ["a"]);
        assert_eq!(parse_path(".a").expect("a path"), ["", "a"]);
    }
}
