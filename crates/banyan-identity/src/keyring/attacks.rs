//! Tokens that must not pass, made without and with our keys.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{KID, NOW, at, claims, keyring, secret, seed, settings, shared};
use super::*;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KID })
}

fn body() -> Value {
    serde_json::to_value(claims().written(Kind::Access)).unwrap()
}

/// Signs two texts as they are, with the first of our Ed25519 keys.
fn signed(header: &str, body: &str) -> String {
    let key = Pair::ed25519(&seed(1)).unwrap().sign;
    signed_with(&key, Algorithm::EdDSA, header, body)
}

fn signed_with(key: &EncodingKey, algorithm: Algorithm, header: &str, body: &str) -> String {
    let message = format!("{}.{}", b64(header), b64(body));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn judge(token: &str) -> Result<Claims, TokenError> {
    keyring().verify(Kind::Access, token, &settings(), at(NOW))
}

fn judge_shared(token: &str) -> Result<Claims, TokenError> {
    shared().verify(Kind::Access, token, &settings(), at(NOW))
}

fn good() -> String {
    let token = keyring().sign(Kind::Access, &claims()).unwrap();
    token.expose().to_owned()
}

/// The claims with one of them replaced, or removed.
fn with(claim: &str, value: Option<Value>) -> String {
    let mut body = body();
    let object = body.as_object_mut().unwrap();
    match value {
        Some(value) => object.insert(claim.to_owned(), value),
        None => object.remove(claim),
    };
    signed(&header().to_string(), &body.to_string())
}

fn with_header(field: &str, value: Value) -> String {
    let mut header = header();
    header[field] = value;
    signed(&header.to_string(), &body().to_string())
}

#[test]
fn a_token_made_by_hand_passes_so_that_the_others_fail_for_their_own_reason() {
    assert_eq!(
        judge(&signed(&header().to_string(), &body().to_string())),
        Ok(claims())
    );
}

#[test]
fn no_spelling_of_no_algorithm_passes() {
    for alg in ["none", "None", "NONE", "nOnE", "", " none"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": KID }).to_string();
        for signature in ["", "AA", good().rsplit('.').next().unwrap()] {
            let token = format!("{}.{}.{signature}", b64(&header), b64(body().to_string()));
            assert_eq!(judge(&token), Err(TokenError::BadSignature), "{alg:?}");
            assert_eq!(
                judge_shared(&token),
                Err(TokenError::BadSignature),
                "{alg:?}"
            );
        }
    }
}

#[test]
fn hs256_with_the_public_key_as_secret_does_not_pass() {
    let x = Pair::ed25519(&seed(1)).unwrap().x;
    let raw = URL_SAFE_NO_PAD.decode(&x).unwrap();
    for secret in [raw.as_slice(), x.as_bytes(), keyring().jwks().as_bytes()] {
        let key = EncodingKey::from_secret(secret);
        for alg in ["HS256", "EdDSA"] {
            let header = json!({ "alg": alg, "typ": "at+jwt", "kid": KID }).to_string();
            let token = signed_with(&key, Algorithm::HS256, &header, &body().to_string());
            assert_eq!(judge(&token), Err(TokenError::BadSignature));
        }
    }
}

#[test]
fn other_algorithms_of_the_family_do_not_pass() {
    let key = EncodingKey::from_secret(secret().expose().as_bytes());
    for (alg, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let header = json!({ "alg": alg, "typ": "at+jwt" }).to_string();
        let token = signed_with(&key, algorithm, &header, &body().to_string());
        assert_eq!(judge_shared(&token), Err(TokenError::BadSignature));
    }
    for alg in ["eddsa", "EDDSA", "Ed25519", "ES256", "RS256"] {
        assert_eq!(
            judge(&with_header("alg", json!(alg))),
            Err(TokenError::BadSignature)
        );
    }
}

#[test]
fn eddsa_does_not_pass_where_a_secret_is_shared() {
    assert_eq!(judge_shared(&good()), Err(TokenError::BadSignature));
    let lies = with_header("alg", json!("HS256"));
    assert_eq!(judge_shared(&lies), Err(TokenError::BadSignature));
}

#[test]
fn a_foreign_key_under_our_id_does_not_pass() {
    let foreign = Keyring::ed25519([(KID.to_owned(), seed(9))], KID).unwrap();
    let token = foreign.sign(Kind::Access, &claims()).unwrap();
    assert_eq!(judge(token.expose()), Err(TokenError::BadSignature));
    let other = Keyring::shared(&SecretText::new("x".repeat(32))).unwrap();
    let token = other.sign(Kind::Access, &claims()).unwrap();
    assert_eq!(judge_shared(token.expose()), Err(TokenError::BadSignature));
}

#[test]
fn one_of_our_keys_does_not_pass_for_another() {
    assert_eq!(
        judge(&with_header("kid", json!("k2"))),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn a_key_must_be_named_and_be_one_of_ours() {
    for kid in ["k3", "", "K1", "k1 ", "../k1", "' or 1=1"] {
        assert_eq!(
            judge(&with_header("kid", json!(kid))),
            Err(TokenError::UnknownKey)
        );
    }
    assert_eq!(
        judge(&with_header("kid", Value::Null)),
        Err(TokenError::MissingKid)
    );
    let without = json!({ "alg": "EdDSA", "typ": "at+jwt" }).to_string();
    assert_eq!(
        judge(&signed(&without, &body().to_string())),
        Err(TokenError::MissingKid)
    );
    for kid in [json!(1), json!(["k1"]), json!({ "k1": 1 })] {
        assert_eq!(judge(&with_header("kid", kid)), Err(TokenError::Malformed));
    }
}

#[test]
fn only_the_exact_type_passes() {
    for typ in [
        "JWT",
        "AT+JWT",
        "application/at+jwt",
        "rt+jwt",
        "",
        "at+jwt ",
    ] {
        assert_eq!(
            judge(&with_header("typ", json!(typ))),
            Err(TokenError::WrongType)
        );
    }
    assert_eq!(
        judge(&with_header("typ", Value::Null)),
        Err(TokenError::WrongType)
    );
}

#[test]
fn neither_kind_passes_as_the_other() {
    for keyring in [keyring(), shared()] {
        for (made, shown) in [(Kind::Access, Kind::Refresh), (Kind::Refresh, Kind::Access)] {
            let token = keyring.sign(made, &claims()).unwrap();
            let answer = keyring.verify(shown, token.expose(), &settings(), at(NOW));
            assert_eq!(answer, Err(TokenError::WrongType));
        }
    }
}

#[test]
fn headers_that_bring_their_own_key_have_no_effect() {
    let theirs = Pair::ed25519(&seed(9)).unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": theirs.x, "kid": KID });
    for (field, value) in [
        ("jwk", jwk),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        let mut header = header();
        header[field] = value.clone();
        let forged = signed_with(
            &theirs.sign,
            Algorithm::EdDSA,
            &header.to_string(),
            &body().to_string(),
        );
        assert_eq!(judge(&forged), Err(TokenError::BadSignature), "{field}");
        assert_eq!(judge(&with_header(field, value)), Ok(claims()), "{field}");
    }
}

#[test]
fn a_critical_header_is_refused_for_it_is_not_understood() {
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!("b64")] {
        assert_eq!(
            judge(&with_header("crit", crit)),
            Err(TokenError::Malformed)
        );
    }
}

#[test]
fn each_claim_must_be_there() {
    let all = [
        "sub",
        "name",
        "roles",
        "permissions",
        "sid",
        "iat",
        "exp",
        "iss",
        "aud",
        "jti",
    ];
    for claim in all {
        assert_eq!(judge(&with(claim, None)), Err(TokenError::Missing(claim)));
        assert_eq!(
            judge(&with(claim, Some(Value::Null))),
            Err(TokenError::Missing(claim))
        );
    }
    assert!(judge(&with("email", None)).is_ok());
}

#[test]
fn each_claim_must_be_of_its_type() {
    let texts = ["sub", "name", "email", "sid", "iss", "aud", "jti"];
    let wrong = [json!(1), json!(true), json!(["banyan"]), json!({ "a": 1 })];
    for claim in texts {
        for value in &wrong {
            let answer = judge(&with(claim, Some(value.clone())));
            assert_eq!(answer, Err(TokenError::Malformed), "{claim}: {value}");
        }
    }
    for claim in ["iat", "exp"] {
        for value in [
            json!("1900000000"),
            json!(1.9e9),
            json!(u64::MAX),
            json!([1_900_000_000]),
        ] {
            let answer = judge(&with(claim, Some(value.clone())));
            assert_eq!(answer, Err(TokenError::Malformed), "{claim}: {value}");
        }
    }
    for claim in ["roles", "permissions"] {
        for value in [
            json!("admin"),
            json!([1]),
            json!([["admin"]]),
            json!({ "admin": true }),
        ] {
            let answer = judge(&with(claim, Some(value.clone())));
            assert_eq!(answer, Err(TokenError::Malformed), "{claim}: {value}");
        }
    }
}

#[test]
fn claims_that_nobody_knows_are_let_be() {
    assert_eq!(
        judge(&with("nonce", Some(json!({ "any": [1] })))),
        Ok(claims())
    );
}

#[test]
fn another_issuer_or_audience_does_not_pass() {
    for value in ["", "Banyan", "banyan2", "banyan "] {
        let value = Some(json!(value));
        assert_eq!(
            judge(&with("iss", value.clone())),
            Err(TokenError::WrongIssuer)
        );
        assert_eq!(judge(&with("aud", value)), Err(TokenError::WrongAudience));
    }
}

#[test]
fn a_token_expires_at_its_second_and_not_before() {
    let exp = claims().exp;
    let judge_at = |now| keyring().verify(Kind::Access, &good(), &settings(), now);
    assert!(judge_at(at(exp - 1)).is_ok());
    let just_before = Timestamp::new(exp - 1, 999_999_999).unwrap();
    assert!(judge_at(just_before).is_ok());
    for now in [exp, exp + 1, exp + 59] {
        assert_eq!(judge_at(at(now)), Err(TokenError::Expired));
    }
    for exp in [0, -1, i64::MIN] {
        assert_eq!(
            judge(&with("exp", Some(json!(exp)))),
            Err(TokenError::Expired)
        );
    }
}

#[test]
fn a_token_from_another_engines_clock_passes_and_one_from_the_future_does_not() {
    let made_at = |second: i64| judge(&with("iat", Some(json!(second))));
    assert!(made_at(NOW + 30).is_ok());
    assert_eq!(made_at(NOW + 31), Err(TokenError::Malformed));
    assert_eq!(made_at(i64::MAX), Err(TokenError::Malformed));
    assert!(made_at(i64::MIN).is_ok());
}

#[test]
fn what_is_there_twice_is_refused() {
    let twice = |json: &Value, field: &str| {
        let text = json.to_string();
        text.replacen('{', &format!("{{{field},"), 1)
    };
    for field in [
        r#""exp":9999999999"#,
        r#""sub":"root""#,
        r#""roles":["admin"]"#,
    ] {
        let token = signed(&header().to_string(), &twice(&body(), field));
        assert_eq!(judge(&token), Err(TokenError::Malformed), "{field}");
    }
    for field in [r#""alg":"none""#, r#""kid":"k2""#, r#""typ":"rt+jwt""#] {
        let token = signed(&twice(&header(), field), &body().to_string());
        assert_eq!(judge(&token), Err(TokenError::Malformed), "{field}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let array = r#"["EdDSA","at+jwt","k1"]"#;
    for text in [
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        array,
        "{}x",
        "{\"alg\":\"EdDSA\"",
        "\u{feff}{}",
    ] {
        assert_eq!(
            judge(&signed(text, &body().to_string())),
            Err(TokenError::Malformed),
            "{text}"
        );
        assert_eq!(
            judge(&signed(&header().to_string(), text)),
            Err(TokenError::Malformed),
            "{text}"
        );
    }
}

#[test]
fn nothing_in_a_token_can_be_altered() {
    let token = good();
    for at in 0..token.len() {
        let (before, rest) = token.split_at(at);
        let (old, after) = rest.split_at(1);
        for new in ["A", "B", "_", ".", "=", "é"] {
            if new != old {
                assert!(
                    judge(&format!("{before}{new}{after}")).is_err(),
                    "{at} {new}"
                );
            }
        }
    }
}

#[test]
fn a_claim_raised_without_our_key_does_not_pass() {
    let token = good();
    let [head, _, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    let mut body = body();
    body["roles"] = json!(["admin"]);
    let raised = format!("{head}.{}.{signature}", b64(body.to_string()));
    assert_eq!(judge(&raised), Err(TokenError::BadSignature));
}

#[test]
fn truncated_tokens_and_other_forms_are_refused() {
    let token = good();
    for length in 0..token.len() {
        assert!(judge(&token[..length]).is_err(), "{length}");
    }
    let no_signature = token.rsplit_once('.').unwrap().0;
    let others = [
        no_signature.to_owned(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{token}"),
        token.replace('.', ".."),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("Bearer {token}"),
        token.replacen('.', "\u{3002}", 1),
        "é".repeat(100),
        "..".to_owned(),
        "....".to_owned(),
    ];
    for other in others {
        assert!(judge(&other).is_err(), "{other:?}");
    }
    assert_eq!(
        judge(&format!("{no_signature}.")),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn a_huge_token_is_not_looked_at_although_it_is_signed() {
    let filler = |length: usize| with("filler", Some(json!("x".repeat(length))));
    assert!(judge(&filler(5_000)).is_ok());
    let huge = filler(MAX_TOKEN_BYTES);
    assert_eq!(judge(&huge), Err(TokenError::Malformed));
    assert_eq!(judge(&"x".repeat(10 << 20)), Err(TokenError::Malformed));
    // Nesting that would be deep for a parser.
    let deep = "[".repeat(3_000);
    assert_eq!(
        judge(&signed(&header().to_string(), &deep)),
        Err(TokenError::Malformed)
    );
    let deep = format!("{{\"a\":{deep}");
    assert_eq!(
        judge(&signed(&header().to_string(), &deep)),
        Err(TokenError::Malformed)
    );
}

#[test]
fn no_refusal_repeats_what_the_token_says() {
    let marked = [
        with("iss", Some(json!("marker"))),
        with("aud", Some(json!("marker"))),
        with("sub", Some(json!(["marker"]))),
        with_header("kid", json!("marker")),
        with_header("typ", json!("marker")),
        with_header("alg", json!("marker")),
        "marker".to_owned(),
    ];
    for token in marked {
        let error = judge(&token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("marker"), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_verifying_panic(text in any::<String>(), a in "\\PC{0,60}", b in "\\PC{0,60}") {
        for keyring in [keyring(), shared()] {
            for token in [text.clone(), format!("{}.{}.{}", b64(&a), b64(&b), b64(&text))] {
                prop_assert!(keyring.verify(Kind::Access, &token, &settings(), at(NOW)).is_err());
            }
        }
    }

    #[test]
    fn no_signed_text_makes_verifying_panic(head in "\\{\\PC{0,60}\\}", body in "\\{\\PC{0,60}\\}") {
        let _ = judge(&signed(&head, &body));
        let _ = judge(&signed(&header().to_string(), &body));
    }

    #[test]
    fn whatever_is_signed_comes_back(name in any::<String>(), roles in prop::collection::vec(any::<String>(), 0..4), iat in i64::MIN..NOW, exp in NOW + 1..) {
        let signed = Claims { name, roles, iat, exp, ..claims() };
        let token = keyring().sign(Kind::Access, &signed).unwrap();
        prop_assert_eq!(judge(token.expose()), Ok(signed));
    }
}
