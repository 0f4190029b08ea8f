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

    /// All that there is: what [`Spans::from_parts`] takes.
    pub(crate) fn parts(&self) -> (&[u32], &[(u32, Span)]) {
        (&self.words, &self.wide)
    }

    /// From what [`Spans::parts`] gave.
    pub(crate) fn from_parts(words: Vec<u32>, wide: Vec<(u32, Span)>) -> Spans {
        Spans { words, wide }
    }

    /// Puts those from `first` on into another order: where `order[i]` was comes to `i`.
    pub(crate) fn reorder(&mut self, first: usize, order: &[u32]) {
        if self.wide.is_empty() {
            let old = self.words[first..first + order.len()].to_vec();
            for (at, &from) in order.iter().enumerate() {
                self.words[first + at] = old[from as usize];
            }
            return;
        }
        let old = std::mem::take(self);
        for at in 0..old.len() {
            let moved = at.checked_sub(first).and_then(|at| order.get(at));
            self.push(old.get(moved.map_or(at, |&from| first + from as usize)));
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

    /// Makes room in an empty list.
    pub(crate) fn make_room(&mut self, n: usize) {
        crate::ir::make_room(&mut self.words, n);
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
        let mut short = Spans::default();
        spans.iter().for_each(|&span| short.push(Span { end: span.start + 1, ..span }));
        for mut list in [list, short] {
            let old: Vec<Span> = (0..list.len()).map(|index| list.get(index)).collect();
            list.reorder(2, &[2, 0, 1]);
            let moved: Vec<Span> = (0..list.len()).map(|index| list.get(index)).collect();
            assert_eq!(moved, [old[0], old[1], old[4], old[2], old[3], old[5]]);
        }
    }
}
