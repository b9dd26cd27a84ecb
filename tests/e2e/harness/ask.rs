//! Calls to the engine over its local socket.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use banyan_api::v1::{
    Commit, GetGitopsStatusRequest, GitopsStatus, HistoryEntry, ListHistoryRequest,
    ListMachinesRequest, ListRolesRequest, ListUsersRequest, Machine, Role, SyncRequest, User,
};
use banyan_api::{Client, Target};
use banyan_testkit::netns::until;

use super::{Cluster, PATIENCE};

impl Cluster {
    /// Runs a call to its end.
    pub(crate) fn run<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// A connection to the local socket, tried until it works.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        until(PATIENCE, || self.try_client()).unwrap()
    }

    /// A connection to the local socket, tried once.
    pub(crate) fn try_client(&self) -> Result<Client> {
        Ok(self.run(Client::connect(&Target::Socket(self.socket())))?)
    }

    /// The reconciler's status.
    #[track_caller]
    pub(crate) fn status(&self) -> GitopsStatus {
        until(PATIENCE, || self.try_status()).unwrap()
    }

    fn try_status(&self) -> Result<GitopsStatus> {
        let mut gitops = self.try_client()?.gitops();
        let call = gitops.get_status(GetGitopsStatusRequest {});
        let answer = self.run(async { tokio::time::timeout(PATIENCE, call).await });
        Ok(answer??.into_inner())
    }

    /// Requests a pass and waits until it is over.
    #[track_caller]
    pub(crate) fn sync_wait(&self) -> GitopsStatus {
        let mut gitops = self.client().gitops();
        let call = gitops.sync(SyncRequest { wait: true });
        let answer = self.run(async { tokio::time::timeout(PATIENCE, call).await });
        answer.expect("the pass hangs").unwrap().into_inner()
    }

    /// Waits, without requesting a pass, until the status matches.
    #[track_caller]
    pub(crate) fn await_status(
        &self,
        what: &str,
        wanted: impl Fn(&GitopsStatus) -> bool,
    ) -> GitopsStatus {
        let status = until(PATIENCE, || {
            let status = self.try_status()?;
            ensure!(wanted(&status), "no {what}: {status:#?}");
            Ok(status)
        });
        status.unwrap()
    }

    /// Waits, without requesting a pass, until this commit is in force or refused.
    #[track_caller]
    pub(crate) fn await_decision(&self, commit: &str) -> GitopsStatus {
        self.await_status(&format!("decision about {commit}"), |status| {
            let is = |c: &Option<Commit>| c.as_ref().is_some_and(|c| c.id == commit);
            match status.state.as_str() {
                "in-force" => is(&status.applied),
                "refused" => is(&status.seen),
                _ => false,
            }
        })
    }

    /// All users.
    #[track_caller]
    pub(crate) fn users(&self) -> Vec<User> {
        let mut users = self.client().users();
        let answer = self.run(users.list_users(ListUsersRequest {}));
        answer.unwrap().into_inner().users
    }

    /// All machines.
    #[track_caller]
    pub(crate) fn machines(&self) -> Vec<Machine> {
        let mut machines = self.client().machines();
        let answer = self.run(machines.list_machines(ListMachinesRequest {}));
        answer.unwrap().into_inner().machines
    }

    /// All roles, the built-in ones included.
    #[track_caller]
    pub(crate) fn roles(&self) -> Vec<Role> {
        let mut roles = self.client().roles();
        let answer = self.run(roles.list_roles(ListRolesRequest {}));
        answer.unwrap().into_inner().roles
    }

    /// The history, newest first.
    #[track_caller]
    pub(crate) fn history(&self) -> Vec<HistoryEntry> {
        let mut gitops = self.client().gitops();
        let answer = self.run(gitops.list_history(ListHistoryRequest { limit: 1_000 }));
        answer.unwrap().into_inner().entries
    }

    /// The full text of all users and machines: to compare before and after.
    #[track_caller]
    pub(crate) fn picture(&self) -> String {
        let mut picture = String::new();
        for user in self.users() {
            let _ = writeln!(picture, "{user:?}");
        }
        for mut machine in self.machines() {
            machine.peer = None;
            let _ = writeln!(picture, "{machine:?}");
        }
        picture
    }
}
