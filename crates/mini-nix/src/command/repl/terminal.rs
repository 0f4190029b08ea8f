//! The prompt on a terminal: editing, completion, a history that stays, Ctrl-C.
//!
//! While a line is edited the terminal gives Ctrl-C to the editor, which drops the input. While something is
//! evaluated or built, it is a signal, which stops that.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    sync::PoisonError,
};

use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};
use signal_hook::{consts::SIGINT, iterator::Signals};

use super::{Go, answer, complete, goes_on, state::State};
use crate::exit::Failure;

const PROMPT: &str = "nix-repl> ";
/// Inputs that are remembered.
const MAX_HISTORY: usize = 10_000;

/// Reads inputs until somebody ends it.
///
/// # Errors
/// A terminal that cannot be used.
pub(super) fn run(state: State) -> Result<(), Failure> {
    stop_on_signal(&state)?;
    let state = Rc::new(RefCell::new(state));
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(MAX_HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(failed)?
        .build();
    let mut editor: Editor<Assistant, FileHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Assistant { state: state.clone() }));
    let history = history_file(&|name| std::env::var(name).ok());
    if let Some(file) = &history {
        // There is none before the first time.
        let _ = editor.load_history(file);
    }
    loop {
        match editor.readline(PROMPT) {
            Ok(input) => {
                remember(&mut editor, history.as_deref(), &input);
                let mut state = state.borrow_mut();
                if answer(&mut state, &input)? == Go::Away {
                    return Ok(());
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(e) => return Err(failed(e)),
        }
    }
}

fn failed(e: ReadlineError) -> Failure {
    Failure::new(format!("cannot read from the terminal: {e}"))
}

/// From now on Ctrl-C stops what is evaluated or built, and not the program.
fn stop_on_signal(state: &State) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT])?;
    let running = state.session.running.clone();
    // Lives as long as the program.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            running.lock().unwrap_or_else(PoisonError::into_inner).cancel();
        }
    })?;
    Ok(())
}

/// Adds an input to the history and its file. A history that cannot be written is no reason to stop.
fn remember(editor: &mut Editor<Assistant, FileHistory>, file: Option<&Path>, input: &str) {
    if input.trim().is_empty() || !editor.add_history_entry(input).unwrap_or(false) {
        return;
    }
    let Some(file) = file else { return };
    if let Some(folder) = file.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let _ = editor.append_history(file);
}

/// Where inputs are remembered: below `NIX_STATE_HOME`, `XDG_STATE_HOME`, or the home directory.
fn history_file(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let given = |name: &str| environment(name).filter(|folder| folder.starts_with('/'));
    let folder = match (given("NIX_STATE_HOME"), given("XDG_STATE_HOME"), given("HOME")) {
        (Some(own), _, _) => PathBuf::from(own),
        (None, Some(state), _) => Path::new(&state).join("mini-nix"),
        (None, None, Some(home)) => Path::new(&home).join(".local/state/mini-nix"),
        (None, None, None) => return None,
    };
    Some(folder.join("repl-history"))
}

/// What the editor asks about an input.
struct Assistant {
    state: Rc<RefCell<State>>,
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete::candidates(&self.state.borrow(), line, pos))
    }
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match goes_on(&self.state.borrow(), context.input()) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_lies_in_the_users_state_directory() {
        let file = |variables: &'static [(&str, &str)]| {
            history_file(&|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(file(&[("HOME", "/h")]), path("/h/.local/state/mini-nix/repl-history"));
        assert_eq!(
            file(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]),
            path("/s/mini-nix/repl-history")
        );
        assert_eq!(
            file(&[("XDG_STATE_HOME", "/s"), ("NIX_STATE_HOME", "/n")]),
            path("/n/repl-history")
        );
        // Relative ones do not count.
        assert_eq!(file(&[("XDG_STATE_HOME", "s")]), None);
    }
}
