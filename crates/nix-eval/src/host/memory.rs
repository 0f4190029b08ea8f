//! Files in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{FileType, Host, HostCx, HostError, Metadata, NixPath, TraceEvent};

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryHost {
    files: BTreeMap<Vec<u8>, Arc<[u8]>>,
    traces: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl MemoryHost {
    /// A host with these files: absolute canonical path and contents. Directories follow from them.
    pub fn new<P: AsRef<str>, C: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> MemoryHost {
        let files = files
            .into_iter()
            .map(|(path, text)| {
                (crate::value::canonicalise(path.as_ref().as_bytes()), text.into().into())
            })
            .collect();
        MemoryHost { files, traces: Arc::default() }
    }

    /// What `trace` and `warn` have said so far, in order.
    pub fn traces(&self) -> Vec<Vec<u8>> {
        self.traces.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn below(&self, path: &NixPath) -> impl Iterator<Item = (&[u8], bool)> {
        let mut prefix = path.text.clone();
        if prefix.last() != Some(&b'/') {
            prefix.push(b'/');
        }
        let n = prefix.len();
        self.files.range(prefix.clone()..).take_while(move |(p, _)| p.starts_with(&prefix)).map(
            move |(p, _)| {
                let rest = &p[n..];
                match rest.iter().position(|&b| b == b'/') {
                    Some(end) => (&rest[..end], true),
                    None => (rest, false),
                }
            },
        )
    }
}

impl Host for MemoryHost {
    fn read_file(&self, path: &NixPath, _: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.files.get(&path.text).cloned().ok_or_else(|| HostError::not_found(path))
    }

    fn read_dir(&self, path: &NixPath, _: &HostCx) -> Result<Vec<(Vec<u8>, FileType)>, HostError> {
        let mut all: Vec<(Vec<u8>, FileType)> = Vec::new();
        for (name, is_directory) in self.below(path) {
            if all.last().is_none_or(|(last, _)| last != name) {
                let kind = if is_directory { FileType::Directory } else { FileType::Regular };
                all.push((name.to_vec(), kind));
            }
        }
        if all.is_empty() && path.text != b"/" {
            return Err(HostError::not_found(path));
        }
        Ok(all)
    }

    fn metadata(&self, path: &NixPath, _: bool, _: &HostCx) -> Result<Option<Metadata>, HostError> {
        if let Some(text) = self.files.get(&path.text) {
            return Ok(Some(Metadata {
                file_type: FileType::Regular,
                size_bytes: text.len() as u64,
                is_executable: false,
            }));
        }
        if path.text == b"/" || self.below(path).next().is_some() {
            return Ok(Some(Metadata {
                file_type: FileType::Directory,
                size_bytes: 0,
                is_executable: false,
            }));
        }
        Ok(None)
    }

    fn read_link(&self, path: &NixPath, _: &HostCx) -> Result<Vec<u8>, HostError> {
        Err(HostError::not_found(path))
    }

    fn trace(&self, event: &TraceEvent<'_>) {
        let (TraceEvent::Trace(text) | TraceEvent::Warning(text) | TraceEvent::Note(text)) = event;
        self.traces.lock().unwrap_or_else(|e| e.into_inner()).push(text.to_vec());
    }
}
