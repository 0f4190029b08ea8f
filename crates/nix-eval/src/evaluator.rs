//! Engines and evaluators.
//!
//! An [`Engine`] holds what does not change: options, builtins, names, sources. An [`Evaluator`] is one
//! session of it: a heap, an import cache, limits. Both are `Send + Sync`; dropping an evaluator and its
//! handles returns its memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, atomic::AtomicU32},
};

use rustc_hash::FxHashMap;

use crate::{
    error::Error,
    handle::Handle,
    heap::{Bump, Heap},
    host::{Host, NixPath, NoHost},
    ir::GlobalId,
    limits::{CancelToken, LimitKind, Limits},
    machine::{Global, Machine, Parts},
    nix_tree,
    source::{Origin, SourceMap},
    stats::Stats,
    symbol::{Symbol, Symbols},
    value::{
        AccessorId, Attrs, Builtin, BuiltinEntry, ContextId, Contexts, Shape, Shapes, Thunk, Value,
        code::{Unit, Units},
    },
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
    /// Whether `warn` is an error.
    pub abort_on_warn: bool,
    /// What `builtins.nixVersion` says.
    pub nix_version: String,
    /// What an evaluation may use.
    pub limits: Limits,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            builtins: Vec::new(),
            without: BTreeSet::new(),
            host: Arc::new(NoHost),
            search_path: Vec::new(),
            trees: Vec::new(),
            pure_eval: false,
            restrict_eval: false,
            allowed_paths: Vec::new(),
            allowed_uris: Vec::new(),
            allow_import_from_derivation: true,
            features: BTreeSet::new(),
            trace_verbose: false,
            abort_on_warn: false,
            nix_version: "2.35.0".to_owned(),
            limits: Limits::default(),
        }
    }
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions").finish_non_exhaustive()
    }
}

/// Builtins that are also globals under their own name; all others are globals as `__name`.
const BARE: &[&str] = &[
    "abort",
    "baseNameOf",
    "break",
    "derivationStrict",
    "dirOf",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchTree",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
];

/// Builtins that force their first argument before anything else that can be seen, so that the machine may
/// evaluate it where it stands instead of suspending it.
const EAGER: &[&str] = &[
    "isAttrs",
    "isBool",
    "isFloat",
    "isFunction",
    "isInt",
    "isList",
    "isNull",
    "isPath",
    "isString",
    "typeOf",
    "length",
    "head",
    "tail",
    "attrNames",
    "attrValues",
    "stringLength",
    "toString",
    "seq",
    "deepSeq",
    "concatLists",
    "listToAttrs",
    "functionArgs",
    "toJSON",
    "fromJSON",
    "import",
    "ceil",
    "floor",
    "add",
    "sub",
    "mul",
    "div",
    "lessThan",
    "bitAnd",
    "bitOr",
    "bitXor",
    "substring",
    "all",
    "any",
    "concatMap",
    "foldl'",
    "groupBy",
    "partition",
    "zipAttrsWith",
    "getAttr",
    "hasAttr",
    "removeAttrs",
    "intersectAttrs",
    "concatStringsSep",
    "genList",
    "replaceStrings",
    "match",
    "split",
    "splitVersion",
    "compareVersions",
    "parseDrvName",
    "baseNameOf",
    "dirOf",
    "pathExists",
    "readFile",
    "readDir",
];

/// Builtins behind experimental features.
const GATED: &[(&str, &[&str])] = &[
    ("fetchClosure", &["fetch-closure"]),
    ("fetchTree", &["fetch-tree", "flakes"]),
    ("flakeRefToString", &["flakes"]),
    ("parseFlakeRef", &["flakes"]),
    ("getFlake", &["flakes"]),
    ("outputOf", &["dynamic-derivations"]),
];

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
enum GlobalKind {
    True,
    False,
    Null,
    Builtins,
    Derivation,
    /// Number of the builtin.
    Builtin(usize),
}

