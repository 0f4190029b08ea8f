//! Questions without an answer.

use std::{fmt, sync::Arc};

use super::NixPath;
use crate::error::{Class, Error};

/// Why a host has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum HostErrorKind {
    /// There is nothing at the path.
    NotFound,
    /// The host may answer such questions but not this one, or gives none of this kind.
    Refused,
    /// The file system failed.
    Io,
    /// The store failed: not valid, not buildable.
    Store,
    /// A name or value that the host cannot take.
    Argument,
    /// A feature that is switched off.
    Feature,
    /// Somebody asked to stop.
    Cancelled,
}

/// A host without an answer.
#[derive(Clone, Debug)]
pub struct HostError {
    /// Why, for code.
    pub kind: HostErrorKind,
    /// Why, for people: what was asked and what to do.
    pub message: String,
    /// What caused it.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// The path that nothing lies at: reports show where a program names it.
    pub missing: Option<NixPath>,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

impl HostError {
    /// An error without a cause.
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> HostError {
        HostError { kind, message: message.into(), source: None, missing: None }
    }

    /// The host gives nothing of this kind; `capability` is such as `reading files`.
    pub fn refused(capability: &str) -> HostError {
        HostError::new(HostErrorKind::Refused, format!("{capability} is not allowed by this host"))
    }

    /// Nothing lies at the path.
    pub fn not_found(path: &NixPath) -> HostError {
        let message = format!("path '{}' does not exist", path.to_text());
        let missing = Some(path.clone());
        HostError { missing, ..HostError::new(HostErrorKind::NotFound, message) }
    }

    /// The file system failed at the path.
    pub fn io(path: &NixPath, error: std::io::Error) -> HostError {
        if error.kind() == std::io::ErrorKind::NotFound {
            return HostError::not_found(path);
        }
        let message = format!("cannot read '{}': {error}", path.to_text());
        let source = Some(Arc::new(error) as _);
        HostError { source, ..HostError::new(HostErrorKind::Io, message) }
    }

    /// As an error of the language.
    pub fn into_error(self) -> Error {
        let class = match self.kind {
            HostErrorKind::NotFound | HostErrorKind::Io => Class::Io,
            HostErrorKind::Refused => Class::Restricted,
            HostErrorKind::Store => Class::Store,
            HostErrorKind::Argument => Class::Argument,
            HostErrorKind::Feature => Class::Feature,
            HostErrorKind::Cancelled => Class::Interrupted,
        };
        let mut error = Error::new(class, self.message);
        if let Some(path) = self.missing {
            error = error.about_missing(path);
        }
        match self.source {
            Some(source) => error.caused_by(source),
            None => error,
        }
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Error {
        error.into_error()
    }
}
