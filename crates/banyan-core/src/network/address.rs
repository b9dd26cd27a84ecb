//! Addresses in the control tunnel, derived from public keys alone, so both ends compute them without communicating.
//!
//! With `h = SHA-256("banyan/control-address/v1" ‖ 0x00 ‖ key)`:
//!
//! * IPv6: `fd62:616e:7961::/48` followed by `h[0..10]`.
//! * IPv4: the address `2 + (h[10..18] as a big-endian number mod (size - 3))` of the control range, so that the
//!   network address, the engine's own `.1` and the broadcast address are never assigned.
//!
//! IPv4 addresses collide often, and an attacker can search for a key that collides, so a machine may have none;
//! [`assign_v4`] decides who gets an address, and never takes one away from its holder.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use sha2::{Digest as _, Sha256};

use crate::{Name, PublicKey};

const DOMAIN: &[u8] = b"banyan/control-address/v1\0";

/// The /48 (RFC 4193) of every control tunnel.
#[must_use]
pub fn control_range_v6() -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd62, 0x616e, 0x7961, 0, 0, 0, 0, 0), 48)
}

fn hash(key: &PublicKey) -> [u8; 32] {
    Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(key.as_bytes())
        .finalize()
        .into()
}

/// The IPv6 address of a key in the control tunnel.
#[must_use]
pub fn control_v6(key: &PublicKey) -> Ipv6Addr {
    let mut octets = control_range_v6().network().octets();
    for (octet, byte) in octets.iter_mut().skip(6).zip(hash(key)) {
        *octet = byte;
    }
    Ipv6Addr::from(octets)
}

/// The IPv4 address that a key can have in the control tunnel.
///
/// `None` if the range has no room beyond its network, engine and broadcast addresses.
#[must_use]
pub fn control_v4(key: &PublicKey, range: Ipv4Net) -> Option<Ipv4Addr> {
    let size = 1u64 << (32 - u32::from(range.prefix_len()));
    let usable = size.checked_sub(3).filter(|n| *n > 0)?;
    let number = hash(key)
        .iter()
        .skip(10)
        .take(8)
        .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let offset = u32::try_from(2 + number % usable).ok()?;
    Some(Ipv4Addr::from(u32::from(range.network()) + offset))
}

/// The engine's own IPv4 address in the control tunnel: the first of the range.
#[must_use]
pub fn engine_v4(range: Ipv4Net) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(range.network()).saturating_add(1))
}

