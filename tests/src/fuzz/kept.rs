//! Files of kept programs, as somebody may have left them: what is evaluated is the same.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nix_eval::{
    Engine, ProgramCache, Show,
    host::{MemoryHost, NixPath},
};

use super::targets::{Run, answer_key};

const MAIN: &str = "
  # Everything that a program has a table for, and long enough to be kept …………………………………………………………………………
  let later = earlier + 1; earlier = 1; inherit (rec { b = a; a = 2.5; }) b; in
  { f = { x ? 1, y ? x, ... }@all: with all; [ x y (all.z or ./rel) ]; list = map (n: n ? a.b) [ { a.b = 1; } { } ];
    set = rec { z = y; y = x; x = \"${toString later}\"; ${\"dyn\"} = import ./b.nix { a = z; }; };
    out = if b > 2 && !(later != 2) then [ b later ] ++ [ (-3) ] else throw \"no\"; }
";
const OTHER: &str = "
  { a, b ? a, c ? [ b a ] }:  # …………………………………………………………………………………………………………………………………………………………………………………………
  let { body = { inherit a b c; d = c.d or ''text of
    several lines''; e = a + b; h = <nothing> or 1; }.e; }
";

fn evaluate(dir: &Path) -> String {
    let host = Arc::new(MemoryHost::new([("/d/a.nix", MAIN), ("/d/b.nix", OTHER)]));
    let cache = ProgramCache::new(dir, 1 << 20, answer_key());
    let engine = Engine::builder().shared_host(host).options(|o| o.program_cache = Some(cache));
    let shown = engine
        .build()
        .and_then(|engine| engine.evaluator().import(&NixPath::root("/d/a.nix"))?.show(Show::Deep));
    shown.map_or_else(|e| e.to_string(), |text| String::from_utf8_lossy(&text).into_owned())
}

/// A folder of programs, with the one file in it, and what is evaluated.
struct Scene {
    folder: tempfile::TempDir,
    file: PathBuf,
    shown: String,
}

impl Scene {
    fn new() -> std::io::Result<Scene> {
        let folder = tempfile::tempdir()?;
        let shown = evaluate(folder.path());
        let entry = fs::read_dir(&folder)?.next().ok_or(std::io::ErrorKind::NotFound)??;
        Ok(Scene { folder, file: entry.path(), shown })
    }

    fn run(&self, data: &[u8]) -> std::io::Result<String> {
        for old in fs::read_dir(&self.folder)? {
            fs::remove_file(old?.path())?;
        }
        fs::write(&self.file, data)?;
        assert_eq!(evaluate(self.folder.path()), self.shown, "the file of programs shows");
        // One that is whole is left alone, else there is another one.
        let is_whole = fs::read_dir(&self.folder)?.count() == 1;
        Ok(if is_whole { "read".to_owned() } else { "parsed".to_owned() })
    }
}

/// A file of programs as it is written; by this process alone.
pub(super) fn seeds() -> std::io::Result<Vec<Vec<u8>>> {
    Ok(vec![fs::read(Scene::new()?.file)?])
}

/// Evaluates with the bytes as the file of programs.
pub(super) fn programs() -> Run {
    let scene = Scene::new();
    Box::new(move |data| {
        let ran = scene.as_ref().map_err(|e| e.kind().into()).and_then(|scene| scene.run(data));
        ran.unwrap_or_else(|e: std::io::Error| format!("cannot be written: {e}"))
    })
}
