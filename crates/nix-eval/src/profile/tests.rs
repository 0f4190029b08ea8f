use std::time::Duration;

use super::Profile;
use crate::{CallCx, Engine, Error, Evaluator, Handle};

fn session() -> Evaluator {
    Engine::builder().build().expect("an engine").evaluator()
}

/// Every step that takes time is a sample of its own.
const ALL: Option<Duration> = Some(Duration::from_nanos(1));

fn profile_of(text: &str) -> Profile {
    let session = session();
    session.start_profile(ALL);
    // Whether it fails is part of some tests.
    let _ = session.eval(text, "t", b"/").and_then(|v| v.force());
    session.take_profile().expect("was started")
}

/// The stacks as text, without what is outside of the program.
fn stacks(profile: &Profile) -> Vec<String> {
    let all = profile.stacks().filter(|(stack, _)| stack.iter().any(|f| f.starts_with("file ")));
    all.map(|(stack, _)| stack[1..].join(";")).collect()
}

fn has(profile: &Profile, stack: &str) {
    let all = stacks(profile);
    let shown = &all[..all.len().min(20)];
    assert!(all.iter().any(|s| s == stack), "{stack} is not in {} like {shown:#?}", all.len());
}

#[test]
fn the_function_that_takes_the_time_is_first() {
    let profile = profile_of(
        "let
  busy = n: if n == 0 then 0 else 1 + busy (n - 1);
  idle = x: x;
in idle (busy 2000) + busy 2000 + idle 1",
    );
    let hottest = profile.hottest();
    assert_eq!(hottest[0].0, "busy («t»:2:10)", "{hottest:?}");
    assert!(hottest[0].1 * 2 > profile.total(), "{hottest:?}");
    assert_eq!(profile.total(), profile.stacks().map(|(_, time)| time).sum());
}

#[test]
fn callers_are_above_what_they_call() {
    let profile = profile_of(
        "let
  f = x: g x + 1;
  g = y: builtins.stringLength (toString y);
in f 1 + g 2",
    );
    has(&profile, "f («t»:2:7);g («t»:3:7);builtins.stringLength");
    has(&profile, "f («t»:2:7);g («t»:3:7)");
    // A function that returned is above nothing.
    has(&profile, "g («t»:3:7)");
    assert!(!stacks(&profile).iter().any(|s| s.starts_with("g («t»:3:7);f")));
}

