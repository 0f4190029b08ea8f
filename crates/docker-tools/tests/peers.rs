//! Feeds archives to the programs that people load them with.
//!
//! A program that is missing fails the test with the name of its Debian package. The daemon of
//! docker and the storage of podman are private to a test; both need root.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, like the tests")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use docker_tools::assemble::Summary;
use docker_tools::builder::{Place, build_from_attrs};
use docker_tools::store_files::StoreFiles;
use serde_json::{Value, json};

const PROGRAM: &str = "1111111111111111111111111111111a-busybox";
const GREETING: &str = "1111111111111111111111111111111b-greeting";

/// A directory with a store of two objects: a static program and a text.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        let bin = bench.path("store").join(PROGRAM).join("bin");
        fs::create_dir_all(&bin).unwrap();
        let busybox = find("busybox", "busybox-static");
        fs::copy(busybox, bin.join("busybox")).unwrap();
        fs::set_permissions(bin.join("busybox"), fs::Permissions::from_mode(0o555)).unwrap();
        let share = bench.path("store").join(GREETING).join("share");
        fs::create_dir_all(&share).unwrap();
        fs::write(share.join("greeting"), "hello from a closure\n").unwrap();
        fs::write(share.join("gr\u{fc}\u{df}e"), "umlauts\n").unwrap();
        let long = share.join("long".repeat(20)).join("name".repeat(20));
        fs::create_dir_all(long.parent().unwrap()).unwrap();
        fs::write(long, "far\n").unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn build(&self, name: &str, changes: Value) -> (PathBuf, Summary) {
        let mut request = json!({
            "name": "test/peers", "tag": "v1", "architecture": "amd64",
            "copyToRoot": [format!("/nix/store/{GREETING}")],
            "config": {
                "Entrypoint": [format!("/nix/store/{PROGRAM}/bin/busybox")],
                "Cmd": ["cat", format!("/nix/store/{GREETING}/share/greeting")],
                "Env": ["PATH=/bin"],
            },
        });
        for (key, value) in changes.as_object().unwrap() {
            request[key] = value.clone();
        }
        let object = |name: &str| json!({"path": format!("/nix/store/{name}"), "narSize": 1000, "references": []});
        let attrs = json!({
            "image": request,
            "closure": [object(PROGRAM), object(GREETING)],
            "outputs": {"out": "/nix/store/1111111111111111111111111111111c-image.tar"},
        });
        let scratch = self.path(&format!("scratch-{name}"));
        fs::create_dir(&scratch).unwrap();
        let out = self.path("store").join(name);
        let place = Place {
            store: StoreFiles::new("/nix/store", &self.path("store")),
            scratch,
            shell: PathBuf::from("/bin/sh"),
            n_threads: 2,
            out: out.clone(),
        };
        let made = build_from_attrs(attrs.to_string().as_bytes(), &place, &|_| {});
        (out, made.unwrap_or_else(|error| panic!("{}", error.full_text())))
    }
}

/// The place of a program.
fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/bin"]);
    let found = places.map(|place| Path::new(place).join(program)).find(|place| place.is_file());
    found.unwrap_or_else(|| panic!("'{program}' is not on this machine: apt install {package}"))
}

/// Runs a program to its end and gives what it prints; failing is a failed test.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text
}

fn arg(prefix: &str, path: &Path) -> String {
    format!("{prefix}{}", path.display())
}

#[test]
fn skopeo_reads_the_archive_as_docker_archive_and_as_oci_archive() {
    let bench = Bench::new();
    let skopeo = find("skopeo", "skopeo");
    for (name, more) in [("one", json!({})), ("many", json!({"layering": {"maxLayers": 5}}))] {
        let (image, summary) = bench.build(name, more);
        let inspect = |form: &str| -> Value {
            let text = run(Command::new(&skopeo).arg("inspect").arg(arg(form, &image)));
            serde_json::from_str(&text).unwrap()
        };
        let oci = inspect("oci-archive:");
        assert_eq!(oci["Digest"], summary.digest.to_string());
        let layers: Vec<String> =
            summary.layers.iter().map(|layer| layer.digest.to_string()).collect();
        assert_eq!(oci["Layers"], json!(layers));
        let docker = inspect("docker-archive:");
        assert_eq!(docker["Architecture"], "amd64");
        assert_eq!(docker["Created"], "1970-01-01T00:00:01Z");
        assert_eq!(docker["Env"], json!(["PATH=/bin"]));
    }
}

