//! The control tunnel with real packets: the engine's userspace WireGuard on one private host, stock peers on another.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::ensure;
use banyan_api::v1::{HistoryEntry, history_entry};
use banyan_core::PublicKey;
use banyan_testkit::netns::{Host, StockPeer, TOOL_LIMIT, until};

use crate::harness::{Cluster, Options, PATIENCE};

const PORT: u16 = 51821;
const ENGINE_V4: &str = "10.200.0.1";
/// The limit until an out-of-band change to the device is undone, with room for a loaded machine.
const PUT_BACK: Duration = Duration::from_secs(8);

/// An engine with a real tunnel, and a second host connected to its host.
struct Net {
    cluster: Cluster,
    members: Host,
}

impl Net {
    #[track_caller]
    fn new() -> Self {
        let (host, members) = (Host::new().unwrap(), Host::new().unwrap());
        host.join("192.0.2.1/24", &members, "192.0.2.2/24").unwrap();
        let cluster = Cluster::started_with(Options {
            machines: 10,
            wireguard: "userspace",
            wg_port: PORT,
            host,
            ..Options::default()
        });
        Self { cluster, members }
    }

    fn engine_v6(&self) -> IpAddr {
        banyan_core::control_v6(&self.cluster.engine_key()).into()
    }

    /// What the stock `wg` says of the engine's device: a line for each peer, key and addresses, sorted.
    fn shown(&self) -> anyhow::Result<Vec<String>> {
        let argv = ["wg", "show", "wg-control", "allowed-ips"];
        let shown = self.cluster.host().run(&argv, TOOL_LIMIT)?;
        let mut lines: Vec<_> = shown.lines().map(sorted_words).collect();
        lines.sort();
        Ok(lines)
    }

