//! What a name means where it stands.
//!
//! Lexical bindings win over the scope of `scopedImport`, that over globals, and all of them over `with`.
//! Scopes are threads through one stack of bindings, one thread a name: looking up is one array access,
//! leaving a scope restores what its names meant before.

use super::{MAX_FURTHER, Resolver};
use crate::{
    error::suggest,
    ir::{GlobalId, Node, NodeId},
    source::Span,
    symbol::{Symbol, Symbols, names},
    syntax::{
        SyntaxError, SyntaxErrorKind, SyntaxHelp,
        ast::{self, Ast, Expr},
        names::Name,
    },
};

/// A name that is in scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    name: Name,
    /// What `innermost` held before.
    outer: u32,
    cell: u32,
    /// Member of the group in the cell, or [`NO_MEMBER`].
    index: u32,
}

const NO_MEMBER: u32 = u32::MAX;

/// What is known about the global of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KnownGlobal {
    Unasked,
    None,
    Some(GlobalId),
    /// The scope of `scopedImport` has the name.
    Scope,
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// A word of its own.
    Var {
        cell: u32,
    },
    /// A member of a group.
    Member {
        cell: u32,
        index: u32,
    },
    Global(GlobalId),
    Scope,
    /// Found at run time, or nowhere.
    Dynamic,
}

/// The file's numbers of the names that operators desugar to, if the file spells them at all.
#[derive(Debug)]
pub(super) struct Shadows {
    sub: Option<Name>,
    mul: Option<Name>,
    div: Option<Name>,
    less_than: Option<Name>,
    find_file: Option<Name>,
    nix_path: Option<Name>,
}

impl Shadows {
    pub(super) fn new(symbols: &Symbols, text: &[u8], ast: &Ast) -> Shadows {
        let find = |symbol| ast.names.lookup(symbols, text, symbols.name(symbol));
        Shadows {
            sub: find(names::SUB),
            mul: find(names::MUL),
            div: find(names::DIV),
            less_than: find(names::LESS_THAN),
            find_file: find(names::FIND_FILE),
            nix_path: find(names::NIX_PATH),
        }
    }

    fn name(&self, symbol: Symbol) -> Option<Name> {
        match symbol {
            names::SUB => self.sub,
            names::MUL => self.mul,
            names::DIV => self.div,
            names::LESS_THAN => self.less_than,
            names::FIND_FILE => self.find_file,
            _ => self.nix_path,
        }
    }
}

/// A remedy that is an edit.
fn remedy(text: String, replacement: &str) -> Option<Box<SyntaxHelp>> {
    Some(Box::new(SyntaxHelp { text: text.into(), replacement: Some(replacement.into()) }))
}

