//! `ratdata mix`: budgets over artifacts, told before anything is written.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use ratdata_schemas::{BinSet, Manifest};
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

/// A folder with three artifacts: `web` of 900 documents, `books` of 40 long ones, `wiki` of 100.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    for (name, documents, words) in [("web", 1000, 6), ("books", 44, 90), ("wiki", 111, 12)] {
        let line = |number: usize| {
            let words = "the river feeds a seed ".repeat(words / 5 + number % 3);
            format!("{}\n", json!({"text": format!("{name} {number} {words}")}))
        };
        workshop.write(&format!("{name}.jsonl"), (0..documents).map(line).collect::<String>());
        let made = workshop.tokenize(&[
            "--input",
            &format!("{name}.jsonl"),
            "--out",
            name,
            "--name",
            name,
            "--val-fraction",
            "0.1",
            "--quiet",
        ]);
        assert!(made.status.success(), "{}", stderr(&made));
    }
    workshop
}

fn mix(workshop: &Workshop, arguments: &[&str]) -> Output {
    workshop.run(&[&["mix"], arguments].concat())
}

fn mixed(workshop: &Workshop, arguments: &[&str]) {
    let made = mix(workshop, arguments);
    assert!(made.status.success(), "{}", stderr(&made));
}

fn plan(workshop: &Workshop, arguments: &[&str]) -> Value {
    let made = mix(workshop, &[arguments, &["--estimate", "--json"]].concat());
    assert!(made.status.success(), "{}", stderr(&made));
    serde_json::from_slice(&made.stdout).unwrap()
}

/// The documents of a split, as ids.
fn documents(workshop: &Workshop, artifact: &str, split: &str) -> Vec<Vec<u32>> {
    let set = BinSet::open(&workshop.path(artifact), split).unwrap();
    let of_shard = |shard: &ratdata_schemas::Shard| {
        let index = shard.index().unwrap();
        let range = |number| {
            let range = index.range(number).unwrap();
            usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
        };
        let tokens = |number| shard.bin().tokens().slice(range(number)).unwrap().to_vec();
        (0..index.len()).map(tokens).collect::<Vec<_>>()
    };
    set.shards().iter().flat_map(of_shard).collect()
}

fn counted(documents: Vec<Vec<u32>>) -> BTreeMap<Vec<u32>, usize> {
    let mut counts = BTreeMap::new();
    for document in documents {
        *counts.entry(document).or_default() += 1;
    }
    counts
}

const THREE: [&str; 6] = ["--input", "web", "--input", "books", "--input", "wiki"];

