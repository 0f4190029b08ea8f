//! Deriving paths: a store path, or outputs of a derivation that need not be built yet.

use std::collections::BTreeSet;

use crate::store_path::{NameError, StoreDir, StorePath, StorePathError, check_name};

/// What can be asked for: an object, or outputs of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DerivingPath {
    /// The object itself; a `.drv` path means the file.
    Opaque(StorePath),
    /// Outputs of a derivation.
    Built {
        /// The derivation's path; it ends in `.drv`.
        drv: StorePath,
        /// Which of its outputs.
        outputs: Outputs,
    },
}

/// Which outputs of a derivation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outputs {
    /// All: `*`.
    All,
    /// The named ones; at least one, each a valid output name.
    Names(BTreeSet<String>),
}

/// Why a text is not a deriving path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerivingPathError {
    /// The store path is wrong.
    #[error(transparent)]
    Path(#[from] StorePathError),
    /// Outputs of something that is no derivation.
    #[error("{0:?} selects outputs of a path that does not end in '.drv'")]
    NoDerivation(String),
    /// An output name is wrong; the empty one among them.
    #[error("{text:?} selects a wrong output: {source}")]
    Output {
        /// The whole text.
        text: String,
        /// What is wrong.
        source: NameError,
    },
}

impl DerivingPath {
    /// Reads `path`, `path^*` or `path^a,b`; `!` may stand for `^`.
    ///
    /// # Errors
    /// The path is not in the store directory, or the outputs are wrong.
    pub fn parse(dir: &StoreDir, text: &str) -> Result<DerivingPath, DerivingPathError> {
        // Store directories may contain either sign, names of objects cannot.
        let from = dir.as_str().len().min(text.len());
        let sign = text.as_bytes()[from..].iter().position(|byte| matches!(byte, b'^' | b'!'));
        let Some(sign) = sign.map(|at| from + at) else {
            return Ok(DerivingPath::Opaque(dir.parse(text)?));
        };
        let drv = dir.parse(&text[..sign])?;
        if !drv.is_derivation() {
            return Err(DerivingPathError::NoDerivation(text.to_owned()));
        }
        let outputs = Outputs::parse(&text[sign + 1..])
            .map_err(|source| DerivingPathError::Output { text: text.to_owned(), source })?;
        Ok(DerivingPath::Built { drv, outputs })
    }

    /// The text with `^`.
    #[must_use]
    pub fn display(&self, dir: &StoreDir) -> String {
        self.render(dir, '^')
    }

    /// The text with `!`, as the worker protocol has it.
    #[must_use]
    pub fn display_legacy(&self, dir: &StoreDir) -> String {
        self.render(dir, '!')
    }

    /// The store path: of the object or of the derivation.
    #[must_use]
    pub fn store_path(&self) -> &StorePath {
        match self {
            DerivingPath::Opaque(path) | DerivingPath::Built { drv: path, .. } => path,
        }
    }

    fn render(&self, dir: &StoreDir, sign: char) -> String {
        match self {
            DerivingPath::Opaque(path) => dir.display(path),
            DerivingPath::Built { drv, outputs } => {
                format!("{}{sign}{}", dir.display(drv), outputs.render())
            }
        }
    }
}

impl Outputs {
    /// Reads `*` or names with commas between.
    ///
    /// # Errors
    /// A name is not allowed, or empty.
    pub fn parse(text: &str) -> Result<Outputs, NameError> {
        if text == "*" {
            return Ok(Outputs::All);
        }
        let mut names = BTreeSet::new();
        for name in text.split(',') {
            check_name(name)?;
            names.insert(name.to_owned());
        }
        Ok(Outputs::Names(names))
    }

    /// `*`, or the names in order with commas between.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            Outputs::All => "*".to_owned(),
            Outputs::Names(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(","),
        }
    }

    /// Says whether `output` is selected.
    #[must_use]
    pub fn contains(&self, output: &str) -> bool {
        match self {
            Outputs::All => true,
            Outputs::Names(names) => names.contains(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "/nix/store/2wwpgwhlrid6ypd4f01r72hdpr4l7qgz-simple.drv";

    #[test]
    fn both_signs_are_read() {
        let dir = StoreDir::default();
        for outputs in ["", "^*", "^out", "^dev,out"] {
            let text = format!("{DRV}{outputs}");
            let path = DerivingPath::parse(&dir, &text).expect("parses");
            assert_eq!(path.display(&dir), text);
            let legacy = text.replace('^', "!");
            assert_eq!(path.display_legacy(&dir), legacy);
            assert_eq!(DerivingPath::parse(&dir, &legacy), Ok(path));
        }
        let odd = StoreDir::new("/a!b^c").expect("canonical");
        let text = DRV.replace("/nix/store", "/a!b^c") + "^out";
        assert_eq!(DerivingPath::parse(&odd, &text).map(|path| path.display(&odd)), Ok(text));
    }

    #[test]
    fn wrong_ones_are_refused() {
        let dir = StoreDir::default();
        for outputs in ["^", "^,", "^out,", "^*,out", "^out^out", "^a b", "/x"] {
            assert!(DerivingPath::parse(&dir, &format!("{DRV}{outputs}")).is_err(), "{outputs}");
        }
        for text in ["", "^", "/nix/store", "/nix", "/nix/store^out"] {
            assert!(DerivingPath::parse(&dir, text).is_err(), "{text}");
        }
        let plain = DRV.trim_end_matches(".drv").to_owned() + "^out";
        assert_eq!(
            DerivingPath::parse(&dir, &plain),
            Err(DerivingPathError::NoDerivation(plain.clone()))
        );
    }
}
