//! From a request and its closure to an archive.
//!
//! The steps, in order: the layer's tree; the user's commands; what the tree and the config
//! mention, with closures; the base layers, copied as they are; our layers; the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use nix_formats::store_path::StorePath;

use crate::commands::{self, Shell};
use crate::error::Error;
use crate::graph::Graph;
use crate::image_name::ImageName;
use crate::layer::blob::{HashingWriter, LayerEncoder};
use crate::layer::join::{self, DirectoryLinks};
use crate::layer::tar::Owner;
use crate::layer::tree::{Directory, Node, StoreObject};
use crate::layer::{self, Owners};
use crate::mentions::Mentions;
use crate::plan;
use crate::read::{BaseFiles, BaseImage, BaseLayer, ReadError, Selection, detect};
use crate::request::{ImageRequest, Layering, Strategy};
use crate::spec::{
    Descriptor, DiffId, Digest, DockerEntry, History, ImageConfig, Index, LayerForm, Manifest,
    MediaType, RootFs, RuntimeConfig, to_json,
};
use crate::store_files::StoreFiles;
use crate::timestamp::Timestamp;
use crate::write::{ArchiveWriter, BLOBS};

/// Most layers that runtimes can stack.
pub const MAX_LAYERS: usize = 127;

/// Longest list of store paths in a layer's history, in bytes.
const MAX_COMMENT: usize = 4 << 10;

/// Seconds since 1970 of the files in a layer.
const MTIME: u64 = 1;

/// What the surroundings give to an image: places and a clock, never a part of its bytes.
pub struct World<'a> {
    /// The store objects on this machine.
    pub store: &'a StoreFiles,
    /// The objects that the image may need.
    pub graph: &'a Graph,
    /// A writable, empty directory.
    pub scratch: &'a Path,
    /// The shell for the user's commands.
    pub shell: &'a Path,
    /// Threads that compress, at least one.
    pub n_threads: usize,
    /// The tag of an image whose request has none.
    pub own_tag: &'a str,
    /// Seconds since 1970; asked only when the request says `now`.
    pub now: i64,
    /// Takes lines for the user.
    pub log: &'a dyn Fn(&str),
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name and tag.
    pub name: ImageName,
    /// Digest of the manifest: what a registry will call the image.
    pub digest: Digest,
    /// Digest of the config: what docker calls the image ID.
    pub config_digest: Digest,
    /// Length of the archive in bytes.
    pub size: u64,
    /// The layers, lowest first.
    pub layers: Vec<LayerSummary>,
    /// How many of the layers come from the base image.
    pub n_base_layers: usize,
}

/// One layer of what was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSummary {
    /// Digest of the blob.
    pub digest: Digest,
    /// Digest of the tar inside.
    pub diff_id: DiffId,
    /// Length of the blob in bytes.
    pub size: u64,
    /// Store paths in the layer; empty for layers of the base.
    pub paths: Vec<StorePath>,
}

/// Writes the image into an empty file.
///
/// # Errors
/// [`Error`] says which argument, base image, file or command is at fault.
pub fn assemble(request: &ImageRequest, world: &World<'_>, out: File) -> Result<Summary, Error> {
    let name = ImageName::new(&request.name, request.tag.as_deref().unwrap_or(world.own_tag))?;
    let created = match &request.created[..] {
        "now" => Timestamp::from_unix(world.now),
        text => text.parse::<Timestamp>()?,
    };
    let (mut config, warnings) = RuntimeConfig::check(request.config.clone())?;
    for warning in warnings {
        (world.log)(&format!("warning: {warning}"));
    }
    let base = open_base(request, world)?;
    if let Some((base, path)) = &base {
        if let Some(inherited) = &base.config.config {
            config.inherit_env(inherited.env());
        }
        let theirs = &base.config.architecture;
        if !theirs.is_empty() && *theirs != request.architecture {
            (world.log)(&format!(
                "warning: the image is for {}, but its base {path} is for {theirs}",
                request.architecture
            ));
        }
    }
    let mut tree = make_tree(request, world)?;

    let mut mentions = Mentions::new(world.graph);
    mentions.add_tree(&tree)?;
    mentions.add_text(&to_json(&config));
    let closure = world.graph.closure(mentions.found());

    let mut archive = ArchiveWriter::new(out).map_err(write_error)?;
    let mut layers = Vec::new();
    let mut files = BaseFiles::new(
        world.store.logical(),
        closure.iter().map(|path| path.base_name().to_owned()),
    );
    if let Some((base, path)) = &base {
        layers = copy_base(base, path, world, &mut archive, &mut files)?;
    }
    let ours = match &request.layering {
        None => {
            let owners =
                Owners { tree: Owner::named(request.uid, request.gid), store: Owner::root() };
            let paths = add_store_objects(&mut tree, &closure, &files, world.store)?;
            vec![OurLayer { tree, owners, mtime: MTIME, paths }]
        }
        Some(layering) => layered(request, layering, tree, &closure, layers.len(), &files, world)?,
    };
    let n_base_layers = layers.len();
    for layer in ours {
        layers.push(write_layer(&layer, &created, world, &mut archive)?);
    }
    if layers.len() > MAX_LAYERS {
        return Err(Error::Request(format!(
            "the image has {} layers, but runtimes stack at most {MAX_LAYERS}: lower maxLayers or \
             take a base image with fewer layers",
            layers.len()
        )));
    }
    let mut summary = write_documents(request, name, created, config, layers, archive)?;
    summary.n_base_layers = n_base_layers;
    Ok(summary)
}

