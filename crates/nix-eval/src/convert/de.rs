//! Reading: a value as a serde deserializer.

use std::{collections::BTreeSet, sync::Arc};

use serde::{
    de::{DeserializeSeed, Deserializer, IntoDeserializer, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};

use super::{
    ContextPolicy, ConvertOptions, HANDLE, PATH, STRING, carrier::Carrier, element_to_text,
};
use crate::{
    error::{Class, Error, PathStep},
    handle::Handle,
    machine::{Coerce, Machine},
    source::Location,
    symbol::{Symbol, names},
    value::{Attrs, ContextBuilder, ContextElement, ContextId, List, Value, View},
};

/// What one conversion remembers.
pub(super) struct State {
    options: ConvertOptions,
    depth: u32,
    context: BTreeSet<ContextElement>,
}

impl State {
    pub(super) fn new(options: ConvertOptions) -> State {
        State { options, depth: 0, context: BTreeSet::new() }
    }

    pub(super) fn into_context(self) -> BTreeSet<ContextElement> {
        self.context
    }
}

/// A value that is read.
pub(super) struct De<'a> {
    m: &'a mut Machine,
    state: &'a mut State,
    v: Value,
}

impl<'a> De<'a> {
    pub(super) fn new(m: &'a mut Machine, state: &'a mut State, v: Value) -> De<'a> {
        De { m, state, v }
    }

    fn force(&mut self) -> Result<Value, Error> {
        self.m.poll()?;
        self.m.force(self.v)
    }

    /// Runs `code` one level deeper.
    fn deeper<T>(
        self,
        code: impl FnOnce(&mut Machine, &mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let De { m, state, .. } = self;
        if state.depth >= state.options.depth {
            return Err(Error::new(
                Class::Limit,
                format!("the value nests deeper than {} levels", state.options.depth),
            )
            .hint("allow more with 'ConvertOptions::depth', if the value is not endless"));
        }
        state.depth += 1;
        let result = m.deeper(|m| code(m, state));
        state.depth -= 1;
        result
    }

    fn list<'de, V: Visitor<'de>>(self, list: List, visitor: V) -> Result<V::Value, Error> {
        self.deeper(|m, state| {
            let mut items = Items { m, state, list, at: 0 };
            let value = visitor.visit_seq(&mut items)?;
            if items.at < list.len() {
                let (read, len) = (items.at, list.len());
                return Err(Error::new(
                    Class::Type,
                    format!("expected a list of {read} elements but found {len}"),
                ));
            }
            Ok(value)
        })
    }

    fn map<'de, V: Visitor<'de>>(self, attrs: Attrs, visitor: V) -> Result<V::Value, Error> {
        self.deeper(|m, state| {
            let symbols = m.symbol_table();
            let all = attrs.iter_by_name(&symbols);
            visitor.visit_map(Members { m, state, attrs, all, current: None })
        })
    }

    /// The bytes of a string, after its context was dealt with.
    fn string_bytes<'v>(&mut self, v: Value) -> Result<Option<&'v [u8]>, Error> {
        let (bytes, context) = match v.view() {
            View::String(s) => (s.bytes(), s.context()),
            View::Path(_) => {
                let mut none = ContextBuilder::new();
                let s = self.m.coerce_to_string(v, Coerce::PATH_TEXT, &mut none)?;
                (s.bytes(), ContextId::NONE)
            }
            View::Attrs(attrs) if attrs.has(names::OUT_PATH) || attrs.has(names::TO_STRING) => {
                let mut context = ContextBuilder::new();
                let s = self.m.coerce_to_string(v, Coerce::PATH_TEXT, &mut context)?;
                (s.bytes(), context.finish(self.m.contexts()))
            }
            _ => return Ok(None),
        };
        self.keep_context(bytes, context)?;
        Ok(Some(bytes))
    }

    fn keep_context(&mut self, bytes: &[u8], context: ContextId) -> Result<(), Error> {
        if context.is_none() {
            return Ok(());
        }
        let elements = self.m.contexts().get(context);
        match self.state.options.context {
            ContextPolicy::Drop => {}
            ContextPolicy::Keep => self.state.context.extend(elements.iter().cloned()),
            ContextPolicy::Reject => {
                let unbuilt = elements.iter().find(|e| !matches!(e, ContextElement::Opaque(_)));
                if let Some(unbuilt) = unbuilt {
                    let path = self.m.context_element_text(unbuilt);
                    return Err(crate::error::context_not_allowed(bytes, &path).hint(
                        "read it as a NixString, or choose ContextPolicy::Keep or ContextPolicy::Drop",
                    ));
                }
            }
        }
        Ok(())
    }

    fn wrong(&self, expected: &str, found: Value) -> Error {
        self.m.wrong_type(expected, found, "")
    }
}

