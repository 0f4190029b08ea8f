//! Paths that nothing lies at: the place where the user wrote them is shown.

use expect_test::expect;

use crate::check_with;

/// A library that reads what it is given, sooner or later.
const LIB: &str = "{
  now = path: builtins.readFile path;
  later = set: { text = builtins.readFile set.path; };
}
";

#[test]
fn a_path_that_only_a_library_looks_at() {
    check_with(
        "let\n  lib = import <lib>;\nin\nlib.later {\n  path = ./missing;\n}\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: path '/w/missing' does not exist
               at /w/main.nix:5:10
              5 |   path = ./missing;
                |          ^^^^^^^^^ nothing is there
               while text
               while looking there (/lib/default.nix:3:25)
        "#]],
    );
    check_with(
        "let\n  lib = import <lib>;\nin\n{ a = lib.now ./missing; }\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: path '/w/missing' does not exist
               at /w/main.nix:4:15
              4 | { a = lib.now ./missing; }
                |               ^^^^^^^^^ nothing is there
               while a
               while calling 'now' (/w/main.nix:4:7)
               ... 1 more steps in /lib/default.nix (--show-trace)
        "#]],
    );
}

#[test]
fn a_path_that_the_user_wrote_elsewhere() {
    check_with(
        "let\n  read = path: builtins.readFile path;\nin\n{ a = read ./missing; }\n",
        &[],
        expect![[r#"
            error: path '/w/missing' does not exist
               at /w/main.nix:2:16
              2 |   read = path: builtins.readFile path;
                |                ^^^^^^^^^^^^^^^^^^^^^^
              4 | { a = read ./missing; }
                |            --------- named here
               while a
               while calling 'read' (/w/main.nix:4:7)
        "#]],
    );
    check_with(
        "{ a = import ./missing.nix; }\n",
        &[],
        expect![[r#"
        error: path '/w/missing.nix' does not exist
           at /w/main.nix:1:7
          1 | { a = import ./missing.nix; }
            |       ^^^^^^^^^^^^^^^^^^^^
           while a
    "#]],
    );
}

#[test]
fn a_path_that_no_literal_is() {
    check_with(
        "let\n  lib = import <lib>;\nin\nlib.later { path = ./. + \"/missing\"; }\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: path '/w/missing' does not exist
               at /lib/default.nix:3:25
              3 |   later = set: { text = builtins.readFile set.path; };
                |                         ^^^^^^^^^^^^^^^^^^^^^^^^^^
               while text
        "#]],
    );
}

#[test]
fn a_path_in_two_places() {
    check_with(
        "let\n  lib = import <lib>;\nin\n[ (lib.later { path = ./missing; }) (toString ./missing) ]\n",
        &[("/lib/default.nix", LIB)],
        expect![[r#"
            error: path '/w/missing' does not exist
               at /w/main.nix:4:23
              4 | [ (lib.later { path = ./missing; }) (toString ./missing) ]
                |                       ^^^^^^^^^ nothing is there
                |                                               --------- named here
               while [0].text
               while looking there (/lib/default.nix:3:25)
        "#]],
    );
}
