//! Transfers against a scripted server on the loopback device.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

/// Answers each connection by calling a script with its number and the request line.
pub(crate) struct Server {
    pub(crate) url: String,
    n_requests: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(script: impl Fn(usize, &str, &mut TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let n_requests = Arc::new(AtomicUsize::new(0));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (counter, lines) = (n_requests.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut first = String::new();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    if first.is_empty() {
                        first = line.trim().to_owned();
                    }
                    line.clear();
                }
                if first.is_empty() {
                    continue;
                }
                let n = counter.fetch_add(1, Ordering::SeqCst);
                lines.lock().unwrap().push(first.clone());
                script(n, &first, &mut stream);
            }
        });
        Server { url: format!("http://localhost:{port}"), n_requests, requests }
    }

    /// Serves one file.
    pub(crate) fn of(bytes: Vec<u8>) -> Server {
        Server::start(move |_, _, stream| answer(stream, "200 OK", "", &bytes))
    }

    pub(crate) fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }
}

pub(crate) fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let n = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {n}\r\nConnection: close\r\n{headers}\r\n");
    // The client may have hung up: that is some tests' point.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn quick() -> HttpSettings {
    HttpSettings {
        n_tries: 3,
        back_off: Duration::from_millis(1),
        max_back_off: Duration::from_millis(20),
        first_byte_timeout: Duration::from_millis(300),
        stall_time: Duration::from_millis(300),
        ..Default::default()
    }
}

fn reason(settings: HttpSettings, url: &str) -> String {
    Client::new(settings).get_bytes(url).unwrap_err().to_string()
}

#[test]
fn contents_arrive_whole() {
    let body: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let server = Server::of(body.clone());
    assert_eq!(Client::new(quick()).get_bytes(&format!("{}/x", server.url)).unwrap(), body);
    assert_eq!(server.requests.lock().unwrap()[0], "GET /x HTTP/1.1");
}

#[test]
fn a_missing_file_is_not_asked_for_twice() {
    let server = Server::start(|_, _, s| answer(s, "404 Not Found", "", b"no"));
    let error = Client::new(quick()).get_bytes(&server.url).unwrap_err();
    assert!(error.is_missing());
    assert!(error.reason.contains("404") && error.reason.contains("check the address"));
    assert_eq!(server.n_requests(), 1);
}

#[test]
fn trouble_of_the_server_is_waited_out() {
    let server = Server::start(|n, _, s| match n {
        0 => answer(s, "503 Busy", "Retry-After: 1\r\n", b""),
        1 => answer(s, "429 Slow", "", b""),
        _ => answer(s, "200 OK", "", b"there"),
    });
    assert_eq!(Client::new(quick()).get_bytes(&server.url).unwrap(), b"there");
    assert_eq!(server.n_requests(), 3);
}

#[test]
fn trouble_that_stays_is_reported_with_the_number_of_tries() {
    let server = Server::start(|_, _, s| answer(s, "500 Broken", "", b""));
    let text = reason(quick(), &server.url);
    assert!(text.contains("500") && text.contains("tried 3 times"), "{text}");
    assert_eq!(server.n_requests(), 3);
}

