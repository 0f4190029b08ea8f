//! From what a builder left behind to store objects.
//!
//! Every output is copied to fresh files before anything about it is believed: whoever still had
//! a descriptor of the builder's files could change those after they were hashed. One pass over
//! the tree copies it, hashes it and searches it for references.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;

use nix_formats::content_address::ContentAddress;
use nix_formats::derivation::{Derivation, Output};
use nix_formats::hash::{Hash, HashAlgo, Hasher};
use nix_formats::references::Scanner;
use nix_formats::store_path::{FileMethod, StorePath};

use super::differ::first_difference;
use super::error::FailureKind;
use crate::add::TreeSink;
use crate::error::StoreError;
use crate::http::redacted;
use crate::local::{LocalStore, Place};
use crate::store::{PathInfo, Store};
use crate::sys::{Dir, EntryType, NarSink, Owner, RestoreSink, canonicalise, visit_tree};

/// Why a build whose builder succeeded is a failure nevertheless.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
}

impl From<StoreError> for Rejected {
    fn from(error: StoreError) -> Rejected {
        Rejected { kind: FailureKind::Store, message: error.to_string() }
    }
}

pub(crate) fn rejected(message: impl Into<String>) -> Rejected {
    Rejected { kind: FailureKind::Output, message: message.into() }
}

/// An output in the store's scratch directory.
#[derive(Debug)]
pub(crate) struct Made {
    /// The output's name.
    pub(crate) name: String,
    /// Its contents.
    pub(crate) place: Place,
    /// Its facts, complete but for the registration time.
    pub(crate) info: PathInfo,
    /// Flat hash or NAR hash by another algorithm, for a fixed output.
    content_hash: Option<Hash>,
    is_plain_file: bool,
}

/// Where outputs come from and what they may refer to.
pub(crate) struct Collect<'a> {
    pub(crate) store: &'a LocalStore,
    pub(crate) drv: &'a Derivation,
    pub(crate) drv_path: &'a StorePath,
    /// The directory of the host that the builder saw as the store directory.
    pub(crate) scratch_store: &'a Path,
    /// Output name → the path that the builder used.
    pub(crate) outputs: &'a BTreeMap<String, StorePath>,
    /// Everything that the builder could refer to.
    pub(crate) inputs: &'a BTreeSet<StorePath>,
    /// The user that the builder was on the host.
    pub(crate) host_uid: u32,
    /// Outputs that are not searched for references.
    pub(crate) unsearched: &'a BTreeSet<String>,
}

impl Collect<'_> {
    /// Copies all outputs into the store's scratch directory.
    pub(crate) fn copy_all(&self) -> Result<Vec<Made>, Rejected> {
        let scratch = Dir::open(self.scratch_store)?;
        // First whether all are there: copying one of several big ones would be for nothing.
        for (name, path) in self.outputs {
            if scratch.lookup(path.base_name())?.is_none() {
                return Err(rejected(format!(
                    "builder for '{}' failed to produce output path for output '{name}' at '{}'",
                    super::error::display_name(self.drv_path),
                    self.store.display(path)
                )));
            }
        }
        self.outputs.iter().map(|(name, path)| self.copy(&scratch, name, path)).collect()
    }

    fn copy(&self, scratch: &Dir, name: &str, path: &StorePath) -> Result<Made, Rejected> {
        let text = self.store.display(path);
        let stat = scratch.stat(path.base_name())?;
        let open_to_others =
            EntryType::of(&stat) != EntryType::Symlink && stat.st_mode & 0o022 != 0;
        if stat.st_uid != self.host_uid || open_to_others {
            return Err(rejected(format!(
                "output '{name}' ('{text}') belongs to somebody else or can be written by others \
                 (user {}, mode {:o}); it is not accepted",
                stat.st_uid,
                stat.st_mode & 0o7777
            )));
        }
        canonicalise(scratch, path.base_name(), Owner::User(self.host_uid))
            .map_err(|error| rejected(format!("output '{name}' ('{text}'): {error}")))?;

        let ca = match &self.drv.outputs[name] {
            Output::Fixed { ca } => Some(*ca),
            _ => None,
        };
        let searched = !self.unsearched.contains(name);
        let candidates = self.inputs.iter().chain(self.outputs.values());
        let parts: BTreeMap<&[u8], &StorePath> =
            candidates.map(|path| (path.hash_part().as_bytes(), path)).collect();
        let place = self.store.scratch_place("add an output")?;
        let mut sink = CopySink {
            nar: NarSink::new(Measure {
                sha256: Hasher::new(HashAlgo::Sha256),
                other: nar_algo(ca.as_ref()).map(Hasher::new),
                scanner: Scanner::new(if searched {
                    parts.keys().copied().collect()
                } else {
                    Vec::new()
                }),
            }),
            disk: RestoreSink::new(&place.dir, &place.name)?,
            flat: flat_algo(ca.as_ref()).map(Hasher::new),
            root: None,
        };
        visit_tree(scratch, path.base_name(), &mut sink, &mut |_, _| Ok(true))
            .map_err(|error| rejected(format!("output '{name}' ('{text}'): {error}")))?;
        let CopySink { nar, disk, flat, root } = sink;
        disk.finish()?;
        let Measure { sha256, other, scanner } = nar.finish()?;
        let (nar_size, nar_hash) = (sha256.n_bytes(), sha256.finish());
        let mut info = PathInfo::new(path.clone(), nar_hash, nar_size);
        info.references = scanner
            .found()
            .iter()
            .filter_map(|part| parts.get(part.as_slice()).map(|path| (*path).clone()))
            .collect();
        info.deriver = Some(self.drv_path.clone());
        info.ultimate = true;
        info.ca = ca;
        let content_hash = match ca {
            Some(ContentAddress::Fixed { method: FileMethod::Nar, hash })
                if hash.algo() == HashAlgo::Sha256 =>
            {
                Some(nar_hash)
            }
            _ => other.or(flat).map(Hasher::finish),
        };
        let is_plain_file = root == Some(Root::PlainFile);
        Ok(Made { name: name.to_owned(), place, info, content_hash, is_plain_file })
    }
}

