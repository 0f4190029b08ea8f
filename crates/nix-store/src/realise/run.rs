//! Carries a plan out: several builds at the same time, failures and what they cost.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::plan::{Plan, PlannedBuild};
use crate::build::one::{Built, Job};
use crate::build::{BuildError, BuildFailure, BuildSettings, Event, Events, FailureReport, Level};
use crate::local::LocalStore;

/// How far the builds of a plan are.
struct Progress {
    /// How many needs of each build are still open.
    waits: Vec<usize>,
    /// Builds that can start, lowest first.
    ready: BTreeSet<usize>,
    running: usize,
    /// Builds that ended well.
    done: BTreeSet<usize>,
    /// Builds that failed, and those that cannot start because of one.
    lost: BTreeSet<usize>,
    failures: Vec<BuildFailure>,
    cancelled: bool,
}

/// What all workers share.
struct Shared<'a> {
    store: &'a LocalStore,
    plan: &'a Plan,
    settings: &'a BuildSettings,
    events: &'a dyn Events,
    /// Build → builds that need it.
    dependants: Vec<Vec<usize>>,
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Tells running builds to stop.
    stop: Arc<AtomicBool>,
}

/// Carries out all builds of a plan.
///
/// # Errors
/// [`BuildError::Failed`] with everything that failed; [`BuildError::Cancelled`].
pub(super) fn run(
    store: &LocalStore,
    plan: &Plan,
    settings: &BuildSettings,
    events: &dyn Events,
) -> Result<(), BuildError> {
    let n_builds = plan.builds.len();
    let mut dependants = vec![Vec::new(); n_builds];
    let mut waits = vec![0; n_builds];
    for (i, build) in plan.builds.iter().enumerate() {
        waits[i] = build.needs.len();
        for &need in &build.needs {
            dependants[need].push(i);
        }
    }
    let ready = (0..n_builds).filter(|&i| waits[i] == 0).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let asked = settings.cancelled.clone();
    let stopped = Arc::clone(&stop);
    let settings = BuildSettings {
        cancelled: Some(Arc::new(move || {
            stopped.load(Ordering::Relaxed) || asked.as_ref().is_some_and(|asked| asked())
        })),
        ..settings.clone()
    };
    let shared = Shared {
        store,
        plan,
        settings: &settings,
        events,
        dependants,
        progress: Mutex::new(Progress {
            waits,
            ready,
            running: 0,
            done: BTreeSet::new(),
            lost: BTreeSet::new(),
            failures: Vec::new(),
            cancelled: false,
        }),
        changed: Condvar::new(),
        stop,
    };
    std::thread::scope(|scope| {
        for _ in 0..settings.max_jobs.min(n_builds) {
            scope.spawn(|| shared.work());
        }
    });
    let progress = shared.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    if progress.failures.is_empty() {
        return if progress.cancelled { Err(BuildError::Cancelled) } else { Ok(()) };
    }
    let failed: BTreeSet<&_> = progress.failures.iter().map(|failure| &failure.drv).collect();
    let paths = |keep: &dyn Fn(usize) -> bool| -> Vec<_> {
        let all = plan.builds.iter().enumerate();
        let kept = all.filter(|(i, build)| keep(*i) && !failed.contains(&build.drv_path));
        let sorted: BTreeSet<_> = kept.map(|(_, build)| build.drv_path.clone()).collect();
        sorted.into_iter().collect()
    };
    let dependants = paths(&|i| progress.lost.contains(&i));
    let not_attempted = paths(&|i| !progress.done.contains(&i));
    let n_built = progress.done.len();
    Err(BuildError::Failed(Box::new(FailureReport {
        failures: progress.failures,
        dependants,
        not_attempted,
        n_built,
    })))
}

impl Shared<'_> {
    fn locked(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes builds until none is left.
    fn work(&self) {
        while let Some(i) = self.take() {
            let build = &self.plan.builds[i];
            self.events.event(Event::BuildStarted { drv: build.drv_path.clone() });
            let result = self.job(build).run();
            let success = matches!(result, Ok(Built::Now | Built::Already));
            self.events.event(Event::BuildFinished { drv: build.drv_path.clone(), success });
            self.finished(i, result);
        }
    }

    fn job<'s>(&'s self, build: &'s PlannedBuild) -> Job<'s> {
        Job {
            store: self.store,
            drv_path: &build.drv_path,
            drv: &build.drv,
            settings: self.settings,
            events: self.events,
            check: build.check,
        }
    }

    /// Waits for a build that can start; `None` when there will be none.
    fn take(&self) -> Option<usize> {
        let mut progress = self.locked();
        loop {
            if self.settings.is_cancelled() {
                // Not after a failure of ours: then the failure is the reason.
                progress.cancelled |= progress.failures.is_empty();
                self.changed.notify_all();
                return None;
            }
            if let Some(i) = progress.ready.pop_first() {
                progress.running += 1;
                self.tell(&progress);
                return Some(i);
            }
            if progress.running == 0 {
                return None;
            }
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn finished(&self, i: usize, result: Result<Built, Box<BuildFailure>>) {
        let mut progress = self.locked();
        progress.running -= 1;
        match result {
            Ok(Built::Now | Built::Already) => {
                progress.done.insert(i);
                for &dependant in &self.dependants[i] {
                    progress.waits[dependant] -= 1;
                    if progress.waits[dependant] == 0 {
                        progress.ready.insert(dependant);
                    }
                }
            }
            Ok(Built::Cancelled) => progress.cancelled |= progress.failures.is_empty(),
            Err(failure) => {
                if !self.settings.keep_going {
                    self.stop.store(true, Ordering::Relaxed);
                }
                if self.settings.keep_going {
                    // The others go on for long; the sentence should not wait for them.
                    let text = failure.message.clone();
                    self.events.event(Event::Message { level: Level::Error, text });
                }
                progress.failures.push(*failure);
                let mut queue = vec![i];
                while let Some(i) = queue.pop() {
                    if progress.lost.insert(i) {
                        queue.extend(&self.dependants[i]);
                    }
                }
            }
        }
        self.tell(&progress);
        self.changed.notify_all();
    }

    fn tell(&self, progress: &Progress) {
        self.events.event(Event::Progress {
            done: progress.done.len(),
            expected: self.plan.builds.len(),
            running: progress.running,
            failed: progress.lost.len(),
        });
    }
}
