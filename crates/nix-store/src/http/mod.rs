//! Getting the contents of a URL: `http`, `https` and `file`.
//!
//! One blocking request after another, with every limit set by [`HttpSettings`]. Redirects are followed here
//! rather than by the HTTP library, because each step is checked: never from `https` to `http`, never to
//! another scheme, never to a link-local address. The environment is not read: proxies and certificates
//! are given as data. Names are resolved by the standard library.

mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod url;

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

pub use settings::{HttpSettings, Proxies};
pub use url::{base_name, file_path, redacted, resolve, scheme};

use crate::error::StoreError;

/// Why a URL could not be got.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch '{url}': {reason}")]
pub struct HttpError {
    /// The URL, without a password.
    pub url: String,
    /// What the server answered, if it answered.
    pub status: Option<u16>,
    /// What went wrong and what to do about it.
    pub reason: String,
}

impl HttpError {
    /// Whether the server said that there is no such thing (404 or 410).
    pub fn is_missing(&self) -> bool {
        matches!(self.status, Some(404 | 410))
    }
}

impl From<HttpError> for StoreError {
    fn from(error: HttpError) -> StoreError {
        StoreError::Fetch { url: error.url, reason: error.reason }
    }
}

/// Where contents go. A broken transfer is tried again from the start, hence [`Sink::restart`].
pub trait Sink: Write {
    /// Forgets everything written so far.
    ///
    /// # Errors
    /// What the medium says.
    fn restart(&mut self) -> io::Result<()>;
}

impl Sink for Vec<u8> {
    fn restart(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }
}

impl Sink for File {
    fn restart(&mut self) -> io::Result<()> {
        self.set_len(0)?;
        self.rewind()
    }
}

/// What a transfer brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// The URL after redirects.
    pub url: String,
    /// Length of the contents in bytes.
    pub n_bytes: u64,
}

/// Gets URLs. Keeps connections open, so make one and share it.
pub struct Client {
    settings: HttpSettings,
    /// Without and with certificates; the second is made when `https` is first met.
    plain: Agent,
    secure: OnceLock<Agent>,
    making: Mutex<()>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How one try ended badly.
enum Failure {
    /// Trying again is pointless.
    Final(HttpError),
    /// It may work later; the server may have said when.
    Transient(HttpError, Option<Duration>),
}

impl Client {
    /// A client with these limits, proxies and certificates.
    pub fn new(settings: HttpSettings) -> Client {
        let plain = agent(&settings, None);
        Client { settings, plain, secure: OnceLock::new(), making: Mutex::default() }
    }

