//! The files below `<nix/…>` that every program may count on.

use crate::engine::Tree;

/// Name of the tree. Its paths print as `<nix/fetchurl.nix>`, the name inside the brackets.
pub(crate) const NAME: &str = "nix";

/// The tree, for engines that were not given another of this name.
pub(crate) const TREE: Tree =
    Tree { name: NAME, files: &[("fetchurl.nix", include_str!("fetchurl.nix"))] };
