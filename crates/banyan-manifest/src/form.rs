//! The text formats of fields: parsing each, and its JSON Schema.

use std::net::Ipv4Addr;

use banyan_core::{Endpoint, MachineType, Name, Permission, PublicKey, Recipient};
use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::limits::MAX_SEALED_BYTES;
use crate::recipient::parse_recipient;

/// A text format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Version,
    Kind,
    Name,
    Email,
    Time,
    Permission,
    Recipient,
    Range,
    Route,
    Address,
    Endpoint,
    MachineType,
    Key,
    Armor,
}

/// The one version of the format of documents: what `apiVersion` says.
pub const VERSION: &str = "banyan/v1";

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";

impl Form {
    /// The error in a text of this format. It never repeats the text.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            // Validated with the document as a whole, first.
            Self::Version | Self::Kind => Ok(()),
            Self::Name => name(text).map(drop),
            Self::Email => email(text).map(drop),
            Self::Time => time(text).map(drop),
            Self::Permission => permission(text).map(drop),
            Self::Recipient => recipient(text).map(drop),
            Self::Range => range(text).map(drop),
            Self::Route => route(text).map(drop),
            Self::Address => address(text).map(drop),
            Self::Endpoint => endpoint(text).map(drop),
            Self::MachineType => machine_type(text).map(drop),
            Self::Key => key(text).map(drop),
            Self::Armor => armor(text),
        }
    }

    /// The rule that an invalid text violates.
    pub(crate) fn rule(self, text: &str) -> &'static str {
        match self {
            Self::Recipient if is_secret(text) => "secret-exposed",
            Self::Name => "bad-name",
            Self::Key => "bad-key",
            Self::Armor => "cannot-unseal",
            _ => "bad-value",
        }
    }

    /// Whether a finding may repeat the text.
    pub(crate) fn may_be_shown(self, text: &str) -> bool {
        !matches!(self, Self::Key | Self::Armor) && !is_secret(text)
    }

    /// How to fix an invalid text.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Version | Self::Kind => "see `banyan schema`",
            Self::Name => "a name is an RFC 1123 label, for example web-1",
            Self::Email => "for example alice@example.org",
            Self::Time => "for example 2030-12-31T23:59:59Z",
            Self::Permission => {
                "for example deployments:read; `banyan role permissions` lists the engine's own"
            }
            Self::Recipient => {
                "use the public key that `age-keygen` prints, or an ssh-ed25519 `.pub` file"
            }
            Self::Range => "for example 10.200.0.0/16",
            Self::Route => "for example 192.168.10.0/24 or fd00:10::/64",
            Self::Address => "for example 10.201.0.10",
            Self::Endpoint => "for example vpn.example.org:51820",
            Self::MachineType => "write `agent` for a node, `cli` for a user's computer",
            Self::Key => "use the line that `wg pubkey` prints",
            Self::Armor => "create one with `banyan seal`",
        }
    }

    /// Its JSON Schema. It may accept what [`Self::check`] refuses, never the reverse.
    pub(crate) fn schema(self) -> Value {
        let pattern = |pattern: &str| json!({"type": "string", "pattern": pattern});
        match self {
            Self::Version => json!({"const": VERSION}),
            Self::Kind => json!({"type": "string"}),
            Self::Name => json!({
                "type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            }),
            Self::Email => json!({
                "type": "string", "maxLength": banyan_core::people::MAX_EMAIL, "pattern": "^[^@\\s]+@[^@\\s]+$",
            }),
            Self::Time => pattern(
                "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$",
            ),
            Self::Permission => json!({
                "type": "string", "maxLength": 128,
                "pattern": "^(\\*|[a-z0-9_.-]+:(\\*|[a-z0-9_.-]+))$",
            }),
            Self::Recipient => {
                pattern("^(age1[02-9ac-hj-np-z]{58}|ssh-ed25519 AAAA[A-Za-z0-9+/]{64}( .*)?)$")
            }
            Self::Range => pattern("^([0-9]{1,3}\\.){3}[0-9]{1,3}/(8|9|1[0-9]|2[0-4])$"),
            Self::Route => pattern("^[0-9a-fA-F.:]+/[1-9][0-9]{0,2}$"),
            Self::Address => pattern("^([0-9]{1,3}\\.){3}[0-9]{1,3}$"),
            Self::Endpoint => pattern("^.+:[0-9]{1,5}$"),
            Self::MachineType => json!({"enum": ["agent", "cli"]}),
            Self::Key => pattern("^[A-Za-z0-9+/]{43}=$"),
            Self::Armor => json!({
                "type": "string", "maxLength": MAX_SEALED_BYTES,
                "pattern": "^\\s*-----BEGIN AGE ENCRYPTED FILE-----",
            }),
        }
    }
}

/// Whether a text looks like a private key, whatever field it was put into.
fn is_secret(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.contains("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY")
}

pub(crate) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(said)
}

