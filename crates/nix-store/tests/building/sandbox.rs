//! What a builder sees of the machine, and what it cannot do to it.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use nix_formats::hash::{Hash, HashAlgo};
use nix_formats::store_path::FileMethod;
use nix_store::Store;
use nix_store::build::{BuildSettings, SandboxMode, SandboxPath};

use crate::Case;
use crate::fixture::{Fixture, has, holds, same};

pub(crate) const CASES: &[Case] = &[
    ("the_file_system_has_only_what_was_declared", file_system),
    ("inputs_cannot_be_changed", read_only_inputs),
    ("there_is_no_network", no_network),
    ("a_fixed_output_has_the_network_of_the_machine", network),
    ("only_fixed_outputs_get_variables_of_the_caller", impure_env),
    ("no_descriptor_capability_or_privilege_is_left", privileges),
    ("setuid_bits_and_attributes_are_refused", setuid),
    ("kernel_settings_cannot_be_written", kernel_settings),
    ("paths_of_the_machine_are_shown_only_when_allowed", host_paths),
    ("paths_of_the_settings_are_shown", settings_paths),
    ("the_shell_of_the_machine_works_too", host_shell),
    ("a_symbolic_link_is_an_input_like_any_other", link_input),
    ("without_a_sandbox_a_moved_store_is_refused", moved_store),
    ("without_a_sandbox_builds_work_in_a_store_at_its_place", unsandboxed),
];

fn file_system(f: &Fixture) -> Result<(), String> {
    let script = "ls -1a /; ls -1 /bin /dev /etc /tmp /nix /nix/store /build; cat /etc/passwd /etc/group /etc/hosts; \
                  hostname; cat /proc/sys/kernel/domainname; echo x > /dev/null; echo x > /tmp/x; echo x > /dev/shm/x; \
                  ls /proc | grep -c '^[0-9]'; stat -c '%a %u %g' /nix/store /tmp /build; readlink /dev/ptmx; echo > $out";
    let drv = f.recipe("fs", script).write();
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let log = f.told.log("fs").replace("kvm\n", "");
    let expected = "\
.\n..\nbin\nbuild\ndev\netc\nnix\nproc\ntmp\n\
/bin:\nsh\n\n\
/build:\n\n\
/dev:\nfd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\n\
/etc:\ngroup\nhosts\npasswd\n\n\
/nix:\nstore\n\n\
/nix/store:\n\n\
/tmp:\n\
root:x:0:0:Nix build user:/build:/noshell\n\
nixbld:x:1000:100:Nix build user:/build:/noshell\n\
nobody:x:65534:65534:Nobody:/:/noshell\n\
root:x:0:\nnixbld:!:100:\nnogroup:x:65534:\n\
127.0.0.1 localhost\n::1 localhost\n\
localhost\n(none)\n\
3\n\
1775 1000 100\n1777 ";
    holds(log.starts_with(expected), &format!("--- found\n{log}\n--- expected\n{expected}"))?;
    has(&log, "700 1000 100\n/dev/pts/ptmx\n")
}

fn read_only_inputs(f: &Fixture) -> Result<(), String> {
    let base = f.recipe("base", "mkdir $out; echo base > $out/f").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let script = format!(
        "chmod -R u+w {base_out}; echo evil > {base_out}/f; echo evil > {base_out}/g; rm -rf {base_out}; cat {base_out}/f > $out"
    );
    let drv = f.recipe("evil", &script).input(&base).write();
    same(&f.output_of(&drv)?, "base\n")?;
    same(&f.read_inside(&base, "f")?, "base\n")
}

fn no_network(f: &Fixture) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let script = format!(
        "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '; cat /sys/class/net/lo/flags 2>/dev/null; nc -w 1 127.0.0.1 {port} < /dev/null && exit 5; ping -c 1 127.0.0.1 > /dev/null 2>&1; ip addr show lo | grep -c 'UP'; echo > $out"
    );
    let drv = f.recipe("net", &script).write();
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let log = f.told.log("net");
    has(&log, "lo\n")?;
    holds(!log.contains("eth"), &log)?;
    holds(log.trim_end().ends_with('1'), &format!("the loopback device is up:\n{log}"))
}

