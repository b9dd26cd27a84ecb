//! Leader election among engines that share a store.
//!
//! A running engine holds a lease. One engine owns the leader key, which is deleted when its lease expires; then the
//! others try to create the key, and the store lets one succeed. Every write by the leader compares the revision at
//! which the key was created ([`Term`], a fencing token), so an engine that was paused or partitioned and does not know
//! that another took over cannot write. In addition, its own clock ends the term when the lease was not renewed for as
//! long as it lasts.

use std::sync::Arc;
use std::time::Duration;

use banyan_core::Name;
use banyan_store::{Compare, LeaseId, Outcome, StoreError, Txn, report};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engines::{Alive, Registration, Seat};
use crate::{State, StateError, Term, View, key, stored};

/// How long an engine counts as running after its last renewal.
pub const LEASE: Duration = Duration::from_secs(3);
/// Interval of lease renewals.
const BEAT: Duration = Duration::from_secs(1);
/// How long to wait before trying again to get a lease.
const RETRY: Duration = Duration::from_millis(500);

/// The current role of an engine.
#[derive(Debug, Clone)]
pub enum Leadership {
    /// It is the only engine, on a store that no other can open.
    Alone,
    /// It leads, that is, it reconciles.
    Leads {
        /// The right to write.
        term: Term,
        /// Since when it leads.
        since: Timestamp,
        /// How it became the leader.
        reason: String,
    },
    /// It follows: it serves, and another engine reconciles.
    Follows {
        /// The leader it follows, or what it is waiting for.
        reason: String,
    },
    /// It cannot reach the store: it serves what it knows and cannot be elected.
    CutOff {
        /// The reason.
        reason: String,
    },
}

impl Leadership {
    /// Waits until the role changes; forever, if it cannot change any more.
    pub async fn changed(leadership: &mut watch::Receiver<Self>) {
        if leadership.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The fencing token, while it leads.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        match self {
            Self::Alone => Some(Term::alone()),
            Self::Leads { term, .. } => term.is_valid().then(|| term.clone()),
            Self::Follows { .. } | Self::CutOff { .. } => None,
        }
    }

    /// The role in one word: `alone`, `leads`, `follows` or `cut-off`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Leads { .. } => "leads",
            Self::Follows { .. } => "follows",
            Self::CutOff { .. } => "cut-off",
        }
    }

    /// The reason, for users.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Alone => "no other engine can open this store",
            Self::Leads { reason, .. } | Self::Follows { reason } | Self::CutOff { reason } => {
                reason
            }
        }
    }
}

/// The engine that takes part in the election.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name in the cluster.
    pub name: Name,
    /// What it publishes while it runs.
    pub alive: Alive,
    /// What it registers permanently.
    pub registration: Registration,
}

/// Keeps an engine's lease and takes part in elections.
pub struct Election {
    state: Arc<State>,
    me: Member,
    now: fn() -> Timestamp,
    role: watch::Sender<Leadership>,
}

/// A lease that is held.
struct Session {
    lease: LeaseId,
    /// When the lease may have expired, as far as this process knows.
    valid_until: Instant,
    /// Whether that time has passed; the lease may still be alive if a response was lost.
    doubtful: bool,
    term: Option<Term>,
}

impl Election {
    /// An election that has not started, and the receiver for its result.
    #[must_use]
    pub fn new(
        state: Arc<State>,
        me: Member,
        now: fn() -> Timestamp,
    ) -> (Self, watch::Receiver<Leadership>) {
        let reason = "the store has not been reached yet".to_owned();
        let (role, roles) = watch::channel(Leadership::CutOff { reason });
        let election = Self {
            state,
            me,
            now,
            role,
        };
        (election, roles)
    }

