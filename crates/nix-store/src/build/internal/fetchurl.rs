//! `builtin:fetchurl`: a file from a URL becomes a fixed output.
//!
//! Runs inside the sandbox of a fixed-output derivation, which has the network of the machine.
//! Whether the contents are the promised ones is not decided here: outputs are checked by
//! whoever built them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use super::{InternalBuild, InternalBuilder};
use crate::build::structured_attrs;
use crate::codec::{self, CodecLimits};
use crate::http::{self, Client, HttpSettings, redacted};
use crate::sys::{Dir, restore_nar};

/// The builder, for the table.
pub const BUILDERS: &[InternalBuilder] =
    &[InternalBuilder { name: "builtin:fetchurl", run: fetchurl }];

/// What a derivation asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Addresses of the same contents, the preferred one first; at least one.
    pub(crate) urls: Vec<String>,
    /// The contents are a NAR, perhaps compressed, and the output is its tree.
    unpack: bool,
    /// The output gets the execute bit.
    executable: bool,
}

impl Request {
    /// Reads the attributes of a derivation: a variable's text, or the structured attributes.
    pub(crate) fn read(
        variable: &dyn Fn(&str) -> Option<String>,
        attrs_json: Option<&[u8]>,
    ) -> Option<Request> {
        let (list, flag): (Vec<String>, [bool; 2]) = match attrs_json {
            Some(json) => {
                let list = ["url", "urls"].map(|name| structured_attrs::string_list(json, name));
                let flag = |name| {
                    let value = structured_attrs::attribute(json, name);
                    value.is_some_and(|value| value == true || value == "1")
                };
                (list.concat(), [flag("unpack"), flag("executable")])
            }
            None => {
                let url = variable("url").into_iter();
                let urls = variable("urls").unwrap_or_default();
                let flag = |name| variable(name).is_some_and(|value| value == "1");
                let list = url.chain(urls.split_ascii_whitespace().map(str::to_owned)).collect();
                (list, [flag("unpack"), flag("executable")])
            }
        };
        let mut urls: Vec<String> = Vec::new();
        for url in list {
            if !url.is_empty() && !urls.contains(&url) {
                urls.push(url);
            }
        }
        let [unpack, executable] = flag;
        (!urls.is_empty()).then_some(Request { urls, unpack, executable })
    }
}

fn fetchurl(build: &InternalBuild) -> Result<(), String> {
    let variable = |name: &str| build.env_text(name).ok().map(str::to_owned);
    let request = Request::read(&variable, build.attrs_json.as_deref())
        .ok_or("the derivation has no attribute 'url' that says what to fetch")?;
    let out = build.output("out")?;
    if build.outputs.len() != 1 {
        return Err("'builtin:fetchurl' makes exactly one output, 'out'".to_owned());
    }
    let mut settings = HttpSettings::from_environment(variable);
    // A path of the machine means nothing here; the sandbox has the certificates at the usual one.
    settings.ca_file = settings.ca_file.filter(|path| path.is_file());
    let client = Client::new(settings);

    // What has to be unpacked is fetched beside the output first.
    let download =
        if request.unpack { build.build_dir.join("download.nar") } else { PathBuf::from(out) };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&download)
        .map_err(|error| format!("cannot create '{}': {error}", download.display()))?;
    fetch_first(build, &client, &request.urls, &mut file)?;
    file.flush().map_err(|error| format!("cannot write '{}': {error}", download.display()))?;
    drop(file);

    if request.unpack {
        let file = File::open(&download)
            .map_err(|error| format!("cannot open '{}': {error}", download.display()))?;
        let (mut nar, _) = codec::decoder(file, CodecLimits::default())
            .map_err(|error| format!("cannot unpack '{}': {error}", request.urls[0]))?;
        let (parent, name) = Dir::open_parent(out).map_err(|error| error.to_string())?;
        restore_nar(&mut nar, &request.urls[0], &parent, name).map_err(|e| e.to_string())?;
    }
    if request.executable {
        fs::set_permissions(out, fs::Permissions::from_mode(0o755))
            .map_err(|error| format!("cannot make '{}' executable: {error}", out.display()))?;
    }
    Ok(())
}

/// Tries the addresses in turn.
fn fetch_first(
    build: &InternalBuild,
    client: &Client,
    urls: &[String],
    file: &mut File,
) -> Result<(), String> {
    let mut reasons = Vec::new();
    for url in urls {
        build.log(&format!("fetching '{}'", redacted(url)));
        match client.get(url, file) {
            Ok(_) => return Ok(()),
            Err(error) => {
                let mut reason = format!("cannot fetch '{}': {}", error.url, error.reason);
                if http::scheme(url).as_deref() == Some("file") {
                    reason.push_str(
                        " (of this machine's files, a build sees only those below the paths of \
                         the setting 'allowed-impure-host-deps')",
                    );
                }
                build.log(&reason);
                reasons.push(reason);
            }
        }
    }
    Err(reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_variables(pairs: &[(&str, &str)]) -> Option<Request> {
        let find = |name: &str| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Request::read(&find, None)
    }

    #[test]
    fn addresses_are_tried_in_order_and_once() {
        let request = of_variables(&[("url", "a:1"), ("urls", "a:1 b:2"), ("executable", "1")]);
        let urls = vec!["a:1".to_owned(), "b:2".to_owned()];
        assert_eq!(request, Some(Request { urls, unpack: false, executable: true }));
        assert_eq!(of_variables(&[("urls", " ")]), None);
    }

    #[test]
    fn structured_attributes_say_the_same() {
        let json = br#"{"url":"a:1","urls":["b:2"],"unpack":true,"executable":false}"#;
        let request = Request::read(&|_| None, Some(json));
        let urls = vec!["a:1".to_owned(), "b:2".to_owned()];
        assert_eq!(request, Some(Request { urls, unpack: true, executable: false }));
    }
}
