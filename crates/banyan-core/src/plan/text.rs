//! Plans as text: one change per line (`+ - ~`), then the effect, then a summary.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use super::{Effect, PeerEffect, Plan, PowerChange};
use crate::{Change, Object, Origin, Permission};

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "Nothing changes.");
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        write!(f, "{}", self.effect)?;
        let counts = self.counts();
        writeln!(
            f,
            "\nPlan: {} to add, {} to change, {} to remove.",
            counts.added, counts.changed, counts.removed
        )
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind, &self.name);
        match (&self.before, &self.after) {
            (None, Some(object)) => write!(f, "+ {kind} {name}{}", summary(object)),
            (Some(object), None) => write!(f, "- {kind} {name}{}", place(object)),
            (Some(before), Some(after)) if self.fields.is_empty() => {
                write!(
                    f,
                    "~ {kind} {name}: moved{} →{}",
                    place(before),
                    place(after)
                )
            }
            _ => {
                let fields: Vec<_> = self
                    .fields
                    .iter()
                    .map(|c| format!("{}: {}", c.field, c.text))
                    .collect();
                write!(f, "~ {kind} {name}: {}", fields.join("; "))
            }
        }
    }
}

fn place(object: &Object) -> String {
    match object.origin() {
        Origin::Git { path, line, .. } => format!(" ({path}:{line})"),
        _ => String::new(),
    }
}

fn join<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<_> = values.into_iter().map(|v| v.to_string()).collect();
    texts.join(", ")
}

fn summary(object: &Object) -> String {
    match object {
        Object::Cluster(_) => String::new(),
        Object::Role(role) => format!(": {}", join(&role.spec.permissions)),
        Object::User(user) if user.spec.roles.is_empty() => ": no roles".to_owned(),
        Object::User(user) => format!(": {}", join(&user.spec.roles)),
        Object::Machine(machine) => {
            let spec = &machine.spec;
            let address = spec
                .control_v4
                .map_or("IPv6 only".to_owned(), |a| a.to_string());
            format!(": {}, {address}", spec.machine_type)
        }
    }
}

impl Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "\nEffect: nobody gains or loses anything.");
        }
        writeln!(f, "\nEffect:")?;
        for change in &self.powers {
            write!(f, "{change}")?;
        }
        for peer in &self.peers {
            writeln!(f, "  {peer}")?;
        }
        Ok(())
    }
}

impl Display for PowerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, set: &BTreeSet<Permission>| match set.is_empty() {
            true => Ok(()),
            false => writeln!(f, "  user {} {what} {}", self.user, join(set)),
        };
        line("gains", &self.gains)?;
        line("loses", &self.loses)
    }
}

impl Display for PeerEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joins(name) => write!(f, "peer {name} joins the private network"),
            Self::Leaves(name) => write!(f, "peer {name} is cut off from the private network"),
            Self::Rekeyed(name) => write!(
                f,
                "peer {name} is cut off under its old key and joins under its new one"
            ),
            Self::Readdressed(name) => write!(f, "peer {name} gets another address"),
        }
    }
}
