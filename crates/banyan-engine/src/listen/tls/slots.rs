//! Limits on connections, in total and per address, and the choice of the handshake to abort when there are too many.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use tokio::task::{AbortHandle, Id};

/// The unit that limits apply to: an IPv4 address, or the /64 network of an IPv6 address.
pub(super) fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
        v4 => v4,
    }
}

/// The current connections.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    most: usize,
    most_of_one: usize,
    /// Networks that only the total limit applies to.
    exempt: Vec<IpNet>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_place: BTreeMap<IpAddr, usize>,
}

/// The permit for one connection; released on drop.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<ConnectionSlots>,
    place: IpAddr,
}

impl ConnectionSlots {
    pub(super) fn new(most: usize, most_of_one: usize, exempt: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_one,
            exempt,
            taken: Mutex::default(),
        })
    }

    /// A permit for a connection from this address, if one is free.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let address = address.to_canonical();
        let place = place(address);
        let free = address.is_loopback() || self.exempt.iter().any(|net| net.contains(&address));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.by_place.get(&place).copied().unwrap_or_default();
        if taken.all >= self.most || (here >= self.most_of_one && !free) {
            return None;
        }
        taken.all += 1;
        taken.by_place.insert(place, here + 1);
        Some(Slot {
            slots: Arc::clone(self),
            place,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = (self.slots.taken.lock()).unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_place.get_mut(&self.place) {
            *here -= 1;
            if *here == 0 {
                taken.by_place.remove(&self.place);
            }
        }
    }
}

/// The running handshakes, oldest first. If there are too many, the address with the most loses its oldest one: a
/// client that opens connections and stays silent thus displaces its own, and genuine handshakes are short.
#[derive(Debug)]
pub(super) struct RunningHandshakes {
    most: usize,
    next: u64,
    handshakes: BTreeMap<u64, Handshake>,
}

#[derive(Debug)]
struct Handshake {
    place: IpAddr,
    task: AbortHandle,
}

impl RunningHandshakes {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            next: 0,
            handshakes: BTreeMap::new(),
        }
    }

    /// Adds a handshake; returns whether another one was aborted for it.
    pub(super) fn add(&mut self, place: IpAddr, task: AbortHandle) -> bool {
        let gives_way = match self.handshakes.len() < self.most {
            true => None,
            false => self.oldest_of_busiest(),
        };
        let loser = gives_way.and_then(|number| self.handshakes.remove(&number));
        if let Some(loser) = &loser {
            loser.task.abort();
        }
        self.handshakes.insert(self.next, Handshake { place, task });
        self.next += 1;
        loser.is_some()
    }

    /// Removes a finished one.
    pub(super) fn over(&mut self, task: Id) {
        self.handshakes
            .retain(|_, handshake| handshake.task.id() != task);
    }

    fn oldest_of_busiest(&self) -> Option<u64> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for handshake in self.handshakes.values() {
            *counts.entry(handshake.place).or_default() += 1;
        }
        let (place, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let mut oldest = self.handshakes.iter();
        let (number, _) = oldest.find(|(_, handshake)| handshake.place == place)?;
        Some(*number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_all_slots_and_a_released_slot_is_free_again() {
        let slots = ConnectionSlots::new(4, 2, vec!["10.9.0.0/16".parse().unwrap()]);
        let first = slots.take(ip("192.0.2.1")).unwrap();
        let _second = slots.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(
            slots.take(ip("192.0.2.1")).is_none(),
            "the third of one place"
        );
        let other = slots.take(ip("2001:db8::1")).unwrap();
        drop(first);
        let _again = slots.take(ip("192.0.2.1")).unwrap();
        let _last = slots.take(ip("2001:db8::2")).unwrap();
        assert!(slots.take(ip("198.51.100.1")).is_none(), "the fifth of all");
        drop(other);
        assert!(slots.take(ip("198.51.100.1")).is_some());
    }

    #[test]
    fn this_host_and_proxies_are_only_limited_in_total() {
        let slots = ConnectionSlots::new(3, 1, vec!["10.9.0.0/16".parse().unwrap()]);
        let taken: Vec<_> = ["127.0.0.1", "127.0.0.1", "10.9.8.7", "10.9.8.7"]
            .into_iter()
            .map(|from| slots.take(ip(from)))
            .collect();
        let given: Vec<_> = taken.iter().map(Option::is_some).collect();
        assert_eq!(given, [true, true, true, false]);
    }

    #[test]
    fn hosts_of_one_ipv6_network_share_a_limit() {
        assert_eq!(place(ip("2001:db8::1")), place(ip("2001:db8::ffff:1")));
        assert_ne!(place(ip("2001:db8::1")), place(ip("2001:db8:0:1::1")));
        assert_eq!(place(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[tokio::test]
    async fn the_address_with_most_handshakes_loses_its_oldest() {
        let mut running = RunningHandshakes::new(4);
        let mut tasks = Vec::new();
        for from in [
            "192.0.2.7",
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.8",
            "192.0.2.9",
        ] {
            let task = tokio::spawn(std::future::pending::<()>());
            let full = running.add(ip(from), task.abort_handle());
            assert_eq!(full, from == "192.0.2.9");
            tasks.push(task);
        }
        assert!(tasks.remove(1).await.unwrap_err().is_cancelled());
        assert!(tasks.iter().all(|task| !task.is_finished()));
        running.over(tasks[0].id());
        assert!(!running.add(ip("192.0.2.1"), tasks[0].abort_handle()));
    }
}
