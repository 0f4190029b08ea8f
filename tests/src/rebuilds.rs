//! What is built again after a change: what depends on it, and nothing else.

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::Bed,
    scratch::{Scratch, has, same, succeed},
};

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let run = move || edits(bed).map_err(Failed::from);
    trials.push(Trial::test("rebuilds/an-edit-rebuilds-what-depends-on-it", run));
    let run = move || dry_run(bed).map_err(Failed::from);
    trials.push(Trial::test("rebuilds/a-dry-run-says-what-would-be-built", run));
}

fn project(bed: Bed) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    let mut copy = std::process::Command::new("cp");
    succeed(copy.arg("-r").arg(bed.example("")).arg(scratch.path("project")))?;
    Ok(scratch)
}

fn edits(bed: Bed) -> Result<(), String> {
    let scratch = project(bed)?;
    let build = || scratch.build(["project/image.nix"]);
    let edit = |name: &str, from: &str, to: &str| {
        let path = scratch.path(name);
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        has(&text, &[from])?;
        std::fs::write(path, text.replace(from, to)).map_err(|e| e.to_string())
    };
    let first = build()?;
    let again = build()?;
    same("built without a change", again.names(), Vec::new())?;
    same("path without a change", &again.path, &first.path)?;

    edit("project/server/main.c", "hello from server!", "hallo from server!")?;
    let after_server = build()?;
    let image = "docker-image-services.tar";
    let names = after_server.names();
    same(
        "built after an edit",
        &names[..],
        &["server-0.1", "greeter", "run-services", image].map(String::from),
    )?;

    edit("project/greeter/default.nix", "hello from greeter", "hallo from greeter")?;
    let names = build()?.names();
    same(
        "built after another",
        &names[..],
        &["answer", "greeter", "run-services", image].map(String::from),
    )?;

    // A comment changes no derivation.
    edit("project/image.nix", "# Both services", "# Two services")?;
    same("built after an edit of a comment", build()?.names(), Vec::new())?;

    edit("project/server/main.c", "hallo from server!", "hello from server!")?;
    edit("project/greeter/default.nix", "hallo from greeter", "hello from greeter")?;
    let back = build()?;
    same("built after going back", back.names(), Vec::new())?;
    same("path after going back", back.path, first.path)
}

fn dry_run(bed: Bed) -> Result<(), String> {
    let scratch = project(bed)?;
    let dry = scratch.build(["--dry-run", "project/image.nix"])?;
    has(&dry.stderr, &["derivations will be built:", "-docker-image-services.tar.drv"])?;
    same("stdout", dry.path.as_str(), "")?;
    same("built", dry.names(), Vec::new())?;
    let built = scratch.build(["project/image.nix"])?;
    for name in built.names() {
        has(&dry.stderr, &[&format!("-{name}.drv\n")])?;
    }
    let dry = scratch.build(["--dry-run", "project/image.nix"])?;
    same("would be built", dry.stderr.contains("will be built"), false)
}
