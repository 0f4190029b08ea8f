//! Evaluates an expression given as argument with the builtins of a store, and prints it, strictly with
//! `--strict`. Store paths are computed but nothing is written, except with `--store ROOT`. For development.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example program")]

use std::sync::Arc;

use nix_eval::{
    Engine, EngineOptions, Show,
    error::Style,
    host::{FsHost, TraceEvent},
};
use nix_store::host::{StoreHost, StoreHostOptions};
use nix_store::{LocalStore, StoreConfig};

fn listen(event: &TraceEvent<'_>) {
    let (kind, text) = match event {
        TraceEvent::Trace(text) => ("trace", text),
        TraceEvent::Warning(text) => ("evaluation warning", text),
        TraceEvent::Note(text) => ("note", text),
    };
    eprintln!("{kind}: {}", String::from_utf8_lossy(text));
}

fn main() -> std::process::ExitCode {
    let (mut text, mut show) = (String::new(), Show::Shallow);
    let (mut args, mut root) = (std::env::args().skip(1), None);
    while let Some(arg) = args.next() {
        match &*arg {
            "--store" => root = args.next(),
            "--strict" => show = Show::Deep,
            _ => text = arg,
        }
    }
    let home = std::env::var("HOME").unwrap_or_default().into_bytes();
    let mut host = StoreHostOptions::new();
    host.files =
        FsHost::whole().env([("HOME".to_owned(), home)]).clock(1).for_system("x86_64-linux");
    if let Some(root) = root {
        match LocalStore::open(StoreConfig::chroot(root.as_ref())) {
            Ok(store) => host.store = Some(Arc::new(store)),
            Err(e) => {
                eprintln!("error: {e}");
                return std::process::ExitCode::FAILURE;
            }
        }
        host.writes = true;
    }
    host.listen = Some(Box::new(listen));
    let mut options = EngineOptions::default();
    options.host = Arc::new(StoreHost::new(host));
    options.builtins = nix_store::BUILTINS.to_vec();
    let evaluator = Engine::new(options).evaluator();
    let dir = std::env::current_dir().unwrap_or_default();
    let dir = dir.to_string_lossy();
    match evaluator.eval(&text, "string", dir.as_bytes()).and_then(|v| v.show(show)) {
        Ok(text) => {
            println!("{}", String::from_utf8_lossy(&text));
            std::process::ExitCode::SUCCESS
        }
        Err(e) => {
            eprint!("{}", e.report().text(Style::default()));
            eprintln!("class: {}", e.class().name());
            std::process::ExitCode::FAILURE
        }
    }
}
