//! Printing.
use super::Value;
use crate::machine::Machine;

/// A short text of a value for messages; forces nothing.
pub(crate) fn preview(m: &Machine, v: Value) -> String {
    let _ = m;
    v.view().with_article().to_owned()
}
