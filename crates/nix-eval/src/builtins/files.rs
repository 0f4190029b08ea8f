//! Files and the environment, through the host.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    host::FileType,
    machine::Machine,
    source::Origin,
    value::{ContextBuilder, ContextElement, ContextId, Value, View},
};

pub(super) const FILES: &[Builtin] = &[
    Builtin {
        name: "getEnv",
        params: &["s"],
        doc: "The environment variable *s*, or `\"\"`. Always `\"\"` in pure and restricted evaluation.",
        examples: &[Example {
            source: r#"builtins.getEnv "SURELY_NOT_A_VARIABLE""#,
            shows: r#""""#,
        }],
        run: Run::One(get_env),
    },
    Builtin {
        name: "import",
        params: &["path"],
        doc: "The value of the Nix file *path*; of a directory, its `default.nix`. Each file is evaluated once.",
        examples: &[Example {
            source: "import ./no-such-file.nix",
            shows: "error: path '/pwd/no-such-file.nix' does not exist",
        }],
        run: Run::One(import),
    },
    Builtin {
        name: "pathExists",
        params: &["path"],
        doc: "Whether there is something at *path*.",
        examples: &[Example { source: "builtins.pathExists ./no-such-file", shows: "false" }],
        run: Run::One(path_exists),
    },
    Builtin {
        name: "readDir",
        params: &["path"],
        doc: "The names in a directory and what each is: `regular`, `directory`, `symlink` or `unknown`.",
        examples: &[Example {
            source: "builtins.readDir ./no-such-directory",
            shows: "error: path '/pwd/no-such-directory' does not exist",
        }],
        run: Run::One(read_dir),
    },
    Builtin {
        name: "readFile",
        params: &["path"],
        doc: "The contents of a file. A file in the store keeps the references that its text holds.",
        examples: &[Example {
            source: "builtins.readFile ./no-such-file",
            shows: "error: path '/pwd/no-such-file' does not exist",
        }],
        run: Run::One(read_file),
    },
    Builtin {
        name: "readFileType",
        params: &["p"],
        doc: "What lies at *p*, without following it if it is a link.",
        examples: &[Example {
            source: "builtins.readFileType ./no-such-file",
            shows: "error: path '/pwd/no-such-file' does not exist",
        }],
        run: Run::One(read_file_type),
    },
    Builtin {
        name: "scopedImport",
        params: &["scope", "path"],
        doc: "As `import`, with the attributes of *scope* as variables of the file. Not remembered.",
        examples: &[Example {
            source: "scopedImport { } ./no-such-file.nix",
            shows: "error: path '/pwd/no-such-file.nix' does not exist",
        }],
        run: Run::Two(scoped_import),
    },
    Builtin {
        name: "toPath",
        params: &["s"],
        doc: "The absolute path *s* as a canonical string. Old; `/. + s` gives a path.",
        examples: &[
            Example { source: r#"builtins.toPath "/a//b/../c/""#, shows: "\"/a/c\"" },
            Example {
                source: r#"builtins.toPath "a""#,
                shows: "error: string 'a' doesn't represent an absolute path",
            },
        ],
        run: Run::One(to_path),
    },
];

fn to_path(m: &mut Machine, path: Value) -> Result<Value, Error> {
    let mut context = ContextBuilder::new();
    let path = m.coerce_to_path(path, &mut context)?;
    Ok(m.new_string(&m.path_text(&path), context.finish(m.contexts())))
}

fn get_env(m: &mut Machine, name: Value) -> Result<Value, Error> {
    let name = m.force_string_no_context(name, "the argument of 'builtins.getEnv'")?;
    let hidden = m.options().pure_eval || m.options().restrict_eval;
    let value = if hidden { None } else { m.host().environment(&name.to_text()) };
    Ok(m.new_string(&value.unwrap_or_default(), ContextId::NONE))
}

fn import(m: &mut Machine, path: Value) -> Result<Value, Error> {
    if let Some(drv) = derivation_at(m, path)? {
        return Ok(drv);
    }
    let path = m.coerce_to_real_path(path)?;
    m.import(&path)
}

/// Makes the set of an imported `.drv` from its facts: each output is such a set, the first is the result.
const IMPORTED: &str = "\
drv:
let
  one = output: {
    name = output;
    value = common // {
      outPath = drv.${output};
      outputName = output;
    };
  };
  each = map one drv.outputs;
  common = builtins.listToAttrs each // {
    inherit (drv) drvPath name;
    all = map (o: o.value) each;
    type = \"derivation\";
  };
in
(builtins.head each).value
";

