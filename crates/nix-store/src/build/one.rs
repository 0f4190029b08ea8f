//! One derivation from its inputs to its registered outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix_formats::derivation::Derivation;
use nix_formats::store_path::StorePath;
use serde_json::Value;

use super::build_dir::{BuildDir, BuildUser};
use super::checks;
use super::environment::{self, Inputs, words};
use super::error::{BuildFailure, FailureKind, display_name};
use super::events::{Event, Events, Level};
use super::log::Log;
use super::outputs::{self, Collect, Rejected};
use super::process::{self, Outcome};
use super::request::Request;
use super::sandbox::plan::{self, PlanInputs};
use super::settings::{BuildSettings, SandboxMode};
use super::structured_attrs::{self, GraphNode};
use crate::closure::Closure;
use crate::error::StoreError;
use crate::local::{LocalStore, PathLocks};
use crate::store::Store;
use crate::sys::{Dir, delete_tree};

/// Below this many free bytes a failure may come from a full disk.
const NEARLY_FULL: u64 = 8 << 20;

/// How often a lock that somebody else holds is tried.
const LOCK_TICK: Duration = Duration::from_millis(100);

/// How a build ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Built {
    /// The outputs were made (or, with `check`, confirmed).
    Now,
    /// Somebody else made them while we waited.
    Already,
    /// The caller asked to stop.
    Cancelled,
}

/// What building one derivation needs.
pub(crate) struct Job<'a> {
    pub(crate) store: &'a LocalStore,
    pub(crate) drv_path: &'a StorePath,
    pub(crate) drv: &'a Derivation,
    pub(crate) settings: &'a BuildSettings,
    pub(crate) events: &'a dyn Events,
    /// Whether the outputs are valid and are to be built again and compared.
    pub(crate) check: bool,
}

/// What is known about a failure besides its sentence.
#[derive(Default)]
struct Details {
    log_tail: Vec<String>,
    n_log_lines: u64,
    log_file: Option<PathBuf>,
    kept_dir: Option<PathBuf>,
    disk_nearly_full: bool,
}

