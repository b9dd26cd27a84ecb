//! Which crate may use which: the table, and the check of the actual graph against it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::graph::{Dependency, Graph};
use crate::workspace::{built_with, metadata};

/// What one crate may and may not use, dev-dependencies aside.
struct Layer {
    name: &'static str,
    /// The only crates of this workspace that it may name.
    may: &'static [&'static str],
    /// Crates it must not depend on, not even transitively.
    never: &'static [&'static str],
    why: &'static str,
}

const API: &str = "banyan-api";
const IDENTITY: &str = "banyan-identity";
const CONFIG: &str = "banyan-config";
const CORE: &str = "banyan-core";
const ENGINE: &str = "banyan-engine";
const GIT: &str = "banyan-git";
const MANIFEST: &str = "banyan-manifest";
const REPO: &str = "banyan-repo";
const STATE: &str = "banyan-state";
const STORE: &str = "banyan-store";
const STORE_ETCD: &str = "banyan-store-etcd";
const TERMINAL: &str = "banyan-terminal";
const TESTKIT: &str = "banyan-testkit";
const TESTS: &str = "banyan-tests";
const WIREGUARD: &str = "banyan-wireguard";

const LAYERS: &[Layer] = &[
    Layer {
        name: CORE,
        may: &[],
        never: &[
            "tokio",
            "tonic",
            "axum",
            "hyper",
            "git2",
            "redb",
            "notify",
            "rtnetlink",
            "gotatun",
            "getrandom",
            "rand",
            "tracing",
            "async-trait",
        ],
        why: "the core decides from values; it cannot do IO, read a clock or generate randomness",
    },
    Layer {
        name: MANIFEST,
        may: &[CORE],
        never: &["tokio", "tonic", "git2", "redb", "notify", "axum", "hyper"],
        why: "loading turns bytes into values and findings; it does not know where the bytes come from",
    },
    Layer {
        name: GIT,
        may: &[CORE],
        never: &["tonic", "redb", "age"],
        why: "git provides trees of bytes; it uses only the object ids of the core, and knows nothing of what the bytes mean",
    },
    Layer {
        name: REPO,
        may: &[CORE, GIT, MANIFEST],
        never: &[
            "tokio",
            "tonic",
            "redb",
            "axum",
            "hyper",
            "rtnetlink",
            "gotatun",
            "tracing",
        ],
        why: "it reads a repo and decides on it; it does not know who asks, or what the decision is used for",
    },
    Layer {
        name: IDENTITY,
        may: &[CORE],
        never: &[
            "tokio", "tonic", "axum", "hyper", "git2", "redb", "age", "tracing", "rustix",
        ],
        why: "the security decisions are made from values, in a crate that cannot do IO",
    },
    Layer {
        name: STORE,
        may: &[],
        never: &["tonic", "git2", "serde"],
        why: "the store holds keys and bytes; records and their types are above it",
    },
    Layer {
        name: STORE_ETCD,
        may: &[STORE],
        never: &["git2", "age"],
        why: "a backend knows its server and the store's interface, and nothing of the content",
    },
    Layer {
        name: STATE,
        may: &[CORE, STORE],
        never: &["git2", "tonic", "age"],
        why: "records work on any store and know nothing of where the intent comes from or who asks",
    },
    Layer {
        name: WIREGUARD,
        may: &[CORE],
        never: &["redb", "git2", "tonic"],
        why: "devices follow a peer set and know nothing of who decided it",
    },
    Layer {
        name: CONFIG,
        may: &[],
        never: &["tokio", "tonic", "git2", "redb", "clap", "tracing"],
        why: "it parses sections for programs; it does not know what they mean",
    },
    Layer {
        name: TERMINAL,
        may: &[CORE],
        never: &[
            "tokio",
            "tonic",
            "clap",
            "git2",
            "redb",
            "tracing",
            "serde_json",
        ],
        why: "it shows texts to users and prompts them; the program decides which",
    },
    Layer {
        name: API,
        may: &[CORE],
        never: &["redb", "git2", "age"],
        why: "the wire's messages are the same whatever is behind them",
    },
    Layer {
        name: ENGINE,
        may: &[
            API, IDENTITY, CONFIG, CORE, GIT, MANIFEST, REPO, STATE, STORE, STORE_ETCD, TERMINAL,
            WIREGUARD,
        ],
        never: &["clap_mangen"],
        why: "the engine is where the adapters meet; man pages are generated elsewhere",
    },
    Layer {
        name: "banyan-cli",
        may: &[API, CONFIG, CORE, GIT, MANIFEST, REPO, TERMINAL],
        never: &["redb", "gotatun", "rtnetlink", ENGINE],
        why: "the CLI is a client: it holds no state of the engine and moves no packet",
    },
    Layer {
        name: TESTKIT,
        may: &[
            API, IDENTITY, CONFIG, CORE, ENGINE, GIT, MANIFEST, REPO, STATE, STORE, STORE_ETCD,
            TERMINAL, WIREGUARD,
        ],
        never: &[],
        why: "the test kit may use everything",
    },
    Layer {
        name: TESTS,
        may: &[
            API, IDENTITY, CONFIG, CORE, ENGINE, GIT, MANIFEST, REPO, STATE, STORE, STORE_ETCD,
            TERMINAL, TESTKIT, WIREGUARD,
        ],
        never: &[],
        why: "the end-to-end tests may use everything",
    },
    Layer {
        name: "xtask",
        may: &[],
        never: &["cc", "tokio", "serde_derive"],
        why: "the entry builds in seconds and without a C compiler",
    },
];

