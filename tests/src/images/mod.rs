//! From an expression to a running container, the whole way, with the example programs.

mod base;
mod consumers;
mod docker;
mod same;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Failed, Trial};

use crate::{
    bed::Bed,
    http,
    scratch::{Built, Scratch, has, same, succeed},
};
use docker::Daemon;

/// What cases share, made by the first that needs it.
pub(crate) struct Shared {
    bed: Bed,
    daemon: OnceLock<Result<Daemon, String>>,
    services: OnceLock<Result<Image, String>>,
}

/// An image in a store.
struct Image {
    scratch: Scratch,
    built: Built,
    /// The archive.
    file: PathBuf,
}

impl Shared {
    fn daemon(&self) -> Result<&Daemon, String> {
        self.daemon.get_or_init(Daemon::start).as_ref().map_err(Clone::clone)
    }

    /// The image of the two example services.
    fn services(&self) -> Result<&Image, String> {
        let make = || {
            let scratch = Scratch::new(self.bed)?;
            Image::of(scratch, &[self.bed.example("image.nix")])
        };
        self.services.get_or_init(make).as_ref().map_err(Clone::clone)
    }
}

impl Image {
    fn of(scratch: Scratch, words: &[PathBuf]) -> Result<Image, String> {
        let built = scratch.build(words)?;
        let file = scratch.real(&built.path);
        Ok(Image { scratch, built, file })
    }

    /// What the builder said of the image: `image NAME:TAG`, `digest …`, `size … bytes`.
    fn said(&self, what: &str) -> Result<&str, String> {
        let mut lines = self.built.stderr.lines();
        lines
            .find_map(|line| line.strip_prefix(what)?.strip_prefix(' '))
            .ok_or_else(|| format!("no line '{what} …' in:\n{}", self.built.stderr))
    }
}

type Case = fn(&Shared) -> Result<(), String>;

const CASES: &[(&str, Case)] = &[
    ("services-answer-on-both-ports", services_answer),
    ("result-link-is-loaded-and-run", result_link),
    ("gnu-hello-says-hello", gnu_hello),
    ("the-client's-slide-builds", slide),
    ("the-closure-and-nothing-else", closure_only),
];

/// Adds the cases.
pub(crate) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    let (daemon, services) = (OnceLock::new(), OnceLock::new());
    let shared = Arc::new(Shared { bed, daemon, services });
    for (name, case) in CASES.iter().chain(base::CASES).chain(consumers::CASES).chain(same::CASES) {
        let shared = Arc::clone(&shared);
        let run = move || case(&shared).map_err(Failed::from);
        trials.push(Trial::test(format!("images/{name}"), run));
    }
}

fn services_answer(shared: &Shared) -> Result<(), String> {
    let daemon = shared.daemon()?;
    let image = shared.services()?;
    has(&daemon.load(&image.file)?, &["Loaded image: services:0.1"])?;
    let started = ["run", "-d", "--rm", "--network", "none", "services:0.1"];
    let id = succeed(daemon.docker().args(started))?;
    let pid = succeed(daemon.docker().args(["inspect", "-f", "{{.State.Pid}}", id.trim()]))?;
    // No network is set up; the ports are asked from inside the container's own. The request comes
    // in two pieces, as networks deliver it: neither service may answer before it has read both.
    let ask = |port: u16| {
        let script = format!(
            "for n in $(seq 100); do exec 3<>/dev/tcp/127.0.0.1/{port} && break; sleep 0.1; done 2> /dev/null; \
             printf 'GET / HTTP/1.1\\r\\n' >&3; sleep 0.1; printf '\\r\\n' >&3; cat <&3"
        );
        succeed(Command::new("nsenter").args(["-t", pid.trim(), "-n", "bash", "-c", &script]))
    };
    let (server, greeter) = (ask(8080)?, ask(8081)?);
    succeed(daemon.docker().args(["kill", id.trim()]))?;
    has(&server, &["200 OK", "\r\n\r\nhello from server!\n"])?;
    has(&greeter, &["200 OK", "\r\n\r\nhello from greeter, a script on bash "])
}

fn result_link(shared: &Shared) -> Result<(), String> {
    let scratch = Scratch::new(shared.bed)?;
    scratch.build([shared.bed.example("hello-image/image.nix")])?;
    let daemon = shared.daemon()?;
    daemon.load(&scratch.path("result"))?;
    has(
        &daemon.run("hello:latest")?,
        &["Hello from an image without a distribution; bash is /nix/store/"],
    )?;
    scratch.verify()
}

fn gnu_hello(shared: &Shared) -> Result<(), String> {
    let upstream = shared.bed.tests.join("../target/upstream");
    let tarball = "hello_2.10.orig.tar.gz";
    if !upstream.join(tarball).is_file() {
        return Err(format!("'{tarball}' is missing: run tests/fetch-sources.sh first"));
    }
    let url = format!("{}/{tarball}", http::serve(&upstream)?);
    let words =
        [shared.bed.example("gnu-hello/image.nix"), "--argstr".into(), "url".into(), url.into()];
    let image = Image::of(Scratch::new(shared.bed)?, &words)?;
    has(&image.built.stderr, &["Running phase: configurePhase", "Running phase: installPhase"])?;
    let daemon = shared.daemon()?;
    daemon.load(&image.file)?;
    same("output", daemon.run("gnu-hello:2.10")?, "Hello, world!\n".to_owned())?;
    // Linked against the imported C library, not the machine's and not statically.
    let closure = closure_of(&image)?;
    has(&closure.join("\n"), &["-hello-2.10", "-host-libc6-"])?;
    let program = closure.iter().find(|path| path.ends_with("-hello-2.10")).ok_or("no hello")?;
    let program = image.scratch.real(program).join("bin/hello");
    let bytes = std::fs::read(program).map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&bytes);
    let libc = closure.iter().find(|path| path.contains("-host-libc6-")).ok_or("no libc")?;
    has(&text, &["libc.so.6", &format!("{libc}/lib/ld-linux-x86-64.so.2\0")])?;
    image.scratch.verify()
}

