//! The environment variables of a builder, and the files in its build directory.
//!
//! Pure: everything comes in as an argument, so a test needs neither a store nor a build.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix_formats::derivation::Derivation;
use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::placeholder::output_placeholder;
use nix_formats::store_path::{StoreDir, StorePath};

use super::settings::BuildSettings;
use super::structured_attrs::{self, GraphNode};

/// What a builder starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Its variables.
    pub(crate) env: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Its arguments, without the zeroth.
    pub(crate) args: Vec<Vec<u8>>,
    /// Files of the build directory: name → contents.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// What goes into an environment besides the derivation.
pub(crate) struct Inputs<'a> {
    pub(crate) store_dir: &'a StoreDir,
    pub(crate) settings: &'a BuildSettings,
    /// The build directory as the builder sees it.
    pub(crate) build_dir: &'a Path,
    /// Output name → the path that the builder should use.
    pub(crate) outputs: &'a BTreeMap<String, StorePath>,
    /// Key of `exportReferencesGraph` → the closure asked for.
    pub(crate) graphs: &'a BTreeMap<String, Vec<GraphNode>>,
}

/// Computes the environment of a derivation's builder.
///
/// # Errors
/// A sentence, if the derivation's structured attributes are not usable.
pub(crate) fn environment(drv: &Derivation, inputs: &Inputs<'_>) -> Result<Environment, String> {
    let rewrites: Vec<(Vec<u8>, Vec<u8>)> = inputs
        .outputs
        .iter()
        .map(|(name, path)| {
            let path = inputs.store_dir.display(path);
            (output_placeholder(name).into_bytes(), path.into_bytes())
        })
        .collect();
    let rewrite = |bytes: &[u8]| replace_all(bytes, &rewrites);
    let build_dir = inputs.build_dir.as_os_str().as_bytes();
    let in_build_dir = |name: &str| [build_dir, b"/", name.as_bytes()].concat();

    let mut result = Environment::default();
    let env = &mut result.env;
    let mut set = |name: &str, value: &[u8]| {
        env.insert(name.as_bytes().to_vec(), value.to_vec());
    };
    set("PATH", b"/path-not-set");
    set("HOME", b"/homeless-shelter");
    set("NIX_STORE", inputs.store_dir.as_str().as_bytes());
    set("NIX_BUILD_CORES", inputs.settings.effective_cores().to_string().as_bytes());

    match drv.structured_attrs() {
        Some(json) => {
            let files = structured_attrs::files(json, inputs)?;
            result.files.insert(".attrs.json".to_owned(), rewrite(&files.json));
            result.files.insert(".attrs.sh".to_owned(), rewrite(&files.sh));
            set("NIX_ATTRS_JSON_FILE", &in_build_dir(".attrs.json"));
            set("NIX_ATTRS_SH_FILE", &in_build_dir(".attrs.sh"));
        }
        None => {
            let as_file = words(drv.env.get(&b"passAsFile"[..]));
            for (name, value) in &drv.env {
                let value = rewrite(value);
                if as_file.contains(&name.as_slice()) {
                    let file = format!(".attr-{}", Hash::of(HashAlgo::Sha256, name).to_nix32());
                    let variable = [name, &b"Path"[..]].concat();
                    env.insert(variable, in_build_dir(&file));
                    result.files.insert(file, value);
                } else {
                    env.insert(name.clone(), value);
                }
            }
            for (name, graph) in inputs.graphs {
                let text = structured_attrs::registration_text(inputs.store_dir, graph);
                result.files.insert(name.clone(), text.into_bytes());
            }
        }
    }
    let mut set = |name: &str, value: &[u8]| {
        env.insert(name.as_bytes().to_vec(), value.to_vec());
    };
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] {
        set(name, build_dir);
    }
    if drv.is_fixed_output() {
        set("NIX_OUTPUT_CHECKED", b"1");
        for name in impure_env_vars(drv) {
            let set_to = std::str::from_utf8(&name)
                .ok()
                .and_then(|name| inputs.settings.impure_env.get(name))
                .map(|value| value.clone().into_bytes());
            let value = set_to.or_else(|| inputs.settings.environment.get(&name).cloned());
            env.insert(name, value.unwrap_or_default());
        }
    }
    env.insert(b"NIX_LOG_FD".to_vec(), b"2".to_vec());
    env.insert(b"TERM".to_vec(), b"xterm-256color".to_vec());
    // An empty name or one with `=` cannot be told from another variable by the builder.
    env.retain(|name, _| !name.is_empty() && !name.contains(&b'='));

    result.args = drv.args.iter().map(|arg| rewrite(arg)).collect();
    Ok(result)
}

