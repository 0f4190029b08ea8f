//! What nixlib was told about the machine, so that it can be looked at again.
//!
//! Every place that an answer came from is noted, also those where nothing was found. While none of them changed,
//! every answer is the same; otherwise the questions are asked again and the answers compared.
//!
//! Trap: a place is looked at as its links lead. A link between that leads to another name of the same file is
//! not seen.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix_eval::host::Stamp;
use nix_formats::hash::{Hash, HashAlgo, Hasher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HostTools;

/// Places that were looked at, and questions that were asked.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    places: BTreeSet<PathBuf>,
    questions: Vec<Question>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    kind: String,
    question: Value,
    /// SHA-256 of the answer in base 16.
    answer: String,
}

/// As it is written into an answer of an evaluation.
#[derive(Serialize, Deserialize)]
struct Facts {
    questions: Vec<Question>,
    places: Vec<PathBuf>,
    /// Of the places; base 16.
    stamp: Option<String>,
}

impl Seen {
    /// Notes a place before it is looked at.
    pub(super) fn look_at(&self, place: &Path) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.places.contains(place) {
            noted.places.insert(place.to_owned());
        }
    }

    /// Notes a question and its answer.
    pub(super) fn asked(&self, kind: &str, question: &Value, answer: &Result<Value, String>) {
        let answer = digest(answer);
        let asked = Question { kind: kind.to_owned(), question: question.clone(), answer };
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.questions.contains(&asked) {
            noted.questions.push(asked);
        }
    }
}

impl HostTools {
    /// All that was asked and looked at so far; `None` if nothing was asked.
    ///
    /// The stamp is made now, after the places were looked at, and counts only if they have not changed since: the
    /// questions are asked again of somebody who remembers nothing.
    pub(crate) fn facts(&self) -> Option<String> {
        let noted = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.questions.is_empty() {
            return None;
        }
        let places: Vec<PathBuf> = noted.places.iter().cloned().collect();
        let facts = Facts { questions: noted.questions.clone(), places, stamp: None };
        serde_json::to_string(&facts).ok()
    }
}

/// Whether the facts are as they were: the facts to note from now on.
pub(crate) fn still(facts: &str) -> Option<String> {
    let known: Facts = serde_json::from_str(facts).ok()?;
    let stamp = stamp_of(&known.places);
    if stamp.is_some() && stamp == known.stamp {
        return Some(facts.to_owned());
    }
    let tools = HostTools::default();
    for Question { kind, question, answer } in &known.questions {
        if digest(&tools.answer(kind, question)) != *answer {
            return None;
        }
    }
    // The stamp is from before the questions, and of the same places only.
    let noted = tools.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
    let same = noted.places.iter().eq(&known.places);
    let places = noted.places.iter().cloned().collect();
    let facts = Facts { questions: known.questions, places, stamp: stamp.filter(|_| same) };
    serde_json::to_string(&facts).ok()
}

fn digest(answer: &Result<Value, String>) -> String {
    let text = match answer {
        Ok(value) => format!("ok {value}"),
        Err(message) => format!("error {message}"),
    };
    Hash::of(HashAlgo::Sha256, text).to_base16()
}

fn stamp_of(places: &[PathBuf]) -> Option<String> {
    let stamp = Stamp::of_places(places.iter().map(PathBuf::as_path))?;
    let mut hasher = Hasher::new(HashAlgo::Sha256);
    hasher.update(&stamp.to_bytes());
    Some(hasher.finish().to_base16())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facts_hold_while_the_machine_answers_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("there");
        let tools = HostTools::default();
        assert_eq!(tools.facts(), None);
        tools.answer("exists", &json!({ "path": place })).expect("an answer");
        let facts = tools.facts().expect("something was asked");
        let renewed = still(&facts).expect("nothing changed");
        assert_ne!(renewed, facts, "the stamp is added");
        assert_eq!(still(&renewed).as_ref(), Some(&renewed));
        std::fs::write(&place, "").expect("written");
        assert_eq!(still(&renewed), None);
    }
}
