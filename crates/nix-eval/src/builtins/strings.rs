//! Strings and the texts of paths.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Error},
    host::NixPath,
    machine::{Coerce, Machine},
    value::{ContextBuilder, ContextId, Str, Value, View},
};

pub(super) const STRINGS: &[Builtin] = &[
    Builtin {
        name: "baseNameOf",
        params: &["x"],
        doc: "What follows the last slash of the path or string *x*; one slash at the end is ignored.",
        examples: &[
            Example { source: r#"baseNameOf "/a/b/""#, shows: "\"b\"" },
            Example { source: "baseNameOf /a/b.c", shows: "\"b.c\"" },
        ],
        run: Run::One(base_name_of),
    },
    Builtin {
        name: "concatStringsSep",
        params: &["separator", "list"],
        doc: "The strings in *list*, with *separator* between them.",
        examples: &[Example {
            source: r#"builtins.concatStringsSep "/" [ "usr" "bin" ]"#,
            shows: "\"usr/bin\"",
        }],
        run: Run::Two(concat_strings_sep),
    },
    Builtin {
        name: "dirOf",
        params: &["s"],
        doc: "What comes before the last slash of the path or string *s*; `.` for a string without one.",
        examples: &[
            Example {
                source: r#"[ (dirOf "/a/b") (dirOf "a") (dirOf "/a") ]"#,
                shows: r#"[ "/a" "." "/" ]"#,
            },
            Example { source: "dirOf /a/b", shows: "/a" },
        ],
        run: Run::One(dir_of),
    },
    Builtin {
        name: "replaceStrings",
        params: &["from", "to", "s"],
        doc: "*s* with every occurrence of a string in *from* replaced by the one at the same place in *to*. At \
              each position the first of *from* that fits counts; replaced text is not looked at again.",
        examples: &[
            Example {
                source: r#"builtins.replaceStrings [ "oo" "a" ] [ "a" "i" ] "foobar""#,
                shows: "\"fabir\"",
            },
            Example {
                source: r#"builtins.replaceStrings [ "" ] [ "-" ] "ab""#,
                shows: "\"-a-b-\"",
            },
        ],
        run: Run::Three(replace_strings),
    },
    Builtin {
        name: "stringLength",
        params: &["e"],
        doc: "The number of bytes of the string *e*.",
        examples: &[Example { source: r#"builtins.stringLength "é""#, shows: "2" }],
        run: Run::One(string_length),
    },
    Builtin {
        name: "substring",
        params: &["start", "len", "s"],
        doc: "*len* bytes of the string *s* from byte *start* on, or fewer if it ends before; all of them if *len* is negative.",
        examples: &[
            Example { source: r#"builtins.substring 0 3 "nixos""#, shows: "\"nix\"" },
            Example { source: r#"builtins.substring 3 (-1) "nixos""#, shows: "\"os\"" },
            Example {
                source: r#"builtins.substring (-1) 1 "a""#,
                shows: "error: negative start position in 'substring'",
            },
        ],
        run: Run::Three(substring),
    },
    Builtin {
        name: "toString",
        params: &["e"],
        doc: "*e* as a string: `\"1\"` and `\"\"` for booleans, `\"\"` for `null`, the elements of a list with spaces \
              between them, what `__toString` or `outPath` of a set gives.",
        examples: &[
            Example { source: "toString [ 1 2.5 true null ]", shows: "\"1 2.500000 1 \"" },
            Example {
                source: r#"toString { __toString = self: "x" + self.a; a = "y"; }"#,
                shows: "\"xy\"",
            },
        ],
        run: Run::One(to_string),
    },
];

/// A coerced argument; the string carries its context.
pub(super) fn coerce(m: &mut Machine, v: Value, how: Coerce) -> Result<Str, Error> {
    m.coerce_to_string(v, how, &mut ContextBuilder::new())
}

fn base_name_of(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let s = coerce(m, v, Coerce::PATH_TEXT)?;
    let text = s.bytes();
    let end = text.len() - usize::from(text.last() == Some(&b'/'));
    let start = text[..end].iter().rposition(|&b| b == b'/').map_or(0, |slash| slash + 1);
    Ok(m.new_substring(s, start, end - start, s.context()))
}

fn dir_of(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let v = m.force(v)?;
    if let View::Path(path) = v.view() {
        let text = path.bytes();
        let end = text.iter().rposition(|&b| b == b'/').unwrap_or(0).max(1);
        let parent = NixPath { accessor: path.accessor(), text: text[..end].to_vec() };
        return Ok(m.new_path(&parent));
    }
    let s = coerce(m, v, Coerce::PATH_TEXT)?;
    Ok(match s.bytes().iter().rposition(|&b| b == b'/') {
        None => m.new_string(b".", s.context()),
        Some(slash) => m.new_substring(s, 0, slash.max(1), s.context()),
    })
}

fn concat_strings_sep(m: &mut Machine, separator: Value, list: Value) -> Result<Value, Error> {
    let separator =
        m.force_string(separator, "the first argument of 'builtins.concatStringsSep'")?;
    let list = m.force_list(list, "the second argument of 'builtins.concatStringsSep'")?;
    let mut context = ContextBuilder::new();
    context.add(separator.context());
    let mut out = Vec::new();
    for (i, item) in list.iter().enumerate() {
        m.poll()?;
        if i > 0 {
            out.extend_from_slice(separator.bytes());
        }
        let s = m.coerce_to_string(item, Coerce::INTERPOLATE, &mut context)?;
        out.extend_from_slice(s.bytes());
        m.check_string_len(out.len() as u64)?;
    }
    m.new_long_string(&[&out], context.finish(m.contexts()))
}

fn replace_strings(m: &mut Machine, from: Value, to: Value, s: Value) -> Result<Value, Error> {
    let from = m.force_list(from, "the first argument of 'builtins.replaceStrings'")?;
    let to = m.force_list(to, "the second argument of 'builtins.replaceStrings'")?;
    if from.len() != to.len() {
        return Err(error::argument(format!(
            "'from' and 'to' arguments passed to 'builtins.replaceStrings' have different lengths: {} and {}",
            from.len(),
            to.len()
        )));
    }
    let mut patterns = Vec::with_capacity(from.len());
    // Bytes with which a pattern begins; everything else is copied without a closer look.
    let mut begins = [false; 256];
    for item in from.iter() {
        m.poll()?;
        let what = "one of the strings to replace passed to 'builtins.replaceStrings'";
        let pattern = m.force_string(item, what)?.bytes();
        match pattern.first() {
            Some(&first) => begins[usize::from(first)] = true,
            None => begins = [true; 256],
        }
        patterns.push(pattern);
    }
    let fits_at_end = patterns.iter().any(|pattern| pattern.is_empty());
    let s = m.force_string(s, "the third argument of 'builtins.replaceStrings'")?;
    let mut context = ContextBuilder::new();
    context.add(s.context());
    let text = s.bytes();
    let mut replacements: Vec<Option<Str>> = vec![None; patterns.len()];
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    loop {
        let window = &text[at..text.len().min(at + (256 << 10))];
        let plain = window.iter().position(|&b| begins[usize::from(b)]);
        let skipped = plain.unwrap_or(window.len());
        out.extend_from_slice(&window[..skipped]);
        at += skipped;
        if plain.is_none() && at < text.len() {
            m.poll_now()?;
            continue;
        }
        if at == text.len() && !fits_at_end {
            break;
        }
        m.poll()?;
        let found = patterns.iter().position(|pattern| text[at..].starts_with(pattern));
        let n_bytes = match found {
            Some(i) => {
                let replacement = match replacements[i] {
                    Some(known) => known,
                    None => {
                        let what =
                            "one of the replacement strings passed to 'builtins.replaceStrings'";
                        let replacement = m.force_string(to.as_slice()[i], what)?;
                        context.add(replacement.context());
                        replacements[i] = Some(replacement);
                        replacement
                    }
                };
                out.extend_from_slice(replacement.bytes());
                m.check_string_len(out.len() as u64)?;
                patterns[i].len()
            }
            None => 0,
        };
        if n_bytes == 0 {
            // Nothing was consumed, so one byte is copied, and the end has been dealt with.
            match text.get(at) {
                Some(&byte) => out.push(byte),
                None => break,
            }
            at += 1;
        }
        at += n_bytes;
    }
    m.new_long_string(&[&out], context.finish(m.contexts()))
}

fn string_length(m: &mut Machine, v: Value) -> Result<Value, Error> {
    let s = coerce(m, v, Coerce::INTERPOLATE)?;
    Ok(m.new_int(s.len() as i64))
}

fn substring(m: &mut Machine, start: Value, len: Value, s: Value) -> Result<Value, Error> {
    let start = m.force_int(start, "the first argument of 'builtins.substring'")?;
    let start = usize::try_from(start)
        .map_err(|_| error::index("negative start position in 'substring'"))?;
    let len = m.force_int(len, "the second argument of 'builtins.substring'")?;
    let s = coerce(m, s, Coerce::INTERPOLATE)?;
    let rest = s.len().saturating_sub(start);
    let len = usize::try_from(len).map_or(rest, |len| len.min(rest));
    if len == 0 {
        return Ok(m.new_string(b"", s.context()));
    }
    if len == s.len() {
        return Ok(s.value());
    }
    Ok(m.new_substring(s, start, len, s.context()))
}

fn to_string(m: &mut Machine, v: Value) -> Result<Value, Error> {
    Ok(coerce(m, v, Coerce::TO_STRING)?.value())
}

/// A string without context.
pub(super) fn bytes_value(m: &mut Machine, bytes: &[u8]) -> Value {
    m.new_string(bytes, ContextId::NONE)
}
