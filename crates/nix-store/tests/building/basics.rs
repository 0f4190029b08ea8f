//! Builders run, with what they were promised, in the right order.

use std::os::unix::fs::PermissionsExt;

use nix_store::Store;
use nix_store::build::{BuildError, BuildSettings};

use crate::Case;
use crate::fixture::{Fixture, has, holds, same};

pub(crate) const CASES: &[Case] = &[
    ("a_script_makes_an_output", a_script_makes_an_output),
    ("the_environment_is_the_one_of_the_manual", the_environment),
    ("a_variable_can_come_as_a_file", pass_as_file),
    ("structured_attributes_come_as_two_files", structured_attrs),
    ("two_outputs_are_registered_together", two_outputs),
    ("sources_are_inputs", sources),
    ("dependencies_are_built_first_and_only_once", dependency_chain),
    ("builds_run_at_the_same_time_up_to_the_limit", parallel),
    ("closures_are_told_to_builders_that_ask", graphs),
    ("a_dry_run_tells_the_plan_and_builds_nothing", dry_run),
    ("an_internal_builder_runs_in_the_sandbox", internal),
    ("an_internal_builder_that_panics_is_a_failed_build", internal_panics),
    ("another_system_is_refused_with_both_names", wrong_system),
    ("no_job_slots_are_an_error", no_slots),
];

fn a_script_makes_an_output(f: &Fixture) -> Result<(), String> {
    let drv =
        f.recipe("hello", "echo a line; echo hello > $out; chmod 777 $out; chmod 755 $out").write();
    same(&f.output_of(&drv)?, "hello\n")?;
    same(&f.told.log("hello"), "a line\n")?;
    let path = f.out(&drv, "out");
    let info = f.store.path_info(&path).map_err(|error| error.to_string())?;
    holds(info.ultimate && info.deriver == Some(drv.clone()), "deriver and trust")?;
    holds(info.registration_time > 1_500_000_000, "the time of registration")?;
    let metadata = std::fs::symlink_metadata(f.real(&path)).map_err(|error| error.to_string())?;
    holds(metadata.permissions().mode() & 0o7777 == 0o555, "canonical mode")?;
    holds(std::os::unix::fs::MetadataExt::mtime(&metadata) == 1, "canonical time")?;
    holds(f.leftovers().is_empty(), &format!("{:?}", f.leftovers()))?;
    let log = nix_store::build::log_path(f.store.log_dir(), &drv);
    holds(log.is_file(), "a log file")?;
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    holds(f.told.started().len() == 1, "built once")
}

fn the_environment(f: &Fixture) -> Result<(), String> {
    let drv = f
        .recipe(
            "env",
            "export -p | sort > $out; pwd >> $out; id -u >> $out; id -g >> $out; umask >> $out",
        )
        .env("foo", "it's\n two")
        .env("HOME", "/mine")
        .env("TMPDIR", "/ignored")
        .write();
    let text = f.output_of(&drv)?;
    let out = f.store.display(&f.out(&drv, "out"));
    let expected = format!(
        " two'\n\
         export HOME='/mine'\n\
         export NIX_BUILD_CORES='3'\n\
         export NIX_BUILD_TOP='/build'\n\
         export NIX_LOG_FD='2'\n\
         export NIX_STORE='/nix/store'\n\
         export PATH='/path-not-set'\n\
         export PWD='/build'\n\
         export SHLVL='1'\n\
         export TEMP='/build'\n\
         export TEMPDIR='/build'\n\
         export TERM='xterm-256color'\n\
         export TMP='/build'\n\
         export TMPDIR='/build'\n\
         export builder='/bin/sh'\n\
         export foo='it'\"'\"'s\n\
         export name='env'\n\
         export out='{out}'\n\
         /build\n1000\n100\n0022\n"
    );
    same(&text.replace(r"'\''", "'\"'\"'"), &expected)
}

fn pass_as_file(f: &Fixture) -> Result<(), String> {
    let big = "x".repeat(300_000);
    let drv = f
        .recipe("big", "[ -z \"${big+x}\" ] || exit 3; cat $bigPath > $out")
        .env("big", &big)
        .env("passAsFile", "big other")
        .write();
    same(&f.output_of(&drv)?, &big)
}

