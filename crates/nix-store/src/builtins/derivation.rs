//! `derivationStrict`: from attributes to a derivation in the store.

use std::collections::BTreeMap;

use nix_eval::{
    Error,
    builtins::{Builtin, Example, Run},
    error::{self, FrameKind},
    host::HostError,
    machine::Machine,
    value::{ContextElement, Value},
};
use nix_formats::{
    content_address::CaMethod,
    derivation::{Derivation, Output},
    hash::{Hash, HashAlgo},
    placeholder::upstream_placeholder,
    store_path::FileMethod,
};

use super::{
    attributes::{self, Attributes},
    session::{closure, instantiate, store_host},
};
use crate::host::StoreHost;

pub(super) const DERIVATION: &[Builtin] = &[Builtin {
    name: "derivationStrict",
    params: &["attrs"],
    doc: "Writes the derivation that *attrs* describe to the store; gives its path as `drvPath` and the path of \
          each output under its name. `derivation` is the lazy function around it.",
    examples: &[
        Example {
            source: r#"(derivation { name = "d"; system = "x86_64-linux"; builder = "/bin/sh"; }).drvPath"#,
            shows: "\"/nix/store/nrb4avj6pm8s9wv5zqyxn1zf91648msi-d.drv\"",
        },
        Example {
            source: r#"(derivationStrict { name = "d"; system = "x86_64-linux"; builder = "/bin/sh"; }).out"#,
            shows: "\"/nix/store/008ymi3hnvhs3kkssdj22blkwr62crxl-d\"",
        },
    ],
    run: Run::One(derivation_strict),
}];

fn derivation_strict(m: &mut Machine, attrs: Value) -> Result<Value, Error> {
    let attrs = m.force_attrs(attrs, "the argument of 'derivationStrict'")?;
    let host = m.host_arc();
    let host = store_host(&*host)?;
    let read = attributes::read(m, attrs)?;
    let text = format!("while evaluating derivation '{}'", read.name);
    let drv = make(m, host, read)
        .map_err(|e| e.frame(FrameKind::Derivation, text, attrs.position(m.symbol("name"))))?;
    let (path, drv) = instantiate(host, drv, &m.host_cx())?;
    let dir = m.store_dir();
    let context = m.contexts().one(ContextElement::DrvDeep(path.clone()));
    let mut result = m.attrs_builder(drv.outputs.len() + 1);
    let drv_path = m.new_string(dir.display(&path).as_bytes(), context);
    result.push(m.symbol("drvPath"), drv_path, None);
    for name in drv.outputs.keys() {
        let text = match drv.output_path(&dir, name) {
            Some(output) => dir.display(&output),
            None => upstream_placeholder(&path, name),
        };
        let element = ContextElement::Built { drv: path.clone(), output: name.clone() };
        let context = m.contexts().one(element);
        let output = m.new_string(text.as_bytes(), context);
        result.push(m.symbol(name), output, None);
    }
    Ok(m.finish_attrs(result))
}

/// The derivation, output paths not yet filled in.
fn make(m: &mut Machine, host: &StoreHost, read: Attributes) -> Result<Derivation, Error> {
    for (name, value) in [("builder", &read.builder[..]), ("system", read.system.as_bytes())] {
        if value.is_empty() {
            return Err(error::argument(format!("required attribute '{name}' missing")));
        }
    }
    let single = read.outputs.len() == 1 && read.outputs.contains("out");
    if read.name.ends_with(".drv") && !(single && read.method == Some(CaMethod::Text)) {
        return Err(error::argument(
            "derivation names are allowed to end in '.drv' only if they produce a single derivation file",
        ));
    }
    let mut drv = Derivation {
        name: read.name,
        system: read.system,
        builder: read.builder,
        args: read.args,
        env: read.env,
        ..Derivation::default()
    };
    for element in m.contexts().get(read.context).iter() {
        m.poll()?;
        add_input(host, &mut drv, element)?;
    }
    let method = read.method;
    if let Some(text) = &read.output_hash {
        if !single {
            return Err(error::argument(
                "multiple outputs are not supported in fixed-output derivations",
            ));
        }
        let hash = output_hash(m, text, read.output_hash_algo)?;
        let ca = method.unwrap_or(CaMethod::File(FileMethod::Flat)).address(hash);
        drv.outputs = BTreeMap::from([("out".to_owned(), Output::Fixed { ca })]);
        return Ok(drv);
    }
    if read.content_addressed && read.impure {
        return Err(error::argument("derivation cannot be both content-addressed and impure"));
    }
    let method = method.unwrap_or(CaMethod::File(FileMethod::Nar));
    let algo = read.output_hash_algo.unwrap_or(HashAlgo::Sha256);
    let output = if read.content_addressed {
        Output::Floating { method, algo }
    } else if read.impure {
        Output::Impure { method, algo }
    } else {
        Output::Deferred
    };
    drv.outputs = read.outputs.into_iter().map(|name| (name, output.clone())).collect();
    Ok(drv)
}

/// What the output must hash to.
fn output_hash(m: &Machine, text: &str, algo: Option<HashAlgo>) -> Result<Hash, Error> {
    if !text.is_empty() {
        return Hash::parse(text, algo).map_err(|e| error::format(e.to_string()));
    }
    let algo = algo.ok_or_else(|| error::format("empty hash requires explicit hash algorithm"))?;
    let zeros = vec![0; algo.digest_len()];
    let hash = Hash::new(algo, &zeros).map_err(|e| error::format(e.to_string()))?;
    m.warn(format!("found empty hash, assuming '{}'", hash.to_sri()).as_bytes());
    Ok(hash)
}

/// Makes an input of an element of the attributes' context.
fn add_input(
    host: &StoreHost,
    drv: &mut Derivation,
    element: &ContextElement,
) -> Result<(), Error> {
    match element {
        ContextElement::Opaque(path) => {
            drv.input_srcs.insert(path.clone());
        }
        ContextElement::Built { drv: input, output } => {
            drv.input_drvs.entry(input.clone()).or_default().insert(output.clone());
        }
        ContextElement::DrvDeep(path) => {
            for path in closure(host, path)? {
                if path.is_derivation() {
                    let outline = host.outline(&path).map_err(HostError::from)?;
                    drv.input_drvs.insert(path.clone(), outline.outputs.clone());
                }
                drv.input_srcs.insert(path);
            }
        }
    }
    Ok(())
}
