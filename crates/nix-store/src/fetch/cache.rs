//! What was answered without a hash, and when: one small file an answer.
//!
//! The cache only saves transfers. A file that cannot be read, or is damaged, is no answer; one that cannot
//! be written is not missed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix_formats::hash::{Hash, HashAlgo};

#[derive(Debug)]
pub(super) struct Cache {
    dir: Option<PathBuf>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Answer {
    /// For people who look into the cache.
    url: String,
    /// SRI.
    hash: String,
    /// Unix seconds.
    fetched: u64,
}

impl Cache {
    pub(super) fn new(dir: Option<PathBuf>) -> Cache {
        Cache { dir }
    }

    /// A directory for something that is kept, made if need be.
    pub(super) fn dir_for(&self, kind: &str) -> std::io::Result<Option<PathBuf>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let dir = dir.join(kind);
        std::fs::create_dir_all(&dir)?;
        Ok(Some(dir))
    }

    /// The hash that was the answer to `key` less than `ttl` ago, and when that was, in Unix seconds.
    pub(super) fn answer(&self, key: &str, ttl: Duration) -> Option<(Hash, u64)> {
        let text = std::fs::read(file(self.dir.as_deref()?, key)).ok()?;
        let answer: Answer = serde_json::from_slice(&text).ok()?;
        // An answer from the future says that the clock was set; it is not believed.
        let age = now().checked_sub(answer.fetched)?;
        if Duration::from_secs(age) >= ttl {
            return None;
        }
        Some((Hash::parse(&answer.hash, None).ok()?, answer.fetched))
    }

    pub(super) fn remember(&self, key: &str, url: &str, hash: &Hash) {
        let answer =
            Answer { url: crate::http::redacted(url), hash: hash.to_sri(), fetched: now() };
        if let (Ok(Some(dir)), Some(root)) = (self.dir_for("fetched"), &self.dir) {
            // Not missed if it fails, see above.
            let _ = write(&dir, &file(root, key), &answer);
        }
    }
}

fn file(root: &Path, key: &str) -> PathBuf {
    root.join("fetched").join(format!("{}.json", Hash::of(HashAlgo::Sha256, key).to_nix32()))
}

/// Under another name first: readers see a whole file or none.
fn write(dir: &Path, path: &Path, answer: &Answer) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(serde_json::to_string(answer)?.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_for_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(Some(dir.path().join("new")));
        let hash = Hash::of(HashAlgo::Sha256, "x");
        cache.remember("k", "http://me:secret@h/", &hash);
        let answer = cache.answer("k", Duration::from_secs(60));
        assert_eq!(answer.map(|(hash, _)| hash), Some(hash));
        assert_eq!(cache.answer("k", Duration::ZERO), None);
        assert_eq!(cache.answer("other", Duration::MAX), None);
        let path = file(&dir.path().join("new"), "k");
        assert!(!std::fs::read_to_string(&path).unwrap().contains("secret"));
        std::fs::write(path, "{").unwrap();
        assert_eq!(cache.answer("k", Duration::MAX), None);
    }
}
