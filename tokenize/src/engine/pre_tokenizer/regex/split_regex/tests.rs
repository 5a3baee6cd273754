//! Patterns of tokenizers in use, and odd ones, against `tokenizers` and so Oniguruma.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex_syntax::hir::ClassUnicode;
use tokenizers::pattern::Pattern;
use tokenizers::utils::SysRegex;

use super::super::syntax::{Node, PROPERTIES};
use super::*;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK: [&str; 3] = [
    r"\p{N}{1,3}",
    "[一-龥\u{3040}-ゟ゠-ヿ]+",
    r"[!\x22#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];
const KIMI: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";

/// Patterns that the automaton covers.
const COVERED: [&str; 34] = [
    GPT2,
    CL100K,
    QWEN2,
    O200K,
    KIMI,
    BLOOM,
    DEEPSEEK[0],
    DEEPSEEK[1],
    DEEPSEEK[2],
    r"[0-9][0-9][0-9]",
    r"\p{N}",
    r" ",
    r"\s+",
    r"a+b|a",
    r"(?i)ab|c$",
    r"a{2}|b{1,2}+|c{,2}d",
    r"x*?y",
    r"[^a-c\n]+",
    r"\p{^L}\P{N}",
    r"\u0041|\x{e9}|\x2d",
    r"[a-c&&b-d]+",
    r"(a|bc)+d?",
    r".+$",
    r"\n+$|x",
    r"[\]\-a]+",
    r"\s++$|b",
    r"a++b|[^a]++|a",
    r"(?i:[sdmt]|ve)k?",
    r"(?:ab|a)(?:c|bcd)",
    r"\s*\n|\S+|\s",
    r"a?b{0,2}c|ab",
    r"\w+|[^\w\s]+",
    r"[\w'-]+",
    r"\p{Alpha}+\W",
];

/// Patterns that are left to `tokenizers`.
const LEFT: [&str; 26] = [
    r"$\s",
    r"(?:|$)[ab]",
    r"$a|b",
    r"\s+(?!\S)|$\s|a",
    r"^a",
    r"\ba",
    r"(?=a)b",
    r"(?<=a)b",
    r"a(?!b)",
    r"a*",
    r"(?>a+)b",
    r"a++a",
    r"\h",
    r"(a)\1",
    r"[[:alpha:]]",
    r"(?i:ss)",
    r"(?i)é",
    r"a{1,2}?",
    r"\Ga",
    r"(?<name>a)",
    r"(?#x)a",
    r"(?:a*)+b",
    r"\xe9",
    r"a|\s+(?!\S)",
    r"a)",
    r"(a",
];

fn oracle(pattern: &str, text: &str) -> Vec<usize> {
    let found = (&SysRegex::new(pattern).unwrap()).find_matches(text).unwrap();
    found.into_iter().map(|((_, end), _)| end).filter(|end| *end > 0).collect()
}

fn ends(regex: &SplitRegex, text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = regex.piece_end(text, at);
        assert!(end > at, "an empty piece at {at} of {text:?}");
        at = end;
        ends.push(at);
    }
    ends
}

fn covered() -> &'static [(&'static str, SplitRegex)] {
    static COMPILED: LazyLock<Vec<(&str, SplitRegex)>> = LazyLock::new(|| {
        let compile = |pattern| match SplitRegex::new(pattern) {
            Ok(regex) => (pattern, regex),
            Err(wrong) => panic!("{pattern}: {wrong}"),
        };
        COVERED.into_iter().map(compile).collect()
    });
    &COMPILED
}

fn check(text: &str) {
    for (pattern, regex) in covered() {
        assert_eq!(ends(regex, text), oracle(pattern, text), "{pattern} on {text:?}");
        assert_eq!(matches(regex, text), matches_of_oracle(pattern, text), "{pattern} on {text:?}");
    }
}

fn matches(regex: &SplitRegex, text: &str) -> Vec<(usize, usize)> {
    let mut matches = Vec::new();
    let mut at = 0;
    while at < text.len()
        && let Some((start, end)) = regex.next_match(text, at)
    {
        assert!(end > start, "an empty match at {start} of {text:?}");
        matches.push((start, end));
        at = end;
    }
    matches
}

fn matches_of_oracle(pattern: &str, text: &str) -> Vec<(usize, usize)> {
    let found = (&SysRegex::new(pattern).unwrap()).find_matches(text).unwrap();
    found.into_iter().filter(|(_, is_match)| *is_match).map(|(place, _)| place).collect()
}

#[test]
fn texts_are_split_as_the_oracle_splits_them() {
    for text in [
        "",
        "I'm SURE they'RE here; it'ſ John'S, isn't it? 'x ''s 'll''",
        "Hello helloWorld HTTPServer NASA's ABCdefGHI中文abc DEF中 Ⅷ ǅungla カタカナ",
        "1 12 123 1234 12345678 1²³४५६ x1y22z333",
        "!!!\n\n  \n x ... /// //\n/ a/b c//\r\n d +=$ _a",
        "a  b   c\n\nd \n e\t\tf  \u{a0}\u{3000} \r\n \t",
        "e\u{301}\u{302}E\u{301}A \u{301}\u{301}AB x\u{301}'s \u{903}a",
        "aab abab bccd ccd xxy yx zz abc abcd bbb",
    ] {
        check(text);
        for padding in 60..68 {
            check(&format!("{}{text}", "a ".repeat(padding / 2)));
        }
    }
}

