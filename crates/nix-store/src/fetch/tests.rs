//! Fetching into a store, from the loopback device, files and repositories.

use std::process::Command;

use nix_eval::host::GitRequest;

use super::*;
use crate::host::{StoreHost, StoreHostOptions};
use crate::http::tests::{Server, answer};
use crate::local::StoreConfig;

struct Scene {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalStore::open(StoreConfig::chroot(&dir.path().join("root"))).unwrap());
    let mut settings = FetchSettings::from_environment(|name| {
        (name == "PATH").then(|| std::env::var("PATH").unwrap())
    });
    settings.cache_dir = Some(dir.path().join("cache"));
    settings.http.back_off = Duration::from_millis(1);
    Scene { fetcher: Fetcher::new(store, settings), dir }
}

impl Scene {
    fn text(&self, fetched: &Fetched, inner: &str) -> String {
        let path = self.fetcher.store.real_path(&fetched.path);
        std::fs::read_to_string(path.join(inner)).unwrap()
    }

    fn tar(&self, args: &[&str]) -> Vec<u8> {
        let out = Command::new("tar").current_dir(self.dir.path()).args(args).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }
}

#[test]
fn a_file_is_fetched_once_and_checked() {
    let scene = scene();
    let server = Server::of(b"hi\nx\n".to_vec());
    let url = format!("{}/f", server.url);
    let hash = Hash::of(HashAlgo::Sha256, "hi\nx\n");
    let first = scene.fetcher.fetch_url(&url, "f", Some(&hash)).unwrap();
    let real = scene.fetcher.store.real_path(&first.path);
    assert_eq!(std::fs::read(real).unwrap(), b"hi\nx\n");
    // The path that Nix 2.8 gives for these bytes and this name.
    assert_eq!(first.path.base_name(), "x5r89slfgal8xxs3ik05xiqyslskl46k-f");
    assert_eq!(scene.fetcher.fetch_url(&url, "f", Some(&hash)).unwrap(), first);
    assert_eq!(server.n_requests(), 1);
    let wrong = Hash::of(HashAlgo::Sha256, "other");
    let error = scene.fetcher.fetch_url(&url, "f", Some(&wrong)).unwrap_err();
    assert!(is_hash_mismatch(&error));
    let text = error.to_string();
    assert!(text.contains(&wrong.to_sri()) && text.contains(&hash.to_sri()), "{text}");
    assert!(is_hash_mismatch(&nix_eval::Error::from(HostError::from(error))));
}

#[test]
fn without_a_hash_the_answer_is_kept_for_a_time() {
    let mut scene = scene();
    let server = Server::start(|n, _, s| answer(s, "200 OK", "", n.to_string().as_bytes()));
    let get = |scene: &Scene| scene.fetcher.fetch_url(&server.url, "n", None).unwrap();
    let first = get(&scene);
    assert_eq!(get(&scene), first);
    assert_eq!(server.n_requests(), 1);
    scene.fetcher.settings.ttl = Duration::ZERO;
    assert_ne!(get(&scene), first);
    scene.fetcher.settings.http.is_offline = true;
    assert_ne!(get(&scene), first);
    assert_eq!(server.n_requests(), 2);
}

#[test]
fn an_archive_loses_its_top_directory() {
    let scene = scene();
    std::fs::create_dir_all(scene.dir.path().join("top/in")).unwrap();
    std::fs::write(scene.dir.path().join("top/in/f"), "text").unwrap();
    std::fs::write(scene.dir.path().join("g"), "").unwrap();
    let server = Server::of(scene.tar(&["-cz", "top"]));
    let fetched = scene.fetcher.fetch_tarball(&server.url, "source", None).unwrap();
    assert_eq!(scene.text(&fetched, "in/f"), "text");
    let again = scene.fetcher.fetch_tarball(&server.url, "source", Some(&fetched.hash)).unwrap();
    assert!(fetched.believed_until.is_some(), "nothing says what it has to be");
    let fixed = Fetched { believed_until: None, ..fetched };
    assert_eq!((again, server.n_requests()), (fixed, 1));
    let two = scene.dir.path().join("two.tar");
    std::fs::write(&two, scene.tar(&["-c", "top", "g"])).unwrap();
    let url = format!("file://{}", two.display());
    let error = scene.fetcher.fetch_tarball(&url, "source", None).unwrap_err().to_string();
    assert!(error.contains("two.tar") && error.contains("2 entries at the top"), "{error}");
}

