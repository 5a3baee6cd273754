//! The score of a class name in a prediction, as LongBench computes it for `trec`.

/// Returns 1 divided by the number of classes that the prediction names, if the answer is among them.
///
/// A class whose name is inside the answer's does not count, unless it comes right after one that was
/// removed: Python's loop skips it.
pub(crate) fn classification(prediction: &str, answer: &str, classes: &[String]) -> f64 {
    let mut named: Vec<&str> =
        classes.iter().map(String::as_str).filter(|name| prediction.contains(name)).collect();
    let mut at = 0;
    while at < named.len() {
        let name = named[at];
        if answer.contains(name) && name != answer {
            // `list.remove` takes the first that is equal.
            let first = named.iter().position(|&other| other == name).unwrap_or(at);
            named.remove(first);
        }
        at += 1;
    }
    if named.contains(&answer) { 1.0 / named.len() as f64 } else { 0.0 }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn names_inside_the_answer_are_removed_while_the_loop_runs() {
        let classes =
            |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let score = |prediction, names| classification(prediction, "other date", &classes(names));

        assert_eq!(score("it is other date", &["date", "other date"]), 1.0);
        assert_eq!(score("it is other date", &["date", "other", "other date"]), 0.5);
        assert_eq!(score("other date or city", &["city", "other date"]), 0.5);
        assert_eq!(score("city", &["city", "other date"]), 0.0);
    }
}
