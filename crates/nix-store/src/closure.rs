//! The store objects that some roots need.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use nix_formats::store_path::StorePath;

use crate::error::StoreError;
use crate::store::{PathInfo, Store};

/// The store objects that some roots need, in an order in which they can be registered.
///
/// Shape: every object once, after all objects it refers to (itself excepted). It is the order of
/// C++ Nix's listings and exports: a walk in depth over the sorted set, references sorted, each
/// object when it is left. So it is a function of the set.
#[derive(Clone, Debug)]
pub struct Closure {
    objects: IndexMap<StorePath, Arc<PathInfo>>,
    nar_size: u64,
}

impl Closure {
    /// Collects what `roots` need. Asks the store once per object.
    ///
    /// # Errors
    /// [`StoreError::NotValid`] names the first path that the store does not have, and who
    /// referred to it.
    pub fn of(store: &dyn Store, roots: &[StorePath]) -> Result<Closure, StoreError> {
        let mut found: BTreeMap<StorePath, Arc<PathInfo>> = BTreeMap::new();
        let mut seen: HashSet<StorePath> = roots.iter().cloned().collect();
        let mut left: Vec<(StorePath, Option<StorePath>)> =
            roots.iter().rev().map(|root| (root.clone(), None)).collect();
        while let Some((path, needed_by)) = left.pop() {
            let Some(info) = store.query_path_info(&path)? else {
                return Err(StoreError::NotValid {
                    path: store.display(&path),
                    needed_by: needed_by.map(|p| store.display(&p)),
                });
            };
            for reference in info.references.iter().rev() {
                if seen.insert(reference.clone()) {
                    left.push((reference.clone(), Some(path.clone())));
                }
            }
            found.insert(path, info);
        }
        Closure::from_infos(found.into_values(), |path| store.display(path))
    }

    /// Puts facts that somebody already has in order. References to objects that are not among
    /// them are ignored. `display` spells a path for the error.
    ///
    /// # Errors
    /// [`StoreError::Cycle`] if they refer to each other in a circle.
    pub fn from_infos(
        infos: impl IntoIterator<Item = Arc<PathInfo>>,
        display: impl Fn(&StorePath) -> String,
    ) -> Result<Closure, StoreError> {
        let infos: BTreeMap<StorePath, Arc<PathInfo>> =
            infos.into_iter().map(|info| (info.path.clone(), info)).collect();
        let mut objects = IndexMap::with_capacity(infos.len());
        let mut nar_size = 0_u64;
        // Paths that were entered and not yet placed, each with its references that are left.
        let mut open: Vec<(&StorePath, Vec<&StorePath>)> = Vec::new();
        let mut entered: HashSet<&StorePath> = HashSet::with_capacity(infos.len());
        let references = |path| -> Vec<&StorePath> {
            let own = infos.get(path).into_iter().flat_map(|info: &Arc<PathInfo>| &info.references);
            own.rev().filter(|r| *r != path && infos.contains_key(*r)).collect()
        };
        for root in infos.keys() {
            if entered.insert(root) {
                open.push((root, references(root)));
            }
            while let Some((path, left)) = open.last_mut() {
                let path = *path;
                let Some(reference) = left.pop() else {
                    open.pop();
                    let info = &infos[path];
                    nar_size = nar_size.saturating_add(info.nar_size);
                    objects.insert(path.clone(), Arc::clone(info));
                    continue;
                };
                if entered.insert(reference) {
                    open.push((reference, references(reference)));
                } else if !objects.contains_key(reference) {
                    return Err(StoreError::Cycle {
                        path: display(path),
                        through: display(reference),
                    });
                }
            }
        }
        Ok(Closure { objects, nar_size })
    }

    /// What `roots` need within this closure, itself a closure; roots that are not in it are
    /// ignored.
    pub fn restrict(&self, roots: &[StorePath]) -> Closure {
        let mut wanted: HashSet<&StorePath> = HashSet::new();
        let mut left: Vec<&StorePath> = roots.iter().collect();
        while let Some(path) = left.pop() {
            if let Some(info) = self.objects.get(path)
                && wanted.insert(path)
            {
                left.extend(&info.references);
            }
        }
        // Leaving out what nothing needs keeps the order topological, but the order of ties is
        // a function of the set, so it is made anew.
        let infos = self.objects.iter().filter(|(path, _)| wanted.contains(path));
        Closure::from_infos(infos.map(|(_, info)| Arc::clone(info)), |_| String::new())
            .unwrap_or_else(|_| Closure { objects: IndexMap::new(), nar_size: 0 })
    }

    /// The objects of the closure that refer to `path`, itself excepted, in the closure's order.
    pub fn referrers(&self, path: &StorePath) -> Vec<&StorePath> {
        self.objects
            .iter()
            .filter(|(from, info)| *from != path && info.references.contains(path))
            .map(|(from, _)| from)
            .collect()
    }

    /// Sum of the NAR sizes of everything `path` needs, itself included, in bytes.
    pub fn closure_size(&self, path: &StorePath) -> u64 {
        self.restrict(std::slice::from_ref(path)).nar_size
    }

    /// The objects, dependencies first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<PathInfo>> {
        self.objects.values()
    }

    /// The paths, dependencies first.
    pub fn paths(&self) -> impl DoubleEndedIterator<Item = &StorePath> {
        self.objects.keys()
    }

    /// The facts about one object of the closure.
    pub fn lookup(&self, path: &StorePath) -> Option<&Arc<PathInfo>> {
        self.objects.get(path)
    }

    /// Whether the closure has this object.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.objects.contains_key(path)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Sum of the NAR sizes, in bytes.
    pub fn nar_size(&self) -> u64 {
        self.nar_size
    }
}
