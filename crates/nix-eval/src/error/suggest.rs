//! Did you mean: names near a name.

/// Up to five of `candidates` near `wanted`, closest first, ties in byte order.
///
/// Near is a Damerau-Levenshtein distance of 1 for names shorter than 4 bytes, 2 up to 8, 3 above;
/// names that differ in case only come first.
pub fn nearest<'a>(wanted: &[u8], candidates: impl IntoIterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let limit = match wanted.len() {
        0..4 => 1,
        4..=8 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &[u8])> = Vec::new();
    for candidate in candidates.into_iter().take(100_000) {
        if candidate == wanted || candidate.len().abs_diff(wanted.len()) > limit {
            continue;
        }
        let distance =
            if candidate.eq_ignore_ascii_case(wanted) { 0 } else { distance(wanted, candidate) };
        if distance <= limit {
            found.push((distance, candidate));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().take(5).map(|(_, name)| name).collect()
}

/// `did you mean 'a', 'b' or 'c'?`, or nothing when there are no names.
pub fn question(names: &[&[u8]]) -> Option<String> {
    let quoted: Vec<String> =
        names.iter().map(|n| format!("'{}'", String::from_utf8_lossy(n))).collect();
    let (last, rest) = quoted.split_last()?;
    if rest.is_empty() {
        return Some(format!("did you mean {last}?"));
    }
    Some(format!("did you mean {} or {last}?", rest.join(", ")))
}

/// Insertions, deletions, changes and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[u8], b: &[u8]) -> usize {
    // Names come from input; the table is quadratic.
    if a.len() > 200 || b.len() > 200 {
        return usize::MAX;
    }
    let width = b.len() + 1;
    let mut table = vec![0; (a.len() + 1) * width];
    for (j, cell) in table.iter_mut().take(width).enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        table[i * width] = i;
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (table[(i - 1) * width + j] + 1)
                .min(table[i * width + j - 1] + 1)
                .min(table[(i - 1) * width + j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[(i - 2) * width + j - 2] + 1);
            }
            table[i * width + j] = best;
        }
    }
    table[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_are_one_step() {
        assert_eq!(distance(b"htps", b"https"), 1);
        assert_eq!(distance(b"hpst", b"hpts"), 1);
        assert_eq!(distance(b"", b"abc"), 3);
    }

    #[test]
    fn the_closest_comes_first() {
        let names: [&[u8]; 4] = [b"ssh", b"http", b"https", b"zebra"];
        let near = nearest(b"htps", names);
        assert_eq!(question(&near).unwrap(), "did you mean 'https' or 'http'?");
        assert_eq!(question(&nearest(b"xyzzy", names)), None);
    }
}
