//! What keyrings make and publish. What they refuse is in `attacks`.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

pub(crate) const KID: &str = "k1";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn seed(byte: u8) -> Seed {
    Zeroizing::new([byte; 32])
}

pub(crate) fn keyring() -> Keyring {
    Keyring::ed25519([(KID.to_owned(), seed(1)), ("k2".to_owned(), seed(2))], KID).unwrap()
}

pub(crate) fn secret() -> SecretText {
    SecretText::new("0123456789abcdef0123456789abcdef".to_owned())
}

pub(crate) fn shared() -> Keyring {
    Keyring::shared(&secret()).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings {
        issuer: "banyan".to_owned(),
        audience: "banyan".to_owned(),
        access_expiry: Duration::from_secs(3600),
        refresh_expiry: Duration::from_secs(7 * 86_400),
    }
}

pub(crate) fn claims() -> Claims {
    Claims {
        sub: "a1b2".to_owned(),
        name: "alice".to_owned(),
        email: Some("alice@example.org".to_owned()),
        roles: vec!["viewer".to_owned()],
        permissions: vec!["status.read".to_owned()],
        sid: "5e55".to_owned(),
        iat: NOW - 10,
        exp: NOW + 3590,
        iss: "banyan".to_owned(),
        aud: "banyan".to_owned(),
        jti: "7071".to_owned(),
    }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn text(token: &SecretText, at: usize) -> String {
    let part = token.expose().split('.').nth(at).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn part(token: &SecretText, at: usize) -> Value {
    serde_json::from_str(&text(token, at)).unwrap()
}

#[test]
fn what_was_signed_verifies_with_all_its_claims() {
    for keyring in [keyring(), shared()] {
        let token = keyring.sign(Kind::Access, &claims()).unwrap();
        let read = keyring.verify(Kind::Access, token.expose(), &settings(), at(NOW));
        assert_eq!(read, Ok(claims()));
    }
}

#[test]
fn claims_without_mail_or_roles_verify_too() {
    let bare = Claims {
        email: None,
        roles: Vec::new(),
        permissions: Vec::new(),
        ..claims()
    };
    let token = keyring().sign(Kind::Access, &bare).unwrap();
    let read = keyring().verify(Kind::Access, token.expose(), &settings(), at(NOW));
    assert_eq!(read, Ok(bare));
    assert_eq!(part(&token, 1).get("email"), None);
}

#[test]
fn header_and_claims_are_as_the_standards_have_them() {
    let token = keyring().sign(Kind::Access, &claims()).unwrap();
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": KID });
    assert_eq!(part(&token, 0), header);
    insta::assert_snapshot!(text(&token, 1));
    let token = shared().sign(Kind::Refresh, &claims()).unwrap();
    assert_eq!(part(&token, 0), json!({ "typ": "rt+jwt", "alg": "HS256" }));
}

#[test]
fn a_refresh_token_carries_no_roles_and_verifies_without() {
    for keyring in [keyring(), shared()] {
        let token = keyring.sign(Kind::Refresh, &claims()).unwrap();
        let written = part(&token, 1);
        assert!(written.get("roles").is_none() && written.get("permissions").is_none());
        let read = keyring
            .verify(Kind::Refresh, token.expose(), &settings(), at(NOW))
            .unwrap();
        assert_eq!(read.jti, claims().jti);
        assert!(read.roles.is_empty() && read.permissions.is_empty());
    }
}

#[test]
fn the_same_claims_under_the_same_key_give_the_same_bytes() {
    for make in [keyring, shared] {
        let one = make().sign(Kind::Refresh, &claims()).unwrap();
        let again = make().sign(Kind::Refresh, &claims()).unwrap();
        assert_eq!(one.expose(), again.expose());
    }
}

#[test]
fn a_token_can_be_made_again_after_another_key_signs() {
    let token = keyring().sign(Kind::Refresh, &claims()).unwrap();
    let keys = [(KID.to_owned(), seed(1)), ("k2".to_owned(), seed(2))];
    let rotated = Keyring::ed25519(keys, "k2").unwrap();
    assert_eq!(rotated.signing_kid(), Some("k2"));
    let again = rotated
        .sign_with(Some(KID), Kind::Refresh, &claims())
        .unwrap();
    assert_eq!(again.expose(), token.expose());
    // Both verify while both are there.
    let new = rotated.sign(Kind::Refresh, &claims()).unwrap();
    assert_ne!(new.expose(), token.expose());
    for token in [token, new] {
        let read = rotated.verify(Kind::Refresh, token.expose(), &settings(), at(NOW));
        assert!(read.is_ok());
    }
}

#[test]
fn a_key_that_is_gone_is_replaced_by_the_one_that_signs() {
    let own = keyring().sign(Kind::Access, &claims()).unwrap();
    let other = keyring()
        .sign_with(Some("gone"), Kind::Access, &claims())
        .unwrap();
    assert_eq!(own.expose(), other.expose());
    let secret = shared().sign_with(Some("gone"), Kind::Access, &claims());
    assert!(secret.is_ok());
    assert_eq!(shared().signing_kid(), None);
}

#[test]
fn the_published_key_is_that_of_rfc_8037() {
    // RFC 8037, appendix A.1 and A.2.
    let d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let seed: [u8; 32] = URL_SAFE_NO_PAD.decode(d).unwrap().try_into().unwrap();
    let keyring = Keyring::ed25519([("1".to_owned(), Zeroizing::new(seed))], "1").unwrap();
    let published: Value = serde_json::from_str(&keyring.jwks()).unwrap();
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(published, json!({ "keys": [key] }));
}

#[test]
fn all_keys_are_published_and_no_secret_ever() {
    let published: Value = serde_json::from_str(&keyring().jwks()).unwrap();
    let keys = published["keys"].as_array().unwrap().iter();
    let kids: Vec<_> = keys.map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(kids, [KID, "k2"]);
    assert_eq!(shared().jwks(), r#"{"keys":[]}"#);
    let private = URL_SAFE_NO_PAD.encode(*seed(1));
    assert!(!keyring().jwks().contains(&private));
}

#[test]
fn debug_shows_ids_and_no_secret() {
    assert_eq!(
        format!("{:?}", keyring()),
        r#"Keyring { keys: ["k1", "k2"], signing: "k1" }"#
    );
    assert_eq!(format!("{:?}", shared()), "Keyring(a shared secret)");
}

#[test]
fn a_secret_of_less_than_32_bytes_is_refused_and_the_way_out_said() {
    let error = Keyring::shared(&SecretText::new("x".repeat(31))).unwrap_err();
    assert!(matches!(error, KeyringError::ShortSecret { bytes: 31 }));
    assert!(error.to_string().contains("at least 32"), "{error}");
    assert!(Keyring::shared(&SecretText::new("é".repeat(16))).is_ok());
}

#[test]
fn a_keyring_needs_its_signing_key_and_each_id_once() {
    let make = |kids: [&str; 2], signing| {
        Keyring::ed25519(kids.map(|kid| (kid.to_owned(), seed(1))), signing)
    };
    assert!(make(["a", "b"], "b").is_ok());
    assert!(matches!(make(["a", "a"], "a"), Err(KeyringError::Twice(kid)) if kid == "a"));
    assert!(matches!(make(["a", "b"], "c"), Err(KeyringError::NoSuchKey(kid)) if kid == "c"));
}

#[test]
fn a_token_that_would_be_refused_for_its_length_is_not_made() {
    let mut claims = claims();
    claims.roles = vec!["x".repeat(MAX_TOKEN_BYTES)];
    let error = keyring().sign(Kind::Access, &claims).unwrap_err();
    assert!(matches!(error, KeyringError::TooLong { .. }), "{error}");
}

#[test]
fn keyrings_have_one_identity_exactly_when_they_have_the_same_keys() {
    let of = |kid: &str, byte| Keyring::ed25519([(kid.to_owned(), seed(byte))], kid).unwrap();
    assert_eq!(of("a", 1).identity(), of("a", 1).identity());
    assert_ne!(of("a", 1).identity(), of("a", 2).identity());
    assert_ne!(of("a", 1).identity(), of("b", 1).identity());
    assert_ne!(of("a", 1).identity(), shared().identity());
    let other = Keyring::shared(&SecretText::new("x".repeat(32))).unwrap();
    assert_ne!(other.identity(), shared().identity());
}