/// The unchanging part of an engine.
pub(crate) struct EngineInner {
    pub(crate) options: EngineOptions,
    pub(crate) symbols: Arc<Symbols>,
    pub(crate) sources: Arc<SourceMap>,
    pub(crate) names: Names,
    entries: Box<[BuiltinEntry]>,
    kinds: Vec<GlobalKind>,
    global_names: FxHashMap<Symbol, GlobalId>,
    builtin_names: FxHashMap<Symbol, GlobalId>,
    pub(crate) find_file: Option<GlobalId>,
    pub(crate) nix_path: Option<GlobalId>,
    load_derivation: BuiltinEntry,
    tree_files: Vec<BTreeMap<Vec<u8>, Arc<[u8]>>>,
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
        table.retain(|name, _| options.shows(name));
        let entries: Box<[BuiltinEntry]> = table.values().copied().map(BuiltinEntry::new).collect();
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
        let sources = Arc::new(SourceMap::default());
        Engine {
            inner: Arc::new(EngineInner {
                options,
                symbols,
                sources,
                names,
                entries,
                kinds,
                global_names,
                builtin_names,
                find_file,
                nix_path,
                load_derivation: BuiltinEntry::new(crate::machine::LOAD_DERIVATION),
                tree_files,
            }),
        }
    }

    /// A new session with a heap of its own.
    pub fn evaluator(&self) -> Evaluator {
        Evaluator::of(self.clone())
    }

    /// The options.
    pub fn options(&self) -> &EngineOptions {
        &self.inner.options
    }

    /// The names seen so far.
    pub fn symbols(&self) -> &Arc<Symbols> {
        &self.inner.symbols
    }

    /// The sources read so far.
    pub fn sources(&self) -> &Arc<SourceMap> {
        &self.inner.sources
    }

    /// The builtins that the engine has, in order of their names.
    pub fn builtins(&self) -> impl Iterator<Item = &Builtin> {
        self.inner.entries.iter().map(|entry| &entry.builtin)
    }
}

impl EngineOptions {
    /// Switches of the reader.
    pub(crate) fn syntax_features(&self) -> crate::syntax::Features {
        crate::syntax::Features {
            pipe_operators: self.features.contains("pipe-operators"),
            home_paths: !self.pure_eval,
            ..crate::syntax::Features::default()
        }
    }

