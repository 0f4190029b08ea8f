//! Operators: numbers, strings, paths, lists, sets.

use super::{Coerce, Machine, stack::Frame};
use crate::{
    error::{self, Class, Error},
    host::NixPath,
    ir::{NodeId, Range},
    value::{AccessorId, Attrs, ContextBuilder, Str, Value, View, canonicalise},
};

/// Strings of more bytes are put together in place.
const LONG_BYTES: u64 = 16 << 10;

impl Machine {
    /// `a + b + …`: typed by the first operand.
    #[inline(never)]
    pub(crate) fn plus(&mut self, frame: Frame, range: Range) -> Result<Value, Error> {
        let words = frame.unit().words(range);
        let mut v = self.eval(frame, NodeId(words[0]))?;
        for (i, &word) in words.iter().enumerate().skip(1) {
            let left = v.as_small_int();
            if left.is_none() && !matches!(v.view(), View::Int(_) | View::Float(_)) {
                return self.plus_text(frame, v, &words[i..]);
            }
            let right = self.eval(frame, NodeId(word))?;
            v = match (left, right.as_small_int()) {
                // Two small integers do not overflow.
                (Some(a), Some(b)) => self.new_int(a + b),
                _ => self.add(v, right).map_err(|e| self.blame_operand(e, frame, word, right))?,
            };
        }
        Ok(v)
    }

    /// `v + …` where `v` is no number.
    #[inline(never)]
    fn plus_text(&mut self, frame: Frame, v: Value, rest: &[u32]) -> Result<Value, Error> {
        if let View::Path(path) = v.view() {
            let mut text = path.bytes().to_vec();
            for &word in rest {
                let part = self.eval(frame, NodeId(word))?;
                let part = self.path_part(part)?;
                text.extend_from_slice(part.bytes());
                // COMPAT: each `+` makes a path, which is canonical before the next.
                text = canonicalise(&text);
            }
            return Ok(self.new_path(&NixPath { accessor: AccessorId(0), text }));
        }
        let mut context = ContextBuilder::new();
        // COMPAT: paths are copied to the store only behind a string; behind a set they stay what they are.
        let how = if v.as_string().is_some() { Coerce::INTERPOLATE } else { Coerce::PATH_TEXT };
        let first = self.coerce_to_string(v, how, &mut context)?;
        if let &[word] = rest {
            let v = self.eval(frame, NodeId(word))?;
            let right = self
                .coerce_to_string(v, how, &mut context)
                .map_err(|e| self.blame_operand(e, frame, word, v))?;
            return self.append_string(first, right.bytes(), context.finish(&self.shared.contexts));
        }
        match rest.split_first() {
            // The first sum is a string, whatever its left side was.
            Some((&word, rest)) if how == Coerce::PATH_TEXT => {
                let v = self.eval(frame, NodeId(word))?;
                let right = self
                    .coerce_to_string(v, how, &mut context)
                    .map_err(|e| self.blame_operand(e, frame, word, v))?;
                let sum = self.append_string(
                    first,
                    right.bytes(),
                    context.finish(&self.shared.contexts),
                )?;
                self.plus_text(frame, sum, rest)
            }
            _ => self.join(frame, first, rest, context),
        }
    }

    /// `first` followed by the texts of nodes.
    fn join(
        &mut self,
        frame: Frame,
        first: Str,
        rest: &[u32],
        mut context: ContextBuilder,
    ) -> Result<Value, Error> {
        let top = self.stack.top;
        let parts = self.stack.push(rest.len())?;
        let mut total = first.len() as u64;
        for (i, &word) in rest.iter().enumerate() {
            let v = self.eval(frame, NodeId(word))?;
            let s = self
                .coerce_to_string(v, Coerce::INTERPOLATE, &mut context)
                .map_err(|e| self.blame_operand(e, frame, word, v))?;
            total += s.len() as u64;
            parts.put(i, s.value().0);
        }
        self.check_string_len(total)?;
        let context = context.finish(&self.shared.contexts);
        let result = if total > LONG_BYTES {
            let rest = parts.values(rest.len()).iter();
            let rest = rest.map(|part| part.as_string().map_or(&b""[..], |s| s.bytes()));
            let parts: Vec<&[u8]> = std::iter::once(first.bytes()).chain(rest).collect();
            self.new_long_string(&parts, context)
        } else {
            let mut bytes = Vec::with_capacity(total as usize);
            bytes.extend_from_slice(first.bytes());
            for &part in parts.values(rest.len()) {
                bytes.extend_from_slice(part.as_string().map_or(b"", |s| s.bytes()));
            }
            Ok(self.new_string(&bytes, context))
        };
        self.stack.top = top;
        result
    }

