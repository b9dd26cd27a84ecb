//! The userspace device on its host: interface, port, control socket, creation and removal.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use banyan_testkit::netns::{Host, TOOL_LIMIT, until};
use banyan_wireguard::{DeviceError, Support, open_userspace, userspace_support};

use crate::setup::{NAME, config, dumped, inside, open, peer, random_key, reach, set};

const SOCKET: &str = "/run/wireguard/wgt0.sock";

fn tool(argv: &[&str]) -> Result<String> {
    Host::here().run(argv, TOOL_LIMIT)
}

fn nothing_is_left() -> Result<()> {
    let links = tool(&["ip", "-o", "link"])?;
    ensure!(!links.contains(NAME), "an interface is left: {links}");
    ensure!(!Path::new(SOCKET).exists(), "the socket is left");
    Ok(())
}

#[test]
fn an_open_device_is_up_with_its_addresses_and_known_to_wg() {
    inside(
        "userspace::an_open_device_is_up_with_its_addresses_and_known_to_wg",
        || async {
            assert_eq!(userspace_support(), Support::Available);
            let (device, key) = open().await?;
            let link = tool(&["ip", "-o", "link", "show", NAME])?;
            assert!(link.contains("mtu 1420") && link.contains(",UP"), "{link}");
            let addresses = tool(&["ip", "-o", "address", "show", NAME])?;
            assert!(addresses.contains("10.9.0.1/24"), "{addresses}");
            assert!(addresses.contains("fd09::1/64"), "{addresses}");

            assert_ne!(device.listen_port(), 0);
            let show = |what| tool(&["wg", "show", NAME, what]);
            assert_eq!(show("public-key")?.trim(), key.to_string());
            assert_eq!(
                show("listen-port")?.trim(),
                device.listen_port().to_string()
            );
            let taken = UdpSocket::bind(("0.0.0.0", device.listen_port()));
            assert!(taken.is_err(), "it listens without any peer");
            let mode = std::fs::metadata(SOCKET)?.permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            Ok(device.close().await?)
        },
    );
}

#[test]
fn wg_lists_exactly_the_peers_that_are_wanted() {
    inside(
        "userspace::wg_lists_exactly_the_peers_that_are_wanted",
        || async {
            let (device, _) = open().await?;
            let (one, two) = (random_key(), random_key());
            let mut first = peer(one, &["10.9.0.2/32", "fd09::2/128"]);
            first.keepalive = Some(25);
            first.endpoint = Some("192.0.2.7:7".parse()?);
            reach(&*device, &set([first, peer(two, &["10.9.0.3/32"])])).await?;
            let text = tool(&["wg", "show", NAME, "dump"])?;
            let expected = [
                (
                    one.to_string(),
                    vec!["10.9.0.2/32".into(), "fd09::2/128".into()],
                ),
                (two.to_string(), vec!["10.9.0.3/32".into()]),
            ];
            assert_eq!(dumped(&text), expected.into());
            let line = text.lines().find(|line| line.starts_with(&one.to_string()));
            let line = line.unwrap();
            assert!(
                line.contains("192.0.2.7:7") && line.ends_with("25"),
                "{line}"
            );

            reach(&*device, &set([peer(two, &["10.9.0.4/32"])])).await?;
            let text = tool(&["wg", "show", NAME, "dump"])?;
            let expected = [(two.to_string(), vec!["10.9.0.4/32".into()])];
            assert_eq!(dumped(&text), expected.into());
            Ok(device.close().await?)
        },
    );
}

