//! Decides what has to be built. Asks about the store, changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nix_formats::derivation::Derivation;
use nix_formats::deriving_path::{DerivingPath, Outputs};
use nix_formats::store_path::{StoreDir, StorePath};

use crate::error::StoreError;

/// What a plan has to know about a store.
pub trait Lookup {
    /// The store directory, for names.
    fn store_dir(&self) -> &StoreDir;
    /// Whether the object is there.
    fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError>;
    /// A derivation that is there.
    fn derivation(&self, drv: &StorePath) -> Result<Arc<Derivation>, StoreError>;
    /// Whether the object can be fetched from another store, and what it would refer to.
    fn substitutable(&self, path: &StorePath) -> Result<Option<BTreeSet<StorePath>>, StoreError>;
}

/// A derivation that has to be built.
#[derive(Clone, Debug)]
pub struct PlannedBuild {
    /// Its path.
    pub drv_path: StorePath,
    /// Its text.
    pub drv: Arc<Derivation>,
    /// Places in [`Plan::builds`] of the builds that have to succeed before it; all lower than
    /// its own, ascending.
    pub needs: Vec<usize>,
    /// Whether its outputs are there already and are built again to compare.
    pub check: bool,
}

/// What has to be done to have everything that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The builds, dependencies first; ties in the order of the path's text.
    pub builds: Vec<PlannedBuild>,
    /// Objects to fetch, sorted.
    pub fetches: BTreeSet<StorePath>,
    /// What can be had in no way, and who needs it.
    pub missing: BTreeMap<StorePath, Option<StorePath>>,
}

impl Plan {
    /// The lines that announce the plan; empty if nothing has to be done.
    pub fn text(&self, dir: &StoreDir) -> String {
        let mut text = String::new();
        let mut list = |paths: Vec<&StorePath>, one: &str, many: &dyn Fn(usize) -> String| {
            match paths.len() {
                0 => return,
                1 => text.push_str(one),
                n => text.push_str(&many(n)),
            }
            text.push('\n');
            for path in paths {
                text.push_str("  ");
                text.push_str(&dir.display(path));
                text.push('\n');
            }
        };
        let (checked, built): (Vec<_>, Vec<_>) = self.builds.iter().partition(|b| b.check);
        let paths = |builds: Vec<&'_ PlannedBuild>| -> Vec<StorePath> {
            builds.into_iter().map(|b| b.drv_path.clone()).collect()
        };
        let (checked, built) = (paths(checked), paths(built));
        list(built.iter().collect(), "this derivation will be built:", &|n| {
            format!("these {n} derivations will be built:")
        });
        list(checked.iter().collect(), "checking outputs of this derivation:", &|n| {
            format!("checking outputs of these {n} derivations:")
        });
        list(self.fetches.iter().collect(), "this path will be fetched:", &|n| {
            format!("these {n} paths will be fetched:")
        });
        list(self.missing.keys().collect(), "don't know how to build this path:", &|n| {
            format!("don't know how to build these {n} paths:")
        });
        text
    }
}

/// Decides what has to be done so that `wanted` becomes valid. With `check`, the derivations
/// wanted themselves are built although their outputs are valid.
///
/// # Errors
/// What the store says; a wanted output that the derivation does not have.
pub fn plan(look: &dyn Lookup, wanted: &[DerivingPath], check: bool) -> Result<Plan, StoreError> {
    let mut planner = Planner {
        look,
        check,
        outputs_seen: BTreeMap::new(),
        objects_seen: BTreeSet::new(),
        builds: BTreeMap::new(),
        plan: Plan::default(),
        queue: Vec::new(),
    };
    for path in wanted {
        planner.queue.push(match path {
            DerivingPath::Opaque(path) => Goal::Object { path: path.clone(), needed_by: None },
            DerivingPath::Built { drv, outputs } => {
                Goal::Outputs { drv: drv.clone(), outputs: outputs.clone(), needed_by: None }
            }
        });
    }
    // The order of the work does not show in the result: sets and a sort at the end.
    while let Some(goal) = planner.queue.pop() {
        match goal {
            Goal::Object { path, needed_by } => planner.object(path, needed_by)?,
            Goal::Outputs { drv, outputs, needed_by } => {
                planner.outputs(drv, &outputs, needed_by)?;
            }
        }
    }
    Ok(planner.finish())
}

enum Goal {
    Object { path: StorePath, needed_by: Option<StorePath> },
    Outputs { drv: StorePath, outputs: Outputs, needed_by: Option<StorePath> },
}

struct Planner<'a> {
    look: &'a dyn Lookup,
    check: bool,
    /// Which outputs of a derivation have been looked at.
    outputs_seen: BTreeMap<StorePath, BTreeSet<String>>,
    objects_seen: BTreeSet<StorePath>,
    builds: BTreeMap<StorePath, (Arc<Derivation>, bool)>,
    plan: Plan,
    queue: Vec<Goal>,
}

