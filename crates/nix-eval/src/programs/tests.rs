use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::*;
use crate::{
    Engine, Evaluator, Show,
    host::{MemoryHost, NixPath},
};

/// What the order of names can move: `rec` sets, formals, names inherited and merged, overrides, `with`, paths of
/// attributes, all kinds of literals; and long ones.
const FILE: &str = r#"
let
  zeta = 1; alpha = zeta + 1; inherit (omega) kappa lambda'; omega = { kappa = 3; lambda' = "l"; };
  f = { zulu ? yankee + 1, yankee, xray ? zulu, alfa ? "a", ... }@all: [ zulu yankee xray alfa (all.more or 0) ];
  set = rec {
    last = first + 1; first = 10; middle = { inherit last first; inherit (omega) kappa; };
    deep.er.one = last; deep.er.two = { x = deep.er.one; }; "quoted name" = 1.5; ${"dyn" + "amic"} = last;
    pick = middle.last or 0; has = middle ? first; not = middle ? nothing.here; fn = b: a: a - b;
    pathOf = builtins.baseNameOf ./tree/leaf;
  };
  over = rec { __overrides = { value = 5; }; value = 1; twice = value * 2; };
  long = "a string that is longer than any name, to be kept with the rest of the texts of this file …";
in {
  sum = zeta + alpha + kappa; inherit lambda' long;
  called = [ (f { yankee = 1; }) (f { yankee = 1; zulu = 7; more = 9; }) ];
  args = builtins.functionArgs f; inherit (over) twice;
  set = builtins.removeAttrs set [ "fn" ]; difference = set.fn 3 10;
  scoped = with { whisky = 1; victor = 2; }; with { victor = 3; }; [ whisky victor ];
  positions = [ (builtins.unsafeGetAttrPos "last" set) (builtins.unsafeGetAttrPos "first" set) ];
  many = map (x: if x < 2 -> x != 1 && !(x == 7) then -x else "${toString x}!") [ 0 1 2 9223372036854775807 ];
  legacy = let { body = tango; tango = sierra; sierra = "s"; };
}
"#;

/// Members that are other names of members of the same set: they need those that they name to be made first.
const ALIASES: &str = "
  { zz = rec { b = a; a = c; c = x: x; e = b; same = [ ([ a ] == [ b ]) ([ c ] == [ e ]) ([ b ] == [ e ]) ]; };
    more = rec { m = n; n = o; o = p; p = q; q = 2; }; filler = ''to be as long as a file that is worth it: one two
    three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen''; }
";

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("programs.{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        Scratch(dir)
    }
    fn cache(&self, max_bytes: u64) -> ProgramCache {
        ProgramCache::new(&self.0, max_bytes, Key::of([]))
    }
    fn files(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("reads").path()).collect();
        all.sort();
        all
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn session(files: &[(&str, &str)], cache: Option<ProgramCache>) -> Evaluator {
    let host = Arc::new(MemoryHost::new(files.iter().copied()));
    let engine = Engine::builder().shared_host(host).options(|o| o.program_cache = cache);
    engine.build().expect("an engine").evaluator()
}

/// The whole value of a file, or its error; and how many files were known.
fn show(session: &Evaluator, path: &str) -> (String, u64) {
    let v = session.import(&NixPath::root(path)).and_then(|v| v.show(Show::Deep));
    let text = v.map(|text| String::from_utf8_lossy(&text).into_owned());
    (text.unwrap_or_else(|e| e.to_string()), session.stats().files_known)
}

/// Makes an engine number all names of a text before it reads a file, the other way round.
fn number_backwards(session: &Evaluator, text: &str) {
    let mut words: Vec<&str> =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\'')).collect();
    words.sort();
    words.reverse();
    for word in words {
        session.engine().symbols().intern(word.as_bytes());
    }
}

