//! The date of an image: read as ISO 8601, written as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;

const SECONDS_PER_DAY: i64 = 86_400;

/// An instant between the years 0001 and 9999, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970, may be negative.
    seconds: i64,
    nanoseconds: u32,
}

/// Why a text is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a date: expected 'now' or ISO 8601 such as 1970-01-01T00:00:01Z or \
     2024-02-29T12:30:00+01:00"
)]
pub struct TimestampError(String);

impl Timestamp {
    /// The instant that many seconds after the start of 1970.
    pub fn from_unix(seconds: i64) -> Timestamp {
        Timestamp { seconds, nanoseconds: 0 }
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.seconds
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// A date without an offset is taken as UTC; a day without a time is its start.
    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        parse(text).ok_or_else(|| TimestampError(text.chars().take(100).collect()))
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let mut reader = Reader(text.as_bytes());
    let year = reader.number(4)?;
    let extended = reader.take(b"-").is_some();
    let month = reader.number(2)?;
    if extended {
        reader.take(b"-")?;
    }
    let day = reader.number(2)?;
    let in_range = year >= 1 && (1..=12).contains(&month) && day >= 1;
    if !in_range || day > days_in_month(year, month) {
        return None;
    }
    let mut seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY;
    let mut nanoseconds = 0;
    if reader.take(b"Tt ").is_some() {
        let hour = reader.number(2)?;
        let extended = reader.take(b":").is_some();
        let minute = reader.number(2)?;
        let mut second = 0;
        if (extended && reader.take(b":").is_some())
            || (!extended && reader.0.first().is_some_and(u8::is_ascii_digit))
        {
            second = reader.number(2)?;
            if reader.take(b".,").is_some() {
                nanoseconds = reader.fraction()?;
            }
        }
        // A leap second is the start of the next minute.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        seconds += hour * 3600 + minute * 60 + second;
        if let Some(sign) = reader.take(b"+-") {
            let hour = reader.number(2)?;
            reader.take(b":");
            let minute = if reader.0.is_empty() { 0 } else { reader.number(2)? };
            if hour > 23 || minute > 59 {
                return None;
            }
            let offset = hour * 3600 + minute * 60;
            seconds -= if sign == b'-' { -offset } else { offset };
        } else {
            reader.take(b"Zz");
        }
    }
    let parsed = Timestamp { seconds, nanoseconds };
    let (year, _, _) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
    (reader.0.is_empty() && (1..=9999).contains(&year)).then_some(parsed)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, n_digits: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(n_digits)?;
        let mut number = 0;
        for &digit in digits {
            number = number * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.0 = rest;
        Some(number)
    }

    fn take(&mut self, any_of: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        any_of.contains(&first).then(|| self.0 = rest).map(|()| first)
    }

    /// Digits after the point, cut at nanoseconds.
    fn fraction(&mut self) -> Option<u32> {
        let n_digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(n_digits);
        self.0 = rest;
        let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
        (n_digits > 0).then(|| padded.fold(0, |sum, &digit| sum * 10 + u32::from(digit - b'0')))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}", second % 60)?;
        if self.nanoseconds != 0 {
            let digits = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// The year is taken to begin in March, so that the leap day is its last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        for (text, written) in [
            ("1970-01-01T00:00:01Z", "1970-01-01T00:00:01Z"),
            ("2024-02-29T12:30:00+01:00", "2024-02-29T11:30:00Z"),
            ("2024-01-01T00:30:00.5+0100", "2023-12-31T23:30:00.5Z"),
            ("20240229T123000Z", "2024-02-29T12:30:00Z"),
            ("2000-02-29", "2000-02-29T00:00:00Z"),
            ("1969-12-31 23:59:59-00:00", "1969-12-31T23:59:59Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            ("1999-12-31T23:59-05", "2000-01-01T04:59:00Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "now",
            "yesterday",
            "1970-13-01",
            "2023-02-29",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:00:00Zjunk",
            "1970-01",
            "0000-01-01",
            "1970-01-01T",
            "9999-12-31T23:59:59-10:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_converts_both_ways() {
        for days in -146_097..146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day));
        }
    }
}
