//! How a call is refused because of the state, whichever part of the engine refuses it.

use banyan_api::denied;
use banyan_core::Denial;
use banyan_identity::{ChangeRefused, RefusalKind};
use banyan_state::{ChangeError, StateError};
use tonic::{Code, Status as Refusal};

/// The refusal of a call that cannot read or write the store.
pub(crate) fn unavailable(error: &StateError) -> Refusal {
    use StateError::{Conflict, NotLeading, Stopped, Store};
    let text = crate::report(error);
    match error {
        Conflict { .. } => Refusal::failed_precondition(text),
        Store(_) | Stopped => banyan_api::Unavailable::Store.refusal(text),
        NotLeading => banyan_api::Unavailable::Leader.refusal(text),
        _ => Refusal::internal(text),
    }
}

/// The refusal of a call whose change was not made.
pub(crate) fn not_changed(error: ChangeError<ChangeRefused>) -> Refusal {
    match error {
        ChangeError::Refused(refused) => change_refused(&refused),
        ChangeError::State(error) => unavailable(&error),
    }
}

/// The refusal of a change that was decided against.
pub(crate) fn change_refused(refused: &ChangeRefused) -> Refusal {
    let text = refused.to_string();
    let code = match refused.kind() {
        RefusalKind::NotFound => Code::NotFound,
        RefusalKind::Exists => Code::AlreadyExists,
        RefusalKind::Invalid => Code::InvalidArgument,
        RefusalKind::Precondition => Code::FailedPrecondition,
        RefusalKind::NotPermitted => return denied(&Denial::NotPermitted { why: text }),
    };
    Refusal::new(code, text)
}

/// The refusal of a call for a fault of the engine.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    Refusal::internal(crate::report(error))
}
