//! Sessions, and the validity of refresh tokens.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Account, EndReason, Ended, KeyId, TokenId, UserId};
use crate::Name;

/// How long after a refresh token was used it yields the same successor again, in case the response was lost.
pub const REFRESH_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// A login session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The id of its user.
    pub user: UserId,
    /// The user's name.
    pub name: Name,
    /// The account's epoch when the session began. When the account's epoch changes, the session ends.
    pub epoch: u64,
    /// When it began.
    pub created: Timestamp,
    /// The valid refresh token.
    pub current: RefreshToken,
    /// The previous refresh token, which `current` replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<TokenId>,
    /// Where it was last refreshed from: an address, or `local socket`.
    pub via: String,
    /// When and why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A refresh token, stored without its signature: with the signing key's id, enough to recreate the identical token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    /// Its `jti`.
    pub id: TokenId,
    /// The key that signed it; `None` if it was signed with a shared secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// The result of checking a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// The current token: it is replaced by a successor.
    Rotate,
    /// Used a moment ago, and its successor was not used yet: it yields the same successor.
    Again,
    /// Used before: it was stolen, either by the caller or by the earlier user.
    Reused,
}

impl Session {
    /// Checks a refresh token of this session at `now`.
    #[must_use]
    pub fn judge_refresh(&self, presented: &TokenId, now: Timestamp) -> RefreshVerdict {
        if self.current.id == *presented {
            return RefreshVerdict::Rotate;
        }
        // Another engine's clock may be slightly ahead of ours.
        let since = now.duration_since(self.current.issued).abs();
        if self.previous.as_ref() == Some(presented) && since <= REFRESH_GRACE {
            RefreshVerdict::Again
        } else {
            RefreshVerdict::Reused
        }
    }

    /// Replaces the refresh token.
    pub fn rotate(&mut self, next: RefreshToken, via: String) {
        let used = std::mem::replace(&mut self.current, next);
        self.previous = Some(used.id);
        self.via = via;
    }

    /// When and why it ended, if it has ended by `now`. `account` is the user's account; without one the epoch is 0.
    #[must_use]
    pub fn end(&self, account: Option<&Account>, now: Timestamp) -> Option<Ended> {
        if let Some(ended) = &self.ended {
            return Some(ended.clone());
        }
        let epoch = account.map_or(0, |account| account.epoch);
        if epoch != self.epoch {
            let ended = account.and_then(|account| account.ended.clone());
            return Some(ended.unwrap_or(Ended {
                at: now,
                because: EndReason::Revoked,
            }));
        }
        (self.current.expires <= now).then_some(Ended {
            at: self.current.expires,
            because: EndReason::Expiry,
        })
    }
}
