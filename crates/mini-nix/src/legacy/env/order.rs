//! The order of rows: by name without regard to case, and rows of one name as C++ Nix has them.
//!
//! COMPAT: C++ Nix sorts with `std::sort`, which is not stable, so the order of packages with one name (there
//! are thousands in a big collection) is an outcome of its steps. This is introsort as libstdc++ has run it
//! since 2013: quicksort with the median of the second, middle and last as pivot, down to parts of 16; heap
//! sort where that degenerates; insertion sort at the end.

/// Parts of at most this many items are left to the insertion sort.
const SMALL: usize = 16;

/// Whether one item comes before another.
type Before<'a, T> = &'a dyn Fn(T, T) -> bool;

/// Sorts `items` by `before`, a strict weak order; items of which neither comes first end up where libstdc++
/// puts them.
pub(super) fn sort<T: Copy>(items: &mut [T], before: Before<'_, T>) {
    if items.is_empty() {
        return;
    }
    partition_all(items, before);
    let head = items.len().min(SMALL);
    for i in 1..head {
        if before(items[i], items[0]) {
            items[..=i].rotate_right(1);
        } else {
            sink(items, i, before);
        }
    }
    // Beyond the first part something smaller or equal stands to the left of every item.
    for i in head..items.len() {
        sink(items, i, before);
    }
}

/// Moves item `i` to the left past those that it comes before; one to the left stops it.
fn sink<T: Copy>(items: &mut [T], mut i: usize, before: Before<'_, T>) {
    let item = items[i];
    while i > 0 && before(item, items[i - 1]) {
        items[i] = items[i - 1];
        i -= 1;
    }
    items[i] = item;
}

/// Quicksort down to small parts.
fn partition_all<T: Copy>(items: &mut [T], before: Before<'_, T>) {
    // Start, end and how often a part may still be divided.
    let mut parts = vec![(0, items.len(), 2 * items.len().ilog2())];
    while let Some((start, mut end, mut divisions)) = parts.pop() {
        while end - start > SMALL {
            if divisions == 0 {
                heap_sort(&mut items[start..end], before);
                break;
            }
            divisions -= 1;
            let cut = start + partition(&mut items[start..end], before);
            parts.push((cut, end, divisions));
            end = cut;
        }
    }
}

/// Divides around the median of three; gives the start of the right part.
fn partition<T: Copy>(items: &mut [T], before: Before<'_, T>) -> usize {
    let (a, b, c) = (1, items.len() / 2, items.len() - 1);
    let is = |x: usize, y: usize| before(items[x], items[y]);
    let median = if is(a, b) {
        if is(b, c) {
            b
        } else if is(a, c) {
            c
        } else {
            a
        }
    } else if is(a, c) {
        a
    } else if is(b, c) {
        c
    } else {
        b
    };
    items.swap(0, median);
    let pivot = items[0];
    let (mut left, mut right) = (1, items.len());
    loop {
        while before(items[left], pivot) {
            left += 1;
        }
        right -= 1;
        while before(pivot, items[right]) {
            right -= 1;
        }
        if left >= right {
            return left;
        }
        items.swap(left, right);
        left += 1;
    }
}

fn heap_sort<T: Copy>(items: &mut [T], before: Before<'_, T>) {
    let n = items.len();
    for parent in (0..n / 2).rev() {
        let item = items[parent];
        settle(items, parent, item, before);
    }
    for end in (1..n).rev() {
        let item = items[end];
        items[end] = items[0];
        settle(&mut items[..end], 0, item, before);
    }
}

