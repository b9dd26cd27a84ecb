//! The repo of the crash tests: complete states that differ in every single object, and the commits that move the
//! branch from one to the next.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use banyan_api::v1::{ListMachinesResponse, ListUsersResponse};
use banyan_testkit::git::{DATE, TestRepo, git_input};

/// The branch that the engine follows.
const BRANCH: &str = "refs/heads/main";

/// A cluster must have a recipient, although nothing here is sealed.
const RECIPIENT: &str = "age1hvafkevr3mxpn9q7842dmnstcz9ksu3s46ep7naxtk2jmj2qlp8susq83v";

/// A state that the repo may declare. Its number is in the text of every object, so that no two states share one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    pub(crate) number: usize,
    pub(crate) users: usize,
    pub(crate) machines: usize,
}

/// How the objects of a state are distributed over files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One file per kind: little to read.
    Few,
    /// One file per object: much to fetch.
    Many,
}

/// The repo, every commit its branch has pointed at, and the generation of each.
pub(crate) struct World {
    repo: TestRepo,
    states: Vec<State>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Oldest first.
    commits: Vec<(String, State)>,
    /// The index of the commit, by generation. Once set, it must not change.
    generations: BTreeMap<u64, usize>,
    /// The states that may be in force until the newest commit is.
    possible: Vec<State>,
}

