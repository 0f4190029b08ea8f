//! What kind of value something is.

use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    value::{Value, View},
};

pub(super) const TYPES: &[Builtin] = &[
    Builtin {
        name: "isAttrs",
        params: &["e"],
        doc: "Whether *e* is a set.",
        examples: &[Example { source: "builtins.isAttrs { }", shows: "true" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Attrs(_)))),
    },
    Builtin {
        name: "isBool",
        params: &["e"],
        doc: "Whether *e* is `true` or `false`.",
        examples: &[Example { source: "builtins.isBool null", shows: "false" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Bool(_)))),
    },
    Builtin {
        name: "isFloat",
        params: &["e"],
        doc: "Whether *e* is a float.",
        examples: &[Example { source: "builtins.isFloat 1.0", shows: "true" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Float(_)))),
    },
    Builtin {
        name: "isFunction",
        params: &["e"],
        doc: "Whether *e* is a function. A set with `__functor` is not, although it can be called.",
        examples: &[
            Example { source: "builtins.isFunction map", shows: "true" },
            Example { source: "builtins.isFunction { __functor = self: x: x; }", shows: "false" },
        ],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Function(_)))),
    },
    Builtin {
        name: "isInt",
        params: &["e"],
        doc: "Whether *e* is an integer.",
        examples: &[Example { source: "builtins.isInt 1.0", shows: "false" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Int(_)))),
    },
    Builtin {
        name: "isList",
        params: &["e"],
        doc: "Whether *e* is a list.",
        examples: &[Example { source: "builtins.isList [ ]", shows: "true" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::List(_)))),
    },
    Builtin {
        name: "isNull",
        params: &["e"],
        doc: "Whether *e* is `null`. Old; `e == null` says the same.",
        examples: &[Example { source: "isNull null", shows: "true" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Null))),
    },
    Builtin {
        name: "isPath",
        params: &["e"],
        doc: "Whether *e* is a path.",
        examples: &[Example {
            source: r#"[ (builtins.isPath /a) (builtins.isPath "/a") ]"#,
            shows: "[ true false ]",
        }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::Path(_)))),
    },
    Builtin {
        name: "isString",
        params: &["e"],
        doc: "Whether *e* is a string.",
        examples: &[Example { source: r#"builtins.isString """#, shows: "true" }],
        run: Run::One(|m, v| is(m, v, |v| matches!(v, View::String(_)))),
    },
    Builtin {
        name: "typeOf",
        params: &["e"],
        doc: "The name of the type of *e*: `int`, `float`, `bool`, `string`, `path`, `null`, `set`, \
              `list` or `lambda`.",
        examples: &[
            Example { source: "builtins.typeOf { }", shows: "\"set\"" },
            Example { source: "builtins.typeOf builtins.typeOf", shows: "\"lambda\"" },
        ],
        run: Run::One(type_of),
    },
];

#[inline]
fn is(m: &mut Machine, v: Value, test: fn(&View) -> bool) -> Result<Value, Error> {
    let v = m.force(v)?;
    let view = v.view();
    if let View::Function(f) = view {
        f.see();
    }
    Ok(Value::bool(test(&view)))
}

fn type_of(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let v = m.force(v)?;
    if let View::Function(f) = v.view() {
        f.see();
    }
    Ok(m.new_text(v.view().type_name()))
}
