//! The store objects that an image may need, and what each refers to.
//!
//! The builder gets them from `exportReferencesGraph`: everything that the arguments mention, with
//! closures. What really enters the image is decided by scanning its files.

use std::collections::{BTreeMap, BTreeSet};

use nix_formats::store_path::{StoreDir, StorePath};
use serde::Deserialize;

/// One store object of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// Length of its NAR, in bytes.
    pub nar_size: u64,
    /// What it refers to, itself excepted; all members of the graph.
    pub references: BTreeSet<StorePath>,
}

/// Store objects, closed under references.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    objects: BTreeMap<StorePath, Object>,
}

/// An entry of the closure list in `.attrs.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    path: String,
    #[serde(default)]
    nar_size: u64,
    #[serde(default)]
    references: Vec<String>,
}

/// Why a list of store objects is no closure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the list of store paths is damaged: {0}")]
pub struct GraphError(String);

impl Graph {
    /// Reads the list that `exportReferencesGraph` left in the structured attributes.
    ///
    /// # Errors
    /// [`GraphError`] names a path outside the store, or a reference to what is not listed.
    pub fn from_json(dir: &StoreDir, list: serde_json::Value) -> Result<Graph, GraphError> {
        let entries: Vec<Entry> =
            serde_json::from_value(list).map_err(|error| GraphError(error.to_string()))?;
        let parse = |text: &str| dir.parse(text).map_err(|error| GraphError(error.to_string()));
        let mut objects = BTreeMap::new();
        for entry in entries {
            let path = parse(&entry.path)?;
            let mut references = BTreeSet::new();
            for reference in &entry.references {
                references.insert(parse(reference)?);
            }
            references.remove(&path);
            objects.insert(path, Object { nar_size: entry.nar_size, references });
        }
        Graph::new(objects)
    }

    /// Takes objects that are closed under references.
    ///
    /// # Errors
    /// [`GraphError`] names a reference to what is not among them.
    pub fn new(mut objects: BTreeMap<StorePath, Object>) -> Result<Graph, GraphError> {
        for (path, object) in &mut objects {
            object.references.remove(path);
        }
        for (path, object) in &objects {
            if let Some(missing) =
                object.references.iter().find(|reference| !objects.contains_key(reference))
            {
                return Err(GraphError(format!(
                    "{} refers to {}, which is not listed",
                    path.base_name(),
                    missing.base_name()
                )));
            }
        }
        Ok(Graph { objects })
    }

    /// All objects, in the order of their paths.
    pub fn objects(&self) -> impl Iterator<Item = (&StorePath, &Object)> {
        self.objects.iter()
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Everything that `roots` need, themselves included. Roots outside the graph are left out.
    pub fn closure(&self, roots: impl IntoIterator<Item = StorePath>) -> BTreeSet<StorePath> {
        let mut closure = BTreeSet::new();
        let mut pending: Vec<StorePath> = roots.into_iter().collect();
        while let Some(path) = pending.pop() {
            if let Some(object) = self.objects.get(&path)
                && closure.insert(path)
            {
                pending.extend(object.references.iter().cloned());
            }
        }
        closure
    }

    /// The part of the graph that consists of `paths`, which are closed under references.
    pub fn part(&self, paths: &BTreeSet<StorePath>) -> Graph {
        let kept = self.objects.iter().filter(|(path, _)| paths.contains(path));
        Graph { objects: kept.map(|(path, object)| (path.clone(), object.clone())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(letter: char) -> String {
        format!("/nix/store/{}-{letter}", letter.to_string().repeat(32))
    }

    #[test]
    fn a_closure_follows_references_and_leaves_the_rest() {
        let list = serde_json::json!([
            {"path": path('a'), "narSize": 10, "references": [path('a'), path('b')], "valid": true},
            {"path": path('b'), "narSize": 20, "references": []},
            {"path": path('c'), "narSize": 30, "references": [path('b')]},
        ]);
        let dir = StoreDir::default();
        let graph = Graph::from_json(&dir, list).unwrap();
        let closure = graph.closure([dir.parse(&path('a')).unwrap()]);
        let names: Vec<&str> = closure.iter().map(StorePath::name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(graph.part(&closure).len(), 2);
    }

    #[test]
    fn a_list_that_is_not_closed_is_refused() {
        let list = serde_json::json!([{"path": path('a'), "references": [path('b')]}]);
        let error = Graph::from_json(&StoreDir::default(), list).unwrap_err().to_string();
        assert!(error.contains("refers to"), "{error}");
    }
}