#[test]
fn every_crate_keeps_to_its_layer() -> Result<()> {
    let mut graph = Graph::parse(&metadata()?)?;
    let names: Vec<String> = graph.ours.keys().cloned().collect();
    for name in names {
        let with = built_with(&name)?;
        ensure!(
            with.contains(&name),
            "`cargo tree` does not list {name} itself"
        );
        graph.built_alone(&name, with);
    }
    let problems = judge(&graph);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// Every violation of the table, one sentence each.
fn judge(graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, package) in &graph.ours {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
            problems.push(format!(
                "{name} is not in the table of layers (xtask/tests/rules/layering.rs): add it there"
            ));
            continue;
        };
        let shipped = || {
            package
                .dependencies
                .iter()
                .filter(|dependency| !dependency.dev)
        };
        problems.extend(shipped().filter_map(|dependency| neighbour(graph, layer, dependency)));
        problems.extend(shipped().filter_map(|dependency| for_tests(graph, name, dependency)));
        problems.extend(forwarded(
            name,
            package.features.get("default").into_iter().flatten(),
        ));
        problems.extend(reach(graph, layer));
    }
    problems
}

fn neighbour(graph: &Graph, layer: &Layer, dependency: &Dependency) -> Option<String> {
    let used = dependency.name.as_str();
    if !graph.ours.contains_key(used) || layer.may.contains(&used) {
        return None;
    }
    let name = layer.name;
    Some(if used == TESTKIT {
        format!(
            "{name} must not use {TESTKIT}: it is for tests, so only {TESTS} or [dev-dependencies] may name it"
        )
    } else {
        let may = if layer.may.is_empty() {
            "none".to_owned()
        } else {
            layer.may.join(", ")
        };
        format!(
            "{name} must not use {used}: of our crates it may use {may}, because {}",
            layer.why
        )
    })
}

fn reach(graph: &Graph, layer: &Layer) -> Vec<String> {
    let ways = graph.ways_from(layer.name);
    let found = layer
        .never
        .iter()
        .filter_map(|never| ways.get(*never).map(|way| (never, way)));
    let sentence = |(never, way): (&&str, &Vec<String>)| {
        format!(
            "{} must not use {never} ({}): {}",
            layer.name,
            way.join(" → "),
            layer.why
        )
    };
    found.map(sentence).collect()
}

/// Test-only features: a shipped program must not enable them.
const FOR_TESTS: &[(&str, &str, &str)] = &[(
    WIREGUARD,
    "fake",
    "no shipped program may contain the scripted device",
)];

/// Whether the dependency enables such a feature, directly or through another feature.
fn for_tests(graph: &Graph, name: &str, dependency: &Dependency) -> Option<String> {
    let (used, feature, why) = FOR_TESTS
        .iter()
        .find(|(used, ..)| dependency.name == *used)?;
    let package = graph.ours.get(*used)?;
    let mut on = BTreeSet::new();
    let mut next: Vec<&str> = dependency.features.iter().map(String::as_str).collect();
    next.extend(dependency.default_features.then_some("default"));
    while let Some(feature) = next.pop() {
        if on.insert(feature) {
            let more = package.features.get(feature).into_iter().flatten();
            next.extend(more.map(String::as_str));
        }
    }
    on.contains(feature).then(|| {
        format!("{name} must not turn on the feature \"{feature}\" of {used} outside [dev-dependencies]: {why}")
    })
}

fn forwarded<'a>(
    name: &str,
    default: impl Iterator<Item = &'a String> + Clone,
) -> impl Iterator<Item = String> {
    FOR_TESTS.iter().filter_map(move |(used, feature, why)| {
        let names = [format!("{used}/{feature}"), format!("{used}?/{feature}")];
        default
            .clone()
            .any(|feature| names.contains(feature))
            .then(|| {
                format!(
                    "{name} must not turn on the feature \"{feature}\" of {used} by default: {why}"
                )
            })
    })
}