#[test]
fn changes_made_with_wg_are_seen_and_undone() {
    inside(
        "userspace::changes_made_with_wg_are_seen_and_undone",
        || async {
            let (device, _) = open().await?;
            let (one, two, alien) = (random_key(), random_key(), random_key());
            let wanted = set([peer(one, &["10.9.0.2/32"]), peer(two, &["10.9.0.3/32"])]);
            reach(&*device, &wanted).await?;
            let [one, alien] = [one, alien].map(|key| key.to_string());
            tool(&["wg", "set", NAME, "peer", &one, "remove"])?;
            tool(&[
                "wg",
                "set",
                NAME,
                "peer",
                &alien,
                "allowed-ips",
                "10.9.0.3/32",
            ])?;
            assert_eq!(device.peers().await?.len(), 2);
            reach(&*device, &wanted).await?;
            let listed: Vec<_> = dumped(&tool(&["wg", "show", NAME, "dump"])?)
                .into_keys()
                .collect();
            assert!(!listed.contains(&alien) && listed.contains(&one));
            Ok(device.close().await?)
        },
    );
}

#[test]
fn a_closed_device_leaves_nothing_and_can_be_opened_again_at_once() {
    inside(
        "userspace::a_closed_device_leaves_nothing_and_can_be_opened_again_at_once",
        || async {
            let mut config = config();
            for _ in 0..5 {
                let device = open_userspace(config.clone()).await?;
                reach(&*device, &set([peer(random_key(), &["10.9.0.2/32"])])).await?;
                // Each time with the same port, which must have been released too.
                config.listen_port = device.listen_port();
                device.close().await?;
                nothing_is_left()?;
            }
            Ok(())
        },
    );
}

#[test]
fn a_dropped_device_leaves_nothing() {
    inside("userspace::a_dropped_device_leaves_nothing", || async {
        let (device, _) = open().await?;
        drop(device);
        assert!(!Path::new(SOCKET).exists());
        until(TOOL_LIMIT, nothing_is_left)
    });
}

#[test]
fn a_port_in_use_is_reported_and_leaves_nothing() {
    inside(
        "userspace::a_port_in_use_is_reported_and_leaves_nothing",
        || async {
            let owner = UdpSocket::bind("[::]:0")?;
            let mut config = config();
            config.listen_port = owner.local_addr()?.port();
            let error = open_userspace(config).await.err().unwrap();
            assert!(matches!(error, DeviceError::PortTaken { .. }), "{error:?}");
            assert!(
                error
                    .to_string()
                    .contains(&owner.local_addr()?.port().to_string())
            );
            nothing_is_left()
        },
    );
}

#[test]
fn a_refused_address_is_named_and_leaves_nothing() {
    inside(
        "userspace::a_refused_address_is_named_and_leaves_nothing",
        || async {
            let mut config = config();
            // Below IPv6's minimum, so the system refuses the IPv6 address.
            config.mtu = 1000;
            let error = open_userspace(config).await.err().unwrap();
            assert!(error.to_string().contains("fd09::1/64"), "{error}");
            nothing_is_left()
        },
    );
}

#[test]
fn a_second_device_of_the_same_name_is_refused_and_the_first_goes_on() {
    inside(
        "userspace::a_second_device_of_the_same_name_is_refused_and_the_first_goes_on",
        || async {
            let (device, _) = open().await?;
            let error = open_userspace(config()).await.err().unwrap();
            assert!(matches!(error, DeviceError::Exists { .. }), "{error:?}");
            assert!(error.to_string().contains(NAME));
            reach(&*device, &set([peer(random_key(), &["10.9.0.2/32"])])).await?;
            assert_eq!(dumped(&tool(&["wg", "show", NAME, "dump"])?).len(), 1);
            Ok(device.close().await?)
        },
    );
}

#[test]
fn an_interface_made_by_another_program_is_left_alone() {
    inside(
        "userspace::an_interface_made_by_another_program_is_left_alone",
        || async {
            tool(&["ip", "tuntap", "add", NAME, "mode", "tun"])?;
            let error = open_userspace(config()).await.err().unwrap();
            assert!(matches!(error, DeviceError::Exists { .. }), "{error:?}");
            tool(&["ip", "link", "show", NAME]).map(|_| ())
        },
    );
}

