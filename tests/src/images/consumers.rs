//! Other programs read our images, and find what we said of them.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{Case, Shared, docker::find};
use crate::scratch::{has, same, succeed};

pub(super) const CASES: &[(&str, Case)] = &[
    ("skopeo-reads-both-forms", skopeo),
    ("umoci-unpacks", umoci),
    ("oci-image-tool-validates", oci_image_tool),
    ("podman-loads", podman),
    ("a-registry-keeps-the-digest", registry),
];

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("{e}: {text}"))
}

fn scratch() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|e| e.to_string())
}

fn skopeo(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let skopeo = find("skopeo", "skopeo")?;
    let inspect = |form: &str| {
        let place = format!("{form}:{}", image.file.display());
        json(&succeed(Command::new(&skopeo).args(["inspect", &place]))?)
    };
    let oci = inspect("oci-archive")?;
    same("digest", oci["Digest"].as_str(), Some(image.said("digest")?))?;
    same("layers", oci["Layers"].as_array().map(Vec::len), Some(1))?;
    let docker = inspect("docker-archive")?;
    same("created", docker["Created"].as_str(), Some("1970-01-01T00:00:01Z"))?;
    same("architecture", docker["Architecture"].as_str(), oci["Architecture"].as_str())
}

/// Unpacks the archive: an OCI layout.
fn layout(archive: &Path, folder: &Path) -> Result<(), String> {
    std::fs::create_dir(folder).map_err(|e| e.to_string())?;
    succeed(Command::new("tar").arg("-C").arg(folder).arg("-xf").arg(archive)).map(drop)
}

fn umoci(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let dir = scratch()?;
    let folder = dir.path().join("layout");
    layout(&image.file, &folder)?;
    let bundle = dir.path().join("bundle");
    let place = format!("{}:0.1", folder.display());
    let umoci = find("umoci", "umoci")?;
    succeed(Command::new(umoci).args(["unpack", "--rootless", "--image", &place]).arg(&bundle))?;
    for path in super::closure_of(image)? {
        let (ours, theirs) = (image.scratch.real(&path), bundle.join("rootfs").join(&path[1..]));
        succeed(Command::new("diff").args(["-r", "--no-dereference"]).arg(ours).arg(theirs))?;
    }
    Ok(())
}

fn oci_image_tool(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let dir = scratch()?;
    let folder = dir.path().join("layout");
    layout(&image.file, &folder)?;
    let tool = find("oci-image-tool", "oci-image-tool")?;
    let words = ["validate", "--type", "image", "--ref", "name=0.1"];
    succeed(Command::new(tool).args(words).arg(&folder)).map(drop)
}

fn podman(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let dir = scratch()?;
    let podman = find("podman", "podman")?;
    let call = || {
        let mut command = Command::new(&podman);
        command.arg("--root").arg(dir.path().join("root"));
        command.arg("--runroot").arg(dir.path().join("run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        command
    };
    has(&succeed(call().arg("load").arg("-i").arg(&image.file))?, &["services:0.1"])?;
    let id = succeed(call().args(["image", "inspect", "services:0.1", "--format", "{{.Id}}"]))?;
    let manifest = succeed(Command::new("tar").arg("-xOf").arg(&image.file).arg("manifest.json"))?;
    let config = json(&manifest)?[0]["Config"].as_str().unwrap_or_default().to_owned();
    same("id", id.trim(), config.rsplit('/').next().unwrap_or_default())
}

/// A registry that ends when it is dropped.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path) -> Result<Registry, String> {
        let program = find("docker-registry", "docker-registry")?;
        // The system chooses a free port; the registry cannot tell which it got.
        let free = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let address = free.local_addr().map_err(|e| e.to_string())?.to_string();
        drop(free);
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            dir.join("registry").display()
        );
        let file = dir.join("registry.yml");
        std::fs::write(&file, config).map_err(|e| e.to_string())?;
        let child = Command::new(program)
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot start docker-registry: {e}"))?;
        let registry = Registry { child, address };
        for _ in 0..100 {
            if std::net::TcpStream::connect(&registry.address).is_ok() {
                return Ok(registry);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err("docker-registry does not answer".to_owned())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn registry(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    let dir = scratch()?;
    let registry = Registry::start(dir.path())?;
    let place = format!("docker://{}/services:0.1", registry.address);
    let skopeo = find("skopeo", "skopeo")?;
    let from = format!("oci-archive:{}", image.file.display());
    let words = ["--insecure-policy", "copy", "--dest-tls-verify=false", "--preserve-digests"];
    succeed(Command::new(&skopeo).args(words).args([&from, &place]))?;
    let text = succeed(Command::new(&skopeo).args(["inspect", "--tls-verify=false", &place]))?;
    same("digest", json(&text)?["Digest"].as_str(), Some(image.said("digest")?))
}
