//! The system call filter of a build, written by hand.
//!
//! It keeps setuid and setgid bits and extended attributes from ever appearing in an output, and
//! closes a few doors that no build needs. It holds for every instruction set that the kernel
//! runs beside ours (a 64-bit kernel also takes 32-bit calls): a filter for one of them alone
//! protects nothing. Calls of any other instruction set, and those of x32, do not exist (ENOSYS).
//!
//! What a filter cannot see is memory: `openat2` passes its mode in a struct, and io_uring passes
//! whole calls, so both do not exist inside; programs fall back to the older calls.

use super::system::{Errno, Seccomp};

/// One instruction of the kernel's filter machine.
pub(crate) type Instruction = libc::sock_filter;

/// What is done about one system call.
#[derive(Clone, Copy)]
enum Rule {
    /// Always fails with this error.
    Fails(i32),
    /// Fails with EPERM if the argument of this index has a setuid or setgid bit.
    Mode(u8),
    /// The same, but only if the flags (first index) can create a file; the mode is the second.
    OpenMode(u8, u8),
    /// Fails with EPERM if the request (second argument) pushes input into a terminal.
    Ioctl,
}

/// The rules for one instruction set.
struct Architecture {
    /// `AUDIT_ARCH_…`.
    audit: u32,
    /// Call numbers from here on belong to another ABI of the same architecture.
    first_foreign: Option<u32>,
    rules: &'static [(u32, Rule)],
}

const SET_ID_BITS: u32 = 0o6000;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const NO_SYS: Rule = Rule::Fails(libc::ENOSYS);
const NO_XATTR: Rule = Rule::Fails(libc::ENOTSUP);

/// Calls whose number is the same everywhere because they are newer than the unification.
const COMMON: &[(u32, Rule)] = &[
    (425, NO_SYS), // io_uring_setup
    (426, NO_SYS),
    (427, NO_SYS),
    (437, NO_SYS),        // openat2
    (452, Rule::Mode(2)), // fchmodat2
    (463, NO_XATTR),      // setxattrat
    (464, NO_XATTR),      // getxattrat
    (465, NO_XATTR),      // listxattrat
];

const X86_64: Architecture = Architecture {
    audit: 0xc000_003e,
    first_foreign: Some(0x4000_0000),
    rules: &[
        (2, Rule::OpenMode(1, 2)),
        (16, Rule::Ioctl),
        (85, Rule::Mode(1)),  // creat
        (90, Rule::Mode(1)),  // chmod
        (91, Rule::Mode(1)),  // fchmod
        (133, Rule::Mode(1)), // mknod
        (188, NO_XATTR),
        (189, NO_XATTR),
        (190, NO_XATTR),
        (191, NO_XATTR),
        (192, NO_XATTR),
        (193, NO_XATTR),
        (194, NO_XATTR),
        (195, NO_XATTR),
        (196, NO_XATTR),
        (248, NO_SYS), // add_key
        (249, NO_SYS), // request_key
        (250, NO_SYS), // keyctl
        (257, Rule::OpenMode(2, 3)),
        (259, Rule::Mode(2)), // mknodat
        (268, Rule::Mode(2)), // fchmodat
    ],
};

const I386: Architecture = Architecture {
    audit: 0x4000_0003,
    first_foreign: None,
    rules: &[
        (5, Rule::OpenMode(1, 2)),
        (8, Rule::Mode(1)),
        (14, Rule::Mode(1)),
        (15, Rule::Mode(1)),
        (54, Rule::Ioctl),
        (94, Rule::Mode(1)),
        (226, NO_XATTR),
        (227, NO_XATTR),
        (228, NO_XATTR),
        (229, NO_XATTR),
        (230, NO_XATTR),
        (231, NO_XATTR),
        (232, NO_XATTR),
        (233, NO_XATTR),
        (234, NO_XATTR),
        (286, NO_SYS),
        (287, NO_SYS),
        (288, NO_SYS),
        (295, Rule::OpenMode(2, 3)),
        (297, Rule::Mode(2)),
        (306, Rule::Mode(2)),
    ],
};

