//! Bindings of sets and `let`, and how they merge.
//!
//! Merging is about text, not values: `{ a.b = 1; a = { c = 2; }; }` is one inner set because both sides are
//! set literals. The first of them decides whether the inner set is `rec`. A whole literal may only add names
//! that are not there; a path may go into what is there.
//!
//! Bindings are collected as [`Def`]s and brought into the order of symbols when the set ends; only groups of
//! equal names, and paths, take the slow way through a [`Draft`].

use rustc_hash::FxHashMap;

use super::{Fail, Kind, Parser, Scratch};
use crate::{
    source::Span,
    symbol::Symbol,
    syntax::{
        SyntaxError, SyntaxErrorKind,
        ast::{Attr, Dynamic, Expr, Id, Part, Run, Set, Value},
        lexer::Token,
        names::Name,
    },
};

/// What stands on the left of a binding.
#[derive(Clone, Copy, Debug)]
enum Head {
    Name(Name),
    Dynamic(Id),
}

/// One binding before merging.
#[derive(Clone, Copy, Debug)]
pub(super) struct Def {
    head: Head,
    /// Of the name; 0 for dynamic ones.
    symbol: Symbol,
    /// The steps after the head: a run of `(part, part, end of the part)`, and how many of them are done.
    tail: Option<(Run, u32)>,
    value: Value,
    /// From the beginning of the whole path to the end of the head.
    span: Span,
}

/// Words of a step in a tail.
const STEP: usize = 3;

/// A set that is being put together.
#[derive(Default)]
struct Draft {
    recursive: bool,
    defs: Vec<Def>,
    sources: Vec<u32>,
}

