//! Writing: a serde serializer that makes values.

use std::sync::Arc;

use serde::{
    Serialize, Serializer,
    ser::{
        Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};

use super::{HANDLE, NixString, PATH, STRING};
use crate::{
    error::{Class, Error, PathStep},
    host::NixPath,
    machine::Machine,
    symbol::Symbol,
    value::{AttrsBuilder, ContextId, Value},
};

/// Makes a value of what is serialized into it.
pub(super) struct ToValue<'m> {
    m: &'m mut Machine,
}

impl<'m> ToValue<'m> {
    pub(super) fn new(m: &'m mut Machine) -> ToValue<'m> {
        ToValue { m }
    }
}

/// A string; NUL cannot be in one.
fn text(m: &mut Machine, bytes: &[u8]) -> Result<Value, Error> {
    m.check_string_len(bytes.len() as u64)?;
    if bytes.contains(&0) {
        return Err(Error::new(Class::Format, "strings may not contain NUL"));
    }
    Ok(m.new_string(bytes, ContextId::NONE))
}

fn nested<T: Serialize + ?Sized>(m: &mut Machine, value: &T) -> Result<Value, Error> {
    m.poll()?;
    m.deeper(|m| value.serialize(ToValue { m }))
}

fn single(m: &mut Machine, name: &str, value: Value) -> Value {
    let name = m.symbol(name);
    m.new_attrs(&[(name, value)])
}

/// Elements of a list, perhaps the content of a variant.
pub(super) struct ListOf<'m> {
    m: &'m mut Machine,
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl ListOf<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let index = self.items.len() as u64;
        let v = nested(self.m, value).map_err(|e| e.in_value(PathStep::Index(index), None))?;
        self.items.push(v);
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        self.m.check_list_len(self.items.len() as u64)?;
        let list = self.m.new_list(&self.items);
        Ok(match self.variant {
            Some(name) => single(self.m, name, list),
            None => list,
        })
    }
}

/// Attributes of a set, perhaps the content of a variant.
pub(super) struct SetOf<'m> {
    m: &'m mut Machine,
    attrs: AttrsBuilder,
    key: Option<Symbol>,
    variant: Option<&'static str>,
}

impl SetOf<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, name: Symbol, value: &T) -> Result<(), Error> {
        let v = nested(self.m, value).map_err(|e| {
            let name = String::from_utf8_lossy(self.m.symbols().name(name)).into_owned();
            e.in_value(PathStep::Name(name), None)
        })?;
        self.attrs.push(name, v, None);
        Ok(())
    }

    fn finish(self) -> Result<Value, Error> {
        let set = self.m.finish_attrs(self.attrs);
        Ok(match self.variant {
            Some(name) => single(self.m, name, set),
            None => set,
        })
    }
}

impl<'m> ToValue<'m> {
    fn list(self, len: Option<usize>, variant: Option<&'static str>) -> ListOf<'m> {
        // The length is a claim of the type; room is made as elements come.
        ListOf { m: self.m, items: Vec::with_capacity(len.unwrap_or(0).min(4096)), variant }
    }

    fn set(self, len: Option<usize>, variant: Option<&'static str>) -> SetOf<'m> {
        let attrs = self.m.attrs_builder(len.unwrap_or(0).min(4096));
        SetOf { m: self.m, attrs, key: None, variant }
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, n: $type) -> Result<Value, Error> {
            match i64::try_from(n) {
                Ok(n) => Ok(self.m.new_int(n)),
                Err(_) => Err(Error::new(
                    Class::Type,
                    format!("the integer {n} does not fit into 64 bits with a sign"),
                )),
            }
        }
    )*};
}

