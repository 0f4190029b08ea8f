//! Many files at once: one engine, one session per thread, a failure does not sink the rest, and one token
//! stops all of it.
//!
//! `cargo run -p nix-eval --example parallel`

use std::{
    error::Error,
    io::Write,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nix_eval::{
    Engine, Show,
    host::{MemoryHost, NixPath},
};

const N_FILES: usize = 200;
const N_THREADS: usize = 4;

/// The files: each imports a library, and every fiftieth is wrong.
fn files() -> MemoryHost {
    let lib =
        "{ fib = n: let f = a: b: n: if n == 0 then a else f b (a + b) (n - 1); in f 0 1 n; }";
    let jobs = (0..N_FILES).map(|n| {
        let text = match n % 50 {
            49 => "throw \"not for this platform\"".to_owned(),
            _ => format!("{{ name = \"job-{n}\"; value = (import /lib.nix).fib {}; }}", n % 80),
        };
        (format!("/jobs/{n}.nix"), text)
    });
    MemoryHost::new(jobs.chain([("/lib.nix".to_owned(), lib.to_owned())]))
}

/// Writes the results in the order of the files, whatever the order of evaluation was.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().host(files()).build()?;
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<String, String>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..N_THREADS {
            scope.spawn(|| {
                // Sessions share what does not change; each has a heap of its own, so none waits for another.
                let session = engine.evaluator();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= N_FILES {
                        break;
                    }
                    let file = NixPath::root(format!("/jobs/{n}.nix"));
                    let value = session.import(&file).and_then(|job| job.show(Show::Json));
                    let result = match value {
                        Ok(shown) => Ok(String::from_utf8_lossy(&shown).into_owned()),
                        Err(e) => Err(e.report().to_json()),
                    };
                    results.lock().unwrap_or_else(|e| e.into_inner()).push((n, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
    results.sort();
    let n_failed = results.iter().filter(|(_, result)| result.is_err()).count();
    writeln!(out, "{} files, {n_failed} failed", results.len())?;
    for (n, result) in results.iter().filter(|(n, _)| n % 49 == 0) {
        match result {
            Ok(shown) => writeln!(out, "{n}: {shown}")?,
            Err(report) => writeln!(out, "{n}: {report}")?,
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "the test calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}