    /// Points at the operand that has no text or is no number, unless the error says where it is.
    #[cold]
    fn blame_operand(&self, e: Error, frame: Frame, word: u32, v: Value) -> Error {
        if e.location().is_some() || !matches!(e.class(), Class::Type | Class::Context) {
            return e;
        }
        let text = format!("this is {}", v.view().with_article());
        e.at(frame.unit().location(NodeId(word)), text)
    }

    /// `"…${e}…"`.
    #[inline(never)]
    pub(crate) fn interpolate(&mut self, frame: Frame, range: Range) -> Result<Value, Error> {
        let words = frame.unit().words(range);
        let mut context = ContextBuilder::new();
        let Some((&first, rest)) = words.split_first() else {
            return Ok(self.new_text(""));
        };
        let v = self.eval(frame, NodeId(first))?;
        let s = self
            .coerce_to_string(v, Coerce::INTERPOLATE, &mut context)
            .map_err(|e| self.blame_operand(e, frame, first, v))?;
        if rest.is_empty() {
            return Ok(s.value());
        }
        self.join(frame, s, rest, context)
    }

    /// `./a/${e}`.
    #[inline(never)]
    pub(crate) fn interpolate_path(&mut self, frame: Frame, range: Range) -> Result<Value, Error> {
        let unit = frame.unit();
        let mut text: Vec<u8> = Vec::new();
        // A reference to the store is a mistake only when all parts are there.
        let mut mistake = None;
        for &word in unit.words(range) {
            let v = self.eval(frame, NodeId(word))?;
            match self.path_part(v) {
                Ok(part) => text.extend_from_slice(part.bytes()),
                Err(e) if e.class() == Class::Context => mistake = mistake.or(Some(e)),
                Err(e) => return Err(e),
            }
        }
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        let text = canonicalise(&text);
        Ok(self.new_path(&NixPath { accessor: unit.accessor, text }))
    }

    /// The text that a value adds to a path: no store paths.
    fn path_part(&mut self, v: Value) -> Result<Str, Error> {
        let mut context = ContextBuilder::new();
        let s = self.coerce_to_string(v, Coerce::PATH_TEXT, &mut context)?;
        if !context.is_empty() {
            let mut error = self.context_not_allowed(s);
            if s.context().is_none() {
                error = Error::new(
                    Class::Context,
                    "a string that refers to a store path cannot be appended to a path",
                );
            }
            return Err(error);
        }
        Ok(s)
    }

    /// `a ++ b ++ …`.
    #[inline(never)]
    pub(crate) fn concat(&mut self, frame: Frame, range: Range) -> Result<Value, Error> {
        let unit = frame.unit();
        let words = unit.words(range);
        let top = self.stack.top;
        let lists = self.stack.push(words.len())?;
        let mut total = 0;
        let mut last = Value::EMPTY_LIST;
        let mut all_lists = true;
        for (i, &word) in words.iter().enumerate() {
            let v = self.eval(frame, NodeId(word))?;
            lists.put(i, v.0);
            match v.as_list() {
                Some(list) if !list.is_empty() => {
                    total += list.len();
                    last = v;
                }
                Some(_) => {}
                None => all_lists = false,
            }
        }
        if !all_lists {
            // Both operands are evaluated before their types are looked at, and the operator binds to the
            // right: the last two are looked at first, then the others from the right.
            let n = words.len();
            let looked_at = [n - 2, n - 1].into_iter().chain((0..n - 2).rev());
            for i in looked_at {
                let v = Value(lists.word(i));
                if v.as_list().is_none() {
                    let here = unit.location(NodeId(words[i]));
                    return Err(self.wrong_type("a list", v, "").at_if_unknown(here));
                }
            }
        }
        self.stack.top = top;
        // One list and nothing else is that list.
        if last.as_list().is_some_and(|l| l.len() == total) {
            return Ok(last);
        }
        if total as u64 > LONG_BYTES {
            let lists = lists.values(words.len()).iter();
            let parts: Vec<&[Value]> =
                lists.filter_map(|list| list.as_list()).map(|list| list.as_slice()).collect();
            return self.new_long_list(&parts);
        }
        self.check_list_len(total as u64)?;
        let cells = self.new_list_cells(total);
        let mut at = 1;
        for list in lists.values(words.len()) {
            for item in list.as_list().map(|l| l.iter()).into_iter().flatten() {
                cells.put(at, item.0);
                at += 1;
            }
        }
        Ok(crate::value::List(cells).value())
    }

