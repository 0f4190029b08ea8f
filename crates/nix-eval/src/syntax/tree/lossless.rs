//! The concrete syntax tree of a text: every byte of it, also of one with mistakes.
//!
//! The only place where rnix is called. The tree that rnix makes is kept in its shared form, which is
//! `Send + Sync`; the form with parents is made where the tree is walked.

use std::{fmt, sync::Arc};

use rnix::ParseError;
use rowan::{GreenNode, NodeOrToken, WalkEvent};

use super::gate::{self, Bounds, Refusal};
use crate::{error::Error, source::Span};

/// Native stack for rnix and for walks over its trees; the gate bounds what they can need.
const STACK: usize = 16 * 1024 * 1024;

/// A text as nested nodes and tokens. The texts of the tokens, one after the other, are the text.
#[derive(Clone)]
pub struct SyntaxTree {
    root: GreenNode,
    pub(super) errors: Vec<ParseError>,
}

/// A text as a tree, and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The text.
    pub text: Arc<[u8]>,
    /// Its tree, if rnix may read the text. Where rnix and the verdict differ, a program has nodes for mistakes.
    pub tree: Result<SyntaxTree, Refusal>,
    /// The verdict: `None` if the text is well formed. Further mistakes are part of the error.
    pub error: Option<Error>,
}

/// What a node or token is, by rnix's name: `NODE_…` for nodes, `TOKEN_…` for tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SyntaxKind(rnix::SyntaxKind);

impl fmt::Display for SyntaxKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl SyntaxKind {
    /// Whether it stands for text that fits nowhere.
    pub fn is_error(self) -> bool {
        matches!(self.0, rnix::SyntaxKind::NODE_ERROR | rnix::SyntaxKind::TOKEN_ERROR)
    }

    /// Whether it stands between what has a meaning: white space or a comment.
    pub fn is_trivia(self) -> bool {
        matches!(self.0, rnix::SyntaxKind::TOKEN_WHITESPACE | rnix::SyntaxKind::TOKEN_COMMENT)
    }
}

/// A step of a walk over a tree, in order of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyntaxEvent<'a> {
    /// A node begins.
    Enter {
        /// What it is.
        kind: SyntaxKind,
        /// The bytes that it covers.
        span: Span,
    },
    /// A token.
    Token {
        /// What it is.
        kind: SyntaxKind,
        /// The bytes that it covers.
        span: Span,
        /// These bytes.
        text: &'a str,
    },
    /// The node that was entered last and not left yet ends.
    Leave,
}

impl fmt::Debug for SyntaxTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyntaxTree").field("n_bytes", &self.n_bytes()).finish_non_exhaustive()
    }
}

impl SyntaxTree {
    /// Reads a text. Mistakes are nodes of the tree; whether the text is a program, only
    /// [`crate::syntax::read`] says. Costs up to the square of nesting and of chains, within `bounds`.
    ///
    /// # Errors
    /// When the text passes the bounds, or is not UTF-8.
    pub fn read(text: &[u8], bounds: Bounds) -> Result<SyntaxTree, Refusal> {
        let text = gate::admit(text, bounds)?;
        Ok(stacker::grow(STACK, || {
            let parse = rnix::Root::parse(text);
            let root = parse.syntax().green().to_owned();
            SyntaxTree { root, errors: parse.errors().to_vec() }
        }))
    }

    /// How long the text is, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.root.text_len().into()
    }

    /// How many mistakes rnix saw; it counts what follows from a mistake as well.
    pub fn n_mistakes(&self) -> usize {
        self.errors.len()
    }

    /// Visits all nodes and tokens in order of the text.
    pub fn walk(&self, mut visit: impl FnMut(SyntaxEvent<'_>)) {
        stacker::grow(STACK, || {
            let root = rnix::SyntaxNode::new_root(self.root.clone());
            for event in root.preorder_with_tokens() {
                match event {
                    WalkEvent::Enter(NodeOrToken::Node(node)) => visit(SyntaxEvent::Enter {
                        kind: SyntaxKind(node.kind()),
                        span: span(node.text_range()),
                    }),
                    WalkEvent::Enter(NodeOrToken::Token(token)) => visit(SyntaxEvent::Token {
                        kind: SyntaxKind(token.kind()),
                        span: span(token.text_range()),
                        text: token.text(),
                    }),
                    WalkEvent::Leave(NodeOrToken::Node(_)) => visit(SyntaxEvent::Leave),
                    WalkEvent::Leave(NodeOrToken::Token(_)) => {}
                }
            }
        });
    }
}

