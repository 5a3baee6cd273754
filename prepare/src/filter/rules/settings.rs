//! The thresholds of the rules, from TOML files that are compiled in or the user's own.

use std::path::Path;

use ratdata_schemas::layered::{self, overlay, parse_set};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml::{Table, Value};

/// The files that are compiled in, by name.
const COMPILED_IN: [(&str, &str); 4] = [
    ("gopher_quality", include_str!("../../../../configs/filter/gopher_quality.toml")),
    ("gopher_repetition", include_str!("../../../../configs/filter/gopher_repetition.toml")),
    ("c4", include_str!("../../../../configs/filter/c4.toml")),
    ("fineweb", include_str!("../../../../configs/filter/fineweb.toml")),
];

/// Which rules there are, with their thresholds. They are applied in this order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gopher_repetition: Option<GopherRepetition>,
    /// Quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gopher_quality: Option<GopherQuality>,
    /// C4's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) c4: Option<C4>,
    /// FineWeb's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fineweb: Option<FineWeb>,
}

/// `configs/filter/gopher_quality.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GopherQuality {
    pub(super) min_doc_words: u64,
    pub(super) max_doc_words: u64,
    pub(super) min_avg_word_length: f64,
    pub(super) max_avg_word_length: f64,
    pub(super) max_symbol_word_ratio: f64,
    pub(super) max_bullet_lines_ratio: f64,
    pub(super) max_ellipsis_lines_ratio: f64,
    pub(super) max_non_alpha_words_ratio: f64,
    pub(super) min_stop_words: usize,
    pub(super) stop_words: Vec<String>,
}

/// `configs/filter/gopher_repetition.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GopherRepetition {
    pub(super) dup_line_frac: f64,
    pub(super) dup_para_frac: f64,
    pub(super) dup_line_char_frac: f64,
    pub(super) dup_para_char_frac: f64,
    pub(super) top_n_grams: Vec<(usize, f64)>,
    pub(super) dup_n_grams: Vec<(usize, f64)>,
}

/// `configs/filter/c4.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of C4")]
pub(super) struct C4 {
    pub(super) remove_citations: bool,
    pub(super) filter_no_terminal_punct: bool,
    pub(super) min_num_sentences: i64,
    pub(super) min_words_per_line: i64,
    pub(super) max_word_length: i64,
    pub(super) filter_lorem_ipsum: bool,
    pub(super) filter_javascript: bool,
    pub(super) filter_curly_bracket: bool,
    pub(super) filter_policy: bool,
}

/// `configs/filter/fineweb.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FineWeb {
    pub(super) line_punct_thr: f64,
    pub(super) line_punct_exclude_zero: bool,
    pub(super) short_line_thr: f64,
    pub(super) short_line_length: usize,
    pub(super) char_duplicates_ratio: f64,
    pub(super) new_line_ratio: f64,
}

/// Why rules could not be read.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct RulesError(String);

