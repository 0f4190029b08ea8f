//! Commands known only as `mini-nix NAME`.

pub(crate) mod eval;
