//! Values as the prompt shows them: forced while they are printed, down to a depth.
//!
//! COMPAT: the form is that of C++ Nix 2.26 (`tests/src/repl` compares). A set or list stands on one line if
//! it is empty or has one member that is neither set nor list. What lies too deep is `{ ... }` or `[ ... ]`, also
//! when it is empty. What was shown before is `«repeated»`. A member that fails is `«error: …»`.

use std::collections::HashSet;

use nix_eval::{
    Error, ErrorKind,
    limits::LimitKind,
    machine::{Coerce, Machine},
    value::{ContextBuilder, Value, View, print},
};

/// Whether colours are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Colors {
    Yes,
    No,
}

/// The text of a value without a line break at its end. `depth` sets and lists are entered inside of each other.
///
/// # Errors
/// When the value itself cannot be forced, and what ends the whole request.
pub(super) fn print(
    m: &mut Machine,
    v: Value,
    depth: usize,
    colors: Colors,
) -> Result<String, Error> {
    let mut printer = Printer { depth, colors, seen: HashSet::new(), out: String::new() };
    let v = m.force(v)?;
    printer.value(m, v, 0)?;
    Ok(printer.out)
}

struct Printer {
    depth: usize,
    colors: Colors,
    /// The sets and lists that were begun.
    seen: HashSet<Value>,
    out: String,
}

const NUMBER: &str = "36;1";
const STRING: &str = "35;1";
const PATH: &str = "32;1";
const FUNCTION: &str = "34;1";
const ERROR: &str = "31;1";
const ASIDE: &str = "2";

impl Printer {
    fn colored(&mut self, color: &str, text: &str) {
        match self.colors {
            Colors::Yes => self.out += &format!("\x1b[{color}m{text}\x1b[0m"),
            Colors::No => self.out += text,
        }
    }

    /// A value that is forced, `level` sets and lists deep.
    fn value(&mut self, m: &mut Machine, v: Value, level: usize) -> Result<(), Error> {
        m.poll()?;
        match v.view() {
            View::Attrs(_) | View::List(_) => m.deeper(|m| self.nested(m, v, level)),
            other => {
                let color = match other {
                    View::String(_) => STRING,
                    View::Path(_) => PATH,
                    View::Function(_) => FUNCTION,
                    _ => NUMBER,
                };
                let text = print::message_form(m, v);
                self.colored(color, &String::from_utf8_lossy(&text));
                Ok(())
            }
        }
    }

    fn nested(&mut self, m: &mut Machine, v: Value, level: usize) -> Result<(), Error> {
        let is_empty = match v.view() {
            View::Attrs(attrs) => attrs.is_empty(),
            View::List(list) => list.is_empty(),
            _ => true,
        };
        if !is_empty && !self.seen.insert(v.peek()) {
            self.colored(ASIDE, "«repeated»");
            return Ok(());
        }
        if let Some(text) = derivation(m, v)? {
            self.colored(PATH, &text);
            return Ok(());
        }
        match v.view() {
            View::Attrs(_) if level >= self.depth => self.out += "{ ... }",
            View::List(_) if level >= self.depth => self.out += "[ ... ]",
            View::Attrs(_) if is_empty => self.out += "{ }",
            View::List(_) if is_empty => self.out += "[ ]",
            View::Attrs(attrs) => {
                let symbols = m.symbol_table();
                let members = attrs.iter_by_name(&symbols).map(|(name, value)| {
                    let mut text = Vec::new();
                    print::attr_name(symbols.name(name), &mut text);
                    (Some(String::from_utf8_lossy(&text).into_owned()), value)
                });
                self.members(m, members.collect(), level, ['{', '}'])?;
            }
            View::List(list) => {
                let members = list.iter().map(|value| (None, value)).collect();
                self.members(m, members, level, ['[', ']'])?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The members of a set, which have names, or of a list.
    fn members(
        &mut self,
        m: &mut Machine,
        members: Vec<(Option<String>, Value)>,
        level: usize,
        brackets: [char; 2],
    ) -> Result<(), Error> {
        let forced = members.first().map(|(_, first)| m.force(*first));
        // What the force of a first member says is said again below.
        let is_nested = forced
            .is_some_and(|v| v.is_ok_and(|v| matches!(v.view(), View::Attrs(_) | View::List(_))));
        let many_lines = members.len() > 1 || is_nested;
        self.out.push(brackets[0]);
        for (name, value) in members {
            match many_lines {
                true => self.out += &format!("\n{:1$}", "", 2 * (level + 1)),
                false => self.out.push(' '),
            }
            if let Some(name) = &name {
                self.out += &format!("{name} = ");
            }
            self.member(m, value, level + 1)?;
            if name.is_some() {
                self.out.push(';');
            }
        }
        match many_lines {
            true => self.out += &format!("\n{:1$}", "", 2 * level),
            false => self.out.push(' '),
        }
        self.out.push(brackets[1]);
        Ok(())
    }

    /// A member; its failure is shown in its place.
    fn member(&mut self, m: &mut Machine, v: Value, level: usize) -> Result<(), Error> {
        let begin = self.out.len();
        let result = m.force(v).and_then(|v| self.value(m, v, level));
        let Err(e) = result else { return Ok(()) };
        if ends_request(&e) {
            return Err(e);
        }
        self.out.truncate(begin);
        self.colored(ERROR, &format!("«error: {}»", e.message()));
        Ok(())
    }
}

/// Whether nothing further can be printed: somebody asked to stop, or what the request may use is used up.
fn ends_request(e: &Error) -> bool {
    match e.limit() {
        Some((limit, _)) => limit != LimitKind::CallDepth,
        None => e.kind() == ErrorKind::Cancelled,
    }
}

/// The short text of a derivation; `None` for what is none.
///
/// # Errors
/// When its path cannot be computed.
fn derivation(m: &mut Machine, v: Value) -> Result<Option<String>, Error> {
    let Some(attrs) = v.as_attrs() else { return Ok(None) };
    if !m.is_derivation(attrs)? {
        return Ok(None);
    }
    let Some(path) = attrs.get(m.symbol("drvPath")) else {
        return Ok(Some("«derivation»".to_owned()));
    };
    let path = m.with_context("while evaluating the drvPath of a derivation", |m| {
        m.coerce_to_string(path, Coerce::INTERPOLATE, &mut ContextBuilder::new())
    })?;
    Ok(Some(format!("«derivation {}»", String::from_utf8_lossy(path.bytes()))))
}
