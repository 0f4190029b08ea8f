//! Generated derivations: our `.drv` files are those of a real Nix, byte for byte.
//!
//! A small generator writes files of derivations that use everything a derivation can be made of; both
//! programs instantiate them into stores of their own, in the same folder, and the stores are compared.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use libtest_mimic::{Failed, Trial};

use crate::bed::{self, Bed};

/// Batches of generated derivations; each is one case.
const N_BATCHES: u64 = 16;
/// Derivations in a batch.
const BATCH: usize = 25;

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for seed in 0..N_BATCHES {
        let name = format!("drv/generated-{seed:02}");
        trials.push(Trial::test(name, move || check(bed, seed).map_err(Failed::from)));
    }
}

fn check(bed: Bed, seed: u64) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    let work = root.join("work");
    lay_out(&work).map_err(|e| e.to_string())?;
    let text = Generator::new(seed).file(BATCH);
    std::fs::write(work.join("default.nix"), &text).map_err(|e| e.to_string())?;

    let mut ours = bed.command("instantiate");
    ours.arg("--store").arg(root.join("ours"));
    let ours = instantiate(&mut ours, &work, &root)?;
    let mut theirs = std::process::Command::new("nix-instantiate");
    theirs.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    theirs.arg("--store").arg(root.join("theirs"));
    let theirs = instantiate(&mut theirs, &work, &root)?;

    let want = drv_files(&root.join("theirs"))?;
    let got = drv_files(&root.join("ours"))?;
    if want.len() < BATCH {
        return Err(format!("the peer made only {} derivations of {BATCH}", want.len()));
    }
    for (name, bytes) in &want {
        match got.get(name) {
            Some(own) if own == bytes => {}
            Some(own) => {
                let (own, bytes) = (String::from_utf8_lossy(own), String::from_utf8_lossy(bytes));
                return Err(format!("{name} differs\n  wanted {bytes}\n  got    {own}"));
            }
            None => {
                let bytes = String::from_utf8_lossy(bytes);
                return Err(format!("{name} was not made:\n  {bytes}\nmade: {:#?}", got.keys()));
            }
        }
    }
    if ours != theirs {
        return Err(format!("printed paths differ\n  wanted {theirs}\n  got    {ours}"));
    }
    Ok(())
}

/// Files that the derivations refer to.
fn lay_out(work: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{PermissionsExt, symlink};
    std::fs::create_dir_all(work.join("tree/deep/er"))?;
    std::fs::write(work.join("file.txt"), "a file\n")?;
    std::fs::write(work.join("tree/one"), "1")?;
    std::fs::write(work.join("tree/two.c"), "int two;\n")?;
    std::fs::write(work.join("tree/deep/script"), "#!/bin/sh\n")?;
    std::fs::set_permissions(work.join("tree/deep/script"), PermissionsExt::from_mode(0o755))?;
    std::fs::write(work.join("tree/deep/er/empty"), "")?;
    symlink("../one", work.join("tree/deep/link"))
}

fn instantiate(
    command: &mut std::process::Command,
    work: &Path,
    root: &Path,
) -> Result<String, String> {
    let conf = root.join("conf");
    std::fs::create_dir_all(&conf).map_err(|e| e.to_string())?;
    command
        .current_dir(work)
        .env("HOME", root)
        .env("NIX_CONF_DIR", &conf)
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .args(["--option", "sandbox", "true", "default.nix"]);
    let output = bed::run(command)?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} failed\n{stderr}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// All `.drv` files of a store, by name.
pub(crate) fn drv_files(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let folder = root.join("nix/store");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".drv") {
            files.insert(name, std::fs::read(entry.path()).map_err(|e| e.to_string())?);
        }
    }
    Ok(files)
}

/// Writes Nix files; the same seed gives the same file.
struct Generator {
    state: u64,
}

