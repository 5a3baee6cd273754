//! The report page in a real browser, where there is one: it is drawn, and a hostile text is text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ratdata_tests::files::write;
use ratdata_tests::program::succeed;

/// Loads a page, lets its scripts end, and returns the document and what the browser logged.
fn load(browser: &str, folder: &Path, page: &str) -> (String, String) {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--no-first-run", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", folder.join(page).display()))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// Returns the browser of this machine, and says so where there is none.
#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
fn browser() -> Option<&'static str> {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let found = browsers.into_iter().find(|b| Command::new(b).arg("--version").output().is_ok());
    if found.is_none() {
        eprintln!("skipped: no Chromium here");
    }
    found
}

/// What the browser said of scripts and styles that are wrong.
fn complaints(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("CONSOLE") && line.contains("rror")).collect()
}

#[test]
fn models_are_compared_on_a_page_that_is_drawn_and_a_hostile_name_is_inert() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let line = |iteration: u32, loss: f64| {
        let line = serde_json::json!({"iteration": iteration, "tokens": 64 * iteration, "loss": loss, "val_loss": loss});
        format!("{line}\n")
    };
    write(&root.join("run/metrics.jsonl"), (line(1, 3.0) + &line(2, 2.0)).as_bytes());
    let hostile = "<img src=x onerror=\"document.title='taken'\">";
    let task = serde_json::json!([{"task": hostile, "file": "x", "rows": 1, "scores": {"f1": 50.0}, "row_scores": []}]);
    write(&root.join("scores/scores.json"), task.to_string().as_bytes());
    let names = ["one", "two", "three", "four", "five"].map(|name| format!("{name}=run"));
    let mut words = vec!["compare", "--paper", "--out", "out", "one=scores", "<b>x</b>=run"];
    words.extend(names.iter().map(String::as_str));
    succeed(root, &words);

    let (document, log) = load(browser, root, "out/report.html");

    assert!(document.matches("<svg").count() == 2 && document.matches("<table").count() == 2);
    assert!(document.matches("class=\"line s5\"").count() == 2, "each of six models has a color");
    assert!(!document.contains("<img") && !document.contains("<b>x") && document.contains("50.00"));
    assert_eq!(complaints(&log), Vec::<&str>::new());
}

#[test]
fn the_report_is_drawn_and_a_hostile_document_is_inert() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    succeed(root, &["sample", "--out", "sample", "--quiet"]);
    let hostile = "</script><script>document.title='taken'</script>\
                   <img src=x onerror=\"document.title='taken'\"> {{ 7 * 6 }}";
    let line = format!("{}\n", serde_json::json!({ "text": hostile }));
    let lines = line.repeat(40);
    let mut file = fs::File::create(root.join("x<b>.jsonl")).unwrap();
    std::io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
    let tokenizer = ["--tokenizer", "sample/tokenizer"];
    let made = ["--input", "x<b>.jsonl", "--out", "tokens", "--quiet", "--val-fraction", "0"];
    succeed(root, &[&["tokenize"], &tokenizer[..], &made[..]].concat());
    succeed(root, &[&["report", "tokens", "-o", "page.html"], &tokenizer[..]].concat());

    let (document, log) = load(browser, root, "page.html");

    assert!(document.contains("<title>tokens"), "{}", &document[..document.len().min(500)]);
    assert!(document.matches("<svg").count() >= 2, "the plots are there");
    assert!(document.matches("<rect").count() >= 2 && document.contains("<path"), "and drawn");
    assert!(!document.contains("taken</title>"), "a script of a document ran");
    assert!(!document.contains("<img"), "a document became an element");
    assert!(
        !document.contains("http://") && !document.contains("src=\"http"),
        "nothing is fetched"
    );
    assert_eq!(complaints(&log), Vec::<&str>::new());
}
