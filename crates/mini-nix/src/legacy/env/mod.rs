//! `nix-env`: which packages there are. Only its queries; profiles are not kept.

mod order;
mod output;
mod query;
mod source;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::{
    args::{self, flag},
    exit::Failure,
};

/// Operations that change or inspect a profile: name, letter.
const REFUSED: &[(&str, Option<char>)] = &[
    ("install", Some('i')),
    ("uninstall", Some('e')),
    ("upgrade", Some('u')),
    ("set", None),
    ("set-flag", None),
    ("switch-profile", Some('S')),
    ("switch-generation", Some('G')),
    ("rollback", None),
    ("list-generations", None),
    ("delete-generations", None),
];

/// Modifiers of those operations, understood so that the refusal names the operation.
const REFUSED_WITH: &[(&str, Option<char>)] = &[
    ("from-expression", Some('E')),
    ("preserve-installed", None),
    ("remove-all", Some('r')),
    ("dry-run", None),
];

/// Runs the command.
///
/// # Errors
/// Usage, an operation other than a query, evaluation, store.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let matches = args::parse(command(), "mini-nix-env", words)?;
    if let Some((name, _)) = REFUSED.iter().find(|(name, _)| matches.get_flag(name)) {
        return Err(refusal(name, &matches));
    }
    if !matches.get_flag("query") {
        return Err(Failure::usage("mini-nix-env", "no operation given; queries begin with '-q'"));
    }
    if let Some((name, _)) = REFUSED_WITH.iter().find(|(name, _)| matches.get_flag(name)) {
        return Err(Failure::usage(
            "mini-nix-env",
            format!("'--{name}' has no meaning in a query"),
        ));
    }
    query::run(&matches)
}

/// What to do instead of changing a profile.
fn refusal(name: &str, matches: &ArgMatches) -> Failure {
    let file = matches.get_one::<String>("file").map_or("FILE", String::as_str);
    let attr = args::many(matches, "attr").pop().unwrap_or_else(|| "ATTR".to_owned());
    let instead = match name {
        "install" | "upgrade" | "set" => format!(
            "'mini-nix-build {file} -A {attr}' builds a package; its 'result' link keeps it alive"
        ),
        "uninstall" | "delete-generations" => {
            "remove the 'result' link of a build, then 'mini-nix-store --gc'".to_owned()
        }
        _ => "'mini-nix-store --gc --print-roots' lists what is kept alive".to_owned(),
    };
    Failure::new(format!(
        "mini-nix-env only answers queries (-q); '--{name}' needs a profile, and mini-nix keeps none\n\
         help: {instead}"
    ))
}

fn command() -> Command {
    let about = "list packages: what an expression offers, or what a profile holds";
    let mut command = args::arguments(args::common("env", about))
        // `--system` is a column here; the setting has its other name.
        .mut_arg("system", |arg| arg.long("eval-system"))
        .arg(flag("query", "list packages").short('q').long("query"))
        .arg(flag("available", "what the expression offers").short('a').long("available"))
        .arg(
            flag("installed", "what the profile holds (the default)")
                .long("installed")
                .overrides_with("available"),
        )
        .arg(flag("attr-path", "show attribute paths").short('P').long("attr-path"))
        .arg(flag("no-name", "leave names out").long("no-name"))
        .arg(
            flag("status", "show installed, present, substitutable: I, P, S")
                .short('s')
                .long("status"),
        )
        .arg(
            flag("compare-versions", "compare versions with the other side")
                .short('c')
                .long("compare-versions")
                .alias("compare"),
        )
        .arg(flag("show-system", "show systems").long("system"))
        .arg(flag("drv-path", "show store derivations").long("drv-path"))
        .arg(flag("out-path", "show output paths").long("out-path"))
        .arg(flag("description", "show descriptions").long("description"))
        .arg(flag("meta", "show meta attributes (with --json or --xml)").long("meta"))
        .arg(flag("json", "print as JSON").long("json"))
        .arg(flag("xml", "print as XML").long("xml"))
        .arg(flag("prebuilt-only", "only what the store holds").short('b').long("prebuilt-only"))
        .arg(value("file", "the expression, or a folder of expressions", "FILE").short('f'))
        .arg(value("attr", "the attribute to look below", "PATH").short('A'))
        .arg(value("profile", "the profile to look at", "LINK").short('p'))
        .arg(value("system-filter", "only packages for this system; '*' for all", "SYSTEM"))
        .arg(
            Arg::new("patterns")
                .num_args(0..)
                .value_name("PATTERNS")
                .help("NAME or NAME-VERSION; NAME is a regular expression"),
        );
    for (name, letter) in REFUSED.iter().chain(REFUSED_WITH) {
        let mut arg = flag(name, "not supported").long(name).hide(true);
        if let Some(letter) = letter {
            arg = arg.short(*letter);
        }
        command = command.arg(arg);
    }
    command
}

/// A flag with a value; the last one counts.
fn value(name: &'static str, about: &'static str, value: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).num_args(1).value_name(value).help(about);
    arg.action(ArgAction::Append)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let failure = run(&words).expect_err("refused");
        assert_eq!(failure.code, 1);
        assert!(failure.text.contains(expected), "{}", failure.text);
    }

    #[test]
    fn operations_on_profiles_are_refused_with_a_way_out() {
        check(&["-iA", "hello", "-f", "x.nix"], "'mini-nix-build x.nix -A hello'");
        check(&["-f", "x.nix", "-i", "-E", "p: p"], "'--install' needs a profile");
        check(&["-e", "hello"], "mini-nix-store --gc");
        check(&["--rollback"], "only answers queries");
        check(&["hello"], "no operation given");
        check(&["-qaE"], "'--from-expression' has no meaning");
        check(&["-qP"], "--available");
    }
}
