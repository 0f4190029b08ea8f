//! `mini-nix-instantiate` beside `nix-instantiate` 2.8: the same words in the same folder give the same standard
//! output and exit code. Rows where releases after 2.8 answer otherwise carry their answer.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use libtest_mimic::{Failed, Trial};

use crate::bed::{self, Bed};

/// Files of the folder in which every row runs.
const FILES: &[(&str, &str)] = &[
    (
        "default.nix",
        "{ a = 1; b = { c = \"x\"; d = [ 1 { e = 2; } ]; }; \"d.e\" = 5; f = { n ? 3, m }: n + m; g = x: x; \
         s = { outPath = \"/p\"; }; }",
    ),
    ("a.nix", "1 + 1"),
    ("fn.nix", "{ n ? 1 }: { inherit n; }"),
    ("text", "some text\n"),
    ("bad.nix", "let x = "),
    ("dir/default.nix", "\"dir\""),
    ("dir/inner.nix", "[ (import ./.) ./. ]"),
    ("overlays/overlay.nix", "import ../lib"),
    ("lib/default.nix", "\"where the link leads\""),
    ("foo/lib/default.nix", "\"where the link is\""),
    (
        "places.nix",
        "let at = n: s: let p = builtins.unsafeGetAttrPos n s; in if p == null then null else p.column;\n\
         s = { a = 1; b = 2; }; n = \"a\"; in [ (at \"a\" s) (at \"a\" (builtins.mapAttrs (k: v: v) s))\n\
         (at \"a\" (builtins.intersectAttrs { a = 5; } s)) (at \"a\" (removeAttrs s [ \"b\" ]))\n\
         (at \"a\" { ${n} = 1; }) (at \"a\" { x.${n} = 1; }.x) (at \"c\" { a.b = 1; a.c = 2; }.a)\n\
         (at \"a\" (builtins.listToAttrs [ { name = n; value = 1; } ])) (at \"a\" (s // { c = 1; }))\n\
         (at \"b\" (builtins.functionArgs ({ a, b ? 1 }: a))) (at \"a\" (builtins.groupBy (x: x) [ n ])) ]",
    ),
    (
        "drvs.nix",
        "rec { a = derivation { name = \"a\"; system = \"x\"; builder = \"/b\"; outputs = [ \"out\" \"dev\" ]; }; \
         b = derivation { name = \"b\"; system = \"x\"; builder = \"/b\"; x = a.dev; }; l = [ a b ]; \
         set = { recurseForDerivations = true; inherit a; }; no = { inherit b; }; dev = a.dev; }",
    ),
    (
        "fdrv.nix",
        "{ x, y ? 2 }: derivation { name = \"f-${x}-${toString y}\"; system = \"x\"; builder = \"/b\"; }",
    ),
];

/// Links of that folder: where they are, where they lead.
const LINKS: &[(&str, &str)] =
    &[("foo/overlays", "../overlays"), ("inner.nix", "dir/inner.nix"), ("dirs", "dir")];

