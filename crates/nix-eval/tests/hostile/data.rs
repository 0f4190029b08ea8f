//! Data that is deep, large, or made to make a builtin slow.

use crate::{End, check};

/// A list nested `n` deep, as an expression.
fn deep(n: u32) -> String {
    format!("(builtins.foldl' (a: _: [ a ]) [ ] (builtins.genList (x: x) {n}))")
}

#[test]
fn deep_values_are_walked_without_the_stack() {
    for n in [5_000, 200_000] {
        let deep = deep(n);
        check(&format!("builtins.stringLength (builtins.toJSON {deep})"), End::ValueOrLimit);
        check(&format!("builtins.stringLength (builtins.toXML {deep})"), End::ValueOrLimit);
        check(&format!("builtins.stringLength (toString {deep})"), End::ValueOrLimit);
        check(&format!("builtins.deepSeq {deep} 1"), End::ValueOrLimit);
        check(&format!("{deep} == {deep}"), End::ValueOrLimit);
        check(&format!("{deep} < {deep}"), End::ValueOrLimit);
        check(
            &format!("builtins.length (builtins.sort (a: b: a < b) [ {deep} {deep} ])"),
            End::ValueOrLimit,
        );
        check(&format!("throw (builtins.toJSON {deep})"), End::Anyhow);
        check(&format!("builtins.elem {deep} [ {deep} ]"), End::ValueOrLimit);
        check(&format!("builtins.trace {deep} 1"), End::ValueOrLimit);
        check(&format!("1 + {deep}"), End::Class("type"));
        check(&deep, End::ValueOrLimit);
    }
}

fn quoted(text: &str) -> String {
    format!("''{text}''")
}

#[test]
fn deep_and_broken_texts_of_other_languages_are_read_or_refused() {
    let n = 100_000;
    let lists = format!("{}{}", "[".repeat(n), "]".repeat(n));
    check(
        &format!("builtins.typeOf (builtins.fromJSON {})", quoted(&lists)),
        End::Value("\"list\""),
    );
    let sets = format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    check(&format!("builtins.typeOf (builtins.fromJSON {})", quoted(&sets)), End::Value("\"set\""));
    for broken in [
        "[".repeat(n),
        "{\"a\":".repeat(n),
        "\"".to_owned(),
        "1e999".to_owned(),
        "\"\\ud800\"".to_owned(),
    ] {
        check(&format!("builtins.fromJSON {}", quoted(&broken)), End::Class("format"));
    }
    for toml in [
        format!("a = {}{}", "[".repeat(n), "]".repeat(n)),
        format!("a = {}1{}", "{ a = ".repeat(n), "}".repeat(n)),
        format!("{} = 1", vec!["a"; n].join(".")),
        format!("[{}]\nb = 1", vec!["a"; n].join(".")),
    ] {
        let text = format!("builtins.typeOf (builtins.fromTOML {})", quoted(&toml));
        check(&text, End::Value("\"set\""));
    }
    for toml in [
        format!("a = {}", "[".repeat(n)),
        format!("{} = 1", vec!["a"; n].join(".")),
        format!("[{}]\nb = 1", vec!["a"; n].join(".")),
        "a = 1\n".repeat(1000),
        (0..20_000).map(|i| format!("[[t]]\nx = {i}\n")).collect(),
    ] {
        let session = crate::session();
        let text = format!("builtins.typeOf (builtins.fromTOML {})", quoted(&toml));
        let start = std::time::Instant::now();
        // A verdict, soon.
        let _ = session.eval(&text, "hostile", b"/");
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{toml:.40}");
    }
}

#[test]
fn patterns_do_not_blow_up() {
    let text = "(builtins.concatStringsSep \"\" (builtins.genList (x: \"a\") 100000))";
    for pattern in [
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)*b",
        "(a*)*(a*)*(a*)*b",
        "(.*)(.*)(.*)(.*)b",
        "((a?)*)*b",
        "(a+)+b",
        "(a?){50}a{50}b",
        "([a-z]*)*x",
        "a*a*a*a*a*a*a*a*b",
    ] {
        check(&format!("builtins.match \"{pattern}\" {text}"), End::ValueOrLimit);
        check(&format!("builtins.length (builtins.split \"{pattern}\" {text})"), End::ValueOrLimit);
    }
    let n = 100_000;
    for pattern in [
        format!("{}a{}", "(".repeat(n), ")".repeat(n)),
        "(".repeat(n),
        "a|".repeat(n),
        "(a{1,1000}){1,1000}".to_owned(),
        "((((a{1,255}){1,255}){1,255}){1,255}){1,255}".to_owned(),
        "a{99999999999}".to_owned(),
        format!("[{}]", "a-z".repeat(n)),
        "(a*)*".repeat(1000),
    ] {
        let session = crate::session();
        let text = format!("builtins.match ''{pattern}'' \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"");
        let start = std::time::Instant::now();
        let _ = session.eval(&text, "hostile", b"/").and_then(|v| v.force_deep());
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{pattern:.40}");
    }
}

#[test]
fn large_collections_take_linear_time() {
    for (text, shows) in [
        ("builtins.length (builtins.concatLists (builtins.genList (x: [ x ]) 1000000))", "1000000"),
        (
            "builtins.length (builtins.attrNames (builtins.listToAttrs (builtins.genList (x: { name = \"a${toString x}\"; value = x; }) 200000)))",
            "200000",
        ),
        (
            "builtins.length (builtins.sort (a: b: a < b) (builtins.genList (x: x * 7919 - (x * 7919 / 100003) * 100003) 100000))",
            "100000",
        ),
        (
            "builtins.stringLength (builtins.foldl' (a: n: a + \"x\") \"\" (builtins.genList (x: x) 300000))",
            "300000",
        ),
        (
            "builtins.length (builtins.attrNames (builtins.groupBy toString (builtins.genList (x: x) 100000)))",
            "100000",
        ),
        (
            "builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: if x.key < 50000 then [ { key = x.key + 1; } ] else [ ]; })",
            "50001",
        ),
        (
            "builtins.length (builtins.filter (x: builtins.isString x) (builtins.split \",\" (builtins.concatStringsSep \",\" (builtins.genList toString 50000))))",
            "50000",
        ),
        (
            "builtins.stringLength (builtins.replaceStrings [ \"a\" \"b\" ] [ \"bb\" \"\" ] (builtins.concatStringsSep \"\" (builtins.genList (x: \"ab\") 500000)))",
            "1000000",
        ),
    ] {
        check(text, End::Value(shows));
    }
}

#[test]
fn long_messages_are_shortened() {
    let long = "(builtins.concatStringsSep \"\\n\" (builtins.genList (x: \"line\") 100000))";
    check(&format!("throw {long}"), End::Class("throw"));
    check(&format!("{{ }}.${{{long}}}"), End::Class("missing-attr"));
    check(&format!("builtins.addErrorContext {long} (throw \"x\")"), End::Class("throw"));
    check(&format!("1 + {long}"), End::Class("type"));
    check(&format!("assert {long}; 1"), End::Class("type"));
}
