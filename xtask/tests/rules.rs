//! The repository's own rules, as tests. A rule that only stands in a document is soon broken.

#[path = "rules/dependencies.rs"]
mod dependencies;
#[path = "rules/graph.rs"]
mod graph;
#[path = "rules/layering.rs"]
mod layering;
#[path = "rules/purity.rs"]
mod purity;
#[path = "rules/source.rs"]
mod source;
#[path = "rules/texts.rs"]
mod texts;
#[path = "rules/workspace.rs"]
mod workspace;
