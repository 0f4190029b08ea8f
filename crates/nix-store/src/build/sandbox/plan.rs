//! Decides what a sandbox holds. Reads a few files of the host, changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix_formats::derivation::Derivation;
use nix_formats::store_path::StorePath;

use super::shell::default_shell;
use crate::build::environment::words;
use crate::build::internal::fetchurl;
use crate::build::request::{Bind, BindKind, Identity, Sandbox};
use crate::build::settings::BuildSettings;
use crate::build::structured_attrs;
use crate::http;
use crate::store::Store;

/// User and group inside the sandbox.
pub(crate) const BUILD_UID: u32 = 1000;
pub(crate) const BUILD_GID: u32 = 100;

/// What a plan is made from.
pub(crate) struct PlanInputs<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) settings: &'a BuildSettings,
    pub(crate) drv: &'a Derivation,
    /// Everything that the builder may refer to, sorted.
    pub(crate) inputs: &'a BTreeSet<StorePath>,
    pub(crate) root: PathBuf,
    pub(crate) host_build_dir: PathBuf,
    pub(crate) identity: Identity,
}

/// Decides what the sandbox of one build holds.
///
/// # Errors
/// A sentence: a host path that the settings do not allow, no shell.
pub(crate) fn plan(p: &PlanInputs<'_>) -> Result<Sandbox, String> {
    let store_dir = Path::new(p.store.store_dir().as_str());
    let mut binds: BTreeMap<PathBuf, Bind> = BTreeMap::new();
    let mut add = |source: PathBuf, target: PathBuf, kind| {
        binds.insert(target.clone(), Bind { source, target, kind });
    };
    for path in p.inputs {
        add(p.store.real_path(path), store_dir.join(path.base_name()), BindKind::Input);
    }
    let of_host = impure_host_deps(p)?;
    // A derivation that sees the host's `/bin` has the host's shell.
    let has_shell = of_host.iter().any(|path| Path::new("/bin/sh").starts_with(path));
    for path in of_host {
        add(path.clone(), path, BindKind::ReadOnly);
    }
    if !has_shell
        && !p.settings.sandbox_paths.iter().any(|path| path.target == Path::new("/bin/sh"))
    {
        for path in default_shell()? {
            add(path.source, path.target, BindKind::ReadOnly);
        }
    }
    for path in &p.settings.sandbox_paths {
        let kind = if path.optional { BindKind::Optional } else { BindKind::Writable };
        add(path.source.clone(), path.target.clone(), kind);
    }
    if p.settings.system_features.contains("kvm") {
        add("/dev/kvm".into(), "/dev/kvm".into(), BindKind::Optional);
    }
    let fixed_output = p.drv.is_fixed_output();
    if fixed_output && p.drv.builder == b"builtin:fetchurl" {
        for path in fetched_files(p.drv) {
            if p.settings.allowed_impure_host_deps.iter().any(|dir| path.starts_with(dir)) {
                add(path.clone(), path, BindKind::ReadOnly);
            }
        }
    }
    Ok(Sandbox {
        root: p.root.clone(),
        host_build_dir: p.host_build_dir.clone(),
        binds: without_covered(binds),
        etc: etc(p.settings, fixed_output),
        private_network: !fixed_output,
        identity: p.identity,
    })
}

/// Leaves out what an earlier directory shows already, at the same place below it. The order of
/// the map puts a directory before what is in it.
fn without_covered(binds: BTreeMap<PathBuf, Bind>) -> Vec<Bind> {
    let mut kept: Vec<Bind> = Vec::new();
    let mut directories: Vec<(PathBuf, PathBuf)> = Vec::new();
    for bind in binds.into_values() {
        let covered = directories.iter().any(|(target, source)| {
            bind.target.strip_prefix(target).is_ok_and(|rest| source.join(rest) == bind.source)
        });
        if covered {
            continue;
        }
        if bind.kind != BindKind::Input {
            directories.push((bind.target.clone(), bind.source.clone()));
        }
        kept.push(bind);
    }
    kept
}

