//! Coercion to strings and paths.

use std::collections::BTreeSet;

use nix_formats::deriving_path::{DerivingPath, Outputs};

use super::Machine;
use crate::{
    error::{self, Class, Error},
    host::{Addition, NixPath},
    value::{
        AccessorId, Attrs, ContextBuilder, ContextElement, ContextId, Str, Value, View,
        canonicalise, number,
    },
};

/// How to coerce to a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Coerce {
    /// Also `null`, booleans, numbers and lists (`toString`, derivation attributes).
    pub more: bool,
    /// Whether a path is copied to the store and gives the store path; otherwise it gives its text.
    pub copy: bool,
}

impl Coerce {
    /// Interpolation and most builtins: strings and paths, paths are copied.
    pub const INTERPOLATE: Coerce = Coerce { more: false, copy: true };
    /// `toString`.
    pub const TO_STRING: Coerce = Coerce { more: true, copy: false };
    /// Derivation attributes.
    pub const DERIVATION: Coerce = Coerce { more: true, copy: true };
    /// Where a path stays what it is.
    pub const PATH_TEXT: Coerce = Coerce { more: false, copy: false };
}

/// What is left to do while a list is coerced.
enum Todo {
    /// A value and how deep it lies.
    Value(Value, u32),
    /// A space, unless this element is an empty list.
    SpaceAfter(Value),
}

impl Machine {
    /// Coerces to a string. The context goes into `context`; the string that is returned carries the
    /// context of its own, which for a list is that of all elements.
    ///
    /// # Errors
    /// When forcing fails, the value has no text, or a path cannot be copied.
    pub fn coerce_to_string(
        &mut self,
        v: Value,
        how: Coerce,
        context: &mut ContextBuilder,
    ) -> Result<Str, Error> {
        let mut v = self.force(v)?;
        let mut n_peeled = 0;
        loop {
            match v.view() {
                View::String(s) => {
                    context.add(s.context());
                    return Ok(s);
                }
                View::Path(path) => {
                    let path = NixPath { accessor: path.accessor(), text: path.bytes().to_vec() };
                    if !how.copy {
                        let text = self.path_text(&path);
                        return Ok(self.make_str(&text, ContextId::NONE));
                    }
                    let (text, id) = self.copy_path(&path)?;
                    context.add(id);
                    return Ok(self.make_str(text.as_bytes(), id));
                }
                View::Attrs(attrs) => v = self.peel(attrs, v, &mut n_peeled)?,
                View::List(_) if how.more => return self.coerce_list(v, how, context),
                _ => {
                    let text = if how.more { scalar_text(&v.view()) } else { None };
                    return match text {
                        Some(text) => Ok(self.make_str(text.as_bytes(), ContextId::NONE)),
                        None => Err(self.cannot_coerce(v)),
                    };
                }
            }
        }
    }

    #[cold]
    fn cannot_coerce(&self, v: Value) -> Error {
        error::cannot_coerce(&v.view(), &self.preview(v))
    }

    fn make_str(&mut self, bytes: &[u8], context: ContextId) -> Str {
        Str::new(&mut self.bump, &self.shared.heap, bytes, context)
    }

    /// One step from a set to the value whose text it has: `__toString`, then `outPath`.
    /// `n_peeled` counts the steps: they may go on to another set for ever, and are bounded like calls.
    fn peel(&mut self, attrs: Attrs, v: Value, n_peeled: &mut u32) -> Result<Value, Error> {
        let names = self.shared.names;
        self.poll()?;
        self.count_step(n_peeled)?;
        if let Some(f) = attrs.get(names.to_string) {
            return self.deeper(|m| {
                let f = m.force(f)?;
                m.call(f, &[v])
            });
        }
        match attrs.get(names.out_path) {
            Some(out) => self.force(out),
            None => Err(self.cannot_coerce(v)),
        }
    }

    fn coerce_list(
        &mut self,
        list: Value,
        how: Coerce,
        context: &mut ContextBuilder,
    ) -> Result<Str, Error> {
        if how == Coerce::DERIVATION {
            self.texts_ahead([list]);
        }
        let mut own = ContextBuilder::new();
        let mut out: Vec<u8> = Vec::new();
        let mut todo = vec![Todo::Value(list, 0)];
        while let Some(next) = todo.pop() {
            self.poll()?;
            let (v, depth) = match next {
                Todo::SpaceAfter(item) => {
                    // COMPAT: no separator after an element that is an empty list.
                    if !item.as_list().is_some_and(|l| l.is_empty()) {
                        out.push(b' ');
                    }
                    continue;
                }
                Todo::Value(v, depth) => (self.force(v)?, depth),
            };
            self.check_depth(depth)?;
            let Some(items) = v.as_list() else {
                let s = self.coerce_to_string(v, how, &mut own)?;
                out.extend_from_slice(s.bytes());
                self.check_string_len(out.len() as u64)?;
                continue;
            };
            self.room_for(&mut todo, 2 * items.len())?;
            for (i, &item) in items.as_slice().iter().enumerate().rev() {
                if i % 4096 == 4095 {
                    self.poll_now()?;
                }
                if i + 1 < items.len() {
                    todo.push(Todo::SpaceAfter(item));
                }
                todo.push(Todo::Value(item, depth + 1));
            }
        }
        let own = own.finish(&self.shared.contexts);
        context.add(own);
        let v = self.new_long_string(&[&out], own)?;
        Ok(v.as_string().expect("a string was made"))
    }

