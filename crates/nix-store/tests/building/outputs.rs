//! What comes out of a build: references, promises, and failures.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::FileMethod;
use nix_store::Store;
use nix_store::build::{BuildError, BuildSettings, FailureKind, FailureReport};

use crate::Case;
use crate::fixture::{Fixture, has, holds, same};

pub(crate) const CASES: &[Case] = &[
    ("references_are_found_by_their_hash_parts", references),
    ("a_failing_builder_is_reported_with_its_last_lines", failing),
    ("a_program_that_is_not_there_is_a_failure", no_program),
    ("a_missing_output_is_a_failure", missing_output),
    ("outputs_that_refer_to_each_other_in_a_circle_are_refused", cycle),
    ("an_output_open_to_everybody_is_refused", open_output),
    ("devices_pipes_and_sockets_are_refused", special_files),
    ("fixed_outputs_are_checked_and_wrong_contents_kept", fixed),
    ("fixed_outputs_of_every_kind", fixed_kinds),
    ("files_are_fetched_and_checked", fetch_file),
    ("executables_are_fetched_over_http", fetch_http),
    ("promises_about_references_are_kept", promises),
    ("a_second_build_is_compared", check_mode),
    ("missing_outputs_are_rebuilt_beside_valid_ones", partial),
    ("a_failed_build_is_kept_when_asked", keep_failed),
    ("others_go_on_after_a_failure_when_asked", keep_going),
    ("real_nix_finds_the_store_consistent", verify),
];

fn report(error: BuildError) -> Result<FailureReport, String> {
    match error {
        BuildError::Failed(report) => Ok(*report),
        other => Err(format!("not a failed build: {other}")),
    }
}

fn references(f: &Fixture) -> Result<(), String> {
    let a = f.recipe("a", "echo a > $out").write();
    let b = f.recipe("b", "echo b > $out").write();
    let (a_out, b_out) = (f.out(&a, "out"), f.out(&b, "out"));
    // The hash part alone counts, without a directory and in the middle of a word.
    let script =
        format!("mkdir $out; echo xx{}yy > $out/a; ln -s $out/a $out/self", a_out.hash_part());
    let drv = f.recipe("c", &script).input(&a).input(&b).write();
    let outputs = f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let out = &outputs[0]["out"];
    let info = f.store.path_info(out).map_err(|error| error.to_string())?;
    holds(info.references.contains(&a_out) && info.references.contains(out), "found both")?;
    holds(!info.references.contains(&b_out), "and nothing else")
}

fn failing(f: &Fixture) -> Result<(), String> {
    let script = "for i in $(seq 30); do echo line $i; done; echo half > $out; exit 3";
    let drv = f.recipe("failing", script).write();
    let error = f.failure_of(&drv)?;
    holds(error.exit_code() == 100, "exit code")?;
    let report = report(error)?;
    let failure = &report.failures[0];
    holds(failure.kind == FailureKind::Builder && failure.n_log_lines == 30, "facts")?;
    holds(failure.log_tail.len() == 25 && failure.log_tail[24] == "line 30", "tail")?;
    let text = report.to_string();
    has(&text, "builder for 'failing' failed with exit code 3\n   /nix/store/")?;
    has(&text, "last 25 of 30 log lines:\n   > line 6\n")?;
    let out = f.out(&drv, "out");
    holds(!f.real(&out).exists(), "no output is left")?;
    holds(f.leftovers().is_empty(), &format!("{:?}", f.leftovers()))?;
    let killed = f.recipe("killed", "kill -9 $$; sh -c 'kill -SEGV $$'; exit $?").write();
    // Process 1 of a namespace is not killed from inside; its children are.
    has(&f.failure_of(&killed)?.to_string(), "failed with exit code 139")
}

fn no_program(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("x", "").builder("/no/such/program").write();
    let error = f.failure_of(&drv)?;
    holds(error.exit_code() == 100, "exit code")?;
    has(&error.to_string(), "executing '/no/such/program': No such file or directory")
}

fn missing_output(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("lazy", "echo > $out").outputs(&["out", "doc"]).write();
    let error = f.failure_of(&drv)?;
    holds(error.exit_code() == 100, "exit code")?;
    has(
        &error.to_string(),
        "builder for 'lazy' failed to produce output path for output 'doc' at '/nix/store/",
    )?;
    holds(!f.store.is_valid(&f.out(&drv, "out")).unwrap_or(true), "not even the other one")
}

fn cycle(f: &Fixture) -> Result<(), String> {
    let drv = f
        .recipe("ring", "echo $b > $a; echo $a > $b; echo > $out")
        .outputs(&["out", "a", "b"])
        .write();
    has(&f.failure_of(&drv)?.to_string(), "cycle detected in build of")
}