#[test]
fn thunks_have_the_name_they_are_bound_to() {
    let profile = profile_of(
        "let
  id = x: x;
  s = { slow = id 1; \"quo ted\" = (id 2); };
in s.slow + s.\"quo ted\" + id (id (id 3))",
    );
    has(&profile, "slow («t»:3:16);id («t»:2:8)");
    let all = stacks(&profile);
    assert!(all.iter().any(|s| s.starts_with("id («t»:2:8);expression («t»:4:")), "{all:#?}");
}

#[test]
fn what_ended_is_above_nothing_however_the_next_is_reached() {
    let profile = profile_of(
        "let
  id = x: x;
  p = { a = \"a\" + id \"b\"; b.c = builtins.substring 0 1 (id \"c\"); f = x: id x; };
  all = [ (p.a + p.b.c + (p.f \"d\" + builtins.head [ (id \"e\") ])) ] ++ [ (id 2) ];
in builtins.deepSeq all (id 3)",
    );
    let stacks = stacks(&profile);
    for stack in &stacks {
        let after = |frame: &str| stack.split(frame).nth(1).unwrap_or("").to_owned();
        for ended in
            ["a («t»:3:", "b.c («t»:3:", "f («t»:3:", "builtins.substring", "builtins.head"]
        {
            let rest = after(ended);
            assert!(rest.matches(';').count() <= 2, "{ended} is above too much: {stack}");
        }
        assert!(!after("id («t»:2:8)").contains(';'), "{stack}");
        assert!(!after("a («t»:3:").contains("b.c"), "{stack}");
    }
    assert!(stacks.iter().any(|s| s.contains("b.c («t»:3:")), "{stacks:#?}");
}

#[test]
fn recursion_is_as_deep_as_it_is() {
    let profile = profile_of("let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 5");
    let f = "f («t»:1:9)";
    has(&profile, &[f; 6].join(";"));
    assert!(!stacks(&profile).iter().any(|s| s.matches(f).count() > 6));
}

#[test]
fn a_tail_call_takes_the_place_of_its_caller() {
    let profile = profile_of("let f = n: if n == 0 then g 1 else f (n - 1); g = x: x; in f 1000");
    has(&profile, "f («t»:1:9)");
    has(&profile, "g («t»:1:51)");
    assert!(!stacks(&profile).iter().any(|s| s.matches("f (").count() > 1));
}

#[test]
fn depth_beyond_one_segment_of_stack_keeps_its_order() {
    // On a thread with little stack of its own.
    let run = || {
        let profile = profile_of(
            "let f = n: if n == 0 then 0 else 1 + f (n - 1); g = x: f 0 + x; in builtins.seq (f 1500) (g 1)",
        );
        let deepest = profile.stacks().map(|(stack, _)| stack.len()).max();
        assert!(deepest >= Some(1501), "{deepest:?}");
        // And back: a call after the deep one is not below it.
        has(&profile, "builtins.seq;expression («t»:1:91);g («t»:1:53)");
    };
    let thread = std::thread::Builder::new().stack_size(400 << 10).spawn(run);
    thread.expect("a thread").join().expect("the checks hold");
}

#[test]
fn a_failed_evaluation_has_its_profile() {
    let profile = profile_of("let f = n: if n == 0 then throw \"end\" else 1 + f (n - 1); in f 3");
    let f = "f («t»:1:9)";
    has(&profile, &format!("{};builtins.throw", [f; 4].join(";")));
}

#[test]
fn lines_are_folded_stacks() {
    // Names and places with characters that mean something in the format.
    let session = session();
    session.start_profile(Some(Duration::from_micros(1)));
    let text = "let \"a;b\nc\" = n: if n == 0 then 0 else 1 + \"a;b\nc\" (n - 1); in 1";
    let _ = session.eval(text, "x;y\nz", b"/");
    let text =
        "let s = { \"a;b\" = n: if n == 0 then 0 else 1 + s.\"a;b\" (n - 1); }; in s.\"a;b\" 5000";
    session.eval(text, "x;y\nz", b"/").expect("a number");
    let profile = session.take_profile().expect("was started");
    let mut out = Vec::new();
    profile.write_folded(&mut out).expect("memory can be written");
    let out = String::from_utf8(out).expect("UTF-8");
    let mut total = 0;
    assert!(out.lines().count() > 10, "{out}");
    for line in out.lines() {
        let (stack, time) = line.rsplit_once(' ').expect("a space");
        assert!(stack.split(';').all(|frame| !frame.is_empty()), "{line}");
        let time: u128 = time.parse().expect("a number");
        assert!(time > 0, "{line}");
        total += time;
    }
    assert!(out.contains("a,b («x,y z»:1:"), "{out}");
    assert!(total <= profile.total().as_micros() && total * 2 > profile.total().as_micros());
}

#[test]
fn closures_and_their_calls_back_are_part_of_it() {
    let session = Engine::builder()
        .builtin_cx("twice", |cx: &mut CallCx<'_>, f: Handle| -> Result<i64, Error> {
            let one = cx.value(&1)?;
            f.call(&[f.call(&[one])?])?.to_int()
        })
        .build()
        .expect("an engine")
        .evaluator();
    session.start_profile(ALL);
    let text = "let f = x: 0 + g x; g = x: x + 1; in builtins.twice f + g 1";
    session.eval(text, "t", b"/").expect("a number");
    let profile = session.take_profile().expect("was started");
    has(&profile, "builtins.twice;f («t»:1:9);g («t»:1:25)");
    has(&profile, "g («t»:1:25)");
}

#[test]
fn a_profiled_session_uses_one_core() {
    let session = Engine::builder()
        .options(|options| options.eval_cores = 4)
        .build()
        .expect("an engine")
        .evaluator();
    let busy = "let busy = n: if n == 0 then 0 else 1 + busy (n - 1);
in builtins.genList (n: builtins.genList (m: busy 900) 10) 40";
    let began = std::time::Instant::now();
    session.start_profile(None);
    session.eval(busy, "t", b"/").and_then(|v| v.force_deep()).expect("lists");
    let profile = session.take_profile().expect("was started");
    assert!(profile.total() <= began.elapsed());
    assert_eq!(profile.hottest()[0].0, "busy («t»:1:12)");
}

#[test]
fn profiles_add_up() {
    let mut one = profile_of("let f = x: x + 1; in f 1");
    let two = profile_of("let f = x: x + 1; g = x: f x + 1; in g 1");
    let (a, b) = (one.total(), two.total());
    one.add(&two);
    assert_eq!(one.total(), a + b);
    has(&one, "g («t»:1:23);f («t»:1:9)");
}

#[test]
fn nothing_is_gathered_unless_asked_for() {
    let session = session();
    assert!(session.take_profile().is_none());
    session.start_profile(None);
    assert_eq!(session.take_profile().expect("was started").total(), Duration::ZERO);
    assert!(session.take_profile().is_none());
}

#[test]
fn steps_are_counted_alike_with_and_without() {
    let text = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x * 2) 5000)";
    let steps = |profile: bool| {
        let session = session();
        if profile {
            session.start_profile(None);
        }
        session.eval(text, "t", b"/").expect("a number");
        session.stats().steps
    };
    assert_eq!(steps(true), steps(false));
}
