//! The store after processes were killed, disks were full and system calls failed.
//!
//! The scenario runs in a process of its own (this test program again), under `strace`, which
//! kills it or lets a call fail at a chosen moment. Afterwards everything that is registered must
//! be right, and the same scenario must succeed.

use std::os::unix::process::ExitStatusExt;

use super::*;

const ROOT: &str = "NIX_STORE_FAULT_TEST_ROOT";

/// Runs as it is, and as the child process of the tests below, which name the store by a variable.
#[test]
fn scenario() {
    let own = tempfile::tempdir().unwrap();
    let root = std::env::var_os(ROOT).unwrap_or_else(|| own.path().into());
    let run = || -> Result<(), StoreError> {
        let store = LocalStore::open(StoreConfig::chroot(Path::new(&root)))?;
        for n in 0..3 {
            let first = store.add_text(&format!("text-{n}"), b"text", &BTreeSet::new())?;
            let text = store.display(&first);
            store.add_text(&format!("ref-{n}"), text.as_bytes(), &BTreeSet::from([first]))?;
        }
        store.add_tree("tree", &tree_t(), FileMethod::Nar, HashAlgo::Sha256)?;
        store.flush()?;
        drop(store);
        let store = LocalStore::open(StoreConfig::chroot(Path::new(&root)))?;
        let kept = store.add_text("text-0", b"text", &BTreeSet::new())?;
        store.collect_garbage(&CollectOptions::default())?;
        assert!(store.is_valid(&kept)?);
        store.add_tree("tree", &tree_t(), FileMethod::Nar, HashAlgo::Sha256)?;
        store.optimise()?;
        Ok(())
    };
    if let Err(e) = run() {
        panic!("SCENARIO: {e}");
    }
}

/// Runs the scenario with a fault.
fn run(root: &Path, inject: Option<&str>) -> std::process::Output {
    let exe = std::env::current_exe().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(root.join("trace"));
    if let Some(inject) = inject {
        // Only calls that are traced can be made to fail.
        let calls = inject.split(':').next().unwrap();
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={inject}")]);
    } else {
        command.args(["-e", "trace=none"]);
    }
    command.arg(exe).args(["local::tests::faults::scenario", "--exact"]);
    command.args(["--test-threads=1", "--nocapture"]).env(ROOT, root);
    output_of(&mut command, "strace")
}

