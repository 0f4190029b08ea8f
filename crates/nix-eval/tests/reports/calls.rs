//! Calls with the wrong arguments, and the way to a mistake.

use expect_test::expect;

use crate::{check, check_with};

#[test]
fn missing_and_unexpected_arguments_at_once() {
    check(
        r#"let
  mkSite = { domain, root, tls ? true, port ? 443 }: "${domain}:${toString port}";
in
mkSite { domian = "example.org"; root = ./.; Port = 80; }
"#,
        expect![[r#"
            error: function 'mkSite' called without required argument 'domain', and with unexpected arguments 'domian' and 'Port'
               at /w/main.nix:4:10
              4 | mkSite { domian = "example.org"; root = ./.; Port = 80; }
                |          ^^^^^^ not an argument
                |                                              ---- not an argument
              2 |   mkSite = { domain, root, tls ? true, port ? 443 }: "${domain}:${toString port}";
                |            ---------------------------------------------------------------------- takes these
               while calling 'mkSite' (/w/main.nix:4:1)
               while importing '/w/main.nix'
               help: 'domian' -> 'domain', 'Port' -> 'port'
        "#]],
    );
}

#[test]
fn no_set_for_a_function_that_wants_one() {
    check(
        "let f = { a }: a; in { x = f 1; }\n",
        expect![[r#"
            error: expected a set but found an integer: 1
               at /w/main.nix:1:28
              1 | let f = { a }: a; in { x = f 1; }
                |                            ^^^
                |         -------- takes a set
               while x
               while calling 'f' (/w/main.nix:1:28)
        "#]],
    );
}

const LIB: &str = r#"rec {
  check = x: if x > 3 then throw "'${toString x}' is too much" else x;
  deep = n: x: if n == 0 then check x else 0 + deep (n - 1) x;
  mapAll = f: xs: map f xs;
}
"#;

#[test]
fn the_users_own_place_comes_before_that_of_a_library() {
    check_with(
        "let\n  lib = import <lib>;\nin\n{\n  ports = lib.mapAll (lib.deep 20) [ 1 7 ];\n  port = 1 + lib.deep 20 7;\n}\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: '7' is too much
               at /w/main.nix:6:14
              6 |   port = 1 + lib.deep 20 7;
                |              ^^^^^^^^^^^^^ here, while calling 'deep'
               raised at /lib/default.nix:2:28
               while port
               while calling 'deep' (/w/main.nix:6:14)
               ... 20 more steps in /lib/default.nix (--show-trace)
        "#]],
    );
    check_with(
        "let\n  lib = import <lib>;\n  helper = n: 1 + lib.deep 3 n;\nin\n{ port = 1 + helper 7; }\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: '7' is too much
               at /w/main.nix:3:19
              3 |   helper = n: 1 + lib.deep 3 n;
                |                   ^^^^^^^^^^^^ here, while calling 'deep'
               raised at /lib/default.nix:2:28
               while port
               while calling 'deep' (/w/main.nix:3:19)
               while calling 'helper' (/w/main.nix:5:14)
               ... 3 more steps in /lib/default.nix (--show-trace)
        "#]],
    );
}

#[test]
fn a_mistake_in_an_imported_file_names_both_files() {
    check_with(
        "{ web = (import ./web.nix).port + 1; }\n",
        &[("/w/web.nix", "{\n  port = \"80\" + 1;\n}\n")],
        expect![[r#"
            error: cannot coerce an integer to a string: 1
               at /w/web.nix:2:17
              2 |   port = "80" + 1;
                |                 ^ this is an integer
               while web
        "#]],
    );
}

#[test]
fn calls_in_the_users_files_are_all_shown() {
    check(
        "let\n  a = x: 1 + b x;\n  b = x: 2 + c x;\n  c = x: 3 + x;\nin { v = a \"4\"; }\n",
        expect![[r#"
            error: expected an integer but found a string: "4"
               at /w/main.nix:4:14
              4 |   c = x: 3 + x;
                |              ^ this is a string
               while v
               while calling 'c' (/w/main.nix:3:14)
               while calling 'b' (/w/main.nix:2:14)
               while calling 'a' (/w/main.nix:5:10)
        "#]],
    );
}
