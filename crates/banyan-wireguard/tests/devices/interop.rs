//! Packets between our userspace device and stock WireGuard peers, each on a host of its own.

use std::time::Duration;

use anyhow::{Result, ensure};
use banyan_core::{PeerChange, PublicKey, WantedPeer};
use banyan_testkit::netns::{Host, StockPeer, TOOL_LIMIT};
use banyan_wireguard::Device;

use crate::setup::{at, inside, ip, open, peer, random_key, reach, set};

const US_V4: &str = "10.9.0.1";
const US_V6: &str = "fd09::1";
/// A stock peer whose session was lost on our side retries after 15 s.
const RETRY: Duration = Duration::from_secs(60);

/// A stock peer on a host of its own, connected to ours by a veth pair; `number` distinguishes it from others.
struct Friend {
    number: u8,
    stock: StockPeer,
}

impl Friend {
    fn new(number: u8, us: PublicKey, our_port: u16) -> Result<Self> {
        let host = Host::new()?;
        let (ours, theirs) = (format!("192.0.{number}.1"), format!("192.0.{number}.2"));
        Host::here().join(&format!("{ours}/24"), &host, &format!("{theirs}/24"))?;
        let addresses = [format!("10.9.0.{number}/24"), format!("fd09::{number}/64")];
        let addresses = addresses.each_ref().map(String::as_str);
        let stock = StockPeer::up(&host, "wgs0", 51820, &addresses)?;
        let allowed = ["10.9.0.1/32", "fd09::1/128"];
        stock.set_peer(&us.to_string(), &allowed, Some(at(&ours, our_port)), None)?;
        Ok(Self { number, stock })
    }

    /// Our configuration of this peer: no endpoint, since it speaks first.
    fn wanted(&self) -> WantedPeer {
        let number = self.number;
        let key = self.stock.public_key().parse().unwrap();
        let (v4, v6) = (format!("10.9.0.{number}/32"), format!("fd09::{number}/128"));
        peer(key, &[&v4, &v6])
    }

    fn host(&self) -> &Host {
        self.stock.host()
    }
}

#[test]
fn a_stock_peer_gets_through_over_both_protocols_and_is_observed() {
    inside(
        "interop::a_stock_peer_gets_through_over_both_protocols_and_is_observed",
        || async {
            let (device, us) = open().await?;
            let friend = Friend::new(2, us, device.listen_port())?;
            let wanted = set([friend.wanted()]);
            reach(&*device, &wanted).await?;
            let before = &device.peers().await?[&friend.wanted().key];
            assert_eq!((before.last_handshake, before.received), (None, 0));

            friend.host().ping(ip(US_V4), TOOL_LIMIT)?;
            friend.host().ping(ip(US_V6), TOOL_LIMIT)?;
            Host::here().ping(ip("10.9.0.2"), TOOL_LIMIT)?;
            let seen = &device.peers().await?[&friend.wanted().key];
            assert!(
                seen.is_live() && seen.received > 0 && seen.sent > 0,
                "{seen:?}"
            );
            assert_eq!(seen.endpoint, Some(at("192.0.2.2", 51820)));
            reach(&*device, &wanted).await?;
            let still = &device.peers().await?[&friend.wanted().key];
            assert_eq!(still.endpoint, Some(at("192.0.2.2", 51820)), "never erased");
            Ok(device.close().await?)
        },
    );
}

#[test]
fn we_speak_first_to_a_peer_whose_endpoint_is_known() {
    inside(
        "interop::we_speak_first_to_a_peer_whose_endpoint_is_known",
        || async {
            let (device, us) = open().await?;
            let friend = Friend::new(2, us, device.listen_port())?;
            let mut wanted = friend.wanted();
            wanted.endpoint = Some(at("192.0.2.2", 51820));
            reach(&*device, &set([wanted])).await?;
            Host::here().ping(ip("10.9.0.2"), TOOL_LIMIT)?;
            Ok(device.close().await?)
        },
    );
}

#[test]
fn a_removed_peer_is_cut_off_at_once_and_comes_back_when_added_again() {
    inside(
        "interop::a_removed_peer_is_cut_off_at_once_and_comes_back_when_added_again",
        || async {
            let (device, us) = open().await?;
            let friend = Friend::new(2, us, device.listen_port())?;
            let wanted = set([friend.wanted()]);
            reach(&*device, &wanted).await?;
            friend.host().ping(ip(US_V4), TOOL_LIMIT)?;

            device
                .apply(&[PeerChange::Remove(friend.wanted().key)])
                .await?;
            let pings = friend
                .host()
                .start_pings(ip(US_V4), 5, Duration::from_millis(200))?;
            assert_eq!(pings.finish()?.received, 0);

            reach(&*device, &wanted).await?;
            friend.host().ping(ip(US_V4), RETRY)?;
            Ok(device.close().await?)
        },
    );
}

