//! The engine's own certificate: self-signed and identified by its key. The key is permanent; the certificate is
//! recreated with the same key, and so the same pin, shortly before it expires or when the engine's names change.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::ParsedCertificate;
use zeroize::Zeroizing;

use super::Files;
use super::pair::{Pair, Validity};
use crate::Failure;
use crate::private_file::{make_private_dir, replace_secret, write_secret};

/// Validity of the certificate.
const YEARS: i16 = 10;

/// A certificate that expires sooner than this is recreated.
const LEFT: Duration = Duration::from_secs(365 * 24 * 3600);

/// Ensures that a certificate exists for the host's names and these.
pub(super) fn ensure(files: &Files, names: &[String], now: Timestamp) -> Result<(), Failure> {
    let Some(folder) = files.key.parent() else {
        return Err(Failure::setup(
            "create a certificate",
            "it has no directory",
        ));
    };
    make_private_dir(folder)?;
    // If two programs start at once, one creates it and the other waits and uses it.
    let lock = File::open(folder).and_then(|lock| lock.lock().map(|()| lock));
    let _lock =
        lock.map_err(|error| Failure::setup(format!("lock {}", folder.display()), error))?;
    let names = all_names(names);
    let key = key(files)?;
    if is_good(files, &names, now) {
        return Ok(());
    }
    let doing = || format!("create the certificate {}", files.cert.display());
    let pem = sign(&key, &names, now).map_err(|error| Failure::setup(doing(), error))?;
    replace_secret(&files.cert, &pem).map_err(|error| Failure::setup(doing(), error))
}

/// The existing key, or a new one. The key is written first: after a crash, the next start creates the certificate for
/// it.
fn key(files: &Files) -> Result<KeyPair, Failure> {
    let path = files.key.display();
    match std::fs::read_to_string(&files.key) {
        Ok(text) => KeyPair::from_pem(&Zeroizing::new(text)).map_err(|_| {
            let why = "there is no key in it; take it from a backup, or remove it and cert.pem beside it to have new \
                       ones made: clients then need the new pin";
            Failure::setup(format!("read the engine's own key {path}"), why)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match files.cert.exists() {
            true => {
                let why = "it is gone, but its certificate is there; take it from a backup, or remove cert.pem beside \
                           it to have new ones made: clients then need the new pin";
                Err(Failure::setup(format!("read the engine's own key {path}"), why))
            }
            false => new_key(&files.key),
        },
        Err(error) => Err(Failure::setup(
            format!("read the engine's own key {path}"),
            error,
        )),
    }
}

fn new_key(path: &Path) -> Result<KeyPair, Failure> {
    let doing = || format!("create the engine's own key {}", path.display());
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
    let key = key.map_err(|error| Failure::setup(doing(), error))?;
    let text = Zeroizing::new(key.serialize_pem());
    write_secret(path, text.trim_end()).map_err(|error| Failure::setup(doing(), error))?;
    Ok(key)
}

/// All names of this host, and the configured names.
fn all_names(names: &[String]) -> Vec<ServerName<'static>> {
    let own = [
        IpAddr::V4(Ipv4Addr::LOCALHOST).to_string(),
        IpAddr::V6(Ipv6Addr::LOCALHOST).to_string(),
    ];
    let host = crate::ops::store::host();
    let all = std::iter::once("localhost".to_owned())
        .chain(own)
        .chain(host)
        .chain(names.iter().cloned());
    let mut found = Vec::new();
    // A host name that a certificate cannot contain is skipped; clients cannot connect by it.
    for name in all.filter_map(|name| ServerName::try_from(name).ok()) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Whether the existing certificate covers the names and remains valid for long enough.
fn is_good(files: &Files, names: &[ServerName<'_>], now: Timestamp) -> bool {
    let Ok(pair) = Pair::read(files) else {
        return false;
    };
    let (today, later) = (pair.validity(now, Duration::ZERO), pair.validity(now, LEFT));
    let Some(leaf) = pair.key.cert.first() else {
        return false;
    };
    let Ok(parsed) = ParsedCertificate::try_from(leaf) else {
        return false;
    };
    let covers = |name| verify_server_name(&parsed, name).is_ok();
    today == Validity::Good && later == Validity::Good && names.iter().all(covers)
}

fn sign(key: &KeyPair, names: &[ServerName<'_>], now: Timestamp) -> Result<String, io::Error> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut params = CertificateParams::default();
    // A client's clock may be slightly behind.
    let from = today.saturating_sub(Span::new().days(1));
    params.not_before = date_time_ymd(from.year().into(), day(from.month()), day(from.day()));
    let to = today.saturating_add(Span::new().years(YEARS));
    params.not_after = date_time_ymd(to.year().into(), day(to.month()), day(to.day()));
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Banyan engine");
    params.distinguished_name = subject;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names {
        params.subject_alt_names.push(match name {
            ServerName::IpAddress(address) => SanType::IpAddress((*address).into()),
            name => {
                SanType::DnsName((name.to_str().as_ref().try_into()).map_err(io::Error::other)?)
            }
        });
    }
    let certificate = params.self_signed(key).map_err(io::Error::other)?;
    Ok(certificate.pem().trim_end().to_owned())
}

/// Months and days in jiff are positive.
fn day(number: i8) -> u8 {
    number.unsigned_abs()
}

fn serial() -> io::Result<[u8; 16]> {
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|error| io::Error::other(error.to_string()))?;
    if let Some(first) = serial.first_mut() {
        // A positive number without leading zeros, as X.509 requires.
        *first = *first & 0x7f | 0x40;
    }
    Ok(serial)
}

#[cfg(test)]
mod tests;
