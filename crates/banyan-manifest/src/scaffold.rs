//! The text of new documents. They load without findings.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use banyan_core::{Endpoint, MachineType, Name, Permission, PublicKey, Recipient};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::form::VERSION;
use crate::tree::{Reading, plain_reading};

/// The `Cluster` document of a new repo: its name, and each recipient with a comment that names its owner.
///
/// A cluster needs at least one recipient; without one the document has a finding that says so.
#[must_use]
pub fn cluster(name: &Name, recipients: &[(Recipient, String)], require_sealed: bool) -> String {
    let mut text = head("Cluster", name);
    text.push_str(
        "spec:\n  # Changing a range in a live cluster is refused.\n  controlRange: 10.200.0.0/16\n  meshRange: 10.201.0.0/16\n",
    );
    text.push_str(
        "  # Recipients of sealed values. After a change, seal all values again: banyan seal\n",
    );
    if recipients.is_empty() {
        text.push_str("  recipients: []\n");
    } else {
        text.push_str("  recipients:\n");
    }
    for (recipient, remark) in recipients {
        let remark = one_line(remark);
        let recipient = scalar(&recipient.0);
        // Writing to a String cannot fail.
        let _ = if remark.is_empty() {
            writeln!(text, "    - {recipient}")
        } else {
            writeln!(text, "    # {remark}\n    - {recipient}")
        };
    }
    if !require_sealed {
        text.push_str("  requireSealed: false\n");
    }
    text
}

/// A `Role` document.
#[must_use]
pub fn role(name: &Name, permissions: &[Permission]) -> String {
    let mut text = head("Role", name);
    text.push_str("spec:\n");
    list(
        &mut text,
        "permissions",
        permissions.iter().map(Permission::as_str),
    );
    text
}

/// A new user.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The login name.
    pub name: Name,
    /// Names of roles.
    pub roles: Vec<Name>,
    /// An email address, for information only.
    pub email: Option<String>,
    /// When the user becomes inactive.
    pub expires: Option<Timestamp>,
}

/// A `User` document.
#[must_use]
pub fn user(user: &NewUser) -> String {
    let mut text = head("User", &user.name);
    text.push_str("spec:\n");
    list(&mut text, "roles", user.roles.iter().map(Name::as_str));
    field(&mut text, "email", user.email.as_deref());
    field(
        &mut text,
        "expires",
        user.expires.map(|at| at.to_string()).as_deref(),
    );
    text
}

/// A new machine.
#[derive(Debug, Clone)]
pub struct NewMachine {
    /// Its name.
    pub name: Name,
    /// The kind of machine.
    pub machine_type: MachineType,
    /// Its key.
    pub key: NewKey,
    /// The address it can be reached at.
    pub endpoint: Option<Endpoint>,
    /// A fixed address in the mesh.
    pub mesh_address: Option<Ipv4Addr>,
    /// Subnets behind it.
    pub routes: Vec<IpNet>,
}

/// The key of a new machine.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// Sealed, as returned by `banyan_manifest::seal`.
    Sealed(String),
    /// In clear, for clusters with `requireSealed: false`.
    Plain(PublicKey),
}

/// A `Machine` document.
#[must_use]
pub fn machine(machine: &NewMachine) -> String {
    let mut text = head("Machine", &machine.name);
    let _ = writeln!(text, "spec:\n  type: {}", machine.machine_type);
    text.push_str("  publicKey:\n");
    match &machine.key {
        NewKey::Sealed(armored) => text.push_str(&sealed_block(armored, 4)),
        NewKey::Plain(key) => {
            let _ = writeln!(text, "    plain: {}", scalar(&key.to_string()));
        }
    }
    let endpoint = machine.endpoint.as_ref().map(Endpoint::as_str);
    field(&mut text, "endpoint", endpoint);
    let address = machine.mesh_address.map(|address| address.to_string());
    field(&mut text, "meshAddress", address.as_deref());
    if !machine.routes.is_empty() {
        let routes: Vec<String> = machine.routes.iter().map(IpNet::to_string).collect();
        list(&mut text, "routes", routes.iter().map(String::as_str));
    }
    text
}

/// `sealed: |` and the armored text, indented by `indent` spaces, as `banyan seal` prints it.
#[must_use]
pub fn sealed_block(armored: &str, indent: usize) -> String {
    let mut text = format!("{:indent$}sealed: |\n", "");
    for line in armored.trim().lines() {
        let _ = writeln!(text, "{:1$}{line}", "", indent + 2);
    }
    text
}

fn head(kind: &str, name: &Name) -> String {
    format!(
        "apiVersion: {VERSION}\nkind: {kind}\nmetadata:\n  name: {}\n",
        scalar(name.as_str())
    )
}

fn field(text: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = writeln!(text, "  {name}: {}", scalar(value));
    }
}

fn list<'a>(text: &mut String, name: &str, items: impl Iterator<Item = &'a str>) {
    let items: Vec<String> = items.map(scalar).collect();
    let _ = writeln!(text, "  {name}: [{}]", items.join(", "));
}

/// A text as a YAML scalar that every YAML version reads back unchanged: quoted unless plainly safe.
fn scalar(text: &str) -> String {
    const WORDS_OF_OLD: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+');
    let sure = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| fits(c) || c == ' ' || c == ':')
        && !text.contains(": ")
        && !text.ends_with([' ', ':'])
        && plain_reading(text) == Reading::Text
        && !WORDS_OF_OLD.contains(&text.to_ascii_lowercase().as_str());
    if sure {
        text.to_owned()
    } else {
        // Every JSON string is a YAML string in double quotes.
        serde_json::Value::from(text).to_string()
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    words.join(" ").trim().to_owned()
}
