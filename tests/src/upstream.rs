//! Gates G2 and G3: the language suites of C++ Nix, run from where they were unpacked.
//!
//! A suite is a folder `lang` of programs: `parse-okay-*` and `eval-okay-*` with what they print beside them,
//! `parse-fail-*` and `eval-fail-*` that must exit with 1. That of 2.8 comes from Debian's source package;
//! a newer one is run when `MINI_NIX_HEAD_SUITE` names the folder that holds its `lang`.
//!
//! What differs on purpose is listed, one case a line with the reason, in `tests/upstream/NAME.tsv`; a listed
//! case that passes fails. The texts of errors are not compared.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use libtest_mimic::{Failed, Trial};

use crate::bed::{self, Bed};

/// Adds the cases of all suites.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let nix28 = bed.tests.join("../target/upstream/nix-2.8.0/tests");
    add(bed, "nix-2.8", &nix28, trials);
    if let Some(folder) = std::env::var_os("MINI_NIX_HEAD_SUITE") {
        add(bed, "nix-head", Path::new(&folder), trials);
    }
}

/// What a case must do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ParseOkay,
    ParseFail,
    EvalOkay,
    EvalFail,
}

const KINDS: [(&str, Kind); 4] = [
    ("parse-okay-", Kind::ParseOkay),
    ("parse-fail-", Kind::ParseFail),
    ("eval-okay-", Kind::EvalOkay),
    ("eval-fail-", Kind::EvalFail),
];

/// One suite, unpacked.
struct Suite {
    bed: Bed,
    /// The parent of `lang`, canonical.
    folder: PathBuf,
}

fn add(bed: Bed, name: &'static str, folder: &Path, trials: &mut Vec<Trial>) {
    let cases = match cases(folder) {
        Ok(cases) if !cases.is_empty() => cases,
        Ok(_) => return trials.push(broken(name, "its folder 'lang' holds no case".to_owned())),
        Err(message) => return trials.push(broken(name, message)),
    };
    let excuses = match excuses(&bed.tests.join("upstream").join(format!("{name}.tsv"))) {
        Ok(excuses) => excuses,
        Err(message) => return trials.push(broken(name, message)),
    };
    for case in excuses.keys().filter(|case| !cases.iter().any(|(known, _)| known == *case)) {
        let message = format!("tests/upstream/{name}.tsv lists '{case}', which is no case");
        trials.push(broken(name, message));
    }
    let suite = Arc::new(Suite { bed, folder: folder.to_owned() });
    for (case, kind) in cases {
        let excuse = excuses.get(&case).cloned();
        let suite = suite.clone();
        trials.push(Trial::test(format!("upstream/{name}/{case}"), move || {
            judged(suite.check(&case, kind), excuse, &case, name)
        }));
    }
}

/// What a case is worth that may be listed as different: listed and passing is a failure.
pub(crate) fn judged(
    result: Result<(), String>,
    excuse: Option<String>,
    case: &str,
    list: &str,
) -> Result<(), Failed> {
    match (result, excuse) {
        (Ok(()), Some(reason)) => Err(Failed::from(format!(
            "{case} passes: take it out of tests/upstream/{list}.tsv ({reason})"
        ))),
        (Err(_), Some(_)) => Ok(()),
        (result, None) => result.map_err(Failed::from),
    }
}

/// A case that says why a suite cannot run.
fn broken(name: &str, message: String) -> Trial {
    Trial::test(format!("upstream/{name}/unusable"), move || Err(Failed::from(message)))
}

/// The cases of a suite in order of their names.
fn cases(folder: &Path) -> Result<Vec<(String, Kind)>, String> {
    let lang = folder.join("lang");
    let entries = std::fs::read_dir(&lang).map_err(|e| {
        format!("{}: {e}; 'tests/fetch-sources.sh' unpacks the suite of Nix 2.8", lang.display())
    })?;
    let mut cases = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| e.to_string())?.file_name().to_string_lossy().into_owned();
        let Some(case) = name.strip_suffix(".nix") else { continue };
        let Some((_, kind)) = KINDS.iter().find(|(prefix, _)| case.starts_with(prefix)) else {
            continue;
        };
        let beside = |ending: &str| lang.join(format!("{case}{ending}")).exists();
        let has_answer = beside(".exp") || beside(".exp.xml");
        if *kind == Kind::EvalOkay && (!has_answer || beside(".exp-disabled")) {
            continue;
        }
        cases.push((case.to_owned(), *kind));
    }
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(cases)
}

