//! Evaluates an expression given as argument (`-` reads standard input) and prints it, strictly with
//! `--strict`. For development: the command line lives in the mini-nix crate.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example program")]

use std::{io::Read, sync::Arc};

use nix_eval::{
    Engine, EngineOptions, Show,
    host::{FsHost, Host, HostCx, HostError, Metadata, NixPath, TraceEvent},
};

/// Files of the machine, traces to standard error.
struct Console(FsHost);

impl Host for Console {
    fn read_file(&self, path: &NixPath, cx: &HostCx) -> Result<Arc<[u8]>, HostError> {
        self.0.read_file(path, cx)
    }
    fn read_dir(
        &self,
        path: &NixPath,
        cx: &HostCx,
    ) -> Result<Vec<(Vec<u8>, nix_eval::host::FileType)>, HostError> {
        self.0.read_dir(path, cx)
    }
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &HostCx,
    ) -> Result<Option<Metadata>, HostError> {
        self.0.metadata(path, follow, cx)
    }
    fn read_link(&self, path: &NixPath, cx: &HostCx) -> Result<Vec<u8>, HostError> {
        self.0.read_link(path, cx)
    }
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.0.environment(name)
    }
    fn system(&self) -> Option<String> {
        Some("x86_64-linux".to_owned())
    }
    fn trace(&self, event: &TraceEvent<'_>) {
        match event {
            TraceEvent::Trace(text) => eprintln!("trace: {}", String::from_utf8_lossy(text)),
            TraceEvent::Warning(text) => {
                eprintln!("evaluation warning: {}", String::from_utf8_lossy(text));
            }
            TraceEvent::Note(text) => eprintln!("note: {}", String::from_utf8_lossy(text)),
        }
    }
}

fn main() -> std::process::ExitCode {
    let mut text = String::new();
    let (mut show, mut stats) = (Show::Shallow, false);
    for arg in std::env::args().skip(1) {
        match &*arg {
            "--strict" => show = Show::Deep,
            "--stats" => stats = true,
            "-" => {
                if let Err(e) = std::io::stdin().read_to_string(&mut text) {
                    eprintln!("error: {e}");
                    return std::process::ExitCode::FAILURE;
                }
            }
            _ => text = arg,
        }
    }
    let home = std::env::var("HOME").unwrap_or_default().into_bytes();
    let host = Console(FsHost::whole().env([("HOME".to_owned(), home)]));
    let mut options = EngineOptions::default();
    options.host = Arc::new(host);
    let evaluator = Engine::new(options).evaluator();
    let dir = std::env::current_dir().unwrap_or_default();
    let dir = dir.to_string_lossy();
    let result = evaluator.eval(&text, "string", dir.as_bytes()).and_then(|v| v.show(show));
    if stats {
        eprintln!("{:?}", evaluator.stats());
    }
    match result {
        Ok(text) => {
            println!("{}", String::from_utf8_lossy(&text));
            std::process::ExitCode::SUCCESS
        }
        Err(e) => {
            eprint!("{}", e.report().text(nix_eval::error::Style::default()));
            eprintln!("class: {}", e.class().name());
            std::process::ExitCode::FAILURE
        }
    }
}
