//! Evaluation with helpers on other cores gives what one core gives.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::ThreadId,
    time::Duration,
};

use nix_eval::{
    Engine, EngineOptions, ErrorKind, Evaluator, Show,
    host::{Host, MemoryHost, Recording, Said, TraceEvent},
};

/// Keeps what it is told.
#[derive(Default)]
struct Listening(Mutex<Vec<String>>);

impl Host for Listening {
    fn trace(&self, event: &TraceEvent<'_>) {
        self.0.lock().expect("no panic").push(format!("{event:?}"));
    }
}

fn with_cores(cores: u32, host: Arc<dyn Host>) -> Evaluator {
    let mut options = EngineOptions::default();
    options.eval_cores = cores;
    options.host = host;
    Engine::new(options).evaluator()
}

/// Value or whole report, and what was said.
fn outcome(text: &str, cores: u32) -> (String, Vec<String>) {
    let host = Arc::new(Listening::default());
    let session = with_cores(cores, host.clone());
    let shown = match session.eval(text, "test", b"/").and_then(|v| v.show(Show::Deep)) {
        Ok(text) => String::from_utf8(text).expect("test values are UTF-8"),
        Err(e) => e.report().to_json(),
    };
    let said = std::mem::take(&mut *host.0.lock().expect("no panic"));
    (shown, said)
}

/// The same with one core and with several, many times.
#[track_caller]
fn check(text: &str) -> String {
    let alone = outcome(text, 1);
    for cores in [2, 3, 8] {
        for _ in 0..15 {
            assert_eq!(outcome(text, cores), alone, "{cores} cores: {text}");
        }
    }
    alone.0
}

const FIB: &str = "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in ";

#[test]
fn work_is_shared_and_shared_parts_are_made_once() {
    let text = format!("{FIB} let common = fib 15; in builtins.deepSeq all all; ");
    let text = text.replace("in builtins", "all = builtins.genList (n: { x = fib (10 + n) + common; y.z = [ (fib n) common ]; }) 8; in builtins");
    let text = text.trim_end_matches("; ");
    assert!(check(text).contains("x = 1597"), "fib 17 is there");
}

#[test]
fn the_first_error_in_order_is_the_error() {
    let text = format!(
        "{FIB} let all = [ (fib 12) (throw \"first ${{toString (fib 14)}}\") (throw \"second\") (fib 16) ]; \
         in builtins.deepSeq all all"
    );
    assert!(check(&text).contains("first 377"));
    let text = "let all = rec { a = b.x; b = { y = 1; }; c = abort \"late\"; }; in builtins.deepSeq all all";
    let report = check(text);
    assert!(report.contains("attribute 'x' missing"), "{report}");
}

#[test]
fn what_is_said_is_said_once_and_in_order() {
    let text = format!(
        "{FIB} let common = builtins.trace \"common\" (fib 10); \
         all = builtins.genList (n: builtins.trace \"item ${{toString n}}\" (fib 8 + common)) 12; \
         in builtins.deepSeq all all"
    );
    check(&text);
    let (_, said) = outcome(&text, 4);
    assert_eq!(said.len(), 13, "{said:?}");
    assert!(said[0].contains("105, 116"), "an item is traced before what it needs: {said:?}");
}

#[test]
fn circles_across_helpers_are_found_and_told_as_ever() {
    let text = format!(
        "{FIB} let s = {{ a = fib 12 + s.c; b = fib 13 + s.a; c = fib 11 + s.b; d = fib 12 + s.a; }}; \
         in builtins.deepSeq s s"
    );
    assert!(check(&text).contains("infinite recursion"));
    let text = format!(
        "{FIB} let s = builtins.genList (n: fib 9 + builtins.elemAt s (if n == 0 then 9 else n - 1)) 10; \
         in builtins.deepSeq s s"
    );
    assert!(check(&text).contains("infinite recursion"));
}

