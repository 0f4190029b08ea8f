//! `toXML`.

use std::collections::HashSet;

use crate::{
    builtins::{Builtin, Example, Run},
    error::Error,
    ir::Params,
    machine::{Coerce, Machine},
    source::{Location, Origin},
    symbol::{Symbol, Symbols},
    value::{Attrs, ContextBuilder, Function, FunctionView, LambdaRef, Value, View, number},
};

pub(super) const XML: &[Builtin] = &[Builtin {
    name: "toXML",
    params: &["e"],
    doc: "*e*, evaluated completely, as XML.",
    examples: &[Example {
        source: "builtins.toXML [ 1 ]",
        shows: r#""<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <list>\n    <int value=\"1\" />\n  </list>\n</expr>\n""#,
    }],
    run: Run::One(write),
}];

fn write(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let mut context = ContextBuilder::new();
    let out = to_xml(m, v, XmlOptions { force: true, locations: false }, &mut context)?;
    m.new_long_string(&[&out], context.finish(m.contexts()))
}

/// How much an XML text shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlOptions {
    /// Evaluate what is met; otherwise it shows as `<unevaluated />`.
    pub force: bool,
    /// Add `path`, `line` and `column` of attributes and functions.
    pub locations: bool,
}

/// What is left to write.
enum Todo {
    Value(Value),
    Open(Symbol, Option<Location>, Value),
    Close(&'static str),
}

/// Writes an XML document: an element a line, two spaces of indentation a level.
#[derive(Debug)]
pub struct XmlWriter {
    out: Vec<u8>,
    depth: usize,
}

impl Default for XmlWriter {
    fn default() -> XmlWriter {
        XmlWriter::new()
    }
}

impl XmlWriter {
    /// A document with its first line.
    pub fn new() -> XmlWriter {
        XmlWriter { out: b"<?xml version='1.0' encoding='utf-8'?>\n".to_vec(), depth: 0 }
    }

