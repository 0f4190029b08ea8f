//! Programs that want to harm: every one of them ends in a value or a clean error, within its limits, and the
//! session goes on. Rows are those of the adversarial table; no row may abort, hang, or use the stack up.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod data;
mod reading;
mod running;

use std::time::{Duration, Instant};

use nix_eval::{Engine, ErrorKind, Evaluator, Limits, Show, host::MemoryHost};

/// How a program may end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// With this value.
    Value(&'static str),
    /// With any value.
    AnyValue,
    /// With a limit.
    Limit,
    /// With a value or a limit.
    ValueOrLimit,
    /// With an error of this class.
    Class(&'static str),
    /// In any way.
    Anyhow,
}

pub(crate) fn limits() -> Limits {
    let mut limits = Limits::untrusted();
    limits.heap_bytes = 1 << 30;
    limits.string_bytes = 256 << 20;
    limits.steps = 100_000_000;
    limits.deadline = Some(Duration::from_secs(3));
    limits
}

pub(crate) fn session() -> Evaluator {
    let host = MemoryHost::new([
        ("/w/a.nix", "import ./b.nix"),
        ("/w/b.nix", "import ./a.nix"),
        ("/w/self.nix", "x: import ./self.nix x"),
    ]);
    Engine::untrusted().host(host).limits(limits()).build().unwrap().evaluator()
}

/// Runs a program; it has to end as said, and well within the hard limit of 15 seconds.
#[track_caller]
pub(crate) fn check(text: &str, end: End) {
    check_in(&session(), text, end);
}

#[track_caller]
pub(crate) fn check_in(session: &Evaluator, text: &str, end: End) {
    let shown: String = text.chars().take(70).collect();
    let start = Instant::now();
    let result = session.eval(text, "hostile", b"/w").and_then(|v| v.show(Show::Deep));
    let time = start.elapsed();
    // Rendering is part of it.
    let result = result.inspect_err(|e| {
        let text = e.report().text(nix_eval::error::Style::default());
        assert!(text.lines().count() < 200, "{shown}: a report of {} lines", text.lines().count());
    });
    let is_right = match (&result, end) {
        (Ok(value), End::Value(expected)) => value == expected.as_bytes(),
        (Ok(_), End::AnyValue | End::ValueOrLimit) => true,
        (Err(e), End::Limit | End::ValueOrLimit) => e.kind() == ErrorKind::Limit,
        (Err(e), End::Class(class)) => e.class().name() == class,
        (_, End::Anyhow) => true,
        _ => false,
    };
    let short = result.map(|v| String::from_utf8_lossy(&v[..v.len().min(60)]).into_owned());
    assert!(is_right, "{shown}: expected {end:?}, but got {short:?} after {time:?}");
    assert!(time < Duration::from_secs(10), "{shown}: took {time:?}");
    let after = session.eval("1 + 1", "after", b"/").and_then(|v| v.to_int());
    assert_eq!(after.ok(), Some(2), "{shown}: the session is not usable any more");
}