/// The expression of the talk, as it is written there.
fn slide(shared: &Shared) -> Result<(), String> {
    let scratch = Scratch::new(shared.bed)?;
    scratch.write(
        "project/default.nix",
        "{ pkgs }:\n\npkgs.stdenv.mkDerivation {\n  pname = \"my-example\";\n  version = \"0.1.0\";\n  src = ./.;\n  \
         buildInputs = [ pkgs.gnumake pkgs.gcc ];\n  buildPhase = \"make\";\n  installPhase = ''\n    make install\n    \
         cp -r myResult $out\n  '';\n}\n",
    )?;
    scratch.write(
        "project/Makefile",
        "all: my-example\ninstall:\n\tmkdir -p myResult/bin\n\tcp my-example myResult/bin\n",
    )?;
    scratch.write(
        "project/my-example.c",
        "#include <stdio.h>\nint main(void) { puts(\"made by make\"); }\n",
    )?;
    let image = "let pkgs = import <nixpkgs> { }; service = import ./project { inherit pkgs; }; in \
                 pkgs.dockerTools.buildImage { name = \"slide\"; tag = \"latest\"; config = { Cmd = \"${service}/bin/my-example\"; }; }";
    scratch.write("image.nix", image)?;
    let built = scratch.build(["image.nix"])?;
    let daemon = shared.daemon()?;
    daemon.load(&scratch.real(&built.path))?;
    same("output", daemon.run("slide:latest")?, "made by make\n".to_owned())
}

/// The store paths that the layers of an image hold, sorted.
fn closure_of(image: &Image) -> Result<Vec<String>, String> {
    let mut paths: Vec<String> = entries(&image.file)?
        .iter()
        .filter_map(|entry| entry.strip_prefix("nix/store/")?.split('/').next())
        .filter(|name| !name.is_empty())
        .map(|name| format!("/nix/store/{name}"))
        .collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The names of all entries of the layers of an archive, as GNU tar shows them.
fn entries(archive: &Path) -> Result<Vec<String>, String> {
    let tar = |words: &[&str]| succeed(Command::new("tar").arg("-f").arg(archive).args(words));
    let manifest: serde_json::Value =
        serde_json::from_str(&tar(&["-xO", "manifest.json"])?).map_err(|e| e.to_string())?;
    let layers = manifest[0]["Layers"].as_array().ok_or("the manifest has no layers")?;
    let mut names = Vec::new();
    for layer in layers {
        let layer = layer.as_str().unwrap_or_default();
        let archive = archive.display();
        let script = format!("tar -xOf '{archive}' '{layer}' | tar -tzf -");
        let text = succeed(Command::new("bash").args(["-o", "pipefail", "-c", &script]))?;
        names.extend(text.lines().map(str::to_owned));
    }
    Ok(names)
}

fn closure_only(shared: &Shared) -> Result<(), String> {
    let image = shared.services()?;
    // What the expression mentions is the start script; all else follows from it.
    let script = closure_of(image)?;
    let script = script.iter().find(|path| path.ends_with("-run-services")).ok_or("no script")?;
    let closure = succeed(image.scratch.peer("nix-store").args(["-qR", script]))?;
    let mut closure: Vec<String> = closure.lines().map(str::to_owned).collect();
    closure.sort();
    same("objects in the image", closure_of(image)?, closure.clone())?;
    let mut wanted: Vec<String> = vec!["./".into(), "nix/".into(), "nix/store/".into()];
    for path in &closure {
        let real = image.scratch.real(path);
        let found = succeed(
            Command::new("find")
                .arg(&real)
                .args(["-type", "d", "-printf", "%P/\\n", "-o", "-printf", "%P\\n"]),
        )?;
        let below = path.trim_start_matches('/');
        let is_dir = real.is_dir();
        wanted.extend(found.lines().map(|name| match name {
            "/" => format!("{below}/"),
            "" => below.to_owned(),
            name if is_dir => format!("{below}/{name}"),
            name => name.to_owned(),
        }));
    }
    let mut names = entries(&image.file)?;
    names.sort();
    wanted.sort();
    let extra: Vec<_> = names.iter().filter(|name| !wanted.contains(name)).collect();
    if !extra.is_empty() {
        return Err(format!("not of the closure: {extra:?}"));
    }
    wanted.retain(|name| name != "./");
    names.retain(|name| name != "./");
    same("entries", names.len(), wanted.len())?;
    let size = std::fs::metadata(&image.file).map_err(|e| e.to_string())?.len();
    same("size", image.said("size")?, format!("{size} bytes").as_str())
}
