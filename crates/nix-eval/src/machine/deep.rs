//! Walks over data: forcing deeply, equality, order.
//!
//! All of them keep a work list; the depth of data is input and must not choose our stack.

use std::cmp::Ordering;

use rustc_hash::FxHashSet;

use super::Machine;
use crate::{
    error::{self, Error, PathStep},
    value::{Attrs, Value, View},
};

impl Machine {
    /// Forces a value and everything that can be reached from it, functions not entered; cycles are fine.
    ///
    /// # Errors
    /// The first failure on the way.
    pub fn force_deep(&mut self, v: Value) -> Result<(), Error> {
        let root = v;
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let mut todo = vec![(v, 0)];
        while let Some((v, depth)) = todo.pop() {
            self.poll()?;
            self.check_depth(depth)?;
            let v = match self.force(v) {
                Ok(v) => v,
                Err(e) => return Err(self.on_the_way(root, v, e)),
            };
            let inside = depth + 1;
            match v.view() {
                View::List(list) if !list.is_empty() && seen.insert(v.0) => {
                    self.ahead(list.iter(), Machine::force_deep);
                    self.room_for(&mut todo, list.len())?;
                    todo.extend(list.iter().rev().map(|v| (v, inside)));
                }
                View::Attrs(attrs) if !attrs.is_empty() && seen.insert(v.0) => {
                    self.room_for(&mut todo, attrs.len())?;
                    let symbols = self.symbol_table();
                    let all = attrs.iter_by_name(&symbols);
                    self.ahead(all.as_slice().iter().map(|&(_, v)| v), Machine::force_deep);
                    todo.extend(all.rev().map(|(_, v)| (v, inside)));
                }
                View::Function(f) => f.see(),
                _ => {}
            }
        }
        Ok(())
    }

