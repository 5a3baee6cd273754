//! Predictions with their answers, as JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// A generated text and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Prediction {
    /// The generated text.
    pub pred: String,
    /// The right answers.
    #[serde(default, alias = "outputs")]
    pub answers: Vec<String>,
    /// The names of all classes, where the task is to choose one.
    #[serde(default, deserialize_with = "or_none")]
    pub all_classes: Vec<String>,
    /// The line of the file, from 1.
    #[serde(skip)]
    pub line: u64,
}

/// LongBench writes `null` for tasks without classes.
fn or_none<'de, D: serde::Deserializer<'de>>(found: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(found).map(Option::unwrap_or_default)
}

/// Why predictions cannot be scored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PredictionsError {
    /// The file cannot be read.
    #[error("{}: cannot read: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is not a prediction.
    #[error("{}:{line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What was found and what was expected.
        reason: String,
    },
    /// A row has no answer to be compared with.
    #[error("{}:{line}: the row has no `answers`", .path.display())]
    NoAnswers {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// There is no row.
    #[error("{}: has no predictions", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl PredictionsError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => None,
            Self::Line { .. } => {
                Some("a line is an object such as {\"pred\": \"Paris\", \"answers\": [\"Paris\"]}")
            }
            Self::NoAnswers { .. } => Some(
                "each line needs a list `answers`; `ratdata generate` writes it for a test split of `sft`",
            ),
            Self::Empty { .. } => {
                Some("`ratdata generate RUN --input ARTIFACT` writes predictions")
            }
        }
    }
}

/// Reads the predictions of a file, one a line; blank lines are skipped.
///
/// # Errors
///
/// The file cannot be read, has no predictions, or a line is no prediction with answers.
pub fn read_predictions(path: &Path) -> Result<Vec<Prediction>, PredictionsError> {
    let refused = |source| PredictionsError::Io { path: path.to_owned(), source };
    let mut predictions = Vec::new();
    let mut reader = BufReader::new(File::open(path).map_err(refused)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(refused)? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let wrong = |wrong: serde_json::Error| PredictionsError::Line {
            path: path.to_owned(),
            line,
            reason: reason(&wrong),
        };
        let prediction: Prediction = serde_json::from_slice(&bytes).map_err(wrong)?;
        let prediction = Prediction { line, ..prediction };
        if prediction.answers.is_empty() {
            return Err(PredictionsError::NoAnswers { path: path.to_owned(), line });
        }
        predictions.push(prediction);
    }
    if predictions.is_empty() {
        return Err(PredictionsError::Empty { path: path.to_owned() });
    }
    Ok(predictions)
}

/// Returns the parser's message with the column alone: the line is always the first.
fn reason(wrong: &serde_json::Error) -> String {
    let text = wrong.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let what = if wrong.is_data() { "not a prediction" } else { "not JSON" };
    format!("{what}: {text} at column {}", wrong.column())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(text: &[u8]) -> Result<Vec<Prediction>, PredictionsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        read_predictions(file.path())
    }

    #[test]
    fn other_keys_are_ignored_and_blank_lines_skipped() {
        let text = "{\"pred\":\"é\",\"answers\":[\"x\"],\"all_classes\":null,\"length\":3}\n\n\
                    {\"pred\":\"\",\"outputs\":[\"y\",\"z\"],\"all_classes\":[\"y\"]}";

        let found = read(text.as_bytes()).unwrap();

        assert_eq!((found[0].pred.as_str(), found[0].answers.len()), ("é", 1));
        assert_eq!((found[1].answers.len(), found[1].all_classes.len()), (2, 1));
        assert_eq!((found[0].line, found[1].line), (1, 3));
    }

    #[test]
    fn each_mistake_has_its_line() {
        let good = "{\"pred\":\"a\",\"answers\":[\"a\"]}\n";
        for (text, says) in [
            ("nonsense\n", ":2: not JSON: expected ident at column"),
            ("{\"pred\":\"a\",\"answers\":[\"a\"\n", ":2: not JSON: "),
            ("{\"answers\":[\"a\"]}\n", ":2: not a prediction: missing field `pred`"),
            ("{\"pred\":1,\"answers\":[\"a\"]}\n", ":2: not a prediction: invalid type: integer"),
            ("{\"pred\":\"a\"}\n", ":2: the row has no `answers`"),
            ("{\"pred\":\"a\",\"answers\":[]}\n", ":2: the row has no `answers`"),
        ] {
            let wrong = read(format!("{good}{text}").as_bytes()).unwrap_err();

            assert!(wrong.to_string().contains(says), "{wrong}");
            assert!(wrong.hint().is_some());
        }
        assert!(matches!(read(b"\n \n"), Err(PredictionsError::Empty { .. })));
        assert!(read(b"{\"pred\":\"\xff\",\"answers\":[\"a\"]}").is_err());
    }
}
