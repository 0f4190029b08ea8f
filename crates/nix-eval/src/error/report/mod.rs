//! Reports: errors as plain data.
//!
//! A report holds no values and no session, so it outlives both. [`Report::text`] renders it for people,
//! [`Report::to_json`] for programs.

mod label;
mod text;

use serde::Serialize;

pub use self::{
    label::{Excerpt, Label, Position},
    text::{Style, printable},
};
use super::{Frame, FrameKind, Mistake};
use crate::source::{Location, SourceMap};

/// A remedy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Help {
    /// What to do.
    pub text: String,
    /// Changes that do it.
    pub edits: Vec<Edit>,
}

/// A change of a source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
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

/// A step of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReportFrame {
    /// `call`, `attribute`, `import`, `builtin`, `derivation` or `context`.
    pub kind: &'static str,
    /// `while …`, or the author's own words.
    pub text: String,
    /// Where: the call if that is known, else what was called.
    pub label: Option<Label>,
}

/// One step from a value to a part of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum PathStep {
    /// Into an attribute.
    Name(String),
    /// Into an element of a list, from 0.
    Index(u64),
}

/// An error as plain data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// `error`.
    pub severity: &'static str,
    /// The class of the language.
    pub class: &'static str,
    /// The class and a stable number within it, such as `type.2`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Places, the main one first.
    pub labels: Vec<Label>,
    /// The way from the value that was asked for to the part of it that failed.
    pub path: Vec<PathStep>,
    /// What needs what, for a value that needs itself; the last needs the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cycle: Vec<Label>,
    /// Remedies.
    pub help: Vec<Help>,
    /// The way from the mistake to whoever asked, outermost last.
    pub trace: Vec<ReportFrame>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Steps left out of `trace`.
    pub folded: u64,
    /// Other mistakes that were seen at the same time, such as more unbound names of the same file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Report>,
}

impl Report {
    pub(crate) fn new(
        mistake: &Mistake,
        frames: &[Frame],
        folded: u64,
        sources: Option<&SourceMap>,
    ) -> Report {
        let label = |location: Location, text: &str, primary| {
            sources.and_then(|sources| Label::new(sources, location, text, primary))
        };
        let primary = mistake.primary.iter().filter_map(|(l, text)| label(*l, text, true));
        let others = mistake.labels.iter().filter_map(|(l, text)| label(*l, text, false));
        let frame = |frame: &Frame| ReportFrame {
            kind: frame.kind.name(),
            text: frame.text.clone(),
            label: frame.site.or(frame.location).and_then(|l| label(l, "", false)),
        };
        let mut help = mistake.helps.clone();
        if let (Some(sources), Some((place, _)), Some((old, new)), Some(help)) =
            (sources, &mistake.primary, &mistake.instead, help.first_mut())
            && sources.text(*place) == *old
            && let Some(label) = label(*place, "", true)
        {
            let (file, bytes) = (label.file, label.bytes);
            help.edits.push(Edit { file, bytes, new: new.clone(), sure: false });
        }
        Report {
            severity: "error",
            class: mistake.class.name(),
            code: format!("{}.{}", mistake.class.name(), mistake.number),
            message: mistake.message.clone(),
            labels: primary.chain(others).collect(),
            path: Vec::new(),
            cycle: mistake.cycle().iter().filter_map(|l| label(*l, "", false)).collect(),
            help,
            trace: frames.iter().map(frame).collect(),
            notes: mistake.notes.clone(),
            folded,
            further: mistake.further.iter().map(|m| Report::new(m, &[], 0, sources)).collect(),
        }
    }

    /// Shows where the user's files name what the mistake is about. If the mistake itself lies in a library,
    /// or nowhere, these places come first.
    pub(crate) fn name_places(&mut self, places: &[Location], sources: &SourceMap) {
        let mut places =
            places.iter().filter_map(|&place| Label::new(sources, place, "named here", false));
        match self.labels.first() {
            Some(first) if !first.library => {
                let is_inside = |label: &Label| {
                    label.file == first.file
                        && first.bytes[0] <= label.bytes[0]
                        && label.bytes[1] <= first.bytes[1]
                };
                let others: Vec<Label> = places.collect();
                if !others.iter().any(is_inside) {
                    self.labels.extend(others);
                }
            }
            first => {
                let Some(place) = places.next() else { return };
                let first = first.cloned();
                if first.is_some() {
                    self.labels.remove(0);
                }
                let text = "nothing is there".to_owned();
                self.labels.insert(0, Label { primary: true, text, ..place });
                self.labels.extend(places);
                if let Some(label) = first {
                    let label = Some(Label { primary: false, text: String::new(), ..label });
                    let text = "while looking there".to_owned();
                    let kind = FrameKind::Builtin.name();
                    self.trace.insert(0, ReportFrame { kind, text, label });
                }
            }
        }
    }

    /// The report as JSON, one object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"message\":\"{e}\"}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::{Class, Error, FrameKind},
        source::{FileId, Origin, Source, Span},
    };

    #[test]
    fn the_answer_comes_first_and_the_place_is_underlined() {
        let sources = std::sync::Arc::new(SourceMap::default());
        let text: &[u8] = b"let\n  x = 1;\nin { a\t= x.htps; }\n";
        let file = sources
            .add(Source { origin: Origin::Path((*b"/w/attr.nix").into()), text: text.into() });
        assert_eq!(file, FileId(0));
        let span = |start, end| Location { file, span: Span { start, end } };
        let error = Error::new(Class::MissingAttr, "attribute 'htps' missing")
            .at(span(24, 28), "not in this set")
            .label(span(6, 12), "made here")
            .hint("did you mean 'https'?")
            .frame(FrameKind::Call, "while calling 'f'", None)
            .frame(FrameKind::Call, "while calling 'f'", None)
            .with_sources(&sources, |_| Vec::new());
        let expected = "\
error: attribute 'htps' missing
   at /w/attr.nix:3:12
  3 | in { a    = x.htps; }
    |               ^^^^ not in this set
  2 |   x = 1;
    |   ------ made here
   while calling 'f', 2 times
   help: did you mean 'https'?
";
        assert_eq!(error.report().text(Style::default()), expected);
        assert!(error.report().to_json().contains("\"class\":\"missing-attr\""));
    }
}
