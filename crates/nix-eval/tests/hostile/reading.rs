//! Texts that are hard to read.

use crate::{End, check};

fn nested(open: &str, inside: &str, close: &str, n: usize) -> String {
    format!("{}{inside}{}", open.repeat(n), close.repeat(n))
}

#[test]
fn deep_nesting_of_every_kind_is_read_or_refused() {
    for n in [1000, 100_000, 1_000_000] {
        let end = if n == 1000 { End::AnyValue } else { End::ValueOrLimit };
        for (open, inside, close) in [
            ("(", "1", ")"),
            ("[ ", "", " ]"),
            ("{ a = ", "1", "; }"),
            ("rec { a = ", "1", "; }"),
            ("let a = ", "1", "; in a"),
            ("x: ", "x", ""),
            ("{ x }: ", "x", ""),
            ("if true then ", "1", " else 2"),
            ("assert true; ", "1", ""),
            ("with { }; ", "1", ""),
            ("\"${", "\"a\"", "}\""),
            ("''${", "\"a\"", "}''"),
            ("!", "true", ""),
            ("-", "1", ""),
            ("- ", "1", ""),
            ("1 + (", "1", ")"),
            ("{ } // ", "{ }", ""),
            ("[ ] ++ ", "[ ]", ""),
            ("true -> ", "true", ""),
            ("{ inherit (", "{ a = 1; }", ") a; }"),
            ("let inherit (", "{ a = 1; }", ") a; in { inherit a; }"),
            ("if ", "true", " then true else false"),
            ("with ", "{ }", "; { }"),
            ("assert ", "true", "; true"),
            ("{ a = \"a\"; }.${", "\"a\"", "}"),
        ] {
            // Odd numbers of signs and the like do not matter: what counts is that it ends.
            let text = nested(open, inside, close, n);
            let end =
                if open.contains('-') && !open.contains('>') { End::ValueOrLimit } else { end };
            check(&text, end);
        }
    }
}

#[test]
fn long_chains_are_read_in_linear_time() {
    let sum = vec!["1"; 20_000].join("+");
    check(&sum, End::Value("20000"));
    check(&vec!["[ ]"; 100_000].join("++"), End::Value("[ ]"));
    check(&vec!["{ }"; 100_000].join("//"), End::Value("{ }"));
    check(&vec!["true"; 100_000].join("&&"), End::Value("true"));
    check(&format!("{}true", "!".repeat(200_000)), End::Value("true"));
    check(&format!("{}true", "!".repeat(200_001)), End::Value("false"));
    check(&format!("{}1", "!".repeat(200_000)), End::Class("type"));
    check("! !(!! !(! !(!true)))", End::Value("true"));
    check(
        "[ (!!!!true) (!!!true) (!!true) (!true) (!true || !!true) ]",
        End::Value("[ true false true false true ]"),
    );
    check(&format!("(x: x){}", " (x: x)".repeat(100_000)), End::ValueOrLimit);
    check(&format!("{{ a = 1; }}{}", ".a or { a = 1; }".repeat(10_000)), End::ValueOrLimit);
    check(&format!("{{ }}.{} or 7", vec!["a"; 200_000].join(".")), End::Value("7"));
    check(&format!("{{ {} = 1; }}.a ? b", vec!["a"; 10_000].join(".")), End::ValueOrLimit);
}

#[test]
fn large_literals_are_read() {
    let attrs: String = (0..200_000).map(|n| format!("a{n} = {n};")).collect();
    check(&format!("builtins.length (builtins.attrNames {{ {attrs} }})"), End::Value("200000"));
    check(&format!("(rec {{ {attrs} z = a199999; }}).z"), End::Value("199999"));
    let list = "1 ".repeat(500_000);
    check(&format!("builtins.length [ {list} ]"), End::Value("500000"));
    let string = "x".repeat(20 << 20);
    check(&format!("builtins.stringLength \"{string}\""), End::Value("20971520"));
    let formals: Vec<String> = (0..50_000).map(|n| format!("a{n} ? {n}")).collect();
    check(&format!("({{ {} }}: a49999) {{ }}", formals.join(", ")), End::Value("49999"));
}

#[test]
fn broken_texts_are_refused() {
    for text in [
        "\"never closed",
        "''never closed",
        "/* never closed",
        "\"${",
        "''${\"${''${",
        "{ a = ",
        "[ [ [",
        "let a = 1;",
        "a b c: d: }",
        "\u{0}",
        "1 \u{0} 2",
        "\u{feff}1",
        "1.2.3.4.5e",
        "99999999999999999999999999",
    ] {
        let session = crate::session();
        assert!(session.eval(text, "hostile", b"/").is_err(), "{text:?}");
    }
    let session = crate::session();
    for bytes in [&b"\"\xff\xfe\""[..], b"\xff", b"# \xc0\x80\n", b"{ \xe2\x82 = 1; }"] {
        // A verdict is all that is asked for.
        let _ = session.eval_bytes(bytes, "hostile", b"/");
    }
    for open in ["(", "[", "{", "\"${", "''${", "{ a = ", "let a = ", "if ", "x: ", "with "] {
        let text = open.repeat(100_000);
        assert!(session.eval(&text, "hostile", b"/").is_err(), "{open}");
    }
}
