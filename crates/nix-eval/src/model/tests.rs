//! What two or three machines do to each other.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{
    Cells, LIST, MEMORY, Machine, Shared, Value, Word,
    thunk::{State, Thunk},
    value::code::Root,
};
use crate::error::ErrorKind;

/// What one machine does with the values.
type Job = fn(&mut Machine, &[Value]);

/// No bound of preemptions.
const ALL: usize = usize::MAX;

/// Goes through the orders of so many preemptions at most in which machine 0, which answers, and helpers do their jobs.
/// `make` makes the values before there are helpers; `after` looks at them when all have ended.
fn explore(preemptions: usize, make: fn(&mut Machine) -> Vec<Value>, jobs: &[Job], after: Job) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = (preemptions != ALL).then_some(preemptions);
    let jobs = jobs.to_vec();
    let n_orders = Arc::new(AtomicUsize::new(0));
    let n_seen = n_orders.clone();
    builder.check(move || {
        n_seen.fetch_add(1, Ordering::Relaxed);
        let memory: Box<[Word]> = (0..MEMORY)
            .map(|_| Word {
                plain: loom::cell::UnsafeCell::new(0),
                atomic: loom::sync::atomic::AtomicU64::new(0),
            })
            .collect();
        super::ARENA.set(memory.as_ptr());
        let shared = Arc::new(Shared::default());
        shared.pool.start(jobs.len() as u32 - 1);
        let mut leader = Machine::new(shared.clone(), 0);
        let values = make(&mut leader);
        let helpers: Vec<_> = (1..jobs.len())
            .map(|n| {
                let (shared, values, job) = (shared.clone(), values.clone(), jobs[n]);
                loom::thread::spawn(move || job(&mut Machine::new(shared, n as u32), &values))
            })
            .collect();
        jobs[0](&mut leader, &values);
        shared.pool.stop();
        for helper in helpers {
            helper.join().expect("no panic");
        }
        after(&mut leader, &values);
        drop(memory);
    });
    // A model that shares nothing would pass, too.
    let n = n_orders.load(Ordering::Relaxed);
    assert!(n >= 400, "only {n} orders");
}

fn int(m: &mut Machine, v: Value) -> Option<u64> {
    match m.force(v) {
        Ok(v) => Some(v.as_int()),
        // The answer is there and helpers give up.
        Err(e) => {
            assert!(m.is_ahead() && e.kind() == ErrorKind::Cancelled, "{e}");
            None
        }
    }
}

fn nothing(_: &mut Machine, _: &[Value]) {}

fn n_runs(m: &Machine) -> u32 {
    m.shared.n_runs.load(Ordering::Relaxed)
}

/// A sum is computed once, and all get it: whoever comes second waits and is woken.
#[test]
fn one_runs_it_and_the_other_is_told() {
    let make = |m: &mut Machine| vec![m.suspend(Root::Add, [Value::int(3), Value::int(4)])];
    let job: Job = |m, v| {
        if let Some(n) = int(m, v[0]) {
            assert_eq!(n, 7);
        }
    };
    let once: Job = |m, _| assert_eq!(n_runs(m), 1);
    explore(ALL, make, &[job, job], once);
    explore(2, make, &[job, job, job], once);
}

/// A thunk that needs another one, forced from both ends.
#[test]
fn a_chain_from_both_ends() {
    let make = |m: &mut Machine| {
        let inner = m.suspend(Root::Add, [Value::int(1), Value::int(2)]);
        vec![m.suspend(Root::Add, [inner, Value::int(4)]), inner]
    };
    let outer: Job = |m, v| assert!(int(m, v[0]).is_none_or(|n| n == 7));
    let inner: Job = |m, v| assert!(int(m, v[1]).is_none_or(|n| n == 3));
    let twice: Job = |m, v| {
        assert_eq!(int(m, v[0]), Some(7));
        assert_eq!(n_runs(m), 2);
    };
    explore(ALL, make, &[outer, inner], twice);
    explore(ALL, make, &[inner, outer], nothing);
    explore(2, make, &[outer, outer, inner], nothing);
}

/// Two thunks that need each other, each forced by a machine: an error for the one that answers, never a hang.
#[test]
fn a_circle_is_an_error() {
    let make = |m: &mut Machine| {
        let a = m.suspend(Root::Add, [Value::int(0), Value::int(1)]);
        let b = m.suspend(Root::Add, [a, Value::int(1)]);
        a.cells().put(1, b.0);
        vec![a, b]
    };
    let a: Job = |m, v| {
        let e = m.force(v[0]).expect_err("needs itself");
        assert!(m.is_ahead() || e.kind() == ErrorKind::InfiniteRecursion, "{e}");
    };
    let b: Job = |m, v| {
        let e = m.force(v[1]).expect_err("needs itself");
        assert!(m.is_ahead() || e.kind() == ErrorKind::InfiniteRecursion, "{e}");
    };
    explore(ALL, make, &[a, b], nothing);
    explore(2, make, &[a, b, b], nothing);
}

/// Three thunks in a circle over three machines.
#[test]
fn a_circle_of_three_is_an_error() {
    let make = |m: &mut Machine| {
        let a = m.suspend(Root::Add, [Value::int(0), Value::int(1)]);
        let b = m.suspend(Root::Add, [a, Value::int(1)]);
        let c = m.suspend(Root::Add, [b, Value::int(1)]);
        a.cells().put(1, c.0);
        vec![a, b, c]
    };
    fn fails(m: &mut Machine, v: Value) {
        let e = m.force(v).expect_err("needs itself");
        assert!(m.is_ahead() || e.kind() == ErrorKind::InfiniteRecursion, "{e}");
    }
    explore(
        2,
        make,
        &[|m, v| fails(m, v[0]), |m, v| fails(m, v[1]), |m, v| fails(m, v[2])],
        nothing,
    );
}

