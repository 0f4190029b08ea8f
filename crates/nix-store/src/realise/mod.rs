//! Making things valid: what has to be built, and building it.
//!
//! [`plan`] decides and is pure; [`realise`] decides and acts.

pub mod plan;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nix_formats::derivation::Derivation;
use nix_formats::deriving_path::{DerivingPath, Outputs};
use nix_formats::store_path::{StoreDir, StorePath};

pub use plan::{Lookup, Plan, PlannedBuild};

use crate::build::{BuildError, BuildSettings, Event, Events, InternalBuilders, Level};
use crate::error::StoreError;
use crate::local::LocalStore;
use crate::store::Store;

/// Something that was wanted and is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realised {
    /// What was wanted.
    pub wanted: DerivingPath,
    /// Output name → path. A path that was wanted itself stands under the name `out`.
    pub outputs: BTreeMap<String, StorePath>,
}

/// Makes everything wanted valid. One answer for each wanted path, in their order.
///
/// Blocks until all builds have ended; `settings.max_jobs` of them run at the same time. The
/// program has to begin with [`crate::build::starter::run_if_asked`], with the same `builders`.
/// With `settings.dry_run` the plan is told as a message and nothing is built; the answer names
/// the paths that there would be.
///
/// # Errors
/// [`BuildError::Impossible`] if something can be neither found nor built;
/// [`BuildError::Failed`] with a report on every failed build.
pub fn realise(
    store: &Arc<LocalStore>,
    wanted: &[DerivingPath],
    settings: &BuildSettings,
    builders: &InternalBuilders,
    events: &dyn Events,
) -> Result<Vec<Realised>, BuildError> {
    let plan = plan::plan(&StoreLookup(store), wanted, settings.check)?;
    let text = plan.text(store.store_dir());
    if !text.is_empty() {
        let level = if settings.dry_run { Level::Notice } else { Level::Info };
        let text = text.trim_end().to_owned();
        events.event(Event::Message { level, text });
    }
    if !settings.dry_run {
        check_possible(store, &plan, settings, builders)?;
        if !plan.builds.is_empty() {
            let will_build = plan.builds.iter().map(|build| build.drv_path.clone()).collect();
            events.event(Event::Planned { will_build });
            run::run(store, &plan, settings, events)?;
        }
    }
    wanted.iter().map(|wanted| answer(store, wanted)).collect()
}

/// Finds out before the first build what would fail after the last.
fn check_possible(
    store: &LocalStore,
    plan: &Plan,
    settings: &BuildSettings,
    builders: &InternalBuilders,
) -> Result<(), BuildError> {
    if let Some((path, needed_by)) = plan.missing.first_key_value() {
        let needed = match needed_by {
            Some(by) => format!(" (needed by '{}')", store.display(by)),
            None => String::new(),
        };
        return Err(BuildError::Impossible(format!(
            "path '{}' is not valid{needed}, and nothing tells how to build it; add it to the \
             store, or evaluate the expression again",
            store.display(path)
        )));
    }
    if !plan.builds.is_empty() && settings.max_jobs == 0 {
        return Err(BuildError::Impossible(
            "unable to start any build; increase '--max-jobs' (it is 0)".to_owned(),
        ));
    }
    for build in &plan.builds {
        let builder = &build.drv.builder;
        if builder.starts_with(b"builtin:") && builders.lookup(builder).is_none() {
            let known: Vec<&str> = builders.names().collect();
            return Err(BuildError::Impossible(format!(
                "derivation '{}' needs the builder '{}', which this program does not have (it \
                 has: {})",
                store.display(&build.drv_path),
                String::from_utf8_lossy(builder),
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// The paths that stand for what was wanted.
fn answer(store: &LocalStore, wanted: &DerivingPath) -> Result<Realised, BuildError> {
    let outputs = match wanted {
        DerivingPath::Opaque(path) => BTreeMap::from([("out".to_owned(), path.clone())]),
        DerivingPath::Built { drv, outputs } => {
            let derivation = store.read_derivation(drv)?;
            derivation
                .output_paths(store.store_dir())
                .filter(|(name, _)| match outputs {
                    Outputs::All => true,
                    Outputs::Names(names) => names.contains(*name),
                })
                .filter_map(|(name, path)| Some((name.to_owned(), path?)))
                .collect()
        }
    };
    Ok(Realised { wanted: wanted.clone(), outputs })
}

/// Answers the questions of a plan from a local store.
struct StoreLookup<'a>(&'a LocalStore);

impl Lookup for StoreLookup<'_> {
    fn store_dir(&self) -> &StoreDir {
        self.0.store_dir()
    }

    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
        self.0.is_valid(path)
    }

    fn derivation(&self, drv: &StorePath) -> Result<Arc<Derivation>, StoreError> {
        self.0.read_derivation(drv)
    }

    fn substitutable(&self, _path: &StorePath) -> Result<Option<BTreeSet<StorePath>>, StoreError> {
        // No binary caches are known to a local store.
        Ok(None)
    }
}
