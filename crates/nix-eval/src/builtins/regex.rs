//! `match` and `split`.

use std::sync::Arc;

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Class, Error},
    machine::Machine,
    regex::{Groups, Poll, Regex, Stop, size_of_groups},
    value::{ContextId, Str, Value},
};

pub(super) const REGEX: &[Builtin] = &[
    Builtin {
        name: "match",
        params: &["regex", "str"],
        doc: "The groups of the POSIX extended regular expression *regex* in *str*, if it matches all of it, else \
              `null`. A group that took no part is `null`.",
        examples: &[
            Example { source: r#"builtins.match "a(b*)(c)?" "abb""#, shows: r#"[ "bb" null ]"# },
            Example { source: r#"builtins.match "ab" "abc""#, shows: "null" },
        ],
        run: Run::Two(match_),
    },
    Builtin {
        name: "split",
        params: &["regex", "str"],
        doc: "The parts of *str* between the matches of *regex*, and lists of the groups of each match, in turn.",
        examples: &[
            Example {
                source: r#"builtins.split "(a)b" "xabyz""#,
                shows: r#"[ "x" [ "a" ] "yz" ]"#,
            },
            Example { source: r#"builtins.split "," "a,b""#, shows: r#"[ "a" [ ] "b" ]"# },
        ],
        run: Run::Two(split),
    },
];

fn compiled(m: &mut Machine, pattern: Value, what: &str) -> Result<Arc<Regex>, Error> {
    let pattern = m.force_string_no_context(pattern, what)?;
    m.regexes.get(pattern.bytes()).map_err(|reason| {
        error::format(format!("invalid regular expression '{}'", pattern.to_text()))
            .note(reason.to_string())
    })
}

/// Runs a search that polls the machine.
fn search<T>(
    m: &mut Machine,
    regex: &Regex,
    run: impl FnOnce(&Regex, Poll<'_>) -> Result<T, Stop>,
) -> Result<T, Error> {
    let mut failure = None;
    let mut poll = |bytes: usize| match m.poll().and_then(|()| m.check_room(bytes as u64)) {
        Ok(()) => true,
        Err(e) => {
            failure = Some(e);
            false
        }
    };
    let result = run(regex, &mut poll);
    result.map_err(|_: Stop| {
        failure.unwrap_or_else(|| {
            Error::new(Class::Limit, "memory limit exceeded by a regular expression")
        })
    })
}

/// The groups of a match, without the whole.
fn groups_value(m: &mut Machine, s: Str, groups: &Groups) -> Value {
    let items: Vec<Value> = groups[1..]
        .iter()
        .map(|group| match *group {
            Some((start, end)) => m.new_substring(s, start, end - start, ContextId::NONE),
            None => Value::NULL,
        })
        .collect();
    m.new_list(&items)
}

fn match_(m: &mut Machine, pattern: Value, s: Value) -> Result<Value, Error> {
    let regex = compiled(m, pattern, "the first argument of 'builtins.match'")?;
    let s = m.force_string(s, "the second argument of 'builtins.match'")?;
    match search(m, &regex, |regex, poll| regex.match_whole(s.bytes(), poll))? {
        Some(groups) => Ok(groups_value(m, s, &groups)),
        None => Ok(Value::NULL),
    }
}

fn split(m: &mut Machine, pattern: Value, s: Value) -> Result<Value, Error> {
    let regex = compiled(m, pattern, "the first argument of 'builtins.split'")?;
    let s = m.force_string(s, "the second argument of 'builtins.split'")?;
    let matches = search(m, &regex, |regex, poll| regex.find_all(s.bytes(), poll))?;
    if matches.is_empty() {
        return Ok(m.new_list(&[s.value()]));
    }
    // While they are here there is less room for values.
    let beside = (size_of_groups(&matches) + matches.len() * 16) as u64;
    m.heap().count_beside(beside);
    let parts = parts_between(m, s, &matches);
    m.heap().uncount_beside(beside);
    parts
}

/// The parts of a text between matches, and the groups of these.
fn parts_between(m: &mut Machine, s: Str, matches: &[Groups]) -> Result<Value, Error> {
    let mut parts = Vec::with_capacity(2 * matches.len() + 1);
    let mut at = 0;
    for groups in matches {
        m.poll()?;
        let (start, end) = groups[0].unwrap_or((at, at));
        parts.push(m.new_substring(s, at, start - at, ContextId::NONE));
        parts.push(groups_value(m, s, groups));
        at = end;
    }
    parts.push(m.new_substring(s, at, s.len() - at, ContextId::NONE));
    Ok(m.new_list(&parts))
}
