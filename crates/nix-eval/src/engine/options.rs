//! What an engine is made of.

use std::{collections::BTreeSet, sync::Arc};

use super::{NamedClosure, builtin_names::GATED};
use crate::{
    host::{Host, NixPath, NoHost},
    limits::Limits,
    programs::ProgramCache,
    syntax::Lint,
    value::Builtin,
};

/// A tree of files embedded into the program, such as a library written in Nix.
///
/// Its files print as `<name>/path`.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Name, without slashes.
    pub name: &'static str,
    /// Files: path relative to the tree, without a leading slash, and contents; in any order.
    pub files: &'static [(&'static str, &'static str)],
}

/// One entry of the search path for `<x>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SearchPathEntry {
    /// What the looked-up name must begin with; may be empty.
    pub prefix: String,
    /// Path or URL, as it was given.
    pub path: String,
    /// The path that the entry stands for when it lies in an embedded tree.
    pub tree: Option<NixPath>,
}

impl SearchPathEntry {
    /// From `prefix=path` or `path`.
    pub fn parse(text: &str) -> SearchPathEntry {
        let (prefix, path) = text.split_once('=').unwrap_or(("", text));
        SearchPathEntry { prefix: prefix.to_owned(), path: path.to_owned(), tree: None }
    }
}

/// What an engine is made of.
#[derive(Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Tables of builtins beside those of the language; a later record of a name replaces an earlier one.
    pub builtins: Vec<&'static [Builtin]>,
    /// Names of builtins to leave out.
    pub without: BTreeSet<String>,
    /// The outside world.
    pub host: Arc<dyn Host>,
    /// The search path for `<x>`.
    pub search_path: Vec<SearchPathEntry>,
    /// Embedded trees. Tree number `n` is accessor `n + 1`.
    pub trees: Vec<Tree>,
    /// Whether `<nixpkgs>` falls back to the embedded tree `nixlib` when the search path does not have it.
    pub use_nixlib: bool,
    /// Whether nothing of the surroundings may be seen.
    pub pure_eval: bool,
    /// Whether only the search path may be read.
    pub restrict_eval: bool,
    /// Paths that pure or restricted evaluation may read, beside those it made itself.
    pub allowed_paths: Vec<Vec<u8>>,
    /// URLs that restricted evaluation may fetch: exact, a prefix followed by `/`, or a scheme `x:`.
    pub allowed_uris: Vec<String>,
    /// Whether evaluation may build what it wants to read.
    pub allow_import_from_derivation: bool,
    /// Experimental features that are on.
    pub features: BTreeSet<String>,
    /// Whether `traceVerbose` says something.
    pub trace_verbose: bool,
    /// What to do about URLs without quotes.
    pub lint_url_literals: Lint,
    /// What to do about path literals that begin with `/` or `~`.
    pub lint_absolute_path_literals: Lint,
    /// What to do about relative path literals that do not begin with `./` or `../`.
    pub lint_short_path_literals: Lint,
    /// Whether `warn` is an error.
    pub abort_on_warn: bool,
    /// What `builtins.nixVersion` says.
    pub nix_version: String,
    /// The directory of the user's own files, absolute: reports show them before those of libraries, which
    /// are the store and the search path, even if one of those lies around it.
    pub project: Option<Vec<u8>>,
    /// What an evaluation may use.
    pub limits: Limits,
    /// Cores that one request may use: 0 = all of the machine, 1 = the thread that asks. Results, errors and what
    /// is said are the same with any number, but for this: where `==` compares sets in which several attributes
    /// differ or fail, it begins with the name that was read first, and helpers may have read another one first.
    ///
    /// With more than one core, the host and the builtins in [`EngineOptions::builtins`] are asked by several
    /// threads at once, and work that an error makes useless may be done; closures only ever run on the thread
    /// that asks. A limit on steps means one core.
    pub eval_cores: u32,
    /// Where programs of files are kept, so that they need not be parsed again; `None`: nowhere.
    pub program_cache: Option<ProgramCache>,
    /// Rust closures; [`super::EngineBuilder`] adds them.
    pub(crate) closures: Vec<NamedClosure>,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            builtins: Vec::new(),
            without: BTreeSet::new(),
            host: Arc::new(NoHost),
            search_path: Vec::new(),
            trees: Vec::new(),
            use_nixlib: true,
            pure_eval: false,
            restrict_eval: false,
            allowed_paths: Vec::new(),
            allowed_uris: Vec::new(),
            allow_import_from_derivation: true,
            features: BTreeSet::new(),
            trace_verbose: false,
            lint_url_literals: Lint::Ignore,
            lint_absolute_path_literals: Lint::Ignore,
            lint_short_path_literals: Lint::Ignore,
            abort_on_warn: false,
            nix_version: "2.35.0".to_owned(),
            project: None,
            limits: Limits::default(),
            eval_cores: 1,
            program_cache: None,
            closures: Vec::new(),
        }
    }
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions").finish_non_exhaustive()
    }
}

impl EngineOptions {
    /// Directories whose files are not the user's own.
    pub(crate) fn libraries(&self) -> Vec<Box<[u8]>> {
        let store = self.host.store_dir().to_string().into_bytes();
        let entries = self.search_path.iter().filter(|entry| entry.path.starts_with('/'));
        let entries = entries.map(|entry| crate::value::canonicalise(entry.path.as_bytes()));
        let is_around = |dir: &[u8]| {
            let rest = self.project.as_ref().and_then(|project| project.strip_prefix(dir));
            rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let all = std::iter::once(store).chain(entries);
        all.filter(|dir| dir != b"/" && !is_around(dir)).map(Vec::into_boxed_slice).collect()
    }

    /// Switches of the reader.
    pub(crate) fn syntax_features(&self) -> crate::syntax::Features {
        crate::syntax::Features {
            pipe_operators: self.features.contains("pipe-operators"),
            home_paths: !self.pure_eval,
            url_literals: if self.features.contains("no-url-literals") {
                Lint::Fatal
            } else {
                self.lint_url_literals
            },
            absolute_path_literals: self.lint_absolute_path_literals,
            short_path_literals: self.lint_short_path_literals,
        }
    }

    pub(super) fn shows(&self, name: &str) -> bool {
        if self.without.contains(name) {
            return false;
        }
        match name {
            "currentSystem" => !self.pure_eval && self.host.system().is_some(),
            "currentTime" => !self.pure_eval && self.host.now().is_some(),
            _ => match GATED.iter().find(|(gated, _)| *gated == name) {
                Some((_, features)) => features.iter().any(|f| self.features.contains(*f)),
                None => true,
            },
        }
    }
}
