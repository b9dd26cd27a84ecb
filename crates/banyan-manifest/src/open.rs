//! Unseals the sealed value of a document, and validates its content.

use banyan_core::{At, Digest, Kind, Name, Pos, PublicKey, Sealed, SecretText};
use sha2::{Digest as _, Sha256};

use crate::decode::value_of;
use crate::find::Findings;
use crate::form;
use crate::identity::Identities;
use crate::payload::{PASSWORD_HASH, PUBLIC_KEY, Payload};
use crate::seal::{OpenError, open};
use crate::tree::{Entry, Scalar, Value};

/// The content of a field that may be sealed.
pub(crate) enum Opened {
    Key(At<Sealed<PublicKey>>),
    Hash(At<Sealed<SecretText>>),
}

/// Unseals values, or counts them if there is no identity.
pub(crate) struct Opener<'a> {
    pub(crate) identities: Option<&'a Identities>,
    pub(crate) closed: usize,
}

impl Opener<'_> {
    /// Reads the field that may be sealed. The document may have any shape.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        document: &[Entry<'_>],
        findings: &mut Findings,
    ) -> Option<Opened> {
        let field = match kind {
            Kind::Machine => PUBLIC_KEY,
            Kind::User => PASSWORD_HASH,
            Kind::Cluster | Kind::Role => return None,
        };
        let entries = map(document, "spec").and_then(|spec| map(spec, field))?;
        if kind == Kind::Machine
            && let Some((pos, plain)) = scalar(entries, "plain")
        {
            let key = form::key(&plain.text).ok()?;
            return Some(Opened::Key(At::new(Sealed::Plain(key), pos)));
        }
        let (pos, sealed) = scalar(entries, "sealed")?;
        // A text that is not armored has its finding already.
        form::Form::Armor.check(&sealed.text).ok()?;
        let Some(identities) = self.identities else {
            self.closed += 1;
            return Some(closed(kind, pos, &sealed.text));
        };
        let name: Name = scalar(map(document, "metadata")?, "name")
            .and_then(|(_, name)| name.text.parse().ok())?;
        let payload = match open(&sealed.text, identities) {
            Ok(payload) => payload,
            Err(error) => {
                cannot_open(&error, pos, findings);
                return None;
            }
        };
        if !belongs(&payload, kind, &name, field, pos, findings) {
            return None;
        }
        judge(kind, payload, pos, findings)
    }
}

fn map<'n, 'a>(entries: &'n [Entry<'a>], name: &str) -> Option<&'n [Entry<'a>]> {
    match value_of(entries, name)? {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

fn scalar<'n, 'a>(entries: &'n [Entry<'a>], name: &str) -> Option<(Pos, &'n Scalar<'a>)> {
    let entry = crate::decode::entry_of(entries, name)?;
    match &entry.value.value {
        Value::Scalar(scalar) => Some((entry.value.pos, scalar)),
        _ => None,
    }
}

fn closed(kind: Kind, pos: Pos, armored: &str) -> Opened {
    let ciphertext = Digest(Sha256::digest(armored.trim()).into());
    if kind == Kind::Machine {
        Opened::Key(At::new(Sealed::Closed { ciphertext }, pos))
    } else {
        Opened::Hash(At::new(Sealed::Closed { ciphertext }, pos))
    }
}

fn cannot_open(error: &OpenError, pos: Pos, findings: &mut Findings) {
    let help = match error {
        OpenError::NotRecipient => {
            "use the identity of one of the Cluster's recipients, or seal it again for all of them with `banyan seal`"
        }
        _ => "seal the value again with `banyan seal`",
    };
    findings.error(
        pos,
        "cannot-unseal",
        format!("cannot unseal: {error}"),
        help,
    );
}

fn belongs(
    payload: &Payload,
    kind: Kind,
    name: &Name,
    field: &str,
    pos: Pos,
    findings: &mut Findings,
) -> bool {
    let here = format!("{kind} `{name}`");
    let there = format!("{} `{}`", payload.kind, payload.name);
    let message = if here != there {
        format!("sealed for {there}, but this is {here}")
    } else if payload.field != field {
        format!("sealed for `{}`, but this is `{field}`", payload.field)
    } else {
        return true;
    };
    findings.error(
        pos,
        "sealed-for-other",
        message,
        "a sealed value cannot be moved: seal it again with `banyan seal`",
    );
    false
}

fn judge(kind: Kind, payload: Payload, pos: Pos, findings: &mut Findings) -> Option<Opened> {
    let recipients = payload.recipients;
    if kind == Kind::User {
        if !is_bcrypt(payload.value.expose()) {
            findings.error(
                pos,
                "bad-password-hash",
                "the sealed value is not a bcrypt hash with a cost from 10 to 14",
                "create one with `htpasswd -nBC 12 NAME`, or omit it and use `banyan user enroll`",
            );
            return None;
        }
        let value = payload.value;
        return Some(Opened::Hash(At::new(
            Sealed::Opened { value, recipients },
            pos,
        )));
    }
    match form::key(payload.value.expose()) {
        Ok(value) => Some(Opened::Key(At::new(
            Sealed::Opened { value, recipients },
            pos,
        ))),
        Err(reason) => {
            let message = format!("the sealed key is unusable: {reason}");
            findings.error(pos, "bad-key", message, form::Form::Key.help());
            None
        }
    }
}

/// `$2b$12$` and 53 characters of bcrypt's base64, at a cost that is neither weak nor expensive.
fn is_bcrypt(text: &str) -> bool {
    let rest = ["$2a$", "$2b$", "$2y$"]
        .into_iter()
        .find_map(|version| text.strip_prefix(version));
    let Some((cost, hash)) = rest.and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    matches!(cost, "10" | "11" | "12" | "13" | "14")
        && hash.len() == 53
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'))
}
