//! Who holds which IPv4 address of the control tunnel, for the machines that compete for one.
//!
//! A key gives one candidate address, so machines compete in small groups and each group is settled by itself. A machine that
//! holds the address keeps it; then keys that were in force before come first, then new ones, each by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::scope::Scope;
use crate::{Machine, Name, PublicKey, control_v4};

/// Whether the addresses that records hold are those that were once given to them.
#[derive(Clone, Copy)]
pub(super) enum Held {
    Trusted,
    /// Only as far as their keys give them.
    Doubted,
}

/// The groups of machines with one candidate address.
pub(super) struct Groups<'a> {
    scope: &'a Scope<'a>,
    trust: Held,
}

impl<'a> Groups<'a> {
    pub(super) fn new(scope: &'a Scope<'a>, trust: Held) -> Self {
        Self { scope, trust }
    }

    /// The addresses whose groups these machines are in, or were in before.
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

    /// The machines of a group.
    pub(super) fn names(&self, address: &Ipv4Addr) -> impl Iterator<Item = Name> + use<'a> {
        self.scope.checked.candidates().get(address).cloned()
    }

    /// Who gets the address of each of these groups.
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
            // `false` comes first.
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
