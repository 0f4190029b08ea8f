//! Engines: what does not change between sessions.

mod builder;
mod builtin_names;
mod members;
mod options;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use rustc_hash::FxHashMap;

pub use self::builder::EngineBuilder;
pub(crate) use self::builder::NamedClosure;
use self::builtin_names::BARE;
pub(crate) use self::builtin_names::EAGER;
use self::members::Members;
pub use self::options::{EngineOptions, SearchPathEntry, Tree};
use crate::{
    closure::Closure,
    evaluator::Evaluator,
    host::NixPath,
    ir::GlobalId,
    limits::Limits,
    nix_tree,
    programs::{ProgramCache, Programs},
    symbol::{Symbol, Symbols},
    value::{AccessorId, Builtin, BuiltinEntry},
};

/// Names that the machine itself looks up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names {
    pub(crate) functor: Symbol,
    pub(crate) to_string: Symbol,
    pub(crate) out_path: Symbol,
    pub(crate) type_: Symbol,
}

/// What a global of the language is, before an evaluator makes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalKind {
    True,
    False,
    Null,
    Builtins,
    Derivation,
    /// Number of the builtin.
    Builtin(usize),
    /// Number of the set of closures.
    Group(usize),
}

/// The unchanging part of an engine.
pub(crate) struct EngineInner {
    pub(crate) options: EngineOptions,
    pub(crate) symbols: Arc<Symbols>,
    pub(crate) names: Names,
    pub(crate) entries: Box<[BuiltinEntry]>,
    pub(crate) kinds: Vec<GlobalKind>,
    /// Sets of closures, those inside of others first: names and what they stand for.
    pub(crate) groups: Vec<Vec<(Symbol, GlobalId)>>,
    /// The closures, by number.
    pub(crate) closures: Vec<Arc<Closure>>,
    global_names: FxHashMap<Symbol, GlobalId>,
    pub(crate) builtin_names: FxHashMap<Symbol, GlobalId>,
    pub(crate) find_file: Option<GlobalId>,
    pub(crate) nix_path: Option<GlobalId>,
    pub(crate) load_derivation: BuiltinEntry,
    tree_files: Vec<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    programs: OnceLock<Programs>,
}

/// Options, builtins, names and sources. Cheap to clone; unchanging.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<EngineInner>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("n_builtins", &self.inner.entries.len()).finish()
    }
}

impl Engine {
    /// Begins an engine with generous limits for programs that are trusted, and no outside world.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new(EngineOptions::default())
    }

    /// Begins an engine for programs from strangers: [`Limits::untrusted`], and no outside world.
    pub fn untrusted() -> EngineBuilder {
        EngineBuilder::new(EngineOptions {
            limits: Limits::untrusted(),
            ..EngineOptions::default()
        })
    }

    /// An engine with these options.
    pub fn new(mut options: EngineOptions) -> Engine {
        if !options.trees.iter().any(|tree| tree.name == nix_tree::NAME) {
            options.trees.push(nix_tree::TREE);
        }
        let symbols = Arc::new(Symbols::default());
        let sym = |name: &str| symbols.intern(name.as_bytes());
        let names = Names {
            functor: sym("__functor"),
            to_string: sym("__toString"),
            out_path: sym("outPath"),
            type_: sym("type"),
        };
        let mut table: BTreeMap<&'static str, Builtin> = BTreeMap::new();
        let tables = crate::builtins::ALL.iter().copied().chain(options.builtins.iter().copied());
        for builtin in tables.flatten() {
            table.insert(builtin.name, *builtin);
        }
        table.retain(|name, _| {
            options.shows(name) && !options.closures.iter().any(|c| *c.closure.name == **name)
        });
        let mut entries: Vec<BuiltinEntry> =
            table.values().copied().map(BuiltinEntry::new).collect();
        let mut kinds = Vec::new();
        let mut global_names = FxHashMap::default();
        let mut builtin_names = FxHashMap::default();
        let constants = [
            ("true", GlobalKind::True),
            ("false", GlobalKind::False),
            ("null", GlobalKind::Null),
            ("builtins", GlobalKind::Builtins),
            ("derivation", GlobalKind::Derivation),
        ];
        for (name, kind) in constants {
            let id = GlobalId(kinds.len() as u32);
            kinds.push(kind);
            global_names.insert(sym(name), id);
            builtin_names.insert(sym(name), id);
        }
        for (i, entry) in entries.iter().enumerate() {
            let id = GlobalId(kinds.len() as u32);
            kinds.push(GlobalKind::Builtin(i));
            let name = entry.builtin.name;
            // Those that begin with an underscore belong to embedded trees and are not in `builtins`.
            if !name.starts_with('_') {
                builtin_names.insert(sym(name), id);
            }
            let global = if BARE.contains(&name) || name.starts_with('_') {
                sym(name)
            } else {
                sym(&format!("__{name}"))
            };
            global_names.insert(global, id);
        }
        let mut members = Members::default();
        for (number, named) in options.closures.iter().enumerate() {
            let closure = &named.closure;
            let id = GlobalId(kinds.len() as u32);
            kinds.push(GlobalKind::Builtin(entries.len()));
            let entry = BuiltinEntry::of_closure(number as u32, &closure.name, closure.arity);
            entries.push(entry);
            members.insert(&closure.name, id);
            if named.is_global {
                global_names.insert(sym(&closure.name), id);
            }
        }
        let mut groups = Vec::new();
        for (name, id) in members.number(&sym, &mut kinds, &mut groups) {
            builtin_names.insert(name, id);
        }
        let find_file = builtin_names.get(&sym("findFile")).copied();
        let nix_path = builtin_names.get(&sym("nixPath")).copied();
        let tree_files = options
            .trees
            .iter()
            .map(|tree| {
                tree.files
                    .iter()
                    .map(|(path, text)| {
                        let path = crate::value::canonicalise(path.as_bytes());
                        (path, Arc::from(text.as_bytes()))
                    })
                    .collect()
            })
            .collect();
        let closures = options.closures.iter().map(|named| named.closure.clone()).collect();
        let inner = EngineInner {
            groups,
            closures,
            options,
            symbols,
            names,
            entries: entries.into(),
            kinds,
            global_names,
            builtin_names,
            find_file,
            nix_path,
            load_derivation: BuiltinEntry::new(crate::machine::LOAD_DERIVATION),
            tree_files,
            programs: OnceLock::new(),
        };
        Engine { inner: Arc::new(inner) }
    }

    /// A new session with a heap of its own.
    pub fn evaluator(&self) -> Evaluator {
        Evaluator::of(self.clone())
    }

    /// Writes the programs of files that were parsed to [`EngineOptions::program_cache`], once; the end of the engine
    /// does it otherwise. Whoever ends the process without dropping the engine and all that it made calls it before.
    pub fn keep_programs(&self) {
        if let Some(programs) = self.inner.programs.get() {
            programs.keep();
        }
    }

    /// The options.
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// The names seen so far.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.inner.symbols
    }

    /// The variables that every program has, in order of their names; those of embedded trees are left out.
    pub fn global_names(&self) -> Vec<String> {
        let names = self.inner.global_names.keys().map(|&name| self.inner.symbols.name(name));
        let own = |name: &&[u8]| !name.starts_with(b"_") || name.starts_with(b"__");
        let mut names: Vec<String> =
            names.filter(own).map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.sort();
        names
    }

    /// Whether a text is the beginning of a program that only goes on too little; see
    /// [`crate::syntax::is_unfinished`].
    pub fn is_unfinished(&self, text: &[u8]) -> bool {
        crate::syntax::is_unfinished(text, self.inner.options.syntax_features())
    }

    /// The builtins of the engine's tables, in order of their names; closures are not among them.
    pub fn builtins(&self) -> impl Iterator<Item = &Builtin> {
        let tables = self.inner.entries.len() - self.inner.closures.len();
        self.inner.entries.iter().take(tables).map(|entry| &entry.builtin)
    }
}

