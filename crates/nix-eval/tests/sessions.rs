//! What an embedder relies on: sessions survive errors and limits, give memory back, and share values
//! between threads.

use std::{sync::Arc, time::Duration};

use nix_eval::{
    Engine, EngineOptions, ErrorKind, Evaluator, Kind, Limits, Show,
    host::{MemoryHost, NixPath, Recording},
};

fn evaluator() -> Evaluator {
    Engine::new(EngineOptions::default()).evaluator()
}

#[track_caller]
fn show(session: &Evaluator, text: &str) -> String {
    match session.eval(text, "test", b"/").and_then(|v| v.show(Show::Deep)) {
        Ok(text) => String::from_utf8(text).expect("test values are UTF-8"),
        Err(e) => format!("error: {}", e.message()),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(show(&evaluator(), text), expected, "{text}");
}

#[test]
fn programs_have_their_values() {
    check("let f = x: y: x * y; in f 2 3 + f 1 1", "7");
    check("rec { a = b + 1; b = 2; c.d = a; }", "{ a = 3; b = 2; c = { d = 3; }; }");
    check("(args@{ a, b ? a, ... }: [ a b args ]) { a = 1; c = 2; }", "[ 1 1 { a = 1; c = 2; } ]");
    check("let s = { __functor = self: x: self.n + x; n = 40; }; in s 2", "42");
    check("with { a = 1; }; with { b = 2; }; [ a b ]", "[ 1 2 ]");
    check("{ a.b = 1; } // { c = 2; }", "{ a = { b = 1; }; c = 2; }");
    check("{ a.b = 1; }.a.c or 3", "3");
    check("[ ({ a = null; } ? a) ({ a = 1; } ? a.b) (1 ? a) ]", "[ true false false ]");
    check("\"a${\"b\"}c\" + \"d\"", "\"abcd\"");
    check("/a + \"/../b\"", "/b");
    check("{ outPath = \"/x\"; } + /no/such + \"/a\"", "\"/x/no/such/a\"");
    check("[ 1 ] ++ [ ] ++ [ 2 3 ]", "[ 1 2 3 ]");
    check(
        "let f = x: x; in [ (f == f) ([ f ] == [ f ]) ({ inherit f; } == { inherit f; }) ]",
        "[ false true true ]",
    );
    check("9223372036854775807 + 1", "error: integer overflow in adding 9223372036854775807 + 1");
    check("rec { a = 1; b = a; __overrides = { a = 5; }; }.b", "5");
}

#[test]
fn short_lists_repeat_by_slot() {
    check("let l = [ (1 + 1) ]; in [ l l ]", "[ [ 2 ] «repeated» ]");
    check("let l = [ (1 + 1) ]; in [ l (if true then l else 1) ]", "[ [ 2 ] [ 2 ] ]");
    check("let l = [ 1 2 3 ]; in [ l (if true then l else 1) ]", "[ [ 1 2 3 ] «repeated» ]");
    check("let l = [ l ]; in l", "[ [ «repeated» ] ]");
}

#[test]
fn operands_of_a_concatenation_are_evaluated_before_their_types_count() {
    check("6 ++ [ ] ++ throw \"late\"", "error: late");
    check("6 ++ 1", "error: expected a list but found an integer: 6");
    check("6 ++ [ ] ++ \"x\"", "error: expected a list but found a string: \"x\"");
    check("6 ++ 7 ++ [ ]", "error: expected a list but found an integer: 7");
}

#[test]
fn all_wrong_arguments_are_named_at_once() {
    check(
        "let mk = { a, b, c ? 1 }: a; in mk { x = 1; b = 2; y = 3; }",
        "error: function 'mk' called without required argument 'a', and with unexpected arguments 'x' and 'y'",
    );
}

#[test]
fn a_value_that_needs_itself_is_an_error_every_time() {
    let session = evaluator();
    let loops = session.eval("rec { a = b; b = a + 1; }", "test", b"/").unwrap();
    for _ in 0..2 {
        let error = loops.get("a").unwrap().force().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InfiniteRecursion);
    }
    assert_eq!(show(&session, "1 + 1"), "2");
}

