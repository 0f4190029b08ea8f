//! From settings to a store, a host and an evaluator.

use std::{
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::ArgMatches;
use nix_eval::{
    CancelToken, Engine, EngineOptions, Evaluator, SearchPathEntry,
    error::{Error, Report, Style},
    host::{FsHost, Host, HostError, HostErrorKind, NixPath, Recording, TraceEvent},
    syntax::Lint,
};
use nix_formats::store_path::StoreDir;
use nix_store::{
    LocalStore, Store, StoreConfig, StoreError,
    deferred::DeferredStore,
    fetch::FetchSettings,
    host::{Fetch, Realise, StoreHost, StoreHostOptions},
};

use crate::{
    answers::{self, Keeps},
    args,
    exit::Failure,
    memory, profile,
    settings::Settings,
    stats,
};

/// Becomes the process that runs a build, if this process was started as one.
pub(crate) fn start_if_asked() {
    nix_store::build::starter::run_if_asked(&crate::realise::builders());
}

/// A command's surroundings.
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) store: Option<Arc<LocalStore>>,
    pub(crate) evaluator: Evaluator,
    /// While this is set, evaluation neither builds nor fetches nor says anything: it is only for a look.
    pub(crate) only_looking: Arc<AtomicBool>,
    /// Stops what is evaluated and built. Whoever takes another evaluator puts its token here.
    pub(crate) running: Arc<Mutex<CancelToken>>,
    /// Answers of this call, if they are kept.
    pub(crate) answers: Option<answers::Call>,
    json_errors: bool,
    /// Whether and where to say what the evaluation did when the session ends, however it ends.
    stats: Option<stats::Wanted>,
    /// Where the profile goes when the session ends, however it ends.
    profile: Option<profile::Wanted>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(wanted) = &self.stats {
            wanted.print(&self.evaluator.stats(), self.answers.as_ref().map(answers::Call::is_hit));
        }
        if let Some(wanted) = &mut self.profile {
            wanted.add(&self.evaluator);
            wanted.write();
        }
    }
}

/// The settings of a call, with what there was to warn about said.
pub(crate) fn settings(matches: &ArgMatches) -> Result<Settings, Failure> {
    let settings = args::settings(matches)?;
    for warning in &settings.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(settings)
}

/// Whether the store is one that holds nothing and writes nothing.
fn is_dummy(settings: &Settings) -> bool {
    let remote = std::env::var("NIX_REMOTE").unwrap_or_default();
    let named = settings.text("store");
    named.starts_with("dummy:") || (named == "auto" && remote.starts_with("dummy:"))
}

/// Opens the store that the settings name; `None` for `dummy://`.
///
/// # Errors
/// A store that cannot be opened or made.
pub(crate) fn store(settings: &Settings) -> Result<Option<Arc<LocalStore>>, Failure> {
    if is_dummy(settings) {
        return Ok(None);
    }
    let config = store_config(settings.text("store")).map_err(Failure::new)?;
    LocalStore::open(config).map(|store| Some(Arc::new(store))).map_err(Failure::new)
}

/// What the setting `store` means.
fn store_config(text: &str) -> Result<StoreConfig, StoreError> {
    let environment = |name: &str| std::env::var_os(name);
    match text {
        "auto" => StoreConfig::default_for(&environment),
        text => StoreConfig::parse(text, &environment),
    }
}

/// What evaluation may do to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Add sources and derivations.
    Yes,
    /// Compute paths only. The store is opened when something of it is read, and changed only by what is
    /// fetched.
    No,
}

impl Session {
    /// Opens what an evaluating command needs.
    ///
    /// # Errors
    /// Bad settings, a store that cannot be opened.
    pub(crate) fn open(matches: &ArgMatches, writes: Writes) -> Result<Session, Failure> {
        Session::open_keeping(matches, writes, Keeps::Nothing)
    }

