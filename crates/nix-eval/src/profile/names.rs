//! From places to the text of frames.

use super::{Profile, sampler::Site, tree::Tree};
use crate::{
    evaluator::Shared,
    source::{Location, Origin},
    value::code::{Code, LambdaCode},
};

/// Bytes before an expression that are looked at for its name.
const MAX_BACK: usize = 300;

impl Profile {
    /// What was gathered by this session since it was asked for.
    pub(crate) fn of(shared: &Shared) -> Option<Profile> {
        let tree: Tree<Site> = shared.profiling.take()?;
        let mut texts = rustc_hash::FxHashMap::default();
        let mut profile = Profile::default();
        for (stack, nanos) in tree.all() {
            let mut frames = Vec::with_capacity(stack.len());
            for site in stack {
                let text = texts.entry(site).or_insert_with(|| {
                    let text = text_of(shared, site);
                    let number = profile.frame(&text);
                    (text, number)
                });
                frames.push(text.1);
            }
            let mut at = Tree::<u32>::ROOT;
            for frame in frames {
                at = profile.stacks.below(at, frame);
            }
            profile.stacks.add(at, nanos);
        }
        Some(profile)
    }
}

fn text_of(shared: &Shared, site: Site) -> String {
    let sources = &shared.sources;
    let text = match site {
        Site::Builtin(name) => format!("builtins.{name}"),
        Site::Closure(number) => format!("builtins.{}", shared.closure(number).name),
        Site::Read(file) => match sources.get(file).map(|source| source.origin.clone()) {
            Some(Origin::Path(path)) => format!("read {}", String::from_utf8_lossy(&path)),
            Some(Origin::Text(name)) => format!("read «{name}»"),
            None => "read".to_owned(),
        },
        Site::Function(address) => {
            let code = LambdaCode::at(address);
            let name = code.name().map(|name| shared.engine.symbols.name(name));
            let name = name.map_or("function".into(), String::from_utf8_lossy);
            format!("{name} ({})", sources.describe(code.location()))
        }
        Site::Thunk(address) => {
            let code = Code::at(address);
            let location = code.unit().location(code.root);
            let name = match code.unit().bodies.first() {
                Some(first) if std::ptr::eq(first, code) => Some("file".to_owned()),
                _ => bound_name(shared, location),
            };
            let name = name.as_deref().unwrap_or("expression");
            format!("{name} ({})", sources.describe(location))
        }
    };
    // The format has no escapes.
    text.replace(';', ",").replace(|c: char| c.is_control(), " ")
}

/// What an expression is bound to, by the text before it: `NAME =`, `NAME ?`.
fn bound_name(shared: &Shared, location: Location) -> Option<String> {
    let source = shared.sources.get(location.file)?;
    let end = (location.span.start as usize).min(source.text.len());
    let before = &source.text[end.saturating_sub(MAX_BACK)..end];
    let before = trim(before, |b| b.is_ascii_whitespace() || b == b'(');
    let (&sign, before) = before.split_last()?;
    if sign != b'=' && sign != b'?' {
        return None;
    }
    let before = trim(before, |b| b.is_ascii_whitespace());
    let name = &before[trim(before, is_of_name).len()..];
    let first = name.first()?;
    (first.is_ascii_alphabetic() || matches!(first, b'_' | b'"'))
        .then(|| String::from_utf8_lossy(name).into_owned())
}

/// Whether a byte may be part of an attribute path of plain and quoted names.
fn is_of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_'-.\"".contains(&b)
}

fn trim(text: &[u8], is_dropped: impl Fn(u8) -> bool) -> &[u8] {
    let end = text.iter().rposition(|&b| !is_dropped(b)).map_or(0, |at| at + 1);
    &text[..end]
}
