//! Digests.

use nix_formats::hash::{Hash, HashAlgo, Hasher};

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    machine::{Coerce, Machine},
    value::{Attrs, ContextBuilder, Value},
};

pub(super) const HASHES: &[Builtin] = &[
    Builtin {
        name: "convertHash",
        params: &["args"],
        doc: "The digest `hash` in the form `toHashFormat`: `base16`, `nix32`, `base64` or `sri`. `hashAlgo` names the algorithm unless `hash` does.",
        examples: &[Example {
            source: r#"builtins.convertHash { hash = "d41d8cd98f00b204e9800998ecf8427e"; hashAlgo = "md5"; toHashFormat = "nix32"; }"#,
            shows: r#""3y8bwfr609h3lh9ch0izcqq7fl""#,
        }],
        run: Run::One(convert_hash),
    },
    Builtin {
        name: "hashFile",
        params: &["type", "p"],
        doc: "The digest of the file *p* in base 16. *type* is `md5`, `sha1`, `sha256` or `sha512`.",
        examples: &[Example {
            source: r#"builtins.hashFile "sha3" ./x"#,
            shows: "error: unknown hash algorithm 'sha3'",
        }],
        run: Run::Two(hash_file),
    },
    Builtin {
        name: "hashString",
        params: &["type", "s"],
        doc: "The digest of the string *s* in base 16.",
        examples: &[Example {
            source: r#"builtins.hashString "md5" """#,
            shows: r#""d41d8cd98f00b204e9800998ecf8427e""#,
        }],
        run: Run::Two(hash_string),
    },
];

fn algorithm(m: &mut Machine, v: Value, what: &str) -> Result<HashAlgo, Error> {
    let name = m.force_string_no_context(v, what)?.to_text();
    parse_algorithm(&name)
}

fn parse_algorithm(name: &str) -> Result<HashAlgo, Error> {
    name.parse().map_err(|_| error::format(format!("unknown hash algorithm '{name}'")))
}

fn hash_string(m: &mut Machine, kind: Value, s: Value) -> Result<Value, Error> {
    let algo = algorithm(m, kind, "the first argument of 'builtins.hashString'")?;
    let s = m.force_string(s, "the second argument of 'builtins.hashString'")?;
    hash(m, algo, s.bytes())
}

/// The digest of bytes, in base 16.
fn hash(m: &mut Machine, algo: HashAlgo, bytes: &[u8]) -> Result<Value, Error> {
    let mut hasher = Hasher::new(algo);
    for part in bytes.chunks(256 << 10) {
        m.poll_now()?;
        hasher.update(part);
    }
    Ok(m.new_text(&hasher.finish().to_base16()))
}

fn hash_file(m: &mut Machine, kind: Value, path: Value) -> Result<Value, Error> {
    let algo = algorithm(m, kind, "the first argument of 'builtins.hashFile'")?;
    let path = m.coerce_to_real_path(path)?;
    let text = m.read_file(&path)?;
    hash(m, algo, &text)
}

fn convert_hash(m: &mut Machine, args: Value) -> Result<Value, Error> {
    let what = "the argument of 'builtins.convertHash'";
    let args = m.force_attrs(args, what)?;
    let text = |m: &mut Machine, args: Attrs, name: &str| -> Result<Option<String>, Error> {
        let symbol = m.symbol(name);
        let Some(v) = args.get(symbol) else { return Ok(None) };
        let mut context = ContextBuilder::new();
        let s = m.coerce_to_string(v, Coerce::INTERPOLATE, &mut context)?;
        Ok(Some(s.to_text()))
    };
    let hash = text(m, args, "hash")?.ok_or_else(|| error::required_attr("hash", what))?;
    let algo = match text(m, args, "hashAlgo")? {
        Some(name) => Some(parse_algorithm(&name)?),
        None => None,
    };
    let format =
        text(m, args, "toHashFormat")?.ok_or_else(|| error::required_attr("toHashFormat", what))?;
    let hash = Hash::parse(&hash, algo).map_err(|e| error::format(e.to_string()))?;
    let out = match format.as_str() {
        "base16" => hash.to_base16(),
        "nix32" => hash.to_nix32(),
        "base32" => {
            m.warn(b"'base32' is an old name of the hash format 'nix32'");
            hash.to_nix32()
        }
        "base64" => hash.to_base64(),
        "sri" => hash.to_sri(),
        other => {
            return Err(error::format(format!(
                "unknown hash format '{other}', expect 'base16', 'nix32', 'base64', or 'sri'"
            )));
        }
    };
    Ok(m.new_text(&out))
}
