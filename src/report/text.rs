//! Numbers and texts as the page and its charts show them.

use std::time::Duration;

/// One line of at most `longest` characters that every HTML and XML reader accepts.
pub fn clean(text: &str, longest: usize) -> String {
    let mut cleaned = String::new();
    let mut length = 0;
    for character in text.chars().map(printable) {
        if character == ' ' && (cleaned.is_empty() || cleaned.ends_with(' ')) {
            continue;
        }
        if length == longest {
            cleaned.push('…');
            return cleaned;
        }
        cleaned.push(character);
        length += 1;
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

fn printable(character: char) -> char {
    match character {
        _ if character.is_whitespace() => ' ',
        // XML has no way to write these, not even escaped.
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ if character.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

/// A category's name, also where it has none.
pub fn name(name: &str, longest: usize) -> String {
    let cleaned = clean(name, longest);
    if cleaned.is_empty() { "(no name)".to_owned() } else { cleaned }
}

/// A dependency strength.
pub fn strength(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { scientific(value) } else { fixed(value, 4) }
}

/// A distribution uniformity.
pub fn uniformity(value: f64) -> String {
    scientific(value)
}

/// A long-distance dependency score.
pub fn score(value: f64) -> String {
    fixed(value, 3)
}

/// A number with so many decimals, and no minus sign before a zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e9 {
        return scientific(value);
    }
    let rounded = format!("{value:.decimals$}");
    match rounded.strip_prefix('-') {
        Some(size) if size.parse() == Ok(0.0) => size.to_owned(),
        _ => rounded,
    }
}

fn scientific(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") }
}

/// A whole number with commas between the thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things, such as `1 window` or `1,200 windows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A part of a whole in percent, empty where there is no whole.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 { String::new() } else { format!("{:.1}%", 100.0 * part as f64 / whole as f64) }
}

/// A time in the two largest units that matter.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", (time.as_secs_f64() * 10.0).floor() / 10.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_one_short_line_without_control_characters() {
        assert_eq!(clean("  a\tb\r\n\nc  ", 20), "a b c");
        assert_eq!(clean("a\0b\u{1b}[31m\u{ffff}", 20), "a\u{fffd}b\u{fffd}[31m\u{fffd}");
        assert_eq!(clean("żółw", 4), "żółw");
        assert_eq!(clean("żółwie", 4), "żółw…");
        assert_eq!(name("\n\t ", 9), "(no name)");
    }

    #[test]
    fn numbers_keep_their_sense_at_every_size() {
        assert_eq!(strength(0.28764), "0.2876");
        assert_eq!(strength(0.00001), "1.00e-5");
        assert_eq!(uniformity(-1.234e-7), "-1.23e-7");
        assert_eq!(uniformity(-0.0), "0");
        assert_eq!(score(-0.0001), "0.000");
        assert_eq!(score(-1.5), "-1.500");
        assert_eq!(score(1e300), "1.00e300");
    }

    #[test]
    fn counts_are_grouped_in_thousands() {
        let grouped = [0, 999, 1000, 1_234_567].map(count);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "window", "windows"), "1 window");
        assert_eq!(counted(0, "window", "windows"), "0 windows");
        assert_eq!(share(1, 8), "12.5%");
        assert_eq!(share(0, 0), "");
    }

    #[test]
    fn durations_show_two_units() {
        let milliseconds = [0, 850, 59_999, 60_000, 3_599_999, 7_260_000];
        let shown = milliseconds.map(|time| duration(Duration::from_millis(time)));
        assert_eq!(shown, ["0 ms", "850 ms", "59.9 s", "1 min 0 s", "59 min 59 s", "2 h 1 min"]);
    }
}
