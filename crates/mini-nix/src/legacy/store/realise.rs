//! `--realise`: paths become valid.

use std::sync::Arc;

use clap::ArgMatches;
use nix_formats::deriving_path::{DerivingPath, Outputs};
use nix_store::{LocalStore, Store};

use super::follow;
use crate::{
    exit::Failure,
    realise::{paths_of, run_builds},
    settings::Settings,
};

/// `nix-store -r`: makes paths, outputs of derivations or whole derivations valid and prints them.
///
/// # Errors
/// Builds that failed, with their own exit codes.
pub(super) fn realise_paths(
    store: &Arc<LocalStore>,
    settings: &Settings,
    matches: &ArgMatches,
    operands: &[String],
) -> Result<u8, Failure> {
    let mut wanted = Vec::new();
    for operand in operands {
        let (path, output) = match operand.split_once(['!', '^']) {
            Some((path, output)) => (path, Some(output)),
            None => (operand.as_str(), None),
        };
        let path = follow(store, path)?;
        wanted.push(match output {
            _ if !path.is_derivation() => DerivingPath::Opaque(path),
            None | Some("*") => DerivingPath::Built { drv: path, outputs: Outputs::All },
            Some(names) => {
                let names = names.split(',').map(str::to_owned).collect();
                DerivingPath::Built { drv: path, outputs: Outputs::Names(names) }
            }
        });
    }
    let built = run_builds(store, settings, matches, &wanted)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    let link = matches.get_one::<String>("add-root");
    for (n, path) in built.iter().flat_map(paths_of).enumerate() {
        match link {
            Some(link) => {
                let link = if n == 0 { link.clone() } else { format!("{link}-{}", n + 1) };
                let link = std::path::absolute(&link)?;
                store.make_root_link(&link, &path).map_err(Failure::new)?;
                println!("{}", link.display());
            }
            None => println!("{}", store.display(&path)),
        }
    }
    Ok(0)
}