    fn shows(&self, name: &str) -> bool {
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

impl EngineInner {
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

/// One session: everything that its machines share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<EngineInner>,
    pub(crate) names: Names,
    pub(crate) heap: Heap,
    pub(crate) shapes: Shapes,
    pub(crate) contexts: Contexts,
    pub(crate) cancel: CancelToken,
    pub(crate) globals: OnceLock<Arc<[Global]>>,
    empty_attrs: Value,
    builtins_set: OnceLock<Value>,
    limits: Mutex<Limits>,
    units: Units,
    /// Resolved path → thunk or value of the file.
    pub(crate) imports: Mutex<HashMap<NixPath, Value>>,
    failures: Mutex<Vec<Error>>,
    copies: Mutex<HashMap<NixPath, (String, ContextId)>>,
    allowed: RwLock<BTreeSet<Vec<u8>>>,
    turn: Turn,
    pub(crate) n_files: AtomicU32,
    stats: Mutex<Stats>,
    parts: Mutex<Vec<Parts>>,
}

/// Whose turn it is: one thread at a time runs machines of an evaluator, and may enter again.
#[derive(Default)]
struct Turn {
    owner: Mutex<(Option<std::thread::ThreadId>, u32)>,
    free: std::sync::Condvar,
}

impl Turn {
    fn take(&self) -> TurnGuard<'_> {
        let me = std::thread::current().id();
        let mut owner = lock(&self.owner);
        while owner.0.is_some_and(|other| other != me) {
            owner = self.free.wait(owner).unwrap_or_else(PoisonError::into_inner);
        }
        *owner = (Some(me), owner.1 + 1);
        TurnGuard(self)
    }
}

/// Ends a turn when dropped.
struct TurnGuard<'a>(&'a Turn);

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        let mut owner = lock(&self.0.owner);
        owner.1 -= 1;
        if owner.1 == 0 {
            owner.0 = None;
            self.0.free.notify_one();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn limits(&self) -> Limits {
        *lock(&self.limits)
    }

    pub(crate) fn empty_attrs(&self) -> Value {
        self.empty_attrs
    }

    /// The set `builtins`, once it is made.
    pub(crate) fn builtins_set(&self) -> Option<Attrs> {
        self.builtins_set.get().and_then(|v| v.as_attrs())
    }

    fn new(engine: Arc<EngineInner>) -> Shared {
        let limits = engine.options.limits;
        let heap = Heap::new(limits.heap_bytes);
        let mut bump = Bump::default();
        let shape = Shape::new(&mut bump, &heap, &[], &[], true);
        let empty_attrs = Attrs::new(&mut bump, &heap, shape, &[]).value();
        let shared = Shared {
            names: engine.names,
            heap,
            shapes: Shapes::default(),
            contexts: Contexts::default(),
            cancel: CancelToken::new(),
            globals: OnceLock::new(),
            empty_attrs,
            builtins_set: OnceLock::new(),
            limits: Mutex::new(limits),
            units: Units::default(),
            imports: Mutex::default(),
            failures: Mutex::default(),
            copies: Mutex::default(),
            allowed: RwLock::new(engine.options.allowed_paths.iter().cloned().collect()),
            turn: Turn::default(),
            parts: Mutex::default(),
            n_files: AtomicU32::new(0),
            stats: Mutex::default(),
            engine,
        };
        shared.make_globals(&mut bump);
        shared
    }

    /// Makes the values of all globals, and the set `builtins`, which contains itself.
    fn make_globals(&self, bump: &mut Bump) {
        let engine = &*self.engine;
        let derivation = Thunk(bump.words(&self.heap, 2));
        let mut globals: Vec<Global> = Vec::with_capacity(engine.kinds.len());
        for kind in &engine.kinds {
            let plain = |value| Global { value, builtin: None, eager: false };
            globals.push(match *kind {
                GlobalKind::True => plain(Value::TRUE),
                GlobalKind::False => plain(Value::FALSE),
                GlobalKind::Null => plain(Value::NULL),
                GlobalKind::Builtins => plain(Value::HOLE),
                GlobalKind::Derivation => plain(derivation.value()),
                GlobalKind::Builtin(i) => {
                    let entry = &engine.entries[i];
                    let mut value = entry.value();
                    if entry.arity == 0 {
                        // A constant: the call of a builtin without arguments, computed when first used.
                        let cells = bump.words(&self.heap, 2);
                        cells.put(0, Thunk::call_word(0));
                        cells.put(1, value.0);
                        value = Thunk(cells).value();
                    }
                    let eager = EAGER.contains(&entry.builtin.name);
                    Global { value, builtin: Some(entry.builtin), eager }
                }
            });
        }
        let mut names: Vec<(Symbol, GlobalId)> =
            engine.builtin_names.iter().map(|(&name, &id)| (name, id)).collect();
        names.sort_by_key(|n| n.0);
        let symbols: Vec<Symbol> = names.iter().map(|n| n.0).collect();
        let shape = Shape::new(bump, &self.heap, &symbols, &[], true);
        let attrs = Attrs::alloc(bump, &self.heap, shape);
        let builtins = attrs.value();
        if let Some(at) = engine.kinds.iter().position(|k| *k == GlobalKind::Builtins) {
            globals[at].value = builtins;
        }
        for (slot, (_, id)) in names.iter().enumerate() {
            attrs.members().put(slot, globals[id.0 as usize].value.0);
        }
        // `derivation` is written in Nix; the thunk calls the builtin that loads it.
        let load = self.engine.load_derivation.value();
        let cells = derivation.value().cells();
        cells.put(0, Thunk::call_word(0));
        cells.put(1, load.0);
        // Both cells are set once, here.
        let _ = self.builtins_set.set(builtins);
        let _ = self.globals.set(globals.into());
    }

    /// Runs `code` on a machine when it is this thread's turn. May be entered again by the code it runs.
    pub(crate) fn with_machine<T>(
        self: &Arc<Self>,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = self.turn.take();
        let parts = lock(&self.parts).pop().or_else(Parts::new);
        let Some(parts) = parts else {
            return Err(crate::error::limit(LimitKind::StackBytes, 0));
        };
        let mut machine = Machine::new(self.clone(), parts);
        let result = machine.on_this_thread(code);
        let parts = machine.into_parts();
        lock(&self.stats).add(&parts.stats);
        lock(&self.parts).push(parts.fresh());
        result.map_err(|e| e.with_sources(&self.engine.sources))
    }

    /// Keeps a unit as long as the heap.
    pub(crate) fn keep_unit<'a>(&self, unit: Box<Unit>) -> &'a Unit {
        self.units.keep(unit)
    }

    /// The number under which a failure is remembered.
    pub(crate) fn remember(&self, error: &Error) -> u32 {
        *error.mistake().failure().get_or_init(|| {
            let mut failures = lock(&self.failures);
            failures.push(error.clone());
            (failures.len() - 1) as u32
        })
    }

    /// The failure with this number.
    #[cold]
    pub(crate) fn failure(&self, number: u32) -> Error {
        lock(&self.failures)[number as usize].clone()
    }

    pub(crate) fn copied(&self, path: &NixPath) -> Option<(String, ContextId)> {
        lock(&self.copies).get(path).cloned()
    }

    pub(crate) fn remember_copy(&self, path: &NixPath, text: String, context: ContextId) {
        lock(&self.copies).insert(path.clone(), (text, context));
    }

    pub(crate) fn allow(&self, path: &[u8]) {
        self.allowed.write().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec());
    }

    /// Whether a path lies at or below one that may be read.
    pub(crate) fn is_allowed(&self, path: &[u8]) -> bool {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        let mut end = path.len();
        loop {
            if allowed.contains(&path[..end.max(1)]) {
                return true;
            }
            match path[..end].iter().rposition(|&b| b == b'/') {
                Some(0) if end > 1 => end = 1,
                Some(at) if at > 0 => end = at,
                _ => return false,
            }
        }
    }
}