    /// As [`Session::open`], for a command whose answer is kept and used again.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) fn open_kept(matches: &ArgMatches, writes: Writes) -> Result<Session, Failure> {
        Session::open_keeping(matches, writes, Keeps::Text)
    }

    /// As [`Session::open`], for a command that keeps this of its answer.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub(crate) fn open_keeping(
        matches: &ArgMatches,
        writes: Writes,
        keeps: Keeps,
    ) -> Result<Session, Failure> {
        let settings = settings(matches)?;
        // Not every command has the flag.
        let file = matches.try_get_one::<String>("time-profile").ok().flatten();
        let profile = profile::Wanted::of(file.map(String::as_str), &settings)?;
        let wants_store = writes == Writes::Yes && !matches.get_flag("readonly-mode");
        let store = if wants_store { store(&settings)? } else { None };
        let writes = wants_store && store.is_some();
        let store_dir = match std::env::var("NIX_STORE_DIR") {
            Ok(dir) => {
                StoreDir::new(&dir).map_err(|e| Failure::new(format!("NIX_STORE_DIR: {e}")))?
            }
            Err(_) => StoreDir::default(),
        };
        let trees = vec![nix_store::nixlib::TREE];
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let environment = std::env::vars_os().map(|(name, value)| {
            use std::os::unix::ffi::OsStringExt;
            (name.to_string_lossy().into_owned(), value.into_vec())
        });
        let pure = settings.bool("pure-eval") && !matches.get_flag("impure");
        let mut files = FsHost::whole().env(environment);
        if !pure {
            files = files.clock(now as i64).for_system(settings.text("system"));
        }
        let deferred = match &store {
            None if !is_dummy(&settings) => {
                let text = settings.text("store").to_owned();
                Some(Arc::new(DeferredStore::new(move || store_config(&text))))
            }
            _ => None,
        };
        let fetch = match (&store, &deferred) {
            (Some(store), _) => Some(fetcher(store.clone(), &settings)),
            (None, Some(deferred)) => Some(deferred_fetcher(deferred.clone(), settings.clone())),
            (None, None) => None,
        };
        let only_looking = Arc::new(AtomicBool::new(false));
        let running = Arc::new(Mutex::new(CancelToken::new()));
        let search_path = search_path(&settings, &args::many(matches, "include"));
        let place = match &store {
            Some(store) => store.real_store_dir().to_string_lossy().into_owned(),
            None => store_dir.as_str().to_owned(),
        };
        // Of an answer that was known there would be no profile.
        let kept = (keeps != Keeps::Nothing && profile.is_none()).then(|| {
            let answers = answers::directory(&settings)?;
            Some((answers, answers::key(matches, &settings, &search_path, &place, keeps)?))
        });
        let host = StoreHost::new(StoreHostOptions {
            files,
            store: store.clone(),
            deferred,
            store_dir,
            writes,
            notes_written: matches!(keeps, Keeps::Written | Keeps::Reports)
                && matches!(kept, Some(Some(_))),
            trees: trees.clone(),
            realise: store.clone().map(|store| {
                realiser(store, settings.clone(), only_looking.clone(), running.clone())
            }),
            fetch: fetch.map(|fetch| unless_looking(fetch, only_looking.clone())),
            listen: Some(Box::new(listener(only_looking.clone()))),
        });
        let (host, answers): (Arc<dyn Host>, _) = match kept.flatten() {
            Some((answers, key)) => {
                let host = Arc::new(Recording::new(host));
                (host.clone(), Some(answers::Call::new(answers, key, host)))
            }
            None => (Arc::new(host), None),
        };
        let mut options = EngineOptions::default();
        options.builtins = nix_store::builtins::BUILTINS.to_vec();
        options.host = host;
        options.project = std::env::current_dir().ok().map(|dir| {
            use std::os::unix::ffi::OsStringExt;
            dir.into_os_string().into_vec()
        });
        options.search_path = search_path;
        options.trees = trees;
        options.pure_eval = pure;
        options.restrict_eval = settings.bool("restrict-eval");
        options.allowed_uris = settings.list("allowed-uris");
        options.allow_import_from_derivation = settings.bool("allow-import-from-derivation");
        options.features = settings.list("experimental-features").into_iter().collect();
        options.trace_verbose = settings.bool("trace-verbose");
        options.lint_url_literals = lint(&settings, "lint-url-literals");
        options.lint_absolute_path_literals = lint(&settings, "lint-absolute-path-literals");
        options.lint_short_path_literals = lint(&settings, "lint-short-path-literals");
        options.use_nixlib = settings.bool("nixpkgs-fallback");
        options.abort_on_warn = settings.bool("abort-on-warn")
            || std::env::var("NIX_ABORT_ON_WARN")
                .is_ok_and(|v| matches!(v.as_str(), "1" | "yes" | "true"));
        options.eval_cores = settings.number("eval-cores").try_into().unwrap_or(u32::MAX);
        options.program_cache = answers::programs(&settings);
        options.limits.heap_bytes = memory::limit(&settings);
        options.limits.call_depth =
            settings.number("max-call-depth").try_into().unwrap_or(u32::MAX);
        if options.restrict_eval {
            let roots = options.search_path.iter().map(|e| e.path.clone().into_bytes());
            options.allowed_paths = roots.collect();
        }
        let evaluator = Engine::new(options).evaluator();
        if let Some(call) = &answers {
            call.begin();
        }
        if let Some(wanted) = &profile {
            wanted.start(&evaluator);
        }
        *running.lock().unwrap_or_else(PoisonError::into_inner) = evaluator.cancel_token();
        let json_errors =
            matches.get_one::<String>("error-format").is_some_and(|format| format == "json");
        let stats = stats::Wanted::of(matches.get_flag("stats"));
        Ok(Session {
            settings,
            store,
            evaluator,
            only_looking,
            running,
            answers,
            json_errors,
            stats,
            profile,
        })
    }

    /// Goes on with another evaluator.
    pub(crate) fn replace_evaluator(&mut self, evaluator: Evaluator) {
        if let Some(wanted) = &mut self.profile {
            wanted.add(&self.evaluator);
            wanted.start(&evaluator);
        }
        self.evaluator = evaluator;
    }

    /// An evaluation error as data, with the remedies that the command line has.
    pub(crate) fn report(&self, error: &Error) -> Report {
        let mut report = error.report();
        report.help.extend(memory::remedy(error, &self.settings));
        report
    }

    /// An evaluation error as a failure of the command.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        let report = self.report(error);
        let text = if self.json_errors {
            report.to_json()
        } else {
            let color = answers::has_colours();
            let style = Style { color, full_trace: self.settings.bool("show-trace") };
            report.text(style).trim_end().to_owned()
        };
        Failure { code: 1, text }
    }

    /// The store, for commands that need one.
    ///
    /// # Errors
    /// When the settings name a store that holds nothing.
    pub(crate) fn need_store(&self) -> Result<&Arc<LocalStore>, Failure> {
        self.store.as_ref().ok_or_else(|| {
            Failure::new("this needs a store that can be written; give one with '--store DIR'")
        })
    }
}

