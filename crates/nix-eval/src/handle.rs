//! Values held from outside.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::{
    builtins::{json, xml},
    convert::{self, ConvertOptions, Converted},
    error::{Class, Error, FrameKind},
    evaluator::Shared,
    machine::Machine,
    value::{ContextBuilder, Value, View, print},
};

/// A value held from outside its evaluator: `Send + Sync`, cheap to clone, forced or called at any later
/// time. It keeps its evaluator's heap alive.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    value: Value,
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<Handle>();
};

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[expect(missing_docs, reason = "the kinds of values of the language")]
#[non_exhaustive]
pub enum Kind {
    Int,
    Float,
    Bool,
    Null,
    String,
    Path,
    List,
    Attrs,
    Function,
    External,
    /// Not evaluated yet, or failed.
    Thunk,
}

/// How to show a value as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// As `nix-instantiate --eval`: forces nothing but the value itself.
    Shallow,
    /// As `nix-instantiate --eval --strict`: forces everything first.
    Deep,
    /// As `builtins.toJSON`; paths are added to the host's store.
    Json,
    /// As `builtins.toXML`.
    Xml,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, value: Value) -> Handle {
        Handle { shared, value }
    }

    /// The value, for code that runs on the same session's machine.
    pub fn value(&self) -> Value {
        self.value
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn value_in(&self, shared: &Arc<Shared>) -> Result<Value, Error> {
        if Arc::ptr_eq(&self.shared, shared) {
            return Ok(self.value);
        }
        Err(Error::new(Class::Argument, "a handle of another session cannot be used here"))
    }

    /// Runs `code` on the session's machine, with the value.
    ///
    /// # Errors
    /// Those of `code`.
    pub fn with<T>(
        &self,
        code: impl FnOnce(&mut Machine, Value) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.shared.with_machine(|m| code(m, self.value))
    }

    fn other(
        &self,
        code: impl FnOnce(&mut Machine, Value) -> Result<Value, Error>,
    ) -> Result<Handle, Error> {
        let value = self.with(code)?;
        Ok(Handle { shared: self.shared.clone(), value })
    }

    /// Evaluates to weak head normal form. Idempotent; a remembered failure comes back.
    ///
    /// # Errors
    /// Those of the evaluation.
    pub fn force(&self) -> Result<(), Error> {
        self.with(|m, v| m.force(v).map(drop))
    }

    /// Evaluates everything that can be reached.
    ///
    /// # Errors
    /// The first failure on the way.
    pub fn force_deep(&self) -> Result<(), Error> {
        self.with(Machine::force_deep)
    }

    /// What the value is as far as it is evaluated; forces nothing.
    pub fn peek(&self) -> Kind {
        match self.value.view() {
            View::Int(_) => Kind::Int,
            View::Float(_) => Kind::Float,
            View::Bool(_) => Kind::Bool,
            View::Null => Kind::Null,
            View::String(_) => Kind::String,
            View::Path(_) => Kind::Path,
            View::List(_) => Kind::List,
            View::Attrs(_) => Kind::Attrs,
            View::Function(_) => Kind::Function,
            View::External(_) => Kind::External,
            View::Thunk(_) => Kind::Thunk,
        }
    }

    /// What the value is, forcing it.
    ///
    /// # Errors
    /// Those of the evaluation.
    pub fn kind(&self) -> Result<Kind, Error> {
        self.force()?;
        Ok(self.peek())
    }

    /// An attribute; the set is forced, the attribute is not.
    ///
    /// # Errors
    /// When the value is no set or lacks the attribute.
    pub fn get(&self, name: &str) -> Result<Handle, Error> {
        self.other(|m, v| {
            let attrs = m.force_attrs(v, "")?;
            let symbol = m.symbol(name);
            attrs.get(symbol).ok_or_else(|| crate::error::missing_attr(m.symbols(), symbol, attrs))
        })
    }

    /// An element of a list; the list is forced, the element is not.
    ///
    /// # Errors
    /// When the value is no list or too short.
    pub fn at(&self, index: usize) -> Result<Handle, Error> {
        self.other(|m, v| {
            let list = m.force_list(v, "")?;
            list.get(index).ok_or_else(|| {
                let n = list.len();
                crate::error::index(format!(
                    "list index {index} is out of bounds, the list has {n} elements"
                ))
            })
        })
    }

    /// The attributes of a set in byte order of their names; they are not forced.
    ///
    /// # Errors
    /// When the value is no set.
    pub fn attrs(&self) -> Result<Vec<(String, Handle)>, Error> {
        self.with(|m, v| {
            let attrs = m.force_attrs(v, "")?;
            let symbols = m.symbol_table();
            Ok(attrs
                .iter_by_name(&symbols)
                .map(|(name, value)| {
                    let name = String::from_utf8_lossy(symbols.name(name)).into_owned();
                    (name, Handle { shared: self.shared.clone(), value })
                })
                .collect())
        })
    }

    /// The elements of a list; they are not forced.
    ///
    /// # Errors
    /// When the value is no list.
    pub fn items(&self) -> Result<Vec<Handle>, Error> {
        self.with(|m, v| {
            let list = m.force_list(v, "")?;
            Ok(list.iter().map(|value| Handle { shared: self.shared.clone(), value }).collect())
        })
    }

    /// Calls a function with arguments of the same session.
    ///
    /// # Errors
    /// When the value cannot be called, and those of the call.
    pub fn call(&self, args: &[Handle]) -> Result<Handle, Error> {
        let args = args
            .iter()
            .map(|arg| arg.value_in(&self.shared))
            .collect::<Result<Vec<Value>, Error>>()?;
        self.other(|m, v| m.call(v, &args))
    }

    /// Calls a function that takes a set with those of `args` that it names, all of them if it has `...`;
    /// other values stay as they are.
    ///
    /// # Errors
    /// When a formal has neither argument nor default, and those of the call.
    pub fn auto_call(&self, args: &[(String, Handle)]) -> Result<Handle, Error> {
        let args = args
            .iter()
            .map(|(name, arg)| Ok((name.clone(), arg.value_in(&self.shared)?)))
            .collect::<Result<Vec<(String, Value)>, Error>>()?;
        self.other(|m, v| m.auto_call(v, &args))
    }

    /// The Rust value, by serde; forces what `T` names and nothing else. See [`crate::convert`].
    ///
    /// # Errors
    /// When forcing fails or the value is not what `T` wants; the error names the place in the value.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.to_with(ConvertOptions::default()).map(|converted| converted.value)
    }

    /// As [`Handle::to`], with options; under [`crate::ContextPolicy::Keep`] with what strings refer to.
    ///
    /// # Errors
    /// As [`Handle::to`].
    pub fn to_with<T: DeserializeOwned>(
        &self,
        options: ConvertOptions,
    ) -> Result<Converted<T>, Error> {
        self.with(|m, v| convert::from_value(m, v, options))
    }

    /// The value at an attribute path, such as `packages.web."a.b"`, a number for an element of a list; all
    /// but the result is forced.
    ///
    /// # Errors
    /// When the path is malformed, or something on the way is missing or of the wrong type.
    pub fn path(&self, path: &str) -> Result<Handle, Error> {
        let mut at = self.clone();
        for (name, is_quoted) in split_path(path)? {
            at = match name.parse() {
                Ok(index) if !is_quoted && at.kind()? == Kind::List => at.at(index)?,
                _ => at.get(&name)?,
            };
        }
        Ok(at)
    }

    /// Where an attribute of this set is defined: file, line, column, as far as that is known.
    ///
    /// # Errors
    /// When the value is no set.
    pub fn attr_place(&self, name: &str) -> Result<Option<String>, Error> {
        self.with(|m, v| {
            let attrs = m.force_attrs(v, "")?;
            Ok(attrs.position(m.symbol(name)).map(|place| m.sources().describe(place)))
        })
    }

    /// An integer.
    ///
    /// # Errors
    /// When the value is none.
    pub fn to_int(&self) -> Result<i64, Error> {
        self.with(|m, v| m.force_int(v, ""))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When the value is neither.
    pub fn to_bool(&self) -> Result<bool, Error> {
        self.with(|m, v| m.force_bool(v, ""))
    }

    /// The bytes of a string, whatever its context.
    ///
    /// # Errors
    /// When the value is no string.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        self.with(|m, v| Ok(m.force_string(v, "")?.bytes().to_vec()))
    }

    /// Text of the value, as bytes.
    ///
    /// # Errors
    /// Those of the evaluation.
    pub fn show(&self, how: Show) -> Result<Vec<u8>, Error> {
        self.with(|m, v| {
            let v = m.force(v)?;
            match how {
                Show::Shallow => Ok(print::eval_form(m, v)),
                Show::Deep => {
                    m.force_deep(v)?;
                    Ok(print::eval_form(m, v))
                }
                Show::Json => {
                    let mut out = Vec::new();
                    json::to_json(m, v, true, &mut ContextBuilder::new(), &mut out)?;
                    Ok(out)
                }
                Show::Xml => {
                    let options = xml::XmlOptions { force: true, locations: false };
                    xml::to_xml(m, v, options, &mut ContextBuilder::new())
                }
            }
        })
    }
}