impl Job<'_> {
    /// Builds the derivation.
    pub(crate) fn run(&self) -> Result<Built, Box<BuildFailure>> {
        let mut details = Details::default();
        self.steps(&mut details).map_err(|rejected| self.failure(rejected, details))
    }

    fn failure(&self, rejected: Rejected, details: Details) -> Box<BuildFailure> {
        let texts = [&self.drv.builder].into_iter().chain(&self.drv.args);
        let texts: Vec<String> =
            texts.map(|text| one_line(&String::from_utf8_lossy(text))).collect();
        let paths = self.drv.output_paths(self.store.store_dir());
        Box::new(BuildFailure {
            drv: self.drv_path.clone(),
            drv_path: self.store.display(self.drv_path),
            kind: rejected.kind,
            message: rejected.message,
            command: texts.join(" "),
            output_paths: paths.filter_map(|(_, p)| Some(self.store.display(&p?))).collect(),
            log_tail: details.log_tail,
            n_log_lines: details.n_log_lines,
            log_file: details.log_file,
            kept_dir: details.kept_dir,
            disk_nearly_full: details.disk_nearly_full,
        })
    }

    fn name(&self) -> &str {
        display_name(self.drv_path)
    }

    fn steps(&self, details: &mut Details) -> Result<Built, Rejected> {
        self.check_machine()?;
        let outputs = self.output_paths()?;
        self.store.add_temp_root(self.drv_path)?;
        for path in outputs.values() {
            self.store.add_temp_root(path)?;
        }
        let Some(_locks) = self.wait_for_locks(&outputs)? else { return Ok(Built::Cancelled) };
        let mut invalid = BTreeSet::new();
        for (name, path) in &outputs {
            if !self.store.is_valid(path)? {
                invalid.insert(name.as_str());
            }
        }
        if self.check {
            if let Some(name) = invalid.first() {
                return Err(not_started(format!(
                    "output '{name}' of '{}' is not valid, so checking is not possible; build it \
                     first",
                    self.store.display(self.drv_path)
                )));
            }
        } else if invalid.is_empty() {
            return Ok(Built::Already);
        }
        let real_store = Dir::open(self.store.real_store_dir())?;
        for name in &invalid {
            delete_tree(&real_store, outputs[*name].base_name())?;
        }
        let sandboxed = self.is_sandboxed();
        if !sandboxed && self.store.is_relocated() {
            return Err(not_started(format!(
                "the store's files lie in '{}', not in '{}', so '{}' can be built only in a \
                 sandbox, which shows them there; use `--option sandbox true`",
                self.store.real_store_dir().display(),
                self.store.store_dir().as_str(),
                self.name()
            )));
        }
        if !sandboxed && (self.check || invalid.len() < outputs.len()) {
            return Err(not_started(
                "some outputs are valid, and without a sandbox a second build would write over \
                 them; build with `--option sandbox true`, or delete the outputs first",
            ));
        }
        let inputs = self.inputs()?;
        let graphs = self.graphs(&inputs)?;
        let closure: BTreeSet<StorePath> = inputs.paths().cloned().collect();

        let dir = BuildDir::create(self.store.state_dir())?;
        let user = BuildUser::take(self.store.state_dir(), sandboxed)?;
        let identity = &user.identity;
        let build_dir =
            if sandboxed { self.settings.sandbox_build_dir.clone() } else { dir.build() };
        let environment = environment::environment(
            self.drv,
            &Inputs {
                store_dir: self.store.store_dir(),
                settings: self.settings,
                build_dir: &build_dir,
                outputs: &outputs,
                graphs: &graphs,
            },
        )
        .map_err(not_started)?;
        dir.fill(&environment.files, identity)?;
        let store_dir = PathBuf::from(self.store.store_dir().as_str());
        let scratch_store = if sandboxed {
            dir.make_store(&store_dir, identity)?
        } else {
            self.store.real_store_dir().to_owned()
        };
        let sandbox = if sandboxed {
            let shown = self.shown(&closure)?;
            let plan = plan::plan(&PlanInputs {
                store: self.store,
                settings: self.settings,
                drv: self.drv,
                inputs: &shown,
                root: dir.root(),
                host_build_dir: dir.build(),
                identity: *identity,
            });
            Some(plan.map_err(not_started)?)
        } else {
            None
        };
        let internal = self.drv.builder.starts_with(b"builtin:");
        let zeroth = self.drv.builder.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let request = Request {
            builder: self.drv.builder.clone(),
            internal,
            args: [zeroth.to_vec()].into_iter().chain(environment.args).collect(),
            env: environment.env.into_iter().collect(),
            build_dir,
            outputs: outputs
                .iter()
                .map(|(name, path)| (name.clone(), store_dir.join(path.base_name())))
                .collect(),
            attrs_json: environment.files.get(".attrs.json").cloned(),
            store_dir: store_dir.clone(),
            cores: self.settings.effective_cores(),
            personality_32: self.drv.system == "i686-linux" || self.drv.system == "armv7l-linux",
            sandbox,
        };
        let result = self.run_builder(&request, details).and_then(|built| {
            if built == Built::Cancelled {
                return Ok(built);
            }
            let collect = Collect {
                store: self.store,
                drv: self.drv,
                drv_path: self.drv_path,
                scratch_store: &scratch_store,
                outputs: &outputs,
                inputs: &closure,
                host_uid: identity.host_uid,
                unsearched: &checks::unsearched(self.drv),
            };
            self.accept(&collect)?;
            Ok(built)
        });
        if !sandboxed && !matches!(result, Ok(Built::Now)) {
            // Scratch outputs go before the locks do.
            for name in &invalid {
                delete_tree(&real_store, outputs[*name].base_name())?;
            }
        }
        if result.is_err() {
            details.disk_nearly_full = self.disk_nearly_full();
            if self.settings.keep_failed && !internal {
                let kept = dir.keep(self.name())?;
                let text = format!("note: keeping build directory '{}'", kept.display());
                self.events.event(Event::Message { level: Level::Error, text });
                details.kept_dir = Some(kept);
            }
        }
        result
    }

    /// Takes the locks of all outputs; `None` if the caller wants to stop meanwhile.
    fn wait_for_locks(
        &self,
        outputs: &BTreeMap<String, StorePath>,
    ) -> Result<Option<PathLocks>, Rejected> {
        let mut told = false;
        loop {
            if let Some(locks) = self.store.try_lock_paths(outputs.values())? {
                return Ok(Some(locks));
            }
            if self.settings.is_cancelled() {
                return Ok(None);
            }
            if !told {
                told = true;
                let text = format!("waiting for another build of '{}'", self.name());
                self.events.event(Event::Message { level: Level::Info, text });
            }
            std::thread::sleep(LOCK_TICK);
        }
    }

    /// Whether this machine is what the derivation demands.
    fn check_machine(&self) -> Result<(), Rejected> {
        let settings = self.settings;
        let required: BTreeSet<String> = match self.drv.structured_attrs() {
            Some(json) => {
                structured_attrs::string_list(json, "requiredSystemFeatures").into_iter().collect()
            }
            None => words(self.drv.env.get(&b"requiredSystemFeatures"[..]))
                .into_iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect(),
        };
        let system = &self.drv.system;
        let system_fits = system == "builtin"
            || *system == settings.system
            || settings.extra_platforms.contains(system);
        if system_fits && required.is_subset(&settings.system_features) {
            return Ok(());
        }
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let remedy = if system_fits {
            "add the missing feature to 'system-features' if this machine has it"
        } else {
            "evaluate for this machine with `--system`, or add an emulated one to \
             'extra-platforms'"
        };
        Err(not_started(format!(
            "a '{system}' with features {{{}}} is required to build '{}', but I am a '{}' with \
             features {{{}}}; {remedy}",
            list(&required),
            self.store.display(self.drv_path),
            settings.system,
            list(&settings.system_features)
        )))
    }

    fn output_paths(&self) -> Result<BTreeMap<String, StorePath>, Rejected> {
        let paths = self.drv.output_paths(self.store.store_dir());
        paths
            .map(|(name, path)| match path {
                Some(path) => Ok((name.to_owned(), path)),
                None => Err(not_started(format!(
                    "the path of output '{name}' of '{}' is known only after the build \
                     (floating content address); such derivations cannot be built yet",
                    self.store.display(self.drv_path)
                ))),
            })
            .collect()
    }

    fn is_sandboxed(&self) -> bool {
        match self.settings.sandbox {
            SandboxMode::On => true,
            SandboxMode::Off => false,
            SandboxMode::Relaxed => {
                let asks = self.drv.env.get(&b"__noChroot"[..]).is_some_and(|v| v == b"1")
                    || self.drv.structured_attrs().is_some_and(|json| {
                        structured_attrs::attribute(json, "__noChroot") == Some(Value::Bool(true))
                    });
                !(asks || self.drv.is_fixed_output())
            }
        }
    }

    /// The closure of everything that the derivation names.
    fn inputs(&self) -> Result<Closure, Rejected> {
        let mut roots: Vec<StorePath> = self.drv.input_srcs.iter().cloned().collect();
        for (input, names) in &self.drv.input_drvs {
            let drv = self.store.read_derivation(input)?;
            for name in names {
                let path = drv.output_path(self.store.store_dir(), name).ok_or_else(|| {
                    not_started(format!(
                        "derivation '{}' has no output '{name}' with a known path",
                        self.store.display(input)
                    ))
                })?;
                roots.push(path);
            }
        }
        for root in &roots {
            self.store.add_temp_root(root)?;
        }
        Ok(Closure::of(self.store, &roots)?)
    }

    /// What is shown in the sandbox: the inputs, and the closures of what the settings add.
    fn shown(&self, inputs: &BTreeSet<StorePath>) -> Result<BTreeSet<StorePath>, Rejected> {
        let mut shown = inputs.clone();
        let mut roots = Vec::new();
        for path in &self.settings.sandbox_paths {
            let text = path.source.to_string_lossy();
            if let Ok((path, _)) = self.store.store_dir().split(&text)
                && self.store.is_valid(&path)?
            {
                roots.push(path);
            }
        }
        shown.extend(Closure::of(self.store, &roots)?.paths().cloned());
        Ok(shown)
    }

    /// The closures that the derivation asks to be told.
    fn graphs(&self, inputs: &Closure) -> Result<BTreeMap<String, Vec<GraphNode>>, Rejected> {
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        match self.drv.structured_attrs() {
            Some(json) => {
                if let Some(Value::Object(entries)) =
                    structured_attrs::attribute(json, "exportReferencesGraph")
                {
                    for (name, value) in entries {
                        wanted.insert(name, strings_in(&value));
                    }
                }
            }
            None => {
                let list = words(self.drv.env.get(&b"exportReferencesGraph"[..]));
                if !list.len().is_multiple_of(2) {
                    return Err(not_started(format!(
                        "'exportReferencesGraph' of '{}' must be a list of names and paths in \
                         turn",
                        self.name()
                    )));
                }
                for pair in list.chunks_exact(2) {
                    let name = String::from_utf8_lossy(pair[0]).into_owned();
                    if !is_graph_name(&name) {
                        return Err(not_started(format!(
                            "invalid file name '{name}' in 'exportReferencesGraph' of '{}'",
                            self.name()
                        )));
                    }
                    wanted.insert(name, vec![String::from_utf8_lossy(pair[1]).into_owned()]);
                }
            }
        }
        let mut graphs = BTreeMap::new();
        for (name, texts) in wanted {
            let mut roots = Vec::new();
            for text in texts {
                // A path inside an object stands for the object.
                let (path, _) = self.store.store_dir().split(&text).map_err(|error| {
                    not_started(format!("'{text}' in 'exportReferencesGraph': {error}"))
                })?;
                if !inputs.contains(&path) {
                    return Err(not_started(format!(
                        "cannot export references of path '{text}' because it is not in the \
                         input closure of the derivation"
                    )));
                }
                roots.push(path);
            }
            let mut closure = inputs.restrict(&roots);
            // A derivation in the closure stands for its outputs, too, as far as they are there.
            let drvs = closure.paths().filter(|path| path.is_derivation());
            let mut more = roots;
            for drv in drvs {
                let outputs = self.store.query_derivation_outputs(drv)?;
                more.extend(outputs.into_values().filter(|path| inputs.contains(path)));
            }
            closure = inputs.restrict(&more);
            let mut nodes: Vec<GraphNode> = closure
                .iter()
                .map(|info| GraphNode {
                    path: info.path.clone(),
                    nar_hash: info.nar_hash,
                    nar_size: info.nar_size,
                    closure_size: closure.closure_size(&info.path),
                    references: info.references.clone(),
                    ca: info.ca,
                })
                .collect();
            nodes.sort_by(|a, b| a.path.cmp(&b.path));
            graphs.insert(name, nodes);
        }
        Ok(graphs)
    }

    /// Runs the builder and judges how it ended.
    fn run_builder(&self, request: &Request, details: &mut Details) -> Result<Built, Rejected> {
        let name = self.name();
        let log_file = log_path(self.store.log_dir(), self.drv_path);
        let mut log = Log::create(self.drv_path, &log_file, self.settings.log_lines, self.events)
            .map_err(|e| StoreError::io("create the log", &log_file, e))?;
        let outcome = process::run(request, self.settings, &mut log);
        (details.log_tail, details.n_log_lines) = log.finish();
        details.log_file = Some(log_file);
        let outcome = outcome
            .map_err(|error| not_started(format!("cannot run the builder of '{name}': {error}")))?;
        let builder_failed = |kind, message: String| Err(Rejected { kind, message });
        match outcome {
            Outcome::Ended(0) => Ok(Built::Now),
            Outcome::Ended(status) => builder_failed(
                FailureKind::Builder,
                format!("builder for '{name}' failed {}", describe(status)),
            ),
            Outcome::BuilderFailed(text) => {
                builder_failed(FailureKind::Builder, format!("builder for '{name}' failed: {text}"))
            }
            Outcome::SetupFailed(text) => {
                Err(not_started(format!("cannot build '{name}': {text}")))
            }
            Outcome::TimedOut(limit) => builder_failed(
                FailureKind::TimedOut,
                format!(
                    "building of '{name}' timed out after {} seconds (setting 'timeout')",
                    limit.as_secs()
                ),
            ),
            Outcome::Silent(limit) => builder_failed(
                FailureKind::TimedOut,
                format!(
                    "building of '{name}' timed out after {} seconds of silence (setting \
                     'max-silent-time')",
                    limit.as_secs()
                ),
            ),
            Outcome::LogLimit(limit) => builder_failed(
                FailureKind::LogLimit,
                format!(
                    "builder for '{name}' was killed after it wrote more than {limit} bytes of log \
                     output (setting 'max-build-log-size')"
                ),
            ),
            Outcome::Cancelled => Ok(Built::Cancelled),
        }
    }

    fn accept(&self, collect: &Collect<'_>) -> Result<(), Rejected> {
        let made = collect.copy_all()?;
        let drv_path = self.store.display(self.drv_path);
        for one in &made {
            outputs::check_fixed(self.store, self.drv, &drv_path, one)?;
        }
        outputs::check_cycles(&drv_path, &made)?;
        checks::check(self.store, self.drv, &made)?;
        if self.check {
            outputs::compare(self.store, &drv_path, made, self.settings.keep_failed)
        } else {
            outputs::publish(self.store, made)
        }
    }

    fn disk_nearly_full(&self) -> bool {
        [self.store.real_store_dir(), self.store.state_dir()].into_iter().any(|dir| {
            rustix::fs::statvfs(dir)
                .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_bsize) < NEARLY_FULL)
        })
    }
}

