//! Rules about files as text: their length, forbidden words, tests that are never compiled, the toolchain.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::source::module_file;
use crate::workspace::{read, root, rust_files, tracked_files};

const LONGEST: usize = 600;
// Assembled here so that this file passes its own rule.
const WORDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const OUTSIDE: &str = concat!("..", "/shared");

#[test]
fn nothing_is_left_for_later() -> Result<()> {
    let mut problems = Vec::new();
    for file in tracked_files()? {
        let bytes = fs::read(root().join(&file)).with_context(|| format!("cannot read {file}"))?;
        // Files that are not UTF-8 are not text.
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        problems.extend(
            leftovers(&text)
                .into_iter()
                .map(|(line, what)| format!("{file}:{line}: {what}")),
        );
    }
    ensure!(
        problems.is_empty(),
        "finish or remove these:\n{}",
        problems.join("\n")
    );
    Ok(())
}

#[test]
fn no_source_file_is_too_long() -> Result<()> {
    let mut problems = Vec::new();
    for file in rust_files("crates")? {
        let lines = read(&file)?.lines().count();
        if lines > LONGEST {
            problems.push(format!("{file} has {lines} lines"));
        }
    }
    ensure!(
        problems.is_empty(),
        "files may have at most {LONGEST} lines; split these:\n{}",
        problems.join("\n")
    );
    Ok(())
}

#[test]
fn no_end_to_end_test_is_forgotten() -> Result<()> {
    let manifest = read("tests/Cargo.toml")?;
    let roots = roots(&manifest);
    let main = read("tests/e2e/main.rs")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join("tests/e2e")).context("cannot list tests/e2e")? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    for root in &roots {
        ensure!(
            files.iter().any(|file| file == root),
            "tests/Cargo.toml names tests/e2e/{root}, which does not exist"
        );
    }
    let forgotten = forgotten(&main, &roots, &files);
    ensure!(
        forgotten.is_empty(),
        "tests/e2e/main.rs must name these with `mod`, or tests/Cargo.toml as the root of a test, or they never run: \
         {forgotten:?}"
    );
    Ok(())
}

/// Documentation examples are not compiled (`doctest = false`), so none may look as if it were.
#[test]
fn no_documentation_example_goes_untested() -> Result<()> {
    let mut problems = Vec::new();
    for file in rust_files("crates")? {
        problems.extend(
            examples(&read(&file)?)
                .into_iter()
                .map(|line| format!("{file}:{line}")),
        );
    }
    ensure!(
        problems.is_empty(),
        "write these examples as tests, or mark them ```text:\n{}",
        problems.join("\n")
    );
    Ok(())
}

/// The lines where a documentation comment opens a Rust code block.
fn examples(text: &str) -> Vec<usize> {
    let mut open = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let Some(doc) = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"))
        else {
            open = false;
            continue;
        };
        let Some(language) = doc.trim_start().strip_prefix("```") else {
            continue;
        };
        open = !open;
        if open && matches!(language.trim(), "" | "rust" | "no_run" | "should_panic") {
            found.push(index + 1);
        }
    }
    found
}

#[test]
fn a_block_of_rust_in_a_documentation_comment_is_found() {
    let text = "/// ```\n/// one();\n/// ```\nfn a() {}\n//! ```text\n//! x\n//! ```\n/// ```rust\n/// two();\n/// ```\n";
    assert_eq!(examples(text), [1, 8]);
}

#[test]
fn the_toolchain_is_pinned() -> Result<()> {
    let text = read("rust-toolchain.toml")?;
    let channels: Vec<&str> = text
        .lines()
        .filter(|line| line.trim_start().starts_with("channel"))
        .collect();
    assert_eq!(
        channels,
        ["channel = \"1.95.0\""],
        "rust-toolchain.toml pins the toolchain exactly"
    );
    Ok(())
}

fn leftovers(text: &str) -> Vec<(usize, &'static str)> {
    let on = |line: &str| {
        let words = WORDS
            .into_iter()
            .filter(|word| has_word(line, word))
            .collect::<Vec<_>>();
        words
            .into_iter()
            .chain(line.contains(OUTSIDE).then_some(OUTSIDE))
            .collect::<Vec<_>>()
    };
    text.lines()
        .enumerate()
        .flat_map(|(index, line)| on(line).into_iter().map(move |what| (index + 1, what)))
        .collect()
}

/// Whether it is a separate word: base64 may contain its letters by chance.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || "+/".contains(c));
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !inside(before.chars().next_back()) && !inside(after.chars().next())
    })
}

/// The roots of end-to-end tests that the manifest declares.
fn roots(manifest: &str) -> Vec<&str> {
    let paths = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"e2e/")?.strip_suffix('"'));
    paths.collect()
}

/// Files (`name.rs`) and directories (`name`) that are neither roots nor declared by a `mod` line in `main.rs`. Other
/// roots repeat some of its tests and have none of their own.
fn forgotten<'a>(main: &str, roots: &[&str], files: &'a [String]) -> Vec<&'a str> {
    let named: Vec<&str> = main.lines().filter_map(module_file).collect();
    let modules = files.iter().filter(|file| {
        !roots.contains(&file.as_str()) && (file.ends_with(".rs") || !file.contains('.'))
    });
    modules
        .map(String::as_str)
        .filter(|file| !named.contains(&file.trim_end_matches(".rs")))
        .collect()
}

#[test]
fn leftovers_are_found_as_words() {
    let word = WORDS[0];
    let text = format!("fine\n// {word}: later\nage1{word}x\n{OUTSIDE}/notes\n{word}(me)");
    assert_eq!(leftovers(&text), [(2, word), (4, OUTSIDE), (5, word)]);
}

#[test]
fn a_file_that_no_mod_line_of_the_main_root_names_is_forgotten() {
    let manifest = "[[test]]\nname = \"e2e\"\npath = \"e2e/main.rs\"\n\n[[test]]\npath = \"e2e/again.rs\"\n\n[[bin]]\npath = \"src/lost.rs\"\n";
    let roots = roots(manifest);
    assert_eq!(roots, ["main.rs", "again.rs"]);
    let files = [
        "main.rs", "again.rs", "named.rs", "lost.rs", "folder", "notes.md",
    ];
    assert_eq!(
        forgotten(
            "mod named;\n// mod lost;\n",
            &roots,
            &files.map(str::to_owned)
        ),
        ["lost.rs", "folder"]
    );
    // A root that the manifest does not declare is never compiled.
    assert_eq!(
        forgotten("mod named;\n", &["main.rs"], &["again.rs".to_owned()]),
        ["again.rs"]
    );
}
