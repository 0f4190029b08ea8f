//! `toFile` and `storePath`: texts and existing objects.

use std::collections::BTreeSet;

use nix_eval::{
    Error,
    builtins::{Builtin, Example, Run},
    error::{self, Class},
    host::NixPath,
    machine::Machine,
    value::{ContextBuilder, ContextElement, Value},
};
use nix_formats::store_path::check_name;

pub(super) const TO_FILE: &[Builtin] = &[
    Builtin {
        name: "toFile",
        params: &["name", "s"],
        doc: "The store path of a file called *name* that holds the string *s*. The string may refer to \
              other files of the store, but not to outputs of derivations.",
        examples: &[Example {
            source: r#"builtins.toFile ".x" "y""#,
            shows: "\"/nix/store/327hkfakadsyi1kldnybsl2gp6cgib0d-.x\"",
        }],
        run: Run::Two(to_file),
    },
    Builtin {
        name: "storePath",
        params: &["path"],
        doc: "The store path *path*, which must be valid, with itself as context.",
        examples: &[Example {
            source: "builtins.storePath /etc",
            shows: "error: path '/etc' is not in the Nix store",
        }],
        run: Run::One(store_path),
    },
];

fn to_file(m: &mut Machine, name: Value, contents: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(name, "the first argument of 'builtins.toFile'")?;
    let contents = m.force_string(contents, "the second argument of 'builtins.toFile'")?;
    let name = name.to_text();
    let mut references = BTreeSet::new();
    for element in m.contexts().get(contents.context()).iter() {
        match element {
            ContextElement::Opaque(path) => references.insert(path.clone()),
            ContextElement::Built { .. } | ContextElement::DrvDeep(_) => {
                let path = m.context_element_text(element);
                return Err(Error::new(
                    Class::Context,
                    format!(
                        "files created by 'builtins.toFile' may not reference derivations, but '{name}' references '{path}'"
                    ),
                ));
            }
        };
    }
    check_name(&name).map_err(|e| error::format(format!("invalid file name: {e}")))?;
    let host = m.host_arc();
    let path = host.add_text_to_store(&name, contents.bytes(), &references, &m.host_cx())?;
    let text = host.store_dir().display(&path);
    m.allow_path(text.as_bytes());
    let context = m.contexts().one(ContextElement::Opaque(path));
    Ok(m.new_string(text.as_bytes(), context))
}

fn store_path(m: &mut Machine, path: Value) -> Result<Value, Error> {
    if m.options().pure_eval {
        return Err(Error::new(
            Class::Restricted,
            "'builtins.storePath' is not allowed in pure evaluation mode",
        ));
    }
    let mut context = ContextBuilder::new();
    let mut path = m.coerce_to_path(path, &mut context)?;
    let dir = m.store_dir();
    if dir.split(&path.to_text()).is_err() {
        path = m.resolve_links(&path)?;
    }
    let text = path.to_text();
    let Ok((object, _)) = dir.split(&text) else {
        return Err(error::argument(format!("path '{text}' is not in the Nix store")));
    };
    let host = m.host_arc();
    if !host.is_valid(&object)? {
        let object = dir.display(&object);
        return Err(Error::new(Class::Store, format!("path '{object}' is not valid")));
    }
    m.allow_path(dir.display(&object).as_bytes());
    context.add_element(m.contexts(), ContextElement::Opaque(object));
    let NixPath { text, .. } = path;
    Ok(m.new_string(&text, context.finish(m.contexts())))
}