#[test]
fn skopeo_copies_the_archive_without_changing_its_digest() {
    let bench = Bench::new();
    let (image, summary) = bench.build("image", json!({}));
    let copy = bench.path("copy");
    run(Command::new(find("skopeo", "skopeo"))
        .args(["--insecure-policy", "copy", "--preserve-digests"])
        .arg(arg("oci-archive:", &image))
        .arg(arg("oci:", &copy) + ":v1"));
    let index = fs::read_to_string(copy.join("index.json")).unwrap();
    assert!(index.contains(&summary.digest.to_string()), "{index}");
}

#[test]
fn oci_image_tool_finds_no_fault() {
    let bench = Bench::new();
    let (image, _) = bench.build("image", json!({}));
    let layout = bench.path("layout");
    fs::create_dir(&layout).unwrap();
    run(Command::new("tar").arg("-C").arg(&layout).arg("-xf").arg(&image));
    run(Command::new(find("oci-image-tool", "oci-image-tool"))
        .args(["validate", "--type", "image", "--ref", "name=v1"])
        .arg(&layout));
}

#[test]
fn umoci_unpacks_the_layers() {
    let bench = Bench::new();
    let (image, _) = bench.build("image", json!({"layering": {"maxLayers": 5}}));
    let layout = bench.path("layout");
    fs::create_dir(&layout).unwrap();
    run(Command::new("tar").arg("-C").arg(&layout).arg("-xf").arg(&image));
    let bundle = bench.path("bundle");
    run(Command::new(find("umoci", "umoci"))
        .args(["unpack", "--rootless", "--image"])
        .arg(arg("", &layout) + ":v1")
        .arg(&bundle));
    let root = bundle.join("rootfs");
    // At the root are links into the store, whose files the lower layers hold.
    let link = fs::read_link(root.join("share/greeting")).unwrap();
    assert_eq!(link, Path::new("/nix/store").join(GREETING).join("share/greeting"));
    let share = root.join("nix/store").join(GREETING).join("share");
    let text = fs::read_to_string(share.join("gr\u{fc}\u{df}e")).unwrap();
    assert_eq!(text, "umlauts\n");
    let long = share.join("long".repeat(20)).join("name".repeat(20));
    assert_eq!(fs::read_to_string(long).unwrap(), "far\n");
    let program = root.join("nix/store").join(PROGRAM).join("bin/busybox");
    assert_eq!(fs::metadata(program).unwrap().permissions().mode() & 0o777, 0o555);
}

