//! The system calls of the sandbox that no safe crate offers. All `unsafe` of the build lies here.

#![allow(unsafe_code, reason = "fork, exec and a few prctl calls have no safe form")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::process::Pid;

/// What a failed system call of this module gives.
pub(crate) type Errno = io::Error;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Which side of a fork this process is.
pub(crate) enum Fork {
    /// The new process.
    Child,
    /// The old one, and the number of the new one.
    Parent(Pid),
}

/// Forks. Only for processes with one thread: the starter.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the starter never makes a thread (run_if_asked comes first in `main`), so no lock
    // can be held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(0))?)),
    }
}

/// Ends this process at once, without running destructors or flushing what its parent wrote.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any number and does not return.
    unsafe { libc::_exit(code) }
}

/// Replaces this program. Returns only if that fails.
pub(crate) fn exec(program: &CString, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer and point to texts that outlive the call.
    unsafe { libc::execve(program.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives every signal its default action and lets all of them through. Programs inherit what is
/// ignored, and the Rust runtime ignores SIGPIPE.
pub(crate) fn default_signals() {
    // The kernel's own form of `struct sigaction`, all zero: the default action. The C library
    // would refuse two signals that it keeps for itself but that can be inherited as ignored.
    let default = [0_u64; 4];
    for signal in 1..=64_i32 {
        // SAFETY: sets no handler, and reads a struct of the size that the kernel expects. The
        // two signals that cannot be changed stay as they are.
        unsafe {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8_usize)
        };
    }
    // SAFETY: an all-zero set is a valid value to be initialised; the call after it reads only it.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Takes over standard input as a descriptor of its own that programs do not inherit.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    // SAFETY: descriptor 0 is open in every started process; the call copies it.
    let fd = check(unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) }.into())?;
    // SAFETY: the kernel just made this descriptor for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Closes every descriptor from 3 on but one. Only for the start of a process that owns none yet.
pub(crate) fn close_all_but(keep: &OwnedFd) -> io::Result<()> {
    let keep = keep.as_raw_fd() as u32;
    for (first, last) in [(3, keep.saturating_sub(1)), (keep + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: nothing in this process owns one of these: it was just started, and they
            // were left open by the program that started it.
            check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) })?;
        }
    }
    Ok(())
}

/// Marks every descriptor from 3 on to be closed when a program is started.
pub(crate) fn close_others_on_exec() -> io::Result<()> {
    // SAFETY: changes only flags of descriptors.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(result).map(drop)
}

/// Turns address randomisation off and, if asked, lets the machine look like one with 32 bits.
pub(crate) fn set_personality(bits_32: bool) -> io::Result<()> {
    // SAFETY: the argument that asks and changes nothing.
    let now = check(unsafe { libc::personality(0xffff_ffff) }.into())?;
    const PER_LINUX32: libc::c_long = 8;
    let mut wanted = now | libc::c_long::from(libc::ADDR_NO_RANDOMIZE);
    if bits_32 {
        wanted |= PER_LINUX32;
    }
    // SAFETY: sets flags of this process.
    check(unsafe { libc::personality(wanted as libc::c_ulong) }.into()).map(drop)
}

/// The system call filter.
pub(crate) struct Seccomp;

impl Seccomp {
    /// Installs a filter program; needs `no_new_privs`.
    pub(crate) fn install(program: &[libc::sock_filter]) -> io::Result<()> {
        let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        // SAFETY: the kernel reads `len` instructions, all of them alive during the call.
        let result = unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
        };
        check(result.into()).map(drop)
    }
}

/// Keeps this process from talking to abstract sockets of processes outside, where the kernel can
/// do that. The file system and the network namespace do not cover those.
pub(crate) fn scope_abstract_sockets() -> io::Result<()> {
    #[repr(C)]
    struct RulesetAttr {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    const CREATE_RULESET_VERSION: u32 = 1;
    const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    // SAFETY: asks for the version; no memory is read.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    };
    if version < 6 {
        return Ok(()); // an older kernel, or one without Landlock
    }
    let attr = RulesetAttr {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET,
    };
    // SAFETY: the kernel reads exactly the struct whose size is passed.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of::<RulesetAttr>(),
            0_u32,
        )
    })?;
    // SAFETY: the kernel just made this descriptor for us alone.
    let ruleset = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    // SAFETY: takes numbers only.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) })
        .map(drop)
}

/// Makes a mount and all below it read-only, leaving its other flags alone.
pub(crate) fn make_read_only(target: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    #[repr(C)]
    struct MountAttr {
        attr_set: u64,
        attr_clr: u64,
        propagation: u64,
        userns_fd: u64,
    }
    const MOUNT_ATTR_RDONLY: u64 = 1;
    let text = CString::new(target.as_os_str().as_bytes())?;
    let attr = MountAttr { attr_set: MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: a text with its end and a struct whose size is passed, both alive during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            text.as_ptr(),
            libc::AT_RECURSIVE | libc::AT_SYMLINK_NOFOLLOW,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    check(result).map(drop)
}

/// Switches the loopback device of this network namespace on.
pub(crate) fn loopback_up() -> io::Result<()> {
    #[repr(C)]
    struct InterfaceRequest {
        name: [u8; 16],
        flags: i16,
        rest: [u8; 22],
    }
    // SAFETY: takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let fd = check(fd.into())?;
    // SAFETY: the kernel just made this descriptor for us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as i16,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: the struct has the size and layout of `struct ifreq` (40 bytes), which is what
    // this request reads.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) };
    check(result.into()).map(drop)
}
