//! Who may call: a layer before every service on every listener.

mod caller;

pub(crate) use caller::{Caller, LOCAL};
