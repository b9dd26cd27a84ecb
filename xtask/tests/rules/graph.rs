//! The dependency graph, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// All packages by name. Several versions of one package count as one.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// The packages of this workspace.
    pub(crate) ours: BTreeMap<String, Package>,
    /// The dependencies of shipped programs: normal and build dependencies, over all packages.
    edges: BTreeMap<String, BTreeSet<String>>,
    /// The packages that one of ours is built with when it is built alone.
    alone: BTreeMap<String, BTreeSet<String>>,
}

/// A package of this workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) dependencies: Vec<Dependency>,
    /// The features that each feature enables.
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

/// One line of a `Cargo.toml`.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only tests and examples use it.
    pub(crate) dev: bool,
    /// It is in this repository.
    pub(crate) local: bool,
    pub(crate) features: Vec<String>,
    pub(crate) default_features: bool,
}

impl Graph {
    pub(crate) fn parse(metadata: &Value) -> Result<Self> {
        let members: BTreeSet<&str> = strings(metadata, "workspace_members").collect();
        let mut names = BTreeMap::new();
        let mut graph = Self::default();
        for package in list(metadata, "packages") {
            let (id, name) = (text(package, "id")?, text(package, "name")?);
            names.insert(id, name);
            if members.contains(id) {
                graph.ours.insert(name.to_owned(), Package::parse(package)?);
            }
        }
        for node in metadata
            .get("resolve")
            .map(|resolve| list(resolve, "nodes"))
            .unwrap_or_default()
        {
            let user = *names
                .get(text(node, "id")?)
                .context("a node of an unknown package")?;
            for used in list(node, "deps").iter().filter(|used| is_shipped(used)) {
                let used = *names
                    .get(text(used, "pkg")?)
                    .context("an edge to an unknown package")?;
                graph
                    .edges
                    .entry(user.to_owned())
                    .or_default()
                    .insert(used.to_owned());
            }
        }
        Ok(graph)
    }

    /// Sets what the package is built with alone. The edges hold for the whole workspace, where one crate's features
    /// give a library dependencies that its other users do not have.
    pub(crate) fn built_alone(&mut self, name: &str, with: BTreeSet<String>) {
        self.alone.insert(name.to_owned(), with);
    }

    /// The shortest path from one package to each that it depends on, transitively: `from → … →
    /// used`.
    pub(crate) fn ways_from(&self, from: &str) -> BTreeMap<String, Vec<String>> {
        let alone = self.alone.get(from);
        let mut ways = BTreeMap::from([(from.to_owned(), vec![from.to_owned()])]);
        let mut next = VecDeque::from([from.to_owned()]);
        while let Some(user) = next.pop_front() {
            for used in self.edges.get(&user).into_iter().flatten() {
                if !ways.contains_key(used) && alone.is_none_or(|alone| alone.contains(used)) {
                    let mut way = ways.get(&user).cloned().unwrap_or_default();
                    way.push(used.clone());
                    ways.insert(used.clone(), way);
                    next.push_back(used.clone());
                }
            }
        }
        ways
    }
}

impl Package {
    fn parse(package: &Value) -> Result<Self> {
        let features = package
            .get("features")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        Ok(Self {
            dependencies: list(package, "dependencies")
                .iter()
                .map(Dependency::parse)
                .collect::<Result<_>>()?,
            features: features
                .map(|(name, on)| (name.clone(), all_strings(on)))
                .collect(),
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        Ok(Self {
            name: text(dependency, "name")?.to_owned(),
            dev: dependency.get("kind").and_then(Value::as_str) == Some("dev"),
            local: dependency.get("source").is_none_or(Value::is_null),
            features: strings(dependency, "features").map(str::to_owned).collect(),
            default_features: dependency
                .get("uses_default_features")
                .and_then(Value::as_bool)
                != Some(false),
        })
    }
}

fn is_shipped(edge: &Value) -> bool {
    list(edge, "dep_kinds")
        .iter()
        .any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn strings<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    list(value, key).iter().filter_map(Value::as_str)
}

fn all_strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("`cargo metadata` gives no {key}"))
}