/// The failure that the answering machine meets is its own or the one that was remembered; a helper's is not kept.
#[test]
fn a_failure_reaches_all() {
    let make = |m: &mut Machine| {
        let fails = m.suspend(Root::Throw, [Value::int(0), Value::int(0)]);
        vec![m.suspend(Root::Add, [fails, Value::int(4)]), fails]
    };
    fn fails(m: &mut Machine, v: Value) {
        let e = m.force(v).expect_err("fails");
        let may = m.is_ahead() && e.kind() == ErrorKind::Cancelled;
        assert!(may || e.kind() == ErrorKind::Thrown, "{e}");
    }
    let failed: Job = |m, v| {
        assert!(Thunk(v[1].cells()).has_failed());
        assert_eq!(m.shared.failures.lock().expect("no panic").len(), 2);
    };
    explore(ALL, make, &[|m, v| fails(m, v[0]), |m, v| fails(m, v[1])], failed);
    explore(
        2,
        make,
        &[|m, v| fails(m, v[0]), |m, v| fails(m, v[0]), |m, v| fails(m, v[1])],
        failed,
    );
}

/// What a helper may not do, it gives back: the thunk is as before, and whoever waits runs it.
#[test]
fn what_is_given_back_is_run_by_another() {
    let make = |m: &mut Machine| {
        let aloud = m.suspend(Root::AddAloud, [Value::int(1), Value::int(2)]);
        vec![m.suspend(Root::Add, [aloud, Value::int(4)]), aloud]
    };
    let outer: Job = |m, v| {
        if let Some(n) = int(m, v[0]) {
            assert_eq!(n, 7);
        }
    };
    let aloud: Job = |m, v| drop(m.force(v[1]));
    explore(ALL, make, &[outer, aloud], |m, v| assert_eq!(int(m, v[1]), Some(3)));
    explore(2, make, &[outer, outer, aloud], nothing);
}

/// The words of a finished thunk become other objects, which are read by others, while those who come late ask for
/// the thunk itself.
#[test]
fn words_given_back_are_read_by_nobody() {
    let make = |m: &mut Machine| {
        let one = m.suspend(Root::Add, [Value::int(1), Value::int(2)]);
        // Its list lies in the words of `one`, of the same machine or of another.
        let pair = m.suspend(Root::Pair, [one, Value::int(5)]);
        vec![m.suspend(Root::AddPair, [pair, Value::int(7)]), pair, one]
    };
    let all: Job = |m, v| assert!(int(m, v[0]).is_none_or(|n| n == 15));
    let one: Job = |m, v| {
        if int(m, v[2]).is_some_and(|n| n == 3) {
            // Words of its own, or those of `one`.
            let other = m.suspend(Root::Add, [Value::int(8), Value::int(9)]);
            assert!(int(m, other).is_none_or(|n| n == 17));
        }
    };
    let pair: Job = |m, v| {
        if let Ok(list) = m.force(v[1]) {
            assert_eq!(
                (list.cells().word(0), list.cells().word(1)),
                (Value::int(3).0, Value::int(5).0)
            );
        }
        all_again(m, v);
    };
    fn all_again(m: &mut Machine, v: &[Value]) {
        assert!(int(m, v[0]).is_none_or(|n| n == 15));
    }
    explore(ALL, make, &[all, one], nothing);
    explore(ALL, make, &[one, all], nothing);
    explore(ALL, make, &[all, pair], nothing);
    explore(2, make, &[all, pair, one], nothing);
}

/// Elements of a mapped list share the words before them; a suspended call has its own.
#[test]
fn elements_and_calls() {
    let make = |m: &mut Machine| {
        let inner = m.thunk(Thunk::call_word(1), &[Value::int(10), Value::int(1)]);
        let list = m.bump.any_words(&m.shared.heap, 2);
        list.put(0, Value::int(2).0);
        list.put(1, inner.0);
        let block = m.bump.any_words(&m.shared.heap, 4);
        block.put(0, Value::int(20).0);
        block.put(1, Value::tagged(list, LIST).0);
        let mut thunk = |i| m.thunk_at(block.skip(2 + i), Thunk::element_word(i), &[]);
        vec![thunk(0), thunk(1), inner]
    };
    let there: Job = |m, v| {
        assert!(int(m, v[0]).is_none_or(|n| n == 22));
        assert!(int(m, v[1]).is_none_or(|n| n == 31));
    };
    let back: Job = |m, v| {
        assert!(int(m, v[2]).is_none_or(|n| n == 11));
        assert!(int(m, v[1]).is_none_or(|n| n == 31));
        assert!(int(m, v[0]).is_none_or(|n| n == 22));
    };
    let done: Job = |m, v| {
        assert_eq!(n_runs(m), 3);
        for v in v {
            assert!(matches!(Thunk(v.cells()).state(), State::Done(_)));
        }
        // The words before the elements are as they were.
        assert_eq!(Cells::at(v[0].cells().address() - 16).word(0), Value::int(20).0);
    };
    // There are more orders than are worth the time.
    explore(4, make, &[there, back], done);
    explore(2, make, &[back, there, there], done);
}
