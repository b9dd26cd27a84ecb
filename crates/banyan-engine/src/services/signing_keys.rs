//! The keys that tokens are signed with.

use banyan_api::timestamp;
use banyan_api::v1::signing_key_service_server::SigningKeyService;
use banyan_api::v1::{
    ListSigningKeysRequest, ListSigningKeysResponse, RotateSigningKeyRequest, SigningKey,
};
use banyan_core::audit::Action;
use banyan_core::people::signing_key_at;
use banyan_state::{ChangeError, Scope, View};
use jiff::{SignedDuration, Timestamp};
use tonic::{Request, Response, Status};

use super::people::internal;
use super::{Services, Shared};
use crate::access::Caller;
use crate::clock::now;
use crate::people::keys::{NewKey, revoke};
use crate::people::{ChangeRefused, DecisionContext};

#[tonic::async_trait]
impl SigningKeyService for Services {
    async fn list_signing_keys(
        &self,
        _: Request<ListSigningKeysRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        Ok(Response::new(self.0.signing_keys()))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<RotateSigningKeyRequest>,
    ) -> Result<Response<ListSigningKeysResponse>, Status> {
        let by = Caller::of(&request)?;
        let all = request.get_ref().revoke;
        let key = NewKey::random().map_err(|error| internal(&error))?;
        let entry = by.did(Action::SIGNING_KEY_ROTATE, now());
        let entry = entry.on(&format!("signing key {}", key.id));
        let changed = self.0.rotate(&by, &key, all, entry.at).await;
        self.0.recorded(entry, changed, String::clone).await?;
        Ok(Response::new(self.0.signing_keys()))
    }
}

impl Shared {
    /// Makes the next key, or revokes all others; says what came of it.
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
            let ended = revoke(&self.state, by, key, now).await?;
            return Ok(format!(
                "all others revoked; the sessions of {ended} users ended"
            ));
        }
        let expiry = SignedDuration::try_from(self.auth.refresh_token_expiry);
        let expiry = expiry.unwrap_or(SignedDuration::MAX);
        let decide = |view: &View| DecisionContext { view, by, now }.rotate(key, expiry);
        self.state.change(Scope::Powers, decide).await?;
        Ok(String::new())
    }

    fn signing_keys(&self) -> ListSigningKeysResponse {
        let keys = match self.keys.are_shared() {
            true => vec![shared_secret()],
            false => list(&self.state.view(), now()),
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

/// Of a shared secret there is nothing to tell but that it signs.
fn shared_secret() -> SigningKey {
    SigningKey {
        id: "HS256".to_owned(),
        algorithm: "HS256".to_owned(),
        signs: true,
        ..SigningKey::default()
    }
}