#[test]
fn depth_ends_in_an_error_and_tail_calls_do_not_count() {
    let session = evaluator();
    assert_eq!(show(&session, "let f = n: if n == 0 then 0 else f (n - 1); in f 300000"), "0");
    let deep = "let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 100000";
    assert_eq!(
        show(&session, deep),
        "error: stack overflow; max-call-depth exceeded (the limit is 10000)"
    );
    let mut limits = Limits::default();
    limits.call_depth = 1_000_000;
    session.set_limits(limits);
    assert_eq!(show(&session, deep), "100000");
    limits.stack_bytes = 8 << 20;
    session.set_limits(limits);
    let error = session.eval(deep, "test", b"/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert_eq!(show(&session, "1 + 1"), "2");
}

#[test]
fn endless_tail_calls_end_at_a_multiple_of_the_depth() {
    let session = evaluator();
    let mut limits = Limits::default();
    limits.call_depth = 100;
    session.set_limits(limits);
    let limit = "error: stack overflow; max-call-depth exceeded (the limit is 100)";
    assert_eq!(show(&session, "(x: x x) (x: x x)"), limit);
    assert_eq!(show(&session, "let f = n: if n == 0 then 0 else f (n - 1); in f 90000"), "0");
}

#[test]
fn data_nested_deeper_than_calls_may_be_ends_what_walks_over_it() {
    let session = evaluator();
    let deep = |n: u32, e: &str| {
        let list = format!(
            "builtins.foldl' (t: h: {{ inherit h t; }}) null (builtins.genList (x: x) {n})"
        );
        show(&session, &format!("let a = {list}; b = {list}; in {e}"))
    };
    let limit = "error: stack overflow; max-call-depth exceeded (the limit is 10000)";
    let walks = ["builtins.deepSeq a 1 == 1", "a == b", "builtins.toJSON a != \"\""];
    for e in walks {
        assert_eq!(deep(9_900, e), "true", "{e}");
        assert_eq!(deep(10_100, e), limit, "{e}");
    }
}

#[test]
fn functions_that_nobody_asked_for_show_as_thunks_do() {
    let session = evaluator();
    let shown = |text: &str| {
        let value = session.eval(text, "test", b"/").expect("it evaluates");
        String::from_utf8(value.show(Show::Shallow).expect("it prints")).expect("UTF-8")
    };
    assert_eq!(shown("[ (x: x) builtins.add map ]"), "[ <CODE> <CODE> <PRIMOP> ]");
    assert_eq!(shown("let f = x: x; in builtins.seq (f 1) { inherit f; }"), "{ f = <LAMBDA>; }");
    assert_eq!(
        shown("let f = x: x; in if builtins.isFunction f then [ f ] else f"),
        "[ <LAMBDA> ]"
    );
    assert_eq!(
        shown("let f = x: x; in builtins.deepSeq [ f ] [ f (y: y) ]"),
        "[ <LAMBDA> <CODE> ]"
    );
    assert_eq!(show(&session, "[ (x: x) ]"), "[ <LAMBDA> ]");
    check("[ builtins.add ] == [ builtins.add ]", "false");
    check("let f = x: x; in [ f ] == [ f ]", "true");
}

#[test]
fn sets_that_lead_to_themselves_end_like_deep_calls() {
    let session = evaluator();
    let limit = "error: stack overflow; max-call-depth exceeded (the limit is 10000)";
    assert_eq!(show(&session, "let x = { __toString = s: s; }; in \"${x}\""), limit);
    assert_eq!(show(&session, "{ __functor = s: s; } 1"), limit);
    assert_eq!(show(&session, "let a = { x = a; }; in a"), "{ x = «repeated»; }");
}

#[test]
fn a_stopped_value_can_be_tried_again_with_more() {
    let session = evaluator();
    let mut limits = Limits::default();
    limits.steps = 10_000;
    session.set_limits(limits);
    let text = "{ n = let f = n: if n == 0 then 7 else f (n - 1); in f 100000; }";
    let value = session.eval(text, "test", b"/").unwrap().get("n").unwrap();
    assert_eq!(value.force().unwrap_err().kind(), ErrorKind::Limit);
    session.set_limits(Limits::default());
    assert_eq!(value.to_int().unwrap(), 7);
}

#[test]
fn endless_programs_stop_at_the_deadline_and_when_cancelled() {
    let session = evaluator();
    let endless = "let f = n: f (n + 1); in f 0";
    let mut limits = Limits::default();
    limits.deadline = Some(Duration::from_millis(30));
    session.set_limits(limits);
    let error = session.eval(endless, "test", b"/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    session.set_limits(Limits::default());
    let token = session.cancel_token();
    let timer = token.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        timer.cancel();
    });
    let error = session.eval(endless, "test", b"/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    thread.join().unwrap();
    token.reset();
    assert_eq!(show(&session, "1 + 1"), "2");
}

#[test]
fn memory_has_a_limit() {
    let session = evaluator();
    let mut limits = Limits::default();
    limits.heap_bytes = 32 << 20;
    session.set_limits(limits);
    let text = "let f = n: l: if n == 0 then l else f (n - 1) (l ++ l); in f 40 [ 1 2 3 ]";
    assert_eq!(session.eval(text, "test", b"/").unwrap_err().kind(), ErrorKind::Limit);
    let text = "let f = n: s: if n == 0 then s else f (n - 1) (s + s); in f 60 \"abc\"";
    assert_eq!(session.eval(text, "test", b"/").unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn walking_a_list_by_its_tail_takes_little_memory() {
    let session = evaluator();
    let text = "let sum = n: l: if l == [ ] then n else sum (n + builtins.head l) (builtins.tail l); \
                l = builtins.genList (x: x) 5000; in [ (sum 0 l) (builtins.tail [ 1 2 3 4 5 6 ]) \
                (builtins.tail (builtins.tail l) == builtins.genList (x: x + 2) 4998) ]";
    let value = session.eval(text, "test", b"/").and_then(|v| v.show(Show::Deep)).unwrap();
    assert_eq!(String::from_utf8_lossy(&value), "[ 12497500 [ 2 3 4 5 6 ] true ]");
    // Copies of all tails would be 100 MB.
    let bytes = session.stats().heap_bytes;
    assert!(bytes < 8 << 20, "{bytes} bytes");
}

#[test]
fn imports_are_evaluated_once_and_recorded() {
    let host = MemoryHost::new([("/w/default.nix", "{ a = 1 + 1; }")]);
    let host = Arc::new(Recording::new(host));
    let mut options = EngineOptions::default();
    options.host = host.clone();
    let session = Engine::new(options).evaluator();
    let root = session.import(&NixPath::root("/w")).unwrap();
    assert_eq!(root.kind().unwrap(), Kind::Attrs);
    assert_eq!(session.import(&NixPath::root("/w/default.nix")).unwrap().value(), root.value());
    assert!(host.inputs().0.iter().any(|i| format!("{i:?}").contains("File")));
}

#[test]
fn values_may_be_forced_from_many_threads() {
    let session = evaluator();
    let text = "{ a = let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 18; }";
    let value = session.eval(text, "test", b"/").unwrap().get("a").unwrap();
    drop(session);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(value.to_int().unwrap(), 2584));
        }
    });
}

#[test]
fn dropped_sessions_give_their_memory_back() {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
        let pages: i64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
        pages * 4096
    };
    let work = || {
        let session = evaluator();
        let text = "let f = n: l: if n == 0 then l else f (n - 1) (l ++ [ n ]); in f 500 [ ]";
        session.eval(text, "test", b"/").unwrap();
    };
    for _ in 0..20 {
        work();
    }
    let before = resident();
    for _ in 0..400 {
        work();
    }
    let grown = resident() - before;
    // Other tests run at the same time in this process, one with 32 MiB; a leak would be 200 MB.
    assert!(grown < 100 << 20, "{grown} bytes more after 400 sessions");
}