/// Nothing wrong is registered, a retry succeeds, and no rubbish outlives a collection.
#[track_caller]
fn assert_heals(root: &Path, what: &str) {
    if root.join("nix/var/nix/db/schema").exists() {
        let store = open(root);
        let options = VerifyOptions { check_contents: true };
        assert_eq!(store.verify(options, &mut |_| {}).unwrap(), [], "after {what}");
    }
    let output = run(root, None);
    assert!(output.status.success(), "after {what}: {}", String::from_utf8_lossy(&output.stderr));
    let store = open(root);
    assert_clean(&store);
    store.collect_garbage(&CollectOptions::default()).unwrap();
    drop(store);
    let left: Vec<_> = std::fs::read_dir(root.join("nix/store"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != ".links")
        .collect();
    assert!(left.is_empty(), "after {what}: {left:?}");
    assert_eq!(std::fs::read_dir(root.join("nix/var/nix/temproots")).unwrap().count(), 0);
}

/// Calls at which the scenario is interrupted, and how many of them pass between two runs.
#[test]
fn killed_at_any_call_the_store_stays_clean_and_the_next_run_succeeds() {
    let calls = [("openat", 60), ("renameat,renameat2", 3), ("pwrite64", 15), ("unlinkat", 5)];
    let calls = calls.into_iter().chain([("fsync,fdatasync", 6), ("mkdirat,mkdir", 4)]);
    for (call, step) in calls {
        let mut n_fired = 0;
        for when in (1..).step_by(step) {
            let root = tempfile::tempdir().unwrap();
            let inject = format!("{call}:signal=KILL:when={when}");
            let output = run(root.path(), Some(&inject));
            if output.status.success() {
                break;
            }
            let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
            assert!(killed, "{inject}: {}", String::from_utf8_lossy(&output.stderr));
            n_fired += 1;
            assert_heals(root.path(), &inject);
        }
        assert!(n_fired > 0, "{call} is never called");
    }
}

#[test]
fn a_call_that_fails_is_an_error_with_its_place_and_nothing_wrong_is_registered() {
    let faults = [
        ("fsync", "EIO", 1),
        ("fsync", "EIO", 9),
        ("write", "ENOSPC", 12),
        ("write", "EIO", 16),
        ("renameat2", "ENOSPC", 1),
        ("renameat2", "EIO", 4),
        ("pwrite64", "ENOSPC", 20),
        ("utimensat", "EPERM", 2),
        ("mkdirat", "ENOSPC", 1),
    ];
    let mut n_fired = 0;
    for (call, error, when) in faults {
        let root = tempfile::tempdir().unwrap();
        let inject = format!("{call}:error={error}:when={when}");
        let output = run(root.path(), Some(&inject));
        if !output.status.success() {
            n_fired += 1;
            let text = String::from_utf8_lossy(&output.stderr);
            let said = text.lines().find(|line| line.contains("SCENARIO: "));
            let said = said.unwrap_or_else(|| panic!("{inject}: {text}"));
            let place = root.path().to_str().unwrap();
            assert!(said.contains(place), "{inject}: {said}");
        }
        assert_heals(root.path(), &inject);
    }
    assert!(n_fired >= 4, "only {n_fired} faults made a difference");
}

/// A small file system of its own, as root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> SmallDisk {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(dir.path());
        let output = output_of(&mut command, "mount");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "this test mounts and needs root: {errors}");
        SmallDisk(dir)
    }

    fn remount(&self, option: &str) {
        let mut command = Command::new("mount");
        command.args(["-o", &format!("remount,{option}")]).arg(self.0.path());
        assert!(command.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_named_with_a_remedy_and_can_be_collected() {
    let disk = SmallDisk::mount("16m");
    let store = open(disk.0.path());
    let (hello, _) = two_texts(&store);
    drop(store);
    let store = open(disk.0.path());
    let big = MemoryTree::File { executable: false, contents: vec![7; 12 << 20] };
    let error = store.add_tree("big", &big, FileMethod::Nar, HashAlgo::Sha256).unwrap_err();
    assert!(error.is_full_disk(), "{error}");
    assert!(error.to_string().contains("--gc"), "{error}");
    assert_clean(&store);
    // Nothing is left of the attempt, so a smaller one fits.
    let small = MemoryTree::File { executable: false, contents: vec![7; 4 << 20] };
    let small = store.add_tree("small", &small, FileMethod::Nar, HashAlgo::Sha256).unwrap();
    drop(store);
    // Fill it to the last byte.
    let _ = std::fs::write(disk.0.path().join("filler"), vec![1; 16 << 20]);
    let store = open(disk.0.path());
    let collected = store.collect_garbage(&CollectOptions::default()).unwrap();
    assert!(collected.bytes_freed >= 4 << 20);
    assert!(!store.is_valid(&small).unwrap() && !store.is_valid(&hello).unwrap());
    assert_clean(&store);
}

#[test]
fn a_read_only_disk_can_be_read_and_writing_names_the_remedy() {
    let disk = SmallDisk::mount("32m");
    let store = open(disk.0.path());
    let (hello, refers) = two_texts(&store);
    drop(store);
    disk.remount("ro");
    let error = LocalStore::open(StoreConfig::chroot(disk.0.path())).unwrap_err();
    assert!(error.to_string().contains("--store DIR"), "{error}");
    let config = StoreConfig { access: Access::ReadOnly, ..StoreConfig::chroot(disk.0.path()) };
    let store = LocalStore::open(config).unwrap();
    assert_eq!(store.path_info(&refers).unwrap().references, BTreeSet::from([hello]));
    assert_clean(&store);
    disk.remount("rw");
}

#[test]
fn collections_and_additions_in_several_threads_never_lose_what_is_in_use() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let n_running = std::sync::atomic::AtomicU32::new(3);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (root, n_running) = (root.path(), &n_running);
            scope.spawn(move || {
                for round in 0..15 {
                    let store = open(root);
                    // The same names in all threads, so that they meet.
                    let name = format!("shared-{}", (round + thread) % 4);
                    let first = store.add_text(&name, b"text", &BTreeSet::new()).unwrap();
                    let tree = store
                        .add_tree(&name, &tree_t(), FileMethod::Nar, HashAlgo::Sha256)
                        .unwrap();
                    let refers = store
                        .add_text(
                            "refers",
                            name.as_bytes(),
                            &BTreeSet::from([first.clone(), tree.clone()]),
                        )
                        .unwrap();
                    store.flush().unwrap();
                    for path in [&first, &tree, &refers] {
                        assert!(store.is_valid(path).unwrap(), "{path:?}");
                        assert!(store.real_path(path).exists(), "{path:?}");
                    }
                }
                n_running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        let store = open(root.path());
        while n_running.load(std::sync::atomic::Ordering::SeqCst) > 0 {
            store.collect_garbage(&CollectOptions::default()).unwrap();
        }
    });
    assert_clean(&open(root.path()));
}
