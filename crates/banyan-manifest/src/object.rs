//! Converts a valid document to the typed one. Every error was found before.

use std::sync::Arc;

use banyan_core::{
    AnyDocument, At, ClusterSpec, Document, Guards, Kind, Labels, MachineSpec, Name, Pos, RoleSpec,
    UserSpec,
};
use ipnet::Ipv4Net;

use crate::decode::{entry_of, number};
use crate::form;
use crate::open::Opened;
use crate::tree::{Entry, Reading, Value};

/// Builds the document; `None` only if it was not validated.
pub(crate) fn build(
    kind: Kind,
    path: &Arc<str>,
    pos: Pos,
    document: &[Entry<'_>],
    opened: Option<Opened>,
) -> Option<AnyDocument> {
    let metadata = Map::of(document).map("metadata")?;
    let spec = Map::of(document).map("spec")?;
    let head = Head {
        name: metadata.text("name", form::name)?,
        labels: metadata.map("labels").map(labels).unwrap_or_default(),
        path: Arc::clone(path),
        pos,
    };
    Some(match kind {
        Kind::Cluster => AnyDocument::Cluster(head.with(cluster(&spec)?)),
        Kind::Role => AnyDocument::Role(head.with(RoleSpec {
            permissions: spec.list("permissions", form::permission)?,
        })),
        Kind::User => AnyDocument::User(head.with(user(&spec, opened)?)),
        Kind::Machine => AnyDocument::Machine(head.with(machine(&spec, opened)?)),
    })
}

struct Head {
    name: At<Name>,
    labels: Labels,
    path: Arc<str>,
    pos: Pos,
}

impl Head {
    fn with<T>(self, spec: T) -> Arc<Document<T>> {
        Arc::new(Document {
            name: self.name,
            labels: self.labels,
            path: self.path,
            pos: self.pos,
            spec,
        })
    }
}

const CONTROL_RANGE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 200, 0, 0), 16);
const MESH_RANGE: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 201, 0, 0), 16);

fn cluster(spec: &Map<'_, '_>) -> Option<ClusterSpec> {
    // A default value gets the place where it could be written.
    let recipients_at = spec.key_pos("recipients")?;
    let range = |name, default| {
        spec.text(name, form::range)
            .unwrap_or(At::new(default, recipients_at))
    };
    Some(ClusterSpec {
        control_range: range("controlRange", CONTROL_RANGE),
        mesh_range: range("meshRange", MESH_RANGE),
        recipients: spec.list("recipients", form::recipient)?,
        guards: guards(spec.map("guards")),
        require_sealed: spec.truth("requireSealed").is_none_or(|at| at.value),
    })
}

fn guards(map: Option<Map<'_, '_>>) -> Guards {
    let default = Guards::default();
    let Some(map) = map else { return default };
    Guards {
        max_removed_percent: map
            .number("maxRemovedPercent", 100)
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(default.max_removed_percent),
        max_removed: map
            .number("maxRemoved", u32::MAX)
            .unwrap_or(default.max_removed),
    }
}

fn user(spec: &Map<'_, '_>, opened: Option<Opened>) -> Option<UserSpec> {
    let password_hash = match (spec.key_pos("passwordHash"), opened) {
        (None, _) => None,
        (Some(_), Some(Opened::Hash(hash))) => Some(hash),
        (Some(_), _) => return None,
    };
    Some(UserSpec {
        roles: spec.list("roles", form::name)?,
        email: spec.text("email", form::email).map(|at| at.value),
        disabled: spec.truth("disabled"),
        expires: spec.text("expires", form::time),
        password_hash,
    })
}

fn machine(spec: &Map<'_, '_>, opened: Option<Opened>) -> Option<MachineSpec> {
    let Some(Opened::Key(public_key)) = opened else {
        return None;
    };
    Some(MachineSpec {
        machine_type: spec.text("type", form::machine_type)?.value,
        public_key,
        endpoint: spec.text("endpoint", form::endpoint).map(|at| at.value),
        mesh_address: spec.text("meshAddress", form::address),
        routes: spec.list("routes", form::route).unwrap_or_default(),
        expires: spec.text("expires", form::time),
        protected: spec.truth("protected").is_some_and(|at| at.value),
    })
}

fn labels(map: Map<'_, '_>) -> Labels {
    map.entries
        .iter()
        .filter_map(|entry| match &entry.value.value {
            Value::Scalar(scalar) => Some((entry.key.to_string(), scalar.text.to_string())),
            _ => None,
        })
        .collect()
}

/// A validated mapping.
#[derive(Clone, Copy)]
struct Map<'n, 'a> {
    entries: &'n [Entry<'a>],
}

impl<'n, 'a> Map<'n, 'a> {
    fn of(entries: &'n [Entry<'a>]) -> Self {
        Self { entries }
    }

    fn map(self, name: &str) -> Option<Map<'n, 'a>> {
        match &entry_of(self.entries, name)?.value.value {
            Value::Map(entries) => Some(Map::of(entries)),
            _ => None,
        }
    }

    fn key_pos(self, name: &str) -> Option<Pos> {
        Some(entry_of(self.entries, name)?.key_pos)
    }

    fn text<T>(self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<At<T>> {
        let entry = entry_of(self.entries, name)?;
        match &entry.value.value {
            Value::Scalar(scalar) => Some(At::new(parse(&scalar.text).ok()?, entry.value.pos)),
            _ => None,
        }
    }

    fn list<T>(self, name: &str, parse: fn(&str) -> Result<T, String>) -> Option<Vec<At<T>>> {
        let Value::List(items) = &entry_of(self.entries, name)?.value.value else {
            return None;
        };
        items
            .iter()
            .map(|item| match &item.value {
                Value::Scalar(scalar) => Some(At::new(parse(&scalar.text).ok()?, item.pos)),
                _ => None,
            })
            .collect()
    }

    /// The place is that of the field.
    fn truth(self, name: &str) -> Option<At<bool>> {
        let entry = entry_of(self.entries, name)?;
        match &entry.value.value {
            Value::Scalar(scalar) => match scalar.reading() {
                Reading::Truth(value) => Some(At::new(value, entry.key_pos)),
                _ => None,
            },
            _ => None,
        }
    }

    fn number(self, name: &str, most: u32) -> Option<u32> {
        match &entry_of(self.entries, name)?.value.value {
            Value::Scalar(scalar) => number(scalar, most),
            _ => None,
        }
    }
}