/// Words of a call, as a shell would part them without substitutions.
const SAME: &[&str] = &[
    // Values.
    "--eval",
    "--eval a.nix",
    "--eval a.nix dir",
    "--eval-only -E '1'",
    "--eval -E '1 + 1' '2 + 2'",
    "--eval -E",
    "--eval -E '{ a = throw \"x\"; b = 1; f = x: x; g = builtins.add; }'",
    "--eval --strict -E '{ a = throw \"x\"; b = 1; }'",
    "--eval --strict -E '[ (x: x) builtins.add (builtins.add 1) ./a.nix null 1.5 \"a\\nb\" ]'",
    "--eval -E 'let f = x: x; in builtins.seq (f 1) [ f (x: x) ]'",
    "--eval -E '[ map builtins.map ]'",
    "--eval -E '{ inherit (builtins) add; }'",
    "--eval -E 'let l = [ l ]; in l'",
    "--eval --strict places.nix",
    // Attribute paths, and functions on the way.
    "--eval -A a",
    "--eval -A a -A b",
    "--eval -A b.c",
    "--eval -A b.d.1.e",
    "--eval -A b.d.7",
    "--eval -A '\"d.e\"'",
    "--eval -A d.e",
    "--eval -A b.",
    "--eval -A .b",
    "--eval -A 'b.\"'",
    "--eval -A f",
    "--eval -A f --arg m 4",
    "--eval -A f --arg m 4 --arg n 5",
    "--eval -A f --argstr n 5",
    "--eval -A g --arg m 4",
    "--eval -E '[ 1 2 ]' -A x",
    "--eval -E '1' -A x",
    "--eval -E 'x: x' -A x",
    // Arguments: the last one counts, and only what is used is evaluated.
    "--eval fn.nix",
    "--eval fn.nix --arg n 7",
    "--eval --strict fn.nix --argstr n 7",
    "--eval -A n fn.nix",
    "--eval -A n fn.nix --arg n 1 --arg n 2",
    "--eval -A n fn.nix --arg n 1 --argstr n 2",
    "--eval -A n fn.nix --argstr n 2 --arg n 1",
    "--eval -E '{ n }: 1' --arg n 'throw \"unused\"'",
    "--eval -A n fn.nix --arg n 'throw \"used\"'",
    "--eval --arg x '1 +' fn.nix",
    "--eval --arg n",
    // Forms.
    "--eval --xml -A b",
    "--eval --xml --strict -A b",
    "--eval --xml --strict --no-location -A b",
    "--eval --xml --no-location -A f",
    "--eval --xml --no-location --strict -E '[ (x: y: x) ((x: y: x) 1) ({ a, b ? 1, ... }@c: a) ]'",
    "--eval --xml --no-location -E '[ (x: x) map ]'",
    // Files and the search path.
    "--eval missing.nix",
    "--eval bad.nix",
    "--eval '<nosuch>'",
    "--eval '<foo>' -I foo=a.nix",
    "--eval '<foo/default.nix>' -I foo=dir",
    "--eval '<dir>' -I .",
    "--eval foo/overlays/overlay.nix",
    "--eval --strict inner.nix",
    "--eval --strict -E 'map import [ ./inner.nix ./dirs ./dirs/inner.nix ]'",
    "--find-file foo -I foo=a.nix",
    "--find-file foo/default.nix dir -I foo=dir -I .",
    "--find-file nosuch",
    "--find-file",
    // The program itself.
    "--parse a.nix dir",
    "--parse -E '1 + 2' 'x: x'",
    "--parse -E 'x: !!!x' 'x: !(!x)' 'x: y: !!!!x == - - y' 'x: !(!!(- - - x))' '!!!true'",
    "--parse-only -E 'y'",
    "--parse bad.nix",
    // Derivations.
    "drvs.nix",
    "drvs.nix -A a -A b",
    "drvs.nix -A dev",
    "drvs.nix -A l",
    "drvs.nix -A set",
    "drvs.nix -A no",
    "drvs.nix -A nosuch",
    "drvs.nix --dry-run",
    "drvs.nix -A l --add-root ./root",
    "drvs.nix -A dev --add-root root --indirect",
    "fdrv.nix",
    "fdrv.nix --argstr x q",
    "fdrv.nix --argstr x q --arg y 5",
    "fdrv.nix --argstr x q --argstr z 5",
    "-E 1",
    "-E '[ ]'",
    "-E '{ a = 1; }'",
    "-E '{ type = \"derivation\"; }'",
    // Usage.
    "--frobnicate",
    "--eval --option nosuch 1 -E 1",
    "--eval -vv --quiet -k -K -j 4 --cores 2 -E 1",
    "--eval --restrict-eval a.nix",
    "--eval --restrict-eval a.nix -I .",
    "--eval --pure-eval -E 'builtins ? currentSystem'",
    "--eval --pure-eval a.nix",
];

