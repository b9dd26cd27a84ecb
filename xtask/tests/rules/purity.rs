//! Pure crates do no IO, read no clock and start no threads: their source does not name such APIs.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::source::{shipped, used_paths};
use crate::workspace::{read, rust_files};

const WORLD: [&str; 8] = [
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::net::ToSocketAddrs",
    "std::process",
    "std::env",
    "SystemTime",
    "Instant::now",
];
const THREADS: &str = "std::thread";
const ASYNC: &str = "async fn";

#[test]
fn core_touches_nothing_outside_itself() -> Result<()> {
    let forbidden = [WORLD.as_slice(), &[THREADS, ASYNC]].concat();
    assert_clean("crates/banyan-core/src", &forbidden)
}

#[test]
fn manifest_touches_nothing_but_threads() -> Result<()> {
    let forbidden = [WORLD.as_slice(), &[ASYNC]].concat();
    assert_clean("crates/banyan-manifest/src", &forbidden)
}

#[test]
fn identity_touches_nothing_outside_itself() -> Result<()> {
    let forbidden = [
        WORLD.as_slice(),
        &[THREADS, ASYNC, "get_current_timestamp", "getrandom"],
    ]
    .concat();
    assert_clean("crates/banyan-identity/src", &forbidden)
}

#[test]
fn no_shipped_program_hashes_passwords_at_less_than_the_full_cost() -> Result<()> {
    for program in ["banyan-engine", "banyan-cli"] {
        assert_clean(&format!("crates/{program}/src"), &["Cost::LOWEST"])?;
    }
    Ok(())
}

#[test]
fn terminal_and_configuration_read_no_clock_and_start_nothing() -> Result<()> {
    let clock = ["SystemTime", "Instant::now", "Timestamp::now"];
    let forbidden = [clock.as_slice(), &["std::net::", THREADS, ASYNC]].concat();
    assert_clean("crates/banyan-terminal/src", &forbidden)?;
    assert_clean("crates/banyan-config/src", &forbidden)
}

fn assert_clean(folder: &str, forbidden: &[&str]) -> Result<()> {
    let files: Vec<String> = rust_files(folder)?;
    anyhow::ensure!(!files.is_empty(), "{folder} has no Rust files");
    let mut problems = Vec::new();
    let mut for_tests = BTreeSet::new();
    let mut texts = Vec::new();
    for file in &files {
        let text = read(file)?;
        for_tests.extend(
            shipped(&text)
                .test_modules
                .iter()
                .map(|name| module_path(file, name)),
        );
        texts.push((file, text));
    }
    let is_test = |file: &str| {
        let inside = |module: &String| {
            file.strip_prefix(module)
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        for_tests.iter().any(inside)
    };
    for (file, text) in texts.iter().filter(|(file, _)| !is_test(file)) {
        problems.extend(
            judge(text, forbidden)
                .into_iter()
                .map(|(line, what)| format!("{file}:{line}: {what}")),
        );
    }
    anyhow::ensure!(
        problems.is_empty(),
        "{folder} takes what it needs as arguments, so it must not name these:\n{}",
        problems.join("\n")
    );
    Ok(())
}

/// The location of the module that a file declares: a path without `.rs`, which may also be a
/// directory.
fn module_path(file: &str, name: &str) -> String {
    let (folder, own) = file.rsplit_once('/').unwrap_or((".", file));
    match own {
        "lib.rs" | "mod.rs" | "main.rs" => format!("{folder}/{name}"),
        _ => format!("{}/{name}", file.trim_end_matches(".rs")),
    }
}

/// Lines and the forbidden names on them.
fn judge<'a>(text: &str, forbidden: &[&'a str]) -> BTreeSet<(usize, &'a str)> {
    let code = shipped(text).lines;
    let spelled_out = used_paths(&code);
    let lines = code.iter().chain(&spelled_out);
    lines
        .flat_map(|(number, line)| named(line, forbidden).map(move |name| (*number, name)))
        .collect()
}

fn named<'a>(line: &str, forbidden: &[&'a str]) -> impl Iterator<Item = &'a str> {
    // A glob over these modules would hide what is used.
    let globs = [
        ("std::net::*", "std::net::Tcp"),
        ("std::*", "std::fs"),
        ("std::time::*", "SystemTime"),
    ];
    let hidden = move |name: &str| {
        globs
            .iter()
            .any(|(glob, held)| *held == name && line.contains(glob))
    };
    forbidden
        .iter()
        .copied()
        .filter(move |name| line.contains(name) || hidden(name))
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn forbidden_names_are_found_however_they_are_spelled() {
    for (text, found) in [
        ("fn f() { std::fs::read(p); }", "std::fs"),
        ("use std::{fmt, fs};", "std::fs"),
        (
            "use std::{\n    net::{IpAddr, TcpStream},\n};",
            "std::net::Tcp",
        ),
        ("use std::net::*;", "std::net::Tcp"),
        ("pub async fn f() {}", "async fn"),
        ("let now = Instant::now();", "Instant::now"),
        ("use std::time::SystemTime;", "SystemTime"),
        ("std::thread::spawn(f);", "std::thread"),
    ] {
        let forbidden = [WORLD.as_slice(), &[THREADS, ASYNC]].concat();
        let names: Vec<&str> = judge(text, &forbidden)
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, [found], "{text}");
    }
}

#[test]
fn what_is_pure_or_only_for_tests_passes() {
    let text = "\
//! Knows nothing of std::fs.
use std::{fmt, net::{IpAddr, Ipv6Addr}, time::Duration};
fn environment() {} // unlike std::env
#[cfg(test)]
mod tests {
    use std::fs;
}";
    assert_eq!(judge(text, &WORLD), BTreeSet::new());
}

#[test]
fn a_declared_module_is_found_where_rust_looks_for_it() {
    assert_eq!(
        module_path("crates/x/src/lib.rs", "tests"),
        "crates/x/src/tests"
    );
    assert_eq!(
        module_path("crates/x/src/plan/mod.rs", "tests"),
        "crates/x/src/plan/tests"
    );
    assert_eq!(
        module_path("crates/x/src/plan.rs", "tests"),
        "crates/x/src/plan/tests"
    );
}