    fn line(&mut self, tag: &str, attributes: &[(&str, &[u8])], end: &str) {
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
        self.out.push(b'<');
        self.out.extend_from_slice(tag.as_bytes());
        for (name, value) in attributes {
            self.out.extend_from_slice(format!(" {name}=\"").as_bytes());
            escape(value, &mut self.out);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(end.as_bytes());
        self.out.push(b'\n');
    }

    /// An element without content. Attributes are written in the order given.
    pub fn empty(&mut self, tag: &str, attributes: &[(&str, &[u8])]) {
        self.line(tag, attributes, " />");
    }

    /// Begins an element with content.
    pub fn open(&mut self, tag: &str, attributes: &[(&str, &[u8])]) {
        self.line(tag, attributes, ">");
        self.depth += 1;
    }

    /// Ends the innermost open element, which must be `tag`.
    pub fn close(&mut self, tag: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(&format!("/{tag}"), &[], ">");
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\n' => out.extend_from_slice(b"&#xA;"),
            byte => out.push(byte),
        }
    }
}

/// A whole XML document for a value. Walks with a work list. The context of all strings goes into `context`.
///
/// # Errors
/// When forcing fails.
pub fn to_xml(
    m: &mut Machine,
    v: Value,
    options: XmlOptions,
    context: &mut ContextBuilder,
) -> Result<Vec<u8>, Error> {
    let symbols = m.symbol_table();
    let mut w = XmlWriter::new();
    w.open("expr", &[]);
    let (drv_path, out_path) = (m.symbol("drvPath"), m.symbol("outPath"));
    let mut seen: HashSet<Vec<u8>> = HashSet::new();
    let mut todo = vec![Todo::Close("expr"), Todo::Value(v)];
    // The outermost value was asked for.
    let mut is_root = true;
    while let Some(next) = todo.pop() {
        m.poll()?;
        m.check_string_len(w.out.len() as u64)?;
        m.check_depth(w.depth as u32)?;
        let v = match next {
            Todo::Close(tag) => {
                w.close(tag);
                continue;
            }
            Todo::Open(name, place, v) => {
                let mut attributes = Place::of(m, place, options).attributes();
                attributes.insert(0, ("name", symbols.name(name).to_vec()));
                attributes.sort();
                w.open("attr", &borrow(&attributes));
                todo.push(Todo::Close("attr"));
                v
            }
            Todo::Value(v) => v,
        };
        let waits = !options.force && !std::mem::take(&mut is_root) && v.is_unseen_lambda();
        if waits {
            w.empty("unevaluated", &[]);
            continue;
        }
        let v = if options.force { m.force(v)? } else { v.peek() };
        match v.view() {
            View::Int(n) => w.empty("int", &[("value", n.to_string().as_bytes())]),
            View::Float(x) => w.empty("float", &[("value", number::format_g(x).as_bytes())]),
            View::Bool(b) => w.empty("bool", &[("value", if b { b"true" } else { b"false" })]),
            View::Null => w.empty("null", &[]),
            View::String(s) => {
                context.add(s.context());
                w.empty("string", &[("value", s.bytes())]);
            }
            View::Path(path) => {
                let text = m.coerce_to_string(v, Coerce::PATH_TEXT, context)?;
                let _ = path;
                w.empty("path", &[("value", text.bytes())]);
            }
            View::List(items) => {
                w.open("list", &[]);
                m.room_for(&mut todo, items.len() + 1)?;
                todo.push(Todo::Close("list"));
                todo.extend(items.iter().rev().map(Todo::Value));
            }
            View::Attrs(attrs) => {
                if !m.is_derivation(attrs)? {
                    w.open("attrs", &[]);
                    todo.push(Todo::Close("attrs"));
                    m.room_for(&mut todo, attrs.len())?;
                    push_attrs(&symbols, attrs, &mut todo);
                    continue;
                }
                let mut attributes = Vec::new();
                let mut key = None;
                for (name, symbol) in [("drvPath", drv_path), ("outPath", out_path)] {
                    let Some(path) = attrs.get(symbol) else { continue };
                    let path = if options.force { m.force(path)? } else { path.peek() };
                    if let View::String(s) = path.view() {
                        if name == "drvPath" {
                            key = Some(s.bytes().to_vec());
                        }
                        attributes.push((name, s.bytes().to_vec()));
                    }
                }
                w.open("derivation", &borrow(&attributes));
                match key {
                    Some(key) if seen.insert(key.clone()) => {
                        todo.push(Todo::Close("derivation"));
                        m.room_for(&mut todo, attrs.len())?;
                        push_attrs(&symbols, attrs, &mut todo);
                    }
                    _ => {
                        w.empty("repeated", &[]);
                        w.close("derivation");
                    }
                }
            }
            View::Function(f) => match lambda_of(f) {
                Some((lambda, n_args)) => {
                    let place = Place::of(m, Some(lambda.location()), options);
                    w.open("function", &borrow(&place.attributes()));
                    write_parameter(&mut w, &symbols, lambda, n_args);
                    w.close("function");
                }
                None => w.empty("unevaluated", &[]),
            },
            View::External(_) | View::Thunk(_) => w.empty("unevaluated", &[]),
        }
    }
    Ok(w.out)
}

/// The lambda that a function is, and how many arguments it has got already: functions of several simple
/// arguments are one here, and nested in the language.
fn lambda_of(f: Function) -> Option<(LambdaRef, usize)> {
    match f.view() {
        FunctionView::Lambda(lambda) => Some((lambda, 0)),
        FunctionView::Partial(partial) => match partial.function().as_function()?.view() {
            FunctionView::Lambda(lambda) => Some((lambda, partial.args().len())),
            _ => None,
        },
        FunctionView::Builtin(_) => None,
    }
}

/// What the next argument of a function is called.
fn write_parameter(w: &mut XmlWriter, symbols: &Symbols, lambda: LambdaRef, n_args: usize) {
    match lambda.params() {
        Params::Simple(names) => {
            if let Some((name, _)) = names.get(n_args) {
                w.empty("varpat", &[("name", symbols.name(*name))]);
            }
        }
        Params::Formals(formals) => {
            let mut attributes: Vec<(&str, Vec<u8>)> = Vec::new();
            if formals.ellipsis {
                attributes.push(("ellipsis", b"1".to_vec()));
            }
            if let Some(name) = formals.args {
                attributes.push(("name", symbols.name(name).to_vec()));
            }
            attributes.sort();
            w.open("attrspat", &borrow(&attributes));
            let mut names: Vec<&[u8]> =
                formals.formals.iter().map(|f| symbols.name(f.name)).collect();
            names.sort_unstable();
            for name in names {
                w.empty("attr", &[("name", name)]);
            }
            w.close("attrspat");
        }
    }
}

fn push_attrs(symbols: &Symbols, attrs: Attrs, todo: &mut Vec<Todo>) {
    let all: Vec<_> = attrs.iter_by_name(symbols).collect();
    todo.extend(all.into_iter().rev().map(|(n, v)| Todo::Open(n, attrs.position(n), v)));
}

fn borrow<'a>(attributes: &'a [(&'a str, Vec<u8>)]) -> Vec<(&'a str, &'a [u8])> {
    attributes.iter().map(|(n, v)| (*n, v.as_slice())).collect()
}

/// Where something is written, if that is wanted and known.
struct Place(Option<(Option<Vec<u8>>, u32, u32)>);

impl Place {
    fn of(m: &Machine, location: Option<Location>, options: XmlOptions) -> Place {
        let Some(location) = location.filter(|_| options.locations) else { return Place(None) };
        let sources = m.sources();
        let Some(source) = sources.get(location.file) else { return Place(None) };
        let path = match &source.origin {
            Origin::Path(path) => Some(path.to_vec()),
            Origin::Text(_) => None,
        };
        let (line, column) = sources.line_column(location.file, location.span.start);
        Place(Some((path, line, column)))
    }

    /// In byte order of names.
    fn attributes(self) -> Vec<(&'static str, Vec<u8>)> {
        let Some((path, line, column)) = self.0 else { return Vec::new() };
        let mut attributes = vec![
            ("column", column.to_string().into_bytes()),
            ("line", line.to_string().into_bytes()),
        ];
        attributes.extend(path.map(|path| ("path", path)));
        attributes
    }
}
