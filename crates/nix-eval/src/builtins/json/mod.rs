//! `toJSON` and `fromJSON`.

mod read;
mod write;

pub use self::{
    read::from_json,
    write::{to_json, write_string},
};
use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    value::{ContextBuilder, Value},
};

pub(super) const JSON: &[Builtin] = &[
    Builtin {
        name: "fromJSON",
        params: &["e"],
        doc: "The value of a JSON text.",
        examples: &[
            Example {
                source: r#"builtins.fromJSON "{\"x\": [1, 2.5, null]}""#,
                shows: "{ x = [ 1 2.5 null ]; }",
            },
            Example {
                source: r#"builtins.fromJSON "[1,]""#,
                shows: "error: invalid JSON at byte 3: expected a value",
            },
        ],
        run: Run::One(read),
    },
    Builtin {
        name: "toJSON",
        params: &["e"],
        doc: "*e* as JSON, evaluated as far as needed. Sets with `__toString` or `outPath` stand for their text; paths are copied to the store.",
        examples: &[Example {
            source: r#"builtins.toJSON { b = [ 1 2.0 null ]; a = "é\n"; }"#,
            shows: r#""{\"a\":\"é\\n\",\"b\":[1,2.0,null]}""#,
        }],
        run: Run::One(write),
    },
];

fn read(m: &mut Machine, text: Value) -> Result<Value, Error> {
    let text = m.force_string_no_context(text, "the argument of 'builtins.fromJSON'")?;
    from_json(m, text.bytes())
}

fn write(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let mut context = ContextBuilder::new();
    let mut out = Vec::new();
    to_json(m, v, true, &mut context, &mut out)?;
    m.new_long_string(&[&out], context.finish(m.contexts()))
}
