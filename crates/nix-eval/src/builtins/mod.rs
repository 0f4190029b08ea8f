//! The builtins of the language.
//!
//! One file a subject, one record a builtin; the examples of the records are their tests and their manual.
//! Builtins that need a store (`derivationStrict`, `path`, the fetchers, …) come from the crate above.

mod arith;
mod attrs;
mod closure;
mod constants;
mod context;
mod control;
mod files;
mod functions;
mod hashes;
pub mod json;
mod lists;
mod manual;
mod regex;
mod search_path;
mod sort;
mod strings;
mod toml;
mod types;
pub(crate) mod versions;
pub mod xml;

pub use self::{
    manual::manual,
    search_path::{as_url, find_file},
};
pub use crate::value::{Builtin, Example, Run};

/// All tables.
pub const ALL: &[&[Builtin]] = &[
    arith::ARITH,
    attrs::ATTRS,
    closure::CLOSURE,
    constants::CONSTANTS,
    context::CONTEXT,
    control::CONTROL,
    files::FILES,
    functions::FUNCTIONS,
    hashes::HASHES,
    json::JSON,
    lists::LISTS,
    regex::REGEX,
    search_path::SEARCH_PATH,
    sort::SORT,
    strings::STRINGS,
    toml::TOML,
    types::TYPES,
    versions::VERSIONS,
    xml::XML,
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::ALL;
    use crate::{Engine, EngineOptions, Show, host::FsHost};

    #[test]
    fn examples_show_what_they_say() {
        let mut wrong = Vec::new();
        for example in ALL.iter().copied().flatten().flat_map(|builtin| builtin.examples) {
            let host = Arc::new(FsHost::whole().clock(1).for_system("x86_64-linux"));
            let options = EngineOptions { host, ..EngineOptions::default() };
            let evaluator = Engine::new(options).evaluator();
            let shown = evaluator
                .eval(example.source, "string", b"/pwd")
                .and_then(|value| value.show(Show::Deep))
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .unwrap_or_else(|e| format!("error: {}", e.message()));
            if shown != example.shows {
                wrong.push(format!(
                    "{}\n  says  {}\n  shows {shown}",
                    example.source, example.shows
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn records_are_complete_and_unique() {
        let mut names = BTreeSet::new();
        for builtin in ALL.iter().copied().flatten() {
            let name = builtin.name;
            assert!(names.insert(name), "{name} is there twice");
            assert_eq!(builtin.params.len(), builtin.run.arity(), "parameters of {name}");
            assert!(builtin.doc.ends_with('.'), "the text of {name} has no full stop");
            assert!(!builtin.examples.is_empty(), "{name} has no example");
        }
    }
}
