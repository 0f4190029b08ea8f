//! Values as text. Nothing here forces: what is not evaluated shows as such.
//!
//! Two forms: that of `nix-instantiate --eval` (`<CODE>`, `<LAMBDA>`), and that of messages and traces
//! (`«thunk»`, `«lambda f @ file:1:2»`), which elides long values.

use rustc_hash::FxHashSet;

use super::{FunctionView, List, Value, View, number};
use crate::machine::Machine;

/// What is left to print.
enum Todo {
    /// The value that is asked for.
    Root(Value),
    /// One inside of it.
    Value(Value),
    Text(Vec<u8>),
    /// The elements of a list from this one on, and its end.
    Items(List, usize),
    /// Forget that we are inside this one.
    Leave(u64),
}

/// Which form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Eval,
    Message,
}

/// A value as `nix-instantiate --eval` prints it.
pub fn eval_form(m: &Machine, v: Value) -> Vec<u8> {
    print(m, v, Form::Eval, usize::MAX)
}

/// A value as `builtins.trace` prints it.
pub fn message_form(m: &Machine, v: Value) -> Vec<u8> {
    print(m, v, Form::Message, usize::MAX)
}

/// A short text of a value for messages.
pub(crate) fn preview(m: &Machine, v: Value) -> String {
    let text = print(m, v, Form::Message, 60);
    let text = String::from_utf8_lossy(&text);
    if text.chars().count() <= 60 {
        return text.into_owned();
    }
    let short: String = text.chars().take(57).collect();
    format!("{short}...")
}

fn print(m: &Machine, v: Value, form: Form, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen: FxHashSet<u64> = FxHashSet::default();
    let mut todo = vec![Todo::Root(v)];
    while let Some(next) = todo.pop() {
        if out.len() > most {
            break;
        }
        // COMPAT: lists of one or two elements are recognised by the cell that holds them, since C++ Nix keeps
        // the elements in it: a copy of such a list is another list (`short_lists_repeat_by_slot`).
        let cell = match next {
            Todo::Root(v) | Todo::Value(v) => v.0,
            Todo::Items(..) | Todo::Text(_) | Todo::Leave(_) => 0,
        };
        let v = match next {
            Todo::Text(text) => {
                out.extend_from_slice(&text);
                continue;
            }
            Todo::Items(list, i) => {
                if i > 0 {
                    out.push(b' ');
                }
                match list.as_slice().get(i) {
                    Some(&item) => todo.extend([Todo::Items(list, i + 1), Todo::Value(item)]),
                    None => todo.push(Todo::Text(b"]".to_vec())),
                }
                continue;
            }
            Todo::Leave(word) => {
                seen.remove(&word);
                continue;
            }
            Todo::Value(v) if v.is_unseen_lambda() => {
                out.extend_from_slice(unevaluated(form));
                continue;
            }
            Todo::Root(v) | Todo::Value(v) => v.peek(),
        };
        match v.view() {
            View::Int(n) => out.extend_from_slice(n.to_string().as_bytes()),
            View::Float(x) => out.extend_from_slice(number::format_g(x).as_bytes()),
            View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            View::Null => out.extend_from_slice(b"null"),
            View::String(s) => quote(s.bytes(), &mut out),
            View::Path(path) => {
                let path =
                    crate::host::NixPath { accessor: path.accessor(), text: path.bytes().to_vec() };
                out.extend_from_slice(&m.path_text(&path));
            }
            View::External(_) => out.extend_from_slice("«external»".as_bytes()),
            View::Thunk(thunk) => out.extend_from_slice(match form {
                _ if thunk.is_running() => "«potential infinite recursion»".as_bytes(),
                form => unevaluated(form),
            }),
            View::Function(f) => function(m, f.view(), form, &mut out),
            View::List(list) if list.is_empty() => out.extend_from_slice(b"[ ]"),
            View::Attrs(attrs) if attrs.is_empty() => out.extend_from_slice(b"{ }"),
            View::List(list) if !seen.insert(if list.len() <= 2 { cell } else { v.0 }) => {
                out.extend_from_slice("«repeated»".as_bytes());
            }
            View::Attrs(_) if !seen.insert(v.0) => {
                out.extend_from_slice("«repeated»".as_bytes());
            }
            View::List(list) => {
                out.extend_from_slice(b"[ ");
                if form == Form::Message {
                    todo.push(Todo::Leave(if list.len() <= 2 { cell } else { v.0 }));
                }
                todo.push(Todo::Items(list, 0));
            }
            View::Attrs(attrs) => {
                out.extend_from_slice(b"{ ");
                if form == Form::Message {
                    todo.push(Todo::Leave(v.0));
                }
                todo.push(Todo::Text(b"}".to_vec()));
                for (name, value) in attrs.iter_by_name(m.symbols()).rev() {
                    let mut text = Vec::new();
                    attr_name(m.symbols().name(name), &mut text);
                    text.extend_from_slice(b" = ");
                    todo.push(Todo::Text(b"; ".to_vec()));
                    todo.push(Todo::Value(value));
                    todo.push(Todo::Text(text));
                }
            }
        }
    }
    out
}

/// What stands for a value that nobody asked for yet.
fn unevaluated(form: Form) -> &'static [u8] {
    match form {
        Form::Eval => b"<CODE>",
        Form::Message => "«thunk»".as_bytes(),
    }
}

fn function(m: &Machine, f: FunctionView, form: Form, out: &mut Vec<u8>) {
    let text = match (f, form) {
        (FunctionView::Lambda(_), Form::Eval) => "<LAMBDA>".to_owned(),
        (FunctionView::Builtin(_), Form::Eval) => "<PRIMOP>".to_owned(),
        (FunctionView::Partial(p), Form::Eval) => {
            match p.function().as_function().map(|f| f.view()) {
                // COMPAT: functions of several simple arguments are one here, and nested in C++ Nix.
                Some(FunctionView::Lambda(_)) => "<LAMBDA>".to_owned(),
                _ => "<PRIMOP-APP>".to_owned(),
            }
        }
        (FunctionView::Lambda(lambda), Form::Message) => lambda_text(m, lambda),
        (FunctionView::Builtin(b), Form::Message) => format!("«primop {}»", b.name()),
        (FunctionView::Partial(p), Form::Message) => {
            match p.function().as_function().map(|f| f.view()) {
                Some(FunctionView::Builtin(b)) => {
                    format!("«partially applied primop {}»", b.name())
                }
                Some(FunctionView::Lambda(lambda)) => lambda_text(m, lambda),
                _ => "«lambda»".to_owned(),
            }
        }
    };
    out.extend_from_slice(text.as_bytes());
}

fn lambda_text(m: &Machine, lambda: super::LambdaRef) -> String {
    let name = lambda.name().map(|n| String::from_utf8_lossy(m.symbols().name(n)).into_owned());
    let place = m.sources().describe(lambda.location());
    match name {
        Some(name) => format!("«lambda {name} @ {place}»"),
        None => format!("«lambda @ {place}»"),
    }
}

/// A string literal of these bytes.
pub fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.get(i + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(b),
        }
    }
    out.push(b'"');
}

/// A name as it is written in a set: quoted unless it is an identifier and no keyword.
pub fn attr_name(name: &[u8], out: &mut Vec<u8>) {
    const KEYWORDS: &[&[u8]] =
        &[b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let is_identifier = name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"_'-".contains(b))
        && !KEYWORDS.contains(&name);
    if is_identifier { out.extend_from_slice(name) } else { quote(name, out) }
}