#[test]
fn a_dead_process_s_socket_is_replaced_and_a_living_one_s_is_respected() {
    inside(
        "userspace::a_dead_process_s_socket_is_replaced_and_a_living_one_s_is_respected",
        || async {
            let living = UnixListener::bind(SOCKET)?;
            let error = open_userspace(config()).await.err().unwrap();
            assert!(
                matches!(error, DeviceError::SocketInUse { .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains(SOCKET));
            assert!(Path::new(SOCKET).exists());
            drop(living);
            assert!(
                Path::new(SOCKET).exists(),
                "a dead process leaves its socket"
            );

            let (device, _) = open().await?;
            tool(&["wg", "show", NAME])?;
            device.close().await?;
            nothing_is_left()?;

            std::fs::write(SOCKET, "precious")?;
            let error = open_userspace(config()).await.err().unwrap();
            assert!(matches!(error, DeviceError::Socket { .. }), "{error:?}");
            assert_eq!(std::fs::read_to_string(SOCKET)?, "precious");
            Ok(())
        },
    );
}

#[test]
fn a_socket_that_is_no_longer_ours_is_not_removed() {
    inside(
        "userspace::a_socket_that_is_no_longer_ours_is_not_removed",
        || async {
            let (device, _) = open().await?;
            std::fs::remove_file(SOCKET)?;
            let _other = UnixListener::bind(SOCKET)?;
            device.close().await?;
            assert!(Path::new(SOCKET).exists());
            Ok(())
        },
    );
}

#[test]
fn an_interface_removed_from_outside_is_noticed_and_the_device_can_be_rebuilt() {
    inside(
        "userspace::an_interface_removed_from_outside_is_noticed_and_the_device_can_be_rebuilt",
        || async {
            let (device, _) = open().await?;
            tool(&["ip", "link", "delete", NAME])?;
            assert!(matches!(
                device.peers().await,
                Err(DeviceError::Gone { .. })
            ));
            assert!(matches!(
                device.apply(&[]).await,
                Err(DeviceError::Gone { .. })
            ));
            device.close().await?;
            nothing_is_left()?;
            let (device, _) = open().await?;
            device.peers().await?;
            Ok(device.close().await?)
        },
    );
}

#[test]
fn ten_thousand_peers_come_at_once_and_one_change_among_them_is_small() {
    inside(
        "userspace::ten_thousand_peers_come_at_once_and_one_change_among_them_is_small",
        || async {
            let (device, _) = open().await?;
            let crowd: Vec<_> = (0..10_000_u32)
                .map(|number| {
                    let [_, _, high, low] = number.to_be_bytes();
                    let v4 = format!("10.77.{high}.{low}/32");
                    let v6 = format!("fd77::{number:x}/128");
                    let mut key = [1; 32];
                    key[..4].copy_from_slice(&number.to_be_bytes());
                    peer(
                        banyan_core::PublicKey::from_bytes(key).unwrap(),
                        &[&v4, &v6],
                    )
                })
                .collect();
            let started = Instant::now();
            let wanted = set(crowd.clone());
            let made = started.elapsed();
            reach(&*device, &wanted).await?;
            let all = started.elapsed();

            let mut changed = crowd;
            changed[5_000].keepalive = Some(25);
            let wanted = set(changed);
            let changes = banyan_core::peer_changes(&wanted, &device.peers().await?);
            assert_eq!(changes.len(), 1);
            let started = Instant::now();
            device.apply(&changes).await?;
            let one = started.elapsed();
            println!("set made {made:?}, 10,000 peers there {all:?}, one change {one:?}");
            // Far above the targets: this build is not optimized and the machine is shared.
            assert!(all < Duration::from_secs(60) && one < Duration::from_secs(2));
            assert_eq!(dumped(&tool(&["wg", "show", NAME, "dump"])?).len(), 10_000);
            Ok(device.close().await?)
        },
    );
}
