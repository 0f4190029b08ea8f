//! Handles, sessions and threads.

use std::sync::Mutex;

use nix_eval::{Engine, ErrorKind, Show};

use crate::{eval, session, show};

#[test]
fn paths_select_through_sets_and_lists() {
    let session = session();
    let root = eval(&session, "{ a.\"b.c\" = [ { d = 1; } ]; \"0\" = 2; }");
    assert_eq!(root.path("a.\"b.c\".0.d").unwrap().to_int().unwrap(), 1);
    assert_eq!(root.path("0").unwrap().to_int().unwrap(), 2);
    assert_eq!(show(&root.path("").unwrap().get("0").unwrap()), "2");
    for wrong in ["a.", ".a", "a..b", "\"a", "\"a\"b"] {
        assert!(root.path(wrong).unwrap_err().message().contains("no attribute path"), "{wrong}");
    }
    assert_eq!(root.attr_place("a").unwrap().unwrap(), "«test»:1:3");
}

#[test]
fn values_are_shown_in_four_forms() {
    let session = session();
    let value = eval(&session, "{ a = 1 + 1; b = [ \"x\" ]; }");
    let show = |how| String::from_utf8(value.show(how).unwrap()).unwrap();
    assert_eq!(show(Show::Shallow), "{ a = <CODE>; b = <CODE>; }");
    assert_eq!(show(Show::Json), r#"{"a":2,"b":["x"]}"#);
    assert_eq!(show(Show::Deep), "{ a = 2; b = [ \"x\" ]; }");
    assert!(show(Show::Xml).contains("<attr name=\"a\">"));
}

#[test]
fn handles_are_used_from_any_thread_while_others_wait() {
    let session = session();
    let f = eval(&session, "x: builtins.foldl' (a: b: a + b) x (builtins.genList (n: n) 1000)");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (f, session) = (f.clone(), &session);
            scope.spawn(move || {
                for n in 0..50 {
                    let arg = session.value(&(thread * 1000 + n)).unwrap();
                    assert_eq!(
                        f.call(&[arg]).unwrap().to_int().unwrap(),
                        thread * 1000 + n + 499_500
                    );
                }
            });
        }
    });
}

#[test]
fn sessions_of_one_engine_run_side_by_side() {
    let engine = Engine::builder().builtin("inc", |n: i64| n + 1).build().unwrap();
    let results: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (engine, results) = (engine.clone(), &results);
            scope.spawn(move || {
                for _ in 0..20 {
                    let session = engine.evaluator();
                    let text = format!(
                        "builtins.toJSON (map builtins.inc (builtins.genList (x: x * {n}) 100)) + (rec {{ a{n} = b; b = \"x{n}\"; }}).a{n}"
                    );
                    let shown = show(&session.eval(&text, "test", b"/").unwrap());
                    results.lock().unwrap().push(shown);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort();
    results.dedup();
    assert_eq!(results.len(), 8);
}

#[test]
fn one_expression_is_one_line() {
    assert_eq!(nix_eval::eval::<i64>("let f = x: x * 2; in f 21").unwrap(), 42);
    assert_eq!(nix_eval::eval::<i64>("import /etc/passwd").unwrap_err().kind(), ErrorKind::Host);
}
