//! Sessions, and what a refresh token is worth.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Account, EndReason, Ended, KeyId, TokenId, UserId};
use crate::Name;

/// How long after its use a refresh token gets the same successor once more, because the answer may have been lost.
pub const REFRESH_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// A login, from its first token to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub user: UserId,
    /// The user's name.
    pub name: Name,
    /// The account's epoch when the session began. When the account goes on to another, the session has ended.
    pub epoch: u64,
    /// When it began.
    pub created: Timestamp,
    /// The refresh token that is worth something.
    pub current: RefreshToken,
    /// The refresh token before, which `current` succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<TokenId>,
    /// Where it was last refreshed from: an address, or `local socket`.
    pub via: String,
    /// When and why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A refresh token, as far as it is kept: with the key's id, enough to make the very same one again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshToken {
    /// Its `jti`.
    pub id: TokenId,
    /// The key that signed it; `None` for a shared secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// What a refresh token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It is the current one: it gets a successor.
    Rotate,
    /// Its successor was made a moment ago and not used: it gets the same one.
    Again,
    /// It was used before: either the caller or whoever came first has stolen it.
    Reused,
}

impl Session {
    /// What a refresh token of this session is worth at `now`.
    #[must_use]
    pub fn judge_refresh(&self, presented: &TokenId, now: Timestamp) -> RefreshVerdict {
        if self.current.id == *presented {
            return RefreshVerdict::Rotate;
        }
        // Another engine's clock may be a little ahead of ours.
        let since = now.duration_since(self.current.issued).abs();
        if self.previous.as_ref() == Some(presented) && since <= REFRESH_GRACE {
            RefreshVerdict::Again
        } else {
            RefreshVerdict::Reused
        }
    }

    /// Goes on with the next refresh token.
    pub fn rotate(&mut self, next: RefreshToken, via: String) {
        let used = std::mem::replace(&mut self.current, next);
        self.previous = Some(used.id);
        self.via = via;
    }

    /// When and why it ended, if it has by `now`. `account` is its user's; a user without one is in the first epoch.
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
