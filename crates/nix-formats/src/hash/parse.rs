//! Reading hashes: base-16, Nix's base-32 and base-64 told apart by length, and SRI.

use data_encoding::Specification;

use super::{Hash, HashAlgo};
use crate::base32::{self, Base32Error};

/// Why a text is not a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The algorithm's name is none that we know.
    #[error("unknown hash algorithm {0:?}, expected \"md5\", \"sha1\", \"sha256\" or \"sha512\"")]
    Algo(String),
    /// Neither the text nor the context says the algorithm.
    #[error("hash {0:?} does not include an algorithm, nor is it known from the context")]
    NoAlgo(String),
    /// Text and context disagree.
    #[error("hash {text:?} should have type '{expected}'")]
    OtherAlgo {
        /// The text.
        text: String,
        /// What the context says.
        expected: HashAlgo,
    },
    /// The length of the text fits no base.
    #[error("hash {text:?} has wrong length for hash algorithm '{algo}'")]
    TextLen {
        /// The text without the algorithm.
        text: String,
        /// The algorithm that decides which lengths are right.
        algo: HashAlgo,
    },
    /// A digest of the wrong length.
    #[error("a digest of '{algo}' has not {n_bytes} bytes")]
    DigestLen {
        /// The algorithm.
        algo: HashAlgo,
        /// The length found, in bytes.
        n_bytes: usize,
    },
    /// A digit is not one of base-16.
    #[error("hash {0:?} is not base-16")]
    Base16(String),
    /// The text is not Nix's base-32.
    #[error("hash {text:?} is not Nix's base-32")]
    Base32 {
        /// The text without the algorithm.
        text: String,
        /// What is wrong with it.
        source: Base32Error,
    },
    /// A digit is not one of base-64.
    #[error("hash {0:?} is not base-64")]
    Base64(String),
    /// A text that must be SRI has no `-`.
    #[error("hash {0:?} is not SRI")]
    Sri(String),
}

pub(super) fn any_base(text: &str, expected: Option<HashAlgo>) -> Result<Hash, HashError> {
    let (algo, digest, is_sri) = if let Some((algo, digest)) = text.split_once(':') {
        (Some(HashAlgo::parse(algo)?), digest, false)
    } else if let Some((algo, digest)) = text.split_once('-') {
        (Some(HashAlgo::parse(algo)?), digest, true)
    } else {
        (None, text, false)
    };
    let algo = match (algo, expected) {
        (Some(algo), Some(expected)) if algo != expected => {
            return Err(HashError::OtherAlgo { text: text.to_owned(), expected });
        }
        (Some(algo), _) | (None, Some(algo)) => algo,
        (None, None) => return Err(HashError::NoAlgo(text.to_owned())),
    };
    if is_sri { base64(digest, algo) } else { by_length(digest, algo) }
}

pub(super) fn sri(text: &str) -> Result<Hash, HashError> {
    let (algo, digest) = text.split_once('-').ok_or_else(|| HashError::Sri(text.to_owned()))?;
    base64(digest, HashAlgo::parse(algo)?)
}

fn by_length(text: &str, algo: HashAlgo) -> Result<Hash, HashError> {
    let n_bytes = algo.digest_len();
    if text.len() == 2 * n_bytes {
        let digest = hex::decode(text).map_err(|_| HashError::Base16(text.to_owned()))?;
        Hash::new(algo, &digest)
    } else if text.len() == base32::encoded_len(n_bytes) {
        let digest = base32::decode(text)
            .map_err(|source| HashError::Base32 { text: text.to_owned(), source })?;
        Hash::new(algo, &digest)
    } else if text.len() == n_bytes.div_ceil(3) * 4 {
        base64(text, algo)
    } else {
        Err(HashError::TextLen { text: text.to_owned(), algo })
    }
}

const BASE64_SYMBOLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base-64 as Nix reads it.
///
/// COMPAT: padding may be missing, and the unused bits of the last digit may be anything.
fn base64(text: &str, algo: HashAlgo) -> Result<Hash, HashError> {
    let mut spec = Specification::new();
    spec.symbols.push_str(BASE64_SYMBOLS);
    spec.check_trailing_bits = false;
    let lenient = spec.encoding().expect("64 different symbols make an encoding");
    let digits = text.trim_end_matches('=');
    let digest =
        lenient.decode(digits.as_bytes()).map_err(|_| HashError::Base64(text.to_owned()))?;
    Hash::new(algo, &digest).map_err(|_| HashError::TextLen { text: text.to_owned(), algo })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_is_read() {
        let hash = Hash::of(HashAlgo::Sha256, b"");
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for text in [
            &format!("sha256:{hex}"),
            &format!("sha256:{}", hex.to_uppercase()),
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        ] {
            assert_eq!(Hash::parse(text, None), Ok(hash), "{text}");
            assert_eq!(Hash::parse(text, Some(HashAlgo::Sha256)), Ok(hash), "{text}");
        }
        assert_eq!(Hash::parse(hex, Some(HashAlgo::Sha256)), Ok(hash));
    }

    #[test]
    fn what_is_no_hash_is_refused_with_its_reason() {
        let digest = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        let sha256 = Some(HashAlgo::Sha256);
        assert!(matches!(Hash::parse(digest, None), Err(HashError::NoAlgo(_))));
        assert!(matches!(
            Hash::parse(&format!("sha1:{digest}"), sha256),
            Err(HashError::OtherAlgo { .. })
        ));
        assert!(matches!(Hash::parse(&format!("sha3:{digest}"), None), Err(HashError::Algo(_))));
        assert!(matches!(Hash::parse(&digest[1..], sha256), Err(HashError::TextLen { .. })));
        let bad = digest.replace('m', "e");
        assert!(matches!(Hash::parse(&bad, sha256), Err(HashError::Base32 { .. })));
        assert!(matches!(Hash::parse(&"g".repeat(64), sha256), Err(HashError::Base16(_))));
        assert!(matches!(Hash::parse("sha256-!", None), Err(HashError::Base64(_))));
        assert!(matches!(Hash::parse("sha256-AAAA", None), Err(HashError::TextLen { .. })));
        assert!(matches!(Hash::parse("sha256:", None), Err(HashError::TextLen { .. })));
        assert!(matches!(Hash::parse_sri(digest), Err(HashError::Sri(_))));
    }

    proptest! {
        #[test]
        fn a_hash_comes_back_from_each_spelling(seed in any::<[u8; 4]>()) {
            for algo in HashAlgo::ALL {
                let hash = Hash::of(algo, seed);
                for text in [hash.to_sri(), hash.to_prefixed_base16(), hash.to_prefixed_nix32()] {
                    prop_assert_eq!(Hash::parse(&text, None), Ok(hash));
                }
                for text in [hash.to_base16(), hash.to_nix32(), hash.to_base64()] {
                    prop_assert_eq!(Hash::parse(&text, Some(algo)), Ok(hash));
                }
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,70}") {
            let _ = Hash::parse(&text, Some(HashAlgo::Sha256));
            let _ = Hash::parse(&text, None);
        }
    }
}
