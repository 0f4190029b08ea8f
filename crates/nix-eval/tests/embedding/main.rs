//! What an embedder relies on: Rust values and closures in the language, inputs, capabilities, threads.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod closures;
mod convert;
mod hosts;
mod sessions;

use nix_eval::{Engine, Error, Evaluator, Handle, Show, error::Style};
use serde::Deserialize;

pub(crate) fn session() -> Evaluator {
    Engine::builder().build().unwrap().evaluator()
}

pub(crate) fn eval(session: &Evaluator, text: &str) -> Handle {
    session.eval(text, "test", b"/").unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub(crate) fn show(value: &Handle) -> String {
    match value.show(Show::Deep) {
        Ok(text) => String::from_utf8(text).unwrap(),
        Err(e) => format!("error: {e}"),
    }
}

pub(crate) fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Error> {
    session().eval(text, "test", b"/")?.to()
}

#[track_caller]
pub(crate) fn refuses<T: for<'de> Deserialize<'de> + std::fmt::Debug>(text: &str, report: &str) {
    let error = read::<T>(text).unwrap_err();
    assert_eq!(error.report().text(Style::default()), report, "{text}");
}
