//! The decision on a revision, as a pure function: from what was read to a target with its plan, or to a refusal.

use banyan_core::people::People;
use banyan_core::{
    AdmitContext, Ancestry, Checked, EngineRecipients, Finding, Floor, Guards, InForce, Plan,
    Recipient, Reduction, Target, admit, floor, plan, restore,
};
use banyan_manifest::Loaded;
use jiff::Timestamp;

use crate::Revision;

/// The engine that decides.
#[derive(Debug, Clone, Default)]
pub struct EngineContext {
    /// Its configured guards.
    pub guards: Guards,
    /// The age recipients it can decrypt for; empty without an identity.
    pub recipients: Vec<Recipient>,
}

/// What a revision is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Baseline<'a> {
    /// What is in force.
    pub in_force: &'a InForce,
    /// The reductions of the last day that no trailer announced.
    pub recent: &'a [Reduction],
    /// The recipients that the other engines of the cluster can decrypt for.
    pub others: &'a [EngineRecipients],
    /// Users, accounts and sessions that git does not declare.
    pub people: &'a People,
    /// The documents behind what is in force, if known: the decision then costs only the differences.
    pub made_of: Option<&'a Checked>,
    /// The time of the decision.
    pub now: Timestamp,
}

/// Determines whether a commit may follow the one in force.
#[derive(Debug, Clone, Copy)]
pub struct Lineage<'a> {
    /// The floor.
    pub floor: Option<&'a Floor>,
    /// The commit's relation to the one in force and to the floor, according to git.
    pub ancestry: Ancestry,
}

/// An admitted commit and what it changes.
#[derive(Debug)]
pub struct Admitted {
    /// The target to apply.
    pub target: Target,
    /// What it changes, with warnings.
    pub plan: Plan,
    /// The documents behind it.
    pub made_of: Checked,
}

/// Decides on a revision.
///
/// Without an engine, only the guards of the repo before and after apply, and sealed values may stay closed. A tree
/// that is not a commit of the branch has no lineage.
///
/// # Errors
/// The findings that refuse it, with warnings. If the commit may not follow, it is not examined further: other findings
/// would distract from where the commit comes from.
pub fn decide(
    engine: Option<&EngineContext>,
    baseline: &Baseline<'_>,
    lineage: Option<Lineage<'_>>,
    revision: Revision,
) -> Result<Admitted, Vec<Finding>> {
    let Baseline { in_force, now, .. } = *baseline;
    if let Some(Lineage { floor, ancestry }) = lineage {
        let applied = in_force.applied.as_ref();
        floor::judge(applied, floor, ancestry, revision.commit.id)
            .map_err(|finding| vec![finding])?;
    }
    let Revision { commit, mut loaded } = revision;
    if engine.is_some() {
        must_be_open(&mut loaded);
    }
    let checked = checked(in_force, loaded, now)?;
    let recipients: Vec<EngineRecipients> = engine
        .map(EngineContext::as_recipients)
        .into_iter()
        .chain(baseline.others.iter().cloned())
        .collect();
    let context = AdmitContext {
        guards: engine.map_or(NO_GUARDS, |engine| engine.guards),
        engine_recipients: &recipients,
        recent: baseline.recent,
        people: baseline.people,
        made_of: baseline.made_of,
        now,
    };
    let target = admit(in_force, &checked, &commit, &context)?;
    Ok(planned(in_force, target, checked, now))
}

/// Decides how to restore altered records from the commit in force, given as `revision`.
///
/// # Errors
/// Why that commit cannot be read today although it is in force: for example, an age identity is missing. Nothing is
/// restored then.
pub fn decide_restore(
    in_force: &InForce,
    people: &People,
    revision: Revision,
    now: Timestamp,
) -> Result<Admitted, Vec<Finding>> {
    let Some(applied) = &in_force.applied else {
        return Err(vec![not_in_force(&revision)]);
    };
    if applied.commit.id != revision.commit.id {
        return Err(vec![not_in_force(&revision)]);
    }
    let mut loaded = revision.loaded;
    must_be_open(&mut loaded);
    let checked = checked(in_force, loaded, now)?;
    let target = restore(in_force, &checked, applied, people, now);
    Ok(planned(in_force, target, checked, now))
}

/// Guards that never refuse.
const NO_GUARDS: Guards = Guards {
    max_removed_percent: 100,
    max_removed: u32::MAX,
};

/// Adds a finding if sealed values were not opened.
fn must_be_open(loaded: &mut Loaded) {
    if loaded.closed > 0 {
        loaded.findings.push(cannot_open(loaded.closed));
    }
}

fn checked(in_force: &InForce, loaded: Loaded, now: Timestamp) -> Result<Checked, Vec<Finding>> {
    (loaded.catalog.check(loaded.findings, now)).map_err(|mut findings| {
        in_force.remind_of_admins(&mut findings, now);
        findings
    })
}

fn planned(in_force: &InForce, target: Target, made_of: Checked, now: Timestamp) -> Admitted {
    let mut plan = plan(in_force, &target, now);
    plan.warnings = made_of.warnings().to_vec();
    Admitted {
        target,
        plan,
        made_of,
    }
}

fn not_in_force(revision: &Revision) -> Finding {
    let seen = revision.commit.id.short();
    let message = format!("commit {seen} is not in force, so records cannot be restored from it");
    Finding::whole(&"".into(), "not-in-force", message)
}

fn cannot_open(count: usize) -> Finding {
    let message = format!("{count} sealed values cannot be opened: the engine has no age identity");
    Finding::whole(&"".into(), "no-identity", message).help("set engine.age_identity_file")
}

impl EngineContext {
    /// This engine in the list of engines that must each keep a recipient.
    fn as_recipients(&self) -> EngineRecipients {
        EngineRecipients {
            engine: None,
            recipients: self.recipients.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
