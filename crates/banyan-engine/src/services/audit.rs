//! The audit log.

use std::collections::VecDeque;
use std::sync::Arc;

use banyan_api::timestamp;
use banyan_api::v1;
use banyan_api::v1::audit_service_server::AuditService;
use banyan_api::v1::{
    AuditChain, AuditHead, ListAuditRequest, ListAuditResponse, VerifyAuditRequest,
    VerifyAuditResponse,
};
use banyan_core::Name;
use banyan_core::audit::{Actor, AuditEntry, Head, Outcome};
use banyan_state::{AuditError, AuditLog, Found, Recorded, State, StateError};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use super::parse_name;
use crate::refusal::unavailable;

/// The default number of entries in a response.
const LISTED: usize = 50;
/// The most entries in a response.
const MAX_LISTED: usize = 1_000;
/// How many entries of one engine are read at a time.
const PAGE: usize = 256;

/// The audit log.
pub(crate) struct AuditApi {
    pub(crate) state: Arc<State>,
}

#[tonic::async_trait]
impl AuditService for AuditApi {
    async fn list_audit(
        &self,
        request: Request<ListAuditRequest>,
    ) -> Result<Response<ListAuditResponse>, Status> {
        let request = request.into_inner();
        let engines = match request.engine.as_str() {
            "" => None,
            name => Some(vec![parse_name(name)?]),
        };
        let entries = self.audit_entries(engines, &request).await;
        let entries = entries.map_err(|error| unavailable(&error))?;
        Ok(Response::new(ListAuditResponse { entries }))
    }

    async fn verify_audit(
        &self,
        _: Request<VerifyAuditRequest>,
    ) -> Result<Response<VerifyAuditResponse>, Status> {
        let state = &self.state;
        let engines = state.audited_engines().await;
        let mut chains = Vec::new();
        for engine in engines.map_err(|error| unavailable(&error))? {
            let log = state.audit(engine);
            chains.push(verify(&log).await.map_err(|error| unavailable(&error))?);
        }
        Ok(Response::new(VerifyAuditResponse { chains }))
    }
}

impl AuditApi {
    /// The newest matching entries of these engines, newest first.
    async fn audit_entries(
        &self,
        engines: Option<Vec<Name>>,
        wanted: &ListAuditRequest,
    ) -> Result<Vec<v1::AuditEntry>, StateError> {
        let limit = match usize::try_from(wanted.limit).unwrap_or(MAX_LISTED) {
            0 => LISTED,
            some => some.min(MAX_LISTED),
        };
        let engines = match engines {
            Some(engines) => engines,
            None => self.state.audited_engines().await?,
        };
        let mut logs = Vec::new();
        for engine in engines {
            logs.push(Reading::new(self.state.audit(engine)));
        }
        let mut entries = Vec::new();
        while entries.len() < limit {
            let Some((engine, recorded)) = newest(&mut logs, wanted).await? else {
                break;
            };
            entries.push(message(&engine, recorded));
        }
        Ok(entries)
    }
}

/// One log, read from its end.
struct Reading {
    log: AuditLog,
    read: VecDeque<Recorded>,
    before: Option<u64>,
    over: bool,
}

impl Reading {
    fn new(log: AuditLog) -> Self {
        Self {
            log,
            read: VecDeque::new(),
            before: None,
            over: false,
        }
    }

    /// Advances to the next matching entry.
    async fn seek(&mut self, wanted: &ListAuditRequest) -> Result<(), StateError> {
        loop {
            while let Some(first) = self.read.front() {
                if fits(first, wanted) {
                    return Ok(());
                }
                self.read.pop_front();
            }
            if self.over {
                return Ok(());
            }
            self.read = self.log.list(self.before, PAGE).await?.into();
            match self.read.back() {
                Some(last) if last.seq > 1 => self.before = Some(last.seq),
                _ => self.over = true,
            }
        }
    }
}

/// The newest entry of all logs. Within a log the order is the log's, regardless of clocks.
async fn newest(
    logs: &mut [Reading],
    wanted: &ListAuditRequest,
) -> Result<Option<(Name, Recorded)>, StateError> {
    for log in &mut *logs {
        log.seek(wanted).await?;
    }
    let newest = logs.iter_mut().max_by_key(|log| {
        let first = log.read.front()?;
        Some(match &first.found {
            Found::Entry(entry) => entry.at,
            // An unreadable entry comes first.
            Found::Unreadable | Found::Missing => Timestamp::MAX,
        })
    });
    Ok(newest.and_then(|log| {
        let recorded = log.read.pop_front()?;
        Some((log.log.engine().clone(), recorded))
    }))
}

