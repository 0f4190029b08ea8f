//! The tests of nixpkgs' library, run where `MINI_NIX_NIXPKGS_LIB` names a checkout that holds `lib`: a whole
//! nixpkgs, or a copy of its library alone.
//!
//! Scripts call `nix-instantiate` and its kin, which are links to our executable; the store is a scratch folder.
//! Lists of failed assertions must be empty. Which of them there are depends on the age of the checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    upstream::{excuses, judged},
};

/// Scripts that exit with 0.
const SCRIPTS: &[&str] = &[
    "lib/tests/modules.sh",
    "lib/tests/filesystem.sh",
    "lib/tests/sources.sh",
    "lib/tests/debug.sh",
    "lib/tests/network.sh",
    "lib/fileset/tests.sh",
];

/// Files whose value is the list of failed assertions.
const LISTS: &[&str] = &["lib/tests/misc.nix", "lib/tests/systems.nix", "lib/tests/fetchers.nix"];

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let Some(checkout) = std::env::var_os("MINI_NIX_NIXPKGS_LIB").map(PathBuf::from) else {
        return;
    };
    let checkout = std::fs::canonicalize(&checkout).unwrap_or(checkout);
    let excuses = match excuses(&bed.tests.join("upstream/nixpkgs-lib.tsv")) {
        Ok(excuses) => excuses,
        Err(message) => {
            trials.push(Trial::test("nixpkgs-lib/unusable", || Err(Failed::from(message))));
            return;
        }
    };
    let files = SCRIPTS.iter().chain(LISTS).filter(|file| checkout.join(file).exists());
    let before = trials.len();
    for &file in files {
        let checkout = checkout.clone();
        let excuse = excuses.get(file).cloned();
        trials.push(Trial::test(format!("nixpkgs-lib/{file}"), move || {
            judged(check(bed, &checkout, file), excuse, file, "nixpkgs-lib")
        }));
    }
    if trials.len() == before {
        let message = format!("{}: no tests of nixpkgs' library are here", checkout.display());
        trials.push(Trial::test("nixpkgs-lib/unusable", || Err(Failed::from(message))));
    }
}

fn check(bed: Bed, checkout: &Path, file: &str) -> Result<(), String> {
    let file = checkout.join(file);
    // Old scripts only work in their own folder.
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(format!("{}: no file in a folder", file.display()));
    };
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = scratch.path();
    let bin = root.join("bin");
    std::fs::create_dir(&bin).map_err(|e| e.to_string())?;
    for name in ["nix-instantiate", "nix-build", "nix-store"] {
        std::os::unix::fs::symlink(bed.mini_nix, bin.join(name)).map_err(|e| e.to_string())?;
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let is_script = file.extension().is_some_and(|e| e == "sh");
    let mut command = if is_script {
        Command::new("bash")
    } else {
        let mut list = Command::new(bin.join("nix-instantiate"));
        list.args(["--eval", "--strict"]);
        list
    };
    command
        .arg(name)
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", root)
        .env("TMPDIR", root)
        .env("TEST_LIB", checkout.join("lib"))
        .env("NIX_USER_CONF_FILES", "/dev/null");
    for (variable, folder) in [
        ("NIX_STORE_DIR", "store"),
        ("NIX_STATE_DIR", "var"),
        ("NIX_LOG_DIR", "log"),
        ("NIX_CONF_DIR", "etc"),
    ] {
        command.env(variable, root.join(folder));
    }
    let output = bed::run(&mut command)?;
    let out = String::from_utf8_lossy(&output.stdout);
    let is_good = output.status.success() && (is_script || out.trim() == "[ ]");
    if is_good {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("exit {:?}\n{out}\n{stderr}", output.status.code()))
}
