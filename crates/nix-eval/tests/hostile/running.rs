//! Programs that never end, or go too deep.

use nix_eval::Limits;

use crate::{End, check, check_in, session};

#[test]
fn endless_programs_stop() {
    for text in [
        "let f = n: f (n + 1); in f 0",
        "let f = n: builtins.seq n (f (n + 1)); in f 0",
        "let f = n: builtins.trace \"line\" (f (n + 1)); in f 0",
        "let f = n: 1 + f (n + 1); in f 0",
        "let f = n: [ (f n) ]; in f 0",
        "let f = n: { a = f (n + 1); }; in builtins.deepSeq (f 0) 1",
        "let x = { __functor = self: self; }; in x 1 2 3",
        "let x = { __toString = self: self; }; in \"${x}\"",
        "let x.outPath = x; in \"${x}\"",
        "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ]; }",
        "let xs = [ xs ]; in builtins.toJSON xs",
        "let xs = { a = xs; }; in builtins.toJSON xs",
        "let xs = { a = xs; }; in builtins.toXML xs",
        "let xs = [ xs ]; in toString xs",
        "let a = { x = b; }; b = { x = a; }; in a == b",
        "let a = [ a ]; b = [ b ]; in a < b",
        "let xs = [ 1 xs ]; in builtins.concatStringsSep \",\" (map builtins.toJSON xs)",
        "let f = x: builtins.tryEval (f x); in f 1",
        "let f = x: import ./self.nix x; in f 1",
        "let s = { a = s // { b = s; }; }; in builtins.deepSeq (builtins.toJSON s) 1",
        "builtins.foldl' (a: b: a + a) \"x\" (builtins.genList (x: x) 1000)",
        "let f = x: builtins.addErrorContext \"deeper\" (f (x + 1)); in f 0",
        "let f = builtins.scopedImport { } ./self.nix; in f 1",
        "let f = xs: builtins.concatMap (x: f [ x x ]) xs; in f [ 1 ]",
        "let f = n: \"${f (n + 1)}\"; in f 0",
        "let f = { a ? f { } }: a; in f { }",
        "let s = builtins.sort (a: b: f a) [ 1 2 3 ]; f = x: f (x + 1); in s",
    ] {
        check(text, End::Limit);
    }
}

#[test]
fn values_that_need_themselves_are_told_so() {
    for text in [
        "let x = x; in x",
        "let x = y; y = x; in x",
        "rec { a = a.b; }.a",
        "let x = x + 1; in x",
        "let xs = map (x: x) xs; in builtins.length xs",
        "let s = s // { }; in s",
        "let { body = body; }",
        "import ./a.nix",
        "let x = [ 1 ] ++ x; in builtins.length x",
    ] {
        check(text, End::Class("recursion"));
    }
}

#[test]
fn depth_is_a_limit_and_not_a_crash() {
    let sum = |n: u32| format!("let f = n: if n == 0 then 0 else 1 + f (n - 1); in f {n}");
    check(&sum(1_000_000), End::Limit);
    let chain =
        "builtins.foldl' (a: n: { v = a.v + 1; }) { v = 0; } (builtins.genList (x: x) 300000)";
    check(&format!("({chain}).v"), End::ValueOrLimit);
    let lazy = "let xs = builtins.genList (i: if i == 0 then 0 else builtins.elemAt xs (i - 1) + 1) 300000; in builtins.elemAt xs 299999";
    check(lazy, End::ValueOrLimit);

    // With room it is a value.
    let session = session();
    let mut roomy: Limits = crate::limits();
    roomy.call_depth = 10_000_000;
    roomy.stack_bytes = 4 << 30;
    session.set_limits(roomy);
    check_in(&session, &sum(300_000), End::Value("300000"));
    check_in(&session, lazy, End::Value("299999"));
    // With little stack it is a limit again, and the next request has it all.
    roomy.stack_bytes = 4 << 20;
    session.set_limits(roomy);
    check_in(&session, &sum(300_000), End::Limit);
}

#[test]
fn sizes_are_checked_before_anything_is_made() {
    for text in [
        "builtins.genList (x: x) 1000000000000",
        "builtins.genList (x: x) 9223372036854775807",
        "builtins.length (builtins.foldl' (a: n: a ++ a) [ 1 ] (builtins.genList (x: x) 60))",
        "builtins.stringLength (builtins.foldl' (a: n: a + a) \"abcdefgh\" (builtins.genList (x: x) 60))",
        "let s = builtins.concatStringsSep \"\" (builtins.genList (x: \"0123456789abcdef\") 1000000); in builtins.stringLength (builtins.replaceStrings [ \"\" ] [ s ] s)",
        "let l = builtins.genList (x: x) 4000000; in builtins.length (builtins.concatLists (builtins.genList (x: l) 1000))",
        "let l = builtins.genList (x: x) 4000000; in builtins.length (builtins.concatMap (x: l) l)",
        "let s = builtins.concatStringsSep \"\" (builtins.genList (x: \"0123456789abcdef\") 1000000); in builtins.stringLength (builtins.concatStringsSep s (builtins.genList (x: s) 1000))",
        "let s = builtins.concatStringsSep \"\" (builtins.genList (x: \"0123456789abcdef\") 1000000); in builtins.stringLength (builtins.toJSON (builtins.genList (x: s) 1000))",
        "let s = builtins.concatStringsSep \"\" (builtins.genList (x: \"0123456789abcdef\") 1000000); in builtins.stringLength (toString (builtins.genList (x: s) 1000))",
    ] {
        check(text, End::Limit);
    }
}
