//! Writing the text of a derivation, in one pass.

use std::collections::BTreeSet;

use super::{Derivation, Output, fixed_path};
use crate::aterm::{write_list, write_raw_string, write_string};
use crate::store_path::{HASH_LEN, StoreDir, StorePath};

/// What stands for the inputs, and for the outputs' paths.
#[derive(Copy, Clone)]
pub(super) enum Form<'a> {
    /// The text of the `.drv` file.
    File,
    /// The text that is hashed modulo inputs.
    Modulo {
        /// Base-16 key of an input → its output names; in order.
        inputs: &'a [(String, BTreeSet<&'a str>)],
        /// Blanks output paths, and variables named like outputs.
        masked: bool,
    },
}

impl Derivation {
    /// The text of the `.drv` file.
    ///
    /// Names and the system are written as they are: [`Derivation::check_shape`] says whether they
    /// can be. A fixed output whose path cannot be made, because of its name, gets an empty one.
    #[must_use]
    pub fn write(&self, dir: &StoreDir) -> Vec<u8> {
        self.write_form(dir, Form::File)
    }

    pub(super) fn write_form(&self, dir: &StoreDir, form: Form<'_>) -> Vec<u8> {
        let masked = matches!(form, Form::Modulo { masked: true, .. });
        let out = &mut Vec::with_capacity(self.len_estimate(dir));
        out.extend_from_slice(b"Derive(");
        write_list(out, &self.outputs, |out, (name, output)| {
            out.push(b'(');
            write_raw_string(out, name);
            out.push(b',');
            self.write_output(out, dir, name, output, masked);
            out.push(b')');
        });
        out.push(b',');
        match form {
            Form::File => write_list(out, &self.input_drvs, |out, (path, outputs)| {
                out.push(b'(');
                write_path(out, dir, path);
                out.push(b',');
                write_list(out, outputs, |out, name| write_raw_string(out, name));
                out.push(b')');
            }),
            Form::Modulo { inputs, .. } => write_list(out, inputs, |out, (key, outputs)| {
                out.push(b'(');
                write_raw_string(out, key);
                out.push(b',');
                write_list(out, outputs, |out, name| write_raw_string(out, name));
                out.push(b')');
            }),
        }
        out.push(b',');
        write_list(out, &self.input_srcs, |out, path| write_path(out, dir, path));
        out.push(b',');
        write_raw_string(out, &self.system);
        out.push(b',');
        write_string(out, &self.builder);
        out.push(b',');
        write_list(out, &self.args, |out, arg| write_string(out, arg));
        out.push(b',');
        write_list(out, &self.env, |out, (name, value)| {
            out.push(b'(');
            write_string(out, name);
            out.push(b',');
            let blank = masked
                && std::str::from_utf8(name).is_ok_and(|name| self.outputs.contains_key(name));
            write_string(out, if blank { b"" } else { value });
            out.push(b')');
        });
        out.push(b')');
        std::mem::take(out)
    }

    /// Path, algorithm and hash of an output, with commas between.
    fn write_output(
        &self,
        out: &mut Vec<u8>,
        dir: &StoreDir,
        name: &str,
        output: &Output,
        masked: bool,
    ) {
        let path = match output {
            Output::InputAddressed(path) => Some(path.clone()),
            Output::Fixed { ca } => fixed_path(dir, &self.name, name, ca).ok(),
            Output::Floating { .. } | Output::Deferred | Output::Impure { .. } => None,
        };
        match path {
            Some(path) if !masked => write_path(out, dir, &path),
            _ => write_raw_string(out, ""),
        }
        out.push(b',');
        let (method_and_algo, hash) = match output {
            Output::InputAddressed(_) | Output::Deferred => (String::new(), String::new()),
            Output::Fixed { ca } => {
                let hash = ca.hash();
                (format!("{}{}", ca.method().prefix(), hash.algo()), hash.to_base16())
            }
            Output::Floating { method, algo } => {
                (format!("{}{algo}", method.prefix()), String::new())
            }
            Output::Impure { method, algo } => {
                (format!("{}{algo}", method.prefix()), IMPURE.to_owned())
            }
        };
        write_raw_string(out, &method_and_algo);
        out.push(b',');
        write_raw_string(out, &hash);
    }

    /// About how long the text will be, in bytes; too much rather than too little.
    fn len_estimate(&self, dir: &StoreDir) -> usize {
        let path = dir.as_str().len() + HASH_LEN + 60;
        let escaped = |bytes: &[u8]| bytes.len() + bytes.len() / 16 + 8;
        200 + self.outputs.len() * (path + 100)
            + self.input_drvs.len() * (path + 30)
            + self.input_srcs.len() * path
            + self.builder.len()
            + self.args.iter().map(|arg| escaped(arg)).sum::<usize>()
            + self.env.iter().map(|(name, value)| name.len() + escaped(value)).sum::<usize>()
    }
}

/// What stands for the hash of an output that may differ from build to build.
pub(super) const IMPURE: &str = "impure";

fn write_path(out: &mut Vec<u8>, dir: &StoreDir, path: &StorePath) {
    out.push(b'"');
    out.extend_from_slice(dir.as_str().as_bytes());
    out.push(b'/');
    out.extend_from_slice(path.base_name().as_bytes());
    out.push(b'"');
}
