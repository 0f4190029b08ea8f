//! The syntax of POSIX extended regular expressions, as libstdc++ reads it.
//!
//! Stricter than most readers: a backslash may stand only before a character that is special, a
//! quantifier needs something to repeat, `{` always begins an interval. Looser in others: empty
//! alternatives, quantifiers of quantifiers, a lone `}` or `]`.

use super::{RegexError, program::MAX_STATES};

/// Deepest nesting of groups and quantifiers. Walks over [`Ere`] recurse, so this bounds them.
pub(super) const MAX_DEPTH: u32 = 200;

/// A set of bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    /// Adds a byte.
    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Whether the byte is in the set.
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn negate(&mut self) {
        for word in &mut self.0 {
            *word = !*word;
        }
    }
}

/// A regular expression as a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ere {
    /// Matches nothing but the empty text.
    Empty,
    /// `^`: the very start of the text.
    Start,
    /// `$`: its end.
    End,
    /// A byte.
    Byte(u8),
    /// `.`: any byte.
    Any,
    /// `[…]`.
    Set(Box<ByteSet>),
    /// `(…)`, numbered from 1 by its opening parenthesis.
    Group(u32, Box<Ere>),
    /// One after the other.
    Concat(Vec<Ere>),
    /// `a|b|…`, at least two.
    Alternate(Vec<Ere>),
    /// At least `min` times, at most `max`. `max` is at least `min`.
    Repeat { min: u32, max: Option<u32>, body: Box<Ere> },
}

impl Ere {
    /// Whether it can match the empty text.
    pub(super) fn is_nullable(&self) -> bool {
        match self {
            Ere::Empty | Ere::Start | Ere::End => true,
            Ere::Byte(_) | Ere::Any | Ere::Set(_) => false,
            Ere::Group(_, body) => body.is_nullable(),
            Ere::Concat(parts) => parts.iter().all(Ere::is_nullable),
            Ere::Alternate(parts) => parts.iter().any(Ere::is_nullable),
            Ere::Repeat { min, body, .. } => *min == 0 || body.is_nullable(),
        }
    }

    /// Whether a part that is repeated can match the empty text.
    pub(super) fn repeats_nullable(&self) -> bool {
        match self {
            Ere::Repeat { body, max, .. } => {
                (*max != Some(0) && body.is_nullable()) || body.repeats_nullable()
            }
            Ere::Group(_, body) => body.repeats_nullable(),
            Ere::Concat(parts) | Ere::Alternate(parts) => parts.iter().any(Ere::repeats_nullable),
            _ => false,
        }
    }

    /// Whether `|` occurs.
    pub(super) fn alternates(&self) -> bool {
        match self {
            Ere::Alternate(_) => true,
            Ere::Repeat { body, .. } | Ere::Group(_, body) => body.alternates(),
            Ere::Concat(parts) => parts.iter().any(Ere::alternates),
            _ => false,
        }
    }
}

/// A group that is being read.
struct Open {
    /// Its number; 0 for the whole.
    group: u32,
    /// Finished alternatives.
    alternatives: Vec<Ere>,
    /// Parts of the alternative that is being read, each with its depth.
    parts: Vec<(Ere, u32)>,
    /// The deepest part so far.
    depth: u32,
    /// Whether a quantifier may follow.
    repeatable: bool,
}

impl Open {
    fn new(group: u32) -> Open {
        Open { group, alternatives: Vec::new(), parts: Vec::new(), depth: 0, repeatable: false }
    }

    fn push(&mut self, part: Ere, depth: u32, repeatable: bool) {
        self.depth = self.depth.max(depth);
        self.parts.push((part, depth));
        self.repeatable = repeatable;
    }

    fn end_alternative(&mut self) {
        let mut parts: Vec<Ere> =
            std::mem::take(&mut self.parts).into_iter().map(|(part, _)| part).collect();
        self.repeatable = false;
        self.alternatives.push(match parts.len() {
            0 => Ere::Empty,
            1 => parts.pop().expect("there is one"),
            _ => Ere::Concat(parts),
        });
    }

