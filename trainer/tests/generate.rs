//! `ratdata-train generate`: requests on stdin, events on stdout, for a model that was trained.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]
#![expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use ratdata_schemas::{
    EndReason, GenerationAsk, GenerationEvent, GenerationRequest, Sampling, TokenId, TokenLogprob,
    WantedLogprobs,
};
use tempfile::TempDir;

/// A folder with runs of tiny models: they learn that the next id is the last one plus one.
static RUNS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..8_000_u16).flat_map(|i| (i % 30 + 3).to_le_bytes()).collect();
    std::fs::write(folder.path().join("x.bin"), bytes).unwrap();
    for name in ["tiny-rat", "tiny-attention_localattention_interleave"] {
        let sets = [
            "model.vocab_size=40",
            "model.d_model=32",
            "model.layers=2",
            "model.head_dim=8",
            "model.seq_len=48",
            "model.chunk_len=8",
            "model.window=6",
            "training.iterations=60",
            "training.global_batch=8",
            "training.micro_batch=8",
            "training.checkpoints=1",
            "schedule.peak=0.01",
        ];
        let trained = Command::new(env!("CARGO_BIN_EXE_ratdata-train"))
            .args([name, "--data", "x.bin", "--out", name, "--device", "cpu", "--quiet"])
            .args(sets.iter().flat_map(|set| ["--set", set]))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    }
    folder
});

