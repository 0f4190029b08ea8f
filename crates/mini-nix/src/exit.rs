//! How a command ends: exit codes and what is said on stderr.

/// A command that failed: the exit code and the text for stderr, already rendered.
///
/// The text has no final newline and may be empty when everything was said before.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1 usage, evaluation, host or store; 100–111 builds; see docs/cli.md.
    pub(crate) code: u8,
    /// Whole report: begins with `error: `.
    pub(crate) text: String,
}

impl Failure {
    /// A failure of the user's words or of the host: exit code 1.
    pub(crate) fn new(message: impl std::fmt::Display) -> Failure {
        Failure { code: 1, text: format!("error: {message}") }
    }

    /// A wrong command line: exit code 1 and where to read more.
    pub(crate) fn usage(command: &str, message: impl std::fmt::Display) -> Failure {
        Failure { code: 1, text: format!("error: {message}\nTry '{command} --help' for more.") }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(error)
    }
}
