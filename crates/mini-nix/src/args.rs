//! Flags that many commands share, and how words become settings.
//!
//! The flags are C++ Nix's: single-dash letters that take the next word, flags anywhere between the
//! operands, every setting `x` also as `--x VALUE`, booleans as `--x` and `--no-x`.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::{
    exit::Failure,
    settings::{Kind, SETTINGS, Settings},
};

/// A command with the flags of every command.
pub(crate) fn common(name: &'static str, about: &'static str) -> Command {
    let mut command = Command::new(name)
        .about(about)
        .no_binary_name(true)
        .disable_version_flag(true)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(
            Arg::new("version")
                .long("version")
                .action(ArgAction::Version)
                .help("print the version"),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::Count)
                .help("say more; may be repeated"),
        )
        .arg(Arg::new("quiet").long("quiet").action(ArgAction::Count).help("say less"))
        .arg(flag("debug", "say everything").long("debug"))
        .arg(
            flag("no-build-output", "do not show what builders print")
                .short('Q')
                .long("no-build-output"),
        )
        .arg(
            Arg::new("option")
                .long("option")
                .num_args(2)
                .value_names(["NAME", "VALUE"])
                .action(ArgAction::Append)
                .help("give a setting a value"),
        )
        .arg(flag("readonly-mode", "do not write to the store").long("readonly-mode"))
        .arg(flag("stats", "say on standard error what the evaluation did, as JSON").long("stats"))
        .arg(
            Arg::new("error-format")
                .long("error-format")
                .value_parser(["text", "json"])
                .help("how errors are printed"),
        );
    for setting in SETTINGS {
        let mut arg = Arg::new(setting.name).long(setting.name).help(setting.doc);
        arg = match setting.name {
            "max-jobs" => arg.short('j'),
            "keep-failed" => arg.short('K'),
            "keep-going" => arg.short('k'),
            _ => arg,
        };
        command = match setting.kind {
            Kind::Bool => command.arg(arg.action(ArgAction::SetTrue)).arg(
                Arg::new(format!("no-{}", setting.name))
                    .long(format!("no-{}", setting.name))
                    .action(ArgAction::SetTrue)
                    .overrides_with(setting.name)
                    .hide(true),
            ),
            Kind::List => command.arg(arg.num_args(1).action(ArgAction::Append)).arg(
                Arg::new(format!("extra-{}", setting.name))
                    .long(format!("extra-{}", setting.name))
                    .num_args(1)
                    .action(ArgAction::Append)
                    .hide(true),
            ),
            Kind::Size => {
                command.arg(arg.num_args(1).value_name("SIZE").overrides_with(setting.name))
            }
            Kind::Number | Kind::Text | Kind::Lint => {
                command.arg(arg.num_args(1).overrides_with(setting.name))
            }
        };
    }
    command
}

/// Adds the flags that give an evaluation its surroundings: arguments of functions, the search path.
pub(crate) fn arguments(command: Command) -> Command {
    let pair = |name: &'static str, about: &'static str, value: [&'static str; 2]| {
        Arg::new(name)
            .long(name)
            .num_args(2)
            .value_names(value)
            .action(ArgAction::Append)
            .help(about)
    };
    search_path(command)
        .arg(
            pair("arg", "give a function's argument an expression", ["NAME", "EXPR"])
                .allow_hyphen_values(true),
        )
        .arg(
            pair("argstr", "give a function's argument a string", ["NAME", "TEXT"])
                .allow_hyphen_values(true),
        )
        .arg(pair("arg-from-file", "give a function's argument a file's text", ["NAME", "FILE"]))
        .arg(
            Arg::new("arg-from-stdin")
                .long("arg-from-stdin")
                .num_args(1)
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("give a function's argument the text of standard input"),
        )
}

/// Adds the flags that say where files are looked for.
pub(crate) fn search_path(command: Command) -> Command {
    command
        .arg(
            Arg::new("include")
                .short('I')
                .long("include")
                .num_args(1)
                .action(ArgAction::Append)
                .value_name("PATH")
                .help("look for <...> here first; 'prefix=path' or 'path'"),
        )
        .arg(flag("impure", "not pure, even if a setting says so").long("impure"))
}

/// Adds the flags of commands that evaluate, and operands `FILES`.
pub(crate) fn evaluating(command: Command) -> Command {
    operands(arguments(command))
        .arg(
            Arg::new("attr")
                .short('A')
                .long("attr")
                .num_args(1)
                .action(ArgAction::Append)
                .value_name("PATH")
                .help("select an attribute; may be repeated"),
        )
        // `nix-env --profile` is another thing; there it is the setting.
        .arg(
            Arg::new("time-profile")
                .long("profile")
                .num_args(1)
                .value_name("FILE")
                .help("write where the evaluation spends its time to a file, as folded stacks"),
        )
}