impl Planner<'_> {
    fn object(&mut self, path: StorePath, needed_by: Option<StorePath>) -> Result<(), StoreError> {
        if !self.objects_seen.insert(path.clone()) || self.look.is_valid(&path)? {
            return Ok(());
        }
        match self.look.substitutable(&path)? {
            Some(references) => {
                for reference in references.into_iter().filter(|r| *r != path) {
                    let needed_by = Some(path.clone());
                    self.queue.push(Goal::Object { path: reference, needed_by });
                }
                self.plan.fetches.insert(path);
            }
            None => {
                self.plan.missing.insert(path, needed_by);
            }
        }
        Ok(())
    }

    fn outputs(
        &mut self,
        drv_path: StorePath,
        outputs: &Outputs,
        needed_by: Option<StorePath>,
    ) -> Result<(), StoreError> {
        if !self.look.is_valid(&drv_path)? {
            return self.object(drv_path, needed_by);
        }
        let drv = self.look.derivation(&drv_path)?;
        let names: Vec<&String> = match outputs {
            Outputs::All => drv.outputs.keys().collect(),
            Outputs::Names(names) => names.iter().collect(),
        };
        let is_top = needed_by.is_none();
        let mut to_build = false;
        for name in names {
            if !drv.outputs.contains_key(name) {
                let known: Vec<&str> = drv.outputs.keys().map(String::as_str).collect();
                return Err(StoreError::invalid(format!(
                    "derivation '{}' has no output '{name}'; it has: {}",
                    self.look.store_dir().display(&drv_path),
                    known.join(", ")
                )));
            }
            let seen = self.outputs_seen.entry(drv_path.clone()).or_default();
            if !seen.insert(name.clone()) {
                continue;
            }
            let Some(path) = drv.output_path(self.look.store_dir(), name) else {
                to_build = true;
                continue;
            };
            if self.look.is_valid(&path)? {
                continue;
            }
            if self.look.substitutable(&path)?.is_some() {
                self.object(path, Some(drv_path.clone()))?;
            } else {
                to_build = true;
            }
        }
        let check = self.check && is_top && !to_build && !self.builds.contains_key(&drv_path);
        if !to_build && !check {
            return Ok(());
        }
        if let Some((_, was_check)) = self.builds.get_mut(&drv_path) {
            *was_check &= !to_build;
            return Ok(());
        }
        for (input, names) in &drv.input_drvs {
            self.queue.push(Goal::Outputs {
                drv: input.clone(),
                outputs: Outputs::Names(names.clone()),
                needed_by: Some(drv_path.clone()),
            });
        }
        for path in &drv.input_srcs {
            let needed_by = Some(drv_path.clone());
            self.queue.push(Goal::Object { path: path.clone(), needed_by });
        }
        self.builds.insert(drv_path, (drv, check));
        Ok(())
    }

    /// Puts the builds in order.
    fn finish(mut self) -> Plan {
        let mut waits: BTreeMap<&StorePath, usize> = BTreeMap::new();
        let mut referrers: BTreeMap<&StorePath, Vec<&StorePath>> = BTreeMap::new();
        let mut ready: BTreeSet<&StorePath> = BTreeSet::new();
        for (path, (drv, _)) in &self.builds {
            let inputs = drv.input_drvs.keys().filter(|input| self.builds.contains_key(*input));
            let mut n = 0;
            for input in inputs {
                referrers.entry(input).or_default().push(path);
                n += 1;
            }
            waits.insert(path, n);
            if n == 0 {
                ready.insert(path);
            }
        }
        let mut order: BTreeMap<&StorePath, usize> = BTreeMap::new();
        while let Some(path) = ready.pop_first() {
            order.insert(path, order.len());
            for referrer in referrers.get(path).into_iter().flatten() {
                if let Some(n) = waits.get_mut(referrer) {
                    *n -= 1;
                    if *n == 0 {
                        ready.insert(referrer);
                    }
                }
            }
        }
        // The path of a derivation contains a hash of its inputs, so there are no circles and
        // every build has a place.
        let mut builds: Vec<(usize, PlannedBuild)> = Vec::new();
        for (path, (drv, check)) in &self.builds {
            let Some(&place) = order.get(path) else { continue };
            let mut needs: Vec<usize> =
                drv.input_drvs.keys().filter_map(|input| order.get(input).copied()).collect();
            needs.sort_unstable();
            let drv = Arc::clone(drv);
            builds
                .push((place, PlannedBuild { drv_path: path.clone(), drv, needs, check: *check }));
        }
        builds.sort_by_key(|(place, _)| *place);
        self.plan.builds = builds.into_iter().map(|(_, build)| build).collect();
        self.plan
    }
}

#[cfg(test)]
mod tests {
    use nix_formats::derivation::Output;

    use super::*;

    /// A store made of text: `name -> input input` is a derivation, a name alone is a source.
    /// Names with `!` behind them are valid.
    struct Table {
        dir: StoreDir,
        derivations: BTreeMap<StorePath, Arc<Derivation>>,
        valid: BTreeSet<StorePath>,
        remote: BTreeSet<StorePath>,
    }

    fn path(name: &str) -> StorePath {
        StorePath::from_base_name(&format!("{}-{name}", "0".repeat(32))).unwrap()
    }

