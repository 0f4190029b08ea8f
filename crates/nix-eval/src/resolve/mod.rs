//! From names to places: see [`crate::ir`] for what comes out.