/// Adds operands `FILES`, which can be expressions.
pub(crate) fn operands(command: Command) -> Command {
    command
        .arg(flag("expr", "the operands are expressions, not files").short('E').long("expr"))
        .arg(Arg::new("files").num_args(0..).value_name("FILES").allow_hyphen_values(false))
}

/// A switch.
pub(crate) fn flag(name: &'static str, about: &'static str) -> Arg {
    Arg::new(name).action(ArgAction::SetTrue).help(about)
}

/// Reads the words of a command.
///
/// # Errors
/// A usage failure with exit code 1; `--help` and `--version` come as a [`Failure`] with code 0.
pub(crate) fn parse(command: Command, name: &str, words: &[String]) -> Result<ArgMatches, Failure> {
    let shown = name.to_owned();
    command.bin_name(&shown).display_name(shown).try_get_matches_from(words).map_err(|e| {
        match e.kind() {
            clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
                Failure { code: 0, text: e.render().to_string() }
            }
            _ => Failure { code: 1, text: e.render().to_string().trim_end().to_owned() },
        }
    })
}

/// Settings from files, environment and the words of this call.
///
/// # Errors
/// A value that is not of its setting's kind, an unreadable settings file.
pub(crate) fn settings(matches: &ArgMatches) -> Result<Settings, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut settings = Settings::load(&environment).map_err(Failure::new)?;
    let mut set = |name: &str, value: &str| settings.set(name, value).map_err(Failure::new);
    for setting in SETTINGS {
        match setting.kind {
            Kind::Bool => {
                let negative = format!("no-{}", setting.name);
                if matches.get_flag(&negative) {
                    set(setting.name, "false")?;
                } else if matches.get_flag(setting.name) {
                    set(setting.name, "true")?;
                }
            }
            Kind::List => {
                for value in matches.get_many::<String>(setting.name).into_iter().flatten() {
                    set(setting.name, value)?;
                }
                let extra = format!("extra-{}", setting.name);
                for value in matches.get_many::<String>(&extra).into_iter().flatten() {
                    set(&extra, value)?;
                }
            }
            Kind::Number | Kind::Size | Kind::Text | Kind::Lint => {
                if let Some(value) = matches.get_one::<String>(setting.name) {
                    set(setting.name, value)?;
                }
            }
        }
    }
    for (name, value) in pairs(matches, "option") {
        set(&name, &value)?;
    }
    Ok(settings)
}

/// The words of each occurrence of a flag, in order.
pub(crate) fn occurrences<'a>(matches: &'a ArgMatches, name: &str) -> Vec<Vec<&'a str>> {
    let all = matches.get_occurrences::<String>(name);
    all.into_iter().flatten().map(|words| words.map(String::as_str).collect()).collect()
}

/// The values of a flag that takes two words, in order.
pub(crate) fn pairs(matches: &ArgMatches, name: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for occurrence in matches.get_occurrences::<String>(name).into_iter().flatten() {
        let words: Vec<&String> = occurrence.collect();
        if let [first, second] = words[..] {
            pairs.push((first.clone(), second.clone()));
        }
    }
    pairs
}

/// The values of a flag that may be repeated, in order.
pub(crate) fn many(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(words: &[&str]) -> ArgMatches {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(evaluating(common("build", "")), "mini-nix-build", &words).expect("understood")
    }

    #[test]
    fn flags_stand_anywhere_and_bundle() {
        let m = build(&["a.nix", "-A", "x", "-j4", "-kK", "--arg", "n", "-1", "b.nix", "-A", "y"]);
        assert_eq!(many(&m, "files"), ["a.nix", "b.nix"]);
        assert_eq!(many(&m, "attr"), ["x", "y"]);
        assert_eq!(pairs(&m, "arg"), [("n".to_owned(), "-1".to_owned())]);
        let s = settings(&m).expect("reads");
        assert_eq!(s.number("max-jobs"), 4);
        assert!(s.bool("keep-going") && s.bool("keep-failed"));
    }

    #[test]
    fn every_setting_is_a_flag() {
        let m = build(&["--no-substitute", "--cores", "3", "--option", "sandbox", "false", "-"]);
        let s = settings(&m).expect("reads");
        assert!(!s.bool("substitute"));
        assert_eq!((s.number("cores"), s.text("sandbox")), (3, "false"));
        assert_eq!(many(&m, "files"), ["-"]);
    }

    #[test]
    fn an_unknown_flag_exits_with_1() {
        let words = ["--frobnicate".to_owned()];
        let failure = parse(common("build", ""), "mini-nix-build", &words).expect_err("unknown");
        assert_eq!(failure.code, 1);
        assert!(failure.text.contains("--frobnicate"), "{}", failure.text);
    }
}
