//! Runs the conformance suite on every backend, and tests the faults that the fake injects.

use std::time::{Duration, Instant};

use anyhow::Result;
use banyan_core::{PeerChange, peer_changes};
use banyan_wireguard::fake::{Failure, Fake};
use banyan_wireguard::{Backend, Device, DeviceError, conformance, none};

use crate::setup::{inside, name, open, peer, random_key, reach, set};

#[test]
fn userspace_conforms() {
    inside("backends::userspace_conforms", || async {
        let (device, _) = open().await?;
        assert_eq!(device.backend().to_string(), "userspace");
        Ok(conformance::check(&*device).await?)
    });
}

#[tokio::test]
async fn none_conforms_and_says_what_it_is() -> Result<()> {
    let device = none(name("wg-control"));
    assert_eq!(device.backend(), Backend::None);
    assert_eq!(device.backend().to_string(), "none");
    assert_eq!(device.name().as_str(), "wg-control");
    assert_eq!(device.listen_port(), 0);
    Ok(conformance::check(&*device).await?)
}

#[tokio::test]
async fn the_fake_conforms_without_scripted_faults() -> Result<()> {
    Ok(conformance::check(&Fake::new(name("fake"))).await?)
}

#[tokio::test]
async fn the_pass_after_a_failure_brings_the_device_up_to_date() -> Result<()> {
    for failure in [Failure::Whole, Failure::Half, Failure::Told] {
        let fake = Fake::new(name("fake"));
        fake.fail_apply(0, failure);
        let wanted = set((0..5).map(|_| peer(random_key(), &[])));
        let changes = peer_changes(&wanted, &fake.peers().await?);
        let failed = fake.apply(&changes).await;
        assert!(matches!(failed, Err(DeviceError::Backend { .. })));
        let there = match failure {
            Failure::Whole => 0,
            Failure::Half => 2,
            Failure::Told => 5,
        };
        assert_eq!(fake.keys().len(), there);
        reach(&fake, &wanted).await?;
        assert_eq!(fake.keys().len(), 5);
        assert_eq!(fake.asked()[0], changes);
    }
    Ok(())
}

#[tokio::test]
async fn the_fake_drifts_lags_and_vanishes() -> Result<()> {
    let fake = Fake::new(name("fake"));
    let key = random_key();
    let wanted = set([peer(key, &[])]);
    reach(&fake, &wanted).await?;

    assert!(fake.drop_peer(&key));
    assert!(!fake.drop_peer(&key));
    let mut stranger = {
        reach(&fake, &wanted).await?;
        fake.peers().await?.remove(&key).unwrap()
    };
    stranger.key = random_key();
    fake.put_peer(stranger.clone());
    let changes = peer_changes(&wanted, &fake.peers().await?);
    assert_eq!(changes, [PeerChange::Remove(stranger.key)]);

    fake.delay(Duration::from_millis(50));
    let started = Instant::now();
    fake.peers().await?;
    assert!(started.elapsed() >= Duration::from_millis(50));

    fake.vanish();
    assert!(matches!(fake.peers().await, Err(DeviceError::Gone { .. })));
    assert!(matches!(
        fake.apply(&[]).await,
        Err(DeviceError::Gone { .. })
    ));
    Ok(())
}
