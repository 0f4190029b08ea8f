//! Images on top of others, in every form that a base comes in.

use std::process::Command;

use super::{Case, Shared, docker::find};
use crate::scratch::{Scratch, has, same, succeed};

pub(super) const CASES: &[(&str, Case)] =
    &[("a-child-of-an-image-of-ours", child), ("bases-of-every-form-give-the-same-layers", forms)];

/// The expression of a child of `base`, itself an expression.
fn expression(base: &str) -> String {
    format!(
        "let pkgs = import <nixpkgs> {{ }}; in pkgs.dockerTools.buildImage {{ name = \"child\"; tag = \"1\"; \
         fromImage = {base}; copyToRoot = [ (pkgs.writeTextDir \"etc/motd\" \"from a closure\\n\") ]; \
         extraCommands = \"mkdir data; echo from a command > data/file\"; uid = 1000; gid = 100; \
         created = \"2001-02-03T04:05:06Z\"; \
         config = {{ Cmd = [ \"${{pkgs.bash}}/bin/bash\" \"-c\" \"echo $(< /data/file), $(< /etc/motd)\" ]; Env = [ \"A=b\" ]; }}; }}"
    )
}

fn child(shared: &Shared) -> Result<(), String> {
    let scratch = Scratch::new(shared.bed)?;
    let base = format!("import {} {{ }}", shared.bed.example("image.nix").display());
    scratch.write("child.nix", &expression(&format!("({base})")))?;
    let built = scratch.build(["child.nix"])?;
    let daemon = shared.daemon()?;
    let image = scratch.real(&built.path);
    has(&daemon.load(&image)?, &["Loaded image: child:1"])?;
    same("output", daemon.run("child:1")?.as_str(), "from a command, from a closure\n")?;
    let format = "{{.Created}} {{json .Config.Env}} {{len .RootFS.Layers}}";
    let facts = succeed(daemon.docker().args(["image", "inspect", "-f", format, "child:1"]))?;
    same("facts", facts.trim(), "2001-02-03T04:05:06Z [\"A=b\"] 2")?;
    // The base has the shell already; the new layer holds only what is new.
    let names = super::entries(&image)?;
    let shells = names.iter().filter(|name| name.ends_with("/bin/bash")).count();
    same("copies of the shell", shells, 1)?;
    let script = format!(
        "tar -xOf '{0}' $(tar -xOf '{0}' manifest.json | grep -o 'blobs/sha256/[0-9a-f]*' | tail -n 1) | tar -tvzf - --numeric-owner",
        image.display()
    );
    let listed = succeed(Command::new("bash").args(["-o", "pipefail", "-c", &script]))?;
    let file = listed.lines().find(|line| line.ends_with("data/file")).unwrap_or(&listed);
    has(file, &["1000/100"])?;
    scratch.verify()
}

fn forms(shared: &Shared) -> Result<(), String> {
    let scratch = Scratch::new(shared.bed)?;
    let base = &shared.services()?.file;
    let path = |name: &str| scratch.path(name).display().to_string();
    let daemon = shared.daemon()?;
    daemon.load(base)?;
    succeed(daemon.docker().args(["save", "services:0.1", "-o", &path("saved.tar")]))?;
    let skopeo = find("skopeo", "skopeo")?;
    let copy = |to: &str| {
        let from = format!("oci-archive:{}", base.display());
        succeed(Command::new(&skopeo).args(["--insecure-policy", "copy", &from, to]))
    };
    copy(&format!("oci-archive:{}:0.1", path("oci.tar")))?;
    copy(&format!("docker-archive:{}:services:0.1", path("docker.tar")))?;
    succeed(Command::new("gzip").args(["-k", &path("saved.tar")]))?;
    succeed(Command::new("xz").args(["-k", "-0", &path("docker.tar")]))?;
    let mut ids = Vec::new();
    for name in ["saved.tar", "saved.tar.gz", "oci.tar", "docker.tar", "docker.tar.xz"] {
        scratch.write("child.nix", &expression(&format!("./{name}")))?;
        let built = scratch.build(["child.nix"]).map_err(|e| format!("{name}: {e}"))?;
        let place = format!("docker-archive:{}", scratch.real(&built.path).display());
        let text = succeed(Command::new(&skopeo).args(["inspect", "--config", &place]))?;
        let config: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        ids.push((name, config["rootfs"]["diff_ids"].clone()));
    }
    let first = ids[0].1.clone();
    same("layers", first.as_array().map(Vec::len), Some(2))?;
    for (name, diff_ids) in ids {
        same(name, diff_ids, first.clone())?;
    }
    Ok(())
}
