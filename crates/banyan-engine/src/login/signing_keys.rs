//! The signing keys in the store: the first one, and revoking all of them.

use std::convert::Infallible;

use banyan_identity::{Caller, ChangeRefused, DecisionContext, NewKey, first_key, needs_key};
use banyan_state::{ChangeError, Scope, State, View};
use jiff::Timestamp;

use crate::random::{self, RandomError};

/// Creates the first signing key if there is none; returns whether it did. Any engine may; of two at once, one does.
///
/// # Errors
/// The store failed, or the system gives no random bytes.
pub(crate) async fn ensure(state: &State, now: Timestamp) -> Result<bool, KeyError> {
    if !needs_key(&state.view().people) {
        return Ok(false);
    }
    let key = random::signing_key()?;
    let decide = |view: &View| Ok(first_key(&view.people, &key, now));
    Ok(state.change(Scope::Powers, decide).await?)
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("the signing keys could not be changed")]
    Change(#[from] ChangeError<Infallible>),
}

/// Revokes all keys but a new one, and with them every token and session. Returns how many users had sessions.
///
/// # Errors
/// The store failed. Once the keys are gone, no token of theirs is accepted, whatever happens after.
pub(crate) async fn revoke(
    state: &State,
    by: &Caller,
    key: &NewKey,
    now: Timestamp,
) -> Result<usize, ChangeError<ChangeRefused>> {
    let others = |view: &View| view.people.signing_keys.keys().any(|id| *id != key.id);
    // As many rounds as there are keys to remove; the first one creates the new key in any case.
    loop {
        let replace = |view: &View| context(view, by, now).replace(key, State::MAX_WRITES);
        state.change(Scope::Powers, replace).await?;
        if !others(&state.view()) {
            break;
        }
    }
    let mut ended = 0_usize;
    loop {
        let end = |view: &View| context(view, by, now).end_others(key, State::MAX_WRITES);
        let names = state.change(Scope::Powers, end).await?;
        if names.is_empty() {
            return Ok(ended);
        }
        ended = ended.saturating_add(names.len());
    }
}

fn context<'a>(view: &'a View, by: &'a Caller, now: Timestamp) -> DecisionContext<'a> {
    let directory = view.directory();
    DecisionContext { directory, by, now }
}

#[cfg(test)]
mod tests;
