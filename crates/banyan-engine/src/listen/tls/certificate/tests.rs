use std::fs;
use std::path::PathBuf;

use super::*;
use crate::listen::tls::made::{Authority, GOOD, given};

fn opened(cert: &Path, key: &Path) -> Result<Arc<Certificate>, String> {
    let folder = tempfile::tempdir().unwrap();
    let opened = Certificate::open(&given(folder.path(), cert, key));
    assert!(
        !folder.path().join("state/tls").exists(),
        "nothing is made beside given files"
    );
    opened.map_err(|error| crate::report(&error))
}

fn replace(from: &(PathBuf, PathBuf), to: &(PathBuf, PathBuf)) {
    fs::copy(&from.0, &to.0).unwrap();
    fs::copy(&from.1, &to.1).unwrap();
}

#[tokio::test(start_paused = true)]
async fn renewed_files_are_taken_without_a_restart_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let shown = authority.write(folder.path(), "shown", GOOD);
    let next = authority.write(folder.path(), "next", GOOD);
    let other = authority.write(folder.path(), "other", GOOD);
    let certificate = opened(&shown.0, &shown.1).unwrap();
    let first = certificate.pin();

    replace(&next, &shown);
    certificate.renew().await;
    assert_eq!(certificate.pin(), first, "it was looked at just now");
    tokio::time::advance(LOOK).await;
    certificate.renew().await;
    let second = pair::pin_in(&next.0).unwrap();
    assert_eq!(certificate.pin(), second);

    for broken in ["", "nonsense"] {
        fs::write(&shown.0, broken).unwrap();
        tokio::time::advance(LOOK).await;
        certificate.renew().await;
        assert_eq!(certificate.pin(), second);
    }
    // The two files are written one after the other.
    fs::copy(&other.0, &shown.0).unwrap();
    tokio::time::advance(LOOK).await;
    certificate.renew().await;
    assert_eq!(certificate.pin(), second);
    fs::copy(&other.1, &shown.1).unwrap();
    tokio::time::advance(LOOK).await;
    certificate.renew().await;
    assert_eq!(certificate.pin(), pair::pin_in(&other.0).unwrap());
}

#[test]
fn given_files_that_cannot_be_used_are_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.write(folder.path(), "one", GOOD);
    let (_, other_key) = authority.write(folder.path(), "two", GOOD);
    let none = folder.path().join("none.pem");
    let nonsense = folder.path().join("nonsense.pem");
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&nonsense, bad).unwrap();
    opened(&cert, &key).unwrap();
    for (cert, key, why) in [
        (&none, &key, "none.pem: No such file"),
        (&cert, &none, "none.pem: No such file"),
        (&key, &key, "one.key contains no certificate"),
        (&cert, &cert, "one.pem contains no usable private key"),
        (&cert, &other_key, "does not belong to the certificate in"),
        (&nonsense, &key, "nonsense.pem is unusable"),
    ] {
        let error = opened(cert, key).unwrap_err();
        assert!(error.contains(why), "no {why} in {error}");
    }
}

#[test]
fn an_upcoming_expiry_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (cert, key) = authority.write(folder.path(), "one", (2025, 2030));
    let pair = Pair::read(&Files { cert, key }).unwrap();
    let at = |text: &str| text.parse().unwrap();
    for (now, ahead, expected) in [
        ("2024-12-31T23:59:59Z", Duration::ZERO, Validity::NotYet),
        ("2025-01-01T00:00:01Z", Duration::ZERO, Validity::Good),
        ("2029-12-20T00:00:00Z", Duration::ZERO, Validity::Good),
        ("2029-12-20T00:00:00Z", SOON, Validity::Expired),
        ("2029-12-10T00:00:00Z", SOON, Validity::Good),
        ("2030-01-01T00:00:01Z", Duration::ZERO, Validity::Expired),
    ] {
        assert_eq!(pair.validity(at(now), ahead), expected, "{now}");
    }
}
