//! Ten thousand engines made, used and dropped leave nothing behind. Alone in its process, because it looks
//! at the memory of the process.

use std::time::Instant;

use nix_eval::{Engine, Handle, Show, host::MemoryHost};

/// Resident bytes, open files, threads.
fn used() -> (i64, usize, usize) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: i64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let count = |dir: &str| std::fs::read_dir(dir).expect("Linux").count();
    (pages * 4096, count("/proc/self/fd"), count("/proc/self/task"))
}

fn work(n: usize) {
    let host = MemoryHost::new([("/a.nix", "{ x = 1; }")]);
    let engine = Engine::builder()
        .host(host)
        .builtin("inc", |n: i64| n + 1)
        .builtin("call", |f: Handle, x: Handle| f.call(&[x]))
        .build()
        .expect("a good engine");
    let session = engine.evaluator();
    let text = format!(
        "{{ s = \"${{toString (builtins.inc {n})}}\"; l = builtins.genList (x: builtins.call (y: y) x) 10; f = import /a.nix; bad = {{ }}.missing; }}"
    );
    let value = session.eval(&text, "work", b"/").expect("a good program");
    assert!(value.get("s").and_then(|s| s.show(Show::Deep)).is_ok());
    assert!(value.get("l").and_then(|l| l.to::<Vec<i64>>()).is_ok());
    assert!(value.get("bad").and_then(|bad| bad.force()).is_err());
    assert!(session.eval("undefined + name", "work", b"/").is_err());
    // Some values outlive their session, for a while.
    drop(session);
    assert!(value.get("f").and_then(|f| f.get("x")?.to_int()).is_ok());
}

#[test]
fn ten_thousand_engines_leave_nothing_behind() {
    for n in 0..500 {
        work(n);
    }
    let before = used();
    let start = Instant::now();
    for n in 0..10_000 {
        work(n);
    }
    let each = start.elapsed() / 10_000;
    let after = used();
    let grown = after.0 - before.0;
    assert!(grown < 1 << 20, "{grown} bytes more after ten thousand engines");
    assert_eq!((after.1, after.2), (before.1, before.2), "files or threads are left");
    assert!(each.as_millis() < 20, "an engine, its use and its end take {each:?}");
}