impl World {
    /// A repo with these states and no branch yet.
    pub(crate) fn new(states: Vec<State>, layout: Layout) -> Result<Self> {
        let repo = TestRepo::new()?;
        let mut stream = Vec::new();
        for state in &states {
            state.import(layout, &mut stream)?;
        }
        git_input(&repo.path(), ["fast-import", "--quiet"], &stream)?;
        Ok(Self {
            repo,
            states,
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's URL of it.
    pub(crate) fn url(&self) -> String {
        self.repo.url()
    }

    /// The numbers of the states that are not in force and cannot come into force.
    pub(crate) fn others(&self) -> Vec<usize> {
        let known = self.known();
        let is_other = |state: &&State| known.possible.iter().all(|p| p.number != state.number);
        self.states
            .iter()
            .filter(is_other)
            .map(|s| s.number)
            .collect()
    }

    /// The newest commit.
    pub(crate) fn newest(&self) -> Option<(String, State)> {
        self.known().commits.last().cloned()
    }

    /// Commits a state; [`Self::publish`] moves the branch to it.
    pub(crate) fn commit(&self, number: usize) -> Result<()> {
        let state = *self.states.get(number).context("no such state")?;
        let mut known = self.known();
        let tree = format!("refs/states/{number}^{{tree}}");
        let message = message(&known.possible, &state);
        let mut args = vec!["commit-tree".to_owned(), tree, "-m".to_owned(), message];
        if let Some((parent, _)) = known.commits.last() {
            args.extend(["-p".to_owned(), parent.clone()]);
        }
        known.commits.push((self.repo.git_bare(args)?, state));
        known.possible.push(state);
        Ok(())
    }

    /// Moves the branch to the newest commit.
    pub(crate) fn publish(&self) -> Result<()> {
        let (id, _) = self.newest().context("there is no commit")?;
        self.repo.git_bare(["update-ref", BRANCH, &id])?;
        Ok(())
    }

    /// Records that the newest commit is in force, so nothing else can be.
    pub(crate) fn settle(&self) {
        let mut known = self.known();
        known.possible = known.commits.last().map(|(_, s)| *s).into_iter().collect();
    }

    /// The newest generation reported by any engine.
    pub(crate) fn generation(&self) -> u64 {
        let known = self.known();
        known.generations.keys().next_back().copied().unwrap_or(0)
    }

    /// Records the commit of a generation and returns that commit's state. Fails if the generation belonged to another
    /// commit before, or if generations and commits are ordered differently.
    pub(crate) fn learn(&self, generation: u64, commit: &str) -> Result<State> {
        let mut known = self.known();
        let index = known.commits.iter().rposition(|(id, _)| id == commit);
        let index = index
            .with_context(|| format!("generation {generation} is of no commit: {commit:?}"))?;
        let before = known.generations.range(..generation).next_back();
        let after = known.generations.range(generation + 1..).next();
        let told = known.generations.get(&generation);
        ensure!(
            told.is_none_or(|told| *told == index)
                && before.is_none_or(|(_, before)| *before < index)
                && after.is_none_or(|(_, after)| *after > index),
            "generation {generation} is now commit number {index}, {commit}; it was {told:?}, and beside it are {before:?} \
             and {after:?}"
        );
        known.generations.insert(generation, index);
        let (_, state) = known.commits.get(index).context("no such commit")?;
        Ok(*state)
    }

    /// Checks that a list of users is exactly that of the commit of its generation.
    pub(crate) fn judge_users(&self, answer: &ListUsersResponse) -> Result<()> {
        let got = answer.users.iter().map(|user| {
            let commit = user.origin.as_ref().map_or("", |o| o.commit.as_str());
            (user.name.as_str(), user.email.as_str(), commit)
        });
        self.judge("users", answer.generation, got, State::user_list)
    }

    /// Like [`Self::judge_users`], for machines.
    pub(crate) fn judge_machines(&self, answer: &ListMachinesResponse) -> Result<()> {
        let got = answer.machines.iter().map(|machine| {
            let commit = machine.origin.as_ref().map_or("", |o| o.commit.as_str());
            (machine.name.as_str(), machine.endpoint.as_str(), commit)
        });
        self.judge("machines", answer.generation, got, State::machine_list)
    }

    fn judge<'a>(
        &self,
        what: &str,
        generation: u64,
        got: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
        list: fn(&State) -> Vec<(String, String)>,
    ) -> Result<()> {
        let mut got = got.peekable();
        let commit = got.peek().map_or("", |(_, _, commit)| *commit);
        let state = match generation {
            0 => None,
            _ => Some(self.learn(generation, commit)?),
        };
        let wanted = state.as_ref().map_or_else(Vec::new, list);
        let mut wanted = wanted.iter();
        for (name, text, origin) in got {
            let next = wanted.next().map(|(n, t)| (n.as_str(), t.as_str()));
            ensure!(
                next == Some((name, text)) && origin == commit,
                "generation {generation} is commit {commit}, {state:?}, but its {what} have {name} {text} of commit {origin} \
                 where {next:?} should be"
            );
        }
        let missing = wanted.next();
        ensure!(
            missing.is_none(),
            "generation {generation} is {state:?}, but its {what} end before {missing:?}"
        );
        Ok(())
    }
}

/// A commit message that announces the exact number of removals, whichever state is in force by then: the guards of
/// these repos allow no others.
fn message(possible: &[State], after: &State) -> String {
    let gone = |before: &State| {
        let users = before.users.saturating_sub(after.users);
        let machines = before.machines.saturating_sub(after.machines);
        format!("Banyan-Allow-Removals: user={users}, machine={machines}\n")
    };
    let trailers: String = possible.iter().map(gone).collect();
    format!("State {}\n\n{trailers}", after.number)
}

impl State {
    /// The users by name, each with its address. The first one is the admin.
    fn user_list(&self) -> Vec<(String, String)> {
        let names = (0..self.users).map(|n| format!("u-{n:03}"));
        names
            .map(|name| {
                let email = format!("{name}@s{}.example", self.number);
                (name, email)
            })
            .collect()
    }

    /// The machines by name, each with its endpoint.
    fn machine_list(&self) -> Vec<(String, String)> {
        let names = (0..self.machines).map(|n| format!("m-{n:03}"));
        names
            .map(|name| {
                let endpoint = format!("{name}.s{}.example:51820", self.number);
                (name, endpoint)
            })
            .collect()
    }

    fn cluster() -> String {
        // No removal without its trailer; that also keeps removals out of the guards' memory, which would grow.
        format!(
            "apiVersion: banyan/v1\nkind: Cluster\nmetadata: {{name: crash}}\nspec:\n  controlRange: 10.200.0.0/16\n  \
         meshRange: 10.201.0.0/16\n  recipients: [{RECIPIENT}]\n  requireSealed: false\n  guards: {{maxRemovedPercent: 0, maxRemoved: 0}}\n"
        )
    }

    fn files(&self, layout: Layout) -> Vec<(String, String)> {
        let users = self.user_list().into_iter().map(|(name, email)| {
            let document = format!(
                "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{roles: [admin], email: {email}}}\n"
            );
            (format!("users/{name}.yaml"), document)
        });
        let machines =
            self.machine_list()
                .into_iter()
                .enumerate()
                .map(|(number, (name, endpoint))| {
                    // Base64 of 32 bytes. The range of its first bytes avoids the keys that are refused.
                    let key = format!("BANYAN{number:036}A=");
                    let document = format!(
                        "apiVersion: banyan/v1\nkind: Machine\nmetadata: {{name: {name}}}\n\
                 spec: {{type: agent, publicKey: {{plain: {key}}}, endpoint: {endpoint:?}}}\n"
                    );
                    (format!("machines/{name}.yaml"), document)
                });
        let cluster = ("cluster.yaml".to_owned(), Self::cluster());
        match layout {
            Layout::Many => users.chain(machines).chain([cluster]).collect(),
            Layout::Few => {
                let one = |documents: Vec<String>| documents.join("---\n");
                let users = one(users.map(|(_, document)| document).collect());
                let machines = one(machines.map(|(_, document)| document).collect());
                vec![
                    ("users.yaml".to_owned(), users),
                    ("machines.yaml".to_owned(), machines),
                    cluster,
                ]
            }
        }
    }

    /// The state as a commit of its own, for `git fast-import`.
    fn import(&self, layout: Layout, stream: &mut Vec<u8>) -> Result<()> {
        let committer = format!("committer Test <test@example.org> {DATE}");
        write!(
            stream,
            "commit refs/states/{}\n{committer}\ndata 0\n",
            self.number
        )?;
        for (path, content) in self.files(layout) {
            let length = content.len();
            write!(stream, "M 100644 inline {path}\ndata {length}\n{content}\n")?;
        }
        stream.push(b'\n');
        Ok(())
    }
}
