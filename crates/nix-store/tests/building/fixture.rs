//! A store of its own for each case, derivations made by hand, and what builds told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix_formats::content_address::ContentAddress;
use nix_formats::derivation::{Derivation, ModuloCache, Output, fill_output_paths};
use nix_formats::deriving_path::{DerivingPath, Outputs};
use nix_formats::hash::Hash;
use nix_formats::store_path::{FileMethod, StoreDir, StorePath};
use nix_store::build::{
    BuildError, BuildSettings, Event, Events, InternalBuild, InternalBuilder, InternalBuilders,
};
use nix_store::realise::realise;
use nix_store::{LocalStore, Store, StoreConfig};

/// The internal builders of this program.
pub(crate) fn builders() -> InternalBuilders {
    InternalBuilders::standard().with(&[
        InternalBuilder { name: "builtin:probe", run: probe },
        InternalBuilder { name: "builtin:panic", run: |_| panic!("on purpose") },
    ])
}

/// Tells who and where it is.
fn probe(build: &InternalBuild) -> Result<(), String> {
    build.log("probing");
    let names: Vec<String> = fs::read_dir("/")
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    let names: BTreeSet<String> = names.into_iter().collect();
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line =
        |key: &str| status.lines().find(|line| line.starts_with(key)).unwrap_or("").to_owned();
    let text = format!(
        "uid {} pid {} dir {} root {names:?}\n{}\n{}\n{}\n{}\nmessage {}\n",
        rustix::process::getuid().as_raw(),
        std::process::id(),
        std::env::current_dir().map_err(|error| error.to_string())?.display(),
        line("CapEff"),
        line("CapBnd"),
        line("NoNewPrivs"),
        line("Seccomp:"),
        build.env_text("message")?,
    );
    fs::write(build.output("out")?, text).map_err(|error| error.to_string())
}

/// What builds told.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<Event>>);

impl Events for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Told {
    /// Everything that the builder of this name wrote.
    pub(crate) fn log(&self, name: &str) -> String {
        let drv_name = format!("{name}.drv");
        let lines = self.0.lock().unwrap();
        let lines = lines.iter().filter_map(|event| match event {
            Event::LogLine { drv, line } if drv.name() == drv_name => Some(format!("{line}\n")),
            _ => None,
        });
        lines.collect()
    }

    /// The names of all builds that were begun, in order.
    pub(crate) fn started(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let names = events.iter().filter_map(|event| match event {
            Event::BuildStarted { drv } => Some(drv.name().trim_end_matches(".drv").to_owned()),
            _ => None,
        });
        names.collect()
    }

    /// All messages.
    pub(crate) fn messages(&self) -> String {
        let events = self.0.lock().unwrap();
        let texts = events.iter().filter_map(|event| match event {
            Event::Message { text, .. } => Some(format!("{text}\n")),
            _ => None,
        });
        texts.collect()
    }
}

/// A store of its own.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<LocalStore>,
    pub(crate) settings: BuildSettings,
    cache: ModuloCache,
    pub(crate) told: Told,
}

