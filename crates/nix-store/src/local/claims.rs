//! What an object that comes from elsewhere says about itself, checked.

use std::io::Read;

use nix_formats::content_address::ContentAddress;
use nix_formats::derivation::{MAX_LEN, check_output_paths};
use nix_formats::hash::{Hash, HashAlgo, Hasher};
use nix_formats::references::SelfHasher;
use nix_formats::store_path::{FileMethod, HASH_LEN};

use super::{LocalStore, Place};
use crate::error::StoreError;
use crate::store::{PathInfo, Store};
use crate::sys;

impl LocalStore {
    /// Checks what cannot be taken on trust about an object that is still in the scratch
    /// directory: that its content address fits path and contents, and that a derivation's
    /// output paths follow from it.
    pub(crate) fn check_claims(&self, info: &PathInfo, place: &Place) -> Result<(), StoreError> {
        let text = self.display(&info.path);
        if let Some(ca) = &info.ca {
            let mut references = info.references.clone();
            let self_reference = references.remove(&info.path);
            let path = self
                .config
                .store_dir
                .make_ca_path(info.path.name(), ca, &references, self_reference)
                .map_err(|e| StoreError::invalid(format!("content address of '{text}': {e}")))?;
            if path != info.path {
                return Err(StoreError::invalid(format!(
                    "the content address of '{text}' belongs to '{}'",
                    self.display(&path)
                )));
            }
            let got = self.content_hash(info, ca, self_reference, place)?;
            if got != *ca.hash() {
                return Err(StoreError::HashMismatch {
                    path: text,
                    expected: ca.hash().to_sri(),
                    got: got.to_sri(),
                });
            }
        }
        if info.path.is_derivation() {
            let mut bytes = Vec::new();
            place
                .dir
                .open_file(&place.name)?
                .take(MAX_LEN as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|e| StoreError::io("read the derivation", place.path(), e))?;
            let drv = self.parse_derivation(&info.path, &bytes)?;
            check_output_paths(&self.config.store_dir, &drv, &self.modulo, &mut |path| {
                self.read_derivation(path)
            })
            .map_err(|e| StoreError::invalid(format!("derivation '{text}': {e}")))?;
        }
        Ok(())
    }

    /// The hash that `ca` is about, of the tree in the scratch directory.
    fn content_hash(
        &self,
        info: &PathInfo,
        ca: &ContentAddress,
        self_reference: bool,
        place: &Place,
    ) -> Result<Hash, StoreError> {
        let algo = ca.hash().algo();
        let is_nar = matches!(ca, ContentAddress::Fixed { method: FileMethod::Nar, .. });
        if !is_nar {
            let mut hasher = Hasher::new(algo);
            std::io::copy(&mut place.dir.open_file(&place.name)?, &mut hasher)
                .map_err(|e| StoreError::io("read", place.path(), e))?;
            return Ok(hasher.finish());
        }
        if self_reference {
            let mut part = [0; HASH_LEN];
            part.copy_from_slice(info.path.hash_part().as_bytes());
            let mut hasher = SelfHasher::new(algo, part);
            sys::dump_nar(&place.dir, &place.name, &mut hasher)?;
            // Never its `legacy`: without the offsets, two objects can have one hash.
            return Ok(hasher.finish().hash);
        }
        if algo == HashAlgo::Sha256 {
            return Ok(info.nar_hash);
        }
        let mut hasher = Hasher::new(algo);
        sys::dump_nar(&place.dir, &place.name, &mut hasher)?;
        Ok(hasher.finish())
    }
}
