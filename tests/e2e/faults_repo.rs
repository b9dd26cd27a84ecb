//! The repo of the fault tests: each commit marks the objects it sets, so that a list shows which commit it belongs to,
//! and whether it is complete.

use std::collections::{BTreeMap, BTreeSet};

use crate::crash_random::Random;

/// The maximum number of users, and of machines.
const POOL: usize = 300;
/// The object that every commit changes and none removes.
const MARK: &str = "a-mark";

/// The content of a list: names, each with the text that its last commit gave it.
pub(crate) type Rows = Vec<(String, String)>;

/// The kind of list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Users,
    Machines,
}

/// All objects at a commit: by name, the number of the commit that last changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) number: u64,
    users: BTreeMap<String, u64>,
    machines: BTreeMap<String, u64>,
}

impl State {
    /// The state of commit 0.
    pub(crate) fn first() -> Self {
        let half = |prefix: &str| {
            let names = (0..POOL / 2).map(|n| (format!("{prefix}-{n:03}"), 0));
            names.chain([(MARK.to_owned(), 0)]).collect()
        };
        Self {
            number: 0,
            users: half("u"),
            machines: half("m"),
        }
    }

    /// Another state, a few or a few hundred objects away: some are added, removed or changed.
    pub(crate) fn next(&self, random: &mut Random) -> Self {
        let mut next = self.clone();
        next.number += 1;
        let at_most = [4, 60, 60, 400][random.below(4)];
        let mut touched = BTreeSet::new();
        for _ in 0..=random.below(at_most) {
            let (kind, n) = (random.below(2), random.below(POOL));
            if touched.insert((kind, n)) {
                let (list, prefix) = match kind {
                    0 => (&mut next.users, "u"),
                    _ => (&mut next.machines, "m"),
                };
                let name = format!("{prefix}-{n:03}");
                if random.below(4) > 0 || list.remove(&name).is_none() {
                    list.insert(name, next.number);
                }
            }
        }
        next.users.insert(MARK.to_owned(), next.number);
        next.machines.insert(MARK.to_owned(), next.number);
        next
    }

    /// The content of a list in this state.
    pub(crate) fn rows(&self, list: List) -> Rows {
        let (of, text): (_, fn(&str, u64) -> String) = match list {
            List::Users => (&self.users, email),
            List::Machines => (&self.machines, endpoint),
        };
        let rows = of.iter();
        rows.map(|(name, number)| (name.clone(), text(name, *number)))
            .collect()
    }

    /// The text of `users.yaml`.
    pub(crate) fn user_file(&self) -> String {
        let document = |(name, email)| {
            format!(
                "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{roles: [admin], email: {email}}}\n"
            )
        };
        let documents: Vec<_> = (self.rows(List::Users).into_iter()).map(document).collect();
        documents.join("---\n")
    }

    /// The text of `machines.yaml`.
    pub(crate) fn machine_file(&self) -> String {
        let document = |(name, endpoint): (String, String)| {
            // Base64 of 32 bytes. The range of its first bytes avoids the keys that are refused.
            let key = format!("BANYAN{:0>36}A=", name.replace('-', "0"));
            format!(
                "apiVersion: banyan/v1\nkind: Machine\nmetadata: {{name: {name}}}\n\
                 spec: {{type: agent, publicKey: {{plain: {key}}}, endpoint: {endpoint:?}}}\n"
            )
        };
        let documents: Vec<_> = (self.rows(List::Machines).into_iter())
            .map(document)
            .collect();
        documents.join("---\n")
    }

    /// A commit message that announces the exact number of removals, whichever state is in force by then.
    pub(crate) fn message(&self, possible: &[Self]) -> String {
        let gone = |before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>| {
            let gone = before.keys().filter(|name| !after.contains_key(*name));
            gone.count()
        };
        let trailer = |before: &Self| {
            format!(
                "Banyan-Allow-Removals: user={}, machine={}\n",
                gone(&before.users, &self.users),
                gone(&before.machines, &self.machines)
            )
        };
        let trailers: String = possible.iter().map(trailer).collect();
        format!("Commit {}\n\n{trailers}", self.number)
    }
}

/// The commit that a list claims to be of.
pub(crate) fn said_by(rows: &Rows) -> Option<u64> {
    let (_, text) = rows.iter().find(|(name, _)| name == MARK)?;
    let (_, number) = text.split_once(['@', '.'])?;
    number.strip_prefix('c')?.split_once('.')?.0.parse().ok()
}

fn email(name: &str, number: u64) -> String {
    format!("{name}@c{number}.example")
}

fn endpoint(name: &str, number: u64) -> String {
    format!("{name}.c{number}.example:51820")
}
