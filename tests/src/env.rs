//! `nix-env -q`: the same rows as a real Nix, byte for byte, and the same exit codes.

use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::bed::{self, Bed};

/// Packages with everything that a query shows, and attributes that it passes over.
const PACKAGES: &str = r#"
{ system ? "x86_64-linux", version ? "1.0" }:
let
  make = name: more: derivation ({ inherit name system; builder = "/bin/sh"; } // more);
  many = builtins.listToAttrs (builtins.genList (i: {
    name = "p${toString i}";
    value = make "same-${toString (i - i / 3 * 3)}" { inherit i; };
  }) 60);
in {
  hello = make "hello-${version}" { outputs = [ "out" "dev" "man" ]; } // {
    meta = {
      description = "two\nlines & \"quotes\" <tags>";
      licenses = [ "free" "other" ];
      nested = { b = 1; a = [ { } [ ] "x\\\"y" ]; };
      nothing = null;
      float = 1.5;
      int = -7;
      yes = true;
      function = x: x;
      path = ./default.nix;
      package = make "inner" { };
      position = "x.nix:1";
      empty = [ ];
      none = { };
    };
  };
  Hello2 = make "Hello-0.9" { };
  other-system = derivation { name = "other-2"; system = "y"; builder = "/bin/sh"; };
  no-version = make "plain" { };
  odd = make "odd-name-1.0-pre-x" { };
  "not.plain" = make "hidden" { };
  throws = throw "no";
  asserts = assert false; 1;
  fails-late = make "late-1" { text = throw "late"; };
  no-meta-text = make "texts-1" { } // { meta.description = 3; };
  alias = many.p1;
  nested = { recurseForDerivations = true; deeper.recurseForDerivations = true; deeper.x = make "deep-3" { }; y = make "shallow-3" { }; };
  hidden = { x = make "hidden-1" { }; };
  list = [ (make "listed-1" { }) ];
  function = { }: make "called-1" { };
  number = 3;
  manual = { type = "derivation"; name = "manual-1"; };
  manual-out = { type = "derivation"; name = "manual-out-1"; outPath = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x"; system = "z"; outputName = "bin"; };
  many = many // { recurseForDerivations = true; };
}
"#;

/// Words after `-f default.nix`; one case each.
const CALLS: &[&str] = &[
    "-qa",
    "-qaP",
    "-qaP --no-name",
    "-qa --system --description",
    "-qaP --drv-path -A nested",
    "-qaP --drv-path -A many",
    "-qaP --out-path -A hello",
    "-qaP --out-path -A many",
    "-qa --out-path manual-out hello",
    "-qa --xml",
    "-qa --json",
    "-qa --json --meta",
    "-qa --xml --meta --description",
    "-qa --json --out-path hello same texts late",
    "-qa --xml --drv-path --out-path hello same late",
    "-qa --json -A no-such",
    "-qaA hello --json --meta",
    "-qa hello",
    "-qa hello-1.0",
    "-qa hello-2.0",
    "-qa HELLO",
    "-qa hel",
    "-qa same.* odd.*",
    "-qa (hello|other)-2 *",
    "-qa [",
    "-qa --argstr version 3 hello",
    "-qa --arg version \"4\" hello",
    "-qaP --argstr system other",
    "-qaP --system-filter y",
    "-qaP --system-filter *",
    "-qac",
    "-qa -c --xml hello",
    "-qaP -A list",
    "-qaP -A function",
    "-qaP -A number",
    "-qaP -A throws",
    "-qaP -A manual --drv-path",
    "-q",
    "-qP",
    "-q --drv-path -p profile",
    "-qc -p profile",
    "-qac -p profile",
    "-q --json --out-path -p profile",
    "-qaP --no-such-flag",
    "-a",
    "-qaP -f folder",
    "-qaP -f folder -A two",
    "-qa -f no-such-file",
];

/// What a profile holds, as `nix-env -i` writes it.
const MANIFEST: &str = r#"[
  { meta = { }; name = "hello-0.5"; out = { outPath = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-hello"; };
    outPath = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-hello"; outputs = [ "out" ]; system = "s"; type = "derivation"; }
  { name = "other-2"; outPath = "/nix/store/baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-o"; type = "derivation"; }
  { name = "zzz-9"; outPath = "/nix/store/caaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-z"; type = "derivation"; }
]"#;

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for call in CALLS {
        let name = format!("env/{call}");
        trials.push(Trial::test(name, move || check(bed, call).map_err(Failed::from)));
    }
}

fn check(bed: Bed, call: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
    let root = std::fs::canonicalize(scratch.path()).map_err(|e| e.to_string())?;
    lay_out(&root).map_err(|e| e.to_string())?;
    let ours = ask(bed.command("env"), &root, call)?;
    let mut theirs = std::process::Command::new("nix-env");
    theirs.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let theirs = ask(theirs, &root, call)?;
    if ours.0 == theirs.0 && ours.1 == theirs.1 {
        return Ok(());
    }
    Err(format!(
        "wanted exit code {:?} and\n{}\ngot exit code {:?} and\n{}\n{}{}",
        theirs.0, theirs.1, ours.0, ours.1, theirs.2, ours.2
    ))
}

fn lay_out(root: &Path) -> std::io::Result<()> {
    for folder in ["conf", "home", "profile", "folder/inner", "folder/two"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    std::fs::write(root.join("default.nix"), PACKAGES)?;
    std::fs::write(root.join("profile/manifest.nix"), MANIFEST)?;
    let one = |name: &str| {
        format!("{{ a = derivation {{ name = \"{name}\"; system = \"s\"; builder = \"b\"; }}; }}")
    };
    std::fs::write(root.join("folder/one.nix"), one("one-1"))?;
    std::fs::write(root.join("folder/two/default.nix"), format!("{{ }}: {}", one("two-2")))?;
    std::fs::write(root.join("folder/inner/three.nix"), one("three-3"))?;
    std::fs::write(root.join("folder/no-expression.txt"), "(")?;
    std::fs::write(root.join("folder/manifest.nix"), "(")
}

/// Exit code, stdout, stderr.
fn ask(
    mut command: std::process::Command,
    root: &Path,
    call: &str,
) -> Result<(Option<i32>, String, String), String> {
    command
        .current_dir(root)
        .env("HOME", root.join("home"))
        .env("NIX_REMOTE", "dummy://")
        .env("NIX_CONF_DIR", root.join("conf"))
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env("NIX_STATE_DIR", root.join("var"))
        .env("NIX_LOG_DIR", root.join("log"));
    let words: Vec<&str> = call.split(' ').collect();
    if !words.contains(&"-f") {
        command.args(["-f", "default.nix"]);
    }
    let output = bed::run(command.args(words))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}
