//! What lm-evaluation-harness relies on, each as its client reads it.

use serde_json::{Value, json};

use crate::client::Client;
use crate::support::Workshop;

/// The request that the harness sends for a log-likelihood.
fn scored(client: &Client, prompt: &Value) -> Value {
    client.complete(&json!({
        "model": "t", "prompt": prompt, "temperature": 0, "max_tokens": 1, "logprobs": 1,
        "seed": 1234, "echo": true,
    }))
}

fn ids(client: &Client, text: &str) -> Vec<u32> {
    let reply = client.post("/tokenize", &json!({"prompt": text, "add_special_tokens": false}));
    serde_json::from_value(reply.json()["tokens"].clone()).unwrap()
}

fn logprobs(choice: &Value) -> Vec<Value> {
    choice["logprobs"]["token_logprobs"].as_array().unwrap().clone()
}

fn highest(top: &Value) -> f64 {
    let values = top.as_object().unwrap().values().map(|value| value.as_f64().unwrap());
    values.fold(f64::MIN, f64::max)
}

#[test]
fn every_token_of_a_prompt_and_exactly_one_new_one_have_entries() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let tokens = ids(client, "It was a long day, and the rain");

    // Lengths within the first chunk, at its end and behind it.
    for len in [1, 2, 15, 16, 17, tokens.len() * 3] {
        let prompt: Vec<u32> = tokens.iter().copied().cycle().take(len).collect();
        let answer = scored(client, &json!([prompt]));
        let choice = &answer["choices"][0];

        let found = logprobs(choice);
        let top = choice["logprobs"]["top_logprobs"].as_array().unwrap();
        assert_eq!((found.len(), top.len()), (len + 1, len + 1), "{len}");
        assert!(found[0].is_null() && top[0].is_null(), "{choice}");
        assert!(found[1..].iter().all(Value::is_f64), "{choice}");
        for key in ["tokens", "text_offset"] {
            assert_eq!(choice["logprobs"][key].as_array().unwrap().len(), len + 1);
        }
        assert_eq!(answer["usage"]["prompt_tokens"], len);
        assert_eq!(answer["usage"]["completion_tokens"], 1);
    }
}

#[test]
fn the_end_of_the_text_is_an_entry_too_and_no_text() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let prompt = ids(client, "It was");
    let plain = scored(client, &json!([prompt]));
    // Whatever the model says first ends the text in the second request.
    let next = plain["choices"][0]["logprobs"]["tokens"].as_array().unwrap().last().unwrap();
    let next = ids(client, next.as_str().unwrap());
    let mut body = json!({
        "prompt": [prompt], "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": true,
        "stop_token_ids": next,
    });

    let echoed = client.complete(&body);
    body["echo"] = false.into();
    let alone = client.complete(&body);

    let (plain, echoed, alone) =
        (&plain["choices"][0], &echoed["choices"][0], &alone["choices"][0]);
    assert_eq!(logprobs(echoed), logprobs(plain));
    assert_eq!(echoed["finish_reason"], "stop");
    assert_eq!(plain["finish_reason"], "length");
    assert_eq!(logprobs(alone), logprobs(plain)[prompt.len()..]);
    assert_eq!(alone["text"], "");
    assert!(plain["text"].as_str().unwrap().starts_with(echoed["text"].as_str().unwrap()));
}

#[test]
fn a_token_is_the_best_one_where_its_number_equals_the_highest() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let text = "It was a long day. The rain fell on the town, and é 日 nobody came.";
    let (mut greedy, mut other) = (0, 0);
    for top in [1, 5] {
        let answer = client.complete(&json!({
            "prompt": text, "temperature": 0, "max_tokens": 24, "logprobs": top, "echo": true,
        }));
        let choice = &answer["choices"][0];
        let found = logprobs(choice);
        let names = choice["logprobs"]["tokens"].as_array().unwrap();
        let tops = choice["logprobs"]["top_logprobs"].as_array().unwrap();
        let len = ids(client, text).len();

        for (place, (found, top_of_place)) in found.iter().zip(tops).enumerate().skip(1) {
            let entries = top_of_place.as_object().unwrap();
            assert!((top..=top + 1).contains(&entries.len()), "{entries:?}");
            let name = names[place].as_str().unwrap();
            assert_eq!(&entries[name], found, "the token itself is in the map");
            let found = found.as_f64().unwrap();
            let is_best = found.to_bits() == highest(top_of_place).to_bits();
            assert!(is_best || place < len, "what is generated is the best: {entries:?}");
            *(if is_best { &mut greedy } else { &mut other }) += 1;
        }
    }
    assert!(greedy > 48 && other > 20, "{greedy} {other}");
}

