//! The public token signing keys.

use std::sync::Arc;
use std::time::Duration;

use banyan_state::State;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::KeyringCache;
use crate::listen::web;
use crate::login;

/// Refresh interval of the published keys when the store does not change.
const PUBLISH: Duration = Duration::from_secs(30);

/// Publishes the keys that verify tokens, whenever they change.
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
            // A key can become valid or expire without a change in the store.
            () = tokio::time::sleep(PUBLISH) => {}
        }
    }
}

/// Without a key no user can log in; after a failure the next refresh retries.
async fn make_first_key(state: &State) {
    match login::ensure(state, crate::clock::now()).await {
        Ok(true) => info!("created the first token signing key"),
        Ok(false) => {}
        Err(error) => warn!(
            error = crate::report(&error),
            "there is no token signing key yet"
        ),
    }
}
