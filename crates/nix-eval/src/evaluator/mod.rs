//! Sessions of an engine.

mod pool;
mod shared;
mod turn;
mod waits;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use self::{
    pool::{Job, Pool, Work},
    shared::Shared,
    waits::{Waited, Waits},
};
use crate::{
    closure::{Closure, Function},
    convert::IntoNix,
    engine::{Engine, EngineOptions},
    error::Error,
    handle::Handle,
    host::NixPath,
    limits::{CancelToken, Limits},
    machine::Machine,
    profile::Profile,
    source::{Origin, SourceMap},
    stats::Stats,
    syntax::tree::{Bounds, Parsed},
    value::{Thunk, Value},
};

/// One session of an engine. `Send + Sync`; its requests run one at a time.
pub struct Evaluator {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("heap_bytes", &self.shared.heap.bytes()).finish()
    }
}

impl Evaluator {
    /// A session of an engine of its own.
    pub fn new(options: EngineOptions) -> Evaluator {
        Engine::new(options).evaluator()
    }

    pub(crate) fn of(engine: Engine) -> Evaluator {
        Evaluator { shared: Arc::new(Shared::new(engine.inner)) }
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        Engine { inner: self.shared.engine.clone() }
    }

    /// Stops the running request of this session; must be reset before the next.
    pub fn cancel_token(&self) -> CancelToken {
        self.shared.cancel.clone()
    }

    /// Changes what the next requests may use.
    pub fn set_limits(&self, limits: Limits) {
        *lock(&self.shared.limits) = limits;
        self.shared.heap.set_limit(limits.heap_bytes);
    }

    /// Changes how many cores the next requests may use; see [`EngineOptions::eval_cores`].
    pub fn set_eval_cores(&self, cores: u32) {
        self.shared.eval_cores.store(cores, std::sync::atomic::Ordering::Relaxed);
    }

    /// The texts that this session has read, for turning places into lines and columns.
    pub fn sources(&self) -> &Arc<SourceMap> {
        &self.shared.sources
    }