/// Words, standard input.
const SAME_WITH_INPUT: &[(&str, &str)] = &[
    ("--eval -", "1 + 2"),
    ("--eval a.nix -", "\"stdin comes first\""),
    ("--eval - -A x", "{ x = ./a.nix; }"),
    ("--parse -", "x: x + 1"),
    ("--parse -", "x"),
    ("- -A a", "import ./drvs.nix"),
];

/// Words, exit code, standard output: what releases after 2.8 do.
const LATER: &[(&str, i32, &str)] = &[
    ("--eval --strict --json -A b", 0, "{\"c\":\"x\",\"d\":[1,{\"e\":2}]}\n"),
    ("--eval -E '{ l = [ ]; }'", 0, "{ l = [ ]; }\n"),
    ("--eval --json -A b", 1, ""),
    ("--eval --json -A s", 0, "\"/p\"\n"),
    ("--eval --xml --json -E '[ ]'", 0, "[]\n"),
    ("--eval --json --raw -E '\"x\"'", 0, "x"),
    ("--eval --abort-on-warn -E 'builtins.warn \"w\" 1'", 1, ""),
    ("--eval -E 'builtins.warn \"w\" 1'", 0, "1\n"),
    ("--eval --raw -A b.c", 0, "x"),
    ("--eval --raw -A a", 1, ""),
    ("--eval --raw fn.nix -A n --arg-from-file n text", 0, "some text\n"),
    (
        "--eval --xml -E '{ a = x: x; }' --strict",
        0,
        "<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <attrs>\n    <attr column=\"3\" line=\"1\" name=\"a\">\n      \
         <function column=\"7\" line=\"1\">\n        <varpat name=\"x\" />\n      </function>\n    </attr>\n  \
         </attrs>\n</expr>\n",
    ),
    ("--find-file nix/fetchurl.nix", 1, ""),
];

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let same = SAME.iter().map(|words| (*words, None));
    for (words, input) in same.chain(SAME_WITH_INPUT.iter().map(|(w, i)| (*w, Some(*i)))) {
        let name = match input {
            Some(input) => format!("instantiate/{words} < {input}"),
            None => format!("instantiate/{words}"),
        };
        trials.push(Trial::test(name, move || check_same(bed, words, input).map_err(Failed::from)));
    }
    for &(words, code, out) in LATER {
        let name = format!("instantiate/later {words}");
        trials.push(Trial::test(name, move || {
            let got = Folder::new()?.run(bed.command("instantiate"), words, None)?;
            let wanted = Answer { code: Some(code), out: out.to_owned() };
            compare(&wanted, &got.0, &got.1).map_err(Failed::from)
        }));
    }
    trials.push(Trial::test("instantiate/--arg-from-stdin", move || {
        let words = "--eval -A n fn.nix --arg-from-stdin n";
        let got = Folder::new()?.run(bed.command("instantiate"), words, Some("given"))?;
        let wanted = Answer { code: Some(0), out: "\"given\"\n".to_owned() };
        compare(&wanted, &got.0, &got.1).map_err(Failed::from)
    }));
    trials.push(Trial::test(
        "instantiate/printing fetches and makes no store otherwise",
        move || fetches_while_printing(bed).map_err(Failed::from),
    ));
}

/// What a call did, as far as it is compared.
#[derive(PartialEq, Debug)]
struct Answer {
    code: Option<i32>,
    out: String,
}

fn compare(wanted: &Answer, got: &Answer, stderr: &str) -> Result<(), String> {
    if wanted == got {
        return Ok(());
    }
    Err(format!("  wanted {wanted:?}\n  got    {got:?}\n{stderr}"))
}

fn check_same(bed: Bed, words: &str, input: Option<&str>) -> Result<(), String> {
    let folder = Folder::new()?;
    let (theirs, _) = folder.run(Command::new("nix-instantiate"), words, input)?;
    let (ours, stderr) = Folder::at(&folder)?.run(bed.command("instantiate"), words, input)?;
    compare(&theirs, &ours, &stderr)?;
    // 2.8 says something too when it fails; what, is its own affair.
    if ours.code != Some(0) && !stderr.contains("error: ") {
        return Err(format!("exit {:?} without a word: {stderr}", ours.code));
    }
    Ok(())
}