#[test]
fn an_archive_that_is_a_page_of_the_server_is_named() {
    let scene = scene();
    let server = Server::of(b"<html>sign in</html>".to_vec());
    let error = scene.fetcher.fetch_tarball(&server.url, "source", None).unwrap_err();
    assert!(error.to_string().contains("not a tar archive"), "{error}");
}

fn git(dir: &Path, args: &[&str]) {
    let status = Command::new("git")
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_AUTHOR_NAME", "n"),
            ("GIT_AUTHOR_EMAIL", "a@b"),
            ("GIT_COMMITTER_NAME", "n"),
            ("GIT_COMMITTER_EMAIL", "a@b"),
            ("GIT_AUTHOR_DATE", "2020-01-02T03:04:05Z"),
            ("GIT_COMMITTER_DATE", "2020-01-02T03:04:05Z"),
        ])
        .args(args)
        .status()
        .unwrap();
    assert!(status.success(), "git {args:?}");
}

fn repository(scene: &Scene) -> PathBuf {
    let dir = scene.dir.path().join("repo");
    std::fs::create_dir(&dir).unwrap();
    git(&dir, &["init", "-q", "-b", "main"]);
    std::fs::write(dir.join("f"), "hi\n").unwrap();
    git(&dir, &["add", "f"]);
    git(&dir, &["commit", "-q", "-m", "one"]);
    dir
}

fn fetch_git(scene: &Scene, url: &str, wanted: &GitRequest) -> Result<Fetched, StoreError> {
    scene.fetcher.fetch_git(url, "source", wanted, None)
}

#[test]
fn a_clean_repository_gives_its_commit_a_changed_one_its_files() {
    let scene = scene();
    let dir = repository(&scene);
    let url = dir.to_str().unwrap();
    std::fs::write(dir.join("untracked"), "").unwrap();
    let clean = fetch_git(&scene, url, &GitRequest::default()).unwrap();
    // The path and hash that Nix 2.8 gives for this repository.
    assert_eq!(clean.path.base_name(), "s1gbqa4hazf27kcgbjz2rc5mbjjl2n9j-source");
    let facts = clean.git.clone().unwrap();
    assert_eq!(
        (facts.last_modified, facts.n_commits, facts.is_dirty),
        (1_577_934_245, Some(1), false)
    );
    std::fs::write(dir.join("f"), "hi\nx\n").unwrap();
    let dirty = fetch_git(&scene, url, &GitRequest::default()).unwrap();
    assert_eq!(dirty.path.base_name(), "p5pxnv2c2gdd24sz07ls52yl1g45b2yx-source");
    assert!(dirty.git.unwrap().is_dirty);
    let branch = GitRequest { reference: Some("main".to_owned()), ..GitRequest::default() };
    assert_eq!(fetch_git(&scene, &format!("file://{url}"), &branch).unwrap(), clean);
    let rev = GitRequest { rev: facts.rev, ..GitRequest::default() };
    assert_eq!(fetch_git(&scene, &format!("git+file://{url}"), &rev).unwrap(), clean);
}

