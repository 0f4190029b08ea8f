//! Finding the derivations of a value.

use std::collections::HashSet;

use super::{MAX_DEPTH, Package};
use crate::{
    error::{Class, Error, ErrorKind},
    machine::Machine,
    value::{Attrs, Value, View},
};

/// What becomes of an attribute that fails while it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failures {
    /// The walk ends with its error.
    Raise,
    /// Failed assertions and throws are passed over, other errors end the walk (`nix-env`).
    SkipAssertions,
    /// Each is reported as [`Seen::Failed`] and passed over; only cancelling ends the walk.
    Report,
}

/// Which attributes are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// Those that look like identifiers: a letter or `_`, then letters, digits and `_-+` (`nix-env`).
    Plain,
    /// All.
    All,
}

/// What a walk meets.
#[derive(Debug)]
pub enum Seen {
    /// A derivation.
    Package(Package),
    /// An attribute that could not be looked at.
    Failed {
        /// Attribute names and list indices that lead to it.
        attr_path: Vec<String>,
        /// Why.
        error: Error,
    },
}

/// How to look for derivations.
///
/// The root is called with `arguments` if it is a function. It may be a derivation, a list of such roots, or a
/// set. The members of a set are looked at in byte order of their names; one that is itself a set is entered
/// if its `recurseForDerivations` is true. A derivation that is met again under another name is passed over.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// Arguments for functions that are called on the way.
    pub arguments: &'a [(String, Value)],
    /// What becomes of attributes that fail.
    pub failures: Failures,
    /// Which attributes are looked at.
    pub names: Names,
    /// What is wanted of each derivation after the walk, for helpers ([`Machine::ahead`]).
    pub wants: Wants,
}

/// What will be wanted of each derivation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// Its name.
    Name,
    /// Its store derivation.
    Drv,
}

/// A value that waits to be looked at, and how.
struct Todo {
    v: Value,
    attr_path: Vec<String>,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Called, and entered whatever it is.
    Root,
    /// As a root if it is no derivation.
    Element,
    /// Entered only where it says so.
    Attribute,
}

