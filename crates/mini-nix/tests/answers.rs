//! The executable starts and answers. Having this test, `cargo test` also builds it for the suite.

use std::process::Command;

#[test]
fn it_evaluates_an_expression() {
    let output = Command::new(env!("CARGO_BIN_EXE_mini-nix"))
        .args(["eval", "-E", "1 + 1"])
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2\n");
}

#[test]
fn statistics_say_what_was_done_also_when_it_failed() {
    let run = |expression: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_mini-nix"))
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
