//! Forcing: from a thunk to its value.

// Through the folder above, since `crate::model` compiles this file once more with a machine of its own.
use super::{
    Machine,
    evaluator::Waited,
    profile::Begins,
    stack::Frame,
    value::{Claim, State, TAG, Thunk, Value, code::Code},
};
use crate::error::{self, Error};

impl Machine {
    /// Evaluates to weak head normal form. Never returns a thunk.
    ///
    /// # Errors
    /// Those of the suspended code; a failure is remembered and comes back when forced again.
    #[inline(always)]
    pub fn force(&mut self, v: Value) -> Result<Value, Error> {
        if !v.is_thunk() {
            return Ok(v);
        }
        let word = Thunk(v.cells()).state_word();
        if word & TAG != 0 { Ok(Value(word)) } else { self.run_thunk(v) }
    }

    #[inline(never)]
    pub(crate) fn run_thunk(&mut self, v: Value) -> Result<Value, Error> {
        if self.near_end() {
            return self.on_new_segment(|m| m.run_thunk(v));
        }
        self.poll_in(|| Begins::Thunk(v))?;
        let thunk = Thunk(v.cells());
        loop {
            let word = thunk.state_word();
            match Thunk::state_of(word) {
                State::Done(value) => return Ok(value),
                State::Code(address) => {
                    if thunk.claim(word, self.worker, self.alone) == Claim::Lost {
                        continue;
                    }
                    self.stats.thunks_forced += 1;
                    let code = Code::at(address);
                    let top = self.stack.top;
                    let result = match self.stack.push(code.n_locals as usize) {
                        Ok(locals) => {
                            let frame = Frame::new(code.unit(), locals, thunk.rest());
                            self.eval(frame, code.root)
                        }
                        Err(e) => Err(e),
                    };
                    self.stack.top = top;
                    return self.settle(thunk, word, code.captures.len as usize, result);
                }
                State::Call(n) => {
                    if thunk.claim(word, self.worker, self.alone) == Claim::Lost {
                        continue;
                    }
                    self.stats.thunks_forced += 1;
                    let rest = thunk.rest();
                    let result = self.call(Value(rest.word(0)), rest.skip(1).values(n));
                    return self.settle(thunk, word, 1 + n, result);
                }
                State::Element(index) => {
                    if thunk.claim(word, self.worker, self.alone) == Claim::Lost {
                        continue;
                    }
                    self.stats.thunks_forced += 1;
                    let result = self.run_element(thunk, index);
                    return self.settle(thunk, word, 0, result);
                }
                State::Running(worker) if worker != self.worker => self.wait_for(thunk)?,
                State::Running(_) => {
                    return Err(error::infinite_recursion().begin_cycle(thunk.address()));
                }
                State::Failed(number) => return Err(self.shared.failure(number)),
            }
        }
    }

    /// Ends the run of a thunk: publishes its value or its failure. With its value there, nobody needs the
    /// `n_rest` words that it was computed from.
    #[inline(always)]
    fn settle(
        &mut self,
        thunk: Thunk,
        word: u64,
        n_rest: usize,
        result: Result<Value, Error>,
    ) -> Result<Value, Error> {
        match result {
            Ok(value) if self.alone => {
                thunk.publish(value);
                self.bump.give_back(thunk.rest(), n_rest);
                Ok(value)
            }
            Ok(value) => {
                let value = self.settle_shared(thunk, word, value)?;
                self.bump.give_back(thunk.rest(), n_rest);
                Ok(value)
            }
            Err(e) => Err(self.failed(thunk, word, e)),
        }
    }

    #[cold]
    #[inline(never)]
    fn failed(&mut self, thunk: Thunk, word: u64, e: Error) -> Error {
        if e.kind() == error::ErrorKind::InfiniteRecursion {
            let location = match Thunk::state_of(word) {
                State::Code(address) => {
                    let code = Code::at(address);
                    Some(code.unit().location(code.root))
                }
                _ => None,
            };
            e.pass_cycle(thunk.address(), location);
        }
        // What merely stopped may be tried again with more time or memory. What a helper met is for the machine
        // that answers to meet in its own time.
        let after = if self.is_ahead() || e.is_retryable() {
            word
        } else {
            Thunk::failed_word(self.shared.remember(&e))
        };
        if thunk.settle(after) {
            self.shared.pool.wake();
        }
        e
    }

    /// Ends the run of a thunk that others may wait for.
    #[inline(never)]
    fn settle_shared(&mut self, thunk: Thunk, word: u64, value: Value) -> Result<Value, Error> {
        let is_spoiled = self.spoiled.get();
        if thunk.settle(if is_spoiled { word } else { value.0 }) {
            self.shared.pool.wake();
        }
        if is_spoiled { Err(error::cancelled()) } else { Ok(value) }
    }

    /// Waits for a thunk that another machine runs.
    ///
    /// # Errors
    /// When somebody asks to stop, or a helper has to give its work back.
    #[cold]
    #[inline(never)]
    fn wait_for(&mut self, thunk: Thunk) -> Result<(), Error> {
        match self.shared.pool.wait(self.worker, thunk) {
            Waited::Look => Ok(()),
            Waited::GiveUp => Err(error::cancelled()),
            Waited::Patience => {
                if let Some(why) = self.shared.unusable() {
                    return Err(why);
                }
                self.poll_now()
            }
        }
    }
}