    /// The group's contents and their depth.
    fn finish(mut self) -> (Ere, u32) {
        self.end_alternative();
        let body = if self.alternatives.len() == 1 {
            self.alternatives.pop().expect("there is one")
        } else {
            Ere::Alternate(self.alternatives)
        };
        (body, self.depth)
    }
}

/// Reads a pattern; also gives the number of groups and the depth of the tree.
///
/// # Errors
/// Whatever libstdc++ refuses, and nesting beyond [`MAX_DEPTH`].
pub(super) fn parse(pattern: &[u8]) -> Result<(Ere, u32, u32), RegexError> {
    let mut reader = Reader { text: pattern, at: 0 };
    let mut n_groups = 0;
    let mut open = vec![Open::new(0)];
    let mut n_parts = 0;
    while let Some(byte) = reader.next() {
        // More parts than this would have too many states, whatever they are.
        n_parts += 1;
        if n_parts > 2 * MAX_STATES {
            return Err(RegexError::TooBig);
        }
        let level = open.len() as u32;
        let top = open.last_mut().expect("the whole is never closed");
        match byte {
            b'\\' => {
                let escaped = reader.next().ok_or(RegexError::Escape)?;
                if !b".[\\()*+?{|^$".contains(&escaped) {
                    return Err(RegexError::Escape);
                }
                top.push(Ere::Byte(escaped), 1, true);
            }
            b'^' => top.push(Ere::Start, 1, false),
            b'$' => top.push(Ere::End, 1, false),
            b'.' => top.push(Ere::Any, 1, true),
            b'[' => {
                let set = bracket(&mut reader)?;
                top.push(Ere::Set(Box::new(set)), 1, true);
            }
            b'(' => {
                if level >= MAX_DEPTH {
                    return Err(RegexError::TooDeep);
                }
                n_groups += 1;
                open.push(Open::new(n_groups));
            }
            b')' => {
                if open.len() == 1 {
                    return Err(RegexError::Parenthesis);
                }
                let closed = open.pop().expect("there are two");
                let group = closed.group;
                let (body, depth) = closed.finish();
                let outer = open.last_mut().expect("there was one below");
                outer.push(Ere::Group(group, Box::new(body)), depth + 1, true);
            }
            b'|' => top.end_alternative(),
            b'*' | b'+' | b'?' | b'{' => {
                let (min, max) = match byte {
                    b'*' => (0, None),
                    b'+' => (1, None),
                    b'?' => (0, Some(1)),
                    _ if !top.repeatable => return Err(RegexError::Repeat),
                    _ => interval(&mut reader)?,
                };
                if !top.repeatable {
                    return Err(RegexError::Repeat);
                }
                let (body, depth) = top.parts.pop().expect("repeatable parts are there");
                if depth >= MAX_DEPTH {
                    return Err(RegexError::TooDeep);
                }
                top.push(Ere::Repeat { min, max, body: Box::new(body) }, depth + 1, true);
            }
            0 => return Err(RegexError::Nul),
            _ => top.push(Ere::Byte(byte), 1, true),
        }
    }
    let whole = open.pop().expect("the whole is never closed");
    if !open.is_empty() {
        return Err(RegexError::Parenthesis);
    }
    let (ere, depth) = whole.finish();
    Ok((ere, n_groups, depth))
}

/// A cursor over the pattern.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let fits = self.peek() == Some(byte);
        self.at += usize::from(fits);
        fits
    }

    /// Digits, if there are any.
    fn number(&mut self) -> Result<Option<u32>, RegexError> {
        let mut value = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            let so_far: u32 = value.unwrap_or(0);
            let next = so_far.checked_mul(10).and_then(|n| n.checked_add(u32::from(digit - b'0')));
            value = Some(next.filter(|&n| n <= i32::MAX as u32).ok_or(RegexError::Interval)?);
        }
        Ok(value)
    }
}

