//! Reports: errors as plain data, and their text.
//!
//! The answer comes first, then the place, then the way there, then the remedy.

use std::fmt::Write;

use super::{Frame, FrameKind, Mistake};
use crate::source::{Location, Origin, SourceMap};

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
    /// The whole line, tabs as four spaces; empty when the source is gone.
    pub source: String,
    /// Where in `source` the underline begins, in characters.
    pub start: usize,
    /// Characters to underline, at least one; to the end of the line if the place goes on.
    pub width: usize,
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

/// One step from a value to a part of it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(untagged)]
pub enum PathStep {
    /// Into an attribute.
    Name(String),
    /// Into an element of a list, from 0.
    Index(u64),
}

/// The steps as they are written in the language, such as `packages.web.flags[1]`.
fn path_text(path: &[PathStep]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            PathStep::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                let mut shown = Vec::new();
                crate::value::print::attr_name(name.as_bytes(), &mut shown);
                text += &String::from_utf8_lossy(&shown);
            }
            PathStep::Index(n) => {
                let _ = write!(text, "[{n}]");
            }
        }
    }
    text
}

/// An error as plain data.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
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

/// Excerpts shown at most, unless every step is asked for.
const MAX_EXCERPTS: usize = 3;
/// Steps of the trace shown at most, unless every step is asked for.
const MAX_STEPS: usize = 6;
/// Longest line of an excerpt in characters.
const MAX_LINE: usize = 160;

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
        Report {
            severity: "error",
            class: mistake.class.name(),
            code: format!("{}.{}", mistake.class.name(), mistake.number),
            path: Vec::new(),
            message: mistake.message.clone(),
            labels: primary.chain(others).collect(),
            help: mistake.helps.clone(),
            trace: frames
                .iter()
                .map(|frame| ReportFrame {
                    kind: frame.kind.name(),
                    text: frame.text.clone(),
                    label: frame.location.and_then(|l| label(l, "", false)),
                })
                .collect(),
            notes: mistake.notes.clone(),
            folded,
        }
    }

    /// The report as JSON, one object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|e| format!("{{\"message\":\"{e}\"}}"))
    }

    /// The report as text; its last line ends with a line feed.
    pub fn text(&self, style: Style) -> String {
        let (red, bold, blue, plain) = if style.color {
            ("\x1b[31;1m", "\x1b[1m", "\x1b[34;1m", "\x1b[0m")
        } else {
            ("", "", "", "")
        };
        let mut out = format!("{red}{}:{plain} {bold}{}{plain}\n", self.severity, self.message);
        let most = if style.full_trace { usize::MAX } else { MAX_EXCERPTS };
        let width = self.labels.iter().take(most).map(|l| l.line.to_string().len()).max();
        let width = width.unwrap_or(1);
        let mut last: Option<&Label> = None;
        for label in self.labels.iter().take(most) {
            if last.is_none_or(|last| last.file != label.file) {
                let place = format!("{}:{}:{}", label.file, label.line, label.column);
                let _ = writeln!(out, "   at {blue}{place}{plain}");
            }
            if last.is_none_or(|last| last.file != label.file || last.line != label.line) {
                let _ = writeln!(out, "  {:>width$} | {}", label.line, label.source);
            }
            let mark = if label.primary { "^" } else { "-" };
            let line = format!(
                "  {:>width$} | {:start$}{} {}",
                "",
                "",
                mark.repeat(label.width),
                label.text,
                start = label.start,
            );
            let _ = writeln!(out, "{}", line.trim_end());
            last = Some(label);
        }
        if !self.path.is_empty() {
            let _ = writeln!(out, "   while {}", path_text(&self.path));
        }
        self.write_trace(&mut out, style);
        for note in &self.notes {
            let _ = writeln!(out, "   note: {note}");
        }
        for help in &self.help {
            let _ = writeln!(out, "   help: {}", help.text);
        }
        out
    }

    fn write_trace(&self, out: &mut String, style: Style) {
        let mut n_hidden = self.folded;
        let mut shown = 0;
        let mut at = 0;
        while at < self.trace.len() {
            let step = &self.trace[at];
            let n_same = self.trace[at..].iter().take_while(|s| *s == step).count();
            at += n_same;
            let is_own_words = step.kind == FrameKind::Context.name();
            let is_last = at == self.trace.len();
            if !style.full_trace && shown >= MAX_STEPS && !is_own_words && !is_last {
                n_hidden += n_same as u64;
                continue;
            }
            shown += 1;
            let _ = write!(out, "   {}", step.text);
            if let Some(label) = &step.label {
                let _ = write!(out, " ({}:{}:{})", label.file, label.line, label.column);
            }
            if n_same > 1 {
                let _ = write!(out, ", {n_same} times");
            }
            out.push('\n');
        }
        if n_hidden > 0 {
            let _ = writeln!(out, "   ... {n_hidden} more steps (--show-trace)");
        }
    }
}

impl Label {
    fn new(sources: &SourceMap, location: Location, text: &str, primary: bool) -> Option<Label> {
        let source = sources.get(location.file)?;
        let bytes = &source.text;
        let start = (location.span.start as usize).min(bytes.len());
        let end = (location.span.end as usize).clamp(start, bytes.len());
        let line_start = bytes[..start].iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
        let line_end =
            bytes[start..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |p| start + p);
        let (line, _) = sources.line_column(location.file, start as u32);
        let before = String::from_utf8_lossy(&bytes[line_start..start]);
        let inside = String::from_utf8_lossy(&bytes[start..end.min(line_end).max(start)]);
        let whole = String::from_utf8_lossy(&bytes[line_start..line_end]);
        let mut shown: String = expand(&whole);
        let mut first = expand(&before).chars().count();
        // A long line shows the part around the place.
        if shown.chars().count() > MAX_LINE {
            let skip = first.saturating_sub(MAX_LINE / 2);
            let part: String = shown.chars().skip(skip).take(MAX_LINE).collect();
            shown = part;
            first -= skip;
        }
        let room = shown.chars().count().saturating_sub(first).max(1);
        Some(Label {
            primary,
            file: match &source.origin {
                Origin::Path(path) => String::from_utf8_lossy(path).into_owned(),
                Origin::Text(name) => format!("«{name}»"),
            },
            bytes: [location.span.start, location.span.end],
            line,
            column: before.chars().count() as u32 + 1,
            text: text.to_owned(),
            source: shown.trim_end().to_owned(),
            start: first,
            width: expand(&inside).trim_end().chars().count().clamp(1, room),
        })
    }
}

/// Tabs as four spaces; other control characters would disturb a terminal.
fn expand(text: &str) -> String {
    text.replace('\t', "    ").replace(|c: char| c.is_control(), "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::{Class, Error},
        source::{FileId, Source, Span},
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
            .with_sources(&sources);
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