/// A setting of kind `Lint`.
fn lint(settings: &Settings, name: &str) -> Lint {
    match settings.text(name) {
        "warn" => Lint::Warn,
        "fatal" => Lint::Fatal,
        _ => Lint::Ignore,
    }
}

/// Fetches what an evaluation wants to read.
fn fetcher(store: Arc<LocalStore>, settings: &Settings) -> Box<Fetch> {
    let mut fetch = FetchSettings::from_environment(|name| std::env::var(name).ok());
    fetch.ttl = Duration::from_secs(settings.number("tarball-ttl"));
    nix_store::fetch::fetcher(store, fetch)
}

/// Fetches into a store that is opened, and made, by the first fetch.
fn deferred_fetcher(deferred: Arc<DeferredStore>, settings: Settings) -> Box<Fetch> {
    let opened: OnceLock<Box<Fetch>> = OnceLock::new();
    Box::new(move |request| {
        let store = deferred.for_writing()?.clone();
        opened.get_or_init(|| fetcher(store, &settings))(request)
    })
}

/// Fetches unless somebody only wants a look. What merely stopped can be tried again later.
fn unless_looking(fetch: Box<Fetch>, only_looking: Arc<AtomicBool>) -> Box<Fetch> {
    Box::new(move |request| match only_looking.load(Ordering::Relaxed) {
        true => Err(HostError::new(HostErrorKind::Cancelled, "nothing is fetched for a look")),
        false => fetch(request),
    })
}

/// Builds what an evaluation wants to read.
fn realiser(
    store: Arc<LocalStore>,
    settings: Settings,
    only_looking: Arc<AtomicBool>,
    running: Arc<Mutex<CancelToken>>,
) -> Box<Realise> {
    Box::new(move |wanted| {
        if only_looking.load(Ordering::Relaxed) {
            return Err(HostError::new(HostErrorKind::Cancelled, "nothing is built for a look"));
        }
        let cancel = running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let built = crate::realise::run_until(&store, &settings, wanted, cancel.clone());
        let built = built.map_err(|failure| {
            let text = failure.text.strip_prefix("error: ").unwrap_or(&failure.text);
            let kind = match cancel.is_cancelled() {
                true => HostErrorKind::Cancelled,
                false => HostErrorKind::Store,
            };
            HostError::new(kind, text)
        })?;
        Ok(built.iter().flat_map(crate::realise::paths_of).collect())
    })
}

