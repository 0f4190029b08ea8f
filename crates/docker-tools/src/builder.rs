//! `builtin:build-image`: the builder of every image derivation.
//!
//! It reads the structured attributes `image` (the request) and `closure` (from
//! `exportReferencesGraph`), and writes the archive to the output `out`. The archive gets its
//! place only after it has been read back and checked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use nix_formats::store_path::StoreDir;
use nix_store::build::internal::{InternalBuild, InternalBuilder};
use serde_json::Value;

use crate::assemble::{Summary, World, assemble};
use crate::error::Error;
use crate::graph::Graph;
use crate::layer::tar::Owner;
use crate::request::ImageRequest;
use crate::store_files::StoreFiles;
use crate::timestamp::Timestamp;
use crate::validate::{Expected, check_archive};

/// The internal builders of this crate, to be given to the store.
pub const BUILDERS: &[InternalBuilder] =
    &[InternalBuilder { name: "builtin:build-image", run: build_image }];

/// Where the shell of a sandbox is.
const SHELL: &str = "/bin/sh";

fn build_image(build: &InternalBuild) -> Result<(), String> {
    let attrs = build.attrs_json.as_deref().ok_or("an image derivation needs __structuredAttrs")?;
    let place = Place {
        store: StoreFiles::new(&build.store_dir.to_string_lossy(), &build.store_dir),
        scratch: build.build_dir.clone(),
        shell: PathBuf::from(SHELL),
        n_threads: build.cores,
        out: build.output("out")?.to_owned(),
    };
    build_from_attrs(attrs, &place, &|line| build.log(line)).map_err(|error| error.full_text())?;
    Ok(())
}

/// Where an image is made: places on this machine.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store objects.
    pub store: StoreFiles,
    /// A writable, empty directory.
    pub scratch: PathBuf,
    /// The shell for the user's commands.
    pub shell: PathBuf,
    /// Threads that compress, at least one.
    pub n_threads: usize,
    /// The archive. Nothing is there yet; its directory is writable.
    pub out: PathBuf,
}

/// Makes an image from the text of `.attrs.json`, checks it, and puts it in its place.
///
/// # Errors
/// [`Error`]; nothing is left at the place then.
pub fn build_from_attrs(attrs: &[u8], place: &Place, log: &dyn Fn(&str)) -> Result<Summary, Error> {
    let damaged = |what: &str, error: &dyn std::fmt::Display| {
        Error::Request(format!("the attribute '{what}' of the image derivation: {error}"))
    };
    let mut attrs: Value = serde_json::from_slice(attrs).map_err(|error| damaged("*", &error))?;
    let mut take = |name: &str| attrs.get_mut(name).map(Value::take).unwrap_or_default();
    let request: ImageRequest =
        serde_json::from_value(take("image")).map_err(|error| damaged("image", &error))?;
    let dir = StoreDir::new(place.store.logical()).map_err(|error| damaged("closure", &error))?;
    let graph =
        Graph::from_json(&dir, take("closure")).map_err(|error| damaged("closure", &error))?;
    let own = take("outputs").get("out").and_then(Value::as_str).unwrap_or_default().to_owned();
    let own_tag = own.rsplit('/').next().and_then(|name| name.split('-').next());
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let world = World {
        store: &place.store,
        graph: &graph,
        scratch: &place.scratch,
        shell: &place.shell,
        n_threads: place.n_threads.max(1),
        own_tag: own_tag.unwrap_or_default(),
        now: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX),
        log,
    };
    let partial = partial_name(&place.out);
    let made = make_checked(&request, &world, &partial).and_then(|summary| {
        fs::rename(&partial, &place.out).map_err(Error::io("put in place", &place.out))?;
        Ok(summary)
    });
    match made {
        Ok(summary) => {
            report(&summary, log);
            Ok(summary)
        }
        Err(error) => {
            // The first error is the one to tell; what cannot be removed was perhaps never made.
            let _ = fs::remove_file(&partial);
            Err(error)
        }
    }
}

fn make_checked(
    request: &ImageRequest,
    world: &World<'_>,
    partial: &Path,
) -> Result<Summary, Error> {
    let out = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(partial)
        .map_err(Error::io("make", partial))?;
    let summary = assemble(request, world, out.try_clone().map_err(Error::io("open", partial))?)?;
    let (owners, mtime) = match &request.layering {
        None => (vec![Owner::named(request.uid, request.gid), Owner::root()], 1),
        Some(layering) => {
            let store = Owner {
                uid: request.uid,
                gid: request.gid,
                uname: layering.uname.clone(),
                gname: layering.gname.clone(),
            };
            let mtime = match &layering.mtime[..] {
                "now" => world.now,
                text => text.parse::<Timestamp>()?.unix(),
            };
            (vec![store, Owner::root()], u64::try_from(mtime).unwrap_or_default())
        }
    };
    let expected = Expected {
        summary: &summary,
        n_base_layers: summary.n_base_layers,
        owners: &owners,
        mtime,
        now: world.now,
    };
    check_archive(&out, &expected)?;
    out.sync_all().map_err(Error::io("write", partial))?;
    Ok(summary)
}

fn partial_name(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn report(summary: &Summary, log: &dyn Fn(&str)) {
    let n_paths: usize = summary.layers.iter().map(|layer| layer.paths.len()).sum();
    log(&format!("image {}", summary.name));
    log(&format!("digest {}", summary.digest));
    log(&format!("size {} bytes", summary.size));
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    log(&format!(
        "{} layer{}, {n_paths} store path{}",
        summary.layers.len(),
        plural(summary.layers.len()),
        plural(n_paths)
    ));
}
