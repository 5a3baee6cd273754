//! The date that a chat template is told: a fixed one, since no clock may reach an artifact.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A day of the Gregorian calendar, at midnight; written `2024-07-26`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Default for Date {
    /// 26 July 2024, which templates fall back to that know no date.
    fn default() -> Self {
        Self { year: 2024, month: 7, day: 26 }
    }
}

impl Date {
    /// Writes the date as C's `strftime` would: `%d %b %Y` is `26 Jul 2024`.
    ///
    /// A `-` behind the percent sign takes leading zeros away.
    ///
    /// # Errors
    ///
    /// The format has a code that is not known here; the message names it.
    pub fn format(self, format: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut rest = format.chars();
        while let Some(char) = rest.next() {
            if char != '%' {
                text.push(char);
                continue;
            }
            let mut code = rest.next();
            let bare = code == Some('-');
            if bare {
                code = rest.next();
            }
            let written = code.and_then(|code| self.field(code)).ok_or_else(|| {
                let code = code.map(String::from).unwrap_or_default();
                format!("strftime_now: `%{code}` is no part of a date that is known here")
            })?;
            let number = written.bytes().all(|byte| byte.is_ascii_digit());
            match written.trim_start_matches('0') {
                "" if bare && number => text.push('0'),
                stripped if bare && number => text.push_str(stripped),
                _ => text.push_str(&written),
            }
        }
        Ok(text)
    }

    /// Returns what one code stands for.
    fn field(self, code: char) -> Option<String> {
        let Self { year, month, day } = self;
        let month_name = MONTHS[month as usize - 1];
        let weekday_name = WEEKDAYS[self.weekday()];
        Some(match code {
            'Y' => format!("{year:04}"),
            'y' => format!("{:02}", year % 100),
            'm' => format!("{month:02}"),
            'd' => format!("{day:02}"),
            'e' => format!("{day:2}"),
            'B' => month_name.to_owned(),
            'b' | 'h' => month_name[..3].to_owned(),
            'A' => weekday_name.to_owned(),
            'a' => weekday_name[..3].to_owned(),
            'j' => format!("{:03}", self.day_of_year()),
            'u' => (self.weekday() + 1).to_string(),
            'w' => ((self.weekday() + 1) % 7).to_string(),
            'F' => self.to_string(),
            'D' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'H' | 'M' | 'S' => "00".to_owned(),
            'I' => "12".to_owned(),
            'p' => "AM".to_owned(),
            'T' => "00:00:00".to_owned(),
            'R' => "00:00".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }

    fn day_of_year(self) -> u32 {
        (1..self.month).map(|month| days_of(self.year, month)).sum::<u32>() + self.day
    }

    /// Returns the day of the week, from 0 for Monday.
    fn weekday(self) -> usize {
        // The year 1 began on a Monday.
        let years = self.year - 1;
        let days = years * 365 + years / 4 - years / 100 + years / 400 + self.day_of_year() - 1;
        days as usize % 7
    }
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}`: expected a date such as `2024-07-26`");
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let [year, month, day] = parts[..] else { return Err(wrong()) };
        if (year.len(), month.len(), day.len()) != (4, 2, 2) || !parts.iter().all(digits) {
            return Err(wrong());
        }
        let number = |part: &str| part.parse::<u32>().map_err(|_| wrong());
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        let known = year > 0 && (1..=12).contains(&month);
        if !known || day == 0 || day > days_of(year, month) {
            return Err(wrong());
        }
        Ok(Self { year, month, day })
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Result<Date, String> {
        Date::try_from(text.to_owned())
    }

    #[test]
    fn a_date_is_written_as_strftime_writes_it() {
        // Of Python: datetime.date(…).strftime("%d %b %Y|%A %a|%B|%j|%-d|%y/%m|%u %w|%%").
        for (day, expected) in [
            ("2024-07-26", "26 Jul 2024|Friday Fri|July|208|26|24/07|5 5|%"),
            ("2000-02-29", "29 Feb 2000|Tuesday Tue|February|060|29|00/02|2 2|%"),
            ("2023-01-01", "01 Jan 2023|Sunday Sun|January|001|1|23/01|7 0|%"),
            ("1999-12-31", "31 Dec 1999|Friday Fri|December|365|31|99/12|5 5|%"),
        ] {
            let written = date(day).unwrap().format("%d %b %Y|%A %a|%B|%j|%-d|%y/%m|%u %w|%%");

            assert_eq!(written.unwrap(), expected);
        }
    }

    #[test]
    fn no_other_text_is_a_date() {
        for text in ["2024-7-26", "2023-02-29", "2024-13-01", "0000-01-01", "today", "2024-07-26-1"]
        {
            assert!(date(text).unwrap_err().contains("such as `2024-07-26`"), "{text}");
        }
        assert!(Date::default().format("%Q").unwrap_err().contains("`%Q`"));
    }
}
