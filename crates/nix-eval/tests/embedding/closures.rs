//! Rust closures as builtins and lazy values.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use nix_eval::{CallCx, Engine, Error, ErrorKind, Evaluator, Handle, Limits, Ser, error::Style};

use crate::{eval, session, show};

fn with_builtins() -> Evaluator {
    Engine::builder()
        .builtin("greet", |name: String, times: usize| vec![name; times])
        .builtin("answer", || 42)
        .builtin("ports.claim", |want: Option<u16>| want.unwrap_or(1024))
        .builtin("ports.free.all", || Ser([1, 2]))
        .builtin("fails", |_: Handle| {
            Err::<i64, _>(std::io::Error::new(std::io::ErrorKind::NotFound, "no such secret"))
        })
        .builtin("says", |text: String| Err::<i64, String>(text))
        .builtin_cx("firstOk", |cx: &mut CallCx<'_>, xs: Vec<Handle>| -> Result<Handle, Error> {
            for x in &xs {
                cx.poll()?;
                if x.force().is_ok() {
                    return Ok(x.clone());
                }
            }
            Err(cx.throw("none of them"))
        })
        .builtin("twice", |f: Handle, x: Handle| f.call(&[f.call(&[x])?]))
        .builtin("boom", || -> i64 { panic!("a bug in {}", "here") })
        .global("greet")
        .without(["fetchurl"])
        .build()
        .unwrap()
        .evaluator()
}

#[test]
fn closures_are_builtins() {
    let session = with_builtins();
    let check = |text: &str, expected: &str| {
        let shown = match session.eval(text, "test", b"/") {
            Ok(value) => show(&value),
            Err(e) => format!("error: {e}"),
        };
        assert_eq!(shown, expected, "{text}");
    };
    check("builtins.greet \"hi\" 2", "[ \"hi\" \"hi\" ]");
    check("map (greet \"hi\") [ 0 1 ]", "[ [ ] [ \"hi\" ] ]");
    check("builtins.answer + 1", "43");
    check("[ (builtins.ports.claim 80) (builtins.ports.claim null) ]", "[ 80 1024 ]");
    check("builtins.ports.free.all", "[ 1 2 ]");
    check("builtins.firstOk [ (throw \"a\") (1 + 1) (throw \"c\") ]", "2");
    check("builtins.tryEval (builtins.firstOk [ ])", "{ success = false; value = false; }");
    check("builtins.twice (x: x * 3) 2", "18");
    check("builtins.twice (builtins.twice (x: x + 1)) 0", "4");
    check("builtins.functionArgs builtins.greet", "{ }");
    check("[ greet (greet \"x\") ]", "[ <PRIMOP> <PRIMOP-APP> ]");
    check("builtins ? fetchurl", "false");
    check(
        "builtins.ports.claim 70000",
        "error: expected an integer from 0 to 65535 but found an integer: 70000",
    );
    check("builtins.tryEval (builtins.fails 1)", "error: no such secret");
    check("builtins.says \"so\"", "error: so");
}

#[test]
fn a_failing_closure_says_which_argument_and_keeps_its_cause() {
    let session = with_builtins();
    let error = session.eval("builtins.greet \"hi\" \"2\"", "test", b"/").unwrap_err();
    let text = error.report().text(Style::default());
    assert!(text.contains("while reading argument 2 of 'greet'"), "{text}");
    assert!(text.contains("«test»:1:1"), "{text}");
    let error = session.eval("builtins.fails 1", "test", b"/").unwrap_err();
    assert_eq!((error.kind(), error.class().name()), (ErrorKind::Host, "host"));
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.downcast_ref::<std::io::Error>().is_some());
}

#[test]
fn a_panicking_closure_ends_its_session_only() {
    let engine = Engine::builder().builtin("boom", |_: i64| -> i64 { panic!("a bug") });
    let engine = engine.build().unwrap();
    let (one, two) = (engine.evaluator(), engine.evaluator());
    let error = one.eval("builtins.boom 1", "test", b"/").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(error.message(), "the builtin 'boom' panicked: a bug");
    assert_eq!(one.eval("1", "test", b"/").unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(show(&eval(&two, "1")), "1");
}

#[test]
fn calls_back_count_as_part_of_the_request() {
    // A program must not get around its limits by way of a builtin.
    let mut limits = Limits::default();
    limits.steps = 100_000;
    let engine =
        Engine::builder().limits(limits).builtin("call", |f: Handle, x: Handle| f.call(&[x]));
    let session = engine.build().unwrap().evaluator();
    let text = "let f = n: builtins.call f (n + 1); in f 0";
    assert_eq!(session.eval(text, "test", b"/").unwrap_err().kind(), ErrorKind::Limit);
    limits.steps = u64::MAX;
    limits.stack_bytes = 32 << 20;
    session.set_limits(limits);
    assert_eq!(session.eval(text, "test", b"/").unwrap_err().kind(), ErrorKind::Limit);
    limits.deadline = Some(std::time::Duration::from_millis(50));
    session.set_limits(limits);
    let text = "let f = n: if builtins.call (x: x) n < 0 then 0 else f (n + 1); in f 0";
    let start = std::time::Instant::now();
    assert_eq!(session.eval(text, "test", b"/").unwrap_err().kind(), ErrorKind::Limit);
    assert!(start.elapsed() < std::time::Duration::from_millis(500));
    assert_eq!(show(&eval(&session, "1 + 1")), "2");
}

#[test]
fn names_of_builtins_are_checked() {
    let wrong =
        |builder: nix_eval::EngineBuilder| builder.build().unwrap_err().message().to_owned();
    assert!(wrong(Engine::builder().builtin("a b", || 1)).contains("cannot name a builtin"));
    assert!(wrong(Engine::builder().builtin("a", || 1).builtin("a.b", || 1)).contains("inside"));
    assert!(wrong(Engine::builder().global("nothing")).contains("no closure"));
}

#[test]
fn lazy_values_are_made_once_and_only_when_used() {
    let session = session();
    let calls = Arc::new(AtomicU32::new(0));
    let seen = calls.clone();
    let lazy = session.lazy(move || seen.fetch_add(1, Ordering::Relaxed)).unwrap();
    let names = (0..1000).map(|n| format!("row{n}"));
    let rows = session.lazy_attrs(names, |name: String| Ser((name.len(), name))).unwrap();
    let double = session.function("double", |n: i64| n * 2);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let f = eval(&session, "lazy: rows: double: [ lazy lazy (double 4) rows.row17 ]");
    let value = f.call(&[lazy, rows, double]).unwrap();
    assert_eq!(show(&value), "[ 0 0 8 [ 5 \"row17\" ] ]");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
