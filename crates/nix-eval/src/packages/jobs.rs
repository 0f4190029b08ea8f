//! Jobs of a CI: the derivations of a value, asked for one attribute path at a time.
//!
//! A walk by paths can go on in a new session when the old one has grown too big: the paths that are left are
//! plain text.

use super::{MAX_DEPTH, Package};
use crate::{
    error::{self, Class, Error},
    machine::Machine,
    value::Value,
};

/// How jobs are found.
///
/// Functions are called with `arguments` at every level. A derivation is a job; another set is entered at the
/// top, and elsewhere where its `recurseForDerivations` is true or [`Jobs::force_recurse`] says so; anything
/// else is nothing. A derivation that has several names is several jobs.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    /// Arguments for functions that are called on the way.
    pub arguments: &'a [(String, Value)],
    /// Whether every set is entered.
    pub force_recurse: bool,
}

/// What lies at an attribute path.
#[derive(Debug)]
pub enum Job {
    /// A derivation.
    Package(Package),
    /// A set to be entered: the paths of its members, in byte order. Names that are not UTF-8 are left out.
    Members(Vec<Vec<String>>),
    /// Nothing to do.
    Nothing,
}

impl Jobs<'_> {
    /// Looks at what lies at `attr_path` below `root`.
    ///
    /// # Errors
    /// What the evaluation says; a path that leads nowhere or is longer than 1000 names.
    pub fn at(&self, m: &mut Machine, root: Value, attr_path: &[String]) -> Result<Job, Error> {
        if attr_path.len() > MAX_DEPTH {
            let message = format!("attributes are nested more than {MAX_DEPTH} levels deep");
            return Err(Error::new(Class::Limit, message).hint("does a set contain itself?"));
        }
        let mut v = m.auto_call(root, self.arguments)?;
        for name in attr_path {
            m.poll()?;
            let attrs = m.force_attrs(v, "a set of jobs")?;
            let symbol = m.symbol(name);
            v = attrs.get(symbol).ok_or_else(|| error::missing_attr(m.symbols(), symbol, attrs))?;
            v = m.auto_call(v, self.arguments)?;
        }
        let Some(attrs) = v.as_attrs() else { return Ok(Job::Nothing) };
        if m.is_derivation(attrs)? {
            return Package::new(m, attr_path.to_vec(), attrs).map(Job::Package);
        }
        let mut enter = attr_path.is_empty() || self.force_recurse;
        if !enter && let Some(flag) = attrs.get(m.symbol("recurseForDerivations")) {
            enter = m.force_bool(flag, "the attribute 'recurseForDerivations'")?;
        }
        if !enter {
            return Ok(Job::Nothing);
        }
        let symbols = m.symbol_table();
        let names = attrs.iter_by_name(&symbols);
        let names = names.filter_map(|(name, _)| std::str::from_utf8(symbols.name(name)).ok());
        let below = |name: &str| {
            let mut path = attr_path.to_vec();
            path.push(name.to_owned());
            path
        };
        Ok(Job::Members(names.map(below).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineOptions};

    /// All jobs of `text`, depth first; a failed one shows with `!`.
    #[track_caller]
    fn check(text: &str, force_recurse: bool, expected: &str) {
        let text = format!("let d = name: {{ type = \"derivation\"; inherit name; }}; in {text}");
        let evaluator = Engine::new(EngineOptions::default()).evaluator();
        let root = evaluator.eval(&text, "test", b"/").expect("evaluates");
        let jobs = Jobs { arguments: &[], force_recurse };
        let mut found = Vec::new();
        let mut todo = vec![Vec::new()];
        while let Some(path) = todo.pop() {
            match root.with(|m, v| jobs.at(m, v, &path)) {
                Ok(Job::Package(p)) => found.push(format!("{}={}", path.join("."), p.name_text())),
                Ok(Job::Members(paths)) => todo.extend(paths.into_iter().rev()),
                Ok(Job::Nothing) => {}
                Err(_) => found.push(format!("!{}", path.join("."))),
            }
        }
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn jobs_are_found_at_every_level_that_says_so() {
        let text = "{ a = d \"x\"; \"b.c\" = { }: d \"y\"; d.e = d \"z\"; f = 1; g = [ (d \"v\") ]; \
                    h = { recurseForDerivations = true; i = d \"w\"; }; j = throw \"no\"; k = d \"x\"; }";
        check(text, false, "a=x b.c=y h.i=w !j k=x");
        check(text, true, "a=x b.c=y d.e=z h.i=w !j k=x");
        check("{ n ? \"x\" }: d n", false, "=x");
        check("3", false, "");
    }
}
