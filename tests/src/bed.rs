//! What every case needs: the executable under test, scratch folders, real peers.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The executable under test and the folders of the checkout. Cheap to copy: lives as long as the process.
#[derive(Clone, Copy)]
pub(crate) struct Bed {
    /// The multi-call executable.
    pub(crate) mini_nix: &'static Path,
    /// The folder `tests`.
    pub(crate) tests: &'static Path,
}

impl Bed {
    /// Finds the executable beside the test program.
    ///
    /// # Errors
    /// A sentence that says how to build it.
    pub(crate) fn find() -> Result<Bed, String> {
        let own =
            std::env::current_exe().map_err(|e| format!("cannot find the test program: {e}"))?;
        let folder = own.ancestors().skip(1).find(|a| a.join("mini-nix").is_file());
        let Some(folder) = folder else {
            return Err(
                "the executable 'mini-nix' is not built: run 'cargo test --workspace'".to_owned()
            );
        };
        let mini_nix: PathBuf = folder.join("mini-nix");
        let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        Ok(Bed {
            mini_nix: Box::leak(mini_nix.into_boxed_path()),
            tests: Box::leak(tests.into_boxed_path()),
        })
    }

    /// A file of the example expressions of nixlib.
    pub(crate) fn example(self, name: &str) -> PathBuf {
        self.tests.join("../nixlib/examples").join(name)
    }

    /// A call of `mini-nix-NAME`, with an empty environment but for `PATH` and what the case adds. It keeps no answers:
    /// those that name a home all name the same.
    pub(crate) fn command(self, name: &str) -> Command {
        let mut command = Command::new(self.mini_nix);
        command.arg(name).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("NIX_CONFIG", "eval-cache = false");
        command
    }
}

/// Runs a command and gives what it printed.
///
/// # Errors
/// The command cannot be started; names the program, and the package when it is a known peer.
pub(crate) fn run(command: &mut Command) -> Result<Output, String> {
    command.output().map_err(|e| {
        let program = command.get_program().to_string_lossy().into_owned();
        match peer_package(&program) {
            Some(package) if e.kind() == std::io::ErrorKind::NotFound => {
                format!("the peer '{program}' is missing: apt-get install {package}")
            }
            _ => format!("cannot run '{program}': {e}"),
        }
    })
}

/// The Debian package of a peer.
fn peer_package(program: &str) -> Option<&'static str> {
    Some(match program.rsplit('/').next()? {
        "nix-instantiate" | "nix-store" | "nix-build" | "nix-env" | "nix-hash" => "nix-bin",
        "docker" | "dockerd" => "docker.io",
        "docker-registry" => "docker-registry",
        "skopeo" => "skopeo",
        "umoci" => "umoci",
        "podman" => "podman",
        "runc" => "runc",
        "oci-image-tool" => "oci-image-tool",
        "sqlite3" => "sqlite3",
        "strace" => "strace",
        "mkfs.ext4" => "e2fsprogs",
        "script" => "bsdutils",
        _ => return None,
    })
}
