//! What a machine tells about itself when its session is profiled.

use super::{Machine, stack::here};
use crate::{
    error::Error,
    profile::{Site, Until},
    value::{Builtin, State, Thunk, Value},
};

/// What a step begins.
#[derive(Clone, Copy)]
pub(super) enum Begins<'a> {
    /// Forcing a thunk.
    Thunk(Value),
    /// A call of the function at this address.
    Function(usize),
    /// A call that ends with [`Machine::builtin_ended`].
    Builtin(&'a Builtin),
}

impl Machine {
    /// The look of a step, which may begin something.
    #[cold]
    #[inline(never)]
    pub(super) fn look_at(&mut self, begins: Option<Begins<'_>>) -> Result<(), Error> {
        self.look()?;
        // All steps come through this function, so that the addresses they give can be compared.
        let Some(sampler) = &mut self.sampler else { return Ok(()) };
        let begins = begins.and_then(|begins| match begins {
            Begins::Thunk(v) => {
                let thunk = Thunk(v.cells());
                match Thunk::state_of(thunk.state_word()) {
                    State::Code(address) => Some((Site::Thunk(address), Until::Settled(thunk))),
                    // A suspended call tells itself what it begins.
                    _ => None,
                }
            }
            Begins::Function(address) => Some((Site::Function(address), Until::Depth(self.depth))),
            Begins::Builtin(builtin) => Some((Site::of(builtin), Until::Left)),
        });
        sampler.step(begins, here(), self.depth);
        Ok(())
    }

    /// Ends what a step with [`Begins::Builtin`] began.
    #[inline(always)]
    pub(super) fn builtin_ended(&mut self) {
        if self.sampler.is_some() {
            self.leave();
        }
    }

    #[cold]
    #[inline(never)]
    fn leave(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            sampler.leave();
        }
    }

    /// A step that is not counted.
    pub(super) fn note_step(&mut self) {
        if let Some(sampler) = &mut self.sampler {
            sampler.step(None, here(), self.depth);
        }
    }

    /// Runs `code` as a frame of its own.
    pub(super) fn in_frame<T>(&mut self, site: Site, code: impl FnOnce(&mut Machine) -> T) -> T {
        if let Some(sampler) = &mut self.sampler {
            sampler.step(Some((site, Until::Left)), here(), self.depth);
        }
        let value = code(self);
        self.builtin_ended();
        value
    }

    /// The native stack goes on in another segment, or comes back from it.
    pub(super) fn note_segment(&mut self, begins: bool) {
        match &mut self.sampler {
            Some(sampler) if begins => sampler.begin_segment(),
            Some(sampler) => sampler.end_segment(),
            None => {}
        }
    }

    /// Lets requests that code of the embedder makes go on with the profile of this one.
    pub(crate) fn lend_profile(&mut self) {
        self.shared.profiling.lend(self.sampler.take());
    }

    /// Ends what [`Machine::lend_profile`] began.
    pub(crate) fn take_profile_back(&mut self) {
        self.sampler = self.shared.profiling.back();
    }

    /// Hands over what was gathered.
    pub(crate) fn end_profile(&mut self) {
        if let Some(sampler) = self.sampler.take() {
            self.shared.profiling.end(sampler);
        }
    }
}
