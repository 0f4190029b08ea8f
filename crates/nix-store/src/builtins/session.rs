//! What the builtins of this folder ask of the host.

use std::collections::BTreeSet;

use nix_eval::{
    Error, error,
    host::{Host, HostCx, HostError},
};
use nix_formats::{
    derivation::{Derivation, fill_output_paths, remember},
    store_path::StorePath,
};

use crate::{host::StoreHost, store::Store};

/// The store host behind the host of an evaluation.
///
/// # Errors
/// When the host has no store.
pub(super) fn store_host(host: &dyn Host) -> Result<&StoreHost, HostError> {
    host.as_any()
        .and_then(|host| host.downcast_ref())
        .ok_or_else(|| HostError::refused("making store objects"))
}

/// Computes the output paths of a derivation, writes it, and remembers it. Gives its path.
///
/// # Errors
/// When an input is unknown, a name is not allowed, or the store fails.
pub(super) fn instantiate(
    host: &StoreHost,
    mut drv: Derivation,
    cx: &HostCx,
) -> Result<(StorePath, Derivation), Error> {
    let dir = host.store_dir();
    let mut load = |path: &StorePath| host.derivation(path).map_err(|e| e.to_string());
    fill_output_paths(&dir, &mut drv, host.modulo(), &mut load)
        .map_err(|e| error::argument(e.to_string()))?;
    let text = drv.write(&dir);
    let name = format!("{}.drv", drv.name);
    let path = host.add_text_to_store(&name, &text, &drv.references(), cx)?;
    remember(&dir, &path, &drv, host.modulo(), &mut load)
        .map_err(|e| error::argument(e.to_string()))?;
    host.remember_derivation(path.clone(), &text);
    Ok((path, drv))
}

/// All that a path refers to, itself included, as far as it is known here.
///
/// # Errors
/// When a derivation on the way is neither valid nor made in this session.
pub(super) fn closure(
    host: &StoreHost,
    root: &StorePath,
) -> Result<BTreeSet<StorePath>, HostError> {
    let mut found = BTreeSet::from([root.clone()]);
    let mut work = vec![root.clone()];
    while let Some(path) = work.pop() {
        let references = if path.is_derivation() {
            host.outline(&path)?.references.clone()
        } else {
            let info = match host.store() {
                Some(store) => store.query_path_info(&path)?,
                None => None,
            };
            // A source whose path was only computed has no references.
            info.map(|info| info.references.clone()).unwrap_or_default()
        };
        work.extend(references.into_iter().filter(|path| found.insert(path.clone())));
    }
    Ok(found)
}
