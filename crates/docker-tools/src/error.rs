//! Why an image could not be made.

use std::io;
use std::path::Path;

use crate::image_name::ImageNameError;
use crate::read::ReadError;
use crate::spec::ConfigError;
use crate::timestamp::TimestampError;
use crate::validate::Invalid;

/// What stops an image from being made. The text is a whole sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: a verb.
        action: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The arguments do not fit together.
    #[error("{0}")]
    Request(String),
    /// The `config` argument is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name or tag is wrong.
    #[error(transparent)]
    Name(#[from] ImageNameError),
    /// A date is wrong.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// The base image cannot be used.
    #[error("base image {path}")]
    Base {
        /// Where it lies.
        path: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// The files of a layer cannot be packed.
    #[error("{0}")]
    Contents(String),
    /// The user's commands failed.
    #[error("{0}")]
    Commands(String),
    /// The finished archive breaks a rule: a mistake of ours, or of the disk.
    #[error("the image that was written is not valid")]
    Invalid(#[from] Invalid),
}

/// Every other place names its file, so an error without one comes from the archive.
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Error {
        Error::Io { action: "write", path: "the image".to_owned(), source }
    }
}

impl Error {
    /// Makes an [`Error::Io`].
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| Error::Io { action, path: path.display().to_string(), source }
    }

    /// The sentence with the sentences of its causes, joined by `: `.
    pub fn full_text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