    /// Writes the contents of `url` into `sink`, which is restarted first.
    ///
    /// # Errors
    /// A scheme that is not served, a status other than success, a limit, a broken connection after
    /// every try, and what the sink says.
    pub fn get(&self, url: &str, sink: &mut dyn Sink) -> Result<Got, HttpError> {
        match scheme(url).as_deref() {
            Some("file") => return self.get_file(url, sink),
            Some("http" | "https") => {}
            Some(other) => {
                return Err(fail(
                    url,
                    format!("the scheme '{other}' is not supported; use http, https or file"),
                ));
            }
            None => return Err(fail(url, "it is not a URL; write such as https://host/path")),
        }
        if self.settings.is_offline {
            return Err(fail(url, "the network is switched off (`--offline`)"));
        }
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            sink.restart().map_err(|e| fail(url, format!("cannot write the contents: {e}")))?;
            match self.try_once(url, sink) {
                Ok(got) => return Ok(got),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient(mut error, _)) if n_tries >= self.settings.n_tries => {
                    if n_tries > 1 {
                        error.reason = format!("{} (tried {n_tries} times)", error.reason);
                    }
                    return Err(error);
                }
                Err(Failure::Transient(_, wait)) => {
                    std::thread::sleep(self.pause(n_tries, wait));
                }
            }
        }
    }

    /// The contents of `url`, at most `max_bytes`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn get_bytes(&self, url: &str) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        self.get(url, &mut bytes)?;
        Ok(bytes)
    }

    /// Exponential with full jitter, so that many clients do not come back together.
    fn pause(&self, n_tries: u32, wanted: Option<Duration>) -> Duration {
        if let Some(wanted) = wanted {
            return wanted.min(self.settings.max_back_off);
        }
        let most = self
            .settings
            .back_off
            .saturating_mul(1 << n_tries.min(16))
            .min(self.settings.max_back_off);
        let random = RandomState::new().hash_one(n_tries) as f64 / u64::MAX as f64;
        most.mul_f64(random)
    }

    fn get_file(&self, url: &str, sink: &mut dyn Sink) -> Result<Got, HttpError> {
        let path = file_path(url)
            .ok_or_else(|| fail(url, "a file URL has no host: write file:///absolute/path"))?;
        sink.restart().map_err(|e| fail(url, format!("cannot write the contents: {e}")))?;
        let file = File::open(&path).map_err(|e| fail(url, e.to_string()))?;
        let meta = file.metadata().map_err(|e| fail(url, e.to_string()))?;
        if !meta.is_file() {
            return Err(fail(url, "it is not a regular file"));
        }
        let n_bytes = self.copy(url, &mut { file }, None, sink).map_err(|f| match f {
            Failure::Final(e) | Failure::Transient(e, _) => e,
        })?;
        Ok(Got { url: url.to_owned(), n_bytes })
    }

    fn agent_for(&self, url: &str) -> Result<&Agent, HttpError> {
        if scheme(url).as_deref() != Some("https") {
            return Ok(&self.plain);
        }
        if let Some(agent) = self.secure.get() {
            return Ok(agent);
        }
        let _only_one = self.making.lock().unwrap_or_else(|e| e.into_inner());
        if self.secure.get().is_none() {
            let roots = self.roots().map_err(|reason| fail(url, reason))?;
            // Nobody else sets it while the lock is held.
            let _ = self.secure.set(agent(&self.settings, Some(roots)));
        }
        Ok(self.secure.get().unwrap_or(&self.plain))
    }

    fn roots(&self) -> Result<RootCerts, String> {
        const REMEDY: &str = "set NIX_SSL_CERT_FILE to a file of PEM certificates, or install the ca-certificates package";
        let known = settings::SYSTEM_BUNDLES.iter().map(Path::new).find(|p| p.exists());
        let Some(path) = self.settings.ca_file.as_deref().or(known) else {
            return Err(format!("no certificates to check the server with were found; {REMEDY}"));
        };
        let text = std::fs::read(path).map_err(|e| {
            format!("cannot read the certificates in '{}': {e}; {REMEDY}", path.display())
        })?;
        let certs: Vec<_> = parse_pem(&text)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(cert)) => Some(cert),
                _ => None,
            })
            .collect();
        if certs.is_empty() {
            return Err(format!("'{}' holds no certificates; {REMEDY}", path.display()));
        }
        Ok(RootCerts::new_with_certs(&certs))
    }

    /// One request and its redirects.
    fn try_once(&self, first: &str, sink: &mut dyn Sink) -> Result<Got, Failure> {
        let mut url = first.to_owned();
        for _ in 0..=self.settings.max_redirects {
            let mut response = self.request(&url)?;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                url = next_hop(&url, &response).map_err(Failure::Final)?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(refused(&url, &response));
            }
            let encoded = response.headers().contains_key("content-encoding");
            let length = response
                .headers()
                .get("content-length")
                .and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok())
                .filter(|_| !encoded);
            let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
            let n_bytes = self.copy(&url, &mut body, length, sink)?;
            return Ok(Got { url, n_bytes });
        }
        let n = self.settings.max_redirects;
        Err(Failure::Final(fail(
            first,
            format!("more than {n} redirects; the server may send in circles"),
        )))
    }

    fn request(&self, url: &str) -> Result<Response<ureq::Body>, Failure> {
        let agent = self.agent_for(url).map_err(Failure::Final)?;
        let proxy = self.settings.proxies.choose(url).map_err(|r| Failure::Final(fail(url, r)))?;
        let request = agent.get(url).config().proxy(proxy).build();
        request.call().map_err(|e| self.connection_failure(url, e))
    }

    fn connection_failure(&self, url: &str, error: ureq::Error) -> Failure {
        use ureq::Error as E;
        let transient = |reason: String| Failure::Transient(fail(url, reason), None);
        match error {
            E::Timeout(t) => transient(format!("the server did not answer in time ({t})")),
            E::HostNotFound => transient(
                "the host name could not be resolved; check the address and your network"
                    .to_owned(),
            ),
            E::Io(e) if is_tls(&e) => Failure::Final(fail(
                url,
                format!(
                    "the server's certificate was not accepted: {e}; for a private authority set NIX_SSL_CERT_FILE"
                ),
            )),
            E::Io(e) => transient(connection_text(&e)),
            E::ConnectionFailed => transient("the connection failed".to_owned()),
            E::BadUri(e) => Failure::Final(fail(url, format!("it is not a usable URL: {e}"))),
            E::Http(e) => Failure::Final(fail(url, format!("it is not a usable URL: {e}"))),
            other => Failure::Final(fail(url, other.to_string())),
        }
    }

    /// Copies a body, watching its size and its speed.
    fn copy(
        &self,
        url: &str,
        body: &mut dyn Read,
        length: Option<u64>,
        sink: &mut dyn Sink,
    ) -> Result<u64, Failure> {
        let max = self.settings.max_bytes;
        let too_big = || {
            Failure::Final(fail(
                url,
                format!("it is larger than the limit of {max} bytes (`max-download`)"),
            ))
        };
        if length.is_some_and(|n| n > max) {
            return Err(too_big());
        }
        let mut buffer = vec![0; 64 << 10];
        let mut n_bytes = 0u64;
        let (mut since, mut in_window) = (Instant::now(), 0u64);
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let reason = format!("the transfer broke off after {n_bytes} bytes: {e}");
                    return Err(Failure::Transient(fail(url, reason), None));
                }
            };
            n_bytes += n as u64;
            if n_bytes > max {
                return Err(too_big());
            }
            sink.write_all(&buffer[..n]).map_err(|e| {
                Failure::Final(fail(url, format!("cannot write the contents: {e}")))
            })?;
            in_window += n as u64;
            let elapsed = since.elapsed();
            if elapsed >= self.settings.stall_time {
                if (in_window as f64) < self.settings.min_bytes_per_s as f64 * elapsed.as_secs_f64()
                {
                    let reason = format!(
                        "the transfer is slower than {} bytes per second",
                        self.settings.min_bytes_per_s
                    );
                    return Err(Failure::Transient(fail(url, reason), None));
                }
                (since, in_window) = (Instant::now(), 0);
            }
        }
        if let Some(length) = length.filter(|&length| length != n_bytes) {
            let reason = format!("the transfer ended after {n_bytes} of {length} bytes");
            return Err(Failure::Transient(fail(url, reason), None));
        }
        Ok(n_bytes)
    }
}

