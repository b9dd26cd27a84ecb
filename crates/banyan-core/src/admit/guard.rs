//! Guards: what a commit must not remove, or only with an explicit trailer.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{AdmitContext, EngineRecipients, GUARDED, InForce};
use crate::change::is_active;
use crate::people::{Directory, People};
use crate::{
    Change, Checked, CommitInfo, Finding, Guards, Kind, Name, Object, Objects, Origin, Pos, User,
};

/// The trailer that states how many objects of a kind a commit removes.
const TRAILER: &str = "Banyan-Allow-Removals";

/// The maximum number of names in a message.
const NAMED: usize = 5;

/// How long a reduction counts against later commits.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// An object that a commit removed or cut off without a trailer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reduction {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// When the commit was applied.
    pub at: Timestamp,
}

impl Reduction {
    /// Whether it still counts at `now`.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < WINDOW
    }
}

pub(super) fn judge(
    in_force: &InForce,
    checked: &Checked,
    after: &Objects,
    changes: &[Change],
    commit: &CommitInfo,
    circumstances: &AdmitContext<'_>,
) -> Result<Vec<Reduction>, Vec<Finding>> {
    let mut refused = Vec::new();
    ranges(in_force, checked, &mut refused);
    for engine in circumstances.engine_recipients {
        refused.extend(engine_recipient(checked, engine));
    }
    taken_names(checked, circumstances.people, &mut refused);
    last_admin(in_force, after, circumstances, &mut refused);
    let reducing: Vec<&Change> = (changes.iter())
        .filter(|change| change.reduces(circumstances.now))
        .collect();
    protected(&reducing, &mut refused);
    let guards = strictest(in_force, after, circumstances.guards);
    let mut reductions = Vec::new();
    for kind in GUARDED {
        let tally = Tally::new(kind, in_force, after, &reducing, circumstances);
        if tally.exceeds(&guards).is_none() {
            reductions.extend(tally.reductions(circumstances.now));
        } else if let Some(finding) = tally.refusal(&guards, commit) {
            refused.push(finding);
        }
    }
    if refused.is_empty() {
        Ok(reductions)
    } else {
        crate::sort_findings(&mut refused);
        Err(refused)
    }
}

/// The strictest guards of engine configuration, repo before and repo after.
fn strictest(in_force: &InForce, after: &Objects, own: Guards) -> Guards {
    let of = |objects: &Objects| objects.cluster.as_ref().map_or(own, |c| c.spec.guards);
    own.strictest(of(&in_force.objects)).strictest(of(after))
}

fn whole(rule: &'static str, message: String, help: &str) -> Finding {
    Finding::whole(&"".into(), rule, message).help(help)
}

fn ranges(in_force: &InForce, checked: &Checked, refused: &mut Vec<Finding>) {
    let Some(before) = &in_force.objects.cluster else {
        return;
    };
    let document = checked.cluster();
    let pairs = [
        (
            "control",
            before.spec.control_range,
            &document.spec.control_range,
        ),
        ("mesh", before.spec.mesh_range, &document.spec.mesh_range),
    ];
    for (what, old, new) in pairs {
        if old != new.value {
            let message = format!(
                "the {what} range of a live cluster cannot change from {old} to {}",
                new.value
            );
            let help = "every member's address depends on it; revert the change";
            refused
                .push(Finding::error(&document.path, new.pos, "guard-range", message).help(help));
        }
    }
}

fn engine_recipient(checked: &Checked, engine: &EngineRecipients) -> Option<Finding> {
    let named = &checked.cluster().spec.recipients;
    let own = engine.recipients.first()?;
    if named.iter().any(|r| engine.recipients.contains(&r.value)) {
        return None;
    }
    let (whose, who) = match &engine.engine {
        None => ("this engine's".to_owned(), "this engine"),
        Some(name) => (format!("engine {name}'s"), "that engine"),
    };
    let message = format!("the Cluster's recipients do not include {whose} recipient {own}");
    let help = format!(
        "without it {who} could not decrypt values sealed from now on; add it to `recipients`{}",
        match &engine.engine {
            None => String::new(),
            Some(name) =>
                format!(", or if that engine is gone permanently: banyan engine remove {name}"),
        }
    );
    let document = checked.cluster();
    let pos = named.first().map_or(document.pos, |r| r.pos);
    Some(Finding::error(&document.path, pos, "guard-engine-recipient", message).help(help))
}

