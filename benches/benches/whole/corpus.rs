//! Texts for the parsers.
//!
//! Each is copied with `_: ` before it and imported: both sides then read it, look up its names and make a
//! function, and evaluate or print nothing of it. Texts are read one by one: the system counts what this process had
//! in memory as memory of the processes that it starts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Copies of the committed texts, so that reading them takes longer than starting a process.
const N_COPIES: usize = 60;
/// What imports all files of a folder that are named by their numbers.
const IMPORT: &str = "builtins.foldl' (n: i: builtins.seq (import (DIR + \"/${toString i}.nix\")) (n + 1)) 0 \
    (builtins.genList (i: i + START) COUNT)";

/// Numbered files to import.
pub(crate) struct Corpus {
    dir: PathBuf,
    n_files: usize,
    /// Bytes of their texts.
    pub(crate) size_bytes: u64,
}

impl Corpus {
    /// The library of this repository, many times; without the files that use names of our own.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(crate) fn committed(dir: PathBuf) -> Result<Corpus, String> {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nixlib");
        let mut texts = Vec::new();
        for path in texts_below(&tree)? {
            if !read(&path)?.windows(8).any(|part| part == b"__nixlib") {
                texts.push(path);
            }
        }
        let copies: Vec<&Path> = (0..N_COPIES).flat_map(|_| &texts).map(PathBuf::as_path).collect();
        Corpus::write(dir, &copies)
    }

    /// All texts of a tree that are programs.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub(crate) fn of_tree(dir: PathBuf, tree: &Path, ours: &Path) -> Result<Corpus, String> {
        let texts = texts_below(tree)?;
        let all: Vec<&Path> = texts.iter().map(PathBuf::as_path).collect();
        let first = Corpus::write(dir.join("all"), &all)?;
        let mut good = Vec::new();
        let mut todo = vec![(0, all.len())];
        while let Some((start, end)) = todo.pop() {
            let mut command = Command::new(ours);
            command.args(["instantiate", "--eval", "-E", &first.import_of(start, end)]);
            let output = command.env("NIX_REMOTE", "dummy://").output();
            if output.map_err(|e| e.to_string())?.status.success() {
                good.extend(start..end);
            } else if end - start > 1 {
                let middle = usize::midpoint(start, end);
                todo.extend([(start, middle), (middle, end)]);
            }
        }
        let good: Vec<&Path> = good.into_iter().map(|i| all[i]).collect();
        Corpus::write(dir.join("good"), &good)
    }

    fn write(dir: PathBuf, texts: &[&Path]) -> Result<Corpus, String> {
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let mut size_bytes = 0;
        for (i, text) in texts.iter().enumerate() {
            let path = dir.join(format!("{i}.nix"));
            let text = [b"_: ", read(text)?.as_slice()].concat();
            size_bytes += text.len() as u64;
            fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(Corpus { dir, n_files: texts.len(), size_bytes })
    }

    /// An expression that imports all of them.
    pub(crate) fn import(&self) -> String {
        self.import_of(0, self.n_files)
    }

    fn import_of(&self, start: usize, end: usize) -> String {
        let dir = self.dir.display().to_string();
        let count = (end - start).to_string();
        let of = IMPORT.replace("COUNT", &count).replace("START", &start.to_string());
        of.replace("DIR", &dir)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The paths of a tree's `.nix` files, in order.
fn texts_below(tree: &Path) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    let mut todo = vec![tree.to_owned()];
    while let Some(dir) = todo.pop() {
        let shown = |e| format!("{}: {e}", dir.display());
        for entry in fs::read_dir(&dir).map_err(shown)? {
            let entry = entry.map_err(shown)?;
            let kind = entry.file_type().map_err(shown)?;
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() && entry.path().extension().is_some_and(|e| e == "nix") {
                paths.push(entry.path());
            }
        }
    }
    paths.sort();
    Ok(paths)
}
