//! Failing, catching, ordering and tracing.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::{Coerce, Machine},
    value::{ContextBuilder, Value, View, print},
};

pub(super) const CONTROL: &[Builtin] = &[
    Builtin {
        name: "abort",
        params: &["s"],
        doc: "Ends the evaluation with the message *s*. `tryEval` does not catch it.",
        examples: &[Example {
            source: r#"builtins.tryEval (abort "no")"#,
            shows: "error: evaluation aborted with the following error message: 'no'",
        }],
        run: Run::One(abort),
    },
    Builtin {
        name: "addErrorContext",
        params: &["context", "value"],
        doc: "*value*; an error on the way to it gets the line *context* in its trace.",
        examples: &[Example { source: r#"builtins.addErrorContext "here" 1"#, shows: "1" }],
        run: Run::Two(add_error_context),
    },
    Builtin {
        name: "break",
        params: &["v"],
        doc: "*v*. A debugger would stop here.",
        examples: &[Example { source: "builtins.break 1", shows: "1" }],
        run: Run::One(identity),
    },
    Builtin {
        name: "deepSeq",
        params: &["e1", "e2"],
        doc: "Evaluates *e1* with everything in it, then gives *e2*.",
        examples: &[Example {
            source: r#"builtins.deepSeq { a = throw "seen"; } 1"#,
            shows: "error: seen",
        }],
        run: Run::Two(deep_seq),
    },
    Builtin {
        name: "seq",
        params: &["e1", "e2"],
        doc: "Evaluates *e1* to weak head normal form, then gives *e2*.",
        examples: &[Example { source: r#"builtins.seq { a = throw "unseen"; } 1"#, shows: "1" }],
        run: Run::Two(seq),
    },
    Builtin {
        name: "throw",
        params: &["s"],
        doc: "Fails with the message *s*. `tryEval` catches it.",
        examples: &[Example { source: r#"throw "oh ${"no"}""#, shows: "error: oh no" }],
        run: Run::One(throw),
    },
    Builtin {
        name: "trace",
        params: &["e1", "e2"],
        doc: "Prints *e1* on standard error, then gives *e2*.",
        examples: &[Example { source: r#"builtins.trace "said" 1"#, shows: "1" }],
        run: Run::Two(trace),
    },
    Builtin {
        name: "traceVerbose",
        params: &["e1", "e2"],
        doc: "As `trace` if the setting `trace-verbose` is on; otherwise *e2*.",
        examples: &[Example { source: r#"builtins.traceVerbose (throw "unseen") 1"#, shows: "1" }],
        run: Run::Two(trace_verbose),
    },
    Builtin {
        name: "tryEval",
        params: &["e"],
        doc: "`{ success; value; }`: whether evaluating *e* to weak head normal form worked, and its value or `false`.\nOnly failures of `throw`, `assert` and look-ups are caught.",
        examples: &[
            Example { source: "builtins.tryEval 1", shows: "{ success = true; value = 1; }" },
            Example {
                source: r#"builtins.tryEval (throw "x")"#,
                shows: "{ success = false; value = false; }",
            },
        ],
        run: Run::One(try_eval),
    },
    Builtin {
        name: "warn",
        params: &["e1", "e2"],
        doc: "Prints the string *e1* as a warning, then gives *e2*.",
        examples: &[Example {
            source: "builtins.warn 1 2",
            shows: "error: expected a string but found an integer: 1",
        }],
        run: Run::Two(warn),
    },
];

fn message(m: &mut Machine, v: Value) -> Result<String, Error> {
    let s = m.coerce_to_string(v, Coerce::INTERPOLATE, &mut ContextBuilder::new())?;
    Ok(s.to_text())
}

fn abort(m: &mut Machine, s: Value) -> Result<Value, Error> {
    Err(error::aborted(&message(m, s)?))
}

fn throw(m: &mut Machine, s: Value) -> Result<Value, Error> {
    Err(error::thrown(message(m, s)?))
}

fn identity(m: &mut Machine, v: Value) -> Result<Value, Error> {
    m.force(v)
}

fn add_error_context(m: &mut Machine, context: Value, v: Value) -> Result<Value, Error> {
    match m.force(v) {
        Ok(v) => Ok(v),
        // The text is only computed when there is an error to explain.
        Err(e) => {
            let text = message(m, context)?;
            Err(e.context(text))
        }
    }
}

fn seq(m: &mut Machine, first: Value, second: Value) -> Result<Value, Error> {
    if let View::Function(f) = m.force(first)?.view() {
        f.see();
    }
    m.force(second)
}

fn deep_seq(m: &mut Machine, first: Value, second: Value) -> Result<Value, Error> {
    m.force_deep(first)?;
    m.force(second)
}

fn say(m: &mut Machine, v: Value) -> Result<(), Error> {
    let v = m.force(v)?;
    match v.view() {
        View::String(s) => m.trace(s.bytes()),
        _ => {
            let text = print::message_form(m, v);
            m.trace(&text);
        }
    }
    Ok(())
}

fn trace(m: &mut Machine, what: Value, v: Value) -> Result<Value, Error> {
    say(m, what)?;
    m.force(v)
}

fn trace_verbose(m: &mut Machine, what: Value, v: Value) -> Result<Value, Error> {
    if m.options().trace_verbose {
        say(m, what)?;
    }
    m.force(v)
}

fn warn(m: &mut Machine, what: Value, v: Value) -> Result<Value, Error> {
    let text = m.force_string(what, "the first argument of 'builtins.warn'")?;
    if m.options().abort_on_warn {
        let text = text.to_text();
        return Err(error::aborted(&format!("the warning is an error here: {text}")));
    }
    m.warn(text.bytes());
    m.force(v)
}

fn try_eval(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let (success, value) = match m.force(v) {
        Ok(v) => (true, m.evaluated(v)),
        Err(e) if e.is_catchable() => (false, Value::FALSE),
        Err(e) => return Err(e),
    };
    let names = (m.symbol("success"), m.symbol("value"));
    Ok(m.new_attrs(&[(names.0, Value::bool(success)), (names.1, value)]))
}