/// What follows `{`.
fn interval(reader: &mut Reader<'_>) -> Result<(u32, Option<u32>), RegexError> {
    let min = reader.number()?.ok_or(RegexError::Interval)?;
    let max = if reader.eat(b',') { reader.number()? } else { Some(min) };
    if !reader.eat(b'}') || max.is_some_and(|max| max < min) {
        return Err(RegexError::Interval);
    }
    Ok((min, max))
}

/// What a range could begin with.
enum Last {
    /// Nothing: a range just ended, or the bracket just began.
    Nothing,
    /// A byte that is not yet in the set.
    Byte(u8),
    /// A class.
    Class,
}

/// One item of a bracket.
enum Item {
    Byte(u8),
    Dash,
    Collating(Vec<u8>),
    Class(Vec<u8>),
    Equivalent(Vec<u8>),
    End,
}

fn item(reader: &mut Reader<'_>, first: bool) -> Result<Item, RegexError> {
    let byte = reader.next().ok_or(RegexError::Bracket)?;
    Ok(match byte {
        b'-' => Item::Dash,
        b']' if !first => Item::End,
        b'[' => match reader.peek().ok_or(RegexError::Bracket)? {
            mark @ (b'.' | b':' | b'=') => {
                reader.at += 1;
                let rest = &reader.text[reader.at..];
                let error = if mark == b':' { RegexError::Class } else { RegexError::Collate };
                let len = rest.iter().position(|&b| b == mark).ok_or(error.clone())?;
                if rest.get(len + 1) != Some(&b']') {
                    return Err(error);
                }
                let name = rest[..len].to_vec();
                reader.at += len + 2;
                match mark {
                    b'.' => Item::Collating(name),
                    b':' => Item::Class(name),
                    _ => Item::Equivalent(name),
                }
            }
            _ => Item::Byte(b'['),
        },
        _ => Item::Byte(byte),
    })
}

/// What follows `[`.
fn bracket(reader: &mut Reader<'_>) -> Result<ByteSet, RegexError> {
    let negated = reader.eat(b'^');
    let mut set = ByteSet::default();
    let mut last = Last::Nothing;
    let mut first = true;
    loop {
        let item = item(reader, first)?;
        let mut take = |last: &mut Last, next: Last| {
            if let Last::Byte(byte) = std::mem::replace(last, next) {
                set.insert(byte);
            }
        };
        match item {
            Item::End => break,
            Item::Byte(byte) => take(&mut last, Last::Byte(byte)),
            Item::Collating(name) => take(&mut last, Last::Byte(collating(&name)?)),
            Item::Equivalent(name) => {
                take(&mut last, Last::Class);
                let member = collating(&name)?;
                set.insert(member.to_ascii_lowercase());
                set.insert(member.to_ascii_uppercase());
            }
            Item::Class(name) => {
                take(&mut last, Last::Class);
                class(&name, &mut set)?;
            }
            Item::Dash if first => last = Last::Byte(b'-'),
            Item::Dash if reader.eat(b']') => {
                take(&mut last, Last::Byte(b'-'));
                break;
            }
            Item::Dash => {
                let Last::Byte(low) = last else { return Err(RegexError::Range) };
                let high = match self::item(reader, false)? {
                    Item::Byte(byte) => byte,
                    Item::Dash => b'-',
                    _ => return Err(RegexError::Range),
                };
                range(low, high, &mut set)?;
                last = Last::Nothing;
            }
        }
        first = false;
    }
    if let Last::Byte(byte) = last {
        set.insert(byte);
    }
    if negated {
        set.negate();
    }
    Ok(set)
}

/// Adds `low-high`.
fn range(low: u8, high: u8, set: &mut ByteSet) -> Result<(), RegexError> {
    // COMPAT: libstdc++ compares `char`, which is signed where Nix mostly runs, so the bytes of
    // non-ASCII characters come before ASCII.
    let (low, high) = (low as i8, high as i8);
    if low > high {
        return Err(RegexError::Range);
    }
    for byte in low..=high {
        set.insert(byte as u8);
    }
    Ok(())
}

