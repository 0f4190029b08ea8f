//! The log of a build: a compressed file, an event per line, and the last lines for a report.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use bzip2::write::BzEncoder;
use nix_formats::store_path::StorePath;

use super::events::{Event, Events};

/// A line is cut here so that a builder cannot make us hold all of its output, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Takes what a builder writes.
pub(crate) struct Log<'a> {
    drv: &'a StorePath,
    events: &'a dyn Events,
    file: Option<BzEncoder<File>>,
    line: Vec<u8>,
    /// Where the next byte goes; a carriage return sets it back.
    column: usize,
    tail: VecDeque<String>,
    tail_len: usize,
    n_lines: u64,
    n_bytes: u64,
}

impl<'a> Log<'a> {
    /// Begins a log. The file and its directory are created.
    pub(crate) fn create(
        drv: &'a StorePath,
        file: &Path,
        tail_len: usize,
        events: &'a dyn Events,
    ) -> io::Result<Log<'a>> {
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = File::create(file)?;
        Ok(Log {
            drv,
            events,
            file: Some(BzEncoder::new(file, bzip2::Compression::best())),
            line: Vec::new(),
            column: 0,
            tail: VecDeque::new(),
            tail_len,
            n_lines: 0,
            n_bytes: 0,
        })
    }

    /// How many bytes the builder has written.
    pub(crate) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Takes some bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.n_bytes += bytes.len() as u64;
        if let Some(file) = &mut self.file
            && file.write_all(bytes).is_err()
        {
            // A full disk must not turn a good build into a failed one.
            self.file = None;
        }
        for &byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                b'\r' => self.column = 0,
                _ => {
                    if self.column < self.line.len() {
                        self.line[self.column] = byte;
                    } else {
                        self.line.push(byte);
                    }
                    self.column += 1;
                    if self.line.len() >= MAX_LINE {
                        self.end_line();
                    }
                }
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        self.column = 0;
        if let Some(json) = line.strip_prefix("@nix ") {
            if let Some(name) = phase(json) {
                self.events.event(Event::Phase { drv: self.drv.clone(), name });
            }
            return;
        }
        self.n_lines += 1;
        if self.tail.len() == self.tail_len {
            self.tail.pop_front();
        }
        if self.tail_len > 0 {
            self.tail.push_back(line.clone());
        }
        self.events.event(Event::LogLine { drv: self.drv.clone(), line });
    }

    /// Ends the log; gives the last lines and the number of all.
    pub(crate) fn finish(mut self) -> (Vec<String>, u64) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if let Some(file) = self.file.take() {
            // What is lost is the log of this build, nothing else.
            let _ = file.finish();
        }
        (self.tail.into(), self.n_lines)
    }
}

/// The phase that a structured line announces.
fn phase(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    if value.get("action")?.as_str()? != "setPhase" {
        return None;
    }
    Some(value.get("phase")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<Event>>);

    impl Events for Seen {
        fn event(&self, event: Event) {
            self.0.lock().unwrap().push(event);
        }
    }

    #[test]
    fn lines_are_told_and_kept_and_the_file_has_every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("drvs/00/x.drv.bz2");
        let drv = StorePath::from_base_name("00000000000000000000000000000000-a.drv").unwrap();
        let seen = Seen::default();
        let mut log = Log::create(&drv, &path, 2, &seen).unwrap();
        log.write(b"one\ntw");
        log.write(b"o\n10%\r99%\n@nix {\"action\":\"setPhase\",\"phase\":\"buildPhase\"}\nend\xff");
        let (tail, n_lines) = log.finish();
        assert_eq!(tail, ["99%", "end\u{fffd}"]);
        assert_eq!(n_lines, 4);
        let mut text = Vec::new();
        bzip2::read::BzDecoder::new(File::open(&path).unwrap()).read_to_end(&mut text).unwrap();
        assert!(text.starts_with(b"one\ntwo\n10%\r99%\n@nix "), "{text:?}");
        let phases =
            seen.0.lock().unwrap().iter().filter(|e| matches!(e, Event::Phase { .. })).count();
        assert_eq!(phases, 1);
    }
}