    /// `a // b // …`: evaluated left to right, merged from the right.
    #[inline(never)]
    pub(crate) fn update_all(&mut self, frame: Frame, range: Range) -> Result<Value, Error> {
        let unit = frame.unit();
        let words = unit.words(range);
        let top = self.stack.top;
        let sets = self.stack.push(words.len())?;
        for (i, &word) in words.iter().enumerate() {
            let v = self.eval(frame, NodeId(word))?;
            if v.as_attrs().is_none() {
                let here = unit.location(NodeId(word));
                return Err(self.wrong_type("a set", v, "").at_if_unknown(here));
            }
            sets.put(i, v.0);
        }
        self.stack.top = top;
        let mut merged: Option<Attrs> = None;
        for v in sets.values(words.len()).iter().rev() {
            let Some(left) = v.as_attrs() else { continue };
            merged = Some(match merged {
                Some(right) => self.update(left, right),
                None => left,
            });
        }
        Ok(merged.map_or_else(|| self.empty_attrs(), Attrs::value))
    }

    /// `<name>`.
    #[inline(never)]
    pub(crate) fn lookup(&mut self, name: Value) -> Result<Value, Error> {
        let engine = self.shared.engine.clone();
        let (Some(find), Some(path)) = (engine.find_file, engine.nix_path) else {
            let text = name.as_string().map(Str::to_text).unwrap_or_default();
            return Err(error::thrown(format!(
                "file '{text}' was not found in the Nix search path (this engine has none)"
            )));
        };
        let find = self.globals[find.0 as usize].value;
        let path = self.globals[path.0 as usize].value;
        self.call(find, &[path, name])
    }

    /// `~/x`.
    #[inline(never)]
    pub(crate) fn home_path(&mut self, text: Value) -> Result<Value, Error> {
        let home = if self.options().pure_eval { None } else { self.host().environment("HOME") };
        let Some(mut path) = home else {
            return Err(Error::new(
                Class::Restricted,
                "a path that begins with '~' needs to know the home directory, which may not be seen here",
            ));
        };
        path.extend_from_slice(text.as_string().map_or(b"", |s| s.bytes()));
        Ok(self.new_path(&NixPath { accessor: AccessorId(0), text: path }))
    }

    /// `a + b` for numbers.
    ///
    /// # Errors
    /// When one is no number, or the integers overflow.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.arithmetic(a, b, "adding", "+", i64::checked_add, |x, y| x + y)
    }

    /// `a - b` for numbers.
    ///
    /// # Errors
    /// As [`Machine::add`].
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.arithmetic(a, b, "subtracting", "-", i64::checked_sub, |x, y| x - y)
    }

    /// `a * b` for numbers.
    ///
    /// # Errors
    /// As [`Machine::add`].
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.arithmetic(a, b, "multiplying", "*", i64::checked_mul, |x, y| x * y)
    }

    /// `a / b` for numbers; integers truncate toward zero.
    ///
    /// # Errors
    /// As [`Machine::add`], and for a zero divisor.
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        // COMPAT: the divisor is looked at first, once both are evaluated.
        let (a, b) = (self.force(a)?, self.force(b)?);
        if matches!(b.view(), View::Int(0)) || matches!(b.view(), View::Float(x) if x == 0.0) {
            return Err(error::division_by_zero());
        }
        self.arithmetic(a, b, "dividing", "/", i64::checked_div, |x, y| x / y)
    }

    fn arithmetic(
        &mut self,
        a: Value,
        b: Value,
        what: &str,
        operator: &str,
        ints: impl Fn(i64, i64) -> Option<i64>,
        floats: impl Fn(f64, f64) -> f64,
    ) -> Result<Value, Error> {
        let (a, b) = (self.force(a)?, self.force(b)?);
        let x = match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => {
                return match ints(x, y) {
                    Some(n) => Ok(self.new_int(n)),
                    None => Err(error::overflow(what, x, operator, y)),
                };
            }
            (View::Int(x), View::Float(y)) => floats(x as f64, y),
            (View::Float(x), View::Int(y)) => floats(x, y as f64),
            (View::Float(x), View::Float(y)) => floats(x, y),
            (View::Float(_), _) => return Err(self.wrong_type("a float", b, "")),
            (View::Int(_), _) => return Err(self.wrong_type("an integer", b, "")),
            _ => return Err(self.wrong_type("an integer", a, "")),
        };
        Ok(self.new_float(x))
    }
}
