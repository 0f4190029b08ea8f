//! Answers of calls that were made before, and still hold: what makes a call the same, and where answers are.
//!
//! What evaluation asks of the host is noted with the answer. The rest is in the key: when in doubt, it is.

use std::{
    cell::Cell, collections::BTreeMap, io::IsTerminal, os::unix::ffi::OsStrExt,
    os::unix::fs::MetadataExt, sync::Arc,
};

use clap::ArgMatches;
use nix_eval::{
    ProgramCache, SearchPathEntry,
    answers::{Answer, Answers, Key},
    host::{Host, HostCx, Input, NixPath, Recording, Said},
};
use nix_formats::store_path::{StoreDir, StorePath};
use nix_store::{Store, host::StoreHost};

use crate::{derivations::Found, open::Session, settings::Settings};

/// The answers of one call: kept before, or to be kept.
pub(crate) struct Call {
    answers: Answers,
    key: Key,
    host: Arc<Recording<StoreHost>>,
    hit: Cell<bool>,
}

impl Call {
    /// Prepares a call whose evaluation asks `host`.
    pub(crate) fn new(answers: Answers, key: Key, host: Arc<Recording<StoreHost>>) -> Call {
        Call { answers, key, host, hit: Cell::new(false) }
    }

    /// Forgets what was asked while the engine was made: whether there is a clock at all, which the settings say.
    pub(crate) fn begin(&self) {
        self.host.reset();
    }

    /// Whether the answer was known.
    pub(crate) fn is_hit(&self) -> bool {
        self.hit.get()
    }

    /// The answer that was kept and still holds, if `text` can be read of it. What evaluation said then is said again.
    fn known<T>(&self, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let host = self.host.inner();
        let answer = self.answers.find(&self.key, host)?;
        let read = read(&answer.text)?;
        for said in &answer.said {
            match (said.event(), said) {
                (Some(event), _) => host.trace(&event),
                (None, Said::Other(text)) => print_remark(&String::from_utf8_lossy(text)),
                (None, _) => {}
            }
        }
        self.hit.set(true);
        Some(read)
    }

    /// The answer counts while the store has what was written for it, as far as `which` says.
    fn need(&self, which: impl Fn(&StorePath) -> bool) {
        let host = self.host.inner();
        for path in host.written().iter().filter(|path| which(path)) {
            self.host.note_input(Input::Object(host.store_dir().display(path), true));
        }
    }

    /// Keeps an answer. That it could not be kept is nothing to bother anybody with.
    fn keep(&self, text: Vec<u8>) {
        if let Some(facts) = self.host.inner().machine_facts() {
            self.host.note_input(facts);
        }
        let _ = self.answers.keep(&self.key, &Answer::new(text, self.host.take()));
    }
}

impl Session {
    /// The text that this call printed before, if it still holds.
    pub(crate) fn known_text(&self) -> Option<Vec<u8>> {
        self.answers.as_ref()?.known(|text| Some(text.to_vec()))
    }

    /// Keeps the text that this call prints. What it wrote to the store has to be there the next time.
    pub(crate) fn keep_text(&self, text: &[u8]) {
        if let Some(call) = &self.answers {
            call.need(|_| true);
            call.keep(text.to_vec());
        }
    }

    /// Says something on standard error that belongs to the answer.
    pub(crate) fn say(&self, text: &str) {
        print_remark(text);
        if let Some(call) = &self.answers {
            call.host.note_said(text);
        }
    }

    /// The lines that this call printed before, if they still hold and the store has their derivations.
    pub(crate) fn known_lines(&self) -> Option<Vec<Line>> {
        let call = self.answers.as_ref()?;
        let dir = call.host.store_dir();
        call.known(|text| {
            let lines = read_lines(text, &dir)?;
            lines
                .iter()
                .filter_map(|line| line.drv.as_ref())
                .all(|drv| self.has(drv))
                .then_some(lines)
        })
    }

    /// Keeps the lines that this call printed, as [`keep_line`] put them together.
    /// Sources that only 'meta' names are looked for as well.
    pub(crate) fn keep_lines(&self, text: Vec<u8>) {
        if let Some(call) = &self.answers {
            call.need(|path| !path.is_derivation());
            call.keep(text);
        }
    }

    /// Whether the store has an object, which then stays as long as this process. Without a store nothing is missing.
    fn has(&self, path: &StorePath) -> bool {
        let Some(store) = &self.store else { return true };
        // A collector could have taken it until now.
        store.add_temp_root(path).is_ok() && store.is_valid(path).is_ok_and(|valid| valid)
    }

