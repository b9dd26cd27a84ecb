//! The keys that tokens are signed with.

use std::sync::Arc;

use banyan_api::timestamp;
use banyan_api::v1::signing_key_service_server::SigningKeyService;
use banyan_api::v1::{
    ListSigningKeysRequest, ListSigningKeysResponse, RotateSigningKeyRequest, SigningKey,
};
use banyan_core::audit::Action;
use banyan_core::people::signing_key_at;
use banyan_identity::{Caller, ChangeRefused, DecisionContext, NewKey};
use banyan_state::{ChangeError, Scope, View};
use jiff::{SignedDuration, Timestamp};
use tonic::{Request, Response, Status};

use super::Changes;
use crate::access::{KeyringCache, caller};
use crate::clock::now;
use crate::login::revoke;
use crate::random;
use crate::refusal::{internal, not_changed};

/// Signing keys.
pub(crate) struct SigningKeysApi {
    pub(crate) changes: Changes,
    pub(crate) keys: Arc<KeyringCache>,
    /// How long refresh tokens last.
    pub(crate) refresh_expiry: SignedDuration,
}

#[tonic::async_trait]
impl SigningKeyService for SigningKeysApi {
    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        Ok(Response::new(self.signing_keys()))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<RotateSigningKeyRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        let by = caller(&request)?;
        let all = request.get_ref().revoke;
        let key = random::signing_key().map_err(|error| internal(&error))?;
        let entry = by.did(Action::SIGNING_KEY_ROTATE, now());
        let entry = entry.on(&format!("signing key {}", key.id));
        let changed = self.rotate(&by, &key, all, entry.at).await;
        (self.changes.recorder)
            .record(entry, changed.map_err(not_changed), String::clone)
            .await?;
        Ok(Response::new(self.signing_keys()))
    }
}

impl SigningKeysApi {
    /// Creates the next key, or revokes all others; returns the detail for the audit log.
    async fn rotate(
        &self,
        by: &Caller,
        key: &NewKey,
        all: bool,
        now: Timestamp,
    ) -> Result<String, ChangeError<ChangeRefused>> {
        if self.keys.are_shared() {
            return Err(ChangeError::Refused(ChangeRefused::SharedSecret));
        }
        if all {
            let ended = revoke(&self.changes.state, by, key, now).await?;
            return Ok(format!(
                "all others revoked; the sessions of {ended} users ended"
            ));
        }
        let expiry = self.refresh_expiry;
        let decide = |view: &View| {
            let directory = view.directory();
            DecisionContext { directory, by, now }.rotate(key, expiry)
        };
        self.changes.state.change(Scope::Powers, decide).await?;
        Ok(String::new())
    }

    fn signing_keys(&self) -> ListSigningKeysResponse {
        let keys = match self.keys.are_shared() {
            true => vec![shared_secret()],
            false => list(&self.changes.state.view(), now()),
        };
        ListSigningKeysResponse { keys }
    }
}

/// The keys that are accepted: the one that signs first, then the newest.
fn list(view: &View, now: Timestamp) -> Vec<SigningKey> {
    let known = &view.people.signing_keys;
    let signing = signing_key_at(known, now).map(|(id, _)| id);
    let accepted = known.iter().filter(|(_, key)| key.is_accepted(now));
    let mut keys: Vec<_> = accepted.collect();
    keys.sort_by_key(|(id, key)| (Some(*id) != signing, std::cmp::Reverse(key.signs_from)));
    let message = keys.into_iter().map(|(id, key)| SigningKey {
        id: id.to_string(),
        algorithm: "EdDSA".to_owned(),
        made: Some(timestamp(key.made)),
        signs_from: Some(timestamp(key.signs_from)),
        accepted_until: key.accepted_until.map(timestamp),
        signs: Some(id) == signing,
    });
    message.collect()
}

/// A shared secret is shown as signing, without further details.
fn shared_secret() -> SigningKey {
    SigningKey {
        id: "HS256".to_owned(),
        algorithm: "HS256".to_owned(),
        signs: true,
        ..SigningKey::default()
    }
}
