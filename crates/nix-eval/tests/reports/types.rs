//! Values of the wrong type.

use expect_test::expect;

use crate::check;

#[test]
fn null_in_a_list_of_names() {
    check(
        r#"let
  deps = [ "openssl" null "zlib" ];
  mkFlags = names: map (n: "--with-" + n) names;
in
{ packages.web.configureFlags = mkFlags deps; }
"#,
        expect![[r#"
            error: cannot coerce null to a string
               at /w/main.nix:3:40
              3 |   mkFlags = names: map (n: "--with-" + n) names;
                |                                        ^ this is null
               while packages.web.configureFlags[1]
               while calling a function (/w/main.nix:3:25)
        "#]],
    );
}

#[test]
fn a_set_in_a_string() {
    check(
        "let p = { name = \"x\"; }; in { s = \"use ${p}\"; }\n",
        expect![[r#"
            error: cannot coerce a set to a string: { name = "x"; }
               at /w/main.nix:1:42
              1 | let p = { name = "x"; }; in { s = "use ${p}"; }
                |                                          ^ this is a set
               while s
        "#]],
    );
}

#[test]
fn a_number_added_to_a_string() {
    check(
        "{ url = \"localhost:\" + 80; }\n",
        expect![[r#"
            error: cannot coerce an integer to a string: 80
               at /w/main.nix:1:24
              1 | { url = "localhost:" + 80; }
                |                        ^^ this is an integer
               while url
        "#]],
    );
}

#[test]
fn a_call_in_a_list_without_parentheses() {
    check(
        "let f = x: x; in { l = [ (f 1) ] ++ f 2; }\n",
        expect![[r#"
            error: expected a list but found an integer: 2
               at /w/main.nix:1:37
              1 | let f = x: x; in { l = [ (f 1) ] ++ f 2; }
                |                                     ^^^
               while l
        "#]],
    );
}

#[test]
fn a_call_of_something_that_is_no_function() {
    check(
        "let\n  f = { a = 1; };\nin { x = f 3; }\n",
        expect![[r#"
            error: attempt to call something which is not a function but a set: { a = 1; }
               at /w/main.nix:3:10
              3 | in { x = f 3; }
                |          ^^^
               while x
        "#]],
    );
}

#[test]
fn a_condition_that_is_no_boolean() {
    check(
        "{ x = if \"yes\" then 1 else 2; }\n",
        expect![[r#"
            error: expected a Boolean but found a string: "yes"
               at /w/main.nix:1:10
              1 | { x = if "yes" then 1 else 2; }
                |          ^^^^^
               while x
        "#]],
    );
}

#[test]
fn a_builtin_with_the_wrong_type() {
    check(
        "{ n = builtins.length { a = 1; }; }\n",
        expect![[r#"
            error: expected a list but found a set: { a = 1; }
               at /w/main.nix:1:7
              1 | { n = builtins.length { a = 1; }; }
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
               while n
               while evaluating the argument of 'builtins.length'
        "#]],
    );
}

#[test]
fn values_that_have_no_order() {
    check(
        "{ b = { } < { }; }\n",
        expect![[r#"
            error: cannot compare a set with a set; values of that type are incomparable
               at /w/main.nix:1:7
              1 | { b = { } < { }; }
                |       ^^^^^^^^^
               while b
        "#]],
    );
}

#[test]
fn a_division_by_zero_and_an_index_out_of_bounds() {
    check(
        "{ a = 1 / 0; }\n",
        expect![[r#"
            error: division by zero
               at /w/main.nix:1:7
              1 | { a = 1 / 0; }
                |       ^^^^^
               while a
        "#]],
    );
    check(
        "{ a = builtins.elemAt [ 1 2 ] 5; }\n",
        expect![[r#"
            error: 'builtins.elemAt' called with index 5 on a list of size 2
               at /w/main.nix:1:7
              1 | { a = builtins.elemAt [ 1 2 ] 5; }
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^
               while a
        "#]],
    );
}

#[test]
fn what_an_author_throws_are_the_authors_words() {
    check(
        "{ p = throw \"'foo' has been renamed to 'bar'\"; }\n",
        expect![[r#"
            error: 'foo' has been renamed to 'bar'
               at /w/main.nix:1:7
              1 | { p = throw "'foo' has been renamed to 'bar'"; }
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               while p
        "#]],
    );
    check(
        "{ p = builtins.addErrorContext \"while building the site\" (abort \"no\"); }\n",
        expect![[r#"
            error: evaluation aborted with the following error message: 'no'
               at /w/main.nix:1:59
              1 | { p = builtins.addErrorContext "while building the site" (abort "no"); }
                |                                                           ^^^^^^^^^^
               while p
               while building the site
        "#]],
    );
    check(
        "let x = 1; in { p = assert x == 2; x; }\n",
        expect![[r#"
            error: assertion 'x == 2' failed
               at /w/main.nix:1:28
              1 | let x = 1; in { p = assert x == 2; x; }
                |                            ^^^^^^
               while p
        "#]],
    );
}

#[test]
fn malformed_json_and_a_bad_pattern() {
    check(
        "{ j = builtins.fromJSON \"{ \\\"a\\\": 1, }\"; }\n",
        expect![[r#"
            error: invalid JSON at byte 10: expected a name in quotes
               at /w/main.nix:1:7
              1 | { j = builtins.fromJSON "{ \"a\": 1, }"; }
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               while j
        "#]],
    );
    check(
        "{ m = builtins.match \"(a\" \"a\"; }\n",
        expect![[r#"
            error: invalid regular expression '(a'
               at /w/main.nix:1:7
              1 | { m = builtins.match "(a" "a"; }
                |       ^^^^^^^^^^^^^^^^^^^^^^^
               while m
               note: unbalanced parenthesis
        "#]],
    );
}

#[test]
fn control_characters_are_shown_and_not_sent() {
    check(
        "{ p = throw (builtins.fromJSON ''\"\\u001b]0;title\\u0007\\u009b31m\"''); }\n",
        expect![[r#"
            error: \x1b]0;title\x07\u{9b}31m
               at /w/main.nix:1:7
              1 | { p = throw (builtins.fromJSON ''"\u001b]0;title\u0007\u009b31m"''); }
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               while p
        "#]],
    );
    check(
        "throw \"${builtins.fromJSON ''\"\\u001b[1;31m\"''}red${builtins.fromJSON ''\"\\u001b[0m\"''} text\"\n",
        expect![[r#"
            error: red text
               at /w/main.nix:1:1
              1 | throw "${builtins.fromJSON ''"\u001b[1;31m"''}red${builtins.fromJSON ''"\u001b[0m"''} text"
                | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               while importing '/w/main.nix'
        "#]],
    );
    check(
        "{ p = { \"a\u{1b}[31m\" = 1; }.\"b\u{1b}[0m\"; }\n",
        expect![[r#"
            error: attribute 'b\x1b[0m' missing
               at /w/main.nix:1:26
              1 | { p = { "a?[31m" = 1; }."b?[0m"; }
                |                          ^^^^^ not in this set
               while p
        "#]],
    );
}