/// The paths of the host that the derivation asks for, checked against the settings.
fn impure_host_deps(p: &PlanInputs<'_>) -> Result<BTreeSet<PathBuf>, String> {
    const NAME: &str = "__impureHostDeps";
    let asked: Vec<PathBuf> = match p.drv.structured_attrs() {
        Some(json) => {
            structured_attrs::string_list(json, NAME).into_iter().map(PathBuf::from).collect()
        }
        None => words(p.drv.env.get(NAME.as_bytes()))
            .into_iter()
            .map(|word| PathBuf::from(std::ffi::OsStr::from_bytes(word)))
            .collect(),
    };
    for path in &asked {
        let plain =
            path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let allowed = p.settings.allowed_impure_host_deps.iter().any(|dir| path.starts_with(dir));
        if !path.is_absolute() || !plain || !allowed {
            return Err(format!(
                "derivation '{}' wants to see '{}' of this machine (attribute '{NAME}'), which \
                 the setting 'allowed-impure-host-deps' does not allow",
                p.drv.name,
                path.display()
            ));
        }
    }
    // What this machine does not have is left out: a derivation may name several usual places.
    let missing = |path: &PathBuf| {
        fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    Ok(asked.into_iter().filter(|path| !missing(path)).collect())
}

/// The files of the host that our own fetcher is asked for by `file` URLs.
fn fetched_files(drv: &Derivation) -> Vec<PathBuf> {
    let variable = |name: &str| {
        let value = drv.env.get(name.as_bytes())?;
        String::from_utf8(value.clone()).ok()
    };
    let urls = match fetchurl::Request::read(&variable, drv.structured_attrs()) {
        Some(request) => request.urls,
        None => Vec::new(),
    };
    urls.iter()
        .filter(|url| http::scheme(url).as_deref() == Some("file"))
        .filter_map(|url| http::file_path(url))
        .filter(|path| path.is_file() && path.components().all(|c| c != Component::ParentDir))
        .collect()
}

/// The files of `/etc`.
fn etc(settings: &BuildSettings, fixed_output: bool) -> Vec<(String, Vec<u8>)> {
    let dir = settings.sandbox_build_dir.display();
    let mut files = vec![
        (
            "passwd".to_owned(),
            format!(
                "root:x:0:0:Nix build user:{dir}:/noshell\n\
                 nixbld:x:{BUILD_UID}:{BUILD_GID}:Nix build user:{dir}:/noshell\n\
                 nobody:x:65534:65534:Nobody:/:/noshell\n"
            )
            .into_bytes(),
        ),
        (
            "group".to_owned(),
            format!("root:x:0:\nnixbld:!:{BUILD_GID}:\nnogroup:x:65534:\n").into_bytes(),
        ),
    ];
    let mut copy = |from: &Path, name: &str| match fs::read(from) {
        Ok(contents) => {
            files.push((name.to_owned(), contents));
            true
        }
        Err(_) => false,
    };
    let mut has_hosts = false;
    if fixed_output {
        // Copies: the host's files may be links to places that the sandbox does not have.
        copy(Path::new("/etc/resolv.conf"), "resolv.conf");
        copy(Path::new("/etc/services"), "services");
        has_hosts = copy(Path::new("/etc/hosts"), "hosts");
        let named = [&b"NIX_SSL_CERT_FILE"[..], b"SSL_CERT_FILE"].into_iter().filter_map(|name| {
            let value = settings.environment.get(name)?;
            Some(PathBuf::from(std::ffi::OsStr::from_bytes(value)))
        });
        let usual = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/cert.pem",
        ];
        named
            .chain(usual.map(PathBuf::from))
            .find(|path| copy(path, "ssl/certs/ca-certificates.crt"));
        files.push(("nsswitch.conf".to_owned(), b"hosts: files dns\nservices: files\n".to_vec()));
    }
    if !has_hosts {
        files.push(("hosts".to_owned(), b"127.0.0.1 localhost\n::1 localhost\n".to_vec()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, target: &str) -> (PathBuf, Bind) {
        let kind = BindKind::ReadOnly;
        (target.into(), Bind { source: source.into(), target: target.into(), kind })
    }

    #[test]
    fn what_a_directory_shows_is_not_shown_again() {
        let binds = BTreeMap::from([
            bind("/usr/lib/x", "/usr/lib/x"),
            bind("/usr", "/usr"),
            bind("/other", "/usr/other"),
        ]);
        let targets: Vec<_> = without_covered(binds).into_iter().map(|bind| bind.target).collect();
        assert_eq!(targets, [PathBuf::from("/usr"), PathBuf::from("/usr/other")]);
    }

    #[test]
    fn only_fixed_outputs_see_how_names_are_resolved() {
        let names = |fixed| -> Vec<String> {
            etc(&BuildSettings::new(), fixed).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(false), ["passwd", "group", "hosts"]);
        assert!(names(true).contains(&"nsswitch.conf".to_owned()));
    }
}
