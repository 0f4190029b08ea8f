//! A daemon of docker, private to the tests. It needs root.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::scratch::succeed;

/// The daemon; it ends when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    socket: String,
    _dir: tempfile::TempDir,
}

impl Daemon {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// It is not installed (names the package), or its log.
    pub(crate) fn start() -> Result<Daemon, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let program = find("dockerd", "docker.io")?;
        find("docker", "docker.io")?;
        find("runc", "runc")?;
        let socket = format!("unix://{}", dir.path().join("socket").display());
        let log_file = dir.path().join("log");
        let log = || File::create(&log_file).map(Stdio::from).map_err(|e| e.to_string());
        let child = Command::new(program)
            .args(["--storage-driver", "vfs", "--bridge", "none", "--iptables=false"])
            .arg("--ip6tables=false")
            .arg("--data-root")
            .arg(dir.path().join("data"))
            .arg("--exec-root")
            .arg(dir.path().join("exec"))
            .arg("--pidfile")
            .arg(dir.path().join("pid"))
            .args(["-H", &socket])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log()?)
            .spawn()
            .map_err(|e| format!("cannot start dockerd: {e}"))?;
        let daemon = Daemon { child, socket, _dir: dir };
        for _ in 0..240 {
            if daemon.docker().arg("version").output().is_ok_and(|o| o.status.success()) {
                return Ok(daemon);
            }
            thread::sleep(Duration::from_millis(250));
        }
        let log = std::fs::read_to_string(&log_file).unwrap_or_default();
        Err(format!("dockerd does not answer (it needs root):\n{log}"))
    }

    /// A call of the client.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.args(["-H", &self.socket]).stdin(Stdio::null());
        command
    }

    /// `docker load < archive`; gives what it printed.
    ///
    /// # Errors
    /// What it said.
    pub(crate) fn load(&self, archive: &Path) -> Result<String, String> {
        let file = File::open(archive).map_err(|e| format!("'{}': {e}", archive.display()))?;
        succeed(self.docker().arg("load").stdin(file))
    }

    /// `docker run --rm` without a network; gives what it printed.
    ///
    /// # Errors
    /// What it said.
    pub(crate) fn run(&self, image: &str) -> Result<String, String> {
        succeed(self.docker().args(["run", "--rm", "--network", "none", image]))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked, not killed: it has to end its containerd.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The place of a peer.
///
/// # Errors
/// Names the Debian package that has it.
pub(crate) fn find(program: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/sbin", "/usr/bin"]);
    let mut found = places.map(|place| Path::new(place).join(program)).filter(|p| p.is_file());
    found
        .next()
        .ok_or_else(|| format!("the peer '{program}' is missing: apt-get install {package}"))
}
