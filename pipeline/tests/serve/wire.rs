//! Paths, fields, streams and errors, as other servers have them.

use serde_json::{Value, json};

use crate::support::Workshop;

#[test]
fn a_server_says_that_it_is_well_and_what_it_has() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;

    let health = client.get("/health");
    let models = client.get("/v1/models").json();
    client.complete(&json!({"prompt": [5, 6], "max_tokens": 3, "temperature": 0}));

    assert_eq!((health.status, health.body.as_str()), (200, "{\"status\":\"ok\"}"));
    assert_eq!(models["data"][0]["id"], "run");
    assert_eq!(models["data"][0]["max_model_len"], 128);
    assert!(client.metric("ratdata_generated_tokens_total") >= 3);
    assert!(client.metric("ratdata_requests_total{route=\"/health\",status=\"200\"}") >= 1);
}

#[test]
fn a_stream_is_the_answer_piece_by_piece() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    for (more, echo) in
        [(json!({}), false), (json!({"logprobs": 2}), true), (json!({"n": 2}), false)]
    {
        let mut body = json!({
            "prompt": ["It was é", "Why"], "max_tokens": 20, "temperature": 0.9, "seed": 3,
            "echo": echo, "stream": false,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let whole = client.complete(&body);
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});

        let reply = client.post("/v1/completions", &body);

        assert!(reply.head.to_lowercase().contains("content-type: text/event-stream"));
        let (mut events, is_whole) = reply.events();
        assert!(is_whole);
        let last = events.pop().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
        for choice in whole["choices"].as_array().unwrap() {
            let of_choice: Vec<&Value> = events
                .iter()
                .map(|event| &event["choices"][0])
                .filter(|piece| piece["index"] == choice["index"])
                .collect();
            let text: String =
                of_choice.iter().filter_map(|piece| piece["text"].as_str()).collect();
            assert_eq!(text, choice["text"].as_str().unwrap());
            let finish: Vec<&Value> =
                of_choice.iter().map(|piece| &piece["finish_reason"]).collect();
            assert_eq!(*finish.last().unwrap(), &choice["finish_reason"]);
            assert!(finish[..finish.len() - 1].iter().all(|finish| finish.is_null()));
            for key in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                let lists = of_choice.iter().filter_map(|piece| piece["logprobs"][key].as_array());
                let joined: Vec<Value> = lists.flatten().cloned().collect();
                let expected = choice["logprobs"][key].as_array().cloned().unwrap_or_default();
                assert_eq!(joined, expected, "{key}");
            }
        }
    }
}

#[test]
fn several_answers_to_a_prompt_differ_and_follow_the_seed() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let ask = |seed: Value, n: usize| {
        let body = json!({"prompt": "It was", "max_tokens": 12, "seed": seed, "n": n});
        let choices = client.complete(&body)["choices"].clone();
        let texts = choices.as_array().unwrap().iter().map(|choice| choice["text"].to_string());
        texts.collect::<Vec<_>>()
    };

    let four = ask(json!(7), 4);

    assert_eq!(ask(json!(7), 4), four);
    assert_eq!(ask(json!(7), 1), four[..1]);
    assert!(four.iter().any(|text| *text != four[0]));
    assert_ne!(ask(json!(-8), 4), four);
    assert_ne!(ask(Value::Null, 4), ask(Value::Null, 4), "without a seed each is new");
}

#[test]
fn a_conversation_is_written_by_the_template() {
    let Some(workshop) = Workshop::get() else { return };
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}</s>\n{% endfor %}\
                    {% if add_generation_prompt %}assistant:{% endif %}";
    ratdata_tests::files::write(&workshop.path("chat.jinja"), template);
    let served = workshop.serve(&["--chat-template", "chat.jinja", "--name", "talker"]);
    let client = &served.client;
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]},
    ]);
    let mut body = json!({
        "messages": messages, "max_completion_tokens": 12, "temperature": 0, "logprobs": true,
        "top_logprobs": 2,
    });

    let chat = client.post("/v1/chat/completions", &body).json();
    let plain = client.complete(&json!({
        "prompt": "user: Why?</s>\nassistant:", "max_tokens": 12, "temperature": 0,
    }));

    let choice = &chat["choices"][0];
    assert_eq!((&chat["object"], &chat["model"]), (&json!("chat.completion"), &json!("talker")));
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["message"]["content"], plain["choices"][0]["text"]);
    assert_eq!(choice["finish_reason"], plain["choices"][0]["finish_reason"]);
    assert_eq!(chat["usage"], plain["usage"]);
    let content = choice["logprobs"]["content"].as_array().unwrap();
    assert!(!content.is_empty() && content.iter().all(|entry| entry["top_logprobs"].is_array()));
    body["stream"] = true.into();
    let (events, is_whole) = client.post("/v1/chat/completions", &body).events();
    assert!(is_whole);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let pieces = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    assert_eq!(pieces.collect::<String>(), choice["message"]["content"].as_str().unwrap());
    // Without a bound an answer has as many tokens as there is room for.
    let long = client.post(
        "/v1/chat/completions",
        &json!({
            "messages": messages, "temperature": 0, "ignore_eos": true,
        }),
    );
    assert_eq!(long.json()["usage"]["total_tokens"], 128);
    let info = client.get("/tokenizer_info").json();
    assert_eq!(info["chat_template"], template);
}

