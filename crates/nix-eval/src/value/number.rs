//! Texts of floats.

/// C's `%f`.
pub(crate) fn format_f(x: f64) -> String {
    format!("{x:.6}")
}
