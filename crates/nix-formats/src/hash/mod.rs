//! Digests, and the algorithms that make them.

pub(crate) mod compress;
mod parse;

use std::fmt;
use std::io;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use sha2::Digest as _;

use crate::base32;

pub use compress::compress;
pub use parse::HashError;

/// A hash algorithm that Nix knows by name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgo {
    /// MD5, 16 bytes; for old sources only.
    Md5,
    /// SHA-1, 20 bytes; for old sources only.
    Sha1,
    /// SHA-256, 32 bytes; the one that names store objects.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
}

impl HashAlgo {
    /// All of them, weakest first.
    pub const ALL: [HashAlgo; 4] =
        [HashAlgo::Md5, HashAlgo::Sha1, HashAlgo::Sha256, HashAlgo::Sha512];

    /// The name in lower case, as it stands before `:` or `-`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HashAlgo::Md5 => "md5",
            HashAlgo::Sha1 => "sha1",
            HashAlgo::Sha256 => "sha256",
            HashAlgo::Sha512 => "sha512",
        }
    }

    /// Length of a digest, in bytes.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            HashAlgo::Md5 => 16,
            HashAlgo::Sha1 => 20,
            HashAlgo::Sha256 => 32,
            HashAlgo::Sha512 => 64,
        }
    }

    /// The algorithm called `name`.
    ///
    /// # Errors
    /// [`HashError::Algo`] for any other name; names are in lower case.
    pub fn parse(name: &str) -> Result<HashAlgo, HashError> {
        HashAlgo::ALL
            .into_iter()
            .find(|algo| algo.name() == name)
            .ok_or_else(|| HashError::Algo(name.to_owned()))
    }
}

impl FromStr for HashAlgo {
    type Err = HashError;

    fn from_str(name: &str) -> Result<HashAlgo, HashError> {
        HashAlgo::parse(name)
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Length of the longest digest, in bytes.
const MAX_DIGEST_LEN: usize = 64;

/// A digest and the algorithm that made it.
///
/// Shape: [`HashAlgo::digest_len`] bytes. The order is by algorithm, then by the bytes.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algo: HashAlgo,
    /// Zero after the digest, so that derived comparisons hold.
    bytes: [u8; MAX_DIGEST_LEN],
}

impl Hash {
    /// A hash from a digest computed elsewhere.
    ///
    /// # Errors
    /// [`HashError::DigestLen`] if `digest` has not the length of the algorithm.
    pub fn new(algo: HashAlgo, digest: &[u8]) -> Result<Hash, HashError> {
        if digest.len() != algo.digest_len() {
            return Err(HashError::DigestLen { algo, n_bytes: digest.len() });
        }
        let mut bytes = [0; MAX_DIGEST_LEN];
        bytes[..digest.len()].copy_from_slice(digest);
        Ok(Hash { algo, bytes })
    }

    /// The SHA-256 digest `digest`.
    #[must_use]
    pub fn sha256(digest: [u8; 32]) -> Hash {
        let mut bytes = [0; MAX_DIGEST_LEN];
        bytes[..32].copy_from_slice(&digest);
        Hash { algo: HashAlgo::Sha256, bytes }
    }

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(algo: HashAlgo, bytes: impl AsRef<[u8]>) -> Hash {
        let mut hasher = Hasher::new(algo);
        hasher.update(bytes.as_ref());
        hasher.finish()
    }

    /// Reads a hash in any of Nix's spellings: `algo:` or nothing before base-16, Nix's base-32 or
    /// base-64, told apart by length; or `algo-` before base-64 (SRI).
    ///
    /// `algo` is what the context says; a text without an algorithm needs it.
    ///
    /// # Errors
    /// The algorithm is unknown, missing, or another than `algo`; the length fits no base; a digit
    /// is wrong.
    pub fn parse(text: &str, algo: Option<HashAlgo>) -> Result<Hash, HashError> {
        parse::any_base(text, algo)
    }

    /// Reads `algo-base64`.
    ///
    /// # Errors
    /// The text has no `-`, the algorithm is unknown, or the digest is not base-64 of its length.
    pub fn parse_sri(text: &str) -> Result<Hash, HashError> {
        parse::sri(text)
    }

    /// The algorithm.
    #[must_use]
    pub fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The digest, [`HashAlgo::digest_len`] bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algo.digest_len()]
    }

    /// The digest in base-16, lower case.
    #[must_use]
    pub fn to_base16(&self) -> String {
        HEXLOWER.encode(self.as_bytes())
    }

    /// The digest in Nix's base-32.
    #[must_use]
    pub fn to_nix32(&self) -> String {
        base32::encode(self.as_bytes())
    }

    /// The digest in base-64, padded.
    #[must_use]
    pub fn to_base64(&self) -> String {
        BASE64.encode(self.as_bytes())
    }

    /// `algo-base64`, the spelling of Subresource Integrity.
    #[must_use]
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algo, self.to_base64())
    }

    /// `algo:base16`.
    #[must_use]
    pub fn to_prefixed_base16(&self) -> String {
        format!("{}:{}", self.algo, self.to_base16())
    }

    /// `algo:base32`, the spelling of narinfo and content addresses.
    #[must_use]
    pub fn to_prefixed_nix32(&self) -> String {
        format!("{}:{}", self.algo, self.to_nix32())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.to_prefixed_base16())
    }
}

impl fmt::Display for Hash {
    /// As [`Hash::to_sri`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_sri())
    }
}

/// A hash in the making: bytes go in, at the end a [`struct@Hash`] comes out.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    n_bytes: u64,
}

#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new(algo: HashAlgo) -> Hasher {
        let state = match algo {
            HashAlgo::Md5 => State::Md5(md5::Md5::default()),
            HashAlgo::Sha1 => State::Sha1(sha1::Sha1::default()),
            HashAlgo::Sha256 => State::Sha256(sha2::Sha256::default()),
            HashAlgo::Sha512 => State::Sha512(sha2::Sha512::default()),
        };
        Hasher { state, n_bytes: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Md5(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
        self.n_bytes += bytes.len() as u64;
    }

    /// How many bytes were added.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The hash of all bytes added.
    #[must_use]
    pub fn finish(self) -> Hash {
        fn hash(algo: HashAlgo, digest: &[u8]) -> Hash {
            Hash::new(algo, digest).expect("an algorithm makes digests of its own length")
        }
        match self.state {
            State::Md5(state) => hash(HashAlgo::Md5, &state.finalize()),
            State::Sha1(state) => hash(HashAlgo::Sha1, &state.finalize()),
            State::Sha256(state) => hash(HashAlgo::Sha256, &state.finalize()),
            State::Sha512(state) => hash(HashAlgo::Sha512, &state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
