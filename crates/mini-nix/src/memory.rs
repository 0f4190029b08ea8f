//! The setting `max-heap`: how much memory an evaluation may use, and what to do when that was not enough.

use nix_eval::{
    error::{Error, Help},
    limits::LimitKind,
};

use crate::settings::Settings;

/// Letters of sizes, the largest first, with the power of two that each stands for.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

/// Bytes that an evaluation may use.
pub(crate) fn limit(settings: &Settings) -> u64 {
    match settings.number("max-heap") {
        0 => u64::MAX,
        bytes => bytes,
    }
}

/// How an evaluation that has met the limit of the settings gets more. A limit from elsewhere has another remedy.
pub(crate) fn remedy(error: &Error, settings: &Settings) -> Option<Help> {
    let now = limit(settings);
    if error.limit() != Some((LimitKind::HeapBytes, now)) {
        return None;
    }
    let more = now.saturating_mul(2);
    let (now, more) = (size(now), size(more));
    let text = format!(
        "give it more than {now} with '--max-heap {more}' or the setting 'max-heap = {more}'"
    );
    Some(Help { text, edits: Vec::new() })
}

/// A number of bytes as a setting has it.
fn size(bytes: u64) -> String {
    let fits = |(_, power): &(char, u32)| bytes > 0 && bytes.trailing_zeros() >= *power;
    match UNITS.into_iter().find(fits) {
        Some((letter, power)) => format!("{}{letter}", bytes >> power),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_means_no_limit_and_sizes_read_as_they_are_written() {
        let mut settings = Settings::default();
        assert_eq!(limit(&settings), 64 << 30);
        settings.set("max-heap", "0").expect("a size");
        assert_eq!(limit(&settings), u64::MAX);
        for text in ["1", "1000", "3K", "512M", "1536M", "4G", "2T"] {
            settings.set("max-heap", text).expect("a size");
            assert_eq!(size(limit(&settings)), text);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "M", "auto", "-1", "1.5G", "4GB", "512 M", "99999999T"] {
            let said = Settings::default().set("max-heap", text).expect_err("no size");
            let wanted = format!("setting 'max-heap' is a size such as 512M or 4G, not '{text}'");
            assert_eq!(said, wanted);
        }
    }
}
