//! Numbers of TOML.

/// A number of TOML.
pub(super) enum Number {
    /// Fits.
    Int(i64),
    /// Finite, or written as infinite.
    Float(f64),
    /// Beyond 64 bits.
    TooLarge,
}

/// Digits with single underscores between them, which are left out; `None` if there is anything else.
fn digits(text: &str, radix: u32) -> Option<String> {
    let parts = text.split('_');
    let is_right =
        parts.clone().all(|part| !part.is_empty() && part.chars().all(|c| c.is_digit(radix)));
    is_right.then(|| parts.collect())
}

/// What a word is worth; `None` if it is no number.
pub(super) fn number(word: &str) -> Option<Number> {
    let int = |text: String, radix| match i64::from_str_radix(&text, radix) {
        Ok(n) => Number::Int(n),
        Err(_) => Number::TooLarge,
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = word.strip_prefix(prefix) {
            return Some(int(digits(rest, radix)?, radix));
        }
    }
    let (sign, rest) = match word.as_bytes().first()? {
        b'-' => ("-", &word[1..]),
        b'+' => ("", &word[1..]),
        _ => ("", word),
    };
    match rest {
        "inf" => {
            return Some(Number::Float(if sign.is_empty() {
                f64::INFINITY
            } else {
                f64::NEG_INFINITY
            }));
        }
        "nan" => return Some(Number::Float(if sign.is_empty() { f64::NAN } else { -f64::NAN })),
        _ => {}
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = digits(whole, 10)?;
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if fraction.is_none() && exponent.is_none() {
        return Some(int(format!("{sign}{whole}"), 10));
    }
    let mut text = format!("{sign}{whole}");
    if let Some(fraction) = fraction {
        text = format!("{text}.{}", digits(fraction, 10)?);
    }
    if let Some(exponent) = exponent {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let sign = if exponent.starts_with('-') { "-" } else { "" };
        text = format!("{text}e{sign}{}", digits(unsigned, 10)?);
    }
    let x: f64 = text.parse().ok()?;
    Some(if x.is_infinite() { Number::TooLarge } else { Number::Float(x) })
}
