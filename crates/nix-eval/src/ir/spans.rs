//! Many spans in little memory: there is one for each node, and nobody looks before something fails.

use crate::source::Span;

/// A list of spans, four bytes each; long ones, and those far into a large text, sixteen.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spans {
    /// Start in the low [`START_BITS`], length above; the greatest length says that `wide` has it.
    words: Vec<u32>,
    /// Number and span, in order of the number.
    wide: Vec<(u32, Span)>,
}

const START_BITS: u32 = 23;
const MAX_START: u32 = (1 << START_BITS) - 1;
/// The length that says `wide`.
const WIDE: u32 = u32::MAX >> START_BITS;

impl Spans {
    /// Appends a span.
    #[inline]
    pub fn push(&mut self, span: Span) {
        let len = span.end.wrapping_sub(span.start);
        if span.start > MAX_START || len >= WIDE {
            self.push_wide(span);
            return;
        }
        self.words.push(span.start | len << START_BITS);
    }

    #[inline(never)]
    fn push_wide(&mut self, span: Span) {
        self.wide.push((self.words.len() as u32, span));
        self.words.push(WIDE << START_BITS);
    }

    /// The span with this number, which must be there.
    pub fn get(&self, index: usize) -> Span {
        let word = self.words[index];
        let len = word >> START_BITS;
        if len < WIDE {
            let start = word & MAX_START;
            return Span { start, end: start + len };
        }
        match self.wide.binary_search_by_key(&(index as u32), |&(number, _)| number) {
            Ok(at) => self.wide[at].1,
            Err(_) => Span::default(),
        }
    }

    /// Bytes that they take.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.wide)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(crate) fn reserve(&mut self, more: usize) {
        self.words.reserve(more);
    }

    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.wide.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_all_sizes_come_back() {
        let spans =
            [(0, 0), (5, 515), (5, 516), (7, 1000), (8_388_607, 8_388_700), (9_000_000, 9_000_001)]
                .map(|(start, end)| Span { start, end });
        let mut list = Spans::default();
        spans.iter().for_each(|&span| list.push(span));
        assert_eq!(list.len(), spans.len());
        for (index, &span) in spans.iter().enumerate() {
            assert_eq!(list.get(index), span);
        }
    }
}