#[test]
fn failures_that_are_caught_are_caught() {
    let text = format!(
        "{FIB} let one = n: if n < 3 then throw \"small\" else fib n; \
         all = builtins.genList (n: builtins.tryEval (one n + one (n + 1))) 14; in builtins.deepSeq all all"
    );
    assert!(check(&text).contains("success = false"));
}

#[test]
fn a_file_has_one_value_whoever_imports_it() {
    let files = [("/f.nix", "builtins.trace \"evaluated\" 1"), ("/g.nix", "n: import ./f.nix + n")];
    for _ in 0..20 {
        let host = Arc::new(Recording::new(MemoryHost::new(files)));
        let session = with_cores(4, host.clone());
        let text = "let all = builtins.genList (import /g.nix) 40; in builtins.deepSeq all (builtins.elemAt all 39)";
        let shown = session.eval(text, "test", b"/").and_then(|v| v.show(Show::Deep));
        assert_eq!(shown.expect("a value"), b"40");
        assert_eq!(host.record().said, [Said::Trace(b"evaluated".to_vec())]);
    }
}

#[test]
fn an_error_ends_helpers_that_have_only_begun() {
    let text = format!(
        "{FIB} let all = [ (throw \"now\") (fib 60) (fib 61) (fib 62) ]; in builtins.deepSeq all 1"
    );
    for _ in 0..300 {
        let session = with_cores(3, Arc::new(nix_eval::host::NoHost));
        let error = session.eval(&text, "test", b"/").and_then(|v| v.force()).expect_err("thrown");
        assert_eq!(error.message(), "now");
    }
}

#[test]
fn closures_run_on_the_thread_that_asks() {
    let me = std::thread::current().id();
    let others: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (others.clone(), calls.clone());
    let engine = Engine::builder()
        .options(|options| options.eval_cores = 4)
        .builtin("double", move |n: i64| {
            counted.fetch_add(1, Ordering::Relaxed);
            if std::thread::current().id() != me {
                seen.lock().expect("no panic").push(std::thread::current().id());
            }
            n * 2
        })
        .build()
        .expect("a free name");
    let text = format!(
        "{FIB} let all = builtins.genList (n: fib 10 + builtins.double n) 20; in builtins.deepSeq all (builtins.elemAt all 19)"
    );
    let shown = engine.evaluator().eval(&text, "test", b"/").and_then(|v| v.show(Show::Deep));
    assert_eq!(shown.expect("a value"), b"93");
    assert_eq!(calls.load(Ordering::Relaxed), 20, "each call once");
    assert!(others.lock().expect("no panic").is_empty());
}

#[test]
fn a_request_can_be_cancelled_while_helpers_run() {
    let session = Arc::new(with_cores(3, Arc::new(nix_eval::host::NoHost)));
    let token = session.cancel_token();
    let puller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        token.cancel();
    });
    let text = format!("{FIB} let all = builtins.genList (n: fib 60) 8; in builtins.deepSeq all 1");
    let error = session.eval(&text, "test", b"/").and_then(|v| v.force()).expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    puller.join().expect("no panic");
    session.cancel_token().reset();
    // What was given back is evaluated again.
    let text =
        format!("{FIB} let all = builtins.genList (n: fib 10) 8; in builtins.deepSeq all all");
    let shown = session.eval(&text, "test", b"/").and_then(|v| v.show(Show::Deep));
    assert!(shown.expect("a value").starts_with(b"[ 55"));
}

#[test]
fn a_heap_limit_ends_the_request_with_helpers_too() {
    let mut options = EngineOptions::default();
    options.eval_cores = 4;
    options.limits.heap_bytes = 32 << 20;
    let session = Engine::new(options).evaluator();
    let text = "let big = n: builtins.genList (i: builtins.genList (j: i * j + n) 1000) 1000; \
                all = builtins.genList big 8; in builtins.deepSeq all 1";
    let error = session.eval(text, "test", b"/").and_then(|v| v.force()).expect_err("too big");
    assert_eq!(error.kind(), ErrorKind::Limit);
}
