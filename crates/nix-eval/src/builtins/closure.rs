//! `genericClosure`.

use std::{cmp::Ordering, collections::VecDeque};

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::Machine,
    value::Value,
};

pub(super) const CLOSURE: &[Builtin] = &[Builtin {
    name: "genericClosure",
    params: &["attrset"],
    doc: "All that can be reached from the sets in `startSet` by `operator`, which gives a list of sets for a set.\nOf sets with equal `key` only the first counts; the order is breadth first.",
    examples: &[Example {
        source: "builtins.genericClosure { startSet = [ { key = 3; } ]; operator = x: if x.key > 0 then [ { key = x.key - 1; } ] else [ ]; }",
        shows: "[ { key = 3; } { key = 2; } { key = 1; } { key = 0; } ]",
    }],
    run: Run::One(generic_closure),
}];

fn generic_closure(m: &mut Machine, arguments: Value) -> Result<Value, Error> {
    let arguments = m.force_attrs(arguments, "the argument of 'builtins.genericClosure'")?;
    let (start_set, operator, key) = (m.symbol("startSet"), m.symbol("operator"), m.symbol("key"));
    let required = |name| error::required_attr(name, "the argument of 'builtins.genericClosure'");
    let start = arguments.get(start_set).ok_or_else(|| required("startSet"))?;
    let start = m.force_list(start, "the 'startSet' of 'builtins.genericClosure'")?;
    if start.is_empty() {
        return Ok(Value::EMPTY_LIST);
    }
    let operator = arguments.get(operator).ok_or_else(|| required("operator"))?;
    let operator = m.force_function(operator, "the 'operator' of 'builtins.genericClosure'")?;

    let mut todo: VecDeque<Value> = start.iter().collect();
    let mut found: Vec<Value> = Vec::new();
    // Sorted keys: the order of keys can fail, so a map of the standard library does not fit.
    let mut keys = Keys::default();
    while let Some(item) = todo.pop_front() {
        m.poll()?;
        let set = m.force_attrs(item, "an element of 'builtins.genericClosure'")?;
        let k = set.get(key).ok_or_else(|| {
            error::required_attr("key", "an element of 'builtins.genericClosure'")
        })?;
        let k = m.force(k)?;
        if !keys.insert(m, k)? {
            continue;
        }
        found.push(item);
        let next = m.call(operator, &[item])?;
        let next =
            m.force_list(next, "the result of the 'operator' of 'builtins.genericClosure'")?;
        m.check_list_len((todo.len() + next.len() + found.len()) as u64)?;
        todo.extend(next.iter());
    }
    Ok(m.new_list(&found))
}

/// Keys seen so far: sorted runs of doubling length, so that an insertion costs a logarithmic number of
/// comparisons and amortised moves.
#[derive(Default)]
struct Keys {
    runs: Vec<Vec<Value>>,
}

impl Keys {
    /// Whether the key is new.
    fn insert(&mut self, m: &mut Machine, key: Value) -> Result<bool, Error> {
        for run in &self.runs {
            let (mut low, mut high) = (0, run.len());
            while low < high {
                let middle = (low + high) / 2;
                match m.compare(run[middle], key)? {
                    Ordering::Less => low = middle + 1,
                    Ordering::Greater => high = middle,
                    Ordering::Equal => return Ok(false),
                }
            }
        }
        let mut run = vec![key];
        while self.runs.last().is_some_and(|last| last.len() <= run.len()) {
            let Some(other) = self.runs.pop() else { break };
            run = merge(m, other, run)?;
        }
        self.runs.push(run);
        Ok(true)
    }
}

fn merge(m: &mut Machine, a: Vec<Value>, b: Vec<Value>) -> Result<Vec<Value>, Error> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if m.less(b[j], a[i])? {
            out.push(b[j]);
            j += 1;
        } else {
            out.push(a[i]);
            i += 1;
        }
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    Ok(out)
}