/// Cases that differ on purpose, and why: lines `CASE<TAB>REASON`, `#` begins a comment.
pub(crate) fn excuses(list: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = std::fs::read_to_string(list).map_err(|e| format!("{}: {e}", list.display()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| match line.split_once('\t') {
        Some((case, reason)) if !reason.trim().is_empty() => {
            Ok((case.to_owned(), reason.trim().to_owned()))
        }
        _ => Err(format!("{}: expected 'CASE<TAB>REASON', found '{line}'", list.display())),
    };
    lines.map(row).collect()
}

impl Suite {
    fn check(&self, case: &str, kind: Kind) -> Result<(), String> {
        let scratch = tempfile::tempdir().map_err(|e| e.to_string())?;
        let mut command = self.command(scratch.path())?;
        let lang = self.folder.join("lang");
        let file = format!("lang/{case}.nix");
        let read = |ending: &str| std::fs::read(lang.join(format!("{case}{ending}"))).ok();
        let flags = read(".flags").map(|text| words(&String::from_utf8_lossy(&text)));
        let xml = read(".exp.xml");
        match kind {
            Kind::ParseOkay | Kind::ParseFail => {
                let text = std::fs::File::open(self.folder.join(&file));
                command.stdin(text.map_err(|e| format!("{file}: {e}"))?);
                command.args(["--parse", "-"]);
            }
            Kind::EvalFail => {
                let default = || ["--eval", "--strict", "--show-trace"].map(str::to_owned).to_vec();
                command.args(flags.unwrap_or_else(default)).arg(&file);
            }
            Kind::EvalOkay if xml.is_some() => {
                command.args(["--eval", "--xml", "--no-location", "--strict", &file]);
            }
            Kind::EvalOkay => {
                command.env("NIX_PATH", "lang/dir3:lang/dir4").env("HOME", "/fake-home");
                command.args(flags.unwrap_or_default()).args(["--eval", "--strict", &file]);
            }
        }
        let output = bed::run(&mut command)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted_code = i32::from(matches!(kind, Kind::ParseFail | Kind::EvalFail));
        if output.status.code() != Some(wanted_code) {
            let stdout = String::from_utf8_lossy(&output.stdout);
            return Err(format!(
                "exit {:?} instead of {wanted_code}\n{stdout}{stderr}",
                output.status.code()
            ));
        }
        let wanted = match kind {
            Kind::ParseFail | Kind::EvalFail => return Ok(()),
            // Files without a recorded text only have to be read.
            Kind::ParseOkay | Kind::EvalOkay => match xml.or_else(|| read(".exp")) {
                Some(wanted) => String::from_utf8_lossy(&wanted).into_owned(),
                None => return Ok(()),
            },
        };
        let place = std::fs::canonicalize(&self.folder).map_err(|e| e.to_string())?;
        let got = String::from_utf8_lossy(&output.stdout);
        let got = got.replace(&*place.to_string_lossy(), "/pwd");
        if got.trim_end() == wanted.trim_end() {
            return Ok(());
        }
        Err(format!("  wanted {}\n  got    {}\n{stderr}", wanted.trim_end(), got.trim_end()))
    }

    /// A call in the suite's folder, in the environment that it is written for.
    fn command(&self, scratch: &Path) -> Result<Command, String> {
        let conf = scratch.join("conf");
        std::fs::create_dir(&conf).map_err(|e| e.to_string())?;
        std::fs::write(conf.join("nix.conf"), "experimental-features = nix-command flakes\n")
            .map_err(|e| e.to_string())?;
        let mut command = self.bed.command("instantiate");
        let place = |name: &str| OsString::from(scratch.join(name));
        command
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .env("TEST_VAR", "foo")
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_STORE_DIR", "/nix/store")
            .env("NIX_CONF_DIR", &conf)
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .env("NIX_STATE_DIR", place("var"))
            .env("NIX_LOG_DIR", place("log"))
            .env("HOME", place("home"));
        Ok(command)
    }
}

/// The words of a flags file: `#` begins a comment, white space parts words.
fn words(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}