fn write_error(source: io::Error) -> Error {
    Error::Io { action: "write", path: "the image".to_owned(), source }
}

fn base_error(path: &str) -> impl FnOnce(ReadError) -> Error {
    let path = path.to_owned();
    move |source| Error::Base { path, source }
}

fn open_base<'a>(
    request: &'a ImageRequest,
    world: &World<'_>,
) -> Result<Option<(BaseImage, &'a str)>, Error> {
    let Some(path) = &request.from_image else { return Ok(None) };
    // One of the two alone says nothing, as in nixpkgs: then the first image is taken.
    let selection = match (&request.from_image_name, &request.from_image_tag) {
        (Some(name), Some(tag)) => Some(Selection { name: name.clone(), tag: tag.clone() }),
        _ => None,
    };
    let real = world
        .store
        .resolve(path.as_bytes())
        .and_then(|path| world.store.real(&path))
        .ok_or_else(|| Error::Request(format!("fromImage: {path} is not in the store")))?;
    let base =
        BaseImage::open(&real, selection.as_ref(), world.scratch).map_err(base_error(path))?;
    Ok(Some((base, path)))
}

fn make_tree(request: &ImageRequest, world: &World<'_>) -> Result<Directory, Error> {
    let links =
        if request.keep_contents_dirlinks { DirectoryLinks::Keep } else { DirectoryLinks::Copy };
    let mut tree = Directory::new(0o755);
    for item in &request.copy_to_root {
        if request.layering.is_some() {
            join::add_links(&mut tree, item, world.store)?;
        } else {
            join::add_item(&mut tree, item, links, world.store)?;
        }
    }
    if !request.extra_commands.is_empty() {
        let path = request.command_path.join(":");
        let path = if path.is_empty() { "/path-not-set" } else { &path };
        let shell = Shell { program: world.shell, path, scratch: world.scratch };
        tree = commands::run(&tree, &request.extra_commands, &shell)?;
    }
    join::materialise_identity_files(&mut tree, world.store)?;
    Ok(tree)
}

