//! Where a local store lies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nix_formats::store_path::StoreDir;

use crate::error::StoreError;

/// What may be done with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    ReadWrite,
    /// Queries and reading only; works on read-only file systems, takes no locks.
    ReadOnly,
}

/// Where a local store lies, and how it is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The logical store directory: goes into every store path's hash.
    pub store_dir: StoreDir,
    /// Where the objects are on this machine.
    pub real_store_dir: PathBuf,
    /// Database, roots, locks.
    pub state_dir: PathBuf,
    /// Build logs, below `drvs/`.
    pub log_dir: PathBuf,
    /// What may be done.
    pub access: Access,
    /// Whether data reaches the disk before it is registered, so that a power cut cannot leave
    /// a valid object with wrong contents.
    pub durable: bool,
}

impl StoreConfig {
    /// The store of the system: `/nix/store`, state in `/nix/var/nix`.
    pub fn system() -> StoreConfig {
        StoreConfig {
            store_dir: StoreDir::default(),
            real_store_dir: PathBuf::from("/nix/store"),
            state_dir: PathBuf::from("/nix/var/nix"),
            log_dir: PathBuf::from("/nix/var/log/nix"),
            access: Access::ReadWrite,
            durable: true,
        }
    }

    /// A store below `root` whose logical directory still is `/nix/store`; the layout is the one
    /// of C++ Nix's `--store root`.
    pub fn chroot(root: &Path) -> StoreConfig {
        StoreConfig {
            real_store_dir: root.join("nix/store"),
            state_dir: root.join("nix/var/nix"),
            log_dir: root.join("nix/var/log/nix"),
            ..StoreConfig::system()
        }
    }

    /// The store that somebody who names none gets.
    ///
    /// `/nix/store` if this user can write (or create) it, else the chroot store
    /// `$XDG_DATA_HOME/nix/root`. `NIX_STORE_DIR`, `NIX_STATE_DIR` and `NIX_LOG_DIR` move the
    /// directories as they do for C++ Nix. `env` looks up a variable of the environment.
    ///
    /// # Errors
    /// If the user's data directory is needed and neither `XDG_DATA_HOME` nor `HOME` is set.
    pub fn default_for(env: &dyn Fn(&str) -> Option<OsString>) -> Result<StoreConfig, StoreError> {
        let var = |name: &str| env(name).filter(|v| !v.is_empty());
        let mut config = StoreConfig::system();
        if let Some(dir) = var("NIX_STORE_DIR") {
            let text = dir.to_string_lossy().into_owned();
            config.store_dir = StoreDir::new(&text)
                .map_err(|e| StoreError::invalid(format!("NIX_STORE_DIR={text}: {e}")))?;
            config.real_store_dir = PathBuf::from(dir);
        }
        if let Some(dir) = var("NIX_STATE_DIR") {
            config.state_dir = PathBuf::from(dir);
        }
        if let Some(dir) = var("NIX_LOG_DIR") {
            config.log_dir = PathBuf::from(dir);
        }
        if can_make(&config.real_store_dir) && can_make(&config.state_dir.join("db")) {
            return Ok(config);
        }
        let data = match (var("XDG_DATA_HOME"), var("HOME")) {
            (Some(data), _) => PathBuf::from(data),
            (None, Some(home)) => Path::new(&home).join(".local/share"),
            (None, None) => {
                return Err(StoreError::invalid(
                    "cannot write /nix/store and do not know where else: set HOME, \
                     XDG_DATA_HOME, or name a store with `--store DIR`",
                ));
            }
        };
        let chroot = StoreConfig::chroot(&data.join("nix/root"));
        Ok(StoreConfig { store_dir: config.store_dir, ..chroot })
    }

    /// [`StoreConfig::default_for`] with the environment of this process.
    pub fn default_for_user() -> Result<StoreConfig, StoreError> {
        StoreConfig::default_for(&|name| std::env::var_os(name))
    }

