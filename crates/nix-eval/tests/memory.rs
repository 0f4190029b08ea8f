//! `Limits::heap_bytes` bounds the memory of the process, not only of values. Each program runs in a process of its
//! own, which says what it needed at most.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "a child process tells its parent what it needed")]

use std::{process::Command, sync::Arc, time::Duration};

use nix_eval::{Engine, EngineOptions, ErrorKind, Show, host::MemoryHost};

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 64 * MIB;
/// Beside the limit: the program itself, native stacks, and a text while it grows or is copied.
const BESIDE: u64 = 40 * MIB;
const VARIABLE: &str = "NIX_EVAL_MEMORY_CASE";

/// Names and programs. `MANY` stands for a number that is too big for the limit.
const CASES: &[(&str, &str)] = &[
    ("lists joined", "let f = xs: f (xs ++ xs); in f [ 1 ]"),
    (
        "thunks",
        "builtins.length (builtins.filter (x: builtins.length x < 0) (builtins.genList (i: builtins.genList (j: i + j) 1000) MANY))",
    ),
    ("calls", "let f = n: if n < 0 then 0 else f (n + 1 + 0 * builtins.length [ n ]); in f 0"),
    ("a string doubled", "let f = s: f (s + s); in f \"abc\""),
    ("a string interpolated", "let f = s: f \"${s}${s}x\"; in f \"abc\""),
    (
        "strings joined",
        "KILO builtins.stringLength (builtins.concatStringsSep kilo (builtins.genList (i: kilo) MANY))",
    ),
    (
        "strings joined, prefixes",
        "KILO builtins.foldl' (a: i: builtins.substring 0 100 (builtins.concatStringsSep \",\" [ a kilo ]) + a) \"\" (builtins.genList (x: x) MANY)",
    ),
    (
        "replaced",
        "KILO builtins.replaceStrings [ \"a\" ] [ kilo ] (builtins.concatStringsSep \"\" (builtins.genList (i: kilo) 1000))",
    ),
    (
        "contexts of growing strings",
        "CONTEXT builtins.stringLength (builtins.foldl' (a: i: a + path i) \"\" (builtins.genList (x: x) 30000))",
    ),
    (
        "contexts one by one",
        "CONTEXT builtins.foldl' (a: i: a + builtins.stringLength (path i)) 0 (builtins.genList (x: x) 20000)",
    ),
    (
        "a context of many",
        "CONTEXT builtins.stringLength (builtins.concatStringsSep \"\" (builtins.genList path 20000))",
    ),
    (
        "context shown",
        "CONTEXT let all = builtins.concatStringsSep \"\" (builtins.genList path 20000); in builtins.foldl' (a: i: a + builtins.length (builtins.attrNames (builtins.getContext all))) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "names",
        "builtins.length (builtins.attrNames (builtins.listToAttrs (builtins.genList (i: { name = \"name${toString i}\"; value = i; }) MANY)))",
    ),
    (
        "names one by one",
        "builtins.foldl' (a: i: a + (builtins.length (builtins.attrNames { ${\"name${toString i}\"} = i; }))) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "long names",
        "KILO builtins.foldl' (a: i: a + (builtins.length (builtins.attrNames { ${kilo + toString i} = i; }))) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "names looked for",
        "KILO builtins.foldl' (a: i: a + (if builtins.hasAttr (kilo + toString i) { } then 1 else 0)) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "shapes",
        "let bit = i: n: if builtins.bitAnd i n == 0 then { } else { ${\"b${toString n}\"} = 1; }; in builtins.foldl' (a: i: a + builtins.length (builtins.attrNames (builtins.foldl' (s: n: s // bit i n) { } [ 1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768 65536 131072 262144 ]))) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "patterns",
        "builtins.foldl' (a: i: a + builtins.stringLength (toString (builtins.match \"(x|y|${toString i}|[a-z]+){3}${toString i}*\" \"xyx\"))) 0 (builtins.genList (x: x) MANY)",
    ),
    ("a big pattern", "builtins.match \"((((a{1,100}){1,100}){1,100}){1,100}){1,100}\" \"aaa\""),
    (
        "a long pattern",
        "KILO builtins.match (builtins.concatStringsSep \"|\" (builtins.genList (i: kilo + toString i) 3000)) kilo",
    ),
    (
        "a pattern going back",
        "KILO builtins.match \"((a|ab)*(b|ba)*)*c\" (builtins.concatStringsSep \"ab\" (builtins.genList (i: kilo) 4000))",
    ),
    (
        "split",
        "KILO builtins.length (builtins.split \"(a)\" (builtins.concatStringsSep \"\" (builtins.genList (i: kilo) 8000)))",
    ),
    (
        "JSON read",
        "builtins.length (builtins.fromJSON (\"[\" + builtins.concatStringsSep \",\" (builtins.genList (i: \"[1,2]\") 700000) + \"]\"))",
    ),
    (
        "JSON sets read",
        "builtins.isAttrs (builtins.fromJSON (\"{\" + builtins.concatStringsSep \",\" (builtins.genList (i: \"\\\"n${toString i}\\\":{}\") 300000) + \"}\"))",
    ),
    (
        "TOML read",
        "builtins.isAttrs (builtins.fromTOML (builtins.concatStringsSep \"\\n\" (builtins.genList (i: \"n${toString i} = [1, 2]\") 200000)))",
    ),
    (
        "TOML arrays read",
        "builtins.isAttrs (builtins.fromTOML (\"a = [\" + builtins.concatStringsSep \",\" (builtins.genList (i: \"[1]\") 700000) + \"]\"))",
    ),
    (
        "JSON written",
        "let f = n: x: if n == 0 then x else f (n - 1) [ x x ]; in builtins.stringLength (builtins.toJSON (f 40 1))",
    ),
    (
        "XML written",
        "let f = n: x: if n == 0 then x else f (n - 1) [ x x ]; in builtins.stringLength (builtins.toXML (f 40 1))",
    ),
    (
        "a list as a string",
        "let f = n: x: if n == 0 then x else f (n - 1) [ x x ]; in builtins.stringLength (toString (f 40 1))",
    ),
    ("shown", "let f = n: x: if n == 0 then x else f (n - 1) [ x x ]; in f 40 1"),
    ("shown sets", "let f = n: x: if n == 0 then x else f (n - 1) { a = x; b = x; }; in f 40 1"),
    (
        "forced deeply",
        "let f = n: builtins.genList (i: if n == 0 then i else f (n - 1)) 100; in builtins.deepSeq (f 6) 1",
    ),
    (
        "compared",
        "let f = n: builtins.genList (i: if n == 0 then i else f (n - 1)) 100; in f 6 == f 6",
    ),
    ("sorted", "builtins.length (builtins.sort (a: b: a > b) (builtins.genList (i: i) 1000000))"),
    (
        "grouped",
        "builtins.length (builtins.attrNames (builtins.groupBy (i: toString i) (builtins.genList (i: i) 1000000)))",
    ),
    (
        "a closure",
        "builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } { key = x.key + 2; } ]; })",
    ),
    (
        "concatMap",
        "builtins.length (builtins.concatMap (i: builtins.genList (j: j) 1000) (builtins.genList (i: i) MANY))",
    ),
    (
        "failures",
        "builtins.foldl' (a: i: if (builtins.tryEval (throw \"no ${toString i}\")).success then 1 else a) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "failures with long texts",
        "KILO builtins.foldl' (a: i: if (builtins.tryEval (throw (kilo + toString i))).success then 1 else a) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "failures that are kept",
        "KILO builtins.length (builtins.filter (x: (builtins.tryEval x).success) (builtins.genList (i: throw (kilo + toString i)) MANY))",
    ),
    (
        "files read again",
        "builtins.foldl' (a: i: a + builtins.scopedImport { x = i; } /w/some.nix) 0 (builtins.genList (x: x) MANY)",
    ),
    (
        "paths",
        "KILO builtins.length (builtins.filter (i: builtins.pathExists (/w + \"/${kilo}${toString i}\")) (builtins.genList (x: x) MANY))",
    ),
    (
        "versions",
        "KILO builtins.length (builtins.splitVersion (builtins.concatStringsSep \".\" (builtins.genList (i: kilo) 50000)))",
    ),
    (
        "JSON nested",
        "KILO builtins.fromJSON (builtins.replaceStrings [ \"a\" ] [ \"[\" ] (builtins.concatStringsSep \"\" (builtins.genList (i: kilo) 8000)))",
    ),
    (
        "TOML nested",
        "KILO builtins.fromTOML (\"a = \" + builtins.replaceStrings [ \"a\" ] [ \"[\" ] (builtins.concatStringsSep \"\" (builtins.genList (i: kilo) 8000)))",
    ),
    (
        "JSON strings read",
        "KILO builtins.length (builtins.fromJSON (\"[\" + builtins.concatStringsSep \",\" (builtins.genList (i: \"\\\"${kilo}\\\"\") 20000) + \"]\"))",
    ),
    (
        "sets zipped",
        "builtins.length (builtins.attrNames (builtins.zipAttrsWith (n: vs: vs) (builtins.genList (i: { ${\"a${toString i}\"} = i; b = i; }) 400000)))",
    ),
    (
        "lists parted",
        "builtins.length (builtins.partition (i: i < 0) (builtins.genList (i: i) 2000000)).wrong",
    ),
    (
        "names of sets",
        "builtins.foldl' (n: i: n + builtins.length (builtins.attrNames (builtins.listToAttrs (builtins.genList (j: { name = toString j; value = j; }) 10000)))) 0 (builtins.genList (x: x) 1000)",
    ),
    (
        "sets mapped",
        "let f = n: s: if n == 0 then s else f (n - 1) (builtins.mapAttrs (k: v: v) (s // { ${toString n} = n; })); in builtins.length (builtins.attrNames (f 20000 { }))",
    ),
    (
        "a way to an error",
        "KILO let f = n: builtins.addErrorContext (kilo + toString n) (f (n + 1)); in f 0",
    ),
    // One list that nearly fills the heap: what walks over it needs room, too.
    ("a long list forced deeply", "builtins.deepSeq (builtins.genList (i: i) 3500000) 1"),
    ("long lists compared", "builtins.genList (i: i) 1700000 == builtins.genList (i: i) 1700000"),
    (
        "a long list as JSON",
        "builtins.stringLength (builtins.toJSON (builtins.genList (i: i) 3000000))",
    ),
    (
        "a long list as XML",
        "builtins.stringLength (builtins.toXML (builtins.genList (i: i) 3000000))",
    ),
    (
        "a long list as a string",
        "builtins.stringLength (toString (builtins.genList (i: i) 3000000))",
    ),
    ("a long list shown", "builtins.genList (i: i) 3000000"),
    (
        "long lists offered to helpers",
        "map (i: builtins.deepSeq (builtins.genList (j: [ i j ]) 100000) i) (builtins.genList (i: i) 1000)",
    ),
    ("deep calls", "let f = n: 1 + f (n + 1); in f 0"),
    ("deep sets", "let f = n: { a = f (n + 1); }; in builtins.deepSeq (f 0) 1"),
];

