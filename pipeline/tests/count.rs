//! `ratdata count`: the documents and tokens of each source.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::Value;

/// A folder with two input files, tokenized shard by shard at `tokens` and into one file at `merged`.
fn counted() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("d/a, b.jsonl", b"{\"text\": \"a rat\"}\n{\"text\": \"two rats\"}\n");
    workshop.write("d/c.jsonl", b"{\"text\": \"three rats, and a cat\"}\n");
    for (out, more) in [("tokens", None), ("merged", Some("--merge"))] {
        let arguments = ["--input", "d", "--out", out, "--val-fraction", "0", "--name", "t"];
        let made = workshop.tokenize(&[&arguments[..], more.as_slice()].concat());
        assert!(made.status.success(), "{}", stderr(&made));
    }
    workshop
}

fn counts(workshop: &Workshop, out: &str) -> Value {
    serde_json::from_slice(&fs::read(workshop.path(out).join("counts.json")).unwrap()).unwrap()
}

#[test]
fn each_source_has_its_documents_and_tokens() {
    let workshop = counted();

    let made = workshop.run(&["count", "tokens", "--out", "counts", "--json"]);

    assert!(made.status.success(), "{}", stderr(&made));
    let found = counts(&workshop, "counts");
    assert_eq!(serde_json::from_slice::<Value>(&made.stdout).unwrap(), found);
    let train = &found["artifacts"][0]["splits"][0];
    assert_eq!((&train["name"], &train["documents"]), (&"train".into(), &3.into()));
    let sources: Vec<_> = train["sources"].as_array().unwrap().iter().collect();
    let one =
        |at: usize| (sources[at]["source"].as_str().unwrap(), sources[at]["documents"].as_u64());
    assert_eq!([one(0), one(1)], [("a, b.jsonl", Some(2)), ("c.jsonl", Some(1))]);
    let tokens = |at: usize| sources[at]["tokens"].as_u64().unwrap();
    let bins = ["a, b", "c"].map(|stem| {
        fs::metadata(workshop.path(&format!("tokens/shards/t-train-{stem}.bin"))).unwrap().len() / 2
    });
    assert_eq!([tokens(0), tokens(1)], bins);
    let csv = fs::read_to_string(workshop.path("counts/counts.csv")).unwrap();
    let [first, second] = bins;
    assert_eq!(
        csv,
        format!(
            "artifact,split,source,documents,tokens\n\
             t,train,\"a, b.jsonl\",2,{first}\nt,train,c.jsonl,1,{second}\n"
        )
    );
}

#[test]
fn joined_shards_are_counted_by_their_sources() {
    let workshop = counted();
    let joined = workshop.run(&["merge", "--input", "tokens", "merged", "--out", "joined"]);
    assert!(joined.status.success(), "{}", stderr(&joined));

    for (artifact, out) in [("tokens", "1"), ("merged", "2"), ("joined", "3")] {
        let made = workshop.run(&["count", artifact, "--out", out]);
        assert!(made.status.success(), "{}", stderr(&made));
    }

    let splits = |out: &str| counts(&workshop, out)["artifacts"][0]["splits"].clone();
    assert_eq!(splits("1"), splits("2"));
    let joined = splits("3")[0]["sources"].as_array().unwrap().clone();
    let once = splits("1")[0]["sources"].as_array().unwrap().clone();
    assert_eq!(joined, [once.clone(), once].concat());
}

#[test]
fn other_counts_are_replaced_only_by_force() {
    let workshop = counted();
    let run = |arguments: &[&str]| {
        workshop.run(&[&["count", "tokens", "--out", "c"], arguments].concat())
    };
    assert!(run(&[]).status.success());
    let first = fs::read(workshop.path("c/counts.csv")).unwrap();

    // The same counts are no other counts.
    assert!(run(&[]).status.success());
    let refused = run(&["merged"]);

    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("holds other counts"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("`--force`"), "{}", stderr(&refused));
    assert_eq!(fs::read(workshop.path("c/counts.csv")).unwrap(), first);
    assert!(run(&["merged", "--force"]).status.success());
    assert_ne!(fs::read(workshop.path("c/counts.csv")).unwrap(), first);
}

#[test]
fn rows_have_no_sources_to_count() {
    let workshop = counted();
    let packed = workshop.run(&["pack", "--input", "tokens", "--out", "packed", "--seq-len", "4"]);
    assert!(packed.status.success(), "{}", stderr(&packed));

    let refused = workshop.run(&["count", "packed", "--out", "c"]);

    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("has rows, no token bins"), "{}", stderr(&refused));
    assert!(!workshop.path("c").exists());
}

#[test]
fn a_step_counts_the_results_of_others() {
    let workshop = counted();
    workshop.write(
        "pipeline.toml",
        b"[steps.tokens]\nkind = \"tokenize\"\ninput = [\"d\"]\ntokenizer = \"demo/tokenizer\"\n\
          val_fraction = 0\nname = \"t\"\n\
          [steps.counts]\nkind = \"count\"\nartifacts = [\"@tokens\"]\npublish = \"published\"\n",
    );

    let ran = workshop.run(&["run", "pipeline.toml"]);

    assert!(ran.status.success(), "{}", stderr(&ran));
    let direct = workshop.run(&["count", "tokens", "--out", "direct"]);
    assert!(direct.status.success(), "{}", stderr(&direct));
    for name in ["counts.json", "counts.csv"] {
        let read = |folder: &str| fs::read(workshop.path(folder).join(name)).unwrap();
        assert_eq!(read("published"), read("direct"), "{name}");
    }
}