#[test]
fn an_address_moves_from_one_peer_to_another_and_back() {
    inside(
        "interop::an_address_moves_from_one_peer_to_another_and_back",
        || async {
            let (device, us) = open().await?;
            let [two, three] = [2, 3].map(|number| Friend::new(number, us, device.listen_port()));
            let (two, three) = (two?, three?);
            let apart = set([two.wanted(), three.wanted()]);
            reach(&*device, &apart).await?;
            two.host().ping(ip(US_V4), TOOL_LIMIT)?;
            three.host().ping(ip(US_V4), TOOL_LIMIT)?;

            let mut heir = three.wanted();
            heir.allowed_ips.extend(two.wanted().allowed_ips);
            reach(&*device, &set([peer(two.wanted().key, &[]), heir])).await?;
            let pings = two
                .host()
                .start_pings(ip(US_V4), 3, Duration::from_millis(200))?;
            assert_eq!(
                pings.finish()?.received,
                0,
                "its address belongs to the other peer"
            );
            three.host().ping(ip(US_V4), TOOL_LIMIT)?;

            reach(&*device, &apart).await?;
            two.host().ping(ip(US_V4), TOOL_LIMIT)?;
            three.host().ping(ip(US_V4), TOOL_LIMIT)?;
            Ok(device.close().await?)
        },
    );
}

#[test]
fn an_address_taken_out_of_band_leads_to_its_owner_again() {
    inside(
        "interop::an_address_taken_out_of_band_leads_to_its_owner_again",
        || async {
            let (device, us) = open().await?;
            let friend = Friend::new(2, us, device.listen_port())?;
            let wanted = set([friend.wanted()]);
            reach(&*device, &wanted).await?;
            friend.host().ping(ip(US_V4), TOOL_LIMIT)?;
            let thief = random_key().to_string();
            let name = device.name().to_string();
            let rob = [
                "wg",
                "set",
                &name,
                "peer",
                &thief,
                "allowed-ips",
                "10.9.0.2/32",
            ];
            Host::here().run(&rob, TOOL_LIMIT)?;
            let pings = friend
                .host()
                .start_pings(ip(US_V4), 3, Duration::from_millis(200))?;
            assert_eq!(pings.finish()?.received, 0, "its address was taken");

            reach(&*device, &wanted).await?;
            friend.host().ping(ip(US_V4), TOOL_LIMIT)?;
            Ok(device.close().await?)
        },
    );
}

#[test]
fn changing_one_peer_does_not_disturb_another() {
    inside(
        "interop::changing_one_peer_does_not_disturb_another",
        || async {
            let (device, us) = open().await?;
            let friend = Friend::new(2, us, device.listen_port())?;
            let other = random_key();
            reach(
                &*device,
                &set([friend.wanted(), peer(other, &["10.9.0.3/32"])]),
            )
            .await?;
            friend.host().ping(ip(US_V4), TOOL_LIMIT)?;
            let handshake = device.peers().await?[&friend.wanted().key].last_handshake;
            ensure!(handshake.is_some());

            let pings = friend
                .host()
                .start_pings(ip(US_V4), 40, Duration::from_millis(100))?;
            churn(&*device, &friend, other).await?;
            let count = pings.finish()?;
            assert_eq!((count.sent, count.received), (40, 40));
            let seen = &device.peers().await?[&friend.wanted().key];
            assert!(
                seen.last_handshake > handshake,
                "the session is still the first one"
            );
            Ok(device.close().await?)
        },
    );
}

/// For as long as 40 pings take, adds, changes and removes other peers and changes fields of the friend itself.
async fn churn(device: &dyn Device, friend: &Friend, other: PublicKey) -> Result<()> {
    for round in 0..20_u16 {
        let mut changing = peer(other, &[&format!("10.9.1.{round}/32")]);
        changing.keepalive = Some(25 + round);
        let mut same = friend.wanted();
        same.allowed_ips
            .insert(format!("10.9.2.{round}/32").parse()?);
        let peers = match round % 3 {
            0 => vec![same],
            1 => vec![same, changing],
            _ => vec![same, changing, peer(random_key(), &["10.9.3.0/24"])],
        };
        reach(device, &set(peers)).await?;
        tokio::time::sleep(Duration::from_millis(180)).await;
    }
    Ok(())
}
