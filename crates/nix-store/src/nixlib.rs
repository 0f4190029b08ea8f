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
