//! Where evaluation spends its time: stacks of functions, thunks and builtins, with the time of each.
//!
//! A session that is profiled ([`crate::Evaluator::start_profile`]) looks at the clock at every step, which is
//! every call and every forced thunk, and gives the time since the last step to what was running. The result
//! is plain data that outlives the session. `sampler` does that while programs run, `tree` holds what came
//! of it, `names` turns places into text.

mod names;
mod sampler;
mod tree;

use std::{
    collections::HashMap,
    io::{self, Write},
    time::Duration,
};

pub(crate) use self::sampler::{Profiling, Sampler, Site, Until};
use self::tree::Tree;

/// What time before the first call, and between requests' last steps and their ends, is called.
const NO_FRAME: &str = "(top level)";

/// Where evaluations of a session spent their time.
///
/// A frame is `NAME (FILE:LINE:COLUMN)` for what is written in Nix, where `NAME` is what it is bound to, or else
/// `function` or `expression`, or `file` for the whole of one; `builtins.NAME` for a builtin; `read FILE` for turning a text into a program.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    frames: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    stacks: Tree<u32>,
}

impl Profile {
    /// The stacks that were met, outermost frame first, and the time of each when its last frame itself was
    /// running. None is there twice.
    pub fn stacks(&self) -> impl Iterator<Item = (Vec<&str>, Duration)> {
        self.stacks.all().map(|(stack, nanos)| {
            let frames = stack.iter().map(|&frame| &*self.frames[frame as usize]).collect();
            (frames, Duration::from_nanos(nanos))
        })
    }

    /// Frames with the time that they themselves were running, most first.
    pub fn hottest(&self) -> Vec<(&str, Duration)> {
        let mut times = vec![0; self.frames.len()];
        for (stack, nanos) in self.stacks.all() {
            if let Some(&frame) = stack.last() {
                times[frame as usize] += nanos;
            }
        }
        let frames = self.frames.iter().map(|frame| &**frame);
        let mut all: Vec<(&str, Duration)> =
            frames.zip(times.into_iter().map(Duration::from_nanos)).collect();
        all.retain(|(_, time)| !time.is_zero());
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }

    /// All the time together.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.stacks.all().map(|(_, nanos)| nanos).sum())
    }

    /// Adds what another session did.
    pub fn add(&mut self, other: &Profile) {
        for (stack, nanos) in other.stacks.all() {
            let stack = stack.iter().map(|&frame| &*other.frames[frame as usize]);
            self.put(stack.collect::<Vec<_>>(), nanos);
        }
    }

    /// Writes the stacks as lines `FRAME;FRAME;FRAME MICROSECONDS`, the input of `flamegraph.pl`, inferno and
    /// speedscope.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_folded(&self, out: &mut dyn Write) -> io::Result<()> {
        for (stack, time) in self.stacks() {
            let micros = time.as_micros();
            if micros == 0 {
                continue;
            }
            if stack.is_empty() {
                out.write_all(NO_FRAME.as_bytes())?;
            }
            for (i, frame) in stack.iter().enumerate() {
                out.write_all(if i == 0 { b"" } else { b";" })?;
                out.write_all(frame.as_bytes())?;
            }
            writeln!(out, " {micros}")?;
        }
        Ok(())
    }

    fn put<S: AsRef<str>>(&mut self, stack: impl IntoIterator<Item = S>, nanos: u64) {
        let mut at = Tree::<u32>::ROOT;
        for frame in stack {
            let frame = self.frame(frame.as_ref());
            at = self.stacks.below(at, frame);
        }
        self.stacks.add(at, nanos);
    }

    fn frame(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.frames.len() as u32;
        self.frames.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }
}

#[cfg(test)]
mod tests;
