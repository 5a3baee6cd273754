//! Chat templates in the manner of the well-known families, against what Python's Jinja2 writes.
//!
//! `scripts/render_chats.py` made the expected texts, with Hugging Face's settings.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::ops::Range;
use std::path::Path;

use ratdata_schemas::recipe::Date;
use ratdata_tokenize::sft::{ChatTemplate, RenderError};
use serde_json::Value;

/// Conversations whose template does not say what is trained on.
const UNTOLD: [&str; 1] = ["inst_tools calls"];

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

#[test]
fn every_family_is_written_as_jinja2_writes_it() {
    let talks = json("conversations.json");
    let expected = json("expected.json");
    let mut compared = 0;
    for (family, by_talk) in expected.as_object().unwrap() {
        let source = read(&format!("{family}.jinja"));
        let template = ChatTemplate::compile(&source, "<s>", "</s>", Date::default()).unwrap();
        // What shows Python's words is no conversation.
        let words_alone = family == "python_words";
        for (name, expected) in by_talk.as_object().unwrap() {
            let talk = &talks[name];
            let messages = talk["messages"].as_array().unwrap();
            let tools = talk.get("tools");
            let place = format!("{family} {name}");

            let written = template.text(messages, tools);
            compared += 1;
            if let Some(raised) = expected["refused"].as_str() {
                let RenderError::Conversation(reason) = written.unwrap_err() else {
                    panic!("{place}: the template is not at fault")
                };
                assert!(reason.contains(raised), "{place}: {reason}");
                continue;
            }
            assert_eq!(written.as_deref(), Ok(expected["text"].as_str().unwrap()), "{place}");
            if words_alone {
                continue;
            }
            match template.render(messages, tools) {
                Ok(rendered) => {
                    let text = |range: &Range<usize>| &rendered.text[range.clone()];
                    let trained: Vec<&str> = rendered.trained.iter().map(text).collect();
                    if let Some(stretches) = expected["learnt"].as_array() {
                        assert_eq!(&trained, stretches, "{place}");
                    }
                    assert_trained(&trained, messages, &format!("{place}: {trained:?}"));
                }
                // Calls in a template that rewrites its turns have to be marked by the template.
                Err(wrong) => assert!(UNTOLD.contains(&place.as_str()), "{place}: {wrong}"),
            }
        }
    }
    assert_eq!(compared, 10 * 4);
}

/// Each assistant's words are trained on, a user's never.
fn assert_trained(trained: &[&str], messages: &[Value], place: &str) {
    let of = |role: &str| {
        let said = messages.iter().filter(move |message| message["role"] == role);
        said.map(|message| message["content"].as_str().unwrap().trim()).collect::<Vec<_>>()
    };
    let (answers, questions) = (of("assistant"), of("user"));
    // A turn without words may have nothing that is trained on.
    let spoken: Vec<&str> = answers.iter().copied().filter(|answer| !answer.is_empty()).collect();
    let answers = if trained.len() == answers.len() { answers } else { spoken };
    assert_eq!(trained.len(), answers.len(), "{place}");
    for (trained, answer) in trained.iter().zip(&answers) {
        let last_line = answer.lines().last().unwrap_or("");
        assert!(trained.contains(last_line), "{place}");
        assert!(!questions.iter().any(|question| trained.contains(question)), "{place}");
        assert!(!trained.contains("assistant") && !trained.contains("start"), "{place}");
    }
}

#[test]
fn the_date_is_the_tasks_and_never_the_clocks() {
    let source =
        "{{ strftime_now('%d %b %Y') }}{% for m in messages %}|{{ m.content }}{% endfor %}";
    let talk = [serde_json::json!({"role": "assistant", "content": "a"})];
    let on = |date: Date| {
        let template = ChatTemplate::compile(source, "", "", date).unwrap();
        template.render(&talk, None).unwrap().text
    };

    assert_eq!(on(Date::default()), "26 Jul 2024|a");
    assert_eq!(on(Date::try_from("2025-01-02".to_owned()).unwrap()), "02 Jan 2025|a");
}