impl Evaluator {
    /// A session of an engine of its own.
    pub fn new(options: EngineOptions) -> Evaluator {
        Engine::new(options).evaluator()
    }

    fn of(engine: Engine) -> Evaluator {
        Evaluator { shared: Arc::new(Shared::new(engine.inner)) }
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        Engine { inner: self.shared.engine.clone() }
    }

    /// Stops the running request of this session; must be reset before the next.
    pub fn cancel_token(&self) -> CancelToken {
        self.shared.cancel.clone()
    }

    /// Changes what the next requests may use.
    pub fn set_limits(&self, limits: Limits) {
        *lock(&self.shared.limits) = limits;
        self.shared.heap.set_limit(limits.heap_bytes);
    }

    /// What this session has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = *lock(&self.shared.stats);
        stats.heap_bytes = self.shared.heap.bytes();
        stats.shapes = self.shared.shapes.len() as u64;
        stats
    }

    /// Evaluates a text to weak head normal form. `name` stands for the text in messages; relative paths
    /// begin at `base_dir`, which is absolute.
    ///
    /// # Errors
    /// When the text is no program, or its evaluation fails.
    pub fn eval(&self, text: &str, name: &str, base_dir: &[u8]) -> Result<Handle, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        self.handle(|m| m.eval_text(text.as_bytes(), origin, &base_dir, None))
    }

    /// As [`Evaluator::eval`], with the attributes of `scope` as further variables.
    ///
    /// # Errors
    /// As that, and when `scope` is no set of this session.
    pub fn eval_with(
        &self,
        text: &str,
        name: &str,
        base_dir: &[u8],
        scope: &Handle,
    ) -> Result<Handle, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        let scope = scope.value_in(&self.shared)?;
        self.handle(|m| {
            let scope = m.force_attrs(scope, "the scope")?;
            m.eval_text(text.as_bytes(), origin, &base_dir, Some(scope))
        })
    }

    /// The value of a file, evaluated once per session; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// When there is no such file, it is no program, or its evaluation fails.
    pub fn import(&self, path: &NixPath) -> Result<Handle, Error> {
        self.handle(|m| m.import(path))
    }

    /// A handle of what `code` gives.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn handle(
        &self,
        code: impl FnOnce(&mut Machine) -> Result<Value, Error>,
    ) -> Result<Handle, Error> {
        let v = self.shared.with_machine(code)?;
        Ok(Handle::new(self.shared.clone(), v))
    }

    /// Runs `code` on this session's machine: the door for code that works with [`Value`]s, such as printers
    /// and exporters. Values must not leave it, save as handles.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn with_machine<T>(
        &self,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.shared.with_machine(code)
    }
}

/// One session of an engine. `Send + Sync`; its requests run one at a time.
pub struct Evaluator {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("heap_bytes", &self.shared.heap.bytes()).finish()
    }
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Engine>();
    is_send_sync::<Evaluator>();
};
