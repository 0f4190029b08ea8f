//! JSON text to values.
//!
//! Own reader, because depth is input and must not choose our stack, and because of the numbers: integers up
//! to 64 bits stay integers, larger ones are errors, smaller ones floats.

use crate::{
    error::{self, Error},
    machine::Machine,
    symbol::Symbol,
    value::{ContextId, Value},
};

/// A list or set that is being read.
enum Open {
    List(Vec<Value>),
    Set(Vec<(Symbol, Value)>, Symbol),
}

/// What an open list or set takes, and an element of each: they lie in vectors that double, and are copied.
const OPEN_BYTES: u64 = 96;
const ITEM_BYTES: u64 = 24;
const ATTR_BYTES: u64 = 48;

impl Open {
    fn size_bytes(&self) -> u64 {
        OPEN_BYTES
            + match self {
                Open::List(items) => items.len() as u64 * ITEM_BYTES,
                Open::Set(attrs, _) => attrs.len() as u64 * ATTR_BYTES,
            }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// The value of a JSON text (RFC 8259). Of equal names the last counts.
///
/// # Errors
/// Class `format`, naming the byte.
pub fn from_json(m: &mut Machine, text: &[u8]) -> Result<Value, Error> {
    let mut r = Reader { text, at: 0 };
    let mut open: Vec<Open> = Vec::new();
    // What `open` takes.
    let mut beside = 0;
    loop {
        m.poll()?;
        m.check_room(beside)?;
        // A value begins here.
        r.space();
        let mut value = match r.peek() {
            Some(b'[') => {
                r.at += 1;
                r.space();
                if r.peek() != Some(b']') {
                    open.push(Open::List(Vec::new()));
                    beside += OPEN_BYTES;
                    continue;
                }
                r.at += 1;
                Value::EMPTY_LIST
            }
            Some(b'{') => {
                r.at += 1;
                r.space();
                if r.peek() != Some(b'}') {
                    let name = r.name(m)?;
                    open.push(Open::Set(Vec::new(), name));
                    beside += OPEN_BYTES;
                    continue;
                }
                r.at += 1;
                m.empty_attrs()
            }
            _ => r.scalar(m)?,
        };
        // A value ended here; it may end others.
        loop {
            r.space();
            let Some(innermost) = open.last_mut() else {
                return if r.at == text.len() {
                    Ok(value)
                } else {
                    Err(r.fail("nothing may follow the value"))
                };
            };
            let byte = r.peek();
            if matches!(byte, Some(b']' | b'}')) {
                // It ends here, or the text is wrong.
                beside -= innermost.size_bytes();
            }
            match innermost {
                Open::List(items) => {
                    items.push(value);
                    match byte {
                        Some(b',') => {
                            r.at += 1;
                            beside += ITEM_BYTES;
                        }
                        Some(b']') => {
                            r.at += 1;
                            value = m.new_list(items);
                            open.pop();
                            continue;
                        }
                        _ => return Err(r.fail("expected ',' or ']'")),
                    }
                }
                Open::Set(attrs, name) => {
                    attrs.push((*name, value));
                    match byte {
                        Some(b',') => {
                            r.at += 1;
                            r.space();
                            *name = r.name(m)?;
                            beside += ATTR_BYTES;
                        }
                        Some(b'}') => {
                            r.at += 1;
                            let mut attrs = std::mem::take(attrs);
                            // `new_attrs` keeps the first of equal names.
                            attrs.reverse();
                            value = m.new_attrs(&attrs);
                            open.pop();
                            continue;
                        }
                        _ => return Err(r.fail("expected ',' or '}'")),
                    }
                }
            }
            break;
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    #[cold]
    fn fail(&self, why: &str) -> Error {
        error::format(format!("invalid JSON at byte {}: {why}", self.at))
    }

    fn name(&mut self, m: &mut Machine) -> Result<Symbol, Error> {
        if self.peek() != Some(b'"') {
            return Err(self.fail("expected a name in quotes"));
        }
        let name = self.string()?;
        let symbol = m.symbol_of(&name);
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.fail("expected ':'"));
        }
        self.at += 1;
        Ok(symbol)
    }

    fn scalar(&mut self, m: &mut Machine) -> Result<Value, Error> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                Ok(m.new_string(&text, ContextId::NONE))
            }
            Some(b'-' | b'0'..=b'9') => self.number(m),
            _ => {
                for (word, value) in
                    [("null", Value::NULL), ("true", Value::TRUE), ("false", Value::FALSE)]
                {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.fail("expected a value"))
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self, m: &mut Machine) -> Result<Value, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let n_digits = self.digits();
        if n_digits == 0 || (leading_zero && n_digits > 1) {
            return Err(self.fail("expected a number without leading zeros"));
        }
        let mut is_float = false;
        if self.peek() == Some(b'.') {
            is_float = true;
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.fail("expected digits after the point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_float = true;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.fail("expected digits in the exponent"));
            }
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or("");
        if !is_float {
            if let Ok(n) = text.parse::<i64>() {
                return Ok(m.new_int(n));
            }
            // COMPAT: beyond 64 bits without a sign it is a float again.
            if text.parse::<u64>().is_ok() {
                return Err(error::format(format!("JSON number {text} is out of range")));
            }
        }
        let x: f64 = text.parse().map_err(|_| self.fail("expected a number"))?;
        if x.is_infinite() {
            return Err(error::format(format!("JSON number {text} is out of range")));
        }
        Ok(m.new_float(x))
    }

    fn string(&mut self) -> Result<Vec<u8>, Error> {
        self.at += 1;
        let start = self.at;
        let mut out: Vec<u8> = Vec::new();
        let mut plain = start;
        loop {
            match self.peek() {
                None => return Err(self.fail("the string is not closed")),
                Some(b'"') => {
                    out.extend_from_slice(&self.text[plain..self.at]);
                    self.at += 1;
                    if std::str::from_utf8(&out).is_err() {
                        return Err(self.fail("the string is not UTF-8"));
                    }
                    if out.contains(&0) {
                        return Err(self.fail("strings may not contain NUL"));
                    }
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.extend_from_slice(&self.text[plain..self.at]);
                    self.at += 1;
                    self.escape(&mut out)?;
                    plain = self.at;
                }
                Some(0..0x20) => return Err(self.fail("control characters must be escaped")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let byte = self.peek();
        self.at += 1;
        out.push(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let c = self.unicode()?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => {
                self.at -= 1;
                return Err(self.fail("unknown escape"));
            }
        });
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, Error> {
        let high = self.hex4()?;
        if !(0xd800..0xe000).contains(&high) {
            return char::from_u32(high).ok_or_else(|| self.fail("no such character"));
        }
        let lone = "a surrogate must be followed by its other half";
        if high >= 0xdc00 || !self.text[self.at..].starts_with(b"\\u") {
            return Err(self.fail(lone));
        }
        self.at += 2;
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.fail(lone));
        }
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            .ok_or_else(|| self.fail("no such character"))
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let digits = self.text.get(self.at..self.at + 4).unwrap_or_default();
        let is_hex = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(digits).unwrap_or("");
        match u32::from_str_radix(text, 16) {
            Ok(n) if is_hex => {
                self.at += 4;
                Ok(n)
            }
            _ => Err(self.fail("expected four hexadecimal digits")),
        }
    }
}