#[test]
fn the_four_forms_of_a_prompt_give_the_same_numbers_in_any_batch() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let texts = ["It was", "The rain fell on the town and", "Why?"];
    let prompts: Vec<Vec<u32>> = texts.iter().map(|text| ids(client, text)).collect();

    let together = scored(client, &json!(prompts));
    let as_texts = scored(client, &json!(texts));

    let of = |answer: &Value| {
        let mut choices = answer["choices"].as_array().unwrap().clone();
        choices.sort_by_key(|choice| choice["index"].as_u64());
        choices
    };
    assert_eq!(of(&together), of(&as_texts));
    for (number, (text, prompt)) in texts.iter().zip(&prompts).enumerate() {
        let mut expected = of(&together)[number].clone();
        expected["index"] = 0.into();
        for form in [json!(text), json!([text]), json!(prompt), json!([prompt])] {
            assert_eq!(scored(client, &form)["choices"][0], expected, "{form}");
        }
        let text_of = expected["text"].as_str().unwrap();
        assert!(text_of.starts_with(text), "the text is echoed: {text_of}");
    }
}

#[test]
fn a_stop_is_not_in_the_text() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let mut body = json!({
        "prompt": [ids(client, "It was")], "model": "t", "max_tokens": 24, "temperature": 0.0,
        "stop": ["\u{1}", "</s>"], "seed": 1234,
    });
    let whole = client.complete(&body)["choices"][0]["text"].as_str().unwrap().to_owned();
    let word = whole.split_whitespace().nth(2).unwrap();
    body["stop"] = json!([word, "\n\n\n"]);

    let stopped = client.complete(&body);

    let choice = &stopped["choices"][0];
    assert_eq!(choice["text"].as_str().unwrap(), &whole[..whole.find(word).unwrap()]);
    assert_eq!(choice["finish_reason"], "stop");
    assert!(stopped["usage"]["completion_tokens"].as_u64().unwrap() < 24);
    // Entries of tokens are those of the text.
    body["logprobs"] = 0.into();
    let entries = client.complete(&body)["choices"][0]["logprobs"]["tokens"].clone();
    let joined: String = entries.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(joined.starts_with(choice["text"].as_str().unwrap()), "{joined}");
    // The last token may begin before the stop and contain it.
    assert!(joined.len() <= choice["text"].as_str().unwrap().len() + word.len(), "{joined}");
}

#[test]
fn the_tokenizer_is_served() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;

    let info = client.get("/tokenizer_info").json();
    let text = "The rain, é 日!";
    let tokens = ids(client, text);
    let back = client.post("/detokenize", &json!({"tokens": tokens})).json();

    assert_eq!((&info["eos_token"], &info["bos_token"]), (&json!("</s>"), &json!("<s>")));
    assert!(info["chat_template"].is_null());
    assert_eq!(ids(client, "</s>"), [2]);
    assert_eq!(back["prompt"], text);
    let told = client.post("/tokenize", &json!({"prompt": text})).json();
    assert_eq!((&told["count"], &told["max_model_len"]), (&json!(tokens.len()), &json!(128)));
    assert_eq!(ids(client, ""), [] as [u32; 0]);
}

#[test]
fn a_client_of_llama_cpp_finds_where_the_answer_begins() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let (context, continuation) = ("It was a", " long day");
    let answer = client.complete(&json!({
        "prompt": format!("{context}{continuation}"), "logprobs": 10, "temperature": 0.0,
        "max_tokens": 1, "echo": true,
    }));

    let logprobs = &answer["choices"][0]["logprobs"];
    let offsets: Vec<usize> = serde_json::from_value(logprobs["text_offset"].clone()).unwrap();
    let begin = offsets.iter().position(|&offset| offset >= context.len()).unwrap();
    let expected = ids(client, context).len();
    assert_eq!(begin, expected, "{offsets:?}");
    assert!(offsets.is_sorted());
    assert_eq!(*offsets.last().unwrap(), context.len() + continuation.len());
    // Without `max_tokens` there are as many as OpenAI has.
    let usual = client.complete(&json!({"prompt": context, "temperature": 0}));
    assert_eq!(usual["usage"]["completion_tokens"], 16);
}
