//! Texts of the derivations of a session that writes no store.
//!
//! A big evaluation makes tens of thousands, some kilobytes each, and looks at few of them again. They are
//! put one behind the other; past a few megabytes they go to a temporary file without a name, which vanishes
//! with the session. Where no such file can be had they stay in memory.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
};

use nix_formats::store_path::StorePath;

/// Bytes that wait in memory before they are written to the file.
const MOST_WAITING: usize = 4 << 20;

/// Texts by derivation.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// First byte and length, counted over all texts.
    places: HashMap<StorePath, (u64, u32)>,
    spilled: Spilled,
    /// The texts that follow those in the file.
    waiting: Vec<u8>,
}

/// The texts that are no longer in memory.
#[derive(Debug, Default)]
enum Spilled {
    #[default]
    Nothing,
    To {
        file: File,
        len: u64,
    },
    /// The machine gives no file; so many bytes may wait before it is asked again.
    Refused {
        until: usize,
    },
}

impl Texts {
    /// Keeps a text; a derivation that has one keeps it.
    pub(crate) fn insert(&self, path: StorePath, text: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { places, spilled, waiting } = &mut *state;
        let Ok(len) = u32::try_from(text.len()) else { return };
        let start = spilled.len() + waiting.len() as u64;
        if places.contains_key(&path) {
            return;
        }
        places.insert(path, (start, len));
        waiting.extend_from_slice(text);
        let most = match spilled {
            Spilled::Refused { until } => *until,
            _ => MOST_WAITING,
        };
        if waiting.len() > most {
            spilled.take(waiting);
        }
    }

    /// The text of a derivation, if it was kept.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub(crate) fn get(&self, path: &StorePath) -> io::Result<Option<Vec<u8>>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(&(start, len)) = state.places.get(path) else { return Ok(None) };
        let len = len as usize;
        let Some(start) = start.checked_sub(state.spilled.len()) else {
            let Spilled::To { file, .. } = &state.spilled else {
                unreachable!("only a file holds texts that do not wait")
            };
            let mut text = vec![0; len];
            file.read_exact_at(&mut text, start)?;
            return Ok(Some(text));
        };
        Ok(Some(state.waiting[start as usize..start as usize + len].to_vec()))
    }
}

impl Spilled {
    fn len(&self) -> u64 {
        match self {
            Spilled::To { len, .. } => *len,
            Spilled::Nothing | Spilled::Refused { .. } => 0,
        }
    }

    /// Writes the waiting texts to the file. What cannot be written goes on waiting.
    fn take(&mut self, waiting: &mut Vec<u8>) {
        if !matches!(self, Spilled::To { .. }) {
            *self = match tempfile::tempfile() {
                Ok(file) => Spilled::To { file, len: 0 },
                Err(_) => Spilled::Refused { until: 2 * waiting.len() },
            };
        }
        let Spilled::To { file, len } = self else { return };
        // A text is read from the file only below `len`, so a half-written end does no harm.
        if file.write_all_at(waiting, *len).is_ok() {
            *len += waiting.len() as u64;
            waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: usize) -> StorePath {
        let name = format!("{n:032}-x{n}.drv");
        StorePath::from_base_name(&name).expect("a store path")
    }

    #[test]
    fn texts_come_back_from_memory_and_from_the_file() {
        let texts = Texts::default();
        let text = |n: usize| vec![n as u8; 1000 + n];
        for n in 0..12_000 {
            texts.insert(path(n), &text(n));
        }
        texts.insert(path(7), b"another");
        assert!(matches!(texts.0.lock().expect("no panic").spilled, Spilled::To { .. }));
        assert!(texts.0.lock().expect("no panic").waiting.len() <= MOST_WAITING);
        for n in [0, 1, 7, 5000, 11_998, 11_999] {
            assert_eq!(texts.get(&path(n)).expect("a file that can be read"), Some(text(n)));
        }
        assert_eq!(texts.get(&path(12_000)).expect("a file that can be read"), None);
    }

    #[test]
    fn texts_stay_in_memory_where_there_is_no_file() {
        let texts = Texts::default();
        texts.0.lock().expect("no panic").spilled = Spilled::Refused { until: usize::MAX };
        for n in 0..5000 {
            texts.insert(path(n), &[n as u8; 1000]);
        }
        assert_eq!(texts.get(&path(3)).expect("memory"), Some(vec![3; 1000]));
        assert_eq!(texts.get(&path(4999)).expect("memory"), Some(vec![135; 1000]));
    }
}
