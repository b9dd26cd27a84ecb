//! Files made to cost much: each is refused, and soon.

use std::time::{Duration, Instant};

use super::{load, repo};

/// The rules that loading a text breaks. Generous in time: what it guards against takes minutes or more.
fn rules(text: &str) -> Vec<String> {
    let before = Instant::now();
    let loaded = load(&repo([("a.yaml", text)]));
    assert!(
        before.elapsed() < Duration::from_secs(20),
        "{:?}",
        before.elapsed()
    );
    let mut rules: Vec<String> = loaded.findings.iter().map(|f| f.rule.to_string()).collect();
    rules.dedup();
    rules
}

#[test]
fn nesting_has_an_end() {
    for open in ["[", "{a: ", "- ", "? "] {
        let deep = open.repeat(20_000);
        assert!(rules(&deep).iter().any(|rule| rule == "too-deep"), "{open}");
    }
    let just = format!(
        "a: {}{}",
        "[".repeat(crate::MAX_DEPTH - 1),
        "]".repeat(crate::MAX_DEPTH - 1)
    );
    assert!(!rules(&just).iter().any(|rule| rule == "too-deep"));
}

#[test]
fn a_document_after_one_that_is_too_deep_is_read() {
    let text = format!(
        "a: {}{}\n---\nkind: Zebra\n",
        "[".repeat(30),
        "]".repeat(30)
    );
    assert!(rules(&text).contains(&"unknown-kind".to_owned()));
}

#[test]
fn documents_have_a_number() {
    let most = crate::MAX_DOCUMENTS_PER_FILE;
    assert_eq!(rules(&"---\n".repeat(most)), [""; 0]);
    assert_eq!(rules(&"---\n".repeat(most + 1)), ["too-many-documents"]);
    assert!(rules(&"--- [\n".repeat(100_000)).contains(&"yaml".to_owned()));
}

#[test]
fn a_million_of_anything_small_is_judged_in_time() {
    let size = crate::MAX_FILE_BYTES - 100;
    let repeated = |text: &str| text.repeat(size / text.len());
    let keys: String = (0..90_000).map(|n| format!("k{n}: 1\n")).collect();
    for text in [
        keys,
        repeated("a: 1\n"),
        format!("[{}]", repeated("a,")),
        repeated("- a\n"),
        repeated("# x\n"),
        repeated("\n"),
        format!("a: \"{}\"", repeated("x")),
        format!("{}: a", repeated("x")),
        format!("a: |\n{}", repeated(" x\n")),
        format!("&a {}", repeated("*a ")),
        repeated("\t"),
        repeated("'"),
        repeated("!"),
        repeated("%"),
        repeated("...\n"),
        repeated("a: &x [*x]\n"),
    ] {
        let shown: String = text.chars().take(20).collect();
        assert!(rules(&text).len() < 20, "{shown}");
    }
}
