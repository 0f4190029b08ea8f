//! What the parser leaves for [`crate::resolve`]: one flat arena a file, operands before their users.
//!
//! Nodes are two words and a tag; lists of operands lie in `extra` as *runs*, a length and that many words.
//! Names are file-local numbers ([`Names`]), so that the resolver can index tables by them.

use super::names::{Name, Names};
use crate::{
    ir::{Const, Text, make_room},
    source::Span,
};

/// Number of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id(pub(crate) u32);

/// Place of a run in [`Ast::extra`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run(pub(crate) u32);

/// One expression, with operators as they were written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expr {
    /// Index into `consts`.
    Const(u32),
    EmptyList,
    CurPos,
    Name(Name),
    List(Run),
    /// Index into `sets`.
    Set(u32),
    /// `let { … }`.
    LegacyLet(u32),
    Let {
        set: u32,
        body: Id,
    },
    With {
        subject: Id,
        body: Id,
    },
    /// Index into `lambdas`.
    Lambda(u32),
    Call {
        function: Id,
        args: Run,
    },
    /// `path`: words of [`Part`]s.
    Select {
        base: Id,
        path: Run,
    },
    /// As `Select`, then one word more: the default.
    SelectOr {
        base: Id,
        path: Run,
    },
    HasAttr {
        base: Id,
        path: Run,
    },
    /// `branches`: two nodes.
    If {
        condition: Id,
        branches: Run,
    },
    Assert {
        condition: Id,
        body: Id,
    },
    Plus(Run),
    Concat(Run),
    Update(Run),
    And(Run),
    Or(Run),
    Interpolate(Run),
    /// The first part is a string constant or `HomePath`.
    InterpolatePath(Run),
    Implies(Id, Id),
    /// That many `!` in a row, at least one.
    Not {
        operand: Id,
        n: u32,
    },
    Negate(Id),
    Equal(Id, Id),
    NotEqual(Id, Id),
    Less(Id, Id),
    LessEqual(Id, Id),
    Greater(Id, Id),
    GreaterEqual(Id, Id),
    Sub(Id, Id),
    Mul(Id, Id),
    Div(Id, Id),
    /// Index into `consts`: the text between `<` and `>`.
    Lookup(u32),
    /// Index into `consts`: the text after `~`.
    HomePath(u32),
}

const _: () = assert!(size_of::<Expr>() == 12);

/// One step of an attribute path: two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Name(Name),
    Dynamic(Id),
}

impl Part {
    pub(crate) fn to_words(self) -> [u32; 2] {
        match self {
            Part::Name(name) => [0, name.0],
            Part::Dynamic(id) => [1, id.0],
        }
    }
    pub(crate) fn from_words(words: &[u32]) -> Part {
        if words[0] == 0 { Part::Name(Name(words[1])) } else { Part::Dynamic(Id(words[1])) }
    }
}

/// What an attribute is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// `a = e;`
    Plain(Id),
    /// `inherit a;`: a `Name` of the scope outside.
    Inherit(Id),
    /// `inherit (e) a;`: index into the set's sources.
    From(u32),
}

/// A static attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attr {
    pub(crate) name: Name,
    pub(crate) value: Value,
    /// From the beginning of the attribute path to the end of this name.
    pub(crate) span: Span,
}

/// `${e} = value;`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dynamic {
    pub(crate) name: Id,
    pub(crate) value: Id,
    /// From the beginning of the attribute path to the end of this name.
    pub(crate) span: Span,
}

/// A set literal or the bindings of a `let`, merged and checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    pub(crate) recursive: bool,
    /// In order of symbols, none twice: start and length in `attrs`.
    pub(crate) attrs: (u32, u32),
    /// In source order: start and length in `dynamic`.
    pub(crate) dynamic: (u32, u32),
    /// Subjects of `inherit (e)`, in source order: nodes.
    pub(crate) sources: Run,
}

/// A function of one argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lambda {
    pub(crate) param: Param,
    pub(crate) body: Id,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Param {
    Simple(Name, Span),
    /// Index into `patterns`.
    Formals(u32),
}

/// `{ a, b ? c, ... }@args`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    /// In source order: start and length in `formals`.
    pub(crate) formals: (u32, u32),
    pub(crate) args: Option<Name>,
    pub(crate) ellipsis: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Formal {
    pub(crate) name: Name,
    pub(crate) span: Span,
    pub(crate) default: Option<Id>,
}

/// Appends a few words without a call.
#[inline]
pub(crate) fn push_words(to: &mut Vec<u32>, words: &[u32]) {
    if words.len() > 8 {
        to.extend_from_slice(words);
        return;
    }
    for &word in words {
        to.push(word);
    }
}

/// Nodes of the largest arena that is used again.
const MOST_KEPT: usize = 1 << 16;