const CONTEXT: &str = "let path = i: builtins.appendContext \"x\" { ${\"/nix/store/00000000000000000000000000000000-\" + toString i} = { path = true; }; }; in";

fn program(text: &str) -> String {
    let kilo = format!("let kilo = \"{}\"; in", "a".repeat(1000));
    text.replace("CONTEXT", CONTEXT).replace("KILO", &kilo).replace("MANY", "1000000")
}

/// What the process needed at most, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs one case in this process.
fn run(text: &str, cores: u32) -> String {
    let some = format!("x + builtins.length [ {} ]", "1 ".repeat(500));
    let mut options = EngineOptions::default();
    options.host = Arc::new(MemoryHost::new([("/w/some.nix", some)]));
    options.eval_cores = cores;
    options.limits.heap_bytes = LIMIT;
    options.limits.stack_bytes = 16 * MIB;
    options.limits.deadline = Some(Duration::from_secs(20));
    let session = Engine::new(options).evaluator();
    let before = peak();
    let result = session.eval(&program(text), "test", b"/w").and_then(|v| v.show(Show::Deep));
    let end = match result {
        Ok(_) => "a value".to_owned(),
        Err(e) if e.kind() == ErrorKind::Limit => format!("{:?}", e.limit().map(|l| l.0)),
        Err(e) => format!("{e}"),
    };
    format!("{} {} {end}", before / MIB, peak() / MIB)
}

#[test]
fn the_limit_bounds_the_process() {
    if let Ok(case) = std::env::var(VARIABLE) {
        let (number, cores) = case.split_once(' ').unwrap();
        let (_, text) = CASES[number.parse::<usize>().unwrap()];
        println!("\nSAYS {}", run(text, cores.parse().unwrap()));
        return;
    }
    let mut wrong = Vec::new();
    for cores in [1, 2] {
        for (number, (name, _)) in CASES.iter().enumerate() {
            let start = std::time::Instant::now();
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "the_limit_bounds_the_process", "--nocapture"]);
            child.env(VARIABLE, format!("{number} {cores}"));
            let output = child.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let said = text.lines().find_map(|line| line.strip_prefix("SAYS "));
            let peak = said.and_then(|said| said.split(' ').nth(1)?.parse::<u64>().ok());
            println!("{cores} {name}: {said:?} {:?}", start.elapsed());
            if peak.is_none_or(|peak| peak * MIB > LIMIT + BESIDE) {
                wrong.push(format!("{name}, {cores} cores: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
