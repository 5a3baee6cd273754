//! Classes of characters as Oniguruma has them, asked of Oniguruma itself.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{LazyLock, Mutex, PoisonError};

use onig::Regex;
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// Returns the set of a class such as `\w`: what Oniguruma finds among all characters.
///
/// It takes some 30 ms, so the sets that were asked for are kept.
pub(super) fn set_of(class: &str) -> Result<ClassUnicode, String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, ClassUnicode>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(set) = known.get(class) {
        return Ok(set.clone());
    }
    let all: String = ('\0'..=char::MAX).collect();
    let regex = compile(&format!("{class}+"))?;
    let runs = regex.find_iter(&all).filter_map(|(start, end)| {
        let run = &all[start..end];
        Some(ClassUnicodeRange::new(run.chars().next()?, run.chars().next_back()?))
    });
    let set = ClassUnicode::new(runs);
    known.insert(class.to_owned(), set.clone());
    Ok(set)
}

/// Corrects the set of a class in brackets: of some characters of Latin-1 Oniguruma says otherwise within
/// brackets than outside of them.
pub(super) fn within_brackets(mut set: ClassUnicode, text: &str) -> Result<ClassUnicode, String> {
    const LATIN: RangeInclusive<char> = '\0'..='\u{ff}';
    let regex = compile(text)?;
    set.difference(&ClassUnicode::new([ClassUnicodeRange::new(*LATIN.start(), *LATIN.end())]));
    let found = LATIN.filter(|c| regex.is_match(c.encode_utf8(&mut [0; 4])));
    set.union(&ClassUnicode::new(found.map(|c| ClassUnicodeRange::new(c, c))));
    Ok(set)
}

fn compile(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|wrong| wrong.description().to_owned())
}
