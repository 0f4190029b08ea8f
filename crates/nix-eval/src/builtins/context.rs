//! String context: what a string depends on.

use std::collections::{BTreeMap, BTreeSet};

use nix_formats::store_path::StorePath;

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Class, Error},
    machine::{Coerce, Machine},
    value::{ContextBuilder, ContextElement, ContextId, Value},
};

pub(super) const CONTEXT: &[Builtin] = &[
    Builtin {
        name: "addDrvOutputDependencies",
        params: &["s"],
        doc: "*s*, whose only context element is a derivation's path, depending on the derivation with all its outputs.",
        examples: &[Example {
            source: r#"builtins.addDrvOutputDependencies "no context""#,
            shows: "error: context of string 'no context' must have exactly one element, but has 0",
        }],
        run: Run::One(add_drv_output_dependencies),
    },
    Builtin {
        name: "appendContext",
        params: &["s", "context"],
        doc: "*s* with the context elements of *context*, a set as `getContext` gives it.",
        examples: &[Example {
            source: r#"builtins.appendContext "s" { "relative" = { path = true; }; }"#,
            shows: "error: context key 'relative' is not a store path",
        }],
        run: Run::Two(append_context),
    },
    Builtin {
        name: "getContext",
        params: &["s"],
        doc: "The context of *s*: store paths, each with `path`, `allOutputs` or `outputs`.",
        examples: &[Example { source: r#"builtins.getContext "plain""#, shows: "{ }" }],
        run: Run::One(get_context),
    },
    Builtin {
        name: "hasContext",
        params: &["s"],
        doc: "Whether *s* depends on something in the store.",
        examples: &[Example { source: r#"builtins.hasContext "plain""#, shows: "false" }],
        run: Run::One(has_context),
    },
    Builtin {
        name: "unsafeDiscardOutputDependency",
        params: &["s"],
        doc: "*s*, depending on the files of derivations but no longer on their outputs.",
        examples: &[Example {
            source: r#"builtins.unsafeDiscardOutputDependency "s""#,
            shows: r#""s""#,
        }],
        run: Run::One(discard_output_dependency),
    },
    Builtin {
        name: "unsafeDiscardStringContext",
        params: &["s"],
        doc: "*s* without context.",
        examples: &[Example {
            source: r#"builtins.unsafeDiscardStringContext "s""#,
            shows: r#""s""#,
        }],
        run: Run::One(discard_context),
    },
];

fn has_context(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let s = m.force_string(s, "the argument of 'builtins.hasContext'")?;
    Ok(Value::bool(!s.context().is_none()))
}

fn discard_context(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let s = m.coerce_to_string(s, Coerce::INTERPOLATE, &mut ContextBuilder::new())?;
    Ok(m.new_string(s.bytes(), ContextId::NONE))
}

fn discard_output_dependency(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let mut context = ContextBuilder::new();
    let s = m.coerce_to_string(s, Coerce::INTERPOLATE, &mut context)?;
    let elements = m.contexts().get(context.finish(m.contexts()));
    let shallow = elements.iter().map(|e| match e {
        ContextElement::DrvDeep(drv) => ContextElement::Opaque(drv.clone()),
        other => other.clone(),
    });
    let id = m.contexts().intern(shallow.collect());
    Ok(m.new_string(s.bytes(), id))
}

fn add_drv_output_dependencies(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let mut context = ContextBuilder::new();
    let s = m.coerce_to_string(s, Coerce::INTERPOLATE, &mut context)?;
    let elements = m.contexts().get(context.finish(m.contexts()));
    let only = match elements.first() {
        Some(only) if elements.len() == 1 => only,
        _ => {
            return Err(Error::new(
                Class::Context,
                format!(
                    "context of string '{}' must have exactly one element, but has {}",
                    s.to_text(),
                    elements.len()
                ),
            ));
        }
    };
    let deep = match only {
        ContextElement::Opaque(path) if path.is_derivation() => {
            ContextElement::DrvDeep(path.clone())
        }
        ContextElement::DrvDeep(path) => ContextElement::DrvDeep(path.clone()),
        ContextElement::Opaque(_) => {
            let path = m.context_element_text(only);
            return Err(Error::new(Class::Context, format!("path '{path}' is not a derivation")));
        }
        ContextElement::Built { .. } => {
            let path = m.context_element_text(only);
            let text = format!(
                "'addDrvOutputDependencies' can only act on derivations, not on a derivation output such as '{path}'"
            );
            return Err(Error::new(Class::Context, text));
        }
    };
    let id = m.contexts().one(deep);
    Ok(m.new_string(s.bytes(), id))
}

/// What `getContext` says of one path.
#[derive(Default)]
struct Facts<'a> {
    path: bool,
    all_outputs: bool,
    outputs: Vec<&'a str>,
}

fn get_context(m: &mut Machine, s: Value) -> Result<Value, Error> {
    let s = m.force_string(s, "the argument of 'builtins.getContext'")?;
    let elements = m.contexts().get(s.context());
    let mut by_path: BTreeMap<&StorePath, Facts> = BTreeMap::new();
    for element in elements.iter() {
        match element {
            ContextElement::Opaque(p) => by_path.entry(p).or_default().path = true,
            ContextElement::DrvDeep(p) => by_path.entry(p).or_default().all_outputs = true,
            ContextElement::Built { drv, output } => {
                by_path.entry(drv).or_default().outputs.push(output);
            }
        }
    }
    let dir = m.store_dir();
    let names = ["path", "allOutputs", "outputs"].map(|n| m.symbol(n));
    let mut whole = m.attrs_builder(by_path.len());
    for (path, facts) in by_path {
        let mut attrs = Vec::new();
        if facts.path {
            attrs.push((names[0], Value::TRUE));
        }
        if facts.all_outputs {
            attrs.push((names[1], Value::TRUE));
        }
        if !facts.outputs.is_empty() {
            let outputs: Vec<Value> = facts.outputs.iter().map(|o| m.new_text(o)).collect();
            let list = m.new_list(&outputs);
            attrs.push((names[2], m.evaluated(list)));
        }
        let set = m.new_attrs(&attrs);
        let name = m.symbol(&dir.display(path));
        whole.push(name, m.evaluated(set), None);
    }
    Ok(m.finish_attrs(whole))
}

fn append_context(m: &mut Machine, s: Value, added: Value) -> Result<Value, Error> {
    let s = m.force_string(s, "the first argument of 'builtins.appendContext'")?;
    let added = m.force_attrs(added, "the second argument of 'builtins.appendContext'")?;
    let dir = m.store_dir();
    let symbols = m.symbol_table();
    let mut elements: BTreeSet<ContextElement> = (*m.contexts().get(s.context())).clone();
    let names = ["path", "allOutputs", "outputs"].map(|n| m.symbol(n));
    for (name, facts) in added.iter_by_name(&symbols) {
        m.poll()?;
        let key = String::from_utf8_lossy(symbols.name(name)).into_owned();
        let path = dir
            .parse(&key)
            .map_err(|_| error::argument(format!("context key '{key}' is not a store path")))?;
        let facts = m.force_attrs(facts, "the facts of a context element")?;
        if let Some(v) = facts.get(names[0])
            && m.force_bool(v, "the 'path' of a context element")?
        {
            elements.insert(ContextElement::Opaque(path.clone()));
        }
        let needs_derivation = |what: &str| {
            Error::new(
                Class::Argument,
                format!(
                    "tried to add {what} to the context of '{key}', which is not a derivation, to a string"
                ),
            )
        };
        if let Some(v) = facts.get(names[1])
            && m.force_bool(v, "the 'allOutputs' of a context element")?
        {
            if !path.is_derivation() {
                return Err(needs_derivation("all outputs"));
            }
            elements.insert(ContextElement::DrvDeep(path.clone()));
        }
        if let Some(v) = facts.get(names[2]) {
            let outputs = m.force_list(v, "the 'outputs' of a context element")?;
            if !outputs.is_empty() && !path.is_derivation() {
                return Err(needs_derivation("outputs"));
            }
            for output in outputs.iter() {
                let output = m.force_string(output, "an output of a context element")?.to_text();
                elements.insert(ContextElement::Built { drv: path.clone(), output });
            }
        }
    }
    let id = m.contexts().intern(elements);
    Ok(m.new_string(s.bytes(), id))
}
