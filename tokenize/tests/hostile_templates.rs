//! Chat templates that ask for more work or memory than any conversation needs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use ratdata_schemas::recipe::Date;
use ratdata_tokenize::sft::{ChatTemplate, RenderError};
use serde_json::json;

/// Compiles and writes a template, and returns the error that it ends in.
fn refused(source: &str) -> String {
    // As the job has it: threads that write conversations have a stack for what fuel allows.
    let source = source.to_owned();
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    let tried = thread.spawn(move || {
        let talk =
            [json!({"role": "user", "content": "u"}), json!({"role": "assistant", "content": "a"})];
        let template = match ChatTemplate::compile(&source, "<s>", "</s>", Date::default()) {
            Ok(template) => template,
            Err(wrong) => return wrong.to_string(),
        };
        match template.render(&talk, None) {
            Ok(rendered) => format!("no error, {} bytes", rendered.text.len()),
            Err(RenderError::Template(reason) | RenderError::Conversation(reason)) => reason,
            Err(wrong) => wrong.to_string(),
        }
    });
    tried.unwrap().join().unwrap()
}

#[test]
fn what_takes_too_much_ends_in_an_error_soon() {
    let ns = |init: &str, step: &str, last: &str| {
        format!(
            "{{% set ns = namespace(x={init}) %}}{{% for i in range(90) %}}{{% set ns.x = {step} %}}{{% endfor %}}{last}"
        )
    };
    let long = "{% set b = 'b' * 100000 %}";
    let cases = [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}".into(),
        "{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}text{% endfor %}{% endfor %}{% endfor %}".into(),
        ns("'a'", "ns.x ~ ns.x", ""),
        ns("'a'", "ns.x + ns.x", ""),
        ns("[1]", "[ns.x, ns.x]", "{{ ns.x }}"),
        ns("[1]", "[ns.x, ns.x]", "{{ ns.x | string }}"),
        ns("[1]", "[ns.x, ns.x]", "{{ ns.x | tojson }}"),
        ns("[1]", "[ns.x, ns.x]", "{{ ns.x | join }}"),
        ns("[1]", "[ns.x, ns.x]", "{{ ns.x | upper }}"),
        ns("[1]", "[ns.x, ns.x]", "{{ ','.join(ns.x) }}"),
        "{{ 'a' | indent(1000000000, true) }}".into(),
        "{{ 'a\n' * 1000 | indent(10000000) }}".into(),
        format!("{long}{{{{ range(99999) | join(b) }}}}"),
        format!("{long}{{{{ b.join(range(99999) | map('string') | list) }}}}"),
        format!("{long}{{{{ b | replace('b', b) }}}}"),
        format!("{long}{{{{ b.replace('b', b) }}}}"),
        format!("{long}{{{{ b.replace('', b) }}}}"),
        "{{ messages | tojson(indent=2000000000) }}".into(),
        "{{ range(9999) | list | tojson(indent=1000000) }}".into(),
        "{{ '%1000000000d' | format(1) }}".into(),
        "{{ '{:1000000000}'.format(1) }}".into(),
        "{{ '{:{}}'.format(1, 1000000000) }}".into(),
        "{{ 'a' * 100000000 * 100 }}".into(),
        "{{ 'a' * 100000000 ~ 'a' * 100000000 ~ 'a' * 100000000 }}".into(),
        "{{ [0] * 100000000 }}".into(),
        "{{ ([0] * 100000000) | list }}".into(),
        "{{ range(99999) | batch(1, 0) | map('string') | join('x' * 100000) }}".into(),
        "{{ [1] | slice(1000000000) | list }}".into(),
        "{{ [1] | batch(1000000000, 0) | list }}".into(),
        "{{ range(10**9) }}".into(),
        "{{ 10**(10**9) }}".into(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(),
        "{% include '/etc/passwd' %}".into(),
        format!("{{{{ {} x }}}}", "not ".repeat(200_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(200_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(200_000)),
        format!("{{{{ x{} }}}}", "|upper".repeat(150_000)),
        format!("{{{{ x{} }}}}", "[0]".repeat(200_000)),
        format!("{{{{ {}1 }}}}", "1 ~ ".repeat(200_000)),
        format!("{{{{ {}1 }}}}", "2 ** ".repeat(200_000)),
        format!("{{{{ {}1 }}}}", "(".repeat(200_000)),
        format!("{{{{ {}1 }}}}", "1 if 1 else ".repeat(80_000)),
        format!("{{% if 1 %}}{}", "{% if 1 %}".repeat(90_000)),
        format!("{{% if 1 %}}{}", "{% elif 1 %}".repeat(80_000)),
        "{%".repeat(500_000),
        "{% raw %}{% endraw x".repeat(50_000),
        "x".repeat((1 << 20) + 1),
        format!("{}{{{{ x | string }}}}", "{% set x = [x] %}".repeat(60_000)),
    ];
    for source in cases {
        let shown: String = source.chars().take(160).collect();
        let begun = Instant::now();

        let reason = refused(&source);

        assert!(!reason.starts_with("no error"), "{shown}: {reason}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{shown}: {:?}", begun.elapsed());
    }
}

#[test]
fn lists_deep_in_each_other_are_dropped_without_overflow() {
    let source = "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% for j in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}{% endfor %}";

    let reason = refused(source);

    assert!(reason.contains("engine ran out of fuel"), "{reason}");
}

#[test]
fn tags_up_to_the_bound_are_parsed_without_overflow() {
    for source in [
        format!("{{{{ {}x }}}}", "not ".repeat(9_990)),
        format!("{{{{ {}1 }}}}", "-".repeat(9_990)),
        format!("{{{{ x{} }}}}", ".a".repeat(4_990)),
        format!("{{{{ x{} }}}}", "|upper".repeat(4_990)),
        format!("{{{{ {}1 }}}}", "1 if x else ".repeat(2_490)),
        format!("{{{{ {}1 }}}}", "2 ** ".repeat(3_300)),
        format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(990)),
    ] {
        let shown: String = source.chars().take(80).collect();

        let reason = refused(&source);

        assert!(!reason.contains("words and signs"), "{shown}: {reason}");
    }
}

#[test]
fn a_long_conversation_may_take_what_its_length_allows() {
    let turns = (0..20_000).flat_map(|_| {
        ["user", "assistant"].map(|role| json!({"role": role, "content": "word ".repeat(20)}))
    });
    let talk: Vec<_> = turns.collect();
    let source = "{% for m in messages %}{% generation %}{{ m.role | upper | trim }}: {{ m.content.strip() ~ eos_token }}{% endgeneration %}{% endfor %}";
    let template = ChatTemplate::compile(source, "<s>", "</s>", Date::default()).unwrap();

    let rendered = template.render(&talk, None).unwrap();

    assert_eq!(rendered.trained.len(), 40_000);
}