fn not_started(message: impl Into<String>) -> Rejected {
    Rejected { kind: FailureKind::NotStarted, message: message.into() }
}

/// A text for a report: without line breaks, and not endless.
fn one_line(text: &str) -> String {
    const MAX: usize = 120;
    let mut line: String =
        text.chars().take(MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}

/// All strings in a value, lists in lists included.
fn strings_in(value: &Value) -> Vec<String> {
    let mut strings = Vec::new();
    let mut queue = vec![value];
    while let Some(value) = queue.pop() {
        match value {
            Value::String(text) => strings.push(text.clone()),
            Value::Array(items) => queue.extend(items),
            _ => {}
        }
    }
    strings
}

fn is_graph_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// How a process ended, as the end of a sentence.
fn describe(status: i32) -> String {
    if libc::WIFEXITED(status) {
        return format!("with exit code {}", libc::WEXITSTATUS(status));
    }
    let signal = libc::WTERMSIG(status);
    let name = match signal {
        libc::SIGHUP => " (Hangup)",
        libc::SIGINT => " (Interrupt)",
        libc::SIGILL => " (Illegal instruction)",
        libc::SIGABRT => " (Aborted)",
        libc::SIGBUS => " (Bus error)",
        libc::SIGFPE => " (Floating point exception)",
        libc::SIGKILL => " (Killed)",
        libc::SIGSEGV => " (Segmentation fault)",
        libc::SIGPIPE => " (Broken pipe)",
        libc::SIGTERM => " (Terminated)",
        libc::SIGXCPU => " (CPU time limit exceeded)",
        libc::SIGSYS => " (Bad system call)",
        _ => "",
    };
    format!("due to signal {signal}{name}")
}

/// Where the log of a derivation lies.
pub fn log_path(log_dir: &Path, drv: &StorePath) -> PathBuf {
    let (first, rest) = drv.base_name().split_at(2);
    log_dir.join("drvs").join(first).join(format!("{rest}.bz2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_builders_are_described() {
        assert_eq!(describe(0x300), "with exit code 3");
        assert_eq!(describe(9), "due to signal 9 (Killed)");
        assert_eq!(describe(64), "due to signal 64");
    }

    #[test]
    fn logs_lie_where_nix_looks_for_them() {
        let drv = StorePath::from_base_name("01111111111111111111111111111111-a.drv").unwrap();
        assert_eq!(
            log_path(Path::new("/l"), &drv),
            Path::new("/l/drvs/01/111111111111111111111111111111-a.drv.bz2")
        );
    }
}
