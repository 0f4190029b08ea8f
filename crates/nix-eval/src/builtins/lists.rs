//! Lists.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::Machine,
    value::{List, Value, View},
};

pub(super) const LISTS: &[Builtin] = &[
    Builtin {
        name: "all",
        params: &["pred", "list"],
        doc: "Whether *pred* holds for every element of *list*. Stops at the first for which it does not.",
        examples: &[Example { source: "builtins.all (x: x < 3) [ 1 2 ]", shows: "true" }],
        run: Run::Two(|m, f, list| any_all(m, "all", false, f, list)),
    },
    Builtin {
        name: "any",
        params: &["pred", "list"],
        doc: "Whether *pred* holds for an element of *list*. Stops at the first for which it does.",
        examples: &[
            Example { source: r#"builtins.any (x: x == 1) [ 1 (throw "unseen") ]"#, shows: "true" },
            Example { source: "builtins.any (x: x) [ ]", shows: "false" },
        ],
        run: Run::Two(|m, f, list| any_all(m, "any", true, f, list)),
    },
    Builtin {
        name: "concatLists",
        params: &["lists"],
        doc: "The elements of the lists in *lists*, one after the other.",
        examples: &[Example {
            source: "builtins.concatLists [ [ 1 ] [ ] [ 2 3 ] ]",
            shows: "[ 1 2 3 ]",
        }],
        run: Run::One(concat_lists),
    },
    Builtin {
        name: "concatMap",
        params: &["f", "list"],
        doc: "The lists that *f* gives for the elements of *list*, one after the other.",
        examples: &[Example {
            source: "builtins.concatMap (x: [ x x ]) [ 1 2 ]",
            shows: "[ 1 1 2 2 ]",
        }],
        run: Run::Two(concat_map),
    },
    Builtin {
        name: "elem",
        params: &["x", "list"],
        doc: "Whether *list* has an element equal to *x*. Stops at the first.",
        examples: &[Example {
            source: r#"builtins.elem 2 [ 1 2 (throw "unseen") ]"#,
            shows: "true",
        }],
        run: Run::Two(elem),
    },
    Builtin {
        name: "elemAt",
        params: &["list", "n"],
        doc: "Element *n* of *list*, counted from 0.",
        examples: &[
            Example { source: "builtins.elemAt [ 1 2 3 ] 2", shows: "3" },
            Example {
                source: "builtins.elemAt [ 1 ] 1",
                shows: "error: 'builtins.elemAt' called with index 1 on a list of size 1",
            },
        ],
        run: Run::Two(elem_at),
    },
    Builtin {
        name: "filter",
        params: &["f", "list"],
        doc: "The elements of *list* for which *f* is true.",
        examples: &[Example { source: "builtins.filter (x: x > 1) [ 1 2 3 ]", shows: "[ 2 3 ]" }],
        run: Run::Two(filter),
    },
    Builtin {
        name: "foldl'",
        params: &["op", "nul", "list"],
        doc: "Combines the elements of *list* from left to right: `op (op nul x0) x1` and so on. Every \
              intermediate result is evaluated at once.",
        examples: &[Example { source: "builtins.foldl' (a: b: a + b) 0 [ 1 2 3 ]", shows: "6" }],
        run: Run::Three(foldl),
    },
    Builtin {
        name: "genList",
        params: &["f", "n"],
        doc: "The list of `f 0`, `f 1` … `f (n - 1)`, each computed when it is needed.",
        examples: &[Example { source: "builtins.genList (x: x * x) 4", shows: "[ 0 1 4 9 ]" }],
        run: Run::Two(gen_list),
    },
    Builtin {
        name: "groupBy",
        params: &["f", "list"],
        doc: "A set of the elements of *list* by the name that *f* gives them; order is kept.",
        examples: &[Example {
            source: "builtins.groupBy (s: builtins.substring 0 1 s) [ \"ab\" \"b\" \"ac\" ]",
            shows: "{ a = [ \"ab\" \"ac\" ]; b = [ \"b\" ]; }",
        }],
        run: Run::Two(group_by),
    },
    Builtin {
        name: "head",
        params: &["list"],
        doc: "The first element of *list*.",
        examples: &[
            Example { source: "builtins.head [ 1 2 ]", shows: "1" },
            Example {
                source: "builtins.head [ ]",
                shows: "error: 'builtins.head' called on an empty list",
            },
        ],
        run: Run::One(head),
    },
    Builtin {
        name: "length",
        params: &["list"],
        doc: "The number of elements of *list*.",
        examples: &[Example { source: r#"builtins.length [ 1 (throw "unseen") ]"#, shows: "2" }],
        run: Run::One(length),
    },
    Builtin {
        name: "map",
        params: &["f", "list"],
        doc: "The list of what *f* gives for each element of *list*, each computed when it is needed.",
        examples: &[Example {
            source: r#"map (x: "foo" + x) [ "bar" "bla" ]"#,
            shows: r#"[ "foobar" "foobla" ]"#,
        }],
        run: Run::Two(map),
    },
    Builtin {
        name: "partition",
        params: &["pred", "list"],
        doc: "`{ right; wrong; }`: the elements of *list* for which *pred* is true, and the others.",
        examples: &[Example {
            source: "builtins.partition (x: x > 10) [ 1 23 9 42 ]",
            shows: "{ right = [ 23 42 ]; wrong = [ 1 9 ]; }",
        }],
        run: Run::Two(partition),
    },
    Builtin {
        name: "tail",
        params: &["list"],
        doc: "*list* without its first element. Copies, so walking a list this way takes quadratic time.",
        examples: &[Example { source: "builtins.tail [ 1 2 3 ]", shows: "[ 2 3 ]" }],
        run: Run::One(tail),
    },
];

fn any_all(m: &mut Machine, name: &str, stop: bool, f: Value, list: Value) -> Result<Value, Error> {
    let f = m.force_function(f, &format!("the first argument of 'builtins.{name}'"))?;
    let list = m.force_list(list, &format!("the second argument of 'builtins.{name}'"))?;
    for item in list.iter() {
        m.poll()?;
        let answer = m.call(f, &[item])?;
        if test(m, answer, name)? == stop {
            return Ok(Value::bool(stop));
        }
    }
    Ok(Value::bool(!stop))
}

/// What a predicate gave.
#[inline]
fn test(m: &mut Machine, answer: Value, name: &str) -> Result<bool, Error> {
    match answer {
        Value::TRUE => Ok(true),
        Value::FALSE => Ok(false),
        other => m.force_bool(
            other,
            &format!("the return value of the function passed to 'builtins.{name}'"),
        ),
    }
}

fn concat_lists(m: &mut Machine, lists: Value) -> Result<Value, Error> {
    let lists = m.force_list(lists, "the argument of 'builtins.concatLists'")?;
    let mut parts = Vec::with_capacity(lists.len());
    for list in lists.iter() {
        m.poll()?;
        parts.push(m.force_list(list, "a list passed to 'builtins.concatLists'")?);
    }
    concat(m, &parts)
}

/// One list of all elements.
fn concat(m: &mut Machine, parts: &[List]) -> Result<Value, Error> {
    let mut filled = parts.iter().filter(|part| !part.is_empty());
    if let (Some(only), None) = (filled.next(), filled.next()) {
        return Ok(only.value());
    }
    let parts: Vec<&[Value]> = parts.iter().map(|part| part.as_slice()).collect();
    m.new_long_list(&parts)
}

fn concat_map(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let f = m.force_function(f, "the first argument of 'builtins.concatMap'")?;
    let list = m.force_list(list, "the second argument of 'builtins.concatMap'")?;
    let mut parts = Vec::with_capacity(list.len());
    for item in list.iter() {
        m.poll()?;
        let part = m.call(f, &[item])?;
        parts.push(
            m.force_list(part, "the return value of the function passed to 'builtins.concatMap'")?,
        );
    }
    concat(m, &parts)
}

fn elem(m: &mut Machine, wanted: Value, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the second argument of 'builtins.elem'")?;
    for item in list.iter() {
        m.poll()?;
        if m.equal(wanted, item)? {
            return Ok(Value::TRUE);
        }
    }
    Ok(Value::FALSE)
}

fn elem_at(m: &mut Machine, list: Value, n: Value) -> Result<Value, Error> {
    let n = m.force_int(n, "the second argument of 'builtins.elemAt'")?;
    let list = m.force_list(list, "the first argument of 'builtins.elemAt'")?;
    let item = usize::try_from(n).ok().and_then(|n| list.get(n));
    let item = item.ok_or_else(|| {
        let size = list.len();
        error::index(format!("'builtins.elemAt' called with index {n} on a list of size {size}"))
    })?;
    m.force(item)
}

fn filter(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the second argument of 'builtins.filter'")?;
    if list.is_empty() {
        return Ok(Value::EMPTY_LIST);
    }
    let f = m.force_function(f, "the first argument of 'builtins.filter'")?;
    let mut kept = Vec::with_capacity(list.len());
    for item in list.iter() {
        m.poll()?;
        let answer = m.call(f, &[item])?;
        if test(m, answer, "filter")? {
            kept.push(item);
        }
    }
    if kept.len() == list.len() {
        return Ok(list.value());
    }
    Ok(m.new_list(&kept))
}

fn foldl(m: &mut Machine, op: Value, nul: Value, list: Value) -> Result<Value, Error> {
    let op = m.force_function(op, "the first argument of 'builtins.foldl''")?;
    let list = m.force_list(list, "the third argument of 'builtins.foldl''")?;
    if list.is_empty() {
        return m.force(nul);
    }
    let mut so_far = nul;
    for item in list.iter() {
        m.poll()?;
        so_far = m.call(op, &[so_far, item])?;
    }
    m.force(so_far)
}

fn gen_list(m: &mut Machine, f: Value, n: Value) -> Result<Value, Error> {
    let n = m.force_int(n, "the second argument of 'builtins.genList'")?;
    let n =
        u64::try_from(n).map_err(|_| error::index(format!("cannot create list of size {n}")))?;
    let f = m.force_function(f, "the first argument of 'builtins.genList'")?;
    m.generate_list(f, n)
}

/// Refuses to collect items in groups when these do not fit beside the heap.
pub(super) fn check_groups(m: &Machine, n_groups: usize, n_items: usize) -> Result<(), Error> {
    // A group in a table, with a vector that items may still join, and its list; an item in both.
    const GROUP: usize = 96;
    const ITEM: usize = 16;
    m.check_room((n_groups * GROUP + n_items * ITEM) as u64)
}

fn group_by(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let f = m.force_function(f, "the first argument of 'builtins.groupBy'")?;
    let list = m.force_list(list, "the second argument of 'builtins.groupBy'")?;
    let mut groups: indexmap::IndexMap<_, Vec<Value>, rustc_hash::FxBuildHasher> =
        indexmap::IndexMap::default();
    for (n, item) in list.iter().enumerate() {
        m.poll()?;
        if n % 1024 == 0 {
            check_groups(m, groups.len(), n)?;
        }
        let name = m.call(f, &[item])?;
        let name = m.force_string_no_context(
            name,
            "the return value of the function passed to 'builtins.groupBy'",
        )?;
        groups.entry(m.symbol_of_string(name)).or_default().push(item);
    }
    let mut attrs = m.attrs_builder(groups.len());
    for (name, items) in groups {
        m.poll()?;
        attrs.push(name, m.new_list(&items), None);
    }
    Ok(m.finish_attrs(attrs))
}

fn head(m: &mut Machine, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the argument of 'builtins.head'")?;
    match list.get(0) {
        Some(first) => m.force(first),
        None => Err(error::index("'builtins.head' called on an empty list")),
    }
}

fn length(m: &mut Machine, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the argument of 'builtins.length'")?;
    Ok(m.new_int(list.len() as i64))
}

fn map(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the second argument of 'builtins.map'")?;
    if list.is_empty() {
        return Ok(Value::EMPTY_LIST);
    }
    let f = m.force_function(f, "the first argument of 'builtins.map'")?;
    m.map_list(f, list)
}

fn partition(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let f = m.force_function(f, "the first argument of 'builtins.partition'")?;
    let list = m.force_list(list, "the second argument of 'builtins.partition'")?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for (n, item) in list.iter().enumerate() {
        m.poll()?;
        if n % 1024 == 0 {
            check_groups(m, 2, n)?;
        }
        if let View::Function(function) = m.force(item)?.view() {
            function.see();
        }
        let answer = m.call(f, &[item])?;
        if test(m, answer, "partition")? { right.push(item) } else { wrong.push(item) }
    }
    let (right, wrong) = (m.new_list(&right), m.new_list(&wrong));
    let names = [m.symbol("right"), m.symbol("wrong")];
    Ok(m.new_attrs(&[(names[0], right), (names[1], wrong)]))
}

fn tail(m: &mut Machine, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the argument of 'builtins.tail'")?;
    if list.is_empty() {
        return Err(error::index("'builtins.tail' called on an empty list"));
    }
    Ok(m.list_end(list, 1))
}
