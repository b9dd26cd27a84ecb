use proptest::prelude::*;

use super::*;

fn key(number: u8) -> PublicKey {
    let mut bytes = [9; 32];
    bytes[1] = number;
    PublicKey::from_bytes(bytes).unwrap()
}

fn nets(list: &[&str]) -> BTreeSet<IpNet> {
    list.iter().map(|net| net.parse().unwrap()).collect()
}

fn peer(number: u8, allowed: &[&str]) -> WantedPeer {
    WantedPeer {
        key: key(number),
        allowed_ips: nets(allowed),
        endpoint: None,
        keepalive: None,
    }
}

fn at(port: u16) -> Option<SocketAddr> {
    Some(SocketAddr::from(([192, 0, 2, 1], port)))
}

fn set(peers: impl IntoIterator<Item = WantedPeer>) -> PeerSet {
    let mut set = PeerSet::new();
    for peer in peers {
        set.insert(peer).unwrap();
    }
    set
}

/// A model of a device: the allowed IPs listed for each peer, and the owner of each range.
#[derive(Debug, Clone, Default)]
struct Model {
    peers: BTreeMap<PublicKey, ObservedPeer>,
    routes: BTreeMap<IpNet, PublicKey>,
    /// Whether taking a range from a peer also removes it from that peer's list (the kernel does, userspace does not).
    taking_unlists: bool,
}

impl Model {
    fn of(wanted: &PeerSet) -> Self {
        let mut model = Self::default();
        model.apply(&peer_changes(wanted, &BTreeMap::new()));
        model
    }

    fn apply(&mut self, changes: &[PeerChange]) {
        for change in changes {
            match change {
                PeerChange::Remove(key) => {
                    self.peers.remove(key).unwrap();
                    self.routes.retain(|_, owner| owner != key);
                }
                PeerChange::Update(update) => {
                    let peer = self.peers.get_mut(&update.key).unwrap();
                    peer.endpoint = update.endpoint.or(peer.endpoint);
                    peer.keepalive = update.keepalive.unwrap_or(peer.keepalive);
                    if let Some(allowed) = &update.allowed_ips {
                        self.allow(update.key, allowed.clone());
                    }
                }
                PeerChange::Add(peer) => {
                    let fresh = ObservedPeer {
                        key: peer.key,
                        allowed_ips: BTreeSet::new(),
                        endpoint: peer.endpoint,
                        keepalive: peer.keepalive,
                        last_handshake: None,
                        received: 0,
                        sent: 0,
                    };
                    assert!(self.peers.insert(peer.key, fresh).is_none());
                    self.allow(peer.key, peer.allowed_ips.clone());
                }
            }
        }
    }

    fn allow(&mut self, key: PublicKey, allowed: BTreeSet<IpNet>) {
        self.routes.retain(|_, owner| *owner != key);
        for net in &allowed {
            let robbed = self.routes.insert(*net, key);
            if let Some(robbed) = robbed.filter(|_| self.taking_unlists) {
                self.peers.get_mut(&robbed).unwrap().allowed_ips.remove(net);
            }
        }
        self.peers.get_mut(&key).unwrap().allowed_ips = allowed;
    }
}

#[test]
fn addresses_that_overlap_another_peers_are_refused_with_both_names() {
    let mut peers = set([peer(1, &["10.0.0.0/24", "fd00::1/128"])]);
    for bad in ["10.0.0.7/32", "10.0.0.0/8", "0.0.0.0/0", "fd00::/64"] {
        let error = peers.insert(peer(2, &[bad])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&key(1).to_string()), "{text}");
        assert!(text.contains(&key(2).to_string()), "{text}");
        assert!(text.contains(bad), "{text}");
    }
    assert_eq!(peers.len(), 1);
    peers
        .insert(peer(2, &["10.0.1.0/24", "fd00::2/128"]))
        .unwrap();
}

#[test]
fn ranges_within_one_peer_may_nest_and_still_guard_all_their_addresses() {
    let mut peers = set([peer(1, &["10.0.0.0/8", "10.1.0.0/16"])]);
    assert!(peers.insert(peer(2, &["10.200.0.1/32"])).is_err());
    assert!(peers.insert(peer(2, &["10.1.0.1/32"])).is_err());
    assert_eq!(
        peers.get(&key(1)).unwrap().allowed_ips,
        nets(&["10.0.0.0/8", "10.1.0.0/16"])
    );
}

