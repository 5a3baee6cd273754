//! Planning a graph of a size that nobody has.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::support::workshop;
use ratdata_tests::files::write;
use ratdata_tests::program::command;

#[test]
fn a_graph_of_a_hundred_thousand_shards_is_planned_at_once() {
    const SHARDS: usize = 100_000;
    let folder = workshop("");
    let root = folder.path();
    let mut pipeline = String::new();
    let mut inputs = Vec::new();
    for number in 0..SHARDS {
        pipeline += &format!(
            "[steps.s{number:06}]\nkind = \"tokenize\"\ntokenizer = \"sample/tokenizer\"\ninput = \"hf://datasets/o/n/{number}.parquet\"\n"
        );
        inputs.push(format!("\"@s{number:06}\""));
    }
    pipeline += &format!("[steps.all]\nkind = \"merge\"\ninput = [{}]\n", inputs.join(", "));
    write(&root.join("pipeline.toml"), &pipeline);
    let begun = Instant::now();
    let mut plan = command(root, &["plan", "pipeline.toml", "--check"])
        .stdout(Stdio::from(fs::File::create(root.join("plan.txt")).unwrap()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;

    while plan.try_wait().unwrap().is_none() {
        peak = peak.max(peak_of(plan.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }

    let took = begun.elapsed();
    assert_eq!(plan.wait().unwrap().code(), Some(4));
    let text = fs::read_to_string(root.join("plan.txt")).unwrap();
    assert!(text.trim_end().ends_with("100001 of 100001 steps are stale"));
    // Without optimization the same work takes many times as long.
    let limit = if cfg!(debug_assertions) { 60.0 } else { 1.0 };
    assert!(took.as_secs_f64() < limit, "planned in {took:?}");
    assert!(peak < 500_000, "{peak} kB at the peak");
}

/// Returns the most memory that a process had, in kB.
fn peak_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
