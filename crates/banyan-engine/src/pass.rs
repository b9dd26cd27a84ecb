//! The decision of one pass, as a pure function: from what was read to a target with its plan, or to a refusal.

use banyan_core::people::People;
use banyan_core::{
    AdmitContext, Ancestry, Checked, EngineRecipients, Finding, Floor, Guards, InForce, Plan,
    Recipient, Reduction, Target, admit, check, floor, plan, restore,
};
use banyan_manifest::Loaded;
use jiff::Timestamp;

use crate::reader::Revision;

/// What the engine itself brings to the decision.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineContext {
    pub(crate) guards: Guards,
    /// The recipients that its identities open; empty without any.
    pub(crate) recipients: Vec<Recipient>,
}

/// What a revision is judged against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Baseline<'a> {
    pub(crate) in_force: &'a InForce,
    /// What commits of the last day took away without a trailer.
    pub(crate) recent: &'a [Reduction],
    /// With what the other engines of the cluster open sealed values.
    pub(crate) others: &'a [EngineRecipients],
    /// What is kept of people besides what git says.
    pub(crate) people: &'a People,
    pub(crate) now: Timestamp,
}

/// What says whether a commit may follow the one in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lineage<'a> {
    pub(crate) floor: Option<&'a Floor>,
    pub(crate) ancestry: Ancestry,
}

/// A commit that may get into force, with what that does.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) target: Target,
    pub(crate) plan: Plan,
}

/// Decides about a revision against what is in force. A tree that is no commit of the branch has no lineage.
///
/// # Errors
/// The findings for which it is refused, errors and warnings. A commit that may not follow is not looked into further:
/// what else is wrong with it misleads whoever has to find out where it comes from.
pub(crate) fn decide(
    own: &EngineContext,
    against: &Baseline<'_>,
    lineage: Option<Lineage<'_>>,
    revision: Revision,
) -> Result<Admitted, Vec<Finding>> {
    let Baseline { in_force, now, .. } = *against;
    if let Some(Lineage { floor, ancestry }) = lineage {
        let applied = in_force.applied.as_ref();
        floor::judge(applied, floor, ancestry, revision.commit.id)
            .map_err(|finding| vec![finding])?;
    }
    let Revision { commit, loaded } = revision;
    let checked = sound(in_force, loaded, now)?;
    let mut engines = vec![own.as_engine()];
    engines.extend_from_slice(against.others);
    let circumstances = AdmitContext {
        guards: own.guards,
        engine_recipients: &engines,
        recent: against.recent,
        people: against.people,
        now,
    };
    let target = admit(in_force, &checked, &commit, &circumstances)?;
    Ok(planned(in_force, target, &checked, now))
}

/// Decides how to bring altered records back to what the commit in force says, which `revision` is.
///
/// # Errors
/// The findings for which that commit cannot be read today although it is in force: for one, an age identity that is
/// gone. Nothing is restored then.
pub(crate) fn decide_restore(
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
    let checked = sound(in_force, revision.loaded, now)?;
    let target = restore(in_force, &checked, applied, people, now);
    Ok(planned(in_force, target, &checked, now))
}

/// Checks what was read, all of it.
fn sound(in_force: &InForce, loaded: Loaded, now: Timestamp) -> Result<Checked, Vec<Finding>> {
    let mut found = loaded.findings;
    if loaded.closed > 0 {
        found.push(cannot_open(loaded.closed));
    }
    check(&loaded.documents, found, now).map_err(|mut findings| {
        in_force.remind_of_admins(&mut findings, now);
        findings
    })
}

fn planned(in_force: &InForce, target: Target, checked: &Checked, now: Timestamp) -> Admitted {
    let mut plan = plan(in_force, &target, now);
    plan.warnings = checked.warnings().to_vec();
    Admitted { target, plan }
}

fn not_in_force(revision: &Revision) -> Finding {
    let seen = revision.commit.id.short();
    let message = format!("commit {seen} is not in force, so nothing can be restored from it");
    Finding::whole(&"".into(), "not-in-force", message)
}

fn cannot_open(count: usize) -> Finding {
    let message = format!("{count} sealed values cannot be opened: the engine has no age identity");
    Finding::whole(&"".into(), "no-identity", message).help("set engine.age_identity_file")
}

impl EngineContext {
    /// What it must be able to open sealed values with afterwards.
    fn as_engine(&self) -> EngineRecipients {
        EngineRecipients {
            engine: None,
            recipients: self.recipients.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
