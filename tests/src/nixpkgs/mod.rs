//! A whole nixpkgs: all its packages, a NixOS system and the closures of both are those of a real Nix.
//!
//! The tree is not part of this repository: `MINI_NIX_NIXPKGS` names its folder, and without it there are no
//! such cases; `docs/testing.md` says which tree the exceptions below are for.

mod kept;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::{self, Bed},
    drv,
};

/// Names the folder of the tree.
const VARIABLE: &str = "MINI_NIX_NIXPKGS";

/// Packages whose derivations hold `builtins.nixVersion`, which differs.
const WITH_VERSION: &[&str] = &["irods", "irods-icommands"];

/// Packages that Nix 2.8 alone lists: the same derivation under a second name, which it does not notice.
const ONLY_28: &[&str] = &["vala"];

/// Settings that make every package show up, whatever the machine and the user.
const SETTINGS: &str =
    r#"system = "x86_64-linux"; overlays = [ ]; config = { allowUnfree = true; };"#;

/// A system with a server of each kind.
const CONFIGURATION: &str = r#"{
  services.openssh.enable = true;
  services.nginx.enable = true;
  fileSystems."/".device = "/dev/sda1";
  boot.loader.grub.device = "/dev/sda";
}
"#;

/// Adds the cases, if there is a tree.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let Some(tree) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    type Case = fn(Bed, &Path) -> Result<(), String>;
    let cases: [(&str, Case); 6] = [
        ("nixpkgs/list", list),
        ("nixpkgs/list-as-json", list_as_json),
        ("nixpkgs/list-kept", kept::list),
        ("nixpkgs/list-programs", kept::programs),
        ("nixpkgs/system", system),
        ("nixpkgs/closures", closures),
    ];
    for (name, run) in cases {
        let tree = tree.clone();
        trials.push(Trial::test(name, move || {
            let tree = std::fs::canonicalize(&tree)
                .map_err(|e| format!("{VARIABLE}: {}: {e}", tree.display()))?;
            run(bed, &tree).map_err(Failed::from)
        }));
    }
}

/// The same settings as arguments of a program.
fn arguments(command: &mut Command) {
    command.args(["--argstr", "system", "x86_64-linux", "--arg", "overlays", "[ ]"]);
    command.args(["--arg", "config", "{ allowUnfree = true; }"]);
}

/// The two programs, with an environment of their own: ours first.
fn both(bed: Bed, name: &str, root: &Path) -> [Command; 2] {
    let theirs = Command::new(format!("nix-{name}"));
    [bed.command(name), theirs].map(|mut command| {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", root)
            .env("NIX_CONF_DIR", root)
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .current_dir(root);
        command
    })
}

fn stdout(command: &mut Command) -> Result<String, String> {
    let output = bed::run(command)?;
    if !output.status.success() {
        return Err(format!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A folder that is gone after the case.
fn scratch() -> Result<(tempfile::TempDir, PathBuf), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    Ok((scratch, root))
}

/// The answers of both programs to a query of all packages, ours first.
fn query(bed: Bed, tree: &Path, words: &[&str]) -> Result<[String; 2], String> {
    let (_scratch, root) = scratch()?;
    let ask = |mut command: Command| {
        command.env("NIX_REMOTE", "dummy://").env("NIX_STATE_DIR", root.join("var"));
        command.arg("-f").arg(tree).args(words);
        arguments(&mut command);
        stdout(&mut command)
    };
    let [ours, theirs] = both(bed, "env", &root);
    Ok([ask(ours)?, ask(theirs)?])
}

/// The first differences of two collections, as a message.
fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    got: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys: BTreeSet<&K> = got.keys().chain(wanted.keys()).collect();
    let wrong: Vec<String> = keys
        .into_iter()
        .filter(|key| got.get(key) != wanted.get(key))
        .map(|key| format!("{key:?}\n  wanted {:?}\n  got    {:?}", wanted.get(key), got.get(key)))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
    Err(format!("{} differences\n{}", wrong.len(), shown.join("\n")))
}

/// All rows, with columns of the same width. Their order is that of an unstable sort: the package that only
/// one side has moves others of one name, so rows are compared by attribute path.
fn list(bed: Bed, tree: &Path) -> Result<(), String> {
    let [ours, theirs] = query(bed, tree, &["-qaP", "--drv-path"])?;
    let rows = |text: &str| -> BTreeMap<String, String> {
        let named = text.lines().map(|line| (line.split(' ').next().unwrap_or(line), line));
        let kept =
            named.filter(|(path, _)| !WITH_VERSION.contains(path) && !ONLY_28.contains(path));
        kept.map(|(path, line)| (path.to_owned(), line.to_owned())).collect()
    };
    let (got, wanted) = (rows(&ours), rows(&theirs));
    if wanted.len() < 1000 {
        return Err(format!("the peer lists only {} packages", wanted.len()));
    }
    same(&got, &wanted)
}

/// Everything that a query can say of a package.
fn list_as_json(bed: Bed, tree: &Path) -> Result<(), String> {
    let [ours, theirs] = query(bed, tree, &["-qa", "--json", "--meta", "--out-path"])?;
    let read = |text: &str| -> Result<BTreeMap<String, serde_json::Value>, String> {
        let mut all: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|e| e.to_string())?;
        for name in WITH_VERSION.iter().chain(ONLY_28) {
            all.remove(*name);
        }
        Ok(all)
    };
    same(&read(&ours)?, &read(&theirs)?)
}

