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
mod regex;
mod search_path;
mod sort;
mod strings;
mod toml;
mod types;
mod versions;
pub mod xml;

pub use self::search_path::find_file;
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
