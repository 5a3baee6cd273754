//! The report page in a real browser, where there is one: it is drawn, and a hostile text is text.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

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

#[test]
fn the_report_is_drawn_and_a_hostile_document_is_inert() {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let found = browsers.iter().find(|b| Command::new(b).arg("--version").output().is_ok());
    let Some(browser) = found else {
        eprintln!("skipped: no Chromium here");
        return;
    };
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
    let wrong = log.lines().filter(|line| line.contains("CONSOLE") && line.contains("rror"));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&str>::new());
}