impl EngineInner {
    /// Where programs of files are kept, if anywhere.
    pub(crate) fn programs(&self) -> Option<&Programs> {
        let cache = self.options.program_cache.as_ref()?;
        Some(self.programs.get_or_init(|| self.open_programs(cache.clone())))
    }

    fn open_programs(&self, cache: ProgramCache) -> Programs {
        let features = format!("{:?}", self.options.syntax_features());
        // Programs name them by number.
        let mut globals = String::new();
        for (kind, names) in [("global", &self.global_names), ("builtin", &self.builtin_names)] {
            let mut names: Vec<(Symbol, GlobalId)> =
                names.iter().map(|(&name, &id)| (name, id)).collect();
            names.sort_by_key(|&(name, _)| name);
            for (name, id) in names {
                let name = String::from_utf8_lossy(self.symbols.name(name));
                globals += &format!("{kind} {name} {} {}\n", id.0, self.arity(id));
            }
        }
        let depends = [("features", features.as_bytes()), ("globals", globals.as_bytes())];
        Programs::new(cache, &depends)
    }

    /// The global of a bare name.
    pub(crate) fn global(&self, name: Symbol) -> Option<GlobalId> {
        self.global_names.get(&name).copied()
    }

    /// The global that `builtins.name` is.
    pub(crate) fn builtin_global(&self, name: Symbol) -> Option<GlobalId> {
        self.builtin_names.get(&name).copied()
    }

    /// How many arguments a global takes; 0 for what is no function.
    pub(crate) fn arity(&self, id: GlobalId) -> u32 {
        match self.kinds.get(id.0 as usize) {
            Some(GlobalKind::Builtin(i)) => self.entries[*i].arity,
            _ => 0,
        }
    }

    /// Names of globals near a name that is none.
    pub(crate) fn names_near(&self, name: Symbol) -> Vec<&[u8]> {
        let globals = self.global_names.keys().map(|&global| self.symbols.name(global));
        let own = globals.filter(|name| !name.starts_with(b"_"));
        crate::error::suggest::nearest(self.symbols.name(name), own)
    }

    /// The text of a path as programs see it: `<tree>/x` for an embedded tree.
    pub(crate) fn path_text(&self, path: &NixPath) -> Vec<u8> {
        if path.accessor == AccessorId(0) {
            return path.text.clone();
        }
        let name = self.options.trees.get(path.accessor.0 as usize - 1).map_or("?", |t| t.name);
        let mut text = format!("<{name}").into_bytes();
        let below = if path.text == b"/" { &[][..] } else { &path.text[..] };
        if name == nix_tree::NAME {
            text.extend_from_slice(below);
            text.push(b'>');
        } else {
            text.push(b'>');
            text.extend_from_slice(below);
        }
        text
    }

    /// The files of an embedded tree, by canonical path.
    pub(crate) fn tree(&self, accessor: AccessorId) -> Option<&BTreeMap<Vec<u8>, Arc<[u8]>>> {
        self.tree_files.get((accessor.0 as usize).checked_sub(1)?)
    }
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Engine>();
};
