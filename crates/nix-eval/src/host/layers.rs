//! Hosts made of other hosts.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use nix_formats::{
    derivation::Derivation,
    deriving_path::DerivingPath,
    store_path::{StoreDir, StorePath},
};

use super::{
    Addition, FetchRequest, Fetched, FileType, Host, HostCx, HostError, Input, Metadata, NixPath,
    Stamp, TraceEvent, forward::forward,
};

/// Files in memory over those of another host, such as unsaved editor buffers.
///
/// A buffer hides the file at its path; directories are listed as the host below has them, with the buffers.
#[derive(Debug)]
pub struct Overlay<H> {
    buffers: RwLock<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    below: H,
}

impl<H: Host> Overlay<H> {
    /// No buffers yet, over a host.
    pub fn new(below: H) -> Overlay<H> {
        Overlay { buffers: RwLock::default(), below }
    }

    /// Sets or removes the buffer at an absolute path. Sessions that have read the file keep what they read.
    pub fn set(&self, path: &NixPath, text: Option<Vec<u8>>) {
        let mut buffers = self.buffers.write().unwrap_or_else(|e| e.into_inner());
        match text {
            Some(text) => buffers.insert(path.text.clone(), text.into()),
            None => buffers.remove(&path.text),
        };
    }

    fn buffer(&self, path: &NixPath) -> Option<Arc<[u8]>> {
        let buffers = self.buffers.read().unwrap_or_else(|e| e.into_inner());
        buffers.get(&path.text).cloned()
    }
}

/// What a host can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Files, directories, links.
    Files,
    /// Environment variables.
    Environment,
    /// The clock and the system name.
    Surroundings,
    /// Adding to the store.
    Store,
    /// Building during evaluation.
    Build,
    /// Fetching.
    Fetch,
}

/// Another host without some of its capabilities.
#[derive(Debug)]
pub struct Deny<H> {
    denied: BTreeSet<Capability>,
    inner: H,
}

impl<H: Host> Deny<H> {
    /// `inner` without these.
    pub fn new(inner: H, denied: impl IntoIterator<Item = Capability>) -> Deny<H> {
        Deny { denied: denied.into_iter().collect(), inner }
    }

    fn check(&self, capability: Capability, what: &str) -> Result<(), HostError> {
        if self.denied.contains(&capability) { Err(HostError::refused(what)) } else { Ok(()) }
    }

    fn allows(&self, capability: Capability) -> bool {
        !self.denied.contains(&capability)
    }
}

impl<H: Host> Host for Deny<H> {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.check(Capability::Files, "reading files")?;
        self.inner.read_file(path, cx)
    }
    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        self.check(Capability::Files, "reading directories")?;
        self.inner.read_dir(path, cx)
    }
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        self.check(Capability::Files, "looking at files")?;
        self.inner.metadata(path, follow, cx)
    }
    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        self.check(Capability::Files, "reading links")?;
        self.inner.read_link(path, cx)
    }
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        if self.allows(Capability::Environment) { self.inner.environment(name) } else { None }
    }
    fn now(&self) -> Option<i64> {
        if self.allows(Capability::Surroundings) { self.inner.now() } else { None }
    }
    fn system(&self) -> Option<String> {
        if self.allows(Capability::Surroundings) { self.inner.system() } else { None }
    }
    fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        self.check(Capability::Store, "adding to a store")?;
        self.inner.add_to_store(object, cx)
    }
    fn add_text_to_store(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        cx: &HostCx,
    ) -> Result<StorePath, HostError> {
        self.check(Capability::Store, "adding to a store")?;
        self.inner.add_text_to_store(name, contents, references, cx)
    }
    fn realise(&self, wanted: &[DerivingPath], cx: &HostCx) -> Result<Vec<StorePath>, HostError> {
        self.check(Capability::Build, "building during evaluation")?;
        self.inner.realise(wanted, cx)
    }
    fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
        self.check(Capability::Fetch, "fetching")?;
        self.inner.fetch(request, cx)
    }
    fn would_add(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        self.check(Capability::Store, "computing store paths")?;
        self.inner.would_add(object, cx)
    }
    fn stamp(&self, path: &NixPath) -> Option<Stamp> {
        if self.allows(Capability::Files) { self.inner.stamp(path) } else { None }
    }
    fn tree_stamp(&self, path: &NixPath) -> Option<Stamp> {
        if self.allows(Capability::Store) { self.inner.tree_stamp(path) } else { None }
    }
    forward!(
        inner: trace, note_input, store_dir, references_of, read_derivation, is_valid, still,
        is_recorded, as_any,
    );
}

impl<H: Host> Host for Overlay<H> {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        match self.buffer(path) {
            Some(text) => Ok(text),
            None => self.below.read_file(path, cx),
        }
    }
    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let mut all: BTreeMap<Vec<u8>, FileType> =
            self.below.read_dir(path, cx)?.into_iter().collect();
        let buffers = self.buffers.read().unwrap_or_else(|e| e.into_inner());
        for name in buffers.keys() {
            let rest = name.strip_prefix(&*path.text).and_then(|rest| rest.strip_prefix(b"/"));
            if let Some(name) = rest
                && !name.is_empty()
                && !name.contains(&b'/')
            {
                all.insert(name.to_vec(), FileType::Regular);
            }
        }
        Ok(all.into_iter().collect())
    }
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        match self.buffer(path) {
            Some(text) => Ok(Some(Metadata {
                file_type: FileType::Regular,
                size_bytes: text.len() as u64,
                is_executable: false,
            })),
            None => self.below.metadata(path, follow, cx),
        }
    }
    fn stamp(&self, path: &NixPath) -> Option<Stamp> {
        // A directory's listing depends on buffers below it.
        let below = [&*path.text, b"/"].concat();
        let buffers = self.buffers.read().unwrap_or_else(|e| e.into_inner());
        let hides = buffers.contains_key(&path.text)
            || buffers
                .range(below.clone()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&below));
        if hides { None } else { self.below.stamp(path) }
    }
    forward!(
        below: read_link, environment, now, system, trace, note_input, store_dir, add_to_store,
        add_text_to_store, realise, references_of, read_derivation, fetch, would_add, is_valid,
        tree_stamp, still, is_recorded, as_any,
    );
}
