//! The columns of a table that have no columns in them, by the paths that users write.

use std::path::Path;

use arrow_schema::{DataType, Fields};

use super::error::SourceError;

/// A column without columns in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its path as users write it: lists add no name to it.
    pub(super) path: String,
    /// The place of the table's column that it is in.
    pub(super) root: usize,
    /// What it holds, where that cannot be read.
    unreadable: Option<String>,
}

impl Leaf {
    /// A leaf of which only the path is known.
    pub(super) fn named(path: String) -> Self {
        Self { path, root: 0, unreadable: None }
    }
}

/// Returns the leaves of a table in their order.
pub(super) fn leaves_of(fields: &Fields) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (root, field) in fields.iter().enumerate() {
        add_leaves(root, field.name(), field.data_type(), &mut leaves);
    }
    leaves
}

fn add_leaves(root: usize, path: &str, kind: &DataType, leaves: &mut Vec<Leaf>) {
    match kind {
        DataType::Struct(fields) => {
            for field in fields {
                add_leaves(root, &format!("{path}.{}", field.name()), field.data_type(), leaves);
            }
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            add_leaves(root, path, item.data_type(), leaves);
        }
        // A map is laid out as a list of keys and values.
        DataType::Map(entries, _) => add_leaves(root, path, entries.data_type(), leaves),
        plain => {
            let unreadable = (!is_readable(plain)).then(|| plain.to_string());
            leaves.push(Leaf { path: path.to_owned(), root, unreadable });
        }
    }
}

/// Returns whether values of a kind that has no columns in it become JSON.
fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_readable(values),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => true,
        kind => kind.is_integer() || matches!(kind, DataType::Float32 | DataType::Float64),
    }
}

/// Returns whether a part of a path is a place in a list.
fn is_place(part: &str) -> bool {
    part == "*" || part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the places of the leaves that paths name, such as `answers.0.text`; `file` is their table.
///
/// # Errors
///
/// A path names no leaf, two, or one that cannot be read.
pub(super) fn wanted(
    file: &Path,
    leaves: &[Leaf],
    paths: &[&str],
) -> Result<Vec<usize>, SourceError> {
    let mut found = Vec::new();
    for wanted in paths {
        let wanted_parts: Vec<&str> = wanted.split('.').filter(|part| !is_place(part)).collect();
        let wanted_path = wanted_parts.join(".");
        let inside = format!("{wanted_path}.");
        let before = found.len();
        let count = leaves.iter().filter(|leaf| leaf.path == wanted_path).count();
        if count > 1 {
            return Err(SourceError::DoubledColumn {
                path: file.to_owned(),
                column: wanted_path,
                count,
            });
        }
        for (place, leaf) in leaves.iter().enumerate() {
            if leaf.path != wanted_path && !leaf.path.starts_with(&inside) {
                continue;
            }
            if let Some(kind) = &leaf.unreadable {
                return Err(SourceError::ColumnType {
                    path: file.to_owned(),
                    column: leaf.path.clone(),
                    found: kind.clone(),
                });
            }
            found.push(place);
        }
        if found.len() == before {
            let mut present: Vec<String> = leaves.iter().map(|leaf| leaf.path.clone()).collect();
            present.dedup();
            return Err(SourceError::NoColumn {
                path: file.to_owned(),
                column: (*wanted).to_owned(),
                present,
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Field;

    use super::*;

    #[test]
    fn a_list_adds_no_level_to_a_path_and_a_name_is_a_name() {
        let field = |name: &str, kind| Field::new(name, kind, true);
        let text = |name: &str| field(name, DataType::Utf8);
        let list = |name: &str, of: Field| field(name, DataType::List(Arc::new(of)));
        let answer = DataType::Struct(vec![text("text"), text("item"), text("list")].into());
        let schema: Fields = vec![
            list("answers", field("element", answer.clone())),
            field("element", answer),
            list("deep", list("list", field("item", DataType::Int16))),
            field("when", DataType::Date32),
        ]
        .into();

        let leaves = leaves_of(&schema);

        let paths: Vec<&str> = leaves.iter().map(|leaf| leaf.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "answers.text",
                "answers.item",
                "answers.list",
                "element.text",
                "element.item",
                "element.list",
                "deep",
                "when"
            ]
        );
        let unreadable: Vec<&str> =
            leaves.iter().filter_map(|leaf| leaf.unreadable.as_deref()).collect();
        assert_eq!(unreadable, ["Date32"]);
        let file = Path::new("x.parquet");
        assert_eq!(wanted(file, &leaves, &["answers.0.text", "deep"]).unwrap(), [0, 6]);
        let refused = wanted(file, &leaves, &["when"]).unwrap_err();
        assert!(matches!(refused, SourceError::ColumnType { .. }), "{refused}");
    }
}
