//! What closures may return.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{NixString, to_value};
use crate::{closure::CallCx, error::Error, handle::Handle, host::NixPath, value::Value};

/// What a closure that is a builtin may return.
///
/// Types of your own go in [`Ser`]; a `Result` of anything here with an error that becomes a
/// `Box<dyn Error>`, such as a `String` or an `io::Error`, is fine as well.
pub trait IntoNix {
    /// The value.
    ///
    /// # Errors
    /// When it does not fit, or is a failure itself.
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error>;
}

/// Anything that serde can write, as what a closure returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ser<T>(pub T);

impl<T: Serialize> IntoNix for Ser<T> {
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        to_value(cx.machine(), &self.0)
    }
}

macro_rules! by_serde {
    ($($type:ty),* $(,)?) => {$(
        impl IntoNix for $type {
            fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
                to_value(cx.machine(), &self)
            }
        }
    )*};
}

by_serde! {
    (), bool, i8, i16, i32, i64, u8, u16, u32, u64, usize, f32, f64, &str, String, NixString, NixPath,
    serde_json::Value,
}

impl IntoNix for Handle {
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        self.value_in(&cx.machine().shared)
    }
}

impl<T: IntoNix> IntoNix for Option<T> {
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        self.map_or(Ok(Value::NULL), |value| value.into_nix(cx))
    }
}

impl<T: IntoNix> IntoNix for Vec<T> {
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        let items: Result<Vec<Value>, Error> = self.into_iter().map(|v| v.into_nix(cx)).collect();
        let items = items?;
        cx.machine().check_list_len(items.len() as u64)?;
        Ok(cx.machine().new_list(&items))
    }
}

impl<T: IntoNix> IntoNix for BTreeMap<String, T> {
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        let mut attrs = cx.machine().attrs_builder(self.len());
        for (name, value) in self {
            let value = value.into_nix(cx)?;
            let name = cx.machine().symbol(&name);
            attrs.push(name, value, None);
        }
        Ok(cx.machine().finish_attrs(attrs))
    }
}

impl<T, E> IntoNix for Result<T, E>
where
    T: IntoNix,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn into_nix(self, cx: &mut CallCx<'_>) -> Result<Value, Error> {
        match self {
            Ok(value) => value.into_nix(cx),
            Err(e) => Err(Error::from_outside(e)),
        }
    }
}
