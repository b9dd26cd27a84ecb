//! The public side of the keys that tokens are signed with.

use std::sync::Arc;
use std::time::Duration;

use banyan_state::State;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::KeyringCache;
use crate::listen::web;
use crate::login;

/// How often the published keys are looked at when nothing changes.
const PUBLISH: Duration = Duration::from_secs(30);

/// Publishes the keys that tokens are checked with, as they change.
pub(crate) async fn publish(
    state: Arc<State>,
    keys: Arc<KeyringCache>,
    published: watch::Sender<String>,
    stop: CancellationToken,
) {
    let mut changes = state.changes();
    loop {
        if !keys.are_shared() {
            make_first_key(&state).await;
        }
        let keyring = keys.at(&state.view().people.signing_keys, crate::clock::now());
        let text = keyring.map_or_else(|| web::NO_KEYS.to_owned(), |keyring| keyring.jwks());
        published.send_if_modified(|before| {
            let news = *before != text;
            *before = text;
            news
        });
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            // A key's time comes or ends without a change in the store.
            () = tokio::time::sleep(PUBLISH) => {}
        }
    }
}

/// Without a key nobody can log in; what fails is tried again with the next look.
async fn make_first_key(state: &State) {
    match login::ensure(state, crate::clock::now()).await {
        Ok(true) => info!("the first key to sign tokens with was made"),
        Ok(false) => {}
        Err(error) => warn!(
            error = crate::report(&error),
            "there is no key to sign tokens with yet"
        ),
    }
}
