//! Inputs, and hosts made of others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use nix_eval::{
    CallCx, Engine, ErrorKind,
    host::{
        Capability, Deny, Freshness, Host, Input, Inputs, MemoryHost, NixPath, Overlay, Recording,
    },
};

use crate::{eval, session, show};

fn recorded(files: &[(&str, &str)], text: &str) -> (Inputs, MemoryHost) {
    let host = MemoryHost::new(files.iter().map(|(path, text)| (*path, *text)));
    let recording = Arc::new(Recording::new(host.clone()));
    let engine = Engine::builder()
        .shared_host(recording.clone())
        .search_path("lib", "/missing")
        .search_path("lib", "/lib")
        .builtin_cx("port", |cx: &mut CallCx<'_>| {
            cx.input(Input::external("port", "80"));
            80
        });
    let session = engine.build().unwrap().evaluator();
    session.eval(text, "test", b"/").unwrap().force_deep().unwrap();
    (recording.inputs(), host)
}

#[test]
fn every_input_is_recorded_and_can_be_checked() {
    let files = [("/w/a.nix", "1"), ("/w/b.txt", "two"), ("/w/d/x", ""), ("/lib/default.nix", "3")];
    let text = "[
        (import /w/a.nix) (builtins.readFile /w/b.txt) (builtins.attrNames (builtins.readDir /w/d))
        (builtins.pathExists /w/none) (import <lib>) (builtins.getEnv \"HOME\") builtins.port
    ]";
    let (inputs, host) = recorded(&files, text);
    let json = serde_json::to_string(&inputs).unwrap();
    for part in ["/w/a.nix", "/w/b.txt", "/w/d", "/w/none", "/missing", "/lib", "HOME", "port"] {
        assert!(json.contains(part), "{part} is not in {json}");
    }
    assert_eq!(serde_json::from_str::<Inputs>(&json).unwrap(), inputs);
    assert_eq!(inputs.check(&host), Freshness::Fresh);

    // Any recorded input that changes is found, and nothing else matters.
    let changed = |path: &str, text: Option<&str>| {
        let mut all: BTreeMap<&str, &str> = files.into_iter().collect();
        match text {
            Some(text) => all.insert(path, text),
            None => all.remove(path),
        };
        inputs.check(&MemoryHost::new(all)) != Freshness::Fresh
    };
    assert!(changed("/w/a.nix", Some("2")));
    assert!(changed("/w/b.txt", None));
    assert!(changed("/w/d/y", Some("")));
    assert!(changed("/w/none", Some("")));
    assert!(changed("/missing/default.nix", Some("4")));
    assert!(!changed("/w/other", Some("5")));
    assert!(!changed("/w/d/x", Some("other contents")));
}

#[test]
fn the_default_host_refuses_everything_and_says_so() {
    let session = session();
    let check = |text: &str, expected: &str| {
        let error = session.eval(text, "test", b"/").unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Host, expected), "{text}");
    };
    check("builtins.readFile /etc/passwd", "reading files is not allowed by this host");
    check("builtins.readDir /etc", "reading directories is not allowed by this host");
    check("\"${/etc/passwd}\"", "adding to a store is not allowed by this host");
    assert_eq!(show(&eval(&session, "builtins.pathExists /etc")), "false");
    assert_eq!(show(&eval(&session, "builtins.getEnv \"HOME\"")), "\"\"");
    assert_eq!(
        show(&eval(&session, "[ (builtins ? currentTime) (builtins ? currentSystem) ]")),
        "[ false false ]"
    );
}

#[test]
fn capabilities_can_be_taken_away() {
    let host = MemoryHost::new([("/a", "x")]);
    let engine = Engine::builder().host(Deny::new(host, [Capability::Files]));
    let session = engine.build().unwrap().evaluator();
    let error = session.eval("builtins.readFile /a", "test", b"/").unwrap_err();
    assert_eq!(error.class().name(), "restricted");
}

#[test]
fn buffers_lie_over_files() {
    let host = Arc::new(Overlay::new(MemoryHost::new([("/w/a.nix", "1"), ("/w/b.nix", "2")])));
    host.set(&NixPath::root("/w/a.nix"), Some(b"import ./c.nix".to_vec()));
    host.set(&NixPath::root("/w/c.nix"), Some(b"3".to_vec()));
    let engine = Engine::builder().shared_host(host.clone()).build().unwrap();
    let value = |text: &str| show(&eval(&engine.evaluator(), text));
    assert_eq!(value("[ (import /w/a.nix) (import /w/b.nix) ]"), "[ 3 2 ]");
    assert_eq!(
        value("builtins.attrNames (builtins.readDir /w)"),
        "[ \"a.nix\" \"b.nix\" \"c.nix\" ]"
    );
    host.set(&NixPath::root("/w/a.nix"), None);
    assert_eq!(value("import /w/a.nix"), "1");
}

/// Fails the n-th question.
struct Failing {
    inner: MemoryHost,
    left: AtomicU32,
}

impl Failing {
    fn check(&self, path: &NixPath) -> Result<(), nix_eval::host::HostError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            let error = std::io::Error::other("injected");
            return Err(nix_eval::host::HostError::io(path, error));
        }
        Ok(())
    }
}

impl Host for Failing {
    fn read_file(
        &self,
        path: &NixPath,
        cx: &nix_eval::host::HostCx,
    ) -> Result<Arc<[u8]>, nix_eval::host::HostError> {
        self.check(path)?;
        self.inner.read_file(path, cx)
    }
    fn metadata(
        &self,
        path: &NixPath,
        follow: bool,
        cx: &nix_eval::host::HostCx,
    ) -> Result<Option<nix_eval::host::Metadata>, nix_eval::host::HostError> {
        self.check(path)?;
        self.inner.metadata(path, follow, cx)
    }
}

#[test]
fn a_host_that_fails_once_fails_one_request() {
    let files = [
        ("/w/default.nix", "import ./a.nix + import ./b"),
        ("/w/a.nix", "1"),
        ("/w/b/default.nix", "2"),
    ];
    let mut n = 0;
    loop {
        let host = Arc::new(Failing { inner: MemoryHost::new(files), left: AtomicU32::new(n) });
        let session = Engine::builder().shared_host(host.clone()).build().unwrap().evaluator();
        let first = session.eval("import /w", "test", b"/");
        if (host.left.load(Ordering::Relaxed) as i32) >= 0 {
            assert_eq!(first.unwrap().to_int().unwrap(), 3);
            break;
        }
        let error = first.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Host, "{error}");
        assert!(error.location().is_some(), "question {n}");
        let text = session.eval("1 + 1", "test", b"/").unwrap();
        assert_eq!(text.to_int().unwrap(), 2);
        n += 1;
        assert!(n < 100);
    }
    assert!(n >= 5, "only {n} questions were asked");
}
