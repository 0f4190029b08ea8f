//! Nodes as four words each, for programs that are kept on disk.

use super::{
    CacheId, ConstId, GlobalId, LambdaId, LetId, Node, NodeId, Place, Range, SetId, Symbol,
};

/// The words of a node, while they are written or read one after the other.
struct Words {
    words: [u32; 4],
    at: usize,
}

impl Words {
    #[inline(always)]
    fn put(&mut self, word: u32) {
        self.words[self.at] = word;
        self.at += 1;
    }
    #[inline(always)]
    fn take(&mut self) -> u32 {
        self.at += 1;
        self.words[self.at - 1]
    }
}

/// What nodes are made of.
trait Field: Sized {
    fn put(self, words: &mut Words);
    fn take(words: &mut Words) -> Self;
}

impl Field for u32 {
    #[inline(always)]
    fn put(self, words: &mut Words) {
        words.put(self);
    }
    #[inline(always)]
    fn take(words: &mut Words) -> u32 {
        words.take()
    }
}

macro_rules! numbers {
    ($($kind:ident),*) => {$(
        impl Field for $kind {
            #[inline(always)]
            fn put(self, words: &mut Words) {
                words.put(self.0);
            }
            #[inline(always)]
            fn take(words: &mut Words) -> $kind {
                $kind(words.take())
            }
        }
    )*};
}
numbers!(CacheId, ConstId, GlobalId, LambdaId, LetId, NodeId, Place, SetId, Symbol);

impl Field for Range {
    #[inline(always)]
    fn put(self, words: &mut Words) {
        words.put(self.start);
        words.put(self.len);
    }
    #[inline(always)]
    fn take(words: &mut Words) -> Range {
        Range { start: words.take(), len: words.take() }
    }
}

/// Both directions from one list: numbers of nodes, and their fields in order.
macro_rules! nodes {
    ($($tag:literal => $name:ident $(($($item:ident),*))? $({$($field:ident),*})?;)*) => {
        impl Node {
            /// As words: which node it is, its fields, zeros.
            #[inline]
            pub(crate) fn to_words(self) -> [u32; 4] {
                let mut words = Words { words: [0; 4], at: 1 };
                words.words[0] = match self {
                    $(Node::$name $(($($item),*))? $({$($field),*})? => {
                        $($($item.put(&mut words);)*)?
                        $($($field.put(&mut words);)*)?
                        $tag
                    })*
                };
                words.words
            }

            /// The node of words that [`Node::to_words`] made; `None` of others.
            #[inline]
            pub(crate) fn from_words(words: [u32; 4]) -> Option<Node> {
                let mut words = Words { words, at: 1 };
                let words = &mut words;
                Some(match words.words[0] {
                    $($tag => {
                        $($(let $item = Field::take(words);)*)?
                        $($(let $field = Field::take(words);)*)?
                        Node::$name $(($($item),*))? $({$($field),*})?
                    })*
                    _ => return None,
                })
            }
        }
    };
}

nodes! {
    0 => Const(id);
    1 => EmptyList;
    2 => CurPos;
    3 => Var(place);
    4 => Member { group, index };
    5 => Global(id);
    6 => With { name, withs, cache };
    7 => Scope { scope, name };
    8 => Lambda(id);
    9 => List(items);
    10 => Set(id);
    11 => Let(id);
    12 => WithScope { slot, subject, body };
    13 => Call { function, args };
    14 => CallGlobal { builtin, args };
    15 => Select { base, name, cache };
    16 => SelectPath { base, path };
    17 => SelectOr { base, path };
    18 => HasAttr { base, path };
    19 => If { condition, branches };
    20 => Assert { condition, body };
    21 => Plus(items);
    22 => Interpolate(parts);
    23 => InterpolatePath(parts);
    24 => Concat(items);
    25 => Update(items);
    26 => And(items);
    27 => Or(items);
    28 => Implies(a, b);
    29 => Not(a);
    30 => Equal(a, b);
    31 => NotEqual(a, b);
    32 => Less(a, b);
    33 => NotLess(a, b);
    34 => Sub(a, b);
    35 => Mul(a, b);
    36 => Div(a, b);
    37 => Negate(a);
    38 => Lookup(id);
    39 => HomePath(id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_words_of_its_own() {
        let mut n_kinds = 0;
        for tag in 0..100 {
            let words = [tag, 11, 12, 13];
            let Some(node) = Node::from_words(words) else { continue };
            n_kinds += 1;
            let back = node.to_words();
            assert_eq!(Node::from_words(back), Some(node));
            // Fields that the node has keep their places; what it does not have is zero.
            let mut rest = back.iter().zip(&words).skip_while(|(a, b)| a == b);
            assert!(rest.all(|(&word, _)| word == 0), "{node:?}: {back:?}");
        }
        assert_eq!(n_kinds, 40);
    }
}
