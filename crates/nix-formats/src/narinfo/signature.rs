//! Signatures of objects: Ed25519 over a text that says what the object is.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::hash::Hash;
use crate::store_path::{StoreDir, StorePath};

/// The text that is signed for an object: path, NAR hash, NAR size and full reference paths.
#[must_use]
pub fn fingerprint(
    dir: &StoreDir,
    path: &StorePath,
    nar_hash: &Hash,
    nar_size: u64,
    references: &BTreeSet<StorePath>,
) -> String {
    let references: Vec<String> = references.iter().map(|path| dir.display(path)).collect();
    format!(
        "1;{};{};{nar_size};{}",
        dir.display(path),
        nar_hash.to_prefixed_nix32(),
        references.join(",")
    )
}

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No name before a colon.
    #[error("the key has no name before ':'")]
    NoName,
    /// What follows the name is not base-64 of the right length, or no key. Says no more, because
    /// it may be a secret.
    #[error("key '{0}' is corrupt")]
    Corrupt(String),
}

/// A key that signs. Its debug text does not show it.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl SecretKey {
    /// The key called `name` that follows from `seed`: 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// The name is empty or contains a colon.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<SecretKey, KeyError> {
        if name.is_empty() || name.contains(':') {
            return Err(KeyError::NoName);
        }
        Ok(SecretKey { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads `name:base64` of the seed and the public key, as key files hold it; white space
    /// around it is ignored.
    ///
    /// # Errors
    /// The name is missing, or the two halves do not belong together.
    pub fn parse(text: &str) -> Result<SecretKey, KeyError> {
        let (name, bytes) = split::<64>(text)?;
        let key = SigningKey::from_keypair_bytes(&bytes)
            .map_err(|_| KeyError::Corrupt(name.to_owned()))?;
        Ok(SecretKey { name: name.to_owned(), key })
    }

    /// The text that [`SecretKey::parse`] reads. A secret.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        format!("{}:{}", self.name, BASE64.encode(&self.key.to_keypair_bytes()))
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs a text, such as a [`fingerprint`].
    #[must_use]
    pub fn sign(&self, text: impl AsRef<[u8]>) -> Signature {
        Signature { name: self.name.clone(), bytes: self.key.sign(text.as_ref()).to_bytes() }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads `name:base64`; white space around it is ignored.
    ///
    /// # Errors
    /// The name is missing, or no key follows.
    pub fn parse(text: &str) -> Result<PublicKey, KeyError> {
        let (name, bytes) = split::<32>(text)?;
        let key =
            VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Corrupt(name.to_owned()))?;
        Ok(PublicKey { name: name.to_owned(), key })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says whether `signature` is of this key's name and was made of `text`.
    ///
    /// As libsodium does, it does not take keys and signatures that are valid for many texts.
    #[must_use]
    pub fn verify(&self, text: impl AsRef<[u8]>, signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        self.name == signature.name && self.key.verify_strict(text.as_ref(), &bytes).is_ok()
    }
}

impl fmt::Display for PublicKey {
    /// The text that [`PublicKey::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

/// The name of a key, and what it signed some text with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    name: String,
    bytes: [u8; 64],
}

/// A text that is not a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a signature: it must be the name of a key, ':' and 64 bytes in base-64")]
pub struct SignatureError(pub String);

impl Signature {
    /// Reads `name:base64`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Signature, SignatureError> {
        let (name, bytes) = split::<64>(text).map_err(|_| SignatureError(text.to_owned()))?;
        Ok(Signature { name: name.to_owned(), bytes })
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Signature {
    /// The text that [`Signature::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(&self.bytes))
    }
}

/// Says whether one of `signatures` is one of `keys` over `text`. Texts that are no signatures do
/// not count.
#[must_use]
pub fn is_signed_by<'k>(
    text: impl AsRef<[u8]>,
    signatures: impl IntoIterator<Item = impl AsRef<str>>,
    keys: impl IntoIterator<Item = &'k PublicKey, IntoIter: Clone>,
) -> bool {
    let keys = keys.into_iter();
    signatures
        .into_iter()
        .filter_map(|text| Signature::parse(text.as_ref()).ok())
        .any(|signature| keys.clone().any(|key| key.verify(text.as_ref(), &signature)))
}

/// `name:base64` of `N` bytes.
fn split<const N: usize>(text: &str) -> Result<(&str, [u8; N]), KeyError> {
    let (name, digits) = text.trim().split_once(':').ok_or(KeyError::NoName)?;
    if name.is_empty() {
        return Err(KeyError::NoName);
    }
    let bytes = BASE64.decode(digits.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    Ok((name, bytes.ok_or_else(|| KeyError::Corrupt(name.to_owned()))?))
}
