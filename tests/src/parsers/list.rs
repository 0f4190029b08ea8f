//! The list of texts that rnix and we judge differently (`tests/parsers.tsv`).

use regex_automata::meta::Regex;

use super::Verdict;
use crate::bed::Bed;

/// Whose verdict is that of real Nix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Ours,
    Rnix,
}

/// A row: a kind of difference.
pub(crate) struct Row {
    pub(crate) id: String,
    /// Who accepts such a text.
    accepts: Side,
    pub(crate) right: Side,
    /// What the other says.
    message: Regex,
    /// What such a text contains.
    text: Regex,
    pub(crate) example: String,
}

/// The list.
pub(crate) struct List {
    pub(crate) rows: Vec<Row>,
}

impl List {
    /// Lines of `id, who accepts, who is right, message of the other, text, example, reason`, parted by tabs;
    /// message and text are regular expressions, the example is a JSON string.
    ///
    /// # Errors
    /// A row that is not understood.
    pub(crate) fn read(bed: Bed) -> Result<List, String> {
        let file = bed.tests.join("parsers.tsv");
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut rows = Vec::new();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [id, accepts, right, message, text, example, _reason] = fields[..] else {
                return Err(format!("parsers.tsv: seven fields are needed: {line}"));
            };
            let side = |text: &str| match text {
                "ours" => Ok(Side::Ours),
                "rnix" => Ok(Side::Rnix),
                _ => Err(format!("parsers.tsv: {id}: 'ours' or 'rnix', not '{text}'")),
            };
            let regex = |text: &str| {
                Regex::new(&format!("(?s){text}"))
                    .map_err(|e| format!("parsers.tsv: {id}: {text}: {e}"))
            };
            rows.push(Row {
                id: id.to_owned(),
                accepts: side(accepts)?,
                right: side(right)?,
                message: regex(message)?,
                text: regex(text)?,
                example: serde_json::from_str(example)
                    .map_err(|e| format!("parsers.tsv: {id}: {example}: {e}"))?,
            });
        }
        Ok(List { rows })
    }

    /// Whether a difference is listed.
    pub(crate) fn excuse(&self, ours: &Verdict, rnix: &Verdict, text: &str) -> bool {
        let (accepts, message) = match (ours, rnix) {
            (Verdict::Accepted, Verdict::Refused(message)) => (Side::Ours, message),
            (Verdict::Refused(message), Verdict::Accepted) => (Side::Rnix, message),
            _ => return false,
        };
        self.rows.iter().any(|row| {
            row.accepts == accepts && row.message.is_match(message) && row.text.is_match(text)
        })
    }
}
