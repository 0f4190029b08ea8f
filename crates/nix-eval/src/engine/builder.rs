//! Making an engine step by step.

use std::sync::Arc;

use super::{Engine, EngineOptions, SearchPathEntry};
use crate::{
    closure::{Closure, Function, FunctionCx},
    error::{Class, Error},
    host::Host,
    limits::Limits,
    value::Builtin,
};

/// A closure that an engine shows as a builtin.
#[derive(Clone, Debug)]
pub(crate) struct NamedClosure {
    pub(crate) closure: Arc<Closure>,
    /// Whether it is a variable as well.
    pub(crate) is_global: bool,
}

/// Makes an [`Engine`]; [`Engine::builder`] begins one.
#[derive(Debug)]
#[must_use = "an engine is made by `build`"]
pub struct EngineBuilder {
    options: EngineOptions,
    globals: Vec<String>,
}

impl EngineBuilder {
    pub(super) fn new(options: EngineOptions) -> EngineBuilder {
        EngineBuilder { options, globals: Vec::new() }
    }

    /// The outside world; without one, everything outside is refused.
    pub fn host(self, host: impl Host + 'static) -> EngineBuilder {
        self.shared_host(Arc::new(host))
    }

    /// As [`EngineBuilder::host`], for a host that the caller keeps as well.
    pub fn shared_host(mut self, host: Arc<dyn Host>) -> EngineBuilder {
        self.options.host = host;
        self
    }

    /// Adds an entry to the search path: `<prefix>` is what lies at `path`, which is absolute.
    pub fn search_path(
        mut self,
        prefix: impl Into<String>,
        path: impl Into<String>,
    ) -> EngineBuilder {
        let (prefix, path) = (prefix.into(), path.into());
        self.options.search_path.push(SearchPathEntry { prefix, path, tree: None });
        self
    }

    /// What an evaluation may use.
    pub fn limits(mut self, limits: Limits) -> EngineBuilder {
        self.options.limits = limits;
        self
    }

    /// A Rust closure as `builtins.name`; of no arguments, a constant, computed once per session. A dotted
    /// name makes a set: `ports.claim` is `builtins.ports.claim`. A name that exists is replaced.
    pub fn builtin<M, F: Function<M>>(mut self, name: &str, f: F) -> EngineBuilder {
        self.push(Closure::new(name, f));
        self
    }

    /// As [`EngineBuilder::builtin`]; the closure's first argument is the call it runs in.
    pub fn builtin_cx<M, F: FunctionCx<M>>(mut self, name: &str, f: F) -> EngineBuilder {
        self.push(Closure::new_cx(name, f));
        self
    }

    fn push(&mut self, closure: Closure) {
        self.options.closures.retain(|other| other.closure.name != closure.name);
        self.options.closures.push(NamedClosure { closure: Arc::new(closure), is_global: false });
    }

    /// Makes a closure of this engine a variable as well: `greet` beside `builtins.greet`.
    pub fn global(mut self, name: impl Into<String>) -> EngineBuilder {
        self.globals.push(name.into());
        self
    }

    /// A table of builtins, such as those of a store.
    pub fn table(mut self, table: &'static [Builtin]) -> EngineBuilder {
        self.options.builtins.push(table);
        self
    }

    /// Leaves builtins out.
    pub fn without<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> EngineBuilder {
        self.options.without.extend(names.into_iter().map(Into::into));
        self
    }

    /// Changes any other option.
    pub fn options(mut self, change: impl FnOnce(&mut EngineOptions)) -> EngineBuilder {
        change(&mut self.options);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// When a closure has no proper name, lies inside another, or is to be a variable but is not there.
    pub fn build(mut self) -> Result<Engine, Error> {
        let wrong = |message: String| Error::new(Class::Argument, message);
        for named in &self.options.closures {
            let name = &*named.closure.name;
            if name.split('.').any(|part| !is_name(part)) {
                return Err(wrong(format!(
                    "'{name}' cannot name a builtin; names are letters, digits, '_' and '-', joined by '.'"
                )));
            }
            let inside = self.options.closures.iter().find(|other| {
                name.strip_prefix(&*other.closure.name).is_some_and(|rest| rest.starts_with('.'))
            });
            if let Some(other) = inside {
                return Err(wrong(format!(
                    "the builtin '{name}' cannot lie inside of '{}', which is no set",
                    other.closure.name
                )));
            }
        }
        for name in self.globals {
            let closures = &mut self.options.closures;
            match closures.iter_mut().find(|named| *named.closure.name == *name) {
                Some(named) if is_name(&name) => named.is_global = true,
                _ => {
                    return Err(wrong(format!(
                        "'{name}' cannot be a variable: there is no closure of this name"
                    )));
                }
            }
        }
        Ok(Engine::new(self.options))
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-'".contains(c))
}