impl Generator {
    fn new(seed: u64) -> Generator {
        Generator { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % n
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A list of derivations; later ones use earlier ones.
    fn file(&mut self, n: usize) -> String {
        let mut text = String::from("let\n");
        for i in 0..n {
            let _ = writeln!(text, "  d{i} = derivation ({});", self.derivation(i));
        }
        text.push_str("in [ ");
        for i in 0..n {
            let _ = write!(text, "d{i} ");
        }
        text.push_str("]\n");
        text
    }

    fn derivation(&mut self, i: usize) -> String {
        let name =
            format!("{}{i}", self.pick(&["a", "long-name_1.0+x", "Z.9?=", "x-2.3-pre", "lib"]));
        let mut text = format!(
            "{{ name = \"{name}\"; system = {}; ",
            self.pick(&["\"x86_64-linux\"", "\"any\""])
        );
        let kind = self.below(6);
        // With structured attributes the builder must be a string; a path is a type error in every Nix.
        let builders: &[&str] = match kind {
            1 => &["\"/bin/sh\"", "\"builtin:x\""],
            _ => &["\"/bin/sh\"", "./file.txt", "\"builtin:x\"", "./tree + \"/one\""],
        };
        let _ = write!(text, "builder = {}; ", self.pick(builders));
        if self.below(2) == 0 {
            let _ = write!(text, "args = [ {} {} ]; ", self.value(i, 1), self.value(i, 1));
        }
        match kind {
            0 => self.fixed(&mut text),
            1 => {
                text.push_str("__structuredAttrs = true; outputs = [ \"out\" \"dev\" ]; ");
                for k in 0..self.below(5) {
                    let _ = write!(text, "s{k} = {}; ", self.json_value(i, 2));
                }
                return text + "}";
            }
            2 => text.push_str("outputs = [ \"lib\" \"out\" \"dev\" ]; "),
            3 => text.push_str("outputs = [ \"bin\" ]; __ignoreNulls = true; nothing = null; "),
            _ => {}
        }
        for k in 0..self.below(6) {
            let _ = write!(text, "{} = {}; ", self.env_name(k), self.value(i, 2));
        }
        if self.below(4) == 0 {
            text.push_str("passAsFile = [ \"text\" ]; text = \"long\"; ");
        }
        text + "}"
    }

    fn env_name(&mut self, k: u64) -> String {
        match self.below(4) {
            0 => format!("PATH_{k}"),
            1 => format!("\"with space {k}\""),
            2 => format!("\"\u{e9}{k}\""),
            _ => format!("v{k}"),
        }
    }

    fn fixed(&mut self, text: &mut String) {
        text.push_str(self.pick(&[
            "outputHash = \"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"; ",
            "outputHash = \"sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\"; outputHashMode = \"recursive\"; ",
            "outputHashAlgo = \"sha1\"; outputHash = \"a9993e364706816aba3e25717850c26c9cd0d89d\"; ",
            "outputHashAlgo = \"sha1\"; outputHash = \"a9993e364706816aba3e25717850c26c9cd0d89d\"; outputHashMode = \"recursive\"; ",
            "outputHashAlgo = \"md5\"; outputHash = \"3y8bwfr609h3lh9ch0izcqq7fl\"; outputHashMode = \"flat\"; ",
            "outputHashAlgo = \"sha512\"; outputHash = \"0zdl9zrg8r3i9c1g90lgg9ip5ijzv3yhz91i0zzn3r8ap9ws784gkp9dk9j3aglhgf1amqb0pj21mh7h1nxcl18akqvvf7ggqsy30yg\"; ",
            "outputHashAlgo = null; outputHash = \"sha1-qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\"; ",
        ]));
    }

    /// Something an environment variable can be.
    fn value(&mut self, i: usize, depth: u64) -> String {
        let earlier = if i == 0 { None } else { Some(self.below(i as u64)) };
        match (self.below(17), earlier) {
            (0, _) => "\"plain\"".to_owned(),
            (1, _) => r#""tab\tline\nreturn\rquote\"back\\slash dollar\${x}""#.to_owned(),
            (2, _) => "42".to_owned(),
            (3, _) => self.pick(&["1.5", "0.1", "100000.5", "1.0e10", "(-2.25)"]).to_owned(),
            (4, _) => self.pick(&["true", "false", "null"]).to_owned(),
            (5, _) => self.pick(&["./file.txt", "./tree", "./tree/deep/script"]).to_owned(),
            (6, _) => "\"in ${./tree}/one and ${./file.txt}\"".to_owned(),
            (7, _) => "(builtins.toFile \"to-file\" \"text\\n\")".to_owned(),
            (8, _) => "(builtins.toFile \"refers\" \"see ${builtins.toFile \"inner\" \"x\"}\")".to_owned(),
            (9, _) => "(builtins.path { path = ./tree; name = \"renamed\"; filter = p: t: t != \"symlink\"; })".to_owned(),
            (10, _) => "(builtins.filterSource (p: t: t == \"directory\" || builtins.match \".*[.]c\" p == null) ./tree)".to_owned(),
            (11, _) => "(builtins.path { path = ./file.txt; recursive = false; })".to_owned(),
            (12, Some(d)) => format!("d{d}"),
            (13, Some(d)) => format!("\"${{d{d}}}/bin:${{d{d}.outPath}}\""),
            (14, Some(d)) => format!("d{d}.drvPath"),
            (15, Some(d)) => format!("(builtins.unsafeDiscardOutputDependency d{d}.drvPath)"),
            (16, Some(d)) => format!("(builtins.unsafeDiscardStringContext \"${{d{d}}}\")"),
            _ if depth > 0 => {
                let items: Vec<String> = (0..self.below(4)).map(|_| self.value(i, depth - 1)).collect();
                format!("[ {} ]", items.join(" "))
            }
            _ => "\"\"".to_owned(),
        }
    }

    /// Something a structured attribute can be.
    fn json_value(&mut self, i: usize, depth: u64) -> String {
        match self.below(5) {
            0 if depth > 0 => format!(
                "{{ b = {}; \"a c\" = {}; }}",
                self.json_value(i, depth - 1),
                self.json_value(i, depth - 1)
            ),
            1 if depth > 0 => {
                format!("[ {} {} ]", self.json_value(i, depth - 1), self.json_value(i, depth - 1))
            }
            // C++ Nix 2.8 writes floats with six digits in JSON; later releases and we do not.
            2 => self.pick(&["1", "-7", "2.5", "\"é\\n\"", "true", "null"]).replace("-7", "(-7)"),
            _ => match self.value(i, 0) {
                list if list.starts_with('[') => "\"list\"".to_owned(),
                float if float.contains('.') && !float.contains(['"', '/', 'd']) => "3".to_owned(),
                value => value,
            },
        }
    }
}
