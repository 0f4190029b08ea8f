//! What the starter process is told, and how that crosses the socket.
//!
//! Both ends are the same executable, so the form has no version; fields are written in the
//! order of the struct, every byte string with a 64-bit length in front.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Everything the starter needs to know to run one builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Absolute path of the program inside the sandbox, or the name of an internal builder.
    pub(crate) builder: Vec<u8>,
    /// Whether `builder` names a function of ours.
    pub(crate) internal: bool,
    /// `argv`, the zeroth included.
    pub(crate) args: Vec<Vec<u8>>,
    /// Environment variables, each name once.
    pub(crate) env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The working directory as the builder sees it.
    pub(crate) build_dir: PathBuf,
    /// Output name → path as the builder sees it.
    pub(crate) outputs: Vec<(String, PathBuf)>,
    /// Contents of `.attrs.json`.
    pub(crate) attrs_json: Option<Vec<u8>>,
    /// The logical store directory.
    pub(crate) store_dir: PathBuf,
    /// Threads an internal builder should use.
    pub(crate) cores: usize,
    /// Whether the builder should believe that the machine has 32 bits.
    pub(crate) personality_32: bool,
    /// The sandbox, unless the build runs without one.
    pub(crate) sandbox: Option<Sandbox>,
}

/// The file system, the namespaces and the user of a sandboxed build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sandbox {
    /// An empty directory of the host that becomes `/`.
    pub(crate) root: PathBuf,
    /// The directory of the host that becomes the build directory.
    pub(crate) host_build_dir: PathBuf,
    /// What else is shown, in the order of mounting.
    pub(crate) binds: Vec<Bind>,
    /// Files of `/etc`: name, contents.
    pub(crate) etc: Vec<(String, Vec<u8>)>,
    /// Whether the build has a network of its own, with nothing but a loopback device.
    pub(crate) private_network: bool,
    /// Who the builder is.
    pub(crate) identity: Identity,
}

/// Who the builder is, inside and outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User inside the sandbox.
    pub(crate) uid: u32,
    /// Group inside the sandbox.
    pub(crate) gid: u32,
    /// The same user as the host sees it.
    pub(crate) host_uid: u32,
    /// The same group as the host sees it.
    pub(crate) host_gid: u32,
}

/// A path of the host shown inside the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// Where it lies on the host.
    pub(crate) source: PathBuf,
    /// Where it appears, absolute. If the source is a symbolic link, a link with the same target
    /// appears there (for inputs) or what it points to (otherwise).
    pub(crate) target: PathBuf,
    /// What may be done with it, and what its absence means.
    pub(crate) kind: BindKind,
}

/// How a path of the host is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindKind {
    /// A store object: read-only, never followed if it is a symbolic link.
    Input,
    /// A path that the derivation or we ask for: read-only.
    ReadOnly,
    /// A path that the user's settings name, or a device: as the host has it.
    Writable,
    /// The same, left out if the host does not have it.
    Optional,
}

impl Request {
    /// The bytes for the socket.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.bytes(&self.builder);
        e.flag(self.internal);
        e.number(self.args.len() as u64);
        self.args.iter().for_each(|arg| e.bytes(arg));
        e.number(self.env.len() as u64);
        for (name, value) in &self.env {
            e.bytes(name);
            e.bytes(value);
        }
        e.path(&self.build_dir);
        e.number(self.outputs.len() as u64);
        for (name, path) in &self.outputs {
            e.bytes(name.as_bytes());
            e.path(path);
        }
        e.flag(self.attrs_json.is_some());
        e.bytes(self.attrs_json.as_deref().unwrap_or_default());
        e.path(&self.store_dir);
        e.number(self.cores as u64);
        e.flag(self.personality_32);
        e.flag(self.sandbox.is_some());
        if let Some(sandbox) = &self.sandbox {
            sandbox.encode(&mut e);
        }
        e.0
    }

    /// Reads what [`Request::encode`] wrote; `None` if it is something else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Request> {
        let mut d = Decoder(bytes);
        let request = Request {
            builder: d.bytes()?,
            internal: d.flag()?,
            args: d.list(Decoder::bytes)?,
            env: d.list(|d| Some((d.bytes()?, d.bytes()?)))?,
            build_dir: d.path()?,
            outputs: d.list(|d| Some((d.text()?, d.path()?)))?,
            attrs_json: {
                let present = d.flag()?;
                let bytes = d.bytes()?;
                present.then_some(bytes)
            },
            store_dir: d.path()?,
            cores: usize::try_from(d.number()?).ok()?,
            personality_32: d.flag()?,
            sandbox: if d.flag()? { Some(Sandbox::decode(&mut d)?) } else { None },
        };
        d.0.is_empty().then_some(request)
    }
}

