//! The commands that begin with a colon.

use std::{collections::BTreeMap, sync::PoisonError};

use nix_eval::{
    Error,
    error::{self, Class},
    machine::{Coerce, Machine},
    value::{ContextBuilder, FunctionView, Value, View},
};
use nix_formats::{
    deriving_path::{DerivingPath, Outputs},
    store_path::StorePath,
};
use nix_store::Store;

use super::{
    Answer, complain, doc, edit, print,
    state::{Loaded, State},
};
use crate::{exit::Failure, legacy, realise};

/// A command.
pub(super) struct Command {
    /// All its names, with their colons.
    pub(super) names: &'static [&'static str],
    /// What it wants, for the help.
    argument: &'static str,
    about: &'static str,
}

const fn row(
    names: &'static [&'static str],
    argument: &'static str,
    about: &'static str,
) -> Command {
    Command { names, argument, about }
}

/// The commands, in order of the help.
pub(super) const COMMANDS: &[Command] = &[
    row(&[":?", ":help"], "", "show this"),
    row(&[":a", ":add"], "EXPR", "make the attributes of a set variables"),
    row(&[":b"], "EXPR", "build a derivation"),
    row(
        &[":bl"],
        "EXPR",
        "the same, and make links in the working directory that keep the results",
    ),
    row(&[":doc"], "EXPR", "show the documentation of a function"),
    row(
        &[":e", ":edit"],
        "EXPR",
        "open the file of a function, path or package in $EDITOR, then reload",
    ),
    row(&[":l", ":load"], "FILE", "make the attributes of a file variables"),
    row(&[":log"], "EXPR", "show the log of a derivation's build"),
    row(
        &[":p", ":print"],
        "EXPR",
        "print a value with all that is inside of it; a string as it is",
    ),
    row(&[":q", ":quit"], "", "end; so does the end of the input"),
    row(&[":r", ":reload"], "", "forget everything, then load the files again"),
    row(&[":t"], "EXPR", "say what a value is"),
    row(&[":te", ":trace-enable"], "[BOOL]", "show the whole way to an error, or do not"),
];

/// Commands of C++ Nix that are not here, and why.
const MISSING: &[(&[&str], &str)] = &[
    (&[":i"], "there are no profiles; ':bl' makes links that keep what was built"),
    (&[":lf", ":load-flake"], "there are no flakes; ':l' loads a file"),
    (&[":sh", ":u"], "there is no 'nix-shell'; ':b' builds a derivation"),
];

/// Whether the argument of a command is an expression.
pub(super) fn takes_expression(name: &str) -> bool {
    COMMANDS.iter().any(|command| command.names.contains(&name) && command.argument == "EXPR")
}

/// The help, without a line break at its end.
pub(super) fn help() -> String {
    let mut text = String::from("An input is one of\n\n");
    let mut line = |left: &str, about: &str| text += &format!("  {left:<26} {about}\n");
    line("EXPR", "evaluate, and print the value; sets inside of it are '{ ... }'");
    line("NAME = EXPR", "make a variable; evaluated when it is used");
    for command in COMMANDS {
        let left = format!("{} {}", command.names.join(", "), command.argument);
        line(left.trim_end(), command.about);
    }
    text.push_str("\nAn expression that is not finished goes on in the next line.");
    text
}

/// Runs a command.
///
/// # Errors
/// No such command; what the command says.
pub(super) fn run(state: &mut State, name: &str, argument: &str) -> Result<Answer, Failure> {
    let known = COMMANDS.iter().find(|command| command.names.contains(&name));
    let Some(command) = known else { return Err(unknown(name)) };
    if command.argument.is_empty() && !argument.is_empty() {
        return Err(Failure::new(format!("'{name}' takes no argument, but got '{argument}'")));
    }
    if argument.is_empty() && matches!(command.argument, "EXPR" | "FILE") {
        return Err(Failure::new(format!(
            "'{name}' needs an argument: {name} {}",
            command.argument
        )));
    }
    match command.names[0] {
        ":?" => return Ok(Answer::Text(help())),
        ":q" => return Ok(Answer::Goodbye),
        ":a" => state.add(argument)?,
        ":l" => state.load(Loaded::File(argument.to_owned()))?,
        ":r" => state.reload()?.iter().for_each(complain),
        ":t" => return state.with(argument, |_, v| Ok(kind(v))).map(Answer::Text),
        ":p" => return deep(state, argument).map(Answer::Text),
        ":doc" => return doc::show(state, argument).map(Answer::Text),
        ":b" => return build(state, argument, Links::No).map(Answer::Text),
        ":bl" => return build(state, argument, Links::Yes).map(Answer::Text),
        ":log" => return log(state, argument).map(Answer::Text),
        ":e" => {
            edit::open(state, argument)?;
            state.begin();
            state.reload()?.iter().for_each(complain);
        }
        ":te" => return trace(state, argument).map(Answer::Text),
        other => return Err(unknown(other)),
    }
    Ok(Answer::Nothing)
}

