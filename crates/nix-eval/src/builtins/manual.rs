//! The manual of builtins, made from their records.

use std::{collections::BTreeMap, fmt::Write};

use super::Builtin;

/// All builtins of the tables as a Markdown page, by name. Those that begin with an underscore belong to
/// embedded trees and are left out.
#[must_use]
pub fn manual(tables: &[&[Builtin]]) -> String {
    let records: BTreeMap<&str, &Builtin> = tables
        .iter()
        .copied()
        .flatten()
        .filter(|builtin| !builtin.name.starts_with('_'))
        .map(|builtin| (builtin.name, builtin))
        .collect();
    let mut page = String::from(
        "# Builtins\n\nGenerated from the records in the sources; every example is a test. All are attributes of \
         `builtins`, which also\nholds `true`, `false`, `null`, `derivation` and itself.\n",
    );
    for builtin in records.values() {
        page.push_str("\n## `");
        page.push_str(builtin.name);
        for param in builtin.params {
            page.push(' ');
            page.push_str(param);
        }
        page.push_str("`\n\n");
        page.push_str(builtin.doc);
        page.push('\n');
        if !builtin.examples.is_empty() {
            page.push_str("\n```nix\n");
            for example in builtin.examples {
                // Writing to a string cannot fail.
                let _ = writeln!(page, "{}\n# {}", example.source, example.shows);
            }
            page.push_str("```\n");
        }
    }
    page
}
