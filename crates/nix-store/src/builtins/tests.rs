//! The records' examples, and derivations whose paths are known.

use std::sync::Arc;

use nix_eval::{Engine, EngineOptions, Show};

use super::BUILTINS;
use crate::host::{StoreHost, StoreHostOptions};

fn show(source: &str) -> String {
    let mut options = EngineOptions::default();
    options.host = Arc::new(StoreHost::new(StoreHostOptions::new()));
    options.builtins = BUILTINS.to_vec();
    Engine::new(options)
        .evaluator()
        .eval(source, "string", b"/")
        .and_then(|value| value.show(Show::Deep))
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_else(|e| format!("error: {}", e.message()))
}

#[test]
fn examples_show_what_they_say() {
    for builtin in BUILTINS.iter().copied().flatten() {
        assert!(!builtin.examples.is_empty(), "{} has no example", builtin.name);
        assert_eq!(builtin.params.len(), builtin.run.arity(), "parameters of {}", builtin.name);
        for example in builtin.examples {
            assert_eq!(show(example.source), example.shows, "{}", example.source);
        }
    }
}

#[track_caller]
fn check_path(attrs: &str, path: &str) {
    let make =
        r#"a: derivation ({ name = "d"; system = "x86_64-linux"; builder = "/bin/sh"; } // a)"#;
    let shown = show(&format!(
        "let mk = {make}; h = \"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"; in {attrs}"
    ));
    assert_eq!(shown, format!("\"/nix/store/{path}\""), "{attrs}");
}

#[test]
fn store_paths_are_those_of_real_nix() {
    check_path("(mk { }).drvPath", "nrb4avj6pm8s9wv5zqyxn1zf91648msi-d.drv");
    check_path("(mk { }).outPath", "008ymi3hnvhs3kkssdj22blkwr62crxl-d");
    check_path(
        r#"(mk { outputs = [ "out" "dev" ]; }).dev.outPath"#,
        "xdvrpf22nv4wrgdbazpql2b5jdlpb07v-d-dev",
    );
    check_path(
        "(mk { __structuredAttrs = true; x = { y = [ 1 2.5 null true ]; }; }).outPath",
        "0zxgjjlv08wnnqcnwra68x27krqha0cp-d",
    );
    check_path("(mk { outputHash = h; }).outPath", "rpb3rpj50k2hjds67xbn1dw5zcgdvsy3-d");
    check_path(
        r#"(mk { outputHash = h; outputHashMode = "recursive"; }).outPath"#,
        "55cjl8dbkcddg0k6cnqlbrzky34q02pg-d",
    );
    check_path(
        r#"(mk { outputHashAlgo = "sha1"; outputHash = "a9993e364706816aba3e25717850c26c9cd0d89d"; }).outPath"#,
        "k97z12vn0p0l82a7i1d1cfwysczbd8f3-d",
    );
}

#[test]
fn a_filter_sees_paths_and_kinds_and_its_error_comes_through() {
    let dir = tempfile::tempdir().expect("a directory for the test");
    let root = dir.path().join("tree");
    std::fs::create_dir_all(root.join("sub")).expect("created");
    std::fs::write(root.join("sub/a"), "a").expect("written");
    std::fs::write(root.join("b"), "b").expect("written");
    let root = root.display();
    let all = show(&format!("builtins.filterSource (p: t: true) {root}"));
    assert_eq!(all, show(&format!("\"${{{root}}}\"")));
    let some = show(&format!(
        r#"builtins.path {{ path = {root}; filter = p: t: !(p == "{root}/sub" && t == "directory"); }}"#
    ));
    assert!(some.ends_with("-tree\"") && some != all, "{some}");
    assert_eq!(show(&format!("builtins.filterSource (p: t: throw t) {root}")), "error: regular");
}

#[test]
fn the_manual_is_up_to_date() {
    let tables = [nix_eval::builtins::ALL, BUILTINS].concat();
    let page = nix_eval::builtins::manual(&tables);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/builtins.md");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&file, &page).expect("the manual can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/builtins.md differs from the records; run this test with UPDATE_EXPECT=1"
    );
}