impl Walk<'_> {
    /// Walks through `root` and shows each find to `visit`, which may end the walk with an error.
    ///
    /// # Errors
    /// What the evaluation says, as far as [`Walk::failures`] lets it through; a root that is neither
    /// derivation, list nor set; those of `visit`.
    pub fn run(
        &self,
        m: &mut Machine,
        root: Value,
        visit: &mut dyn FnMut(&mut Machine, Seen) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut todo = vec![Todo { v: root, attr_path: Vec::new(), role: Role::Root }];
        while let Some(next) = todo.pop() {
            m.poll()?;
            let attr_path = next.attr_path.clone();
            match self.look(m, next, &mut seen, &mut todo) {
                Ok(None) => {}
                Ok(Some(package)) => visit(m, Seen::Package(package))?,
                Err(e) if self.failures == Failures::Report && e.kind() != ErrorKind::Cancelled => {
                    visit(m, Seen::Failed { attr_path, error: e })?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Looks at one value: gives it if it is a derivation, or adds what it holds to `todo`.
    fn look(
        &self,
        m: &mut Machine,
        next: Todo,
        seen: &mut HashSet<u64>,
        todo: &mut Vec<Todo>,
    ) -> Result<Option<Package>, Error> {
        let Todo { v, attr_path, mut role } = next;
        if attr_path.len() > MAX_DEPTH {
            let message = format!("attributes are nested more than {MAX_DEPTH} levels deep");
            return Err(Error::new(Class::Limit, message).hint("does a set contain itself?"));
        }
        let mut v = if role == Role::Root { m.auto_call(v, self.arguments)? } else { v };
        loop {
            let found = match self.test(m, v, &attr_path, seen) {
                Err(e) if self.failures == Failures::SkipAssertions && e.is_catchable() => {
                    return Ok(None);
                }
                found => found?,
            };
            match found {
                Test::New(package) => return Ok(Some(package)),
                Test::Again => return Ok(None),
                Test::No(forced) => v = forced,
            }
            let enter = match (role, v.as_attrs()) {
                (Role::Root, _) => break,
                (Role::Element, _) => true,
                (Role::Attribute, Some(attrs)) => self.wants_entry(m, attrs)?,
                (Role::Attribute, None) => false,
            };
            if !enter {
                return Ok(None);
            }
            v = m.auto_call(v, self.arguments)?;
            role = Role::Root;
        }
        match v.view() {
            View::Attrs(attrs) => self.push_members(m, attrs, &attr_path, todo),
            View::List(items) => {
                let wants = self.wants;
                m.ahead(items.iter(), move |m, v| wants.of(m, v));
                for (i, v) in items.iter().enumerate().rev() {
                    let attr_path = below(&attr_path, i.to_string());
                    todo.push(Todo { v, attr_path, role: Role::Element });
                }
            }
            _ => {
                return Err(Error::new(
                    Class::Type,
                    "expression does not evaluate to a derivation (or a set or list of those)",
                ));
            }
        }
        Ok(None)
    }

    fn test(
        &self,
        m: &mut Machine,
        v: Value,
        attr_path: &[String],
        seen: &mut HashSet<u64>,
    ) -> Result<Test, Error> {
        let v = m.force(v)?;
        let Some(attrs) = v.as_attrs() else { return Ok(Test::No(v)) };
        if !m.is_derivation(attrs)? {
            return Ok(Test::No(v));
        }
        if !seen.insert(v.0) {
            return Ok(Test::Again);
        }
        Package::new(m, attr_path.to_vec(), attrs).map(Test::New)
    }

    fn wants_entry(&self, m: &mut Machine, attrs: Attrs) -> Result<bool, Error> {
        match attrs.get(m.symbol("recurseForDerivations")) {
            Some(flag) => m.force_bool(flag, "the attribute 'recurseForDerivations'"),
            None => Ok(false),
        }
    }

    fn push_members(
        &self,
        m: &mut Machine,
        attrs: Attrs,
        attr_path: &[String],
        todo: &mut Vec<Todo>,
    ) {
        let symbols = m.symbol_table();
        // Marks the set that nix-env makes of a folder of expressions: its members are roots.
        let combined = attrs.has(m.symbol("_combineChannels"));
        let role = if combined { Role::Root } else { Role::Attribute };
        let mut all = attrs.iter_by_name(&symbols).collect::<Vec<_>>();
        all.retain(|&(name, _)| self.names == Names::All || is_plain(symbols.name(name)));
        let wants = self.wants;
        m.ahead(all.iter().map(|&(_, v)| v), move |m, v| wants.of(m, v));
        for (name, v) in all.into_iter().rev() {
            let name = symbols.name(name);
            let attr_path = below(attr_path, String::from_utf8_lossy(name).into_owned());
            todo.push(Todo { v, attr_path, role });
        }
    }
}

impl Wants {
    /// Does to a value what a walk, and who asked for it, will do to it.
    ///
    /// # Errors
    /// What the evaluation says.
    pub fn of(self, m: &mut Machine, v: Value) -> Result<(), Error> {
        let v = m.force(v)?;
        let Some(attrs) = v.as_attrs() else { return Ok(()) };
        if m.is_derivation(attrs)? {
            let package = Package::new(m, Vec::new(), attrs)?;
            if self == Wants::Drv {
                package.drv_path(m)?;
            }
            return Ok(());
        }
        if let Some(flag) = attrs.get(m.symbol("recurseForDerivations"))
            && m.force(flag)? == Value::TRUE
        {
            let symbols = m.symbol_table();
            let all = attrs.iter_by_name(&symbols);
            m.ahead(all.as_slice().iter().map(|&(_, v)| v), move |m, v| self.of(m, v));
        }
        Ok(())
    }
}

/// What a value is.
enum Test {
    /// A derivation that was not met before.
    New(Package),
    /// A derivation that was.
    Again,
    /// No derivation: the value, forced.
    No(Value),
}

fn below(attr_path: &[String], name: String) -> Vec<String> {
    let mut path = Vec::with_capacity(attr_path.len() + 1);
    path.extend_from_slice(attr_path);
    path.push(name);
    path
}

fn is_plain(name: &[u8]) -> bool {
    name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOptions};

    /// The paths that a walk through `text` finds; a failed attribute shows with `!`.
    #[track_caller]
    fn check(text: &str, failures: Failures, names: Names, expected: &str) {
        let text = format!("let d = name: {{ type = \"derivation\"; inherit name; }}; in {text}");
        let evaluator = Engine::new(EngineOptions::default()).evaluator();
        let root = evaluator.eval(&text, "test", b"/").expect("evaluates");
        let mut found = Vec::new();
        let result = root.with(|m, v| {
            let walk = Walk { arguments: &[], failures, names, wants: Wants::Name };
            walk.run(m, v, &mut |_, seen| {
                found.push(match seen {
                    Seen::Package(p) => format!("{}={}", p.attr_path.join("."), p.name_text()),
                    Seen::Failed { attr_path, .. } => format!("!{}", attr_path.join(".")),
                });
                Ok(())
            })
        });
        if let Err(e) = result {
            found.push(format!("error: {}", e.message()));
        }
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn sets_are_entered_where_they_say_so_in_order_of_names() {
        let check = |text, expected| check(text, Failures::Raise, Names::Plain, expected);
        check("{ b = d \"x\"; a = d \"y\"; }", "a=y b=x");
        check("{ a = { b = d \"x\"; }; }", "");
        check("{ a = { recurseForDerivations = true; b = d \"x\"; }; }", "a.b=x");
        check("d \"x\"", "=x");
        check("[ (d \"x\") { b = d \"y\"; } [ (d \"z\") ] ]", "0=x 1.b=y 2.0=z");
        check("{ n ? \"x\" }: { a = d n; }", "a=x");
        check("{ f = { }: d \"x\"; }", "");
        check(
            "1",
            "error: expression does not evaluate to a derivation (or a set or list of those)",
        );
    }

    #[test]
    fn odd_names_are_looked_at_only_on_request() {
        let text = "{ \"a.b\" = d \"x\"; \"1\" = d \"y\"; _a-b+ = d \"z\"; }";
        check(&text.replace("_a-b+", "\"_a-b+\""), Failures::Raise, Names::Plain, "_a-b+=z");
        check(&text.replace("_a-b+", "c"), Failures::Raise, Names::All, "1=y a.b=x c=z");
    }

    #[test]
    fn the_same_derivation_counts_once() {
        let text = "let x = d \"x\"; in { a = x; b = x; c = x // { y = 1; }; }";
        check(text, Failures::Raise, Names::Plain, "a=x c=x");
    }

    #[test]
    fn failing_attributes_are_passed_over_as_asked() {
        let text = "{ a = throw \"no\"; b = d \"x\"; c = assert false; 1; d = { type = \"derivation\"; \
                    name = throw \"no\"; }; }";
        check(text, Failures::SkipAssertions, Names::Plain, "b=x");
        check(text, Failures::Raise, Names::Plain, "error: no");
        check(text, Failures::Report, Names::Plain, "!a b=x !c !d");
        let text = "{ a = abort \"no\"; b = d \"x\"; }";
        check(text, Failures::Report, Names::Plain, "!a b=x");
        let result = "error: evaluation aborted with the following error message: 'no'";
        check(text, Failures::SkipAssertions, Names::Plain, result);
    }

    #[test]
    fn a_set_that_contains_itself_ends_in_an_error() {
        let text = "let s = { recurseForDerivations = true; a = s; }; in s";
        check(
            text,
            Failures::Raise,
            Names::Plain,
            "error: attributes are nested more than 1000 levels deep",
        );
    }
}