fn structured_attrs(f: &Fixture) -> Result<(), String> {
    let script = "cat $NIX_ATTRS_JSON_FILE; echo; cat $NIX_ATTRS_SH_FILE; \
                  export -p | grep -c foo; out=$(grep -o '/nix/store/[^\"]*' /build/.attrs.json); echo > $out";
    let drv = f
        .recipe("attrs", script)
        .attrs(r#"{"foo":"it's","list":[1,2.5],"n":1e3,"name":"attrs"}"#)
        .write();
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let out = f.store.display(&f.out(&drv, "out"));
    same(
        &f.told.log("attrs"),
        &format!(
            "{{\"foo\":\"it's\",\"list\":[1,2.5],\"n\":1e3,\"name\":\"attrs\",\"outputs\":{{\"out\":\"{out}\"}}}}\n\
             declare foo='it'\\''s'\ndeclare n=1000\ndeclare name='attrs'\n\
             declare -A outputs=(['out']='{out}' )\n0\n"
        ),
    )
}

fn two_outputs(f: &Fixture) -> Result<(), String> {
    let drv = f
        .recipe("two", "mkdir $out; echo $dev > $out/dev; echo dev > $dev")
        .outputs(&["out", "dev"])
        .write();
    let outputs = f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let (out, dev) = (&outputs[0]["out"], &outputs[0]["dev"]);
    holds(dev.name() == "two-dev" && out.name() == "two", "names")?;
    let info = f.store.path_info(out).map_err(|error| error.to_string())?;
    holds(info.references.iter().eq([dev]), &format!("{:?}", info.references))
}

fn sources(f: &Fixture) -> Result<(), String> {
    let source = f
        .store
        .add_text("source.txt", b"text\n", &Default::default())
        .map_err(|error| error.to_string())?;
    let text = f.store.display(&source);
    let drv = f
        .recipe("copy", &format!("cat {text} > $out; echo {text} >> $out"))
        .source(&source)
        .write();
    same(&f.output_of(&drv)?, &format!("text\n{text}\n"))
}

fn dependency_chain(f: &Fixture) -> Result<(), String> {
    let base = f.recipe("base", "echo base > $out").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let left = f
        .recipe("left", &format!("cat {base_out} > $out; echo left {base_out} >> $out"))
        .input(&base)
        .write();
    let right = f.recipe("right", &format!("cat {base_out} > $out")).input(&base).write();
    let (l, r) = (f.store.display(&f.out(&left, "out")), f.store.display(&f.out(&right, "out")));
    let script = format!("ls /nix/store | wc -l; cat {l} {r} > $out");
    let top = f.recipe("top", &script).input(&left).input(&right).write();
    same(&f.output_of(&top)?, &format!("base\nleft {base_out}\nbase\n"))?;
    let mut started = f.told.started();
    holds(
        started.first().is_some_and(|n| n == "base") && started.last().is_some_and(|n| n == "top"),
        &format!("{started:?}"),
    )?;
    started.sort();
    holds(started == ["base", "left", "right", "top"], &format!("{started:?}"))?;
    // Only the closure of the inputs is there: both inputs, and the base through one of them.
    same(&f.told.log("top"), "3\n")?;
    has(&f.told.messages(), "these 4 derivations will be built:")
}

fn parallel(f: &Fixture) -> Result<(), String> {
    // Each waits for a file of the other in a directory that both see.
    let shared = f.dir.path().join("shared");
    std::fs::create_dir(&shared).map_err(|error| error.to_string())?;
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777))
        .map_err(|error| error.to_string())?;
    let path =
        nix_store::build::SandboxPath { target: "/shared".into(), source: shared, optional: false };
    let settings = BuildSettings { max_jobs: 2, sandbox_paths: vec![path], ..f.settings.clone() };
    let script = |own: &str, other: &str| {
        format!(
            "echo > /shared/{own}; n=0; while [ ! -e /shared/{other} ]; do sleep 0.1; n=$((n+1)); [ $n -lt 100 ] || exit 9; done; echo > $out"
        )
    };
    let a = f.recipe("a", &script("a", "b")).write();
    let b = f.recipe("b", &script("b", "a")).write();
    f.realise_with(&[&a, &b], &settings).map(drop).map_err(|error| error.to_string())
}

