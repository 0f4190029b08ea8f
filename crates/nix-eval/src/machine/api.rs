//! What builtins ask of the machine: forcing with a type, making values, limits.

use std::sync::Arc;

use nix_formats::store_path::StoreDir;

use super::Machine;
use crate::{
    engine::EngineOptions,
    error::{self, Error, FrameKind},
    heap::Cells,
    host::{Host, HostCx, TraceEvent},
    limits::LimitKind,
    source::{Location, Origin, SourceMap},
    symbol::{Symbol, Symbols},
    value::{
        Attrs, AttrsBuilder, BOX_EXTERNAL, BOX_FLOAT, BOX_INT, BOXED, ContextId, Contexts,
        Function, List, NO_POSITION, PathRef, SHORT_LIST, Shape, Str, Thunk, Value, View,
    },
};

/// How many calls may take each other's place for each that may nest: enough for long loops, and an endless one
/// ends within seconds.
const TAIL_CALLS_PER_DEPTH: u64 = 1000;

/// Bytes that are copied between two looks at limits and token.
const PART_BYTES: usize = 512 << 10;

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

/// Making values.
impl Machine {
    /// An integer.
    #[inline]
    pub fn new_int(&mut self, n: i64) -> Value {
        match Value::small_int(n) {
            Some(v) => v,
            None => self.boxed(BOX_INT, n as u64),
        }
    }

    /// A float.
    pub fn new_float(&mut self, x: f64) -> Value {
        self.boxed(BOX_FLOAT, x.to_bits())
    }

    /// A value of the embedder, by number.
    pub fn new_external(&mut self, number: u32) -> Value {
        self.boxed(BOX_EXTERNAL, number.into())
    }

    fn boxed(&mut self, kind: u64, word: u64) -> Value {
        let cells = self.words(2);
        cells.put(0, kind);
        cells.put(1, word);
        Value::tagged(cells, BOXED)
    }

    /// A string.
    pub fn new_string(&mut self, bytes: &[u8], context: ContextId) -> Value {
        Str::new(&mut self.bump, &self.shared.heap, bytes, context).value()
    }

    /// A string of these parts, which may be long: somebody may ask to stop while they are copied.
    ///
    /// # Errors
    /// When the string would pass the limit, or a limit or the token says so.
    pub fn new_long_string(&mut self, parts: &[&[u8]], context: ContextId) -> Result<Value, Error> {
        let total = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.check_string_len(total)?;
        let total = total as usize;
        let cells = self.words(2 + total.div_ceil(8));
        let mut at = 16;
        for part in parts.iter().flat_map(|part| part.chunks(PART_BYTES)) {
            if total > PART_BYTES {
                self.poll_now()?;
            }
            cells.put_bytes(at, part);
            at += part.len();
        }
        Ok(Str::in_cells(cells, total, context).value())
    }

    /// A list of the elements of these parts, which may be long.
    ///
    /// # Errors
    /// When the list would pass the limit, or a limit or the token says so.
    pub fn new_long_list(&mut self, parts: &[&[Value]]) -> Result<Value, Error> {
        let n = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.check_list_len(n)?;
        if n == 0 {
            return Ok(Value::EMPTY_LIST);
        }
        let cells = self.new_list_cells(n as usize);
        let mut at = 1;
        for part in parts.iter().flat_map(|part| part.chunks(PART_BYTES / 8)) {
            if n as usize > PART_BYTES / 8 {
                self.poll_now()?;
            }
            for item in part {
                cells.put(at, item.0);
                at += 1;
            }
        }
        Ok(List(cells).value())
    }

    /// A string without context.
    pub fn new_text(&mut self, text: &str) -> Value {
        self.new_string(text.as_bytes(), ContextId::NONE)
    }

    /// A part of a string, sharing its bytes when it is long; out-of-range bounds are a bug.
    pub fn new_substring(&mut self, s: Str, start: usize, len: usize, context: ContextId) -> Value {
        s.slice(&mut self.bump, &self.shared.heap, start, len, context).value()
    }

