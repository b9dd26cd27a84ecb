use anyhow::Result;
use banyan_core::fixture::t;
use banyan_core::{Floor, Recipient};
use banyan_git::Source;
use banyan_manifest::Identities;
use banyan_repo::EngineContext;
use banyan_state::{Leadership, State};
use banyan_store::MemoryStore;
use banyan_testkit::git::TestRepo;
use tokio::sync::{broadcast, watch};

use super::*;
use crate::audit::{Audit, Unsettled};
use crate::ops::metrics::Metrics;
use crate::reconcile::Requests;
use crate::status::Status;
use crate::tunnel::peers::PeersDone;

struct Setup {
    repo: TestRepo,
    reconciler: Reconciler,
    term: Term,
    recipient: Recipient,
}

impl Setup {
    async fn new() -> Result<Self> {
        let repo = TestRepo::new()?;
        let source = Source {
            url: repo.url().parse()?,
            branch: "main".to_owned(),
        };
        let reader = Reader::open(&repo.dir().join("clone.git"), source, None, None)?;
        let state = Arc::new(State::open(Arc::new(MemoryStore::new())).await?);
        let metrics = Arc::new(Metrics::new());
        let (audit, _) = Audit::new(state.audit("north".parse()?), 100, Arc::clone(&metrics));
        let reconciler = Reconciler {
            state,
            reader: Arc::new(std::sync::Mutex::new(reader)),
            context: EngineContext::default(),
            poll: Duration::from_secs(30),
            peers: PeersDone::always(),
            metrics,
            requests: Requests::new().0,
            status: watch::Sender::new(Arc::new(Status::default())),
            events: broadcast::channel(16).0,
            role: watch::channel(Leadership::Alone).1,
            name: None,
            audit,
            unsettled: Unsettled::default(),
        };
        Ok(Self {
            repo,
            reconciler,
            term: Term::alone(),
            recipient: Identities::generate().2,
        })
    }

    /// Commits and pushes a repo with this admin.
    fn push(&self, admin: &str) -> Result<CommitId> {
        let cluster = format!(
            "apiVersion: banyan/v1\nkind: Cluster\nmetadata: {{name: demo}}\nspec: {{recipients: [{}]}}\n",
            self.recipient
        );
        self.repo.write("cluster.yaml", cluster)?;
        for name in ["root", admin] {
            let user = format!(
                "apiVersion: banyan/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{roles: [admin]}}\n"
            );
            self.repo.write(&format!("{name}.yaml"), user)?;
        }
        let id = self.repo.commit(&format!("add {admin}\n"))?;
        self.repo.force_push()?;
        Ok(id.parse()?)
    }

    async fn pass(&mut self) -> Result<&'static str, PassFailure> {
        self.reconciler.reconcile(&self.term, Instant::now()).await
    }

    /// The outcomes in the history, oldest first.
    fn history(&self) -> Vec<&'static str> {
        let view = self.reconciler.state.view();
        let mut outcomes: Vec<_> = (view.history())
            .map(|entry| match entry.outcome {
                Outcome::Applied { .. } => "applied",
                Outcome::Refused { .. } => "refused",
                Outcome::Restored { .. } => "restored",
            })
            .collect();
        outcomes.reverse();
        outcomes
    }
}

/// A branch whose history was rewritten on top of a commit in force; returns the new head.
async fn rewritten() -> Result<(Setup, CommitId)> {
    let mut setup = Setup::new().await?;
    let first = setup.push("alice")?;
    setup.push("bob")?;
    assert_eq!(setup.pass().await?, "applied");
    setup.repo.reset(&first.to_string())?;
    let head = setup.push("carol")?;
    Ok((setup, head))
}

#[tokio::test]
async fn a_commit_that_is_accepted_while_it_is_judged_is_not_refused() -> Result<()> {
    let (mut setup, head) = rewritten().await?;
    let state = Arc::clone(&setup.reconciler.state);
    let reader = Arc::clone(&setup.reconciler.reader);
    let revision = with_reader(&reader, Reader::read).await??;
    assert_eq!(revision.commit.id, head);
    let attempt = setup.reconciler.attempt();
    let ancestry = attempt.ancestry(&reader, head).await?;
    let accepted = Floor::Accepted {
        commit: head,
        at: t("2026-01-01T00:00:00Z"),
    };
    state.set_floor(&accepted).await?;
    let concluded = setup
        .reconciler
        .conclude(&setup.term, &attempt, revision, ancestry, Instant::now())
        .await;
    assert!(
        concluded.is_err_and(|failure| failure.is_superseded()),
        "it was decided on an outdated state"
    );
    assert_eq!(setup.history(), ["applied"]);
    assert_eq!(setup.pass().await?, "applied");
    assert_eq!(setup.history(), ["applied", "applied"]);
    assert_eq!(state.view().floor, None);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_is_not_accepted_is_refused_once() -> Result<()> {
    let (mut setup, _) = rewritten().await?;
    for _ in 0..2 {
        assert_eq!(setup.pass().await?, "refused");
    }
    assert_eq!(setup.history(), ["applied", "refused"]);
    Ok(())
}
