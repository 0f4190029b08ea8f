//! Running one builder: the side of the process that asked.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;

use super::log::Log;
use super::request::{Answer, Request};
use super::settings::BuildSettings;
use super::starter;

/// How often cancellation is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long the end of the log is waited for after the builder has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// How a builder ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this wait status.
    Ended(i32),
    /// It was never started; a sentence.
    SetupFailed(String),
    /// The program could not be executed, or an internal builder returned an error; a sentence.
    BuilderFailed(String),
    /// It was killed because it took longer than allowed.
    TimedOut(Duration),
    /// It was killed because it wrote nothing for longer than allowed.
    Silent(Duration),
    /// It was killed because it wrote more bytes than allowed.
    LogLimit(u64),
    /// It was killed because the caller asked to stop.
    Cancelled,
}

/// A terminal: the end for the log and the end for the builder.
fn open_terminal(owner: Option<(u32, u32)>) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    let slave = rustix::fs::open(
        Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())),
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // The log gets what was written: no carriage returns added, no echo.
    let mut modes = rustix::termios::tcgetattr(&slave)?;
    modes.make_raw();
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes)?;
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(&slave, Some(uid), Some(gid))?;
    }
    rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
    Ok((master, slave))
}

/// The starter process; ended when it is let go.
struct Starter(Child);

impl Drop for Starter {
    fn drop(&mut self) {
        // Does nothing to a process that has ended. The builder dies with its starter.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(slave: OwnedFd) -> io::Result<(Starter, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0(starter::NAME)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::from(slave.try_clone()?))
        .stderr(Stdio::from(slave))
        .current_dir("/")
        .env_clear()
        // Ctrl-C at a terminal is for us, who tell the starter; if we end, it notices by itself.
        .process_group(0);
    // A program that finds its libraries by this one must find them again.
    if let Some(value) = std::env::var_os("LD_LIBRARY_PATH") {
        command.env("LD_LIBRARY_PATH", value);
    }
    // `command` holds the ends of the starter until it is dropped here.
    Ok((Starter(command.spawn()?), ours))
}

/// Runs a builder to its end, whatever that is. Afterwards no process of it is left.
pub(crate) fn run(
    request: &Request,
    settings: &BuildSettings,
    log: &mut Log<'_>,
) -> io::Result<Outcome> {
    let own = rustix::process::geteuid().as_raw();
    let owner = request
        .sandbox
        .as_ref()
        .map(|sandbox| (sandbox.identity.host_uid, sandbox.identity.host_gid))
        .filter(|&(uid, _)| uid != own);
    let (master, slave) = open_terminal(owner).map_err(|error| {
        io::Error::new(error.kind(), format!("no terminal for the log: {error}"))
    })?;
    let (mut starter, mut socket) = start(slave)?;
    let bytes = request.encode();
    socket.write_all(&(bytes.len() as u64).to_le_bytes())?;
    socket.write_all(&bytes)?;
    socket.set_nonblocking(true)?;

    let mut watch = Watch { settings, stopped: None, socket: &socket };
    let started = Instant::now();
    let mut last_output = started;
    let mut log_open = true;
    let mut answers = Vec::new();
    let mut outcome = None;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let now = Instant::now();
        watch.check_limits(now, started, last_output, log.n_bytes());
        let mut fds = vec![PollFd::new(&socket, PollFlags::IN)];
        if log_open {
            fds.push(PollFd::from_borrowed_fd(master.as_fd(), PollFlags::IN));
        }
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as _ };
        match rustix::event::poll(&mut fds, Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let log_ready = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        let socket_ready = !fds[0].revents().is_empty();
        drop(fds);
        if log_ready {
            match rustix::io::read(&master, &mut buffer[..]) {
                Ok(0) | Err(rustix::io::Errno::IO) => {
                    log_open = false;
                    // A builder that lets go of its log has ended, or is ended now.
                    watch.stop();
                }
                Ok(n) => {
                    last_output = now;
                    log.write(&buffer[..n]);
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if socket_ready {
            match (&socket).read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => answers.extend_from_slice(&buffer[..n]),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
            while let Some(answer) = Answer::take(&mut answers) {
                // The first one says why; the wait status that follows only says that.
                outcome.get_or_insert(match answer {
                    Answer::SetupFailed(text) => Outcome::SetupFailed(text),
                    Answer::BuilderFailed(text) => Outcome::BuilderFailed(text),
                    Answer::Ended(status) => Outcome::Ended(status),
                });
            }
        }
    }
    let status = starter.0.wait()?;
    if log_open {
        drain(&master, log, &mut buffer)?;
    }
    if let Some(stopped) = watch.stopped {
        return Ok(stopped);
    }
    outcome.ok_or_else(|| {
        let what = format!("the starter process ended without an answer ({status})");
        io::Error::other(format!(
            "{what}; does the program begin with `nix_store::build::starter::run_if_asked`?"
        ))
    })
}

/// Reads what is still in the terminal. Its end comes at once unless a process outside the
/// sandbox holds the other side.
fn drain(master: &OwnedFd, log: &mut Log<'_>, buffer: &mut [u8]) -> io::Result<()> {
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline {
        match rustix::io::read(master, &mut *buffer) {
            Ok(0) | Err(rustix::io::Errno::IO) => return Ok(()),
            Ok(n) => log.write(&buffer[..n]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                let mut fds = [PollFd::new(master, PollFlags::IN)];
                let tick = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as _ };
                let _ = rustix::event::poll(&mut fds, Some(&tick));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What may end a builder early.
struct Watch<'a> {
    settings: &'a BuildSettings,
    stopped: Option<Outcome>,
    socket: &'a UnixStream,
}

impl Watch<'_> {
    /// Tells the starter to kill the builder. Saying it twice does no harm.
    fn stop(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    fn check_limits(&mut self, now: Instant, started: Instant, last_output: Instant, n_bytes: u64) {
        if self.stopped.is_some() {
            return;
        }
        let settings = self.settings;
        self.stopped = if settings.is_cancelled() {
            Some(Outcome::Cancelled)
        } else if let Some(limit) = settings.timeout.filter(|&limit| now - started > limit) {
            Some(Outcome::TimedOut(limit))
        } else if let Some(limit) = settings.max_silent.filter(|&limit| now - last_output > limit) {
            Some(Outcome::Silent(limit))
        } else {
            settings.max_log_bytes.filter(|&limit| n_bytes > limit).map(Outcome::LogLimit)
        };
        if self.stopped.is_some() {
            self.stop();
        }
    }
}