/// Requires an admin who can log in, unless there was none before: a cluster in which no user has a password yet is
/// administered from the engine's host.
fn last_admin(
    in_force: &InForce,
    after: &Objects,
    circumstances: &AdmitContext<'_>,
    refused: &mut Vec<Finding>,
) {
    let (people, now) = (circumstances.people, circumstances.now);
    let directory = |objects| Directory { objects, people };
    let lost = match directory(&in_force.objects).lasting_admins(now).next() {
        Some(lost) if directory(after).lasting_admins(now).next().is_none() => {
            Some(&lost.record.spec)
        }
        Some(_) => return,
        None if holders(after, now).next().is_some() => return,
        None => holders(&in_force.objects, now).next(),
    };
    let help = "at least one enabled user without an expiry must hold `*` and be able to log in";
    let message = "no active admin would remain".to_owned();
    let Some(lost) = lost else {
        refused.push(whole("guard-last-admin", message, help));
        return;
    };
    let object = (after.users.get(&lost.name)).or_else(|| in_force.objects.users.get(&lost.name));
    let message = format!("{message}: {} was the last", lost.name);
    refused.push(match object.map(|record| &record.origin) {
        Some(origin) => at_origin(origin, "guard-last-admin", message).help(help),
        None => whole("guard-last-admin", message, help),
    });
}

/// Users declared in git that hold `*` and do not expire.
fn holders(objects: &Objects, now: Timestamp) -> impl Iterator<Item = &User> {
    let names = objects.holders_of_everything().into_iter();
    let users = names
        .filter_map(|name| objects.users.get(name))
        .map(|record| &record.spec);
    users.filter(move |user| user.expires.is_none() && objects.may_do_everything(user, now))
}

/// A user declared in git whose name belongs to a user created through the API. An operator must decide which one
/// stays.
fn taken_names(checked: &Checked, people: &People, refused: &mut Vec<Finding>) {
    for name in people.users.keys() {
        if let Some(document) = checked.users().get(name) {
            let message = format!("user {name} already exists, created through the engine's API");
            let help = format!(
                "choose another name, or remove that user first: `banyan user remove {name}`"
            );
            let finding = Finding::error(&document.path, document.name.pos, "user-exists", message);
            refused.push(finding.help(help));
        }
    }
}

impl InForce {
    /// Adds to findings about a missing admin which users hold the permission now, and where they are declared: the
    /// repo alone does not show that.
    pub fn remind_of_admins(&self, findings: &mut [Finding], now: Timestamp) {
        let lasting = holders(&self.objects, now);
        let lasting = lasting.filter_map(|user| self.objects.users.get(&user.name));
        let places = lasting.map(|record| match &record.origin {
            Origin::Git { path, line, .. } => format!("{} ({path}:{line})", record.spec.name),
            _ => record.spec.name.to_string(),
        });
        let places = places.take(NAMED).collect::<Vec<_>>().join(", ");
        if places.is_empty() {
            return;
        }
        for finding in findings.iter_mut().filter(|f| f.rule == "no-admin") {
            finding.message = format!("{}; currently held by {places}", finding.message);
        }
    }
}

fn at_origin(origin: &Origin, rule: &'static str, message: String) -> Finding {
    match origin {
        Origin::Git { path, line, .. } => Finding::error(
            path,
            Pos {
                line: *line,
                column: 1,
            },
            rule,
            message,
        ),
        _ => Finding::whole(&Arc::from(""), rule, message),
    }
}

fn protected(reducing: &[&Change], refused: &mut Vec<Finding>) {
    for change in reducing {
        let Some(Object::Machine(before)) = &change.before else {
            continue;
        };
        if before.spec.protected {
            let what = change.after.as_ref().map_or("removed", |_| "cut off");
            let message = format!("machine {} is protected and would be {what}", change.name);
            let origin = change.after.as_ref().map_or(&before.origin, Object::origin);
            refused.push(
                at_origin(origin, "guard-protected", message)
                    .help("first remove `protected` in a separate commit"),
            );
        }
    }
}

/// The objects of one kind removed now and in the last day.
struct Tally {
    kind: Kind,
    /// Active objects at the start of the day, as far as known.
    base: usize,
    /// Active objects afterwards.
    left: usize,
    /// The objects this commit removes.
    now: BTreeSet<Name>,
    /// Those, and the unannounced reductions of earlier commits within the day.
    day: usize,
}

