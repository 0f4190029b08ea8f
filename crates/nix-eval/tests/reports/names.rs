//! Names that are not there.

use expect_test::expect;

use crate::check;

#[test]
fn an_undefined_variable_that_is_an_attribute_of_something_in_scope() {
    check(
        r#"let
  pkgs = { hello = "h"; lib = { concat = a: b: a + b; }; };
in
{
  name = "site";
  text = lib.concat pkgs.hello "!";
}
"#,
        expect![[r#"
            error: undefined variable 'lib'
               at /w/main.nix:6:10
              6 |   text = lib.concat pkgs.hello "!";
                |          ^^^ no such name here
              2 |   pkgs = { hello = "h"; lib = { concat = a: b: a + b; }; };
                |                         --- 'pkgs' has an attribute of this name
               help: write 'pkgs.lib'
        "#]],
    );
}

#[test]
fn a_misspelt_variable() {
    check(
        "let\n  version = \"1\";\nin { v = verison; }\n",
        expect![[r#"
            error: undefined variable 'verison'
               at /w/main.nix:3:10
              3 | in { v = verison; }
                |          ^^^^^^^ no such name here
               help: did you mean 'version'?
        "#]],
    );
}

#[test]
fn several_unbound_names_at_once() {
    check(
        "{\n  a = foo;\n  b = bar;\n  c = toSring 1;\n}\n",
        expect![[r#"
            error: undefined variable 'foo'
               at /w/main.nix:2:7
              2 |   a = foo;
                |       ^^^ no such name here
            error: undefined variable 'bar'
               at /w/main.nix:3:7
              3 |   b = bar;
                |       ^^^ no such name here
            error: undefined variable 'toSring'
               at /w/main.nix:4:7
              4 |   c = toSring 1;
                |       ^^^^^^^ no such name here
               help: did you mean 'toString'?
            3 mistakes in /w/main.nix
        "#]],
    );
}

#[test]
fn a_builtin_without_its_prefix() {
    check(
        "{ a = attrNames { }; }\n",
        expect![[r#"
            error: undefined variable 'attrNames'
               at /w/main.nix:1:7
              1 | { a = attrNames { }; }
                |       ^^^^^^^^^ no such name here
               help: write 'builtins.attrNames'
        "#]],
    );
}

#[test]
fn a_name_that_no_with_has() {
    check(
        "let lib = { optional = 1; }; in with lib; [ optinal ]\n",
        expect![[r#"
            error: undefined variable 'optinal'
               at /w/main.nix:1:45
              1 | let lib = { optional = 1; }; in with lib; [ optinal ]
                |                                             ^^^^^^^ no 'with' around it has this name
               while [0]
               help: did you mean 'optional'?
        "#]],
    );
}

#[test]
fn a_misspelt_attribute() {
    check(
        r#"let
  ports = { http = 80; https = 443; ssh = 22; };
in
{ services.web.port = ports.htps; }
"#,
        expect![[r#"
            error: attribute 'htps' missing
               at /w/main.nix:4:29
              4 | { services.web.port = ports.htps; }
                |                             ^^^^ not in this set
              2 |   ports = { http = 80; https = 443; ssh = 22; };
                |                        ----- this is there
               while services.web.port
               help: did you mean 'https' or 'http'?
        "#]],
    );
}

#[test]
fn an_attribute_of_a_value_that_is_no_set() {
    check(
        "let web = \"nginx\"; in { port = web.port; }\n",
        expect![[r#"
            error: expected a set but found a string: "nginx"
               at /w/main.nix:1:32
              1 | let web = "nginx"; in { port = web.port; }
                |                                ^^^ this is a string
               while port
        "#]],
    );
}

#[test]
fn a_missing_attribute_deep_in_a_path() {
    check(
        "let c = { a.b = { x = 1; }; }; in { v = c.a.b.y.z; }\n",
        expect![[r#"
            error: attribute 'y' missing
               at /w/main.nix:1:47
              1 | let c = { a.b = { x = 1; }; }; in { v = c.a.b.y.z; }
                |                                               ^ not in this set
                |                   - this is there
               while v
               help: did you mean 'x'?
        "#]],
    );
}

#[test]
fn a_search_path_without_the_name() {
    check(
        "{ pkgs = import <nixpgs> { }; }\n",
        expect![[r#"
            error: file 'nixpgs' was not found in the Nix search path (add it using $NIX_PATH or -I)
               at /w/main.nix:1:17
              1 | { pkgs = import <nixpgs> { }; }
                |                 ^^^^^^^^
               while pkgs
        "#]],
    );
}

#[test]
fn a_file_that_is_not_there() {
    check(
        "{ m = import ./modul.nix; }\n",
        expect![[r#"
            error: path '/w/modul.nix' does not exist
               at /w/main.nix:1:7
              1 | { m = import ./modul.nix; }
                |       ^^^^^^^^^^^^^^^^^^
               while m
        "#]],
    );
}

#[test]
fn what_may_be_meant_is_an_edit_that_tools_can_make() {
    for (text, fixed) in [
        ("let version = 1; in { v = verison; }\n", "let version = 1; in { v = version; }\n"),
        ("{ a = attrNames { }; }\n", "{ a = builtins.attrNames { }; }\n"),
        ("let p = { b = 1; }; in { v = b; }\n", "let p = { b = 1; }; in { v = p.b; }\n"),
        ("let a = 2; in { v = a-1; }\n", "let a = 2; in { v = a - 1; }\n"),
        ("{ v = { port = 1; }.prot; }\n", "{ v = { port = 1; }.port; }\n"),
        ("{ v = toSring 1; }\n", "{ v = toString 1; }\n"),
    ] {
        let report = crate::failure(text, &[]).report();
        let edit = report.help[0].edits.first().unwrap_or_else(|| panic!("{text}: no edit"));
        let [start, end] = edit.bytes.map(|n| n as usize);
        let edited = format!("{}{}{}", &text[..start], edit.new, &text[end..]);
        assert_eq!(edited, fixed, "{text}");
        assert_eq!(edit.file, "/w/main.nix");
    }
}