    /// What `--store TEXT` means: an absolute or relative directory (a chroot store), `local`,
    /// `auto` or nothing, or `local?root=DIR&real=DIR&state=DIR&log=DIR&store=DIR&read-only=true`.
    ///
    /// # Errors
    /// Names the part that is not understood.
    pub fn parse(
        text: &str,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<StoreConfig, StoreError> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let base = base.strip_prefix("local://").unwrap_or(base);
        let absolute = |dir: &str| {
            std::path::absolute(dir)
                .map_err(|e| StoreError::io("find the absolute path of", dir, e))
        };
        let mut config = match base {
            "" | "auto" | "local" | "daemon" => None,
            dir if dir.contains("://") => {
                return Err(StoreError::invalid(format!(
                    "'{text}' is not a local store; give a directory, `local` or `local?root=DIR`"
                )));
            }
            dir => Some(StoreConfig::chroot(&absolute(dir)?)),
        };
        let pairs: Vec<(&str, &str)> = query
            .split('&')
            .filter(|p| !p.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .collect();
        if let Some((_, root)) = pairs.iter().find(|(key, _)| *key == "root") {
            config = Some(StoreConfig::chroot(&absolute(root)?));
        }
        let mut config = match config {
            Some(config) => config,
            None => StoreConfig::default_for(env)?,
        };
        for (key, value) in pairs {
            match key {
                "root" => {}
                "real" => config.real_store_dir = absolute(value)?,
                "state" => config.state_dir = absolute(value)?,
                "log" => config.log_dir = absolute(value)?,
                "store" => {
                    config.store_dir = StoreDir::new(value).map_err(|e| {
                        StoreError::invalid(format!("store directory '{value}': {e}"))
                    })?;
                }
                "read-only" if value == "true" || value == "1" => {
                    config.access = Access::ReadOnly;
                }
                "read-only" => config.access = Access::ReadWrite,
                _ => {
                    return Err(StoreError::invalid(format!(
                        "store '{text}' has an unknown parameter '{key}'; known are root, real, \
                         state, log, store and read-only"
                    )));
                }
            }
        }
        Ok(config)
    }
}

/// Whether a directory can be written, or created where it is missing.
fn can_make(dir: &Path) -> bool {
    let mut dir = dir;
    loop {
        match rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
            Ok(()) => return dir.is_dir(),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => match dir.parent() {
                Some(parent) => dir = parent,
                None => return false,
            },
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_env(_: &str) -> Option<OsString> {
        None
    }

    #[test]
    fn a_directory_is_a_chroot_store() {
        let config = StoreConfig::parse("/some/where", &no_env).unwrap();
        assert_eq!(config.real_store_dir, Path::new("/some/where/nix/store"));
        assert_eq!(config.state_dir, Path::new("/some/where/nix/var/nix"));
        assert_eq!(config.log_dir, Path::new("/some/where/nix/var/log/nix"));
        assert_eq!(config.store_dir.as_str(), "/nix/store");
    }

    #[test]
    fn parameters_move_single_directories() {
        let text = "local?root=/r&state=/s&read-only=true";
        let config = StoreConfig::parse(text, &no_env).unwrap();
        assert_eq!(config.real_store_dir, Path::new("/r/nix/store"));
        assert_eq!(config.state_dir, Path::new("/s"));
        assert_eq!(config.access, Access::ReadOnly);
    }

    #[test]
    fn unknown_parameters_and_schemes_are_refused_by_name() {
        let error = StoreConfig::parse("local?colour=red", &no_env).unwrap_err().to_string();
        assert!(error.contains("'colour'"), "{error}");
        let error = StoreConfig::parse("https://cache.example", &no_env).unwrap_err().to_string();
        assert!(error.contains("https://cache.example"), "{error}");
    }

    #[test]
    fn without_a_writable_system_store_the_data_directory_is_used() {
        let env = |name: &str| match name {
            // No directory can be made below a file, not even by root.
            "NIX_STATE_DIR" => Some(OsString::from("/proc/version/state")),
            "XDG_DATA_HOME" => Some(OsString::from("/data")),
            _ => None,
        };
        let config = StoreConfig::default_for(&env).unwrap();
        assert_eq!(config.real_store_dir, Path::new("/data/nix/root/nix/store"));
    }
}
