//! How a server ends, and how its requests do: clients that go, signals, a process that dies.

use std::time::{Duration, Instant};

use ratdata_tests::program::stderr;
use serde_json::{Value, json};

use crate::support::{Workshop, signal};

/// Waits until something holds.
fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn long(n: usize, streams: bool) -> Value {
    json!({"prompt": [5], "max_tokens": 1900, "n": n, "ignore_eos": true, "stream": streams})
}

#[test]
fn the_rows_of_a_client_that_goes_are_cancelled() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&["--batch", "2", "--max-length", "2000"]);
    let client = &served.client;

    for streams in [false, true] {
        let before = client.metric("ratdata_generated_tokens_total");
        // Four rows, of which two wait; a stream is left after its first bytes.
        std::thread::scope(|scope| {
            let gone = scope.spawn(|| {
                if streams {
                    client.hang_up("/v1/completions", &long(4, true), 200);
                } else {
                    let mut stream = std::net::TcpStream::connect(&client.address).unwrap();
                    let body = long(4, false).to_string();
                    let request = client.request("POST", "/v1/completions", body.as_bytes());
                    std::io::Write::write_all(&mut stream, &request).unwrap();
                    wait_for("the rows run", || client.metric("ratdata_open_answers") >= 4);
                }
            });
            gone.join().unwrap();
        });

        wait_for("the rows are gone", || client.metric("ratdata_open_answers") == 0);
        let answer = client.complete(&json!({"prompt": [5], "max_tokens": 3, "ignore_eos": true}));
        assert_eq!(answer["usage"]["completion_tokens"], 3);
        let made = client.metric("ratdata_generated_tokens_total") - before;
        assert!(made < 4 * 1900, "all was generated: {made}");
    }
}

#[test]
fn answers_that_are_being_made_end_after_a_signal_and_new_ones_do_not_begin() {
    let Some(workshop) = Workshop::get() else { return };
    for streams in [false, true] {
        let served = workshop.serve(&["--max-length", "2000"]);
        let client = served.client.clone();
        let reply = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let body = json!({
                    "prompt": [5], "max_tokens": 700, "ignore_eos": true, "stream": streams,
                    "temperature": 0,
                });
                client.post("/v1/completions", &body)
            });
            wait_for("it runs", || client.metric("ratdata_open_answers") == 1);
            signal("-TERM", served.id());
            asked.join().unwrap()
        });

        assert_eq!(reply.status, 200, "{}", reply.body);
        if streams {
            assert!(reply.events().1, "it is whole");
        } else {
            assert_eq!(reply.json()["usage"]["completion_tokens"], 700);
        }
        assert!(std::net::TcpStream::connect(&client.address).is_err(), "the port is free");
        let output = served.ended();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stderr(&output).contains("stopped"));
    }
}

#[test]
fn an_answer_that_takes_longer_than_the_grace_is_cut() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&["--max-length", "1000000", "--grace", "1"]);
    let client = served.client.clone();
    let body = json!({"prompt": [5], "max_tokens": 900_000, "ignore_eos": true});
    let request = client.request("POST", "/v1/completions", body.to_string().as_bytes());
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| client.raw(&request));
        wait_for("it runs", || client.metric("ratdata_open_answers") == 1);
        let begun = Instant::now();
        signal("-INT", served.id());

        assert!(asked.join().unwrap().is_none());
        let output = served.ended();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(begun.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn an_answer_that_takes_too_long_is_an_error() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&["--max-length", "1000000", "--timeout", "1"]);
    let client = &served.client;
    let mut body = json!({"prompt": [5], "max_tokens": 900_000, "ignore_eos": true});

    let whole = client.post("/v1/completions", &body);
    body["stream"] = true.into();
    let (events, is_whole) = client.post("/v1/completions", &body).events();

    assert_eq!((whole.status, &whole.json()["error"]["code"]), (504, &json!("timeout")));
    assert!(!is_whole && events.len() > 1);
    assert_eq!(events.last().unwrap()["error"]["code"], "timeout");
    wait_for("the rows are gone", || client.metric("ratdata_open_answers") == 0);
}

#[test]
fn the_death_of_the_model_is_told_to_every_client_and_ends_the_server() {
    let Some(workshop) = Workshop::get() else { return };
    let served = workshop.serve(&["--batch", "2", "--max-length", "1000000"]);
    let client = served.client.clone();
    let model = served.model_id();
    let ask = |streams: bool| {
        let mut body = json!({"prompt": [5], "max_tokens": 900_000, "ignore_eos": true});
        body["stream"] = streams.into();
        client.post("/v1/completions", &body)
    };
    let ask = &ask;
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            [false, false, true].map(|streams| (streams, scope.spawn(move || ask(streams)))).into();
        wait_for("they run", || client.metric("ratdata_open_answers") == 3);
        std::thread::sleep(Duration::from_millis(100));
        signal("-KILL", model);

        for (streams, asked) in asked {
            let reply = asked.join().unwrap();
            let error = if streams {
                let (events, is_whole) = reply.events();
                assert!(!is_whole);
                events.last().unwrap()["error"].clone()
            } else {
                assert_eq!(reply.status, 500);
                reply.json()["error"].clone()
            };
            assert_eq!(error["code"], "model_ended");
            assert!(error["message"].as_str().unwrap().contains("the model's process has ended"));
        }
    });
    let output = served.ended();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("ratdata-train: signal: 9"), "{}", stderr(&output));
}

#[test]
fn each_mistake_of_the_command_line_has_its_own_message() {
    let Some(workshop) = Workshop::get() else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let resolved = std::fs::read_to_string(workshop.path("run/resolved.toml")).unwrap();
    let other = resolved.replace("d_model = 64", "d_model = 32");
    ratdata_tests::files::write(&workshop.path("other/resolved.toml"), &other);
    std::fs::copy(workshop.path("run/model.safetensors"), workshop.path("other/model.safetensors"))
        .unwrap();
    ratdata_tests::files::write(&workshop.path("broken.jinja"), "{% for %}");

    for (arguments, status, message, hint) in [
        (&["gone"][..], 2, "gone: no such run", "ratdata train"),
        (
            &["demo", "--tokenizer", "demo/tokenizer"],
            2,
            "demo: no run and no checkpoint",
            "ratdata train",
        ),
        (&["other", "--port", "0"], 1, "weights of another model", "configuration"),
        (&["run", "--port", &port], 1, "the port is in use", "--port"),
        (&["run", "--host", "no.such.host.invalid"], 2, "no such address", "127.0.0.1"),
        (&["run", "--port", "70000"], 2, "70000", ""),
        (&["run", "--api-key-env", "NO_SUCH_KEY"], 2, "`NO_SUCH_KEY` is not set", "export"),
        (&["run", "--chat-template", "gone.jinja"], 2, "gone.jinja: cannot read", ""),
        (&["run", "--chat-template", "broken.jinja"], 2, "line 1", ""),
        (&["run", "--batch", "0"], 2, "found `0`", ""),
        (&["run", "--device", "abacus", "--port", "0"], 2, "no device is named `abacus`", ""),
    ] {
        let output = workshop.run(&[&["serve"][..], arguments].concat());

        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(message) && said.contains(hint), "{arguments:?}: {said}");
    }
}
