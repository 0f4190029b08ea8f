use super::*;
use crate::{
    Engine, Show,
    host::{MemoryHost, Recording},
};
use std::sync::Arc;

fn host(port: &str) -> MemoryHost {
    MemoryHost::new([("/a.nix", "import ./b.nix"), ("/b.nix", port)])
}

fn key(name: &str) -> Key {
    Key::of([("expression", name.as_bytes())])
}

fn answer() -> Answer {
    let recording = Arc::new(Recording::new(host("builtins.trace \"t\" 80")));
    let engine = Engine::builder().shared_host(recording.clone()).build().expect("an engine");
    let path = crate::host::NixPath::root("/a.nix");
    let v = engine.evaluator().import(&path).expect("evaluates");
    recording.note_said("remark");
    Answer::new(v.show(Show::Deep).expect("a number"), recording.record())
}

#[test]
fn an_answer_is_found_until_something_that_it_read_changes() {
    let dir = scratch("found");
    let answers = Answers::new(dir.join("answers"), 1 << 20);
    let kept = answer();
    assert!(answers.keep(&key("a"), &kept).expect("kept"));
    let same = host("builtins.trace \"t\" 80");
    let found = answers.find(&key("a"), &same).expect("found");
    assert_eq!(found.text, b"80");
    assert_eq!(found.said, [Said::Trace(b"t".to_vec()), Said::Other(b"remark".to_vec())]);
    assert_eq!(answers.find(&key("b"), &same), None);
    assert_eq!(answers.find(&key("a"), &host("81")), None);
    assert_eq!(answers.find(&key("a"), &MemoryHost::new([("/a.nix", "1")])), None);
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn what_cannot_be_asked_again_is_not_kept() {
    let dir = scratch("once");
    let answers = Answers::new(dir.join("answers"), 1 << 20);
    for input in [Input::Clock(Some(1)), Input::Once("what".to_owned())] {
        let mut answer = answer();
        answer.inputs.insert(input, None);
        assert!(!answers.keep(&key("a"), &answer).expect("looked at"));
    }
    assert!(!dir.join("answers").exists());
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn damaged_bytes_are_no_answer() {
    let bytes = answer().to_bytes(&key("a"));
    assert_eq!(Answer::parse(&bytes, &key("a")), Some(answer()));
    assert_eq!(Answer::parse(&bytes, &key("b")), None);
    for n in 0..bytes.len() {
        assert_eq!(Answer::parse(&bytes[..n], &key("a")), None, "the first {n} bytes");
        let mut flipped = bytes.clone();
        flipped[n] ^= 1;
        assert_eq!(Answer::parse(&flipped, &key("a")), None, "byte {n}");
    }
}

#[test]
fn the_answers_that_were_not_used_for_longest_go_first() {
    let dir = scratch("shrink");
    let answers = Answers::new(dir.join("answers"), 1 << 20);
    let mut kept = answer();
    kept.text = vec![b'x'; 300 << 10];
    for (age, name) in ["old", "older", "new"].into_iter().enumerate() {
        assert!(answers.keep(&key(name), &kept).expect("kept"));
        let file = dir.join("answers").join(key(name).file_name());
        let ago = std::time::Duration::from_secs([3_600, 7_200, 10][age]);
        let file = std::fs::File::open(file).expect("there");
        file.set_modified(std::time::SystemTime::now() - ago).expect("set");
    }
    let same = host("builtins.trace \"t\" 80");
    // Used now.
    assert!(answers.find(&key("older"), &same).is_some());
    assert!(answers.keep(&key("newest"), &kept).expect("kept"));
    assert!(answers.find(&key("old"), &same).is_none());
    for name in ["older", "new", "newest"] {
        assert!(answers.find(&key(name), &same).is_some(), "{name}");
    }
    kept.text = vec![b'x'; 600 << 10];
    assert!(!answers.keep(&key("huge"), &kept).expect("looked at"));
    std::fs::remove_dir_all(dir).expect("removed");
}

#[test]
fn a_directory_that_others_may_write_to_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch("open");
    let answers = Answers::new(dir.join("answers"), 1 << 20);
    assert!(answers.keep(&key("a"), &answer()).expect("kept"));
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    assert_eq!(
        std::fs::metadata(dir.join("answers")).expect("made").permissions().mode() & 0o777,
        0o700
    );
    std::fs::set_permissions(dir.join("answers"), mode(0o777)).expect("set");
    assert!(answers.find(&key("a"), &host("builtins.trace \"t\" 80")).is_none());
    assert!(answers.keep(&key("a"), &answer()).is_err());
    std::fs::remove_dir_all(dir).expect("removed");
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("mini-nix-answers-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("made");
    dir
}
