//! Index of references, kept in step with the effective documents.

use std::net::{IpAddr, Ipv4Addr};

use imbl::OrdSet;
use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use crate::multimap::Multimap;
use crate::{
    Document, Kind, MachineSpec, Name, Permission, Pos, PublicKey, RoleSpec, UserSpec, control_v4,
};

/// A range in the order of the overlap check: by first address, largest range first.
type RangeKey = (IpAddr, u8);

#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    /// The users of each role, declared or not.
    pub(crate) users_of: Multimap<Name, Name>,
    /// The declared roles that grant `*`.
    pub(crate) everything: OrdSet<Name>,
    /// The machines with each key.
    pub(crate) keys: Multimap<PublicKey, Name>,
    /// The machines whose key gives an IPv4 address of the control range.
    pub(crate) candidates: Multimap<Ipv4Addr, Name>,
    /// The machines that request each mesh address.
    pub(crate) mesh: Multimap<Ipv4Addr, Name>,
    /// Each route, with its machine and position.
    routes: Multimap<RangeKey, (Name, Pos)>,
    /// Users and machines by the instant at which they expire.
    pub(crate) expiring: Multimap<Timestamp, (Kind, Name)>,
}

impl Index {
    pub(super) fn add_user(&mut self, user: &Document<UserSpec>) {
        let name = &user.name.value;
        for role in &user.spec.roles {
            self.users_of.insert(role.value.clone(), name.clone());
        }
        if let Some(at) = &user.spec.expires {
            self.expiring.insert(at.value, (Kind::User, name.clone()));
        }
    }

    pub(super) fn take_user(&mut self, user: &Document<UserSpec>) {
        let name = &user.name.value;
        for role in &user.spec.roles {
            self.users_of.remove(&role.value, name);
        }
        if let Some(at) = &user.spec.expires {
            self.expiring.remove(&at.value, &(Kind::User, name.clone()));
        }
    }

    pub(super) fn add_role(&mut self, role: &Document<RoleSpec>) {
        let permissions = role.spec.permissions.iter().map(|p| &p.value);
        if permissions.into_iter().any(Permission::is_everything) {
            self.everything.insert(role.name.value.clone());
        }
    }

    pub(super) fn take_role(&mut self, role: &Document<RoleSpec>) {
        self.everything.remove(&role.name.value);
    }

    pub(super) fn add_machine(&mut self, machine: &Document<MachineSpec>, range: Option<Ipv4Net>) {
        let name = &machine.name.value;
        let key = machine.spec.public_key.value.value();
        if let Some(key) = key {
            self.keys.insert(*key, name.clone());
        }
        self.add_candidate(machine, range);
        if let Some(address) = &machine.spec.mesh_address {
            self.mesh.insert(address.value, name.clone());
        }
        for route in &machine.spec.routes {
            let owner = (name.clone(), route.pos);
            self.routes.insert(range_key(&route.value), owner);
        }
        if let Some(at) = &machine.spec.expires {
            let subject = (Kind::Machine, name.clone());
            self.expiring.insert(at.value, subject);
        }
    }

    pub(super) fn take_machine(&mut self, machine: &Document<MachineSpec>, range: Option<Ipv4Net>) {
        let name = &machine.name.value;
        if let Some(key) = machine.spec.public_key.value.value() {
            self.keys.remove(key, name);
        }
        if let Some(address) = candidate(machine, range) {
            self.candidates.remove(&address, name);
        }
        if let Some(address) = &machine.spec.mesh_address {
            self.mesh.remove(&address.value, name);
        }
        for route in &machine.spec.routes {
            let owner = (name.clone(), route.pos);
            self.routes.remove(&range_key(&route.value), &owner);
        }
        if let Some(at) = &machine.spec.expires {
            let subject = (Kind::Machine, name.clone());
            self.expiring.remove(&at.value, &subject);
        }
    }

    pub(super) fn add_candidate(
        &mut self,
        machine: &Document<MachineSpec>,
        range: Option<Ipv4Net>,
    ) {
        if let Some(address) = candidate(machine, range) {
            self.candidates.insert(address, machine.name.value.clone());
        }
    }

    /// The first range in overlap order that contains this route, with its owner; `None` if that is the route itself.
    pub(crate) fn outermost(
        &self,
        route: &IpNet,
        owner: &(Name, Pos),
    ) -> Option<(IpNet, &(Name, Pos))> {
        let outer = (0..=route.prefix_len()).filter_map(|prefix| {
            let range = IpNet::new(route.addr(), prefix).ok()?.trunc();
            let first = self.routes.get(&range_key(&range)).next()?;
            Some((range, first))
        });
        let (range, first) = outer.into_iter().next()?;
        (range != *route || first != owner).then_some((range, first))
    }

    /// The machines with a route inside this range.
    pub(crate) fn inside<'a>(&'a self, range: &IpNet) -> impl Iterator<Item = &'a Name> + use<'a> {
        let last = range.broadcast();
        let from = self.routes.range(range_key(range)..);
        from.take_while(move |((first, _), _)| *first <= last)
            .map(|(_, (machine, _))| machine)
    }
}

fn range_key(range: &IpNet) -> RangeKey {
    (range.network(), range.prefix_len())
}

/// The IPv4 address in the control range derived from a machine's key.
fn candidate(machine: &Document<MachineSpec>, range: Option<Ipv4Net>) -> Option<Ipv4Addr> {
    control_v4(&machine.spec.public_key.value.key(), range?)
}
