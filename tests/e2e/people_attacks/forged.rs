//! Tokens that the engine did not issue.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::harness::{Cluster, Options, denied};

/// A token in parts.
#[derive(Clone)]
struct Parts {
    header: Value,
    claims: Value,
    signature: String,
}

impl Parts {
    fn of(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        Self {
            header: read(parts[0]),
            claims: read(parts[1]),
            signature: parts[2].to_owned(),
        }
    }

    fn message(&self) -> String {
        let write = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        format!("{}.{}", write(&self.header), write(&self.claims))
    }

    fn token(&self) -> String {
        format!("{}.{}", self.message(), self.signature)
    }

    /// With a signature by HMAC.
    fn signed(&self, secret: &[u8]) -> String {
        let (key, message) = (EncodingKey::from_secret(secret), self.message());
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn with_header(&self, field: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.header[field] = value;
        changed
    }

    fn with_claim(&self, field: &str, value: Value) -> Self {
        let mut changed = self.clone();
        changed.claims[field] = value;
        changed
    }
}

/// The engine's published keys.
fn published(cluster: &Cluster) -> String {
    let mut http = TcpStream::connect(cluster.listens("http")).unwrap();
    let request =
        "GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    http.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[test]
fn a_token_that_the_engine_did_not_sign_for_this_use_is_worth_nothing() {
    let cluster = Cluster::started();
    let nina = cluster.user_with("nina", &["viewer"]);
    let good = Parts::of(&nina.tokens.access_token);
    let keys = published(&cluster);
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let key = &keys["keys"][0];
    assert_eq!(key["kid"], good.header["kid"], "{keys}");
    assert!(key["d"].is_null(), "the private key is published");
    let public = key["x"].as_str().unwrap();
    let public_bytes = URL_SAFE_NO_PAD.decode(public).unwrap();

    let none = good.with_header("alg", json!("none"));
    let symmetric = good.with_header("alg", json!("HS256"));
    let other = Parts {
        signature: Parts::of(&nina.tokens.refresh_token).signature,
        ..good.clone()
    };
    let unnamed = {
        let mut unnamed = good.clone();
        unnamed.header.as_object_mut().unwrap().remove("kid");
        unnamed
    };
    for (what, token, cause) in [
        ("alg none", none.token(), "bad-signature"),
        (
            "alg none, unsigned",
            format!("{}.", none.message()),
            "bad-signature",
        ),
        (
            "the public key as a secret",
            symmetric.signed(&public_bytes),
            "bad-signature",
        ),
        (
            "its text as a secret",
            symmetric.signed(public.as_bytes()),
            "bad-signature",
        ),
        (
            "other claims",
            good.with_claim("name", json!("alice")).token(),
            "bad-signature",
        ),
        (
            "a later end",
            good.with_claim("exp", json!(4_000_000_000_u64)).token(),
            "bad-signature",
        ),
        ("another token's signature", other.token(), "bad-signature"),
        (
            "an unknown key",
            good.with_header("kid", json!("0".repeat(32))).token(),
            "bad-signature",
        ),
        ("no key", unnamed.token(), "missing-kid"),
        (
            "the refresh token",
            nina.tokens.refresh_token.clone(),
            "malformed",
        ),
        ("no token at all", "x".to_owned(), "malformed"),
    ] {
        let status = cluster.who(&cluster.with_token(&token)).err();
        let status = status.unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{what}");
        let got = banyan_api::denial_cause(&status);
        assert_eq!(got, Some(cause), "{what}: {status:?}");
        assert!(!status.message().contains(&token), "{what} is repeated");
    }
    denied(cluster.refresh(&nina.tokens.access_token), "malformed");
    denied(cluster.refresh(&none.token()), "malformed");
    // None of these ended a session or used up a token.
    assert_eq!(cluster.who(&nina.client).unwrap().name, "nina");
    cluster.refresh(&nina.tokens.refresh_token).unwrap();
}

#[test]
fn of_rightly_signed_tokens_only_those_for_here_and_now_are_taken() {
    const SECRET: &str = "a secret that several services share, long enough";
    let mut cluster = Cluster::new(Options::default());
    let file = cluster.dir().join("jwt-secret");
    fs::write(&file, SECRET).unwrap();
    let auth = format!(
        "  http: {{port: 0}}\n  auth:\n    jwt_secret_file: {}\n",
        file.display()
    );
    cluster.reconfigure(|options| options.more = Box::leak(auth.into_boxed_str()));
    cluster.start();
    let nina = cluster.user_with("nina", &["viewer"]);
    let good = Parts::of(&nina.tokens.access_token);
    assert_eq!(good.header["alg"], "HS256");
    let who = |parts: &Parts| cluster.who(&cluster.with_token(&parts.signed(SECRET.as_bytes())));
    // The refusal of the others means something only if this one is accepted.
    assert_eq!(who(&good).unwrap().name, "nina");

    let issued = good.claims["iat"].as_i64().unwrap();
    for (claim, value, cause) in [
        ("exp", json!(issued), "expired"),
        ("aud", json!("somebody-else"), "wrong-audience"),
        ("iss", json!("somebody-else"), "malformed"),
        ("sid", json!("0".repeat(32)), "session-ended"),
        ("sub", json!("0".repeat(32)), "session-ended"),
        ("exp", json!("never"), "malformed"),
        ("iat", json!(issued + 3_600), "malformed"),
    ] {
        let status = who(&good.with_claim(claim, value)).err();
        let status = status.unwrap_or_else(|| panic!("{claim} does not count"));
        let got = banyan_api::denial_cause(&status);
        assert_eq!(got, Some(cause), "{claim}: {status:?}");
    }
    let as_refresh = good.with_header("typ", json!("rt+jwt"));
    denied(who(&as_refresh), "malformed");
    let wrong = good.signed(b"another secret, which is long enough as well");
    denied(cluster.who(&cluster.with_token(&wrong)), "bad-signature");
    // Roles in a token are informational.
    let raised = good
        .with_claim("roles", json!(["admin"]))
        .with_claim("permissions", json!(["*"]));
    assert_eq!(who(&raised).unwrap().roles, ["viewer"]);
}
