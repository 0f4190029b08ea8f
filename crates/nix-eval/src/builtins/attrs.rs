//! Attribute sets.

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::Machine,
    value::Value,
};

pub(super) const ATTRS: &[Builtin] = &[
    Builtin {
        name: "attrNames",
        params: &["set"],
        doc: "The names of the attributes of *set*, in byte order.",
        examples: &[Example {
            source: "builtins.attrNames { y = 1; x = 2; B = 3; }",
            shows: r#"[ "B" "x" "y" ]"#,
        }],
        run: Run::One(attr_names),
    },
    Builtin {
        name: "attrValues",
        params: &["set"],
        doc: "The values of the attributes of *set*, in the order of `attrNames`.",
        examples: &[Example { source: "builtins.attrValues { y = 1; x = 2; }", shows: "[ 2 1 ]" }],
        run: Run::One(attr_values),
    },
    Builtin {
        name: "catAttrs",
        params: &["attr", "list"],
        doc: "The attribute *attr* of every set in *list* that has it.",
        examples: &[Example {
            source: r#"builtins.catAttrs "a" [ { a = 1; } { b = 0; } { a = 2; } ]"#,
            shows: "[ 1 2 ]",
        }],
        run: Run::Two(cat_attrs),
    },
    Builtin {
        name: "getAttr",
        params: &["s", "set"],
        doc: "The attribute of *set* that the string *s* names.",
        examples: &[
            Example { source: r#"builtins.getAttr "a" { a = 1; }"#, shows: "1" },
            Example {
                source: r#"builtins.getAttr "b" { a = 1; }"#,
                shows: "error: attribute 'b' missing",
            },
        ],
        run: Run::Two(get_attr),
    },
    Builtin {
        name: "hasAttr",
        params: &["s", "set"],
        doc: "Whether *set* has an attribute called *s*.",
        examples: &[Example {
            source: r#"builtins.hasAttr "a" { a = throw "unseen"; }"#,
            shows: "true",
        }],
        run: Run::Two(has_attr),
    },
    Builtin {
        name: "intersectAttrs",
        params: &["e1", "e2"],
        doc: "The attributes of *e2* whose names are also in *e1*.",
        examples: &[Example {
            source: "builtins.intersectAttrs { a = 1; c = 2; } { a = 3; b = 4; }",
            shows: "{ a = 3; }",
        }],
        run: Run::Two(intersect_attrs),
    },
    Builtin {
        name: "listToAttrs",
        params: &["e"],
        doc: "A set made of the `{ name; value; }` sets in the list *e*. Of several with one name, the first counts.",
        examples: &[Example {
            source: r#"builtins.listToAttrs [ { name = "a"; value = 1; } { name = "a"; } ]"#,
            shows: "{ a = 1; }",
        }],
        run: Run::One(list_to_attrs),
    },
    Builtin {
        name: "mapAttrs",
        params: &["f", "attrset"],
        doc: "*attrset* with every value replaced by `f name value`, computed when it is needed.",
        examples: &[Example {
            source: "builtins.mapAttrs (name: value: name + value) { a = \"1\"; }",
            shows: "{ a = \"a1\"; }",
        }],
        run: Run::Two(map_attrs),
    },
    Builtin {
        name: "removeAttrs",
        params: &["set", "list"],
        doc: "*set* without the attributes named in *list*; names that it does not have are ignored.",
        examples: &[Example {
            source: r#"removeAttrs { a = 1; b = 2; } [ "a" "x" ]"#,
            shows: "{ b = 2; }",
        }],
        run: Run::Two(remove_attrs),
    },
    Builtin {
        name: "unsafeGetAttrPos",
        params: &["s", "set"],
        doc: "Where the attribute *s* of *set* was written: `{ file; line; column; }`, or `null`.",
        examples: &[Example {
            source: r#"builtins.unsafeGetAttrPos "b" { a = 1; }"#,
            shows: "null",
        }],
        run: Run::Two(unsafe_get_attr_pos),
    },
    Builtin {
        name: "zipAttrsWith",
        params: &["f", "list"],
        doc: "A set of all names in the sets of *list*; the value is `f name values`, with the values in \
              the order of *list*.",
        examples: &[Example {
            source: "builtins.zipAttrsWith (name: values: values) [ { a = 1; } { a = 2; b = 3; } ]",
            shows: "{ a = [ 1 2 ]; b = [ 3 ]; }",
        }],
        run: Run::Two(zip_attrs_with),
    },
];

fn attr_names(m: &mut Machine, set: Value) -> Result<Value, Error> {
    let set = m.force_attrs(set, "the argument of 'builtins.attrNames'")?;
    let symbols = m.symbol_table();
    let mut names = Vec::with_capacity(set.len());
    for (name, _) in set.iter_by_name(&symbols) {
        m.poll()?;
        names.push(m.name_of(name));
    }
    Ok(m.new_list(&names))
}

fn attr_values(m: &mut Machine, set: Value) -> Result<Value, Error> {
    let set = m.force_attrs(set, "the argument of 'builtins.attrValues'")?;
    let values: Vec<Value> = set.iter_by_name(m.symbols()).map(|(_, value)| value).collect();
    m.poll()?;
    Ok(m.new_list(&values))
}

fn cat_attrs(m: &mut Machine, name: Value, list: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(name, "the first argument of 'builtins.catAttrs'")?;
    let name = m.symbol_of_string(name);
    let list = m.force_list(list, "the second argument of 'builtins.catAttrs'")?;
    let mut found = Vec::new();
    for item in list.iter() {
        m.poll()?;
        let set = m.force_attrs(item, "an element in the list passed to 'builtins.catAttrs'")?;
        found.extend(set.get(name));
    }
    Ok(m.new_list(&found))
}

fn get_attr(m: &mut Machine, name: Value, set: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(name, "the first argument of 'builtins.getAttr'")?;
    let set = m.force_attrs(set, "the second argument of 'builtins.getAttr'")?;
    let name = m.symbol_of_string(name);
    match set.get(name) {
        Some(value) => m.force(value),
        None => Err(error::missing_attr(m.symbols(), name, set)),
    }
}

fn has_attr(m: &mut Machine, name: Value, set: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(name, "the first argument of 'builtins.hasAttr'")?;
    let set = m.force_attrs(set, "the second argument of 'builtins.hasAttr'")?;
    Ok(Value::bool(set.has(m.symbol_of_string(name))))
}

fn intersect_attrs(m: &mut Machine, left: Value, right: Value) -> Result<Value, Error> {
    let left = m.force_attrs(left, "the first argument of 'builtins.intersectAttrs'")?;
    let right = m.force_attrs(right, "the second argument of 'builtins.intersectAttrs'")?;
    m.poll()?;
    if left.len() >= right.len() {
        return Ok(m.attrs_filter(right, |name| left.has(name)));
    }
    let mut both = m.attrs_builder(left.len());
    for (name, _) in left.iter() {
        if let Some(value) = right.get(name) {
            both.push(name, value, right.position(name));
        }
    }
    Ok(m.finish_attrs(both))
}

fn list_to_attrs(m: &mut Machine, list: Value) -> Result<Value, Error> {
    let list = m.force_list(list, "the argument of 'builtins.listToAttrs'")?;
    let (name_symbol, value_symbol) = (m.symbol("name"), m.symbol("value"));
    let mut seen = FxHashSet::default();
    let mut attrs = m.attrs_builder(list.len());
    for item in list.iter() {
        m.poll()?;
        let pair =
            m.force_attrs(item, "an element of the list passed to 'builtins.listToAttrs'")?;
        let name = pair.get(name_symbol).ok_or_else(|| required(m, name_symbol, pair))?;
        let name = m.force_string_no_context(
            name,
            "the `name` attribute of an element of the list passed to 'builtins.listToAttrs'",
        )?;
        let name = m.symbol_of_string(name);
        if seen.insert(name) {
            let value = pair.get(value_symbol).ok_or_else(|| required(m, value_symbol, pair))?;
            attrs.push(name, value, pair.position(value_symbol));
        }
    }
    Ok(m.finish_attrs(attrs))
}

fn required(m: &Machine, name: crate::symbol::Symbol, pair: crate::value::Attrs) -> Error {
    error::missing_attr(m.symbols(), name, pair)
}

fn map_attrs(m: &mut Machine, f: Value, set: Value) -> Result<Value, Error> {
    let set = m.force_attrs(set, "the second argument of 'builtins.mapAttrs'")?;
    m.map_attrs(f, set)
}

fn remove_attrs(m: &mut Machine, set: Value, list: Value) -> Result<Value, Error> {
    let set = m.force_attrs(set, "the first argument of 'builtins.removeAttrs'")?;
    let list = m.force_list(list, "the second argument of 'builtins.removeAttrs'")?;
    let mut removed = Vec::with_capacity(list.len());
    for name in list.iter() {
        m.poll()?;
        let name = m.force_string_no_context(
            name,
            "the values of the second argument of 'builtins.removeAttrs'",
        )?;
        removed.push(m.symbol_of_string(name));
    }
    removed.retain(|&name| set.has(name));
    if removed.is_empty() {
        return Ok(set.value());
    }
    removed.sort_unstable();
    m.poll()?;
    Ok(m.attrs_filter(set, |name| removed.binary_search(&name).is_err()))
}

fn unsafe_get_attr_pos(m: &mut Machine, name: Value, set: Value) -> Result<Value, Error> {
    let name =
        m.force_string_no_context(name, "the first argument of 'builtins.unsafeGetAttrPos'")?;
    let set = m.force_attrs(set, "the second argument of 'builtins.unsafeGetAttrPos'")?;
    match set.position(m.symbol_of_string(name)) {
        Some(position) => Ok(m.position_value(position)),
        None => Ok(Value::NULL),
    }
}

fn zip_attrs_with(m: &mut Machine, f: Value, list: Value) -> Result<Value, Error> {
    let f = m.force_function(f, "the first argument of 'builtins.zipAttrsWith'")?;
    let list = m.force_list(list, "the second argument of 'builtins.zipAttrsWith'")?;
    let mut zipped: IndexMap<_, Vec<Value>, FxBuildHasher> = IndexMap::default();
    let mut n_values = 0;
    for item in list.iter() {
        m.poll()?;
        let set = m.force_attrs(item, "a value of the list passed to 'builtins.zipAttrsWith'")?;
        for (name, value) in set.iter() {
            m.poll()?;
            n_values += 1;
            if n_values % 1024 == 0 {
                super::lists::check_groups(m, zipped.len(), n_values)?;
            }
            zipped.entry(name).or_default().push(value);
        }
    }
    let mut attrs = m.attrs_builder(zipped.len());
    for (name, values) in zipped {
        m.poll()?;
        let values = m.new_list(&values);
        let text = m.name_of(name);
        attrs.push(name, m.delay_call(f, &[text, values]), None);
    }
    Ok(m.finish_attrs(attrs))
}
