//! Places, thunks and specialised nodes, in the form of [`crate::ir::dump`].

use expect_test::{Expect, expect};

use crate::{
    ir::{GlobalId, dump::dump},
    source::FileId,
    symbol::{Symbol, Symbols},
    syntax::{ReadOptions, read},
};

const GLOBALS: [&str; 9] = [
    "true",
    "builtins",
    "map",
    "__sub",
    "__lessThan",
    "throw",
    "__length",
    "__findFile",
    "__nixPath",
];

/// `#n` is number `n` of [`GLOBALS`]; `map` takes two arguments, `throw` and `__length` one. The scope has the
/// names of `scope`.
fn resolved(text: &str, scope: Option<&[&str]>) -> String {
    let symbols = Symbols::default();
    let ids: Vec<Symbol> = GLOBALS.iter().map(|name| symbols.intern(name.as_bytes())).collect();
    let globals = |symbol| ids.iter().position(|&s| s == symbol).map(|i| GlobalId(i as u32));
    let arity = |id: GlobalId| match GLOBALS[id.0 as usize] {
        "map" => 2,
        "throw" | "__length" => 1,
        _ => 0,
    };
    let builtins = |symbol| match symbols.name(symbol) {
        b"map" => Some(GlobalId(2)),
        b"length" => Some(GlobalId(6)),
        _ => None,
    };
    let names = scope.unwrap_or(&[]);
    let has = |symbol| names.iter().any(|name| symbols.intern(name.as_bytes()) == symbol);
    let options = ReadOptions {
        base_dir: b"/d",
        globals: &globals,
        arity: &arity,
        builtins: &builtins,
        scope: scope.is_some().then_some(&has),
        ..ReadOptions::bare()
    };
    match read(&symbols, FileId(0), text.as_bytes(), &options) {
        Ok(file) => dump(&file, &symbols),
        Err(error) => error.message,
    }
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&resolved(text, None));
}

#[test]
fn chains_of_simple_functions_are_one_function() {
    check("x: y: z: [ x z ]", expect!["(\\(x y z) [3][ %0 %2 ])"]);
    check("x: x: x", expect!["(\\(x x) [2]%1)"]);
    check("x: { y }: z: x", expect!["(\\(x) [1](\\({ y }) [1]^{%0}(\\(z) [1]^{^0}^0)))"]);
}

#[test]
fn groups_are_captured_as_one_word() {
    check(
        "let f = x: [ (g x) (h x) ]; g = x: f x; h = 1; in f",
        expect![[
            r"[1]let%0 (\f(x) [1]^{%0}[ ~^{^0 %0}(^0.1 ^1) ~^{^0 %0}(^0.2 ^1) ]); (\g(x) [1]^{%0}(^0.0 %0)); 1; in %0.0"
        ]],
    );
    check(
        "{ a, b ? a + c, c ? b }@args: [ a b args ]",
        expect![[
            r"(\({ a, b ? ~^{%0}(+ ^0.0 ^0.2), c ? ~^{%0}^0.1 }@args) [1][ %0.0 %0.1 %0.3 ])"
        ]],
    );
}

#[test]
fn only_atoms_are_passed_without_a_thunk() {
    check(
        "f: f 1 \"s\" ./p [ ] f true (x: x) [ f ] { } (-1) (f.a)",
        expect![[
            r#"(\(f) [1](%0 1 "s" /d/p [ ] %0 #0 (\(x) [1]%0) ~^{%0}[ ^0 ] ~{ } ~-1 ~^{%0}^0.a))"#
        ]],
    );
}

#[test]
fn members_wait_for_those_that_are_filled_later() {
    check(
        "let a = b; b = 1; c = b; d = d; in a",
        expect!["[1]let%0 ~^{%0}^0.1; 1; %0.1; ~^{%0}^0.3; in %0.0"],
    );
    check(
        "rec { a = b; b = a; inherit (b) c; }",
        expect!["[1]rec%0 { a = ~^{%0}^0.1; b = %0.0; c = ~^{%0}^0.1.c; }"],
    );
}

#[test]
fn inherited_names_come_from_outside_or_from_one_source() {
    check(
        "x: let y = 1; in rec { inherit x y; z = x; }",
        expect![[r"(\(x) [3]let%1 1; in rec%2 { x = %0; y = %1.0; z = %2.0; })"]],
    );
    check(
        "f: { inherit (f 1) a b; inherit (f) c; inherit (builtins) map q; }",
        expect![[
            r#"(\(f) [2]{ %1 <- ~^{%0}(^0 1); map = ~#2; a = ~^{%1}^0.a; b = ~^{%1}^0.b; c = ~^{%0}^0.c; q = ~#1.q; })"#
        ]],
    );
}

