//! Functions and their parameters.

use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    source::Location,
    value::{FunctionView, Value, View},
};

pub(super) const FUNCTIONS: &[Builtin] = &[Builtin {
    name: "functionArgs",
    params: &["f"],
    doc: "The formals of *f*: each name, and whether it has a default. Empty for functions without formals.",
    examples: &[
        Example {
            source: "builtins.functionArgs ({ x, y ? 1 }: x)",
            shows: "{ x = false; y = true; }",
        },
        Example { source: "builtins.functionArgs (x: x)", shows: "{ }" },
    ],
    run: Run::One(function_args),
}];

fn function_args(m: &mut Machine, f: Value) -> Result<Value, Error> {
    let f = m.force(f)?;
    let View::Function(function) = f.view() else {
        return Err(m.wrong_type("a function", f, "the argument of 'builtins.functionArgs'"));
    };
    function.see();
    let FunctionView::Lambda(lambda) = function.view() else { return Ok(m.empty_attrs()) };
    let Some(formals) = lambda.formals() else { return Ok(m.empty_attrs()) };
    let file = lambda.location().file;
    let mut builder = m.attrs_builder(formals.formals.len());
    for formal in &formals.formals {
        let place = Location { file, span: formal.span };
        builder.push(formal.name, Value::bool(formal.default.is_some()), Some(place));
    }
    Ok(m.finish_attrs(builder))
}
