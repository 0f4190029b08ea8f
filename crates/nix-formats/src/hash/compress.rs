//! Folding a digest to fewer bytes: how 32 bytes of SHA-256 become the 20 of a store path.

/// Folds `digest` to `n` bytes: byte `i` is XORed into place `i mod n`. Empty if `n` is 0.
#[must_use]
pub fn compress(digest: &[u8], n: usize) -> Vec<u8> {
    let mut folded = vec![0; n];
    if n > 0 {
        fold(digest, &mut folded);
    }
    folded
}

/// Like [`compress`], to the 20 bytes of a store path's hash part.
pub(crate) fn compress20(digest: &[u8]) -> [u8; 20] {
    let mut folded = [0; 20];
    fold(digest, &mut folded);
    folded
}

fn fold(digest: &[u8], folded: &mut [u8]) {
    let n = folded.len();
    for (i, byte) in digest.iter().enumerate() {
        folded[i % n] ^= byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base32;
    use crate::hash::{Hash, HashAlgo};

    #[test]
    fn sha256_of_nothing_folds_as_published() {
        let hash = Hash::of(HashAlgo::Sha256, b"");
        assert_eq!(
            base32::encode(&compress(hash.as_bytes(), 20)),
            "wi0sw9r4p5prk7acm7i0z1b97h75faw7"
        );
        assert_eq!(compress(hash.as_bytes(), 20), compress20(hash.as_bytes()));
        assert!(compress(hash.as_bytes(), 0).is_empty());
    }
}