pub(crate) fn permission(text: &str) -> Result<Permission, String> {
    text.parse().map_err(said)
}

pub(crate) fn endpoint(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(said)
}

pub(crate) fn key(text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(said)
}

pub(crate) fn recipient(text: &str) -> Result<Recipient, String> {
    parse_recipient(text).map_err(said)
}

fn said(error: impl std::error::Error) -> String {
    error.to_string()
}

pub(crate) fn machine_type(text: &str) -> Result<MachineType, String> {
    match text {
        "agent" => Ok(MachineType::Agent),
        "cli" => Ok(MachineType::Cli),
        _ => Err("a machine's type must be `agent` or `cli`".to_owned()),
    }
}

pub(crate) fn email(text: &str) -> Result<String, String> {
    let checked = banyan_core::people::check_email(text);
    checked.map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// RFC 3339 without its options (a space for the T, lower-case letters, leap seconds).
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let wrong = || "a time must be in RFC 3339 format: date, T, time to the second, Z or an offset";
    if !has_time_shape(text) {
        return Err(wrong().to_owned());
    }
    text.parse()
        .map_err(|_| "this date or time does not exist".to_owned())
}

fn has_time_shape(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |bytes: &[u8], shape: &[u8]| {
        bytes.len() == shape.len()
            && bytes.iter().zip(shape).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    let Some((head, tail)) = text.as_bytes().split_at_checked(SHAPE.len()) else {
        return false;
    };
    let zone = match tail.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            match fraction.split_at_checked(digits) {
                Some((_, zone)) if (1..=9).contains(&digits) => zone,
                _ => return false,
            }
        }
        _ => tail,
    };
    let offset = matches!(zone.split_first(), Some((b'+' | b'-', rest)) if fits(rest, b"00:00"));
    fits(head, SHAPE) && (zone == b"Z" || offset)
}

pub(crate) fn range(text: &str) -> Result<Ipv4Net, String> {
    let range: Ipv4Net = text
        .parse()
        .map_err(|_| "a range must be an IPv4 network with a prefix length".to_owned())?;
    if !(8..=24).contains(&range.prefix_len()) {
        return Err("a range must be from /8 (largest) to /24 (smallest)".to_owned());
    }
    if range.trunc() != range {
        return Err(format!(
            "host bits are set; the network is {}",
            range.trunc()
        ));
    }
    Ok(range)
}

pub(crate) fn route(text: &str) -> Result<IpNet, String> {
    let route: IpNet = text
        .parse()
        .map_err(|_| "a route must be a network with a prefix length".to_owned())?;
    if route.prefix_len() == 0 {
        return Err("a machine cannot have a default route behind it".to_owned());
    }
    if route.trunc() != route {
        return Err(format!(
            "host bits are set; the network is {}",
            route.trunc()
        ));
    }
    Ok(route)
}

pub(crate) fn address(text: &str) -> Result<Ipv4Addr, String> {
    text.parse()
        .map_err(|_| "a mesh address must be an IPv4 address".to_owned())
}

fn armor(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.len() > MAX_SEALED_BYTES {
        return Err(format!(
            "the sealed value is larger than {MAX_SEALED_BYTES} bytes"
        ));
    }
    if text.starts_with(BEGIN) && text.ends_with(END) {
        return Ok(());
    }
    Err(format!(
        "not an armored age file, which starts with `{BEGIN}`"
    ))
}
