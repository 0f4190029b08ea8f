//! What one process costs.
#![expect(unsafe_code, reason = "only wait4 tells the usage of one child")]

use std::{
    io,
    process::{Command, Stdio},
    time::Instant,
};

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Milliseconds on the clock.
    pub(crate) wall: f64,
    /// Milliseconds of the processor, user and system, children that it waited for included.
    pub(crate) cpu: f64,
    /// The most memory at a time, in MiB.
    pub(crate) peak: f64,
    /// Page faults that read nothing from a disk, in thousands.
    pub(crate) faults: f64,
}

/// Runs a command to its end, silently.
///
/// # Errors
/// A program that is not there, with the package to install; one that fails.
pub(crate) fn run(command: &mut Command) -> Result<Cost, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => format!("{command:?}: {e} (apt-get install nix-bin)"),
        _ => format!("{command:?}: {e}"),
    })?;
    let pid = child.id().cast_signed();
    let mut status = 0;
    // SAFETY: plain numbers, for which all bits zero are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the child is ours and was not waited for; both addresses are those of live variables.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            break;
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(format!("{command:?}: {e}"));
        }
    }
    let wall = start.elapsed().as_secs_f64() * 1e3;
    if !libc::WIFEXITED(status) || libc::WEXITSTATUS(status) != 0 {
        return Err(format!("{command:?} failed"));
    }
    let milliseconds = |time: libc::timeval| time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3;
    Ok(Cost {
        wall,
        cpu: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
        peak: usage.ru_maxrss as f64 / 1024.0,
        faults: usage.ru_minflt as f64 / 1e3,
    })
}

/// What the evaluator of a command allocates, in MiB, by its statistics; those of C++ Nix and ours have the
/// figure at different places, and neither counts programs that were read.
///
/// No number when nothing was evaluated, and so nothing said.
///
/// # Errors
/// As [`run`], and when the statistics have no such figure.
pub(crate) fn heap(command: &mut Command) -> Result<f64, String> {
    let file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    command.env("NIX_SHOW_STATS", "1").env("NIX_SHOW_STATS_PATH", file.path());
    let result = run(command);
    command.env_remove("NIX_SHOW_STATS").env_remove("NIX_SHOW_STATS_PATH");
    result?;
    let text = std::fs::read_to_string(file.path()).map_err(|e| e.to_string())?;
    if text.is_empty() {
        return Ok(f64::NAN);
    }
    let stats: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("{command:?}: its statistics: {e}"))?;
    let bytes = stats.pointer("/heap/bytes").or_else(|| stats.pointer("/gc/totalBytes"));
    let bytes = bytes.and_then(serde_json::Value::as_f64);
    bytes.map(|n| n / 1_048_576.0).ok_or_else(|| format!("{command:?}: no heap in {text}"))
}

/// The middle of some runs, each figure by itself.
pub(crate) fn middle(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost {
        wall: of(|c| c.wall),
        cpu: of(|c| c.cpu),
        peak: of(|c| c.peak),
        faults: of(|c| c.faults),
    }
}
