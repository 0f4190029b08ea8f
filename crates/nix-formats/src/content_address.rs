//! Content addresses: how the path of an object follows from its contents.
//!
//! Written `text:sha256:…` or `fixed:sha256:…`, `fixed:r:sha256:…`, the digest in Nix's base-32.

use std::fmt;

use crate::hash::{Hash, HashAlgo, HashError};
use crate::store_path::FileMethod;

/// What the path of a content-addressed object is computed from, besides name and references.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentAddress {
    /// The hash of a text object's contents; SHA-256.
    Text(Hash),
    /// The hash of a file system object.
    Fixed {
        /// What of the object is hashed.
        method: FileMethod,
        /// The hash. With self-references, that of the NAR modulo these.
        hash: Hash,
    },
}

/// How a content address is made: all of it but the digest.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CaMethod {
    /// A text object.
    Text,
    /// A file system object.
    File(FileMethod),
}

/// Why a text is not a content address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentAddressError {
    /// Neither `text:` nor `fixed:`.
    #[error("content address {0:?} begins neither with 'text:' nor with 'fixed:'")]
    Kind(String),
    /// A way of hashing that we do not support.
    #[error("content address {0:?} hashes as git trees do, which is not supported")]
    Git(String),
    /// The hash is wrong.
    #[error("content address {text:?} has a wrong hash: {source}")]
    Hash {
        /// The whole text.
        text: String,
        /// What is wrong.
        source: HashError,
    },
    /// A text object hashed by something else than SHA-256.
    #[error("content address {0:?} of a text must use sha256")]
    TextAlgo(String),
}

impl CaMethod {
    /// What stands before the algorithm in a derivation: nothing, `r:` or `text:`.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            CaMethod::Text => "text:",
            CaMethod::File(method) => method.prefix(),
        }
    }

    /// The address that this method gives an object with hash `hash`.
    #[must_use]
    pub fn address(self, hash: Hash) -> ContentAddress {
        match self {
            CaMethod::Text => ContentAddress::Text(hash),
            CaMethod::File(method) => ContentAddress::Fixed { method, hash },
        }
    }

    /// Splits `[r:|text:]algo`, as it stands in a derivation.
    ///
    /// # Errors
    /// The prefix or the algorithm is unknown.
    pub fn parse_with_algo(text: &str) -> Result<(CaMethod, HashAlgo), ContentAddressError> {
        let (method, algo) = if let Some(algo) = text.strip_prefix("r:") {
            (CaMethod::File(FileMethod::Nar), algo)
        } else if let Some(algo) = text.strip_prefix("text:") {
            (CaMethod::Text, algo)
        } else if text.starts_with("git:") {
            return Err(ContentAddressError::Git(text.to_owned()));
        } else {
            (CaMethod::File(FileMethod::Flat), text)
        };
        match HashAlgo::parse(algo) {
            Ok(algo) => Ok((method, algo)),
            Err(source) => Err(ContentAddressError::Hash { text: text.to_owned(), source }),
        }
    }
}

impl ContentAddress {
    /// Reads a content address, the digest in any base.
    ///
    /// # Errors
    /// Names the part that is wrong.
    pub fn parse(text: &str) -> Result<ContentAddress, ContentAddressError> {
        let hash = |digest: &str| {
            // SRI and texts without an algorithm have no place here.
            let (algo, _) = digest.split_once(':').unwrap_or((digest, ""));
            HashAlgo::parse(algo)
                .and_then(|algo| Hash::parse(digest, Some(algo)))
                .map_err(|source| ContentAddressError::Hash { text: text.to_owned(), source })
        };
        if let Some(digest) = text.strip_prefix("text:") {
            let hash = hash(digest)?;
            if hash.algo() != HashAlgo::Sha256 {
                return Err(ContentAddressError::TextAlgo(text.to_owned()));
            }
            Ok(ContentAddress::Text(hash))
        } else if let Some(rest) = text.strip_prefix("fixed:") {
            if rest.starts_with("git:") {
                return Err(ContentAddressError::Git(text.to_owned()));
            }
            let (method, digest) = match rest.strip_prefix("r:") {
                Some(digest) => (FileMethod::Nar, digest),
                None => (FileMethod::Flat, rest),
            };
            Ok(ContentAddress::Fixed { method, hash: hash(digest)? })
        } else {
            Err(ContentAddressError::Kind(text.to_owned()))
        }
    }

