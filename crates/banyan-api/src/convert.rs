//! Conversions between the domain and the wire.

use std::time::Duration;

use banyan_core::people::{Account, Directory, Person, Session};
use banyan_core::{
    Change, CommitInfo, Counts, Explanation, Finding, Machine, ObservedPeer, Origin, PeerEffect,
    Plan, Pos, Record, Role, SessionId, Severity, control_v6, machine_state,
};
use jiff::Timestamp;

use crate::v1;

/// The most that one plan request may carry, in bytes of file content.
pub const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// An instant on the wire.
#[must_use]
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}

/// An instant from the wire; `None` when it lies outside what can be told.
#[must_use]
pub fn to_jiff(at: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

fn texts<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    values.into_iter().map(|v| v.to_string()).collect()
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// A finding on the wire.
#[must_use]
pub fn finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        path: finding.path.to_string(),
        line: finding.pos.map_or(0, |p| p.line),
        column: finding.pos.map_or(0, |p| p.column),
        severity: finding.severity.to_string(),
        rule: finding.rule.to_string(),
        message: finding.message.clone(),
        help: finding.help.clone().unwrap_or_default(),
    }
}

/// A finding from the wire.
#[must_use]
pub fn from_finding(finding: &v1::Finding) -> Finding {
    Finding {
        path: finding.path.as_str().into(),
        pos: (finding.line > 0).then_some(Pos {
            line: finding.line,
            column: finding.column,
        }),
        severity: match finding.severity.as_str() {
            "warning" => Severity::Warning,
            _ => Severity::Error,
        },
        rule: finding.rule.clone().into(),
        message: finding.message.clone(),
        help: Some(finding.help.clone()).filter(|help| !help.is_empty()),
    }
}

impl From<&CommitInfo> for v1::Commit {
    fn from(commit: &CommitInfo) -> Self {
        Self {
            id: commit.id.to_string(),
            author: commit.author.clone(),
            committed_at: Some(timestamp(commit.committed_at)),
            summary: commit.summary.clone(),
        }
    }
}

impl From<&Origin> for v1::Origin {
    fn from(origin: &Origin) -> Self {
        let of = |from: &str| Self {
            from: from.to_owned(),
            ..Self::default()
        };
        match origin {
            Origin::Git { commit, path, line } => Self {
                commit: commit.to_string(),
                path: path.to_string(),
                line: *line,
                ..of("git")
            },
            Origin::Api => of("api"),
            Origin::File => of("file"),
            Origin::Bootstrap => of("bootstrap"),
        }
    }
}

impl v1::Origin {
    /// What no document declares.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            from: "built-in".to_owned(),
            ..Self::default()
        }
    }
}

impl From<Counts> for v1::Counts {
    fn from(counts: Counts) -> Self {
        Self {
            added: counts.added as u64,
            changed: counts.changed as u64,
            removed: counts.removed as u64,
        }
    }
}

impl v1::User {
    /// A user as they are at `now`, with the number of their live sessions.
    #[must_use]
    pub fn new(person: &Person<'_>, sessions: u32, now: Timestamp) -> Self {
        let (record, user) = (person.record, &person.record.spec);
        let made = user.made.as_ref();
        let lock = person.account.and_then(|account| account.lock.as_ref());
        Self {
            name: user.name.to_string(),
            email: user.email.clone().unwrap_or_default(),
            roles: texts(&user.roles),
            state: person.state(now),
            origin: Some((&record.origin).into()),
            since: Some(timestamp(record.since)),
            expires: user.expires.map(timestamp),
            id: user.id().to_string(),
            created: made.map(|made| timestamp(made.at)),
            created_by: made.map(|made| made.by.clone()).unwrap_or_default(),
            login: login(person, now).to_owned(),
            lock_reason: lock.map(|lock| lock.reason.clone()).unwrap_or_default(),
            sessions,
        }
    }
}

