//! No function of a program or a library is longer than a reader can hold in mind. Tests are tables of cases and
//! snapshots, whose length says nothing, so they are not measured.

use anyhow::{Result, ensure};

use crate::tokens::{Token, group_end, tokens, without_tests};
use crate::workspace::{read, rust_files};

/// The most lines that a function may have, from `fn` to its closing brace.
const LONGEST: usize = 80;

#[test]
fn no_function_is_too_long() -> Result<()> {
    let mut problems = Vec::new();
    for folder in ["crates", "xtask/src", "tests/src"] {
        for file in rust_files(folder)? {
            let is_test = file.contains("/tests/") || file.ends_with("tests.rs");
            if is_test && !file.starts_with("tests/src") {
                continue;
            }
            for (line, name, length) in too_long(&read(&file)?, LONGEST) {
                problems.push(format!("{file}:{line}: {name} has {length} lines"));
            }
        }
    }
    ensure!(
        problems.is_empty(),
        "at most {LONGEST} lines a function, split these:\n{}",
        problems.join("\n")
    );
    Ok(())
}

/// Line, name and length of each function that has more lines than that.
fn too_long(text: &str, longest: usize) -> Vec<(usize, String, usize)> {
    let (code, _) = without_tests(&tokens(text));
    let starts = code.iter().enumerate().filter(|(_, token)| token.is("fn"));
    let measured = starts.filter_map(|(at, first)| {
        let name = code.get(at + 1).filter(|token| token.is_name())?;
        let last = body_end(&code, at)?;
        Some((first.line, name.text.clone(), last.line + 1 - first.line))
    });
    measured.filter(|(.., length)| *length > longest).collect()
}

/// The brace that ends a function's body; a declaration in a trait has none.
fn body_end(code: &[Token], from: usize) -> Option<&Token> {
    let mut at = from;
    loop {
        let token = code.get(at)?;
        match token.text.as_str() {
            ";" => return None,
            "{" => return code.get(group_end(code, at, "{")? - 1),
            "(" | "[" => at = group_end(code, at, &token.text)?,
            _ => at += 1,
        }
    }
}

#[test]
fn a_function_is_measured_from_its_name_to_its_closing_brace() {
    let text = "\
trait T {
    fn declared(&self) -> [u8; 4];
}
fn short() {}
impl T {
    async fn long(
        a: [u8; 4],
    ) {
        let brace = \"}\";
    }
}
#[cfg(test)]
mod tests {
    fn not_measured() {


    }
}";
    assert_eq!(too_long(text, 3), [(6, "long".to_owned(), 5)]);
    assert_eq!(too_long(text, 5), []);
}
