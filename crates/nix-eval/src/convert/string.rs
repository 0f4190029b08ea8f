//! Strings with what they refer to.

use std::collections::BTreeSet;

use nix_formats::store_path::StorePath;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::STRING;
use crate::value::ContextElement;

/// A string with its context: the one Rust string that loses nothing of a Nix string.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct NixString {
    /// Its bytes, not necessarily UTF-8.
    pub bytes: Vec<u8>,
    /// The store objects that it refers to.
    pub context: BTreeSet<ContextElement>,
}

impl NixString {
    /// The text, with invalid UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl From<&str> for NixString {
    fn from(text: &str) -> NixString {
        NixString { bytes: text.as_bytes().to_vec(), context: BTreeSet::new() }
    }
}

/// What travels through serde: bytes, and each element as [`element_to_text`] writes it.
#[derive(Serialize, Deserialize)]
struct Parts(Vec<u8>, Vec<String>);

/// `path`, `=path` for a derivation with all it refers to, `!output!path` for an output.
pub(crate) fn element_to_text(element: &ContextElement) -> String {
    match element {
        ContextElement::Opaque(path) => path.to_string(),
        ContextElement::DrvDeep(path) => format!("={path}"),
        ContextElement::Built { drv, output } => format!("!{output}!{drv}"),
    }
}

/// The element that a text of [`element_to_text`] stands for.
pub(crate) fn element_from_text(text: &str) -> Option<ContextElement> {
    if let Some(path) = text.strip_prefix('=') {
        return Some(ContextElement::DrvDeep(StorePath::from_base_name(path).ok()?));
    }
    if let Some(rest) = text.strip_prefix('!') {
        let (output, drv) = rest.split_once('!')?;
        let drv = StorePath::from_base_name(drv).ok()?;
        return Some(ContextElement::Built { drv, output: output.to_owned() });
    }
    StorePath::from_base_name(text).ok().map(ContextElement::Opaque)
}

impl Serialize for NixString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context = self.context.iter().map(element_to_text).collect();
        serializer.serialize_newtype_struct(STRING, &Parts(self.bytes.clone(), context))
    }
}

impl<'de> Deserialize<'de> for NixString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NixString, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = NixString;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NixString, E> {
                Ok(NixString::from(text))
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<NixString, E> {
                Ok(NixString { bytes: bytes.to_vec(), context: BTreeSet::new() })
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<NixString, D::Error> {
                let Parts(bytes, context) = Parts::deserialize(deserializer)?;
                let element = |text: &String| {
                    element_from_text(text).ok_or_else(|| {
                        serde::de::Error::custom(format!("'{text}' is no element of a context"))
                    })
                };
                let context = context.iter().map(element).collect::<Result<_, D::Error>>()?;
                Ok(NixString { bytes, context })
            }
        }
        deserializer.deserialize_newtype_struct(STRING, Visitor)
    }
}
