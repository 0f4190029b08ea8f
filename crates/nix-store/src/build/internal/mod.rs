//! The table of internal builders: derivations whose builder is `builtin:…`, a function of ours.
//!
//! They run in the same sandbox, as the same user and with the same environment as a program
//! would. The function runs in the starter process (see [`crate::build::starter`]), not in the
//! process that asked for the build: it shares no memory with it and may allocate, block or crash
//! as it likes. Other crates extend the table with [`InternalBuilders::with`]; the *same* table
//! has to be given to [`crate::build::starter::run_if_asked`] and to [`crate::realise::realise`].

pub mod fetchurl;
pub mod host_import;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A builder that is a function instead of a program.
#[derive(Clone, Copy, Debug)]
pub struct InternalBuilder {
    /// What the derivation's `builder` says, for example `builtin:build-image`.
    pub name: &'static str,
    /// Makes all outputs, or says in one sentence why not. Runs inside the sandbox.
    pub run: fn(&InternalBuild) -> Result<(), String>,
}

/// What an internal builder is given. All paths are those of the sandbox.
#[derive(Clone, Debug)]
pub struct InternalBuild {
    /// The environment as a program would see it. Names that are not UTF-8 are left out.
    pub env: BTreeMap<String, Vec<u8>>,
    /// Output name → where to put it. Nothing exists there yet; the parent directory does.
    pub outputs: BTreeMap<String, PathBuf>,
    /// The build directory, writable, empty but for the files that the derivation asked for.
    pub build_dir: PathBuf,
    /// The contents of `.attrs.json` if the derivation has structured attributes.
    pub attrs_json: Option<Vec<u8>>,
    /// The logical store directory, where the inputs lie.
    pub store_dir: PathBuf,
    /// How many threads the builder should use at most; at least 1.
    pub cores: usize,
}

impl InternalBuild {
    /// Writes one line to the build's log.
    pub fn log(&self, line: &str) {
        // A log that cannot be written must not fail the build.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Where the output `name` has to be put.
    ///
    /// # Errors
    /// A sentence, if the derivation has no such output.
    pub fn output(&self, name: &str) -> Result<&Path, String> {
        match self.outputs.get(name) {
            Some(path) => Ok(path),
            None => Err(format!("the derivation has no output named '{name}'")),
        }
    }

    /// An environment variable as text.
    ///
    /// # Errors
    /// A sentence, if it is not set or not UTF-8.
    pub fn env_text(&self, name: &str) -> Result<&str, String> {
        match self.env.get(name) {
            None => Err(format!("the derivation has no attribute '{name}'")),
            Some(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| format!("the attribute '{name}' is not UTF-8")),
        }
    }
}

/// Which internal builders there are.
#[derive(Clone, Debug, Default)]
pub struct InternalBuilders {
    table: Vec<InternalBuilder>,
}

impl InternalBuilders {
    /// A table without any builder.
    pub fn none() -> InternalBuilders {
        InternalBuilders::default()
    }

    /// The builders of this crate.
    pub fn standard() -> InternalBuilders {
        InternalBuilders::default().with(fetchurl::BUILDERS).with(host_import::BUILDERS)
    }

    /// The same table with more builders; a later one of the same name wins.
    #[must_use]
    pub fn with(mut self, builders: &[InternalBuilder]) -> InternalBuilders {
        self.table.extend_from_slice(builders);
        self
    }

    /// The builder of that name, written with its `builtin:`.
    pub fn lookup(&self, name: &[u8]) -> Option<&InternalBuilder> {
        self.table.iter().rev().find(|builder| builder.name.as_bytes() == name)
    }

    /// All names, in the order of the table.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.table.iter().map(|builder| builder.name)
    }
}
