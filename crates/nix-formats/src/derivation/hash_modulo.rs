//! The hash of a derivation modulo the ways in which its inputs are made.
//!
//! Two derivations whose inputs differ only in *how* fixed outputs are fetched get the same hash,
//! hence the same output paths. The name is not part of what is hashed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::write::Form;
use super::{Derivation, Output, fixed_path};
use crate::hash::{Hash, HashAlgo};
use crate::store_path::{MakePathError, StoreDir, StorePath};

/// What stands for a derivation in the hash of one that uses it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Modulo {
    /// The hash of an input-addressed derivation; the same for all outputs.
    Plain(Hash),
    /// The hash of the output `out` of a fixed-output derivation.
    Fixed(Hash),
    /// Nothing yet: some output path, its own or of something it needs, is not known before a
    /// build.
    Deferred,
}

/// Path of a derivation → what stands for it. Never forgets; may be shared between threads.
#[derive(Debug, Default)]
pub struct ModuloCache {
    known: RwLock<HashMap<StorePath, Modulo>>,
}

/// Why a derivation has no hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuloError<E> {
    /// An input could not be loaded.
    Load(E),
    /// An input derivation needs itself.
    Cycle(StorePath),
    /// An input derivation has no such output.
    MissingOutput {
        /// The input derivation.
        drv: StorePath,
        /// The output that it has not.
        output: String,
    },
    /// A path cannot be made: the name is wrong.
    Path(MakePathError),
}

impl ModuloCache {
    /// A cache that knows nothing.
    #[must_use]
    pub fn new() -> ModuloCache {
        ModuloCache::default()
    }

    /// What stands for the derivation at `drv_path`, if that was computed.
    #[must_use]
    pub fn lookup(&self, drv_path: &StorePath) -> Option<Modulo> {
        // A thread that panics cannot leave a half-made entry.
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(drv_path).copied()
    }

    /// Remembers what stands for the derivation at `drv_path`.
    pub fn insert(&self, drv_path: StorePath, modulo: Modulo) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(drv_path, modulo);
    }

    /// How many derivations it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Says whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The hash of `drv` modulo its inputs.
///
/// `masked` blanks its own output paths, and variables named like outputs: this hash makes the
/// output paths. Not masked, it stands for `drv` where that is an input. `load` gives input
/// derivations, parsed, by path; it is asked for those only that `cache` does not know, at any
/// depth. The depth of the graph does not matter for the stack.
///
/// # Errors
/// `load` failed, the inputs form a cycle, or an output is used that an input does not have.
pub fn hash_modulo<E>(
    dir: &StoreDir,
    drv: &Derivation,
    masked: bool,
    cache: &ModuloCache,
    load: &mut dyn FnMut(&StorePath) -> Result<Arc<Derivation>, E>,
) -> Result<Modulo, ModuloError<E>> {
    if let Some(modulo) = without_inputs(dir, drv)? {
        return Ok(modulo);
    }
    let mut unknown = unknown_inputs(drv, cache);
    if !unknown.is_empty() {
        unknown.reverse();
        learn(dir, unknown, cache, load)?;
    }
    with_inputs(dir, drv, masked, cache)
}

/// A derivation whose inputs are being learned.
struct Pending {
    path: StorePath,
    /// Loaded when its turn came; from then on its inputs are above it on the stack.
    drv: Option<Arc<Derivation>>,
}

/// Computes what stands for the derivations at `wanted`, and for all below them.
fn learn<E>(
    dir: &StoreDir,
    wanted: Vec<StorePath>,
    cache: &ModuloCache,
    load: &mut dyn FnMut(&StorePath) -> Result<Arc<Derivation>, E>,
) -> Result<(), ModuloError<E>> {
    let mut stack: Vec<Pending> =
        wanted.into_iter().map(|path| Pending { path, drv: None }).collect();
    let mut open: HashSet<StorePath> = HashSet::new();
    while let Some(Pending { path, drv }) = stack.pop() {
        if let Some(drv) = drv {
            open.remove(&path);
            let modulo = with_inputs(dir, &drv, false, cache)?;
            cache.insert(path, modulo);
            continue;
        }
        if cache.lookup(&path).is_some() {
            continue;
        }
        let drv = load(&path).map_err(ModuloError::Load)?;
        if let Some(modulo) = without_inputs(dir, &drv)? {
            cache.insert(path, modulo);
            continue;
        }
        let inputs = unknown_inputs(&drv, cache);
        open.insert(path.clone());
        stack.push(Pending { path, drv: Some(drv) });
        for input in inputs.into_iter().rev() {
            if open.contains(&input) {
                return Err(ModuloError::Cycle(input));
            }
            stack.push(Pending { path: input, drv: None });
        }
    }
    Ok(())
}

