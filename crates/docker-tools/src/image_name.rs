//! Names of images: `registry/repository:tag`.
//!
//! Source: the reference grammar of the distribution specification. docker shortens names that
//! its own registry holds, so `hello` and `docker.io/library/hello` are one image.

use std::fmt;

/// Longest tag in bytes.
const MAX_TAG: usize = 128;

/// Longest name in bytes, without the tag.
const MAX_NAME: usize = 255;

/// The name and tag of an image, checked against the grammar that engines enforce.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    name: String,
    tag: String,
}

/// Why a text cannot name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// The part before the tag breaks the grammar.
    #[error(
        "image name {0:?} is not valid: engines accept lower-case letters, digits, '.', '_', '-' \
         between components separated by '/', and a registry host with an optional port first"
    )]
    Name(String),
    /// The tag breaks the grammar.
    #[error(
        "image tag {0:?} is not valid: engines accept up to 128 letters, digits, '_', '.', '-', \
         and neither '.' nor '-' first"
    )]
    Tag(String),
}

impl ImageName {
    /// Makes a name from the arguments of an image function: the name is turned to lower case.
    ///
    /// # Errors
    /// [`ImageNameError`] when an engine would refuse the result.
    pub fn new(name: &str, tag: &str) -> Result<ImageName, ImageNameError> {
        let name = name.to_lowercase();
        if !is_name(&name) {
            return Err(ImageNameError::Name(name));
        }
        if !is_tag(tag) {
            return Err(ImageNameError::Tag(tag.to_owned()));
        }
        Ok(ImageName { name, tag: tag.to_owned() })
    }

    /// Reads `name:tag`, as it stands in a `RepoTags` list.
    ///
    /// # Errors
    /// [`ImageNameError`] when either part breaks the grammar; upper case is not turned.
    pub fn parse(text: &str) -> Result<ImageName, ImageNameError> {
        let (name, tag) =
            text.rsplit_once(':').ok_or_else(|| ImageNameError::Tag(String::new()))?;
        if !is_name(name) {
            return Err(ImageNameError::Name(name.to_owned()));
        }
        ImageName::new(name, tag)
    }

    /// The part before the tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The name with its registry: `hello:1` is `docker.io/library/hello:1`.
    pub fn fully_qualified(&self) -> String {
        match self.name.split_once('/') {
            Some((first, _)) if is_host(first) => self.to_string(),
            Some(_) => format!("docker.io/{self}"),
            None => format!("docker.io/library/{self}"),
        }
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

/// Whether the first component of a name is a registry and no part of the repository.
fn is_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

fn is_name(name: &str) -> bool {
    if name.len() > MAX_NAME {
        return false;
    }
    let mut rest = name;
    if let Some((first, after)) = name.split_once('/')
        && is_host(first)
    {
        let (host, port) = first.split_once(':').unwrap_or((first, "0"));
        let labels_fit = host.split('.').all(|label| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty()
                && label.bytes().all(plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
        let port_fits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !labels_fit || !port_fits {
            return false;
        }
        rest = after;
    }
    rest.split('/').all(is_path_component)
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let edges_fit = bytes.first().is_some_and(|&byte| plain(byte))
        && bytes.last().is_some_and(|&byte| plain(byte));
    edges_fit
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|join| matches!(join, "" | "." | "_" | "__") || join.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG).contains(&tag.len())
        && tag
            .bytes()
            .enumerate()
            .all(|(i, byte)| word(byte) || (i > 0 && matches!(byte, b'.' | b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_qualified_as_docker_does() {
        for (name, qualified) in [
            ("Hello", "docker.io/library/hello:1"),
            ("user/app", "docker.io/user/app:1"),
            ("localhost/app", "localhost/app:1"),
            ("registry.example:5000/a/b", "registry.example:5000/a/b:1"),
            ("quay.io/x__y/z-1.2", "quay.io/x__y/z-1.2:1"),
        ] {
            assert_eq!(ImageName::new(name, "1").unwrap().fully_qualified(), qualified);
        }
    }

    #[test]
    fn names_and_tags_that_engines_refuse_are_errors() {
        for name in ["", "a//b", "-a", "a-", "a..b", "a___b", "a b", "a:b", "host.:1/a", "\u{e4}"] {
            assert!(ImageName::new(name, "x").is_err(), "{name}");
        }
        for tag in ["", ".a", "-a", "a b", "a/b", "a:b", &"a".repeat(129)] {
            assert!(ImageName::new("a", tag).is_err(), "{tag}");
        }
        assert!(ImageName::parse("Upper:x").is_err());
        assert!(ImageName::parse("notag").is_err());
    }

    #[test]
    fn a_name_with_a_port_reads_back() {
        let text = "localhost:5000/a:v1.0_x-y";
        let name = ImageName::parse(text).unwrap();
        assert_eq!((name.name(), name.tag()), ("localhost:5000/a", "v1.0_x-y"));
        assert_eq!(name.to_string(), text);
    }
}
