//! Parts of turns that are not trained on by choice: thoughts, and calls of tools.

use std::ops::Range;

use ratdata_schemas::recipe::LossWithout;
use serde_json::Value;

/// What stands around thoughts, as the known families write them.
const THOUGHTS: [Signs; 4] = [
    Signs { open: "<think>", close: "</think>", may_be_begun: true },
    Signs { open: "[THINK]", close: "[/THINK]", may_be_begun: true },
    Signs { open: "<|START_THINKING|>", close: "<|END_THINKING|>", may_be_begun: true },
    // What ends this ends whole turns, too.
    Signs { open: "<|channel|>analysis<|message|>", close: "<|end|>", may_be_begun: false },
];

/// What stands around calls of tools.
const CALLS: [Signs; 5] = [
    Signs::around("<tool_call>", "</tool_call>"),
    Signs::around("<|tool_call|>", "<|/tool_call|>"),
    Signs::around("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    Signs::around("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    Signs::around("<|START_ACTION|>", "<|END_ACTION|>"),
];

/// What stands around a part.
struct Signs {
    open: &'static str,
    close: &'static str,
    /// Whether the template's invitation to answer may have opened it already.
    may_be_begun: bool,
}

impl Signs {
    const fn around(open: &'static str, close: &'static str) -> Self {
        Self { open, close, may_be_begun: false }
    }
}

/// Takes parts out of the stretches of a text that are trained on.
///
/// # Errors
///
/// A message has calls, and no stretch has signs of where they are; or nothing is left.
pub(super) fn without(
    text: &str,
    trained: &[Range<usize>],
    parts: &[LossWithout],
    messages: &[Value],
) -> Result<Vec<Range<usize>>, String> {
    let mut left = Vec::new();
    let mut calls = 0;
    for stretch in trained {
        let mut out: Vec<Range<usize>> = Vec::new();
        if parts.contains(&LossWithout::Thoughts) {
            out.extend(found(text, stretch, &THOUGHTS, true));
        }
        if parts.contains(&LossWithout::ToolCalls) {
            let found = found(text, stretch, &CALLS, false);
            calls += found.len();
            out.extend(found);
        }
        out.sort_by_key(|range| range.start);
        let mut from = stretch.start;
        for range in out {
            if from < range.start {
                left.push(from..range.start);
            }
            from = from.max(range.end);
        }
        if from < stretch.end {
            left.push(from..stretch.end);
        }
    }
    let has_calls =
        |message: &Value| message["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty());
    // Earlier turns may be left out of the loss with their calls; then there is nothing to find.
    let last_has = messages.last().is_some_and(has_calls);
    let all_are_trained =
        trained.len() >= messages.iter().filter(|message| message["role"] == "assistant").count();
    let expected = messages.iter().any(has_calls) && (all_are_trained || last_has);
    if parts.contains(&LossWithout::ToolCalls) && expected && calls == 0 {
        return Err(
            "where the calls of tools are written cannot be told, so they cannot be left out"
                .into(),
        );
    }
    if left.is_empty() {
        return Err(
            "what is trained on has nothing but thoughts or calls of tools, which are left out"
                .into(),
        );
    }
    Ok(left)
}

/// Finds parts within a stretch; of thoughts, white space behind them is theirs, and what the template's
/// invitation has begun is one.
fn found(
    text: &str,
    stretch: &Range<usize>,
    signs: &[Signs],
    is_thought: bool,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for Signs { open, close, may_be_begun } in signs {
        let mut from = stretch.start;
        loop {
            let rest = &text[from..stretch.end];
            let (begin, end) = (rest.find(*open), rest.find(*close));
            let is_begun = *may_be_begun && from == stretch.start;
            let (begin, behind) = match (begin, end) {
                (Some(begin), Some(end)) if begin < end || !is_begun => {
                    let inner = begin + open.len();
                    let end = rest[inner..]
                        .find(*close)
                        .map_or(rest.len(), |at| inner + at + close.len());
                    (begin, end)
                }
                (Some(begin), None) => (begin, rest.len()),
                (_, Some(end)) if is_begun => (0, end + close.len()),
                _ => break,
            };
            let space = if is_thought { &rest[behind..] } else { "" };
            let space = space.len() - space.trim_start().len();
            found.push(from + begin..from + behind + space);
            from += behind + space;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str, parts: &[LossWithout]) -> Vec<String> {
        let whole = 0..text.len();
        let left = without(text, std::slice::from_ref(&whole), parts, &[]).unwrap();
        left.into_iter().map(|range| text[range].to_owned()).collect()
    }

    #[test]
    fn thoughts_that_the_invitation_begins_are_found() {
        let parts = [LossWithout::Thoughts];

        assert_eq!(left("add\n</think>\n\n4<|im_end|>", &parts), ["4<|im_end|>"]);
        assert_eq!(left("<think>a</think>4<think>b</think>5", &parts), ["4", "5"]);
        assert_eq!(left("no thoughts", &parts), ["no thoughts"]);
        let gpt = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant";
        assert_eq!(left(gpt, &parts), ["<|start|>assistant"]);
    }

    #[test]
    fn all_calls_are_found() {
        let parts = [LossWithout::ToolCalls];

        assert_eq!(
            left("see<tool_call>1</tool_call>\n<tool_call>2</tool_call><|im_end|>", &parts),
            ["see", "\n", "<|im_end|>"]
        );
    }

    #[test]
    fn a_conversation_of_thoughts_alone_is_refused() {
        let text = "<think>a</think>";
        let whole = 0..text.len();

        let refused =
            without(text, std::slice::from_ref(&whole), &[LossWithout::Thoughts], &[]).unwrap_err();

        assert!(refused.contains("nothing but thoughts"), "{refused}");
    }
}
