//! Objects in and out in bulk: exports, and registrations as text.

use std::collections::BTreeSet;
use std::io::{BufReader, Read, Write};

use nix_formats::export::{self, Registration, Trailer};
use nix_formats::hash::{HashAlgo, Hasher};
use nix_formats::store_path::StorePath;

use super::LocalStore;
use crate::add::{HashRead, publish};
use crate::closure::Closure;
use crate::error::StoreError;
use crate::store::{PathInfo, Store};
use crate::sys::{Dir, Owner, RestoreSink, canonicalise, dump_nar, visit_nar};

/// Hashes what is written through it.
struct HashWrite<'a> {
    inner: &'a mut dyn Write,
    hasher: Hasher,
}

impl Write for HashWrite<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl LocalStore {
    /// Writes an export of these valid objects, each after what it refers to; not of what else
    /// they need.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`] if the files of an object are not those that were
    /// registered. What was written by then is not a whole export, so nobody can import it.
    pub fn export(&self, paths: &[StorePath], out: &mut dyn Write) -> Result<(), StoreError> {
        let fail = |e| StoreError::io("write", "export", e);
        let mut infos = Vec::with_capacity(paths.len());
        for path in paths {
            self.add_temp_root(path)?;
            infos.push(self.path_info(path)?);
        }
        for info in Closure::from_infos(infos, |path| self.display(path))?.iter() {
            export::write_object_start(out).map_err(fail)?;
            let mut through = HashWrite { inner: &mut *out, hasher: Hasher::new(HashAlgo::Sha256) };
            self.nar_to(&info.path, &mut through)?;
            let got = through.hasher.finish();
            if got != info.nar_hash {
                return Err(StoreError::HashMismatch {
                    path: self.display(&info.path),
                    expected: info.nar_hash.to_sri(),
                    got: got.to_sri(),
                });
            }
            let trailer = Trailer {
                path: info.path.clone(),
                references: info.references.clone(),
                deriver: info.deriver.clone(),
            };
            export::write_trailer(out, self.store_dir(), &trailer).map_err(fail)?;
        }
        export::write_end(out).map_err(fail)
    }

    /// Adds the objects of an export; gives their paths in its order. The contents are taken on
    /// trust: an export has no hashes of its own.
    ///
    /// # Errors
    /// [`StoreError::Archive`] if it is no export. Objects before the mistake stay.
    pub fn import(&self, input: &mut dyn Read) -> Result<Vec<StorePath>, StoreError> {
        let mut input = BufReader::with_capacity(64 << 10, input);
        let fail = |e: export::ExportError| StoreError::Archive {
            place: "export".to_owned(),
            reason: e.to_string(),
        };
        let mut added = Vec::new();
        while export::read_object_start(&mut input).map_err(fail)? {
            let place = self.scratch_place("import an object")?;
            let mut restore = RestoreSink::new(&place.dir, &place.name)?;
            let mut hasher = Hasher::new(HashAlgo::Sha256);
            let mut nar = HashRead { inner: &mut input, hasher: &mut hasher };
            visit_nar(&mut nar, "export", &mut restore)?;
            restore.finish()?;
            let trailer = export::read_trailer(&mut input, self.store_dir()).map_err(fail)?;
            let nar_size = hasher.n_bytes();
            let info = PathInfo {
                references: trailer.references,
                deriver: trailer.deriver,
                ..PathInfo::new(trailer.path, hasher.finish(), nar_size)
            };
            self.check_claims(&info, &place)?;
            added.push(info.path.clone());
            publish(self, &place, info)?;
        }
        Ok(added)
    }

    /// All that is registered, as text that [`LocalStore::load_registrations`] takes.
    pub fn dump_registrations(&self, out: &mut dyn Write) -> Result<(), StoreError> {
        for path in self.all_valid_paths()? {
            // One that a collection has just deleted is left out.
            let Some(info) = self.query_path_info(&path)? else { continue };
            let registration = Registration {
                path,
                nar: Some((info.nar_hash, info.nar_size)),
                deriver: info.deriver.clone(),
                references: info.references.clone(),
            };
            let mut text = String::new();
            registration.write(self.store_dir(), &mut text);
            out.write_all(text.as_bytes())
                .map_err(|e| StoreError::io("write", "registrations", e))?;
        }
        Ok(())
    }

    /// Registers objects whose files are in place, all or none. With `has_nar` the text has hash
    /// and size of each and they are believed; otherwise the files are made canonical and hashed.
    /// Gives the paths that were registered; those that were valid before are left as they are.
    pub fn load_registrations(
        &self,
        text: &str,
        has_nar: bool,
    ) -> Result<Vec<StorePath>, StoreError> {
        let all = Registration::parse_all(self.store_dir(), text, has_nar)
            .map_err(|e| StoreError::invalid(e.to_string()))?;
        let dir = Dir::open(self.real_store_dir())?;
        let mut infos = Vec::new();
        let mut seen = BTreeSet::new();
        for registration in all {
            let path = registration.path;
            self.add_temp_root(&path)?;
            if self.is_valid(&path)? || !seen.insert(path.clone()) {
                continue;
            }
            let (hash, size) = match registration.nar {
                Some(nar) => nar,
                None => {
                    canonicalise(&dir, path.base_name(), Owner::Any)?;
                    let mut hasher = Hasher::new(HashAlgo::Sha256);
                    dump_nar(&dir, path.base_name(), &mut hasher)?;
                    let size = hasher.n_bytes();
                    (hasher.finish(), size)
                }
            };
            infos.push(PathInfo {
                references: registration.references,
                deriver: registration.deriver,
                ..PathInfo::new(path, hash, size)
            });
        }
        self.register(&infos)?;
        Ok(infos.into_iter().map(|info| info.path).collect())
    }
}