fn open_output(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("open", "echo > $out; chmod 666 $out").write();
    has(&f.failure_of(&drv)?.to_string(), "can be written by others")
}

fn special_files(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("pipe", "mkdir $out; mkfifo $out/pipe").write();
    has(&f.failure_of(&drv)?.to_string(), "neither a file, a directory nor a symbolic link")
}

fn fixed(f: &Fixture) -> Result<(), String> {
    let right = Hash::of(HashAlgo::Sha256, "hello\n");
    let wrong = Hash::of(HashAlgo::Sha256, "other");
    let script = "echo built; echo hello > $out";
    let bad = f.recipe("file", script).fixed(FileMethod::Flat, wrong).write();
    let error = f.failure_of(&bad)?;
    holds(error.exit_code() == 102, "exit code")?;
    has(
        &error.to_string(),
        &format!(
            "hash mismatch in fixed-output derivation '{}':\n  specified: {}\n     got:    {}",
            f.store.display(&bad),
            wrong.to_sri(),
            right.to_sri()
        ),
    )?;
    holds(!f.real(&f.out(&bad, "out")).exists(), "nothing at the promised path")?;
    // The contents are where the right hash puts them: nothing is built.
    let good = f.recipe("file", script).fixed(FileMethod::Flat, right).write();
    same(&f.output_of(&good)?, "hello\n")?;
    holds(f.told.started().len() == 1, "one build in all")
}

fn fixed_kinds(f: &Fixture) -> Result<(), String> {
    for (name, method, hash) in [
        ("md5", FileMethod::Flat, Hash::of(HashAlgo::Md5, "hello\n")),
        ("sha512", FileMethod::Flat, Hash::of(HashAlgo::Sha512, "hello\n")),
        (
            "nar",
            FileMethod::Nar,
            Hash::parse("sha256:04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw", None)
                .map_err(|e| e.to_string())?,
        ),
    ] {
        let drv = f.recipe(name, "echo hello > $out").fixed(method, hash).write();
        same(&f.output_of(&drv)?, "hello\n")?;
        let info = f.store.path_info(&f.out(&drv, "out")).map_err(|error| error.to_string())?;
        holds(info.ca.is_some(), "content address")?;
    }
    let hash = Hash::of(HashAlgo::Sha256, "");
    let drv = f.recipe("dir", "mkdir $out").fixed(FileMethod::Flat, hash).write();
    has(&f.failure_of(&drv)?.to_string(), "should be a non-executable regular file")?;
    let base = f.recipe("base", "echo > $out").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let drv = f
        .recipe("refers", &format!("echo {base_out} > $out"))
        .input(&base)
        .fixed(FileMethod::Flat, hash)
        .write();
    has(&f.failure_of(&drv)?.to_string(), "illegal path references in fixed-output derivation")
}

