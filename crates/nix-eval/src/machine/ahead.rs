//! Evaluating ahead: what will be needed is offered to helpers on other cores.

use std::sync::Arc;

use super::Machine;
use crate::{
    error::{self, Error},
    evaluator::{Job, Work},
    value::{Value, View},
};

/// Steps between two offers of what derivations need, once there are helpers. To wake one costs more than to evaluate
/// a small derivation.
const APART: u64 = 1024;

/// Steps before there are helpers for what derivations need, about a second: a NixOS system ends sooner alone, with less
/// memory. What is wanted as a whole (lists, packages, `-A` paths) and builds during evaluation start them at once.
const SMALL: u64 = 1 << 24;

/// What a machine is to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Answers a request on its own.
    Alone,
    /// Answers a request and may have this many helpers.
    Leader(u32),
    /// Evaluates ahead.
    Helper,
}

impl Machine {
    /// Offers values to helpers, in the order in which this request will need them: `work` says how far. Nothing
    /// happens when the engine has one core. Never changes a result, an error or what is said.
    ///
    /// `work` may run on another thread, at any time until the request ends, and not at all.
    pub fn ahead(
        &mut self,
        values: impl IntoIterator<Item = Value>,
        work: impl Fn(&mut Machine, Value) -> Result<(), Error> + Send + Sync + 'static,
    ) {
        let room = self.room();
        if room == 0 {
            return;
        }
        let values = values.into_iter().take(room);
        let values: Vec<Value> =
            values.filter(|v| v.peek().is_thunk() || v.as_attrs().is_some()).collect();
        self.offer(values, Arc::new(work));
    }

    /// As [`Machine::ahead`], for work on numbers from 0 to `n`, for things that are no values.
    pub fn ahead_by_number(
        &mut self,
        n: usize,
        work: impl Fn(&mut Machine, usize) -> Result<(), Error> + Send + Sync + 'static,
    ) {
        let n = n.min(self.room());
        if n == 0 {
            return;
        }
        let numbers = (0..n as i64).filter_map(Value::small_int).collect();
        let work = move |m: &mut Machine, v: Value| match v.as_small_int() {
            Some(number) => work(m, number as usize),
            None => Ok(()),
        };
        self.offer(numbers, Arc::new(work));
    }

    /// Offers values whose text a derivation needs, in that order; those of lists one by one. Only now and then:
    /// derivations may be small and many.
    pub fn texts_ahead(&mut self, values: impl IntoIterator<Item = Value>) {
        let steps = self.meter.total();
        if steps >= SMALL {
            self.start_helpers();
        }
        let is_soon = !self.alone && steps.wrapping_sub(self.offered_at) < APART;
        if is_soon {
            return;
        }
        let room = self.room();
        if room == 0 {
            return;
        }
        let mut offered = Vec::new();
        for v in values {
            match v.as_list() {
                Some(items) => offered.extend(items.iter().filter(|&v| !self.has_text(v))),
                None if !self.has_text(v) => offered.push(v),
                None => {}
            }
        }
        offered.truncate(room);
        self.put_up(offered, Arc::new(text_ahead));
    }

    /// Whether the text of a value is at hand, or is not worth a thought.
    fn has_text(&self, v: Value) -> bool {
        match v.peek().view() {
            View::Thunk(_) => false,
            View::Attrs(attrs) => {
                attrs.get(self.shared.names.out_path).is_none_or(|out| !out.peek().is_thunk())
            }
            _ => true,
        }
    }

    fn out_path_ahead(&mut self, v: Value) -> Result<(), Error> {
        let Some(attrs) = v.as_attrs() else { return Ok(()) };
        match attrs.get(self.shared.names.out_path) {
            Some(out) if !attrs.has(self.shared.names.to_string) => self.force(out).map(drop),
            _ => Ok(()),
        }
    }

    /// How many values may be offered to helpers; 0 if there never are any, or they have enough.
    fn room(&self) -> usize {
        if self.role == Role::Alone { 0 } else { self.shared.pool.room() }
    }

    fn offer(&mut self, values: Vec<Value>, work: Work) {
        if self.put_up(values, work) {
            self.start_helpers();
        }
    }

    /// Leaves work for helpers, if there are any or will be. Tells whether there was some.
    fn put_up(&mut self, mut values: Vec<Value>, work: Work) -> bool {
        // The first is what this machine does next itself.
        if values.len() < 2 {
            return false;
        }
        values.remove(0);
        self.offered_at = self.meter.total();
        self.shared.pool.offer(values, work, self.depth);
        true
    }

    /// Starts helpers, unless they run or this machine may not have any: for work that is worth it, and where this
    /// machine is about to wait for something else.
    pub(super) fn start_helpers(&mut self) {
        if let Role::Leader(n_helpers) = self.role
            && self.alone
        {
            self.alone = false;
            let shared = self.shared.clone();
            shared.pool.start(&shared, n_helpers);
        }
    }

    /// Whether this machine evaluates what another one will need.
    #[inline]
    pub(crate) fn is_ahead(&self) -> bool {
        self.role == Role::Helper
    }

    /// Called where something happens that others can notice: a helper gives its work back.
    ///
    /// # Errors
    /// When this machine is a helper.
    pub(crate) fn must_lead(&self) -> Result<(), Error> {
        if self.is_ahead() || self.spoiled.get() { Err(error::cancelled()) } else { Ok(()) }
    }

    /// Does one piece of work. Failures are left for the machine that answers.
    pub(crate) fn run_job(&mut self, job: &Job) {
        self.spoiled.set(false);
        self.stack.clear();
        self.depth = job.depth;
        let _ = (job.work)(self, job.value);
    }
}

/// Forces a value as far as its text in a derivation needs it.
fn text_ahead(m: &mut Machine, v: Value) -> Result<(), Error> {
    let v = m.force(v)?;
    match v.view() {
        View::Attrs(_) => m.out_path_ahead(v),
        View::List(items) => {
            for item in items.iter() {
                m.poll()?;
                let item = m.force(item)?;
                m.out_path_ahead(item)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
