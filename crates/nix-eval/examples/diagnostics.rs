//! What a language server does: an unsaved buffer over the files on disk, all mistakes of a text at once, a
//! value or its failure at a place, as the JSON objects that editors take; and the next key stroke cancels.
//!
//! `cargo run -p nix-eval --example diagnostics`

use std::{error::Error, io::Write, sync::Arc};

use nix_eval::{
    Engine, ErrorKind, Limits, Report,
    host::{MemoryHost, NixPath, Overlay},
};
use serde_json::json;

/// One diagnostic for each label, as the Language Server Protocol has them.
fn diagnostics(report: &Report) -> Vec<serde_json::Value> {
    let one = |report: &Report| {
        let primary = report.labels.first()?;
        let related: Vec<_> = report.labels[1..]
            .iter()
            .map(|label| {
                json!({
                    "location": { "uri": format!("file://{}", label.file), "range": { "start": label.start, "end": label.end } },
                    "message": label.text,
                })
            })
            .collect();
        Some(json!({
            "range": { "start": primary.start, "end": primary.end },
            "severity": 1,
            "code": report.code,
            "source": "nix",
            "message": report.message,
            "relatedInformation": related,
            "data": report.help,
        }))
    };
    std::iter::once(report).chain(&report.further).filter_map(one).collect()
}

const BUFFERS: &[&str] = &[
    // Two mistakes of the text.
    "{ lib }:\n{\n  port = 80\n  host = \"::1\";\n  ports = [ 80, 443 ];\n}\n",
    // A misspelt name.
    "{ lib }:\n{\n  url = \"http://${lib.concatt [ \"a\" \"b\" ]}\";\n}\n",
    // Nothing wrong.
    "{ lib }:\n{\n  url = lib.concat [ \"a\" \"b\" ];\n}\n",
];

/// Writes the diagnostics of three states of an unsaved file.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let disk = MemoryHost::new([("/w/lib.nix", "{ concat = builtins.concatStringsSep \"\"; }")]);
    let files = Arc::new(Overlay::new(disk));
    let mut limits = Limits::untrusted();
    limits.deadline = Some(std::time::Duration::from_millis(200));
    let engine = Engine::untrusted().shared_host(files.clone()).limits(limits).build()?;
    for text in BUFFERS {
        files.set(&NixPath::root("/w/site.nix"), Some(text.as_bytes().to_vec()));
        // A new session sees the new buffer; an editor keeps its `cancel_token()` for the next key stroke.
        let session = engine.evaluator();
        let site = session.import(&NixPath::root("/w/site.nix")).and_then(|site| {
            site.auto_call(&[("lib".to_owned(), session.import(&NixPath::root("/w/lib.nix"))?)])
        });
        let result = site.and_then(|site| site.force_deep());
        match result {
            Ok(()) => writeln!(out, "no mistakes")?,
            Err(e) if e.kind() == ErrorKind::Cancelled => break,
            Err(e) => {
                for diagnostic in diagnostics(&e.report()) {
                    writeln!(out, "{diagnostic}")?;
                }
            }
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "the test calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}