/// The parts of an attribute path, and whether they were quoted.
fn split_path(path: &str) -> Result<Vec<(String, bool)>, Error> {
    let wrong =
        |why: &str| Error::new(Class::Argument, format!("'{path}' is no attribute path: {why}"));
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let part;
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices();
            let end = loop {
                match chars.next() {
                    Some((at, '"')) => break at,
                    Some((_, '\\')) => name.extend(chars.next().map(|c| c.1)),
                    Some((_, c)) => name.push(c),
                    None => return Err(wrong("a quoted name is not closed")),
                }
            };
            part = (name, true);
            rest = &quoted[end + 1..];
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            part = (rest[..end].to_owned(), false);
            rest = &rest[end..];
        }
        if part.0.is_empty() && !part.1 {
            return Err(wrong("a name is empty"));
        }
        parts.push(part);
        match rest.strip_prefix('.') {
            Some("") => return Err(wrong("it ends with a dot")),
            Some(after) => rest = after,
            None if rest.is_empty() => {}
            None => return Err(wrong("names are joined by dots")),
        }
    }
    Ok(parts)
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("kind", &self.peek()).finish_non_exhaustive()
    }
}

impl Machine {
    /// Calls a function that takes a set with those of `args` that it names, all of them if it has `...`.
    /// Functors are looked through; other values come back as they are.
    ///
    /// # Errors
    /// When a formal has neither argument nor default, and those of the call.
    pub fn auto_call(&mut self, v: Value, args: &[(String, Value)]) -> Result<Value, Error> {
        let mut v = self.force(v)?;
        let mut n_functors = 0;
        loop {
            self.poll()?;
            self.count_step(&mut n_functors)?;
            match v.view() {
                View::Attrs(attrs) => match attrs.get(self.shared.names.functor) {
                    Some(functor) => v = self.call(functor, &[v])?,
                    None => return Ok(v),
                },
                View::Function(function) => {
                    let crate::value::FunctionView::Lambda(lambda) = function.view() else {
                        return Ok(v);
                    };
                    let Some(formals) = lambda.formals() else { return Ok(v) };
                    let mut set = self.attrs_builder(args.len());
                    for (name, value) in args {
                        let symbol = self.symbol(name);
                        if formals.ellipsis || formals.formals.iter().any(|f| f.name == symbol) {
                            set.push(symbol, *value, None);
                        }
                    }
                    for &i in &formals.source_order {
                        let formal = &formals.formals[i as usize];
                        let name = self.symbols().name(formal.name);
                        let given = args.iter().any(|(n, _)| n.as_bytes() == name);
                        if formal.default.is_none() && !given {
                            let name = String::from_utf8_lossy(name).into_owned();
                            let message = format!(
                                "cannot evaluate a function that has an argument without a value ('{name}')"
                            );
                            return Err(Error::new(Class::CallArgs, message)
                                .frame(
                                    FrameKind::Call,
                                    "while calling a function automatically",
                                    Some(lambda.location()),
                                )
                                .hint(format!(
                                    "give it with '--arg {name} …' or '--argstr {name} …'"
                                )));
                        }
                    }
                    let set = self.finish_attrs(set);
                    return self.call(v, &[set]);
                }
                _ => return Ok(v),
            }
        }
    }
}
