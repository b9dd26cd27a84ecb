//! The repository's own rules, as tests. A rule that exists only in a document is soon broken.

#[cfg(test)]
#[path = "rules/circles.rs"]
mod circles;
#[path = "rules/dependencies.rs"]
mod dependencies;
#[cfg(test)]
#[path = "rules/functions.rs"]
mod functions;
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
#[cfg(test)]
#[path = "rules/tokens.rs"]
mod tokens;
#[path = "rules/workspace.rs"]
mod workspace;