/// Instantiates the same with both programs, into stores of their own, and compares the stores: the names of
/// all objects, and the bytes of the derivations.
fn instantiate(bed: Bed, root: &Path, words: &dyn Fn(&mut Command)) -> Result<usize, String> {
    let [mut ours, mut theirs] = both(bed, "instantiate", root);
    let mut printed = Vec::new();
    for (command, store) in [(&mut ours, "ours"), (&mut theirs, "theirs")] {
        command.arg("--store").arg(root.join(store));
        command.args(["--option", "fsync-metadata", "false"]);
        words(command);
        printed.push(stdout(command)?);
    }
    if printed[0] != printed[1] {
        return Err(format!("wanted\n{}\ngot\n{}", printed[1], printed[0]));
    }
    let names = |store: &str| -> Result<BTreeMap<String, ()>, String> {
        let folder = root.join(store).join("nix/store");
        let entries = std::fs::read_dir(&folder).map_err(|e| e.to_string())?;
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        // Store objects begin with a hash, which has no dot; `.links` is none.
        Ok(names.filter(|n| !n.starts_with('.')).map(|n| (n, ())).collect())
    };
    same(&names("ours")?, &names("theirs")?)?;
    let text = |store: &str| -> Result<BTreeMap<String, String>, String> {
        let files = drv::drv_files(&root.join(store))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(files.into_iter().map(|(name, bytes)| (name, text(bytes))).collect())
    };
    let wanted = text("theirs")?;
    same(&text("ours")?, &wanted)?;
    Ok(wanted.len())
}

fn system(bed: Bed, tree: &Path) -> Result<(), String> {
    let (_scratch, root) = scratch()?;
    let configuration = root.join("configuration.nix");
    std::fs::write(&configuration, CONFIGURATION).map_err(|e| e.to_string())?;
    let n = instantiate(bed, &root, &|command| {
        command.arg(tree.join("nixos/default.nix"));
        command.args(["-A", "system", "--argstr", "system", "x86_64-linux"]);
        command.arg("--arg").arg("configuration").arg(&configuration);
    })?;
    if n < 500 { Err(format!("the system has only {n} derivations")) } else { Ok(()) }
}

/// All packages at once: every derivation and source that any of them needs.
fn closures(bed: Bed, tree: &Path) -> Result<(), String> {
    let (_scratch, root) = scratch()?;
    let [mut ours, _] = both(bed, "env", &root);
    // Packages that cannot be instantiated are not listed when derivations are asked for.
    ours.env("NIX_REMOTE", "dummy://").args(["-qaP", "--no-name", "--drv-path", "-f"]).arg(tree);
    arguments(&mut ours);
    let all = stdout(&mut ours)?;
    let paths = all.lines().filter_map(|line| line.split(' ').next());
    let chosen: Vec<&str> = paths.filter(|path| !WITH_VERSION.contains(path)).collect();
    let mut text = format!(
        "let pkgs = import {} {{ {SETTINGS} }}; in [\n",
        tree.to_str().ok_or("the tree's path is not text")?
    );
    for path in &chosen {
        let names: Vec<String> = path.split('.').map(|name| format!("\"{name}\"")).collect();
        text += &format!("pkgs.{}\n", names.join("."));
    }
    text += "]\n";
    let file = root.join("all.nix");
    std::fs::write(&file, text).map_err(|e| e.to_string())?;
    let n = instantiate(bed, &root, &|command| {
        command.arg(&file);
    })?;
    let n_packages = chosen.len();
    if n < n_packages { Err(format!("{n} derivations of {n_packages} packages")) } else { Ok(()) }
}