const AARCH64: Architecture = Architecture {
    audit: 0xc000_00b7,
    first_foreign: None,
    rules: &[
        (5, NO_XATTR),
        (6, NO_XATTR),
        (7, NO_XATTR),
        (8, NO_XATTR),
        (9, NO_XATTR),
        (10, NO_XATTR),
        (11, NO_XATTR),
        (12, NO_XATTR),
        (13, NO_XATTR),
        (29, Rule::Ioctl),
        (33, Rule::Mode(2)),
        (52, Rule::Mode(1)),
        (53, Rule::Mode(2)),
        (56, Rule::OpenMode(2, 3)),
        (217, NO_SYS),
        (218, NO_SYS),
        (219, NO_SYS),
    ],
};

const ARM: Architecture = Architecture {
    audit: 0x4000_0028,
    first_foreign: None,
    rules: &[
        (5, Rule::OpenMode(1, 2)),
        (8, Rule::Mode(1)),
        (14, Rule::Mode(1)),
        (15, Rule::Mode(1)),
        (54, Rule::Ioctl),
        (94, Rule::Mode(1)),
        (226, NO_XATTR),
        (227, NO_XATTR),
        (228, NO_XATTR),
        (229, NO_XATTR),
        (230, NO_XATTR),
        (231, NO_XATTR),
        (232, NO_XATTR),
        (233, NO_XATTR),
        (234, NO_XATTR),
        (309, NO_SYS),
        (310, NO_SYS),
        (311, NO_SYS),
        (322, Rule::OpenMode(2, 3)),
        (324, Rule::Mode(2)),
        (333, Rule::Mode(2)),
    ],
};

/// The instruction sets of the machine that this program was compiled for.
const ARCHITECTURES: &[Architecture] = if cfg!(any(target_arch = "aarch64", target_arch = "arm")) {
    &[AARCH64, ARM]
} else {
    &[X86_64, I386]
};

// Offsets in `struct seccomp_data`.
const NR: u32 = 0;
const ARCH: u32 = 4;
/// The low half of an argument; modes and flags are 32 bits wide. Little endian.
const fn argument(index: u8) -> u32 {
    16 + 8 * index as u32
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, then: usize, otherwise: usize) -> Instruction {
    let short = |n: usize| u8::try_from(n).expect("blocks are shorter than 256 instructions");
    Instruction { code, jt: short(then), jf: short(otherwise), k }
}

fn allow() -> Instruction {
    statement(RETURN, libc::SECCOMP_RET_ALLOW)
}

fn fail(errno: i32) -> Instruction {
    statement(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32)
}

