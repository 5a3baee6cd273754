//! The project uses the words of `docs/glossary.md`, and not those that its table of unused words lists.
//!
//! The test reads the whole text of documents, configurations and sources: comments, strings and names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How many unused words each folder or document still has; one that is not here has none. A count is
/// exact, so a change that removes words also lowers it. The failure prints the new list.
const REMAINING: &[(&str, usize)] = &[
    ("docs/layouts.md", 1),
    ("pipeline/src/commands", 8),
    ("pipeline/src/dag", 6),
    ("pipeline/src/demo", 1),
    ("pipeline/src/executor", 1),
    ("pipeline/src/transcode", 1),
    ("pipeline/tests", 2),
    ("tokenize/src/sft", 2),
    ("tokenize/tests", 1),
];

const HEADING: &str = "## Words that are not used";

/// A word or phrase in lower case, and what to write in its place.
struct Unused {
    words: Vec<String>,
    instead: String,
}

/// One word of a text.
struct Word {
    text: String,
    line: usize,
    /// Whether only white space, comment marks or `_` separate it from the word before.
    follows: bool,
}

#[test]
fn no_document_and_no_source_uses_a_word_that_the_glossary_replaces() {
    let root = ratdata_tests::root();
    let glossary = fs::read_to_string(root.join("docs/glossary.md")).unwrap();
    let unused = table(&glossary);
    assert!(unused.len() > 20, "the table of unused words was not found");

    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    visit(root, &mut |path| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let text = fs::read_to_string(path).unwrap();
        // The tables themselves list the words.
        let text = if name == "docs/glossary.md" { before_tables(&text) } else { &text };
        for (line, word) in uses(text, &unused) {
            let place =
                format!("{name}:{line}: `{}`: write {}", word.words.join(" "), word.instead);
            found.entry(folder(name)).or_default().push(place);
        }
    });

    let counts: BTreeMap<&str, usize> =
        found.iter().map(|(folder, places)| (&folder[..], places.len())).collect();
    if counts == REMAINING.iter().copied().collect() {
        return;
    }
    let allowed =
        |folder: &str| REMAINING.iter().find(|(name, _)| *name == folder).map_or(0, |x| x.1);
    let mut report = String::new();
    for places in found.iter().filter(|(name, places)| places.len() > allowed(name)).map(|x| x.1) {
        writeln!(report, "{}", places.join("\n")).unwrap();
    }
    for (folder, count) in counts {
        writeln!(report, "    (\"{folder}\", {count}),").unwrap();
    }
    panic!("unused words, and the counts that are true now:\n{report}");
}

#[test]
fn a_word_is_found_in_names_comments_and_over_a_line_break() {
    let unused = table(&format!("{HEADING}\n\n|not|but|\n|---|---|\n| old, lies near | new |\n"));
    let text =
        "let is_old = 1;\nstruct OldThing; // bold\n/// a file that lies\n/// near it lies. Near\n";

    let lines: Vec<usize> = uses(text, &unused).into_iter().map(|(line, _)| line).collect();

    assert_eq!(lines, [1, 2, 3]);
}

/// Returns the first table below the heading.
fn table(glossary: &str) -> Vec<Unused> {
    let Some((_, below)) = glossary.split_once(HEADING) else { return Vec::new() };
    let rows = below.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let instead = cells[2].to_owned();
        cells[1]
            .split(',')
            .map(move |phrase| Unused {
                words: phrase.split_whitespace().map(str::to_lowercase).collect(),
                instead: instead.clone(),
            })
            .collect::<Vec<_>>()
    })
    .collect()
}

fn before_tables(glossary: &str) -> &str {
    glossary.split_once(HEADING).map_or(glossary, |(before, _)| before)
}

/// Returns the lines of a text that use a word.
fn uses<'a>(text: &str, unused: &'a [Unused]) -> Vec<(usize, &'a Unused)> {
    let words = words(text);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        for phrase in unused.iter().filter(|phrase| phrase.words[0] == word.text) {
            let end = at + phrase.words.len();
            let Some(rest) = words.get(at + 1..end) else { continue };
            let matches = rest.iter().zip(&phrase.words[1..]);
            if matches.into_iter().all(|(word, expected)| word.follows && word.text == *expected) {
                found.push((word.line, phrase));
            }
        }
    }
    found
}

/// Returns the words of a text in lower case; names are split at `_` and before capitals.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let (mut line, mut follows, mut was_lower, mut inside) = (1, false, false, false);
    for character in text.chars() {
        if character.is_alphabetic() {
            if !inside || (was_lower && character.is_uppercase()) {
                words.push(Word { text: String::new(), line, follows: follows || inside });
            }
            if let Some(word) = words.last_mut() {
                word.text.extend(character.to_lowercase());
            }
            (inside, follows, was_lower) = (true, true, character.is_lowercase());
        } else {
            line += usize::from(character == '\n');
            follows &= character.is_whitespace() || "/!_#*".contains(character);
            inside = false;
        }
    }
    words
}

/// Returns what a file counts for: a document for itself, and a source for its folder, at most three
/// names deep.
fn folder(name: &str) -> String {
    match name.rsplit_once('/') {
        Some((folder, _)) if !has_ending(Path::new(name), "md") => {
            folder.split('/').take(3).collect::<Vec<_>>().join("/")
        }
        _ => name.to_owned(),
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|other| other == ending)
}

/// Calls `file` for every document, configuration and source of the repository.
fn visit(folder: &Path, file: &mut impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let is_config = path.components().any(|folder| folder.as_os_str() == "configs");
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                visit(&path, file);
            }
        } else if ["md", "rs"].iter().any(|ending| has_ending(&path, ending))
            || (is_config && has_ending(&path, "toml"))
        {
            file(&path);
        }
    }
}