impl Resolver<'_> {
    /// Brings a name into scope.
    pub(super) fn bind(&mut self, name: Name, cell: u32, member: Option<u32>) {
        let innermost = &mut self.innermost[name.0 as usize];
        let index = member.unwrap_or(NO_MEMBER);
        self.bindings.push(Binding { name, outer: *innermost, cell, index });
        *innermost = self.bindings.len() as u32;
    }

    /// Takes the names bound since `base` out of scope.
    pub(super) fn unbind(&mut self, base: usize) {
        while self.bindings.len() > base {
            let binding = self.bindings.pop().expect("longer than base");
            self.innermost[binding.name.0 as usize] = binding.outer;
        }
    }

    /// What a name means here.
    #[inline]
    pub(super) fn meaning(&mut self, name: Name) -> Meaning {
        let innermost = self.innermost[name.0 as usize];
        if innermost != 0 {
            let binding = self.bindings[innermost as usize - 1];
            return match binding.index {
                NO_MEMBER => Meaning::Var { cell: binding.cell },
                index => Meaning::Member { cell: binding.cell, index },
            };
        }
        let known = &mut self.globals[name.0 as usize];
        if *known == KnownGlobal::Unasked {
            let symbol = self.ast.names.symbol(name);
            *known = if self.options.scope.is_some_and(|has| has(symbol)) {
                KnownGlobal::Scope
            } else {
                match (self.options.globals)(symbol) {
                    Some(global) => KnownGlobal::Some(global),
                    None => KnownGlobal::None,
                }
            };
        }
        match *known {
            KnownGlobal::Some(global) => Meaning::Global(global),
            KnownGlobal::Scope => Meaning::Scope,
            _ => Meaning::Dynamic,
        }
    }

    /// The node of a variable.
    pub(super) fn variable(&mut self, name: Name, span: Span) -> NodeId {
        let meaning = self.meaning(name);
        self.variable_meaning(name, meaning, span)
    }

    pub(super) fn variable_meaning(&mut self, name: Name, meaning: Meaning, span: Span) -> NodeId {
        let node = match meaning {
            Meaning::Var { cell } => Node::Var(self.place(cell)),
            Meaning::Member { cell, index } => {
                self.out.groups.members.push(self.cells[cell as usize].group);
                Node::Member { group: self.place(cell), index }
            }
            Meaning::Global(global) => Node::Global(global),
            Meaning::Scope => {
                let name = self.ast.names.symbol(name);
                Node::Scope { scope: self.place(self.scope_cell), name }
            }
            Meaning::Dynamic if self.withs.is_empty() => {
                self.not_found(name, span);
                Node::EmptyList
            }
            Meaning::Dynamic => {
                let name = self.ast.names.symbol(name);
                let withs = self.with_places();
                Node::With { name, withs, cache: self.new_cache() }
            }
        };
        self.add(node, span)
    }

    /// Where the subjects of the enclosing `with`s are, innermost first, as a counted run in `extra`.
    fn with_places(&mut self) -> u32 {
        let n = self.withs.len() as u32;
        let innermost = self.withs[self.withs.len() - 1];
        if let Some((known_n, known_innermost, at)) = self.bodies[self.level].withs
            && (known_n, known_innermost) == (n, innermost)
        {
            return at;
        }
        let base = self.words.len();
        self.words.push(n);
        for i in (0..self.withs.len()).rev() {
            let place = self.place(self.withs[i]);
            self.words.push(place.0);
        }
        self.captures_left = self.captures_left.saturating_sub(n as usize);
        let at = self.take_words(base).start;
        self.bodies[self.level].withs = Some((n, innermost, at));
        at
    }

    /// If the program rebinds a name that an operator stands for: its node. What `with` binds does not count.
    pub(super) fn shadowed(&mut self, symbol: Symbol, span: Span) -> Option<NodeId> {
        match self.shadows.name(symbol) {
            Some(name) => match self.meaning(name) {
                Meaning::Global(_) | Meaning::Dynamic => None,
                meaning => Some(self.variable_meaning(name, meaning, span)),
            },
            None if self.options.scope.is_some_and(|has| has(symbol)) => {
                let scope = self.place(self.scope_cell);
                Some(self.add(Node::Scope { scope, name: symbol }, span))
            }
            None => None,
        }
    }

    /// Whether the name is `builtins` and means the global.
    pub(super) fn is_builtins(&mut self, name: Name) -> bool {
        self.ast.names.symbol(name) == names::BUILTINS
            && matches!(self.meaning(name), Meaning::Global(_))
    }

    /// Finds out what an unbound name may have been meant to be.
    #[cold]
    fn explain(&self, error: &mut SyntaxError, name: Name, text: &str) {
        let is_bound = |name: Name| self.innermost[name.0 as usize] != 0;
        let text_of = |name: Name| self.symbols.name(self.ast.names.symbol(name));
        let shown = |name: Name| String::from_utf8_lossy(text_of(name)).into_owned();
        // `a-1` is one name.
        if let Some((left, right)) = text.split_once('-')
            && self.bindings.iter().any(|b| text_of(b.name) == left.as_bytes())
        {
            error.help = remedy(
                format!("'{text}' is one name; write '{left} - {right}'"),
                &format!("{left} - {right}"),
            );
            return;
        }
        // An attribute of a set that has a name in scope.
        for set in &self.ast.attrs {
            let ast::Value::Plain(id) = set.value else { continue };
            let Expr::Set(number) = self.ast.node(id) else { continue };
            let (start, len) = self.ast.sets[number as usize].attrs;
            let members = &self.ast.attrs[start as usize..(start + len) as usize];
            let member = members.iter().find(|member| member.name == name);
            if let Some(member) = member
                && is_bound(set.name)
            {
                let set = shown(set.name);
                error.others.push((member.span, format!("'{set}' has an attribute of this name")));
                error.help = remedy(format!("write '{set}.{text}'"), &format!("{set}.{text}"));
                return;
            }
        }
        let in_scope = self.bindings.iter().map(|binding| text_of(binding.name));
        let near = suggest::nearest(text.as_bytes(), in_scope);
        if let Some(question) = suggest::question(&near) {
            error.help = remedy(question, &String::from_utf8_lossy(near[0]));
        } else if (self.options.builtins)(self.ast.names.symbol(name)).is_some() {
            error.help = remedy(format!("write 'builtins.{text}'"), &format!("builtins.{text}"));
        }
    }

    #[cold]
    fn not_found(&mut self, name: Name, span: Span) {
        if self.undefined.len() > 4 * MAX_FURTHER {
            return;
        }
        let symbol = self.ast.names.symbol(name);
        let text = String::from_utf8_lossy(self.symbols.name(symbol));
        let message = format!("undefined variable '{text}'");
        let mut error = SyntaxError::new(SyntaxErrorKind::Undefined(symbol), span, message)
            .label("no such name here");
        self.explain(&mut error, name, &text);
        self.undefined.push(error);
    }
}
