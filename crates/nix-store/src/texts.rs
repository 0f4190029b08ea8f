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

#[derive(Debug)]
struct State {
    /// First byte and length, counted over all texts.
    places: HashMap<StorePath, (u64, usize)>,
    /// The first `n_spilled` bytes, once there were many.
    file: Option<File>,
    n_spilled: u64,
    /// The texts that follow.
    waiting: Vec<u8>,
    /// Bytes that may wait before they are written.
    most_waiting: usize,
}

impl Default for State {
    fn default() -> State {
        State {
            places: HashMap::new(),
            file: None,
            n_spilled: 0,
            waiting: Vec::new(),
            most_waiting: MOST_WAITING,
        }
    }
}

impl Texts {
    /// Keeps a text; a derivation that has one keeps it.
    pub(crate) fn insert(&self, path: StorePath, text: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.places.contains_key(&path) {
            return;
        }
        let start = state.n_spilled + state.waiting.len() as u64;
        state.places.insert(path, (start, text.len()));
        if state.waiting.capacity() == 0 {
            // At once: what is left behind while it grows is touched, what is left over is not.
            state.waiting.reserve(MOST_WAITING + MOST_WAITING / 16);
        }
        state.waiting.extend_from_slice(text);
        if state.waiting.len() > state.most_waiting {
            state.spill();
        }
    }

    /// The text of a derivation, if it was kept.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub(crate) fn get(&self, path: &StorePath) -> io::Result<Option<Vec<u8>>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(&(start, len)) = state.places.get(path) else { return Ok(None) };
        if let (Some(file), true) = (&state.file, start < state.n_spilled) {
            let mut text = vec![0; len];
            file.read_exact_at(&mut text, start)?;
            return Ok(Some(text));
        }
        let start = (start - state.n_spilled) as usize;
        Ok(Some(state.waiting[start..start + len].to_vec()))
    }
}

impl State {
    /// Writes the waiting texts to the file. What cannot be written goes on waiting, until there is twice as much.
    fn spill(&mut self) {
        if self.file.is_none() {
            self.file = tempfile::tempfile().ok();
        }
        // Nothing is read from behind `n_spilled`, so a half-written end does no harm.
        match &self.file {
            Some(file) if file.write_all_at(&self.waiting, self.n_spilled).is_ok() => {
                self.n_spilled += self.waiting.len() as u64;
                self.waiting.clear();
                self.most_waiting = MOST_WAITING;
            }
            _ => self.most_waiting = 2 * self.waiting.len(),
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
        assert!(texts.0.lock().expect("no panic").n_spilled > 0);
        assert!(texts.0.lock().expect("no panic").waiting.len() <= MOST_WAITING);
        for n in [0, 1, 7, 5000, 11_998, 11_999] {
            assert_eq!(texts.get(&path(n)).expect("a file that can be read"), Some(text(n)));
        }
        assert_eq!(texts.get(&path(12_000)).expect("a file that can be read"), None);
    }

    #[test]
    fn texts_stay_in_memory_where_they_cannot_be_written() {
        let texts = Texts::default();
        // Opened for reading: writing fails, as on a full disk.
        texts.0.lock().expect("no panic").file = Some(File::open("/dev/null").expect("opens"));
        let text = |n: usize| vec![n as u8; 1000];
        for n in 0..12_000 {
            texts.insert(path(n), &text(n));
        }
        let state = texts.0.lock().expect("no panic");
        // It was tried at four megabytes and at eight.
        assert_eq!((state.n_spilled, state.waiting.len()), (0, 12_000_000));
        assert!(state.most_waiting > 16_000_000, "{}", state.most_waiting);
        drop(state);
        for n in [0, 3, 11_999] {
            assert_eq!(texts.get(&path(n)).expect("memory"), Some(text(n)));
        }
    }
}
