//! Places in sources, ready to be shown.

use serde::Serialize;

use crate::source::{Location, Origin, SourceMap};

/// A place as editors count it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Position {
    /// Line, from 0.
    pub line: u32,
    /// UTF-16 units from the beginning of the line.
    pub character: u32,
}

/// A place and a text about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Label {
    /// Whether it is the main place.
    pub primary: bool,
    /// The file, or a name for text that is in none.
    pub file: String,
    /// The bytes: first, and one past the last.
    pub bytes: [u32; 2],
    /// The first character, as editors count.
    pub start: Position,
    /// Behind the last character, as editors count.
    pub end: Position,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// May be empty.
    pub text: String,
    /// Whether the file belongs to a library: to the store, the search path or an embedded tree.
    pub library: bool,
    /// The line that is shown.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// A line of a source with a part underlined.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excerpt {
    /// The line, tabs as four spaces, control characters as `?`; only the part around the place if it is long.
    pub line: String,
    /// Where in `line` the underline begins, in characters.
    pub start: usize,
    /// Characters to underline, at least one; to the end of the line if the place goes on.
    pub width: usize,
    /// The place itself, without what `line` adds around it: its first line, shortened.
    pub inside: String,
    /// The name that the place is the value of, as far as the text says so.
    pub name: Option<String>,
}

/// Longest line of an excerpt in characters.
const MAX_LINE: usize = 160;
/// Longest text of a place in characters.
const MAX_INSIDE: usize = 48;

impl Label {
    pub(super) fn new(
        sources: &SourceMap,
        location: Location,
        text: &str,
        primary: bool,
    ) -> Option<Label> {
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
        let inside = expand(&inside);
        Some(Label {
            primary,
            file: match &source.origin {
                Origin::Path(path) => String::from_utf8_lossy(path).into_owned(),
                Origin::Text(name) => format!("«{name}»"),
            },
            bytes: [location.span.start, location.span.end],
            start: position(bytes, start),
            end: position(bytes, end),
            line,
            column: before.chars().count() as u32 + 1,
            text: text.to_owned(),
            library: sources.is_library(&source.origin),
            excerpt: Excerpt {
                line: shown.trim_end().to_owned(),
                start: first,
                width: inside.trim_end().chars().count().clamp(1, room),
                inside: shorten(&inside, end > line_end),
                name: bound_name(&bytes[..start]),
            },
        })
    }

    /// `file:line:column`.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

fn position(bytes: &[u8], at: usize) -> Position {
    let before = &bytes[..at];
    let line = before.iter().filter(|&&b| b == b'\n').count() as u32;
    let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |p| p + 1);
    let text = String::from_utf8_lossy(&before[start..]);
    Position { line, character: text.encode_utf16().count() as u32 }
}

fn shorten(text: &str, goes_on: bool) -> String {
    let text = text.trim();
    let short: String = text.chars().take(MAX_INSIDE).collect();
    if goes_on || short.len() < text.len() { format!("{short}…") } else { short }
}

/// The name in front of the `=` or `?` that a text ends with.
fn bound_name(before: &[u8]) -> Option<String> {
    let before = before.trim_ascii_end();
    // Parentheses around a value are not part of its place.
    let end = before.iter().rposition(|&b| b != b'(' && !b.is_ascii_whitespace())?;
    let before = &before[..=end];
    let before = before.strip_suffix(b"=").or_else(|| before.strip_suffix(b"?"))?;
    if before.ends_with(b"=") || before.ends_with(b"!") {
        return None;
    }
    let before = before.trim_ascii_end();
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"_'-.\"".contains(b);
    let start = before.iter().rposition(|b| !is_part(b)).map_or(0, |p| p + 1);
    let name = String::from_utf8_lossy(&before[start..]).into_owned();
    if name.is_empty() { None } else { Some(name) }
}

/// Tabs as four spaces; other control characters would disturb a terminal.
fn expand(text: &str) -> String {
    text.replace('\t', "    ").replace(|c: char| super::text::is_dangerous(c), "?")
}