    /// The derivations that this call found before, if that still holds and the store has them.
    pub(crate) fn known_derivations(&self) -> Option<Vec<Found>> {
        self.answers.as_ref()?.known(|text| {
            let found = read_derivations(std::str::from_utf8(text).ok()?)?;
            for drv in &found {
                let Some(store) = &self.store else { continue };
                if !self.has(&store.store_dir().parse(&drv.drv_path).ok()?) {
                    return None;
                }
            }
            Some(found)
        })
    }

    /// Notes what lies at a path that is looked at past the evaluator.
    pub(crate) fn look_at(&self, path: &NixPath) {
        if let Some(call) = &self.answers
            && path.accessor.0 == 0
        {
            // A failure is noted, too.
            let _ = call.host.metadata(path, true, &HostCx::default());
        }
    }

    /// The answer depends on something that is not noted.
    pub(crate) fn keep_nothing(&self, why: &str) {
        if let Some(call) = &self.answers {
            call.host.note_input(Input::Once(why.to_owned()));
        }
    }

    /// Keeps the derivations that this call found. What they refer to, the store keeps with them.
    pub(crate) fn keep_derivations(&self, found: &[Found]) {
        let Some(call) = &self.answers else { return };
        if let Some(store) = &self.store {
            for drv in found {
                let path: Result<StorePath, _> = store.store_dir().parse(&drv.drv_path);
                if path.is_ok() {
                    call.host.note_input(Input::Object(drv.drv_path.clone(), true));
                }
            }
        }
        call.keep(write_derivations(found).into_bytes());
    }
}

fn print_remark(text: &str) {
    eprintln!("{}", crate::printable(text, std::io::stderr().is_terminal()));
}

/// A line that a call printed, and the derivation that it names.
pub(crate) struct Line {
    /// With its line break.
    pub(crate) text: Vec<u8>,
    pub(crate) drv: Option<StorePath>,
}

/// Adds a line to the lines that are kept.
pub(crate) fn keep_line(line: &Line, out: &mut Vec<u8>) {
    if let Some(drv) = &line.drv {
        out.extend_from_slice(drv.base_name().as_bytes());
    }
    out.push(b'\t');
    out.extend_from_slice(&line.text);
}

fn read_lines(text: &[u8], dir: &StoreDir) -> Option<Vec<Line>> {
    let read = |line: &[u8]| {
        let tab = line.iter().position(|&b| b == b'\t')?;
        let drv = match std::str::from_utf8(&line[..tab]).ok()? {
            "" => None,
            name => Some(dir.parse(&format!("{dir}/{name}")).ok()?),
        };
        Some(Line { text: line[tab + 1..].to_vec(), drv })
    };
    text.split_inclusive(|&b| b == b'\n').map(read).collect()
}

fn write_derivations(found: &[Found]) -> String {
    found.iter().map(|drv| format!("{}\t{}\n", drv.drv_path, drv.output)).collect()
}

fn read_derivations(text: &str) -> Option<Vec<Found>> {
    let read = |line: &str| {
        let (drv_path, output) = line.split_once('\t')?;
        Some(Found { drv_path: drv_path.to_owned(), output: output.to_owned() })
    };
    text.lines().map(read).collect()
}

/// Where answers are kept, if they are.
pub(crate) fn directory(settings: &Settings) -> Option<Answers> {
    if !settings.bool("eval-cache") {
        return None;
    }
    let max_bytes = size(settings, "eval-cache-size")?;
    let dir = nix_store::fetch::cache_dir(|name| std::env::var(name).ok())?;
    Some(Answers::new(dir.join("answers"), max_bytes))
}

/// Where programs of files are kept, if they are.
pub(crate) fn programs(settings: &Settings) -> Option<ProgramCache> {
    if !settings.bool("eval-cache") {
        return None;
    }
    let max_bytes = size(settings, "program-cache-size")?;
    let dir = nix_store::fetch::cache_dir(|name| std::env::var(name).ok())?;
    let key = Key::of([("build", build()?.as_bytes())]);
    Some(ProgramCache::new(dir.join("programs"), max_bytes, key))
}

/// The setting of this name, if it leaves room for anything.
fn size(settings: &Settings, name: &str) -> Option<u64> {
    Some(settings.number(name)).filter(|&n_bytes| n_bytes > 0)
}