/// A made-up graph: workspace crates, and edges as `(user, used, kind, features)`.
fn made_up(ours: &[&str], edges: &[(&str, &str, Option<&str>, &[&str])]) -> Result<Vec<String>> {
    let names: BTreeSet<&str> = ours
        .iter()
        .copied()
        .chain(edges.iter().flat_map(|edge| [edge.0, edge.1]))
        .collect();
    let of = |name: &str| {
        edges
            .iter()
            .filter(move |edge| edge.0 == name)
            .collect::<Vec<_>>()
    };
    let dependency = |edge: &&(&str, &str, Option<&str>, &[&str])| {
        let source = (!ours.contains(&edge.1)).then_some("registry");
        json!({ "name": edge.1, "kind": edge.2, "features": edge.3, "source": source, "uses_default_features": true })
    };
    let package = |name: &&str| {
        let dependencies: Vec<Value> = of(name).iter().map(dependency).collect();
        let features = match *name {
            WIREGUARD => json!({ "fake": [], "test": ["fake"] }),
            _ => json!({}),
        };
        json!({ "id": name, "name": name, "dependencies": dependencies, "features": features })
    };
    let node = |name: &&str| {
        let deps = of(name)
            .into_iter()
            .map(|edge| json!({ "pkg": edge.1, "dep_kinds": [{ "kind": edge.2 }] }));
        json!({ "id": name, "deps": deps.collect::<Vec<_>>() })
    };
    let packages: Vec<Value> = names.iter().map(package).collect();
    let nodes: Vec<Value> = names.iter().map(node).collect();
    let metadata =
        json!({ "packages": packages, "workspace_members": ours, "resolve": { "nodes": nodes } });
    Ok(judge(&Graph::parse(&metadata)?))
}

#[test]
fn a_graph_that_keeps_the_rules_passes() -> Result<()> {
    let problems = made_up(
        &[CORE, STORE, STATE, TESTKIT, WIREGUARD],
        &[
            (STATE, CORE, None, &[]),
            (STATE, STORE, None, &[]),
            (STORE, "redb", None, &[]),
            (CORE, "tokio", Some("dev"), &[]),
            (CORE, TESTKIT, Some("dev"), &[]),
            (TESTKIT, WIREGUARD, None, &[]),
            (CORE, WIREGUARD, Some("dev"), &["fake"]),
        ],
    )?;
    assert_eq!(problems, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_kind_of_forbidden_edge_is_found() -> Result<()> {
    type Edge = (
        &'static str,
        &'static str,
        Option<&'static str>,
        &'static [&'static str],
    );
    let cases: &[(&[&str], &[Edge], &str)] = &[
        (
            &[CORE, STORE],
            &[(STORE, CORE, None, &[])],
            "banyan-store must not use banyan-core: of our crates it may use none",
        ),
        (
            &[CORE, STORE],
            &[(CORE, STORE, Some("build"), &[])],
            "banyan-core must not use banyan-store",
        ),
        (
            &[CORE],
            &[(CORE, "tokio", None, &[])],
            "banyan-core must not use tokio (banyan-core → tokio): the core decides",
        ),
        (
            &[CORE],
            &[
                (CORE, "log-to", None, &[]),
                ("log-to", "tracing", None, &[]),
            ],
            "banyan-core must not use tracing (banyan-core → log-to → tracing)",
        ),
        (
            &[ENGINE, TESTKIT],
            &[(ENGINE, TESTKIT, None, &[])],
            "only banyan-tests or [dev-dependencies] may name it",
        ),
        (
            &[ENGINE, WIREGUARD],
            &[(ENGINE, WIREGUARD, None, &["fake"])],
            "banyan-engine must not turn on the feature",
        ),
        (
            &[ENGINE, WIREGUARD],
            &[(ENGINE, WIREGUARD, None, &["test"])],
            "banyan-engine must not turn on the feature",
        ),
        (
            &["banyan-new"],
            &[],
            "banyan-new is not in the table of layers",
        ),
    ];
    for (ours, edges, expected) in cases {
        let problems = made_up(ours, edges)?;
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "wanted {expected:?}, got {problems:?}"
        );
    }
    Ok(())
}

#[test]
fn what_only_another_crates_features_bring_in_is_not_held_against_a_crate() -> Result<()> {
    let metadata = json!({
        "packages": [{ "id": "c", "name": CORE }, { "id": "h", "name": "hash" }, { "id": "r", "name": "rand" }],
        "workspace_members": ["c"],
        "resolve": { "nodes": [
            { "id": "c", "deps": [{ "pkg": "h", "dep_kinds": [{ "kind": null }] }] },
            { "id": "h", "deps": [{ "pkg": "r", "dep_kinds": [{ "kind": null }] }] },
        ] },
    });
    let mut graph = Graph::parse(&metadata)?;
    assert_eq!(judge(&graph).len(), 1);
    graph.built_alone(CORE, BTreeSet::from([CORE, "hash"].map(str::to_owned)));
    assert_eq!(judge(&graph), Vec::<String>::new());
    Ok(())
}