    /// The expected state, from `machine list`.
    fn listed(&self) -> Vec<String> {
        let machines = self.cluster.machines().into_iter();
        let line = |m: banyan_api::v1::Machine| {
            sorted_words(&format!(
                "{} {}/32 {}/128",
                m.public_key, m.control_v4, m.control_v6
            ))
        };
        let mut lines: Vec<_> = machines.map(line).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn device_has_what_is_listed(&self) {
        assert_eq!(self.shown().unwrap(), self.listed());
    }

    #[track_caller]
    fn device_gets_what_is_listed(&self, within: Duration) {
        let listed = self.listed();
        let same = until(within, || {
            let shown = self.shown()?;
            ensure!(shown == listed, "{shown:?} is not yet {listed:?}");
            Ok(())
        });
        same.unwrap();
    }

    /// A stock peer on the second host, not yet a member.
    #[track_caller]
    fn peer(&self, interface: &str, port: u16) -> StockPeer {
        StockPeer::up(&self.members, interface, port, &[]).unwrap()
    }

    /// Declares a machine with the peer's key, and configures the engine on the peer, as its agent would.
    #[track_caller]
    fn enrol(&self, machine: &str, peer: &StockPeer) {
        let key: PublicKey = peer.public_key().parse().unwrap();
        let document = self.cluster.machine(machine, key);
        self.cluster
            .write(&format!("machines/{machine}.yaml"), &document);
        self.cluster.apply(&format!("{machine} gets a key"));
    }

    /// Gives the peer the addresses of its machine, and the engine as its only peer.
    #[track_caller]
    fn configure(&self, machine: &str, interface: &str, peer: &StockPeer) {
        let member = self
            .cluster
            .machines()
            .into_iter()
            .find(|m| m.name == machine)
            .unwrap();
        for address in [
            format!("{}/32", member.control_v4),
            format!("{}/128", member.control_v6),
        ] {
            let nodad: &[&str] = if address.contains(':') {
                &["nodad"]
            } else {
                &[]
            };
            let give = [&["ip", "address", "add", &address, "dev", interface], nodad].concat();
            self.members.run(&give, TOOL_LIMIT).unwrap();
        }
        let endpoint = format!("192.0.2.1:{PORT}").parse().unwrap();
        let engine = [
            format!("{ENGINE_V4}/32"),
            format!("{}/128", self.engine_v6()),
        ];
        let engine = engine.each_ref().map(String::as_str);
        peer.set_peer(
            &self.cluster.engine_key().to_string(),
            &engine,
            Some(endpoint),
            None,
        )
        .unwrap();
        self.route(interface);
    }

    /// Routes traffic to the engine through this interface.
    #[track_caller]
    fn route(&self, interface: &str) {
        for to in [
            format!("{ENGINE_V4}/32"),
            format!("{}/128", self.engine_v6()),
        ] {
            self.members
                .run(
                    &["ip", "route", "replace", &to, "dev", interface],
                    TOOL_LIMIT,
                )
                .unwrap();
        }
    }

    #[track_caller]
    fn reaches_the_engine(&self) {
        self.members
            .ping(ENGINE_V4.parse().unwrap(), PATIENCE)
            .unwrap();
        self.members.ping(self.engine_v6(), PATIENCE).unwrap();
    }

    #[track_caller]
    fn does_not_reach_the_engine(&self) {
        let pings =
            self.members
                .start_pings(ENGINE_V4.parse().unwrap(), 5, Duration::from_millis(200));
        assert_eq!(pings.unwrap().finish().unwrap().received, 0);
    }
}

fn sorted_words(line: &str) -> String {
    let mut words: Vec<_> = line.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

#[test]
fn a_pushed_machine_reaches_the_engine_until_a_push_removes_it_and_nobody_else_notices() {
    let net = Net::new();
    net.device_has_what_is_listed();
    let (stays, goes) = (net.peer("wg-stays", 51822), net.peer("wg-goes", 51823));
    net.enrol("stays", &stays);
    net.enrol("goes", &goes);
    net.device_has_what_is_listed();
    assert_eq!(net.shown().unwrap().len(), 12);
    net.configure("goes", "wg-goes", &goes);
    net.reaches_the_engine();
    // From here on, the remaining machine reaches the engine over IPv6, and the other one over IPv4.
    net.configure("stays", "wg-stays", &stays);
    net.reaches_the_engine();
    let to_engine = ["ip", "route", "replace", "10.200.0.1/32", "dev", "wg-goes"];
    net.members.run(&to_engine, TOOL_LIMIT).unwrap();
    net.members
        .ping(ENGINE_V4.parse().unwrap(), PATIENCE)
        .unwrap();
    let running = net
        .members
        .start_pings(net.engine_v6(), 60, Duration::from_millis(50))
        .unwrap();

    net.cluster.remove("machines/goes.yaml");
    net.cluster.apply("Revoke it");
    net.device_has_what_is_listed();
    assert!(!net.shown().unwrap().join(" ").contains(goes.public_key()));
    net.does_not_reach_the_engine();
    let count = running.finish().unwrap();
    assert_eq!(count.sent, 60);
    assert_eq!(
        count.received, 60,
        "a machine that stays lost packets: {count:?}"
    );
}

#[test]
fn a_replaced_key_works_at_once_and_the_old_one_no_more() {
    let net = Net::new();
    let (old, new) = (net.peer("wg-old", 51822), net.peer("wg-new", 51823));
    net.enrol("laptop", &old);
    net.configure("laptop", "wg-old", &old);
    net.reaches_the_engine();

    net.enrol("laptop", &new);
    net.device_has_what_is_listed();
    net.does_not_reach_the_engine();
    net.configure("laptop", "wg-new", &new);
    net.reaches_the_engine();
    // Back to the old interface: the missing answer is not caused by a missing route.
    net.route("wg-old");
    net.does_not_reach_the_engine();
}

/// What an entry of the history says was put back.
fn put_back(entry: &HistoryEntry) -> Option<Vec<String>> {
    match &entry.outcome {
        Some(history_entry::Outcome::Restored(restored)) => Some(restored.what.clone()),
        _ => None,
    }
}

#[test]
fn out_of_band_changes_to_the_device_are_undone_and_a_killed_engine_comes_back_with_its_peers() {
    let mut net = Net::new();
    let host = net.cluster.host().clone();
    let victim = net.cluster.machine_key("m1").public_key().to_string();
    let history = net.cluster.history();
    let wg = |args: &[&str]| {
        host.run(
            &[&["wg", "set", "wg-control", "peer"], args].concat(),
            TOOL_LIMIT,
        )
    };

    wg(&[&victim, "remove"]).unwrap();
    net.device_gets_what_is_listed(PUT_BACK);
    let stranger = "6zzcVrk5HqQnD7E5CqCjBgXtJ4XwSy8xK8gCr5kqOmU=";
    wg(&[stranger, "allowed-ips", "10.200.77.77/32"]).unwrap();
    net.device_gets_what_is_listed(PUT_BACK);
    wg(&[&victim, "allowed-ips", "10.200.77.78/32"]).unwrap();
    net.device_gets_what_is_listed(PUT_BACK);

    host.run(&["ip", "link", "delete", "wg-control"], TOOL_LIMIT)
        .unwrap();
    net.device_gets_what_is_listed(PATIENCE);

    let peer = net.peer("wg-peer", 51822);
    net.enrol("laptop", &peer);
    net.configure("laptop", "wg-peer", &peer);
    net.reaches_the_engine();
    net.cluster.kill9();
    net.cluster.start();
    net.device_gets_what_is_listed(PATIENCE);
    // A new session at once, not when the peer notices that the old one is dead.
    peer.remove_peer(&net.cluster.engine_key().to_string())
        .unwrap();
    let endpoint = format!("192.0.2.1:{PORT}").parse().unwrap();
    let engine = format!("{ENGINE_V4}/32");
    peer.set_peer(
        &net.cluster.engine_key().to_string(),
        &[&engine],
        Some(endpoint),
        None,
    )
    .unwrap();
    net.members
        .ping(ENGINE_V4.parse().unwrap(), PATIENCE)
        .unwrap();
    let since = net.cluster.history();
    let since = &since[..since.len() - history.len()];
    let events: Vec<_> = since.iter().filter_map(put_back).collect();
    assert_eq!(since.len(), events.len() + 1, "{since:#?}");
    let all = events.concat().join("\n");
    for what in [
        "the peer of machine m1 was removed from wg-control",
        "a peer of no machine (6zzcVrk5HqQnD7E5CqCjBgXtJ4XwSy8xK8gCr5kqOmU=) was added to wg-control",
        "the peer of machine m1 was altered on wg-control",
        "the interface wg-control was removed",
    ] {
        assert!(all.contains(what), "no {what:?} in {all}");
    }
    assert_eq!(net.cluster.terminate().code(), Some(0));
    let links = host.run(&["ip", "-o", "link"], TOOL_LIMIT).unwrap();
    assert!(
        !links.contains("wg-control"),
        "an engine that ends leaves its interface: {links}"
    );
}

#[test]
fn a_machine_that_expires_loses_its_peer_without_a_push() {
    let mut net = Net::new();
    let guest = net.cluster.new_machine("guest");
    let at = crate::push::in_seconds(4);
    net.cluster
        .write("machines/guest.yaml", &format!("{guest}  expires: {at}\n"));
    net.cluster.apply("Let a guest in");
    let key = net.cluster.machine_key("guest").public_key().to_string();
    assert!(net.shown().unwrap().join(" ").contains(&key));
    let gone = until(PATIENCE, || {
        let shown = net.shown()?;
        ensure!(
            !shown.join(" ").contains(&key) && shown.len() == 10,
            "{shown:?}"
        );
        Ok(())
    });
    gone.unwrap();
}
