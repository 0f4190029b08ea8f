//! From Rust functions of up to eight arguments to code that takes values.

use serde::de::DeserializeOwned;

use super::{CallCx, Code};
use crate::{
    convert::{self, ConvertOptions, IntoNix},
    error::{Error, FrameKind},
    value::Value,
};

/// A Rust function that can be a builtin: up to eight arguments that serde can read, and a result that
/// [`IntoNix`] takes. Implemented by closures; `M` only tells the arities apart.
pub trait Function<M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_code(self) -> (u8, Code);
}

/// As [`Function`], with the call as first argument: `|cx: &mut CallCx<'_>, …|`.
pub trait FunctionCx<M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_code(self) -> (u8, Code);
}

/// The argument with this index.
fn argument<T: DeserializeOwned>(
    cx: &mut CallCx<'_>,
    args: &[Value],
    index: usize,
) -> Result<T, Error> {
    let v = args.get(index).copied().unwrap_or(Value::NULL);
    let converted = convert::from_value(cx.machine(), v, ConvertOptions::default());
    converted.map(|converted| converted.value).map_err(|e| {
        let text = format!("while reading argument {} of '{}'", index + 1, cx.name());
        e.frame(FrameKind::Builtin, text, None)
    })
}

macro_rules! arities {
    ($($n:literal: $($arg:ident $index:literal),*;)*) => {$(
        impl<F, R, $($arg),*> Function<fn($($arg),*) -> R> for F
        where
            F: Fn($($arg),*) -> R + Send + Sync + 'static,
            R: IntoNix,
            $($arg: DeserializeOwned,)*
        {
            fn into_code(self) -> (u8, Code) {
                #[allow(unused_variables, reason = "a constant has no arguments")]
                let code: Code = Box::new(move |cx, args| {
                    let result = self($(argument::<$arg>(cx, args, $index)?),*);
                    result.into_nix(cx)
                });
                ($n, code)
            }
        }

        impl<F, R, $($arg),*> FunctionCx<fn($($arg),*) -> R> for F
        where
            F: Fn(&mut CallCx<'_>, $($arg),*) -> R + Send + Sync + 'static,
            R: IntoNix,
            $($arg: DeserializeOwned,)*
        {
            fn into_code(self) -> (u8, Code) {
                #[allow(unused_variables, reason = "a constant has no arguments")]
                #[allow(non_snake_case, reason = "arguments are named like their types")]
                let code: Code = Box::new(move |cx, args| {
                    $(let $arg = argument::<$arg>(cx, args, $index)?;)*
                    let result = self(cx, $($arg),*);
                    result.into_nix(cx)
                });
                ($n, code)
            }
        }
    )*};
}

arities! {
    0: ;
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, G 5;
    7: A 0, B 1, C 2, D 3, E 4, G 5, H 6;
    8: A 0, B 1, C 2, D 3, E 4, G 5, H 6, I 7;
}
