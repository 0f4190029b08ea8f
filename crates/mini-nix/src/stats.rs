//! `--stats`: what an evaluation did, printed to standard error when it ends.

use std::{ffi::OsString, time::Instant};

use nix_eval::stats::Stats;
use serde_json::json;

/// Statistics that somebody asked for.
pub(crate) struct Wanted {
    began: Instant,
    /// `NIX_SHOW_STATS_PATH`: a file to write to instead.
    path: Option<OsString>,
}

impl Wanted {
    /// By the switch, or by `NIX_SHOW_STATS` as C++ Nix has it: anything but `0`.
    pub(crate) fn of(switch: bool) -> Option<Wanted> {
        let asked = std::env::var("NIX_SHOW_STATS").is_ok_and(|value| value != "0");
        (switch || asked).then(|| Wanted {
            began: Instant::now(),
            path: std::env::var_os("NIX_SHOW_STATS_PATH"),
        })
    }

    /// Prints them; a file that cannot be written is a warning. `hit` says whether the answer was known; `None` where
    /// none is kept.
    pub(crate) fn print(&self, stats: &Stats, hit: Option<bool>) {
        let text = format!("{:#}\n", self.report(stats, hit));
        match &self.path {
            None => eprint!("{text}"),
            Some(path) => {
                if let Err(e) = std::fs::write(path, text) {
                    eprintln!("warning: statistics cannot be written to {}: {e}", path.display());
                }
            }
        }
    }

    /// Times in seconds, sizes in bytes.
    fn report(&self, stats: &Stats, hit: Option<bool>) -> serde_json::Value {
        json!({
            "time": {
                "wall": self.began.elapsed().as_secs_f64(),
                "cpu": cpu_seconds(),
                "read": stats.read_nanos as f64 / 1e9,
            },
            "evalCache": { "hit": hit },
            "files": { "number": stats.files, "known": stats.files_known, "bytes": stats.source_bytes },
            "thunks": {
                "made": stats.thunks_made,
                "avoided": stats.thunks_avoided,
                "forced": stats.thunks_forced,
            },
            "calls": { "functions": stats.calls, "builtins": stats.builtin_calls },
            "selections": { "cacheMisses": stats.select_misses },
            "sets": { "shapes": stats.shapes },
            "heap": { "bytes": stats.heap_bytes },
            "peakMemory": peak_memory(),
        })
    }
}

/// CPU time of this process, all threads, user and system, without its children.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most memory this process has had, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