/// A parsed text.
#[derive(Debug)]
pub(crate) struct Ast {
    /// Expressions and where they stand. Parentheses are not part of a span.
    pub(crate) nodes: Vec<(Expr, Span)>,
    pub(crate) extra: Vec<u32>,
    pub(crate) consts: Vec<Const>,
    /// What the constants' texts are made of.
    pub(crate) text: Vec<u8>,
    pub(crate) sets: Vec<Set>,
    pub(crate) attrs: Vec<Attr>,
    pub(crate) dynamic: Vec<Dynamic>,
    pub(crate) lambdas: Vec<Lambda>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) formals: Vec<Formal>,
    pub(crate) names: Names,
    pub(crate) root: Id,
    pub(crate) warnings: Vec<(Span, String)>,
}

impl Ast {
    pub(crate) fn new() -> Ast {
        Ast {
            nodes: Vec::new(),
            extra: Vec::new(),
            consts: Vec::new(),
            text: Vec::new(),
            sets: Vec::new(),
            attrs: Vec::new(),
            dynamic: Vec::new(),
            lambdas: Vec::new(),
            patterns: Vec::new(),
            formals: Vec::new(),
            names: Names::new(),
            root: Id(0),
            warnings: Vec::new(),
        }
    }

    /// Gives the memory back if it is much.
    pub(crate) fn trim(&mut self) {
        if self.nodes.capacity() > MOST_KEPT {
            let names = std::mem::replace(&mut self.names, Names::new());
            *self = Ast { names, ..Ast::new() };
        }
    }

    /// Makes room for what a large text is likely to need, so that nothing is copied and left behind while it
    /// grows. Memory that is not used after all is never touched.
    pub(crate) fn reserve(&mut self, text_len: usize) {
        make_room(&mut self.nodes, text_len / 10);
        make_room(&mut self.extra, text_len / 8);
        make_room(&mut self.consts, text_len / 40);
        make_room(&mut self.text, text_len / 2);
        make_room(&mut self.sets, text_len / 60);
        make_room(&mut self.attrs, text_len / 30);
        self.names.reserve(text_len / 50);
    }

    /// Forgets a program, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.extra.clear();
        self.consts.clear();
        self.text.clear();
        self.sets.clear();
        self.attrs.clear();
        self.dynamic.clear();
        self.lambdas.clear();
        self.patterns.clear();
        self.formals.clear();
        self.names.clear();
        self.warnings.clear();
    }

    #[inline]
    pub(crate) fn node(&self, id: Id) -> Expr {
        self.nodes[id.0 as usize].0
    }

    #[inline]
    pub(crate) fn span(&self, id: Id) -> Span {
        self.nodes[id.0 as usize].1
    }

    #[inline]
    pub(crate) fn run(&self, run: Run) -> &[u32] {
        let at = run.0 as usize;
        let n = self.extra[at] as usize;
        &self.extra[at + 1..at + 1 + n]
    }

    #[inline]
    pub(crate) fn add(&mut self, node: Expr, span: Span) -> Id {
        let id = Id(self.nodes.len() as u32);
        self.nodes.push((node, span));
        id
    }

    #[inline]
    pub(crate) fn add_run(&mut self, words: &[u32]) -> Run {
        let run = Run(self.extra.len() as u32);
        self.extra.push(words.len() as u32);
        push_words(&mut self.extra, words);
        run
    }

    pub(crate) fn add_const(&mut self, value: Const, span: Span) -> Id {
        let index = self.consts.len() as u32;
        self.consts.push(value);
        self.add(Expr::Const(index), span)
    }

    /// Keeps the bytes of a constant.
    pub(crate) fn keep_text(&mut self, bytes: &[u8]) -> Text {
        let start = self.text.len() as u32;
        self.text.extend_from_slice(bytes);
        Text { start, len: bytes.len() as u32 }
    }

    pub(crate) fn add_string(&mut self, bytes: &[u8], span: Span) -> Id {
        let text = self.keep_text(bytes);
        self.add_const(Const::String(text), span)
    }

    pub(crate) fn text_of(&self, text: Text) -> &[u8] {
        &self.text[text.start as usize..(text.start + text.len) as usize]
    }

    pub(crate) fn attrs_of(&self, set: &Set) -> &[Attr] {
        &self.attrs[set.attrs.0 as usize..(set.attrs.0 + set.attrs.1) as usize]
    }

    pub(crate) fn dynamic_of(&self, set: &Set) -> &[Dynamic] {
        &self.dynamic[set.dynamic.0 as usize..(set.dynamic.0 + set.dynamic.1) as usize]
    }

    pub(crate) fn formals_of(&self, pattern: &Pattern) -> &[Formal] {
        &self.formals[pattern.formals.0 as usize..(pattern.formals.0 + pattern.formals.1) as usize]
    }

    /// The string constant that the node is, if it is one.
    pub(crate) fn as_string(&self, id: Id) -> Option<&[u8]> {
        match self.node(id) {
            Expr::Const(index) => match self.consts[index as usize] {
                Const::String(text) => Some(self.text_of(text)),
                _ => None,
            },
            _ => None,
        }
    }
}