/// Whether an entry matches. An unreadable one could be anything, so it always does.
fn fits(recorded: &Recorded, wanted: &ListAuditRequest) -> bool {
    let Found::Entry(entry) = &recorded.found else {
        return true;
    };
    let refused = matches!(entry.outcome, Outcome::Refused { .. });
    let action = entry.action.as_str();
    let of_action = wanted.action.is_empty()
        || action == wanted.action
        || (action.strip_prefix(&wanted.action)).is_some_and(|rest| rest.starts_with('.'));
    of_action
        && (refused || !wanted.refused)
        && (wanted.user.is_empty() || concerns(entry, &wanted.user))
}

/// Whether a user is the actor or the object.
fn concerns(entry: &AuditEntry, user: &str) -> bool {
    let by = match &entry.actor {
        Actor::User { name, .. } => name.as_str() == user,
        Actor::Nobody { claimed } => claimed.as_ref().is_some_and(|name| name.as_str() == user),
        Actor::Host { .. } | Actor::Git { .. } | Actor::Engine => false,
    };
    let object = entry.object.as_ref().map(|object| object.as_str());
    by || object.and_then(|object| object.strip_prefix("user ")) == Some(user)
}

fn message(engine: &Name, recorded: Recorded) -> v1::AuditEntry {
    let place = v1::AuditEntry {
        engine: engine.to_string(),
        number: recorded.seq,
        hash: recorded
            .hash
            .map(|hash| hash.to_string())
            .unwrap_or_default(),
        ..v1::AuditEntry::default()
    };
    let entry = match recorded.found {
        Found::Entry(entry) => *entry,
        found => {
            let what = match found {
                Found::Missing => "there is no such entry any more",
                _ => "this entry cannot be read",
            };
            return v1::AuditEntry {
                outcome: "broken".to_owned(),
                reason: format!("{what}; see `banyan audit verify`"),
                ..place
            };
        }
    };
    let (outcome, reason) = match &entry.outcome {
        Outcome::Done => ("done", String::new()),
        Outcome::Refused { reason } => ("refused", reason.to_string()),
    };
    v1::AuditEntry {
        at: Some(timestamp(entry.at)),
        actor: actor(&entry.actor),
        via: entry.via.map(|via| via.to_string()).unwrap_or_default(),
        action: entry.action.to_string(),
        object: entry
            .object
            .map(|object| object.to_string())
            .unwrap_or_default(),
        outcome: outcome.to_owned(),
        reason,
        commit: entry
            .commit
            .map(|commit| commit.to_string())
            .unwrap_or_default(),
        detail: entry
            .detail
            .map(|detail| detail.to_string())
            .unwrap_or_default(),
        ..place
    }
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::Host { uid } => format!("host (uid {uid})"),
        Actor::User { name, .. } => name.to_string(),
        Actor::Git { author, .. } => format!("git ({author})"),
        Actor::Engine => "engine".to_owned(),
        Actor::Nobody { claimed: None } => "nobody".to_owned(),
        Actor::Nobody {
            claimed: Some(name),
        } => format!("nobody (as {name})"),
    }
}

/// Verifies one chain from end to end. A broken chain is a result, not an error.
async fn verify(log: &AuditLog) -> Result<AuditChain, StateError> {
    let engine = log.engine().to_string();
    match log.verify(None).await {
        Ok(verified) => Ok(AuditChain {
            entries: verified.head.kept(),
            first: verified.head.first,
            head: Some(head(&engine, &verified.head)),
            broken: String::new(),
            engine,
        }),
        Err(AuditError::Broken(broken)) => Ok(AuditChain {
            broken: broken.to_string(),
            engine,
            ..AuditChain::default()
        }),
        Err(AuditError::State(error)) => Err(error),
    }
}

fn head(engine: &str, head: &Head) -> AuditHead {
    AuditHead {
        engine: engine.to_owned(),
        number: head.seq,
        hash: head.hash.to_string(),
    }
}
