//! The `config` object of an image: what docker runs, and how.
//!
//! The keys are checked here, because engines ignore what they do not know: a `cmd` in lower case
//! would give an image without a command.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A checked `config` object.
///
/// Shape: sorted by key, no `null`; `Cmd`, `Entrypoint` and `Shell` are lists of strings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuntimeConfig(pub BTreeMap<String, Value>);

/// Why a `config` object cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The value is no object.
    #[error("config must be an attribute set, but it is {0}")]
    NotObject(&'static str),
    /// A key differs from a known one in case only.
    #[error("config.{given} is not a key that engines read; did you mean config.{known}?")]
    WrongCase {
        /// The key as it was given.
        given: String,
        /// The key that engines know.
        known: String,
    },
    /// A value has another type than its key wants.
    #[error("config.{key} must be {wanted}, but it is {found}")]
    WrongType {
        /// The key, with the place inside its value.
        key: String,
        /// What the key takes.
        wanted: &'static str,
        /// What was given.
        found: String,
    },
    /// An element of `Env` has no `=`.
    #[error("config.Env has the entry {0:?}, which is not NAME=VALUE")]
    EnvWithoutValue(String),
}

/// What a key takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Bool,
    Int,
    /// A list of strings, or one string that stands for a list of one.
    Command,
    Texts,
    /// Names to empty objects.
    Set,
    /// Names to strings.
    TextMap,
    Healthcheck,
}

#[rustfmt::skip]
const KEYS: &[(&str, Type)] = &[
    ("ArgsEscaped", Type::Bool), ("AttachStderr", Type::Bool), ("AttachStdin", Type::Bool),
    ("AttachStdout", Type::Bool), ("Cmd", Type::Command), ("CpuShares", Type::Int),
    ("Domainname", Type::Text), ("Entrypoint", Type::Command), ("Env", Type::Texts),
    ("ExposedPorts", Type::Set), ("Healthcheck", Type::Healthcheck), ("Hostname", Type::Text),
    ("Image", Type::Text), ("Labels", Type::TextMap), ("MacAddress", Type::Text),
    ("Memory", Type::Int), ("MemorySwap", Type::Int), ("NetworkDisabled", Type::Bool),
    ("OnBuild", Type::Texts), ("OpenStdin", Type::Bool), ("Shell", Type::Command),
    ("StdinOnce", Type::Bool), ("StopSignal", Type::Text), ("StopTimeout", Type::Int),
    ("Tty", Type::Bool), ("User", Type::Text), ("Volumes", Type::Set), ("WorkingDir", Type::Text),
];

#[rustfmt::skip]
const HEALTHCHECK_KEYS: &[(&str, Type)] = &[
    ("Interval", Type::Int), ("Retries", Type::Int), ("StartInterval", Type::Int),
    ("StartPeriod", Type::Int), ("Test", Type::Texts), ("Timeout", Type::Int),
];

impl RuntimeConfig {
    /// Checks the object that an expression gave as `config`; the second value lists warnings.
    ///
    /// `null` is an empty object. A plain string for `Cmd`, `Entrypoint` or `Shell` becomes a
    /// list of one, because OCI consumers refuse what docker accepts.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key, in sorted order, that is spelled or typed wrongly.
    pub fn check(value: Value) -> Result<(RuntimeConfig, Vec<String>), ConfigError> {
        let map = match value {
            Value::Null => return Ok((RuntimeConfig::default(), Vec::new())),
            Value::Object(map) => map,
            other => return Err(ConfigError::NotObject(type_name(&other))),
        };
        let mut warnings = Vec::new();
        let checked = check_keys(map, KEYS, "", &mut warnings)?;
        let config = RuntimeConfig(checked.into_iter().collect());
        for entry in config.env() {
            if !entry.contains('=') {
                return Err(ConfigError::EnvWithoutValue(entry.to_owned()));
            }
        }
        Ok((config, warnings))
    }

