//! The arguments of an image function as data: the hinge between evaluating and building.
//!
//! `nixlib/docker` writes this as the attribute `image` of a derivation; the builder reads it.
//! An argument that one side knows and the other does not is an error, never silently ignored.

use serde::Deserialize;
use serde_json::Value;

/// One image to make.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRequest {
    /// Name as given, perhaps with upper case.
    pub name: String,
    /// Tag; `None` takes the hash part of the image's own store path.
    #[serde(default)]
    pub tag: Option<String>,
    /// Date: ISO 8601, or `now`.
    #[serde(default = "epoch")]
    pub created: String,
    /// Processor in Go's words.
    pub architecture: String,
    /// Variant of the processor, for `arm`.
    #[serde(default)]
    pub variant: Option<String>,
    /// The `config` object, unchecked.
    #[serde(default)]
    pub config: Value,
    /// Store paths, or paths below one, whose contents come to the root; later ones win.
    #[serde(default)]
    pub copy_to_root: Vec<String>,
    /// Keep links to directories instead of copying the directories.
    #[serde(default)]
    pub keep_contents_dirlinks: bool,
    /// Shell text to run in the root of the layer.
    #[serde(default)]
    pub extra_commands: String,
    /// Directories with the programs that the commands may use.
    #[serde(default)]
    pub command_path: Vec<String>,
    /// Owner of the copied files.
    #[serde(default)]
    pub uid: u64,
    /// Group of the copied files.
    #[serde(default)]
    pub gid: u64,
    /// Store path of the image below this one.
    #[serde(default)]
    pub from_image: Option<String>,
    /// Which image of the base archive; only with `from_image_tag`.
    #[serde(default)]
    pub from_image_name: Option<String>,
    /// Which tag of the base archive; only with `from_image_name`.
    #[serde(default)]
    pub from_image_tag: Option<String>,
    /// How store paths are spread over layers; `None` puts everything into one.
    #[serde(default)]
    pub layering: Option<Layering>,
}

/// How a layered image is cut.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Layering {
    /// Most layers in the image, those of the base and the customisation layer included.
    #[serde(default = "hundred")]
    pub max_layers: usize,
    /// Which strategy spreads the paths.
    #[serde(default)]
    pub strategy: Strategy,
    /// Date of the files, ISO 8601.
    #[serde(default = "epoch")]
    pub mtime: String,
    /// Owner name of store files.
    #[serde(default = "root")]
    pub uname: String,
    /// Group name of store files.
    #[serde(default = "root")]
    pub gname: String,
    /// Whether store paths enter the image at all.
    #[serde(default = "yes")]
    pub include_store_paths: bool,
}

/// A way to spread store paths over layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Large paths first, each with what only it needs.
    #[default]
    Auto,
    /// The paths that most others need get layers of their own.
    Popularity,
}

fn epoch() -> String {
    "1970-01-01T00:00:01Z".to_owned()
}

fn hundred() -> usize {
    100
}

fn root() -> String {
    "root".to_owned()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_functions() {
        let request: ImageRequest =
            serde_json::from_str(r#"{"name":"x","architecture":"amd64"}"#).unwrap();
        assert_eq!(request.created, "1970-01-01T00:00:01Z");
        assert_eq!((request.uid, request.gid), (0, 0));
        assert_eq!(request.tag, None);
    }

    #[test]
    fn an_argument_that_the_builder_does_not_know_is_an_error() {
        let json = r#"{"name":"x","architecture":"amd64","frobnicate":1}"#;
        let error = serde_json::from_str::<ImageRequest>(json).unwrap_err().to_string();
        assert!(error.contains("frobnicate"), "{error}");
    }
}
