//! Numbers. Overflow and loss of all precision are mistakes of the author, not values.

use super::{DIGIT, Lexer, is};
use crate::ir::Const;

impl Lexer<'_> {
    /// End of a float at `start`, whose leading digits end at `digits`: digits without a leading zero, a dot
    /// and perhaps digits; or perhaps one zero, a dot and digits.
    pub(super) fn float(&self, start: usize, digits: usize) -> Option<usize> {
        if self.byte(digits) != b'.' {
            return None;
        }
        let mut end = digits + 1;
        while is(self.byte(end), DIGIT) {
            end += 1;
        }
        let plain = digits > start && self.byte(start) != b'0';
        let fraction = end > digits + 1 && (digits == start || &self.text[start..digits] == b"0");
        if !plain && !fraction {
            return None;
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let mut exponent = end + 1;
            if matches!(self.byte(exponent), b'+' | b'-') {
                exponent += 1;
            }
            if is(self.byte(exponent), DIGIT) {
                while is(self.byte(exponent), DIGIT) {
                    exponent += 1;
                }
                end = exponent;
            }
        }
        Some(end)
    }
}

/// Why a number cannot be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::syntax) enum NumberError {
    IntTooLarge,
    FloatTooLarge,
    /// Not zero, but nearer to zero than any number with full precision.
    FloatTooSmall,
}

/// The value of an int or float token.
pub(in crate::syntax) fn number(text: &[u8], is_float: bool) -> Result<Const, NumberError> {
    if !is_float {
        let mut value = 0i64;
        for &byte in text {
            value = value
                .checked_mul(10)
                .and_then(|v| v.checked_add((byte - b'0') as i64))
                .ok_or(NumberError::IntTooLarge)?;
        }
        return Ok(Const::Int(value));
    }
    let value: f64 = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("the lexer's floats are floats for Rust too");
    if value.is_infinite() {
        return Err(NumberError::FloatTooLarge);
    }
    let mantissa = text.iter().take_while(|b| !matches!(b, b'e' | b'E'));
    let is_zero = mantissa.clone().all(|b| matches!(b, b'0' | b'.'));
    if value < f64::MIN_POSITIVE && !is_zero {
        return Err(NumberError::FloatTooSmall);
    }
    Ok(Const::Float(value))
}
