//! The scalars of TOML: texts, numbers, booleans, dates.

use super::{
    number::{Number, number},
    read::{Reader, STRIDE},
    timestamp,
};
use crate::{
    error::Error,
    machine::Machine,
    value::{ContextId, Value},
};

/// Control characters that stand nowhere in a text, not even in comments and strings.
pub(super) fn is_refused(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

impl Reader<'_> {
    /// A value that is neither list nor table.
    pub(super) fn scalar(&mut self, m: &mut Machine) -> Result<Value, Error> {
        if let Some(quote @ (b'"' | b'\'')) = self.peek() {
            let text = match self.starts_with(&[quote; 3]) {
                true => self.block_text(m)?,
                false => self.line_text(m)?,
            };
            return Ok(m.new_string(text.as_bytes(), ContextId::NONE));
        }
        let start = self.at;
        let is_part =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.' | b':');
        while self.peek().is_some_and(is_part) {
            if self.at.is_multiple_of(STRIDE) {
                m.poll()?;
            }
            self.at += 1;
        }
        let mut word = &self.text[start..self.at];
        if is_date(word) && self.peek() == Some(b' ') {
            // A time after a space belongs to the date.
            let rest = &self.bytes[self.at + 1..];
            if rest.len() >= 3
                && rest[0].is_ascii_digit()
                && rest[1].is_ascii_digit()
                && rest[2] == b':'
            {
                self.at += 1;
                while self.peek().is_some_and(is_part) {
                    self.at += 1;
                }
                word = &self.text[start..self.at];
            }
        }
        match word {
            "true" => return Ok(Value::TRUE),
            "false" => return Ok(Value::FALSE),
            "" => return Err(self.fail("expected a value")),
            _ => {}
        }
        if is_date(word.get(..10).unwrap_or("")) || word.as_bytes().get(2) == Some(&b':') {
            return match timestamp::parse(word) {
                Some(date) => timestamp::value(m, &date),
                None => Err(self.fail(&format!("'{word}' is no date or time"))),
            };
        }
        match number(word) {
            Some(Number::Int(n)) => Ok(m.new_int(n)),
            Some(Number::Float(x)) => Ok(m.new_float(x)),
            Some(Number::TooLarge) => {
                Err(self.fail(&format!("the number {word:.40} is out of range")))
            }
            None => Err(self.fail(&format!("'{word:.40}' is no value"))),
        }
    }

    /// A text between single quotes of either kind.
    pub(super) fn line_text(&mut self, m: &mut Machine) -> Result<String, Error> {
        let quote = self.bytes[self.at];
        self.at += 1;
        let mut out = String::new();
        loop {
            m.poll()?;
            let start = self.at;
            self.plain(m, quote, false)?;
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(self.fail("the text is not closed in its line")),
            }
        }
    }

    /// A text between three quotes of either kind.
    fn block_text(&mut self, m: &mut Machine) -> Result<String, Error> {
        let quote = self.bytes[self.at];
        self.at += 3;
        self.line_end();
        let mut out = String::new();
        loop {
            m.poll()?;
            let start = self.at;
            self.plain(m, quote, true)?;
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(byte) if byte == quote => {
                    let n =
                        self.bytes[self.at..].iter().take(6).take_while(|b| **b == quote).count();
                    // Up to two quotes before the last three belong to the text.
                    let inside = if n < 3 { n } else { (n - 3).min(2) };
                    out.push_str(&self.text[self.at..self.at + inside]);
                    self.at += inside;
                    if n >= 3 {
                        self.at += 3;
                        return Ok(out);
                    }
                }
                Some(b'\\') if self.passes_line_break(m)? => {}
                Some(b'\\') => self.escape(&mut out)?,
                _ => return Err(self.fail("the text is not closed")),
            }
        }
    }

    /// Moves to the next byte that means something in a text, at the latest to the end of all.
    fn plain(&mut self, m: &mut Machine, quote: u8, lines: bool) -> Result<(), Error> {
        while let Some(byte) = self.peek() {
            if self.at.is_multiple_of(STRIDE) {
                m.poll()?;
            }
            if byte == quote || byte == b'\\' && quote == b'"' {
                break;
            }
            if is_refused(byte) {
                if lines && self.line_end() {
                    continue;
                }
                return Err(self.fail(match byte {
                    b'\n' => "the text is not closed in its line",
                    _ => "control characters must be escaped",
                }));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Passes a backslash at the end of a line and the blanks after it.
    fn passes_line_break(&mut self, m: &mut Machine) -> Result<bool, Error> {
        let start = self.at;
        self.at += 1;
        self.space();
        if !self.line_end() {
            self.at = start;
            return Ok(false);
        }
        loop {
            m.poll()?;
            self.space();
            if !self.line_end() {
                return Ok(true);
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), Error> {
        self.at += 1;
        let byte = self.peek();
        let n_digits = match byte {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let c = match byte {
            Some(b'b') => '\u{8}',
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'f') => '\u{c}',
            Some(b'r') => '\r',
            Some(byte @ (b'"' | b'\\')) => char::from(byte),
            Some(b'u' | b'U') => {
                let digits =
                    self.bytes.get(self.at + 1..self.at + 1 + n_digits).unwrap_or_default();
                let code = digits.iter().try_fold(0u32, |code, digit| {
                    Some(code.wrapping_mul(16) | char::from(*digit).to_digit(16)?)
                });
                let c = code.filter(|_| !digits.is_empty()).and_then(char::from_u32);
                match c {
                    Some('\0') => return Err(self.fail("strings may not contain NUL")),
                    Some(c) => c,
                    None => return Err(self.fail("the escape names no character")),
                }
            }
            Some(b'e' | b'x') => {
                return Err(self.fail("the escapes '\\e' and '\\x' are not known (TOML 1.1)"));
            }
            _ => return Err(self.fail("the escape is not known")),
        };
        out.push(c);
        self.at += 1 + n_digits;
        Ok(())
    }
}

/// Whether a text is the date of a timestamp, by its form.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            _ => b.is_ascii_digit(),
        })
}
