//! Commands known only as `mini-nix NAME`.

pub(crate) mod eval;
pub(crate) mod eval_jobs;
