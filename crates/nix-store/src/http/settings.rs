//! Limits, proxies and certificates of transfers, as data.

use std::path::PathBuf;
use std::time::Duration;

use ureq::Proxy;

use super::url::{host, scheme};

/// Where systems keep the certificates they trust.
pub(super) const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// How URLs are got.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Proxies.
    pub proxies: Proxies,
    /// PEM certificates of trusted authorities; `None` means the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest contents in bytes.
    pub max_bytes: u64,
    /// Most redirects of one request.
    pub max_redirects: u32,
    /// Tries in all, for failures that may pass.
    pub n_tries: u32,
    /// Most of the first pause between tries; later ones double.
    pub back_off: Duration,
    /// Longest pause between tries, whatever the server wishes.
    pub max_back_off: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for the answer to begin.
    pub first_byte_timeout: Duration,
    /// Longest wait for more contents, and the time over which the speed is measured.
    pub stall_time: Duration,
    /// Slower transfers are given up.
    pub min_bytes_per_s: u64,
    /// What the client calls itself.
    pub user_agent: String,
    /// Refuse everything that needs the network; `file` URLs work.
    pub is_offline: bool,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings {
            proxies: Proxies::default(),
            ca_file: None,
            max_bytes: 32 << 30,
            max_redirects: 10,
            n_tries: 4,
            back_off: Duration::from_millis(250),
            max_back_off: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: Duration::from_secs(30),
            stall_time: Duration::from_secs(30),
            min_bytes_per_s: 1024,
            user_agent: concat!("mini-nix/", env!("CARGO_PKG_VERSION")).to_owned(),
            is_offline: false,
        }
    }
}

impl HttpSettings {
    /// The defaults with proxies and certificates from environment variables, which `get` looks up.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> HttpSettings {
        let ca_file = get("NIX_SSL_CERT_FILE")
            .or_else(|| get("SSL_CERT_FILE"))
            .filter(|f| !f.is_empty())
            .map(PathBuf::from);
        HttpSettings { proxies: Proxies::from_environment(get), ca_file, ..Default::default() }
    }
}

/// Proxies by scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` URLs.
    pub http: Option<String>,
    /// For `https` URLs.
    pub https: Option<String>,
    /// Hosts that are reached directly: names, and `.suffix` for what lies below; `*` for all.
    pub direct: Vec<String>,
}

impl Proxies {
    /// From `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, lower case first.
    ///
    /// `HTTP_PROXY` in upper case is not read: servers set it from a request header.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Proxies {
        let get = |name: &str| get(name).filter(|v| !v.is_empty());
        let all = get("all_proxy").or_else(|| get("ALL_PROXY"));
        let direct = get("no_proxy").or_else(|| get("NO_PROXY")).unwrap_or_default();
        Proxies {
            http: get("http_proxy").or_else(|| all.clone()),
            https: get("https_proxy").or_else(|| get("HTTPS_PROXY")).or(all),
            direct: direct
                .split([',', ' '])
                .filter(|h| !h.is_empty())
                .map(str::to_lowercase)
                .collect(),
        }
    }

    pub(super) fn choose(&self, url: &str) -> Result<Option<Proxy>, String> {
        let proxy = match scheme(url).as_deref() {
            Some("https") => &self.https,
            _ => &self.http,
        };
        let Some(proxy) = proxy else { return Ok(None) };
        if self.is_direct(url) {
            return Ok(None);
        }
        Proxy::new(proxy).map(Some).map_err(|_| {
            format!(
                "the proxy address '{}' is not usable; write such as http://host:port",
                super::redacted(proxy)
            )
        })
    }

    fn is_direct(&self, url: &str) -> bool {
        let Some(host) = host(url) else { return false };
        self.direct.iter().any(|rule| {
            let rule = rule.trim_start_matches("*.").trim_start_matches('.');
            rule == "*"
                || host == rule
                || host.strip_suffix(rule).is_some_and(|rest| rest.ends_with('.'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        let proxies = Proxies::from_environment(|name| match name {
            "http_proxy" => Some("http://proxy:3128".to_owned()),
            "no_proxy" => Some("localhost,.example.org".to_owned()),
            _ => None,
        });
        assert!(proxies.choose("http://localhost/x").is_ok_and(|p| p.is_none()));
        assert!(proxies.choose("http://a.example.org/x").is_ok_and(|p| p.is_none()));
        assert!(proxies.choose("http://notexample.org/x").is_ok_and(|p| p.is_some()));
        assert!(proxies.choose("https://a.b/").is_ok_and(|p| p.is_none()));
    }

    #[test]
    fn an_unusable_proxy_address_is_named_without_its_password() {
        let proxies =
            Proxies { http: Some("gopher://me:secret@x:1".to_owned()), ..Default::default() };
        let error = proxies.choose("http://a/").expect_err("no such proxy");
        assert!(error.contains("gopher://") && !error.contains("secret"), "{error}");
    }
}
