//! `sort`: a stable merge sort that takes runs as it finds them, like peeksort.

use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    value::{FunctionView, Value, View},
};

pub(super) const SORT: &[Builtin] = &[Builtin {
    name: "sort",
    params: &["comparator", "list"],
    doc: "The elements of *list* in the order of *comparator*, which says whether its first argument comes \
          before its second. Elements of which neither comes first keep their order.",
    examples: &[
        Example { source: "builtins.sort builtins.lessThan [ 3 1 2 ]", shows: "[ 1 2 3 ]" },
        Example {
            source: "builtins.sort (a: b: a.n < b.n) [ { n = 2; } { n = 1; } ]",
            shows: "[ { n = 1; } { n = 2; } ]",
        },
    ],
    run: Run::Two(sort),
}];

fn sort(m: &mut Machine, comparator: Value, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the second argument of 'builtins.sort'")?;
    if list.is_empty() {
        return Ok(Value::EMPTY_LIST);
    }
    let comparator = m.force_function(comparator, "the first argument of 'builtins.sort'")?;
    for item in list.iter() {
        m.poll()?;
        m.force(item)?;
    }
    let by_less_than = match comparator.view() {
        View::Function(f) => match f.view() {
            FunctionView::Builtin(builtin) => builtin.name() == "lessThan",
            _ => false,
        },
        _ => false,
    };
    let mut before = |m: &mut Machine, a: Value, b: Value| {
        m.poll()?;
        if by_less_than {
            return m.less(a, b);
        }
        let answer = m.call(comparator, &[a, b])?;
        m.force_bool(answer, "the return value of the sorting function passed to 'builtins.sort'")
    };
    // The elements, and again while they are merged.
    m.check_room(16 * list.len() as u64)?;
    let mut items = list.as_slice().to_vec();
    merge_sort(m, &mut items, &mut before)?;
    Ok(m.new_list(&items))
}

/// Sorts stably, whatever the comparator says; its first error ends the sorting.
///
/// Finds ascending and strictly descending runs and merges neighbours, bottom up.
fn merge_sort(
    m: &mut Machine,
    items: &mut Vec<Value>,
    before: &mut dyn FnMut(&mut Machine, Value, Value) -> Result<bool, Error>,
) -> Result<(), Error> {
    // Ends of the runs; each begins where the one before it ends.
    let mut ends = Vec::new();
    let mut start = 0;
    while start < items.len() {
        let mut end = start + 1;
        if end < items.len() {
            let descending = before(m, items[end], items[start])?;
            end += 1;
            while end < items.len() && before(m, items[end], items[end - 1])? == descending {
                end += 1;
            }
            if descending {
                items[start..end].reverse();
            }
        }
        ends.push(end);
        start = end;
    }
    let mut merged = Vec::with_capacity(items.len());
    while ends.len() > 1 {
        let mut next_ends = Vec::with_capacity(ends.len().div_ceil(2));
        let mut start = 0;
        merged.clear();
        for pair in ends.chunks(2) {
            let (middle, end) = (pair[0], pair[pair.len() - 1]);
            let (mut left, mut right) = (start, middle);
            while left < middle && right < end {
                if before(m, items[right], items[left])? {
                    merged.push(items[right]);
                    right += 1;
                } else {
                    merged.push(items[left]);
                    left += 1;
                }
            }
            merged.extend_from_slice(&items[left..middle]);
            merged.extend_from_slice(&items[right..end]);
            next_ends.push(end);
            start = end;
        }
        std::mem::swap(items, &mut merged);
        ends = next_ends;
    }
    Ok(())
}