/// Returns the characters that Oniguruma finds.
fn characters(pattern: &str) -> Vec<char> {
    static ALL: LazyLock<String> =
        LazyLock::new(|| (0..0x11_0000).filter_map(char::from_u32).collect());
    let found = (&SysRegex::new(&format!("{pattern}+")).unwrap()).find_matches(&ALL).unwrap();
    let runs = found.into_iter().filter(|(_, is_match)| *is_match);
    runs.flat_map(|((start, end), _)| ALL[start..end].chars()).collect()
}

fn members(set: &ClassUnicode) -> Vec<char> {
    set.ranges().iter().flat_map(|range| range.start()..=range.end()).collect()
}

#[test]
fn classes_have_the_characters_that_they_have_for_the_oracle() {
    let properties = PROPERTIES.map(|name| format!("\\p{{{name}}}"));
    let others = ["\\s", "\\S", "\\d", "\\D", "\\w", "\\W", "\\p{Alnum}", "\\P{Upper}"];
    for class in properties.into_iter().chain(others.map(str::to_owned)) {
        for class in [
            class.clone(),
            format!("[{class}]"),
            format!("[^{class}]"),
            format!("[a{class}&&[^b]]"),
        ] {
            let Ok(Node::Class(set)) = parse(&class) else { panic!("{class}") };
            assert!(members(&set) == characters(&class), "{class}");
        }
    }
}

#[test]
fn every_character_is_taken_as_the_oracle_takes_it() {
    for first in (0..0x11_0000_u32).step_by(256) {
        // What stands around a character shows its class.
        let text: String = (first..first + 256)
            .filter_map(char::from_u32)
            .flat_map(|c| [c, 'x', c, '1', c, '!', c, ' ', c, c, '\n'])
            .collect();
        let looked_at = [CL100K, KIMI, BLOOM, DEEPSEEK[2]];
        for (pattern, regex) in covered().iter().filter(|(text, _)| looked_at.contains(text)) {
            assert_eq!(ends(regex, &text), oracle(pattern, &text), "{pattern} from U+{first:04X}");
        }
    }
}

#[test]
fn automatons_of_patterns_in_use_are_far_below_their_bound() {
    for (pattern, regex) in &covered()[..9] {
        assert!(regex.memory() < MOST_BYTES / 2, "{pattern}: {} bytes", regex.memory());
    }
}

#[test]
fn what_is_not_covered_is_refused() {
    for pattern in LEFT {
        assert!(SplitRegex::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn only_patterns_that_match_everywhere_are_total() {
    let total = |pattern: &str| SplitRegex::new(pattern).unwrap().is_total();

    assert!([GPT2, CL100K, QWEN2, O200K, KIMI].into_iter().all(total));
    assert!(![BLOOM, DEEPSEEK[0], DEEPSEEK[1], r"\s++$|b", "."].into_iter().any(total));
}

#[test]
fn a_long_text_is_split_in_one_pass() {
    let long = ["a", " ", "\n", "1", "!", "é", "中"].map(|text| text.repeat(200_000)).concat();
    let [gpt2, deepseek] = [GPT2, DEEPSEEK[2]].map(|pattern| SplitRegex::new(pattern).unwrap());

    // Letters, white space but the last, the last, digits, marks, and letters again.
    assert_eq!(ends(&gpt2, &long).len(), 6);
    assert_eq!(*ends(&deepseek, &long).last().unwrap(), long.len());
}

proptest! {
    /// Any text is split as the oracle splits it.
    #[test]
    fn any_text_is_split_as_the_oracle_splits_it(
        text in "([a-d'srtvelmdSTRVELMDxyk ]|[A-C]|[ \n\r\t]{1,4}|[0-9]{1,5}|[éÉ中カ٣²ªʰ\u{301}\u{a0}\u{3000}/!.,$+]|\\PC){0,80}"
    ) {
        check(&text);
    }

}

proptest! {
    // Most patterns are refused at once.
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

    /// Any pattern that is covered splits any text as the oracle does.
    #[test]
    fn any_pattern_splits_as_in_the_oracle(
        pattern in r"([abc.$ ]|\\s|\\S|\[ab\]|\[\^b\]|\(a\||\(\?:|\)|[*+?]|\+\+|\?\+|\*\+|\*\?|\{1,2\}|\|){1,9}",
        text in "[abc \n]{0,24}",
    ) {
        let Ok(regex) = SplitRegex::new(&pattern) else { return Ok(()) };
        // A pattern that Oniguruma refuses never gets here: its file is not loaded.
        prop_assume!(SysRegex::new(&pattern).is_ok());

        prop_assert_eq!(ends(&regex, &text), oracle(&pattern, &text), "{} on {:?}", pattern, text);
        let (ours, theirs) = (matches(&regex, &text), matches_of_oracle(&pattern, &text));
        prop_assert_eq!(ours, theirs, "{} on {:?}", pattern, text);
    }
}
