//! Engines with helpers leave nothing behind: neither memory nor threads nor files. Alone in its process, because it
//! looks at the memory of the process.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::ThreadId,
    time::Duration,
};

use nix_eval::{
    Engine, EngineOptions, ErrorKind, Show,
    host::{Host, HostCx, HostError, MemoryHost, Metadata, NixPath},
};

const N_ENGINES: usize = 100;

/// Notes which threads read files. The first takes a while, so that helpers have begun before all is done.
struct Threads {
    files: MemoryHost,
    seen: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Host for Threads {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.seen.lock().expect("no panic").insert(std::thread::current().id());
        if path.text == b"/w/0.nix" {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.files.read_file(path, cx)
    }

    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        self.files.metadata(path, follow, cx)
    }
}

/// Resident bytes, open files, threads.
fn used() -> (i64, usize, usize) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: i64 = text.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    let count = |dir: &str| std::fs::read_dir(dir).expect("Linux").count();
    (pages * 4096, count("/proc/self/fd"), count("/proc/self/task"))
}

/// Uses an engine in every way that ends helpers: a result, an error, a request that is stopped, a limit. Gives how
/// many threads took part.
fn work(n: usize) -> usize {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let files: Vec<(String, String)> =
        (0..32).map(|i| (format!("/w/{i}.nix"), format!("n: fib: fib 14 + {i} + n"))).collect();
    let files = MemoryHost::new(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let mut options = EngineOptions::default();
    options.host = Arc::new(Threads { files, seen: seen.clone() });
    options.eval_cores = 2;
    let session = Engine::new(options).evaluator();
    let fib = "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in ";
    let eval = |text: &str| {
        let value = session.eval(&format!("{fib}{text}"), "work", b"/w")?;
        value.show(Show::Deep)
    };
    let files = "builtins.genList (i: import (./. + \"/${toString i}.nix\") 1 fib) 32";
    assert!(eval(&format!("builtins.deepSeq ({files}) {n}")).is_ok());
    let texts = "builtins.genList (i: builtins.concatStringsSep \",\" (builtins.genList (j: \"${toString (i * j)}\") 200)) 50";
    assert!(eval(texts).is_ok());
    let fails = "builtins.genList (i: if i == 31 then throw \"no\" else { a = fib (i / 4); }) 32";
    assert!(eval(fails).is_err());
    let token = session.cancel_token();
    let puller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(3));
        token.cancel();
    });
    let stopped = eval("builtins.genList (i: fib 40) 8").expect_err("stopped");
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    puller.join().expect("no panic");
    session.cancel_token().reset();
    let mut limits = session.engine().options().limits;
    limits.heap_bytes = 4 << 20;
    session.set_limits(limits);
    let greedy = eval("builtins.genList (i: builtins.genList (j: [ i j ]) 1000000) 8");
    assert_eq!(greedy.expect_err("too big").kind(), ErrorKind::Limit);
    // A value that outlives its session, for a while.
    let value = session.eval("{ a = 1; }", "work", b"/w").expect("a good program");
    drop(session);
    assert!(value.get("a").is_err() || value.get("a").and_then(|a| a.to_int()).is_ok());
    seen.lock().expect("no panic").len()
}

#[test]
fn a_hundred_engines_with_helpers_leave_nothing_behind() {
    for n in 0..N_ENGINES / 2 {
        work(n);
    }
    let before = used();
    let n_threads: usize = (0..N_ENGINES).map(work).sum();
    let after = used();
    assert!(
        n_threads > N_ENGINES + N_ENGINES / 2,
        "helpers read files in {} of {N_ENGINES}",
        n_threads - N_ENGINES
    );
    let grown = after.0 - before.0;
    assert!(grown < 1 << 20, "{grown} bytes more after {N_ENGINES} engines");
    assert_eq!((after.1, after.2), (before.1, before.2), "files or threads are left");
}