/// The names that a fixed-output derivation wants from the caller's environment.
fn impure_env_vars(drv: &Derivation) -> Vec<Vec<u8>> {
    match drv.structured_attrs() {
        Some(json) => structured_attrs::string_list(json, "impureEnvVars")
            .into_iter()
            .map(String::into_bytes)
            .collect(),
        None => words(drv.env.get(&b"impureEnvVars"[..])).into_iter().map(<[u8]>::to_vec).collect(),
    }
}

/// The words of a variable.
pub(crate) fn words(value: Option<&Vec<u8>>) -> Vec<&[u8]> {
    let value = value.map(Vec::as_slice).unwrap_or_default();
    value.split(|byte| b" \t\n\r".contains(byte)).filter(|word| !word.is_empty()).collect()
}

/// Replaces every occurrence of each pattern. The patterns begin alike and have one length, so at
/// most one of them matches at a place.
fn replace_all(bytes: &[u8], rewrites: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        match rewrites.iter().find(|(pattern, _)| first == b'/' && rest.starts_with(pattern)) {
            Some((pattern, replacement)) => {
                result.extend_from_slice(replacement);
                rest = &rest[pattern.len()..];
            }
            None => {
                result.push(first);
                rest = &rest[1..];
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derivation(env: &[(&str, &str)]) -> Derivation {
        Derivation {
            name: "x".into(),
            env: env.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect(),
            args: vec![b"a".to_vec(), output_placeholder("out").into_bytes()],
            ..Derivation::default()
        }
    }

    fn environment_of(drv: &Derivation) -> Environment {
        let settings = BuildSettings { cores: 3, ..BuildSettings::new() };
        let path = StorePath::from_base_name("00000000000000000000000000000000-x").unwrap();
        environment(
            drv,
            &Inputs {
                store_dir: &StoreDir::default(),
                settings: &settings,
                build_dir: Path::new("/build"),
                outputs: &BTreeMap::from([("out".to_owned(), path)]),
                graphs: &BTreeMap::new(),
            },
        )
        .unwrap()
    }

    fn text(environment: &Environment) -> String {
        let lines = environment.env.iter().map(|(name, value)| {
            format!("{}={}\n", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        });
        lines.collect()
    }

    #[test]
    fn variables_are_those_of_the_manual() {
        let environment =
            environment_of(&derivation(&[("foo", "bar"), ("TMP", "mine"), ("HOME", "/h")]));
        expect_test::expect![[r#"
            HOME=/h
            NIX_BUILD_CORES=3
            NIX_BUILD_TOP=/build
            NIX_LOG_FD=2
            NIX_STORE=/nix/store
            PATH=/path-not-set
            PWD=/build
            TEMP=/build
            TEMPDIR=/build
            TERM=xterm-256color
            TMP=/build
            TMPDIR=/build
            foo=bar
        "#]]
        .assert_eq(&text(&environment));
    }

    #[test]
    fn placeholders_become_output_paths() {
        let environment = environment_of(&derivation(&[]));
        assert_eq!(environment.args[1], b"/nix/store/00000000000000000000000000000000-x");
    }

    #[test]
    fn a_variable_can_be_passed_as_a_file() {
        let environment = environment_of(&derivation(&[("big", "BIGTEXT"), ("passAsFile", "big")]));
        let file = ".attr-1lak0mvllw8rv9i9ygkglvhqsq19qi9ynl4bi7gbf69ab5nzw89a";
        assert_eq!(environment.env[&b"bigPath"[..]], format!("/build/{file}").as_bytes());
        assert_eq!(environment.files[file], b"BIGTEXT");
        assert!(!environment.env.contains_key(&b"big"[..]));
    }
}
