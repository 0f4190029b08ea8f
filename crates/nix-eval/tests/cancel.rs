//! Cancelling takes effect within ten milliseconds, whatever is running. They are milliseconds of the thread that
//! evaluates: how long it works on after the token was pulled, however busy the machine is.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{sync::mpsc, time::Duration};

use nix_eval::{Engine, ErrorKind, Limits, Show};

/// A string of 64 MiB and a list of two million, made before the part that is measured.
const LARGE: &str = "
    let
      s = builtins.concatStringsSep \"\" (builtins.genList (x: \"0123456789abcdef\") 65536);
      big = builtins.concatStringsSep \"\" (builtins.genList (x: s) 64);
      list = builtins.genList (x: (x * 7919) - (x * 7919 / 1000003) * 1000003) 1000000;
      pairs = map (x: { name = \"n${toString x}\"; value = x; }) list;
    in { inherit s big list pairs; }";

/// More than anybody may take.
const TOO_LATE: Duration = Duration::from_secs(1);

/// The clock of a thread's own work, which other threads can read.
#[derive(Clone, Copy)]
struct Work(libc::clockid_t);

impl Work {
    /// That of the current thread.
    fn of_this_thread() -> Work {
        let mut clock = 0;
        // SAFETY: the thread lives, and the address is that of a live variable.
        #[expect(unsafe_code, reason = "no safe crate reads the clock of another thread")]
        let failed = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        assert_eq!(failed, 0);
        Work(clock)
    }

    /// What the thread has worked so far; it must live.
    fn so_far(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the address is that of a live variable.
        #[expect(unsafe_code, reason = "as above")]
        let failed = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        assert_eq!(failed, 0);
        Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
    }
}

/// How long after the token was pulled the request worked on; zero if it ended before.
fn latency(prepare: &str, text: &str) -> Duration {
    let mut limits = Limits::default();
    limits.deadline = Some(Duration::from_secs(20));
    let session = Engine::builder().limits(limits).build().unwrap().evaluator();
    let data = session.eval(LARGE, "data", b"/").unwrap();
    for name in prepare.split_whitespace() {
        data.get(name).unwrap().force_deep().unwrap();
    }
    let token = session.cancel_token();
    let (started, start) = mpsc::channel();
    let (done, end) = mpsc::channel();
    let (read, may_end) = mpsc::channel();
    std::thread::scope(|scope| {
        let (session, data) = (&session, &data);
        scope.spawn(move || {
            let f = session.eval(&format!("{{ s, big, list, pairs }}: {text}"), "measured", b"/");
            let f = f.unwrap();
            let work = Work::of_this_thread();
            started.send(work).unwrap();
            let result = f.call(std::slice::from_ref(data)).and_then(|v| v.show(Show::Shallow));
            done.send((work.so_far(), result.err().map(|e| e.kind()))).unwrap();
            // Its clock is gone with the thread.
            may_end.recv().unwrap();
        });
        let work: Work = start.recv().unwrap();
        std::thread::sleep(Duration::from_millis(15));
        let pulled = work.so_far();
        token.cancel();
        let (ended, kind) = end.recv().unwrap();
        read.send(()).unwrap();
        let late = ended.saturating_sub(pulled);
        // What ended by itself before counts as well; what went on does not.
        let is_cancelled = kind == Some(ErrorKind::Cancelled);
        if is_cancelled || late < Duration::from_millis(2) { late } else { late.max(TOO_LATE) }
    })
}

#[test]
fn everything_can_be_cancelled_at_once() {
    let mut slow = Vec::new();
    for (prepare, text) in [
        ("", "let f = n: f (n + 1); in f 0"),
        (
            "",
            "let f = n: 1 + f (n + 1); g = n: if builtins.tryEval (f 0) == 1 then 1 else g n; in g 0",
        ),
        (
            "",
            "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = x: [ { key = x.key + 1; } ]; }",
        ),
        ("list", "builtins.length (builtins.sort (a: b: a < b) list)"),
        ("list", "builtins.length (builtins.sort builtins.lessThan list)"),
        ("list", "builtins.foldl' (a: b: a + b) 0 (list ++ list ++ list ++ list)"),
        ("list", "builtins.elem (-1) (builtins.concatLists (builtins.genList (x: list) 20))"),
        ("list", "builtins.length (builtins.concatMap (x: [ x x x x ]) list)"),
        ("list", "builtins.stringLength (builtins.toJSON (builtins.genList (x: list) 20))"),
        ("list", "builtins.stringLength (builtins.toXML (builtins.genList (x: list) 20))"),
        ("list", "builtins.stringLength (toString (builtins.genList (x: list) 20))"),
        ("list", "builtins.length (builtins.attrNames (builtins.groupBy toString list))"),
        ("pairs", "builtins.length (builtins.attrNames (builtins.listToAttrs (pairs ++ pairs)))"),
        ("pairs", "(builtins.listToAttrs pairs) == (builtins.listToAttrs pairs)"),
        ("big", "builtins.hashString \"sha512\" (big + big + big + big)"),
        ("big", "builtins.match \".*(0.*f)*x\" big"),
        ("big", "builtins.length (builtins.split \"(ab|cd)\" big)"),
        (
            "big",
            "builtins.stringLength (builtins.replaceStrings [ \"012\" \"f\" \"xyz\" ] [ \"\" \"ff\" \"\" ] (big + big))",
        ),
        (
            "big",
            "builtins.fromJSON (\"[\" + builtins.replaceStrings [ \"0123456789abcdef\" ] [ \"123456789,1234,\" ] big + \"1]\")",
        ),
        ("big", "builtins.stringLength (builtins.toJSON (builtins.genList (x: big) 20))"),
        ("s", "builtins.match \"(a*)*b\" s"),
        (
            "big",
            "builtins.fromTOML (\"a = [\" + builtins.replaceStrings [ \"0123456789abcdef\" ] [ \"123456789,1.5,'x',\" ] big + \"1]\")",
        ),
        (
            "big",
            "builtins.fromTOML (builtins.replaceStrings [ \"0123456789abcdef\" ] [ \"[[t]]\\nx.y = { z = 1 }\\n\" ] big)",
        ),
        ("big", "builtins.fromTOML (\"a = '\" + big + big + big + big + \"'\")"),
        ("big", "builtins.fromTOML (\"a = 1 # \" + big + big + big + big + big + big)"),
    ] {
        // The first run of a case also pays for memory that the machine gives for the first time.
        let mut best = latency(prepare, text);
        for _ in 0..7 {
            if best > Duration::from_millis(10) {
                best = best.min(latency(prepare, text));
            }
        }
        if best > Duration::from_millis(10) {
            slow.push(format!("{best:?}: {text}"));
        }
    }
    reading_a_large_text_can_be_cancelled();
    assert!(slow.is_empty(), "cancelled late:\n{}", slow.join("\n"));
}

fn reading_a_large_text_can_be_cancelled() {
    let text = format!("[ {} ]", "{ a = 1 + 2; b = \"x${c}y\"; c = x: y: x; } ".repeat(400_000));
    let session = Engine::builder().build().unwrap().evaluator();
    let token = session.cancel_token();
    let (started, start) = mpsc::channel();
    let (read, may_end) = mpsc::channel();
    std::thread::scope(|scope| {
        let (session, text) = (&session, &text);
        let reader = scope.spawn(move || {
            let work = Work::of_this_thread();
            started.send(work).unwrap();
            let result = session.eval(text, "large", b"/");
            let ended = work.so_far();
            may_end.recv().unwrap();
            (ended, result.map(drop).map_err(|e| e.kind()))
        });
        let work: Work = start.recv().unwrap();
        std::thread::sleep(Duration::from_millis(30));
        let pulled = work.so_far();
        token.cancel();
        read.send(()).unwrap();
        let (ended, result) = reader.join().unwrap();
        let late = ended.saturating_sub(pulled);
        assert_eq!(result, Err(ErrorKind::Cancelled));
        assert!(late < Duration::from_millis(100), "{late:?}");
    });
}
