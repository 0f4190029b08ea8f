//! Programs from strangers: nothing outside is seen, limits hold, and a session survives all of it.
//!
//! `cargo run -p nix-eval --example untrusted`

use std::{
    error::Error,
    io::Write,
    time::{Duration, Instant},
};

use nix_eval::{Engine, ErrorKind, Limits, Show};

const PROGRAMS: &[(&str, &str)] = &[
    ("honest", "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 1000)"),
    ("curious", "builtins.readFile /etc/passwd"),
    ("endless", "let f = n: f (n + 1); in f 0"),
    ("deep", "let f = n: 1 + f (n + 1); in f 0"),
    ("long list", "builtins.genList (x: x) 1000000000000"),
    (
        "long string",
        "let f = s: if builtins.stringLength s < 0 then s else f (s + s); in f \"abcdefgh\"",
    ),
    ("greedy", "builtins.foldl' (xs: n: xs ++ xs) [ 1 ] (builtins.genList (n: n) 100)"),
    (
        "pattern",
        "builtins.match \"(a*)*b\" (builtins.concatStringsSep \"\" (builtins.genList (x: \"a\") 20000))",
    ),
];

/// Writes how each program ends.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::untrusted();
    // Steps are the same on every machine; the deadline is for what one step can take.
    limits.steps = 2_000_000;
    limits.deadline = Some(Duration::from_secs(5));
    limits.heap_bytes = 64 << 20;
    let engine = Engine::untrusted().limits(limits).build()?;
    let mut session = engine.evaluator();
    for (name, text) in PROGRAMS {
        let start = Instant::now();
        let result = session.eval(text, name, b"/").and_then(|value| value.show(Show::Deep));
        match result {
            Ok(shown) => writeln!(out, "{name}: {}", String::from_utf8_lossy(&shown))?,
            Err(e) if e.kind() == ErrorKind::Limit => {
                writeln!(out, "{name}: stopped ({:?})", e.limit().map(|limit| limit.0))?;
            }
            Err(e) => writeln!(out, "{name}: {e}")?,
        }
        if start.elapsed() > Duration::from_secs(6) {
            writeln!(out, "{name}: took {:?}", start.elapsed())?;
        }
        // What was made stays until the session is dropped; a new one costs microseconds.
        session = engine.evaluator();
    }
    Ok(())
}

#[allow(dead_code, reason = "the test calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}
