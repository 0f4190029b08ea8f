//! Builtins written in Rust: plain closures, one that calls back, one whose values are made on demand.
//!
//! `cargo run -p nix-eval --example custom_builtins`

use std::{collections::BTreeMap, error::Error, io::Write};

use nix_eval::{CallCx, Engine, Handle, Ser, Show, host::Input};
use serde::{Deserialize, Serialize};

/// What `builtins.mail` takes: serde reads it from an attribute set.
#[derive(Deserialize)]
struct Mail {
    to: String,
    #[serde(default)]
    copies: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    n_receivers: usize,
    subject: Option<String>,
}

/// Writes the value of a program that uses all of them.
///
/// # Errors
/// When evaluation fails or `out` cannot be written.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let secrets = BTreeMap::from([("db".to_owned(), "hunter2".to_owned())]);
    let engine = Engine::builder()
        // An error message, or anything that implements `std::error::Error`, is a failure with a place.
        .builtin("secret", move |name: String| secrets.get(&name).cloned().ok_or("no such secret"))
        .builtin("mail", |mail: Mail| {
            Ser(Sent { n_receivers: 1 + mail.copies.len(), subject: Some(mail.to) })
        })
        // A `Handle` stays lazy; what the closure does through it counts as part of the same request.
        .builtin_cx(
            "net.retry",
            |cx: &mut CallCx<'_>, n: u32, attempt: Handle| -> Result<Handle, nix_eval::Error> {
                for i in 0..n {
                    cx.poll()?;
                    let i = cx.value(&i)?;
                    if let Ok(value) = attempt.call(&[i]) {
                        return Ok(value);
                    }
                }
                Err(cx.throw(format!("no luck in {n} attempts")))
            },
        )
        // What a result depends on becomes part of the inputs that a recording host lists.
        .builtin_cx("version", |cx: &mut CallCx<'_>| {
            cx.input(Input::external("version", "1.2"));
            "1.2"
        })
        .global("secret")
        .build()?;
    let session = engine.evaluator();
    // A million rows cost little until they are used.
    let rows =
        session.lazy_attrs((0..1000).map(|n| format!("row{n}")), |name: String| name.len())?;
    let program = session.eval(
        r#"rows: {
            password = secret "db";
            sent = builtins.mail { to = "a@b"; copies = [ "c@d" ]; };
            third = builtins.net.retry 5 (i: if i < 2 then throw "busy" else i);
            never = (builtins.tryEval (builtins.net.retry 2 (i: throw "busy"))).success;
            inherit (builtins) version;
            row = rows.row999;
        }"#,
        "program",
        b"/",
    )?;
    let shown = program.call(&[rows])?.show(Show::Json)?;
    writeln!(out, "{}", String::from_utf8_lossy(&shown))?;
    let wrong = session.eval("secret \"mail\"", "program", b"/");
    if let Err(e) = wrong {
        writeln!(out, "{} ({})", e, e.code())?;
    }
    Ok(())
}

#[allow(dead_code, reason = "the test calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}