fn network(f: &Fixture) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let server = std::thread::spawn(move || {
        use std::io::Write;
        if let Ok((mut peer, _)) = listener.accept() {
            let _ = peer.write_all(b"hello\n");
        }
    });
    let script = format!("cat /etc/nsswitch.conf; nc -w 5 127.0.0.1 {port} < /dev/null > $out");
    let drv = f
        .recipe("net", &script)
        .fixed(FileMethod::Flat, Hash::of(HashAlgo::Sha256, "hello\n"))
        .write();
    let text = f.output_of(&drv);
    // Whatever happened, the server must not wait for ever.
    let _ = std::net::TcpStream::connect(("127.0.0.1", port));
    let _ = server.join();
    same(&text?, "hello\n")?;
    has(&f.told.log("net"), "hosts: files dns\nservices: files\n")
}

fn impure_env(f: &Fixture) -> Result<(), String> {
    let mut settings = f.settings.clone();
    settings.environment.insert(b"PROXY".to_vec(), b"p".to_vec());
    settings.environment.insert(b"SECRET".to_vec(), b"s".to_vec());
    let script = "echo \"${PROXY-unset} ${SECRET-unset} ${GONE-unset} ${NIX_OUTPUT_CHECKED-unset}\"; echo > $out";
    let fixed = f
        .recipe("fixed", script)
        .env("impureEnvVars", "PROXY GONE")
        .fixed(FileMethod::Flat, Hash::of(HashAlgo::Sha256, "\n"))
        .write();
    let plain = f.recipe("plain", script).env("impureEnvVars", "PROXY GONE").write();
    f.realise_with(&[&fixed, &plain], &settings).map_err(|error| error.to_string())?;
    same(&f.told.log("fixed"), "p unset  1\n")?;
    same(&f.told.log("plain"), "unset unset unset unset\n")
}

fn privileges(f: &Fixture) -> Result<(), String> {
    let script = "for n in $(seq 0 99); do [ -L /proc/1/fd/$n ] && echo $n $(readlink /proc/1/fd/$n | sed 's/[0-9]*$//'); done; grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:)' /proc/self/status; \
                  ulimit -c; cat /proc/self/personality; ls /proc/1/root/ | wc -l; unshare -r true 2>/dev/null; \
                  mount -t tmpfs none /tmp 2>/dev/null && exit 7; tty; echo > $out";
    let drv = f.recipe("priv", script).write();
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let zero = "0000000000000000";
    same(
        &f.told.log("priv"),
        &format!(
            "0 /dev/null\n1 /dev/pts/\n2 /dev/pts/\nSigBlk:\t{zero}\nSigIgn:\t{zero}\nCapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapBnd:\t{zero}\nCapAmb:\t{zero}\n\
             NoNewPrivs:\t1\nSeccomp:\t2\n0\n00040000\n7\nnot a tty\n"
        ),
    )
}

fn setuid(f: &Fixture) -> Result<(), String> {
    let script = "echo > $out; chmod 4755 $out && exit 3; chmod 2755 $out && exit 4; \
                  install -m 4755 $out /build/x 2>/dev/null && exit 5; \
                  setfattr -n user.x -v y $out 2>/dev/null && exit 6; stat -c %a $out";
    let drv = f.recipe("setuid", script).write();
    f.realise(&[&drv]).map_err(|error| error.to_string())?;
    let log = f.told.log("setuid");
    has(&log, "Operation not permitted")?;
    holds(log.ends_with("644\n"), &log)
}

fn kernel_settings(f: &Fixture) -> Result<(), String> {
    let script = "echo x 2>/dev/null > /proc/sys/kernel/core_pattern && exit 3; \
                  echo b 2>/dev/null > /proc/sysrq-trigger && exit 4; echo > $out";
    let drv = f.recipe("kernel", script).write();
    f.realise(&[&drv]).map(drop).map_err(|error| error.to_string())
}