/// Puts the objects of a closure that the base lacks below the store directory of a tree.
fn add_store_objects<'a>(
    tree: &mut Directory,
    closure: impl IntoIterator<Item = &'a StorePath>,
    base: &BaseFiles,
    store: &StoreFiles,
) -> Result<Vec<StorePath>, Error> {
    let store_name = store.logical().trim_start_matches('/');
    let mut objects = Vec::new();
    for path in closure {
        let place = format!("{store_name}/{}", path.base_name());
        if !base.has(place.as_bytes()) {
            objects.push(StoreObject { path: path.clone(), only: None });
            continue;
        }
        let names = layer::names_in_object(store, path)?;
        let full = |name: &Vec<u8>| match &name[..] {
            b"" => place.clone().into_bytes(),
            name => [place.as_bytes(), b"/", name].concat(),
        };
        let mut missing: BTreeSet<Vec<u8>> =
            names.into_iter().filter(|name| !base.has(&full(name))).collect();
        // A missing file needs the directories above it.
        for name in missing.clone() {
            let slashes = name.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
            let parents: Vec<Vec<u8>> = slashes.map(|(i, _)| name[..i].to_vec()).collect();
            missing.extend(parents);
            missing.insert(Vec::new());
        }
        if !missing.is_empty() {
            objects.push(StoreObject { path: path.clone(), only: Some(missing) });
        }
    }
    if objects.is_empty() {
        return Ok(Vec::new());
    }
    let mut directory = tree;
    for component in store_name.split('/') {
        let make = || Directory { of_store: true, ..Directory::new(0o555) };
        directory = directory.directory_at(component.as_bytes(), make).ok_or_else(|| {
            Error::Contents(format!(
                "the image needs files below {}, but the layer has a file or link there",
                store.logical()
            ))
        })?;
    }
    let mut paths = Vec::new();
    for object in objects {
        paths.push(object.path.clone());
        let name = object.path.base_name().as_bytes().to_vec();
        directory.children.entry(name).or_insert(Node::StoreObject(object));
    }
    Ok(paths)
}

/// A layer that is to be written.
struct OurLayer {
    tree: Directory,
    owners: Owners,
    mtime: u64,
    paths: Vec<StorePath>,
}

/// The store layers of a layered image, and its customisation layer on top.
fn layered(
    request: &ImageRequest,
    layering: &Layering,
    tree: Directory,
    closure: &BTreeSet<StorePath>,
    n_base: usize,
    base: &BaseFiles,
    world: &World<'_>,
) -> Result<Vec<OurLayer>, Error> {
    let mtime = match &layering.mtime[..] {
        "now" => world.now,
        text => text.parse::<Timestamp>()?.unix(),
    };
    let mtime = u64::try_from(mtime)
        .map_err(|_| Error::Request(format!("mtime {:?} is before 1970", layering.mtime)))?;
    let store = Owner {
        uid: request.uid,
        gid: request.gid,
        uname: layering.uname.clone(),
        gname: layering.gname.clone(),
    };
    let owners = Owners { tree: Owner::root(), store };
    let budget = layering.max_layers.checked_sub(1 + n_base).filter(|&budget| budget > 0);
    let Some(budget) = budget else {
        return Err(Error::Request(format!(
            "maxLayers is {}, but the base image has {n_base} layers and the customisation layer \
             needs 1, which leaves none for store paths",
            layering.max_layers
        )));
    };
    let mut layers = Vec::new();
    if layering.include_store_paths {
        let graph = world.graph.part(closure);
        let groups = match layering.strategy {
            Strategy::Auto => plan::auto(&graph, &BTreeSet::new(), budget),
            Strategy::Popularity => plan::limit(plan::popularity(&graph), budget),
        };
        for group in groups {
            let mut tree = Directory::new(0o755);
            let paths = add_store_objects(&mut tree, &group, base, world.store)?;
            if !paths.is_empty() {
                open_store_directories(&mut tree);
                layers.push(OurLayer { tree, owners: owners.clone(), mtime, paths: group });
            }
        }
    }
    layers.push(OurLayer { tree, owners, mtime, paths: Vec::new() });
    Ok(layers)
}

/// Store layers of layered images have their store directories in mode 0755.
fn open_store_directories(directory: &mut Directory) {
    for node in directory.children.values_mut() {
        if let Node::Directory(child) = node {
            child.mode = 0o755;
            open_store_directories(child);
        }
    }
}

/// A layer in the archive, and what the documents say about it.
struct WrittenLayer {
    summary: LayerSummary,
    form: LayerForm,
    history: History,
}

fn write_layer(
    layer: &OurLayer,
    created: &Timestamp,
    world: &World<'_>,
    archive: &mut ArchiveWriter,
) -> Result<WrittenLayer, Error> {
    let (digest, size, facts) = archive.add_streamed(|sink| -> Result<_, Error> {
        let encoder = LayerEncoder::new(sink, world.n_threads);
        let encoder = layer::pack(&layer.tree, &layer.owners, layer.mtime, world.store, encoder)?;
        let (_, facts) = encoder.finish()?;
        Ok(facts)
    })?;
    let summary = LayerSummary { digest, diff_id: facts.diff_id, size, paths: layer.paths.clone() };
    let history = History {
        created: Some(created.to_string()),
        created_by: Some("mini-nix".to_owned()),
        comment: comment(&layer.paths, world.store.logical()),
        ..History::default()
    };
    Ok(WrittenLayer { summary, form: LayerForm::Gzip, history })
}

