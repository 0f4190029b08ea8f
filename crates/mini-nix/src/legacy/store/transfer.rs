//! Objects in and out: NARs, exports, registrations.

use std::io::{BufWriter, Read, Write};

use nix_store::{
    LocalStore, Store, StoreError,
    sys::{Dir, dump_nar, restore_nar},
};

use super::follow;
use crate::exit::Failure;

fn fail(error: StoreError) -> Failure {
    Failure::new(error)
}

/// `--dump`: the NARs of paths, one behind the other.
pub(super) fn dump(operands: &[String]) -> Result<u8, Failure> {
    for path in operands {
        let path = std::path::absolute(path)?;
        let (dir, name) = Dir::open_parent(&path).map_err(fail)?;
        dump_nar(&dir, name, &mut std::io::stdout().lock()).map_err(fail)?;
    }
    Ok(0)
}

/// `--restore`: a file tree from a NAR.
pub(super) fn restore(operands: &[String]) -> Result<u8, Failure> {
    let [target] = operands else {
        return Err(Failure::usage("mini-nix-store", "'--restore' needs one path"));
    };
    let target = std::path::absolute(target)?;
    let (dir, name) = Dir::open_parent(&target).map_err(fail)?;
    restore_nar(&mut std::io::stdin().lock(), "standard input", &dir, name).map_err(fail)?;
    Ok(0)
}

/// `--export`: these objects, and only these, for `--import` of another store.
pub(super) fn export(store: &LocalStore, operands: &[String]) -> Result<u8, Failure> {
    let paths = operands.iter().map(|o| follow(store, o)).collect::<Result<Vec<_>, _>>()?;
    let mut out = BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    store.export(&paths, &mut out).map_err(fail)?;
    out.flush()?;
    Ok(0)
}

/// `--import`: adds the objects of an export and prints their paths.
pub(super) fn import(store: &LocalStore) -> Result<u8, Failure> {
    let added = store.import(&mut std::io::stdin().lock()).map_err(fail)?;
    store.flush().map_err(fail)?;
    for path in added {
        println!("{}", store.display(&path));
    }
    Ok(0)
}

/// `--dump-db`: the registrations of all valid paths.
pub(super) fn dump_registrations(store: &LocalStore) -> Result<u8, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    store.dump_registrations(&mut out).map_err(fail)?;
    out.flush()?;
    Ok(0)
}

/// `--load-db` and `--register-validity`: registers objects whose files are in place. With `has_nar` hash and size
/// of each are in the text.
pub(super) fn load_registrations(store: &LocalStore, has_nar: bool) -> Result<u8, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(format!("cannot read registrations from standard input: {e}")))?;
    store.load_registrations(&text, has_nar).map_err(fail)?;
    Ok(0)
}
