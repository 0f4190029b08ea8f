//! For every kind of input: a change of it is noticed, and no other.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    thread::sleep,
    time::Duration,
};

use libtest_mimic::Trial;

use super::{add, ask, expect, try_ask};
use crate::{
    bed::Bed,
    http,
    scratch::{Scratch, has, same, succeed},
};

/// Longer than the steps of a file system's clock, as the program takes them.
const OLD: Duration = Duration::from_millis(2_200);

type Change = fn(&Scratch) -> Result<(), String>;
type Call = fn(&Scratch) -> Command;

/// One kind of input.
struct Kind {
    name: &'static str,
    /// `main.nix`.
    source: &'static str,
    call: Call,
    change: Change,
    /// The call after the change, if that is another one.
    after: Option<Call>,
}

const fn kind(name: &'static str, source: &'static str, call: Call, change: Change) -> Kind {
    Kind { name, source, call, change, after: None }
}

fn printed(scratch: &Scratch) -> Command {
    let mut command = scratch.command("instantiate");
    command.args(["--eval", "--strict", "--json", "main.nix"]);
    command
}

fn instantiated(scratch: &Scratch) -> Command {
    let mut command = scratch.command("instantiate");
    command.arg("main.nix");
    command
}

fn with_variable(scratch: &Scratch, value: &str) -> Command {
    let mut command = printed(scratch);
    command.env("COLOUR", value);
    command
}

fn with_argument(scratch: &Scratch, value: &str) -> Command {
    let mut command = printed(scratch);
    command.args(["--argstr", "x", value]);
    command
}

fn with_search_path(scratch: &Scratch, folder: &str) -> Command {
    let mut command = printed(scratch);
    command.env("NIX_PATH", format!("dep={}", scratch.path(folder).display()));
    command
}

fn nothing(_: &Scratch) -> Result<(), String> {
    Ok(())
}

fn text(e: std::io::Error) -> String {
    e.to_string()
}

fn write(scratch: &Scratch, name: &str, contents: &str) -> Result<(), String> {
    scratch.write(name, contents).map(drop)
}

fn executable(path: &Path) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(text)
}

fn relink(link: &Path, target: &str) -> Result<(), String> {
    fs::remove_file(link).and_then(|()| symlink(target, link)).map_err(text)
}

const DERIVATION: &str = r#"src: derivation {
  name = "d";
  system = "x86_64-linux";
  builder = "/bin/sh";
  inherit src;
}"#;

const KINDS: &[Kind] = &[
    kind("an-imported-file", "import ./dep.nix", printed, |s| write(s, "dep.nix", "43")),
    kind("a-file-of-the-same-size", "builtins.readFile ./dep.nix", printed, |s| {
        write(s, "dep.nix", "24")
    }),
    kind("a-hashed-file", "builtins.hashFile \"sha256\" ./dep.nix", printed, |s| {
        write(s, "dep.nix", "24")
    }),
    kind("the-file-itself", "1", printed, |s| write(s, "main.nix", "2")),
    kind("a-file-in-a-copied-tree", "import ./make.nix ./tree", instantiated, |s| {
        write(s, "tree/below/a", "changed")
    }),
    kind("a-new-file-in-a-copied-tree", "import ./make.nix ./tree", instantiated, |s| {
        write(s, "tree/below/new", "")
    }),
    kind("a-bit-in-a-copied-tree", "import ./make.nix ./tree", instantiated, |s| {
        executable(&s.path("tree/below/a"))
    }),
    kind("a-link-in-a-copied-tree", "import ./make.nix ./tree", instantiated, |s| {
        relink(&s.path("tree/link"), "elsewhere")
    }),
    kind("a-copied-file", "import ./make.nix ./dep.nix", instantiated, |s| {
        write(s, "dep.nix", "43")
    }),
    kind("an-interpolated-path", "\"${./tree}\"", printed, |s| write(s, "tree/below/a", "changed")),
    kind("a-named-path", "builtins.path { path = ./tree; name = \"t\"; }", printed, |s| {
        write(s, "tree/below/a", "changed")
    }),
    kind("a-flat-path", "builtins.path { path = ./dep.nix; recursive = false; }", printed, |s| {
        write(s, "dep.nix", "24")
    }),
    kind("a-file-of-a-filtered-tree", FILTERED, printed, |s| write(s, "tree/below/a", "changed")),
    kind("a-bit-in-a-filtered-tree", FILTERED, printed, |s| executable(&s.path("tree/below/a"))),
    kind("a-new-file-in-a-filtered-tree", FILTERED, printed, |s| write(s, "tree/below/new", "")),
    kind("a-directory", "builtins.attrNames (builtins.readDir ./tree/below)", printed, |s| {
        write(s, "tree/below/new", "")
    }),
    kind("the-kind-of-an-entry", "builtins.readDir ./tree/below", printed, |s| {
        fs::remove_file(s.path("tree/below/a")).map_err(text)?;
        fs::create_dir(s.path("tree/below/a")).map_err(text)
    }),
    kind("the-kind-of-a-file", "builtins.readFileType ./tree/below/a", printed, |s| {
        fs::remove_file(s.path("tree/below/a")).map_err(text)?;
        fs::create_dir(s.path("tree/below/a")).map_err(text)
    }),
    kind("a-file-that-appears", "builtins.pathExists ./missing", printed, |s| {
        write(s, "missing", "")
    }),
    kind("a-file-that-goes", "builtins.pathExists ./dep.nix", printed, |s| {
        fs::remove_file(s.path("dep.nix")).map_err(text)
    }),
    kind("a-default-that-is-shadowed", "builtins.pathExists ./tree/default.nix", printed, |s| {
        write(s, "tree/default.nix", "1")
    }),
    kind("the-target-of-a-link", "import ./to-file", printed, |s| {
        relink(&s.path("to-file"), "other.nix")
    }),
    kind("a-link-on-the-way", "import ./to-folder/file.nix", printed, |s| {
        relink(&s.path("to-folder"), "two")
    }),
    kind("a-link-on-the-way-to-nothing", "builtins.pathExists ./to-folder/only", printed, |s| {
        relink(&s.path("to-folder"), "two")
    }),
    kind("a-link-on-the-way-to-a-copy", "\"${./to-folder/tree}\"", printed, |s| {
        relink(&s.path("to-folder"), "two")
    }),
    kind(
        "a-file-behind-a-search-path",
        "import <dep/file.nix>",
        |s| with_search_path(s, "one"),
        |s| write(s, "one/file.nix", "\"changed\""),
    ),
    Kind {
        name: "a-search-path",
        source: "import <dep/file.nix>",
        call: |s| with_search_path(s, "one"),
        change: nothing,
        after: Some(|s| with_search_path(s, "two")),
    },
    Kind {
        name: "a-variable",
        source: "builtins.getEnv \"COLOUR\"",
        call: |s| with_variable(s, "red"),
        change: nothing,
        after: Some(|s| with_variable(s, "blue")),
    },
    Kind {
        name: "an-argument",
        source: "{ x }: x",
        call: |s| with_argument(s, "red"),
        change: nothing,
        after: Some(|s| with_argument(s, "blue")),
    },
];