/// The store paths of a layer as text; a long list ends with how many more there are.
fn comment(paths: &[StorePath], store: &str) -> Option<String> {
    if paths.is_empty() {
        return None;
    }
    let mut text = "store paths: [".to_owned();
    for (i, path) in paths.iter().enumerate() {
        let separator = if i == 0 { "" } else { ", " };
        let item = format!("{separator}{store}/{}", path.base_name());
        if text.len() + item.len() > MAX_COMMENT {
            text += &format!("{separator}and {} more", paths.len() - i);
            break;
        }
        text += &item;
    }
    Some(text + "]")
}

fn copy_base(
    base: &BaseImage,
    path: &str,
    world: &World<'_>,
    archive: &mut ArchiveWriter,
    files: &mut BaseFiles,
) -> Result<Vec<WrittenLayer>, Error> {
    // Entries of steps without a layer are left out; what remains has to fit the layers.
    let history: Vec<&History> =
        base.config.history.iter().flatten().filter(|entry| !entry.empty_layer).collect();
    let fits = history.len() == base.layers.len();
    let mut seen: BTreeMap<String, (Digest, u64, LayerForm)> = BTreeMap::new();
    let mut written = Vec::new();
    for (i, (layer, &diff_id)) in base.layers.iter().zip(&base.config.rootfs.diff_ids).enumerate() {
        let (digest, size, form) = copy_base_layer(
            base, layer, diff_id, world, archive, files, &mut seen,
        )
        .map_err(|error| match error {
            CopyError::Read(source) => base_error(path)(source),
            CopyError::Write(source) => write_error(source),
        })?;
        let history = if fits { history[i].clone() } else { History::default() };
        let summary = LayerSummary { digest, diff_id, size, paths: Vec::new() };
        written.push(WrittenLayer { summary, form, history });
    }
    Ok(written)
}

enum CopyError {
    Read(ReadError),
    Write(io::Error),
}

impl From<ReadError> for CopyError {
    fn from(error: ReadError) -> CopyError {
        CopyError::Read(error)
    }
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> CopyError {
        CopyError::Write(error)
    }
}

/// Copies a layer of the base, checking on the way that it is what the base's documents promise.
fn copy_base_layer(
    base: &BaseImage,
    layer: &BaseLayer,
    diff_id: DiffId,
    world: &World<'_>,
    archive: &mut ArchiveWriter,
    files: &mut BaseFiles,
    seen: &mut BTreeMap<String, (Digest, u64, LayerForm)>,
) -> Result<(Digest, u64, LayerForm), CopyError> {
    let blob = base.source.blob(&layer.member)?;
    let (packing, reader) = detect(blob.reader).map_err(ReadError::Io)?;
    if let Some(&known) = seen.get(&blob.place) {
        // The same layer twice: stored once, but its files count at both places.
        scan_layer(packing.unpack(reader).map_err(ReadError::Io)?, files, layer, diff_id)?;
        return Ok(known);
    }
    let form = packing.layer_form();
    let (digest, size, original) = archive.add_streamed(|sink| -> Result<_, CopyError> {
        match form {
            Some(_) => {
                let mut tee = Tee { reader, hasher: HashingWriter::new(sink), write_error: None };
                let scanned = packing
                    .unpack(&mut tee)
                    .map_err(|error| CopyError::Read(ReadError::Io(error)))
                    .and_then(|unpacked| scan_layer(unpacked, files, layer, diff_id));
                let drained = io::copy(&mut tee, &mut io::sink());
                if let Some(error) = tee.write_error.take() {
                    return Err(CopyError::Write(error));
                }
                scanned?;
                drained.map_err(ReadError::Io)?;
                Ok(Some(tee.hasher.finish()))
            }
            None => {
                // OCI has no name for this packing, so the layer is packed anew; the diff ID stays.
                let mut encoder = LayerEncoder::new(sink, world.n_threads);
                let unpacked = packing.unpack(reader).map_err(ReadError::Io)?;
                let mut tee = Tee {
                    reader: unpacked,
                    hasher: HashingWriter::new(&mut encoder),
                    write_error: None,
                };
                let scanned = scan_layer(&mut tee, files, layer, diff_id);
                if let Some(error) = tee.write_error.take() {
                    return Err(CopyError::Write(error));
                }
                scanned?;
                encoder.finish()?;
                Ok(None)
            }
        }
    })?;
    if let (Some((promised, promised_size)), Some(found)) = (layer.promised, original)
        && (promised, promised_size) != found
    {
        return Err(CopyError::Read(ReadError::Mismatch {
            name: layer.member.clone(),
            found: found.0,
            size: found.1,
            promised: format!("{promised} with {promised_size} bytes"),
        }));
    }
    let known = (digest, size, form.unwrap_or(LayerForm::Gzip));
    seen.insert(blob.place, known);
    Ok(known)
}

