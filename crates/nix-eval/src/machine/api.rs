//! What builtins ask of the machine: forcing with a type, surroundings, limits.

use std::sync::Arc;

use nix_formats::store_path::StoreDir;

use super::Machine;
use crate::{
    engine::EngineOptions,
    error::{self, Error, FrameKind},
    heap::Heap,
    host::{Host, HostCx, TraceEvent},
    limits::LimitKind,
    source::SourceMap,
    symbol::{Symbol, Symbols},
    value::{Attrs, Contexts, List, PathRef, Str, Value, View},
};

/// How many calls may take each other's place for each that may nest: enough for long loops, and an endless one
/// ends within seconds.
const TAIL_CALLS_PER_DEPTH: u64 = 1000;

/// What a name takes beside its text: its length, its address, its place in a table, all with room to grow.
const SYMBOL_BYTES: u64 = 48;

/// Forcing, with a type. `what` names the value for the message, such as
/// `the second argument of 'builtins.elem'`.
impl Machine {
    /// An integer.
    ///
    /// # Errors
    /// When forcing fails or the value is no integer.
    pub fn force_int(&mut self, v: Value, what: &str) -> Result<i64, Error> {
        let v = self.force(v)?;
        match v.view() {
            View::Int(n) => Ok(n),
            _ => Err(self.wrong_type("an integer", v, what)),
        }
    }

