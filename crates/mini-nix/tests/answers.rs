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
