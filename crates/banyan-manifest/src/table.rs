//! The field table that the decoder and the JSON Schema share.

use banyan_core::Kind;

use crate::form::Form;

/// A field of a mapping.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
}

/// The type of a field.
#[derive(Debug)]
pub(crate) enum Shape {
    Text(Form),
    Truth,
    /// An integer from 0 to this.
    Number(u32),
    /// A list of texts, with a minimum length.
    List(Form, usize),
    Object(&'static [Field]),
    Labels,
    /// `{sealed: …}`, or `{plain: …}` of this form where there is one.
    Sealed(Option<Form>),
    /// `spec`, whose fields depend on the kind.
    Spec,
}

const fn must(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        name,
        required: true,
        shape,
        about,
    }
}

const fn may(name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field {
        name,
        required: false,
        shape,
        about,
    }
}

/// The fields of every document.
pub(crate) const DOCUMENT: &[Field] = &[
    must(
        "apiVersion",
        Shape::Text(Form::Version),
        "The version of the format: banyan/v1.",
    ),
    must(
        "kind",
        Shape::Text(Form::Kind),
        "What the document describes.",
    ),
    must("metadata", Shape::Object(METADATA), "Name and labels."),
    must(
        "spec",
        Shape::Spec,
        "The specification; its fields depend on the kind.",
    ),
];

pub(crate) const METADATA: &[Field] = &[
    must(
        "name",
        Shape::Text(Form::Name),
        "A name, unique among documents of the kind (RFC 1123 label).",
    ),
    may("labels", Shape::Labels, "Labels to group objects by."),
];

const CLUSTER: &[Field] = &[
    may(
        "controlRange",
        Shape::Text(Form::Range),
        "Addresses of the control tunnel; 10.200.0.0/16 by default.",
    ),
    may(
        "meshRange",
        Shape::Text(Form::Range),
        "Addresses of the mesh; 10.201.0.0/16 by default.",
    ),
    must(
        "recipients",
        Shape::List(Form::Recipient, 1),
        "Recipients of sealed values: age1… or ssh-ed25519 public keys.",
    ),
    may(
        "guards",
        Shape::Object(GUARDS),
        "How much one commit may remove without a trailer.",
    ),
    may(
        "requireSealed",
        Shape::Truth,
        "Whether keys must be sealed; true by default.",
    ),
];

const GUARDS: &[Field] = &[
    may(
        "maxRemovedPercent",
        Shape::Number(100),
        "Share of a kind, in percent; 25 by default.",
    ),
    may(
        "maxRemoved",
        Shape::Number(u32::MAX),
        "Number of objects of a kind; 5 by default.",
    ),
];

const ROLE: &[Field] = &[must(
    "permissions",
    Shape::List(Form::Permission, 0),
    "Permissions of holders: resource:action, resource:* or *.",
)];

const USER: &[Field] = &[
    must("roles", Shape::List(Form::Name, 0), "Names of roles."),
    may(
        "email",
        Shape::Text(Form::Email),
        "An email address, for information only.",
    ),
    may(
        "disabled",
        Shape::Truth,
        "Whether the user is disabled; false by default.",
    ),
    may(
        "expires",
        Shape::Text(Form::Time),
        "When the user becomes inactive (RFC 3339).",
    ),
    may(
        "passwordHash",
        Shape::Sealed(None),
        "A sealed bcrypt hash; without one, the user enrols with a one-time code.",
    ),
];

const MACHINE: &[Field] = &[
    must(
        "type",
        Shape::Text(Form::MachineType),
        "Type of machine: agent or cli.",
    ),
    must(
        "publicKey",
        Shape::Sealed(Some(Form::Key)),
        "Its WireGuard public key.",
    ),
    may(
        "endpoint",
        Shape::Text(Form::Endpoint),
        "Public address: host:port.",
    ),
    may(
        "meshAddress",
        Shape::Text(Form::Address),
        "A fixed address in the mesh.",
    ),
    may("routes", Shape::List(Form::Route, 0), "Subnets behind it."),
    may(
        "expires",
        Shape::Text(Form::Time),
        "When the machine leaves the network (RFC 3339).",
    ),
    may(
        "protected",
        Shape::Truth,
        "Whether a commit that removes it is refused; false by default.",
    ),
];

/// The fields of `spec`.
pub(crate) fn spec(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Cluster => CLUSTER,
        Kind::Role => ROLE,
        Kind::User => USER,
        Kind::Machine => MACHINE,
    }
}

/// The longest label key and value, in characters.
pub(crate) const MAX_LABEL: usize = 63;

/// Whether a text can be the key of a label.
pub(crate) fn is_label_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    !text.is_empty() && text.len() <= MAX_LABEL && text.chars().all(fits)
}

/// Whether a text can be the value of a label.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.chars().count() <= MAX_LABEL && !text.chars().any(char::is_control)
}
