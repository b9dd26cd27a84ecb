//! Users and roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::people::check_hash;
use crate::{
    At, ClusterSpec, Document, Finding, Name, Permission, RoleSpec, UserSpec,
    built_in_holds_everything, built_in_roles, has_expired, known_permissions,
};

type Users = BTreeMap<Name, Arc<Document<UserSpec>>>;
type Roles = BTreeMap<Name, Arc<Document<RoleSpec>>>;

/// Least likeness (0 to 1, Jaro-Winkler) at which a name is offered instead of an unknown one.
const ALIKE: f64 = 0.8;

pub(super) fn check(users: &Users, roles: &Roles, now: Timestamp, findings: &mut Vec<Finding>) {
    let mut used = BTreeSet::new();
    for user in users.values() {
        for role in &user.spec.roles {
            used.insert(&role.value);
            check_role_exists(user, role, roles, findings);
        }
        check_password_hash(user, findings);
        if let Some(expires) = user.spec.expires.as_ref()
            && expires.value <= now
        {
            findings.push(expired(&user.path, "user", &user.name.value, expires));
        }
    }
    for role in roles.values() {
        check_role(role, used.contains(&role.name.value), findings);
    }
}

/// A hash that is still closed cannot be judged.
fn check_password_hash(user: &Document<UserSpec>, findings: &mut Vec<Finding>) {
    let Some(hash) = &user.spec.password_hash else {
        return;
    };
    let judged = hash.value.value().map(|text| check_hash(text.expose()));
    if let Some(Err(error)) = judged {
        let message = format!("the password hash of user {}: {error}", user.name.value);
        let finding = Finding::error(&user.path, hash.pos, "bad-hash", message);
        let help =
            "make one with `htpasswd -nBC 12 NAME`, or leave it out and use `banyan user enroll`";
        findings.push(finding.help(help));
    }
}

pub(super) fn expired(
    path: &Arc<str>,
    kind: &str,
    name: &Name,
    expires: &At<Timestamp>,
) -> Finding {
    let message = format!("{kind} {name} expired at {} and is inactive", expires.value);
    Finding::warning(path, expires.pos, "expired", message)
        .help("remove it, or set a later `expires`")
}

fn is_built_in(role: &str) -> bool {
    built_in_roles().any(|name| name == role)
}

fn check_role_exists(
    user: &Document<UserSpec>,
    role: &At<Name>,
    roles: &Roles,
    findings: &mut Vec<Finding>,
) {
    let wanted = role.value.as_str();
    if is_built_in(wanted) || roles.contains_key(&role.value) {
        return;
    }
    let mut names: Vec<&str> = roles.keys().map(Name::as_str).collect();
    names.extend(built_in_roles());
    let message = format!("there is no role {wanted}");
    let finding = Finding::error(&user.path, role.pos, "dangling-role", message);
    findings.push(match nearest(wanted, names.into_iter()) {
        Some(near) => finding.help(format!("did you mean {near}?")),
        None => finding.help("declare it, or use admin, deployer or viewer"),
    });
}

fn check_role(role: &Document<RoleSpec>, used: bool, findings: &mut Vec<Finding>) {
    let name = &role.name;
    if is_built_in(name.value.as_str()) {
        let message = format!("role {} is built in and cannot be declared", name.value);
        findings.push(
            Finding::error(&role.path, name.pos, "built-in-role", message)
                .help("choose another name"),
        );
    } else if !used {
        let message = format!("no user has role {}", name.value);
        findings.push(Finding::warning(
            &role.path,
            name.pos,
            "unused-role",
            message,
        ));
    }
    for permission in &role.spec.permissions {
        check_permission(role, permission, findings);
    }
}

fn check_permission(
    role: &Document<RoleSpec>,
    permission: &At<Permission>,
    findings: &mut Vec<Finding>,
) {
    let text = permission.value.as_str();
    let known = known_permissions();
    let resource_is_known =
        |resource: &str| known.iter().any(|k| k.split(':').next() == Some(resource));
    let near = match text.split_once(':') {
        None => return,
        Some((resource, "*")) if resource_is_known(resource) => return,
        Some((resource, "*")) => {
            let resources = known.iter().filter_map(|k| k.split(':').next());
            near_miss(resource, resources).map(|r| format!("{r}:*"))
        }
        Some(_) if known.contains(text) => return,
        Some(_) => near_miss(text, known.iter().copied()).map(str::to_owned),
    };
    if let Some(near) = near {
        let message = format!("{text} is none of the engine's permissions, but close to {near}");
        findings.push(
            Finding::warning(&role.path, permission.pos, "near-miss-permission", message)
                .help("leave it if another service uses it"),
        );
    }
}

/// One or two slips of the finger away, but not the same.
fn near_miss<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|k| (strsim::damerau_levenshtein(text, k), k))
        .filter(|(distance, k)| (1..=2).contains(distance) && k.len() > 2 * distance)
        .min()
        .map(|(_, k)| k)
}

fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(text, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name)
}

/// A user who holds `*`, is enabled and does not expire, must be there.
pub(super) fn check_admin(
    cluster: &Document<ClusterSpec>,
    users: &Users,
    roles: &Roles,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let holders: Vec<_> = users
        .values()
        .filter(|user| holds_everything(user, roles))
        .collect();
    let disabled = |user: &Document<UserSpec>| {
        user.spec
            .disabled
            .as_ref()
            .filter(|d| d.value)
            .map(|d| d.pos)
    };
    if holders
        .iter()
        .any(|user| disabled(user).is_none() && user.spec.expires.is_none())
    {
        return;
    }
    let help = "one enabled user without `expires` must hold `*`, for example by the role admin";
    let mut at = |path, pos, message: String| {
        findings.push(Finding::error(path, pos, "no-admin", message).help(help));
    };
    for user in &holders {
        let name = &user.name.value;
        if let Some(pos) = disabled(user) {
            at(
                &user.path,
                pos,
                format!("no admin would remain: {name} is disabled"),
            );
        } else if let Some(expires) = &user.spec.expires {
            let verb = if has_expired(Some(expires.value), now) {
                "expired"
            } else {
                "expires"
            };
            let message = format!(
                "no admin would remain for good: {name} {verb} at {}",
                expires.value
            );
            at(&user.path, expires.pos, message);
        }
    }
    if holders.is_empty() {
        let message = "no admin would remain: no user holds `*`";
        at(&cluster.path, cluster.pos, message.to_owned());
    }
}

fn holds_everything(user: &Document<UserSpec>, roles: &Roles) -> bool {
    user.spec.roles.iter().any(|role| {
        let declared = || {
            let role = roles.get(&role.value)?;
            Some(
                role.spec
                    .permissions
                    .iter()
                    .any(|p| p.value.is_everything()),
            )
        };
        built_in_holds_everything(role.value.as_str())
            .or_else(declared)
            .unwrap_or(false)
    })
}
