//! One derivation, and what it says of itself.

use std::collections::BTreeMap;

use nix_formats::store_path::StorePath;

use super::PackageName;
use crate::{
    error::{self, Class, Error, FrameKind},
    machine::{Coerce, Machine},
    symbol::Symbol,
    value::{Attrs, ContextBuilder, Value, View},
};

/// A derivation that a [`super::Walk`] found. Holds values: it must not outlive its evaluator.
#[derive(Clone, Debug)]
pub struct Package {
    /// Attribute names and list indices that lead from the walk's root to it; empty for the root.
    pub attr_path: Vec<String>,
    attrs: Attrs,
    name: Vec<u8>,
}

/// Whether outputs are asked for with their paths, which instantiates the derivation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputPaths {
    /// Names and paths.
    Yes,
    /// Names only.
    No,
}

impl Package {
    /// The derivation that `attrs` is. Reads its name.
    ///
    /// # Errors
    /// When it has no name, or the name is no string without context.
    pub(super) fn new(
        m: &mut Machine,
        attr_path: Vec<String>,
        attrs: Attrs,
    ) -> Result<Package, Error> {
        let Some(name) = attrs.get(m.symbol("name")) else {
            return Err(Error::new(Class::Type, "derivation name missing"));
        };
        let name = m.force_string_no_context(name, "the attribute 'name' of a derivation")?;
        Ok(Package { attr_path, attrs, name: name.bytes().to_vec() })
    }

    /// The derivation's set.
    pub fn attrs(&self) -> Attrs {
        self.attrs
    }

