//! Numbers and padded byte strings: the common ground of NARs, exports and the daemon's protocol.
//!
//! Numbers are 64 bits, little endian. A byte string is its length, its bytes, and zeros up to a
//! multiple of 8. Lengths are believed only up to a cap that the caller gives, and memory grows
//! with what really comes.

use std::io::{self, Read, Write};

/// What byte strings are padded to, in bytes.
pub const ALIGN: usize = 8;

/// Why bytes are not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Reading failed, or the stream ended in the middle.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A string that is longer than allowed here.
    #[error("a string of {len} bytes is longer than the {max} bytes allowed here")]
    Long {
        /// The claimed length, in bytes.
        len: u64,
        /// The cap, in bytes.
        max: usize,
    },
    /// A list that is longer than allowed here.
    #[error("a list of {len} items is longer than the {max} allowed here")]
    Items {
        /// The claimed number of items.
        len: u64,
        /// The cap.
        max: usize,
    },
    /// The padding of a string is not zero.
    #[error("the padding of a string is not zero")]
    Padding,
    /// A string that must be text is not UTF-8.
    #[error("a string is not UTF-8: {0:?}")]
    Utf8(String),
    /// A truth value that is neither 0 nor 1.
    #[error("{0} is neither 0 nor 1")]
    Bool(u64),
}

/// How many zeros follow a string of `len` bytes.
#[must_use]
pub const fn padding(len: u64) -> usize {
    (len.wrapping_neg() % ALIGN as u64) as usize
}

/// Writes a number.
///
/// # Errors
/// Those of `out`.
pub fn write_u64(out: &mut (impl Write + ?Sized), number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

/// Writes a truth value: 0 or 1.
///
/// # Errors
/// Those of `out`.
pub fn write_bool(out: &mut (impl Write + ?Sized), value: bool) -> io::Result<()> {
    write_u64(out, value.into())
}

/// Writes a byte string.
///
/// # Errors
/// Those of `out`.
pub fn write_bytes(out: &mut (impl Write + ?Sized), bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let bytes = bytes.as_ref();
    write_u64(out, bytes.len() as u64)?;
    out.write_all(bytes)?;
    out.write_all(&[0; ALIGN][..padding(bytes.len() as u64)])
}

/// Writes a list of byte strings: how many, then each.
///
/// # Errors
/// Those of `out`.
pub fn write_list<T: AsRef<[u8]>>(
    out: &mut (impl Write + ?Sized),
    items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
) -> io::Result<()> {
    let items = items.into_iter();
    write_u64(out, items.len() as u64)?;
    items.into_iter().try_for_each(|item| write_bytes(out, item))
}

/// Reads a number.
///
/// # Errors
/// Those of `input`; the end of the stream is one.
pub fn read_u64(input: &mut (impl Read + ?Sized)) -> Result<u64, WireError> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads a truth value.
///
/// # Errors
/// As [`read_u64`], and any number but 0 and 1.
pub fn read_bool(input: &mut (impl Read + ?Sized)) -> Result<bool, WireError> {
    match read_u64(input)? {
        0 => Ok(false),
        1 => Ok(true),
        number => Err(WireError::Bool(number)),
    }
}

/// Reads a byte string of at most `max` bytes.
///
/// # Errors
/// The string is longer, its padding is not zero, or the stream ends.
pub fn read_bytes(input: &mut (impl Read + ?Sized), max: usize) -> Result<Vec<u8>, WireError> {
    let len = read_u64(input)?;
    if len > max as u64 {
        return Err(WireError::Long { len, max });
    }
    let mut bytes = Vec::new();
    input.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut zeros = [0; ALIGN];
    let zeros = &mut zeros[..padding(len)];
    input.read_exact(zeros)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(WireError::Padding);
    }
    Ok(bytes)
}

/// Reads a string of at most `max` bytes that must be UTF-8.
///
/// # Errors
/// As [`read_bytes`], and bytes that are no UTF-8.
pub fn read_text(input: &mut (impl Read + ?Sized), max: usize) -> Result<String, WireError> {
    String::from_utf8(read_bytes(input, max)?)
        .map_err(|error| WireError::Utf8(String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Reads how many items a list has, at most `max`, and then each with `item`.
///
/// # Errors
/// The list is longer, or `item` fails.
pub fn read_list<R: Read + ?Sized, T, E: From<WireError>>(
    input: &mut R,
    max: usize,
    mut item: impl FnMut(&mut R) -> Result<T, E>,
) -> Result<Vec<T>, E> {
    let len = read_u64(input)?;
    if len > max as u64 {
        return Err(WireError::Items { len, max }.into());
    }
    (0..len).map(|_| item(input)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_string_is_padded_with_zeros() {
        let mut out = Vec::new();
        write_bytes(&mut out, b"regular").expect("memory takes it");
        assert_eq!(out, b"\x07\0\0\0\0\0\0\0regular\0");
        assert_eq!([0, 1, 7, 8, 9, u64::MAX].map(padding), [0, 7, 1, 0, 7, 1]);
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_read() {
        let huge = u64::MAX.to_le_bytes();
        assert!(matches!(
            read_bytes(&mut &huge[..], 64),
            Err(WireError::Long { len: u64::MAX, max: 64 })
        ));
        let list = read_list(&mut &huge[..], 64, read_u64);
        assert!(matches!(list, Err(WireError::Items { len: u64::MAX, max: 64 })));
        // The claim is within the cap, but nothing comes.
        let claim = (1u64 << 40).to_le_bytes();
        assert!(matches!(read_bytes(&mut &claim[..], usize::MAX), Err(WireError::Io(_))));
    }

    #[test]
    fn padding_text_and_truth_are_checked() {
        let bad = b"\x07\0\0\0\0\0\0\0regularx";
        assert!(matches!(read_bytes(&mut &bad[..], 64), Err(WireError::Padding)));
        let bad = b"\x01\0\0\0\0\0\0\0\xff\0\0\0\0\0\0\0";
        assert!(matches!(read_text(&mut &bad[..], 64), Err(WireError::Utf8(_))));
        assert!(matches!(read_bool(&mut &2u64.to_le_bytes()[..]), Err(WireError::Bool(2))));
    }

    proptest! {
        #[test]
        fn all_kinds_come_back(
            number: u64,
            truth: bool,
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
        ) {
            let mut out = Vec::new();
            write_u64(&mut out, number)?;
            write_bool(&mut out, truth)?;
            write_list(&mut out, &items)?;
            let input = &mut &out[..];
            prop_assert_eq!(read_u64(input)?, number);
            prop_assert_eq!(read_bool(input)?, truth);
            prop_assert_eq!(read_list(input, 5, |input| read_bytes(input, 20))?, items);
            prop_assert!(input.is_empty());
            for end in 0..out.len() {
                let input = &mut &out[..end];
                let all = read_u64(input)
                    .and_then(|_| read_bool(input))
                    .and_then(|_| read_list(input, 5, |input| read_bytes(input, 20)));
                prop_assert!(all.is_err());
            }
        }
    }
}
