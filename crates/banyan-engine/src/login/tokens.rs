//! The tokens of a session.

use banyan_core::{Name, SecretText, SessionId, UserId};
use banyan_identity::login::StartedSession;
use banyan_identity::{Claims, Kind};
use jiff::{SignedDuration, Timestamp};
use tonic::Status;

use super::{Login, LoginError, id};

/// Tokens, and their user.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access: SecretText,
    pub(crate) access_expires: Timestamp,
    pub(crate) refresh: SecretText,
    pub(crate) refresh_expires: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) user: UserId,
    pub(crate) name: Name,
    pub(crate) session: SessionId,
}

impl Login {
    /// Signs the tokens of a session: a new access token, and its one refresh token.
    pub(super) fn issue(
        &self,
        begun: &StartedSession,
        now: Timestamp,
    ) -> Result<Issued, LoginError> {
        let view = self.state.view();
        let (session, token) = (&begun.session, &begun.session.current);
        let internal = |text: String| LoginError::Status(Status::internal(text));
        let keyring = self.keys.at(&view.people.signing_keys, now);
        let keyring = keyring.ok_or_else(|| internal("the signing keys are gone".to_owned()))?;
        let lasts = SignedDuration::try_from(self.settings.access_expiry).unwrap_or_default();
        // No access token outlives its session.
        let access_expires = now.checked_add(lasts).unwrap_or(now).min(token.expires);
        let directory = view.directory();
        let person = directory.find_id(&session.user, &session.name);
        let user = person.map(|person| &person.record.spec);
        let powers = person
            .map(|person| directory.permissions(&person, now))
            .unwrap_or_default();
        let roles = user.iter().flat_map(|user| &user.roles);
        let claims = Claims {
            sub: session.user.to_string(),
            name: session.name.to_string(),
            email: None,
            roles: Vec::new(),
            permissions: Vec::new(),
            sid: begun.id.to_string(),
            iat: token.issued.as_second(),
            exp: token.expires.as_second(),
            iss: self.settings.issuer.clone(),
            aud: self.settings.audience.clone(),
            jti: token.id.to_string(),
        };
        let access = Claims {
            email: user.and_then(|user| user.email.clone()),
            roles: roles.map(ToString::to_string).collect(),
            permissions: powers.iter().map(ToString::to_string).collect(),
            iat: now.as_second(),
            exp: access_expires.as_second(),
            jti: id::<()>()?.to_string(),
            ..claims.clone()
        };
        let failed = |error| internal(crate::report(&error));
        let kid = token.key.as_ref().map(|key| key.as_str());
        Ok(Issued {
            access: keyring.sign(Kind::Access, &access).map_err(failed)?,
            access_expires,
            refresh: keyring
                .sign_with(kid, Kind::Refresh, &claims)
                .map_err(failed)?,
            refresh_expires: token.expires,
            now,
            user: session.user.clone(),
            name: session.name.clone(),
            session: begun.id.clone(),
        })
    }
}