    /// Name and version.
    pub fn name(&self) -> PackageName<'_> {
        PackageName::new(&self.name)
    }

    /// The full name as text, with invalid UTF-8 replaced.
    pub fn name_text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Adds to an error which derivation was asked.
    #[must_use]
    pub fn blame(&self, error: Error) -> Error {
        let text = format!("while querying the derivation named '{}'", self.name_text());
        error.frame(FrameKind::Derivation, text, None)
    }

    /// The attribute `name`, a string without context; `None` if there is none.
    fn text(&self, m: &mut Machine, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(v) = self.attrs.get(m.symbol(name)) else { return Ok(None) };
        let s = m.force_string_no_context(v, &format!("the attribute '{name}' of a derivation"))?;
        Ok(Some(s.bytes().to_vec()))
    }

    /// The attribute `name` of `attrs`, a store path; `None` if there is none.
    fn store_path(
        &self,
        m: &mut Machine,
        attrs: Attrs,
        name: &str,
    ) -> Result<Option<StorePath>, Error> {
        let Some(v) = attrs.get(m.symbol(name)) else { return Ok(None) };
        let mut context = ContextBuilder::new();
        let text = m.coerce_to_string(v, Coerce::PATH_TEXT, &mut context)?.to_text();
        match m.store_dir().parse(&text) {
            Ok(path) => Ok(Some(path)),
            Err(reason) => {
                let message = format!("path '{text}' is not in the Nix store");
                Err(Error::new(Class::Argument, message).note(reason.to_string()))
            }
        }
    }

    /// The system that it is built on; `unknown` if it does not say.
    ///
    /// # Errors
    /// What the evaluation says; a system that is no string without context.
    pub fn system(&self, m: &mut Machine) -> Result<Vec<u8>, Error> {
        Ok(self.text(m, "system")?.unwrap_or_else(|| b"unknown".to_vec()))
    }

    /// The output that the set stands for; empty if it does not say.
    ///
    /// # Errors
    /// What the evaluation says; a name that is no string without context.
    pub fn output_name(&self, m: &mut Machine) -> Result<Vec<u8>, Error> {
        Ok(self.text(m, "outputName")?.unwrap_or_default())
    }

    /// The store derivation, which is instantiated for it; `None` if the set has no `drvPath`.
    ///
    /// # Errors
    /// What the evaluation says; a text that is no store path.
    pub fn drv_path(&self, m: &mut Machine) -> Result<Option<StorePath>, Error> {
        self.store_path(m, self.attrs, "drvPath")
    }

    /// The path of the output that the set stands for.
    ///
    /// # Errors
    /// What the evaluation says; no `outPath`, or one that is no store path.
    pub fn out_path(&self, m: &mut Machine) -> Result<StorePath, Error> {
        let path = self.store_path(m, self.attrs, "outPath")?;
        path.ok_or_else(|| error::required_attr("outPath", "a derivation"))
    }

    /// The outputs by name, with their paths if they are wanted. Without an attribute `outputs` it is `out`
    /// alone; outputs that the list names but the set lacks are left out when paths are wanted.
    ///
    /// # Errors
    /// What the evaluation says; values that are no outputs.
    pub fn outputs(
        &self,
        m: &mut Machine,
        paths: OutputPaths,
    ) -> Result<BTreeMap<Vec<u8>, Option<StorePath>>, Error> {
        let mut outputs = BTreeMap::new();
        let Some(names) = self.attrs.get(m.symbol("outputs")) else {
            let path = if paths == OutputPaths::Yes { Some(self.out_path(m)?) } else { None };
            outputs.insert(b"out".to_vec(), path);
            return Ok(outputs);
        };
        for name in m.force_list(names, "the attribute 'outputs' of a derivation")?.iter() {
            m.poll()?;
            let what = "an element of the attribute 'outputs' of a derivation";
            let name = m.force_string_no_context(name, what)?.bytes().to_vec();
            let mut path = None;
            if paths == OutputPaths::Yes {
                let Some(output) = self.attrs.get(m.symbol_of(&name)) else { continue };
                let output = m.force_attrs(output, "an output of a derivation")?;
                path = self.store_path(m, output, "outPath")?;
                if path.is_none() {
                    continue;
                }
            }
            outputs.entry(name).or_insert(path);
        }
        Ok(outputs)
    }

    fn meta_set(&self, m: &mut Machine) -> Result<Option<Attrs>, Error> {
        let Some(meta) = self.attrs.get(m.symbol("meta")) else { return Ok(None) };
        m.force_attrs(meta, "the attribute 'meta' of a derivation").map(Some)
    }

    /// The names of the attributes of `meta`, in byte order.
    ///
    /// # Errors
    /// What the evaluation says; a `meta` that is no set.
    pub fn meta_names(&self, m: &mut Machine) -> Result<Vec<Symbol>, Error> {
        let Some(meta) = self.meta_set(m)? else { return Ok(Vec::new()) };
        let symbols = m.symbol_table();
        Ok(meta.iter_by_name(&symbols).map(|(name, _)| name).collect())
    }

    /// An attribute of `meta`, evaluated completely; `None` if there is none or it is not made of strings,
    /// numbers, booleans, lists and sets that are no derivations.
    ///
    /// # Errors
    /// What the evaluation says.
    pub fn meta(&self, m: &mut Machine, name: Symbol) -> Result<Option<Value>, Error> {
        let Some(v) = self.meta_set(m)?.and_then(|meta| meta.get(name)) else { return Ok(None) };
        let v = m.force(v)?;
        let out_path = m.symbol("outPath");
        let symbols = m.symbol_table();
        let mut todo = vec![v];
        while let Some(v) = todo.pop() {
            m.poll()?;
            let v = m.force(v)?;
            match v.view() {
                View::Int(_) | View::Float(_) | View::Bool(_) | View::String(_) => {}
                View::List(items) => todo.extend(items.iter().rev()),
                View::Attrs(attrs) if attrs.has(out_path) => return Ok(None),
                View::Attrs(attrs) => {
                    todo.extend(attrs.iter_by_name(&symbols).rev().map(|(_, v)| v));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(v))
    }

    /// The text of an attribute of `meta`; empty if it is not there or no string.
    ///
    /// # Errors
    /// What the evaluation says.
    pub fn meta_text(&self, m: &mut Machine, name: &str) -> Result<Vec<u8>, Error> {
        let symbol = m.symbol(name);
        let v = self.meta(m, symbol)?.and_then(Value::as_string);
        Ok(v.map(|s| s.bytes().to_vec()).unwrap_or_default())
    }
}
