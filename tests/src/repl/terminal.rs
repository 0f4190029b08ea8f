//! Sessions on a pseudo-terminal, which `script` makes.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    bed::Bed,
    scratch::{Scratch, has},
};

/// A session on a pseudo-terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of it was waited for.
    seen: usize,
}

impl Terminal {
    fn open(bed: Bed, scratch: &Scratch, words: &str) -> Result<Terminal, String> {
        let line = format!(
            "stty rows 24 cols 100; exec '{}' repl --store '{}' {words}",
            bed.mini_nix.display(),
            scratch.store().display()
        );
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-f", "-c", &line, "/dev/null"])
            .env_clear()
            .current_dir(scratch.path(""));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs([
            ("TERM", "xterm"),
            ("SHELL", "/bin/sh"),
            ("NO_COLOR", "1"),
            ("LANG", "C.UTF-8"),
        ]);
        command.env("HOME", scratch.path("home")).env("XDG_STATE_HOME", scratch.path("state"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command
            .spawn()
            .map_err(|e| format!("the peer 'script' is missing: apt-get install bsdutils ({e})"))?;
        let keys = child.stdin.take().ok_or("no pipe")?;
        let mut stdout = child.stdout.take().ok_or("no pipe")?;
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let all = shown.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = stdout.read(&mut part) {
                all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&part[..n]);
            }
        });
        Ok(Terminal { child, keys, shown, seen: 0 })
    }

    fn type_in(&mut self, keys: &str) -> Result<(), String> {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .map_err(|e| e.to_string())
    }

    /// Waits until a text was shown after what was waited for before.
    fn wait_for(&mut self, text: &str) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            let new = &shown[self.seen..];
            if let Some(at) = new.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.seen += at + text.len();
                return Ok(());
            }
            if begin.elapsed() > Duration::from_secs(60) {
                let new = String::from_utf8_lossy(new).into_owned();
                return Err(format!("'{text}' does not come; since then came {new:?}"));
            }
            drop(shown);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the session as the end of the input does; it has to end with 0.
    fn end(mut self) -> Result<(), String> {
        self.type_in("\x04")?;
        let status = self.child.wait().map_err(|e| e.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("the session ended with {status}")) }
    }
}

const ENTER: &str = "\r";
const PROMPT: &str = "nix-repl> ";

/// Tab completes, inputs have several lines, the next session knows them.
pub(super) fn completes_and_remembers(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    std::fs::create_dir_all(scratch.path("home")).map_err(|e| e.to_string())?;
    let expression = "{ longName = { inner.value = 41 + 1; bad = throw \"x\"; }; }";
    let mut terminal = Terminal::open(bed, &scratch, &format!("--expr '{expression}'"))?;
    terminal.wait_for("Type :? for help.")?;
    terminal.wait_for(PROMPT)?;
    // A variable, an attribute of a set that nobody forced before, one behind it.
    terminal.type_in("longN\t.inn\t.val\t")?;
    terminal.wait_for("longName.inner.value")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("42")?;
    terminal.wait_for(PROMPT)?;
    // What fails has no candidates, and the prompt goes on.
    terminal.type_in("longName.bad.\t")?;
    terminal.type_in("\x15builtins.tryE\t")?;
    terminal.wait_for("builtins.tryEval")?;
    terminal.type_in(" 1")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("success = true;")?;
    terminal.wait_for(PROMPT)?;
    // An input of several lines.
    terminal.type_in("[ 6")?;
    terminal.type_in(ENTER)?;
    terminal.type_in("7 ] == [ 6 7 ]")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("true")?;
    terminal.wait_for(PROMPT)?;
    terminal.end()?;
    let history = scratch.path("state/mini-nix/repl-history");
    let text =
        std::fs::read_to_string(&history).map_err(|e| format!("{}: {e}", history.display()))?;
    has(&text, &["longName.inner.value\n", "builtins.tryEval 1\n"])?;
    // The next session knows them.
    let mut terminal = Terminal::open(bed, &scratch, "--expr '{ longName.inner.value = 43; }'")?;
    terminal.wait_for(PROMPT)?;
    // Up goes through the lines of the last one, too.
    terminal.type_in("\x1b[A\x1b[A\x1b[A\x1b[A")?;
    terminal.wait_for("longName.inner.value")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("43")?;
    terminal.wait_for(PROMPT)?;
    terminal.end()
}

/// Ctrl-C stops an evaluation and a build, and drops an input.
pub(super) fn stops(bed: Bed) -> Result<(), String> {
    let scratch = Scratch::new(bed)?;
    std::fs::create_dir_all(scratch.path("home")).map_err(|e| e.to_string())?;
    let mut terminal = Terminal::open(bed, &scratch, "--max-call-depth 1000000000")?;
    terminal.wait_for(PROMPT)?;
    // Something without an end, which says when it has begun.
    terminal.type_in("x = 5")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for(PROMPT)?;
    terminal.type_in(
        "let f = n: if n == 0 then f 1 else f 0; in builtins.trace (\"be\" + \"gun\") (f 0)",
    )?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("trace: begun")?;
    terminal.type_in("\x03")?;
    terminal.wait_for("error: ")?;
    terminal.wait_for(PROMPT)?;
    // The session goes on, with what it knew; a build is stopped as well.
    terminal.type_in("x + 1000")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("1005")?;
    terminal.wait_for(PROMPT)?;
    terminal.type_in(
        ":b derivation { name = \"slow\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
         args = [ \"-c\" \"while :; do :; done\" ]; }",
    )?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("building '/nix/store/")?;
    terminal.type_in("\x03")?;
    terminal.wait_for("error: interrupted by the user")?;
    terminal.wait_for(PROMPT)?;
    // At the prompt it drops the input.
    terminal.type_in("garbage +\x03")?;
    terminal.wait_for(PROMPT)?;
    terminal.type_in("x + 2000")?;
    terminal.type_in(ENTER)?;
    terminal.wait_for("2005")?;
    terminal.wait_for(PROMPT)?;
    terminal.end()
}
