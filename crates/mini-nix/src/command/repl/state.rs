//! What a prompt remembers between inputs: its session, the variables, the files that were loaded.

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use clap::ArgMatches;
use nix_eval::{
    Error, Handle,
    machine::Machine,
    source::Origin,
    value::{Attrs, Value},
};

use super::print::Colors;
use crate::{
    exit::Failure,
    files,
    open::{self, Session},
};

/// How long a look for completions may evaluate.
const PATIENCE: Duration = Duration::from_secs(2);

/// Something whose attributes became variables, and do again on `:r`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Loaded {
    /// A word that names a file: a path, `<x>`, or an address.
    File(String),
    /// An expression.
    Expression(String),
}

/// The state of a prompt.
pub(super) struct State {
    pub(super) session: Session,
    matches: ArgMatches,
    /// The variables: a set.
    scope: Handle,
    /// Values for arguments of functions that are loaded.
    arguments: Vec<(String, Handle)>,
    pub(super) loaded: Vec<Loaded>,
    pub(super) colors: Colors,
}

impl State {
    /// A prompt that knows no variables yet.
    ///
    /// # Errors
    /// An argument that is no expression.
    pub(super) fn new(
        session: Session,
        matches: ArgMatches,
        colors: Colors,
    ) -> Result<State, Failure> {
        let scope = empty(&session)?;
        let arguments = files::arguments(&session, &matches)?;
        let loaded = Vec::new();
        Ok(State { session, matches, scope, arguments, loaded, colors })
    }

    /// Forgets all variables and everything that was read, and loads again what was loaded. Gives the failures.
    ///
    /// # Errors
    /// When there can be no new session.
    pub(super) fn reload(&mut self) -> Result<Vec<Failure>, Failure> {
        self.session.evaluator = self.session.evaluator.engine().evaluator();
        *self.session.running.lock().unwrap_or_else(PoisonError::into_inner) =
            self.session.evaluator.cancel_token();
        self.scope = empty(&self.session)?;
        self.arguments = files::arguments(&self.session, &self.matches)?;
        let loaded = self.loaded.clone();
        Ok(loaded.iter().filter_map(|what| self.add_loaded(what).err()).collect())
    }

    /// Makes the attributes of a file or expression variables, now and on each `:r`.
    ///
    /// # Errors
    /// What the evaluation says.
    pub(super) fn load(&mut self, what: Loaded) -> Result<(), Failure> {
        // Also what fails is loaded on `:r`: that is how one goes on after mending it.
        self.loaded.retain(|known| *known != what);
        self.loaded.push(what.clone());
        self.add_loaded(&what)
    }

    fn add_loaded(&mut self, what: &Loaded) -> Result<(), Failure> {
        self.begin();
        let arguments: Vec<(String, Value)> =
            self.arguments.iter().map(|(name, handle)| (name.clone(), handle.value())).collect();
        match what {
            Loaded::File(word) => {
                let path = files::path_of(&self.session, word)?;
                self.merge(|m, _| m.import(&path).and_then(|v| m.auto_call(v, &arguments)))
            }
            Loaded::Expression(text) => self.merge(|m, scope| {
                let v = evaluate(m, text, scope)?;
                m.auto_call(v, &arguments)
            }),
        }
    }

    /// Makes the attributes of an expression variables.
    ///
    /// # Errors
    /// What the evaluation says.
    pub(super) fn add(&mut self, expression: &str) -> Result<(), Failure> {
        self.merge(|m, scope| evaluate(m, expression, scope))
    }

    /// Makes the attributes of a value variables, and says how many.
    fn merge(
        &mut self,
        value: impl FnOnce(&mut Machine, Attrs) -> Result<Value, Error>,
    ) -> Result<(), Failure> {
        let mut n = 0;
        let new = self.session.evaluator.handle(|m| {
            let scope = m.force_attrs(self.scope.value(), "the variables")?;
            let v = value(m, scope)?;
            let added = m.force_attrs(v, "a set whose attributes become variables")?;
            n = added.len();
            Ok(m.update(scope, added).value())
        });
        self.scope = new.map_err(|e| self.session.failure(&e))?;
        eprintln!("Added {n} variable{}.", if n == 1 { "" } else { "s" });
        Ok(())
    }

    /// Gives a variable a value that is evaluated when it is first used. The expression sees the variables as
    /// they were before.
    ///
    /// # Errors
    /// When it is no expression.
    pub(super) fn bind(&mut self, name: &str, expression: &str) -> Result<(), Failure> {
        let new = self.session.evaluator.handle(|m| {
            let scope = m.force_attrs(self.scope.value(), "the variables")?;
            let v = m.suspend_text(
                expression.as_bytes(),
                origin(),
                &open::working_directory(),
                Some(scope),
            )?;
            let symbol = m.symbol(name);
            let added = m.new_attrs(&[(symbol, v)]);
            let added = m.force_attrs(added, "a variable")?;
            Ok(m.update(scope, added).value())
        });
        self.scope = new.map_err(|e| self.session.failure(&e))?;
        Ok(())
    }

    /// Evaluates an expression and hands its value to `then`, as one request.
    ///
    /// # Errors
    /// What the evaluation, or `then`, says.
    pub(super) fn with<T>(
        &self,
        expression: &str,
        then: impl FnOnce(&mut Machine, Value) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let result = self.session.evaluator.with_machine(|m| {
            let scope = m.force_attrs(self.scope.value(), "the variables")?;
            let v = evaluate(m, expression, scope)?;
            then(m, v)
        });
        result.map_err(|e| self.session.failure(&e))
    }

    /// Hands the variables to `look`, without limits being asked for more than a moment, and without building,
    /// fetching or saying anything. What was begun and not finished can be evaluated later.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&mut Machine, Attrs) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.begin();
        let evaluator = &self.session.evaluator;
        let limits = evaluator.engine().options().limits;
        let mut short = limits;
        short.deadline = Some(PATIENCE);
        evaluator.set_limits(short);
        self.session.only_looking.store(true, Ordering::Relaxed);
        let result = evaluator.with_machine(|m| {
            let scope = m.force_attrs(self.scope.value(), "the variables")?;
            look(m, scope)
        });
        self.session.only_looking.store(false, Ordering::Relaxed);
        evaluator.set_limits(limits);
        result
    }

    /// Begins an input: what was stopped before does not stop this one.
    pub(super) fn begin(&self) {
        self.session.evaluator.cancel_token().reset();
    }
}

fn empty(session: &Session) -> Result<Handle, Failure> {
    session.evaluator.handle(|m| Ok(m.empty_attrs())).map_err(|e| session.failure(&e))
}

/// Evaluates an expression that sees the variables.
fn evaluate(m: &mut Machine, expression: &str, scope: Attrs) -> Result<Value, Error> {
    m.eval_text(expression.as_bytes(), origin(), &open::working_directory(), Some(scope))
}

fn origin() -> Origin {
    Origin::Text("string".into())
}
