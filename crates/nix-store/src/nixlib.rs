//! The embedded tree `nixlib`: a small package set for machines without nixpkgs.
//!
//! The files of the workspace's `nixlib/` are part of the program (`build.rs` makes the table), so
//! nothing is unpacked and spans of errors read `<nixlib>/stdenv/default.nix`.

use nix_eval::Tree;

include!(concat!(env!("OUT_DIR"), "/nixlib_files.rs"));

/// Name of the tree; `<nixlib>` finds it.
pub const NAME: &str = "nixlib";

/// The tree for [`nix_eval::EngineOptions::trees`].
pub const TREE: Tree = Tree { name: NAME, files: FILES };

#[cfg(test)]
mod tests {
    use super::*;
    use nix_eval::error::Style;
    use nix_eval::{Engine, EngineOptions, Show};

    fn engine() -> Engine {
        let mut options = EngineOptions::default();
        options.builtins = crate::BUILTINS.to_vec();
        options.trees = vec![TREE];
        let path = nix_eval::host::NixPath {
            accessor: nix_eval::value::AccessorId(1),
            text: b"/".to_vec(),
        };
        options.search_path = vec![nix_eval::SearchPathEntry {
            prefix: NAME.to_owned(),
            path: NAME.to_owned(),
            tree: Some(path),
        }];
        Engine::new(options)
    }

    fn show(engine: &Engine, source: &str) -> String {
        let answer =
            engine.evaluator().eval(source, "example", b"/").and_then(|v| v.show(Show::Deep));
        match answer {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => error.report().text(Style::default()),
        }
    }

    /// Pairs of expression and expected value, from `Example:` to the end of its comment.
    fn examples(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for comment in text.split("/**").skip(1) {
            let comment = comment.split("*/").next().unwrap_or("");
            let Some((_, example)) = comment.split_once("Example:\n") else { continue };
            let mut lines = Vec::new();
            for line in example.lines().map(str::trim).filter(|line| !line.is_empty()) {
                match line.strip_prefix("=> ") {
                    Some(value) => {
                        found.push((std::mem::take(&mut lines).join("\n"), value.to_owned()));
                    }
                    None => lines.push(line),
                }
            }
        }
        found
    }

    #[test]
    fn the_examples_of_the_library_show_what_they_say() {
        let engine = engine();
        let mut n_examples = 0;
        for (file, text) in FILES.iter().filter(|file| file.0.starts_with("lib/")) {
            for (source, value) in examples(text) {
                let test = format!("with import <nixlib/lib>; ({source}) == ({value})");
                assert_eq!(show(&engine, &test), "true", "{file}: {source}\n=> {value}");
                n_examples += 1;
            }
        }
        assert!(n_examples > 140, "only {n_examples} examples were found");
    }

    #[test]
    fn a_missing_package_is_explained() {
        let text = show(&engine(), r#"(import <nixlib> { system = "x86_64-linux"; }).ffmpeg"#);
        assert!(text.contains("nixlib has no 'ffmpeg'; give a nixpkgs with -I"), "{text}");
    }

    #[test]
    fn the_entry_and_its_parts_are_embedded_in_order() {
        let names: Vec<&str> = FILES.iter().map(|file| file.0).collect();
        for name in ["default.nix", "lib/default.nix", "stdenv/setup.sh"] {
            assert!(names.contains(&name), "{name} is missing");
        }
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| !name.starts_with("examples/")));
    }
}