fn promises(f: &Fixture) -> Result<(), String> {
    let base = f.recipe("base", "echo > $out").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let mid = f.recipe("mid", &format!("echo {base_out} > $out")).input(&base).write();
    let mid_out = f.store.display(&f.out(&mid, "out"));
    let script = format!("echo {mid_out} > $out");
    for (name, value, fails) in [
        ("allowedReferences", String::new(), true),
        ("allowedReferences", mid_out.clone(), false),
        ("allowedRequisites", mid_out.clone(), true),
        ("allowedRequisites", format!("{mid_out} {base_out}"), false),
        ("disallowedReferences", base_out.clone(), false),
        ("disallowedReferences", mid_out.clone(), true),
        ("disallowedRequisites", base_out.clone(), true),
    ] {
        let drv = f.recipe("top", &script).input(&mid).input(&base).env(name, &value).write();
        match f.realise(&[&drv]) {
            Ok(_) => holds(!fails, &format!("{name} = {value:?} was let pass"))?,
            Err(error) => {
                holds(fails, &format!("{name} = {value:?}: {error}"))?;
                has(&error.to_string(), "is not allowed to refer to the following paths")?;
            }
        }
    }
    let script = format!(
        "o=$(grep -o '/nix/store/[^\"]*-sized' .attrs.json | head -n 1); echo {mid_out} > $o"
    );
    let drv = f
        .recipe("sized", &script)
        .input(&mid)
        .attrs(r#"{"name":"sized","outputChecks":{"out":{"maxSize":10}}}"#)
        .write();
    has(&f.failure_of(&drv)?.to_string(), "is too large")
}

fn check_mode(f: &Fixture) -> Result<(), String> {
    let settings = BuildSettings { check: true, ..f.settings.clone() };
    let steady = f.recipe("steady", "echo always > $out").write();
    has(&f.failure_with(&steady, &settings).err().unwrap_or_default(), "the build succeeded")?;
    f.realise_with(&[&steady], &settings).map_err(|error| error.to_string())?;
    holds(f.told.started().len() == 2, "built twice")?;
    let random = f.recipe("random", "head -c 8 /dev/urandom > $out").write();
    f.realise(&[&random]).map_err(|error| error.to_string())?;
    let before = fs::read(f.real(&f.out(&random, "out"))).map_err(|error| error.to_string())?;
    let error = f.failure_with(&random, &settings)?;
    holds(error.exit_code() == 104, "exit code")?;
    let out = f.store.display(&f.out(&random, "out"));
    has(
        &error.to_string(),
        &format!("may not be deterministic: output '{out}' differs (contents differ at byte "),
    )?;
    let after = fs::read(f.real(&f.out(&random, "out"))).map_err(|error| error.to_string())?;
    holds(before == after, "the valid output is untouched")?;
    let settings = BuildSettings { keep_failed: true, ..settings };
    has(&f.failure_with(&random, &settings)?.to_string(), &format!("differs from '{out}.check'"))?;
    let mut kept = f.real(&f.out(&random, "out")).into_os_string();
    kept.push(".check");
    holds(std::path::Path::new(&kept).is_file(), "the other contents are kept")
}

fn partial(f: &Fixture) -> Result<(), String> {
    let drv = f
        .recipe("two", "head -c 8 /dev/urandom > $out; echo dev > $dev")
        .outputs(&["out", "dev"])
        .write();
    // By another process, or our temporary roots would keep what is deleted next.
    let status = crate::stopping::build_elsewhere(f, &drv)?.wait();
    holds(status.is_ok_and(|status| status.success()), "the first build")?;
    let (out, dev) = (f.out(&drv, "out"), f.out(&drv, "dev"));
    let before = fs::read(f.real(&out)).map_err(|error| error.to_string())?;
    let options =
        nix_store::local::CollectOptions { only: Some([dev.clone()].into()), ..Default::default() };
    f.store.collect_garbage(&options).map_err(|error| error.to_string())?;
    holds(!f.real(&dev).exists(), "one output is gone")?;
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    same(&f.read(&dev)?, "dev\n")?;
    holds(
        before == fs::read(f.real(&out)).map_err(|error| error.to_string())?,
        "the other is the same",
    )
}

fn keep_failed(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("kept", "echo trace > file; exit 1").write();
    let settings = BuildSettings { keep_failed: true, ..f.settings.clone() };
    let report = report(f.failure_with(&drv, &settings)?)?;
    let dir = report.failures[0].kept_dir.clone().ok_or("not kept")?;
    let text = fs::read_to_string(dir.join("file")).map_err(|error| error.to_string())?;
    same(&text, "trace\n")?;
    let mode = fs::metadata(&dir).map_err(|error| error.to_string())?.permissions().mode();
    holds(mode & 0o7777 == 0o755, "its mode")?;
    has(&f.told.messages(), "note: keeping build directory")?;
    // Later builds leave it alone.
    f.output_of(&f.recipe("later", "echo > $out").write())?;
    holds(dir.is_dir(), "it stays")
}

fn keep_going(f: &Fixture) -> Result<(), String> {
    let bad = f.recipe("bad", "exit 1").write();
    let bad_out = f.store.display(&f.out(&bad, "out"));
    let top = f.recipe("top", &format!("cat {bad_out}")).input(&bad).write();
    let good = f.recipe("good", "echo > $out").write();
    let wrong = f
        .recipe("wrong", "echo > $out")
        .fixed(FileMethod::Flat, Hash::of(HashAlgo::Sha256, "x"))
        .write();
    let settings = BuildSettings { keep_going: true, ..f.settings.clone() };
    let Err(error) = f.realise_with(&[&top, &good, &wrong], &settings) else {
        return Err("it succeeded".into());
    };
    holds(error.exit_code() == 102, &format!("exit code {}", error.exit_code()))?;
    let text = error.to_string();
    has(&text, "1 dependant not built: top")?;
    has(&text, "2 failed, 1 not attempted, 1 built")?;
    holds(f.store.is_valid(&f.out(&good, "out")).unwrap_or(false), "the good one is built")
}

fn verify(f: &Fixture) -> Result<(), String> {
    let base =
        f.recipe("base", "mkdir $out; echo x > $out/x; ln -s x $out/l; chmod +x $out/x").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let top = f.recipe("top", &format!("echo {base_out} $out > $out")).input(&base).write();
    let outputs = f.realise(&[&top]).map_err(|error| error.to_string())?;
    f.store.flush().map_err(|error| error.to_string())?;
    let (success, text) = f.real_nix(&["--verify", "--check-contents"])?;
    holds(success && !text.contains("error") && !text.contains("modified"), &text)?;
    let path = f.store.display(&outputs[0]["out"]);
    let (_, text) = f.real_nix(&["--query", "--references", &path])?;
    has(&text, &base_out)?;
    let (_, text) = f.real_nix(&["--query", "--deriver", &path])?;
    has(&text, &f.store.display(&top))?;
    let (_, text) = f.real_nix(&["--read-log", &path])?;
    holds(!text.contains("error"), &text)
}

fn fetch_file(f: &Fixture) -> Result<(), String> {
    let file = f.dir.path().join("a file.txt");
    fs::write(&file, "hello\n").map_err(|error| error.to_string())?;
    let url = format!("file://{}", file.display()).replace(' ', "%20");
    let right = Hash::of(HashAlgo::Sha256, "hello\n");
    let recipe = |name: &str, hash| {
        f.recipe(name, "")
            .builder("builtin:fetchurl")
            .system("builtin")
            .env("url", &url)
            .fixed(FileMethod::Flat, hash)
    };
    let hidden = f.failure_of(&recipe("hidden", right).write())?.to_string();
    has(&hidden, "'allowed-impure-host-deps'")?;
    let settings = BuildSettings {
        allowed_impure_host_deps: vec![f.dir.path().to_owned()],
        ..f.settings.clone()
    };
    let output_of = |drv: &_| {
        let outputs = f.realise_with(&[drv], &settings).map_err(|error| error.to_string())?;
        f.read(&outputs[0]["out"])
    };
    same(&output_of(&recipe("right", right).write())?, "hello\n")?;
    let wrong = recipe("wrong", Hash::of(HashAlgo::Sha256, "other")).write();
    let error = f.failure_with(&wrong, &settings)?;
    holds(error.exit_code() == 102, "exit code")?;
    has(&error.to_string(), &format!("url:    {url}"))?;
    let gone = f
        .recipe("gone", "")
        .builder("builtin:fetchurl")
        .env("urls", &format!("file:///no/such/file {url}"))
        .fixed(FileMethod::Flat, right)
        .write();
    same(&output_of(&gone)?, "hello\n")?;
    has(&f.told.log("gone"), "cannot fetch 'file:///no/such/file'")?;
    let none = f
        .recipe("none", "")
        .builder("builtin:fetchurl")
        .env("url", "file:///no/such/file")
        .fixed(FileMethod::Flat, right)
        .write();
    has(&f.failure_of(&none)?.to_string(), "cannot fetch 'file:///no/such/file': No such file")
}

fn fetch_http(f: &Fixture) -> Result<(), String> {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let server = std::thread::spawn(move || {
        if let Ok((mut peer, _)) = listener.accept() {
            let mut request = [0; 4096];
            let n = peer.read(&mut request).unwrap_or(0);
            let answer =
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n#!/bin/sh\n";
            let _ = peer.write_all(answer.as_bytes());
            return String::from_utf8_lossy(&request[..n]).into_owned();
        }
        String::new()
    });
    let hash = nar_hash_of_script(f)?;
    let drv = f
        .recipe("script", "")
        .builder("builtin:fetchurl")
        .env("url", &format!("http://127.0.0.1:{port}/x"))
        .env("executable", "1")
        .fixed(FileMethod::Nar, hash)
        .write();
    let text = f.output_of(&drv);
    let _ = std::net::TcpStream::connect(("127.0.0.1", port));
    let request = server.join().map_err(|_| "the server panicked")?;
    same(&text?, "#!/bin/sh\n")?;
    has(&request, "GET /x HTTP/1.1")
}

/// The NAR hash of an executable file with the contents that the server of the case sends.
fn nar_hash_of_script(f: &Fixture) -> Result<Hash, String> {
    let file = f.dir.path().join("script");
    fs::write(&file, "#!/bin/sh\n").map_err(|error| error.to_string())?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    let mut nar = Vec::new();
    let (dir, name) = nix_store::sys::Dir::open_parent(&file).map_err(|error| error.to_string())?;
    nix_store::sys::dump_nar(&dir, name, &mut nar).map_err(|error| error.to_string())?;
    Ok(Hash::of(HashAlgo::Sha256, nar))
}