#[test]
fn weights_share_what_is_left_of_the_total() {
    let workshop = workshop();
    let takes = ["--take", "weight=2", "--take", "documents=10", "--take", "weight=1"];
    let arguments = [&THREE[..], &takes, &["--tokens", "3k"]].concat();

    let told = plan(&workshop, &arguments);
    mixed(&workshop, &[&arguments[..], &["--out", "m"]].concat());

    let of = |number: usize, key: &str| told["sources"][number][key].as_u64().unwrap();
    let books = of(1, "tokens");
    assert_eq!(of(1, "documents"), 10);
    let rest = 3000 - books;
    for (number, share) in [(0, rest * 2 / 3), (2, rest / 3)] {
        let found = of(number, "tokens");
        assert!((share..share + 60).contains(&found), "{found} of {share}: {told}");
    }
    let found = counted(documents(&workshop, "m", "train"));
    for (number, name) in ["web", "books", "wiki"].into_iter().enumerate() {
        let there = counted(documents(&workshop, name, "train"));
        let taken: Vec<_> = there.keys().filter(|document| found.contains_key(*document)).collect();
        assert_eq!(taken.len() as u64, of(number, "documents"), "{name}");
    }
    assert!(found.values().all(|&times| times == 1));
    assert_eq!(found.len() as u64, told["documents"].as_u64().unwrap());
    // Another split has all its documents once.
    let joined = ["web", "books", "wiki"].map(|name| documents(&workshop, name, "val")).concat();
    assert_eq!(counted(documents(&workshop, "m", "val")), counted(joined));
    let verified = workshop.run(&["verify", "m"]);
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[test]
fn sources_that_are_too_small_are_one_error_and_nothing_is_written() {
    let workshop = workshop();
    let takes = ["--take", "tokens=1M", "--take", "weight=1", "--take", "documents=101"];
    let arguments = [&THREE[..], &takes, &["--tokens", "2M", "--out", "m"]].concat();

    let refused = mix(&workshop, &arguments);

    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let told = stderr(&refused);
    assert_eq!(told.matches("error: ").count(), 1, "{told}");
    for said in [
        "web: 1000000 tokens asked for, ",
        "wiki: 101 documents asked for, 99 there, 2 missing",
        "--max-epochs ",
        "  missing\n",
        "2 documents\n",
    ] {
        assert!(told.contains(said), "`{said}` is not in {told}");
    }
    assert!(!workshop.path("m").exists());
    let fits = [&arguments[..], &["--max-epochs", "1000"]].concat();
    mixed(&workshop, &fits);
}

#[test]
fn documents_come_again_only_if_asked_for() {
    let workshop = workshop();
    let once = counted(documents(&workshop, "books", "train"));

    for (out, take) in [("twice", "epochs=2"), ("half", "epochs=0.5"), ("more", "tokens=9k")] {
        mixed(&workshop, &["--input", "books", "--take", take, "--max-epochs", "3", "--out", out]);
    }

    let twice = counted(documents(&workshop, "twice", "train"));
    assert!(twice.values().all(|&times| times == 2));
    assert_eq!(twice.len(), once.len());
    let half = counted(documents(&workshop, "half", "train"));
    assert_eq!((half.len(), half.values().max()), (once.len().div_ceil(2), Some(&1)));
    let more = counted(documents(&workshop, "more", "train"));
    let (least, most) = (more.values().min().unwrap(), more.values().max().unwrap());
    assert!(most - least <= 1 && more.len() == once.len(), "{more:?}");
    let tokens: usize = documents(&workshop, "more", "train").iter().map(Vec::len).sum();
    assert!((9000..9200).contains(&tokens), "{tokens}");
}

#[test]
fn without_a_total_the_weights_give_as_much_as_there_is() {
    let workshop = workshop();
    let takes = ["--take", "weight=1", "weight=1", "weight=2"];

    let told = plan(&workshop, &[&["--input", "web", "books", "wiki"], &takes[..]].concat());

    let epochs: Vec<f64> =
        (0..3).map(|number| told["sources"][number]["epochs"].as_f64().unwrap()).collect();
    assert!(epochs.iter().all(|&epochs| epochs <= 1.0), "{told}");
    assert!(epochs.iter().any(|&epochs| epochs > 0.99), "{told}");
}

#[test]
fn the_same_bytes_come_from_any_number_of_threads_and_the_seed_decides_them() {
    let workshop = workshop();
    let arguments = [&THREE[..], &["--shard-tokens", "900"]].concat();

    for (out, more) in
        [("one", ["--num-proc", "1"]), ("four", ["--num-proc", "4"]), ("seed", ["--seed", "1"])]
    {
        mixed(&workshop, &[&arguments[..], &more, &["--out", out]].concat());
    }

    let one = content(&workshop.path("one"));
    assert!(one.len() > 30, "{:?}", one.keys());
    assert!(one == content(&workshop.path("four")));
    let (one, seed) = (documents(&workshop, "one", "train"), documents(&workshop, "seed", "train"));
    assert_ne!(one, seed);
    assert_eq!(counted(one), counted(seed));
    let again = mix(&workshop, &[&arguments[..], &["--out", "one"]].concat());
    assert!(stderr(&again).contains("already done"), "{}", stderr(&again));
    let other = mix(&workshop, &[&arguments[..], &["--seed", "3", "--out", "one"]].concat());
    assert_eq!(other.status.code(), Some(2), "{}", stderr(&other));
    assert!(stderr(&other).contains("recipe.seed: 0 -> 3"), "{}", stderr(&other));
}

#[test]
fn shares_join_to_the_bytes_of_one_run_and_write_nothing_twice() {
    let workshop = workshop();
    let arguments = [&THREE[..], &["--shard-tokens", "1500"]].concat();
    mixed(&workshop, &[&arguments[..], &["--out", "whole"]].concat());
    let share = |shard: &str| {
        let made =
            mix(&workshop, &[&arguments[..], &["--out", "shared", "--shard", shard]].concat());
        assert!(made.status.success(), "{}", stderr(&made));
        assert!(stderr(&made).contains(&format!("share {shard} is done")), "{}", stderr(&made));
        assert!(!workshop.path("shared/manifest.json").exists());
    };
    let bins = || {
        let times = fs::read_dir(workshop.path("shared/shards")).unwrap().map(Result::unwrap);
        let time =
            |entry: fs::DirEntry| (entry.path(), entry.metadata().unwrap().modified().unwrap());
        times.map(time).collect::<BTreeMap<_, _>>()
    };

    share("2/3");
    let (first, all) = (bins(), content(&workshop.path("whole/shards")).len());
    assert!(!first.is_empty() && first.len() < all / 2, "{first:?} of {all}");
    share("0/3");
    share("1/3");
    let shared = bins();
    assert_eq!(shared.len(), all);
    mixed(&workshop, &[&arguments[..], &["--out", "shared"]].concat());

    assert!(content(&workshop.path("shared")) == content(&workshop.path("whole")));
    assert_eq!(bins(), shared, "nothing is written twice");
    let refused = mix(&workshop, &[&arguments[..], &["--estimate", "--shard", "0/2"]].concat());
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn bytes_of_text_become_tokens_by_the_mean_of_the_artifact() {
    let workshop = workshop();
    let text = |name: &str| {
        let manifest = Manifest::read(&workshop.path(name)).unwrap();
        manifest.text_bytes().unwrap()
    };

    let told = plan(
        &workshop,
        &[
            "--input",
            "web",
            "--take",
            "bytes=9kB",
            "--input",
            "wiki",
            "--take",
            "weight=1",
            "--bytes",
            "12kB",
        ],
    );

    let web = told["sources"][0]["tokens"].as_f64().unwrap();
    let all: usize = ["train", "val"]
        .iter()
        .flat_map(|split| documents(&workshop, "web", split))
        .map(|document| document.len())
        .sum();
    let bytes = web * text("web") as f64 / all as f64;
    assert!((9000.0..9200.0).contains(&bytes), "{bytes}: {told}");
    // Of a part of an artifact nobody knows how long its text was.
    mixed(&workshop, &["--input", "web", "--take", "documents=5", "--out", "few"]);
    let refused = mix(&workshop, &["--input", "few", "--take", "bytes=5", "--out", "m"]);
    assert!(
        stderr(&refused).contains("does not record how many bytes of text"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_token_traces_to_its_row_and_documents_are_counted_by_source() {
    let workshop = workshop();
    mixed(
        &workshop,
        &[&THREE[..], &["--take", "epochs=2", "epochs=1", "documents=7", "--out", "m"]].concat(),
    );
    mixed(&workshop, &["--input", "m", "wiki", "--out", "outer"]);

    for (artifact, documents) in [("m", [1800, 39, 7]), ("outer", [1800, 39, 7 + 99])] {
        let made = workshop.run(&["count", artifact, "--out", &format!("c-{artifact}"), "--json"]);
        assert!(made.status.success(), "{}", stderr(&made));
        let counts: Value = serde_json::from_slice(&made.stdout).unwrap();
        let train = &counts["artifacts"][0]["splits"][0]["sources"];
        let of = |name: &str| -> u64 {
            let sources = train.as_array().unwrap().iter();
            sources
                .filter(|source| source["source"] == name)
                .map(|source| source["documents"].as_u64().unwrap())
                .sum()
        };
        let found = ["web.jsonl", "books.jsonl", "wiki.jsonl"].map(of);
        assert_eq!(found, documents.map(|count: u64| count), "{counts}");
    }
    for token in ["0", "5000", "20000"] {
        let inputs = ["web.jsonl", "books.jsonl", "wiki.jsonl"];
        let traced = workshop.run(
            &[&["trace", "outer", "--token", token, "--json", "--input"], &inputs[..]].concat(),
        );
        assert!(traced.status.success(), "{}", stderr(&traced));
        let traced: Value = serde_json::from_slice(&traced.stdout).unwrap();
        let (source, row) = (traced["source"].as_str().unwrap(), traced["row"].as_u64().unwrap());
        let name = source.strip_suffix(".jsonl").unwrap();
        let context = traced["context"].as_str().unwrap();
        assert!(
            context.contains("river") || context.contains(&format!("{name} {row}")),
            "{traced}"
        );
        let line = fs::read_to_string(workshop.path(source)).unwrap();
        let line = line.lines().nth(usize::try_from(row).unwrap()).unwrap().to_owned();
        assert!(line.contains(&format!("{name} {row} ")), "{line}");
    }
    let verified = workshop.run(&[
        "verify",
        "outer",
        "--retokenize",
        "1",
        "--input",
        "web.jsonl",
        "--input",
        "books.jsonl",
        "--input",
        "wiki.jsonl",
        "--tokenizer",
        "demo/tokenizer",
    ]);
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[test]
fn a_mix_is_packed_exported_and_shown() {
    let workshop = workshop();
    mixed(
        &workshop,
        &[&THREE[..], &["--take", "weight=1", "weight=1", "weight=1", "--out", "m"]].concat(),
    );

    for arguments in [
        &["pack", "--input", "m", "--seq-len", "64", "--out", "packed"][..],
        &["export", "m", "--to", "megatron", "--out", "megatron"],
        &["inspect", "m", "--tokenizer", "demo/tokenizer"],
        &["report", "m", "--tokenizer", "demo/tokenizer", "-o", "m.html"],
        &["merge", "--input", "m", "web", "--out", "joined"],
        &["verify", "joined"],
    ] {
        let made = workshop.run(arguments);
        assert!(made.status.success(), "{arguments:?}: {}", stderr(&made));
    }
    let page = fs::read_to_string(workshop.path("m.html")).unwrap();
    assert!(page.contains("<h2>The mix <small>split train, seed 0, "), "{page}");
    assert!(page.contains("weight=1"));
}

#[test]
fn only_the_plan_is_written_where_that_is_asked_for() {
    let workshop = workshop();
    let arguments = [&THREE[..], &["--take", "weight=1", "weight=1", "epochs=1"]].concat();

    for name in ["plan.json", "plan.toml"] {
        mixed(&workshop, &[&arguments[..], &["--plan", name]].concat());
    }
    let refused = mix(&workshop, &[&arguments[..], &["--plan", "plan.txt"]].concat());

    let read = |name: &str| fs::read_to_string(workshop.path(name)).unwrap();
    let json: Value = serde_json::from_str(&read("plan.json")).unwrap();
    let toml: toml::Table = read("plan.toml").parse().unwrap();
    assert_eq!(json["sources"].as_array().unwrap().len(), 3);
    assert_eq!(json["sources"][2]["bins"], json!(["wiki/shards/wiki-train-wiki.bin"]));
    assert_eq!(toml["tokens"].as_integer(), json["tokens"].as_i64());
    let weights: f64 =
        (0..3).map(|number| json["sources"][number]["weight"].as_f64().unwrap()).sum();
    assert!((weights - 1.0).abs() < 1e-9, "{json}");
    assert!(stderr(&refused).contains("plan.txt: expected a file that ends in .json or .toml"));
}

#[test]
fn a_loss_mask_is_kept_and_where_there_is_none_everything_is_trained_on() {
    let workshop = workshop();
    let made = workshop.run(&[
        "sft",
        "--task-file",
        "demo/questions/task.toml",
        "--tokenizer",
        "demo/tokenizer",
        "--max-length",
        "128",
        "--packing",
        "best-fit",
        "--out",
        "tuned",
    ]);
    assert!(made.status.success(), "{}", stderr(&made));

    mixed(&workshop, &["--input", "tuned/tokens", "wiki", "--out", "m", "--shard-tokens", "700"]);

    let trained = |artifact: &str| -> (usize, usize) {
        let set = BinSet::open(&workshop.path(artifact), "train").unwrap();
        let tokens: Vec<bool> = set
            .shards()
            .iter()
            .flat_map(|shard| (0..shard.bin().tokens().len()).map(|at| shard.is_trained_on(at)))
            .collect();
        (tokens.iter().filter(|&&trained| trained).count(), tokens.len())
    };
    let (tuned, wiki, mix) = (trained("tuned/tokens"), trained("wiki"), trained("m"));
    assert_eq!(wiki.0, wiki.1);
    assert_eq!(mix, (tuned.0 + wiki.0, tuned.1 + wiki.1));
}

#[test]
fn what_makes_no_mix_is_refused() {
    let workshop = workshop();
    workshop.write(
        "other/tokenizer.json",
        fs::read(workshop.path("demo/tokenizer/tokenizer.json")).unwrap_or_default(),
    );
    let two = ["--input", "web", "--input", "books"];
    for (arguments, status, says) in [
        (vec!["--take", "weight=1"], 2, "found 1 amounts for 2 artifacts, expected one each"),
        (vec!["--take", "rows=1"], 2, "expected `tokens=N`, `documents=N`"),
        (vec!["--take", "epochs=1", "epochs=1", "--tokens", "1B"], 2, "no source has a weight"),
        (
            vec!["--take", "weight=1", "documents=30", "--documents", "30"],
            2,
            "the sources without a weight take 30: nothing is left",
        ),
        (vec!["--split", "nosuch"], 1, "no split `nosuch`, there are: train, val"),
        (vec!["--tokens", "1B", "--documents", "3"], 2, "cannot be used with"),
        (vec!["--max-epochs", "0"], 2, "expected epochs above 0"),
    ] {
        let refused = mix(&workshop, &[&two[..], &arguments, &["--out", "m"]].concat());

        assert_eq!(refused.status.code(), Some(status), "{arguments:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{arguments:?}: {}", stderr(&refused));
        assert!(!workshop.path("m").exists(), "{arguments:?}");
    }
    let inside = mix(&workshop, &["--input", "web", "--out", "web/mix"]);
    assert!(stderr(&inside).contains("lies in the folder of the input"), "{}", stderr(&inside));
}

#[test]
fn a_step_mixes_the_results_of_others() {
    let workshop = workshop();
    let tokens = |name: &str| {
        format!(
            "[steps.{name}]\nkind = \"tokenize\"\ninput = [\"{name}.jsonl\"]\ntokenizer = \"demo/tokenizer\"\n\
             name = \"{name}\"\nval_fraction = 0.1\n"
        )
    };
    let mix = "[steps.mixed]\nkind = \"mix\"\ninput = [\"@web\", \"@books\"]\n\
               take = [\"weight=3\", \"weight=1\"]\ntokens = \"2k\"\nmax_epochs = 2\npublish = \"published\"\n";
    workshop.write("pipeline.toml", format!("{}{}{mix}", tokens("web"), tokens("books")));

    let ran = workshop.run(&["run", "pipeline.toml"]);

    assert!(ran.status.success(), "{}", stderr(&ran));
    mixed(
        &workshop,
        &[
            "--input",
            "web",
            "books",
            "--take",
            "weight=3",
            "weight=1",
            "--tokens",
            "2k",
            "--max-epochs",
            "2",
            "--out",
            "direct",
        ],
    );
    assert!(content(&workshop.path("published")) == content(&workshop.path("direct")));
}
