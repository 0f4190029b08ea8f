//! The last steps between the fork and the builder.

use std::ffi::CString;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

use crate::build::internal::{InternalBuild, InternalBuilders};
use crate::build::request::{Answer, Request};
use crate::build::sandbox::{mounts, namespaces, seccomp, system};

/// Becomes the builder.
pub(super) fn run(request: &Request, builders: &InternalBuilders, mut socket: UnixStream) -> ! {
    let answer = match prepare(request) {
        Err(text) => Answer::SetupFailed(text),
        Ok(()) if request.internal => match run_internal(request, builders) {
            Ok(()) => system::exit_now(0),
            Err(text) => Answer::BuilderFailed(text),
        },
        Ok(()) => Answer::BuilderFailed(exec(request)),
    };
    let _ = socket.write_all(&answer.encode());
    system::exit_now(1)
}

/// Everything that is the same for programs and functions.
fn prepare(request: &Request) -> Result<(), String> {
    let step = |what: &'static str| move |error: io::Error| format!("cannot {what}: {error}");
    let session = rustix::process::setsid();
    session.map_err(io::Error::from).map_err(step("start a session"))?;
    if let Some(sandbox) = &request.sandbox {
        if sandbox.private_network {
            system::loopback_up().map_err(step("switch the loopback device on"))?;
        }
        for set in
            [rustix::system::sethostname(b"localhost"), rustix::system::setdomainname(b"(none)")]
        {
            set.map_err(io::Error::from).map_err(step("set the host name"))?;
        }
        mounts::enter(sandbox, &request.store_dir, &request.build_dir)?;
    }
    std::env::set_current_dir(&request.build_dir).map_err(|error| {
        format!("cannot enter the build directory '{}': {error}", request.build_dir.display())
    })?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let maximum = rustix::process::getrlimit(Resource::Core).maximum;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })
        .map_err(io::Error::from)
        .map_err(step("switch core dumps off"))?;
    system::set_personality(request.personality_32).map_err(step("set the personality"))?;
    if let Some(sandbox) = &request.sandbox {
        namespaces::drop_privileges().map_err(step("drop capabilities"))?;
        if !sandbox.private_network {
            system::scope_abstract_sockets().map_err(step("restrict abstract sockets"))?;
        }
    } else {
        rustix::thread::set_no_new_privs(true)
            .map_err(io::Error::from)
            .map_err(step("forbid new privileges"))?;
    }
    // Changing the user clears it, so it comes after.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)
        .map_err(step("ask to die with the starter"))?;
    seccomp::install().map_err(step("install the system call filter"))?;
    system::close_others_on_exec().map_err(step("close descriptors"))
}

/// Starts the program; returns only with the reason why that failed.
fn exec(request: &Request) -> String {
    let text = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| {
            "the derivation has a null byte in its builder, arguments or environment".to_owned()
        })
    };
    let texts = || -> Result<(CString, Vec<CString>, Vec<CString>), String> {
        let env = request.env.iter().map(|(name, value)| text(&[name, &b"="[..], value].concat()));
        Ok((
            text(&request.builder)?,
            request.args.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?,
            env.collect::<Result<_, _>>()?,
        ))
    };
    match texts() {
        Err(sentence) => sentence,
        Ok((program, args, env)) => {
            system::default_signals();
            let error = system::exec(&program, &args, &env);
            let program = String::from_utf8_lossy(&request.builder);
            let hint = match error.raw_os_error() {
                Some(libc::ENOENT) if request.sandbox.is_some() => {
                    "; it, or the interpreter that it names, is not in the sandbox: make it an \
                     input of the derivation, or show it with `sandbox-paths`"
                }
                Some(libc::ENOEXEC) => "; it is not a program of this machine and has no `#!` line",
                Some(libc::E2BIG) => {
                    "; its arguments and environment are too long: use `passAsFile` or \
                     `__structuredAttrs`"
                }
                _ => "",
            };
            format!("executing '{program}': {error}{hint}")
        }
    }
}

/// Calls the function that the derivation names.
fn run_internal(request: &Request, builders: &InternalBuilders) -> Result<(), String> {
    let name = String::from_utf8_lossy(&request.builder);
    let Some(builder) = builders.lookup(&request.builder) else {
        let known: Vec<&str> = builders.names().collect();
        return Err(format!("there is no builder '{name}'; there are: {}", known.join(", ")));
    };
    // Our own environment is that of the process that asked; a program would not see it either.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
        .map_err(|error| format!("cannot prepare '{name}': {error}"))?;
    let env = request
        .env
        .iter()
        .filter_map(|(name, value)| Some((String::from_utf8(name.clone()).ok()?, value.clone())));
    let build = InternalBuild {
        env: env.collect(),
        outputs: request.outputs.iter().cloned().collect(),
        build_dir: Path::new(&request.build_dir).to_owned(),
        attrs_json: request.attrs_json.clone(),
        store_dir: request.store_dir.clone(),
        cores: request.cores.max(1),
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| (builder.run)(&build))) {
        Ok(result) => result,
        Err(_) => Err(format!("the internal builder '{name}' has a bug and panicked")),
    }
}