/// The algorithm of a NAR hash that is wanted beside SHA-256.
fn nar_algo(ca: Option<&ContentAddress>) -> Option<HashAlgo> {
    match ca {
        Some(ContentAddress::Fixed { method: FileMethod::Nar, hash }) => {
            Some(hash.algo()).filter(|algo| *algo != HashAlgo::Sha256)
        }
        _ => None,
    }
}

/// The algorithm of a hash of the bytes of a single file.
fn flat_algo(ca: Option<&ContentAddress>) -> Option<HashAlgo> {
    match ca {
        Some(ContentAddress::Fixed { method: FileMethod::Flat, hash })
        | Some(ContentAddress::Text(hash)) => Some(hash.algo()),
        _ => None,
    }
}

/// What becomes of the bytes of a NAR.
struct Measure {
    sha256: Hasher,
    other: Option<Hasher>,
    scanner: Scanner,
}

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sha256.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
        self.scanner.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    PlainFile,
    Other,
}

/// Copies a tree to disk while its NAR is measured.
struct CopySink<'a> {
    nar: NarSink<Measure>,
    disk: RestoreSink<'a>,
    flat: Option<Hasher>,
    root: Option<Root>,
}

impl TreeSink for CopySink<'_> {
    fn file(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
    ) -> Result<(), StoreError> {
        let is_root = self.root.is_none();
        self.root.get_or_insert(if executable { Root::Other } else { Root::PlainFile });
        let disk = &mut self.disk;
        let mut flat = self.flat.as_mut().filter(|_| is_root);
        self.nar.file_through(executable, size, contents, &mut |contents| match &mut flat {
            Some(hasher) => {
                let mut tee = TeeRead { inner: contents, hasher };
                disk.file(executable, size, &mut tee)
            }
            None => disk.file(executable, size, contents),
        })
    }

    fn symlink(&mut self, target: &[u8]) -> Result<(), StoreError> {
        self.root.get_or_insert(Root::Other);
        self.nar.symlink(target)?;
        self.disk.symlink(target)
    }

    fn directory_start(&mut self) -> Result<(), StoreError> {
        self.root.get_or_insert(Root::Other);
        self.nar.directory_start()?;
        self.disk.directory_start()
    }

    fn entry(&mut self, name: &[u8]) -> Result<(), StoreError> {
        self.nar.entry(name)?;
        self.disk.entry(name)
    }

    fn directory_end(&mut self) -> Result<(), StoreError> {
        self.nar.directory_end()?;
        self.disk.directory_end()
    }
}

struct TeeRead<'a, 'b> {
    inner: &'a mut dyn Read,
    hasher: &'a mut &'b mut Hasher,
}

impl Read for TeeRead<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        Ok(n)
    }
}

/// Refuses outputs that refer to each other in a circle.
pub(crate) fn check_cycles(drv_path: &str, made: &[Made]) -> Result<(), Rejected> {
    let index = |path: &StorePath| made.iter().position(|one| one.info.path == *path);
    // Outputs that refer to no other unfinished output are finished; what never is, is a circle.
    let mut open: BTreeSet<usize> = (0..made.len()).collect();
    loop {
        let next = |i: usize| {
            let mut referred = made[i].info.references.iter().filter_map(index);
            referred.find(|j| *j != i && open.contains(j))
        };
        if let Some(i) = open.iter().copied().find(|&i| next(i).is_none()) {
            open.remove(&i);
            continue;
        }
        let Some(&first) = open.first() else { return Ok(()) };
        // Each open output leads to another open one, so the walk comes back to where it was.
        let mut seen = vec![first];
        loop {
            let at = seen[seen.len() - 1];
            let to = next(at).unwrap_or(first);
            if seen.contains(&to) {
                let (a, b) = (&made[at].name, &made[to].name);
                return Err(rejected(format!(
                    "cycle detected in build of '{drv_path}': output '{a}' refers to output \
                     '{b}', which refers back to it; put what both need into one of them"
                )));
            }
            seen.push(to);
        }
    }
}