impl Parser<'_> {
    /// Bindings up to, not including, the token `close`. `first` is a name that was already read.
    ///
    /// A `let` (`close` is `in`) may not have dynamic names.
    pub(super) fn bindings(
        &mut self,
        start: u32,
        close: Kind,
        recursive: bool,
        mut first: Option<(Name, Token)>,
    ) -> Result<u32, Fail> {
        let base = self.scratch.defs.len();
        let source_base = self.scratch.sources.len();
        loop {
            if first.is_none() {
                match self.token.kind {
                    kind if kind == close => break,
                    Kind::Inherit => {
                        self.inherit(source_base)?;
                        continue;
                    }
                    Kind::Ident | Kind::Or | Kind::Quote | Kind::DollarBrace => {}
                    _ => return Err(self.bad_binding(start, close)),
                }
            }
            self.binding(first.take(), close)?;
        }
        self.freeze(base, source_base, recursive)
    }

    #[inline]
    fn binding(&mut self, first: Option<(Name, Token)>, close: Kind) -> Result<(), Fail> {
        let start = first.map_or(self.token.start, |(_, token)| token.start);
        let (head, head_end) = match first {
            Some((name, token)) => (Part::Name(name), token.end),
            None => {
                let part = self.attr_part()?;
                (part, self.last_end_of_part())
            }
        };
        let span = Span { start, end: head_end };
        let tail = match self.token.kind {
            Kind::Dot => Some(self.tail()?),
            _ => None,
        };
        if self.token.kind != Kind::Assign {
            return Err(self.no_assign(span));
        }
        self.advance()?;
        let value = self.expr()?;
        if self.token.kind != Kind::Semicolon {
            return Err(self.no_semicolon(span));
        }
        self.advance()?;
        let (head, symbol) = match head {
            Part::Name(name) => (Head::Name(name), self.ast.names.symbol(name)),
            Part::Dynamic(id) => {
                if close == Kind::In {
                    return Err(self.dynamic_in_let(span));
                }
                (Head::Dynamic(id), Symbol(0))
            }
        };
        self.scratch.defs.push(Def {
            head,
            symbol,
            tail: tail.map(|run| (run, 0)),
            value: Value::Plain(value),
            span,
        });
        Ok(())
    }

    /// Where the part that was just read ends: the token before the one at hand.
    fn last_end_of_part(&self) -> u32 {
        self.last_end
    }

    fn tail(&mut self) -> Result<Run, Fail> {
        let base = self.scratch.words.len();
        while self.token.kind == Kind::Dot {
            self.advance()?;
            let part = self.attr_part()?;
            let end = self.last_end_of_part();
            self.scratch.words.extend_from_slice(&part.to_words());
            self.scratch.words.push(end);
        }
        let run = self.ast.add_run(&self.scratch.words[base..]);
        self.scratch.words.truncate(base);
        Ok(run)
    }

    fn inherit(&mut self, source_base: usize) -> Result<(), Fail> {
        self.advance()?;
        let mut source = None;
        if self.token.kind == Kind::OpenParen {
            let open = self.token.span();
            self.advance()?;
            let subject = self.expr()?;
            if self.token.kind != Kind::CloseParen {
                return Err(self.unclosed(open, "')'"));
            }
            self.advance()?;
            source = Some((self.scratch.sources.len() - source_base) as u32);
            self.scratch.sources.push(subject.0);
        }
        loop {
            match self.token.kind {
                Kind::Semicolon => return self.advance(),
                Kind::Ident | Kind::Or | Kind::Quote | Kind::DollarBrace => {}
                _ => return Err(self.expected("a name to inherit, or ';'")),
            }
            let start = self.token.start;
            let part = self.attr_part()?;
            let span = Span { start, end: self.last_end_of_part() };
            let Part::Name(name) = part else {
                return Err(self.dynamic_in_inherit(span));
            };
            let value = match source {
                Some(source) => Value::From(source),
                None => Value::Inherit(self.ast.add(Expr::Name(name), span)),
            };
            self.scratch.defs.push(Def {
                head: Head::Name(name),
                symbol: self.ast.names.symbol(name),
                tail: None,
                value,
                span,
            });
        }
    }

    /// `{ }`, both braces read.
    pub(super) fn empty_set(&mut self, start: u32) -> Id {
        let set = self.ast.sets.len() as u32;
        let sources = self.ast.add_run(&[]);
        self.ast.sets.push(Set { recursive: false, attrs: (0, 0), dynamic: (0, 0), sources });
        let span = self.since(start);
        self.ast.add(Expr::Set(set), span)
    }

    /// Makes a set of the bindings from `base` on.
    fn freeze(&mut self, base: usize, source_base: usize, recursive: bool) -> Result<u32, Fail> {
        let Scratch { defs, order, sources, .. } = &mut *self.scratch;
        // Symbols are brought into order as numbers with the definition's number below, which keeps equal
        // names in source order.
        order.clear();
        let mut simple = true;
        for (index, def) in defs[base..].iter().enumerate() {
            simple &= def.tail.is_none() && matches!(def.head, Head::Name(_));
            order.push((def.symbol.0 as u64) << 32 | index as u64);
        }
        if order.len() > 1 {
            order.sort_unstable();
            simple &= order.windows(2).all(|pair| pair[0] >> 32 != pair[1] >> 32);
        }
        let inherited = self.ast.add_run(&sources[source_base..]);
        if simple {
            let first = self.ast.attrs.len() as u32;
            let defs = &defs[base..];
            self.ast.attrs.extend(order.iter().map(|&key| {
                let def = &defs[key as u32 as usize];
                let Head::Name(name) = def.head else { unreachable!("checked above") };
                Attr { name, value: def.value, span: def.span }
            }));
            let set = Set {
                recursive,
                attrs: (first, defs.len() as u32),
                dynamic: (0, 0),
                sources: inherited,
            };
            self.scratch.defs.truncate(base);
            self.scratch.sources.truncate(source_base);
            self.ast.sets.push(set);
            return Ok(self.ast.sets.len() as u32 - 1);
        }
        let draft = Draft {
            recursive,
            defs: order.iter().map(|&key| defs[base + key as u32 as usize]).collect(),
            sources: sources.split_off(source_base),
        };
        defs.truncate(base);
        let set = self.finish(draft)?;
        self.ast.sets.push(set);
        Ok(self.ast.sets.len() as u32 - 1)
    }

    /// Merges equal names and paths of a draft.
    fn finish(&mut self, mut draft: Draft) -> Result<Set, Fail> {
        // Stable, so equal names stay in source order.
        draft.defs.sort_by_key(|def| def.symbol);
        // Groups are visited in the order of symbols, but the mistake that is met first in the text counts.
        self.check_clashes(&draft.defs)?;
        let mut dynamic: Vec<(u32, Dynamic)> = Vec::new();
        // Dynamic definitions carry the symbol 0, which is also a real one.
        if draft.defs.iter().any(|def| matches!(def.head, Head::Dynamic(_))) {
            for &def in &draft.defs {
                if let Head::Dynamic(name) = def.head {
                    let Value::Plain(value) = self.value_of(def) else {
                        unreachable!("inherit has names only")
                    };
                    dynamic.push((def.span.start, Dynamic { name, value, span: def.span }));
                }
            }
            draft.defs.retain(|def| matches!(def.head, Head::Name(_)));
        }
        let base = self.scratch.attrs.len();
        for group in draft.defs.chunk_by(|a, b| a.symbol == b.symbol) {
            let def = group[0];
            let Head::Name(name) = def.head else { unreachable!("no other is left") };
            let value = match group {
                [def] => self.value_of(*def),
                _ => Value::Plain(self.merge(group)?),
            };
            self.scratch.attrs.push(Attr { name, value, span: def.span });
        }
        // Positions of merged sets may interleave; source order is what counts at run time.
        dynamic.sort_by_key(|&(start, _)| start);
        let first_attr = self.ast.attrs.len() as u32;
        let first_dynamic = self.ast.dynamic.len() as u32;
        let set = Set {
            recursive: draft.recursive,
            attrs: (first_attr, (self.scratch.attrs.len() - base) as u32),
            dynamic: (first_dynamic, dynamic.len() as u32),
            sources: self.ast.add_run(&draft.sources),
        };
        self.ast.attrs.extend(self.scratch.attrs.drain(base..));
        self.ast.dynamic.extend(dynamic.into_iter().map(|(_, d)| d));
        Ok(set)
    }

    /// Whether a definition can take others of its name in.
    fn as_set(&self, def: &Def) -> Option<u32> {
        match def.value {
            Value::Plain(id) if def.tail.is_none() => match self.ast.node(id) {
                Expr::Set(set) => Some(set),
                _ => None,
            },
            _ => None,
        }
    }

    fn check_clashes(&self, defs: &[Def]) -> Result<(), Fail> {
        let mut worst: Option<(Def, Def)> = None;
        for pair in defs.windows(2) {
            let (Head::Name(_), Head::Name(_)) = (pair[0].head, pair[1].head) else { continue };
            if pair[0].symbol != pair[1].symbol {
                continue;
            }
            let open = |def: &Def| def.tail.is_some() || self.as_set(def).is_some();
            if !(open(&pair[0]) && open(&pair[1]))
                && worst.is_none_or(|(_, second)| pair[1].span.start < second.span.start)
            {
                worst = Some((pair[0], pair[1]));
            }
        }
        match worst {
            Some((first, second)) => Err(self.duplicate(first, second)),
            None => Ok(()),
        }
    }

    /// The value of a definition that stands alone: what its path ends in, wrapped in one set a step.
    fn value_of(&mut self, def: Def) -> Value {
        let Some((tail, done)) = def.tail else { return def.value };
        let Value::Plain(mut value) = def.value else { unreachable!("inherit has no path") };
        let n_steps = self.ast.run(tail).len() / STEP;
        for number in (done as usize..n_steps).rev() {
            let at = number * STEP;
            let Some(&step) = self.ast.run(tail)[at..].first_chunk::<STEP>() else { break };
            let span = Span { start: def.span.start, end: step[2] };
            let mut set = Set {
                recursive: false,
                attrs: (0, 0),
                dynamic: (0, 0),
                sources: self.ast.add_run(&[]),
            };
            match Part::from_words(&step) {
                Part::Name(name) => {
                    set.attrs = (self.ast.attrs.len() as u32, 1);
                    self.ast.attrs.push(Attr { name, value: Value::Plain(value), span });
                }
                Part::Dynamic(name) => {
                    set.dynamic = (self.ast.dynamic.len() as u32, 1);
                    self.ast.dynamic.push(Dynamic { name, value, span });
                }
            }
            let index = self.ast.sets.len() as u32;
            self.ast.sets.push(set);
            let end = self.ast.span(value).end;
            value = self.ast.add(Expr::Set(index), Span { start: def.span.start, end });
        }
        Value::Plain(value)
    }

    /// The set that several definitions of one name make together. All of them are sets or paths.
    fn merge(&mut self, group: &[Def]) -> Result<Id, Fail> {
        self.enter(|p| p.merge_here(group))
    }

    fn merge_here(&mut self, group: &[Def]) -> Result<Id, Fail> {
        let first = group[0];
        // The first literal decides about `rec`, and keeps its node.
        let (mut draft, home) = match (self.as_set(&first), first.value) {
            (Some(set), Value::Plain(id)) => (self.reopen(set), Some((set, id))),
            _ => (Draft::default(), None),
        };
        let mut names: Option<FxHashMap<Symbol, Span>> = None;
        let rest = if home.is_some() { &group[1..] } else { group };
        for def in rest {
            if let Some(set) = self.as_set(def) {
                let known = names.get_or_insert_with(|| {
                    draft
                        .defs
                        .iter()
                        .filter(|d| matches!(d.head, Head::Name(_)))
                        .map(|d| (d.symbol, d.span))
                        .collect()
                });
                let more = self.reopen(set);
                let offset = draft.sources.len() as u32;
                for mut def in more.defs {
                    if let Head::Name(_) = def.head
                        && let Some(&span) = known.get(&def.symbol)
                    {
                        let before = Def { span, ..def };
                        return Err(self.duplicate(before, def));
                    }
                    if let Value::From(source) = &mut def.value {
                        *source += offset;
                    }
                    known.insert(def.symbol, def.span);
                    draft.defs.push(def);
                }
                draft.sources.extend(more.sources);
            } else {
                let inner = self.step(def);
                if let (Some(known), Head::Name(_)) = (&mut names, inner.head) {
                    known.entry(inner.symbol).or_insert(inner.span);
                }
                draft.defs.push(inner);
            }
        }
        let last = group[group.len() - 1];
        let set = self.finish(draft)?;
        Ok(match home {
            Some((index, id)) => {
                self.ast.sets[index as usize] = set;
                id
            }
            None => {
                let index = self.ast.sets.len() as u32;
                self.ast.sets.push(set);
                let span = Span { start: first.span.start, end: last.span.end };
                self.ast.add(Expr::Set(index), span)
            }
        })
    }

    /// A finished set as a draft.
    fn reopen(&self, set: u32) -> Draft {
        let set = self.ast.sets[set as usize];
        let named = self.ast.attrs_of(&set).iter().map(|attr| Def {
            head: Head::Name(attr.name),
            symbol: self.ast.names.symbol(attr.name),
            tail: None,
            value: attr.value,
            span: attr.span,
        });
        let dynamic = self.ast.dynamic_of(&set).iter().map(|dynamic| Def {
            head: Head::Dynamic(dynamic.name),
            symbol: Symbol(0),
            tail: None,
            value: Value::Plain(dynamic.value),
            span: dynamic.span,
        });
        Draft {
            recursive: set.recursive,
            defs: named.chain(dynamic).collect(),
            sources: self.ast.run(set.sources).to_vec(),
        }
    }

    /// What a definition with a path is inside the set that its head names.
    fn step(&self, def: &Def) -> Def {
        let (run, done) = def.tail.expect("only sets and paths are merged");
        let steps = self.ast.run(run);
        let step = &steps[done as usize * STEP..];
        let (head, symbol) = match Part::from_words(step) {
            Part::Name(name) => (Head::Name(name), self.ast.names.symbol(name)),
            Part::Dynamic(id) => (Head::Dynamic(id), Symbol(0)),
        };
        let tail = (step.len() > STEP).then_some((run, done + 1));
        Def {
            head,
            symbol,
            tail,
            value: def.value,
            span: Span { start: def.span.start, end: step[2] },
        }
    }

    #[cold]
    fn duplicate(&self, first: Def, second: Def) -> Fail {
        let name = String::from_utf8_lossy(self.symbols.name(second.symbol)).into_owned();
        let mut error = SyntaxError::new(
            SyntaxErrorKind::Duplicate,
            second.span,
            format!("attribute '{name}' already defined"),
        )
        .label("defined again here")
        .other(first.span, "first defined here");
        if self.as_set(&first).is_some() || first.tail.is_some() {
            error = error.help("only sets written as literals are merged, and only one level deep");
        }
        Box::new(error)
    }
}