impl Tally {
    fn new(
        kind: Kind,
        in_force: &InForce,
        after: &Objects,
        reducing: &[&Change],
        circumstances: &AdmitContext<'_>,
    ) -> Self {
        let at = circumstances.now;
        let now: BTreeSet<Name> = (reducing.iter())
            .filter(|change| change.kind == kind)
            .map(|change| change.name.clone())
            .collect();
        let earlier: BTreeSet<&Name> = (circumstances.recent.iter())
            .filter(|r| r.kind == kind && r.counts_at(at) && !now.contains(&r.name))
            .map(|r| &r.name)
            .collect();
        let gone = (earlier.iter())
            .filter(|name| !is_active_now(kind, name, &in_force.objects, at))
            .count();
        Self {
            kind,
            base: active(kind, &in_force.objects, at) + gone,
            left: active(kind, after, at),
            day: now.len() + earlier.len(),
            now,
        }
    }

    /// The exceeded guard, in words.
    fn exceeds(&self, guards: &Guards) -> Option<String> {
        if self.now.is_empty() {
            return None;
        }
        if self.base >= 2 && self.left == 0 {
            return Some(format!("all {} would be removed", self.base));
        }
        let percent = u32::from(guards.max_removed_percent);
        let over_share = self.day * 100 > self.base * percent as usize;
        let over_count = self.day > guards.max_removed as usize;
        (over_share && over_count).then(|| {
            format!(
                "{} of {} within a day is more than {percent} % and more than {}",
                self.day, self.base, guards.max_removed
            )
        })
    }

    /// The refusal, unless the commit's trailer states the exact count.
    fn refusal(&self, guards: &Guards, commit: &CommitInfo) -> Option<Finding> {
        let why = self.exceeds(guards)?;
        let count = self.now.len();
        let stated = allowed(self.kind, commit);
        if stated.contains(&Some(count)) {
            return None;
        }
        let names = self
            .now
            .iter()
            .take(NAMED)
            .map(Name::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let more = count.saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let said = match stated.first() {
            None => String::new(),
            Some(None) => format!("; the trailer {TRAILER} is malformed"),
            Some(Some(other)) => format!("; the trailer says {other}, but the count is {count}"),
        };
        let message = format!(
            "{count} {}{} would be removed or cut off ({names}{more}): {why}{said}",
            self.kind,
            if count == 1 { "" } else { "s" }
        );
        let help = format!(
            "if this is intended, add to the commit message: {TRAILER}: {}={count}",
            self.kind
        );
        Some(whole("guard-removals", message, &help))
    }

    fn reductions(self, at: Timestamp) -> impl Iterator<Item = Reduction> {
        let kind = self.kind;
        self.now
            .into_iter()
            .map(move |name| Reduction { kind, name, at })
    }
}

/// The counts that a commit's trailers state for a kind; `None` for one that is malformed.
fn allowed(kind: Kind, commit: &CommitInfo) -> Vec<Option<usize>> {
    (commit.trailers.iter())
        .filter(|(name, _)| name.eq_ignore_ascii_case(TRAILER))
        .flat_map(|(_, value)| value.split(','))
        .filter_map(|part| match part.trim().split_once('=') {
            Some((k, count)) if k.trim() == kind.as_str() => Some(count.trim().parse().ok()),
            Some(_) => None,
            None => Some(None),
        })
        .collect()
}

fn active(kind: Kind, objects: &Objects, now: Timestamp) -> usize {
    match kind {
        Kind::Cluster => usize::from(objects.cluster.is_some()),
        Kind::Role => objects.roles.len(),
        Kind::User => objects.users.active(now),
        Kind::Machine => objects.machines.active(now),
    }
}

fn is_active_now(kind: Kind, name: &Name, objects: &Objects, now: Timestamp) -> bool {
    let object = match kind {
        Kind::Cluster => None,
        Kind::Role => objects.roles.get(name).cloned().map(Object::Role),
        Kind::User => objects.users.get(name).cloned().map(Object::User),
        Kind::Machine => objects.machines.get(name).cloned().map(Object::Machine),
    };
    object.is_some_and(|object| is_active(&object, now))
}