/// Tells this executable from all others.
fn build() -> Option<String> {
    let found = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    Some(format!(
        "{} {} {} {} {}.{} {}.{}",
        env!("CARGO_PKG_VERSION"),
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

/// What is kept of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Nothing.
    Nothing,
    /// What it prints.
    Text,
    /// What it writes to the store, too.
    Written,
    /// Reports of errors, too.
    Reports,
}

/// What names the answer to this call; `None` for a call that cannot be told from others, such as one that reads
/// standard input.
pub(crate) fn key(
    matches: &ArgMatches,
    settings: &Settings,
    search_path: &[SearchPathEntry],
    store_dir: &str,
    keeps: Keeps,
) -> Option<Key> {
    let given = |name: &str| matches.try_contains_id(name).unwrap_or(false);
    let is_given = |name: &str| given(name) && matches.value_source(name).is_some();
    let operands = matches.try_get_many::<String>("files").ok().flatten();
    if is_given("arg-from-stdin")
        || is_given("arg-from-file")
        || operands.into_iter().flatten().any(|word| word == "-")
    {
        return None;
    }
    let program = std::env::current_exe().ok()?;
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut part = |name: &str, value: &[u8]| parts.push((name.to_owned(), value.to_vec()));
    part("program", program.as_os_str().as_bytes());
    part("build", build()?.as_bytes());
    part("user", &rustix::process::geteuid().as_raw().to_le_bytes());
    part("directory", std::env::current_dir().ok()?.as_os_str().as_bytes());
    part("terminal", &[u8::from(std::io::stdout().is_terminal())]);
    if keeps == Keeps::Reports {
        part("colours", &[u8::from(has_colours())]);
    }
    for (number, word) in std::env::args_os().enumerate() {
        // It only looks, as the variables do.
        if word == "--stats" {
            continue;
        }
        // The name of the program chooses the command.
        let name = if number == 0 { word.as_bytes().rsplit(|&b| b == b'/').next() } else { None };
        part("word", name.unwrap_or(word.as_bytes()));
    }
    for (name, value) in settings.all() {
        part(name, value.as_bytes());
    }
    for entry in search_path {
        part("search", entry.prefix.as_bytes());
        part("in", entry.path.as_bytes());
        part("tree", format!("{:?}", entry.tree).as_bytes());
    }
    part("store", store_dir.as_bytes());
    let surroundings: BTreeMap<_, _> = std::env::vars_os().collect();
    for (name, value) in surroundings {
        let text = name.as_bytes();
        let decides = text == b"HOME" || text.starts_with(b"XDG_") || text.starts_with(b"NIX_");
        if decides && !text.starts_with(b"NIX_SHOW_STATS") {
            part("variable", text);
            part("value", value.as_bytes());
        }
    }
    Some(Key::of(parts.iter().map(|(name, value)| (name.as_str(), &value[..]))))
}

/// Whether reports on standard error have colours.
pub(crate) fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivations_are_read_as_they_were_written() {
        let found = [("/nix/store/a.drv", "out"), ("/nix/store/b.drv", "dev")]
            .map(|(path, output)| Found { drv_path: path.to_owned(), output: output.to_owned() });
        let text = write_derivations(&found);
        let read = read_derivations(&text).expect("reads");
        assert_eq!(write_derivations(&read), text);
        assert_eq!(read.len(), 2);
        assert!(read_derivations("/nix/store/a.drv\n").is_none());
        assert!(read_derivations("").is_some_and(|none| none.is_empty()));
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let dir = StoreDir::default();
        let drv = dir.parse(&format!("{dir}/{}-a.drv", "0".repeat(32))).expect("a path");
        let lines = [
            Line { text: b"{\"a\":\"\t\"}\n".to_vec(), drv: Some(drv) },
            Line { text: b"{\"error\":\"\xff\"}\n".to_vec(), drv: None },
        ];
        let mut text = Vec::new();
        lines.iter().for_each(|line| keep_line(line, &mut text));
        let read = read_lines(&text, &dir).expect("reads");
        let mut again = Vec::new();
        read.iter().for_each(|line| keep_line(line, &mut again));
        assert_eq!(again, text);
        assert_eq!(read.len(), 2);
        assert!(read_lines(b"no tab\n", &dir).is_none());
        assert!(read_lines(b"no-path\t{}\n", &dir).is_none());
        assert!(read_lines(b"", &dir).is_some_and(|none| none.is_empty()));
    }
}
