//! Answers of whole evaluations, kept on disk with everything they depend on.
//!
//! A [`Recording`](crate::host::Recording) host notes every question of an evaluation; [`Answers::keep`] writes the
//! answer with the questions, and [`Answers::find`] gives it back if a host answers all of them as before. What
//! cannot be asked again without evaluating (the clock, a failure that may pass) is never kept, and
//! what the evaluation said is part of the answer, to be said again.
//!
//! The cache only saves time. A file that is missing, damaged, or of another program is no answer; one that
//! cannot be written is not missed. Several processes may use a directory at once: files are written under
//! another name first.
//!
//! Trap: the key has to name everything that is no question to the host: the program, the expression, its
//! arguments, the options of the engine.

mod format;

use std::{collections::BTreeMap, io, path::PathBuf};

use nix_formats::hash::{Hash, HashAlgo, Hasher};

use crate::{
    host::{Host, HostCx, Input, Record, Said, Stamp},
    kept,
};

/// A directory of answers.
#[derive(Clone, Debug)]
pub struct Answers {
    dir: PathBuf,
    max_bytes: u64,
}

/// Names an answer: a digest of all that is no question to the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(pub(crate) [u8; 32]);

impl Key {
    /// From names and values, in order.
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Key {
        let mut hasher = Hasher::new(HashAlgo::Sha256);
        for (name, value) in parts {
            for bytes in [name.as_bytes(), value] {
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
        }
        Key(hasher.finish().as_bytes().first_chunk().copied().unwrap_or_default())
    }

    fn file_name(&self) -> String {
        Hash::sha256(self.0).to_nix32()
    }
}

/// What was kept of an evaluation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// What the evaluation was for, as the embedder wrote it.
    pub text: Vec<u8>,
    /// What was said on the way, in order.
    pub said: Vec<Said>,
    inputs: BTreeMap<Input, Option<Stamp>>,
}

impl Answer {
    /// Reads the bytes of a file. `None` if they are damaged, or the answer to another key.
    pub fn parse(bytes: &[u8], key: &Key) -> Option<Answer> {
        format::read(bytes, key)
    }

    /// The bytes of a file; [`Answer::parse`] reads them.
    pub fn to_bytes(&self, key: &Key) -> Vec<u8> {
        format::write(self, key)
    }

    /// An answer and what it depends on.
    pub fn new(text: Vec<u8>, record: Record) -> Answer {
        Answer { text, said: record.said, inputs: record.inputs }
    }

    /// How many questions the answer depends on.
    pub fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// Whether every question would be answered as it was. Stamps are made anew where they had to be compared by
    /// contents; `Some(true)` says that there are such.
    fn renew(&mut self, host: &dyn Host) -> Option<bool> {
        let cx = HostCx::default();
        let mut renewed = false;
        let mut replaced = Vec::new();
        for (input, stamp) in &mut self.inputs {
            let now = match input {
                Input::File(path, _) | Input::Directory(path, _) => host.stamp(&path.to_path()),
                Input::Tree(path, ..) => host.tree_stamp(&path.to_path()),
                Input::External(what, state) => {
                    let still = host.still(what, state)?;
                    if still != *state {
                        replaced.push((input.clone(), Input::External(what.clone(), still)));
                    }
                    continue;
                }
                Input::Clock(Some(_)) | Input::Once(_) => return None,
                _ => None,
            };
            if now.is_some() && now == *stamp {
                continue;
            }
            if !input.is_unchanged(host, &cx) {
                return None;
            }
            renewed |= now != *stamp;
            *stamp = now;
        }
        renewed |= !replaced.is_empty();
        for (old, new) in replaced {
            self.inputs.remove(&old);
            self.inputs.insert(new, None);
        }
        Some(renewed)
    }
}

/// Whether an answer that depends on this may be kept.
fn can_be_asked_again(input: &Input) -> bool {
    !matches!(input, Input::Clock(Some(_)) | Input::Once(_))
}

impl Answers {
    /// Answers in a directory, which is made when the first is kept, for its owner alone: answers may hold what is
    /// secret. When the files have more than `max_bytes` in all, those that were not used for longest are removed.
    pub fn new(dir: impl Into<PathBuf>, max_bytes: u64) -> Answers {
        Answers { dir: dir.into(), max_bytes }
    }

    /// The answer to a key, if `host` answers every question as it was answered then. Nothing is evaluated, built
    /// or fetched.
    pub fn find(&self, key: &Key, host: &dyn Host) -> Option<Answer> {
        let name = key.file_name();
        let bytes = kept::read(&self.dir, &name, self.max_bytes)?;
        let mut answer = Answer::parse(&bytes, key)?;
        if answer.renew(host)? {
            // Not missed if it fails: the next one compares contents again.
            let _ = kept::write(&self.dir, &name, &answer.to_bytes(key));
        }
        Some(answer)
    }

    /// Keeps an answer, unless it depends on something that cannot be asked again. Says whether it was kept.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or others may write to it.
    pub fn keep(&self, key: &Key, answer: &Answer) -> io::Result<bool> {
        if !answer.inputs.keys().all(can_be_asked_again) {
            return Ok(false);
        }
        let bytes = answer.to_bytes(key);
        // One answer shall not drive out all others.
        if bytes.len() as u64 > self.max_bytes / 2 {
            return Ok(false);
        }
        kept::make_dir(&self.dir)?;
        kept::write(&self.dir, &key.file_name(), &bytes)?;
        kept::shrink(&self.dir, self.max_bytes)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