#[test]
fn a_key_has_one_place_in_a_set() {
    let mut peers = set([peer(1, &[])]);
    assert_eq!(
        peers.insert(peer(1, &[])),
        Err(PeerSetError::Duplicate { key: key(1) })
    );
}

#[test]
fn host_bits_and_a_zero_keepalive_are_written_as_devices_report_them() {
    let mut loose = peer(1, &["10.0.0.7/24"]);
    loose.keepalive = Some(0);
    let peers = set([loose]);
    assert_eq!(peers.get(&key(1)).unwrap(), &peer(1, &["10.0.0.0/24"]));
}

#[test]
fn an_address_leaves_its_old_owner_before_the_new_one_gets_it() {
    let mut model = Model::of(&set([peer(1, &["10.0.0.1/32"]), peer(2, &["10.0.0.2/32"])]));
    let swapped = set([peer(1, &["10.0.0.2/32"]), peer(2, &["10.0.0.1/32"])]);
    let changes = peer_changes(&swapped, &model.peers);
    let steps: Vec<_> = changes
        .iter()
        .map(|change| match change {
            PeerChange::Update(update) => (update.key, update.allowed_ips.clone().unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        steps,
        [
            (key(1), nets(&[])),
            (key(2), nets(&[])),
            (key(1), nets(&["10.0.0.2/32"])),
            (key(2), nets(&["10.0.0.1/32"])),
        ]
    );
    model.apply(&changes);
    assert_eq!(peer_changes(&swapped, &model.peers), []);
}

#[test]
fn removals_come_first_and_additions_last() {
    let model = Model::of(&set([peer(1, &["10.0.0.1/32"]), peer(3, &["10.0.0.3/32"])]));
    let wanted = set([peer(2, &["10.0.0.1/32"]), peer(3, &["10.0.0.4/32"])]);
    let order: Vec<_> = peer_changes(&wanted, &model.peers)
        .iter()
        .map(|change| match change {
            PeerChange::Remove(_) => 'r',
            PeerChange::Update(_) => 'u',
            PeerChange::Add(_) => 'a',
        })
        .collect();
    assert_eq!(order, ['r', 'u', 'u', 'a']);
}

#[test]
fn a_wanted_endpoint_of_none_leaves_a_roamed_one_alone() {
    let wanted = set([peer(1, &["10.0.0.1/32"])]);
    let mut model = Model::of(&wanted);
    model.peers.get_mut(&key(1)).unwrap().endpoint = at(7);
    assert_eq!(peer_changes(&wanted, &model.peers), []);
}

#[test]
fn a_peer_that_roamed_stays_where_it_is_while_its_session_lives() {
    let here = WantedPeer {
        endpoint: at(1),
        ..peer(1, &["10.0.0.1/32"])
    };
    let wanted = set([here]);
    let mut model = Model::of(&wanted);
    let observed = model.peers.get_mut(&key(1)).unwrap();
    observed.endpoint = at(7);
    observed.last_handshake = Some(SESSION_LIFETIME - Duration::from_secs(1));
    assert_eq!(peer_changes(&wanted, &model.peers), []);
    assert_eq!(peer_changes_since(&wanted, &wanted, &model.peers), []);

    model.peers.get_mut(&key(1)).unwrap().last_handshake = Some(SESSION_LIFETIME);
    let changes = peer_changes(&wanted, &model.peers);
    let moved_back = PeerUpdate {
        key: key(1),
        allowed_ips: None,
        endpoint: at(1),
        keepalive: None,
    };
    assert_eq!(changes, [PeerChange::Update(moved_back)]);
}

#[test]
fn a_reconfigured_endpoint_takes_effect_at_once() {
    let with = |port| {
        set([WantedPeer {
            endpoint: at(port),
            ..peer(1, &[])
        }])
    };
    let mut model = Model::of(&with(1));
    model.peers.get_mut(&key(1)).unwrap().last_handshake = Some(Duration::ZERO);
    assert_eq!(peer_changes(&with(2), &model.peers), []);
    model.apply(&peer_changes_since(&with(1), &with(2), &model.peers));
    assert_eq!(model.peers[&key(1)].endpoint, at(2));
    assert_eq!(peer_changes_since(&with(2), &with(2), &model.peers), []);
}

#[test]
fn an_address_taken_out_of_band_returns_to_its_owner() {
    let wanted = set([peer(1, &["10.0.0.1/32"]), peer(2, &[])]);
    let mut model = Model::of(&wanted);
    model.allow(key(2), nets(&["10.0.0.1/32"]));
    let net = "10.0.0.1/32".parse().unwrap();
    assert_eq!(model.routes[&net], key(2));
    model.apply(&peer_changes(&wanted, &model.peers));
    assert_eq!(model.routes[&net], key(1));
    assert_eq!(peer_changes(&wanted, &model.peers), []);
}

const POOL: [&str; 8] = [
    "10.0.0.0/24",
    "10.0.0.1/32",
    "10.0.0.2/32",
    "10.0.1.0/24",
    "10.0.1.9/32",
    "10.1.0.0/16",
    "fd00::/64",
    "fd00::1/128",
];

type Draft = (u8, BTreeSet<usize>, Option<u16>, Option<u16>, Option<u64>);

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    let chosen = prop::collection::btree_set(0..POOL.len(), 0..4);
    let option = |range: std::ops::Range<u16>| prop::option::of(range);
    let handshake = prop::option::of(0..400_u64);
    let draft = (0..7_u8, chosen, option(1..4), option(1..4), handshake);
    prop::collection::vec(draft, 0..8)
}

fn wanted(draft: &Draft) -> WantedPeer {
    let pool: Vec<_> = draft.1.iter().map(|index| POOL[*index]).collect();
    WantedPeer {
        endpoint: draft.2.and_then(at),
        keepalive: draft.3,
        ..peer(draft.0, &pool)
    }
}

fn wanted_set(drafts: &[Draft]) -> PeerSet {
    let mut set = PeerSet::new();
    for draft in drafts {
        let _refused = set.insert(wanted(draft));
    }
    set
}

fn any_device(drafts: &[Draft], taking_unlists: bool) -> Model {
    let mut model = Model {
        taking_unlists,
        ..Model::default()
    };
    for draft in drafts {
        let peer = wanted(draft);
        if !model.peers.contains_key(&peer.key) {
            model.apply(&[PeerChange::Add(peer.clone())]);
            model.peers.get_mut(&peer.key).unwrap().last_handshake =
                draft.4.map(Duration::from_secs);
        }
    }
    model
}

proptest! {
    #[test]
    fn applying_the_changes_gives_the_wanted_peers_and_then_nothing_is_left_to_do(
        want in drafts(), has in drafts(), taking_unlists: bool,
    ) {
        let want = wanted_set(&want);
        let mut model = any_device(&has, taking_unlists);
        let before = model.clone();
        model.apply(&peer_changes(&want, &model.peers));

        prop_assert_eq!(peer_changes(&want, &model.peers), []);
        prop_assert!(model.peers.keys().eq(want.iter().map(|peer| &peer.key)));
        for peer in want.iter() {
            let now = &model.peers[&peer.key];
            prop_assert_eq!(&now.allowed_ips, &peer.allowed_ips);
            prop_assert_eq!(now.keepalive, peer.keepalive);
            let roamed = before.peers.get(&peer.key).filter(|was| was.is_live()).and_then(|was| was.endpoint);
            let stays = before.peers.get(&peer.key).and_then(|was| was.endpoint);
            prop_assert_eq!(now.endpoint, roamed.or(peer.endpoint).or(stays));
            for net in &peer.allowed_ips {
                prop_assert_eq!(model.routes[net], peer.key);
            }
        }
    }

    #[test]
    fn a_peer_that_is_as_wanted_and_uncontested_is_not_named(want in drafts(), other in drafts()) {
        let want = wanted_set(&want);
        let mut model = Model::of(&want);
        for (key, peer) in any_device(&other, true).peers {
            let alien = PublicKey::from_bytes({ let mut b = *key.as_bytes(); b[2] = 1; b }).unwrap();
            let peer = ObservedPeer { key: alien, allowed_ips: BTreeSet::new(), ..peer };
            model.peers.insert(alien, peer);
        }
        for change in peer_changes(&want, &model.peers) {
            prop_assert!(matches!(change, PeerChange::Remove(_)), "{:?}", change);
        }
    }

    #[test]
    fn no_two_peers_of_a_set_share_an_address(list in drafts()) {
        let set = wanted_set(&list);
        for one in set.iter() {
            for two in set.iter().filter(|two| two.key != one.key) {
                for (a, b) in one.allowed_ips.iter().flat_map(|a| two.allowed_ips.iter().map(move |b| (a, b))) {
                    prop_assert!(!a.contains(b) && !b.contains(a));
                }
            }
        }
    }
}
