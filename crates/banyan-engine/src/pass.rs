//! The decision of one pass, as a pure function: from what was read to a target with its plan, or to a refusal.

use banyan_core::{
    Circumstances, Finding, Guards, InForce, Plan, Recipient, Reduction, Target, admit, check, plan,
};
use jiff::Timestamp;

use crate::reader::Revision;

/// What the engine itself brings to the decision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    pub(crate) guards: Guards,
    /// The recipients that its identities open; empty without any.
    pub(crate) recipients: Vec<Recipient>,
}

/// A commit that may get into force, with what that does.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) target: Target,
    pub(crate) plan: Plan,
}

/// Decides about a revision against what is in force.
///
/// # Errors
/// The findings for which it is refused, errors and warnings.
pub(crate) fn decide(
    own: &Own,
    in_force: &InForce,
    recent: &[Reduction],
    revision: Revision,
    now: Timestamp,
) -> Result<Admitted, Vec<Finding>> {
    let Revision { commit, loaded } = revision;
    let mut found = loaded.findings;
    if loaded.closed > 0 {
        found.push(cannot_open(loaded.closed));
    }
    let checked = check(&loaded.documents, found, now).map_err(|mut findings| {
        in_force.remind_of_admins(&mut findings, now);
        findings
    })?;
    let circumstances = Circumstances {
        guards: own.guards,
        engine_recipient: own.recipient_in(&checked),
        recent,
        cannot_log_in: &[],
        now,
    };
    let target = admit(in_force, &checked, &commit, &circumstances)?;
    let mut plan = plan(in_force, &target, now);
    plan.warnings = checked.warnings().to_vec();
    Ok(Admitted { target, plan })
}

fn cannot_open(count: usize) -> Finding {
    let message = format!("{count} sealed values cannot be opened: the engine has no age identity");
    Finding::whole(&"".into(), "no-identity", message).help("set engine.age_identity_file")
}

impl Own {
    /// The recipient that must be among the cluster's: one that is, or else the first, to be named in the refusal.
    fn recipient_in(&self, checked: &banyan_core::Checked) -> Option<&Recipient> {
        let held = |own: &&Recipient| checked.recipients().any(|r| r == *own);
        self.recipients
            .iter()
            .find(held)
            .or_else(|| self.recipients.first())
    }
}
