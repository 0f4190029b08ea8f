//! Reports as text.
//!
//! The answer comes first, then the place that the user wrote, then the way there, then the remedy.

use std::fmt::Write;

use super::{Label, PathStep, Report, ReportFrame};
use crate::error::FrameKind;

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
/// Lines of a message shown at most, and bytes.
const MAX_LINES: usize = 60;
const MAX_BYTES: usize = 64 << 10;
/// Members of a cycle shown at most.
const MAX_CYCLE: usize = 8;

struct Colors {
    red: &'static str,
    bold: &'static str,
    blue: &'static str,
    plain: &'static str,
}

/// Characters that would do something to a terminal, or turn the order of text around.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with control characters, other than line feed and tab, written as `\x1b` and the like.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if is_dangerous(c) && (c as u32) < 0x80 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if is_dangerous(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// The text without the sequences that choose colours: authors of libraries put them into what they throw, and
/// reports have their own.
fn without_colors(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let parameters = &rest[at + 2..];
        let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
        match end {
            Some(end) if parameters[end..].starts_with('m') => {
                out.push_str(&rest[..at]);
                rest = &parameters[end + 1..];
            }
            _ => {
                out.push_str(&rest[..at + 2]);
                rest = parameters;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A printable text of at most so many lines and bytes, unless everything is asked for.
fn shortened(text: &str, style: Style) -> String {
    if style.full_trace || (text.len() <= MAX_BYTES && text.lines().count() <= MAX_LINES) {
        return printable(text);
    }
    let mut end = 0;
    for line in text.split_inclusive('\n').take(MAX_LINES) {
        end += line.len();
        if end > MAX_BYTES {
            break;
        }
    }
    let mut end = end.min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (shown, rest) = text.split_at(end);
    let n_lines = rest.lines().count();
    format!("{}\n   ... {n_lines} more lines (--show-trace)", printable(shown.trim_end()))
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
    printable(&text)
}

impl Report {
    /// The report as text; its last line ends with a line feed. Control characters that came from the program
    /// are written out.
    pub fn text(&self, style: Style) -> String {
        let colors = if style.color {
            Colors { red: "\x1b[31;1m", bold: "\x1b[1m", blue: "\x1b[34;1m", plain: "\x1b[0m" }
        } else {
            Colors { red: "", bold: "", blue: "", plain: "" }
        };
        let mut out = String::new();
        self.write(&mut out, style, &colors);
        for further in &self.further {
            further.write(&mut out, style, &colors);
        }
        if !self.further.is_empty() {
            let n = self.further.len() + 1;
            let file = self.labels.first().map_or("this text", |label| &label.file);
            let _ = writeln!(out, "{n} mistakes in {}", printable(file));
        }
        out
    }

    fn write(&self, out: &mut String, style: Style, colors: &Colors) {
        let Colors { red, bold, plain, .. } = colors;
        let message = match self.class {
            "throw" | "abort" => shortened(&without_colors(&self.message), style),
            _ => shortened(&self.message, style),
        };
        let _ = writeln!(out, "{red}{}:{plain} {bold}{message}{plain}", self.severity);
        match self.users_step() {
            // The place that the user wrote comes first, and that of the library in one line.
            Some(step) => {
                let label = step.label.clone().map(|label| Label {
                    primary: true,
                    text: format!("here, {}", step.text),
                    ..label
                });
                write_excerpts(out, label.as_slice(), usize::MAX, colors);
                if let Some(first) = self.labels.first() {
                    let text = if first.text.is_empty() { "" } else { ": " };
                    let _ = writeln!(
                        out,
                        "   raised at {}{text}{}",
                        printable(&first.place()),
                        printable(&first.text)
                    );
                }
                if style.full_trace {
                    write_excerpts(out, &self.labels, usize::MAX, colors);
                }
            }
            None => {
                let most = if style.full_trace { usize::MAX } else { MAX_EXCERPTS };
                write_excerpts(out, &self.labels, most, colors);
            }
        }
        if !self.path.is_empty() {
            let _ = writeln!(out, "   while {}", path_text(&self.path));
        }
        self.write_cycle(out);
        self.write_trace(out, style);
        for note in &self.notes {
            let _ = writeln!(out, "   note: {}", shortened(note, style));
        }
        for help in &self.help {
            let _ = writeln!(out, "   help: {}", shortened(&help.text, style));
        }
    }

    /// The innermost step that lies in a file of the user, if the mistake itself lies in a library.
    fn users_step(&self) -> Option<&ReportFrame> {
        if !self.labels.first()?.library {
            return None;
        }
        self.trace.iter().find(|step| step.label.as_ref().is_some_and(|label| !label.library))
    }

    fn write_cycle(&self, out: &mut String) {
        if self.cycle.is_empty() {
            return;
        }
        let _ = writeln!(out, "   the cycle:");
        let shown = |label: &Label| match &label.excerpt.name {
            Some(name) => format!("{name} = {}", label.excerpt.inside),
            None => label.excerpt.inside.clone(),
        };
        let most = self.cycle.len().min(MAX_CYCLE);
        let width = self.cycle[..most].iter().map(|label| shown(label).chars().count()).max();
        let width = width.unwrap_or(0);
        for (i, label) in self.cycle[..most].iter().enumerate() {
            let is_last = i + 1 == self.cycle.len();
            let back = if is_last { "  (back to the first line)" } else { "" };
            let place = printable(&label.place());
            let _ = writeln!(out, "     {:width$}   {place}{back}", shown(label));
        }
        if self.cycle.len() > most {
            let _ = writeln!(out, "     ... {} more ...", self.cycle.len() - most);
        }
    }

    fn write_trace(&self, out: &mut String, style: Style) {
        let mut n_hidden = self.folded;
        let mut hidden_files: Vec<&str> = Vec::new();
        let mut shown = 0;
        let mut at = 0;
        while at < self.trace.len() {
            let step = &self.trace[at];
            let n_same = self.trace[at..].iter().take_while(|s| *s == step).count();
            at += n_same;
            let is_own_words = step.kind == FrameKind::Context.name();
            let is_derivation = step.kind == FrameKind::Derivation.name();
            let is_last = at == self.trace.len();
            let library = step.label.as_ref().filter(|label| label.library);
            let is_wanted = is_own_words
                || is_derivation
                || is_last
                || (library.is_none() && shown < MAX_STEPS);
            if !style.full_trace && !is_wanted {
                n_hidden += n_same as u64;
                if let Some(label) = library
                    && !hidden_files.contains(&label.file.as_str())
                {
                    hidden_files.push(&label.file);
                }
                continue;
            }
            shown += 1;
            let _ = write!(out, "   {}", shortened(&without_colors(&step.text), style));
            if let Some(label) = &step.label {
                let _ = write!(out, " ({})", printable(&label.place()));
            }
            if n_same > 1 {
                let _ = write!(out, ", {n_same} times");
            }
            out.push('\n');
        }
        if n_hidden > 0 {
            let files = match &hidden_files[..] {
                [] => String::new(),
                files if files.len() <= 3 => format!(" in {}", files.join(", ")),
                files => format!(" in {} and {} other files", files[0], files.len() - 1),
            };
            let _ =
                writeln!(out, "   ... {n_hidden} more steps{} (--show-trace)", printable(&files));
        }
    }
}

/// Lines of sources with labels under them, `most` labels at most.
fn write_excerpts(out: &mut String, labels: &[Label], most: usize, colors: &Colors) {
    let Colors { blue, plain, .. } = colors;
    let width = labels.iter().take(most).map(|l| l.line.to_string().len()).max();
    let width = width.unwrap_or(1);
    let mut last: Option<&Label> = None;
    for label in labels.iter().take(most) {
        if last.is_none_or(|last| last.file != label.file) {
            let _ = writeln!(out, "   at {blue}{}{plain}", printable(&label.place()));
        }
        let excerpt = &label.excerpt;
        if last.is_none_or(|last| last.file != label.file || last.line != label.line) {
            let line = format!("  {:>width$} | {}", label.line, excerpt.line);
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let mark = if label.primary { "^" } else { "-" };
        let line = format!(
            "  {:>width$} | {:start$}{} {}",
            "",
            "",
            mark.repeat(excerpt.width),
            printable(&label.text),
            start = excerpt.start,
        );
        let _ = writeln!(out, "{}", line.trim_end());
        last = Some(label);
    }
}