    fn table(graph: &str, valid: &[&str], remote: &[&str]) -> Table {
        let mut derivations = BTreeMap::new();
        let mut is_valid: BTreeSet<StorePath> = valid.iter().map(|name| path(name)).collect();
        for line in graph.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, inputs) = line.split_once("->").unwrap();
            let name = name.trim();
            let mut drv = Derivation { name: name.into(), ..Derivation::default() };
            drv.outputs.insert("out".into(), Output::InputAddressed(path(name)));
            for input in inputs.split_whitespace() {
                if let Some(source) = input.strip_prefix("src:") {
                    drv.input_srcs.insert(path(source));
                } else {
                    let names = BTreeSet::from(["out".to_owned()]);
                    drv.input_drvs.insert(path(&format!("{input}.drv")), names);
                }
            }
            is_valid.insert(path(&format!("{name}.drv")));
            derivations.insert(path(&format!("{name}.drv")), Arc::new(drv));
        }
        let remote = remote.iter().map(|name| path(name)).collect();
        Table { dir: StoreDir::default(), derivations, valid: is_valid, remote }
    }

    impl Lookup for Table {
        fn store_dir(&self) -> &StoreDir {
            &self.dir
        }

        fn is_valid(&self, path: &StorePath) -> Result<bool, StoreError> {
            Ok(self.valid.contains(path))
        }

        fn derivation(&self, drv: &StorePath) -> Result<Arc<Derivation>, StoreError> {
            Ok(Arc::clone(&self.derivations[drv]))
        }

        fn substitutable(
            &self,
            path: &StorePath,
        ) -> Result<Option<BTreeSet<StorePath>>, StoreError> {
            Ok(self.remote.contains(path).then(BTreeSet::new))
        }
    }

    fn plan_of(table: &Table, wanted: &str, check: bool) -> Plan {
        let drv = path(&format!("{wanted}.drv"));
        plan(table, &[DerivingPath::Built { drv, outputs: Outputs::All }], check).unwrap()
    }

    fn names(table: &Table, wanted: &str, check: bool) -> Vec<String> {
        let plan = plan_of(table, wanted, check);
        plan.builds.iter().map(|build| build.drv.name.clone()).collect()
    }

    const GRAPH: &str = "
        app -> lib tool src:main
        lib -> base
        tool -> base
        base ->
    ";

    #[test]
    fn dependencies_come_first_and_ties_are_sorted() {
        assert_eq!(
            names(&table(GRAPH, &["main"], &[]), "app", false),
            ["base", "lib", "tool", "app"]
        );
    }

    #[test]
    fn what_is_valid_is_not_built_and_needs_nothing() {
        let table = table(GRAPH, &["main", "lib", "tool"], &[]);
        assert_eq!(names(&table, "app", false), ["app"]);
        assert!(names(&table, "lib", false).is_empty());
    }

    #[test]
    fn a_check_builds_what_is_wanted_itself() {
        let table = table(GRAPH, &["main", "app", "lib", "tool"], &[]);
        let plan = plan_of(&table, "app", true);
        assert_eq!(plan.builds.len(), 1);
        assert!(plan.builds[0].check);
    }

    #[test]
    fn missing_sources_are_named_with_who_needs_them() {
        let plan = plan_of(&table(GRAPH, &[], &[]), "app", false);
        assert_eq!(plan.missing, BTreeMap::from([(path("main"), Some(path("app.drv")))]));
    }

    #[test]
    fn what_can_be_fetched_is_not_built() {
        let plan = plan_of(&table(GRAPH, &["main"], &["lib"]), "app", false);
        assert_eq!(plan.fetches, BTreeSet::from([path("lib")]));
        let names: Vec<&str> = plan.builds.iter().map(|b| b.drv.name.as_str()).collect();
        assert_eq!(names, ["base", "tool", "app"]);
        assert_eq!(plan.builds[2].needs, [1]);
    }

    #[test]
    fn an_unknown_output_is_an_error() {
        let table = table(GRAPH, &[], &[]);
        let names = BTreeSet::from(["doc".to_owned()]);
        let wanted = DerivingPath::Built { drv: path("app.drv"), outputs: Outputs::Names(names) };
        let error = plan(&table, &[wanted], false).unwrap_err().to_string();
        assert!(error.ends_with("has no output 'doc'; it has: out"), "{error}");
    }

    #[test]
    fn the_announcement_counts() {
        let plan = plan_of(&table(GRAPH, &["main", "tool"], &[]), "lib", false);
        expect_test::expect![[r#"
            these 2 derivations will be built:
              /nix/store/00000000000000000000000000000000-base.drv
              /nix/store/00000000000000000000000000000000-lib.drv
        "#]]
        .assert_eq(&plan.text(&StoreDir::default()));
    }

    #[test]
    fn a_chain_of_many_builds_needs_no_deep_stack() {
        let lines: Vec<String> = (1..20_000).map(|n| format!("d{n} -> d{}", n - 1)).collect();
        let table = table(&format!("d0 ->\n{}", lines.join("\n")), &[], &[]);
        assert_eq!(names(&table, "d19999", false).len(), 20_000);
    }
}