    /// `left` with bytes appended; amortised linear when done in a loop.
    ///
    /// # Errors
    /// When the string would pass the limit.
    pub fn append_string(
        &mut self,
        left: Str,
        right: &[u8],
        context: ContextId,
    ) -> Result<Value, Error> {
        let total = left.len() + right.len();
        self.check_string_len(total as u64)?;
        let (bump, heap) = (&mut self.bump, &self.shared.heap);
        let (s, at, is_new) = left.append_room(bump, heap, right.len(), context);
        let parts = [(16, if is_new { left.bytes() } else { b"" }), (16 + left.len(), right)];
        for (start, part) in parts {
            if part.len() <= PART_BYTES {
                at.put_bytes(start, part);
                continue;
            }
            for (i, piece) in part.chunks(PART_BYTES).enumerate() {
                self.poll_now()?;
                at.put_bytes(start + i * PART_BYTES, piece);
            }
        }
        Ok(s.value())
    }

    /// A path in the host's file system (accessor 0) or an embedded tree; `text` must be canonical.
    pub fn new_path(&mut self, path: &crate::host::NixPath) -> Value {
        PathRef::new(&mut self.bump, &self.shared.heap, path.accessor, &path.text).value()
    }

    /// A list of values or thunks.
    pub fn new_list(&mut self, items: &[Value]) -> Value {
        if items.is_empty() {
            return Value::EMPTY_LIST;
        }
        let cells = self.new_list_cells(items.len());
        for (i, item) in items.iter().enumerate() {
            cells.put(1 + i, item.0);
        }
        List(cells).value()
    }

    /// The elements of a list from number `start` on, which is at most its length; long ends share them.
    pub fn list_end(&mut self, list: List, start: usize) -> Value {
        let rest = &list.as_slice()[start..];
        if rest.len() <= SHORT_LIST {
            return self.new_list(rest);
        }
        let cells = self.words(2);
        List::share(cells, list, start).value()
    }

    /// Room for a list of `n > 0` elements that the caller fills from word 1 on.
    pub(crate) fn new_list_cells(&mut self, n: usize) -> Cells {
        let cells = self.words(1 + n);
        cells.put(0, n as u64);
        cells
    }

    /// A builder of sets.
    pub fn attrs_builder(&self, n: usize) -> AttrsBuilder {
        AttrsBuilder::with_capacity(n)
    }

    /// Finishes a set.
    pub fn finish_attrs(&mut self, builder: AttrsBuilder) -> Value {
        let shared = &*self.shared;
        if builder.is_empty() {
            return shared.empty_attrs();
        }
        builder.build(&shared.shapes, &mut self.bump, &shared.heap).value()
    }

    /// A set of these attributes; of two with one name the first stays.
    pub fn new_attrs(&mut self, attrs: &[(Symbol, Value)]) -> Value {
        let mut builder = self.attrs_builder(attrs.len());
        for &(name, value) in attrs {
            builder.push(name, value, None);
        }
        self.finish_attrs(builder)
    }

    /// `{ }`.
    pub fn empty_attrs(&self) -> Value {
        self.shared.empty_attrs()
    }

    /// A set with the names of `like` and other values, in the order of its `iter`. Where the names were
    /// written is not kept.
    pub fn attrs_like(&mut self, like: Attrs, values: &[Value]) -> Value {
        let shared = &*self.shared;
        let flat = like.flatten(&shared.shapes, &mut self.bump, &shared.heap);
        let shape = flat.top_shape().without_positions(&mut self.bump, &shared.heap);
        Attrs::new(&mut self.bump, &shared.heap, shape, values).value()
    }