#[test]
fn programs_are_found_again_whatever_the_order_of_names() {
    for (name, file) in [("order", FILE), ("aliases", ALIASES)] {
        let dir = Scratch::new(name);
        let files = [("/d/a.nix", file)];
        let expected = show(&session(&files, None), "/d/a.nix");
        assert!(!expected.0.contains("error"), "{}", expected.0);
        assert_eq!(show(&session(&files, Some(dir.cache(1 << 20))), "/d/a.nix"), expected);
        assert_eq!(dir.files().len(), 1);
        let again = session(&files, Some(dir.cache(1 << 20)));
        assert_eq!(show(&again, "/d/a.nix"), (expected.0.clone(), 1));
        // Whether functions are the same cell depends on the order of names, with and without a cache.
        let backwards = |cache| {
            let session = session(&files, cache);
            number_backwards(&session, file);
            show(&session, "/d/a.nix")
        };
        assert_eq!(backwards(Some(dir.cache(1 << 20))), (backwards(None).0, 1));
    }
}

#[test]
fn programs_can_be_written_before_the_engine_ends() {
    let dir = Scratch::new("written");
    let files = [("/d/a.nix", FILE), ("/d/b.nix", ALIASES)];
    let first = session(&files, Some(dir.cache(1 << 20)));
    show(&first, "/d/a.nix");
    first.engine().keep_programs();
    let second = session(&files, Some(dir.cache(1 << 20)));
    assert_eq!(show(&second, "/d/a.nix").1, 1);
    // What comes later is not kept, and what is written stays.
    show(&first, "/d/b.nix");
    drop(first);
    assert_eq!(dir.files().len(), 1);
}

#[test]
fn errors_name_the_same_places() {
    let dir = Scratch::new("errors");
    let file = FILE.replace("difference = set.fn 3 10", "difference = set.fn 3 set.nothing");
    let files = [("/d/a.nix", &file[..])];
    let expected = show(&session(&files, None), "/d/a.nix").0;
    assert!(expected.contains("nothing"), "{expected}");
    for n_known in 0..2 {
        let shown = show(&session(&files, Some(dir.cache(1 << 20))), "/d/a.nix");
        assert_eq!(shown, (expected.clone(), n_known));
    }
}

#[test]
fn other_texts_directories_and_languages_are_parsed() {
    let dir = Scratch::new("others");
    let known = |files: &[(&str, &str)], path: &str| {
        show(&session(files, Some(dir.cache(1 << 20))), path).1
    };
    assert_eq!(known(&[("/d/a.nix", FILE)], "/d/a.nix"), 0);
    assert_eq!(known(&[("/d/a.nix", FILE)], "/d/a.nix"), 1);
    assert_eq!(known(&[("/d/other.nix", FILE)], "/d/other.nix"), 1);
    assert_eq!(known(&[("/e/a.nix", FILE)], "/e/a.nix"), 0);
    assert_eq!(known(&[("/d/a.nix", &FILE.replace("tango", "tongo"))], "/d/a.nix"), 0);
    let files = Arc::new(MemoryHost::new([("/d/a.nix", FILE)]));
    let pure = Engine::builder().shared_host(files.clone()).options(|o| {
        o.program_cache = Some(dir.cache(1 << 20));
        o.pure_eval = true;
        o.allowed_paths = vec![b"/".to_vec()];
    });
    assert_eq!(show(&pure.build().expect("an engine").evaluator(), "/d/a.nix").1, 0);
    let fewer = Engine::builder().shared_host(files).without(["match"]);
    let fewer = fewer.options(|o| o.program_cache = Some(dir.cache(1 << 20)));
    assert_eq!(show(&fewer.build().expect("an engine").evaluator(), "/d/a.nix").1, 0);
    let key = Key::of([("version", &b"2"[..])]);
    let newer = ProgramCache::new(&dir.0, 1 << 20, key);
    assert_eq!(show(&session(&[("/d/a.nix", FILE)], Some(newer)), "/d/a.nix").1, 0);
}