#[test]
fn with_is_asked_last_and_innermost_first() {
    check(
        "a: with a; with { x = 1; }; [ x true (a: y) ]",
        expect![[
            r"(\(a) [3]with%1 %0; with%2 ~{ x = 1; }; [ ~^{%2 %1}(with? x ^0 ^1) #0 (\(a) [1]^{%2 %1}(with? y ^0 ^1)) ])"
        ]],
    );
}

#[test]
fn operators_are_calls_only_where_their_names_are_rebound() {
    check("a: a - 1 < 2", expect![[r"(\(a) [1](< (- %0 1) 2))"]]);
    check(
        "a: [ (a > 1) (a <= 1) (a >= 1) ]",
        expect![[r"(\(a) [1][ ~^{%0}(< 1 ^0) ~^{%0}(!< 1 ^0) ~^{%0}(!< ^0 1) ])"]],
    );
    check(
        "let __sub = a: b: 9; in -1 - 2",
        expect![[r"[1]let%0 (\__sub(a b) [2]9); in (%0.0 ~^{%0}(^0.0 0 1) 2)"]],
    );
    check("let __lessThan = 1; in 1 >= 2", expect!["[1]let%0 1; in (! (%0.0 1 2))"]);
    check("with { __sub = 1; }; 1 - 2", expect!["[1]with%0 ~{ __sub = 1; }; (- 1 2)"]);
    check("<a/b>", expect![[r#"<"a/b">"#]]);
    check("let __nixPath = 1; in <a>", expect![[r#"[1]let%0 1; in (#7 %0.0 "a")"#]]);
}

#[test]
fn saturated_builtins_are_called_directly() {
    check("map (x: x) [ ]", expect![[r"(call #2 (\(x) [1]%0) [ ])"]]);
    check("map (x: x)", expect![[r"(#2 (\(x) [1]%0))"]]);
    check("builtins.length [ ] 1", expect!["(call #6 [ ] 1)"]);
    check("builtins.other [ ]", expect!["(#1.other [ ])"]);
    check("map: map 1 2", expect![[r"(\(map) [1](%0 1 2))"]]);
    check("builtins: builtins.map", expect![[r"(\(builtins) [1]%0.map)"]]);
}

#[test]
fn selections_with_one_name_have_a_node_of_their_own() {
    check("a: a.b.c", expect![[r"(\(a) [1]%0.b.c)"]]);
    check("a: a.${a}.c", expect![[r"(\(a) [1](select %0 ${%0}.c))"]]);
    check("a: a.b or 1", expect![[r"(\(a) [1](select %0 b or 1))"]]);
    check("a: a ? b.\"c\"", expect![[r"(\(a) [1](has %0 b.c))"]]);
    check("let { body = a; a = 1; }", expect!["[1]rec%0 { body = ~^{%0}^0.1; a = 1; }.body"]);
}

#[test]
fn sets_keep_dynamic_names_and_overrides_apart() {
    check(
        "rec { ${a} = a; a = \"x\"; __overrides = { }; }",
        expect![[r#"[1]rec%0 { __overrides = ~{ }; a = "x"; overrides 0; ${%0.1} = %0.1; }"#]],
    );
}

#[test]
fn chains_are_flat_and_negative_numbers_fold() {
    check("1 + 2 + 3 ++ 4 ++ 5", expect!["(+ 1 2 (++ 3 4 5))"]);
    check("-1.5", expect!["-1.5"]);
    check("-0.0", expect!["0.0"]);
    check("-9223372036854775807", expect!["-9223372036854775807"]);
    check("./a/${true}b", expect![[r#"(path "/d/a/" #0 "b")"#]]);
    check("~/a/${true}", expect![[r#"(path ~"/a/" #0)"#]]);
}

#[test]
fn the_scope_of_scoped_import_stands_between_bindings_and_globals() {
    let scope = Some(&["x", "map", "__sub"][..]);
    expect![[
        r"[1]^{^0}let%0 1; in [ (scope ^0 x) %0.0 (scope ^0 map) ~^{^0}((scope ^0 __sub) 1 2) #5 ]"
    ]]
    .assert_eq(&resolved("let y = 1; in [ x y map (1 - 2) throw ]", scope));
    expect!["undefined variable 'z'"].assert_eq(&resolved("z", scope));
}

#[test]
fn bodies_with_many_captures_find_each_once() {
    let names: Vec<String> = (0..40).map(|i| format!("a{i}")).collect();
    let text = format!("{}: [ ({} + {}) ]", names.join(": "), names.join(" + "), names.join(" + "));
    let dumped = resolved(&text, None);
    let captures =
        dumped.split_once("~^{").expect("one thunk").1.split_once('}').expect("closed").0;
    assert_eq!(captures.split(' ').count(), 40, "{dumped}");
}
