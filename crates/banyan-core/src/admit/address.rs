//! Assigns IPv4 addresses of the control tunnel to the machines that compete for them.
//!
//! A key gives one candidate address, so machines compete in small groups, and each group is settled independently. The
//! machine that holds the address keeps it; next come keys that were already in force, then new ones, each by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::scope::Scope;
use crate::{Machine, Name, PublicKey, control_v4};

/// Whether the addresses in the records can be trusted to be those once assigned.
#[derive(Clone, Copy)]
pub(super) enum Held {
    Trusted,
    /// Only if the machine's key gives that address.
    Doubted,
}

/// Groups of machines with the same candidate address.
pub(super) struct Groups<'a> {
    scope: &'a Scope<'a>,
    trust: Held,
}

impl<'a> Groups<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, trust: Held) -> Self {
        Self { scope, trust }
    }

    /// The addresses whose groups contain, or contained before, these machines.
    pub(super) fn of(&self, machines: &BTreeSet<Name>) -> BTreeSet<Ipv4Addr> {
        let addresses = machines.iter().flat_map(|name| {
            let before = self.scope.before.machines.get(name);
            let gave = before.and_then(|record| self.gives(&record.spec.public_key));
            let held = before.and_then(|record| self.holds(&record.spec));
            let document = self.scope.checked.machines().get(name);
            let gives = document.and_then(|d| self.gives(&d.spec.public_key.value.key()));
            [gave, held, gives]
        });
        addresses.flatten().collect()
    }

    /// The machines in a group.
    pub(super) fn names(&self, address: &Ipv4Addr) -> impl Iterator<Item = Name> + use<'a> {
        self.scope.checked.candidates().get(address).cloned()
    }

    /// The machine that gets each of these addresses.
    pub(super) fn assign(&self, addresses: &BTreeSet<Ipv4Addr>) -> BTreeMap<Name, Ipv4Addr> {
        let winner = |address: &Ipv4Addr| Some((self.winner(address)?, *address));
        addresses.iter().filter_map(winner).collect()
    }

    fn winner(&self, address: &Ipv4Addr) -> Option<Name> {
        self.names(address).min_by_key(|name| {
            let document = self.scope.checked.machines().get(name);
            let key = document.map(|document| document.spec.public_key.value.key());
            let before = key.and_then(|key| self.scope.before.machines.with_key(&key));
            let holds = before.and_then(|record| self.holds(&record.spec));
            // `false` sorts first.
            (holds != Some(*address), before.is_none(), name.clone())
        })
    }

    fn gives(&self, key: &PublicKey) -> Option<Ipv4Addr> {
        control_v4(key, self.scope.checked.cluster().spec.control_range.value)
    }

    fn holds(&self, machine: &Machine) -> Option<Ipv4Addr> {
        let held = machine.control_v4?;
        match self.trust {
            Held::Trusted => Some(held),
            Held::Doubted => {
                Some(held).filter(|held| self.gives(&machine.public_key) == Some(*held))
            }
        }
    }
}
