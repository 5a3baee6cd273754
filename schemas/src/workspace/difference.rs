//! Tells in which value two jobs differ.

use serde_json::Value;

/// Returns the first value in which two jobs differ, theirs -> ours.
pub fn difference(theirs: &Value, ours: &Value) -> Option<String> {
    fn walk(at: &str, theirs: &Value, ours: &Value) -> Option<String> {
        match (theirs, ours) {
            (Value::Object(left), Value::Object(right)) => {
                let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
                keys.into_iter().find_map(|key| {
                    let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                    let null = &Value::Null;
                    walk(&path, left.get(key).unwrap_or(null), right.get(key).unwrap_or(null))
                })
            }
            (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
                .iter()
                .zip(right)
                .enumerate()
                .find_map(|(place, (left, right))| walk(&format!("{at}[{place}]"), left, right)),
            (Value::Array(left), Value::Array(right)) => {
                Some(format!("{at}: {} -> {} entries", left.len(), right.len()))
            }
            _ => (theirs != ours).then(|| format!("{at}: {theirs} -> {ours}")),
        }
    }
    walk("", theirs, ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_told_by_its_place() {
        let theirs = json!({"config": {"eos": true, "name": "x"}, "inputs": [1]});
        let ours = json!({"config": {"eos": false, "name": "x"}, "inputs": [1]});

        assert_eq!(difference(&theirs, &ours).unwrap(), "config.eos: true -> false");
        assert_eq!(difference(&theirs, &theirs), None);
    }
}