/// Puts `item` into the heap below the hole: the hole goes down to a leaf along the larger children, then the
/// item rises from there.
fn settle<T: Copy>(heap: &mut [T], top: usize, item: T, before: Before<'_, T>) {
    let n = heap.len();
    let mut hole = top;
    loop {
        let right = 2 * hole + 2;
        let child = if right < n {
            if before(heap[right], heap[right - 1]) { right - 1 } else { right }
        } else if right == n {
            right - 1
        } else {
            break;
        };
        heap[hole] = heap[child];
        hole = child;
    }
    while hole > top {
        let parent = (hole - 1) / 2;
        if !before(heap[parent], item) {
            break;
        }
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = item;
}

/// Whether one name comes before another: by upper-case letters, bytes above 127 before all others.
pub(super) fn name_before(a: &[u8], b: &[u8]) -> bool {
    // COMPAT: characters are signed.
    let key = |&byte: &u8| byte.to_ascii_uppercase() as i8;
    a.iter().map(key).lt(b.iter().map(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers below `below` that look random; the same every time.
    fn numbers(n: usize, below: u32) -> Vec<(u32, usize)> {
        let mut state = 12345u32;
        let mut next = || {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            (state >> 16) % below
        };
        (0..n).map(|i| (next(), i)).collect()
    }

    #[track_caller]
    fn check(mut items: Vec<(u32, usize)>, run: fn(&mut [(u32, usize)])) {
        let mut expected: Vec<u32> = items.iter().map(|i| i.0).collect();
        expected.sort_unstable();
        run(&mut items);
        assert_eq!(items.iter().map(|i| i.0).collect::<Vec<_>>(), expected);
        items.sort_unstable_by_key(|i| i.1);
        assert!(items.iter().enumerate().all(|(n, i)| n == i.1), "an item was lost");
    }

    #[test]
    fn items_are_sorted_and_none_is_lost() {
        for n in [0, 1, 2, 15, 16, 17, 18, 100, 1000] {
            for below in [1, 2, 10, 30000] {
                check(numbers(n, below), |items| sort(items, &|a, b| a.0 < b.0));
                check(numbers(n, below), |items| heap_sort(items, &|a, b| a.0 < b.0));
            }
            check((0..n).map(|i| (i as u32, i)).collect(), |i| sort(i, &|a, b| a.0 < b.0));
            check((0..n).map(|i| ((n - i) as u32, i)).collect(), |i| sort(i, &|a, b| a.0 < b.0));
        }
    }

    /// A number that depends on where every item lies.
    fn places(items: &[(u32, usize)]) -> u32 {
        items.iter().fold(0, |sum: u32, i| sum.wrapping_mul(31).wrapping_add(i.1 as u32))
    }

    /// `std::sort` and `std::partial_sort` of g++ 12 gave these.
    #[test]
    fn longer_inputs_and_heaps_have_the_places_of_libstdcpp() {
        let mut items = numbers(3000, 40);
        sort(&mut items, &|a, b| a.0 < b.0);
        assert_eq!(places(&items), 3_238_275_860);
        for (n, expected) in [(301, 763_168_554), (300, 3_601_435_800)] {
            let mut items = numbers(n, 40);
            heap_sort(&mut items, &|a, b| a.0 < b.0);
            assert_eq!(places(&items), expected, "{n}");
        }
    }

    /// `std::sort` of g++ 12 gave these places for equal items.
    #[test]
    fn equal_items_lie_where_libstdcpp_puts_them() {
        let mut items = numbers(40, 4);
        sort(&mut items, &|a, b| a.0 < b.0);
        let places: Vec<usize> = items.iter().map(|i| i.1).collect();
        assert_eq!(places, EQUAL_40);
    }

    #[rustfmt::skip]
    const EQUAL_40: [usize; 40] = [
        1, 32, 27, 26, 25, 23, 19, 17, 15, 10, 0, 9, 28, 2, 16, 18, 6, 21, 24, 5, 38, 31, 29, 3, 34, 35, 7, 8,
        12, 36, 37, 33, 39, 30, 22, 20, 14, 13, 11, 4,
    ];

    #[test]
    fn case_does_not_count_and_high_bytes_come_first() {
        assert!(name_before(b"A", b"b") && name_before(b"a", b"B") && !name_before(b"a", b"A"));
        assert!(name_before(b"a", b"a-1") && name_before("\u{e9}".as_bytes(), b"a"));
    }
}