/// Adds the members of `[:name:]`; names are case-insensitive and have Perl's short forms.
fn class(name: &[u8], set: &mut ByteSet) -> Result<(), RegexError> {
    let is: fn(u8) -> bool = match name.to_ascii_lowercase().as_slice() {
        b"d" | b"digit" => |b| b.is_ascii_digit(),
        b"w" => |b| b.is_ascii_alphanumeric() || b == b'_',
        b"s" | b"space" => |b| b == b' ' || (b'\t'..=b'\r').contains(&b),
        b"alnum" => |b| b.is_ascii_alphanumeric(),
        b"alpha" => |b| b.is_ascii_alphabetic(),
        b"blank" => |b| b == b' ' || b == b'\t',
        b"cntrl" => |b| b.is_ascii_control(),
        b"graph" => |b| b.is_ascii_graphic(),
        b"lower" => |b| b.is_ascii_lowercase(),
        b"print" => |b| b == b' ' || b.is_ascii_graphic(),
        b"punct" => |b| b.is_ascii_punctuation(),
        b"upper" => |b| b.is_ascii_uppercase(),
        b"xdigit" => |b| b.is_ascii_hexdigit(),
        _ => return Err(RegexError::Class),
    };
    for byte in 0..=255 {
        if is(byte) {
            set.insert(byte);
        }
    }
    Ok(())
}

/// Names of the collating elements of POSIX's portable character set, by their ASCII code.
#[rustfmt::skip]
const COLLATING: [&str; 128] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "alert", "backspace", "tab", "newline",
    "vertical-tab", "form-feed", "carriage-return", "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4",
    "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "IS4", "IS3", "IS2", "IS1", "space",
    "exclamation-mark", "quotation-mark", "number-sign", "dollar-sign", "percent-sign", "ampersand",
    "apostrophe", "left-parenthesis", "right-parenthesis", "asterisk", "plus-sign", "comma",
    "hyphen", "period", "slash", "zero", "one", "two", "three", "four", "five", "six", "seven",
    "eight", "nine", "colon", "semicolon", "less-than-sign", "equals-sign", "greater-than-sign",
    "question-mark", "commercial-at", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L",
    "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "left-square-bracket",
    "backslash", "right-square-bracket", "circumflex", "underscore", "grave-accent", "a", "b", "c",
    "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v",
    "w", "x", "y", "z", "left-curly-bracket", "vertical-line", "right-curly-bracket", "tilde",
    "DEL",
];

/// The byte of a collating element.
fn collating(name: &[u8]) -> Result<u8, RegexError> {
    let code = COLLATING.iter().position(|known| known.as_bytes() == name);
    code.map(|code| code as u8).ok_or(RegexError::Collate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_legal_patterns_are_read() {
        for pattern in [
            "",
            "()",
            "a|",
            "a||b",
            "a**",
            "a+?",
            "a{2}",
            "a{2,}",
            "a{2,3}",
            "}",
            "]",
            "[]]",
            "[^]]",
            "[a-]",
            "[-a]",
            "[--0]",
            "[[:alpha:]]",
            "[[:ALPHA:]]",
            "[[.a.]]",
            "[[=a=]]",
            "[\\d]",
            "\\.",
            "(|a)",
            "a^b",
            "[[.hyphen.]]",
            "a{0}",
        ] {
            assert!(parse(pattern.as_bytes()).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_libstdcxx_refuses_are_errors() {
        for pattern in [
            "\\d",
            "\\n",
            "\\1",
            "\\]",
            "\\}",
            "\\/",
            "\\-",
            "(?:a)",
            "*",
            "a|*",
            "(*a)",
            "^*",
            "{",
            "a{",
            "a{,2}",
            "a{2,1}",
            "a{2",
            "[z-a]",
            "[[:foo:]]",
            "(",
            ")",
            "[",
            "a\\",
            "[a",
            "[[.-.]]",
            "[[:alpha:]-z]",
            "[a-c-e]",
            "[[:alpha:",
            "$*",
            "a{99999999999}",
        ] {
            assert!(parse(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(parse(&b"(".repeat(100_000)), Err(RegexError::TooDeep));
        assert_eq!(parse(format!("a{}", "*".repeat(1000)).as_bytes()), Err(RegexError::TooDeep));
    }
}
