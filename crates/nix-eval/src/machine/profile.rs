//! What a machine tells about itself when its session is profiled.

use super::{Machine, stack::here};
use crate::{
    error::Error,
    profile::Site,
    value::{State, Thunk, Value},
};

impl Machine {
    /// The look of a step, which may begin something.
    #[cold]
    #[inline(never)]
    pub(super) fn look_at(&mut self, site: Option<Site>) -> Result<(), Error> {
        // All steps come through this function, so that the addresses they give can be compared.
        if let Some(sampler) = &mut self.sampler {
            sampler.step(site, here());
        }
        self.look()
    }

    /// What forcing this thunk begins.
    #[cold]
    pub(super) fn site_of(v: Value) -> Option<Site> {
        match Thunk::state_of(Thunk(v.cells()).state_word()) {
            State::Code(address) => Some(Site::Thunk(address)),
            // A suspended call tells itself what it begins.
            _ => None,
        }
    }

    /// Runs `code` as a frame of its own.
    #[inline(never)]
    pub(super) fn in_frame<T>(&mut self, site: Site, code: impl FnOnce(&mut Machine) -> T) -> T {
        let entered = self.sampler.as_mut().map(|sampler| sampler.enter(site, here()));
        let value = code(self);
        if let (Some(sampler), Some(entered)) = (&mut self.sampler, entered) {
            sampler.leave(entered);
        }
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