    /// Takes part in elections until cancelled, then releases the lead at once.
    pub async fn run(self, stop: CancellationToken) {
        let mut session = None;
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.hold_leases(&mut session) => {}
        }
        self.set_role(Leadership::CutOff {
            reason: "the engine is stopping".to_owned(),
        });
        if let Some(Session { lease, .. }) = session {
            // Without a response, the lease expires shortly afterwards.
            let _ = tokio::time::timeout(LEASE, self.state.store().revoke(lease)).await;
        }
    }

    /// Acquires a lease, and a new one whenever it is lost, forever.
    async fn hold_leases(&self, session: &mut Option<Session>) {
        loop {
            let begun = self.acquire().await;
            self.hold(session.insert(begun)).await;
            *session = None;
        }
    }

    /// Acquires a lease, retrying until it succeeds.
    async fn acquire(&self) -> Session {
        loop {
            match self.try_acquire().await {
                Ok(Some(session)) => return session,
                Ok(None) => {
                    let reason = format!(
                        "an engine named {} is already running; unless this engine was just restarted, give each engine a unique engine.name",
                        self.me.name
                    );
                    if self.set_role(Leadership::CutOff {
                        reason: reason.clone(),
                    }) {
                        warn!(reason, "this engine cannot join the others");
                    }
                }
                Err(error) => self.store_failed(&error),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// `None` if an engine with this name is running.
    async fn try_acquire(&self) -> Result<Option<Session>, StateError> {
        let store = self.state.store();
        let asked = Instant::now();
        let lease = store.grant(LEASE).await?;
        let key = key::alive(&self.me.name);
        // An engine must also not start on a store that is being filled from a backup.
        let restoring = key::RESTORING.to_owned();
        let txn = Txn::new()
            .when(Compare::Absent { key: key.clone() })
            .when(Compare::Absent { key: restoring })
            .put_leased(key, stored::encode(&self.me.alive)?, lease);
        if let Outcome::Conflict { failed } = store.commit(txn).await? {
            let _ = store.revoke(lease).await;
            if failed.iter().any(|key| key == key::RESTORING) {
                let what = "a backup is being restored into the store".to_owned();
                return Err(StateError::Conflict { what });
            }
            return Ok(None);
        }
        self.register().await?;
        Ok(Some(Session {
            lease,
            valid_until: asked + LEASE,
            doubtful: false,
            term: None,
        }))
    }

    /// Registers this engine in the cluster, unless it already is.
    async fn register(&self) -> Result<(), StateError> {
        let (store, name) = (self.state.store(), &self.me.name);
        let snapshot = store.snapshot().await?;
        let key = key::engine(name);
        let known = snapshot.get(&key).await?;
        let known = known.and_then(|e| stored::decode::<Registration>(&key, &e.value).ok());
        let registration = Registration {
            registered_at: (known.as_ref())
                .map_or(self.me.registration.registered_at, |k| k.registered_at),
            ..self.me.registration.clone()
        };
        if known.as_ref() != Some(&registration) {
            let txn = Txn::new().put(key, stored::encode(&registration)?);
            store.commit(txn).await?;
        }
        if snapshot.get(key::ENGINE_V4).await?.is_none() {
            let first = Txn::new()
                .when(Compare::Absent {
                    key: key::ENGINE_V4.to_owned(),
                })
                .put(key::ENGINE_V4, stored::encode(name)?);
            store.commit(first).await?;
        }
        Ok(())
    }

    /// Renews the lease and tries to become the leader, until the lease is lost.
    async fn hold(&self, session: &mut Session) {
        let mut changes = self.state.changes();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            changes.mark_unchanged();
            if !session.doubtful {
                let view = self.state.view();
                self.follow_view(session, &view).await;
            }
            tokio::select! {
                _ = beat.tick() => match self.keep_alive(session).await {
                    Ok(()) => {}
                    Err(StoreError::LeaseNotFound { .. }) => {
                        return self.session_ended(session, "the lease expired");
                    }
                    Err(error) => self.renewal_failed(session, &report(&error)),
                },
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep_until(session.valid_until), if !session.doubtful => {
                    self.renewal_failed(session, "no response within the lease's duration");
                }
            }
        }
    }

    async fn keep_alive(&self, session: &mut Session) -> Result<(), StoreError> {
        let asked = Instant::now();
        let deadline = session.valid_until.max(asked + BEAT);
        let kept = self.state.store().keep_alive(session.lease);
        let answer = tokio::time::timeout_at(deadline, kept).await;
        answer
            .unwrap_or_else(|_| Err(StoreError::unavailable("keeping the lease", "no answer")))?;
        session.valid_until = asked + LEASE;
        session.doubtful = false;
        if let Some(term) = &session.term {
            term.extend(session.valid_until);
        }
        Ok(())
    }

    fn renewal_failed(&self, session: &mut Session, why: &str) {
        if Instant::now() >= session.valid_until {
            session.doubtful = true;
            self.session_ended(session, &format!("the store does not answer: {why}"));
        }
    }

    fn session_ended(&self, session: &mut Session, why: &str) {
        if session.term.take().is_some() {
            warn!(reason = why, "this engine no longer leads");
        }
        self.set_role(Leadership::CutOff {
            reason: why.to_owned(),
        });
    }

    /// Aligns the role with the view, and campaigns if there is no leader.
    async fn follow_view(&self, session: &mut Session, view: &View) {
        let leading = session.term.as_ref().and_then(Term::elected_at);
        let leader = view.leader.as_ref();
        if let Some(at) = leading {
            let overtaken = view.revision >= at && leader.is_none_or(|leader| leader.elected != at);
            if !overtaken {
                return;
            }
            session.term = None;
            warn!("the leader key no longer belongs to this engine");
        }
        match leader {
            Some(leader) if leader.lease == Some(session.lease) => {
                self.lead(session, leader.elected, leader.since, "it was elected");
            }
            Some(leader) => {
                let reason = format!("{} leads since {:.0}", leader.engine, leader.since);
                if self.set_role(Leadership::Follows { reason }) {
                    info!(leader = %leader.engine, "this engine follows");
                }
            }
            None if self.state.freshness().borrow().following => {
                // Without a response it may have been elected; the view will then show it.
                let campaign = tokio::time::timeout_at(session.valid_until, self.campaign(session));
                if let Ok(Err(error)) = campaign.await {
                    self.store_failed(&error);
                }
            }
            None => {
                self.set_role(Leadership::CutOff {
                    reason: "this engine's view of the store is not up to date".to_owned(),
                });
            }
        }
    }

    async fn campaign(&self, session: &mut Session) -> Result<(), StateError> {
        let since = (self.now)();
        let seat = Seat {
            engine: self.me.name.clone(),
            since,
        };
        let txn = Txn::new()
            .when(Compare::Absent {
                key: key::LEADER.to_owned(),
            })
            .put_leased(key::LEADER, stored::encode(&seat)?, session.lease);
        match self.state.store().commit(txn).await? {
            Outcome::Committed(at) => self.lead(session, at, since, "no other engine led"),
            Outcome::Conflict { .. } => {
                self.set_role(Leadership::Follows {
                    reason: "another engine was elected just now".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn lead(&self, session: &mut Session, at: banyan_store::Revision, since: Timestamp, why: &str) {
        let term = Term::elected(at, session.valid_until);
        session.term = Some(term.clone());
        info!(reason = why, "this engine leads");
        self.set_role(Leadership::Leads {
            term,
            since,
            reason: format!("since {since:.0}: {why}"),
        });
    }

    /// The store gave no response, or an error.
    fn store_failed(&self, error: &StateError) {
        self.set_role(Leadership::CutOff {
            reason: report(error),
        });
    }

    /// Sets the role; returns whether it changed.
    fn set_role(&self, role: Leadership) -> bool {
        self.role.send_if_modified(|known| {
            let same = role.as_str() == known.as_str()
                && role.reason() == known.reason()
                && !matches!(role, Leadership::Leads { .. });
            if !same {
                *known = role;
            }
            !same
        })
    }
}