    /// The environment, in order.
    pub fn env(&self) -> impl Iterator<Item = &str> {
        let entries = self.0.get("Env").and_then(Value::as_array);
        entries.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Puts the environment of a base image below this one.
    ///
    /// Every variable occurs once: where it first stood, with the value that comes last.
    pub fn inherit_env<'a>(&mut self, base: impl Iterator<Item = &'a str>) {
        let mut merged: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
        for entry in base.map(str::to_owned).chain(self.env().map(str::to_owned)) {
            let name = entry.split('=').next().unwrap_or_default().to_owned();
            merged.insert(name, entry);
        }
        if !merged.is_empty() {
            let entries = merged.into_values().map(Value::String).collect();
            self.0.insert("Env".to_owned(), Value::Array(entries));
        }
    }
}

fn check_keys(
    map: serde_json::Map<String, Value>,
    keys: &'static [(&'static str, Type)],
    prefix: &str,
    warnings: &mut Vec<String>,
) -> Result<serde_json::Map<String, Value>, ConfigError> {
    let mut checked = serde_json::Map::new();
    let mut entries: Vec<(String, Value)> = map.into_iter().collect();
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    for (key, value) in entries {
        let path = format!("{prefix}{key}");
        if let Some(&(_, wanted)) = keys.iter().find(|(known, _)| *known == key) {
            // A null is how an expression says "not given".
            if !value.is_null() {
                checked.insert(key, check_value(value, wanted, &path, warnings)?);
            }
        } else if let Some(&(known, _)) =
            keys.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key))
        {
            let known = format!("{prefix}{known}");
            return Err(ConfigError::WrongCase { given: path, known });
        } else {
            warnings.push(format!("config.{path} is not a key that engines know; it is kept"));
            checked.insert(key, value);
        }
    }
    Ok(checked)
}

