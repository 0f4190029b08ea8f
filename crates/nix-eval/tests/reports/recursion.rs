//! Values that need themselves, and calls that never end.

use expect_test::expect;

use crate::check;

#[test]
fn a_value_that_needs_itself_by_way_of_others() {
    check(
        r#"rec {
  version = base.version;
  base = overlay // { name = "app-${version}"; };
  overlay = { version = base.name; };
}
"#,
        expect![[r#"
            error: infinite recursion encountered
               at /w/main.nix:4:25
              4 |   overlay = { version = base.name; };
                |                         ^^^^^^^^^
               while base.name
               the cycle:
                 name = "app-${version}"   /w/main.nix:3:30
                 version = base.version    /w/main.nix:2:13
                 version = base.name       /w/main.nix:4:25  (back to the first line)
        "#]],
    );
}

#[test]
fn a_variable_that_is_its_own_value() {
    check(
        "let\n  x = x;\nin { inherit x; }\n",
        expect![[r#"
            error: infinite recursion encountered
               at /w/main.nix:2:7
              2 |   x = x;
                |       ^
               while x
               the cycle:
                 x = x   /w/main.nix:2:7  (back to the first line)
        "#]],
    );
}

#[test]
fn defaults_of_arguments_that_need_each_other() {
    check(
        "let f = { a ? b, b ? a }: a; in { v = f { }; }\n",
        expect![[r#"
            error: infinite recursion encountered
               at /w/main.nix:1:22
              1 | let f = { a ? b, b ? a }: a; in { v = f { }; }
                |                      ^
               while v
               the cycle:
                 a = b   /w/main.nix:1:15
                 b = a   /w/main.nix:1:22  (back to the first line)
               while calling 'f' (/w/main.nix:1:39)
        "#]],
    );
}

#[test]
fn calls_that_never_end() {
    check(
        "let\n  f = n: 1 + f (n + 1);\nin { v = f 0; }\n",
        expect![[r#"
            error: stack overflow; max-call-depth exceeded (the limit is 10000)
               at /w/main.nix:2:14
              2 |   f = n: 1 + f (n + 1);
                |              ^^^^^^^^^
               while v
               while calling 'f' (/w/main.nix:2:14), 119 times
               while calling 'f' (/w/main.nix:3:10)
               ... 9880 more steps (--show-trace)
        "#]],
    );
}
