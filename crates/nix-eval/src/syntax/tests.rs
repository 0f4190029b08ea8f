//! What is a program, what is not, and what is said about it.

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};

use super::{
    Features, Lint, ReadOptions, Reader, SyntaxError, SyntaxErrorKind, read,
    tree::{diagnose, mistakes_after, parse_text},
};
use crate::{
    ir::{Const, File, GlobalId},
    source::FileId,
    symbol::{Symbol, Symbols},
};

/// Options with a few globals, in the directory `/d`.
fn with_options<T>(symbols: &Symbols, run: impl FnOnce(&ReadOptions<'_>) -> T) -> T {
    let known = ["true", "false", "null", "builtins", "throw", "__sub", "__lessThan"];
    let known: Vec<Symbol> = known.iter().map(|name| symbols.intern(name.as_bytes())).collect();
    let globals =
        |symbol| known.iter().position(|&k| k == symbol).map(|index| GlobalId(index as u32));
    let features = Features { pipe_operators: true, ..Features::default() };
    run(&ReadOptions { base_dir: b"/d", globals: &globals, features, ..ReadOptions::bare() })
}

fn try_read(text: &[u8]) -> Result<File, SyntaxError> {
    let symbols = Symbols::default();
    with_options(&symbols, |options| read(&symbols, FileId(0), text, options))
}

#[track_caller]
fn fails(text: &str) -> SyntaxError {
    try_read(text.as_bytes()).expect_err(text)
}

/// The error as text: place, sentence, label, other places, help.
fn describe(text: &[u8], error: &SyntaxError) -> String {
    let place = |start: u32| {
        let before = &text[..start as usize];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = start as usize - before.iter().rposition(|&b| b == b'\n').map_or(0, |n| n + 1);
        format!("{line}:{}", column + 1)
    };
    let mut out = format!("{} {}\n", place(error.span.start), error.message);
    if !error.label.is_empty() {
        out += &format!("  ^ {}\n", error.label);
    }
    for (span, label) in &error.others {
        out += &format!("  {} {label}\n", place(span.start));
    }
    if let Some(help) = &error.help {
        out += &format!("  help: {}\n", help.text);
    }
    for further in &error.further {
        out += &describe(text, further);
    }
    out
}

#[track_caller]
fn check_error(text: &str, expected: Expect) {
    expected.assert_eq(&describe(text.as_bytes(), &fails(text)));
}

/// The desugared text of a program, whose free names are bound by a `with`.
fn parsed(text: &str) -> String {
    let symbols = Symbols::default();
    let whole = format!("with {{ }}; {text}");
    let printed = with_options(&symbols, |options| {
        parse_text(&symbols, whole.as_bytes(), options, b"/home/me")
    });
    match printed {
        Ok(printed) => {
            let printed = String::from_utf8(printed).expect("tests are UTF-8");
            printed["(with { }; ".len()..printed.len() - 1].to_owned()
        }
        Err(error) => format!("{:?}: {}", error.kind, error.message),
    }
}

#[track_caller]
fn check_parsed(cases: &[(&str, &str)]) {
    for &(text, expected) in cases {
        assert_eq!(parsed(text), expected, "{text}");
    }
}

#[track_caller]
fn check_refused(cases: &[&str]) {
    for text in cases {
        let whole = format!("with {{ }}; {text}");
        let error = fails(&whole);
        let is_syntax = matches!(error.kind, SyntaxErrorKind::Syntax | SyntaxErrorKind::Duplicate);
        assert!(is_syntax, "{text}: {error:?}");
    }
}

#[test]
fn operators_bind_like_the_table_of_the_language_says() {
    check_parsed(&[
        ("a + b * c - d", "(__sub (a + (__mul b c)) d)"),
        ("a // b // c", "(a // (b // c))"),
        ("a ++ b ++ c", "(a ++ (b ++ c))"),
        ("a -> b -> c", "(a -> (b -> c))"),
        ("a || b && c == d", "(a || (b && (c == d)))"),
        ("!a + b", "(! (a + b))"),
        ("!a == b", "((! a) == b)"),
        ("a ++ !b ++ c", "(a ++ (! (b ++ c)))"),
        ("-a * b", "(__mul (__sub 0 a) b)"),
        ("-a ? b", "(((__sub 0 a)) ? b)"),
        ("a ? b ? c", "((((a) ? b)) ? c)"),
        ("a > b", "(__lessThan b a)"),
        ("a <= b", "(! (__lessThan b a))"),
        ("a >= b", "(! (__lessThan a b))"),
        ("f x (g y)", "(f x (g y))"),
        ("(f x) y", "(f x y)"),
        ("a |> f |> g", "(g (f a))"),
        ("f <| g <| a", "(f (g a))"),
        ("a + b |> f", "(f (a + b))"),
        ("x: x |> f", "(x: (f x))"),
        ("a.b or c.d or e", "(a).b or ((c).d or (e))"),
        ("f or", "(f or)"),
    ]);
    check_refused(&[
        "1 == 1 == true",
        "1 < 2 < 3",
        "a |> f <| b",
        "a + x: x",
        "[ x: x ]",
        "f x: x",
        "[ 1 -1 ]",
        "[ 1 + 2 ]",
        "1 |> x: x",
        "f <| if a then b else c",
        "a.b or x: x",
    ]);
}

#[test]
fn the_longest_token_wins() {
    check_parsed(&[
        ("1/3.0", "/d/1/3.0"),
        ("1 / 3.0", "(__div 1 3)"),
        ("a/b", "/d/a/b"),
        ("a//b", "(a // b)"),
        ("x:x", "\"x:x\""),
        ("x: x", "(x: x)"),
        ("a.b:c", "\"a.b:c\""),
        ("a_.b", "(a_).b"),
        ("a'.b/c", "(a' /d/.b/c)"),
        ("a-1", "a-1"),
        ("a -b/c", "(a /d/-b/c)"),
        ("[ .5 1. 0.5e3 1.5.5 00.5 1e3 ]", "[ (0.5) (1) (500) (1.5) (0.5) (0) (0.5) (1) (e3) ]"),
        ("<a/b>", "(__findFile __nixPath \"a/b\")"),
        ("1 <a", "(__lessThan 1 a)"),
        ("./a</b", "(__lessThan /d/a /b)"),
        (".../x", "/d/.../x"),
        ("{ ... }: 1", "({ ... }: 1)"),
        ("/* a * b **/ 1 # c\r+ 2", "(1 + 2)"),
        ("~/a", "/home/me/a"),
        ("if:a", "\"if:a\""),
    ]);
    check_refused(&[
        "0.", "./a/", "./a//b", "~", "~/", "<a/>", "<a//b>", "a/b:c", "/* a", "\u{a0}1", "\u{b}1",
        "1 $ 2", "x: x:", "a.",
    ]);
    // A scheme has no underscore.
    check_parsed(&[("_a:b", "(_a: b)")]);
}

#[test]
fn numbers_beyond_their_range_are_mistakes() {
    for text in ["9223372036854775808", "1.0e400", "5.0e-324", "1.0e-400"] {
        assert_eq!(fails(text).kind, SyntaxErrorKind::Syntax, "{text}");
    }
    let constant = |text: &str| try_read(text.as_bytes()).expect(text).consts[0];
    assert_eq!(constant("9223372036854775807"), Const::Int(i64::MAX));
    assert_eq!(constant("0.0e5"), Const::Float(0.0));
    assert_eq!(constant("2.2250738585072014e-308"), Const::Float(f64::MIN_POSITIVE));
}

#[test]
fn strings_undo_escapes_and_keep_lone_dollars() {
    let string = |text: &[u8]| {
        let file = try_read(text).expect("a string");
        match file.consts[..] {
            [Const::String(text)] => file.text(text).to_vec(),
            ref other => panic!("{other:?}"),
        }
    };
    assert_eq!(string(br#""a\n\t\r\"\\\u\${b""#), b"a\n\t\r\"\\u${b");
    assert_eq!(string(b"\"a\r\nb\rc\\\rd\""), b"a\nb\nc\rd");
    assert_eq!(string(br#""$${x} $ $""#), b"$${x} $ $");
    assert_eq!(string(b"\"\xff\xfe\""), b"\xff\xfe");
    assert_eq!(string(b"''\n    a\n  b\n ''"), b"  a\nb\n");
    assert_eq!(string(b"''  a''"), b"a");
    assert_eq!(string(b"''a\n  b''"), b"a\n  b");
    assert_eq!(string(b"''\n\ta\n\tb''"), b"\ta\n\tb");
    assert_eq!(string(b"''\n  ''$ ''' ''\\n $${x} ' \\''"), b"$ '' \n$${x} ' \\");
    assert_eq!(string(b"''x\r\ny''"), b"x\r\ny");
    assert_eq!(string(b"''\n    a\n \n    b''"), b"a\n\nb");
    for bad in [&b"\"a\0\""[..], b"''a\0''", b"\"\\\0\"", b"\"a", b"''a'", b"''a''\\", b"\"a\\"] {
        assert_eq!(try_read(bad).expect_err("no string").kind, SyntaxErrorKind::Syntax);
    }
    check_parsed(
        &[
            ("\"$$${x}\"", "(\"$$\" + x)"),
            ("''\n  a\n   ${x}\n''", "(\"a\\n \" + x + \"\\n\")"),
            ("\"a${\"b${c}\"}d\"", "(\"a\" + (\"b\" + c) + \"d\")"),
            ("./a/${x}b/${y}", "(/d/a/ + x + \"b/\" + y)"),
            ("a//${x}", "(a // (throw x))"),
        ][..4],
    );
    check_parsed(&[
        ("./${x}", "(/d/ + x)"),
        ("~/${x}", "(/home/me/ + x)"),
        ("/a//b${x}", "(/a/b + x)"),
    ]);
}

#[test]
fn sets_merge_by_their_text() {
    check_parsed(&[
        ("{ a.b = 1; a.c = 2; }", "{ a = { b = 1; c = 2; }; }"),
        ("{ a = { b = 1; }; a.c = 2; }", "{ a = { b = 1; c = 2; }; }"),
        ("{ a.c = 2; a = { b = 1; }; }", "{ a = { b = 1; c = 2; }; }"),
        ("{ a = ({ b = 1; }); a.c = 2; }", "{ a = { b = 1; c = 2; }; }"),
        ("{ a = rec { b = 1; }; a.d = 2; }", "{ a = rec { b = 1; d = 2; }; }"),
        ("{ a.d = 2; a = rec { b = 1; }; }", "{ a = { b = 1; d = 2; }; }"),
        ("{ a = { b = { c = 1; }; }; a.b.d = 1; }", "{ a = { b = { c = 1; d = 1; }; }; }"),
        (
            "{ a = { inherit (x) b; }; a = { inherit (y) c; inherit d; }; }",
            "{ a = { inherit d; inherit (x) b; inherit (y) c; }; }",
        ),
        ("{ ${\"a\"} = 1; \"b c\" = 2; }", "{ a = 1; \"b c\" = 2; }"),
        (
            "{ ${x}.b = 1; \"${\"a\"}\" = 2; a.${x} = 3; }",
            "{ a = { \"${x}\" = 3; }; \"${x}\" = { b = 1; }; \"${(\"a\")}\" = 2; }",
        ),
        ("let ${\"a\"} = 1; in a", "(let a = 1; in a)"),
        ("let { body = 1; }", "(rec { body = 1; }).body"),
        ("{ or = 1; \"if\" = 2; }.or", "({ \"if\" = 2; or = 1; }).or"),
        ("{ inherit; inherit (x); }", "{ }"),
    ]);
    check_refused(&[
        "{ a = 1; a = 2; }",
        "{ a = 1; a.b = 2; }",
        "{ a.b = 1; a.b.c = 2; }",
        "{ a = { b = { c = 1; }; }; a = { b = { d = 1; }; }; }",
        "{ inherit a; a.b = 1; }",
        "{ inherit a a; }",
        "{ ${\"a\"} = 1; a = 2; }",
        "let ${a} = 1; in 1",
        "let \"a${b}\" = 1; in 1",
        "{ inherit ${a}; }",
        "let or = 1; in or",
    ]);
    // The first literal is not `rec`, so `c` does not see `b`.
    let late = fails("{ a.d = 2; a = rec { b = 1; c = b; }; }");
    assert!(matches!(late.kind, SyntaxErrorKind::Undefined(_)), "{late:?}");
}

#[test]
fn functions_name_each_argument_once() {
    check_parsed(&[
        ("{ b, a ? 1, }: a", "({ a ? 1, b }: a)"),
        ("{ }: 1", "({  }: 1)"),
        ("{ a, ... } @ b: a", "({ a, ... } @ b: a)"),
        ("b@{ a }: a", "({ a } @ b: a)"),
        ("x: { a }: y: x", "(x: ({ a }: (y: x)))"),
    ]);
    check_refused(&[
        "{ a, a }: a",
        "{ a }@a: a",
        "a@{ a }: a",
        "{ a, ..., b }: a",
        "{ ..., }: 1",
        "{ or }: 1",
        "{ a = 1; }: a",
        "{ a }",
        "{ a }@{ b }: a",
    ]);
}

#[test]
fn names_are_bound_before_anything_runs() {
    check_error(
        "false && x\n  || y + x",
        expect![[r#"
            1:10 undefined variable 'x'
              ^ no such name here
            2:6 undefined variable 'y'
              ^ no such name here
            2:10 undefined variable 'x'
              ^ no such name here
        "#]],
    );
    assert!(try_read(b"with null; x").is_ok());
    assert!(try_read(b"let x = y; y = 1; in x").is_ok());
    assert!(try_read(b"rec { inherit y; y = 1; }").is_err());
}

#[test]
fn mistakes_are_named_where_they_are() {
    check_error(
        "{\n  port = 80\n  host = \"::1\";\n}",
        expect![[r#"
            2:12 expected ';' after this value
              ^ put ';' here
              3:3 the next binding begins here
        "#]],
    );
    check_error(
        "[ 1, 2 ]",
        expect![[r#"
            1:4 expected ']' or a list element, but found ','
              1:1 the list begins here
              help: list elements are parted by spaces, bindings by ';'
        "#]],
    );
    check_error(
        "[ 1 -1 ]",
        expect![[r#"
            1:5 expected ']' or a list element, but found '-'
              1:1 the list begins here
              help: an element that uses an operator needs parentheses, as in [ (-1) ]
        "#]],
    );
    check_error(
        "{ a = 1; b: 2; }",
        expect![[r#"
            1:11 expected '=' or '.' after this name, but found ':'
              1:10 the name
              help: a name is bound with '=', not ':'
        "#]],
    );
    check_error(
        "{ a = 1; }}",
        expect![[r#"
            1:11 '}' closes nothing
        "#]],
    );
    check_error(
        "let a = 1; a",
        expect![[r#"
            1:13 expected '=' or '.' after this name, but found end of file
              1:12 the name
        "#]],
    );
    check_error(
        "\n''abc",
        expect![[r#"
            2:1 this string does not end; its closing '' is missing
              ^ the string begins here
        "#]],
    );
    check_error(
        "''\n  for x in ${a[@]}; do\n''",
        expect![[r#"
            2:16 expected ']' or a list element, but found '@'
              2:15 the list begins here
              help: a '${' that is meant literally is written ''${ in this string
        "#]],
    );
    check_error(
        "{ a = 1; b = { c = 1; };\n  a = 2; }",
        expect![[r#"
            2:3 attribute 'a' already defined
              ^ defined again here
              1:3 first defined here
        "#]],
    );
    check_error(
        "f: f x: x",
        expect![[r#"
            1:7 expected the end of the file, but found ':'
              help: a function that is an operand or an argument needs parentheses
        "#]],
    );
}

#[test]
fn further_mistakes_come_from_the_recovering_parser() {
    let text = "{\n  a = 1\n  b = 3;\n  c == 4;\n  d = (1;\n}\n}\n";
    let first = fails(text);
    let mut out = describe(text.as_bytes(), &first);
    for more in mistakes_after(text.as_bytes(), &first) {
        out += &describe(text.as_bytes(), &more);
    }
    expect![[r#"
        2:8 expected ';' after this value
          ^ put ';' here
          3:3 the next binding begins here
        4:5 expected '=', but found '=='
        6:1 expected ';', but found '}'
    "#]]
    .assert_eq(&out);
    assert!(diagnose(b"{ a = 1; }").is_empty());
    assert!(diagnose(b"\"\xff\" + ").is_empty());
}

#[test]
fn switches_decide_about_pipes_homes_and_lints() {
    let symbols = Symbols::default();
    let kind = |text: &str, features: Features| {
        let options = ReadOptions { features, ..ReadOptions::bare() };
        read(&symbols, FileId(0), text.as_bytes(), &options).map_err(|error| error.kind)
    };
    let off = Features::default();
    assert_eq!(kind("1 |> 2", off).err(), Some(SyntaxErrorKind::Feature));
    assert!(kind("1 |> 2", Features { pipe_operators: true, ..off }).is_ok());
    let pure = Features { home_paths: false, ..off };
    assert_eq!(kind("~/a", pure).err(), Some(SyntaxErrorKind::Restricted));
    let warn = Features { url_literals: Lint::Warn, short_path_literals: Lint::Warn, ..off };
    let file = kind("[ a:b a/b ./a /a ]", warn).expect("warnings are no errors");
    assert_eq!(file.warnings.len(), 2);
    let fatal = Features { absolute_path_literals: Lint::Fatal, ..off };
    assert_eq!(kind("/a", fatal).err(), Some(SyntaxErrorKind::Syntax));
}

#[test]
fn reading_stops_when_asked() {
    let symbols = Symbols::default();
    let text = format!("[ {} ]", "1 ".repeat(100_000));
    for allowed in [0, 3, 30] {
        let polls = std::cell::Cell::new(0);
        let poll = || {
            polls.set(polls.get() + 1);
            polls.get() <= allowed
        };
        let options = ReadOptions { poll: &poll, ..ReadOptions::bare() };
        let error = read(&symbols, FileId(0), text.as_bytes(), &options).expect_err("stopped");
        assert_eq!(error.kind, SyntaxErrorKind::Cancelled);
    }
}

#[test]
fn one_reader_reads_many_texts() {
    let symbols = Symbols::default();
    let mut reader = Reader::default();
    with_options(&symbols, |options| {
        for round in 0..50 {
            let text = format!("let a{round} = x: x + {round}; in a{round} \"s{round}\"");
            let file = reader.read(&symbols, FileId(0), text.as_bytes(), options).expect("fine");
            assert_eq!(file.consts[0], Const::Int(round));
            let bad = format!("let a{round} = [ (x: \"${{''");
            assert!(reader.read(&symbols, FileId(0), bad.as_bytes(), options).is_err());
        }
    });
}

#[test]
fn a_row_of_nots_is_printed_as_it_was_written() {
    let session = crate::Engine::builder().build().expect("an engine").evaluator();
    let printed = |text: &str| {
        let printed = session.desugar(text.as_bytes(), "t", b"/").expect("a program");
        String::from_utf8(printed).expect("UTF-8")
    };
    assert_eq!(printed("x: !!!x == !! x"), "(x: ((! (! (! x))) == (! (! x))))");
    assert_eq!(printed("x: ! - !!x"), "(x: (! (__sub 0 (! (! x)))))");
    assert_eq!(printed("x: !(!x)"), "(x: (! (! x)))");
    let long = format!("{}true{}", "(! ".repeat(200_000), ")".repeat(200_000));
    assert!(printed(&format!("{}true", "!".repeat(200_000))) == long);
}

/// Shapes that nest or chain, with the outcome for a small and a huge count.
#[test]
fn no_shape_of_program_hangs_or_overflows() {
    const N: usize = 200_000;
    let cases: &[(&str, &str, &str, &str)] = &[
        ("", "(", "1", ")"),
        ("", "!", "true", ""),
        ("", "- ", "1", ""),
        ("", "1+", "1", ""),
        ("", "1-", "1", ""),
        ("", "{}//", "{}", ""),
        ("", "[", "1", "]"),
        ("", "{a=", "1", ";}"),
        ("", "x: ", "1", ""),
        ("", "{x}: ", "1", ""),
        ("", "{a ? ", "1", "}: 1"),
        ("", "if true then 1 else ", "1", ""),
        ("", "let a = 1; in ", "1", ""),
        ("", "with {}; ", "1", ""),
        ("", "true -> ", "true", ""),
        ("", "\"${", "1", "}\""),
        ("with {}; ", "a.b or ", "c", ""),
        ("with {}; a", ".b", "", ""),
        ("with {}; f", " x", "", ""),
        ("with {}; f", " (x)", "", ""),
        ("with {}; a", " ? b", "", ""),
        ("{ a", ".a", " = 1; }", ""),
        ("{ ", "a.b.c.d = 1; ", "}", ""),
        ("", "a.", "a:x", ""),
        ("", "a.", "_:x", ""),
        ("", "<a", "", ""),
        ("", "-", "", ""),
        ("", "/*", "", ""),
        ("''", "\n  ''${", "''", ""),
    ];
    for &(start, open, middle, close) in cases {
        let text = format!("{start}{}{middle}{}", open.repeat(N), close.repeat(N));
        let began = Instant::now();
        let result = try_read(text.as_bytes());
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{open}: {took:?}");
        if let Err(error) = result {
            assert!(
                matches!(
                    error.kind,
                    SyntaxErrorKind::TooDeep | SyntaxErrorKind::Syntax | SyntaxErrorKind::Duplicate
                ),
                "{open}: {error:?}"
            );
        }
    }
    // Captured words grow with the square of nested functions; that is bounded too.
    let names: Vec<String> = (0..5000).map(|i| format!("a{i}")).collect();
    let heads: String = names.iter().map(|name| format!("{{{name}}}: ")).collect();
    let error = fails(&format!("{heads}[ {} ]", names.join(" ")));
    assert_eq!(error.kind, SyntaxErrorKind::TooDeep);
}

/// Programs that both readers must judge alike, and those where rnix is known to differ.
#[test]
fn rnix_agrees_but_for_known_differences() {
    let agree = [
        "1 + 2",
        "x: x",
        "{ a, b ? 1, ... }@c: a",
        "let a = 1; in a",
        "rec { a = 1; }",
        "[ 1 2 ]",
        "\"a${b}c\"",
        "''a''",
        "a.b.c or d",
        "a ? b.c",
        "if a then b else c",
        "with a; b",
        "assert a; b",
        "./a/b",
        "<a>",
        "a:b",
        "let { body = 1; }",
        "[",
        "{ a = 1 }",
        "let a = 1;",
        "1 +",
        "a b:",
        "}",
        "''a",
        "\"${\"",
    ];
    for text in agree {
        let whole = format!("with {{ }}; {text}");
        let theirs = rnix::Root::parse(&whole).errors().is_empty();
        assert_eq!(try_read(whole.as_bytes()).is_ok(), theirs, "{text}");
    }
    let only_rnix = ["f x: x", "[ x: x ]", "a + x: x", "0.", "\u{a0}1", "9223372036854775808"];
    let only_ours = ["[ let { body = 1; } ]", "1 + !a", ".5e"];
    for (texts, ours) in [(&only_rnix[..], false), (&only_ours[..], true)] {
        for text in texts {
            let whole = format!("with {{ }}; {text}");
            assert_eq!(try_read(whole.as_bytes()).is_ok(), ours, "{text}");
            let theirs = rnix::Root::parse(&whole).errors().is_empty();
            assert_eq!(theirs, !ours, "{text}: rnix agrees now; take it off the list");
        }
    }
}

#[test]
fn a_text_that_only_ends_too_early_is_unfinished() {
    let is = |text: &str| super::is_unfinished(text.as_bytes(), Features::default());
    for text in [
        "",
        " # c",
        "1 +",
        "{",
        "{ a",
        "{ a =",
        "{ a = 1",
        "{ a = 1;",
        "[ 1",
        "(",
        "x:",
        "{ a, b",
        "{ a }",
        "let",
        "let a = 1;",
        "let a = 1; in",
        "if a",
        "if a then b",
        "if a then b else",
        "with a;",
        "\"a",
        "''a",
        "\"${a",
        "\"${a}",
        "f (x",
        "/* a",
        "1 + /* a",
        "a.",
        "a ? ",
        "inherit",
        "{ inherit (a",
        "rec",
        "{ a.${b",
        "assert a",
    ] {
        // `{ a }` and `inherit` may be followed by `:` and nothing.
        assert_eq!(is(text), text != "inherit", "{text}");
    }
    for text in [
        "1",
        "{ }",
        ")",
        "{ a = 1 b = 2",
        "{ a = ; ",
        "let a = 1; a = 2; in a",
        "1 + )",
        "{ a = 1; a = 2; }",
        "f x: x",
        "[ 1 } ",
        "a b = 3",
        "\"a\" )",
        "x: x",
    ] {
        assert!(!is(text), "{text}");
    }
}