/// The instructions for one call, reached when the number is known to match; ends in a return.
fn block(rule: Rule) -> Vec<Instruction> {
    match rule {
        Rule::Fails(errno) => vec![fail(errno)],
        Rule::Mode(mode) => vec![
            statement(LOAD, argument(mode)),
            jump(JUMP_ANY_BIT, SET_ID_BITS, 0, 1),
            fail(libc::EPERM),
            allow(),
        ],
        Rule::OpenMode(flags, mode) => vec![
            statement(LOAD, argument(flags)),
            jump(
                JUMP_ANY_BIT,
                (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32,
                0,
                3,
            ),
            statement(LOAD, argument(mode)),
            jump(JUMP_ANY_BIT, SET_ID_BITS, 0, 1),
            fail(libc::EPERM),
            allow(),
        ],
        Rule::Ioctl => vec![
            statement(LOAD, argument(1)),
            jump(JUMP_EQUAL, TIOCSTI, 1, 0),
            jump(JUMP_EQUAL, TIOCLINUX, 0, 1),
            fail(libc::EPERM),
            allow(),
        ],
    }
}

/// The whole filter.
pub(crate) fn program() -> Vec<Instruction> {
    let mut program = Vec::new();
    for architecture in ARCHITECTURES {
        let mut body = vec![statement(LOAD, NR)];
        if let Some(first) = architecture.first_foreign {
            body.push(jump(JUMP_AT_LEAST, first, 0, 1));
            body.push(fail(libc::ENOSYS));
        }
        for &(number, rule) in architecture.rules.iter().chain(COMMON) {
            let block = block(rule);
            body.push(jump(JUMP_EQUAL, number, 0, block.len()));
            body.extend(block);
        }
        body.push(allow());
        // A conditional jump reaches 255 instructions only; the plain one goes anywhere.
        program.push(statement(LOAD, ARCH));
        program.push(jump(JUMP_EQUAL, architecture.audit, 1, 0));
        program.push(statement((libc::BPF_JMP | libc::BPF_JA) as u16, body.len() as u32));
        program.extend(body);
    }
    program.push(fail(libc::ENOSYS));
    program
}

/// Puts the filter on this process and all that it starts. Cannot be undone.
pub(crate) fn install() -> Result<(), Errno> {
    Seccomp::install(&program())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter on one call, as the kernel would.
    fn verdict(arch: u32, nr: u32, args: [u32; 6]) -> u32 {
        let program = program();
        let load = |offset: u32| match offset {
            NR => nr,
            ARCH => arch,
            n => args[((n - 16) / 8) as usize],
        };
        let (mut at, mut a) = (0_usize, 0_u32);
        loop {
            let i = program[at];
            at += 1;
            match i.code {
                LOAD => a = load(i.k),
                RETURN => return i.k,
                code if code == (libc::BPF_JMP | libc::BPF_JA) as u16 => at += i.k as usize,
                code => {
                    let taken = match code {
                        JUMP_EQUAL => a == i.k,
                        JUMP_AT_LEAST => a >= i.k,
                        JUMP_ANY_BIT => a & i.k != 0,
                        other => panic!("unknown instruction {other}"),
                    };
                    at += usize::from(if taken { i.jt } else { i.jf });
                }
            }
        }
    }

    const PERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const NOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn setuid_bits_are_refused_in_every_abi() {
        assert_eq!(verdict(X86_64.audit, 90, [0, 0o4755, 0, 0, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 90, [0, 0o755, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(X86_64.audit, 268, [0, 0, 0o2755, 0, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 452, [0, 0, 0o2755, 0, 0, 0]), PERM);
        assert_eq!(verdict(I386.audit, 15, [0, 0o4755, 0, 0, 0, 0]), PERM);
        assert_eq!(verdict(I386.audit, 306, [0, 0, 0o4755, 0, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 0x4000_0000 | 90, [0, 0o755, 0, 0, 0, 0]), NOSYS);
        assert_eq!(verdict(1, 90, [0; 6]), NOSYS);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_mode_counts_only_when_a_file_may_be_created() {
        let create = libc::O_CREAT as u32;
        assert_eq!(verdict(X86_64.audit, 257, [0, 0, create, 0o4755, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 257, [0, 0, 0, 0o4755, 0, 0]), ALLOW);
        assert_eq!(verdict(X86_64.audit, 257, [0, 0, create, 0o644, 0, 0]), ALLOW);
        assert_eq!(verdict(X86_64.audit, 257, [0, 0, libc::O_TMPFILE as u32, 0o4600, 0, 0]), PERM);
        assert_eq!(
            verdict(X86_64.audit, 257, [0, 0, libc::O_DIRECTORY as u32, 0o4600, 0, 0]),
            ALLOW
        );
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn xattrs_terminal_input_keys_and_rings_are_refused() {
        let not_supported = libc::SECCOMP_RET_ERRNO | libc::ENOTSUP as u32;
        for number in 188..=196 {
            assert_eq!(verdict(X86_64.audit, number, [0; 6]), not_supported);
        }
        assert_eq!(verdict(X86_64.audit, 16, [0, TIOCSTI, 0, 0, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 16, [0, TIOCLINUX, 0, 0, 0, 0]), PERM);
        assert_eq!(verdict(X86_64.audit, 16, [0, 0x5401, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(X86_64.audit, 250, [0; 6]), NOSYS);
        assert_eq!(verdict(X86_64.audit, 425, [0; 6]), NOSYS);
        assert_eq!(verdict(X86_64.audit, 437, [0; 6]), NOSYS);
        assert_eq!(verdict(X86_64.audit, 1, [0; 6]), ALLOW);
    }
}
