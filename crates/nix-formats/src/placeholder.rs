//! Placeholders: texts that stand for output paths that are not known yet.
//!
//! They look like `/` and 52 characters of Nix's base-32; the builder's start replaces them.

use crate::base32;
use crate::hash::compress::compress20;
use crate::hash::{Hash, HashAlgo};
use crate::store_path::{StorePath, output_path_name};

/// `builtins.placeholder name`: stands for the output `name` of the derivation it occurs in.
#[must_use]
pub fn output_placeholder(name: &str) -> String {
    render(&Hash::of(HashAlgo::Sha256, format!("nix-output:{name}")))
}

/// Stands for the output `output` of another derivation whose output paths are not known before
/// it is built.
#[must_use]
pub fn upstream_placeholder(drv: &StorePath, output: &str) -> String {
    render(&upstream_hash(drv, output))
}

/// Stands for the output `output` of a derivation that is itself the output `drv_output` of
/// derivation `drv`.
#[must_use]
pub fn dynamic_placeholder(drv: &StorePath, drv_output: &str, output: &str) -> String {
    let compressed = base32::encode(&compress20(upstream_hash(drv, drv_output).as_bytes()));
    render(&Hash::of(HashAlgo::Sha256, format!("nix-computed-output:{compressed}:{output}")))
}

fn upstream_hash(drv: &StorePath, output: &str) -> Hash {
    let name = drv.name().strip_suffix(".drv").unwrap_or(drv.name());
    let name = output_path_name(name, output);
    Hash::of(HashAlgo::Sha256, format!("nix-upstream-output:{}:{name}", drv.hash_part()))
}

fn render(hash: &Hash) -> String {
    format!("/{}", hash.to_nix32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_the_published_placeholders() {
        assert_eq!(
            output_placeholder("out"),
            "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"
        );
        assert_eq!(
            output_placeholder("dev"),
            "/02qcpld1y6xhs5gz9bchpxaw0xdhmsp5dv88lh25r2ss44kh8dxz"
        );
    }
}
