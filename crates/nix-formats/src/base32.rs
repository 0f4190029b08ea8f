//! Nix's base-32: how the hash part of a store path is spelled.
//!
//! Not RFC 4648. The alphabet has no `e`, `o`, `t`, `u`, and the text begins with the *last*
//! five bits, so sorting the texts does not sort the bytes. There is no padding; a length that no
//! number of bytes encodes to, and unused top bits that are not zero, are errors.

/// The 32 digits, in the order of their values.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Value of a byte that is no digit.
const NO_DIGIT: u8 = 0xff;

/// Byte → value of the digit, or [`NO_DIGIT`].
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Why a text is not Nix's base-32.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Base32Error {
    /// A byte outside [`ALPHABET`], and its offset in bytes.
    #[error("{byte:?} at offset {at} is not a digit of Nix's base-32")]
    Digit {
        /// The byte, as a character of Latin-1.
        byte: char,
        /// Where it stands, in bytes.
        at: usize,
    },
    /// No number of bytes has so many digits.
    #[error("no number of bytes has {0} digits in Nix's base-32")]
    Length(usize),
    /// The first digit says more than the bytes can hold.
    #[error("the unused bits of the first digit are not zero")]
    UnusedBits,
}

/// Says whether `byte` is one of the 32 digits.
#[must_use]
pub fn is_digit(byte: u8) -> bool {
    VALUES[usize::from(byte)] != NO_DIGIT
}

/// The number of digits for `n_bytes` bytes.
#[must_use]
pub const fn encoded_len(n_bytes: usize) -> usize {
    (n_bytes * 8).div_ceil(5)
}

/// Writes `bytes` in Nix's base-32, [`encoded_len`] digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(encoded_len(bytes.len()));
    for k in (0..encoded_len(bytes.len())).rev() {
        let (byte, bit) = (k * 5 / 8, k * 5 % 8);
        let low = u16::from(bytes[byte]);
        let high = bytes.get(byte + 1).map_or(0, |&high| u16::from(high));
        let digit = ((high << 8 | low) >> bit) & 0x1f;
        text.push(char::from(ALPHABET[usize::from(digit)]));
    }
    text
}

/// Reads a text that [`encode`] wrote.
///
/// # Errors
/// A byte that is no digit, an impossible length, unused bits that are set.
pub fn decode(text: &str) -> Result<Vec<u8>, Base32Error> {
    decode_bytes(text.as_bytes())
}

/// Like [`decode`], for text that need not be UTF-8.
///
/// # Errors
/// See [`decode`].
pub fn decode_bytes(text: &[u8]) -> Result<Vec<u8>, Base32Error> {
    let n_bytes = text.len() / 8 * 5 + text.len() % 8 * 5 / 8;
    if encoded_len(n_bytes) != text.len() {
        return Err(Base32Error::Length(text.len()));
    }
    let mut bytes = vec![0u8; n_bytes];
    for (k, (at, &byte)) in text.iter().enumerate().rev().enumerate() {
        let value = VALUES[usize::from(byte)];
        if value == NO_DIGIT {
            return Err(Base32Error::Digit { byte: char::from(byte), at });
        }
        let (index, bit) = (k * 5 / 8, k * 5 % 8);
        let wide = u16::from(value) << bit;
        // A set bit beyond the last byte has no place to go.
        for (index, part) in [(index, wide as u8), (index + 1, (wide >> 8) as u8)] {
            match bytes.get_mut(index) {
                Some(byte) => *byte |= part,
                None if part == 0 => {}
                None => return Err(Base32Error::UnusedBits),
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digests_of_nothing_are_spelled_as_published() {
        use crate::hash::{Hash, HashAlgo};
        for (algo, text) in [
            (HashAlgo::Md5, "3y8bwfr609h3lh9ch0izcqq7fl"),
            (HashAlgo::Sha1, "143xibwh31h9bvxzalr0sjvbbvpa6ffs"),
            (HashAlgo::Sha256, "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"),
            (
                HashAlgo::Sha512,
                "0zdl9zrg8r3i9c1g90lgg9ip5ijzv3yhz91i0zzn3r8ap9ws784gkp9dk9j3aglhgf1amqb0pj21mh7h1nxcl18akqvvf7ggqsy30yg",
            ),
        ] {
            let hash = Hash::of(algo, b"");
            assert_eq!(encode(hash.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Ok(hash.as_bytes()));
        }
    }

    #[test]
    fn texts_that_encode_writes_for_no_bytes_are_refused() {
        assert_eq!(decode("0"), Err(Base32Error::Length(1)));
        assert_eq!(decode("000"), Err(Base32Error::Length(3)));
        assert_eq!(decode("0e"), Err(Base32Error::Digit { byte: 'e', at: 1 }));
        assert_eq!(decode("zz"), Err(Base32Error::UnusedBits));
        assert_eq!(decode("80"), Err(Base32Error::UnusedBits));
        assert_eq!(decode("7z"), Ok(vec![0xff]));
        assert_eq!(decode(""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }

        #[test]
        fn a_text_that_is_read_is_written_the_same(text in "[0-9a-z]{0,40}") {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
