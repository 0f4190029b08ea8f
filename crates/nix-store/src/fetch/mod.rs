//! Files, archives and repositories from elsewhere become store objects.
//!
//! With a hash the object is looked for first: what the store has is not downloaded. Without one, the answer
//! is remembered in the user's cache directory and believed for [`FetchSettings::ttl`]; offline, for any time.
//! Whatever is downloaded lies in the store's private directory until it is checked.

mod cache;
mod git;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix_eval::host::{FetchRequest, Fetched, HostError};
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::{FileMethod, StorePath};

use crate::add::{TreeSource, hash_tree};
use crate::error::StoreError;
use crate::host;
use crate::http::{Client, HttpSettings, redacted};
use crate::local::LocalStore;
use crate::store::Store;
use crate::sys::{Dir, FsTree};
use crate::unpack::{UnpackLimits, unpack_tar};

use cache::Cache;

/// How things are fetched.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// Transfers.
    pub http: HttpSettings,
    /// Archives.
    pub unpack: UnpackLimits,
    /// Where answers and repositories are kept, such as `~/.cache/mini-nix`; without it, nowhere.
    pub cache_dir: Option<PathBuf>,
    /// How long an answer without a hash is believed (`tarball-ttl`).
    pub ttl: Duration,
    /// The `git` program.
    pub git: PathBuf,
    /// Environment variables for `git`; it gets no others.
    pub git_environment: BTreeMap<String, String>,
}

/// What `git` needs to find its helpers, reach servers and use the user's keys.
const GIT_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl FetchSettings {
    /// From environment variables, which `get` looks up: proxies, certificates, the cache directory.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> FetchSettings {
        let set = |name: &str| get(name).filter(|v| !v.is_empty());
        let http = HttpSettings::from_environment(&get);
        let mut git_environment: BTreeMap<_, _> =
            GIT_VARIABLES.iter().filter_map(|name| Some((name.to_string(), set(name)?))).collect();
        if let Some(file) = http.ca_file.as_ref().and_then(|f| f.to_str()) {
            git_environment.insert("GIT_SSL_CAINFO".to_owned(), file.to_owned());
        }
        FetchSettings {
            http,
            unpack: UnpackLimits::default(),
            cache_dir: cache_dir(&get),
            ttl: Duration::from_secs(3600),
            git: PathBuf::from("git"),
            git_environment,
        }
    }
}

/// Where the user's caches of this program lie: `mini-nix` in what `NIX_CACHE_HOME`, else `XDG_CACHE_HOME` names,
/// else in `~/.cache`. `None` without a home, or if that is no absolute path.
pub fn cache_dir(get: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| get(name).filter(|v| !v.is_empty());
    let dir = set("NIX_CACHE_HOME").or_else(|| set("XDG_CACHE_HOME")).map(PathBuf::from);
    let dir = dir.or_else(|| Some(Path::new(&set("HOME")?).join(".cache")));
    Some(dir.filter(|dir| dir.is_absolute())?.join("mini-nix"))
}

/// Fetches into one store.
#[derive(Debug)]
pub struct Fetcher {
    store: Arc<LocalStore>,
    settings: FetchSettings,
    client: Client,
    cache: Cache,
}

/// The hook of a [`StoreHost`](host::StoreHost) that fetches into `store`.
pub fn fetcher(store: Arc<LocalStore>, settings: FetchSettings) -> Box<host::Fetch> {
    let fetcher = Fetcher::new(store, settings);
    Box::new(move |request| fetcher.fetch(request))
}

/// Whether an error, or what caused it, is that fetched contents do not have the promised hash. Programs
/// that mimic Nix exit with 102 then.
pub fn is_hash_mismatch(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if matches!(error.downcast_ref(), Some(StoreError::HashMismatch { .. })) {
            return true;
        }
        at = error.source();
    }
    false
}

/// The expected hash and how it is taken.
#[derive(Clone, Copy)]
struct Expected<'a> {
    url: &'a str,
    name: &'a str,
    method: FileMethod,
    hash: Option<&'a Hash>,
}

impl Fetcher {
    /// Fetches into `store`.
    pub fn new(store: Arc<LocalStore>, settings: FetchSettings) -> Fetcher {
        let client = Client::new(settings.http.clone());
        let cache = Cache::new(settings.cache_dir.clone());
        Fetcher { store, settings, client, cache }
    }

    /// Answers the evaluator.
    ///
    /// # Errors
    /// As the methods below.
    pub fn fetch(&self, request: &FetchRequest) -> Result<Fetched, HostError> {
        let FetchRequest { url, name, hash, .. } = request;
        let hash = hash.as_ref();
        Ok(match &request.git {
            Some(git) => self.fetch_git(url, name, git, hash)?,
            None if request.unpack => self.fetch_tarball(url, name, hash)?,
            None => self.fetch_url(url, name, hash)?,
        })
    }

    /// The file at a URL. `expected` is the hash of its bytes.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`]; what the transfer and the store say.
    pub fn fetch_url(
        &self,
        url: &str,
        name: &str,
        expected: Option<&Hash>,
    ) -> Result<Fetched, StoreError> {
        let expected = Expected { url, name, method: FileMethod::Flat, hash: expected };
        self.unless_known("file", expected, || {
            let place = self.store.scratch_place("fetch a file")?;
            let mut file = place.dir.create_file(&place.name, 0o600)?;
            self.client.get(url, &mut file)?;
            drop(file);
            self.add(expected, &FsTree::new(place.path()))
        })
    }

