//! Lists the files of the workspace's `nixlib/`, so that the program carries them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let missing = || io::Error::other("cargo sets this variable");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or_else(missing)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or_else(missing)?);
    let root = here.join("../../nixlib");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, Path::new(""), &mut files)?;
    files.sort();
    let mut text = String::from(
        "/// Path below `nixlib/` and contents, sorted by path.\n\
         pub const FILES: &[(&str, &str)] = &[\n",
    );
    for file in &files {
        let path = root.join(file);
        let _ = writeln!(text, "    ({file:?}, include_str!({path:?})),");
    }
    text.push_str("];\n");
    fs::write(out.join("nixlib_files.rs"), text)
}

/// Files that are evaluated or built with; examples and pages stay in the repository.
fn collect(root: &Path, place: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(place))? {
        let entry = entry?;
        let place = place.join(entry.file_name());
        let name = place.to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if name != "examples" && name != "tests" {
                collect(root, &place, files)?;
            }
        } else if name.ends_with(".nix") || name.ends_with(".sh") {
            files.push(name);
        }
    }
    Ok(())
}
