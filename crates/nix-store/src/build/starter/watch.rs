//! Waiting for the builder, and ending it.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

/// Waits until the process `pid` has ended and returns its wait status. Kills it when the other
/// end of `socket` is closed. Afterwards nothing that it started is left.
pub(super) fn until_ended(pid: Pid, socket: &UnixStream, own_orphans: bool) -> io::Result<i32> {
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN | PollFlags::RDHUP),
        ];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !fds[0].revents().is_empty() {
            break;
        }
        if !fds[1].revents().is_empty() {
            // The number cannot have been given to another process: nobody has waited for it.
            rustix::process::kill_process(pid, Signal::KILL)?;
            break;
        }
    }
    let status = loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status.as_raw(),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    if own_orphans {
        end_orphans();
    }
    Ok(status)
}

/// Kills what an unsandboxed builder left behind. Without a process namespace that is a chase:
/// each killed process hands its children over to us.
fn end_orphans() {
    let children = format!("/proc/self/task/{}/children", std::process::id());
    loop {
        let text = std::fs::read_to_string(&children).unwrap_or_default();
        for pid in text.split_whitespace().filter_map(|word| word.parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return, // no children left
        }
    }
}
