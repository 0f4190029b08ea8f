//! What separates a builder from the machine.
//!
//! | module | what |
//! |---|---|
//! | `plan` | decides what a sandbox holds |
//! | `namespaces` | user, process, mount, network and other namespaces; giving up privileges |
//! | `mounts` | the file system |
//! | `seccomp` | the system calls that do not work |
//! | [`shell`] | where `/bin/sh` comes from |
//! | `system` | calls of the kernel that no crate offers safely |
//!
//! A builder of C++ Nix sees the same but for these differences, all on purpose:
//!
//! - Root gives each build a user of its own from a range of numbers, so what the host made
//!   belongs to `nobody` (65534) inside, where C++ Nix without build users shows 1000.
//! - Inputs, the shell and paths asked for with `__impureHostDeps` are read-only mounts; in
//!   C++ Nix only their modes protect them, and the build user may own them.
//! - `/proc/sys`, `/proc/irq`, `/proc/bus`, `/proc/fs` and `/proc/sysrq-trigger` are read-only.
//! - The capability bounding set is empty. `/dev/pts/ptmx` has mode 0666 from the start.
//! - io_uring, `openat2`, keyrings and x32 calls do not exist; terminals take no pushed input.
//! - Files that `builtin:fetchurl` is asked for by a `file` URL are shown to it.

pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod plan;
pub(crate) mod seccomp;
pub mod shell;
pub(crate) mod system;
