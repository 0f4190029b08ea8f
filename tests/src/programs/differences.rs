//! The list of known differences (`tests/differences.tsv`), and which of them were met.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use regex_automata::meta::Regex;

use super::answer::{Answer, as_of_28};

/// A row of the list.
struct Row {
    id: String,
    /// What versions of the peer begin with.
    versions: Vec<String>,
    ours: Ours,
    theirs: Regex,
    program: Regex,
}

/// What our answer must be.
enum Ours {
    Pattern(Regex),
    /// The peer's, with values for some of its `<CODE>`: what it leaves unevaluated is evaluated here.
    Evaluated,
}

impl Ours {
    fn is_met(&self, ours: &str, theirs: &str) -> bool {
        match self {
            Ours::Pattern(pattern) => pattern.is_match(ours),
            Ours::Evaluated => {
                let even =
                    |text: &str| String::from_utf8_lossy(&as_of_28(text.as_bytes())).into_owned();
                is_evaluated(&even(ours), &even(theirs))
            }
        }
    }
}

/// Whether `ours` is `theirs` with something in place of each `<CODE>`.
fn is_evaluated(ours: &str, theirs: &str) -> bool {
    let Some((before, last)) = theirs.rsplit_once("<CODE>") else { return ours == theirs };
    let mut pieces = before.split("<CODE>");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = ours.strip_prefix(first) else { return false };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// The list; clones share what was met.
#[derive(Clone)]
pub(crate) struct Differences {
    rows: Arc<Vec<Row>>,
    met: Arc<Mutex<BTreeSet<String>>>,
}

impl Differences {
    /// From a text of lines `id, versions, our answer, peer's answer, program, reason`, parted by tabs;
    /// the three in the middle are regular expressions, or `EVALUATED` for our answer.
    ///
    /// # Errors
    /// A row that is not understood.
    pub(crate) fn parse(text: &str) -> Result<Differences, String> {
        let mut rows = Vec::new();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [id, versions, ours, theirs, program, _reason] = fields[..] else {
                return Err(format!("differences.tsv: six fields are needed: {line}"));
            };
            let regex = |text: &str| {
                Regex::new(&format!("(?s){text}"))
                    .map_err(|e| format!("differences.tsv: {id}: {text}: {e}"))
            };
            rows.push(Row {
                id: id.to_owned(),
                versions: versions.split(' ').map(str::to_owned).collect(),
                ours: match ours {
                    "EVALUATED" => Ours::Evaluated,
                    pattern => Ours::Pattern(regex(pattern)?),
                },
                theirs: regex(theirs)?,
                program: regex(program)?,
            });
        }
        Ok(Differences { rows: Arc::new(rows), met: Arc::default() })
    }

    /// Whether a difference is listed.
    pub(crate) fn excuse(
        &self,
        version: &str,
        ours: &Answer,
        theirs: &Answer,
        program: &str,
    ) -> bool {
        let (ours, theirs) = (ours.line(), theirs.line());
        let row = self.rows.iter().find(|row| {
            row.versions.iter().any(|v| version.starts_with(v.as_str()))
                && row.ours.is_met(&ours, &theirs)
                && row.theirs.is_match(&theirs)
                && row.program.is_match(program)
        });
        let Some(row) = row else { return false };
        self.met.lock().unwrap_or_else(|e| e.into_inner()).insert(row.id.clone());
        true
    }

    /// Rows for a version that were not met, but for those that are too rare for one run.
    pub(crate) fn unmet(&self, version: &str) -> Vec<String> {
        let met = self.met.lock().unwrap_or_else(|e| e.into_inner());
        let of_version =
            self.rows.iter().filter(|r| r.versions.iter().any(|v| version.starts_with(v.as_str())));
        let due = of_version.filter(|r| !r.id.starts_with("rare-"));
        due.filter(|r| !met.contains(&r.id)).map(|r| r.id.clone()).collect()
    }
}
