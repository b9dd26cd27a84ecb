//! An incremental result equals the one computed from scratch: over random repos, random edits and a clock that
//! advances.

use std::cell::Cell;
use std::collections::BTreeMap;

use banyan_core::fixture::{commit, key, t};
use banyan_core::people::NOBODY;
use banyan_core::{Checked, ControlPeers, Finding, InForce, Plan, Target};
use banyan_manifest::{Loaded, Loader, Memory};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::TestRunner;

use crate::{Baseline, Revision, Uploaded, decide, load};

const START: &str = "2026-01-01T00:00:00Z";
const RECIPIENT: &str = "age1hvafkevr3mxpn9q7842dmnstcz9ksu3s46ep7naxtk2jmj2qlp8susq83v";
const PATHS: [&str; 9] = [
    "cluster.yaml",
    "a.yaml",
    "users/a.yaml",
    "users/b.yml",
    "users/old/a.yaml",
    "machines/a.yaml",
    "machines/b.yaml",
    "roles/a.yaml",
    "z.yaml",
];
const IGNORED: [&str; 4] = [
    "users/old/\n",
    "*.yml\n",
    "machines/*\n!machines/b.yaml\n",
    "[\n",
];

type Files = BTreeMap<String, Vec<u8>>;

/// One change of a tree.
#[derive(Debug, Clone)]
enum Edit {
    Write(&'static str, String),
    Append(&'static str, String),
    Remove(&'static str),
    Move(&'static str, &'static str),
    Copy(&'static str, &'static str),
    Ignore(Option<&'static str>),
}

impl Edit {
    fn apply(&self, files: &mut Files) {
        match self {
            Self::Write(path, text) => {
                files.insert((*path).to_owned(), text.clone().into_bytes());
            }
            Self::Append(path, text) => {
                let file = files.entry((*path).to_owned()).or_default();
                file.extend_from_slice(format!("---\n{text}").as_bytes());
            }
            Self::Remove(path) => {
                files.remove(*path);
            }
            Self::Move(from, to) => {
                if let Some(content) = files.remove(*from) {
                    files.insert((*to).to_owned(), content);
                }
            }
            Self::Copy(from, to) => {
                if let Some(content) = files.get(*from).cloned() {
                    files.insert((*to).to_owned(), content);
                }
            }
            Self::Ignore(rules) => {
                files.remove(".banyanignore");
                if let Some(rules) = rules {
                    files.insert(".banyanignore".to_owned(), rules.as_bytes().to_vec());
                }
            }
        }
    }
}

/// A commit: its edits, the hours since the previous one, and the earlier commit whose memory it is loaded from, if not
/// the previous one.
#[derive(Debug, Clone)]
struct Step {
    edits: Vec<Edit>,
    hours: i64,
    from: Option<Index>,
}

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: banyan/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

fn cluster(name: &str, guards: &str) -> String {
    let spec = format!(
        "controlRange: 10.200.0.0/16, meshRange: 10.201.0.0/16, recipients: [{RECIPIENT}], guards: {{{guards}}}"
    );
    document("Cluster", name, &spec)
}

const LENIENT: &str = "maxRemovedPercent: 100, maxRemoved: 100";

/// An expiry that the steps can pass, or none.
fn expires() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        ", expires: 2026-01-02T00:00:00Z",
        ", expires: 2026-01-04T12:00:00Z",
        ", expires: 2040-01-01T00:00:00Z",
    ])
}

fn user() -> impl Strategy<Value = String> {
    let roles = subsequence(vec!["admin", "viewer", "r0", "r1", "r2"], 0..=2);
    (0..4u8, roles, any::<bool>(), expires()).prop_map(|(name, roles, disabled, expires)| {
        let roles = roles.join(", ");
        let spec = format!("roles: [{roles}], disabled: {disabled}{expires}");
        document("User", &format!("u{name}"), &spec)
    })
}

fn role() -> impl Strategy<Value = String> {
    let all = vec!["'*'", "users:read", "machines:read", "gitops:*", "no:such"];
    (0..3u8, subsequence(all, 1..=2)).prop_map(|(name, permissions)| {
        let spec = format!("permissions: [{}]", permissions.join(", "));
        document("Role", &format!("r{name}"), &spec)
    })
}

fn machine() -> impl Strategy<Value = String> {
    let mesh = select(vec![
        "",
        ", meshAddress: 10.201.0.7",
        ", meshAddress: 10.201.0.8",
    ]);
    let routes = subsequence(
        vec!["192.168.0.0/24", "192.168.0.0/16", "10.9.0.0/16"],
        0..=1,
    );
    let protected = prop::bool::weighted(0.1);
    (0..4u8, 2..8u8, mesh, routes, protected, expires()).prop_map(
        |(name, seed, mesh, routes, protected, expires)| {
            let (key, routes) = (key(seed), routes.join(", "));
            let spec = format!(
                "type: agent, publicKey: {key}, routes: [{routes}], protected: {protected}{mesh}{expires}"
            );
            document("Machine", &format!("m{name}"), &spec)
        },
    )
}

fn content() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => user(),
        3 => role(),
        6 => machine(),
        1 => select(vec![LENIENT, "maxRemovedPercent: 10, maxRemoved: 1"])
            .prop_map(|guards| cluster("c", guards)),
        1 => select(vec!["[", "kind: User\n", "# nothing\n"]).prop_map(str::to_owned),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    // The cluster file, on which the whole repo depends, is edited less often, so that enough commits are admitted.
    let path = || prop_oneof![1 => Just(PATHS[0]), 30 => select(PATHS[1..].to_vec())];
    let ignore = proptest::option::of(select(IGNORED.to_vec()));
    prop_oneof![
        8 => (path(), content()).prop_map(|(path, text)| Edit::Write(path, text)),
        2 => (path(), content()).prop_map(|(path, text)| Edit::Append(path, text)),
        3 => path().prop_map(Edit::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Edit::Move(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Edit::Copy(from, to)),
        1 => ignore.prop_map(Edit::Ignore),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let edits = prop::collection::vec(edit(), 0..3);
    let from = proptest::option::weighted(0.2, any::<Index>());
    (edits, 0..30i64, from).prop_map(|(edits, hours, from)| Step { edits, hours, from })
}

/// A valid repo that the edits start from.
fn first() -> Files {
    let admin = document("User", "root", "roles: [admin]");
    [
        ("cluster.yaml", cluster("c", LENIENT)),
        ("root.yaml", admin),
    ]
    .map(|(path, text)| (path.to_owned(), text.into_bytes()))
    .into()
}

/// The parts of a decision that a pass uses.
type Decided = Result<(Target, Plan), Vec<Finding>>;

/// A decision, and the documents from which the next one can start.
fn decided(
    in_force: &InForce,
    made_of: Option<&Checked>,
    number: u8,
    loaded: Loaded,
    now: Timestamp,
) -> (Decided, Option<Checked>) {
    let baseline = Baseline {
        in_force,
        recent: &[],
        others: &[],
        people: &NOBODY,
        made_of,
        now,
    };
    let revision = Revision {
        commit: commit(number),
        loaded,
    };
    match decide(None, &baseline, None, revision) {
        Ok(admitted) => (Ok((admitted.target, admitted.plan)), Some(admitted.made_of)),
        Err(findings) => (Err(findings), None),
    }
}

/// A history under construction, each commit on top of what the previous ones left.
struct History {
    loader: Loader,
    files: Files,
    now: Timestamp,
    /// One memory for each commit so far, refused or not.
    memories: Vec<Memory>,
    in_force: InForce,
    made_of: Option<Checked>,
    peers: ControlPeers,
}

impl History {
    fn new() -> Self {
        Self {
            loader: Loader::new(None),
            files: first(),
            now: t(START),
            memories: vec![Memory::default()],
            in_force: InForce::default(),
            made_of: None,
            peers: ControlPeers::default(),
        }
    }

    /// Returns whether the commit was applied.
    fn commit(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        step.edits
            .iter()
            .for_each(|edit| edit.apply(&mut self.files));
        self.now += SignedDuration::from_hours(step.hours);
        let tree = Uploaded::new(&self.files).unwrap();
        let last = self.memories.len() - 1;
        let from = step
            .from
            .map_or(last, |from| from.index(self.memories.len()));
        let (mut loaded, memory) = load(&self.loader, &self.memories[from], &tree).unwrap();
        let (mut fresh, _) = load(&self.loader, &Memory::default(), &tree).unwrap();
        // Only the number of files read may differ.
        prop_assert!(loaded.parsed <= fresh.parsed);
        (loaded.parsed, fresh.parsed) = (0, 0);
        prop_assert_eq!(&loaded, &fresh);
        let number = u8::try_from(self.memories.len()).unwrap();
        self.memories.push(memory);
        let made_of = self.made_of.as_ref();
        let (decided_now, documents) = decided(&self.in_force, made_of, number, loaded, self.now);
        let (from_nothing, _) = decided(&self.in_force, None, number, fresh, self.now);
        prop_assert_eq!(&decided_now, &from_nothing);
        let admitted = decided_now.is_ok();
        if let Ok((target, _)) = decided_now {
            self.made_of = documents;
            self.in_force = InForce {
                applied: Some(target.applied().clone()),
                objects: target.objects().clone(),
            };
        }
        self.follow()?;
        Ok(admitted)
    }

    /// Updates the peers to what is in force now; that can change after a refused commit too, if something has expired.
    fn follow(&mut self) -> Result<(), TestCaseError> {
        self.peers.follow(&self.in_force.objects, self.now);
        let (fresh, left_out) = self.in_force.objects.control_peers(self.now);
        prop_assert_eq!(self.peers.peers(), &fresh);
        prop_assert_eq!(self.peers.left_out(), left_out.as_slice());
        Ok(())
    }
}

#[test]
fn an_incremental_result_equals_one_computed_from_scratch() {
    let (admitted, refused) = (Cell::new(0), Cell::new(0));
    let steps = prop::collection::vec(step(), 1..12);
    let mut runner = TestRunner::default();
    let result = runner.run(&steps, |steps| {
        let mut history = History::new();
        for step in &steps {
            let count = if history.commit(step)? {
                &admitted
            } else {
                &refused
            };
            count.set(count.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // Both outcomes are frequent enough to be tested.
    let (admitted, refused) = (admitted.get(), refused.get());
    assert!(
        admitted > 50 && refused > 50,
        "{admitted} in force, {refused} refused"
    );
}
