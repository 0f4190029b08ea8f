//! Classes of bytes.

/// White space between tokens.
pub(in crate::syntax) const SPACE: u8 = 1;
/// `[a-zA-Z0-9_'-]`
pub(in crate::syntax) const IDENT: u8 = 4;
/// `[a-zA-Z0-9._+-]`
pub(in crate::syntax) const PATH: u8 = 8;
/// `[0-9]`
pub(in crate::syntax) const DIGIT: u8 = 16;
/// What may stand after the colon of a URI.
pub(in crate::syntax) const URI: u8 = 32;

/// What ends a plain stretch of a string: `"`, `\`, `$`, a carriage return, NUL.
pub(in crate::syntax) const STRING: u8 = 64;

const fn class_of(byte: u8) -> u8 {
    let mut class = 0;
    if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
        class |= SPACE;
    }
    if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'-') {
        class |= IDENT;
    }
    if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-') {
        class |= PATH;
    }
    if byte.is_ascii_digit() {
        class |= DIGIT;
    }
    if byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'%' | b'/'
                | b'?'
                | b':'
                | b'@'
                | b'&'
                | b'='
                | b'+'
                | b'$'
                | b','
                | b'-'
                | b'_'
                | b'.'
                | b'!'
                | b'~'
                | b'*'
                | b'\''
        )
    {
        class |= URI;
    }
    if matches!(byte, b'"' | b'\\' | b'$' | b'\r' | 0) {
        class |= STRING;
    }
    class
}

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
};

/// Whether the byte is of one of the classes.
#[inline]
pub(in crate::syntax) fn is(byte: u8, classes: u8) -> bool {
    CLASSES[byte as usize] & classes != 0
}