#[test]
fn a_run_that_was_tuned_on_conversations_has_their_template() {
    let Some(workshop) = Workshop::get() else { return };
    let write = |name: &str, text: &str| ratdata_tests::files::write(&workshop.path(name), text);
    let template = "{% for m in messages %}{{ m.role }}> {{ m.content }}</s>{% endfor %}\
                    {% if add_generation_prompt %}assistant> {% endif %}";
    write(
        "chat.toml",
        &format!(
            "[chat]\ntemplate = \"{template}\"\n[splits.train]\nsource = \"talks.jsonl\"\nlocal = \"talks.jsonl\"\n"
        ),
    );
    let talk = json!({"messages": [
        {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "It rains."},
    ]});
    write("talks.jsonl", &format!("{talk}\n{talk}\n"));
    let made = workshop.run(&[
        "sft",
        "--task-file",
        "chat.toml",
        "--input",
        ".",
        "--split",
        "train",
        "--tokenizer",
        "demo/tokenizer",
        "--max-length",
        "64",
        "--out",
        "talks",
        "-q",
    ]);
    assert!(made.status.success(), "{}", ratdata_tests::program::stderr(&made));
    // As a run that was tuned on them records it.
    let resolved = std::fs::read_to_string(workshop.path("run/resolved.toml")).unwrap();
    write("tuned/resolved.toml", &resolved.replace("path = \"demo/tokens\"", "path = \"talks\""));
    std::fs::copy(workshop.path("run/model.safetensors"), workshop.path("tuned/model.safetensors"))
        .unwrap();
    let served = workshop.serve_run("tuned", &[]);
    let client = &served.client;

    let messages = json!([{"role": "user", "content": "Why?"}]);
    let chat = client.post(
        "/v1/chat/completions",
        &json!({"messages": messages, "max_tokens": 8, "temperature": 0}),
    );

    let plain = client.complete(&json!({
        "prompt": "user> Why?</s>assistant> ", "max_tokens": 8, "temperature": 0,
    }));
    assert_eq!(client.get("/tokenizer_info").json()["chat_template"], template);
    assert_eq!(chat.json()["choices"][0]["message"]["content"], plain["choices"][0]["text"]);
    assert_eq!(chat.json()["usage"], plain["usage"]);
}

#[test]
fn each_mistake_has_its_own_error() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let long: Vec<u32> = vec![5; 128];
    for (body, status, param, message) in [
        (json!({"prompt": ""}), 400, "prompt", "the prompt is empty"),
        (json!({"prompt": []}), 400, "prompt", "an empty list"),
        (json!({"prompt": [[]]}), 400, "prompt", "the prompt is empty"),
        (json!({}), 400, "prompt", "`prompt` is missing"),
        (json!({"prompt": 7}), 400, "prompt", "found `7`, expected a text"),
        (json!({"prompt": ["a", 7]}), 400, "prompt", "found a list, expected a text"),
        (
            json!({"prompt": [5, 1024]}),
            400,
            "prompt",
            "has the id 1024, the model's ids are below 1024",
        ),
        (json!({"prompt": [5, -1]}), 400, "prompt", "found a list"),
        (json!({"prompt": long, "max_tokens": 1}), 400, "prompt", "sequences of 128"),
        (json!({"prompt": "a", "max_tokens": 128}), 400, "prompt", "128 new ones are asked for"),
        (json!({"prompt": "a", "max_tokens": 0}), 400, "max_tokens", "without `echo`"),
        (json!({"prompt": "a", "max_tokens": -1}), 400, "max_tokens", "a whole number from 0 on"),
        (json!({"prompt": "a", "temperature": -1}), 400, "temperature", "0 or a positive number"),
        (json!({"prompt": "a", "temperature": "hot"}), 400, "temperature", "found `hot`"),
        (json!({"prompt": "a", "top_p": 0}), 400, "top_p", "above 0 and up to 1"),
        (json!({"prompt": "a", "n": 0}), 400, "n", "from 1 to 128"),
        (json!({"prompt": "a", "logprobs": 21}), 400, "logprobs", "from 0 to 20"),
        (json!({"prompt": "a", "stop": [""]}), 400, "stop", "an empty text"),
        (json!({"prompt": "a", "stop": 3}), 400, "stop", "a text or a list of texts"),
        (json!({"prompt": "a", "stream": 1}), 400, "stream", "true or false"),
        (json!({"prompt": "a", "seed": 1.5}), 400, "seed", "a whole number"),
        (json!({"prompt": "a", "suffix": "b"}), 400, "suffix", "not supported"),
        (json!({"prompt": "a", "presence_penalty": 1}), 400, "presence_penalty", "not supported"),
        (
            json!({"prompt": vec!["a"; 600], "n": 2}),
            400,
            "",
            "1200 answers, this server makes 1024",
        ),
    ] {
        let reply = client.post("/v1/completions", &body);

        let error = &reply.json()["error"];
        let said = error["message"].as_str().unwrap();
        assert_eq!(
            (reply.status, error["type"].as_str().unwrap()),
            (status, "invalid_request_error")
        );
        assert!(said.contains(message), "{body}: {said}");
        assert_eq!(error["param"].as_str().unwrap_or(""), param, "{body}");
        assert!(error["code"].is_string());
    }
    // Fields that nobody knows, and those that say what is so anyway, are no mistakes.
    client.complete(&json!({
        "prompt": "a", "max_tokens": 1, "until": ["x"], "user": "me", "presence_penalty": 0,
        "best_of": 1, "stop": null, "logprobs": null, "add_special_tokens": true, "logit_bias": {},
    }));
}

