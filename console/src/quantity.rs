//! Numbers as people read them: commas between thousands, bytes with a decimal unit, times in the unit that fits.

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

/// Writes how long something takes, in the unit that leaves a number from one on.
pub fn lasting(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => "less than a second".into(),
        seconds if seconds < 99.5 => format!("{seconds:.0} s"),
        seconds if seconds < 99.5 * 60.0 => format!("{:.1} minutes", seconds / 60.0),
        seconds if seconds < 48.0 * 3600.0 => format!("{:.1} hours", seconds / 3600.0),
        seconds => format!("{:.1} days", seconds / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_fits() {
        let times = [0.0, 0.99, 1.0, 12.4, 99.4, 99.6, 3600.0, 7200.0, 200_000.0];

        let expected = [
            "less than a second",
            "less than a second",
            "1 s",
            "12 s",
            "99 s",
            "1.7 minutes",
            "60.0 minutes",
            "2.0 hours",
            "2.3 days",
        ];
        assert_eq!(times.map(lasting), expected);
    }

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
