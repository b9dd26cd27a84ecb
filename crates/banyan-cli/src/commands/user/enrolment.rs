//! A one-time code, and instructions for the user who gets it.

use std::fmt;

use banyan_api::{Target, Trust, v1};
use banyan_core::SecretText;
use jiff::Timestamp;
use serde::Serialize;

use crate::shape;
use crate::ui::{harmless, moment};

/// The stable shape.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Enrolment {
    code: SecretText,
    expires: Option<Timestamp>,
}

impl Enrolment {
    pub(super) fn new(enrolment: v1::Enrolment) -> Self {
        Self {
            expires: shape::at(enrolment.expires.as_ref()),
            code: SecretText::new(enrolment.code),
        }
    }

    /// The instructions.
    pub(super) fn text(&self, name: &str, target: &Target, now: Timestamp) -> String {
        let until = self.expires.map(|at| format!(" until {}", moment(at, now)));
        let until = until.unwrap_or_default();
        let code = harmless(self.code.expose());
        let command = Command { name, target };
        let mut text = format!(
            "One-time code for {name}, valid once{until}:\n\n  {code}\n\n\
             Give it to nobody else; it is not shown again. To set a password with it and log in:\n\n  {command}\n"
        );
        if let Target::Socket(_) = target {
            text.push_str(
                "\nPIN is what `banyan-engine pin` prints here. If an authority issued the engine's certificate, leave the \
                 option out.\n",
            );
        }
        text
    }
}

/// The command line for the user.
struct Command<'a> {
    name: &'a str,
    target: &'a Target,
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "banyan login --enroll --username {}", self.name)?;
        match self.target {
            Target::Socket(_) => f.write_str(" --engine HOST --engine-ca-pin PIN"),
            Target::Tls { trust, .. } => {
                write!(f, " --engine {}", self.target)?;
                match trust {
                    Trust::Pin(pin) => write!(f, " --engine-ca-pin {pin}"),
                    Trust::Ca(_) => f.write_str(" --engine-ca-file FILE"),
                    Trust::System => Ok(()),
                }
            }
        }
    }
}