#[test]
fn damage_costs_a_parse_and_nothing_else() {
    let dir = Scratch::new("damage");
    let files = [("/d/a.nix", FILE), ("/d/b.nix", ALIASES)];
    let read = || {
        let session = session(&files, Some(dir.cache(1 << 20)));
        (show(&session, "/d/a.nix").0, show(&session, "/d/b.nix"))
    };
    let (a, (b, n_known)) = read();
    assert_eq!(n_known, 0);
    let [path] = &dir.files()[..] else { panic!("one file") };
    let whole = fs::read(path).expect("reads");
    let check = |bytes: &[u8], what: &str| {
        for old in dir.files() {
            fs::remove_file(old).expect("removed");
        }
        fs::write(path, bytes).expect("written");
        let (a2, (b2, _)) = read();
        assert_eq!((a2, b2), (a.clone(), b.clone()), "{what}");
    };
    for n in (0..whole.len()).step_by(101).chain(whole.len() - 20..whole.len()) {
        check(&whole[..n], &format!("the first {n} bytes"));
    }
    for at in (0..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        check(&bytes, &format!("a bit of byte {at}"));
        bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff);
        check(&bytes, &format!("four bytes at {at}"));
    }
}

#[test]
fn files_of_several_sessions_become_few_and_small_enough() {
    let dir = Scratch::new("merge");
    let n_files = 40;
    let texts: Vec<(String, String)> = (0..n_files)
        .map(|n| (format!("/d/{n}.nix"), FILE.replace("tango", &format!("tango{n}"))))
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(p, t)| (&p[..], &t[..])).collect();
    for (path, _) in &texts {
        assert_eq!(show(&session(&files, Some(dir.cache(1 << 22))), path).1, 0);
    }
    assert!(dir.files().len() < 8, "{:?}", dir.files());
    let all = session(&files, Some(dir.cache(1 << 22)));
    for (path, _) in &texts {
        show(&all, path);
    }
    assert_eq!(all.stats().files_known, n_files);
    drop(all);
    // Little room: old ones go, and what is being read stays readable.
    let n_bytes = |dir: &Path| -> u64 {
        let entries = fs::read_dir(dir).expect("reads");
        entries.map(|entry| entry.expect("reads").metadata().expect("is there").len()).sum()
    };
    let small = n_bytes(&dir.0) / 4;
    let reading = session(&files, Some(dir.cache(1 << 22)));
    show(&reading, "/d/0.nix");
    let changed = [("/d/a.nix", ALIASES)];
    show(&session(&changed, Some(dir.cache(small))), "/d/a.nix");
    assert!(n_bytes(&dir.0) <= small);
    for (path, _) in &texts {
        show(&reading, path);
    }
    assert_eq!(reading.stats().files_known, n_files);
    drop(reading);
    // No room at all.
    show(&session(&changed, Some(dir.cache(64))), "/d/a.nix");
    assert!(n_bytes(&dir.0) <= small);
}

#[test]
fn sessions_may_write_at_once() {
    let dir = Scratch::new("at-once");
    let files = [("/d/a.nix", FILE), ("/d/b.nix", ALIASES)];
    let expected =
        [show(&session(&files, None), "/d/a.nix").0, show(&session(&files, None), "/d/b.nix").0];
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (dir, expected, files) = (&dir, &expected, &files);
            scope.spawn(move || {
                for round in 0..20 {
                    let at = (n + round) % 2;
                    let shown = show(&session(files, Some(dir.cache(1 << 16))), files[at].0);
                    assert_eq!(shown.0, expected[at]);
                }
            });
        }
    });
    let scratch = dir.files().into_iter().filter(|path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"new."))
    });
    assert_eq!(scratch.count(), 0);
}

#[test]
fn a_directory_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Scratch::new("shared");
    let files = [("/d/a.nix", FILE)];
    show(&session(&files, Some(dir.cache(1 << 20))), "/d/a.nix");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o777)).expect("changed");
    assert_eq!(show(&session(&files, Some(dir.cache(1 << 20))), "/d/a.nix").1, 0);
    assert_eq!(dir.files().len(), 1);
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o700)).expect("changed");
    assert_eq!(show(&session(&files, Some(dir.cache(1 << 20))), "/d/a.nix").1, 1);
    // What is no directory cannot be used, and nobody is told.
    let file = Scratch::new("no-directory");
    fs::write(&file.0, "").expect("written");
    assert_eq!(show(&session(&files, Some(file.cache(1 << 20))), "/d/a.nix").1, 0);
    fs::remove_file(&file.0).expect("removed");
}