#[test]
fn each_mistake_of_the_transport_has_its_own_error() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.shared();
    let client = &served.client;
    let post = |body: &str| client.request("POST", "/v1/completions", body.as_bytes());
    let chunked = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                    Transfer-Encoding: chunked\r\n\r\nzz\r\n";
    for (request, status, message) in [
        (post("{"), 400, "the body is not JSON: EOF"),
        (post("[1]"), 400, "the body is a list, expected an object"),
        (post(""), 400, "the body is not JSON"),
        (post("{\"prompt\": \"\\ud800\"}"), 400, "the body is not JSON"),
        (client.request("GET", "/v1/nothing", b""), 404, "no path `/v1/nothing`"),
        (client.request("GET", "/v1/completions", b""), 405, "takes POST"),
        (client.request("POST", "/health", b""), 405, "takes GET"),
        (chunked.to_vec(), 400, "the body cannot be read"),
    ] {
        let reply = client.raw(&request).unwrap();

        assert_eq!(reply.status, status, "{}", reply.body);
        let said = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(message), "{said}");
    }
    let no_http = client.raw(b"nonsense\r\n\r\n");
    assert!(no_http.is_none_or(|reply| reply.status == 400));
    let chat = client.post("/v1/chat/completions", &json!({"messages": []}));
    assert_eq!((chat.status, &chat.json()["error"]["code"]), (400, &json!("no_chat_template")));
    for body in [json!({"tokens": [1024]}), json!({"tokens": "a"}), json!({})] {
        assert_eq!(client.post("/detokenize", &body).status, 400, "{body}");
    }
    assert_eq!(client.post("/tokenize", &json!({"prompt": [1]})).status, 400);
}

#[test]
fn limits_are_kept_and_a_key_is_asked_for() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&[
        "--api-key-env",
        "RATDATA_TEST_KEY",
        "--max-body",
        "300",
        "--max-queue",
        "3",
        "--max-prompt",
        "20",
        "--max-length",
        "200",
        "--client-timeout",
        "1",
        "--batch",
        "1",
    ]);
    let mut client = served.client.clone();

    let refused = client.get("/v1/models");
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (401, &json!("invalid_api_key"))
    );
    assert_eq!(client.get("/health").status, 200, "a probe has no key");
    client.key = Some("secret".to_owned());
    assert_eq!(client.get("/v1/models").json()["data"][0]["max_model_len"], 200);

    let big = client.post("/v1/completions", &json!({"prompt": "a".repeat(400)}));
    assert_eq!((big.status, &big.json()["error"]["code"]), (413, &json!("body_too_long")));
    let long = client.post("/v1/completions", &json!({"prompt": vec![5; 21]}));
    assert!(long.body.contains("has 21 tokens, this server takes 20"), "{}", long.body);
    let many = client.post("/v1/completions", &json!({"prompt": "a", "n": 4}));
    assert_eq!(many.status, 400, "{}", many.body);
    // More than in training.
    let grown = client.complete(&json!({"prompt": [5], "max_tokens": 150, "ignore_eos": true}));
    assert_eq!(grown["usage"]["completion_tokens"], 150);

    let slow = client
        .raw(
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Authorization: Bearer secret\r\nContent-Length: 99\r\n\r\n{",
        )
        .unwrap();
    assert_eq!(slow.status, 408, "{}", slow.body);
    let body = json!({"prompt": [5], "max_tokens": 190, "n": 3, "ignore_eos": true});
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.complete(&body));
        while client.metric("ratdata_open_answers") < 3 && !first.is_finished() {
            std::thread::yield_now();
        }
        let busy = client.post("/v1/completions", &json!({"prompt": "a"}));
        assert_eq!(busy.status, 429, "{}", busy.body);
        assert!(busy.head.to_lowercase().contains("retry-after: 1"));
        first.join().unwrap();
    });
}