    /// A set of those attributes of `attrs` whose names `keep` accepts, positions included.
    pub fn attrs_filter(&mut self, attrs: Attrs, mut keep: impl FnMut(Symbol) -> bool) -> Value {
        let mut builder = self.attrs_builder(attrs.len());
        for (name, value) in attrs.iter() {
            if keep(name) {
                builder.push(name, value, attrs.position(name));
            }
        }
        if builder.len() == attrs.len() {
            return attrs.value();
        }
        self.finish_attrs(builder)
    }

    /// `left // right`.
    pub fn update(&mut self, left: Attrs, right: Attrs) -> Attrs {
        let shared = &*self.shared;
        self.plans.update(left, right, &shared.shapes, &mut self.bump, &shared.heap)
    }

    /// A set with this shape.
    pub fn attrs_with_shape(&mut self, shape: Shape, values: &[Value]) -> Value {
        assert_eq!(shape.len(), values.len(), "a set has one value for each name");
        Attrs::new(&mut self.bump, &self.shared.heap, shape, values).value()
    }

    /// A thunk of the call `f args…`; `f` is not forced before the thunk is.
    pub fn delay_call(&mut self, f: Value, args: &[Value]) -> Value {
        self.stats.thunks_made += 1;
        let cells = self.words(2 + args.len());
        cells.put(0, Thunk::call_word(args.len()));
        cells.put(1, f.0);
        for (i, arg) in args.iter().enumerate() {
            cells.put(2 + i, arg.0);
        }
        Thunk(cells).value()
    }

    /// A thunk that fails with `error` when forced.
    pub fn delay_error(&mut self, error: Error) -> Value {
        if self.is_ahead() {
            self.spoiled.set(true);
        }
        let cells = self.words(1);
        cells.put(0, Thunk::failure(self.shared.remember(&error)));
        Thunk(cells).value()
    }

    /// The value itself; marks that it is in weak head normal form already.
    pub fn evaluated(&self, v: Value) -> Value {
        debug_assert!(!v.peek().is_thunk());
        let v = v.peek();
        if let View::Function(f) = v.view() {
            f.see();
        }
        v
    }

    /// A partial application of a function to fewer arguments than it takes.
    pub(crate) fn new_partial(&mut self, function: Value, args: &[Value]) -> Value {
        Function::partial(&mut self.bump, &self.shared.heap, function, args)
    }

    /// `{ file; line; column; }` of a place; `null` if it does not lie in a file.
    pub fn position_value(&mut self, location: Location) -> Value {
        if location == NO_POSITION {
            return Value::NULL;
        }
        let sources = self.sources();
        let Some(source) = sources.get(location.file) else { return Value::NULL };
        let Origin::Path(path) = &source.origin else { return Value::NULL };
        let (line, column) = sources.line_column(location.file, location.span.start);
        let file = self.new_string(path, ContextId::NONE);
        let (line, column) = (self.new_int(line.into()), self.new_int(column.into()));
        let names = ["file", "line", "column"].map(|n| self.symbol(n));
        self.new_attrs(&[(names[0], file), (names[1], line), (names[2], column)])
    }
}

/// Names, surroundings, limits.
impl Machine {
    /// The symbol of a name.
    pub fn symbol(&self, name: &str) -> Symbol {
        self.symbols().intern(name.as_bytes())
    }

    /// The symbol of a name given as bytes.
    pub fn symbol_of(&self, name: &[u8]) -> Symbol {
        self.symbols().intern(name)
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
        if self.shared.heap.over_limit() {
            return Err(error::limit(LimitKind::HeapBytes, self.shared.heap.limit()));
        }
        Ok(())
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

    /// Refuses an object that does not fit into the heap.
    fn check_room(&self, bytes: u64) -> Result<(), Error> {
        if bytes > 64 << 10 && !self.shared.heap.has_room(bytes) {
            return Err(error::limit(LimitKind::HeapBytes, self.shared.heap.limit()));
        }
        Ok(())
    }

    /// A short text of a value for a message; forces nothing.
    #[cold]
    pub fn preview(&self, v: Value) -> String {
        crate::value::print::preview(self, v)
    }
}
