//! Versions and package names.

use std::cmp::Ordering;

use super::strings::bytes_value;
use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    value::Value,
};

pub(super) const VERSIONS: &[Builtin] = &[
    Builtin {
        name: "compareVersions",
        params: &["s1", "s2"],
        doc: "-1, 0 or 1: whether version *s1* is older than *s2*, the same, or newer.",
        examples: &[
            Example { source: r#"builtins.compareVersions "1.0" "2.3""#, shows: "-1" },
            Example { source: r#"builtins.compareVersions "1.0pre" "1.0""#, shows: "-1" },
            Example { source: r#"builtins.compareVersions "2.10" "2.9""#, shows: "1" },
        ],
        run: Run::Two(compare_versions),
    },
    Builtin {
        name: "parseDrvName",
        params: &["s"],
        doc: "`{ name; version; }`: *s* parted before the first dash that no letter follows.",
        examples: &[Example {
            source: r#"builtins.parseDrvName "nix-0.12pre12876""#,
            shows: r#"{ name = "nix"; version = "0.12pre12876"; }"#,
        }],
        run: Run::One(parse_drv_name),
    },
    Builtin {
        name: "splitVersion",
        params: &["s"],
        doc: "The components of the version *s*, as `compareVersions` sees them.",
        examples: &[Example {
            source: r#"builtins.splitVersion "1.2rc-3""#,
            shows: r#"[ "1" "2" "rc" "3" ]"#,
        }],
        run: Run::One(split_version),
    },
];

/// The components of a version: runs of digits and of anything else, parted at `.` and `-`.
pub(super) struct Components<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Components<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().position(|b| !matches!(b, b'.' | b'-'))?;
        let rest = &self.0[start..];
        let digits = rest[0].is_ascii_digit();
        let ends = |b: &u8| matches!(b, b'.' | b'-') || b.is_ascii_digit() != digits;
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        self.0 = &rest[end..];
        Some(&rest[..end])
    }
}

/// A component as a number, if it is one.
///
/// COMPAT: one beyond 32 bits with a sign is no number but letters
/// (`long_numbers_in_versions_are_letters`).
fn number(component: &[u8]) -> Option<i32> {
    std::str::from_utf8(component).ok()?.parse().ok()
}

fn component_less(a: &[u8], b: &[u8]) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (a_number, b_number) => {
            let at_end = a.is_empty() && b_number.is_some();
            if at_end || (a == b"pre" && b != b"pre") {
                true
            } else if b == b"pre" {
                false
            } else if b_number.is_some() {
                // Letters come before numbers.
                true
            } else if a_number.is_some() {
                false
            } else {
                a < b
            }
        }
    }
}

/// The order of two versions.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let (mut a, mut b) = (Components(a), Components(b));
    loop {
        let (left, right) = (a.next(), b.next());
        if left.is_none() && right.is_none() {
            return Ordering::Equal;
        }
        let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
        if component_less(left, right) {
            return Ordering::Less;
        }
        if component_less(right, left) {
            return Ordering::Greater;
        }
    }
}

/// A package name parted into name and version.
pub(crate) fn split_name(full: &[u8]) -> (&[u8], &[u8]) {
    for (i, pair) in full.windows(2).enumerate() {
        if pair[0] == b'-' && !pair[1].is_ascii_alphabetic() {
            return (&full[..i], &full[i + 1..]);
        }
    }
    (full, b"")
}

fn compare_versions(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    let a = m.force_string_no_context(a, "the first argument of 'builtins.compareVersions'")?;
    let b = m.force_string_no_context(b, "the second argument of 'builtins.compareVersions'")?;
    m.poll()?;
    Ok(m.new_int(compare(a.bytes(), b.bytes()) as i64))
}

fn parse_drv_name(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let s = m.force_string_no_context(s, "the argument of 'builtins.parseDrvName'")?;
    let (name, version) = split_name(s.bytes());
    let (name, version) = (bytes_value(m, name), bytes_value(m, version));
    let names = [m.symbol("name"), m.symbol("version")];
    Ok(m.new_attrs(&[(names[0], name), (names[1], version)]))
}

fn split_version(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let s = m.force_string_no_context(s, "the argument of 'builtins.splitVersion'")?;
    let mut parts = Vec::new();
    for part in Components(s.bytes()) {
        m.poll()?;
        m.check_room(parts.len() as u64 * 24)?;
        parts.push(bytes_value(m, part));
    }
    Ok(m.new_list(&parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_order() {
        for (a, b) in [
            ("1.0pre", "1.0"),
            ("1.0", "1.0a"),
            ("1.0", "1.0rc1"),
            ("2.9", "2.10"),
            ("2.3a", "2.3.1"),
            ("2.3pre1", "2.3"),
            ("2.3pre3", "2.3pre12"),
            ("2.3a", "2.3c"),
            ("2.3pre1", "2.3c"),
        ] {
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b.as_bytes(), a.as_bytes()), Ordering::Greater, "{a} {b}");
        }
        assert_eq!(compare(b"1.01", b"1.1"), Ordering::Equal);
    }

    #[test]
    fn long_numbers_in_versions_are_letters() {
        assert_eq!(compare(b"2147483647", b"2147483646"), Ordering::Greater);
        assert_eq!(compare(b"2147483647", b"2147483648"), Ordering::Greater);
        assert_eq!(compare(b"2147483648", b"11111111111"), Ordering::Greater);
        assert_eq!(compare(b"2147483649", b"a"), Ordering::Less);
        assert_eq!(compare(b"00000000000000000007", b"8"), Ordering::Less);
    }

    #[test]
    fn a_version_begins_after_a_dash_without_a_letter() {
        assert_eq!(split_name(b"a-b-1.0-x"), (&b"a-b"[..], &b"1.0-x"[..]));
        assert_eq!(split_name(b"a-"), (&b"a-"[..], &b""[..]));
    }
}
