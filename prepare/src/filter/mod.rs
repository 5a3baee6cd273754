//! `filter`: which rows to keep, by a predicate over their columns and by rules about their text.

mod rules;

use ratdata_tokenize::source::Source;

use crate::decide::Decide;
use crate::error::PrepareError;
use crate::predicate::{ColumnRange, Predicate};
use crate::rows::{OpenFile, Reason, RowView, Verdict};
use crate::words::WordReader;
use rules::Ruled;
pub use rules::{Rules, RulesError};

/// Keeps the rows for which a predicate is true and whose text no rule leaves out.
#[derive(Debug)]
pub struct Filter {
    predicate: Option<Predicate>,
    rules: Rules,
}

/// The reasons by which rows are left out.
const FALSE: &str = "where";
const NULL: &str = "where_null";

/// The reason by which a text loses lines.
const LINES: &str = "c4_lines";

/// How many rows of a file of lines are looked at for the fields that a predicate names.
const LOOKED_AT: usize = 256;

impl Filter {
    /// A filter by a predicate and by rules about the text; without both, it keeps all rows.
    pub fn new(predicate: Option<Predicate>, rules: Rules) -> Self {
        Self { predicate, rules }
    }

    /// Checks that a table has the columns, and that they hold what the predicate needs.
    fn check_table(predicate: &Predicate, file: &OpenFile) -> Result<(), PrepareError> {
        let wrong = |wrong| PrepareError::Predicate { path: file.path().to_owned(), wrong };
        let columns = file.columns();
        let mut types = Vec::new();
        for (number, name) in predicate.columns().iter().enumerate() {
            match columns.iter().find(|(there, _)| there == name) {
                Some((_, Some(kind))) => types.push(*kind),
                Some((_, None)) => {
                    let reason = format!(
                        "column `{name}` is a list or of another kind that no predicate compares"
                    );
                    let (path, place) = (file.path().to_owned(), "its schema".to_owned());
                    return Err(PrepareError::Table { path, place, reason });
                }
                None => {
                    let present: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
                    return Err(wrong(predicate.no_column(number, &present)));
                }
            }
        }
        predicate.check(&types).map_err(wrong)
    }

    /// Checks that some of the first lines have each field: a field that none has is mistyped.
    fn check_lines(
        predicate: &Predicate,
        file: &OpenFile,
        source: &Source,
    ) -> Result<(), PrepareError> {
        let mut found = vec![false; predicate.columns().len()];
        let mut present: Vec<String> = Vec::new();
        let mut objects = 0;
        source.read_part(0, &|| false, &mut |rows| {
            for cell in rows.cells.iter().take(LOOKED_AT) {
                let Some(Ok(object)) = source.object(cell) else { continue };
                objects += 1;
                for (name, found) in predicate.columns().iter().zip(&mut found) {
                    *found |= object.get(name).is_some()
                        || ratdata_tokenize::source::at_path(&object, name).is_some();
                }
                for name in object.as_object().into_iter().flat_map(serde_json::Map::keys) {
                    if !present.contains(name) {
                        present.push(name.clone());
                    }
                }
            }
            false
        })?;
        match found.iter().position(|found| !found) {
            Some(missing) if objects > 0 => {
                let wrong = predicate.no_column(missing, &present);
                Err(PrepareError::Predicate { path: file.path().to_owned(), wrong })
            }
            _ => Ok(()),
        }
    }
}

impl Decide for Filter {
    type Worker = WordReader;
    type File = ();

    fn worker(&self) -> WordReader {
        WordReader::new()
    }

    fn open(&self, _: usize, file: &OpenFile) -> Result<(), PrepareError> {
        let Some(predicate) = &self.predicate else { return Ok(()) };
        match (&file.source, file.schema()) {
            (_, Some(_)) => Self::check_table(predicate, file),
            (Some(source @ (Source::Lines(_) | Source::Csv(_) | Source::Tar(_))), None) => {
                Self::check_lines(predicate, file, source)
            }
            _ => match predicate.columns().iter().position(|name| name != "text") {
                // Plain texts have their text alone.
                Some(other) => {
                    let wrong = predicate.no_column(other, &["text".to_owned()]);
                    Err(PrepareError::Predicate { path: file.path().to_owned(), wrong })
                }
                None => Ok(()),
            },
        }
    }

    fn columns(&self) -> &[String] {
        self.predicate.as_ref().map_or(&[], Predicate::columns)
    }

    fn needs_text(&self) -> bool {
        self.rules.any()
    }

    fn skips(&self, (): &(), open: &OpenFile, group: usize) -> Option<Reason> {
        let predicate = self.predicate.as_ref()?;
        let range = |column: &String| open.range(group, column);
        let ranges: Vec<ColumnRange> = predicate.columns().iter().map(range).collect();
        (!predicate.may_hold(&ranges)).then(|| Reason::named(FALSE))
    }

    fn decide(
        &self,
        reader: &mut WordReader,
        (): &(),
        row: &RowView<'_>,
    ) -> Result<Verdict, String> {
        if let Some(predicate) = &self.predicate {
            match predicate.holds(row.columns)? {
                Some(true) => {}
                Some(false) => return Ok(Verdict::Drop(Reason::named(FALSE))),
                None => return Ok(Verdict::Drop(Reason::named(NULL))),
            }
        }
        if !self.rules.any() {
            return Ok(Verdict::Keep);
        }
        Ok(match self.rules.decide(reader, row.text) {
            Ruled::Left(reason) => Verdict::Drop(Reason::named(reason)),
            Ruled::Kept(std::borrow::Cow::Borrowed(_)) => Verdict::Keep,
            Ruled::Kept(std::borrow::Cow::Owned(text)) => {
                Verdict::Rewrite(text, Reason::named(LINES))
            }
        })
    }
}
