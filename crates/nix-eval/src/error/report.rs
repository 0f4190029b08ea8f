//! Reports: errors as plain data, and their text.

use super::{Frame, Mistake};
use crate::source::SourceMap;

/// A remedy.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Help {
    /// What to do.
    pub text: String,
    /// Changes that do it.
    pub edits: Vec<Edit>,
}

/// A change of a source.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Edit {
    /// The file.
    pub file: String,
    /// The bytes to replace: first, and one past the last.
    pub bytes: [u32; 2],
    /// What to put there.
    pub new: String,
    /// Whether the change certainly removes the error.
    pub sure: bool,
}

/// A place and a text about it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Label {
    /// Whether it is the main place.
    pub primary: bool,
    /// The file, or a name for text that is in none.
    pub file: String,
    /// The bytes: first, and one past the last.
    pub bytes: [u32; 2],
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// May be empty.
    pub text: String,
}

/// A step of a trace.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct ReportFrame {
    /// `call`, `attribute`, `import`, `builtin`, `derivation` or `context`.
    pub kind: &'static str,
    /// `while …`, or the author's own words.
    pub text: String,
    /// Where.
    pub label: Option<Label>,
}

/// An error as plain data.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `error`.
    pub severity: &'static str,
    /// The class of the language.
    pub class: &'static str,
    /// One sentence.
    pub message: String,
    /// Places, the main one first.
    pub labels: Vec<Label>,
    /// Remedies.
    pub help: Vec<Help>,
    /// The way from the mistake to whoever asked, outermost last.
    pub trace: Vec<ReportFrame>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Steps left out of `trace`.
    pub folded: u64,
}

/// How to render.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Whether to use colours.
    pub color: bool,
    /// Whether to show every step of the trace.
    pub full_trace: bool,
}

impl Report {
    pub(crate) fn new(
        mistake: &Mistake,
        frames: &[Frame],
        folded: u64,
        sources: Option<&SourceMap>,
    ) -> Report {
        let _ = (frames, sources);
        Report {
            severity: "error",
            class: mistake.class.name(),
            message: mistake.message.clone(),
            labels: Vec::new(),
            help: mistake.helps.clone(),
            trace: Vec::new(),
            notes: mistake.notes.clone(),
            folded,
        }
    }

    /// The report as text.
    pub fn text(&self, style: Style) -> String {
        let _ = style;
        format!("error: {}\n", self.message)
    }
}
