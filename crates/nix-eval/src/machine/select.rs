//! Selection: `a.b`, `a ? b`, `with`, and the inline caches of these.
//!
//! A cache is one word: the shape's address (48 bits) and the slot (16 bits). Layered sets and slots beyond
//! 65,535 are not cached.

use std::sync::atomic::Ordering;

use super::{Machine, stack::Frame};
use crate::{
    error::{self, Error},
    ir::{CacheId, NodeId, PathPart, Place, Range},
    source::{Location, Span},
    symbol::Symbol,
    value::{Attrs, Value, code::Unit},
};

impl Machine {
    /// The value of an attribute, through an inline cache.
    #[inline(always)]
    pub(crate) fn find_cached(
        &mut self,
        unit: &Unit,
        attrs: Attrs,
        name: Symbol,
        cache: CacheId,
    ) -> Option<Value> {
        let word = unit.cached(cache);
        if word >> 16 == attrs.shape_word() {
            return Some(attrs.slot((word & 0xffff) as usize));
        }
        self.find_slow(unit, attrs, name, cache)
    }

    #[inline(never)]
    fn find_slow(
        &mut self,
        unit: &Unit,
        attrs: Attrs,
        name: Symbol,
        cache: CacheId,
    ) -> Option<Value> {
        self.stats.select_misses += 1;
        if attrs.is_layered() {
            return attrs.get(name);
        }
        let slot = attrs.top_shape().slot(name)?;
        if slot <= 0xffff {
            let word = attrs.shape_word() << 16 | slot as u64;
            unit.cache(cache).store(word, Ordering::Release);
        }
        Some(attrs.slot(slot))
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn missing(&self, attrs: Attrs, name: Symbol) -> Error {
        error::missing_attr(self.symbols(), name, attrs)
    }

    /// As [`Machine::missing`], pointing at the name in the selection `id` from `base`.
    #[cold]
    #[inline(never)]
    pub(crate) fn missing_at(
        &self,
        unit: &Unit,
        id: NodeId,
        base: NodeId,
        attrs: Attrs,
        name: Symbol,
    ) -> Error {
        let error = self.missing(attrs, name);
        let whole = unit.location(id);
        let text = self.source_text(whole);
        // The name is written behind the base, as it is or in quotes; what is written otherwise, such as
        // `inherit (base) name;`, is pointed at as a whole.
        let base = unit.location(base).span;
        // Steps of a longer selection have the place of all of it.
        let from = if base == whole.span { 0 } else { base.end.saturating_sub(whole.span.start) };
        let from = from as usize;
        let wanted = self.symbols().name(name);
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"_'-".contains(b);
        let found = (from..text.len()).find(|&at| {
            text[at..].starts_with(wanted)
                && text.get(at + wanted.len()).is_none_or(|b| !is_part(b))
                && at.checked_sub(1).and_then(|at| text.get(at)).is_some_and(|b| !is_part(b))
        });
        match found {
            Some(at) if !wanted.is_empty() => {
                let start = whole.span.start + at as u32;
                let span = Span { start, end: start + wanted.len() as u32 };
                error.at(Location { file: whole.file, span }, "not in this set")
            }
            _ => error.at_if_unknown(whole),
        }
    }

    /// Something is selected from a value that is no set.
    #[cold]
    #[inline(never)]
    pub(crate) fn no_set(&self, unit: &Unit, base: NodeId, v: Value) -> Error {
        let text = format!("this is {}", v.view().with_article());
        self.wrong_type("a set", v, "").at(unit.location(base), text)
    }

    /// The name that a step of a path has.
    fn part_name(&mut self, frame: Frame, part: PathPart) -> Result<Symbol, Error> {
        match part {
            PathPart::Name(name) => Ok(name),
            PathPart::Dynamic(node) => {
                let v = self.eval(frame, node)?;
                let s = self.force_string_no_context(v, "an attribute name")?;
                Ok(self.symbol_of_string(s))
            }
        }
    }

    fn part(unit: &Unit, path: Range, i: u32) -> PathPart {
        let at = path.start + 2 * i;
        PathPart::from_words([unit.word(at), unit.word(at + 1)])
    }

    /// `base.path` without a default.
    #[inline(never)]
    pub(crate) fn select_path(
        &mut self,
        frame: Frame,
        id: NodeId,
        base: NodeId,
        path: Range,
    ) -> Result<Value, Error> {
        let unit = frame.unit();
        let mut v = self.eval(frame, base)?;
        for i in 0..path.len / 2 {
            // The set is evaluated before the name, but checked after it.
            let name = self.part_name(frame, Machine::part(unit, path, i))?;
            let Some(attrs) = v.as_attrs() else { return Err(self.wrong_type("a set", v, "")) };
            match attrs.get(name) {
                Some(found) => v = self.force(found)?,
                None => return Err(self.missing_at(unit, id, base, attrs, name)),
            }
        }
        Ok(v)
    }

    /// `base.path` where it exists; a level that is no set counts as missing.
    #[inline(never)]
    pub(crate) fn select_or(
        &mut self,
        frame: Frame,
        base: NodeId,
        path: Range,
    ) -> Result<Option<Value>, Error> {
        let unit = frame.unit();
        let mut v = self.eval(frame, base)?;
        for i in 0..path.len / 2 {
            let name = self.part_name(frame, Machine::part(unit, path, i))?;
            match v.as_attrs().and_then(|attrs| attrs.get(name)) {
                Some(found) => v = self.force(found)?,
                None => return Ok(None),
            }
        }
        Ok(Some(v))
    }

    /// `base ? path`; the last level is not forced.
    #[inline(never)]
    pub(crate) fn has_attr(
        &mut self,
        frame: Frame,
        base: NodeId,
        path: Range,
    ) -> Result<Value, Error> {
        let unit = frame.unit();
        let n = path.len / 2;
        let mut v = self.eval(frame, base)?;
        for i in 0..n {
            let name = self.part_name(frame, Machine::part(unit, path, i))?;
            match v.as_attrs().and_then(|attrs| attrs.get(name)) {
                Some(_) if i + 1 == n => return Ok(Value::TRUE),
                Some(found) => v = self.force(found)?,
                None => return Ok(Value::FALSE),
            }
        }
        Ok(Value::TRUE)
    }

    /// A name of the nearest `with` that has it.
    #[inline(never)]
    pub(crate) fn with_name(
        &mut self,
        frame: Frame,
        id: NodeId,
        name: Symbol,
        withs: u32,
        cache: CacheId,
    ) -> Result<Value, Error> {
        let unit = frame.unit();
        let n = unit.word(withs);
        for i in 0..n {
            let scope = frame.get(Place(unit.word(withs + 1 + i)));
            let v = self.force(scope)?;
            let Some(attrs) = v.as_attrs() else { return Err(self.wrong_type("a set", v, "")) };
            let found =
                if i == 0 { self.find_cached(unit, attrs, name, cache) } else { attrs.get(name) };
            if let Some(found) = found {
                return self.force(found);
            }
        }
        Err(self.undefined(frame, id, name, withs))
    }

    #[cold]
    fn undefined(&self, frame: Frame, id: NodeId, name: Symbol, withs: u32) -> Error {
        let unit = frame.unit();
        let symbols = self.symbols();
        let wanted = symbols.name(name);
        let error = error::undefined_variable(wanted)
            .at(unit.location(id), "no 'with' around it has this name");
        let mut names: Vec<Symbol> = Vec::new();
        for i in 0..unit.word(withs) {
            let scope = frame.get(Place(unit.word(withs + 1 + i)));
            names.extend(scope.as_attrs().map(Attrs::names).unwrap_or_default());
        }
        let near = error::suggest::nearest(wanted, names.iter().map(|&n| symbols.name(n)));
        match error::suggest::question(&near) {
            Some(question) => error.hint(question),
            None => error,
        }
    }

    /// A name of the scope that the file was imported with.
    pub(crate) fn scope_name(
        &mut self,
        frame: Frame,
        scope: Place,
        name: Symbol,
    ) -> Result<Value, Error> {
        let v = self.force(frame.get(scope))?;
        match v.as_attrs().and_then(|attrs| attrs.get(name)) {
            Some(found) => self.force(found),
            None => Err(error::undefined_variable(self.symbols().name(name))),
        }
    }
}