/// Importing a `.drv` of the store gives a set like that of `derivation`.
fn derivation_at(m: &mut Machine, path: Value) -> Result<Option<Value>, Error> {
    let path = m.force(path)?;
    let View::String(s) = path.view() else { return Ok(None) };
    if !s.bytes().ends_with(b".drv") {
        return Ok(None);
    }
    let dir = m.store_dir();
    let text = s.to_text();
    let Ok(store_path) = dir.parse(&text) else { return Ok(None) };
    let host = m.host_arc();
    let Some(drv) = host.read_derivation(&store_path, &m.host_cx())? else { return Ok(None) };
    let drv_context = m.contexts().one(ContextElement::DrvDeep(store_path.clone()));
    let mut attrs = m.attrs_builder(drv.outputs.len() + 5);
    let drv_path = m.new_string(text.as_bytes(), drv_context);
    let mut names = Vec::new();
    for output in drv.outputs.keys() {
        let path = drv.output_path(&dir, output).map(|p| dir.display(&p)).unwrap_or_default();
        let element = ContextElement::Built { drv: store_path.clone(), output: output.clone() };
        let context = m.contexts().one(element);
        let path = m.new_string(path.as_bytes(), context);
        let symbol = m.symbol(output);
        attrs.push(symbol, path, None);
        names.push(m.new_text(output));
    }
    let name = m.new_text(&drv.name);
    let outputs = m.new_list(&names);
    let fixed = [("drvPath", drv_path), ("name", name), ("outputs", outputs)];
    for (name, value) in fixed {
        let symbol = m.symbol(name);
        attrs.push(symbol, value, None);
    }
    let argument = m.finish_attrs(attrs);
    let function =
        m.eval_text(IMPORTED.as_bytes(), Origin::Text("derivation".into()), b"/", None)?;
    m.call(function, &[argument]).map(Some)
}

fn scoped_import(m: &mut Machine, scope: Value, path: Value) -> Result<Value, Error> {
    let scope = m.force_attrs(scope, "the first argument of 'builtins.scopedImport'")?;
    let path = m.coerce_to_real_path(path)?;
    m.scoped_import(scope.value(), &path)
}

fn path_exists(m: &mut Machine, path: Value) -> Result<Value, Error> {
    let path = m.force(path)?;
    // A trailing slash asks for a directory, and looks through a link.
    let wants_directory = match path.view() {
        View::String(s) => s.bytes().ends_with(b"/") || s.bytes().ends_with(b"/."),
        _ => false,
    };
    let path = m.coerce_to_real_path(path)?;
    match m.metadata(&path, wants_directory) {
        Ok(None) => Ok(Value::FALSE),
        Ok(Some(found)) => {
            Ok(Value::bool(!wants_directory || found.file_type == FileType::Directory))
        }
        Err(e) if e.class() == error::Class::Restricted => Ok(Value::FALSE),
        Err(e) => Err(e),
    }
}

fn type_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Regular => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        _ => "unknown",
    }
}

fn read_dir(m: &mut Machine, path: Value) -> Result<Value, Error> {
    let path = m.coerce_to_real_path(path)?;
    let entries = m.read_dir(&path)?;
    let mut attrs = m.attrs_builder(entries.len());
    for (name, kind) in entries {
        m.poll()?;
        let symbol = m.symbol_of(&name);
        let kind = m.new_text(type_name(kind));
        attrs.push(symbol, kind, None);
    }
    Ok(m.finish_attrs(attrs))
}

fn read_file_type(m: &mut Machine, path: Value) -> Result<Value, Error> {
    let path = m.coerce_to_real_path(path)?;
    match m.metadata(&path, false)? {
        Some(found) => Ok(m.new_text(type_name(found.file_type))),
        None => Err(error::no_such_path(&path, &m.path_text(&path))),
    }
}

fn read_file(m: &mut Machine, path: Value) -> Result<Value, Error> {
    let path = m.coerce_to_real_path(path)?;
    let text = m.read_file(&path)?;
    m.check_string_len(text.len() as u64)?;
    if text.contains(&0) {
        let path = String::from_utf8_lossy(&m.path_text(&path)).into_owned();
        return Err(error::format(format!(
            "the contents of the file '{path}' cannot be represented as a Nix string: it holds NUL bytes"
        )));
    }
    let host = m.host_arc();
    let references = host.references_of(&path, &m.host_cx())?;
    let mut context = ContextId::NONE;
    if !references.is_empty() {
        let mut scanner =
            nix_formats::references::Scanner::new(references.iter().map(|r| r.hash_part()));
        scanner.update(&text);
        let kept = references
            .iter()
            .filter(|r| scanner.found().iter().any(|f| f == r.hash_part().as_bytes()))
            .map(|r| ContextElement::Opaque(r.clone()));
        context = m.contexts().intern(kept.collect());
    }
    Ok(m.new_string(&text, context))
}
