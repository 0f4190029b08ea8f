//! Structured attributes, and the closures that a derivation asks to be told.
//!
//! The form of `.attrs.json` and `.attrs.sh` is frozen: builders parse it. What a value of the
//! attributes looks like in JSON is decided by whoever wrote the derivation, so values are passed
//! through as text and never reformatted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use nix_formats::content_address::ContentAddress;
use nix_formats::hash::Hash;
use nix_formats::store_path::{StoreDir, StorePath};
use serde_json::Value;
use serde_json::value::RawValue;

use super::environment::Inputs;

/// A store object in a closure that a builder is told.
#[derive(Clone, Debug)]
pub(crate) struct GraphNode {
    pub(crate) path: StorePath,
    pub(crate) nar_hash: Hash,
    pub(crate) nar_size: u64,
    /// Sum of the NAR sizes of its own closure.
    pub(crate) closure_size: u64,
    pub(crate) references: BTreeSet<StorePath>,
    pub(crate) ca: Option<ContentAddress>,
}

/// The two forms of the attributes.
pub(crate) struct Files {
    pub(crate) json: Vec<u8>,
    pub(crate) sh: Vec<u8>,
}

/// Makes both files from the attributes of a derivation.
pub(crate) fn files(json: &[u8], inputs: &Inputs<'_>) -> Result<Files, String> {
    let broken = |error: serde_json::Error| {
        format!("the structured attributes of the derivation are not an attribute set: {error}")
    };
    let mut attrs: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(json).map_err(broken)?;
    let outputs: BTreeMap<&str, String> = inputs
        .outputs
        .iter()
        .map(|(name, path)| (name.as_str(), inputs.store_dir.display(path)))
        .collect();
    let raw = |value: &dyn erased::Json| value.to_raw().map_err(broken);
    attrs.insert("outputs".to_owned(), raw(&outputs)?);
    for (name, graph) in inputs.graphs {
        let nodes: Vec<Value> = graph.iter().map(|node| node.json(inputs.store_dir)).collect();
        attrs.insert(name.clone(), raw(&nodes)?);
    }
    let json = serde_json::to_vec(&attrs).map_err(broken)?;
    let values: BTreeMap<String, Value> = serde_json::from_slice(&json).map_err(broken)?;
    Ok(Files { sh: shell(&values).into_bytes(), json })
}

/// Lets one closure turn values of several types into text.
mod erased {
    use serde_json::value::RawValue;

    pub(super) trait Json {
        fn to_raw(&self) -> serde_json::Result<Box<RawValue>>;
    }

    impl<T: serde::Serialize> Json for T {
        fn to_raw(&self) -> serde_json::Result<Box<RawValue>> {
            serde_json::value::to_raw_value(self)
        }
    }
}

impl GraphNode {
    fn json(&self, dir: &StoreDir) -> Value {
        let references: Vec<String> =
            self.references.iter().map(|path| dir.display(path)).collect();
        let mut node = serde_json::json!({
            "closureSize": self.closure_size,
            "narHash": self.nar_hash.to_prefixed_nix32(),
            "narSize": self.nar_size,
            "path": dir.display(&self.path),
            "references": references,
            "valid": true,
        });
        if let Some(ca) = &self.ca {
            node["ca"] = ca.render().into();
        }
        node
    }
}

/// The closure in the form of the registration text, without deriver, hash and size.
pub(crate) fn registration_text(dir: &StoreDir, graph: &[GraphNode]) -> String {
    let mut text = String::new();
    for node in graph {
        let _ = write!(text, "{}\n\n{}\n", dir.display(&node.path), node.references.len());
        for reference in &node.references {
            let _ = writeln!(text, "{}", dir.display(reference));
        }
    }
    text
}

/// The attributes as declarations for bash. Values that bash cannot hold are left out.
fn shell(values: &BTreeMap<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in values {
        if !is_variable_name(name) {
            continue;
        }
        match value {
            Value::Array(items) => {
                if let Some(items) = items.iter().map(simple).collect::<Option<Vec<_>>>() {
                    let items: String = items.iter().map(|item| format!("{item} ")).collect();
                    let _ = writeln!(text, "declare -a {name}=({items})");
                }
            }
            Value::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Some(format!("[{}]={} ", quote(key), simple(value)?)));
                if let Some(entries) = entries.collect::<Option<String>>() {
                    let _ = writeln!(text, "declare -A {name}=({entries})");
                }
            }
            other => {
                if let Some(value) = simple(other) {
                    let _ = writeln!(text, "declare {name}={value}");
                }
            }
        }
    }
    text
}

