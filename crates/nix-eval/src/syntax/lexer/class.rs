//! Classes of bytes.

/// White space between tokens.
pub(in crate::syntax) const SPACE: u8 = 1;
/// What a comment may begin with: `#`, `/`
pub(in crate::syntax) const COMMENT: u8 = 2;
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
    if matches!(byte, b'#' | b'/') {
        class |= COMMENT;
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

/// How many bytes at the beginning of a text are of the class. Sixteen at a time where the machine can: most
/// names, and most stretches of strings, are shorter.
#[inline]
pub(in crate::syntax) fn run_of<C: Class>(text: &[u8]) -> usize {
    let mut at = 0;
    #[cfg(target_arch = "x86_64")]
    while let Some(block) = text[at..].first_chunk() {
        let others = !C::mask(block) & 0xffff;
        if others != 0 {
            return at + others.trailing_zeros() as usize;
        }
        at += 16;
    }
    while at < text.len() && C::has(text[at]) {
        at += 1;
    }
    at
}

/// A class of bytes that runs are made of.
pub(in crate::syntax) trait Class {
    fn has(byte: u8) -> bool;
    /// One bit a byte: whether it is of the class.
    #[cfg(target_arch = "x86_64")]
    fn mask(block: &[u8; 16]) -> u32;
}

/// [`IDENT`]
pub(in crate::syntax) struct Ident;
/// [`PATH`]
pub(in crate::syntax) struct InPath;
/// Not [`STRING`]
pub(in crate::syntax) struct Plain;

impl Class for Ident {
    #[inline]
    fn has(byte: u8) -> bool {
        is(byte, IDENT)
    }
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn mask(block: &[u8; 16]) -> u32 {
        wide::alphanumeric_or(block, [b'_', b'-', b'\''])
    }
}

impl Class for InPath {
    #[inline]
    fn has(byte: u8) -> bool {
        is(byte, PATH)
    }
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn mask(block: &[u8; 16]) -> u32 {
        wide::alphanumeric_or(block, [b'_', b'-', b'.', b'+'])
    }
}

impl Class for Plain {
    #[inline]
    fn has(byte: u8) -> bool {
        !is(byte, STRING)
    }
    #[cfg(target_arch = "x86_64")]
    #[inline]
    fn mask(block: &[u8; 16]) -> u32 {
        !wide::any_of(block, [b'"', b'\\', b'$', b'\r', 0])
    }
}

/// Sixteen bytes at once.
#[cfg(target_arch = "x86_64")]
mod wide {
    #![allow(unsafe_code, reason = "vectors")]

    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8, _mm_setzero_si128,
    };

    /// One bit a byte: whether it is a letter, a digit or one of some others.
    #[inline]
    pub(super) fn alphanumeric_or<const N: usize>(block: &[u8; 16], more: [u8; N]) -> u32 {
        // SAFETY: every x86-64 machine has SSE2.
        unsafe { alphanumeric_or_sse2(block, more) }
    }

    /// One bit a byte: whether it is one of some.
    #[inline]
    pub(super) fn any_of<const N: usize>(block: &[u8; 16], bytes: [u8; N]) -> u32 {
        // SAFETY: every x86-64 machine has SSE2.
        unsafe { any_of_sse2(block, bytes) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn alphanumeric_or_sse2<const N: usize>(block: &[u8; 16], more: [u8; N]) -> u32 {
        let block = load(block);
        let letters = among(_mm_or_si128(block, _mm_set1_epi8(0x20)), b'a', 26);
        let digits = among(block, b'0', 10);
        let all = _mm_or_si128(_mm_or_si128(letters, digits), equal(block, more));
        _mm_movemask_epi8(all) as u32
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn any_of_sse2<const N: usize>(block: &[u8; 16], bytes: [u8; N]) -> u32 {
        _mm_movemask_epi8(equal(load(block), bytes)) as u32
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(block: &[u8; 16]) -> __m128i {
        let all = u128::from_le_bytes(*block);
        _mm_set_epi64x((all >> 64) as i64, all as i64)
    }

    /// Whether `first <= byte < first + n`.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn among(block: __m128i, first: u8, n: u8) -> __m128i {
        let from_first = _mm_add_epi8(block, _mm_set1_epi8(first.wrapping_neg() as i8));
        _mm_cmpeq_epi8(_mm_min_epu8(from_first, _mm_set1_epi8(n as i8 - 1)), from_first)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn equal<const N: usize>(block: __m128i, bytes: [u8; N]) -> __m128i {
        let mut found = _mm_setzero_si128();
        for byte in bytes {
            found = _mm_or_si128(found, _mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<C: Class>() {
        for byte in 0..=u8::MAX {
            let member = (0..=u8::MAX).find(|&b| C::has(b)).expect("no class is empty");
            for before in [0, 1, 15, 16, 17, 40] {
                for after in [0, 1, 30] {
                    let mut text = vec![member; before];
                    text.push(byte);
                    text.resize(before + 1 + after, member);
                    let expected = text.iter().position(|&b| !C::has(b)).unwrap_or(text.len());
                    assert_eq!(run_of::<C>(&text), expected, "{byte} after {before}");
                }
            }
        }
    }

    #[test]
    fn runs_end_where_the_class_ends() {
        check::<Ident>();
        check::<InPath>();
        check::<Plain>();
    }
}
