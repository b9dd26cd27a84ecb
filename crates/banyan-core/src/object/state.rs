//! The state of a user in words.

use jiff::Timestamp;

use crate::User;

/// `active`, `active until …`, `expired since …`.
fn expiry_state(expires: Option<Timestamp>, now: Timestamp) -> String {
    match expires {
        None => "active".to_owned(),
        Some(at) if at <= now => format!("expired since {at}"),
        Some(at) => format!("active until {at}"),
    }
}

/// The state of a user in words: `active`, `disabled`, `expired since …`.
#[must_use]
pub fn user_state(user: &User, now: Timestamp) -> String {
    if user.disabled {
        "disabled".to_owned()
    } else {
        expiry_state(user.expires, now)
    }
}