/// A derivation being written down.
pub(crate) struct Recipe<'f> {
    fixture: &'f Fixture,
    drv: Derivation,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(config(dir.path())).unwrap();
        Fixture {
            dir,
            store: Arc::new(store),
            settings: settings(),
            cache: ModuloCache::new(),
            told: Told::default(),
        }
    }

    /// A store whose files lie where their paths say, which is not `/nix/store`.
    pub(crate) fn at_its_place() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("nix/store").display().to_string();
        let config =
            StoreConfig { store_dir: StoreDir::new(&place).unwrap(), ..config(dir.path()) };
        Fixture {
            store: Arc::new(LocalStore::open(config).unwrap()),
            dir,
            settings: settings(),
            cache: ModuloCache::new(),
            told: Told::default(),
        }
    }

    /// A file in the output of a derivation.
    pub(crate) fn read_inside(&self, drv: &StorePath, name: &str) -> Result<String, String> {
        let file = self.real(&self.out(drv, "out")).join(name);
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// A derivation that runs a script with the shell of the sandbox.
    pub(crate) fn recipe(&self, name: &str, script: &str) -> Recipe<'_> {
        let mut drv = Derivation {
            name: name.to_owned(),
            system: self.settings.system.clone(),
            builder: b"/bin/sh".to_vec(),
            args: vec![b"-c".to_vec(), script.as_bytes().to_vec()],
            ..Derivation::default()
        };
        drv.outputs.insert("out".to_owned(), Output::Deferred);
        for (key, value) in [("name", name), ("builder", "/bin/sh")] {
            drv.env.insert(key.into(), value.into());
        }
        Recipe { fixture: self, drv }
    }

    /// Realises all outputs of some derivations.
    pub(crate) fn realise(
        &self,
        drvs: &[&StorePath],
    ) -> Result<Vec<BTreeMap<String, StorePath>>, BuildError> {
        self.realise_with(drvs, &self.settings)
    }

    pub(crate) fn realise_with(
        &self,
        drvs: &[&StorePath],
        settings: &BuildSettings,
    ) -> Result<Vec<BTreeMap<String, StorePath>>, BuildError> {
        let wanted: Vec<DerivingPath> = drvs
            .iter()
            .map(|drv| DerivingPath::Built { drv: (*drv).clone(), outputs: Outputs::All })
            .collect();
        let done = realise(&self.store, &wanted, settings, &builders(), &self.told)?;
        Ok(done.into_iter().map(|realised| realised.outputs).collect())
    }

    /// Builds one derivation and reads its output `out`, a file.
    pub(crate) fn output_of(&self, drv: &StorePath) -> Result<String, String> {
        let outputs = self.realise(&[drv]).map_err(|error| error.to_string())?;
        self.read(&outputs[0]["out"])
    }

    /// Builds one derivation that must fail, and gives the error.
    pub(crate) fn failure_of(&self, drv: &StorePath) -> Result<BuildError, String> {
        self.failure_with(drv, &self.settings)
    }

    pub(crate) fn failure_with(
        &self,
        drv: &StorePath,
        settings: &BuildSettings,
    ) -> Result<BuildError, String> {
        match self.realise_with(&[drv], settings) {
            Err(error) => Ok(error),
            Ok(_) => Err(format!("the build succeeded; its log:\n{}", self.told.log(drv.name()))),
        }
    }

    pub(crate) fn real(&self, path: &StorePath) -> PathBuf {
        self.store.real_path(path)
    }

    pub(crate) fn read(&self, path: &StorePath) -> Result<String, String> {
        let file = self.real(path);
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// The output of a derivation as it stands in the `.drv`.
    pub(crate) fn out(&self, drv: &StorePath, output: &str) -> StorePath {
        self.store
            .read_derivation(drv)
            .unwrap()
            .output_path(self.store.store_dir(), output)
            .unwrap()
    }

    /// Runs `nix-store` of C++ Nix on this store; gives whether it succeeded, and what it printed.
    pub(crate) fn real_nix(&self, args: &[&str]) -> Result<(bool, String), String> {
        let output = std::process::Command::new("nix-store")
            .arg("--store")
            .arg(self.dir.path())
            .args(args)
            .env("HOME", self.dir.path())
            .env("NIX_REMOTE", "")
            .output()
            .map_err(|e| format!("cannot run nix-store (apt-get install nix-bin): {e}"))?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok((output.status.success(), text))
    }

    /// What is left of builds on disk, apart from the objects.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names = |dir: &Path, keep: &dyn Fn(&str) -> bool| -> Vec<String> {
            let entries = fs::read_dir(dir).into_iter().flatten();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| keep(name)).collect()
        };
        let mut left = names(&self.dir.path().join("nix/var/nix/builds"), &|_| true);
        left.extend(names(&self.dir.path().join("nix/store"), &|name| {
            name.ends_with(".lock") || name.ends_with(".chroot")
        }));
        left
    }
}

/// Where the store of a case lies.
pub(crate) fn config(dir: &Path) -> StoreConfig {
    StoreConfig { durable: false, ..StoreConfig::chroot(dir) }
}

/// The settings of all cases.
pub(crate) fn settings() -> BuildSettings {
    BuildSettings { cores: 3, ..BuildSettings::new() }
}

impl Recipe<'_> {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.drv.env.insert(name.into(), value.into());
        self
    }

    pub(crate) fn builder(mut self, builder: &str) -> Self {
        self.drv.builder = builder.into();
        self
    }

    pub(crate) fn system(mut self, system: &str) -> Self {
        self.drv.system = system.into();
        self
    }

    pub(crate) fn outputs(mut self, names: &[&str]) -> Self {
        self.drv.outputs =
            names.iter().map(|name| ((*name).to_owned(), Output::Deferred)).collect();
        self
    }

    pub(crate) fn input(mut self, drv: &StorePath) -> Self {
        self.drv.input_drvs.insert(drv.clone(), BTreeSet::from(["out".to_owned()]));
        self
    }

    pub(crate) fn source(mut self, path: &StorePath) -> Self {
        self.drv.input_srcs.insert(path.clone());
        self
    }

    pub(crate) fn fixed(mut self, method: FileMethod, hash: Hash) -> Self {
        let ca = ContentAddress::Fixed { method, hash };
        self.drv.outputs.insert("out".to_owned(), Output::Fixed { ca });
        self
    }

    /// Structured attributes instead of variables.
    pub(crate) fn attrs(mut self, json: &str) -> Self {
        self.drv.env.clear();
        self.drv.env.insert("__json".into(), json.into());
        self
    }

    /// Computes the paths and writes the derivation into the store.
    pub(crate) fn write(mut self) -> StorePath {
        let store = &self.fixture.store;
        let dir = store.store_dir();
        fill_output_paths(dir, &mut self.drv, &self.fixture.cache, &mut |path| {
            store.read_derivation(path)
        })
        .unwrap();
        let text = self.drv.write(dir);
        let references = self.drv.references();
        store.add_text(&format!("{}.drv", self.drv.name), &text, &references).unwrap()
    }
}

/// Fails a case with both sides.
#[track_caller]
pub(crate) fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let place = std::panic::Location::caller();
    Err(format!("{place}\n--- found\n{found}\n--- expected\n{expected}"))
}

/// Fails a case if a text lacks a part.
#[track_caller]
pub(crate) fn has(text: &str, part: &str) -> Result<(), String> {
    if text.contains(part) {
        return Ok(());
    }
    let place = std::panic::Location::caller();
    Err(format!("{place}\n--- this is missing\n{part}\n--- in\n{text}"))
}

/// Fails a case if a condition does not hold.
#[track_caller]
pub(crate) fn holds(condition: bool, what: &str) -> Result<(), String> {
    let place = std::panic::Location::caller();
    if condition { Ok(()) } else { Err(format!("{place}: {what}")) }
}
