//! `__nixlibHost`: how nixlib asks about the machine.
//!
//! Not in `builtins`: it belongs to the embedded tree, and its questions may change with it.

use super::HostTools;
use crate::host::StoreHost;
use nix_eval::builtins::{Builtin, Example, Run, json};
use nix_eval::error::{self, Error};
use nix_eval::machine::Machine;
use nix_eval::value::{ContextBuilder, Value};

/// The builtins of this folder.
pub const BUILTINS: &[Builtin] = &[Builtin {
    name: "__nixlibHost",
    params: &["kind", "question"],
    doc: "Answers a *question* of nixlib about the tools of this machine; *kind* says which one.",
    examples: &[Example {
        source: r#"__nixlibHost "tool" { name = "a-tool-that-nobody-has"; }"#,
        shows: "null",
    }],
    run: Run::Two(ask),
}];

fn ask(m: &mut Machine, kind: Value, question: Value) -> Result<Value, Error> {
    let kind = m.force_string_no_context(kind, "the kind of a question to the host")?;
    let kind = String::from_utf8_lossy(kind.bytes()).into_owned();
    let (mut text, mut context) = (Vec::new(), ContextBuilder::new());
    json::to_json(m, question, true, &mut context, &mut text)?;
    let question = serde_json::from_slice(&text)
        .map_err(|e| error::argument(format!("the question to the host is no JSON: {e}")))?;
    let host = m.host_arc();
    let answer = match host.as_any().and_then(|any| any.downcast_ref::<StoreHost>()) {
        Some(host) => host.host_tools().answer(&kind, &question),
        // Another host: right all the same, only nothing is remembered.
        None => HostTools::default().answer(&kind, &question),
    };
    let answer = answer.map_err(error::thrown)?;
    json::from_json(m, answer.to_string().as_bytes())
}
