//! Counters of one evaluator.

/// What evaluation has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Thunks made.
    pub thunks_made: u64,
    /// Suspensions that were computed at once because their operands were at hand.
    pub thunks_avoided: u64,
    /// Thunks forced.
    pub thunks_forced: u64,
    /// Calls of functions written in Nix.
    pub calls: u64,
    /// Calls of builtins.
    pub builtin_calls: u64,
    /// Selections that missed their inline cache.
    pub select_misses: u64,
    /// Files loaded.
    pub files: u64,
    /// Those of them whose programs were kept.
    pub files_known: u64,
    /// Bytes of all those files.
    pub source_bytes: u64,
    /// Nanoseconds spent turning their texts into programs.
    pub read_nanos: u64,
    /// Bytes of heap handed out.
    pub heap_bytes: u64,
    /// Interned shapes.
    pub shapes: u64,
    /// Steps of the current request.
    pub steps: u64,
}

impl Stats {
    /// Adds the counters of another machine or request.
    pub(crate) fn add(&mut self, other: &Stats) {
        self.thunks_made += other.thunks_made;
        self.thunks_avoided += other.thunks_avoided;
        self.thunks_forced += other.thunks_forced;
        self.calls += other.calls;
        self.builtin_calls += other.builtin_calls;
        self.select_misses += other.select_misses;
        self.files += other.files;
        self.files_known += other.files_known;
        self.source_bytes += other.source_bytes;
        self.read_nanos += other.read_nanos;
        self.steps = other.steps;
    }
}
