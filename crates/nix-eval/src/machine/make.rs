//! Making values.

use super::Machine;
use crate::{
    error::Error,
    heap::Cells,
    source::{Location, Origin},
    symbol::Symbol,
    value::{
        Attrs, AttrsBuilder, BOX_EXTERNAL, BOX_FLOAT, BOX_INT, BOXED, ContextId, Function, List,
        NO_POSITION, PathRef, SHORT_LIST, Shape, Str, Thunk, Value, View,
    },
};

/// Bytes that are copied between two looks at limits and token.
const PART_BYTES: usize = 512 << 10;

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
        let cells = self.any_words(2);
        cells.put(0, kind);
        cells.put(1, word);
        Value::tagged(cells, BOXED)
    }

    /// A string.
    pub fn new_string(&mut self, bytes: &[u8], context: ContextId) -> Value {
        Str::new(&mut self.bump, &self.shared.heap, bytes, context).value()
    }

    /// The name of a symbol as a string: the same one every time.
    pub(crate) fn name_of(&mut self, symbol: Symbol) -> Value {
        let index = symbol.0 as usize;
        if let Some(&known) = self.names.get(index)
            && known != Value::HOLE
        {
            return known;
        }
        if self.names.len() <= index {
            self.names.resize(index + 1, Value::HOLE);
        }
        let shared = &*self.shared;
        let name = shared.engine.symbols.name(symbol);
        let v = Str::named(&mut self.bump, &shared.heap, name, symbol).value();
        self.names[index] = v;
        v
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
        let cells = self.any_words(1 + n);
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
        let cells = self.any_words(2 + args.len());
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
        cells.put(0, Thunk::failed_word(self.shared.remember(&error)));
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