fn check_value(
    value: Value,
    wanted: Type,
    key: &str,
    warnings: &mut Vec<String>,
) -> Result<Value, ConfigError> {
    let wrong = |wanted: &'static str, found: &Value| ConfigError::WrongType {
        key: key.to_owned(),
        wanted,
        found: type_name(found).to_owned(),
    };
    match wanted {
        Type::Text if !value.is_string() => Err(wrong("a string", &value)),
        Type::Bool if !value.is_boolean() => Err(wrong("a Boolean", &value)),
        Type::Int if !value.is_i64() => Err(wrong("an integer", &value)),
        Type::Command if value.is_string() => Ok(Value::Array(vec![value])),
        Type::Command | Type::Texts => match &value {
            Value::Array(items) => match items.iter().find(|item| !item.is_string()) {
                Some(odd) => Err(ConfigError::WrongType {
                    key: key.to_owned(),
                    wanted: "a list of strings",
                    found: format!("a list with {}", type_name(odd)),
                }),
                None => Ok(value),
            },
            _ if wanted == Type::Command => Err(wrong("a list of strings or a string", &value)),
            _ => Err(wrong("a list of strings", &value)),
        },
        Type::Set => match value {
            Value::Object(map) => {
                let mut checked = serde_json::Map::new();
                for (name, member) in map {
                    match member {
                        Value::Object(inner) if inner.is_empty() => {}
                        Value::Null => {}
                        other => {
                            return Err(ConfigError::WrongType {
                                key: format!("{key}.{name:?}"),
                                wanted: "an empty attribute set",
                                found: type_name(&other).to_owned(),
                            });
                        }
                    }
                    checked.insert(name, Value::Object(serde_json::Map::new()));
                }
                Ok(Value::Object(checked))
            }
            other => Err(wrong("an attribute set of empty sets", &other)),
        },
        Type::TextMap => match &value {
            Value::Object(map) => match map.iter().find(|(_, member)| !member.is_string()) {
                Some((name, member)) => Err(ConfigError::WrongType {
                    key: format!("{key}.{name:?}"),
                    wanted: "a string",
                    found: type_name(member).to_owned(),
                }),
                None => Ok(value),
            },
            _ => Err(wrong("an attribute set of strings", &value)),
        },
        Type::Healthcheck => match value {
            Value::Object(map) => {
                let checked = check_keys(map, HEALTHCHECK_KEYS, "Healthcheck.", warnings)?;
                Ok(Value::Object(checked))
            }
            other => Err(wrong("an attribute set", &other)),
        },
        Type::Text | Type::Bool | Type::Int => Ok(value),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(number) if number.is_f64() => "a float",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an attribute set",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(json: &str, expected: Expect) {
        let shown = match RuntimeConfig::check(serde_json::from_str(json).unwrap()) {
            Ok((config, warnings)) => {
                let mut lines = vec![serde_json::to_string(&config).unwrap()];
                lines.extend(warnings.into_iter().map(|text| format!("warning: {text}")));
                lines.join("\n")
            }
            Err(error) => format!("error: {error}"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_command_may_be_a_plain_string() {
        check(
            r#"{"Entrypoint":["/a","b"],"Cmd":"/nix/store/x/bin/server"}"#,
            expect![[r#"{"Cmd":["/nix/store/x/bin/server"],"Entrypoint":["/a","b"]}"#]],
        );
    }

    #[test]
    fn keys_are_sorted_at_every_depth_and_nulls_are_left_out() {
        check(
            r#"{"Volumes":{"/z":{},"/a":null},"User":null,"Labels":{"b":"1","a":"<&>"},"Env":["A=1"]}"#,
            expect![[
                r#"{"Env":["A=1"],"Labels":{"a":"<&>","b":"1"},"Volumes":{"/a":{},"/z":{}}}"#
            ]],
        );
    }

    #[test]
    fn a_key_in_the_wrong_case_is_an_error_with_a_suggestion() {
        check(
            r#"{"cmd":["x"]}"#,
            expect![[
                r#"error: config.cmd is not a key that engines read; did you mean config.Cmd?"#
            ]],
        );
        check(
            r#"{"Healthcheck":{"test":[]}}"#,
            expect![
                "error: config.Healthcheck.test is not a key that engines read; did you mean config.Healthcheck.Test?"
            ],
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error() {
        check(
            r#"{"Cmd":[1]}"#,
            expect![[
                r#"error: config.Cmd must be a list of strings, but it is a list with an integer"#
            ]],
        );
        check(
            r#"{"User":1000}"#,
            expect![[r#"error: config.User must be a string, but it is an integer"#]],
        );
        check(
            r#"{"ExposedPorts":["80"]}"#,
            expect![[
                r#"error: config.ExposedPorts must be an attribute set of empty sets, but it is a list"#
            ]],
        );
        check(
            r#"{"Labels":{"a":1}}"#,
            expect![[r#"error: config.Labels."a" must be a string, but it is an integer"#]],
        );
        check(
            r#"{"Env":["PATH"]}"#,
            expect![[r#"error: config.Env has the entry "PATH", which is not NAME=VALUE"#]],
        );
        check(
            r#"{"Env":{"PATH":"x"}}"#,
            expect![[r#"error: config.Env must be a list of strings, but it is an attribute set"#]],
        );
        check("[]", expect!["error: config must be an attribute set, but it is a list"]);
    }

    #[test]
    fn an_unknown_key_is_kept_with_a_warning() {
        check(
            r#"{"Frobnicate":{"b":1,"a":2}}"#,
            expect![[r#"
            {"Frobnicate":{"a":2,"b":1}}
            warning: config.Frobnicate is not a key that engines know; it is kept"#]],
        );
    }

    #[test]
    fn the_last_value_of_a_variable_wins_at_its_first_place() {
        let (mut config, _) =
            RuntimeConfig::check(serde_json::json!({"Env": ["B=child", "C=3"]})).unwrap();
        config.inherit_env(["A=1", "B=base", "D=4"].into_iter());
        assert_eq!(config.env().collect::<Vec<_>>(), ["A=1", "B=child", "D=4", "C=3"]);
    }
}
