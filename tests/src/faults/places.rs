//! Disks that are full or cannot be written. The mounts are of a namespace of the case: this needs root.

use std::process::Command;

use super::Case;
use crate::{
    bed::{self, Bed},
    scratch::{Scratch, has},
};

pub(super) const CASES: &[(&str, Case)] = &[
    ("a-disk-that-is-full", full_disk),
    ("a-disk-that-is-full-when-the-image-is-written", full_disk_at_the_image),
    ("a-store-that-cannot-be-written", read_only),
];

/// Runs a script with `$build`, `$store_command`, `$peer` and `$store` set, in a mount namespace of its own.
fn script(bed: Bed, scratch: &Scratch, text: &str) -> Result<String, String> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c"]);
    command.arg(format!(
        "set -eu\n\
         build() {{ \"$program\" build --store \"$store\" \"$@\"; }}\n\
         verify() {{\n\
           \"$program\" store --store \"$store\" --verify --check-contents\n\
           nix-store --store \"$store\" --verify --check-contents 2>&1 | tee verified\n\
           if grep -E 'error|warning|disappeared|modified' verified; then exit 1; fi\n\
         }}\n{text}"
    ));
    command.current_dir(scratch.path("")).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", scratch.path("home")).env("NIX_CONFIG", "build-users-group =");
    command.env("program", bed.mini_nix).env("store", scratch.store());
    command.env("services", bed.example("image.nix"));
    let output = bed::run(&mut command)?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() { Ok(text) } else { Err(text) }
}

fn full_disk(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let said = script(
        bed,
        &scratch,
        "mkdir \"$store\"; mount -t tmpfs -o size=12m none \"$store\"\n\
         if build --no-out-link \"$services\"; then echo 'was not full'; exit 1; fi\n\
         verify\n\
         mount -o remount,size=200m \"$store\"\n\
         build --no-out-link \"$services\"; verify",
    )?;
    has(&said, &["No space left on device", "lack of free disk space"])
}

fn full_disk_at_the_image(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let said = script(
        bed,
        &scratch,
        "mkdir \"$store\"; mount -t tmpfs -o size=300m none \"$store\"\n\
         mkdir project; cp -r \"$(dirname \"$services\")\"/. project\n\
         build --no-out-link -E '(import <nixpkgs> { }).dockerTools.buildImage { name = \"other\"; config.Cmd = \"${import ./project/greeter { }}/bin/greeter\"; }'\n\
         free=$(df --output=avail -k \"$store\" | tail -n 1)\n\
         head -c $(( (free - 900) * 1024 )) /dev/zero > \"$store/ballast\"\n\
         if build --no-out-link project/image.nix; then echo 'was not full'; exit 1; fi\n\
         rm \"$store/ballast\"\n\
         verify; build --no-out-link project/image.nix; verify",
    )?;
    has(&said, &["No space left on device", "docker-image-services.tar"])
}

fn read_only(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    let said = script(
        bed,
        &scratch,
        "build --no-out-link \"$services\"\n\
         mount --bind \"$store\" \"$store\"; mount -o remount,bind,ro \"$store\"\n\
         if build --no-out-link -E 'derivation { name = \"new\"; system = \"x\"; builder = \"/bin/sh\"; }'; then exit 1; fi\n\
         umount \"$store\"; verify",
    )?;
    has(&said, &["cannot", "ead-only", "--store"])
}