const FILTERED: &str = "builtins.filterSource (path: type: baseNameOf path != \"ignored\") ./tree";

/// Adds the cases.
pub(super) fn collect(bed: Bed, trials: &mut Vec<Trial>) {
    for kind in KINDS {
        add(bed, trials, &format!("input/{}", kind.name), move |bed| check(bed, kind));
    }
    add(bed, trials, "input/what-a-filter-leaves-out-is-none", ignored);
    add(bed, trials, "input/the-clock", clock);
    add(bed, trials, "input/something-fetched", fetched);
    add(bed, trials, "touched-files-are-compared", touched);
    add(bed, trials, "warnings-and-traces-are-said-again", warnings);
    add(bed, trials, "errors-are-not-kept", errors);
    add(bed, trials, "packages-are-listed-again", packages);
}

fn scene(bed: Bed, source: &str) -> Result<Scratch, String> {
    let scratch = Scratch::new(bed)?;
    for (name, contents) in [
        ("main.nix", source),
        ("dep.nix", "42"),
        ("other.nix", "7"),
        ("make.nix", DERIVATION),
        ("tree/below/a", "text"),
        ("tree/ignored", "text"),
        ("one/file.nix", "\"one\""),
        ("one/only", ""),
        ("one/tree/a", "1"),
        ("two/file.nix", "\"two\""),
        ("two/tree/a", "2"),
        ("unrelated/a", "1"),
    ] {
        scratch.write(name, contents)?;
    }
    for (link, target) in [("tree/link", "below/a"), ("to-file", "dep.nix"), ("to-folder", "one")] {
        symlink(target, scratch.path(link)).map_err(text)?;
    }
    Ok(scratch)
}

fn check(bed: Bed, kind: &Kind) -> Result<(), String> {
    let scratch = scene(bed, kind.source)?;
    let (scratch, call) = (&scratch, kind.call);
    let first = expect("at first", scratch, &mut call(scratch), false)?;
    same("said again", &expect("again", scratch, &mut call(scratch), true)?, &first)?;
    sleep(OLD);
    // Compared by contents, then by stamps.
    for when in ["when files are old", "when stamps are made"] {
        same("said later", &expect(when, scratch, &mut call(scratch), true)?, &first)?;
    }
    scratch.write("unrelated/a", "2")?;
    scratch.write("unrelated/b", "2")?;
    let unrelated = expect("after another change", scratch, &mut call(scratch), true)?;
    same("said after another change", &unrelated, &first)?;
    (kind.change)(scratch)?;
    let after = kind.after.unwrap_or(call);
    let changed = expect("after the change", scratch, &mut after(scratch), false)?;
    let mut anew = after(scratch);
    let anew = ask(scratch, anew.arg("--no-eval-cache"))?;
    same("known without a cache", anew.hit, None)?;
    same("said after the change", &changed, &anew.said)?;
    if changed.stdout == first.stdout {
        return Err(format!("the change changes nothing: {changed:?}"));
    }
    same("said in the end", &expect("in the end", scratch, &mut after(scratch), true)?, &changed)
}

