//! Runs programs in this process, as the command would.

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use nix_eval::{
    Engine, EngineOptions, Error, ProgramCache,
    builtins::{json::to_json, xml},
    error::Class,
    host::{FsHost, NixPath, TraceEvent},
    machine::Machine,
    value::{ContextBuilder, Value, print},
};
use nix_store::host::{StoreHost, StoreHostOptions};

use super::answer::{Answer, Mode};

/// Time for one program; generated ones need far less than a thousandth of it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Programs that are run one after another; each in a session of its own.
pub(crate) struct Ours {
    engine: Engine,
    traces: Arc<Mutex<Vec<String>>>,
    folder: Vec<u8>,
}

/// What a program gave, and what it traced on the way.
pub(crate) struct Run {
    pub(crate) answer: Answer,
    pub(crate) traces: Vec<String>,
    /// The whole report of an error, as JSON.
    pub(crate) report: String,
}

impl Ours {
    /// For programs whose relative paths begin at `folder`.
    pub(crate) fn new(folder: &Path) -> Ours {
        Ours::keeping(folder, None)
    }

    /// As [`Ours::new`]; programs of files are kept.
    pub(crate) fn keeping(folder: &Path, cache: Option<ProgramCache>) -> Ours {
        use std::os::unix::ffi::OsStrExt;
        let traces = Arc::new(Mutex::new(Vec::new()));
        let heard = traces.clone();
        let listen = move |event: &TraceEvent<'_>| {
            if let TraceEvent::Trace(text) = event {
                // What follows a line break cannot be told from other output of the peer.
                let text = String::from_utf8_lossy(text).lines().next().unwrap_or("").to_owned();
                heard.lock().unwrap_or_else(|e| e.into_inner()).push(text);
            }
        };
        let mut host = StoreHostOptions::new();
        host.files = FsHost::whole().clock(0).for_system("x86_64-linux");
        host.listen = Some(Box::new(listen));
        let mut options = EngineOptions::default();
        options.builtins = nix_store::builtins::BUILTINS.to_vec();
        options.host = Arc::new(StoreHost::new(host));
        options.use_nixlib = false;
        options.program_cache = cache;
        options.limits.deadline = Some(DEADLINE);
        options.limits.heap_bytes = 4 << 30;
        Ours {
            engine: Engine::new(options),
            traces,
            folder: folder.as_os_str().as_bytes().to_vec(),
        }
    }

    /// Runs one program.
    pub(crate) fn run(&self, program: &str, mode: Mode) -> Run {
        self.run_on(1, program, mode)
    }

    /// The same on this many cores.
    pub(crate) fn run_on(&self, cores: u32, program: &str, mode: Mode) -> Run {
        self.run_with(|engine| {
            let evaluator = engine.evaluator();
            evaluator.set_eval_cores(cores);
            let handle = evaluator.eval(program, "program", &self.folder)?;
            handle.with(|m, v| show(m, v, mode))
        })
    }

    /// Runs the program in a file; says how many programs of files were known.
    pub(crate) fn run_file(&self, file: &Path, mode: Mode) -> (Run, u64) {
        use std::os::unix::ffi::OsStrExt;
        let evaluator = self.engine.evaluator();
        let run = self.run_with(|_| {
            let path = NixPath::root(file.as_os_str().as_bytes());
            evaluator.import(&path)?.with(|m, v| show(m, v, mode))
        });
        (run, evaluator.stats().files_known)
    }

    /// Numbers names before any program does.
    pub(crate) fn number<'a>(&self, names: impl Iterator<Item = &'a String>) {
        for name in names {
            self.engine.symbols().intern(name.as_bytes());
        }
    }

    fn run_with(&self, run: impl FnOnce(&Engine) -> Result<Vec<u8>, Error>) -> Run {
        let run = || run(&self.engine);
        let mut text = String::new();
        let answer = match std::panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(text)) => Answer::Value(text),
            Ok(Err(error))
                if error.class() == Class::Limit && error.message().contains("deadline") =>
            {
                Answer::Crash(format!("no end within {DEADLINE:?}"))
            }
            Ok(Err(error)) => {
                // Writing the report must not fail either.
                let report =
                    std::panic::catch_unwind(AssertUnwindSafe(|| error.report().to_json()));
                match report {
                    Ok(report) => {
                        text = report;
                        Answer::Error(error.class().name().to_owned(), error.message().to_owned())
                    }
                    Err(_) => Answer::Crash("panic in the report of an error".to_owned()),
                }
            }
            Err(_) => Answer::Crash("panic".to_owned()),
        };
        let traces = std::mem::take(&mut *self.traces.lock().unwrap_or_else(|e| e.into_inner()));
        Run { answer, traces, report: text }
    }
}

fn show(m: &mut Machine, v: Value, mode: Mode) -> Result<Vec<u8>, Error> {
    let v = m.force(v)?;
    let mut context = ContextBuilder::new();
    match mode {
        Mode::Strict => {
            m.force_deep(v)?;
            Ok(print::eval_form(m, v))
        }
        Mode::Shallow | Mode::Parse => Ok(print::eval_form(m, v)),
        Mode::Json => {
            let mut text = Vec::new();
            to_json(m, v, true, &mut context, &mut text)?;
            Ok(text)
        }
        Mode::Xml => {
            let options = xml::XmlOptions { force: true, locations: false };
            xml::to_xml(m, v, options, &mut context)
        }
    }
}
