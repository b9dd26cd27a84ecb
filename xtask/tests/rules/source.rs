//! Rust source as the rules see it: without comments and test-only code.
//!
//! Relies on rustfmt's layout (an item's closing brace has the item's own indentation), which `cargo xtask check`
//! ensures.

/// A file's shipped lines and its test-only modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shipped {
    /// Line number, from 1, and the code on it.
    pub(crate) lines: Vec<(usize, String)>,
    /// Names of `#[cfg(test)] mod name;`, which are files of their own.
    pub(crate) test_modules: Vec<String>,
}

pub(crate) fn shipped(text: &str) -> Shipped {
    let mut found = Shipped::default();
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, without_comment(line)));
    while let Some((number, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            found.lines.push((number, line.to_owned()));
            continue;
        }
        let item =
            lines.find(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("#["));
        let Some((_, item)) = item else { break };
        if let Some(name) = module_file(item) {
            found.test_modules.push(name.to_owned());
        } else if !item.trim_end().ends_with([';', '}']) {
            let indent = &item[..item.len() - item.trim_start().len()];
            let ends = |line: &str| {
                line.strip_prefix(indent)
                    .is_some_and(|rest| rest.starts_with(['}', ')', ']']))
            };
            let _ = lines.find(|(_, line)| ends(line));
        }
    }
    found
}

/// The name in `mod name;`, with any visibility.
pub(crate) fn module_file(line: &str) -> Option<&str> {
    let name = line.trim().strip_suffix(';')?;
    let (before, name) = name.split_once("mod ")?;
    let visible = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    visible.then(|| name.trim())
}

/// Every full path that the code's `use` declarations import, with the line where each starts.
pub(crate) fn used_paths(lines: &[(usize, String)]) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    let mut rest = lines.iter();
    while let Some((number, line)) = rest.next() {
        let Some(start) = use_declaration(line) else {
            continue;
        };
        let mut declaration = start.to_owned();
        while !declaration.contains(';') {
            let Some((_, line)) = rest.next() else { break };
            declaration.push_str(line.trim());
        }
        let tree = declaration.split(';').next().unwrap_or_default();
        paths.extend(expand("", tree).into_iter().map(|path| (*number, path)));
    }
    paths
}

fn use_declaration(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) => rest
            .split_once("use ")
            .map_or(line, |_| rest.trim_start_matches(|c| c != 'u')),
        None => line,
    };
    line.strip_prefix("use ")
}

/// `a::{b, c::{d}}` → `a::b`, `a::c::d`.
fn expand(prefix: &str, tree: &str) -> Vec<String> {
    let Some((head, group)) = tree.split_once('{') else {
        return vec![format!("{prefix}{}", tree.trim())];
    };
    let prefix = format!("{prefix}{}", head.trim());
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    parts(group)
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(|part| expand(&prefix, part))
        .collect()
}

/// Splits at the commas outside of inner braces.
fn parts(group: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let outer = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    group.split(outer).collect()
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") {
        return "";
    }
    line.find(" // ").map_or(line, |at| &line[..at])
}

#[test]
fn comments_and_test_code_are_left_out() {
    let text = "\
//! Doc.
use a::b;
#[cfg(test)]
use only::tests;
fn shipped() {} // why
#[cfg(test)]
mod harness;
#[cfg(test)]
impl Thing {
    fn helper() {
    }
}
fn more() {}
#[cfg(test)]
#[path = \"x.rs\"]
pub(crate) mod other;
#[cfg(test)]
mod tests {
    fn hidden() {
    }
}
fn last() {}";
    let found = shipped(text);
    let code: Vec<(usize, &str)> = found
        .lines
        .iter()
        .map(|(n, line)| (*n, line.as_str()))
        .collect();
    assert_eq!(
        code,
        [
            (1, ""),
            (2, "use a::b;"),
            (5, "fn shipped() {}"),
            (13, "fn more() {}"),
            (22, "fn last() {}")
        ]
    );
    assert_eq!(found.test_modules, ["harness", "other"]);
}

#[test]
fn groups_of_use_declarations_are_spelled_out() {
    let text = "\
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpStream as Stream,
};
pub(crate) use std::env;
let user = 1;";
    let paths = used_paths(&shipped(text).lines);
    let expected = [
        (1, "std::collections::BTreeMap"),
        (1, "std::collections::BTreeSet"),
        (1, "std::fs"),
        (1, "std::net::TcpStream as Stream"),
        (6, "std::env"),
    ];
    assert_eq!(paths, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn a_module_of_its_own_file_is_told_from_others() {
    assert_eq!(module_file("mod sessions;"), Some("sessions"));
    assert_eq!(module_file("pub(crate) mod sessions;"), Some("sessions"));
    for line in [
        "// mod sessions;",
        "mod sessions {",
        "let mod_ = 1;",
        "use x;",
    ] {
        assert_eq!(module_file(line), None, "{line}");
    }
}