fn ignored(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed, FILTERED)?;
    let first = expect("at first", &scratch, &mut printed(&scratch), false)?;
    scratch.write("tree/ignored", "changed")?;
    same("said", expect("afterwards", &scratch, &mut printed(&scratch), true)?, first)
}

fn clock(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed, "builtins.currentTime")?;
    let first = expect("at first", &scratch, &mut printed(&scratch), false)?;
    sleep(Duration::from_millis(1_100));
    let later = expect("a second later", &scratch, &mut printed(&scratch), false)?;
    if first == later { Err(format!("the clock stands: {first:?}")) } else { Ok(()) }
}

fn fetched(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed, "")?;
    fs::create_dir(scratch.path("served")).map_err(text)?;
    let pack = |colour: &str| {
        scratch.write("top/file.nix", &format!("\"{colour}\""))?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(scratch.path("")).arg("-czf").arg(scratch.path("served/t.tar.gz"));
        succeed(tar.arg("top")).map(drop)
    };
    pack("red")?;
    let server = http::serve(&scratch.path("served"))?;
    scratch.write(
        "main.nix",
        &format!("import (fetchTarball \"{server}/t.tar.gz\" + \"/file.nix\")"),
    )?;
    let call = |seconds: &str| {
        let mut command = printed(&scratch);
        command.args(["--option", "tarball-ttl", seconds]);
        command
    };
    let red = expect("at first", &scratch, &mut call("4"), false)?;
    pack("blue")?;
    same("said at once", &expect("at once", &scratch, &mut call("4"), true)?, &red)?;
    sleep(Duration::from_millis(4_200));
    let blue = expect("when its time is up", &scratch, &mut call("4"), false)?;
    has(&blue.stdout, &["blue"])
}

fn touched(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed, "\"${import ./dep.nix + builtins.readFile ./dep.nix}${./tree}\"")?;
    scratch.write("dep.nix", "\"42\"")?;
    let first = expect("at first", &scratch, &mut printed(&scratch), false)?;
    for round in 0..2 {
        sleep(OLD);
        for name in ["dep.nix", "main.nix", "tree/below/a"] {
            let path = scratch.path(name);
            let contents = fs::read(&path).map_err(text)?;
            fs::write(path, contents).map_err(text)?;
        }
        let when = format!("when touched {round}");
        same("said", &expect(&when, &scratch, &mut printed(&scratch), true)?, &first)?;
    }
    Ok(())
}

fn warnings(bed: Bed) -> Result<(), String> {
    let source = "builtins.trace \"first\" (builtins.warn \"second\" (builtins.trace \"third\" 1))";
    let scratch = scene(bed, source)?;
    let first = expect("at first", &scratch, &mut printed(&scratch), false)?;
    same(
        "said",
        first.stderr.as_str(),
        "trace: first\nevaluation warning: second\ntrace: third\n",
    )?;
    same("said again", expect("again", &scratch, &mut printed(&scratch), true)?, first)
}

fn errors(bed: Bed) -> Result<(), String> {
    let scratch = scene(bed, "import ./appears.nix")?;
    let call = || try_ask(&scratch, &mut printed(&scratch));
    let first = call()?.err().ok_or("there was no error")?;
    same("said again", call()?.err(), Some(first))?;
    scratch.write("appears.nix", "1")?;
    let said = expect("when it appears", &scratch, &mut printed(&scratch), false)?;
    same("printed", said.stdout.as_str(), "1\n")
}

fn packages(bed: Bed) -> Result<(), String> {
    let source = "{ a = import ./make.nix ./tree; b = { x = import ./dep.nix; }; }";
    let scratch = scene(bed, source)?;
    scratch.write("folder/default.nix", "import ../main.nix")?;
    for file in ["main.nix", "folder"] {
        scratch.write("make.nix", DERIVATION)?;
        let call = || {
            let mut command = scratch.command("env");
            command.args(["-qaP", "--drv-path", "-f", file]);
            command
        };
        let first = expect("at first", &scratch, &mut call(), false)?;
        has(&first.stdout, &["a  d  /nix/store/"])?;
        same("said again", &expect("again", &scratch, &mut call(), true)?, &first)?;
        scratch.write("make.nix", &DERIVATION.replace("\"d\"", "\"e\""))?;
        let changed = expect("after a change", &scratch, &mut call(), false)?;
        has(&changed.stdout, &["a  e  /nix/store/"])?;
    }
    Ok(())
}