fn host_paths(f: &Fixture) -> Result<(), String> {
    let dir = f.dir.path().join("tools");
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    fs::write(dir.join("tool"), "tool\n").map_err(|error| error.to_string())?;
    let text = dir.display().to_string();
    let script = format!("echo evil > {text}/new; cat {text}/tool > $out");
    let drv =
        f.recipe("host", &script).env("__impureHostDeps", &format!("{text}/tool {text}")).write();
    let error = f.failure_of(&drv)?.to_string();
    has(&error, "'allowed-impure-host-deps' does not allow")?;
    let settings =
        BuildSettings { allowed_impure_host_deps: vec![dir.clone()], ..f.settings.clone() };
    let outputs = f.realise_with(&[&drv], &settings).map_err(|error| error.to_string())?;
    same(&f.read(&outputs[0]["out"])?, "tool\n")?;
    holds(!dir.join("new").exists(), "it is read-only")?;
    let sly = f.recipe("sly", "").env("__impureHostDeps", &format!("{text}/../secret")).write();
    has(&f.failure_with(&sly, &settings)?.to_string(), "does not allow")
}

fn settings_paths(f: &Fixture) -> Result<(), String> {
    let dir = f.dir.path().join("cache");
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    fs::write(dir.join("x"), "cached\n").map_err(|error| error.to_string())?;
    let path = |target: &str, source: PathBuf, optional| SandboxPath {
        target: target.into(),
        source,
        optional,
    };
    let sandbox_paths =
        vec![path("/var/cache", dir, false), path("/gone", "/no/such".into(), true)];
    let settings = BuildSettings { sandbox_paths, ..f.settings.clone() };
    let drv = f.recipe("cache", "[ ! -e /gone ] || exit 3; cat /var/cache/x > $out").write();
    let outputs = f.realise_with(&[&drv], &settings).map_err(|error| error.to_string())?;
    same(&f.read(&outputs[0]["out"])?, "cached\n")
}

fn link_input(f: &Fixture) -> Result<(), String> {
    let base = f.recipe("base", "echo base > $out").write();
    let base_out = f.store.display(&f.out(&base, "out"));
    let link = f.recipe("link", &format!("ln -s {base_out} $out")).input(&base).write();
    let link_out = f.store.display(&f.out(&link, "out"));
    let drv = f
        .recipe("top", &format!("readlink {link_out} > $out; cat {link_out} >> $out"))
        .input(&link)
        .write();
    same(&f.output_of(&drv)?, &format!("{base_out}\nbase\n"))
}

fn moved_store(f: &Fixture) -> Result<(), String> {
    let settings = BuildSettings { sandbox: SandboxMode::Off, ..f.settings.clone() };
    let drv = f.recipe("x", "echo > $out").write();
    let error = f.failure_with(&drv, &settings)?;
    holds(error.exit_code() == 1, "exit code")?;
    has(&error.to_string(), "can be built only in a sandbox")
}

fn unsandboxed(_: &Fixture) -> Result<(), String> {
    let f = Fixture::at_its_place();
    let settings = BuildSettings { sandbox: SandboxMode::Off, ..f.settings.clone() };
    // It leaves a process behind that has let go of everything.
    let script = "echo $NIX_BUILD_TOP > $out; pwd >> $out; \
                  (trap '' TERM HUP; setsid sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > /dev/null; echo $! >> $out)";
    let drv = f.recipe("plain", script).write();
    let outputs = f.realise_with(&[&drv], &settings).map_err(|error| error.to_string())?;
    let text = f.read(&outputs[0]["out"])?;
    let lines: Vec<&str> = text.lines().collect();
    let top = f.store.state_dir().join("builds").display().to_string();
    holds(lines[0].starts_with(&top) && lines[1] == lines[0], &text)?;
    let command = fs::read_to_string(format!("/proc/{}/cmdline", lines[2])).unwrap_or_default();
    holds(!command.contains("sleep"), "what the builder left behind is gone")?;
    holds(f.leftovers().is_empty(), "nothing else is left")
}

fn host_shell(f: &Fixture) -> Result<(), String> {
    // As on a machine without busybox: the shell of the host, with its loader and libraries.
    let shell = fs::canonicalize("/bin/sh").map_err(|error| error.to_string())?;
    let mut sandbox_paths = nix_store::build::sandbox::shell::with_libraries(&shell);
    sandbox_paths[0].target = "/bin/sh".into();
    let settings = BuildSettings { sandbox_paths, ..f.settings.clone() };
    let drv = f.recipe("x", "echo hello > $out").write();
    let outputs = f.realise_with(&[&drv], &settings).map_err(|error| error.to_string())?;
    same(&f.read(&outputs[0]["out"])?, "hello\n")
}
