//! The executable starts and answers. Having this test, `cargo test` also builds it for the suite.

use std::process::Command;

#[test]
fn it_evaluates_an_expression() {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-nix"))
        .env("NIX_CONFIG", "eval-cache = false")
        .args(["eval", "-E", "1 + 1"])
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2\n");
}

#[test]
fn statistics_say_what_was_done_also_when_it_failed() {
    let run = |expression: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_mini-nix"))
            .env("NIX_CONFIG", "eval-cache = false")
            .args(["eval", "--stats", "-E", expression])
            .output()
            .expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let start = stderr.find("{\n").expect("an object");
        let stats: serde_json::Value = serde_json::from_str(
            &stderr[start..=stderr.rfind("\n}").expect("the object ends") + 1],
        )
        .expect("JSON");
        (output.status.success(), stats)
    };
    let (ok, stats) = run("builtins.foldl' (x: y: x + y) 0 (builtins.genList (x: x) 100)");
    assert!(ok);
    assert!(stats["calls"]["functions"].as_u64() >= Some(100), "{stats}");
    assert!(stats["heap"]["bytes"].as_u64() > Some(0), "{stats}");
    assert!(stats["peakMemory"].as_u64() > stats["heap"]["bytes"].as_u64(), "{stats}");
    let (ok, stats) = run("throw \"no\"");
    assert!(!ok);
    assert_eq!(stats["files"]["bytes"].as_u64(), Some(10), "{stats}");
}

/// Runs `mini-nix eval -E EXPRESSION` with further words; says whether it succeeded, and its standard error.
fn evaluate(words: &[&str], expression: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-nix"))
        .args(["eval", "-E", expression])
        .args(words)
        .output()
        .expect("it starts");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

const BUSY: &str = "let busy = n: if n == 0 then 0 else 1 + busy (n - 1); in ";

#[test]
fn a_profile_names_the_function_that_takes_the_time_also_when_it_fails() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, end, succeeds) in
        [("good", "busy 9000", true), ("bad", "builtins.seq (busy 9000) (throw \"no\")", false)]
    {
        let file = dir.path().join(name);
        // An older one is replaced.
        std::fs::write(&file, "old").expect("written");
        let (ok, stderr) =
            evaluate(&["--profile", file.to_str().expect("UTF-8")], &format!("{BUSY}{end}"));
        assert_eq!(ok, succeeds, "{stderr}");
        let text = std::fs::read_to_string(&file).expect("is there");
        assert!(!text.is_empty());
        let mut hot = 0;
        let mut total = 0;
        for line in text.lines() {
            let (stack, time) = line.rsplit_once(' ').expect("a space");
            let time: u64 = time.parse().expect("a number");
            total += time;
            if stack.rsplit(';').next().is_some_and(|f| f.starts_with("busy («")) {
                hot += time;
            }
        }
        assert!(hot * 2 > total, "{hot} of {total}");
    }
    let names = std::fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(names, 2, "nothing else is left");
}

#[test]
fn a_profile_that_cannot_be_written_stops_before_the_evaluation() {
    for file in ["/", "/no/such/folder/profile"] {
        let (ok, stderr) = evaluate(&["--profile", file], "builtins.trace \"ran\" 1");
        assert!(!ok);
        let expected = format!("error: the profile cannot be written to '{file}': ");
        assert!(stderr.starts_with(&expected), "{stderr}");
        assert!(!stderr.contains("ran"), "{stderr}");
    }
}

#[test]
fn the_settings_of_the_profiler_are_those_of_nix() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("profile");
    let file = file.to_str().expect("UTF-8");
    let words = ["--eval-profile-file", file, "--eval-profiler-frequency", "100000"];
    let busy = format!("{BUSY}busy 9000");
    assert!(evaluate(&words, &busy).0);
    assert!(!std::path::Path::new(file).exists(), "only when asked for");
    let words = [&words[..], &["--eval-profiler", "flamegraph"]].concat();
    assert!(evaluate(&words, &busy).0);
    let text = std::fs::read_to_string(file).expect("is there");
    // What is left at the end of a request is less.
    let uneven = text.lines().filter(|line| !line.ends_with('0')).count();
    assert!(uneven <= 2 && text.lines().count() > 10, "a sample is 10 µs: {text:.200}");
    let (ok, stderr) = evaluate(&["--eval-profiler", "fancy"], "1");
    assert!(!ok && stderr.contains("'eval-profiler' is disabled or flamegraph"), "{stderr}");
}

#[test]
fn every_evaluating_command_writes_profiles() {
    let dir = tempfile::tempdir().expect("a folder");
    let expression = dir.path().join("default.nix");
    let text =
        r#"{ a = derivation { name = "a"; system = "x86_64-linux"; builder = "/bin/sh"; }; }"#;
    std::fs::write(&expression, text).expect("written");
    let commands: &[(&[&str], bool)] = &[
        (&["instantiate", "--eval"], true),
        (&["instantiate"], true),
        (&["build", "--dry-run"], true),
        (&["eval-jobs"], true),
        (&["env", "-qa", "-f"], false),
    ];
    for (i, (words, has_flag)) in commands.iter().enumerate() {
        let file = dir.path().join(format!("profile-{i}"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_mini-nix"));
        command.args(*words).arg(&expression).arg("--store").arg(dir.path().join("store"));
        match has_flag {
            true => command.arg("--profile").arg(&file),
            false => {
                command.args(["--eval-profiler", "flamegraph", "--eval-profile-file"]).arg(&file)
            }
        };
        let output = command.output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {stderr}");
        let text = std::fs::read_to_string(&file).expect("is there");
        assert!(text.contains("file ("), "{words:?}: {text}");
    }
}