    /// The text that [`ContentAddress::parse`] reads, the digest in Nix's base-32.
    #[must_use]
    pub fn render(&self) -> String {
        self.to_string()
    }

    /// The hash.
    #[must_use]
    pub fn hash(&self) -> &Hash {
        match self {
            ContentAddress::Text(hash) | ContentAddress::Fixed { hash, .. } => hash,
        }
    }

    /// How the hash is made.
    #[must_use]
    pub fn method(&self) -> CaMethod {
        match self {
            ContentAddress::Text(_) => CaMethod::Text,
            ContentAddress::Fixed { method, .. } => CaMethod::File(*method),
        }
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.hash().to_prefixed_nix32();
        match self {
            ContentAddress::Text(_) => write!(f, "text:{digest}"),
            ContentAddress::Fixed { method, .. } => write!(f, "fixed:{}{digest}", method.prefix()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back() {
        for text in [
            "text:sha256:18gh8j233979r0blaz24aikbwrjgj32sxpdzsydrk89lmg8q5107",
            "fixed:r:sha256:1ql6d60x90xswv69jrs6s7vviifh7cnawcrqwbjvqp500xjvywfd",
            "fixed:sha1:143xibwh31h9bvxzalr0sjvbbvpa6ffs",
        ] {
            let ca = ContentAddress::parse(text).expect("parses");
            assert_eq!(ca.render(), text);
            assert_eq!(ca.method().address(*ca.hash()), ca);
        }
    }

    #[test]
    fn the_digest_may_be_base16() {
        let ca = ContentAddress::parse("fixed:sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let hash = Hash::of(HashAlgo::Sha1, b"");
        assert_eq!(ca, Ok(ContentAddress::Fixed { method: FileMethod::Flat, hash }));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        let parse = ContentAddress::parse;
        let digest = "143xibwh31h9bvxzalr0sjvbbvpa6ffs";
        for text in ["", "text", "Text:sha256:0", "r:sha256:0"] {
            assert_eq!(parse(text), Err(ContentAddressError::Kind(text.into())));
        }
        let git = format!("fixed:git:sha1:{digest}");
        assert_eq!(parse(&git), Err(ContentAddressError::Git(git.clone())));
        let text = format!("text:sha1:{digest}");
        assert_eq!(parse(&text), Err(ContentAddressError::TextAlgo(text.clone())));
        for text in ["fixed:", "fixed:sha1", "fixed:sha1:", "fixed:r:r:sha1:0", "fixed:sha1-AAAA"] {
            assert!(matches!(parse(text), Err(ContentAddressError::Hash { .. })), "{text}");
        }
        assert!(parse(&format!("fixed:sha256:{digest}")).is_err());
        assert!(parse(&format!("fixed:{digest}")).is_err());
    }

    #[test]
    fn methods_of_derivations_are_read() {
        use FileMethod::{Flat, Nar};
        for (text, method, algo) in [
            ("sha1", CaMethod::File(Flat), HashAlgo::Sha1),
            ("r:sha256", CaMethod::File(Nar), HashAlgo::Sha256),
            ("text:sha256", CaMethod::Text, HashAlgo::Sha256),
        ] {
            assert_eq!(CaMethod::parse_with_algo(text), Ok((method, algo)));
            assert_eq!(format!("{}{algo}", method.prefix()), text);
        }
        for text in ["", "r:", "git:sha1", "x:sha1", "r:r:sha1", "SHA1"] {
            assert!(CaMethod::parse_with_algo(text).is_err(), "{text}");
        }
    }
}
