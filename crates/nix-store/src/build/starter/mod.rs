//! The process that a build runs in.
//!
//! Forking out of a threaded program deadlocks, so a build starts in a fresh process with one
//! thread: this program starts itself again under the name [`NAME`]. Standard input is a socket
//! over which it is told what to do and answers how it went; output and error are the terminal
//! whose other end writes the log.
//!
//! ```text
//! mini-nix ── socket ── starter ── fork ──▶ builder (process 1 of its own namespace)
//!          ◀─────────── terminal ───────────┘
//! ```
//!
//! The starter outlives the builder: it waits for it, kills what it left behind, then answers.
//! If the asking process closes its side of the socket (because it wants to stop, or because it
//! was killed), the starter kills the builder.

mod child;
mod watch;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::internal::InternalBuilders;
use super::request::{Answer, Request};
use super::sandbox::namespaces;
use super::sandbox::system::{self, Fork};

/// The name (`argv[0]`) under which a program is the starter.
pub const NAME: &str = "mini-nix-starter";

/// Becomes the starter and does not return, if this process was started as one.
///
/// Has to be the first line of `main` of every program that builds: no thread may exist yet and
/// nothing may have been read from standard input.
#[expect(clippy::exit, reason = "in the starter process there is no `main` to return to")]
pub fn run_if_asked(builders: &InternalBuilders) {
    if std::env::args_os().next().is_none_or(|name| name != NAME) {
        return;
    }
    std::process::exit(match run(builders) {
        Ok(()) => 0,
        // Nobody is left who could be told.
        Err(_) => 1,
    });
}

fn run(builders: &InternalBuilders) -> std::io::Result<()> {
    let stdin = system::take_stdin()?;
    system::close_all_but(&stdin)?;
    let mut socket = UnixStream::from(stdin);
    let null: OwnedFd = std::fs::File::options().read(true).write(true).open("/dev/null")?.into();
    rustix::stdio::dup2_stdin(&null)?;

    let mut length = [0; 8];
    socket.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    (&socket).take(u64::from_le_bytes(length)).read_to_end(&mut bytes)?;
    let Some(request) = Request::decode(&bytes) else {
        let text = "the starter was sent a request that it does not understand".to_owned();
        return socket.write_all(&Answer::SetupFailed(text).encode());
    };
    drop(bytes);

    if let Some(sandbox) = &request.sandbox
        && let Err(text) = namespaces::enter(sandbox)
    {
        return socket.write_all(&Answer::SetupFailed(text).encode());
    }
    if request.sandbox.is_none() {
        // What the builder leaves behind becomes our child, so that we can end it.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    }
    let pid = match system::fork() {
        Ok(Fork::Child) => child::run(&request, builders, socket),
        Ok(Fork::Parent(pid)) => pid,
        Err(error) => {
            let text = format!("cannot start a process: {error}");
            return socket.write_all(&Answer::SetupFailed(text).encode());
        }
    };
    // The log ends when the last process lets go of the terminal; that must not be us.
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    drop(null);

    let status = watch::until_ended(pid, &socket, request.sandbox.is_none())?;
    socket.write_all(&Answer::Ended(status).encode())
}
