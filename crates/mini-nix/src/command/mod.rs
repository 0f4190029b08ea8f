//! Commands known only as `mini-nix NAME`.

pub(crate) mod eval;
pub(crate) mod eval_jobs;
pub(crate) mod parse;
pub(crate) mod repl;
