//! The outside world, as far as an evaluation may see it.
//!
//! All effects go through the [`Host`] trait; every method has a default that refuses. [`NoHost`] refuses
//! everything, [`MemoryHost`] has files in memory, [`FsHost`] reads a real file system below named roots,
//! [`Recording`] notes every question asked of another host, [`Overlay`] lays files over others, and
//! [`Deny`] takes capabilities away.

mod error;
mod forward;
mod fs;
mod input;
mod layers;
mod memory;
mod path;
mod recording;
mod request;
mod stamp;

use std::{any::Any, collections::BTreeSet, sync::Arc};

use nix_formats::{
    derivation::Derivation,
    deriving_path::DerivingPath,
    store_path::{StoreDir, StorePath},
};

pub use self::{
    error::{HostError, HostErrorKind},
    fs::FsHost,
    input::{Freshness, Input, InputPath, Inputs},
    layers::{Capability, Deny, Overlay},
    memory::MemoryHost,
    path::{FileType, Metadata, NixPath},
    recording::{Record, Recording, Said},
    request::{Addition, FetchRequest, Fetched, GitFacts, GitRequest, HostCx, TraceEvent},
    stamp::Stamp,
};

/// The outside world. Every method has a default that refuses.
///
/// The evaluator holds no lock while a host works, so hosts may block and may be asked by several threads.
pub trait Host: Send + Sync {
    /// The contents of a regular file; links are followed.
    ///
    /// # Errors
    /// When there is no such file, or the host refuses.
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading files"))
    }

    /// Names in a directory and what they are, in byte order; links are followed to the directory.
    ///
    /// # Errors
    /// When there is no such directory, or the host refuses.
    fn read_dir(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading directories"))
    }

    /// Facts about what lies at a path; `None` if there is nothing. `follow` follows a final link.
    ///
    /// # Errors
    /// When the host refuses.
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        let _ = (path, follow, cx);
        Err(HostError::refused("looking at files"))
    }

    /// Where a symbolic link points.
    ///
    /// # Errors
    /// When there is no link at the path, or the host refuses.
    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        let _ = (path, cx);
        Err(HostError::refused("reading links"))
    }

    /// An environment variable.
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// Seconds since 1970; `None` hides `builtins.currentTime`.
    fn now(&self) -> Option<i64> {
        None
    }

    /// What `builtins.currentSystem` says; `None` hides it.
    fn system(&self) -> Option<String> {
        None
    }

    /// Something to tell the user; the default drops it.
    fn trace(&self, event: &TraceEvent<'_>) {
        let _ = event;
    }

    /// A builtin of the embedder depends on this; the default forgets it.
    fn note_input(&self, input: Input) {
        let _ = input;
    }

    /// The store directory that paths are computed for.
    fn store_dir(&self) -> StoreDir {
        StoreDir::default()
    }

    /// Adds a tree to the store, or computes where it would lie.
    ///
    /// # Errors
    /// When the tree cannot be read, or the host refuses.
    fn add_to_store(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        let _ = (object, cx);
        Err(HostError::refused("adding to a store"))
    }

    /// Adds a text to the store, or computes where it would lie.
    ///
    /// # Errors
    /// When the name is not a legal store name.
    fn add_text_to_store(
        &self,
        name: &str,
        contents: &[u8],
        references: &BTreeSet<StorePath>,
        cx: &HostCx,
    ) -> Result<StorePath, HostError> {
        let _ = cx;
        self.store_dir()
            .make_text_path(name, contents, references)
            .map_err(|e| HostError::new(HostErrorKind::Argument, e.to_string()))
    }

    /// Makes store objects valid: builds or substitutes them. Gives the paths of the wanted outputs.
    ///
    /// # Errors
    /// When something cannot be built, or the host refuses.
    fn realise(&self, wanted: &[DerivingPath], cx: &HostCx) -> Result<Vec<StorePath>, HostError> {
        let _ = (wanted, cx);
        Err(HostError::refused("building during evaluation"))
    }

    /// What the store object that holds a file refers to; nothing for files outside the store.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn references_of(&self, path: &NixPath, cx: &HostCx) -> Result<BTreeSet<StorePath>, HostError> {
        let _ = (path, cx);
        Ok(BTreeSet::new())
    }

    /// The derivation of a valid `.drv`; `None` if the store does not have it.
    ///
    /// # Errors
    /// When the store cannot be asked or the file is no derivation.
    fn read_derivation(
        &self,
        drv: &StorePath,
        cx: &HostCx,
    ) -> Result<Option<Arc<Derivation>>, HostError> {
        let _ = (drv, cx);
        Ok(None)
    }

    /// Fetches from the network.
    ///
    /// # Errors
    /// When it cannot be fetched or hashes to something else, or the host refuses.
    fn fetch(&self, request: &FetchRequest, cx: &HostCx) -> Result<Fetched, HostError> {
        let _ = (request, cx);
        Err(HostError::refused("fetching"))
    }

    /// Where [`Host::add_to_store`] would put a tree. Nothing is written.
    ///
    /// # Errors
    /// As [`Host::add_to_store`].
    fn would_add(&self, object: &Addition<'_>, cx: &HostCx) -> Result<StorePath, HostError> {
        let _ = (object, cx);
        Err(HostError::refused("computing store paths"))
    }

    /// Whether the store has an object.
    ///
    /// # Errors
    /// When the store cannot be asked.
    fn is_valid(&self, path: &StorePath) -> Result<bool, HostError> {
        let _ = path;
        Ok(false)
    }

    /// What tells without reading that the file or directory at a path is as it was; links are followed. `None`
    /// if nothing does, or if it changed so recently that another change might not show.
    fn stamp(&self, path: &NixPath) -> Option<Stamp> {
        let _ = path;
        None
    }

    /// As [`Host::stamp`], of a whole tree as it is added to the store; no link is followed.
    fn tree_stamp(&self, path: &NixPath) -> Option<Stamp> {
        let _ = path;
        None
    }

    /// Whether something noted as [`Input::External`] is as it was: the state to note from now on, which may say
    /// the same in other words. `None` if it changed, or the host does not know what it is.
    fn still(&self, what: &str, state: &str) -> Option<String> {
        let _ = (what, state);
        None
    }

    /// Whether questions are noted: builtins that work past the host then tell it what they read.
    fn is_recorded(&self) -> bool {
        false
    }

    /// The host itself, for builtins that know what kind of host they need.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }
}

/// Nothing: pure computation.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}