/// Assigns the IPv4 addresses.
///
/// `held` maps each existing key to the address it holds, which it keeps. Of the others, existing keys come first, then
/// new ones, each by name; a key whose address is taken gets none.
#[must_use]
pub fn assign_v4(
    machines: &BTreeMap<Name, PublicKey>,
    held: &HashMap<PublicKey, Option<Ipv4Addr>>,
    range: Ipv4Net,
) -> BTreeMap<Name, Option<Ipv4Addr>> {
    let holds = |key: &PublicKey| held.get(key).copied().flatten();
    let mut taken: HashMap<Ipv4Addr, PublicKey> = machines
        .values()
        .filter_map(|key| Some((holds(key)?, *key)))
        .collect();
    let mut waiting: Vec<_> = machines
        .iter()
        .filter(|(_, key)| holds(key).is_none())
        .collect();
    waiting.sort_by_key(|(name, key)| (!held.contains_key(key), *name));
    for (_, key) in waiting {
        if let Some(address) = control_v4(key, range) {
            taken.entry(address).or_insert(*key);
        }
    }
    let address_of = |key: &PublicKey| {
        let address = holds(key).or_else(|| control_v4(key, range));
        address.filter(|address| taken.get(address) == Some(key))
    };
    machines
        .iter()
        .map(|(name, key)| (name.clone(), address_of(key)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range() -> Ipv4Net {
        "10.200.0.0/16".parse().unwrap()
    }

    fn key(seed: u64) -> PublicKey {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        PublicKey::from_bytes(bytes).unwrap()
    }

    fn name(number: u64) -> Name {
        format!("m-{number:05}").parse().unwrap()
    }

    /// Test vectors that any other implementation must reproduce.
    #[test]
    fn the_test_vectors_hold() {
        let vectors = [
            "y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc=",
            "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=",
        ]
        .map(|text| {
            let key: PublicKey = text.parse().unwrap();
            format!(
                "{text} {} {}",
                control_v6(&key),
                control_v4(&key, range()).unwrap()
            )
        });
        insta::assert_snapshot!(vectors.join("\n"), @"
        y/xUY4hUb/bH2i5OVLMPtS3fdGcKQ3eaKTkBVqZqZEc= fd62:616e:7961:bc53:5a3b:bb62:401c:e113 10.200.129.193
        CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= fd62:616e:7961:302:19de:10f4:7487:ed26 10.200.48.226
        xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg= fd62:616e:7961:175c:d365:a6ff:eb1c:c071 10.200.36.178
        ");
    }

    #[test]
    fn ten_thousand_keys_get_addresses_without_overlap_and_keep_them() {
        let machines: BTreeMap<Name, PublicKey> = (0..10_000).map(|n| (name(n), key(n))).collect();
        let first = assign_v4(&machines, &HashMap::new(), range());
        let mut seen: Vec<_> = first.values().flatten().collect();
        assert!(seen.len() > 9_000 && seen.len() < 10_000, "{}", seen.len());
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
        let held = machines.iter().map(|(n, k)| (*k, first[n])).collect();
        assert_eq!(assign_v4(&machines, &held, range()), first);
    }

    /// Searches for keys whose IPv4 address is that of `victim`, as an attacker would.
    fn ground(victim: &PublicKey, count: usize) -> Vec<PublicKey> {
        let wanted = control_v4(victim, range());
        let mut found: Vec<_> = (1_000_000u64..)
            .map(key)
            .filter(|k| control_v4(k, range()) == wanted)
            .take(count)
            .collect();
        found.sort();
        found
    }

    #[test]
    fn a_key_ground_to_collide_takes_nothing_from_the_one_registered_first() {
        let victim = key(1);
        let ground = ground(&victim, 2);
        let before = BTreeMap::from([("victim".parse().unwrap(), victim)]);
        let held_before = assign_v4(&before, &HashMap::new(), range());
        let held = HashMap::from([(victim, held_before[&"victim".parse::<Name>().unwrap()])]);
        let after = BTreeMap::from([
            ("a-thief".parse().unwrap(), ground[0]),
            ("b-thief".parse().unwrap(), ground[1]),
            ("victim".parse().unwrap(), victim),
        ]);
        let given = assign_v4(&after, &held, range());
        let of = |name: &str| given[&name.parse::<Name>().unwrap()];
        assert_eq!(of("victim"), control_v4(&victim, range()));
        assert_eq!((of("a-thief"), of("b-thief")), (None, None));
        // Within one commit the lower name gets it.
        let given = assign_v4(&after, &HashMap::new(), range());
        assert!(given[&"a-thief".parse::<Name>().unwrap()].is_some());
        assert!(given[&"victim".parse::<Name>().unwrap()].is_none());
        // When the holder leaves, the existing key gets it, not a newcomer with a lower name.
        let held = HashMap::from([(ground[1], None)]);
        let rest = BTreeMap::from([
            ("a-new".parse().unwrap(), ground[0]),
            ("b-thief".parse().unwrap(), ground[1]),
        ]);
        let given = assign_v4(&rest, &held, range());
        assert!(given[&"b-thief".parse::<Name>().unwrap()].is_some());
    }

    proptest! {
        #[test]
        fn a_remaining_machine_keeps_its_address_whatever_else_changes(
            before in prop::collection::btree_set(0u64..400, 0..80),
            after in prop::collection::btree_set(0u64..400, 0..80),
        ) {
            // A small range, so that nearly everything collides.
            let range: Ipv4Net = "10.200.0.0/26".parse().unwrap();
            let set = |numbers: &std::collections::BTreeSet<u64>| -> BTreeMap<Name, PublicKey> {
                numbers.iter().map(|n| (name(*n), key(*n))).collect()
            };
            let first = assign_v4(&set(&before), &HashMap::new(), range);
            let held = before.iter().map(|n| (key(*n), first[&name(*n)])).collect();
            let second = assign_v4(&set(&after), &held, range);
            for n in before.intersection(&after) {
                if first[&name(*n)].is_some() {
                    prop_assert_eq!(first[&name(*n)], second[&name(*n)]);
                }
            }
            let mut seen: Vec<_> = second.values().flatten().collect();
            let count = seen.len();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), count);
            prop_assert!(seen.iter().all(|a| range.contains(*a) && **a != engine_v4(range)));
        }
    }
}
