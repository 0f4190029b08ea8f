//! The attributes of `derivationStrict`, read in the order in which the language evaluates them.

use std::collections::{BTreeMap, BTreeSet};

use nix_eval::{
    Error,
    builtins::json::to_json,
    error::{self, Class, FrameKind},
    machine::{Coerce, Machine},
    value::{Attrs, ContextBuilder, ContextId, Value},
};
use nix_formats::{
    content_address::CaMethod,
    hash::HashAlgo,
    store_path::{FileMethod, check_name},
};

/// Everything that the attributes say, before inputs and paths are worked out.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) name: String,
    pub(super) system: String,
    pub(super) builder: Vec<u8>,
    pub(super) args: Vec<Vec<u8>>,
    pub(super) env: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) outputs: BTreeSet<String>,
    pub(super) output_hash: Option<String>,
    pub(super) output_hash_algo: Option<HashAlgo>,
    pub(super) method: Option<CaMethod>,
    pub(super) content_addressed: bool,
    pub(super) impure: bool,
    /// What all values together refer to.
    pub(super) context: ContextId,
}

/// Output checks that structured attributes have in `outputChecks` instead.
const CHECKS: [&[u8]; 6] = [
    b"allowedReferences",
    b"allowedRequisites",
    b"disallowedReferences",
    b"disallowedRequisites",
    b"maxSize",
    b"maxClosureSize",
];

/// Reads all attributes.
///
/// # Errors
/// When forcing or coercing one fails, or one has a value that no derivation can have.
pub(super) fn read(m: &mut Machine, attrs: Attrs) -> Result<Attributes, Error> {
    let what = "the attributes passed to 'derivationStrict'";
    let name = attrs.get(m.symbol("name")).ok_or_else(|| error::required_attr("name", what))?;
    let name = m
        .force_string_no_context(name, "the `name` attribute passed to 'derivationStrict'")?
        .to_text();
    check_name(&name).map_err(|e| {
        error::format(format!("invalid derivation name: {e}"))
            .hint("give the derivation another `name`")
    })?;
    let structured = flag(m, attrs, "__structuredAttrs")?;
    let ignore_nulls = flag(m, attrs, "__ignoreNulls")?;
    let mut reader = Reader {
        read: Attributes {
            name,
            outputs: BTreeSet::from(["out".to_owned()]),
            ..Attributes::default()
        },
        context: ContextBuilder::new(),
        json: structured.then(|| b"{".to_vec()),
    };
    let symbols = m.symbol_table();
    let all = attrs.iter_by_name(&symbols);
    m.texts_ahead(all.as_slice().iter().map(|&(_, value)| value));
    for (attr, value) in all {
        m.poll()?;
        let key = symbols.name(attr);
        if key == b"__ignoreNulls" {
            continue;
        }
        reader.attribute(m, key, value, ignore_nulls).map_err(|e| {
            let text = format!(
                "while evaluating attribute '{}' of derivation '{}'",
                String::from_utf8_lossy(key),
                reader.read.name
            );
            e.frame(FrameKind::Derivation, text, attrs.position(attr))
        })?;
    }
    let Reader { mut read, context, json } = reader;
    if let Some(mut json) = json {
        json.push(b'}');
        read.env.insert(b"__json".to_vec(), json);
    }
    read.context = context.finish(m.contexts());
    Ok(read)
}

fn flag(m: &mut Machine, attrs: Attrs, name: &str) -> Result<bool, Error> {
    match attrs.get(m.symbol(name)) {
        Some(value) => {
            m.force_bool(value, &format!("the `{name}` attribute passed to 'derivationStrict'"))
        }
        None => Ok(false),
    }
}

struct Reader {
    read: Attributes,
    context: ContextBuilder,
    /// The structured attributes so far, if there are any.
    json: Option<Vec<u8>>,
}

impl Reader {
    fn attribute(
        &mut self,
        m: &mut Machine,
        key: &[u8],
        value: Value,
        ignore_nulls: bool,
    ) -> Result<(), Error> {
        if ignore_nulls && m.force(value)? == Value::NULL {
            return Ok(());
        }
        match key {
            b"__contentAddressed" => {
                let on = m.force_bool(value, "the attribute `__contentAddressed`")?;
                self.read.content_addressed = on && feature(m, "ca-derivations")?;
                Ok(())
            }
            b"__impure" => {
                let on = m.force_bool(value, "the attribute `__impure`")?;
                self.read.impure = on && feature(m, "impure-derivations")?;
                Ok(())
            }
            b"args" => {
                let items = m.force_list(value, "the attribute `args`")?;
                for item in items.iter() {
                    m.poll()?;
                    let s = m.coerce_to_string(item, Coerce::DERIVATION, &mut self.context)?;
                    self.read.args.push(s.bytes().to_vec());
                }
                Ok(())
            }
            b"__structuredAttrs" if self.json.is_some() => Ok(()),
            _ if self.json.is_some() => self.structured(m, key, value),
            _ => self.plain(m, key, value),
        }
    }

