//! Numbers as people read them: commas between thousands, bytes with a decimal unit.

/// Writes a number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a size in bytes with a decimal unit.
pub fn sized(bytes: u64) -> String {
    sized_f(bytes as f64)
}

/// Writes a size or rate in bytes with a decimal unit.
pub fn sized_f(bytes: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_between_thousands_alone() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_size_has_the_unit_that_leaves_at_most_three_digits() {
        let sizes = [0, 999, 1_000, 999_499, 999_500, 2_500_000_000];

        assert_eq!(sizes.map(sized), ["0 B", "999 B", "1.0 kB", "999.5 kB", "1.0 MB", "2.5 GB"]);
    }
}
