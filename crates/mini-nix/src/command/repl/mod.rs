//! `mini-nix repl`: reads expressions, prints their values, and goes on.
//!
//! On a terminal with an editor for lines; otherwise lines are read as they come and only values are printed.
//! Errors are reports on standard error, and end nothing.

mod commands;
mod complete;
mod doc;
mod edit;
mod line;
mod print;
mod state;
mod terminal;

use std::io::{BufRead, IsTerminal, Write};

use clap::{Arg, ArgAction};

use self::{
    line::Line,
    print::Colors,
    state::{Loaded, State},
};
use crate::{
    args,
    exit::Failure,
    open::{Session, Writes},
};

/// Whether another input is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Away,
}

/// Runs the command.
///
/// # Errors
/// Usage, settings, a store that cannot be opened, a terminal that fails. What inputs do wrong ends nothing.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let about = "evaluate expressions as they are typed";
    let command = args::arguments(args::common("repl", about))
        .arg(several("file", "FILE", "make the attributes of a file variables").short('f'))
        .arg(several("expr", "EXPR", "make the attributes of an expression variables").short('E'))
        .arg(
            Arg::new("files")
                .num_args(0..)
                .value_name("FILES")
                .help("as with --file: a path, '<x>', or the address of a tarball"),
        )
        .after_help(format!(
            "Standard input that is no terminal is read line by line, and only values are printed.\n\n{}",
            commands::help()
        ));
    let matches = args::parse(command, "mini-nix repl", words)?;
    if matches.contains_id("arg-from-stdin") {
        let message = "'--arg-from-stdin' cannot be used: standard input is what is evaluated";
        return Err(Failure::usage("mini-nix repl", message));
    }
    let session = Session::open(&matches, Writes::Yes)?;
    let words = |name: &str| args::many(&matches, name).into_iter();
    let files = words("files").chain(words("file")).map(Loaded::File);
    let loads: Vec<Loaded> = files.chain(words("expr").map(Loaded::Expression)).collect();
    let is_interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let colors = match is_interactive && std::env::var_os("NO_COLOR").is_none() {
        true => Colors::Yes,
        false => Colors::No,
    };
    let mut state = State::new(session, matches, colors)?;
    if is_interactive {
        eprintln!("mini-nix {}\nType :? for help.", env!("CARGO_PKG_VERSION"));
    }
    for what in loads {
        if let Err(failure) = state.load(what) {
            complain(&failure);
        }
    }
    if is_interactive {
        terminal::run(state)?
    } else {
        piped(&mut state)?
    }
    Ok(0)
}

fn several(name: &'static str, value: &'static str, about: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).num_args(1).value_name(value);
    arg.action(ArgAction::Append).help(about)
}

/// Says what went wrong.
fn complain(failure: &Failure) {
    eprintln!("{}", crate::printable(&failure.text, std::io::stderr().is_terminal()));
}

/// Reads inputs from standard input, which is no terminal.
fn piped(state: &mut State) -> Result<(), Failure> {
    let mut input = String::new();
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut bytes = Vec::new();
        let n = stdin.read_until(b'\n', &mut bytes)?;
        input += &String::from_utf8_lossy(&bytes);
        if n > 0 && goes_on(state, &input) {
            continue;
        }
        if answer(state, &input)? == Go::Away || n == 0 {
            return Ok(());
        }
        input.clear();
    }
}

/// Whether an input is only the beginning of one.
fn goes_on(state: &State, input: &str) -> bool {
    let line = Line::parse(input);
    line.expression()
        .is_some_and(|text| state.session.evaluator.engine().is_unfinished(text.as_bytes()))
}

/// Does what an input asks for, and says what went wrong.
///
/// # Errors
/// Only when standard output cannot be written.
fn answer(state: &mut State, input: &str) -> Result<Go, Failure> {
    state.begin();
    let done = match Line::parse(input) {
        Line::Blank => return Ok(Go::On),
        Line::Command { name, argument } => commands::run(state, name, argument),
        Line::Bind { name, expression } => state.bind(name, expression).map(|()| Answer::Nothing),
        Line::Expression(text) => {
            let colors = state.colors;
            state.with(text, |m, v| print::print(m, v, 1, colors)).map(Answer::Text)
        }
    };
    // What was made known to the store during evaluation is written when somebody could look.
    let done = match &state.session.store {
        Some(store) => done.and_then(|done| store.flush().map(|()| done).map_err(Failure::new)),
        None => done,
    };
    match done {
        Ok(Answer::Text(text)) => say(&text)?,
        Ok(Answer::Nothing) => {}
        Ok(Answer::Goodbye) => return Ok(Go::Away),
        Err(failure) => complain(&failure),
    }
    Ok(Go::On)
}

/// What an input led to.
enum Answer {
    /// Nothing to say.
    Nothing,
    /// A text for standard output, without a line break at its end.
    Text(String),
    /// Nobody wants to go on.
    Goodbye,
}

fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    writeln!(stdout, "{}", crate::printable(text, is_terminal))?;
    // On a terminal values stand apart from the next prompt.
    if is_terminal {
        writeln!(stdout)?;
    }
    Ok(stdout.flush()?)
}