/// Checks a fixed output against its promise. Contents with another hash stay in the store under
/// the path that is truly theirs, so that correcting the hash costs no second download.
pub(crate) fn check_fixed(
    store: &LocalStore,
    drv: &Derivation,
    drv_path: &str,
    made: &Made,
) -> Result<(), Rejected> {
    let Some(promised) = made.info.ca else { return Ok(()) };
    let is_flat = !matches!(promised, ContentAddress::Fixed { method: FileMethod::Nar, .. });
    if is_flat && !made.is_plain_file {
        return Err(rejected(format!(
            "output path '{}' should be a non-executable regular file since recursive hashing is \
             not enabled (outputHashMode = \"flat\")",
            store.display(&made.info.path)
        )));
    }
    if let Some(reference) = made.info.references.iter().next() {
        return Err(rejected(format!(
            "illegal path references in fixed-output derivation '{drv_path}': its output mentions \
             '{}'; remove the reference, or do not promise a hash",
            store.display(reference)
        )));
    }
    let Some(got) = made.content_hash else { return Ok(()) };
    if got == *promised.hash() {
        return Ok(());
    }
    let mut message = format!(
        "hash mismatch in fixed-output derivation '{drv_path}':\n  specified: {}\n     got:    {}",
        promised.hash().to_sri(),
        got.to_sri()
    );
    let url = drv.env.get(&b"url"[..]).or_else(|| drv.env.get(&b"urls"[..]));
    if let Some(url) = url.filter(|url| !url.is_empty()) {
        message.push_str("\n         url:    ");
        message.push_str(&redacted(&String::from_utf8_lossy(url)));
    }
    if let ContentAddress::Fixed { method, .. } = promised {
        keep_as(store, made, ContentAddress::Fixed { method, hash: got })?;
    }
    Err(Rejected { kind: FailureKind::HashMismatch, message })
}

fn keep_as(store: &LocalStore, made: &Made, ca: ContentAddress) -> Result<(), Rejected> {
    let path = store
        .store_dir()
        .make_ca_path(made.info.path.name(), &ca, &BTreeSet::new(), false)
        .map_err(|error| rejected(error.to_string()))?;
    store.add_temp_root(&path)?;
    // Whoever holds the lock is making the same contents; waiting for it while we hold the lock
    // of the promised path could wait for ever.
    let Some(_lock) = store.try_lock_paths([&path])? else { return Ok(()) };
    if store.is_valid(&path)? {
        return Ok(());
    }
    store.move_in(&made.place, &path)?;
    let info = PathInfo {
        path,
        ca: Some(ca),
        deriver: None,
        registration_time: now(),
        ..made.info.clone()
    };
    store.register(&[info])?;
    Ok(())
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_secs().try_into().unwrap_or(i64::MAX))
}

/// Puts the outputs that are not valid yet into place and registers them, all or none.
pub(crate) fn publish(store: &LocalStore, made: Vec<Made>) -> Result<(), Rejected> {
    let mut infos = Vec::new();
    for one in made {
        if store.is_valid(&one.info.path)? {
            // A second build of it must not replace what others may be using.
            continue;
        }
        store.move_in(&one.place, &one.info.path)?;
        infos.push(PathInfo { registration_time: now(), ..one.info });
    }
    Ok(store.register(&infos)?)
}

/// Compares a second build with the valid outputs.
pub(crate) fn compare(
    store: &LocalStore,
    drv_path: &str,
    made: Vec<Made>,
    keep: bool,
) -> Result<(), Rejected> {
    let real_store = Dir::open(store.real_store_dir())?;
    let mut confirmed = Vec::new();
    let mut differing = Vec::new();
    for one in made {
        let known = store.path_info(&one.info.path)?;
        if known.nar_hash == one.info.nar_hash {
            confirmed.push(PathInfo { ultimate: true, ..PathInfo::clone(&known) });
            continue;
        }
        let path = store.display(&one.info.path);
        // Looked for before the other contents may move.
        let difference = first_difference(
            (&real_store, one.info.path.base_name()),
            (&one.place.dir, &one.place.name),
        )?;
        let kept = if keep {
            let name = format!("{}.check", one.info.path.base_name());
            crate::sys::delete_tree(&real_store, &name)?;
            one.place.dir.rename_new(&one.place.name, &real_store, &name)?;
            crate::sys::seal(&real_store, &name)?;
            format!(" from '{path}.check'")
        } else {
            String::new()
        };
        differing.push(format!("output '{path}' differs{kept} ({difference})"));
    }
    if differing.is_empty() {
        return Ok(store.register(&confirmed)?);
    }
    Err(Rejected {
        kind: FailureKind::NotDeterministic,
        message: format!(
            "derivation '{drv_path}' may not be deterministic: {}",
            differing.join(", ")
        ),
    })
}