fn unknown(name: &str) -> Failure {
    match MISSING.iter().find(|(names, _)| names.contains(&name)) {
        Some((_, why)) => Failure::new(format!("not implemented in mini-nix: {name} ({why})")),
        None => Failure::new(format!("unknown command '{name}'; ':?' lists them")),
    }
}

/// What a value is.
fn kind(v: Value) -> String {
    let view = v.view();
    if let View::Function(function) = view {
        let partly = |f: Value| f.as_function().map(|f| f.view());
        match function.view() {
            FunctionView::Builtin(b) => return format!("the built-in function '{}'", b.name()),
            FunctionView::Partial(p) => {
                if let Some(FunctionView::Builtin(b)) = partly(p.function()) {
                    return format!("the partially applied built-in function '{}'", b.name());
                }
            }
            FunctionView::Lambda(_) => {}
        }
    }
    view.with_article().to_owned()
}

/// Levels of `:p`. Deeper data has no end, mostly, and its indentation would fill the memory.
const DEEP: usize = 1000;

fn deep(state: &State, expression: &str) -> Result<String, Failure> {
    let colors = state.colors;
    state.with(expression, |m, v| match v.as_string() {
        Some(s) => Ok(s.to_text()),
        None => print::print(m, v, DEEP, colors),
    })
}

fn trace(state: &mut State, argument: &str) -> Result<String, Failure> {
    let on = match argument {
        "" => !state.session.settings.bool("show-trace"),
        "true" => true,
        "false" => false,
        other => return Err(Failure::new(format!("':te' takes true or false, not '{other}'"))),
    };
    state
        .session
        .settings
        .set("show-trace", if on { "true" } else { "false" })
        .map_err(Failure::new)?;
    Ok(if on { "showing error traces" } else { "not showing error traces" }.to_owned())
}

/// Whether links are made that keep what was built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Yes,
    No,
}

/// Builds all outputs of a derivation.
fn build(state: &State, expression: &str, links: Links) -> Result<String, Failure> {
    let store = state.session.need_store()?;
    let drv = drv_path(state, expression)?;
    store.flush().map_err(Failure::new)?;
    let wanted = [DerivingPath::Built { drv, outputs: Outputs::All }];
    let running = state.session.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let built = realise::run_until(store, &state.session.settings, &wanted, running)?;
    let outputs: BTreeMap<&String, &StorePath> =
        built.iter().flat_map(|realised| &realised.outputs).collect();
    let mut text = String::from("This derivation produced the following outputs:");
    for (output, path) in outputs {
        text += &format!("\n  {output} -> {}", store.display(path));
        if links == Links::Yes {
            let link = format!("repl-result-{output}");
            store.make_root_link(std::path::Path::new(&link), path).map_err(Failure::new)?;
            text += &format!(" (link: {link})");
        }
    }
    Ok(text)
}

fn log(state: &State, expression: &str) -> Result<String, Failure> {
    let store = state.session.need_store()?;
    let drv = drv_path(state, expression)?;
    let log = legacy::store::log_of(store, &drv).ok_or_else(|| {
        let drv = store.display(&drv);
        Failure::new(format!("there is no log of '{drv}': it was not built here"))
    })?;
    Ok(String::from_utf8_lossy(&log).trim_end().to_owned())
}

/// The store path of the derivation that an expression is.
fn drv_path(state: &State, expression: &str) -> Result<StorePath, Failure> {
    state.with(expression, |m, v| {
        let path = drv_text(m, v)?;
        let dir = m.store_dir();
        dir.parse(&path).map_err(|e| Error::new(Class::Argument, format!("'{path}': {e}")))
    })
}

fn drv_text(m: &mut Machine, v: Value) -> Result<String, Error> {
    let attrs = match v.as_attrs() {
        Some(attrs) if m.is_derivation(attrs)? => attrs,
        _ => {
            let found = v.view().with_article();
            let message = format!("expected a derivation but found {found}: {}", m.preview(v));
            return Err(Error::new(Class::Type, message));
        }
    };
    let path = attrs.get(m.symbol("drvPath"));
    let path = path.ok_or_else(|| error::required_attr("drvPath", "a derivation"))?;
    let path = m.coerce_to_string(path, Coerce::PATH_TEXT, &mut ContextBuilder::new())?;
    Ok(path.to_text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = COMMANDS.iter().flat_map(|c| c.names).copied().collect();
        names.extend(MISSING.iter().flat_map(|(names, _)| *names));
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
    }
}
