use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::listen::tls::made::config;
use crate::listen::tls::pin;

fn files(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let tls = folder.join("state/tls");
    (tls.join("cert.pem"), tls.join("key.pem"))
}

#[test]
fn it_is_created_once_is_private_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let made = pin(&config(folder.path(), "")).unwrap();
    let (cert, key) = files(folder.path());
    for file in [&cert, &key] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let before = (fs::read(&cert).unwrap(), fs::read(&key).unwrap());
    assert_eq!(pin(&config(folder.path(), "")).unwrap(), made);
    assert_eq!((fs::read(&cert).unwrap(), fs::read(&key).unwrap()), before);
    assert_eq!(
        fs::read_dir(folder.path().join("state/tls"))
            .unwrap()
            .count(),
        2
    );
}

#[test]
fn the_key_and_so_the_pin_stay_when_the_certificate_changes() {
    let folder = tempfile::tempdir().unwrap();
    let made = pin(&config(folder.path(), "")).unwrap();
    let (cert, _) = files(folder.path());
    // The state after a crash between writing the two files.
    fs::remove_file(&cert).unwrap();
    assert_eq!(pin(&config(folder.path(), "")).unwrap(), made);
    fs::write(&cert, "nonsense").unwrap();
    assert_eq!(pin(&config(folder.path(), "")).unwrap(), made);
    let before = fs::read(&cert).unwrap();
    let named = config(
        folder.path(),
        "  tls: {names: [engine.example.org, 192.0.2.7]}\n",
    );
    assert_eq!(pin(&named).unwrap(), made);
    assert_ne!(fs::read(&cert).unwrap(), before, "it lacks the new names");
    let names = [
        "engine.example.org",
        "192.0.2.7",
        "localhost",
        "127.0.0.1",
        "::1",
    ];
    let names = names.map(|name| ServerName::try_from(name).unwrap());
    let files = Files::of(&named);
    assert!(is_good(&files, &names, crate::clock::now()));
    let other = ServerName::try_from("other.example.org").unwrap();
    assert!(!is_good(&files, &[other], crate::clock::now()));
    let nine_years = jiff::SignedDuration::from_hours(9 * 366 * 24);
    let later = crate::clock::now() + nine_years;
    assert!(
        !is_good(&files, &names, later),
        "it is made again in its last year"
    );
    ensure(&files, &[], later).unwrap();
    assert!(is_good(&files, &[], later));
    assert_eq!(pin(&named).unwrap(), made);
}

#[test]
fn a_lost_or_damaged_key_is_reported_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    pin(&config(folder.path(), "")).unwrap();
    let (cert, key) = files(folder.path());
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
    let why = crate::report(&pin(&config(folder.path(), "")).unwrap_err());
    assert!(why.contains("key.pem: there is no key in it"), "{why}");
    assert!(!why.contains("AAAA"), "{why}");
    fs::remove_file(&key).unwrap();
    let why = crate::report(&pin(&config(folder.path(), "")).unwrap_err());
    assert!(
        why.contains("it is gone, but its certificate is there"),
        "{why}"
    );
    fs::remove_file(&cert).unwrap();
    pin(&config(folder.path(), "")).unwrap();
}

#[test]
fn concurrent_starts_share_one_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let pins: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| pin(&config(folder.path(), "")).unwrap()))
            .collect();
        makers
            .into_iter()
            .map(|maker| maker.join().unwrap())
            .collect()
    });
    assert!(pins.iter().all(|pin| *pin == pins[0]), "{pins:?}");
}
