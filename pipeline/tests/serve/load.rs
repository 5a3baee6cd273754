//! Many clients at once, some of which go or send nonsense: a short form of `scripts/load_test.py`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Workshop, memory};

const CLIENTS: u64 = 16;

/// How long they ask.
const DURATION: Duration = Duration::from_secs(6);

/// The requests: of all forms, short and long.
fn requests() -> Vec<Value> {
    (0..12_u64)
        .map(|i| {
            let prompt = match i % 4 {
                0 => json!(format!("It was {i}")),
                1 => json!([format!("Why {i}"), "The rain"]),
                2 => json!((0..=i * 3).map(|at| at * 7 % 900 + 5).collect::<Vec<_>>()),
                _ => json!([[5, 6, i], [7, 8, 9, 10]]),
            };
            let max_tokens = [1, 3, 9, 20][usize::try_from(i).unwrap() % 4];
            json!({
                "prompt": prompt, "max_tokens": max_tokens, "temperature": (i % 3) as f64 * 0.5,
                "seed": i, "echo": i % 2 == 0, "logprobs": (i % 5 == 0).then_some(2),
                "stop": ["\u{1}"], "n": i % 3 + 1,
            })
        })
        .collect()
}

/// What does not differ from one answer to another.
fn content(answer: &Value) -> (Value, Value) {
    (answer["choices"].clone(), answer["usage"].clone())
}

#[test]
fn no_answer_is_wrong_lost_or_mixed_up() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&["--batch", "4"]);
    let client = &served.client;
    let requests = requests();
    let alone: Vec<(Value, Value)> =
        requests.iter().map(|request| content(&client.complete(request))).collect();
    let ids = [served.id(), served.model_id()];
    let before = ids.map(memory);
    let answered = AtomicUsize::new(0);

    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (requests, alone, answered) = (&requests, &alone, &answered);
            scope.spawn(move || {
                let begun = Instant::now();
                let mut state = number * 7919 + 1;
                while begun.elapsed() < DURATION {
                    // Any sequence of choices will do.
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let chosen = (state >> 33) as usize;
                    let (which, how) = (chosen % requests.len(), chosen / 16 % 10);
                    match how {
                        0 => client.hang_up("/v1/completions", &requests[which], 0),
                        1 => {
                            let text = requests[which].to_string();
                            let cut = &text.as_bytes()[..text.len() - 3];
                            let request = client.request("POST", "/v1/completions", cut);
                            assert_eq!(client.raw(&request).unwrap().status, 400);
                        }
                        2 => {
                            let mut request = requests[which].clone();
                            request["stream"] = true.into();
                            client.hang_up("/v1/completions", &request, 64);
                        }
                        3 => {
                            let mut request = requests[which].clone();
                            request["stream"] = true.into();
                            let reply = client.post("/v1/completions", &request);
                            let (events, is_whole) = reply.events();
                            assert!(is_whole, "{}", reply.body);
                            assert_eq!(texts(&events), whole_texts(&alone[which].0));
                        }
                        _ => {
                            let answer = client.complete(&requests[which]);
                            assert_eq!(content(&answer), alone[which], "{}", requests[which]);
                        }
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });

    let begun = Instant::now();
    while client.metric("ratdata_open_answers") > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "answers are left");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(answered.load(Ordering::Relaxed) > 50, "{answered:?}");
    for (before, id) in before.into_iter().zip(ids) {
        let after = memory(id);
        assert!(after < before + (64 << 20), "{before} bytes became {after}");
    }
}

fn texts(events: &[Value]) -> BTreeMap<u64, String> {
    let mut texts: BTreeMap<u64, String> = BTreeMap::new();
    for event in events {
        let choice = &event["choices"][0];
        let text = texts.entry(choice["index"].as_u64().unwrap()).or_default();
        text.push_str(choice["text"].as_str().unwrap());
    }
    texts
}

fn whole_texts(choices: &Value) -> BTreeMap<u64, String> {
    let of = |choice: &Value| {
        (choice["index"].as_u64().unwrap(), choice["text"].as_str().unwrap().to_owned())
    };
    choices.as_array().unwrap().iter().map(of).collect()
}
