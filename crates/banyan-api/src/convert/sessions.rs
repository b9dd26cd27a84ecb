//! Sessions on the wire.

use banyan_core::SessionId;
use banyan_core::people::{Account, Session};
use jiff::Timestamp;

use super::{text, timestamp};
use crate::v1;

impl v1::Session {
    /// A session as of `now`; `account` is that of its user.
    #[must_use]
    pub fn new(
        id: &SessionId,
        session: &Session,
        account: Option<&Account>,
        now: Timestamp,
    ) -> Self {
        let ended = session.end(account, now);
        Self {
            id: id.to_string(),
            user: session.name.to_string(),
            created: Some(timestamp(session.created)),
            refreshed: Some(timestamp(session.current.issued)),
            expires: Some(timestamp(session.current.expires)),
            via: session.via.clone(),
            ended: ended.as_ref().map(|ended| timestamp(ended.at)),
            ended_because: text(ended.map(|ended| ended.because)),
            current: false,
        }
    }
}
