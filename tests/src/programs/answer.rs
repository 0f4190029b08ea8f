//! What a program gave, and how two answers are compared.

/// How values are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// As an expression, everything evaluated.
    Strict,
    /// As an expression, evaluated to the first constructor only: laziness shows.
    Shallow,
    /// As JSON.
    Json,
    /// As XML.
    Xml,
    /// Not evaluated: the program after desugaring.
    Parse,
}

impl Mode {
    /// All that evaluate, in the order in which batches use them.
    pub(crate) const ALL: [Mode; 4] = [Mode::Strict, Mode::Shallow, Mode::Json, Mode::Xml];

    /// Short name for cases.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::Shallow => "shallow",
            Mode::Json => "json",
            Mode::Xml => "xml",
            Mode::Parse => "parse",
        }
    }

    /// Options of `nix-instantiate`.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Mode::Strict => &["--eval", "--strict"],
            Mode::Shallow => &["--eval"],
            Mode::Json => &["--eval", "--strict", "--json"],
            Mode::Xml => &["--eval", "--strict", "--xml", "--no-location"],
            Mode::Parse => &["--parse"],
        }
    }
}

/// What a program gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Value(Vec<u8>),
    /// Class of the error, and its message.
    Error(String, String),
    /// It ended in a way that a program must not end in.
    Crash(String),
}

impl Answer {
    /// One line for people and for the list of differences.
    pub(crate) fn line(&self) -> String {
        match self {
            Answer::Value(text) => format!("value {}", String::from_utf8_lossy(text)),
            Answer::Error(class, message) => format!("error {class}: {message}"),
            Answer::Crash(how) => format!("crash {how}"),
        }
    }

    /// Whether both say the same: equal values, or errors of one class.
    pub(crate) fn agrees(&self, peer: &Answer, version: &str) -> bool {
        match (self, peer) {
            (Answer::Value(a), Answer::Value(b)) => {
                a == b || version.starts_with("2.8") && as_of_28(a) == as_of_28(b)
            }
            (Answer::Error(a, _), Answer::Error(b, _)) => a == b,
            _ => false,
        }
    }
}

/// A text without what Nix 2.8 writes in another way wherever it stands: numbers have six digits, as its
/// floats in JSON, and `[ ]` within a value is not evaluated.
pub(super) fn as_of_28(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text).replace("[ ]", "<CODE>").into_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let n = rest.iter().take_while(|b| b.is_ascii_digit() || b".eE+-".contains(b)).count();
        let number = std::str::from_utf8(&rest[..n]).ok().and_then(|t| t.parse::<f64>().ok());
        match number {
            Some(number) => out.extend_from_slice(format!("{number:.5e}").as_bytes()),
            None => out.extend_from_slice(&rest[..n]),
        }
        at += n;
        if let Some(&byte) = text.get(at) {
            out.push(byte);
            at += 1;
        }
    }
    out
}

/// Classes of errors by what the messages of C++ Nix contain, from narrow to wide: the first hit counts.
#[rustfmt::skip]
const CLASSES: &[(&str, &[&str])] = &[
    ("format", &["json.exception"]),
    ("argument", &["dynamic attribute '"]),
    ("parse", &[
        "syntax error", "invalid integer", "invalid float", "path has a trailing slash", "already defined at",
        "duplicate formal function argument", "dynamic attributes not allowed", "memory exhausted",
    ]),
    ("feature", &["experimental Nix feature"]),
    ("undefined", &["undefined variable"]),
    ("throw", &["was not found in the Nix search path", "cannot look up"]),
    ("assert", &["assertion '", "is not equal to"]),
    ("abort", &["evaluation aborted with the following error message"]),
    ("recursion", &["infinite recursion encountered"]),
    ("call-args", &[
        "called without required argument", "called with unexpected argument",
        "cannot evaluate a function that has an argument without a value",
    ]),
    ("restricted", &[
        "is forbidden in pure", "in restricted mode", "is not allowed in pure", "in pure evaluation mode,",
        "can not be resolved in pure mode",
    ]),
    ("context", &[
        "is not allowed to refer to a store path", "cannot be appended to a path",
        "must not contain a reference to a derivation", "may not reference derivations",
    ]),
    ("limit", &["stack overflow", "max-call-depth", "out of memory"]),
    ("arith", &["division by zero", "overflow"]),
    ("compare", &["cannot compare"]),
    ("index", &[
        "out of bounds", "called on an empty list", "called with index", "cannot create list of size",
        "negative start position", "out of range",
    ]),
    ("format", &[
        "while parsing TOML", "while parsing a TOML", "invalid regular expression", "unsigned json number", "null bytes",
        "unknown hash algorithm", "unknown hash type", "memory limit exceeded by regular expression", "[error] ",
        "has an empty name", "name must not be empty", "illegal character", "wrong length for hash",
        "does not include a type",
    ]),
    ("argument", &[
        "different lengths", "unsupported argument", "required attribute", "duplicate derivation output",
        "invalid derivation output name", "multiple outputs are not supported", "invalid value", "derivation names are",
        "is not in the Nix store", "represent an absolute path", "store path mismatch",
    ]),
    ("missing-attr", &[
        "attribute '", "attribute \"", "in selection path", "'path' required", "required 'path'",
    ]),
    ("type", &[
        "was expected", "but found", "cannot coerce", "attempt to call something which is not a function",
        "is not a function but", "cannot convert", "cannot add", "requires a function",
        "the expression selected by the selection path", "should have been", "expected a",
    ]),
    ("io", &[
        "No such file or directory", "does not exist", "Not a directory", "Is a directory", "reading from file",
        "opening", "getting status of",
    ]),
    ("store", &["is not valid"]),
];

/// The class of an error by the message of C++ Nix; what no text tells is what a program threw.
pub(crate) fn class_of(message: &str) -> &'static str {
    let hit = CLASSES.iter().find(|(_, texts)| texts.iter().any(|t| message.contains(t)));
    hit.map_or("throw", |(class, _)| class)
}