impl<'m> Serializer for ToValue<'m> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = ListOf<'m>;
    type SerializeTuple = ListOf<'m>;
    type SerializeTupleStruct = ListOf<'m>;
    type SerializeTupleVariant = ListOf<'m>;
    type SerializeMap = SetOf<'m>;
    type SerializeStruct = SetOf<'m>;
    type SerializeStructVariant = SetOf<'m>;

    fn serialize_bool(self, b: bool) -> Result<Value, Error> {
        Ok(Value::bool(b))
    }
    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_u128: u128
    }
    fn serialize_f32(self, x: f32) -> Result<Value, Error> {
        self.serialize_f64(x.into())
    }
    fn serialize_f64(self, x: f64) -> Result<Value, Error> {
        Ok(self.m.new_float(x))
    }
    fn serialize_char(self, c: char) -> Result<Value, Error> {
        self.serialize_str(c.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, s: &str) -> Result<Value, Error> {
        text(self.m, s.as_bytes())
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Error> {
        text(self.m, bytes)
    }
    fn serialize_none(self) -> Result<Value, Error> {
        Ok(Value::NULL)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Error> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, Error> {
        Ok(Value::NULL)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Error> {
        Ok(Value::NULL)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Error> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        match name {
            HANDLE => value.serialize(ReadNumber { m: self.m }),
            STRING => {
                let string = parts::<NixString, T>(STRING, value)?;
                let v = text(self.m, &string.bytes)?;
                let Some(s) = v.as_string() else { return Ok(v) };
                let context = self.m.contexts().intern(string.context);
                Ok(self.m.new_string(s.bytes(), context))
            }
            PATH => {
                let path = parts::<NixPath, T>(PATH, value)?;
                Ok(self.m.new_path(&path))
            }
            _ => value.serialize(self),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Error> {
        let v = nested(self.m, value)?;
        Ok(single(self.m, variant, v))
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<ListOf<'m>, Error> {
        Ok(self.list(len, None))
    }
    fn serialize_tuple(self, len: usize) -> Result<ListOf<'m>, Error> {
        Ok(self.list(Some(len), None))
    }
    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<ListOf<'m>, Error> {
        Ok(self.list(Some(len), None))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<ListOf<'m>, Error> {
        Ok(self.list(Some(len), Some(variant)))
    }
    fn serialize_map(self, len: Option<usize>) -> Result<SetOf<'m>, Error> {
        Ok(self.set(len, None))
    }
    fn serialize_struct(self, _: &'static str, len: usize) -> Result<SetOf<'m>, Error> {
        Ok(self.set(Some(len), None))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<SetOf<'m>, Error> {
        Ok(self.set(Some(len), Some(variant)))
    }
}

/// One of our own types back from its parts, by way of JSON: it is small, and serde has no value of its own.
fn parts<T, P>(name: &'static str, parts: &P) -> Result<T, Error>
where
    T: for<'de> serde::Deserialize<'de>,
    P: Serialize + ?Sized,
{
    let bad = |e: serde_json::Error| Error::new(Class::Type, format!("malformed {name}: {e}"));
    let json = serde_json::to_value(parts).map_err(bad)?;
    T::deserialize(json).map_err(bad)
}

macro_rules! lists {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait for ListOf<'_> {
            type Ok = Value;
            type Error = Error;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.push(value)
            }
            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
}

macro_rules! sets {
    ($($trait:ident),*) => {$(
        impl $trait for SetOf<'_> {
            type Ok = Value;
            type Error = Error;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                let name = self.m.symbol(name);
                self.push(name, value)
            }
            fn end(self) -> Result<Value, Error> {
                self.finish()
            }
        }
    )*};
}

sets! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for SetOf<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let v = key.serialize(ToValue { m: self.m })?;
        let name = match v.view() {
            crate::value::View::String(s) => self.m.symbol_of_string(s),
            crate::value::View::Int(n) => self.m.symbol(&n.to_string()),
            crate::value::View::Bool(b) => self.m.symbol(if b { "true" } else { "false" }),
            found => {
                let found = found.with_article();
                return Err(Error::new(
                    Class::Type,
                    format!("the name of an attribute must be a string, but found {found}"),
                ));
            }
        };
        self.key = Some(name);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        match self.key.take() {
            Some(name) => self.push(name, value),
            None => Err(Error::new(Class::Type, "a value of a map without its key")),
        }
    }
    fn end(self) -> Result<Value, Error> {
        self.finish()
    }
}

/// Reads the number under which a session keeps a value for us.
pub(super) struct ReadNumber<'m> {
    m: &'m mut Machine,
}

macro_rules! only_bytes {
    ($($method:ident($($type:ty),*)),* $(,)?) => {$(
        fn $method(self, $(_: $type),*) -> Result<Value, Error> {
            Err(no_number())
        }
    )*};
}

fn no_number() -> Error {
    Error::new(Class::Type, "only a handle may be called like one")
}

impl Serializer for ReadNumber<'_> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = Impossible<Value, Error>;
    type SerializeTuple = Impossible<Value, Error>;
    type SerializeTupleStruct = Impossible<Value, Error>;
    type SerializeTupleVariant = Impossible<Value, Error>;
    type SerializeMap = Impossible<Value, Error>;
    type SerializeStruct = Impossible<Value, Error>;
    type SerializeStructVariant = Impossible<Value, Error>;

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, Error> {
        let word = |range: std::ops::Range<usize>| {
            bytes.get(range).and_then(|b| b.try_into().ok()).map(u64::from_ne_bytes)
        };
        let (Some(session), Some(number)) = (word(0..8), word(8..16)) else {
            return Err(no_number());
        };
        let here = Arc::as_ptr(&self.m.shared) as usize as u64;
        let value = if session == here { self.m.shared.exports.take(number) } else { None };
        value.ok_or_else(|| {
            Error::new(Class::Argument, "a handle of another session cannot be used here")
        })
    }

    only_bytes! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32),
        serialize_i64(i64), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32),
        serialize_u64(u64), serialize_f32(f32), serialize_f64(f64), serialize_char(char),
        serialize_str(&str), serialize_none(), serialize_unit(), serialize_unit_struct(&'static str),
        serialize_unit_variant(&'static str, u32, &'static str),
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Value, Error> {
        Err(no_number())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<Value, Error> {
        Err(no_number())
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Value, Error> {
        Err(no_number())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        Err(no_number())
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Error> {
        Err(no_number())
    }
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        Err(no_number())
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(no_number())
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(no_number())
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Error> {
        Err(no_number())
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(no_number())
    }
}