#[test]
fn gnu_tar_lists_the_archive_without_a_warning() {
    let bench = Bench::new();
    let (image, _) = bench.build("image", json!({}));
    let output = Command::new("tar").arg("-tvf").arg(&image).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn podman_loads_the_archive() {
    let bench = Bench::new();
    let (image, summary) = bench.build("image", json!({}));
    let podman = || {
        let mut command = Command::new(find("podman", "podman"));
        command.arg("--root").arg(bench.path("p")).arg("--runroot").arg(bench.path("pr"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        command
    };
    let loaded = run(podman().arg("load").arg("-i").arg(&image));
    assert!(loaded.contains("test/peers:v1"), "{loaded}");
    let id = run(podman().args(["image", "inspect", "test/peers:v1", "--format", "{{.Id}}"]));
    assert_eq!(id.trim(), summary.config_digest.to_hex());
}

/// A daemon of docker for one test; ends with it.
struct Daemon {
    child: Child,
    socket: String,
}

impl Daemon {
    fn start(dir: &Path) -> Daemon {
        let dockerd = find("dockerd", "docker.io");
        find("runc", "runc");
        let socket = arg("unix://", &dir.join("d.sock"));
        let log = File::create(dir.join("d.log")).unwrap();
        let child = Command::new(dockerd)
            .args(["--storage-driver", "vfs", "--bridge", "none", "--iptables=false"])
            .arg("--ip6tables=false")
            .arg("--data-root")
            .arg(dir.join("d-data"))
            .arg("--exec-root")
            .arg(dir.join("d-exec"))
            .arg("-p")
            .arg(dir.join("d.pid"))
            .arg("-H")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let daemon = Daemon { child, socket };
        for _ in 0..120 {
            if daemon.docker().arg("version").output().unwrap().status.success() {
                return daemon;
            }
            thread::sleep(Duration::from_millis(250));
        }
        let log = fs::read_to_string(dir.join("d.log")).unwrap();
        panic!("dockerd does not answer (it needs root): {log}");
    }

    fn docker(&self) -> Command {
        let mut command = Command::new(find("docker", "docker.io"));
        command.arg("-H").arg(&self.socket);
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A plain kill would leave containerd behind; the daemon ends it when asked to stop.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

#[test]
fn docker_loads_and_runs_the_image_and_what_is_built_on_it() {
    let bench = Bench::new();
    let (image, summary) = bench.build("image", json!({}));
    let daemon = Daemon::start(bench.dir.path());
    let loaded = run(daemon.docker().arg("load").arg("-i").arg(&image));
    assert!(loaded.contains("test/peers:v1"), "{loaded}");
    let id = run(daemon.docker().args(["image", "inspect", "test/peers:v1", "-f", "{{.Id}}"]));
    assert_eq!(id.trim(), summary.config_digest.to_string());
    let start = |name: &str, rest: &[&str]| {
        let mut command = daemon.docker();
        command.args(["run", "--rm", "--network", "none", name]).args(rest);
        run(&mut command)
    };
    assert_eq!(start("test/peers:v1", &[]), "hello from a closure\n");

    // What `docker save` writes is a base image.
    let saved = bench.path("store").join("saved");
    run(daemon.docker().args(["save", "test/peers:v1", "-o"]).arg(&saved));
    let (child, summary) = bench.build(
        "child",
        json!({
            "name": "test/child", "fromImage": "/nix/store/saved", "copyToRoot": [],
            "extraCommands": "mkdir -p top; echo on top > top/file",
            "commandPath": ["/usr/bin", "/bin"],
        }),
    );
    assert_eq!(summary.n_base_layers, 1);
    assert!(summary.layers[1].paths.is_empty(), "the base has all store paths");
    run(daemon.docker().arg("load").arg("-i").arg(&child));
    assert_eq!(start("test/child:v1", &[]), "hello from a closure\n");
    assert_eq!(
        start("test/child:v1", &["cat", "/top/file", "/share/greeting"]),
        "on top\nhello from a closure\n"
    );

    let (layered, _) =
        bench.build("layered", json!({"name": "test/layered", "layering": {"maxLayers": 5}}));
    run(daemon.docker().arg("load").arg("-i").arg(&layered));
    assert_eq!(start("test/layered:v1", &[]), "hello from a closure\n");
}

#[test]
fn umask_time_zone_locale_and_directory_do_not_change_the_archive() {
    // The surroundings belong to a process, so this test runs itself again as one.
    if let Ok(out) = std::env::var("DOCKER_TOOLS_TEST_OUT") {
        let bench = Bench::new();
        let (image, _) = bench.build(
            "image",
            json!({
                "extraCommands": "mkdir -p made; echo x > made/file; date > /dev/null",
                "commandPath": ["/usr/bin", "/bin"],
            }),
        );
        fs::copy(image, out).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let name = "umask_time_zone_locale_and_directory_do_not_change_the_archive";
    let mut archives = Vec::new();
    for (i, (umask, zone, locale, place)) in
        [("022", "UTC", "C", "/"), ("077", "Asia/Tokyo", "de_DE.UTF-8", "/usr")].iter().enumerate()
    {
        let out = dir.path().join(i.to_string());
        run(Command::new("/bin/sh")
            .args(["-c", "umask $1; exec \"$2\" --exact \"$3\"", "sh", umask])
            .arg(&this)
            .arg(name)
            .current_dir(place)
            .env("TZ", zone)
            .env("LC_ALL", locale)
            .env("DOCKER_TOOLS_TEST_OUT", &out));
        archives.push(fs::read(out).unwrap());
    }
    assert!(archives[0] == archives[1]);
}
