//! What the user may choose about building.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whether builds run in a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// All builds do. A sandbox that cannot be had is an error, never a build without one.
    #[default]
    On,
    /// All but fixed-output derivations and those with `__noChroot`.
    Relaxed,
    /// None does. Only for stores whose files lie at their logical place.
    Off,
}

/// A path of the host that is shown in the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SandboxPath {
    /// Where it appears, absolute.
    pub target: PathBuf,
    /// Where it lies on the host, absolute.
    pub source: PathBuf,
    /// Left out without an error if the source does not exist.
    pub optional: bool,
}

impl SandboxPath {
    /// Reads the form of the setting `sandbox-paths`: `target`, `target=source`, either with a
    /// trailing `?` for optional. `None` if a path is not absolute.
    pub fn parse(text: &str) -> Option<SandboxPath> {
        let (text, optional) = match text.strip_suffix('?') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (target, source) = text.split_once('=').unwrap_or((text, text));
        if !target.starts_with('/') || !source.starts_with('/') {
            return None;
        }
        Some(SandboxPath { target: target.into(), source: source.into(), optional })
    }
}

/// Asked every tenth of a second while something is built; `true` stops all of it.
pub type Cancelled = Arc<dyn Fn() -> bool + Send + Sync>;

/// What the user may choose about building.
#[derive(Clone)]
pub struct BuildSettings {
    /// How many builds run at the same time; 0 refuses to build at all.
    pub max_jobs: usize,
    /// `NIX_BUILD_CORES`; 0 means the number of processors.
    pub cores: usize,
    /// Whether builds run in a sandbox.
    pub sandbox: SandboxMode,
    /// Paths of the host shown in every sandbox. If none of them is `/bin/sh`, the shell is found
    /// by the sandbox.
    pub sandbox_paths: Vec<SandboxPath>,
    /// Prefixes of the host's file system that a derivation may ask for with `__impureHostDeps`.
    pub allowed_impure_host_deps: Vec<PathBuf>,
    /// The build directory as the builder sees it.
    pub sandbox_build_dir: PathBuf,
    /// The system that this machine builds for, for example `x86_64-linux`.
    pub system: String,
    /// Further systems that it can build for.
    pub extra_platforms: BTreeSet<String>,
    /// What derivations may demand in `requiredSystemFeatures`.
    pub system_features: BTreeSet<String>,
    /// Whether the build directory of a failed build stays.
    pub keep_failed: bool,
    /// Whether other builds go on after a failure.
    pub keep_going: bool,
    /// Whether valid outputs are built again and compared.
    pub check: bool,
    /// Whether nothing is built, only planned.
    pub dry_run: bool,
    /// How long one build may take; `None` for ever.
    pub timeout: Option<Duration>,
    /// How long a builder may write nothing; `None` for ever.
    pub max_silent: Option<Duration>,
    /// How many bytes a builder may write to its log; `None` for no limit.
    pub max_log_bytes: Option<u64>,
    /// How many last log lines a failure report carries.
    pub log_lines: usize,
    /// Values for `impureEnvVars` that win over the environment of this process.
    pub impure_env: BTreeMap<String, String>,
    /// The environment in which `impureEnvVars` are looked up.
    pub environment: BTreeMap<Vec<u8>, Vec<u8>>,
    /// When to stop.
    pub cancelled: Option<Cancelled>,
}

impl std::fmt::Debug for BuildSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildSettings")
            .field("max_jobs", &self.max_jobs)
            .field("cores", &self.cores)
            .field("sandbox", &self.sandbox)
            .field("system", &self.system)
            .finish_non_exhaustive()
    }
}

impl BuildSettings {
    /// One job, sandboxed, for the system that this program was compiled for, with the features
    /// that every Linux machine has.
    pub fn new() -> BuildSettings {
        let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let system = if cfg!(target_arch = "x86") { "i686-linux".to_owned() } else { system };
        let extra_platforms = if cfg!(target_arch = "x86_64") { &["i686-linux"][..] } else { &[] };
        let mut features: BTreeSet<String> =
            ["nixos-test", "benchmark", "big-parallel"].map(str::to_owned).into();
        if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() {
            features.insert("kvm".to_owned());
        }
        BuildSettings {
            max_jobs: 1,
            cores: 0,
            sandbox: SandboxMode::On,
            sandbox_paths: Vec::new(),
            allowed_impure_host_deps: Vec::new(),
            sandbox_build_dir: PathBuf::from("/build"),
            system,
            extra_platforms: extra_platforms.iter().map(|&text| text.to_owned()).collect(),
            system_features: features,
            keep_failed: false,
            keep_going: false,
            check: false,
            dry_run: false,
            timeout: None,
            max_silent: None,
            max_log_bytes: None,
            log_lines: 25,
            impure_env: BTreeMap::new(),
            environment: BTreeMap::new(),
            cancelled: None,
        }
    }

    /// `cores` with 0 replaced by the number of processors.
    pub fn effective_cores(&self) -> usize {
        match self.cores {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Whether a cancellation was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.as_ref().is_some_and(|cancelled| cancelled())
    }
}

impl Default for BuildSettings {
    fn default() -> Self {
        BuildSettings::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_path_may_name_a_source_and_be_optional() {
        let path = SandboxPath::parse("/bin/sh=/usr/bin/busybox?").unwrap();
        assert_eq!(path.target, PathBuf::from("/bin/sh"));
        assert_eq!(path.source, PathBuf::from("/usr/bin/busybox"));
        assert!(path.optional);
        assert_eq!(SandboxPath::parse("/a").unwrap().source, PathBuf::from("/a"));
        assert_eq!(SandboxPath::parse("a=/b"), None);
    }
}
