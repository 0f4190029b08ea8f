//! What a derivation promises about the references and sizes of its outputs.

use std::collections::{BTreeMap, BTreeSet};

use nix_formats::derivation::Derivation;
use nix_formats::store_path::StorePath;
use serde_json::Value;

use super::environment::words;
use super::outputs::{Made, Rejected, rejected};
use super::structured_attrs;
use crate::closure::Closure;
use crate::error::StoreError;
use crate::store::{PathInfo, Store};

/// The promises about one output. `None` is no promise; an empty list is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    allowed_references: Option<Vec<String>>,
    allowed_requisites: Option<Vec<String>>,
    disallowed_references: Option<Vec<String>>,
    disallowed_requisites: Option<Vec<String>>,
    max_size: Option<u64>,
    max_closure_size: Option<u64>,
    /// Whether a self-reference counts as a requisite; it does not in the older form.
    counts_self: bool,
}

/// Reads the promises of a derivation: those of one output.
pub(crate) fn checks_of(drv: &Derivation, output: &str) -> Result<Checks, String> {
    let Some(json) = drv.structured_attrs() else {
        let list = |name: &str| {
            let value = drv.env.get(name.as_bytes());
            value.map(|_| {
                words(value).into_iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect()
            })
        };
        return Ok(Checks {
            allowed_references: list("allowedReferences"),
            allowed_requisites: list("allowedRequisites"),
            disallowed_references: list("disallowedReferences"),
            disallowed_requisites: list("disallowedRequisites"),
            ..Checks::default()
        });
    };
    let all = structured_attrs::attribute(json, "outputChecks").unwrap_or_default();
    let Some(checks) = all.get(output) else { return Ok(Checks::default()) };
    let list = |name: &str| match checks.get(name) {
        None => Ok(None),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or_else(|| format!("'outputChecks.{output}.{name}' must be a list of strings")),
        Some(_) => Err(format!("'outputChecks.{output}.{name}' must be a list of strings")),
    };
    let size = |name: &str| checks.get(name).and_then(Value::as_u64);
    Ok(Checks {
        allowed_references: list("allowedReferences")?,
        allowed_requisites: list("allowedRequisites")?,
        disallowed_references: list("disallowedReferences")?,
        disallowed_requisites: list("disallowedRequisites")?,
        max_size: size("maxSize"),
        max_closure_size: size("maxClosureSize"),
        counts_self: true,
    })
}

/// Outputs whose references are not to be searched for.
pub(crate) fn unsearched(drv: &Derivation) -> BTreeSet<String> {
    let Some(json) = drv.structured_attrs() else { return BTreeSet::new() };
    match structured_attrs::attribute(json, "unsafeDiscardReferences") {
        Some(Value::Object(entries)) => entries
            .into_iter()
            .filter(|(_, value)| *value == Value::Bool(true))
            .map(|(name, _)| name)
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// Checks all outputs against what the derivation promises.
pub(crate) fn check(store: &dyn Store, drv: &Derivation, made: &[Made]) -> Result<(), Rejected> {
    let infos: BTreeMap<&StorePath, &PathInfo> =
        made.iter().map(|one| (&one.info.path, &one.info)).collect();
    let outputs: BTreeMap<&str, &StorePath> =
        made.iter().map(|one| (one.name.as_str(), &one.info.path)).collect();
    for one in made {
        let checks = checks_of(drv, &one.name).map_err(rejected)?;
        if checks == Checks::default() {
            continue;
        }
        let text = store.display(&one.info.path);
        if let Some(max) = checks.max_size.filter(|max| one.info.nar_size > *max) {
            return Err(rejected(format!(
                "path '{text}' is too large: {} bytes of at most {max} ('maxSize')",
                one.info.nar_size
            )));
        }
        let parse = |list: &Vec<String>| -> Result<BTreeSet<StorePath>, Rejected> {
            list.iter()
                .map(|item| match outputs.get(item.as_str()) {
                    Some(path) => Ok((*path).clone()),
                    None => store.store_dir().parse(item).map_err(|error| {
                        rejected(format!(
                            "'{item}' in the output checks of '{text}' is neither a store path \
                             nor an output: {error}"
                        ))
                    }),
                })
                .collect()
        };
        let mut requisites = closure(store, &infos, &one.info)?;
        if let Some(max) = checks.max_closure_size {
            let size: u64 = requisites.values().sum();
            if size > max {
                return Err(rejected(format!(
                    "the closure of path '{text}' is too large: {size} bytes of at most {max} \
                     ('maxClosureSize')"
                )));
            }
        }
        if !checks.counts_self {
            requisites.remove(&one.info.path);
        }
        let requisites: BTreeSet<StorePath> = requisites.into_keys().collect();
        let references = &one.info.references;
        for (list, found, allows, what) in [
            (&checks.allowed_references, references, true, "references"),
            (&checks.allowed_requisites, &requisites, true, "requisites"),
            (&checks.disallowed_references, references, false, "references"),
            (&checks.disallowed_requisites, &requisites, false, "requisites"),
        ] {
            let Some(list) = list else { continue };
            let listed = parse(list)?;
            let bad: Vec<String> = found
                .iter()
                .filter(|path| listed.contains(*path) != allows)
                .map(|path| format!("\n  {}", store.display(path)))
                .collect();
            if !bad.is_empty() {
                let rule = if allows { "allowed" } else { "disallowed" };
                return Err(rejected(format!(
                    "output '{text}' is not allowed to refer to the following paths ({rule} \
                     {what}):{}",
                    bad.concat()
                )));
            }
        }
    }
    Ok(())
}

/// The closure of an output that is not valid yet: path → size of its NAR.
fn closure(
    store: &dyn Store,
    new: &BTreeMap<&StorePath, &PathInfo>,
    info: &PathInfo,
) -> Result<BTreeMap<StorePath, u64>, StoreError> {
    let mut sizes = BTreeMap::from([(info.path.clone(), info.nar_size)]);
    let mut outside = Vec::new();
    let mut queue: Vec<&StorePath> = info.references.iter().collect();
    while let Some(path) = queue.pop() {
        if sizes.contains_key(path) {
            continue;
        }
        match new.get(path) {
            Some(info) => {
                sizes.insert(path.clone(), info.nar_size);
                queue.extend(&info.references);
            }
            None => outside.push(path.clone()),
        }
    }
    for info in Closure::of(store, &outside)?.iter() {
        sizes.insert(info.path.clone(), info.nar_size);
    }
    Ok(sizes)
}
