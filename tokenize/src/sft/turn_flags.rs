//! Flags on messages that say whether a turn is trained on: `weight`, 0 or 1, and `train`.

use serde_json::Value;

use super::chat_template::is_turn;
use ratdata_schemas::recipe::LossOn;

/// What names of flags of training have in them; `toxic` and `turn_identifier` are other facts.
const WORDS: [&str; 5] = ["train", "loss", "mask", "learn", "weight"];

/// Returns the first key of a message that looks like a flag of training and is not read.
pub(super) fn unread_flag(message: &Value) -> Option<&str> {
    let fields = message.as_object()?;
    let is_flag = |(key, value): &(&String, &Value)| {
        let is_read = matches!(key.as_str(), "train" | "weight");
        let lower = key.to_ascii_lowercase();
        (value.is_boolean() || value.is_number())
            && !is_read
            && WORDS.iter().any(|word| lower.contains(word))
    };
    fields.iter().find(is_flag).map(|(key, _)| key.as_str())
}

/// Returns for each turn of the roles that are trained on, in order, whether it is: no turn of the first
/// `read_only` messages is.
///
/// # Errors
///
/// A flag has another type or value, two contradict each other, one asks for a turn of another role, or
/// no turn is left.
pub(super) fn trained_turns(
    messages: &[Value],
    on: &LossOn,
    read_only: usize,
) -> Result<Vec<bool>, String> {
    let mut turns = Vec::new();
    for (message, number) in messages.iter().zip(1_usize..) {
        let wrong = |reason: String| format!("message {number} of {}: {reason}", messages.len());
        let flag = flag_of(message).map_err(wrong)?;
        if is_turn(message, on) {
            turns.push(number > read_only && flag.unwrap_or(true));
        } else if flag == Some(true) {
            let role = message["role"].as_str().unwrap_or("none");
            let whose = match on {
                LossOn::Roles(_) => format!("those of `{on}`"),
                LossOn::All | LossOn::Last => "the assistant's".to_owned(),
            };
            return Err(wrong(format!(
                "its flag asks to learn a turn of role `{role}`, and only {whose} are trained on"
            )));
        }
    }
    if *on == LossOn::Last {
        let last = turns.len().saturating_sub(1);
        turns.iter_mut().take(last).for_each(|turn| *turn = false);
    }
    if !turns.is_empty() && !turns.contains(&true) {
        let which = match on {
            LossOn::Last => "the last assistant turn",
            LossOn::All => "each assistant turn",
            LossOn::Roles(_) => "each turn that may be trained on",
        };
        return Err(format!("{which} has `weight` 0 or `train` false, so nothing is trained on"));
    }
    Ok(turns)
}

/// Returns what a message says of itself; none where it says nothing, or null as a column of a
/// parquet file does.
fn flag_of(message: &Value) -> Result<Option<bool>, String> {
    let weight = match &message["weight"] {
        Value::Null => None,
        Value::Number(weight) => match weight.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => {
                return Err(format!(
                    "`weight` is {weight}, expected 0 or 1: a loss mask has no weights between"
                ));
            }
        },
        other => return Err(format!("`weight` is {other}, expected the number 0 or 1")),
    };
    let train = match &message["train"] {
        Value::Null => None,
        Value::Bool(train) => Some(*train),
        other => return Err(format!("`train` is {other}, expected true or false")),
    };
    match (weight, train) {
        (Some(weight), Some(train)) if weight != train => Err(format!(
            "`weight` is {} and `train` is {train}, which contradict each other",
            u8::from(weight)
        )),
        _ => Ok(weight.or(train)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turns(flags: &[Value]) -> Result<Vec<bool>, String> {
        let mut messages = vec![json!({"role": "user", "content": "u", "weight": 0})];
        for flag in flags {
            let mut message = json!({"role": "assistant", "content": "a"});
            for (key, value) in flag.as_object().unwrap() {
                message[key] = value.clone();
            }
            messages.push(message);
        }
        trained_turns(&messages, &LossOn::All, 0)
    }

    #[test]
    fn both_flags_are_honoured_and_null_says_nothing() {
        let flags = [
            json!({"weight": 0}),
            json!({"weight": 1.0}),
            json!({"train": false}),
            json!({"train": true, "weight": 1}),
            json!({"train": null, "weight": 0.0}),
            json!({}),
        ];

        assert_eq!(turns(&flags), Ok(vec![false, true, false, true, false, true]));
    }

    #[test]
    fn the_last_turn_alone_or_turns_of_other_roles_are_chosen() {
        let talk = [
            json!({"role": "user", "content": "u"}),
            json!({"role": "assistant", "content": "a"}),
            json!({"role": "tool", "content": "t"}),
            json!({"role": "assistant", "content": "b"}),
        ];
        let turns = |on: &str| trained_turns(&talk, &on.parse().unwrap(), 0);

        assert_eq!(turns("last"), Ok(vec![false, true]));
        assert_eq!(turns("assistant,tool"), Ok(vec![true, true, true]));
        assert_eq!(turns("user"), Ok(vec![true]));
        assert_eq!(trained_turns(&talk, &LossOn::All, 2), Ok(vec![false, true]));
        assert!(trained_turns(&talk, &LossOn::All, 4).is_err());
        let mut flagged = talk.clone();
        flagged[3]["train"] = false.into();
        let refused = trained_turns(&flagged, &LossOn::Last, 0).unwrap_err();
        assert!(refused.starts_with("the last assistant turn has"), "{refused}");
    }

    #[test]
    fn a_flag_of_training_that_nobody_reads_is_found() {
        let message = json!({"role": "user", "content": "u", "weight": 0, "trainable": false});

        assert_eq!(unread_flag(&message), Some("trainable"));
        let others =
            json!({"role": "user", "content": "u", "name": "x", "toxic": false, "turn": 3});
        assert_eq!(unread_flag(&others), None);
    }

    #[test]
    fn what_a_flag_cannot_mean_is_refused_by_the_messages_number() {
        for (flag, says) in [
            (json!({"weight": 0.5}), "message 2 of 3: `weight` is 0.5, expected 0 or 1"),
            (json!({"weight": -1}), "`weight` is -1"),
            (json!({"weight": "0"}), "`weight` is \"0\", expected the number"),
            (json!({"weight": true}), "`weight` is true"),
            (json!({"train": 0}), "`train` is 0, expected true or false"),
            (json!({"train": "false"}), "`train` is \"false\""),
            (json!({"weight": 0, "train": true}), "`weight` is 0 and `train` is true"),
        ] {
            let refused = turns(&[flag, json!({})]).unwrap_err();

            assert!(refused.contains(says), "{refused}");
        }
        let asked = [json!({"role": "user", "content": "u", "train": true})];
        assert!(
            trained_turns(&asked, &LossOn::All, 0).unwrap_err().contains("a turn of role `user`")
        );
        assert!(turns(&[json!({"weight": 0})]).unwrap_err().contains("nothing is trained on"));
    }
}
