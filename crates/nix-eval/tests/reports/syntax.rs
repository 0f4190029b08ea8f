//! Texts that are no programs.

use expect_test::expect;

use crate::check;

#[test]
fn a_missing_semicolon() {
    check(
        "{\n  port = 80\n  host = \"::1\";\n}\n",
        expect![[r#"
        error: expected ';' after this value
           at /w/main.nix:2:12
          2 |   port = 80
            |            ^ put ';' here
          3 |   host = "::1";
            |   ---- the next binding begins here
    "#]],
    );
}

#[test]
fn several_mistakes_in_one_file() {
    check(
        "{\n  a = [ 1, 2 ];\n  b = 3;\n  c = if 1 then 2;\n  d = );\n}\n",
        expect![[r#"
            error: expected ']' or a list element, but found ','
               at /w/main.nix:2:10
              2 |   a = [ 1, 2 ];
                |          ^
                |       - the list begins here
               help: list elements are parted by spaces, bindings by ';'
            error: expected 'else', but found ';'
               at /w/main.nix:4:18
              4 |   c = if 1 then 2;
                |                  ^
            2 mistakes in /w/main.nix
        "#]],
    );
}

#[test]
fn typical_traps() {
    check(
        "let x = 1; { y = x; }\n",
        expect![[r#"
            error: expected a binding or 'in', but found '{'
               at /w/main.nix:1:12
              1 | let x = 1; { y = x; }
                |            ^
                | - the 'let' begins here
               help: the value of a 'let' comes after 'in'
        "#]],
    );
    check(
        "{ a = if x = 1 then 2 else 3; }\n",
        expect![[r#"
            error: expected 'then', but found '='
               at /w/main.nix:1:12
              1 | { a = if x = 1 then 2 else 3; }
                |            ^
               help: '=' binds names in sets and 'let'; equality is '=='
        "#]],
    );
    check(
        "{ a = 1; a = 2; }\n",
        expect![[r#"
        error: attribute 'a' already defined
           at /w/main.nix:1:10
          1 | { a = 1; a = 2; }
            |          ^ defined again here
            |   - first defined here
    "#]],
    );
    check(
        "{ s = ''\n  never closed\n",
        expect![[r#"
            error: this string does not end; its closing '' is missing
               at /w/main.nix:1:7
              1 | { s = ''
                |       ^^ the string begins here
        "#]],
    );
    check(
        "{ a = (1 + 2; }\n",
        expect![[r#"
        error: expected ')', but found ';'
           at /w/main.nix:1:13
          1 | { a = (1 + 2; }
            |             ^
            |       - opened here
           help: ';' ends a binding; there is none here
    "#]],
    );
    check(
        "x: y: { a = x |> y; }\n",
        expect![[r#"
        error: experimental feature 'pipe-operators' is disabled
           at /w/main.nix:1:15
          1 | x: y: { a = x |> y; }
            |               ^^
           help: add '--extra-experimental-features pipe-operators' to enable it
    "#]],
    );
    check(
        "let a = 1; in a-1\n",
        expect![[r#"
            error: undefined variable 'a-1'
               at /w/main.nix:1:15
              1 | let a = 1; in a-1
                |               ^^^ no such name here
               help: 'a-1' is one name; write 'a - 1'
        "#]],
    );
}

#[test]
fn a_file_that_is_not_utf_8_or_empty() {
    check(
        "",
        expect![[r#"
            error: expected an expression, but found end of file
               at /w/main.nix:1:1
              1 |
                | ^
        "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
            error: expected an expression, but found end of file
               at /w/main.nix:2:1
              2 |
                | ^
        "#]],
    );
}
