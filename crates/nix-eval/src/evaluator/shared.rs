//! What the machines of a session share.

use std::{
    collections::{BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{Pool, lock, turn::Turn};
use crate::{
    closure::Closure,
    convert::Exports,
    engine::{EAGER, EngineInner, GlobalKind, Names},
    error::{Class, Error},
    heap::{Bump, Heap, OutOfMemory},
    host::NixPath,
    ir::GlobalId,
    limits::{CancelToken, LimitKind, Limits},
    machine::{Global, Machine, Parts, Progress, ahead::Role},
    profile::Profiling,
    source::SourceMap,
    stats::Stats,
    symbol::Symbol,
    value::{
        Attrs, BuiltinEntry, ContextId, Contexts, Shape, Shapes, Thunk, Value,
        code::{Unit, Units},
    },
};

/// One session: everything that its machines share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<EngineInner>,
    pub(crate) names: Names,
    pub(crate) heap: Heap,
    pub(crate) sources: Arc<SourceMap>,
    pub(crate) shapes: Shapes,
    pub(crate) contexts: Contexts,
    pub(crate) cancel: CancelToken,
    pub(crate) globals: OnceLock<Arc<[Global]>>,
    empty_attrs: Value,
    builtins_set: OnceLock<Value>,
    pub(super) limits: Mutex<Limits>,
    units: Units,
    closures: RwLock<Vec<Arc<Closure>>>,
    /// Builtins of this session; values hold their addresses.
    #[expect(clippy::vec_box, reason = "values hold the addresses of the entries")]
    entries: Mutex<Vec<Box<BuiltinEntry>>>,
    /// What the request that calls a closure has used, while the closure runs.
    suspended: Mutex<Option<Progress>>,
    /// Why the session cannot be used any more.
    poisoned: OnceLock<String>,
    pub(crate) exports: Exports,
    /// Resolved path → thunk or value of the file.
    pub(crate) imports: Mutex<HashMap<NixPath, Value>>,
    failures: Mutex<Vec<Error>>,
    copies: Mutex<HashMap<NixPath, (String, ContextId)>>,
    allowed: RwLock<BTreeSet<Vec<u8>>>,
    turn: Turn,
    pub(crate) pool: Pool,
    pub(super) eval_cores: AtomicU32,
    pub(crate) n_files: AtomicU32,
    pub(super) stats: Mutex<Stats>,
    parts: Mutex<Vec<Parts>>,
    pub(crate) profiling: Profiling,
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

    pub(super) fn new(engine: Arc<EngineInner>) -> Shared {
        let limits = engine.options.limits;
        let heap = Heap::new(limits.heap_bytes);
        let mut bump = Bump::default();
        let shape = Shape::new(&mut bump, &heap, &[], &[], true);
        let empty_attrs = Attrs::new(&mut bump, &heap, shape, &[]).value();
        let shared = Shared {
            names: engine.names,
            heap,
            sources: Arc::new(SourceMap::with_libraries(engine.options.libraries())),
            shapes: Shapes::default(),
            contexts: Contexts::default(),
            cancel: CancelToken::new(),
            globals: OnceLock::new(),
            empty_attrs,
            builtins_set: OnceLock::new(),
            limits: Mutex::new(limits),
            units: Units::default(),
            closures: RwLock::new(engine.closures.clone()),
            entries: Mutex::default(),
            suspended: Mutex::default(),
            poisoned: OnceLock::new(),
            exports: Exports::default(),
            imports: Mutex::default(),
            failures: Mutex::default(),
            copies: Mutex::default(),
            allowed: RwLock::new(engine.options.allowed_paths.iter().cloned().collect()),
            turn: Turn::default(),
            pool: Pool::default(),
            eval_cores: AtomicU32::new(engine.options.eval_cores),
            parts: Mutex::default(),
            profiling: Profiling::default(),
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
                GlobalKind::Builtins | GlobalKind::Group(_) => plain(Value::HOLE),
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
        for (at, kind) in engine.kinds.iter().enumerate() {
            let GlobalKind::Group(number) = *kind else { continue };
            // In order of their numbers: those inside come first.
            let members = &engine.groups[number];
            let symbols: Vec<Symbol> = members.iter().map(|m| m.0).collect();
            let values: Vec<Value> =
                members.iter().map(|m| globals[m.1.0 as usize].value).collect();
            let shape = Shape::new(bump, &self.heap, &symbols, &[], true);
            globals[at].value = Attrs::new(bump, &self.heap, shape, &values).value();
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
        if let Some(error) = self.unusable() {
            return Err(error);
        }
        let parts = lock(&self.parts).pop().or_else(Parts::new);
        let Some(parts) = parts else {
            return Err(crate::error::limit(LimitKind::StackBytes, 0));
        };
        let mut machine = Machine::new(self.clone(), parts);
        // A closure that calls back is part of the request that called it.
        let outer = *lock(&self.suspended);
        match outer {
            Some(outer) => machine.continue_from(outer),
            None => machine.role = self.role(),
        }
        let leads = machine.role != Role::Alone;
        // Memory that the system refuses ends the request wherever it is; what was being made is unfinished.
        let run = AssertUnwindSafe(|| machine.on_this_thread(code));
        let result = catch_unwind(run);
        if leads {
            self.pool.stop();
        }
        let result = match result {
            Ok(result) => result,
            Err(panic) if panic.is::<OutOfMemory>() => {
                self.poison("the system refused memory".to_owned());
                machine.end_profile();
                return Err(crate::error::limit(LimitKind::HeapBytes, self.heap.bytes()));
            }
            Err(panic) => resume_unwind(panic),
        };
        if let Some(outer) = &mut *lock(&self.suspended) {
            outer.steps = machine.progress().steps;
        }
        let parts = machine.into_parts();
        lock(&self.stats).add(&parts.stats);
        lock(&self.parts).push(parts.fresh());
        result.map_err(|e| self.with_sources(e))
    }

    /// Gives an error the texts that its report shows.
    pub(crate) fn with_sources(&self, error: Error) -> Error {
        error.with_sources(&self.sources, |path| self.units.naming(path))
    }

    /// What the machine of a request is to others.
    fn role(&self) -> Role {
        // Steps are counted by one machine only.
        if self.pool.is_active() || self.limits().steps != u64::MAX {
            return Role::Alone;
        }
        // What helpers evaluate ahead has no caller, and they wait most of the time.
        if self.profiling.is_on() {
            return Role::Alone;
        }
        match self.eval_cores.load(Ordering::Relaxed) {
            0 => match std::thread::available_parallelism().map_or(1, usize::from) {
                1 => Role::Alone,
                n => Role::Leader(n as u32),
            },
            1 => Role::Alone,
            n => Role::Leader(n),
        }
    }

    /// The life of a helper.
    pub(super) fn help(self: Arc<Self>, number: u32) {
        let Some(parts) = lock(&self.parts).pop().or_else(Parts::new) else { return };
        let token = self.pool.token(number);
        let run = AssertUnwindSafe(|| {
            let mut machine = Machine::helper(self.clone(), parts, number, token);
            machine.on_this_thread(|m| {
                while let Some(job) = self.pool.next(number) {
                    m.run_job(&job);
                }
            });
            machine.into_parts()
        });
        match catch_unwind(run) {
            Ok(parts) => {
                lock(&self.stats).add(&parts.stats);
                lock(&self.parts).push(parts.fresh());
            }
            // What it was evaluating stays unfinished: who waits for that sees this.
            Err(panic) if panic.is::<OutOfMemory>() => {
                self.poison("the system refused memory".to_owned());
            }
            Err(_) => self.poison("a helper of an earlier request panicked".to_owned()),
        }
    }

    /// The error of every request from now on, if there is one.
    pub(crate) fn unusable(&self) -> Option<Error> {
        let why = self.poisoned.get().or_else(|| self.turn.panicked())?;
        Some(Error::new(Class::Internal, format!("this session cannot be used any more: {why}")))
    }

    /// The closure with this number.
    pub(crate) fn closure(&self, number: u32) -> Arc<Closure> {
        let closures = self.closures.read().unwrap_or_else(PoisonError::into_inner);
        closures[number as usize].clone()
    }

    /// A builtin of this session, as a function or constant; a constant is computed when it is forced.
    pub(crate) fn add_closure(&self, closure: Closure) -> Value {
        let mut closures = self.closures.write().unwrap_or_else(PoisonError::into_inner);
        let number = closures.len() as u32;
        let entry = Box::new(BuiltinEntry::of_closure(number, &closure.name, closure.arity));
        let value = entry.value();
        closures.push(Arc::new(closure));
        lock(&self.entries).push(entry);
        value
    }

    /// Notes what a request has used that is about to run code of the embedder; gives what was noted.
    pub(crate) fn suspend(&self, progress: Progress) -> Option<Progress> {
        lock(&self.suspended).replace(progress)
    }

    /// Ends what [`Shared::suspend`] began; gives what the request has used by now.
    pub(crate) fn resume(&self, outer: Option<Progress>) -> Progress {
        let mut suspended = lock(&self.suspended);
        let now = std::mem::replace(&mut *suspended, outer);
        now.expect("what was suspended is resumed once")
    }

    /// Refuses all requests from now on.
    pub(crate) fn poison(&self, why: String) {
        // The first reason stays.
        let _ = self.poisoned.set(why);
    }

    /// Keeps a unit as long as the heap.
    pub(crate) fn keep_unit<'a>(&self, unit: Box<Unit>) -> &'a Unit {
        self.heap.count_beside(unit.size_bytes());
        self.units.keep(unit)
    }

    /// The number under which a failure is remembered.
    pub(crate) fn remember(&self, error: &Error) -> u32 {
        *error.mistake().failure().get_or_init(|| {
            let mut failures = lock(&self.failures);
            failures.push(error.clone());
            self.heap.count_beside(error.size_bytes());
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