    /// The archive at a URL, unpacked and without its single top directory. `expected` is the hash of its NAR.
    ///
    /// # Errors
    /// [`StoreError::HashMismatch`]; [`StoreError::Archive`] if it is broken, unsafe, or has not one single
    /// entry at the top; what the transfer and the store say.
    pub fn fetch_tarball(
        &self,
        url: &str,
        name: &str,
        expected: Option<&Hash>,
    ) -> Result<Fetched, StoreError> {
        let expected = Expected { url, name, method: FileMethod::Nar, hash: expected };
        self.unless_known("tarball", expected, || {
            let place = self.store.scratch_place("fetch an archive")?;
            let mut packed = place.dir.create_file(&place.name, 0o600)?;
            self.client.get(url, &mut packed)?;
            drop(packed);
            let packed = place.dir.open_file(&place.name)?;
            let unpacked = self.store.scratch_place("unpack an archive")?;
            let dir = unpacked.dir.create_dir(&unpacked.name, 0o700)?;
            let top = self.unpack(packed, url, &dir)?;
            self.add(expected, &FsTree::new(top))
        })
    }

    /// Unpacks into `dir`; gives the path of the single entry.
    fn unpack(&self, mut packed: File, url: &str, dir: &Dir) -> Result<PathBuf, StoreError> {
        use std::os::unix::ffi::OsStrExt;
        unpack_tar(&mut packed, &redacted(url), dir, &self.settings.unpack)?;
        match &dir.entries()?[..] {
            [top] => Ok(dir.place(std::ffi::OsStr::from_bytes(top))),
            others => Err(StoreError::Archive {
                place: redacted(url),
                reason: format!(
                    "it has {} entries at the top but should have one directory; fetch it with 'builtins.fetchurl' and unpack it in a derivation",
                    others.len()
                ),
            }),
        }
    }

    fn fixed_path(&self, expected: Expected<'_>, hash: &Hash) -> Result<StorePath, StoreError> {
        let Expected { name, method, .. } = expected;
        self.store
            .store_dir()
            .make_fixed_path(name, method, hash, &BTreeSet::new(), false)
            .map_err(|e| StoreError::invalid(e.to_string()))
    }

    /// What the store or the cache has, else what `get` brings.
    fn unless_known(
        &self,
        kind: &str,
        expected: Expected<'_>,
        get: impl FnOnce() -> Result<Fetched, StoreError>,
    ) -> Result<Fetched, StoreError> {
        if let Some(known) = self.already_valid(expected)? {
            return Ok(known);
        }
        if expected.hash.is_some() {
            return get();
        }
        let key = format!("{kind}\n{}\n{}", expected.name, expected.url);
        let ttl = if self.settings.http.is_offline { Duration::MAX } else { self.settings.ttl };
        let until = |fetched: u64| Some(fetched.saturating_add(self.settings.ttl.as_secs()));
        if let Some((hash, fetched)) = self.cache.answer(&key, ttl)
            && let Some(known) = self.already_valid(Expected { hash: Some(&hash), ..expected })?
        {
            return Ok(Fetched { believed_until: until(fetched), ..known });
        }
        let fetched = get()?;
        self.cache.remember(&key, expected.url, &fetched.hash);
        Ok(Fetched { believed_until: until(cache::now()), ..fetched })
    }

    /// The object with the expected hash, if the store has it.
    fn already_valid(&self, expected: Expected<'_>) -> Result<Option<Fetched>, StoreError> {
        let Some(hash) = expected.hash else { return Ok(None) };
        let path = self.fixed_path(expected, hash)?;
        self.store.add_temp_root(&path)?;
        let is_valid = self.store.is_valid(&path)?;
        Ok(is_valid.then_some(Fetched { path, hash: *hash, git: None, believed_until: None }))
    }

    /// Checks the hash, then adds.
    fn add(&self, expected: Expected<'_>, tree: &dyn TreeSource) -> Result<Fetched, StoreError> {
        let algo = expected.hash.map_or(HashAlgo::Sha256, Hash::algo);
        let hash = hash_tree(tree, expected.method, algo)?.hash;
        if let Some(wanted) = expected.hash.filter(|wanted| **wanted != hash) {
            return Err(StoreError::HashMismatch {
                path: redacted(expected.url),
                expected: wanted.to_sri(),
                got: hash.to_sri(),
            });
        }
        let path = self.store.add_tree(expected.name, tree, expected.method, algo)?;
        Ok(Fetched { path, hash, git: None, believed_until: None })
    }
}

/// Whether a URL is one of `allowed`, below one, or has an allowed scheme (`x:`).
pub(crate) fn is_allowed(allowed: &[String], url: &str) -> bool {
    allowed.iter().filter(|prefix| !prefix.is_empty()).any(|prefix| {
        let Some(rest) = url.strip_prefix(prefix.as_str()) else { return false };
        let is_scheme = prefix.strip_suffix(':').is_some_and(|s| !s.contains(['/', ':']));
        rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/') || is_scheme
    })
}