    /// What this session has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = *lock(&self.shared.stats);
        stats.heap_bytes = self.shared.heap.bytes();
        stats.shapes = self.shared.shapes.len() as u64;
        stats
    }

    /// Takes the time of the requests that begin from now on, until [`Evaluator::take_profile`]. Programs run
    /// on one core and about half as fast meanwhile. Samples stand for `period` each; without one, for a tenth of a
    /// millisecond, and for more the longer it goes on, so that the profile does not outgrow its readers.
    pub fn start_profile(&self, period: Option<Duration>) {
        self.shared.profiling.start(period);
    }

    /// Where the requests that ended since [`Evaluator::start_profile`] spent their time; ends the profile.
    /// `None` if none was started.
    pub fn take_profile(&self) -> Option<Profile> {
        Profile::of(&self.shared)
    }

    /// Evaluates a text to weak head normal form. `name` stands for the text in messages; relative paths
    /// begin at `base_dir`, which is absolute.
    ///
    /// # Errors
    /// When the text is no program, or its evaluation fails.
    pub fn eval(&self, text: &str, name: &str, base_dir: &[u8]) -> Result<Handle, Error> {
        self.eval_bytes(text.as_bytes(), name, base_dir)
    }

    /// As [`Evaluator::eval`], for a text that need not be UTF-8.
    ///
    /// # Errors
    /// As that.
    pub fn eval_bytes(&self, text: &[u8], name: &str, base_dir: &[u8]) -> Result<Handle, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        self.handle(|m| m.eval_text(text, origin, &base_dir, None))
    }

    /// The value of a text that is evaluated when it is first used.
    ///
    /// # Errors
    /// When the text is no program.
    pub fn suspend(&self, text: &[u8], name: &str, base_dir: &[u8]) -> Result<Handle, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        self.handle(|m| m.suspend_text(text, origin, &base_dir, None))
    }

    /// As [`Evaluator::eval`], with the attributes of `scope` as further variables.
    ///
    /// # Errors
    /// As that, and when `scope` is no set of this session.
    pub fn eval_with(
        &self,
        text: &str,
        name: &str,
        base_dir: &[u8],
        scope: &Handle,
    ) -> Result<Handle, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        let scope = scope.value_in(&self.shared)?;
        self.handle(|m| {
            let scope = m.force_attrs(scope, "the scope")?;
            m.eval_text(text.as_bytes(), origin, &base_dir, Some(scope))
        })
    }

    /// The value of a file, evaluated once per session; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// When there is no such file, it is no program, or its evaluation fails.
    pub fn import(&self, path: &NixPath) -> Result<Handle, Error> {
        self.handle(|m| m.import(path))
    }

    /// The program of a text after desugaring, with all parentheses: what `nix-instantiate --parse` prints,
    /// without a final newline. Nothing is evaluated; `name` and `base_dir` as in [`Evaluator::eval`].
    ///
    /// # Errors
    /// When the text is no program, or names something unbound.
    pub fn desugar(&self, text: &[u8], name: &str, base_dir: &[u8]) -> Result<Vec<u8>, Error> {
        let base_dir = crate::value::canonicalise(base_dir);
        let origin = Origin::Text(name.into());
        self.shared.with_machine(|m| m.desugar(text, origin, &base_dir))
    }

    /// As [`Evaluator::desugar`], for a file; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// As that, and when there is no such file.
    pub fn desugar_file(&self, path: &NixPath) -> Result<Vec<u8>, Error> {
        self.shared.with_machine(|m| m.desugar_file(path))
    }

    /// A text as a syntax tree, and what is wrong with it. Nothing is evaluated and no name looked up; `name`
    /// stands for the text in messages, `bounds` is how much rnix may be given.
    ///
    /// # Errors
    /// When somebody asks to stop. Mistakes of the text are part of the answer.
    pub fn parse(&self, text: &[u8], name: &str, bounds: Bounds) -> Result<Parsed, Error> {
        self.shared.with_machine(|m| m.parse(text, Origin::Text(name.into()), bounds))
    }

    /// As [`Evaluator::parse`], for a file; a directory stands for its `default.nix`.
    ///
    /// # Errors
    /// As that, and when there is no such file.
    pub fn parse_file(&self, path: &NixPath, bounds: Bounds) -> Result<Parsed, Error> {
        self.shared.with_machine(|m| m.parse_file(path, bounds))
    }

    /// A handle of a Rust value: anything that serde can write.
    ///
    /// # Errors
    /// When an integer does not fit, a map has keys that are no names, or a string has a NUL.
    pub fn value<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<Handle, Error> {
        self.handle(|m| crate::convert::to_value(m, value))
    }

    /// A Rust closure as a function of this session; `name` is for messages. It must not own handles of this
    /// session, or neither is ever dropped.
    pub fn function<M, F: Function<M>>(&self, name: &str, f: F) -> Handle {
        let value = self.shared.add_closure(Closure::new(name, f));
        Handle::new(self.shared.clone(), value)
    }

    /// A value that is computed when it is first forced, once. The closure must not own handles of this
    /// session, or neither is ever dropped.
    pub fn lazy<R, F>(&self, f: F) -> Result<Handle, Error>
    where
        R: IntoNix,
        F: Fn() -> R + Send + Sync + 'static,
    {
        let value = self.shared.add_closure(Closure::new("a lazy value", f));
        self.handle(|m| Ok(m.delay_call(value, &[])))
    }

    /// A set of these names whose values are computed when they are first forced, each once, by calling `f`
    /// with the name. The closure must not own handles of this session, or neither is ever dropped.
    pub fn lazy_attrs<N, R, F>(
        &self,
        names: impl IntoIterator<Item = N>,
        f: F,
    ) -> Result<Handle, Error>
    where
        N: AsRef<str>,
        R: IntoNix,
        F: Fn(String) -> R + Send + Sync + 'static,
    {
        let value = self.shared.add_closure(Closure::new("a lazy set", f));
        self.handle(|m| {
            let mut attrs = m.attrs_builder(0);
            for name in names {
                m.poll()?;
                let text = m.new_text(name.as_ref());
                let member = m.delay_call(value, &[text]);
                let name = m.symbol(name.as_ref());
                attrs.push(name, member, None);
            }
            Ok(m.finish_attrs(attrs))
        })
    }

    /// A handle of what `code` gives.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn handle(
        &self,
        code: impl FnOnce(&mut Machine) -> Result<Value, Error>,
    ) -> Result<Handle, Error> {
        let v = self.shared.with_machine(code)?;
        Ok(Handle::new(self.shared.clone(), v))
    }

    /// Runs `code` on this session's machine: the door for code that works with [`Value`]s, such as printers
    /// and exporters. Values must not leave it, save as handles.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn with_machine<T>(
        &self,
        code: impl FnOnce(&mut Machine) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.shared.with_machine(code)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Evaluator>();
};
