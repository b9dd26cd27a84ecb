//! Who calls, for the audit log.

use banyan_core::audit::{Action, Actor, AuditEntry};
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Status};

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    actor: Actor,
    via: Option<&'static str>,
}

impl Origin {
    /// On the local socket, the kernel says whose process it is.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let local = request.extensions().get::<UdsConnectInfo>();
        let uid = local
            .and_then(|local| local.peer_cred)
            .map(|cred| cred.uid());
        Self {
            actor: match uid {
                Some(uid) => Actor::Host { uid },
                None => Actor::Nobody { claimed: None },
            },
            via: local.map(|_| "local socket"),
        }
    }

    /// The entry about what came of a call.
    pub(super) fn entry<T>(&self, action: Action, result: Result<&T, &Status>) -> AuditEntry {
        let entry = AuditEntry::new(crate::run::now(), self.actor.clone(), action);
        let entry = match self.via {
            Some(via) => entry.via(via),
            None => entry,
        };
        match result {
            Ok(_) => entry,
            Err(status) => entry.refused(status.message()),
        }
    }
}
