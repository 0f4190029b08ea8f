//! `nix-build`: build what an expression describes, and link the results.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use nix_formats::{
    deriving_path::{DerivingPath, Outputs},
    store_path::StorePath,
};
use nix_store::Store;

use crate::{
    args::{self, flag},
    exit::Failure,
    legacy::instantiate,
    open::{Session, Writes},
    realise::run_builds,
};

/// Runs the command.
///
/// # Errors
/// Usage, evaluation, store; builds that failed, with their own exit codes.
pub(crate) fn run(words: &[String]) -> Result<u8, Failure> {
    let command = args::evaluating(args::common("build", "build what an expression describes"))
        .arg(
            clap::Arg::new("out-link")
                .short('o')
                .long("out-link")
                .num_args(1)
                .value_name("LINK")
                .help("name of the links to the results; default 'result'"),
        )
        .arg(flag("no-out-link", "make no links").long("no-out-link").alias("no-link"))
        .arg(flag("dry-run", "say what would be built").long("dry-run"))
        .arg(flag("check", "build again and compare").long("check"))
        .arg(flag("add-drv-link", "").long("add-drv-link").hide(true))
        .arg(flag("indirect", "").long("indirect").hide(true))
        .arg(clap::Arg::new("drv-link").long("drv-link").num_args(1).hide(true));
    let matches = args::parse(command, "mini-nix-build", words)?;
    let session = Session::open_kept(&matches, Writes::Yes)?;
    let store = session.need_store()?;

    // Each derivation with its wanted outputs, in the order in which they were first named.
    let mut wanted: Vec<(StorePath, BTreeSet<String>)> = Vec::new();
    let mut asked: Vec<(StorePath, String)> = Vec::new();
    for found in instantiate::find_derivations(&session, &matches, "./default.nix")? {
        let drv = store
            .store_dir()
            .parse(&found.drv_path)
            .map_err(|e| Failure::new(format!("'{}': {e}", found.drv_path)))?;
        match wanted.iter_mut().find(|(known, _)| *known == drv) {
            Some((_, outputs)) => drop(outputs.insert(found.output.clone())),
            None => wanted.push((drv.clone(), BTreeSet::from([found.output.clone()]))),
        }
        asked.push((drv, found.output));
    }
    let wanted_paths: Vec<DerivingPath> = wanted
        .iter()
        .map(|(drv, outputs)| DerivingPath::Built {
            drv: drv.clone(),
            outputs: Outputs::Names(outputs.clone()),
        })
        .collect();
    let built = run_builds(store, &session.settings, &matches, &wanted_paths)?;
    if matches.get_flag("dry-run") {
        return Ok(0);
    }
    let mut paths: BTreeMap<(&StorePath, &str), &StorePath> = BTreeMap::new();
    for one in &built {
        if let DerivingPath::Built { drv, .. } = &one.wanted {
            paths.extend(one.outputs.iter().map(|(output, path)| ((drv, output.as_str()), path)));
        }
    }
    let link = match matches.get_one::<String>("out-link") {
        _ if matches.get_flag("no-out-link") => None,
        Some(link) => Some(link.clone()),
        None => Some("result".to_owned()),
    };
    for (drv, output) in &asked {
        let Some(path) = paths.get(&(drv, output.as_str())) else {
            let drv = store.display(drv);
            return Err(Failure::new(format!("derivation '{drv}' has no output '{output}'")));
        };
        if let Some(link) = &link {
            let n = wanted.iter().position(|(known, _)| known == drv).unwrap_or(0) + 1;
            let number = if n == 1 { String::new() } else { format!("-{n}") };
            let suffix = if output == "out" { String::new() } else { format!("-{output}") };
            let link = format!("{link}{number}{suffix}");
            store.make_root_link(Path::new(&link), path).map_err(Failure::new)?;
        }
        println!("{}", store.display(path));
    }
    Ok(0)
}
