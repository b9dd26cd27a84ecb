//! Every external crate we name is listed in ARCHITECTURE.md with its reason, and nothing else is.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::graph::Graph;
use crate::workspace::{metadata, read};

const HEADING: &str = "## Dependencies";

#[test]
fn architecture_lists_exactly_the_dependencies_that_are_used() -> Result<()> {
    let listed = listed(&read("ARCHITECTURE.md")?);
    assert!(
        !listed.is_empty(),
        "ARCHITECTURE.md has no table under the heading \"{HEADING}\""
    );
    let used = used(&Graph::parse(&metadata()?)?);
    let missing: Vec<&String> = used.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(&used).collect();
    assert!(
        missing.is_empty(),
        "add to the table under \"{HEADING}\" in ARCHITECTURE.md, with a reason: {missing:?}"
    );
    assert!(
        gone.is_empty(),
        "no crate uses these any more, take them out of the table in ARCHITECTURE.md: {gone:?}"
    );
    Ok(())
}

fn used(graph: &Graph) -> BTreeSet<String> {
    let named = graph
        .ours
        .values()
        .flat_map(|package| &package.dependencies);
    named
        .filter(|dependency| !dependency.local)
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// The names in backticks in the first column of the section's tables.
fn listed(text: &str) -> BTreeSet<String> {
    let section = text
        .lines()
        .skip_while(|line| line.trim_end() != HEADING)
        .skip(1);
    let section = section.take_while(|line| !line.starts_with("## ") && !line.starts_with("# "));
    let first_cells =
        section.filter_map(|line| line.trim_start().strip_prefix('|')?.split('|').next());
    first_cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn names_are_read_from_the_first_column_of_the_section_alone() {
    let text = "\
# Architecture
| `not-this` | x |
## Dependencies
`nor-this`
| crate | why |
|---|---|
| `serde` | reads `yaml` |
| `tonic`, `tonic-health` | gRPC |
### More
| `age` | seals |
## Next
| `nor-that` | x |
";
    let expected = ["age", "serde", "tonic", "tonic-health"].map(str::to_owned);
    assert_eq!(listed(text), BTreeSet::from(expected));
    assert!(listed("# Architecture\n").is_empty());
}