fn agent(settings: &HttpSettings, roots: Option<RootCerts>) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(settings.user_agent.as_str())
        // What is hashed are the bytes of the file, not of some coding of it.
        .accept_encoding("identity")
        .max_response_header_size(64 << 10)
        .timeout_resolve(Some(settings.first_byte_timeout))
        .timeout_connect(Some(settings.connect_timeout))
        .timeout_recv_response(Some(settings.first_byte_timeout))
        .timeout_per_read(Some(settings.stall_time));
    if let Some(roots) = roots {
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Agent::new_with_config(config.build())
}

fn fail(url: &str, reason: impl Into<String>) -> HttpError {
    HttpError { url: redacted(url), status: None, reason: reason.into() }
}

fn is_tls(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
        || error.get_ref().is_some_and(|e| e.to_string().contains("certificate"))
}

fn connection_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens at that address (connection refused)".to_owned()
        }
        _ if error.to_string().contains("lookup address") => {
            format!(
                "the host name could not be resolved ({error}); check the address and your network"
            )
        }
        _ => format!("the connection failed: {error}"),
    }
}

/// Where a redirect leads, if it may be followed.
fn next_hop(url: &str, response: &Response<ureq::Body>) -> Result<String, HttpError> {
    let target = response
        .headers()
        .get("location")
        .and_then(|v| v.to_str().ok())
        .ok_or_else(|| fail(url, "the server sent a redirect without an address"))?;
    let next = resolve(url, target);
    let (from, to) = (scheme(url), scheme(&next));
    let text = redacted(&next);
    match to.as_deref() {
        Some("https") => {}
        Some("http") if from.as_deref() == Some("http") => {}
        Some("http") => {
            return Err(fail(
                url,
                format!("the server redirects from https to '{text}', which is not secure"),
            ));
        }
        _ => {
            return Err(fail(
                url,
                format!("the server redirects to '{text}', which is not http or https"),
            ));
        }
    }
    if url::is_link_local(&next) {
        return Err(fail(url, format!("the server redirects to the link-local address '{text}'")));
    }
    Ok(next)
}

/// A status that is not success.
fn refused(url: &str, response: &Response<ureq::Body>) -> Failure {
    let status = response.status();
    let hint = match status.as_u16() {
        401 => "; the server wants credentials",
        403 => "; you are not allowed to read it",
        404 | 410 => "; check the address",
        407 => "; the proxy wants credentials: put them into the proxy's URL",
        429 => "; the server wants fewer requests: try again later",
        500..=599 => "; the server is in trouble: try again later",
        _ => "",
    };
    let error = HttpError {
        url: redacted(url),
        status: Some(status.as_u16()),
        reason: format!("the server answered {status}{hint}"),
    };
    let wait = response
        .headers()
        .get("retry-after")
        .and_then(|v| v.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    match status.as_u16() {
        408 | 429 | 500 | 502 | 503 | 504 => Failure::Transient(error, wait),
        _ => Failure::Final(error),
    }
}
