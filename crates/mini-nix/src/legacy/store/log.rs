//! Logs of builds, environments of derivations.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use nix_formats::store_path::StorePath;
use nix_store::{LocalStore, Store};

use super::follow;
use crate::exit::Failure;

pub(super) fn read_log(store: &LocalStore, operands: &[String]) -> Result<u8, Failure> {
    for operand in operands {
        let path = follow(store, operand)?;
        let mut candidates = vec![path.clone()];
        if let Ok(Some(info)) = store.query_path_info(&path) {
            candidates.extend(info.deriver.clone());
        }
        let log = candidates.iter().find_map(|drv| log_of(store, drv));
        let Some(log) = log else {
            return Err(Failure::new(format!(
                "build log of derivation '{operand}' is not available"
            )));
        };
        std::io::stdout().write_all(&log)?;
    }
    Ok(0)
}

/// The log of a derivation's build, if there is one.
pub(crate) fn log_of(store: &LocalStore, drv: &StorePath) -> Option<Vec<u8>> {
    let (folder, rest) = drv.base_name().split_at_checked(2)?;
    let plain = store.log_dir().join("drvs").join(folder).join(rest);
    if let Ok(text) = std::fs::read(&plain) {
        return Some(text);
    }
    let packed = std::fs::File::open(format!("{}.bz2", plain.display())).ok()?;
    let mut text = Vec::new();
    bzip2::read::BzDecoder::new(packed).read_to_end(&mut text).ok()?;
    Some(text)
}

pub(super) fn print_env(store: &LocalStore, operands: &[String]) -> Result<u8, Failure> {
    let [operand] = operands else {
        return Err(Failure::usage("mini-nix-store", "'--print-env' needs one derivation"));
    };
    let path = follow(store, operand)?;
    let drv = store.read_derivation(&path).map_err(Failure::new)?;
    let variables: BTreeMap<_, _> = drv.env.iter().collect();
    let mut out = std::io::stdout().lock();
    for (name, value) in variables {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        writeln!(out, "export {name}; {name}={}", quote(&value))?;
    }
    let args: Vec<String> = drv.args.iter().map(|a| quote(&String::from_utf8_lossy(a))).collect();
    writeln!(out, "export _args; _args={}", quote(&args.join(" ")))?;
    Ok(0)
}

/// A word for a shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
