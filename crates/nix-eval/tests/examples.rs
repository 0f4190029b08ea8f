//! The example programs do what they say.
#![allow(missing_docs, unreachable_pub, reason = "the examples are programs of their own")]

use expect_test::{Expect, expect};

#[path = "../examples/config_loader.rs"]
mod config_loader;
#[path = "../examples/custom_builtins.rs"]
mod custom_builtins;
#[path = "../examples/diagnostics.rs"]
mod diagnostics;
#[path = "../examples/parallel.rs"]
mod parallel;
#[path = "../examples/untrusted.rs"]
mod untrusted;

type Run = fn(&mut dyn std::io::Write) -> Result<(), Box<dyn std::error::Error>>;

#[track_caller]
fn check(run: Run, expected: Expect) {
    let mut out = Vec::new();
    run(&mut out).expect("examples do not fail");
    expected.assert_eq(&String::from_utf8(out).expect("examples write text"));
}

#[test]
fn a_configuration_is_read_into_a_struct() {
    check(
        config_loader::run,
        expect![[r#"
        Info on [8001, 8002]
        blog: /srv/blog None
        shop: /srv/shop Some(true)
        error: expected a Boolean but found a string: "yes"
           at /etc/config.nix:7:5
          7 |     tls = "yes";
            |     ^^^
           while sites.blog.tls
    "#]],
    );
}

#[test]
fn closures_are_builtins() {
    check(
        custom_builtins::run,
        expect![[r#"
        {"never":false,"password":"hunter2","row":6,"sent":{"nReceivers":2,"subject":"a@b"},"third":2,"version":"1.2"}
        no such secret (host.1)
    "#]],
    );
}

#[test]
fn strangers_are_kept_within_limits() {
    check(
        untrusted::run,
        expect![[r#"
            honest: 499500
            curious: reading files is not allowed by this host
            endless: stopped (Some(Steps))
            deep: stopped (Some(CallDepth))
            long list: stopped (Some(ListItems))
            long string: stopped (Some(HeapBytes))
            greedy: stopped (Some(HeapBytes))
            pattern: null
        "#]],
    );
}

#[test]
fn many_files_are_evaluated_at_once() {
    check(
        parallel::run,
        expect![[r#"
        200 files, 4 failed
        0: {"name":"job-0","value":0}
        49: {"severity":"error","class":"throw","code":"throw.1","message":"not for this platform","labels":[{"primary":true,"file":"/jobs/49.nix","bytes":[0,29],"start":{"line":0,"character":0},"end":{"line":0,"character":29},"line":1,"column":1,"text":"","library":false}],"path":[],"help":[],"trace":[{"kind":"import","text":"while importing '/jobs/49.nix'","label":null}],"notes":[],"folded":0}
        98: {"name":"job-98","value":2584}
        147: {"name":"job-147","value":44945570212853}
        196: {"name":"job-196","value":14930352}
    "#]],
    );
}

#[test]
fn an_editor_gets_its_diagnostics() {
    check(
        diagnostics::run,
        expect![[r#"
            {"code":"parse.1","data":[],"message":"expected ';' after this value","range":{"end":{"character":0,"line":3},"start":{"character":11,"line":2}},"relatedInformation":[{"location":{"range":{"end":{"character":6,"line":3},"start":{"character":2,"line":3}},"uri":"file:///w/site.nix"},"message":"the next binding begins here"}],"severity":1,"source":"nix"}
            {"code":"missing-attr.1","data":[{"edits":[{"bytes":[33,40],"file":"/w/site.nix","new":"concat","sure":false}],"text":"did you mean 'concat'?"}],"message":"attribute 'concatt' missing","range":{"end":{"character":29,"line":2},"start":{"character":22,"line":2}},"relatedInformation":[{"location":{"range":{"end":{"character":8,"line":0},"start":{"character":2,"line":0}},"uri":"file:///w/lib.nix"},"message":"this is there"}],"severity":1,"source":"nix"}
            no mistakes
        "#]],
    );
}