fn fetches_while_printing(bed: Bed) -> Result<(), String> {
    let folder = Folder::new()?;
    let work = folder.root().join("work");
    let mut tar = Command::new("tar");
    tar.current_dir(&work).args(["-czf", "dir.tar.gz", "dir"]);
    bed::run(&mut tar)?;
    let (plain, stderr) = folder.run(bed.command("instantiate"), "--eval a.nix", None)?;
    compare(&Answer { code: Some(0), out: "2\n".to_owned() }, &plain, &stderr)?;
    let store = folder.root().join("store");
    if store.exists() {
        return Err("printing a number made a store".to_owned());
    }
    let address = format!("file://{}/dir.tar.gz", work.display());
    let wanted = Answer { code: Some(0), out: "\"dir\"\n".to_owned() };
    let by_builtin = format!("--eval -E 'import (fetchTarball \"{address}\")'");
    for words in [by_builtin, format!("--eval {address}")] {
        let (got, stderr) = folder.run(bed.command("instantiate"), &words, None)?;
        compare(&wanted, &got, &stderr)?;
    }
    Ok(())
}

/// A scratch folder with the files; the store is beside them.
struct Folder {
    scratch: tempfile::TempDir,
}

impl Folder {
    fn new() -> Result<Folder, String> {
        let folder = Folder { scratch: tempfile::tempdir().map_err(|e| e.to_string())? };
        folder.fill()?;
        Ok(folder)
    }

    /// The same folder anew, so that paths in answers agree.
    fn at(used: &Folder) -> Result<&Folder, String> {
        for part in ["work", "store"] {
            let part = used.root().join(part);
            if part.exists() {
                let mut chmod = Command::new("chmod");
                bed::run(chmod.args(["-R", "u+w"]).arg(&part))?;
                std::fs::remove_dir_all(&part).map_err(|e| e.to_string())?;
            }
        }
        used.fill()?;
        Ok(used)
    }

    fn root(&self) -> &Path {
        self.scratch.path()
    }

    fn fill(&self) -> Result<(), String> {
        let work = self.root().join("work");
        for (name, text) in FILES {
            let file = work.join(name);
            let folder = file.parent().unwrap_or(&work);
            std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
            std::fs::write(&file, text).map_err(|e| e.to_string())?;
        }
        for (link, target) in LINKS {
            std::os::unix::fs::symlink(target, work.join(link)).map_err(|e| e.to_string())?;
        }
        std::fs::create_dir_all(self.root().join("conf")).map_err(|e| e.to_string())
    }

    /// Runs a call in the folder; gives what is compared, and stderr.
    fn run(
        &self,
        mut command: Command,
        words: &str,
        input: Option<&str>,
    ) -> Result<(Answer, String), String> {
        command
            .current_dir(self.root().join("work"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/fake-home")
            .env("NIX_PATH", "")
            .env("NIX_CONF_DIR", self.root().join("conf"))
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .arg("--store")
            .arg(self.root().join("store"))
            .args(parted(words))
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = match input {
            None => bed::run(&mut command)?,
            Some(input) => {
                let program = command.get_program().to_string_lossy().into_owned();
                let mut child =
                    command.spawn().map_err(|e| format!("cannot run '{program}': {e}"))?;
                if let Some(mut stdin) = child.stdin.take() {
                    // A program that reads nothing has its reasons; its answer is compared all the same.
                    let _ = stdin.write_all(input.as_bytes());
                }
                child.wait_with_output().map_err(|e| e.to_string())?
            }
        };
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((Answer { code: output.status.code(), out }, stderr))
    }
}

/// Parts words at spaces; single quotes protect them.
fn parted(words: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in words.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => all.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}