/// How a user could log in at `now`.
fn login(person: &Person<'_>, now: Timestamp) -> &'static str {
    let chosen = person
        .account
        .is_some_and(|account| account.password.is_some());
    let invited = person
        .account
        .is_some_and(|account| account.open_enrolment(now).is_some());
    match (
        chosen || person.record.spec.password_hash.is_some(),
        invited,
    ) {
        (true, true) => "password, enrolment open",
        (true, false) => "password",
        (false, true) => "enrolment open",
        (false, false) => "none",
    }
}

impl v1::Session {
    /// A session as it is at `now`; `account` is its user's.
    #[must_use]
    pub fn new(
        id: &SessionId,
        session: &Session,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Self {
        let ended = session.end(account, now);
        Self {
            id: id.to_string(),
            user: session.name.to_string(),
            created: Some(timestamp(session.created)),
            refreshed: Some(timestamp(session.current.issued)),
            expires: Some(timestamp(session.current.expires)),
            via: session.via.clone(),
            ended: ended.as_ref().map(|ended| timestamp(ended.at)),
            ended_because: text(ended.map(|ended| ended.because)),
            current: false,
        }
    }
}

impl v1::Role {
    /// A role and who has it.
    #[must_use]
    pub fn new(role: &Role, origin: Option<&Origin>, directory: Directory<'_>) -> Self {
        Self {
            name: role.name.to_string(),
            permissions: texts(&role.permissions),
            origin: Some(origin.map_or_else(v1::Origin::built_in, Into::into)),
            holders: texts(directory.holders(&role.name)),
        }
    }
}

impl v1::Machine {
    /// A machine as it is at `now`, with what the device knows of it.
    #[must_use]
    pub fn new(record: &Record<Machine>, peer: Option<&ObservedPeer>, now: Timestamp) -> Self {
        let machine = &record.spec;
        Self {
            name: machine.name.to_string(),
            r#type: machine.machine_type.to_string(),
            public_key: machine.public_key.to_string(),
            control_v4: text(machine.control_v4),
            control_v6: control_v6(&machine.public_key).to_string(),
            endpoint: text(machine.endpoint.as_ref()),
            mesh_address: text(machine.mesh_address),
            routes: texts(&machine.routes),
            expires: machine.expires.map(timestamp),
            protected: machine.protected,
            state: machine_state(machine, now),
            origin: Some((&record.origin).into()),
            since: Some(timestamp(record.since)),
            peer: peer.map(|peer| v1::Peer::new(peer, now)),
        }
    }
}

impl v1::Peer {
    fn new(peer: &ObservedPeer, now: Timestamp) -> Self {
        let before = |ago: Duration| Some(timestamp(now.checked_sub(ago).ok()?));
        Self {
            endpoint: text(peer.endpoint),
            last_handshake: peer.last_handshake.and_then(before),
            received: peer.received,
            sent: peer.sent,
        }
    }
}

impl From<&Change> for v1::Change {
    fn from(change: &Change) -> Self {
        let action = match (&change.before, &change.after) {
            (None, _) => "add",
            (Some(_), Some(_)) => "change",
            (Some(_), None) => "remove",
        };
        Self {
            action: action.to_owned(),
            kind: change.kind.to_string(),
            name: change.name.to_string(),
            text: change.to_string(),
        }
    }
}

impl From<&PeerEffect> for v1::PeerChange {
    fn from(effect: &PeerEffect) -> Self {
        let (machine, effect) = match effect {
            PeerEffect::Joins(name) => (name, "joins"),
            PeerEffect::Leaves(name) => (name, "leaves"),
            PeerEffect::Rekeyed(name) => (name, "rekeyed"),
            PeerEffect::Readdressed(name) => (name, "readdressed"),
        };
        Self {
            machine: machine.to_string(),
            effect: effect.to_owned(),
        }
    }
}

impl From<&Plan> for v1::PlanResponse {
    fn from(plan: &Plan) -> Self {
        let powers = plan.effect.powers.iter().map(|change| v1::PowerChange {
            user: change.user.to_string(),
            gains: texts(&change.gains),
            loses: texts(&change.loses),
        });
        Self {
            generation: plan.parent.0,
            refused: false,
            findings: plan.warnings.iter().map(finding).collect(),
            changes: plan.changes.iter().map(Into::into).collect(),
            powers: powers.collect(),
            peers: plan.effect.peers.iter().map(Into::into).collect(),
            counts: Some(plan.counts().into()),
            text: plan.to_string(),
        }
    }
}

impl From<&Explanation> for v1::Explanation {
    fn from(explanation: &Explanation) -> Self {
        let origin = explanation.origin.as_ref();
        Self {
            kind: explanation.kind.to_string(),
            name: explanation.name.to_string(),
            origin: Some(origin.map_or_else(v1::Origin::built_in, Into::into)),
            generation: explanation.generation.0,
            since: explanation.since.map(timestamp),
            state: explanation.state.clone(),
            implies: explanation.implies.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_comes_back_as_it_went() {
        let path = "users/a.yaml".into();
        let pos = Pos { line: 3, column: 9 };
        for one in [
            Finding::error(&path, pos, "dangling-role", "no role x").help("declare it"),
            Finding::warning(&path, pos, "unused-role", "nobody has it"),
            Finding::whole(&"".into(), "no-cluster", "none"),
        ] {
            assert_eq!(from_finding(&finding(&one)), one);
        }
    }

    #[test]
    fn an_instant_comes_back_as_it_went() {
        let at: Timestamp = "2026-11-20T08:15:30.25Z".parse().unwrap();
        assert_eq!(to_jiff(&timestamp(at)), Some(at));
    }
}
