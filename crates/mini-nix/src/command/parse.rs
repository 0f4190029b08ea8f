//! `mini-nix parse`: the concrete syntax tree of a text, and all its syntax errors.
//!
//! The tree is rnix's and holds every byte, also of a text with mistakes. The verdict and the reports are the
//! evaluator's; no name is looked up.

use std::io::{BufWriter, IsTerminal, Write};

use nix_eval::{
    source::Span,
    syntax::tree::{Bounds, Parsed, SyntaxEvent, SyntaxTree},
};

use crate::{
    args::{self, flag},
    exit::Failure,
    files::{self, Operand},
    open::{Session, Writes},
};

const SHAPE: &str = "\
A line is a node or a token, inside of what it is indented below: its kind, the bytes that it covers (first, and
one past the last), and the text of a token. With --json, each operand is one line

    {\"file\":NAME,\"tree\":NODE,\"errors\":[REPORT…]}
    NODE   {\"kind\":\"NODE_…\",\"bytes\":[0,9],\"children\":[NODE or TOKEN…]}
    TOKEN  {\"kind\":\"TOKEN_…\",\"bytes\":[0,1],\"text\":\"…\"}

where the reports are those of --error-format json. The exit code is 1 if there are errors.";

/// Runs the command.
///
/// # Errors
/// Usage, files that cannot be read, texts that have no tree. Mistakes in the texts only make the exit code 1.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let about = "print the concrete syntax tree of a file, and all its syntax errors";
    let command = args::operands(args::search_path(args::common("parse", about)))
        .arg(flag("json", "print as JSON, one line for each operand").long("json"))
        .after_help(SHAPE);
    let matches = args::parse(command, "mini-nix parse", words)?;
    let session = Session::open(&matches, Writes::No)?;
    let mut code = 0;
    for operand in files::operands(&session, &matches, "./default.nix")? {
        let (name, parsed) = match operand {
            Operand::Text { text, name } => {
                (name.to_owned(), session.evaluator.parse(&text, name, Bounds::OWN))
            }
            Operand::File(path) => {
                (path.to_text(), session.evaluator.parse_file(&path, Bounds::OWN))
            }
        };
        let parsed = parsed.map_err(|e| session.failure(&e))?;
        if matches.get_flag("json") {
            print(&json(&name, &parsed)?)?;
        } else if let Ok(tree) = &parsed.tree {
            print(&text(tree))?;
        }
        if !complain(&session, &name, &parsed) {
            code = 1;
        }
    }
    Ok(code)
}

fn print(text: &str) -> Result<(), Failure> {
    let stdout = std::io::stdout();
    let text = crate::printable(text, stdout.is_terminal());
    let mut out = BufWriter::new(stdout.lock());
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Says what is wrong with a text; whether nothing is.
fn complain(session: &Session, name: &str, parsed: &Parsed) -> bool {
    let is_terminal = std::io::stderr().is_terminal();
    let say = |text: &str| eprintln!("{}", crate::printable(text, is_terminal));
    if let Some(error) = &parsed.error {
        say(&session.failure(error).text);
    }
    match &parsed.tree {
        Err(refusal) => say(&format!("error: '{name}' has no tree: {refusal}")),
        Ok(tree) if parsed.error.is_none() && tree.n_mistakes() > 0 => say(&format!(
            "warning: '{name}' is a program, but rnix does not read all of it: the tree has nodes for mistakes"
        )),
        Ok(_) => {}
    }
    parsed.error.is_none() && parsed.tree.is_ok()
}

/// A tree as indented lines.
fn text(tree: &SyntaxTree) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let begin = |depth: usize, kind: &dyn std::fmt::Display, span: Span| {
        format!("{:indent$}{kind} {}..{}", "", span.start, span.end, indent = 2 * depth)
    };
    tree.walk(|event| match event {
        SyntaxEvent::Enter { kind, span } => {
            out += &begin(depth, &kind, span);
            out.push('\n');
            depth += 1;
        }
        SyntaxEvent::Token { kind, span, text } => {
            out += &begin(depth, &kind, span);
            out += &format!(" {}\n", serde_json::Value::from(text));
        }
        SyntaxEvent::Leave => depth -= 1,
    });
    out
}

/// A tree and the reports as one line of JSON.
///
/// # Errors
/// None that can happen: a report is always JSON.
fn json(name: &str, parsed: &Parsed) -> Result<String, Failure> {
    let mut out = format!("{{\"file\":{},\"tree\":", serde_json::Value::from(name));
    match &parsed.tree {
        Ok(tree) => tree_json(tree, &mut out),
        Err(_) => out.push_str("null"),
    }
    // Further mistakes are reports of their own in a report; here they stand beside the first.
    let mut reports = Vec::new();
    if let Some(error) = &parsed.error {
        let mut first = error.report();
        let further = std::mem::take(&mut first.further);
        reports.push(first);
        reports.extend(further);
    }
    let reports = serde_json::to_string(&reports).map_err(Failure::new)?;
    out += &format!(",\"errors\":{reports}}}\n");
    Ok(out)
}

/// Work without recursion: trees can be deep.
fn tree_json(tree: &SyntaxTree, out: &mut String) {
    let begin = |out: &mut String, kind: &dyn std::fmt::Display, span: Span| {
        if !out.ends_with(['[', ':']) {
            out.push(',');
        }
        *out += &format!("{{\"kind\":\"{kind}\",\"bytes\":[{},{}]", span.start, span.end);
    };
    tree.walk(|event| match event {
        SyntaxEvent::Enter { kind, span } => {
            begin(out, &kind, span);
            out.push_str(",\"children\":[");
        }
        SyntaxEvent::Token { kind, span, text } => {
            begin(out, &kind, span);
            *out += &format!(",\"text\":{}}}", serde_json::Value::from(text));
        }
        SyntaxEvent::Leave => out.push_str("]}"),
    });
}