fn visit_text<'de, V: Visitor<'de>>(visitor: V, bytes: &[u8]) -> Result<V::Value, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => visitor.visit_str(text),
        Err(_) => visitor.visit_bytes(bytes),
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
            let v = self.force()?;
            match v.view() {
                // `as` saturates, and makes 0 of what is no number.
                View::Float(x) if self.state.options.lossy_numbers => visitor.visit_i64(x as i64),
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let v = self.force()?;
        match v.view() {
            View::Int(n) => visitor.visit_i64(n),
            View::Float(x) => visitor.visit_f64(x),
            View::Bool(b) => visitor.visit_bool(b),
            View::Null => visitor.visit_unit(),
            View::List(list) => self.list(list, visitor),
            View::String(_) | View::Path(_) | View::Attrs(_) => {
                match (self.string_bytes(v)?, v.as_attrs()) {
                    (Some(bytes), _) => visit_text(visitor, bytes),
                    (None, Some(attrs)) => self.map(attrs, visitor),
                    (None, None) => Err(self.wrong("a value", v)),
                }
            }
            View::Function(_) | View::External(_) | View::Thunk(_) => {
                struct Expecting<V>(V);
                impl<'de, V: Visitor<'de>> std::fmt::Display for Expecting<V> {
                    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        self.0.expecting(f)
                    }
                }
                let expected = Expecting(visitor).to_string();
                Err(self.wrong(&expected, v))
            }
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let v = self.force()?;
        match v.view() {
            View::Int(n) if self.state.options.lossy_numbers => visitor.visit_f64(n as f64),
            View::Int(_) => Err(self.wrong("a float", v)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let v = self.force()?;
        match self.string_bytes(v)? {
            Some(bytes) => visitor.visit_bytes(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.force()? == Value::NULL { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            HANDLE => {
                let handle = Handle::new(self.m.shared.clone(), self.v);
                visitor.visit_newtype_struct(HandleDe(handle))
            }
            STRING => {
                let v = self.force()?;
                let mut context = ContextBuilder::new();
                let s = match v.view() {
                    View::String(_) | View::Attrs(_) => {
                        self.m.coerce_to_string(v, Coerce::PATH_TEXT, &mut context)?
                    }
                    _ => return Err(self.wrong("a string", v)),
                };
                let elements = self.m.contexts().get(context.finish(self.m.contexts()));
                let texts: Vec<String> = elements.iter().map(element_to_text).collect();
                visitor.visit_newtype_struct(pair(s.bytes().to_vec(), texts))
            }
            PATH => {
                let v = self.force()?;
                let View::Path(path) = v.view() else { return Err(self.wrong("a path", v)) };
                visitor.visit_newtype_struct(pair(path.accessor().0, path.bytes().to_vec()))
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let v = self.force()?;
        match v.as_list() {
            Some(list) => self.list(list, visitor),
            None => Err(self.wrong("a list", v)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let v = self.force()?;
        match v.as_attrs() {
            Some(attrs) => self.map(attrs, visitor),
            None => Err(self.wrong("a set", v)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let v = self.force()?;
        match v.view() {
            View::Attrs(attrs) if attrs.len() == 1 => {
                let (name, content) = attrs.iter().next().unwrap_or((names::TYPE, Value::NULL));
                let name = String::from_utf8_lossy(self.m.symbols().name(name)).into_owned();
                let step = PathStep::Name(name.clone());
                self.deeper(|m, state| {
                    visitor.visit_enum(Variant { m, state, name, content: Some(content) })
                })
                .map_err(|e| e.in_value(step, None))
            }
            View::String(_) => {
                let bytes = self.string_bytes(v)?.unwrap_or_default();
                let name = String::from_utf8_lossy(bytes).into_owned();
                let De { m, state, .. } = self;
                visitor.visit_enum(Variant { m, state, name, content: None })
            }
            _ => Err(self.wrong("a string or a set of one attribute", v)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bool char str string unit unit_struct identifier }
}

/// Two values of serde's own.
fn pair<A, B>(a: A, b: B) -> serde::de::value::SeqDeserializer<std::vec::IntoIter<Part>, Error>
where
    Part: From<A> + From<B>,
{
    serde::de::value::SeqDeserializer::new(vec![Part::from(a), Part::from(b)].into_iter())
}

/// What the parts of our own types are made of.
enum Part {
    Number(u32),
    Bytes(Vec<u8>),
    Texts(Vec<String>),
}

impl From<u32> for Part {
    fn from(n: u32) -> Part {
        Part::Number(n)
    }
}
impl From<Vec<u8>> for Part {
    fn from(bytes: Vec<u8>) -> Part {
        Part::Bytes(bytes)
    }
}
impl From<Vec<String>> for Part {
    fn from(texts: Vec<String>) -> Part {
        Part::Texts(texts)
    }
}

impl IntoDeserializer<'_, Error> for Part {
    type Deserializer = Part;
    fn into_deserializer(self) -> Part {
        self
    }
}

impl<'de> Deserializer<'de> for Part {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Part::Number(n) => visitor.visit_u32(n),
            Part::Bytes(bytes) => {
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(bytes.into_iter()))
            }
            Part::Texts(texts) => {
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(texts.into_iter()))
            }
        }
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// Hands a handle over as the source of an error.
struct HandleDe(Handle);

impl<'de> Deserializer<'de> for HandleDe {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        let error = Error::new(Class::Type, "a handle cannot be read as anything else");
        Err(error.caused_by(Arc::new(Carrier(self.0))))
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// The elements of a list.
struct Items<'a> {
    m: &'a mut Machine,
    state: &'a mut State,
    list: List,
    at: usize,
}

impl<'de> serde::de::SeqAccess<'de> for &mut Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(v) = self.list.get(self.at) else { return Ok(None) };
        let index = self.at;
        self.at += 1;
        seed.deserialize(De { m: self.m, state: self.state, v })
            .map(Some)
            .map_err(|e| e.in_value(PathStep::Index(index as u64), None))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.list.len() - self.at)
    }
}

/// The attributes of a set, in order of their names.
struct Members<'a> {
    m: &'a mut Machine,
    state: &'a mut State,
    attrs: Attrs,
    all: std::vec::IntoIter<(Symbol, Value)>,
    current: Option<(Symbol, Value)>,
}

impl Members<'_> {
    fn place(&self, name: Symbol) -> (PathStep, Option<Location>) {
        let text = String::from_utf8_lossy(self.m.symbols().name(name)).into_owned();
        (PathStep::Name(text), self.attrs.position(name))
    }
}

impl<'de> serde::de::MapAccess<'de> for Members<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, v)) = self.all.next() else { return Ok(None) };
        self.current = Some((name, v));
        let text = String::from_utf8_lossy(self.m.symbols().name(name)).into_owned();
        let key: StrDeserializer<'_, Error> = text.as_str().into_deserializer();
        seed.deserialize(Key { key, text: &text }).map(Some).map_err(|e| {
            let (_, location) = self.place(name);
            match location {
                Some(location) => e.at_if_unknown(location),
                None => e,
            }
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (name, v) = self.current.take().unwrap_or((names::TYPE, Value::NULL));
        seed.deserialize(De { m: self.m, state: self.state, v }).map_err(|e| {
            let (step, location) = self.place(name);
            e.in_value(step, location)
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.all.len())
    }
}

/// A name; maps may have numbers as keys.
struct Key<'a> {
    key: StrDeserializer<'a, Error>,
    text: &'a str,
}

macro_rules! number_keys {
    ($($method:ident => $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.text.parse() {
                Ok(n) => visitor.$visit(n),
                Err(_) => self.key.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.key.deserialize_any(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.key.deserialize_enum(name, variants, visitor)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
    number_keys! {
        deserialize_i8 => visit_i8 deserialize_i16 => visit_i16 deserialize_i32 => visit_i32
        deserialize_i64 => visit_i64 deserialize_u8 => visit_u8 deserialize_u16 => visit_u16
        deserialize_u32 => visit_u32 deserialize_u64 => visit_u64
    }
    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum: its name, and its content if it is a set of one attribute.
struct Variant<'a> {
    m: &'a mut Machine,
    state: &'a mut State,
    name: String,
    content: Option<Value>,
}

impl<'a> Variant<'a> {
    fn content(self) -> Result<De<'a>, Error> {
        match self.content {
            Some(v) => Ok(De { m: self.m, state: self.state, v }),
            None => Err(Error::new(
                Class::Type,
                format!("'{}' needs a value; write {{ {} = …; }}", self.name, self.name),
            )),
        }
    }
}

impl<'de, 'a> serde::de::EnumAccess<'de> for Variant<'a> {
    type Error = Error;
    type Variant = Variant<'a>;
    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Variant<'a>), Error> {
        let name: StrDeserializer<'_, Error> = self.name.as_str().into_deserializer();
        let value = seed.deserialize(name)?;
        Ok((value, self))
    }
}

impl<'de> serde::de::VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(_) => serde::Deserialize::deserialize(self.content()?),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_seq(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_map(visitor)
    }
}
