//! Settings: `nix.conf`, `NIX_CONFIG`, `--option NAME VALUE` and `--NAME VALUE`.
//!
//! One table names every setting with its type, default and meaning; flags and documentation come from it.
//! Later sources win. Unknown names in files and `--option` only warn, as in C++ Nix, so that one file
//! serves both programs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How the text of a setting is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number; `K M G T` multiply by powers of 1024; `auto` where the default is `auto`.
    Number,
    /// A whole number of bytes; `K M G T` multiply by powers of 1024.
    Size,
    /// Any text.
    Text,
    /// `ignore`, `warn` or `fatal`.
    Lint,
    /// Words separated by white space; `extra-NAME` appends.
    List,
}

/// One setting.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
}

const fn row(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Setting {
    Setting { name, kind, default, doc }
}

/// Every setting that has an effect.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    row("abort-on-warn", Kind::Bool, "false", "whether builtins.warn is an error"),
    row("allow-import-from-derivation", Kind::Bool, "true", "whether evaluation may build what it reads"),
    row("allowed-impure-host-deps", Kind::List, "/usr /lib /lib32 /lib64 /libx32 /bin /sbin /etc/alternatives /etc/ld.so.cache /etc/ld.so.conf /etc/ld.so.conf.d", "trees of the host that a build may ask for by '__impureHostDeps'"),
    row("allowed-uris", Kind::List, "", "addresses that restricted evaluation may fetch"),
    row("cores", Kind::Number, "0", "NIX_BUILD_CORES for builders; 0 = all"),
    row("eval-cache", Kind::Bool, "true", "whether answers of evaluations, while nothing changed, and programs of files are kept and used again"),
    row("eval-cache-size", Kind::Size, "100M", "bytes that kept answers may have in all; 0 = none are kept"),
    row("eval-cores", Kind::Number, "0", "processors that an evaluation may use; 0 = all, 1 = one after the other"),
    row("eval-profile-file", Kind::Text, "nix.profile", "where the profile of an evaluation is written"),
    row("eval-profiler", Kind::Text, "disabled", "'flamegraph' writes where an evaluation spends its time as folded stacks; see --profile"),
    row("eval-profiler-frequency", Kind::Number, "0", "samples a second; 0 = 10000 and fewer the longer an evaluation is"),
    row("experimental-features", Kind::List, "", "language features that are off by default"),
    row("keep-failed", Kind::Bool, "false", "keep the build directory of a failed build"),
    row("keep-going", Kind::Bool, "false", "build what can still be built after a failure"),
    row("lint-absolute-path-literals", Kind::Lint, "ignore", "what to do about path literals that begin with '/' or '~': ignore, warn or fatal"),
    row("lint-short-path-literals", Kind::Lint, "ignore", "what to do about path literals like 'a/b' that do not begin with './'"),
    row("lint-url-literals", Kind::Lint, "ignore", "what to do about URLs without quotes"),
    row("log-lines", Kind::Number, "25", "lines of a failed build's log that are shown"),
    row("max-call-depth", Kind::Number, "10000", "nested calls before evaluation stops"),
    row("max-heap", Kind::Size, "64G", "memory that an evaluation may use, such as 512M or 4G; 0 = no limit"),
    row("max-jobs", Kind::Number, "1", "builds at the same time; 'auto' = number of processors"),
    row("max-silent-time", Kind::Number, "0", "seconds without output before a build is stopped; 0 = never"),
    row("nix-path", Kind::List, "", "search path for <...>"),
    row("nixpkgs-fallback", Kind::Bool, "true", "whether <nixpkgs> means the built-in nixlib when nothing else provides it"),
    row("program-cache-size", Kind::Size, "256M", "bytes that kept programs of files may have in all; 0 = none are kept"),
    row("pure-eval", Kind::Bool, "false", "no environment, clock, or files that are not pinned"),
    row("restrict-eval", Kind::Bool, "false", "only files below the search path"),
    row("sandbox", Kind::Text, "true", "true, relaxed or false"),
    row("sandbox-paths", Kind::List, "", "host paths visible in the sandbox, 'inside=outside'"),
    row("show-trace", Kind::Bool, "false", "the whole way to an evaluation error"),
    row("store", Kind::Text, "auto", "auto, local, or the root directory of a store"),
    row("substitute", Kind::Bool, "true", "whether binary caches may be asked"),
    row("system", Kind::Text, "x86_64-linux", "what builtins.currentSystem says and what is built here"),
    row("tarball-ttl", Kind::Number, "3600", "seconds that a download without hash is used again"),
    row("timeout", Kind::Number, "0", "seconds before a build is stopped; 0 = never"),
    row("trace-verbose", Kind::Bool, "false", "whether builtins.traceVerbose prints"),
];

