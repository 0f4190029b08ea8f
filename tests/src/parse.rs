//! `mini-nix parse`: trees as text and JSON, several mistakes at once, and that no byte of a text is lost.

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    bed::{self, Bed},
    scratch::{Scratch, has, same},
};

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    type Case = fn(Bed) -> Result<(), String>;
    let cases: [(&str, Case); 6] = [
        ("parse/text", text),
        ("parse/json", json),
        ("parse/all-mistakes-are-said-and-the-tree-is-printed", mistakes),
        ("parse/names-are-not-looked-up", names),
        ("parse/tokens-put-together-are-the-text", round_trip),
        ("parse/what-has-no-tree-fails", refused),
    ];
    for (name, run) in cases {
        trials.push(Trial::test(name, move || run(bed).map_err(Failed::from)));
    }
}

/// What a call printed, and its exit code.
struct Said {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn ask(scratch: &Scratch, words: &[&str]) -> Result<Said, String> {
    let output = bed::run(scratch.command("parse").args(words))?;
    Ok(Said {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    })
}

fn text(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let said = ask(&scratch, &["-E", "{ a = \"x\t${b}\"; } # é"])?;
    let expected = r##"NODE_ROOT 0..22
  NODE_ATTR_SET 0..17
    TOKEN_L_BRACE 0..1 "{"
    TOKEN_WHITESPACE 1..2 " "
    NODE_ATTRPATH_VALUE 2..15
      NODE_ATTRPATH 2..3
        NODE_IDENT 2..3
          TOKEN_IDENT 2..3 "a"
      TOKEN_WHITESPACE 3..4 " "
      TOKEN_ASSIGN 4..5 "="
      TOKEN_WHITESPACE 5..6 " "
      NODE_STRING 6..14
        TOKEN_STRING_START 6..7 "\""
        TOKEN_STRING_CONTENT 7..9 "x\t"
        NODE_INTERPOL 9..13
          TOKEN_INTERPOL_START 9..11 "${"
          NODE_IDENT 11..12
            TOKEN_IDENT 11..12 "b"
          TOKEN_INTERPOL_END 12..13 "}"
        TOKEN_STRING_END 13..14 "\""
      TOKEN_SEMICOLON 14..15 ";"
    TOKEN_WHITESPACE 15..16 " "
    TOKEN_R_BRACE 16..17 "}"
  TOKEN_WHITESPACE 17..18 " "
  TOKEN_COMMENT 18..22 "# é"
"##;
    same("the tree", said.stdout.as_str(), expected)?;
    same("the rest", (said.stderr.as_str(), said.code), ("", Some(0)))
}

fn json(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let file = scratch.write("a.nix", "f 1\n")?;
    let said = ask(&scratch, &["--json", "a.nix"])?;
    same("lines", said.stdout.matches('\n').count(), 1)?;
    let got: Value = serde_json::from_str(&said.stdout).map_err(|e| e.to_string())?;
    let token = |kind: &str, start: u32, text: &str| json!({ "kind": kind, "bytes": [start, start + text.len() as u32], "text": text });
    let expected = json!({
        "file": file.to_string_lossy(),
        "tree": { "kind": "NODE_ROOT", "bytes": [0, 4], "children": [
            { "kind": "NODE_APPLY", "bytes": [0, 3], "children": [
                { "kind": "NODE_IDENT", "bytes": [0, 1], "children": [token("TOKEN_IDENT", 0, "f")] },
                token("TOKEN_WHITESPACE", 1, " "),
                { "kind": "NODE_LITERAL", "bytes": [2, 3], "children": [token("TOKEN_INTEGER", 2, "1")] },
            ] },
            token("TOKEN_WHITESPACE", 3, "\n"),
        ] },
        "errors": [],
    });
    same("the object", got, expected)
}

fn mistakes(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let text = "{\n  a = [ 1, 2 ];\n  b = 1;\n  c = { ) };\n  d = 2 2 = 3;\n}\n";
    scratch.write("bad.nix", text)?;
    let said = ask(&scratch, &["bad.nix"])?;
    same("exit code", said.code, Some(1))?;
    same("blocks", said.stderr.matches("error: ").count(), 3)?;
    has(
        &said.stderr,
        &["bad.nix:2:10", "bad.nix:4:9", "bad.nix:5:11", "list elements are parted by spaces"],
    )?;
    has(&said.stdout, &["NODE_ROOT 0..", "NODE_ERROR", "TOKEN_IDENT 42..43 \"d\""])?;
    let said = ask(&scratch, &["--json", "bad.nix", "-", "--expr"])?;
    same("standard input is empty", said.code, Some(1))?;
    let lines: Vec<Value> =
        said.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    same("lines", lines.len(), 2)?;
    let said = ask(&scratch, &["--json", "--error-format", "json", "bad.nix"])?;
    let got: Value = serde_json::from_str(&said.stdout).map_err(|e| e.to_string())?;
    let codes: Vec<&str> = got["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|report| report["code"].as_str())
        .collect();
    same("codes", codes, vec!["parse.1"; 3])?;
    let report: Value = serde_json::from_str(&said.stderr).map_err(|e| e.to_string())?;
    same("the report", &report["message"], &got["errors"][0]["message"])
}

fn names(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let said = ask(&scratch, &["-E", "nobody binds this"])?;
    same("the rest", (said.stderr.as_str(), said.code), ("", Some(0)))?;
    // Where rnix cannot follow, the verdict is still ours.
    let said = ask(&scratch, &["-E", "[ let { body = 1; } ]"])?;
    has(&said.stderr, &["warning: ", "is a program"])?;
    same("exit code", said.code, Some(0))?;
    let said = ask(&scratch, &["-E", "[ x: x ]"])?;
    has(&said.stderr, &["error: "])?;
    same("exit code", said.code, Some(1))
}

fn round_trip(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let mut texts: Vec<String> = Vec::new();
    for folder in ["../nixlib", "../nixlib/examples", "../nixlib/lib"] {
        for entry in std::fs::read_dir(bed.tests.join(folder)).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "nix") {
                texts.push(std::fs::read_to_string(entry.path()).map_err(|e| e.to_string())?);
            }
        }
    }
    if texts.len() < 5 {
        return Err(format!("only {} files to try", texts.len()));
    }
    // Pieces of them are texts with mistakes.
    let cut = |text: &String| {
        let at = (0..=text.len() / 2).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        [text[..at].to_owned(), text[at..].to_owned()]
    };
    let pieces: Vec<String> = texts.iter().flat_map(cut).collect();
    texts.extend(pieces);
    texts.extend(
        ["\r\n\t ", "\"\\u\u{1}é", "''\n ${''$''\\n}", "a /* b", "\u{feff}1", "@"]
            .map(str::to_owned),
    );
    let mut words = vec!["--json".to_owned()];
    for (n, text) in texts.iter().enumerate() {
        scratch.write(&format!("{n}.nix"), text)?;
        words.push(format!("{n}.nix"));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = ask(&scratch, &words)?;
    let lines: Vec<&str> = said.stdout.lines().collect();
    same("lines", lines.len(), texts.len())?;
    for (line, text) in lines.iter().zip(&texts) {
        let mut reader = serde_json::Deserializer::from_str(line);
        reader.disable_recursion_limit();
        let got = Value::deserialize(&mut reader).map_err(|e| e.to_string())?;
        let mut together = String::new();
        put_together(&got["tree"], &mut together)?;
        same("the text", together.as_str(), text.as_str())?;
    }
    Ok(())
}

/// Appends the texts of the tokens; their ranges say where they are.
fn put_together(node: &Value, out: &mut String) -> Result<(), String> {
    same("where it begins", node["bytes"][0].as_u64(), Some(out.len() as u64))?;
    match node["text"].as_str() {
        Some(text) => out.push_str(text),
        None => {
            let children = node["children"].as_array().ok_or("a node without children")?;
            children.iter().try_for_each(|child| put_together(child, out))?;
        }
    }
    same("where it ends", node["bytes"][1].as_u64(), Some(out.len() as u64))
}

fn refused(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    std::fs::write(scratch.path("latin.nix"), b"# caf\xe9\n1").map_err(|e| e.to_string())?;
    let said = ask(&scratch, &["latin.nix"])?;
    has(&said.stderr, &["error: ", "has no tree: the text is not UTF-8 from byte 5 on"])?;
    same("the rest", (said.stdout.as_str(), said.code), ("", Some(1)))?;
    scratch.write("deep.nix", &"[".repeat(1_000))?;
    let said = ask(&scratch, &["deep.nix"])?;
    has(&said.stderr, &["has no tree: the text is nested too deeply", "the list begins here"])?;
    let said = ask(&scratch, &["no-such.nix"])?;
    has(&said.stderr, &["error: ", "no-such.nix"])?;
    same("exit code", said.code, Some(1))
}
