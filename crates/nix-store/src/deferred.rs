//! A store that is opened when an evaluation first needs it.
//!
//! Printing a value mostly needs no store, and must not make one. Reading below the store directory opens the
//! store that exists; fetching opens it for writing and makes it where it does not exist.

use std::sync::{Arc, Mutex, OnceLock};

use crate::error::StoreError;
use crate::local::{Access, LocalStore, StoreConfig};
use crate::store::Store;

/// Says where the store is.
type Locate = dyn Fn() -> Result<StoreConfig, StoreError> + Send + Sync;

/// A store that is opened when it is first needed.
pub struct DeferredStore {
    locate: Box<Locate>,
    reading: OnceLock<Option<Arc<LocalStore>>>,
    writing: OnceLock<Arc<LocalStore>>,
    opening: Mutex<()>,
}

impl DeferredStore {
    /// A store whose place `locate` tells, once at most for reading and once for writing.
    pub fn new(
        locate: impl Fn() -> Result<StoreConfig, StoreError> + Send + Sync + 'static,
    ) -> DeferredStore {
        DeferredStore {
            locate: Box::new(locate),
            reading: OnceLock::new(),
            writing: OnceLock::new(),
            opening: Mutex::new(()),
        }
    }

    /// The store, if it was opened already.
    pub fn opened(&self) -> Option<&Arc<LocalStore>> {
        self.writing.get().or_else(|| self.reading.get().and_then(Option::as_ref))
    }

    /// The store for reading; `None` where there is none, or none that can be read.
    pub fn for_reading(&self) -> Option<&Arc<LocalStore>> {
        if let Some(store) = self.writing.get() {
            return Some(store);
        }
        let open = || {
            let mut config = (self.locate)().ok()?;
            config.access = Access::ReadOnly;
            LocalStore::open(config).ok().map(Arc::new)
        };
        self.reading.get_or_init(open).as_ref()
    }

    /// The store for writing, made where it does not exist.
    ///
    /// # Errors
    /// When its place is not known, or it cannot be opened or made.
    pub fn for_writing(&self) -> Result<&Arc<LocalStore>, StoreError> {
        let _opening = self.opening.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(store) = self.writing.get() {
            return Ok(store);
        }
        let store = Arc::new(LocalStore::open((self.locate)()?)?);
        Ok(self.writing.get_or_init(|| store))
    }
}

impl std::fmt::Debug for DeferredStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir = self.opened().map(|store| store.store_dir().as_str());
        f.debug_struct("DeferredStore").field("opened", &dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_does_not_make_a_store_and_writing_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        let place = root.clone();
        let deferred = DeferredStore::new(move || Ok(StoreConfig::chroot(&place)));
        assert!(deferred.for_reading().is_none() && deferred.opened().is_none());
        assert!(!root.exists());
        deferred.for_writing().expect("it can be made");
        assert!(deferred.for_reading().is_some() && deferred.opened().is_some());
    }
}
