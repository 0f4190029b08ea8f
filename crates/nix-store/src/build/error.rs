//! Why something could not be realised.

use std::path::PathBuf;

use nix_formats::store_path::StorePath;

use crate::error::StoreError;

/// Why a realisation as a whole did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something can be neither built nor fetched; a sentence.
    #[error("{0}")]
    Impossible(String),
    /// Builds were tried and failed.
    #[error("{0}")]
    Failed(Box<FailureReport>),
    /// The caller asked to stop.
    #[error("interrupted by the user")]
    Cancelled,
}

impl BuildError {
    /// The exit code for it: 96 plus one bit per class of failure, or 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            BuildError::Failed(report) => report.exit_code(),
            _ => 1,
        }
    }
}

/// Which builds failed, and what that cost.
#[derive(Clone, Debug, Default)]
pub struct FailureReport {
    /// The builds that failed themselves, in the order in which they did.
    pub failures: Vec<BuildFailure>,
    /// The derivations that cannot be built because they need one of these, sorted.
    pub dependants: Vec<StorePath>,
    /// All derivations that were not built: the dependants, and those that were stopped or not
    /// begun because a failure ends everything. Sorted.
    pub not_attempted: Vec<StorePath>,
    /// How many builds succeeded.
    pub n_built: usize,
}

impl FailureReport {
    /// The exit code for it: 96 plus the bits of all failures, or 1 if none of them was a build
    /// that ran.
    pub fn exit_code(&self) -> u8 {
        let bits = self.failures.iter().fold(0, |bits, failure| bits | failure.kind.exit_bits());
        if bits == 0 { 1 } else { 96 + bits }
    }
}

impl std::fmt::Display for FailureReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, failure) in self.failures.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{failure}")?;
        }
        if !self.dependants.is_empty() {
            let names: Vec<&str> = self.dependants.iter().map(display_name).collect();
            let n = names.len();
            let noun = if n == 1 { "dependant" } else { "dependants" };
            write!(f, "\n{n} {noun} not built: {}", names.join(", "))?;
        }
        if self.failures.len() > 1 {
            let (failed, waiting) = (self.failures.len(), self.not_attempted.len());
            write!(f, "\n{failed} failed, {waiting} not attempted, {} built", self.n_built)?;
        }
        Ok(())
    }
}

/// The name of a derivation without `.drv`.
pub(crate) fn display_name(drv: &StorePath) -> &str {
    let name = drv.name();
    name.strip_suffix(".drv").unwrap_or(name)
}

/// What kind of failure it was; the exit code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The builder failed.
    Builder,
    /// The builder wrote more than `max-build-log-size`.
    LogLimit,
    /// The builder took longer than `timeout`, or was silent longer than `max-silent-time`.
    TimedOut,
    /// A fixed output has other contents than promised.
    HashMismatch,
    /// A second build gave other contents.
    NotDeterministic,
    /// The builder succeeded, but an output is missing or breaks a rule.
    Output,
    /// The builder was not started: wrong system, missing feature, no sandbox.
    NotStarted,
    /// The store failed before, during or after the build.
    Store,
}

impl FailureKind {
    fn exit_bits(self) -> u8 {
        match self {
            FailureKind::Builder | FailureKind::Output | FailureKind::LogLimit => 4,
            FailureKind::TimedOut => 4 | 1,
            FailureKind::HashMismatch => 4 | 2,
            FailureKind::NotDeterministic => 8,
            FailureKind::NotStarted | FailureKind::Store => 0,
        }
    }
}

/// One build that failed.
#[derive(Clone, Debug)]
pub struct BuildFailure {
    /// The derivation.
    pub drv: StorePath,
    /// Full logical path of the derivation.
    pub drv_path: String,
    /// What kind of failure it was.
    pub kind: FailureKind,
    /// The sentence, without `error:` and without a full stop. May have several lines.
    pub message: String,
    /// The builder and its arguments, as one would type them.
    pub command: String,
    /// Full logical paths of the outputs.
    pub output_paths: Vec<String>,
    /// The last lines of the log.
    pub log_tail: Vec<String>,
    /// How many lines the log has in all.
    pub n_log_lines: u64,
    /// Where the whole log lies, if there is one.
    pub log_file: Option<PathBuf>,
    /// The build directory, if it was kept.
    pub kept_dir: Option<PathBuf>,
    /// Whether a full disk may be the cause.
    pub disk_nearly_full: bool,
}

impl std::fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if !matches!(self.kind, FailureKind::HashMismatch | FailureKind::NotDeterministic) {
            write!(f, "\n   {}", self.drv_path)?;
        }
        if matches!(self.kind, FailureKind::Builder | FailureKind::TimedOut | FailureKind::LogLimit)
        {
            write!(f, "\n   builder: {}", self.command)?;
        }
        if !self.log_tail.is_empty() {
            let (shown, all) = (self.log_tail.len(), self.n_log_lines);
            write!(f, "\n   last {shown} of {all} log lines:")?;
            for line in &self.log_tail {
                write!(f, "\n   > {line}")?;
            }
            write!(f, "\n   full log: mini-nix log {}", self.drv_path)?;
        }
        if let Some(dir) = &self.kept_dir {
            write!(f, "\n   kept build directory: {}", dir.display())?;
        } else if self.kind == FailureKind::Builder {
            write!(f, "\n   kept build directory: (none; use --keep-failed)")?;
        }
        if self.disk_nearly_full {
            write!(
                f,
                "\n   note: the build failure may have been caused by lack of free disk space"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kind: FailureKind) -> BuildFailure {
        BuildFailure {
            drv: StorePath::from_base_name("00000000000000000000000000000000-a.drv").unwrap(),
            drv_path: "/nix/store/00000000000000000000000000000000-a.drv".into(),
            kind,
            message: "builder for 'a' failed with exit code 1".into(),
            command: "/bin/sh -c false".into(),
            output_paths: Vec::new(),
            log_tail: Vec::new(),
            n_log_lines: 0,
            log_file: None,
            kept_dir: None,
            disk_nearly_full: false,
        }
    }

    fn code(kinds: &[FailureKind]) -> u8 {
        let failures = kinds.iter().map(|&kind| failure(kind)).collect();
        FailureReport { failures, ..FailureReport::default() }.exit_code()
    }

    #[test]
    fn exit_codes_are_the_sum_of_what_failed() {
        assert_eq!(code(&[FailureKind::Builder]), 100);
        assert_eq!(code(&[FailureKind::TimedOut]), 101);
        assert_eq!(code(&[FailureKind::HashMismatch]), 102);
        assert_eq!(code(&[FailureKind::NotDeterministic]), 104);
        assert_eq!(code(&[FailureKind::NotDeterministic, FailureKind::Output]), 108);
        assert_eq!(code(&[FailureKind::NotStarted]), 1);
        assert_eq!(code(&[FailureKind::NotStarted, FailureKind::Builder]), 100);
    }
}
