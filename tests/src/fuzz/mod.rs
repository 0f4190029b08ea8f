//! Bytes from anywhere never panic, hang or abort what reads them, nor take its memory.
//!
//! A case changes inputs at random, from a seed, beginning with some that are accepted; one whose outcome is new is
//! kept and changed further. A few thousand in every run; how to ask for hours is in `docs/testing.md`.

mod kept;
mod seeds;
mod targets;

use std::{
    collections::HashSet,
    fs::File,
    os::unix::fs::FileExt,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use libtest_mimic::{Failed, Trial};

use self::targets::{TARGETS, Target};
use crate::programs::rng::Rng;

/// Inputs of a target in a run that asks for no time.
const FEW: usize = 2_000;
/// Longest input.
const MAX_BYTES: usize = 16 << 10;
/// Most inputs that are kept to be changed.
const MAX_KEPT: usize = 4_000;
/// No reader may need longer for such an input, on any machine: it hangs.
const TOO_LONG: Duration = Duration::from_secs(60);

/// Adds a case for each target.
pub(crate) fn collect(trials: &mut Vec<Trial>) {
    for target in TARGETS {
        let name = format!("fuzz/{}", target.name);
        trials.push(Trial::test(name, move || drive(target).map_err(Failed::from)));
    }
}

fn drive(target: &Target) -> Result<(), String> {
    if let Some(file) = std::env::var_os("MINI_NIX_FUZZ_INPUT") {
        let input =
            std::fs::read(&file).map_err(|e| format!("{}: {e}", PathBuf::from(file).display()))?;
        eprintln!("fuzz: {}: {}", target.name, (target.make)()(&input));
        return Ok(());
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let seconds = number("MINI_NIX_FUZZ_SECONDS").map(Duration::from_secs);
    let mut rng = Rng::new(number("MINI_NIX_FUZZ_SEED").unwrap_or(0));
    let mut kept = seeds::of(target.name)?;
    let n_seeds = kept.len();
    let mut outcomes = HashSet::new();
    let mut run = (target.make)();
    let cannot_keep = |e: std::io::Error| format!("cannot keep the input of now: {e}");
    let current = Current::new(target.name).map_err(cannot_keep)?;
    let start = Instant::now();
    let (mut n, mut n_read) = (0, 0);
    // Each seed as it is, then changed ones.
    while n < n_seeds || seconds.map_or(n < FEW, |seconds| start.elapsed() < seconds) {
        let input = if n < n_seeds { kept[n].clone() } else { mutant(&kept, n_seeds, &mut rng) };
        current.begin(&input).map_err(cannot_keep)?;
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| run(&input)))
            .map_err(|_| format!("input {n} panics; it is in {}", current.place.display()))?;
        n_read += usize::from(outcome.starts_with("read"));
        if outcomes.insert(gist(&outcome)) && n >= n_seeds && kept.len() < MAX_KEPT {
            kept.push(input);
        }
        n += 1;
        if n == n_seeds && n_read * 2 < n {
            return Err(format!("only {n_read} of {n} seeds are accepted"));
        }
    }
    if seconds.is_some() {
        eprintln!(
            "fuzz: {}: {n} inputs in {:.0?}, {n_read} accepted, {} outcomes, {}",
            target.name,
            start.elapsed(),
            outcomes.len(),
            peak_memory()
        );
    }
    current.end().map_err(cannot_keep)
}

/// The input that is read now, in a file: it is there when the process is not any more. A thread ends the process
/// when one takes too long.
struct Current {
    place: PathBuf,
    file: File,
    began: mpsc::Sender<()>,
}

impl Current {
    fn new(target: &str) -> std::io::Result<Current> {
        let name = format!("mini-nix-fuzz-{target}-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        let file = File::create(&place)?;
        let (began, begins) = mpsc::channel();
        let shown = place.clone();
        std::thread::spawn(move || {
            loop {
                match begins.recv_timeout(TOO_LONG) {
                    Ok(()) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        eprintln!("fuzz: {} needs more than {TOO_LONG:?}", shown.display());
                        std::process::abort();
                    }
                }
            }
        });
        Ok(Current { place, file, began })
    }

    fn begin(&self, input: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(input, 0)?;
        self.file.set_len(input.len() as u64)?;
        self.began.send(()).map_err(std::io::Error::other)
    }

    fn end(self) -> std::io::Result<()> {
        std::fs::remove_file(&self.place)
    }
}

/// An outcome without what differs between inputs of one kind: numbers and what is quoted.
fn gist(outcome: &str) -> String {
    let mut quoted = false;
    let plain = |c: &char| {
        quoted ^= matches!(c, '\'' | '"');
        !quoted && !c.is_numeric()
    };
    outcome.chars().filter(plain).take(60).collect()
}

/// The most memory that the process had.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    format!("{} at most", peak.map_or("unknown memory", str::trim))
}

/// Numbers at which sizes and counts go wrong.
const NUMBERS: [u64; 10] = [0, 1, 7, 8, 255, 1 << 31, 1 << 32, 1 << 62, u64::MAX - 7, u64::MAX];
/// What has a meaning in some of the languages.
const PIECES: [&[u8]; 26] = [
    b"\0",
    b"\"",
    b"\\",
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"''",
    b"${",
    b"\xff",
    b"\xc3\xa9",
    b"-9223372036854775808",
    b"1e999",
    b"/",
    b"..",
    b"*",
    b"{2,}",
    b"|",
    b" ",
    b"\r",
    b"=",
    b";",
    b"0x",
];

/// One of the inputs with up to eight changes, half the time one of the accepted ones that are the first.
fn mutant(kept: &[Vec<u8>], n_seeds: usize, rng: &mut Rng) -> Vec<u8> {
    let among = if rng.chance(50) { n_seeds } else { kept.len() };
    let mut bytes = kept[rng.below(among)].clone();
    for _ in 0..1 << rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        let longest = 1 << rng.below(7);
        let length = rng.below(longest).min(bytes.len() - at);
        match rng.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            1 if at < bytes.len() => bytes[at] = rng.next() as u8,
            2 => drop(bytes.drain(at..at + length)),
            3 => {
                let part = bytes[at..at + length].to_vec();
                let to = rng.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            4 => {
                let other = &kept[rng.below(kept.len())];
                let from = rng.below(other.len() + 1);
                let length = rng.below(64).min(other.len() - from);
                bytes.splice(at..at, other[from..from + length].iter().copied());
            }
            5 => {
                // A piece many times: depth and length.
                let part = bytes[at..at + length.min(8)].to_vec();
                let times = 1 << rng.below(10);
                bytes.splice(at..at, part.repeat(times));
            }
            6 if at + 8 <= bytes.len() => {
                let number = NUMBERS[rng.below(NUMBERS.len())];
                bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            7 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, rng.pick(&PIECES).iter().copied())),
        }
        bytes.truncate(MAX_BYTES);
    }
    bytes
}