/// Reads the tar of a layer to its end: names go to `files`, the bytes have to fit the diff ID.
fn scan_layer(
    reader: impl Read,
    files: &mut BaseFiles,
    layer: &BaseLayer,
    diff_id: DiffId,
) -> Result<(), CopyError> {
    let mut hashing = Tee { reader, hasher: HashingWriter::new(io::sink()), write_error: None };
    files.add_layer(&mut hashing)?;
    let (found, size) = hashing.hasher.finish();
    if found == diff_id.0 {
        return Ok(());
    }
    Err(CopyError::Read(ReadError::Mismatch {
        name: format!("the unpacked layer {}", layer.member),
        found,
        size,
        promised: diff_id.to_string(),
    }))
}

/// Hashes and writes what is read through it.
struct Tee<R, W> {
    reader: R,
    hasher: HashingWriter<W>,
    /// Why writing failed: the reading side must not take it for a fault of the base image.
    write_error: Option<io::Error>,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        if let Err(error) = self.hasher.write_all(&buffer[..n]) {
            self.write_error = Some(error);
            return Err(io::Error::other("the copy of the layer cannot be written"));
        }
        Ok(n)
    }
}

fn write_documents(
    request: &ImageRequest,
    name: ImageName,
    created: Timestamp,
    config: RuntimeConfig,
    layers: Vec<WrittenLayer>,
    mut archive: ArchiveWriter,
) -> Result<Summary, Error> {
    let image = ImageConfig {
        created: Some(created.to_string()),
        architecture: request.architecture.clone(),
        variant: request.variant.clone(),
        os: "linux".to_owned(),
        config: Some(config),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.summary.diff_id).collect(),
        },
        history: Some(layers.iter().map(|layer| layer.history.clone()).collect()),
    };
    let bytes = to_json(&image);
    let config_digest = archive.add_bytes(&bytes).map_err(write_error)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MediaType::Manifest,
        config: descriptor(MediaType::Config, config_digest, bytes.len() as u64),
        layers: layers
            .iter()
            .map(|layer| descriptor(layer.form.into(), layer.summary.digest, layer.summary.size))
            .collect(),
        annotations: BTreeMap::new(),
    };
    let bytes = to_json(&manifest);
    let digest = archive.add_bytes(&bytes).map_err(write_error)?;
    let mut entry = descriptor(MediaType::Manifest, digest, bytes.len() as u64);
    entry.annotations = BTreeMap::from([
        ("io.containerd.image.name".to_owned(), name.fully_qualified()),
        ("org.opencontainers.image.ref.name".to_owned(), name.tag().to_owned()),
    ]);
    let index = Index { schema_version: 2, media_type: MediaType::Index, manifests: vec![entry] };
    archive.member("index.json", &to_json(&index)).map_err(write_error)?;
    let blob = |digest: &Digest| format!("{BLOBS}/{}", digest.to_hex());
    let docker = [DockerEntry {
        config: blob(&config_digest),
        repo_tags: Some(vec![name.to_string()]),
        layers: layers.iter().map(|layer| blob(&layer.summary.digest)).collect(),
    }];
    archive.member("manifest.json", &to_json(&docker)).map_err(write_error)?;
    let (_, size) = archive.finish().map_err(write_error)?;
    let layers = layers.into_iter().map(|layer| layer.summary).collect();
    Ok(Summary { name, digest, config_digest, size, layers, n_base_layers: 0 })
}

fn descriptor(media_type: MediaType, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type, digest, size, annotations: BTreeMap::new() }
}

#[cfg(test)]
mod tests;
