//! How a call is refused because of the state, whichever part of the engine refuses it.

use banyan_state::StateError;
use tonic::Status as Refusal;

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