fn graphs(f: &Fixture) -> Result<(), String> {
    let base = f.recipe("base", "echo base > $out").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let dep = f.recipe("dep", &format!("echo {base_out} $out > $out")).input(&base).write();
    let dep_out = f.store.display(&f.out(&dep, "out"));
    let plain = f
        .recipe("plain", "cat g > $out")
        .input(&dep)
        .env("exportReferencesGraph", &format!("g {dep_out}"))
        .write();
    let (first, second) = if base_out < dep_out {
        (format!("{base_out}\n\n0\n"), format!("{dep_out}\n\n2\n{base_out}\n{dep_out}\n"))
    } else {
        (format!("{dep_out}\n\n2\n{dep_out}\n{base_out}\n"), format!("{base_out}\n\n0\n"))
    };
    let text = f.output_of(&plain)?;
    same(&text, &format!("{first}{second}"))?;
    let structured = f
        .recipe("structured", "grep -o '\"graph\":.*' .attrs.json; echo > $(grep -o '/nix/store/[^\"]*-structured' .attrs.json)")
        .input(&dep)
        .attrs(&format!(r#"{{"exportReferencesGraph":{{"graph":["{dep_out}"]}},"name":"structured"}}"#))
        .write();
    f.realise(&[&structured]).map_err(|error| error.to_string())?;
    let log = f.told.log("structured");
    has(&log, "\"closureSize\":")?;
    has(&log, &format!("\"path\":\"{dep_out}\""))?;
    let stranger = f.recipe("x", "").env("exportReferencesGraph", &format!("g {dep_out}")).write();
    has(&f.failure_of(&stranger)?.to_string(), "because it is not in the input closure")
}

fn dry_run(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("dry", "echo > $out").write();
    let settings = BuildSettings { dry_run: true, ..f.settings.clone() };
    f.realise_with(&[&drv], &settings).map_err(|error| error.to_string())?;
    same(
        &f.told.messages(),
        &format!("this derivation will be built:\n  {}\n", f.store.display(&drv)),
    )?;
    holds(f.told.started().is_empty(), "nothing was begun")
}

fn internal(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("probe", "").builder("builtin:probe").env("message", "hi").write();
    let text = f.output_of(&drv)?;
    has(
        &text,
        "uid 1000 pid 1 dir /build root {\"bin\", \"build\", \"dev\", \"etc\", \"nix\", \"proc\", \"tmp\"}",
    )?;
    has(
        &text,
        "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nmessage hi\n",
    )?;
    same(&f.told.log("probe"), "probing\n")
}

fn internal_panics(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("panic", "").builder("builtin:panic").write();
    let error = f.failure_of(&drv)?;
    holds(error.exit_code() == 100, "exit code")?;
    has(&error.to_string(), "the internal builder 'builtin:panic' has a bug and panicked")?;
    let drv = f.recipe("unknown", "").builder("builtin:unknown").write();
    has(&f.failure_of(&drv)?.to_string(), "needs the builder 'builtin:unknown'")
}

fn wrong_system(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("mac", "").system("x86_64-darwin").write();
    let error = f.failure_of(&drv)?;
    holds(error.exit_code() == 1, "exit code")?;
    has(&error.to_string(), "a 'x86_64-darwin' with features {} is required to build")?;
    let drv = f.recipe("vm", "").env("requiredSystemFeatures", "no-such-feature").write();
    has(&f.failure_of(&drv)?.to_string(), "with features {no-such-feature} is required")
}

fn no_slots(f: &Fixture) -> Result<(), String> {
    let drv = f.recipe("x", "").write();
    let settings = BuildSettings { max_jobs: 0, ..f.settings.clone() };
    let error = f.failure_with(&drv, &settings)?;
    holds(matches!(error, BuildError::Impossible(_)), "kind")?;
    has(&error.to_string(), "increase '--max-jobs'")
}