impl Sandbox {
    fn encode(&self, e: &mut Encoder) {
        e.path(&self.root);
        e.path(&self.host_build_dir);
        e.number(self.binds.len() as u64);
        for bind in &self.binds {
            e.path(&bind.source);
            e.path(&bind.target);
            e.number(match bind.kind {
                BindKind::Input => 0,
                BindKind::ReadOnly => 1,
                BindKind::Writable => 2,
                BindKind::Optional => 3,
            });
        }
        e.number(self.etc.len() as u64);
        for (name, contents) in &self.etc {
            e.bytes(name.as_bytes());
            e.bytes(contents);
        }
        e.flag(self.private_network);
        let Identity { uid, gid, host_uid, host_gid } = self.identity;
        [uid, gid, host_uid, host_gid].into_iter().for_each(|id| e.number(id.into()));
    }

    fn decode(d: &mut Decoder<'_>) -> Option<Sandbox> {
        Some(Sandbox {
            root: d.path()?,
            host_build_dir: d.path()?,
            binds: d.list(|d| {
                let (source, target) = (d.path()?, d.path()?);
                let kind = match d.number()? {
                    0 => BindKind::Input,
                    1 => BindKind::ReadOnly,
                    2 => BindKind::Writable,
                    3 => BindKind::Optional,
                    _ => return None,
                };
                Some(Bind { source, target, kind })
            })?,
            etc: d.list(|d| Some((d.text()?, d.bytes()?)))?,
            private_network: d.flag()?,
            identity: Identity { uid: d.id()?, gid: d.id()?, host_uid: d.id()?, host_gid: d.id()? },
        })
    }
}

#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.number(flag.into());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }
}

struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn number(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*head))
    }

    fn id(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.number()?).ok()?;
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head.to_vec())
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    fn path(&mut self) -> Option<PathBuf> {
        Some(PathBuf::from(OsString::from_vec(self.bytes()?)))
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let n = self.number()?;
        // Grown as items arrive: the number alone allocates nothing.
        let mut items = Vec::new();
        for _ in 0..n {
            items.push(item(self)?);
        }
        Some(items)
    }
}

/// What the starter answers; one message, several may follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The builder could not be started; a sentence.
    SetupFailed(String),
    /// The program could not be executed, or an internal builder returned an error; a sentence.
    BuilderFailed(String),
    /// The builder ended with this wait status, and nothing of it is left running.
    Ended(i32),
}

impl Answer {
    /// The bytes for the socket.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        match self {
            Answer::SetupFailed(text) => {
                e.number(0);
                e.bytes(text.as_bytes());
            }
            Answer::BuilderFailed(text) => {
                e.number(1);
                e.bytes(text.as_bytes());
            }
            Answer::Ended(status) => {
                e.number(2);
                e.bytes(&status.to_le_bytes());
            }
        }
        e.0
    }

    /// Takes one whole message from the front of `buffer`, if there is one.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Answer> {
        let mut d = Decoder(buffer);
        let kind = d.number()?;
        let bytes = d.bytes()?;
        let rest = d.0.len();
        buffer.drain(..buffer.len() - rest);
        Some(match kind {
            0 => Answer::SetupFailed(String::from_utf8_lossy(&bytes).into_owned()),
            1 => Answer::BuilderFailed(String::from_utf8_lossy(&bytes).into_owned()),
            _ => Answer::Ended(i32::from_le_bytes(bytes.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            builder: b"/bin/sh".to_vec(),
            internal: false,
            args: vec![b"sh".to_vec(), b"\xff".to_vec()],
            env: vec![(b"a".to_vec(), b"b".to_vec())],
            build_dir: "/build".into(),
            outputs: vec![("out".into(), "/nix/store/x".into())],
            attrs_json: Some(Vec::new()),
            store_dir: "/nix/store".into(),
            cores: 2,
            personality_32: true,
            sandbox: Some(Sandbox {
                root: "/r".into(),
                host_build_dir: "/b".into(),
                binds: vec![Bind {
                    source: "/s".into(),
                    target: "/t".into(),
                    kind: BindKind::Optional,
                }],
                etc: vec![("hosts".into(), b"x".to_vec())],
                private_network: true,
                identity: Identity { uid: 1, gid: 2, host_uid: 3, host_gid: 4 },
            }),
        }
    }

    #[test]
    fn a_request_survives_the_socket() {
        let request = request();
        assert_eq!(Request::decode(&request.encode()), Some(request));
    }

    #[test]
    fn a_truncated_request_is_refused_at_every_length() {
        let bytes = request().encode();
        for len in 0..bytes.len() {
            assert_eq!(Request::decode(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn answers_are_taken_one_by_one() {
        let mut buffer = Answer::SetupFailed("no".into()).encode();
        buffer.extend(Answer::Ended(256).encode());
        let tail = buffer.split_off(buffer.len() - 1);
        assert_eq!(Answer::take(&mut buffer), Some(Answer::SetupFailed("no".into())));
        assert_eq!(Answer::take(&mut buffer), None);
        buffer.extend(tail);
        assert_eq!(Answer::take(&mut buffer), Some(Answer::Ended(256)));
        assert!(buffer.is_empty());
    }
}
