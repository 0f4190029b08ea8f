//! The three text forms of a float.
//!
//! Printing and XML use C's `%g`, `toString` and derivations use C's `%f`, JSON the shortest digits that
//! read back as the same number.

/// C's `%f`: six decimals.
pub(crate) fn format_f(x: f64) -> String {
    special(x).unwrap_or_else(|| format!("{x:.6}"))
}

/// C's `%g`: six significant digits, trailing zeros dropped.
pub(crate) fn format_g(x: f64) -> String {
    if let Some(text) = special(x) {
        return text;
    }
    let scientific = format!("{x:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return trim(&format!("{x:.*}", (5 - exponent) as usize)).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

/// As JSON, `null` for what JSON has no number for.
pub(crate) fn format_json(x: f64) -> String {
    if !x.is_finite() {
        return "null".to_owned();
    }
    let sign = if x.is_sign_negative() { "-" } else { "" };
    let scientific = format!("{:e}", x.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // The decimal point stands after this many digits.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let n_digits = digits.len() as i32;
    if n_digits <= point && point <= 15 {
        let zeros = "0".repeat((point - n_digits) as usize);
        format!("{sign}{digits}{zeros}.0")
    } else if 0 < point && point <= 15 {
        let (whole, fraction) = digits.split_at(point as usize);
        format!("{sign}{whole}.{fraction}")
    } else if -4 < point && point <= 0 {
        let zeros = "0".repeat(-point as usize);
        format!("{sign}0.{zeros}{digits}")
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent = point - 1;
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{dot}{rest}e{exponent_sign}{:02}", exponent.abs())
    }
}

fn special(x: f64) -> Option<String> {
    let sign = if x.is_sign_negative() { "-" } else { "" };
    if x.is_nan() {
        Some(format!("{sign}nan"))
    } else if x.is_infinite() {
        Some(format!("{sign}inf"))
    } else {
        None
    }
}

/// Without zeros at the end of the fraction.
fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_three_text_forms() {
        for (x, g, f, json) in [
            (3.0, "3", "3.000000", "3.0"),
            (0.1 + 0.2, "0.3", "0.300000", "0.30000000000000004"),
            (1e15, "1e+15", "1000000000000000.000000", "1e+15"),
            (1e-5, "1e-05", "0.000010", "1e-05"),
            (100_000.5, "100000", "100000.500000", "100000.5"),
            (-0.0, "-0", "-0.000000", "-0.0"),
            (f64::INFINITY, "inf", "inf", "null"),
            (1e14, "1e+14", "100000000000000.000000", "100000000000000.0"),
            (0.00123, "0.00123", "0.001230", "0.00123"),
            (1.5e300, "1.5e+300", &format!("{:.6}", 1.5e300), "1.5e+300"),
            (-2.5, "-2.5", "-2.500000", "-2.5"),
            (999_999.5, "1e+06", "999999.500000", "999999.5"),
            (0.0001, "0.0001", "0.000100", "0.0001"),
        ] {
            assert_eq!(format_g(x), g);
            assert_eq!(format_f(x), f);
            assert_eq!(format_json(x), json);
        }
    }
}