/// `top` with the submodule `vendor/sub`, which has the submodule `deep/inner`; all side by side in a folder,
/// whose path is given.
fn superproject(scene: &Scene) -> PathBuf {
    let dir = scene.dir.path().join("all");
    for name in ["inner", "sub", "top"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        git(&dir.join(name), &["init", "-q", "-b", "main"]);
    }
    let write = |path: &str, text: &str| std::fs::write(dir.join(path), text).unwrap();
    let finish = |name: &str, module: Option<(&str, &str)>| {
        if let Some((url, path)) = module {
            git(
                &dir.join(name),
                &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, path],
            );
        }
        git(&dir.join(name), &["add", "."]);
        git(&dir.join(name), &["commit", "-q", "-m", name]);
    };
    write("inner/in", "inner\n");
    finish("inner", None);
    write("sub/.gitattributes", "secret export-ignore\nsubst export-subst\n");
    write("sub/secret", "x\n");
    write("sub/subst", "$Format:%H$\n");
    write("sub/tool", "#!/bin/sh\n");
    std::fs::set_permissions(
        dir.join("sub/tool"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::os::unix::fs::symlink("tool", dir.join("sub/link")).unwrap();
    finish("sub", Some(("../inner", "deep/inner")));
    write("top/t", "top\n");
    finish("top", Some(("../sub", "vendor/sub")));
    dir
}

fn with_submodules() -> GitRequest {
    GitRequest { submodules: true, ..GitRequest::default() }
}

/// What Nix 2.26.3 gives for [`superproject`] with `submodules = true`.
const SUPERPROJECT: &str = "sha256-M2sXC6kNF7WWSIQZ8wrCC2RcK2TwvfRdbaMmRmSDEjk=";

#[test]
fn submodules_are_in_their_places_at_their_recorded_commits() {
    let scene = scene();
    let dir = superproject(&scene);
    let top = dir.join("top");
    let url = top.to_str().unwrap();
    // Neither what lies in the work trees of submodules nor their later commits matters to a commit.
    std::fs::write(dir.join("sub/later"), "").unwrap();
    git(&dir.join("sub"), &["add", "."]);
    git(&dir.join("sub"), &["commit", "-q", "-m", "later"]);
    let rev = scene.fetcher.fetch_git(url, "source", &GitRequest::default(), None).unwrap();
    let rev = rev.git.unwrap().rev;
    let by_rev = GitRequest { rev, ..with_submodules() };
    let fetched = fetch_git(&scene, url, &by_rev).unwrap();
    assert_eq!(fetched.hash.to_sri(), SUPERPROJECT);
    assert_eq!(scene.text(&fetched, "vendor/sub/deep/inner/in"), "inner\n");
    assert_eq!(scene.text(&fetched, "vendor/sub/subst"), "$Format:%H$\n");
    let real = scene.fetcher.store.real_path(&fetched.path);
    assert!(!real.join("vendor/sub/.git").exists());
    // The same from its work tree, a clone without the submodules, and a bare clone that has no remote.
    assert_eq!(fetch_git(&scene, url, &with_submodules()).unwrap(), fetched);
    std::fs::create_dir(dir.join("clones")).unwrap();
    git(&dir, &["clone", "-q", "top", "clones/fresh"]);
    git(&dir, &["clone", "-q", "--bare", "top", "bare"]);
    git(&dir.join("bare"), &["remote", "remove", "origin"]);
    for clone in ["clones/fresh", "bare"] {
        let clone = fetch_git(&scene, dir.join(clone).to_str().unwrap(), &with_submodules());
        assert_eq!(clone.unwrap(), fetched);
    }
    let shallow = GitRequest { shallow: true, ..by_rev };
    assert_eq!(fetch_git(&scene, url, &shallow).unwrap().path, fetched.path);
    // Without them their places are empty directories; what is marked stays if asked for.
    let without = fetch_git(&scene, url, &GitRequest::default()).unwrap();
    let places = |fetched: &Fetched, inner: &str| {
        std::fs::read_dir(scene.fetcher.store.real_path(&fetched.path).join(inner)).unwrap().count()
    };
    assert_eq!((places(&without, ""), places(&without, "vendor/sub")), (3, 0));
    let kept = GitRequest { keep_ignored: true, ..GitRequest::default() };
    let sub = fetch_git(&scene, dir.join("sub").to_str().unwrap(), &kept).unwrap();
    assert_eq!(scene.text(&sub, "secret"), "x\n");
    assert_eq!(
        scene.eval(
            &format!(
                "removeAttrs (fetchGit {{ url = {url}; submodules = true; }}) [ \"outPath\" ]"
            ),
            |_| {}
        ),
        "{ lastModified = 1577934245; lastModifiedDate = \"20200102030405\"; \
         narHash = \"sha256-M2sXC6kNF7WWSIQZ8wrCC2RcK2TwvfRdbaMmRmSDEjk=\"; \
         rev = \"79c6832b0eb816b76f9878de2d045986429b4ee8\"; revCount = 1; \
         shortRev = \"79c6832\"; submodules = true; }"
    );
}

#[test]
fn changed_submodules_are_taken_as_they_lie() {
    let scene = scene();
    let dir = superproject(&scene);
    git(
        &dir.join("top"),
        &["-c", "protocol.file.allow=always", "submodule", "update", "--init", "--recursive", "-q"],
    );
    let url = dir.join("top").to_str().unwrap().to_owned();
    assert!(!fetch_git(&scene, &url, &with_submodules()).unwrap().git.unwrap().is_dirty);
    std::fs::write(dir.join("top/vendor/sub/deep/inner/in"), "changed\n").unwrap();
    std::fs::write(dir.join("top/vendor/sub/untracked"), "").unwrap();
    let fetched = fetch_git(&scene, &url, &with_submodules()).unwrap();
    assert!(fetched.git.as_ref().unwrap().is_dirty);
    assert_eq!(fetched.hash.to_sri(), "sha256-3x0GJzT0kQ8QhphnJTw9Ug/DTn6XCpF2J3uRrnu+FbI=");
    // Whoever does not want submodules does not notice.
    assert!(!fetch_git(&scene, &url, &GitRequest::default()).unwrap().git.unwrap().is_dirty);
    git(&dir.join("top"), &["submodule", "--quiet", "deinit", "--all", "--force"]);
    std::fs::write(dir.join("top/t"), "changed\n").unwrap();
    let error = fetch_git(&scene, &url, &with_submodules()).unwrap_err().to_string();
    assert!(error.contains("'vendor/sub' is not checked out"), "{error}");
}

#[test]
fn submodules_are_fetched_from_where_they_may_be() {
    let scene = scene();
    let dir = superproject(&scene);
    let top = dir.join("top");
    let module = |url: &str| {
        git(&top, &["config", "-f", ".gitmodules", "submodule.vendor/sub.url", url]);
        git(&top, &["commit", "-q", "-a", "-m", "moved"]);
        fetch_git(&scene, top.to_str().unwrap(), &with_submodules()).unwrap_err().to_string()
    };
    for (url, expected) in [
        ("ext::sh -c x", "neither a URL"),
        ("--upload-pack=x", "neither a URL"),
        ("../../../../../../../../../../../../x", "above the root"),
        ("../nope", "no such directory (submodule 'vendor/sub' of"),
        ("../inner", "has no commit"),
    ] {
        let error = module(url);
        assert!(error.contains(expected), "{error}");
    }
    // A repository from elsewhere must not read what lies here.
    module(&format!("file://{}x", dir.join("sub").display()));
    git(&top, &["update-server-info"]);
    let root = top.join(".git");
    let server = Server::start(move |_, line, s| {
        let path = line.split(' ').nth(1).unwrap().split('?').next().unwrap();
        match std::fs::read(root.join(path.trim_start_matches('/'))) {
            Ok(bytes) => answer(s, "200 OK", "", &bytes),
            Err(_) => answer(s, "404 Not Found", "", b""),
        }
    });
    let error = fetch_git(&scene, &server.url, &with_submodules()).unwrap_err().to_string();
    assert!(error.contains("it lies on this machine"), "{error}");
    let restricted = |uri: &Path| {
        let source = format!(
            "(fetchGit {{ url = \"file://{}\"; submodules = true; }}).narHash",
            dir.join("sub").display()
        );
        scene.eval(&source, |o| {
            o.restrict_eval = true;
            o.allowed_uris = vec![format!("file://{}", uri.display())];
        })
    };
    assert!(restricted(&dir.join("sub")).contains("forbidden in restricted mode"));
    assert!(restricted(&dir).starts_with("\"sha256-"));
}

#[test]
fn no_configuration_of_a_submodule_is_run() {
    let scene = scene();
    let dir = superproject(&scene);
    let top = dir.join("top");
    git(
        &top,
        &["-c", "protocol.file.allow=always", "submodule", "update", "--init", "--recursive", "-q"],
    );
    let mark = scene.dir.path().join("ran");
    let script = scene.dir.path().join("script");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let text = script.to_str().unwrap();
    for place in ["vendor/sub", "vendor/sub/deep/inner"] {
        for name in ["core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "diff.external"] {
            git(&top.join(place), &["config", name, text]);
        }
        std::fs::write(top.join(place).join(".gitattributes"), "* filter=evil\n").unwrap();
    }
    fetch_git(&scene, top.to_str().unwrap(), &with_submodules()).unwrap();
    std::fs::write(top.join("vendor/sub/tool"), "changed").unwrap();
    fetch_git(&scene, top.to_str().unwrap(), &with_submodules()).unwrap();
    assert!(!mark.exists());
}

#[test]
fn options_commands_and_other_protocols_are_refused() {
    let scene = scene();
    let dir = repository(&scene);
    let url = dir.to_str().unwrap();
    for bad in ["--upload-pack=x", "a..b", "a b", "x^{}", "", "-", "a\nb", "x:y"] {
        let wanted = GitRequest { reference: Some(bad.to_owned()), ..GitRequest::default() };
        let error = fetch_git(&scene, url, &wanted).unwrap_err().to_string();
        assert!(error.contains("not a name of a git reference"), "{error}");
    }
    for bad in ["abc", "--all", "HEAD"] {
        let wanted = GitRequest { rev: Some(bad.to_owned()), ..GitRequest::default() };
        assert!(fetch_git(&scene, url, &wanted).unwrap_err().to_string().contains("40 hex"));
    }
    for bad in ["ext::sh -c x", "ext://x", "--upload-pack=x", "fd::1", "ftp://h/r", "-x@h:p"] {
        let error = fetch_git(&scene, bad, &GitRequest::default()).unwrap_err().to_string();
        assert!(
            error.contains("not allowed for git") || error.contains("neither a URL"),
            "{error}"
        );
    }
    let missing = GitRequest { reference: Some("nope".to_owned()), ..GitRequest::default() };
    let error = fetch_git(&scene, url, &missing).unwrap_err().to_string();
    assert!(error.contains("no reference 'refs/heads/nope'"), "{error}");
}

#[test]
fn nothing_of_a_repositorys_own_configuration_is_run() {
    let scene = scene();
    let dir = repository(&scene);
    let mark = scene.dir.path().join("ran");
    let script = scene.dir.path().join("script");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let text = script.to_str().unwrap();
    git(&dir, &["config", "core.fsmonitor", text]);
    git(&dir, &["config", "diff.external", text]);
    git(&dir, &["config", "core.pager", text]);
    for kind in ["clean", "smudge", "process"] {
        git(&dir, &["config", &format!("filter.odd=name.{kind}"), text]);
    }
    git(&dir, &["config", "filter.odd=name.required", "true"]);
    std::fs::write(dir.join(".gitattributes"), "* filter=odd=name\n* filter=evil\n").unwrap();
    git(&dir, &["config", "filter.evil.clean", text]);
    git(&dir, &["config", "filter.evil.smudge", text]);
    for hook in ["post-checkout", "post-index-change", "reference-transaction"] {
        std::fs::copy(&script, dir.join(".git/hooks").join(hook)).unwrap();
    }
    std::fs::write(dir.join("f"), "changed").unwrap();
    fetch_git(&scene, dir.to_str().unwrap(), &GitRequest::default()).unwrap();
    let main = GitRequest { reference: Some("main".to_owned()), ..GitRequest::default() };
    fetch_git(&scene, dir.to_str().unwrap(), &main).unwrap();
    assert!(!mark.exists());
}

#[test]
fn a_repository_behind_a_server_is_mirrored() {
    let scene = scene();
    let dir = repository(&scene);
    git(&dir, &["update-server-info"]);
    let root = dir.join(".git");
    // The protocol of plain files: HEAD, info/refs and loose objects.
    let server = Server::start(move |_, line, s| {
        let path = line.split(' ').nth(1).unwrap().split('?').next().unwrap();
        match std::fs::read(root.join(path.trim_start_matches('/'))) {
            Ok(bytes) => answer(s, "200 OK", "", &bytes),
            Err(_) => answer(s, "404 Not Found", "", b""),
        }
    });
    let first = fetch_git(&scene, &server.url, &GitRequest::default()).unwrap();
    assert_eq!(first.path.base_name(), "s1gbqa4hazf27kcgbjz2rc5mbjjl2n9j-source");
    let before = server.n_requests();
    let rev = GitRequest { rev: first.git.clone().unwrap().rev, ..GitRequest::default() };
    assert_eq!(fetch_git(&scene, &server.url, &rev).unwrap(), first);
    assert_eq!(fetch_git(&scene, &server.url, &GitRequest::default()).unwrap(), first);
    assert_eq!(server.n_requests(), before);
    let other = GitRequest { rev: Some("1".repeat(40)), ..GitRequest::default() };
    let error = fetch_git(&scene, &server.url, &other).unwrap_err().to_string();
    assert!(error.contains("allRefs = true"), "{error}");
}

impl Scene {
    /// What an expression evaluates to, or its error with the class.
    fn eval(&self, source: &str, change: impl FnOnce(&mut nix_eval::EngineOptions)) -> String {
        let mut host = StoreHostOptions::new();
        host.store = Some(self.fetcher.store.clone());
        host.fetch = Some(fetcher(self.fetcher.store.clone(), self.fetcher.settings.clone()));
        let mut options = nix_eval::EngineOptions::default();
        options.host = Arc::new(StoreHost::new(host));
        options.builtins = [nix_eval::builtins::ALL, crate::BUILTINS].concat();
        change(&mut options);
        nix_eval::Engine::new(options)
            .evaluator()
            .eval(source, "string", b"/")
            .and_then(|value| value.show(nix_eval::Show::Deep))
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_else(|e| format!("{}: {}", e.class().name(), e.message()))
    }
}

#[test]
fn evaluation_fetches_as_real_nix_does() {
    let scene = scene();
    let dir = repository(&scene);
    let dir = dir.display();
    std::fs::write(format!("{dir}/g"), "hi\nx\n").unwrap();
    let eval = |source: &str| scene.eval(source, |_| {});
    // What Nix 2.8 shows for this repository.
    assert_eq!(
        eval(&format!("fetchGit {dir}")),
        "{ lastModified = 1577934245; lastModifiedDate = \"20200102030405\"; \
         narHash = \"sha256-MyEwKR7frLkJXyCTAYmhACAemt2h4EszAo04ltEu78o=\"; \
         outPath = \"/nix/store/s1gbqa4hazf27kcgbjz2rc5mbjjl2n9j-source\"; \
         rev = \"ccda15cf108142a32680c6f8d315ae0e7ff588dc\"; revCount = 1; \
         shortRev = \"ccda15c\"; submodules = false; }"
    );
    assert_eq!(
        eval(&format!(
            "builtins.getContext (builtins.fetchurl {{ url = \"file://{dir}/g\"; name = \"f\"; }})"
        )),
        "{ \"/nix/store/x5r89slfgal8xxs3ik05xiqyslskl46k-f\" = { path = true; }; }"
    );
    assert_eq!(eval(&format!("builtins.readFile \"${{fetchGit {dir}}}/f\"")), "\"hi\\n\"");
    let mismatch = eval(&format!(
        "builtins.fetchurl {{ url = \"file://{dir}/g\"; sha256 = \"{}\"; }}",
        Hash::of(HashAlgo::Sha256, "other").to_nix32()
    ));
    assert!(mismatch.starts_with("store: hash mismatch"), "{mismatch}");
}

#[test]
fn pure_and_restricted_evaluation_refuse_what_they_must() {
    let scene = scene();
    let dir = repository(&scene);
    let dir = dir.display();
    let pure = |source: &str| scene.eval(source, |o| o.pure_eval = true);
    let url = format!("\"file://{dir}/f\"");
    let error = pure(&format!("builtins.fetchurl {url}"));
    assert_eq!(
        error,
        "restricted: in pure evaluation mode, 'fetchurl' requires a 'sha256' argument"
    );
    assert!(pure(&format!("fetchGit \"{dir}\"")).starts_with("restricted: in pure evaluation"));
    let hash = Hash::of(HashAlgo::Sha256, "hi\n").to_nix32();
    let read =
        format!("builtins.readFile (builtins.fetchurl {{ url = {url}; sha256 = \"{hash}\"; }})");
    assert_eq!(pure(&read), "\"hi\\n\"");
    let restricted = |source: &str, uri: &str| {
        scene.eval(source, |o| {
            o.restrict_eval = true;
            o.allowed_uris = vec![uri.to_owned()];
        })
    };
    assert!(restricted(&read, "file:///other").starts_with("restricted: access to"));
    assert_eq!(restricted(&read, &format!("file://{dir}")), "\"hi\\n\"");
    let error = restricted("fetchTarball \"https://h/x\"", "https://other");
    assert!(error.contains("access to URI 'https://h/x' is forbidden"), "{error}");
    assert!(restricted(&format!("fetchGit {dir}"), "https:").starts_with("restricted: access to"));
}

#[test]
fn uris_are_allowed_whole_below_or_by_scheme() {
    let allowed = |prefix: &str, url| is_allowed(&[prefix.to_owned()], url);
    assert!(allowed("https://h/a", "https://h/a"));
    assert!(allowed("https://h/a", "https://h/a/b"));
    assert!(allowed("https://h/a/", "https://h/a/b"));
    assert!(!allowed("https://h/a", "https://h/ab"));
    assert!(!allowed("https://h", "https://h.evil/"));
    assert!(allowed("https:", "https://x/"));
    assert!(!allowed("", "https://x/"));
}
