//! Writes a value as YAML: tables and lists in lines of their own, and each scalar as JSON writes it.

use serde_json::Value;

/// Returns a table as YAML.
pub(super) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// Writes the lines of a table or a list.
fn block(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = Value::from(name.as_str());
                text.push_str(&format!("{}{}:", "  ".repeat(depth), key(&name)));
                below(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&"  ".repeat(depth));
                text.push('-');
                below(item, depth, text);
            }
        }
        scalar => text.push_str(&format!("{}{scalar}\n", "  ".repeat(depth))),
    }
}

/// Writes what follows a name or a dash.
fn below(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            block(value, depth + 1, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            block(value, depth + 1, text);
        }
        scalar => text.push_str(&format!(" {scalar}\n")),
    }
}

/// Returns a name without quotes, where it needs none.
fn key(name: &Value) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "./-_".contains(char);
    match name.as_str() {
        Some(text)
            if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain) =>
        {
            text.to_owned()
        }
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_and_lists_are_blocks_and_scalars_are_json() {
        let value = json!({
            "kind": "Job",
            "a.b/c": {"n": 3, "none": {}, "words": ["x: y", "it's \"so\"\n", "yes"]},
            "list": [{"name": "v", "of": [1]}],
            "9": true,
        });

        let expected = concat!(
            "kind: \"Job\"\n",
            "a.b/c:\n",
            "  n: 3\n",
            "  none: {}\n",
            "  words:\n",
            "    - \"x: y\"\n",
            "    - \"it's \\\"so\\\"\\n\"\n",
            "    - \"yes\"\n",
            "list:\n",
            "  -\n",
            "    name: \"v\"\n",
            "    of:\n",
            "      - 1\n",
            "\"9\": true\n",
        );
        assert_eq!(yaml(&value), expected);
    }
}
