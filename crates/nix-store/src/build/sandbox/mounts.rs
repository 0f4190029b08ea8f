//! The file system that a builder sees.
//!
//! Everything is made below a directory of the host that lies behind a directory nobody else may
//! enter. Paths are relative to that directory, which is also the working directory, so nothing
//! depends on walking there again. Order matters: what needs rights over the host's files comes
//! first, then [`super::namespaces::become_build_user`], then the file systems that belong to the
//! namespace itself, then the root is exchanged and the host is gone.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::{namespaces, system};
use crate::build::request::{Bind, BindKind, Identity, Sandbox};

/// Device files of the host that every build sees.
pub(crate) const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];

/// Makes the root file system and enters it as the build user.
///
/// # Errors
/// A sentence that names the path and, where a machine refuses sandboxes, the remedy.
pub(crate) fn enter(sandbox: &Sandbox, store_dir: &Path, build_dir: &Path) -> Result<(), String> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|error| namespaces::refused("change its mounts", &error.into()))?;
    let root = &sandbox.root;
    rustix::mount::mount_bind_recursive(root, root).map_err(|e| failed("mount", root, e))?;
    std::env::set_current_dir(root).map_err(|e| failed("enter", root, e))?;

    make_etc(&sandbox.etc)?;
    for dir in ["proc", "tmp", "dev/shm", "dev/pts"] {
        make_dirs(Path::new(dir))?;
    }
    // The directory may be the caller's own choice of umask; this one is fixed.
    fs::set_permissions("tmp", fs::Permissions::from_mode(0o1777))
        .map_err(|e| failed("set the mode of", Path::new("/tmp"), e))?;
    for device in DEVICES {
        let path = Path::new("/dev").join(device);
        show(&Bind { source: path.clone(), target: path, kind: BindKind::Optional })?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "/dev/pts/ptmx"),
    ] {
        let path = Path::new("dev").join(name);
        symlink(target, &path).map_err(|e| failed("create", &path, e))?;
    }
    make_dirs(&inside(store_dir))?;
    make_dirs(&inside(build_dir))?;
    rustix::mount::mount_bind_recursive(&sandbox.host_build_dir, inside(build_dir))
        .map_err(|e| failed("mount", &sandbox.host_build_dir, e))?;
    for bind in &sandbox.binds {
        show(bind)?;
    }

    namespaces::become_build_user(&sandbox.identity)
        .map_err(|error| namespaces::refused("become the build user", &error))?;
    own_file_systems(&sandbox.identity)?;
    exchange_root()
}

/// The same path below the working directory.
fn inside(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

fn failed(action: &str, path: &Path, error: impl Into<io::Error>) -> String {
    format!("cannot {action} '{}' for the sandbox: {}", path.display(), error.into())
}

/// Creates a directory and its parents, readable for all whatever the umask says.
fn make_dirs(path: &Path) -> Result<(), String> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|e| failed("create", path, e))
}

fn make_etc(files: &[(String, Vec<u8>)]) -> Result<(), String> {
    make_dirs(Path::new("etc"))?;
    for (name, contents) in files {
        let path = Path::new("etc").join(name);
        if let Some(parent) = path.parent() {
            make_dirs(parent)?;
        }
        fs::write(&path, contents).map_err(|e| failed("write", &path, e))?;
    }
    Ok(())
}

/// Shows one path of the host.
fn show(bind: &Bind) -> Result<(), String> {
    let Bind { source, target, kind } = bind;
    let target = inside(target);
    let found = match kind {
        BindKind::Input => fs::symlink_metadata(source),
        _ => fs::metadata(source),
    };
    let metadata = match found {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound && *kind == BindKind::Optional => {
            return Ok(());
        }
        Err(error) => return Err(failed("find", source, error)),
    };
    if let Some(parent) = target.parent() {
        make_dirs(parent)?;
    }
    if metadata.is_symlink() {
        let to = fs::read_link(source).map_err(|e| failed("read", source, e))?;
        return symlink(to, &target).map_err(|e| failed("create", &target, e));
    }
    if metadata.is_dir() {
        make_dirs(&target)?;
    } else if fs::symlink_metadata(&target).is_err() {
        fs::write(&target, "").map_err(|e| failed("create", &target, e))?;
    }
    rustix::mount::mount_bind_recursive(source, &target).map_err(|e| failed("mount", source, e))?;
    match kind {
        BindKind::Input | BindKind::ReadOnly => read_only(&target),
        BindKind::Writable | BindKind::Optional => Ok(()),
    }
}

/// Makes a mount read-only. Kernels before 5.12 cannot do that without naming all other flags.
fn read_only(target: &Path) -> Result<(), String> {
    let error = match system::make_read_only(target) {
        Ok(()) => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => error,
        Err(error) => return Err(failed("protect", target, error)),
    };
    let Ok(now) = rustix::fs::statvfs(target) else {
        return Err(failed("protect", target, error));
    };
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (has, flag) in [
        (rustix::fs::StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (rustix::fs::StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (rustix::fs::StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (rustix::fs::StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (rustix::fs::StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (rustix::fs::StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if now.f_flag.contains(has) {
            flags |= flag;
        }
    }
    rustix::mount::mount_remount(target, flags, "").map_err(|e| failed("protect", target, e))
}

/// Mounts what belongs to the namespace: processes, shared memory, terminals.
fn own_file_systems(identity: &Identity) -> Result<(), String> {
    let strict = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("none", "proc", "proc", strict, None)
        .map_err(|error| namespaces::refused("mount a /proc of its own", &error.into()))?;
    // The owner of the host's root may be our build user when the caller is root and has no other
    // user to offer; these files obey that user.
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let path = Path::new("proc").join(name);
        if path.exists() {
            rustix::mount::mount_bind_recursive(&path, &path)
                .map_err(|e| failed("protect", &path, e))?;
            read_only(&path)?;
        }
    }
    let data = format!("size=50%,mode=1777,uid={},gid={}", identity.uid, identity.gid);
    let data =
        std::ffi::CString::new(data).map_err(|e| failed("mount", Path::new("/dev/shm"), e))?;
    rustix::mount::mount(
        "none",
        "dev/shm",
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        data.as_c_str(),
    )
    .map_err(|e| failed("mount", Path::new("/dev/shm"), e))?;
    rustix::mount::mount(
        "none",
        "dev/pts",
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        c"newinstance,mode=0620,ptmxmode=0666",
    )
    .map_err(|e| failed("mount", Path::new("/dev/pts"), e))
}

/// Makes the working directory the root and lets the host's file system go.
fn exchange_root() -> Result<(), String> {
    let here = Path::new("/");
    // The old root is stacked on the new one, and taken off again.
    rustix::process::pivot_root(".", ".").map_err(|e| failed("exchange", here, e))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(|e| failed("leave", here, e))?;
    std::env::set_current_dir("/").map_err(|e| failed("enter", here, e))
}