fn span(range: rowan::TextRange) -> Span {
    Span { start: range.start().into(), end: range.end().into() }
}

const _: () = {
    const fn is_send_sync<T: Send + Sync>() {}
    is_send_sync::<SyntaxTree>();
};

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let tree = SyntaxTree::read(text.as_bytes(), Bounds::STRANGERS).expect("passes the gate");
        let (mut shown, mut depth, mut together) = (String::new(), 0, String::new());
        tree.walk(|event| match event {
            SyntaxEvent::Enter { kind, span } => {
                shown += &format!("{}{kind} {}..{}\n", "  ".repeat(depth), span.start, span.end);
                depth += 1;
            }
            SyntaxEvent::Token { kind, text, .. } => {
                shown += &format!("{}{kind} {text:?}\n", "  ".repeat(depth));
                together += text;
            }
            SyntaxEvent::Leave => depth -= 1,
        });
        assert_eq!(together, text);
        assert_eq!(depth, 0);
        expected.assert_eq(&shown);
    }

    #[test]
    fn comments_and_spaces_are_tokens() {
        check(
            "a # b\n.c",
            expect![[r##"
                NODE_ROOT 0..8
                  NODE_SELECT 0..8
                    NODE_IDENT 0..1
                      TOKEN_IDENT "a"
                    TOKEN_WHITESPACE " "
                    TOKEN_COMMENT "# b"
                    TOKEN_WHITESPACE "\n"
                    TOKEN_DOT "."
                    NODE_ATTRPATH 7..8
                      NODE_IDENT 7..8
                        TOKEN_IDENT "c"
            "##]],
        );
    }

    #[test]
    fn mistakes_are_nodes() {
        check(
            "{ a = 1; ) }",
            expect![[r#"
            NODE_ROOT 0..12
              NODE_ATTR_SET 0..12
                TOKEN_L_BRACE "{"
                TOKEN_WHITESPACE " "
                NODE_ATTRPATH_VALUE 2..8
                  NODE_ATTRPATH 2..3
                    NODE_IDENT 2..3
                      TOKEN_IDENT "a"
                  TOKEN_WHITESPACE " "
                  TOKEN_ASSIGN "="
                  TOKEN_WHITESPACE " "
                  NODE_LITERAL 6..7
                    TOKEN_INTEGER "1"
                  TOKEN_SEMICOLON ";"
                TOKEN_WHITESPACE " "
                NODE_ATTRPATH_VALUE 9..12
                  NODE_ATTRPATH 9..12
                    NODE_ERROR 9..12
                      TOKEN_R_PAREN ")"
                      TOKEN_WHITESPACE " "
                      TOKEN_R_BRACE "}"
        "#]],
        );
    }

    #[test]
    fn what_passes_the_bounds_is_refused() {
        let refusal = |text: &[u8]| SyntaxTree::read(text, Bounds::STRANGERS).err();
        assert_eq!(refusal(b"\"\xff\""), Some(Refusal::NotUtf8(1)));
        assert_eq!(refusal(&[b' '; 300_000]), Some(Refusal::TooLarge(256 * 1024)));
        assert_eq!(refusal("[".repeat(300).as_bytes()), Some(Refusal::TooDeep));
        let own = SyntaxTree::read("[".repeat(400).as_bytes(), Bounds::OWN).expect("own");
        assert_eq!(own.n_bytes(), 400);
        // At the bounds rnix and the walk have stack enough.
        for text in ["(".repeat(499), "!".repeat(1000), "1+".repeat(511), "a ".repeat(1000)] {
            let tree = SyntaxTree::read(text.as_bytes(), Bounds::OWN).expect("at the bounds");
            let mut n = 0;
            tree.walk(|_| n += 1);
            assert!(n > 400, "{n}");
        }
    }
}
