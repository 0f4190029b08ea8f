//! Constants of the language and of the surroundings.

use nix_formats::placeholder::output_placeholder;

use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    machine::Machine,
    value::{ContextId, Value},
};

pub(super) const CONSTANTS: &[Builtin] = &[
    Builtin {
        name: "currentSystem",
        params: &[],
        doc: "The platform that this machine builds for. Absent in pure evaluation.",
        examples: &[Example { source: "builtins.isString builtins.currentSystem", shows: "true" }],
        run: Run::Constant(current_system),
    },
    Builtin {
        name: "currentTime",
        params: &[],
        doc: "Seconds since 1970 when the evaluation began. Absent in pure evaluation.",
        examples: &[Example { source: "builtins.isInt builtins.currentTime", shows: "true" }],
        run: Run::Constant(current_time),
    },
    Builtin {
        name: "langVersion",
        params: &[],
        doc: "The version of the language.",
        examples: &[Example { source: "builtins.langVersion", shows: "6" }],
        run: Run::Constant(|m| Ok(m.new_int(6))),
    },
    Builtin {
        name: "nixVersion",
        params: &[],
        doc: "The release of Nix that this evaluator answers like.",
        examples: &[Example {
            source: r#"builtins.compareVersions builtins.nixVersion "2.18""#,
            shows: "1",
        }],
        run: Run::Constant(|m| {
            let version = m.options().nix_version.clone();
            Ok(m.new_text(&version))
        }),
    },
    Builtin {
        name: "placeholder",
        params: &["output"],
        doc: "A text that stands for the path of the output *output* of the derivation it is used in.",
        examples: &[Example {
            source: r#"builtins.placeholder "out""#,
            shows: r#""/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9""#,
        }],
        run: Run::One(placeholder),
    },
    Builtin {
        name: "storeDir",
        params: &[],
        doc: "The store directory.",
        examples: &[Example { source: "builtins.storeDir", shows: r#""/nix/store""# }],
        run: Run::Constant(|m| {
            let dir = m.store_dir();
            Ok(m.new_text(dir.as_str()))
        }),
    },
];

fn current_system(m: &mut Machine) -> Result<Value, Error> {
    let system = m.host().system().unwrap_or_default();
    Ok(m.new_text(&system))
}

fn current_time(m: &mut Machine) -> Result<Value, Error> {
    let now = m.host().now().unwrap_or_default();
    Ok(m.new_int(now))
}

fn placeholder(m: &mut Machine, output: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(output, "the argument of 'builtins.placeholder'")?;
    Ok(m.new_string(output_placeholder(&name.to_text()).as_bytes(), ContextId::NONE))
}