fn unknown_inputs(drv: &Derivation, cache: &ModuloCache) -> Vec<StorePath> {
    let known = cache.known.read().unwrap_or_else(PoisonError::into_inner);
    drv.input_drvs.keys().filter(|path| !known.contains_key(path)).cloned().collect()
}

/// What stands for a derivation whose inputs do not matter.
fn without_inputs<E>(dir: &StoreDir, drv: &Derivation) -> Result<Option<Modulo>, ModuloError<E>> {
    match drv.outputs.first_key_value() {
        Some((name, Output::Fixed { ca })) => {
            let path = fixed_path(dir, &drv.name, name, ca).map_err(ModuloError::Path)?;
            let text = format!(
                "fixed:out:{}{}:{}",
                ca.method().prefix(),
                ca.hash().to_prefixed_base16(),
                dir.display(&path)
            );
            Ok(Some(Modulo::Fixed(Hash::of(HashAlgo::Sha256, text))))
        }
        Some((_, Output::Floating { .. } | Output::Impure { .. })) => Ok(Some(Modulo::Deferred)),
        // Paths that are only not filled in yet do not defer anything by themselves.
        Some((_, Output::InputAddressed(_) | Output::Deferred)) | None => Ok(None),
    }
}

/// Hashes an input-addressed derivation; `cache` knows all its inputs.
fn with_inputs<E>(
    dir: &StoreDir,
    drv: &Derivation,
    masked: bool,
    cache: &ModuloCache,
) -> Result<Modulo, ModuloError<E>> {
    let mut keys: Vec<(Hash, BTreeSet<&str>)> = Vec::with_capacity(drv.input_drvs.len());
    for (path, outputs) in &drv.input_drvs {
        match cache.lookup(path) {
            Some(Modulo::Plain(hash)) => {
                keys.push((hash, outputs.iter().map(String::as_str).collect()));
            }
            Some(Modulo::Fixed(hash)) => {
                if let Some(output) = outputs.iter().find(|output| *output != "out") {
                    return Err(ModuloError::MissingOutput {
                        drv: path.clone(),
                        output: output.clone(),
                    });
                }
                keys.push((hash, BTreeSet::from(["out"])));
            }
            Some(Modulo::Deferred) => return Ok(Modulo::Deferred),
            // Nothing forgets, so only a derivation that needs itself comes here.
            None => return Err(ModuloError::Cycle(path.clone())),
        }
    }
    // All are SHA-256, so their order is that of their base-16 texts.
    keys.sort_unstable_by_key(|(hash, _)| *hash);
    let mut inputs: Vec<(String, BTreeSet<&str>)> = Vec::with_capacity(keys.len());
    let mut last = None;
    for (hash, outputs) in keys {
        match inputs.last_mut() {
            Some((_, merged)) if last == Some(hash) => merged.extend(outputs),
            _ => inputs.push((hash.to_base16(), outputs)),
        }
        last = Some(hash);
    }
    let text = drv.write_form(dir, Form::Modulo { inputs: &inputs, masked });
    Ok(Modulo::Plain(Hash::of(HashAlgo::Sha256, text)))
}

impl<E: fmt::Display> fmt::Display for ModuloError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModuloError::Load(error) => error.fmt(f),
            ModuloError::Cycle(path) => write!(f, "derivation '{path}' depends on itself"),
            ModuloError::MissingOutput { drv, output } => {
                write!(f, "derivation '{drv}' has no output '{output}'")
            }
            ModuloError::Path(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> std::error::Error for ModuloError<E> {}