#[test]
fn a_truncated_transfer_starts_again_from_nothing() {
    let server = Server::start(|n, _, s| match n {
        0 => {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
        _ => answer(s, "200 OK", "", b"whole"),
    });
    assert_eq!(Client::new(quick()).get_bytes(&server.url).unwrap(), b"whole");
}

#[test]
fn redirects_are_followed_up_to_a_number() {
    let server = Server::start(|_, line, s| {
        if line.contains("/end") {
            answer(s, "200 OK", "", b"end");
        } else if line.contains("/go") {
            answer(s, "302 Found", "Location: end\r\n", b"");
        } else {
            answer(s, "302 Found", "Location: /circle\r\n", b"");
        }
    });
    let mut bytes = Vec::new();
    let got = Client::new(quick()).get(&format!("{}/a/go", server.url), &mut bytes).unwrap();
    assert_eq!((&bytes[..], got.url), (&b"end"[..], format!("{}/a/end", server.url)));
    let before = server.n_requests();
    let text = reason(quick(), &format!("{}/circle", server.url));
    assert!(text.contains("more than 10 redirects"), "{text}");
    assert_eq!(server.n_requests() - before, 11);
}

#[test]
fn redirects_to_files_and_link_local_addresses_are_refused() {
    for target in ["file:///etc/passwd", "http://169.254.169.254/latest", "ftp://x/"] {
        let headers = format!("Location: {target}\r\n");
        let server = Server::start(move |_, _, s| answer(s, "301 Moved", &headers, b""));
        let text = reason(quick(), &server.url);
        assert!(text.contains(target) && text.contains("redirects to"), "{text}");
    }
}

#[test]
fn contents_beyond_the_limit_are_refused_before_and_during_the_transfer() {
    let server = Server::start(|_, line, s| match line.contains("/claims") {
        true => answer(s, "200 OK", "", &[0; 2000]),
        // No length: ends when the connection does.
        false => {
            let _ = s.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let _ = s.write_all(&[0; 2000]);
        }
    });
    for path in ["claims", "silent"] {
        let settings = HttpSettings { max_bytes: 1000, ..quick() };
        let text = reason(settings, &format!("{}/{path}", server.url));
        assert!(text.contains("larger than the limit of 1000 bytes"), "{text}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start(|_, _, _| std::thread::sleep(Duration::from_secs(2)));
    let started = Instant::now();
    let text = reason(HttpSettings { n_tries: 1, ..quick() }, &server.url);
    assert!(text.contains("did not answer in time"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_trickle_is_given_up() {
    let server = Server::start(|_, _, s| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        for _ in 0..100 {
            if s.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let started = Instant::now();
    let text = reason(HttpSettings { n_tries: 1, ..quick() }, &server.url);
    assert!(text.contains("slower than 1024 bytes per second"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_header_bomb_is_refused() {
    let server = Server::start(|_, _, s| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n");
        for _ in 0..3000 {
            let _ = s.write_all(b"X-Filler: 0123456789012345678901234567890123456789\r\n");
        }
        let _ = s.write_all(b"\r\n");
    });
    let error = Client::new(quick()).get_bytes(&server.url).unwrap_err();
    assert_eq!(error.status, None);
}

#[test]
fn files_are_read_and_schemes_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b");
    std::fs::write(&path, "text").unwrap();
    let offline = HttpSettings { is_offline: true, ..quick() };
    let url = format!("file://{}/a%20b", dir.path().display());
    assert_eq!(Client::new(offline.clone()).get_bytes(&url).unwrap(), b"text");
    assert!(reason(quick(), &format!("file://{}", dir.path().display())).contains("regular file"));
    assert!(reason(quick(), "gopher://x/").contains("scheme 'gopher' is not supported"));
    assert!(reason(quick(), "plain").contains("not a URL"));
    assert!(reason(offline, "http://x/").contains("--offline"));
}

#[test]
fn nothing_listening_is_said_so() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = reason(quick(), &format!("http://127.0.0.1:{port}/"));
    assert!(text.contains("nothing listens"), "{text}");
}

#[test]
fn https_needs_certificates_and_checks_them() {
    let missing = HttpSettings { ca_file: Some("/no/such/file".into()), ..quick() };
    let text = reason(missing, "https://localhost:1/");
    assert!(text.contains("/no/such/file") && text.contains("NIX_SSL_CERT_FILE"), "{text}");
}

/// A server of the system's `openssl` with a certificate for `localhost` signed by itself.
struct TlsServer {
    child: std::process::Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl TlsServer {
    fn start() -> TlsServer {
        use std::process::{Command, Stdio};
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "secret text").unwrap();
        let made = Command::new("openssl")
            .current_dir(dir.path())
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .output()
            .expect("the test runs openssl (apt-get install openssl)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("openssl")
            .current_dir(dir.path())
            .args(["s_server", "-WWW", "-quiet", "-key", "key.pem", "-cert", "cert.pem"])
            .args(["-accept", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = TlsServer { child, port, dir };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("openssl does not listen");
    }

    fn trusting(&self) -> HttpSettings {
        HttpSettings { ca_file: Some(self.dir.path().join("cert.pem")), ..HttpSettings::default() }
    }
}

#[test]
fn certificates_are_checked_for_signer_and_host() {
    let server = TlsServer::start();
    let url = format!("https://localhost:{}/file", server.port);
    assert_eq!(Client::new(server.trusting()).get_bytes(&url).unwrap(), b"secret text");
    let unknown = TlsServer::start();
    let text = reason(unknown.trusting(), &url);
    assert!(
        text.contains("certificate was not accepted") && text.contains("NIX_SSL_CERT_FILE"),
        "{text}"
    );
    let text = reason(server.trusting(), &format!("https://127.0.0.1:{}/file", server.port));
    assert!(text.contains("certificate was not accepted"), "{text}");
}