    /// An attribute that becomes a variable.
    fn plain(&mut self, m: &mut Machine, key: &[u8], value: Value) -> Result<(), Error> {
        let s = m.coerce_to_string(value, Coerce::DERIVATION, &mut self.context)?;
        let bytes = s.bytes();
        if key == b"__json" {
            m.warn(
                format!(
                    "in derivation '{}': setting structured attributes through '__json' is deprecated; use '__structuredAttrs = true'",
                    self.read.name
                )
                .as_bytes(),
            );
        }
        if bytes.contains(&0) {
            return Err(error::argument("a variable of a derivation cannot hold a NUL byte"));
        }
        self.read.env.insert(key.to_vec(), bytes.to_vec());
        match key {
            b"builder" => self.read.builder = bytes.to_vec(),
            b"system" => self.read.system = s.to_text(),
            b"outputHash" => self.read.output_hash = Some(s.to_text()),
            b"outputHashAlgo" => self.hash_algo(&s.to_text())?,
            b"outputHashMode" => self.hash_mode(m, &s.to_text())?,
            b"outputs" => {
                let text = s.to_text();
                let names = text.split([' ', '\t', '\n', '\r']).filter(|name| !name.is_empty());
                self.outputs(names.map(str::to_owned).collect())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// An attribute that becomes a part of the JSON text.
    fn structured(&mut self, m: &mut Machine, key: &[u8], value: Value) -> Result<(), Error> {
        if let Some(json) = &mut self.json {
            if json.len() > 1 {
                json.push(b',');
            }
            let name = m.new_string(key, ContextId::NONE);
            to_json(m, name, true, &mut self.context, json)?;
            json.push(b':');
            to_json(m, value, true, &mut self.context, json)?;
        }
        let what = format!("the attribute `{}`", String::from_utf8_lossy(key));
        match key {
            b"builder" => {
                let s = m.force_string(value, &what)?;
                self.context.add(s.context());
                self.read.builder = s.bytes().to_vec();
            }
            b"system" => self.read.system = m.force_string_no_context(value, &what)?.to_text(),
            b"outputHash" if m.force(value)? != Value::NULL => {
                self.read.output_hash = Some(m.force_string_no_context(value, &what)?.to_text());
            }
            b"outputHashAlgo" if m.force(value)? != Value::NULL => {
                let text = m.force_string_no_context(value, &what)?.to_text();
                self.hash_algo(&text)?;
            }
            b"outputHashMode" if m.force(value)? != Value::NULL => {
                let text = m.force_string_no_context(value, &what)?.to_text();
                self.hash_mode(m, &text)?;
            }
            b"outputs" => {
                let mut names = Vec::new();
                for item in m.force_list(value, &what)?.iter() {
                    m.poll()?;
                    names.push(m.force_string_no_context(item, &what)?.to_text());
                }
                self.outputs(names)?;
            }
            _ if CHECKS.contains(&key) => m.warn(
                format!(
                    "in derivation '{}': '{}' has no effect on structured attributes; use 'outputChecks.<output>.{1}' instead",
                    self.read.name,
                    String::from_utf8_lossy(key)
                )
                .as_bytes(),
            ),
            _ => {}
        }
        Ok(())
    }

    fn hash_algo(&mut self, text: &str) -> Result<(), Error> {
        if !text.is_empty() {
            let algo = HashAlgo::parse(text);
            self.read.output_hash_algo = Some(algo.map_err(|e| error::format(e.to_string()))?);
        }
        Ok(())
    }

    fn hash_mode(&mut self, m: &Machine, text: &str) -> Result<(), Error> {
        self.read.method = Some(match text {
            "flat" => CaMethod::File(FileMethod::Flat),
            "recursive" | "nar" => CaMethod::File(FileMethod::Nar),
            "text" => {
                feature(m, "dynamic-derivations")?;
                CaMethod::Text
            }
            "git" => {
                feature(m, "git-hashing")?;
                return Err(Error::new(
                    Class::Feature,
                    "'outputHashMode = \"git\"' is not supported; use \"nar\"",
                ));
            }
            _ => {
                return Err(error::argument(format!(
                    "invalid value '{text}' for 'outputHashMode' attribute"
                )));
            }
        });
        Ok(())
    }

    fn outputs(&mut self, names: Vec<String>) -> Result<(), Error> {
        let mut outputs = BTreeSet::new();
        for name in names {
            if name == "drvPath" {
                return Err(error::argument("invalid derivation output name 'drvPath'"));
            }
            check_name(&name)
                .map_err(|e| error::format(format!("invalid derivation output name: {e}")))?;
            if !outputs.insert(name.clone()) {
                return Err(error::argument(format!("duplicate derivation output '{name}'")));
            }
        }
        if outputs.is_empty() {
            return Err(error::argument("derivation cannot have an empty set of outputs"));
        }
        self.read.outputs = outputs;
        Ok(())
    }
}

/// `true` if the feature is on.
///
/// # Errors
/// When it is off.
fn feature(m: &Machine, name: &str) -> Result<bool, Error> {
    if m.options().features.contains(name) {
        return Ok(true);
    }
    Err(Error::new(
        Class::Feature,
        format!(
            "experimental Nix feature '{name}' is disabled; add '--extra-experimental-features {name}' to enable it"
        ),
    ))
}