/// Prints what evaluation says; the same warning only once.
fn listener(only_looking: Arc<AtomicBool>) -> impl Fn(&TraceEvent<'_>) + Send + Sync {
    let said: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let is_terminal = std::io::stderr().is_terminal();
    move |event| {
        if only_looking.load(Ordering::Relaxed) {
            return;
        }
        let (kind, text) = match event {
            TraceEvent::Trace(text) => ("trace", text),
            TraceEvent::Warning(text) => ("evaluation warning", text),
            TraceEvent::Note(text) => {
                let mut said = said.lock().unwrap_or_else(|e| e.into_inner());
                if said.iter().any(|old| old == text) {
                    return;
                }
                said.push(text.to_vec());
                ("note", text)
            }
        };
        let text = String::from_utf8_lossy(text);
        eprintln!("{kind}: {}", crate::printable(&text, is_terminal));
    }
}

/// Entries of `-I`, then of `NIX_PATH` or the setting, then the default channels.
fn search_path(settings: &Settings, includes: &[String]) -> Vec<SearchPathEntry> {
    let mut texts: Vec<String> = includes.to_vec();
    match std::env::var("NIX_PATH") {
        _ if settings.is_set("nix-path") => texts.extend(settings.list("nix-path")),
        Ok(path) => texts.extend(split_search_path(&path)),
        Err(_) => {
            let state =
                std::env::var("NIX_STATE_DIR").unwrap_or_else(|_| "/nix/var/nix".to_owned());
            let home = std::env::var("HOME").unwrap_or_default();
            let channels = format!("{state}/profiles/per-user/root/channels");
            let defaults = [
                (format!("{home}/.nix-defexpr/channels"), ""),
                (format!("{channels}/nixpkgs"), "nixpkgs="),
                (channels, ""),
            ];
            let exists = defaults.iter().filter(|(path, _)| std::path::Path::new(path).exists());
            texts.extend(exists.map(|(path, prefix)| format!("{prefix}{path}")));
        }
    }
    let mut entries: Vec<SearchPathEntry> =
        texts.iter().map(|text| SearchPathEntry::parse(text)).collect();
    for entry in &mut entries {
        let is_url = entry.path.contains("://") || entry.path.starts_with("channel:");
        if !is_url && !entry.path.starts_with('/') {
            let absolute = std::path::absolute(&entry.path).unwrap_or_else(|_| PathBuf::from("/"));
            entry.path = absolute.to_string_lossy().into_owned();
        }
    }
    entries
}

/// Entries of `NIX_PATH`: colons part them, but not that of `scheme://`, `channel:` or `flake:`.
fn split_search_path(text: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let mut entry = String::new();
    for part in text.split(':') {
        let value = entry.rsplit('=').next().unwrap_or("");
        let is_scheme =
            part.starts_with("//") && !value.is_empty() || matches!(value, "channel" | "flake");
        if is_scheme {
            entry.push(':');
            entry.push_str(part);
        } else {
            if !entry.is_empty() {
                entries.push(std::mem::take(&mut entry));
            }
            entry.push_str(part);
        }
    }
    if !entry.is_empty() {
        entries.push(entry);
    }
    entries
}

/// The working directory as text, for expressions given as words.
pub(crate) fn working_directory() -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt;
    std::env::current_dir().map_or_else(|_| b"/".to_vec(), |d| d.into_os_string().into_vec())
}

/// An absolute path of the file system as a path of the language.
pub(crate) fn nix_path(path: &std::path::Path) -> NixPath {
    use std::os::unix::ffi::OsStrExt;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    NixPath::root(nix_eval::value::canonicalise(absolute.as_os_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_addresses_do_not_part_entries() {
        assert_eq!(split_search_path("a:b=c::/d"), ["a", "b=c", "/d"]);
        assert_eq!(
            split_search_path("nixpkgs=https://x/y.tar.gz:channel:z"),
            ["nixpkgs=https://x/y.tar.gz", "channel:z"]
        );
    }
}