    /// A number as a float; integers are converted.
    ///
    /// # Errors
    /// When forcing fails or the value is no number.
    pub fn force_float(&mut self, v: Value, what: &str) -> Result<f64, Error> {
        let v = self.force(v)?;
        match v.view() {
            View::Int(n) => Ok(n as f64),
            View::Float(x) => Ok(x),
            _ => Err(self.wrong_type("a float", v, what)),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When forcing fails or the value is neither.
    pub fn force_bool(&mut self, v: Value, what: &str) -> Result<bool, Error> {
        let v = self.force(v)?;
        match v {
            Value::TRUE => Ok(true),
            Value::FALSE => Ok(false),
            _ => Err(self.wrong_type("a Boolean", v, what)),
        }
    }

    /// A string; nothing is coerced.
    ///
    /// # Errors
    /// When forcing fails or the value is no string.
    pub fn force_string(&mut self, v: Value, what: &str) -> Result<Str, Error> {
        let v = self.force(v)?;
        v.as_string().ok_or_else(|| self.wrong_type("a string", v, what))
    }

    /// A string without context.
    ///
    /// # Errors
    /// When forcing fails, the value is no string, or it refers to store paths.
    pub fn force_string_no_context(&mut self, v: Value, what: &str) -> Result<Str, Error> {
        let s = self.force_string(v, what)?;
        if s.context().is_none() { Ok(s) } else { Err(self.context_not_allowed(s)) }
    }

    /// A path value; strings are not coerced.
    ///
    /// # Errors
    /// When forcing fails or the value is no path.
    pub fn force_path(&mut self, v: Value, what: &str) -> Result<PathRef, Error> {
        let v = self.force(v)?;
        match v.view() {
            View::Path(path) => Ok(path),
            _ => Err(self.wrong_type("a path", v, what)),
        }
    }

    /// A list.
    ///
    /// # Errors
    /// When forcing fails or the value is no list.
    pub fn force_list(&mut self, v: Value, what: &str) -> Result<List, Error> {
        let v = self.force(v)?;
        v.as_list().ok_or_else(|| self.wrong_type("a list", v, what))
    }

    /// An attribute set.
    ///
    /// # Errors
    /// When forcing fails or the value is no set.
    pub fn force_attrs(&mut self, v: Value, what: &str) -> Result<Attrs, Error> {
        let v = self.force(v)?;
        v.as_attrs().ok_or_else(|| self.wrong_type("a set", v, what))
    }

    /// Something that can be called: a function, or a set with `__functor`.
    ///
    /// # Errors
    /// When forcing fails or the value cannot be called.
    pub fn force_function(&mut self, v: Value, what: &str) -> Result<Value, Error> {
        let v = self.force(v)?;
        let callable = match v.view() {
            View::Function(_) => true,
            View::Attrs(attrs) => attrs.has(self.shared.names.functor),
            _ => false,
        };
        if callable { Ok(v) } else { Err(self.wrong_type("a function", v, what)) }
    }

    /// The error for a forced value of the wrong type.
    #[cold]
    pub fn wrong_type(&self, expected: &str, found: Value, what: &str) -> Error {
        let error = error::wrong_type(expected, &found.view(), &self.preview(found));
        if what.is_empty() {
            error
        } else {
            error.frame(FrameKind::Builtin, format!("while evaluating {what}"), None)
        }
    }

    /// The error for a string that may not refer to store paths but does.
    #[cold]
    pub fn context_not_allowed(&self, s: Str) -> Error {
        let elements = self.contexts().get(s.context());
        let path = elements.first().map(|e| self.context_element_text(e)).unwrap_or_default();
        error::context_not_allowed(s.bytes(), &path)
    }
}

/// Names, surroundings, limits.
impl Machine {
    /// The symbol of a name.
    pub fn symbol(&self, name: &str) -> Symbol {
        self.symbol_of(name.as_bytes())
    }

    /// The symbol of a name given as bytes.
    pub fn symbol_of(&self, name: &[u8]) -> Symbol {
        let symbols = self.symbols();
        let n_before = symbols.len();
        let symbol = symbols.intern(name);
        // Names of other sessions may be among them: at worst both sessions count one.
        if symbols.len() != n_before {
            self.shared.heap.count_beside(name.len() as u64 + SYMBOL_BYTES);
        }
        symbol
    }

    /// The symbol of a name given as a string, whose context does not count.
    #[inline]
    pub(crate) fn symbol_of_string(&self, name: Str) -> Symbol {
        name.symbol().unwrap_or_else(|| self.symbol_of(name.bytes()))
    }

    /// The table of names.
    pub fn symbols(&self) -> &Symbols {
        &self.shared.engine.symbols
    }

    /// The table of names, as an owner.
    pub fn symbol_table(&self) -> Arc<Symbols> {
        self.shared.engine.symbols.clone()
    }

    /// The contexts of strings.
    pub fn contexts(&self) -> &Contexts {
        &self.shared.contexts
    }

    /// The sources read so far.
    pub fn sources(&self) -> Arc<SourceMap> {
        self.shared.sources.clone()
    }

    /// Gives an error the texts that its report shows. Errors that leave a request have them; one that is reported
    /// inside needs this.
    #[must_use]
    pub fn with_sources(&self, error: Error) -> Error {
        self.shared.with_sources(error)
    }

    /// The outside world.
    pub fn host(&self) -> &dyn Host {
        &*self.shared.engine.options.host
    }

    /// The outside world, as an owner.
    pub fn host_arc(&self) -> Arc<dyn Host> {
        self.shared.engine.options.host.clone()
    }

    /// What to hand to the host with a question.
    pub fn host_cx(&self) -> HostCx {
        HostCx { cancel: self.meter.cancel.clone() }
    }

    /// The options of the engine.
    pub fn options(&self) -> &EngineOptions {
        &self.shared.engine.options
    }

    /// The store directory that paths are computed for.
    pub fn store_dir(&self) -> StoreDir {
        self.host().store_dir()
    }

    /// Says a line as `builtins.trace` does; the host decides where it goes.
    pub fn trace(&self, text: &[u8]) {
        self.say(&TraceEvent::Trace(text));
    }

    /// Says something worth knowing once.
    pub fn note(&self, text: &[u8]) {
        self.say(&TraceEvent::Note(text));
    }

    /// Says a warning.
    pub fn warn(&self, text: &[u8]) {
        self.say(&TraceEvent::Warning(text));
    }

    /// A helper says nothing: the machine that answers will come to it.
    fn say(&self, event: &TraceEvent<'_>) {
        if self.is_ahead() {
            self.spoiled.set(true);
        } else {
            self.host().trace(event);
        }
    }

    /// The builtin of this name, as a value.
    pub fn builtin(&self, name: &str) -> Option<Value> {
        let builtins = self.shared.builtins_set()?;
        builtins.get(self.symbol(name))
    }

    /// Runs `code`; an error gets a step of its trace, `while …`.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn with_context<T>(
        &mut self,
        text: &str,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        code(self).map_err(|e| e.frame(FrameKind::Builtin, text, None))
    }

    /// Runs `code` one call deeper, on a new stretch of native stack if needed.
    ///
    /// # Errors
    /// Those of `code`, or when calls or stack are used up.
    pub fn deeper<T>(
        &mut self,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.note_step();
        self.enter_call()?;
        let result = if self.near_end() { self.on_new_segment(code) } else { code(self) };
        self.depth -= 1;
        result
    }

    /// Counts a nested call.
    #[inline(always)]
    pub(crate) fn enter_call(&mut self) -> Result<(), Error> {
        if self.depth >= self.meter.limits.call_depth {
            return Err(self.too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    /// Refuses a loop of tail calls that goes on for ever. They take no room, so many more may follow each
    /// other than may nest.
    #[inline(always)]
    pub(crate) fn check_tail_calls(&self, n: u64) -> Result<(), Error> {
        if n > TAIL_CALLS_PER_DEPTH * u64::from(self.meter.limits.call_depth) {
            return Err(self.too_deep());
        }
        Ok(())
    }

    /// Counts a step of a chain that is followed in a loop but would be a nested call elsewhere.
    pub(crate) fn count_step(&self, n: &mut u32) -> Result<(), Error> {
        *n += 1;
        if self.depth.saturating_add(*n) > self.meter.limits.call_depth {
            return Err(self.too_deep());
        }
        Ok(())
    }

    /// Refuses data that is nested `n` levels deep, when that and the calls around it are more than calls may
    /// nest. What walks over data needs no stack here, but ends where it ends elsewhere.
    pub(crate) fn check_depth(&self, n: u32) -> Result<(), Error> {
        if self.depth.saturating_add(n) > self.meter.limits.call_depth {
            return Err(self.too_deep());
        }
        Ok(())
    }

    #[cold]
    fn too_deep(&self) -> Error {
        error::limit(LimitKind::CallDepth, self.meter.limits.call_depth.into())
    }

    /// Looks at the limits and the token.
    #[cold]
    #[inline(never)]
    pub(crate) fn look(&mut self) -> Result<(), Error> {
        match self.meter.look() {
            None => {}
            Some(Err(())) => return Err(error::cancelled()),
            Some(Ok(LimitKind::Steps)) => {
                return Err(error::limit(LimitKind::Steps, self.meter.limits.steps));
            }
            Some(Ok(kind)) => return Err(error::limit(kind, 0)),
        }
        if self.shared.heap.over_limit() || !self.has_room(0) {
            return Err(error::limit(LimitKind::HeapBytes, self.shared.heap.limit()));
        }
        Ok(())
    }

    /// The heap of the session.
    pub(crate) fn heap(&self) -> &Heap {
        &self.shared.heap
    }

    /// Whether `more` bytes would still fit, contexts counted.
    fn has_room(&self, more: u64) -> bool {
        self.shared.heap.has_room(self.shared.contexts.size_bytes().saturating_add(more))
    }

    /// Refuses a list of more elements than the limit allows, before it is made.
    ///
    /// # Errors
    /// When it would be too long or does not fit into the heap.
    pub fn check_list_len(&self, n: u64) -> Result<(), Error> {
        let limit = self.meter.limits.list_items;
        if n > limit {
            return Err(error::limit(LimitKind::ListItems, limit));
        }
        self.check_room(n.saturating_mul(8))
    }

    /// Refuses a string of more bytes than the limit allows, before it is made.
    ///
    /// # Errors
    /// When it would be too long or does not fit into the heap.
    pub fn check_string_len(&self, n: u64) -> Result<(), Error> {
        let limit = self.meter.limits.string_bytes.min(crate::value::MAX_STRING as u64);
        if n > limit {
            return Err(error::limit(LimitKind::StringBytes, limit));
        }
        self.check_room(n)
    }

    /// Refuses an object that does not fit into the heap, or work that needs so much memory beside it.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn check_room(&self, bytes: u64) -> Result<(), Error> {
        // A step of a small string may double the contexts.
        let is_big = bytes > 64 << 10 || self.shared.contexts.size_bytes() > 1 << 20;
        if is_big && !self.has_room(bytes) {
            return Err(error::limit(LimitKind::HeapBytes, self.shared.heap.limit()));
        }
        Ok(())
    }

    /// Makes room for `n` more entries of a work list.
    ///
    /// # Errors
    /// When they do not fit into the heap.
    pub(crate) fn room_for<T>(&self, todo: &mut Vec<T>, n: usize) -> Result<(), Error> {
        let wanted = todo.len() + n;
        if wanted > todo.capacity() {
            // What is there is copied.
            let entries = wanted.max(2 * todo.capacity()) + todo.len();
            self.check_room((entries as u64).saturating_mul(size_of::<T>() as u64))?;
            todo.reserve(n);
        }
        Ok(())
    }

    /// A short text of a value for a message; forces nothing.
    #[cold]
    pub fn preview(&self, v: Value) -> String {
        crate::value::print::preview(self, v)
    }
}