fn is_variable_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value that fits into one word of bash.
fn simple(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quote(text)),
        Value::Null => Some("''".to_owned()),
        Value::Bool(true) => Some("1".to_owned()),
        Value::Bool(false) => Some(String::new()),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Some(integer.to_string()),
            None => {
                // COMPAT: only floats without a fraction; the others have no form in bash.
                let float = number.as_f64()?;
                let fits = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
                fits.then(|| format!("{float:.0}"))
            }
        },
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// An attribute that is a list of texts, or one text of words. Anything else counts as empty.
pub(crate) fn string_list(json: &[u8], name: &str) -> Vec<String> {
    let attrs: BTreeMap<String, Value> = serde_json::from_slice(json).unwrap_or_default();
    match attrs.get(name) {
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// An attribute of the structured attributes, if it is there.
pub(crate) fn attribute(json: &[u8], name: &str) -> Option<Value> {
    let mut attrs: BTreeMap<String, Value> = serde_json::from_slice(json).ok()?;
    attrs.remove(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::build::settings::BuildSettings;

    fn files_of(json: &str, graphs: &BTreeMap<String, Vec<GraphNode>>) -> (String, String) {
        let path = StorePath::from_base_name("00000000000000000000000000000000-x").unwrap();
        let inputs = Inputs {
            store_dir: &StoreDir::default(),
            settings: &BuildSettings::new(),
            build_dir: Path::new("/build"),
            outputs: &BTreeMap::from([("out".to_owned(), path)]),
            graphs,
        };
        let files = files(json.as_bytes(), &inputs).unwrap();
        (String::from_utf8(files.json).unwrap(), String::from_utf8(files.sh).unwrap())
    }

    #[test]
    fn the_shell_form_is_what_builders_of_real_nix_get() {
        let (_, sh) = files_of(
            r#"{"bad-key":1,"empty":[],"es":{},"f":false,"flt":1.5,"flt2":2.0,"int":3,"list":[1,"a b",true,null,false,2.0],
               "listx":[1.5],"n":null,"nested":[["a"]],"set":{"a":1,"b":"x","c":true,"d":null,"e-f":2},"setx":{"a":[1]},
               "str":"it's","t":true}"#,
            &BTreeMap::new(),
        );
        expect_test::expect![[r#"
            declare -a empty=()
            declare -A es=()
            declare f=
            declare flt2=2
            declare int=3
            declare -a list=(1 'a b' 1 ''  2 )
            declare n=''
            declare -A outputs=(['out']='/nix/store/00000000000000000000000000000000-x' )
            declare -A set=(['a']=1 ['b']='x' ['c']=1 ['d']='' ['e-f']=2 )
            declare str='it'\''s'
            declare t=1
        "#]]
        .assert_eq(&sh);
    }

    #[test]
    fn numbers_pass_through_as_they_were_written() {
        let (json, _) = files_of(r#"{"big":1e+20,"x":0.1000}"#, &BTreeMap::new());
        assert_eq!(
            json,
            r#"{"big":1e+20,"outputs":{"out":"/nix/store/00000000000000000000000000000000-x"},"x":0.1000}"#
        );
    }

    #[test]
    fn closures_are_told_in_the_frozen_form() {
        let path = StorePath::from_base_name("11111111111111111111111111111111-dep").unwrap();
        let node = GraphNode {
            path: path.clone(),
            nar_hash: Hash::sha256([0; 32]),
            nar_size: 120,
            closure_size: 120,
            references: BTreeSet::from([path]),
            ca: None,
        };
        let graphs = BTreeMap::from([("graph".to_owned(), vec![node])]);
        let (json, _) = files_of("{}", &graphs);
        expect_test::expect![[r#"{"graph":[{"closureSize":120,"narHash":"sha256:0000000000000000000000000000000000000000000000000000","narSize":120,"path":"/nix/store/11111111111111111111111111111111-dep","references":["/nix/store/11111111111111111111111111111111-dep"],"valid":true}],"outputs":{"out":"/nix/store/00000000000000000000000000000000-x"}}"#]]
        .assert_eq(&json);
        expect_test::expect![[r#"
            /nix/store/11111111111111111111111111111111-dep

            1
            /nix/store/11111111111111111111111111111111-dep
        "#]]
        .assert_eq(&registration_text(&StoreDir::default(), &graphs["graph"]));
    }
}