fn run(args: &[&str], lines: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ratdata-train"))
        .arg("generate")
        .args(args)
        .current_dir(RUNS.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that has ended before it reads is one that the test is about.
    drop(child.stdin.take().unwrap().write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn request(id: u64, prompt: Vec<TokenId>, max_new: usize) -> GenerationRequest {
    let sampling = Sampling::default();
    GenerationRequest { id, prompt, max_new, ends: vec![2], sampling, logprobs: None }
}

fn lines(requests: Vec<GenerationRequest>) -> String {
    let line = |request| serde_json::to_string(&GenerationAsk::Generate(request)).unwrap() + "\n";
    requests.into_iter().map(line).collect()
}

/// What each request got: its tokens, and how it ended or why it was refused.
fn results(stdout: &str) -> BTreeMap<u64, (Vec<TokenId>, String)> {
    let mut found: BTreeMap<u64, (Vec<TokenId>, String)> = BTreeMap::new();
    for line in stdout.lines() {
        match serde_json::from_str(line).unwrap() {
            GenerationEvent::Ready { longest, vocab_size } => {
                assert!(longest >= 48 && vocab_size == 40);
            }
            GenerationEvent::Tokens { tokens } => {
                for (id, token) in tokens {
                    found.entry(id).or_default().0.push(token);
                }
            }
            GenerationEvent::PromptLogprobs { .. } => {}
            GenerationEvent::TokenLogprobs { logprobs } => {
                for (id, logprob) in logprobs {
                    found.entry(id).or_default().0.push(logprob.token);
                }
            }
            GenerationEvent::Ended { id, why } => {
                found.entry(id).or_default().1 = format!("{why:?}");
            }
            GenerationEvent::Refused { id, reason, .. } => {
                found.entry(id).or_default().1 = reason;
            }
        }
    }
    found
}

#[test]
fn a_model_continues_what_it_was_trained_on_in_any_batch() {
    for name in ["tiny-rat", "tiny-attention_localattention_interleave"] {
        let requests: Vec<GenerationRequest> = (0..9_u32)
            .map(|i| request(i.into(), (0..=i * 3).map(|at| (at + i) % 30 + 3).collect(), 9))
            .collect();
        let run = |batch: &str| {
            let (status, stdout, stderr) =
                run(&[name, "--device", "cpu", "--batch", batch], &lines(requests.clone()));
            assert_eq!(status, 0, "{stderr}");
            results(&stdout)
        };

        let one = run("1");

        for (id, (tokens, end)) in &one {
            assert_eq!((tokens.len(), end.as_str()), (9, "Length"), "{id}");
        }
        // After a few tokens of context the pattern is certain.
        let last = &one[&8].0;
        let expected: Vec<TokenId> = (0..9).map(|at| (24 + 1 + at + 8) % 30 + 3).collect();
        assert_eq!(last, &expected, "{name}");
        for batch in ["2", "3", "64"] {
            assert_eq!(run(batch), one, "{name}, batch of {batch}");
        }
    }
}

#[test]
fn a_text_ends_at_the_ids_that_end_it_which_are_not_reported() {
    let mut ends = request(0, vec![3, 4, 5, 6, 7], 9);
    ends.ends = vec![11];
    let mut at_once = ends.clone();
    (at_once.id, at_once.ends) = (1, vec![8]);
    let nothing = request(2, vec![3], 0);

    let (status, stdout, stderr) =
        run(&["tiny-rat", "--device", "cpu"], &lines(vec![ends, at_once, nothing]));

    assert_eq!(status, 0, "{stderr}");
    let found = results(&stdout);
    assert_eq!(found[&0], (vec![8, 9, 10], format!("{:?}", EndReason::Eos)));
    assert_eq!(found[&1], (vec![], format!("{:?}", EndReason::Eos)));
    assert_eq!(found[&2], (vec![], format!("{:?}", EndReason::Length)));
}

/// What each request was told of its prompt, and of its new tokens.
fn logprobs(stdout: &str) -> BTreeMap<u64, (Vec<TokenLogprob>, Vec<TokenLogprob>)> {
    let mut found: BTreeMap<u64, (Vec<TokenLogprob>, Vec<TokenLogprob>)> = BTreeMap::new();
    for line in stdout.lines() {
        match serde_json::from_str(line).unwrap() {
            GenerationEvent::PromptLogprobs { id, logprobs } => {
                found.entry(id).or_default().0 = logprobs;
            }
            GenerationEvent::TokenLogprobs { logprobs } => {
                for (id, logprob) in logprobs {
                    found.entry(id).or_default().1.push(logprob);
                }
            }
            _ => {}
        }
    }
    found
}

#[test]
fn log_probabilities_are_the_same_in_any_batch_and_change_no_token() {
    let wanted = |top, prompt| Some(WantedLogprobs { top, prompt });
    let mut requests: Vec<GenerationRequest> = (0..6_u32)
        .map(|i| {
            let prompt = (0..=i * 7).map(|at| (at + i) % 30 + 3).collect();
            let logprobs = wanted(i as usize, i % 2 == 0);
            GenerationRequest { logprobs, ..request(i.into(), prompt, i as usize) }
        })
        .collect();
    requests[4].ends = vec![5 + 28];
    let plain: Vec<GenerationRequest> = requests
        .iter()
        .map(|request| GenerationRequest { logprobs: None, ..request.clone() })
        .collect();
    let run = |batch: &str, requests: &[GenerationRequest]| {
        let (status, stdout, stderr) =
            run(&["tiny-rat", "--device", "cpu", "--batch", batch], &lines(requests.to_vec()));
        assert_eq!(status, 0, "{stderr}");
        stdout
    };

    let told = run("1", &requests);

    let found = logprobs(&told);
    let without = results(&run("8", &plain));
    assert_eq!(found, logprobs(&run("8", &requests)));
    for (id, request) in (0..).zip(&requests) {
        let (prompt, new) = found.get(&id).cloned().unwrap_or_default();
        let expected = if id % 2 == 0 { request.prompt.len() - 1 } else { 0 };
        assert_eq!(prompt.len(), expected, "{id}");
        let tokens: Vec<TokenId> = prompt.iter().map(|logprob| logprob.token).collect();
        assert!(expected == 0 || tokens == request.prompt[1..], "{id}");
        // The token that ends the text has an entry, too, and is no part of the text.
        let new: Vec<&TokenLogprob> =
            new.iter().filter(|new| !request.ends.contains(&new.token)).collect();
        let tokens: Vec<TokenId> = new.iter().map(|logprob| logprob.token).collect();
        assert_eq!(tokens, without[&id].0, "{id}");
        for logprob in prompt.iter().chain(new.iter().copied()) {
            let top = &logprob.top;
            assert_eq!(top.len() as u64, id);
            assert!(top.is_sorted_by(|a, b| a.1 >= b.1) && logprob.logprob <= 0.0);
            assert!(top.iter().all(|&(token, value)| {
                token != logprob.token || value.to_bits() == logprob.logprob.to_bits()
            }));
        }
        for new in new.iter().filter(|new| !new.top.is_empty()) {
            assert_eq!(new.top[0], (new.token, new.logprob), "the choice is greedy");
        }
    }
}

#[test]
fn a_flood_of_prompts_does_not_keep_a_sequence_waiting() {
    let long = request(0, vec![3, 4, 5], 30);
    let floods = (1..1200).map(|id| {
        let logprobs = Some(WantedLogprobs { top: 1, prompt: true });
        GenerationRequest { logprobs, ..request(id, vec![7; 40], 1) }
    });
    let (status, stdout, stderr) = run(
        &["tiny-rat", "--device", "cpu", "--batch", "4"],
        &lines(std::iter::once(long).chain(floods).collect()),
    );

    assert_eq!(status, 0, "{stderr}");
    let ended: Vec<u64> = stdout
        .lines()
        .filter_map(|line| match serde_json::from_str(line).unwrap() {
            GenerationEvent::Ended { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(ended.len(), 1200);
    // Of some 1,024 tokens of prompts there are 26 prompts a round, and the text takes 30 rounds.
    assert!(*ended.last().unwrap() != 0, "the sequence is the last one");
}

#[test]
fn a_request_that_the_model_cannot_do_is_refused_and_the_others_are_done() {
    let (status, stdout, stderr) = run(
        &["tiny-rat", "--device", "cpu"],
        &lines(vec![
            request(0, vec![], 3),
            request(1, vec![3, 40], 3),
            request(2, vec![3; 46], 3),
            request(3, vec![3; 45], 3),
        ]),
    );

    assert_eq!(status, 0, "{stderr}");
    let found = results(&stdout);
    assert_eq!(found[&0].1, "the prompt is empty");
    assert_eq!(found[&1].1, "the prompt has the id 40, the model's ids are below 40");
    assert!(found[&2].1.contains("46 tokens and 3 new ones") && found[&2].1.contains("of 48"));
    assert_eq!((found[&3].0.len(), found[&3].1.as_str()), (3, "Length"));

    let (status, stdout, stderr) =
        run(&["tiny-rat", "--device", "cpu", "--grow"], &lines(vec![request(2, vec![3; 46], 30)]));
    assert_eq!((status, results(&stdout)[&2].0.len()), (0, 30), "{stderr}");
}

#[test]
fn a_cancelled_request_ends() {
    let text = lines(vec![request(0, vec![3; 2], 40), request(1, vec![3, 4, 5, 6, 7], 2)]);
    let cancel = serde_json::to_string(&GenerationAsk::Cancel { id: 0 }).unwrap();

    let (status, stdout, stderr) = run(
        &["tiny-rat", "--device", "cpu", "--batch", "1"],
        &format!("{text}{cancel}\n{cancel}\n"),
    );

    assert_eq!(status, 0, "{stderr}");
    let found = results(&stdout);
    assert_eq!(found[&1], (vec![8, 9], "Length".to_owned()));
    assert!(found[&0].1 == "Cancelled" && found[&0].0.len() < 40, "{found:?}");
}

/// A copy of a run with another resolved experiment.
fn changed(name: &str, from: &str, to: &str) {
    let (own, other) = (RUNS.path().join("tiny-rat"), RUNS.path().join(name));
    std::fs::create_dir_all(&other).unwrap();
    let text = std::fs::read_to_string(own.join("resolved.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(other.join("resolved.toml"), text.replace(from, to)).unwrap();
    std::fs::copy(own.join("model.safetensors"), other.join("model.safetensors")).unwrap();
}

#[test]
fn each_mistake_has_its_own_message_and_status() {
    let checkpoint = |path: &Path| path.read_dir().unwrap().next().unwrap().unwrap().path();
    let checkpoint = checkpoint(&RUNS.path().join("tiny-rat/checkpoints"));
    let (status, _, stderr) = run(
        &[checkpoint.to_str().unwrap(), "--device", "cpu"],
        &lines(vec![request(0, vec![3], 1)]),
    );
    assert_eq!(status, 0, "{stderr}");
    changed("wider", "d_model = 32", "d_model = 64");
    changed("broken", "d_model = 32", "d_model = 'x'");
    std::fs::create_dir_all(RUNS.path().join("bare")).unwrap();
    std::fs::copy(
        RUNS.path().join("tiny-rat/resolved.toml"),
        RUNS.path().join("bare/resolved.toml"),
    )
    .unwrap();

    for (args, input, status, message, hint) in [
        (&["gone"][..], "", 2, "gone: no run and no checkpoint", "ratdata train"),
        (&["wider"], "", 1, "weights of another model, `", "configuration"),
        (&["broken"], "", 1, "resolved.toml: cannot read the experiment", ""),
        (&["bare"], "", 1, "bare: no run, checkpoint or weights", ""),
        (&["tiny-rat"], "nonsense\n", 2, "stdin:1: expected", ""),
        (&["tiny-rat", "--batch", "0"], "", 2, "invalid value '0'", ""),
        (&[], "", 2, "<RUN>", ""),
        #[cfg(not(feature = "cuda"))]
        (&["tiny-rat", "--device", "cuda"], "", 2, "this build has no CUDA", "--features cuda"),
    ] {
        let (found, stdout, stderr) = run(args, input);

        assert_eq!(found, status, "{args:?}: {stderr}{stdout}");
        assert!(stderr.contains(message) && stderr.contains(hint), "{args:?}: {stderr}");
    }
}
