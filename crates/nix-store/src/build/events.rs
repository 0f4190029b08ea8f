//! What happens while something is realised, told to whoever shows it.

use nix_formats::store_path::StorePath;

/// How loud a message is; lower is more important. The numbers are those of `-v`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error = 0,
    /// Something is odd.
    Warn = 1,
    /// Worth knowing.
    Notice = 2,
    /// The normal course.
    Info = 3,
    /// More of it.
    Talkative = 4,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sentence without a subject of its own.
    Message {
        /// How important it is.
        level: Level,
        /// The sentence, perhaps over several lines, without a line break at the end.
        text: String,
    },
    /// What is about to be done, before the first build.
    Planned {
        /// The derivations that will be built, dependencies first.
        will_build: Vec<StorePath>,
    },
    /// A build has begun.
    BuildStarted {
        /// The derivation.
        drv: StorePath,
    },
    /// A builder wrote a line.
    LogLine {
        /// The derivation.
        drv: StorePath,
        /// The line without its end; bytes that are not UTF-8 are replaced. Control sequences
        /// are still in it: whoever shows it on a terminal has to strip them.
        line: String,
    },
    /// A builder entered a phase.
    Phase {
        /// The derivation.
        drv: StorePath,
        /// The phase, for example `buildPhase`.
        name: String,
    },
    /// A build has ended.
    BuildFinished {
        /// The derivation.
        drv: StorePath,
        /// Whether all outputs are valid now.
        success: bool,
    },
    /// The counts have changed.
    Progress {
        /// Builds that ended well.
        done: usize,
        /// Builds in all.
        expected: usize,
        /// Builds that run now.
        running: usize,
        /// Builds that failed, and those that cannot start because of it.
        failed: usize,
    },
}

/// Who is told. Called from several threads; a call should return soon, for the builder waits.
pub trait Events: Send + Sync {
    /// Takes note of one event.
    fn event(&self, event: Event);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn event(&self, _event: Event) {}
}