impl Rules {
    /// Returns the names of the rules that are compiled in.
    pub fn names() -> impl Iterator<Item = &'static str> {
        COMPILED_IN.iter().map(|(name, _)| *name)
    }

    /// Reads rules by their names or files, and the thresholds that are set: `fineweb.new_line_ratio=0.2`.
    ///
    /// # Errors
    ///
    /// There are no such rules, or a threshold is unknown, of another type or out of its range.
    pub fn read(names: &[String], sets: &[String]) -> Result<Self, RulesError> {
        let mut table = Table::new();
        for name in names {
            overlay(&mut table, read_one(name)?);
        }
        for set in sets {
            let set_table = parse_set(set).map_err(|wrong| RulesError(wrong.to_string()))?;
            for (rules, keys) in &set_table {
                let there = table.get(rules).and_then(Value::as_table);
                let Some(there) = there else {
                    let wrong =
                        format!("`--set {set}`: no rules `{rules}` are given with `--rules`");
                    return Err(RulesError(wrong));
                };
                let unknown = keys
                    .as_table()
                    .and_then(|keys| keys.keys().find(|key| !there.contains_key(key.as_str())));
                if unknown.is_some() || !keys.is_table() {
                    let known: Vec<&str> = there.keys().map(String::as_str).collect();
                    let wrong = format!("`--set {set}`: the keys are: {}", known.join(", "));
                    return Err(RulesError(wrong));
                }
            }
            overlay(&mut table, set_table);
        }
        let rules: Self = table.try_into().map_err(|wrong: toml::de::Error| {
            RulesError(format!("--rules: {}", wrong.to_string().trim()))
        })?;
        rules.check()?;
        Ok(rules)
    }

    /// Checks that every share is one, and every n-gram has words.
    fn check(&self) -> Result<(), RulesError> {
        let mut shares: Vec<(&str, f64)> = Vec::new();
        if let Some(of) = &self.gopher_quality {
            shares.extend([
                ("gopher_quality.max_bullet_lines_ratio", of.max_bullet_lines_ratio),
                ("gopher_quality.max_ellipsis_lines_ratio", of.max_ellipsis_lines_ratio),
                ("gopher_quality.max_non_alpha_words_ratio", of.max_non_alpha_words_ratio),
            ]);
        }
        if let Some(of) = &self.gopher_repetition {
            shares.extend([
                ("gopher_repetition.dup_line_frac", of.dup_line_frac),
                ("gopher_repetition.dup_para_frac", of.dup_para_frac),
                ("gopher_repetition.dup_line_char_frac", of.dup_line_char_frac),
                ("gopher_repetition.dup_para_char_frac", of.dup_para_char_frac),
            ]);
            for (name, grams) in [
                ("gopher_repetition.top_n_grams", &of.top_n_grams),
                ("gopher_repetition.dup_n_grams", &of.dup_n_grams),
            ] {
                shares.extend(grams.iter().map(|(_, share)| (name, *share)));
                if let Some((words, _)) = grams.iter().find(|(words, _)| !(1..=100).contains(words))
                {
                    let wrong =
                        format!("{name}: found n-grams of {words} words, expected 1 to 100");
                    return Err(RulesError(wrong));
                }
            }
        }
        if let Some(of) = &self.fineweb {
            shares.extend([
                ("fineweb.line_punct_thr", of.line_punct_thr),
                ("fineweb.short_line_thr", of.short_line_thr),
                ("fineweb.char_duplicates_ratio", of.char_duplicates_ratio),
            ]);
        }
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((name, share)) => {
                Err(RulesError(format!("{name}: found {share}, expected a share from 0 to 1")))
            }
            None => Ok(()),
        }
    }
}

/// Reads rules that are compiled in, or a file of the user.
fn read_one(name: &str) -> Result<Table, RulesError> {
    let compiled_in =
        |name: &str| COMPILED_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    let read = match compiled_in(name) {
        Some(text) => layered::read_embedded(name, text, &compiled_in),
        None if Path::new(name).extension().is_some_and(|ending| ending == "toml") => {
            layered::read_layers(name.as_ref(), &compiled_in)
        }
        None => {
            let known: Vec<&str> = Rules::names().collect();
            let known = known.join(", ");
            return Err(RulesError(format!(
                "`--rules {name}`: no such rules; expected a `.toml` file or one of: {known}"
            )));
        }
    };
    read.map_err(|wrong| RulesError(wrong.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(names: &[&str], sets: &[&str]) -> Result<Rules, String> {
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Rules::read(&owned(names), &owned(sets)).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn every_threshold_can_be_set() {
        let all: Vec<&str> = Rules::names().collect();
        let rules = read(&all, &["fineweb.new_line_ratio=0.2", "c4.min_num_sentences=3"]).unwrap();

        assert!((rules.fineweb.unwrap().new_line_ratio - 0.2).abs() < 1e-9);
        assert_eq!(rules.c4.unwrap().min_num_sentences, 3);
        assert_eq!(rules.gopher_quality.unwrap().min_doc_words, 50);
        assert_eq!(rules.gopher_repetition.unwrap().dup_n_grams.len(), 6);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (names, sets, says) in [
            (&["gofer"][..], &[][..], "`--rules gofer`: no such rules"),
            (&["c4"], &["fineweb.new_line_ratio=1"], "no rules `fineweb` are given"),
            (&["fineweb"], &["fineweb.new_lines=1"], "the keys are: "),
            (&["fineweb"], &["fineweb.short_line_thr=1.5"], "found 1.5, expected a share"),
            (&["fineweb"], &["fineweb.short_line_length=x"], "--rules: "),
            (&["gopher_repetition"], &["gopher_repetition.top_n_grams=[[0, 0.1]]"], "1 to 100"),
            (&["nosuch.toml"], &[], "nosuch.toml"),
        ] {
            let told = read(names, sets).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }
}