    /// Tells an error the way from a value, which is evaluated as far as needed, to the part that failed.
    #[cold]
    pub(crate) fn on_the_way(&self, root: Value, failed: Value, e: Error) -> Error {
        const MOST: usize = 100_000;
        // Parts by number: the value, the number of what it is in, and the step there.
        let mut parts: Vec<(Value, usize, Option<PathStep>)> = vec![(root, 0, None)];
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let mut at = 0;
        while at < parts.len() && parts.len() < MOST {
            let v = parts[at].0;
            if v == failed {
                let mut e = e;
                while let (_, outer, Some(step)) = &parts[at] {
                    e = e.in_value(step.clone(), None);
                    at = *outer;
                }
                return e;
            }
            let v = v.peek();
            match v.view() {
                View::List(list) if seen.insert(v.0) => {
                    let items = list.iter().enumerate();
                    parts.extend(items.map(|(i, v)| (v, at, Some(PathStep::Index(i as u64)))));
                }
                View::Attrs(attrs) if seen.insert(v.0) => {
                    for (name, v) in attrs.iter() {
                        let name = String::from_utf8_lossy(self.symbols().name(name)).into_owned();
                        parts.push((v, at, Some(PathStep::Name(name))));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        e
    }

    /// `a == b`. Cells that are the same are equal without a look inside.
    ///
    /// # Errors
    /// When forcing fails.
    pub fn equal(&mut self, a: Value, b: Value) -> Result<bool, Error> {
        if a == b {
            return Ok(true);
        }
        let (a, b) = (self.force(a)?, self.force(b)?);
        self.equal_forced(a, b)
    }

    /// Equality of two values in weak head normal form that do not lie in one cell.
    pub(crate) fn equal_forced(&mut self, a: Value, b: Value) -> Result<bool, Error> {
        if let Some(answer) = self.equal_flat(a, b) {
            return Ok(answer);
        }
        let mut todo = Vec::new();
        let mut next = Some((a, b, 1));
        while let Some((a, b, inside)) = next {
            self.poll()?;
            self.check_depth(inside)?;
            match (a.view(), b.view()) {
                (View::List(x), View::List(y)) => {
                    self.room_for(&mut todo, x.len())?;
                    todo.extend(x.iter().zip(y.iter()).rev().map(|(v, w)| (v, w, inside)));
                }
                (View::Attrs(x), View::Attrs(y)) => {
                    // COMPAT: `type` of the second is evaluated only beside a derivation.
                    let paths = if self.is_derivation(x)? && self.is_derivation(y)? {
                        let out_path = self.shared.names.out_path;
                        x.get(out_path).zip(y.get(out_path))
                    } else {
                        None
                    };
                    if let Some((x, y)) = paths {
                        todo.push((x, y, inside));
                    } else if x.len() != y.len() {
                        return Ok(false);
                    }
                    let (mut xs, mut ys) = (x.iter(), y.iter());
                    let mut pairs = Vec::with_capacity(x.len());
                    while paths.is_none()
                        && let (Some((n, v)), Some((m, w))) = (xs.next(), ys.next())
                    {
                        if n != m {
                            // COMPAT: what comes before a difference of names is evaluated.
                            pairs.push((Value::TRUE, Value::FALSE, inside));
                            break;
                        }
                        pairs.push((v, w, inside));
                    }
                    todo.extend(pairs.into_iter().rev());
                }
                _ => return Ok(false),
            }
            next = None;
            while let Some((a, b, depth)) = todo.pop() {
                // The same cell is equal to itself, functions too.
                if a == b {
                    continue;
                }
                self.poll()?;
                let (a, b) = (self.force(a)?, self.force(b)?);
                match self.equal_flat(a, b) {
                    Some(true) => {}
                    Some(false) => return Ok(false),
                    None => {
                        next = Some((a, b, depth + 1));
                        break;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Equality as far as it can be told without looking inside; `None` for two lists of one length and
    /// for two sets.
    #[inline]
    fn equal_flat(&self, a: Value, b: Value) -> Option<bool> {
        Some(match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => x == y,
            (View::Int(x), View::Float(y)) => x as f64 == y,
            (View::Float(x), View::Int(y)) => x == y as f64,
            (View::Float(x), View::Float(y)) => x == y,
            (View::String(x), View::String(y)) => x == y || x.bytes() == y.bytes(),
            (View::Path(x), View::Path(y)) => {
                x.accessor() == y.accessor() && x.bytes() == y.bytes()
            }
            (View::Bool(x), View::Bool(y)) => x == y,
            (View::Null, View::Null) => true,
            (View::List(x), View::List(y)) => {
                if x.len() != y.len() {
                    false
                } else if x.is_empty() {
                    true
                } else {
                    return None;
                }
            }
            (View::Attrs(_), View::Attrs(_)) => return None,
            (View::External(x), View::External(y)) => x == y,
            _ => false,
        })
    }

    /// Whether a set has `type = "derivation"`.
    ///
    /// # Errors
    /// When forcing `type` fails.
    pub fn is_derivation(&mut self, attrs: Attrs) -> Result<bool, Error> {
        let Some(kind) = attrs.get(self.shared.names.type_) else { return Ok(false) };
        let kind = self.force(kind)?;
        Ok(kind.as_string().is_some_and(|s| s.bytes() == b"derivation"))
    }

    /// `a < b`: numbers, strings by bytes, paths by text, lists by their first unequal pair.
    ///
    /// # Errors
    /// When forcing fails or the values have no order.
    pub fn less(&mut self, a: Value, b: Value) -> Result<bool, Error> {
        let (mut a, mut b) = (self.force(a)?, self.force(b)?);
        loop {
            self.poll()?;
            let (x, y) = match (a.view(), b.view()) {
                (View::Int(x), View::Int(y)) => return Ok(x < y),
                (View::Int(x), View::Float(y)) => return Ok((x as f64) < y),
                (View::Float(x), View::Int(y)) => return Ok(x < y as f64),
                (View::Float(x), View::Float(y)) => return Ok(x < y),
                (View::String(x), View::String(y)) => return Ok(x.bytes() < y.bytes()),
                (View::Path(x), View::Path(y)) => return Ok(x.bytes() < y.bytes()),
                (View::List(x), View::List(y)) => (x, y),
                (x, y) => return Err(error::cannot_compare(&x, &y)),
            };
            // The first unequal pair decides; a list that ends first is less.
            let mut pairs = x.iter().zip(y.iter());
            let unequal = loop {
                let Some((v, w)) = pairs.next() else { break None };
                self.poll()?;
                if !self.equal(v, w)? {
                    break Some((v, w));
                }
            };
            match unequal {
                None => return Ok(x.len() < y.len()),
                Some((v, w)) => (a, b) = (self.force(v)?, self.force(w)?),
            }
        }
    }

    /// The order of two values, by `<` both ways.
    ///
    /// # Errors
    /// As [`Machine::less`].
    pub fn compare(&mut self, a: Value, b: Value) -> Result<Ordering, Error> {
        Ok(if self.less(a, b)? {
            Ordering::Less
        } else if self.less(b, a)? {
            Ordering::Greater
        } else {
            Ordering::Equal
        })
    }
}
