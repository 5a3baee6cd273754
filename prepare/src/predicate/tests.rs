use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

struct Row(Vec<Value<'static>>);

impl Columns for Row {
    fn value(&self, column: usize) -> Result<Value<'_>, String> {
        Ok(self.0[column].clone())
    }
}

fn text(text: &str) -> Value<'static> {
    Value::Text(Cow::Owned(text.to_owned()))
}

#[track_caller]
fn holds(predicate: &str, row: &[(&str, Value<'static>)]) -> Option<bool> {
    let predicate = Predicate::parse(predicate).unwrap();
    let value = |name: &String| {
        row.iter().find(|(known, _)| known == name).map_or(Value::Null, |(_, value)| value.clone())
    };
    predicate.holds(&Row(predicate.columns().iter().map(value).collect())).unwrap()
}

#[test]
fn a_row_is_kept_where_the_predicate_is_true() {
    let row = [("score", Value::Float(3.5)), ("language", text("en")), ("text", text("a short é"))];
    for (predicate, is) in [
        ("score >= 3 and language == \"en\" and len(text) > 8", true),
        ("score >= 3 and language == 'en' and len(text) > 9", false),
        ("bytes(text) == 10", true),
        ("words(text) * 2 + 1 == 7", true),
        ("1 + 2 * 3 == 7 and (1 + 2) * 3 == 9", true),
        ("not score < 3 or language == 'de'", true),
        ("not (score < 3 or language == 'en')", false),
        ("language in ['de', 'en']", true),
        ("language not in [\"de\", \"en\"]", false),
        ("-score < -3", true),
        ("7 % 4 == 3 and 7 / 2 == 3.5", true),
        (
            "contains(text, 'short') and starts_with(text, 'a') and ends_with(lower('XÉ'), 'é')",
            true,
        ),
        ("matches(text, '^a \\w+')", true),
        ("`language` == 'en' AND TRUE", true),
        ("not not not true", false),
        ("not not true", true),
        ("score is not null and other is null", true),
        ("1_000 == 1e3", true),
        ("number(' 7 ') == 7 and number('-1.5e2') == -150 and number(score) == 3.5", true),
        ("number('x') is null and number('') is null and number('inf') is null", true),
    ] {
        assert_eq!(holds(predicate, &row), Some(is), "{predicate}");
    }
}

#[test]
fn null_is_neither_true_nor_false() {
    for (predicate, is) in [
        ("score > 3", None),
        ("not score > 3", None),
        ("score > 3 or true", Some(true)),
        ("score > 3 and false", Some(false)),
        ("score > 3 and true", None),
        ("score in [1, 2]", None),
        ("score + 1 > 0", None),
        ("len(text) > 0", None),
        ("1 / 0 > 0", None),
        ("score is null", Some(true)),
    ] {
        assert_eq!(holds(predicate, &[]), is, "{predicate}");
    }
}

#[track_caller]
fn told(predicate: &str) -> String {
    Predicate::parse(predicate).unwrap_err().to_string()
}

#[test]
fn an_error_shows_its_place_with_a_caret() {
    assert_eq!(
        told("score >= and x"),
        "found `and`, expected a column, a number, a text in quotes, a function or `(`\n  \
         score >= and x\n           ^^^"
    );
    for (predicate, message, caret) in [
        ("score = 3", "found `=`", 6..7),
        ("score >= 3 &", "found `&`", 11..12),
        ("score >= \"3", "no closing quote", 9..11),
        ("len(text", "found the end, expected `,`", 8..9),
        ("len(text, 1) > 2", "found 2 arguments, expected 1", 0..12),
        ("size(text) > 2", "no function `size`", 0..4),
        ("len(text)", "this is a number, expected true or false", 0..9),
        ("len(text) == 'x'", "a number is compared with a text", 0..16),
        ("lower(3) == 'x'", "this is a number, expected a text", 6..7),
        ("matches(text, '(')", "unclosed group", 14..17),
        ("é > 1 2", "found `2`", 6..7),
        ("12x > 3", "`12x` is no number", 0..3),
        ("x in ['a', 3] and len(x) in ['b']", "a number is looked for among a text", 18..33),
        ("", "found the end", 0..1),
    ] {
        let told = told(predicate);
        let line = told.lines().last().unwrap();
        let carets = line.chars().count() - line.trim_start().chars().count() - 2;
        let width = line.trim_start().chars().count();

        assert!(told.contains(message), "{predicate}: {told}");
        assert_eq!((carets, carets + width), (caret.start, caret.end), "{predicate}: {told}");
    }
    assert_eq!(Predicate::parse("a = 1").unwrap_err().hint(), Some("write `==`"));
}

#[test]
fn the_types_of_a_file_are_checked() {
    let predicate = Predicate::parse("score >= 3 and language == 'en'").unwrap();

    assert!(predicate.check(&[Type::Number, Type::Text]).is_ok());
    let wrong = predicate.check(&[Type::Text, Type::Text]).unwrap_err();
    assert_eq!(wrong.message(), "a text is compared with a number");
    let missing = predicate.no_column(1, &["text".into(), "lang".into()]);
    assert!(missing.to_string().ends_with("               ^^^^^^^^"), "{missing}");
    assert_eq!(missing.hint(), Some("the columns are: text, lang"));
}

#[test]
fn a_deep_text_is_refused_and_a_long_one_is_not() {
    let deep = format!("{}true{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(told(&deep).contains("nested too deeply"));
    assert_eq!(holds(&format!("{}true", "not ".repeat(100_001)), &[]), Some(false));
    assert_eq!(holds(&format!("{}1 == 1", "-".repeat(100_000)), &[]), Some(true));
}

#[test]
fn a_group_is_pruned_only_where_no_row_can_hold() {
    let range = |least: i64, most: i64| ColumnRange {
        ends: Some((Value::Int(least), Value::Int(most))),
        all_null: false,
    };
    for (predicate, may) in [
        ("x > 5", false),
        ("x >= 5", true),
        ("x < 1", false),
        ("x == 3", true),
        ("x == 6", false),
        ("6 <= x", false),
        ("x in [7, 8]", false),
        ("x in [2, 8]", true),
        ("x != 3", true),
        ("x > 5 or x == 2", true),
        ("x > 5 and x == 2", false),
        ("not x > 5", true),
        ("x * 2 > 100", true),
        ("x is null", true),
    ] {
        let predicate = Predicate::parse(predicate).unwrap();
        assert_eq!(predicate.may_hold(&[range(1, 5)]), may, "{}", predicate.text());
    }
    let nulls = ColumnRange { ends: None, all_null: true };
    assert!(!Predicate::parse("x > 5").unwrap().may_hold(&[nulls]));
}

/// Predicates over one column with whole numbers.
fn comparisons() -> impl Strategy<Value = String> {
    let sign = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = (sign, -3_i64..4, any::<bool>()).prop_map(|(sign, number, turned)| {
        if turned { format!("{number} {sign} x") } else { format!("x {sign} {number}") }
    });
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} and {two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("({one} or {two})")),
            inner.prop_map(|one| format!("not ({one})")),
        ]
    })
}

proptest! {
    /// Whatever is true for a row of a group keeps the group.
    #[test]
    fn no_group_with_a_row_that_holds_is_pruned(
        predicate in comparisons(),
        rows in prop::collection::vec(prop::option::of(-4_i64..5), 1..6),
    ) {
        let predicate = Predicate::parse(&predicate).unwrap();
        let there = || rows.iter().flatten().copied();
        let ends = there().min().zip(there().max());
        let range = ColumnRange {
            all_null: ends.is_none(),
            ends: ends.map(|(least, most)| (Value::Int(least), Value::Int(most))),
        };
        let any = rows.iter().any(|value| {
            predicate.holds(&Row(vec![value.map_or(Value::Null, Value::Int)])).unwrap() == Some(true)
        });
        prop_assert!(!any || predicate.may_hold(&[range]), "{}", predicate.text());
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_parsed_or_refused(text in "[a-c0-9 ()\\[\\]\"'`<>=!.,+*/%&é-]{0,40}") {
        if let Err(wrong) = Predicate::parse(&text) {
            prop_assert!(wrong.to_string().contains('^'));
        }
    }
}
