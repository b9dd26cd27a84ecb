//! Users and roles.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::catalog::Catalog;
use crate::people::{HASH_COST, check_hash};
use crate::{
    At, ClusterSpec, Document, Finding, Name, Permission, Pos, RoleSpec, UserSpec,
    built_in_holds_everything, built_in_roles, has_expired, known_permissions,
};

/// Minimum Jaro-Winkler similarity (0 to 1) at which a known name is suggested instead of an unknown one.
const ALIKE: f64 = 0.8;

impl Catalog {
    pub(super) fn check_user(&self, user: &Document<UserSpec>, findings: &mut Vec<Finding>) {
        for role in &user.spec.roles {
            self.check_role_exists(user, role, findings);
        }
        check_password_hash(user, findings);
        if let Some(hash) = &user.spec.password_hash
            && self.cluster().is_some()
        {
            self.check_sealed(&user.path, hash, false, findings);
        }
    }

    pub(super) fn check_role(&self, role: &Document<RoleSpec>, findings: &mut Vec<Finding>) {
        let name = &role.name;
        if is_built_in(name.value.as_str()) {
            let message = format!("role {} is built in and cannot be declared", name.value);
            findings.push(
                Finding::error(&role.path, name.pos, "built-in-role", message)
                    .help("choose another name"),
            );
        } else if !self.index.users_of.contains_key(&name.value) {
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

    fn check_role_exists(
        &self,
        user: &Document<UserSpec>,
        role: &At<Name>,
        findings: &mut Vec<Finding>,
    ) {
        let (wanted, roles) = (role.value.as_str(), self.roles.first());
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

    /// An enabled user who holds `*` and does not expire must exist.
    pub(super) fn check_admin(
        &self,
        cluster: &Document<ClusterSpec>,
        now: Timestamp,
        findings: &mut Vec<Finding>,
    ) {
        let lasts =
            |user: &Document<UserSpec>| disabled(user).is_none() && user.spec.expires.is_none();
        if self.holders_of_everything().any(|user| lasts(user)) {
            return;
        }
        let by_name: BTreeMap<&Name, _> = (self.holders_of_everything())
            .map(|user| (&user.name.value, user))
            .collect();
        let help =
            "one enabled user without `expires` must hold `*`, for example through the role admin";
        let mut at = |path, pos, message: String| {
            findings.push(Finding::error(path, pos, "no-admin", message).help(help));
        };
        for (name, user) in &by_name {
            if let Some(pos) = disabled(user) {
                let message = format!("no admin would remain: {name} is disabled");
                at(&user.path, pos, message);
            } else if let Some(expires) = &user.spec.expires {
                let verb = if has_expired(Some(expires.value), now) {
                    "expired"
                } else {
                    "expires"
                };
                let message = format!(
                    "no permanent admin would remain: {name} {verb} at {}",
                    expires.value
                );
                at(&user.path, expires.pos, message);
            }
        }
        if by_name.is_empty() {
            let message = "no admin would remain: no user holds `*`";
            at(&cluster.path, cluster.pos, message.to_owned());
        }
    }

    /// The users with a role that grants `*`; a user may be repeated.
    fn holders_of_everything(&self) -> impl Iterator<Item = &Arc<Document<UserSpec>>> {
        let built_in =
            built_in_roles().filter(|role| built_in_holds_everything(role) == Some(true));
        let built_in = built_in.filter_map(|role| role.parse::<Name>().ok());
        let declared = self.index.everything.iter();
        // A declared role cannot change the permissions of a built-in one.
        let declared = declared.filter(|role| !is_built_in(role.as_str())).cloned();
        let users = built_in
            .chain(declared)
            .flat_map(|role| self.index.users_of.get(&role));
        users.filter_map(|name| self.users.first().get(name))
    }
}

/// The position of `disabled: true`.
fn disabled(user: &Document<UserSpec>) -> Option<Pos> {
    let disabled = user.spec.disabled.as_ref();
    disabled.filter(|d| d.value).map(|d| d.pos)
}

/// A hash that is still sealed cannot be checked.
fn check_password_hash(user: &Document<UserSpec>, findings: &mut Vec<Finding>) {
    let Some(hash) = &user.spec.password_hash else {
        return;
    };
    let judged = hash
        .value
        .value()
        .map(|text| check_hash(text.expose(), HASH_COST));
    if let Some(Err(error)) = judged {
        let message = format!("invalid password hash of user {}: {error}", user.name.value);
        let finding = Finding::error(&user.path, hash.pos, "bad-hash", message);
        let help =
            "create one with `htpasswd -nBC 12 NAME`, or omit it and use `banyan user enroll`";
        findings.push(finding.help(help));
    }
}

fn is_built_in(role: &str) -> bool {
    built_in_roles().any(|name| name == role)
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
        let message = format!("{text} is not a permission of the engine, but resembles {near}");
        findings.push(
            Finding::warning(&role.path, permission.pos, "near-miss-permission", message)
                .help("keep it if another service uses it"),
        );
    }
}

/// At an edit distance of one or two.
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
