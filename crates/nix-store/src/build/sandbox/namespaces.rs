//! Entering the namespaces, and becoming the build user in them.
//!
//! The user namespace comes with all others in one call, so the same code serves root and
//! everybody else. A process may map only itself; mapping the builder to another user of the host
//! (root does, so that no build runs as root) needs a helper that stays outside.

use std::io::{self, PipeReader, PipeWriter, Read, Write};

use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;

use super::system::{self, Fork};
use crate::build::request::{Identity, Sandbox};

/// Moves this process (and with the next fork its child, as process 1) into namespaces of its
/// own and maps the build user.
///
/// # Errors
/// A sentence that names what the machine refuses and how to change that.
pub(crate) fn enter(sandbox: &Sandbox) -> Result<(), String> {
    let identity = &sandbox.identity;
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let own_map = identity.host_uid == uid.as_raw() && identity.host_gid == gid.as_raw();
    if uid.is_root() {
        // Without the capability the groups stay; they are unmapped inside and give no more than
        // they gave outside.
        let _ = rustix::thread::set_thread_groups(&[]);
    }
    let helper = if own_map { None } else { Some(Helper::start(identity)?) };

    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if sandbox.private_network {
        flags |= UnshareFlags::NEWNET;
    }
    unshare(flags).map_err(|error| refused("create its namespaces", &error))?;

    match helper {
        None => map_self(identity),
        Some(helper) => helper.finish(),
    }
    .map_err(|error| refused("map the build user", &error))
}

#[allow(unsafe_code, reason = "the crate marks unshare as unsafe for the sake of file tables")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the file table is not among the flags, and the process has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

fn map_self(identity: &Identity) -> io::Result<()> {
    write_maps("/proc/self", identity)
}

fn write_maps(process: &str, identity: &Identity) -> io::Result<()> {
    let Identity { uid, gid, host_uid, host_gid } = identity;
    std::fs::write(format!("{process}/uid_map"), format!("{uid} {host_uid} 1\n"))?;
    match std::fs::write(format!("{process}/setgroups"), "deny") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::write(format!("{process}/gid_map"), format!("{gid} {host_gid} 1\n"))
}

/// A process that stays outside and writes our maps.
struct Helper {
    pid: rustix::process::Pid,
    go: PipeWriter,
    answer: PipeReader,
}

impl Helper {
    fn start(identity: &Identity) -> Result<Helper, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot prepare the sandbox: {error}");
        let (mut go_read, go_write) = io::pipe().map_err(|error| failed(&error))?;
        let (answer_read, mut answer_write) = io::pipe().map_err(|error| failed(&error))?;
        let target = std::process::id();
        match system::fork().map_err(|error| failed(&error))? {
            Fork::Parent(pid) => Ok(Helper { pid, go: go_write, answer: answer_read }),
            Fork::Child => {
                drop((go_write, answer_read));
                // The end of the pipe without a byte means that the parent gave up.
                let mut byte = [0];
                let go = go_read.read(&mut byte);
                if matches!(go, Ok(1)) {
                    let code = match write_maps(&format!("/proc/{target}"), identity) {
                        Ok(()) => 0,
                        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
                    };
                    let _ = answer_write.write_all(&code.to_le_bytes());
                }
                system::exit_now(0)
            }
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.go.write_all(&[1])?;
        let mut code = [0; 4];
        let read = self.answer.read_exact(&mut code);
        let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        read?;
        match i32::from_le_bytes(code) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// The sentence for a machine that does not let us have a sandbox.
pub(crate) fn refused(what: &str, error: &io::Error) -> String {
    let file = |name: &str| std::fs::read_to_string(name).ok();
    let reads = |name: &str, wanted: &str| file(name).is_some_and(|text| text.trim() == wanted);
    let remedy = if reads("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "allow user namespaces with `sysctl kernel.unprivileged_userns_clone=1`"
    } else if reads("/proc/sys/user/max_user_namespaces", "0") {
        "allow user namespaces with `sysctl user.max_user_namespaces=15000`"
    } else if reads("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "allow user namespaces with `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if error.raw_os_error() == Some(libc::ENOSPC) {
        "raise `sysctl user.max_user_namespaces` or leave some of the nested containers"
    } else if error.raw_os_error() == Some(libc::EINVAL) {
        "use a kernel with user, pid, mount, ipc, uts and network namespaces (CONFIG_USER_NS)"
    } else {
        "in a container, let it create user namespaces and mount /proc (for docker and podman: \
         `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`)"
    };
    format!(
        "the sandbox is not available: this machine does not let us {what} ({error}); {remedy}, \
         or build without a sandbox by asking for it: `--option sandbox false`"
    )
}

/// Becomes the build user of the sandbox. Capabilities stay until [`drop_privileges`].
pub(crate) fn become_build_user(identity: &Identity) -> io::Result<()> {
    let uid = rustix::process::Uid::from_raw(identity.uid);
    let gid = rustix::process::Gid::from_raw(identity.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Gives up every capability, for good.
pub(crate) fn drop_privileges() -> io::Result<()> {
    use rustix::thread::{CapabilitySet, CapabilitySets};
    rustix::thread::clear_ambient_capability_set()?;
    for capability in CapabilitySet::all().iter() {
        // A capability that this kernel does not know cannot be had either.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    rustix::thread::set_no_new_privs(true)?;
    Ok(())
}