    /// The text of a path as programs see it.
    pub fn path_text(&self, path: &NixPath) -> Vec<u8> {
        self.shared.engine.path_text(path)
    }

    /// Copies what lies at a path to the store: the store path's text, and its context. Memoised per path.
    ///
    /// # Errors
    /// When there is nothing at the path, its name is no store name, or the host refuses.
    pub fn copy_path(&mut self, path: &NixPath) -> Result<(String, ContextId), Error> {
        if let Some(known) = self.shared.copied(path) {
            return Ok(known);
        }
        let base = path.text.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let name = String::from_utf8_lossy(base).into_owned();
        if name.ends_with(".drv") {
            let text = String::from_utf8_lossy(&path.text).into_owned();
            return Err(error::argument(format!(
                "file names are not allowed to end in '.drv', but '{text}' does"
            )));
        }
        self.check_readable(path)?;
        let host = self.host_arc();
        let object = Addition { name: &name, path };
        let added = host.add_to_store(&object, &self.host_cx());
        let store_path = match added {
            Ok(store_path) => store_path,
            Err(_) if matches!(self.metadata(path, false), Ok(None)) => {
                return Err(error::no_such_path(path, &self.path_text(path)));
            }
            Err(error) => return Err(error.into()),
        };
        let text = host.store_dir().display(&store_path);
        let id = self.contexts().one(ContextElement::Opaque(store_path));
        self.allow_path(text.as_bytes());
        self.shared.remember_copy(path, text.clone(), id);
        Ok((text, id))
    }

    /// The text of a context element, as messages show it.
    pub fn context_element_text(&self, element: &ContextElement) -> String {
        let dir = self.store_dir();
        match element {
            ContextElement::Opaque(path) => dir.display(path),
            ContextElement::Built { drv, output } => format!("{}^{output}", dir.display(drv)),
            ContextElement::DrvDeep(path) => format!("{} (deep)", dir.display(path)),
        }
    }

    /// Builds what a string refers to, so that files in it can be read.
    ///
    /// # Errors
    /// When something is not valid or cannot be built, or the host refuses to build.
    pub fn realise_context(&mut self, context: ContextId) -> Result<(), Error> {
        if context.is_none() {
            return Ok(());
        }
        let elements = self.contexts().get(context);
        let mut wanted = Vec::new();
        for element in elements.iter() {
            let path = match element {
                ContextElement::Opaque(path) | ContextElement::DrvDeep(path) => {
                    DerivingPath::Opaque(path.clone())
                }
                ContextElement::Built { drv, output } => {
                    if !self.options().allow_import_from_derivation {
                        let path = self.context_element_text(element);
                        return Err(Error::new(
                            Class::Store,
                            format!(
                                "cannot build '{path}' during evaluation because the option 'allow-import-from-derivation' is disabled"
                            ),
                        ));
                    }
                    let names = BTreeSet::from([output.clone()]);
                    DerivingPath::Built { drv: drv.clone(), outputs: Outputs::Names(names) }
                }
            };
            wanted.push(path);
        }
        if wanted.iter().any(|path| matches!(path, DerivingPath::Built { .. })) {
            // What else is needed may have to be built as well, and need not wait for this.
            self.start_helpers();
        }
        let host = self.host_arc();
        let paths = host.realise(&wanted, &self.host_cx())?;
        let dir = host.store_dir();
        for path in paths {
            self.allow_path(dir.display(&path).as_bytes());
        }
        Ok(())
    }

    /// Coerces to an absolute path: a path value, or a string that begins with `/`, whose context goes into
    /// `context` (it is not realised).
    ///
    /// # Errors
    /// When forcing fails or the value is no absolute path.
    pub fn coerce_to_path(
        &mut self,
        v: Value,
        context: &mut ContextBuilder,
    ) -> Result<NixPath, Error> {
        let mut v = self.force(v)?;
        let mut n_peeled = 0;
        loop {
            match v.view() {
                View::Path(path) => {
                    return Ok(NixPath { accessor: path.accessor(), text: path.bytes().to_vec() });
                }
                View::Attrs(attrs) => v = self.peel(attrs, v, &mut n_peeled)?,
                View::String(s) => {
                    context.add(s.context());
                    if s.bytes().first() != Some(&b'/') {
                        let text = s.to_text();
                        return Err(error::argument(format!(
                            "string '{text}' doesn't represent an absolute path"
                        )));
                    }
                    let text = canonicalise(s.bytes());
                    return Ok(NixPath { accessor: AccessorId(0), text });
                }
                _ => return Err(self.cannot_coerce(v)),
            }
        }
    }

    /// As [`Machine::coerce_to_path`], and builds what the string refers to.
    ///
    /// # Errors
    /// As that, and when building fails.
    pub fn coerce_to_real_path(&mut self, v: Value) -> Result<NixPath, Error> {
        let mut context = ContextBuilder::new();
        let path = self.coerce_to_path(v, &mut context)?;
        self.realise_context(context.finish(&self.shared.contexts))?;
        Ok(path)
    }
}

/// The text of a value that is neither string, path, set nor list.
fn scalar_text(view: &View) -> Option<String> {
    match view {
        View::Int(n) => Some(n.to_string()),
        View::Float(x) => Some(number::format_f(*x)),
        View::Bool(true) => Some("1".to_owned()),
        View::Bool(false) | View::Null => Some(String::new()),
        _ => None,
    }
}
