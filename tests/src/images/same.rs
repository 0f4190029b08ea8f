//! The same expression gives the same bytes, whoever builds it where and how.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{Case, Shared};
use crate::scratch::{Built, Scratch, has, same, succeed};

pub(super) const CASES: &[(&str, Case)] = &[
    ("surroundings-do-not-change-the-bytes", surroundings),
    ("an-emptied-store-gives-the-same-bytes", emptied),
    ("check-builds-again-and-compares", check),
];

/// Another umask, time zone, locale, user, directory and number of cores.
fn surroundings(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let dir = tempfile::Builder::new().prefix("anyone").tempdir().map_err(|e| e.to_string())?;
    // Somebody who may write only here, and whose checkout is elsewhere.
    let root = dir.path();
    let home = root.join("home of somebody");
    std::fs::create_dir(&home).map_err(|e| e.to_string())?;
    let program = root.join("mini-nix");
    std::fs::copy(shared.bed.mini_nix, &program).map_err(|e| e.to_string())?;
    let project = root.join("project");
    succeed(Command::new("cp").arg("-r").arg(shared.bed.example("")).arg(&project))?;
    for path in [root, &program, &project] {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, mode).map_err(|e| e.to_string())?;
    }
    succeed(Command::new("chown").arg("-R").arg("65534:65534").arg(&home))?;
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c"])
        .arg("umask 077; exec \"$0\" \"$@\"")
        .arg(&program)
        .args(["build", "--cores", "1", "--no-out-link"])
        .arg(project.join("image.nix"))
        .current_dir(&home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .env("TZ", "Asia/Tokyo")
        .env("LC_ALL", "de_DE.UTF-8")
        .stdin(Stdio::null());
    let built = Built::of(&mut command)?;
    same("output path", &built.path, &image.built.path)?;
    let theirs = home.join(".local/share/nix/root").join(&built.path[1..]);
    same_bytes(&theirs, &image.file)
}

fn same_bytes(one: &Path, other: &Path) -> Result<(), String> {
    succeed(Command::new("cmp").arg(one).arg(other)).map(drop)
}

fn emptied(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let scratch = Scratch::new(shared.bed)?;
    let example = shared.bed.example("image.nix");
    let build = || scratch.build([Path::new("--no-out-link"), &example]);
    let first = build()?;
    // Not by a collection: that keeps what builds of other cases have in use at this moment.
    std::fs::remove_dir_all(scratch.store()).map_err(|e| e.to_string())?;
    let second = build()?;
    same("what was built", second.names().len(), first.names().len())?;
    same_bytes(&scratch.real(&second.path), &image.file)
}

fn check(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let example = shared.bed.example("image.nix");
    let words = [Path::new("--check"), Path::new("--no-out-link"), &example];
    let built = image.scratch.build(words)?;
    same("output path", &built.path, &image.built.path)?;
    has(&built.names().join(" "), &["docker-image-services.tar"])?;
    // A build that is not deterministic is found out.
    let random = "derivation { name = \"random\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                  args = [ \"-c\" \"read x < /proc/sys/kernel/random/uuid; echo $x > $out\" ]; }";
    image.scratch.build(["--no-out-link", "-E", random])?;
    match image.scratch.build(["--check", "--no-out-link", "-E", random]) {
        Ok(_) => Err("a difference was not noticed".to_owned()),
        Err(text) => has(&text, &["may not be deterministic", "contents differ at byte"]),
    }
}