/// Names of C++ Nix that are read without effect, so that existing files do not warn.
const IGNORED: &[&str] = &[
    "accept-flake-config",
    "allowed-users",
    "auto-optimise-store",
    "build-users-group",
    "builders",
    "builders-use-substitutes",
    "bash-prompt",
    "bash-prompt-prefix",
    "bash-prompt-suffix",
    "build-hook",
    "connect-timeout",
    "extra-platforms",
    "fallback",
    "flake-registry",
    "fsync-metadata",
    "gc-reserved-space",
    "hashed-mirrors",
    "http-connections",
    "keep-derivations",
    "keep-outputs",
    "max-free",
    "min-free",
    "netrc-file",
    "plugin-files",
    "require-sigs",
    "sandbox-fallback",
    "secret-key-files",
    "substituters",
    "system-features",
    "trusted-public-keys",
    "trusted-substituters",
    "trusted-users",
    "use-case-hack",
    "use-registries",
    "use-sqlite-wal",
    "use-xdg-base-directories",
    "warn-dirty",
];

/// Old names and what they are called now.
const ALIASES: &[(&str, &str)] = &[
    ("build-cores", "cores"),
    ("build-max-jobs", "max-jobs"),
    ("build-max-silent-time", "max-silent-time"),
    ("build-timeout", "timeout"),
    ("build-use-sandbox", "sandbox"),
    ("build-use-chroot", "sandbox"),
    ("build-sandbox-paths", "sandbox-paths"),
    ("build-chroot-dirs", "sandbox-paths"),
    ("build-use-substitutes", "substitute"),
    ("eval-system", "system"),
];

/// How deep `include` may nest.
const MAX_INCLUDES: usize = 16;

