//! What people see when something is wrong: whole reports of typical mistakes.
//!
//! `UPDATE_EXPECT=1 cargo test -p nix-eval --test reports` rewrites them; read the difference as prose.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod calls;
mod names;
mod paths;
mod recursion;
mod syntax;
mod types;

use expect_test::Expect;
use nix_eval::{Engine, Error, error::Style, host::MemoryHost};

/// The report of a program in `/w/main.nix`, with further files beside it; everything in it is forced.
pub(crate) fn failure(text: &str, files: &[(&str, &str)]) -> Error {
    let files = files.iter().copied().chain([("/w/main.nix", text)]);
    let engine =
        Engine::builder().host(MemoryHost::new(files)).search_path("lib", "/lib").build().unwrap();
    let session = engine.evaluator();
    let path = nix_eval::host::NixPath::root("/w/main.nix");
    let result = session.import(&path).and_then(|value| value.force_deep());
    result.expect_err("the program is wrong")
}

#[track_caller]
pub(crate) fn check(text: &str, expected: Expect) {
    check_with(text, &[], expected);
}

#[track_caller]
pub(crate) fn check_with(text: &str, files: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&failure(text, files).report().text(Style::default()));
}
