//! A program whose configuration is written in Nix: read it into a struct, and say precisely what is wrong.
//!
//! `cargo run -p nix-eval --example config_loader`

use std::{collections::BTreeMap, error::Error, io::Write};

use nix_eval::{
    Engine,
    error::Style,
    host::{MemoryHost, NixPath},
};
use serde::Deserialize;

/// What the program wants to know. Attributes that are not named here are neither read nor evaluated.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    listen: Vec<u16>,
    #[serde(default)]
    log_level: Level,
    sites: BTreeMap<String, Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    root: std::path::PathBuf,
    tls: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Debug,
    #[default]
    Info,
}

const GOOD: &str = r#"
let
  site = name: { root = /srv + "/${name}"; };
in
{
  listen = map (n: 8000 + n) [ 1 2 ];
  sites = {
    blog = site "blog";
    shop = site "shop" // { tls = true; };
  };
}
"#;

const BAD: &str = r#"
{
  listen = [ 80 443 ];
  logLevel = "debug";
  sites.blog = {
    root = /srv/blog;
    tls = "yes";
  };
}
"#;

fn load(text: &str) -> Result<Config, nix_eval::Error> {
    // A real program uses `FsHost::read_only("/etc/my-program")`.
    let host = MemoryHost::new([("/etc/config.nix", text)]);
    let session = Engine::untrusted().host(host).build()?.evaluator();
    session.import(&NixPath::root("/etc/config.nix"))?.to()
}

/// Writes what the two configurations give.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    for text in [GOOD, BAD] {
        match load(text) {
            Ok(config) => {
                let Config { listen, log_level, sites } = config;
                writeln!(out, "{log_level:?} on {listen:?}")?;
                for (name, Site { root, tls }) in sites {
                    writeln!(out, "{name}: {} {tls:?}", root.display())?;
                }
            }
            Err(e) => write!(out, "{}", e.report().text(Style::default()))?,
        }
    }
    Ok(())
}

#[allow(dead_code, reason = "the test calls `run`")]
fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout())
}