/// The values of all settings, and what there was to say while reading them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// One sentence each, without `warning: `.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Reads the system's file, the user's files and `NIX_CONFIG`.
    ///
    /// # Errors
    /// A sentence that names file and line: an unreadable include, a line without `=`.
    pub(crate) fn load(environment: &dyn Fn(&str) -> Option<String>) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let system = environment("NIX_CONF_DIR").unwrap_or_else(|| "/etc/nix".to_owned());
        settings.read_file(&Path::new(&system).join("nix.conf"), false, 0)?;
        for file in user_files(environment).iter().rev() {
            settings.read_file(file, false, 0)?;
        }
        if let Some(text) = environment("NIX_CONFIG") {
            settings.read_text(&text, "NIX_CONFIG", Path::new("/"), 0)?;
        }
        Ok(settings)
    }

    fn read_file(&mut self, path: &Path, must_exist: bool, depth: usize) -> Result<(), String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if !must_exist && e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(format!("cannot read the settings in '{}': {e}", path.display())),
        };
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.read_text(&text, &path.display().to_string(), &folder, depth)
    }

    fn read_text(
        &mut self,
        text: &str,
        from: &str,
        folder: &Path,
        depth: usize,
    ) -> Result<(), String> {
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let include = line
                .strip_prefix("include ")
                .map(|f| (f, true))
                .or_else(|| line.strip_prefix("!include ").map(|f| (f, false)));
            if let Some((file, must_exist)) = include {
                if depth >= MAX_INCLUDES {
                    return Err(format!(
                        "{from}:{}: more than {MAX_INCLUDES} nested includes",
                        number + 1
                    ));
                }
                self.read_file(&folder.join(file.trim()), must_exist, depth + 1)?;
                continue;
            }
            let Some((name, value)) = line.split_once('=') else {
                return Err(format!(
                    "{from}:{}: expected 'name = value', found '{line}'",
                    number + 1
                ));
            };
            self.set(name.trim(), value.trim())
                .map_err(|e| format!("{from}:{}: {e}", number + 1))?;
        }
        Ok(())
    }

    /// Gives a setting its text. `extra-NAME` appends to a list. An unknown name becomes a warning.
    ///
    /// # Errors
    /// A value that is not of the setting's kind.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (name, extra) = match name.strip_prefix("extra-") {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let name = ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        let Some(setting) = find(name) else {
            if !IGNORED.contains(&name) {
                self.warnings.push(format!("unknown setting '{name}'"));
            }
            return Ok(());
        };
        match setting.kind {
            Kind::Bool if !matches!(value, "true" | "false" | "yes" | "no" | "1" | "0") => {
                return Err(format!("setting '{name}' is true or false, not '{value}'"));
            }
            Kind::Number if value != "auto" && number(value).is_none() => {
                return Err(format!("setting '{name}' is a whole number, not '{value}'"));
            }
            Kind::Size if number(value).is_none() => {
                return Err(format!(
                    "setting '{name}' is a size such as 512M or 4G, not '{value}'"
                ));
            }
            Kind::Lint if !matches!(value, "ignore" | "warn" | "fatal") => {
                return Err(format!("setting '{name}' is ignore, warn or fatal, not '{value}'"));
            }
            _ => {}
        }
        let text = if extra && setting.kind == Kind::List {
            format!("{} {value}", self.text(setting.name))
        } else {
            value.to_owned()
        };
        self.values.insert(setting.name, text);
        Ok(())
    }

    /// Whether somebody gave the setting a value.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The text of a setting, its default if nobody set it.
    pub(crate) fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(text) => text,
            None => find(name).map_or("", |s| s.default),
        }
    }

    /// Every setting with its text.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().map(|setting| (setting.name, self.text(setting.name)))
    }

    /// A setting of kind `Bool`.
    pub(crate) fn bool(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "yes" | "1")
    }

    /// A setting of kind `Number` or `Size`; `auto` is the number of processors.
    pub(crate) fn number(&self, name: &str) -> u64 {
        match self.text(name) {
            "auto" => std::thread::available_parallelism().map_or(1, |n| n.get() as u64),
            text => number(text).unwrap_or(0),
        }
    }

    /// A setting of kind `List`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.text(name).split_whitespace().map(str::to_owned).collect()
    }
}

/// The row of a setting.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|s| s.name == name)
}

fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn user_files(environment: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    if let Some(files) = environment("NIX_USER_CONF_FILES") {
        return files.split(':').filter(|f| !f.is_empty()).map(PathBuf::from).collect();
    }
    let home = environment("HOME").unwrap_or_default();
    let own = environment("XDG_CONFIG_HOME").unwrap_or_else(|| format!("{home}/.config"));
    let shared = environment("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    std::iter::once(own.as_str())
        .chain(shared.split(':').filter(|d| !d.is_empty()))
        .map(|d| Path::new(d).join("nix/nix.conf"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_win_and_lists_append() {
        let mut s = Settings::default();
        s.read_text(
            "cores = 3 # three\nsandbox-paths = /a\nextra-sandbox-paths = /b\nbuild-cores = 4",
            "f",
            Path::new("/"),
            0,
        )
        .expect("reads");
        assert_eq!(s.number("cores"), 4);
        assert_eq!(s.list("sandbox-paths"), ["/a", "/b"]);
        assert!(s.warnings.is_empty());
    }

    #[test]
    fn mistakes_name_the_place() {
        let mut s = Settings::default();
        assert_eq!(
            s.read_text("\nkeep-going = perhaps", "nix.conf", Path::new("/"), 0),
            Err("nix.conf:2: setting 'keep-going' is true or false, not 'perhaps'".to_owned())
        );
        assert_eq!(
            s.read_text("cores", "nix.conf", Path::new("/"), 0),
            Err("nix.conf:1: expected 'name = value', found 'cores'".to_owned())
        );
        s.set("no-such-thing", "1").expect("only warns");
        assert_eq!(s.warnings, ["unknown setting 'no-such-thing'"]);
    }

    #[test]
    fn numbers_take_units() {
        let mut s = Settings::default();
        s.set("tarball-ttl", "2K").expect("a number");
        assert_eq!(s.number("tarball-ttl"), 2048);
    }
}
