//! Handles inside Rust types that serde reads and writes.
//!
//! Serde's data model has no place for a handle. On the way out of the language one travels as the source of
//! an error, which is the one thing of a foreign deserializer that can be looked into safely; on the way in
//! as a number under which its session keeps the value.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};

use super::HANDLE;
use crate::{evaluator::lock, handle::Handle, host::NixPath, value::Value};

/// Carries a handle from our deserializer to [`Handle::deserialize`].
pub(super) struct Carrier(pub(super) Handle);

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier")
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a handle on its way")
    }
}

impl std::error::Error for Carrier {}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Handle, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Handle;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of the language")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Handle, D::Error> {
                let Err(error) = IgnoredAny::deserialize(deserializer) else {
                    return Err(serde::de::Error::custom(
                        "a handle can be read from a value of the language only, and not inside of what serde buffers (flatten, untagged, tag)",
                    ));
                };
                let source = std::error::Error::source(&error);
                match source.and_then(|source| source.downcast_ref::<Carrier>()) {
                    Some(carrier) => Ok(carrier.0.clone()),
                    None => Err(error),
                }
            }
        }
        deserializer.deserialize_newtype_struct(HANDLE, Visitor)
    }
}

/// Values on their way into a value that is being made, by number.
#[derive(Default)]
pub(crate) struct Exports(Mutex<(u64, HashMap<u64, Value>)>);

impl Exports {
    fn put(&self, value: Value) -> u64 {
        let mut table = lock(&self.0);
        table.0 += 1;
        let number = table.0;
        table.1.insert(number, value);
        number
    }

    /// The value with this number, once.
    pub(super) fn take(&self, number: u64) -> Option<Value> {
        lock(&self.0).1.remove(&number)
    }
}

struct Number<'a>(&'a Handle);

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The names of the types tell our own reader of numbers from all others, for a clear message; a
        // number that reaches the wrong reader is harmless.
        if std::any::type_name::<S>() != std::any::type_name::<super::ser::ReadNumber>() {
            return Err(serde::ser::Error::custom(
                "a handle can become part of a value of the language only; convert it with `Handle::to` first",
            ));
        }
        let shared = self.0.shared();
        let session = Arc::as_ptr(shared) as usize as u64;
        let number = shared.exports.put(self.0.value());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&session.to_ne_bytes());
        bytes[8..].copy_from_slice(&number.to_ne_bytes());
        serializer.serialize_bytes(&bytes)
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(HANDLE, &Number(self))
    }
}

/// A path travels as the number of its tree and its bytes.
#[derive(Serialize, Deserialize)]
struct PathParts(u32, Vec<u8>);

impl Serialize for NixPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = PathParts(self.accessor.0, self.text.clone());
        serializer.serialize_newtype_struct(super::PATH, &parts)
    }
}

impl<'de> Deserialize<'de> for NixPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NixPath, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = NixPath;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<NixPath, D::Error> {
                let PathParts(accessor, text) = PathParts::deserialize(deserializer)?;
                let text = crate::value::canonicalise(&text);
                Ok(NixPath { accessor: crate::value::AccessorId(accessor), text })
            }
        }
        deserializer.deserialize_newtype_struct(super::PATH, Visitor)
    }
}
