use std::time::Duration;

use super::*;
use crate::keyring::tests::{KID, NOW, claims, keyring, seed, settings};

/// Tokens that differ in their ids.
fn tokens(keyring: &Keyring, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let mut claims = claims();
            claims.jti = number.to_string();
            let token = keyring.sign(Kind::Access, &claims).unwrap();
            token.expose().to_owned()
        })
        .collect()
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// Whether the token's claims are the very ones that were remembered, so that no signature was checked.
fn is_hit(seen: &TokenCache, keyring: &Keyring, token: &str, former: &Arc<Claims>) -> bool {
    let again = seen
        .verify(keyring, Kind::Access, token, &settings(), now())
        .unwrap();
    Arc::ptr_eq(former, &again)
}

fn verify(seen: &TokenCache, keyring: &Keyring, token: &str) -> Arc<Claims> {
    seen.verify(keyring, Kind::Access, token, &settings(), now())
        .unwrap()
}

#[test]
fn a_token_that_was_good_is_not_checked_again() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    let first = verify(&seen, &keyring, token);
    assert!(is_hit(&seen, &keyring, token, &first));
}

#[test]
fn a_remembered_token_expires_all_the_same() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    let claims = verify(&seen, &keyring, token);
    let at = |second| {
        let now = Timestamp::from_second(second).unwrap();
        seen.verify(&keyring, Kind::Access, token, &settings(), now)
    };
    assert!(at(claims.exp - 1).is_ok());
    assert_eq!(at(claims.exp), Err(TokenError::Expired));
}

#[test]
fn a_remembered_token_is_no_good_as_another_kind() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    verify(&seen, &keyring, token);
    let as_refresh = seen.verify(&keyring, Kind::Refresh, token, &settings(), now());
    assert_eq!(as_refresh, Err(TokenError::WrongType));
}

#[test]
fn a_remembered_token_dies_with_its_key() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    verify(&seen, &keyring, token);
    let later = Keyring::ed25519([("next".to_owned(), seed(9))], "next").unwrap();
    let answer = seen.verify(&later, Kind::Access, token, &settings(), now());
    assert_eq!(answer, Err(TokenError::UnknownKey));
    // The same id with another key is another keyring.
    let forged = Keyring::ed25519([(KID.to_owned(), seed(9))], KID).unwrap();
    let answer = seen.verify(&forged, Kind::Access, token, &settings(), now());
    assert_eq!(answer, Err(TokenError::BadSignature));
}

#[test]
fn a_remembered_token_is_judged_anew_under_other_settings() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    verify(&seen, &keyring, token);
    let mut other = settings();
    other.audience = "others".to_owned();
    let answer = seen.verify(&keyring, Kind::Access, token, &other, now());
    assert_eq!(answer, Err(TokenError::WrongAudience));
}

#[test]
fn what_is_refused_is_not_remembered() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let good = &tokens(&keyring, 1)[0];
    for length in 0..good.len() {
        let cut = good.get(..length).unwrap();
        let answer = seen.verify(&keyring, Kind::Access, cut, &settings(), now());
        assert!(answer.is_err());
    }
    assert_eq!(seen.len(), 0);
}

#[test]
fn a_token_that_is_too_long_is_refused_at_once() {
    let seen = TokenCache::new(8);
    let long = "x".repeat(MAX_TOKEN_BYTES + 1);
    let answer = seen.verify(&keyring(), Kind::Access, &long, &settings(), now());
    assert_eq!(answer, Err(TokenError::Malformed));
}

#[test]
fn a_flood_of_good_tokens_does_not_grow_it_beyond_its_bound() {
    let keyring = keyring();
    let all = tokens(&keyring, 100);
    for bound in [0, 1, 2, 3, 10, 31] {
        let seen = TokenCache::new(bound);
        for token in &all {
            verify(&seen, &keyring, token);
            assert!(seen.len() <= bound.max(2), "{bound}");
        }
    }
}

#[test]
fn a_token_in_use_stays_while_others_pass_by() {
    let (seen, keyring) = (TokenCache::new(10), keyring());
    let all = tokens(&keyring, 60);
    let (used, others) = all.split_first().unwrap();
    let first = verify(&seen, &keyring, used);
    for some in others.chunks(4) {
        for token in some {
            verify(&seen, &keyring, token);
        }
        assert!(is_hit(&seen, &keyring, used, &first));
    }
    let one_of_them = others.first().unwrap();
    let forgotten = verify(&TokenCache::new(2), &keyring, one_of_them);
    assert!(!is_hit(&seen, &keyring, one_of_them, &forgotten));
}

#[test]
fn many_threads_get_the_same_answer_and_keep_the_bound() {
    let (seen, keyring) = (TokenCache::new(16), keyring());
    let all = tokens(&keyring, 40);
    std::thread::scope(|scope| {
        for offset in 0..4 {
            let (seen, keyring, all) = (&seen, &keyring, &all);
            scope.spawn(move || {
                for at in 0..all.len() {
                    let number = (at + offset * 10) % all.len();
                    let claims = verify(seen, keyring, &all[number]);
                    assert_eq!(claims.jti, number.to_string());
                }
            });
        }
    });
    assert!(seen.len() <= 16);
}

#[test]
fn a_hit_costs_a_small_part_of_a_check() {
    let (seen, keyring) = (TokenCache::new(8), keyring());
    let token = &tokens(&keyring, 1)[0];
    verify(&seen, &keyring, token);
    let time = |f: &dyn Fn()| {
        let best = (0..20).map(|_| {
            let start = std::time::Instant::now();
            f();
            start.elapsed()
        });
        best.min().unwrap_or(Duration::MAX)
    };
    let hit = time(&|| drop(verify(&seen, &keyring, token)));
    let check = time(&|| {
        keyring
            .verify(Kind::Access, token, &settings(), now())
            .unwrap();
    });
    println!("hit {hit:?}, check {check:?}");
    assert!(hit * 2 < check, "hit {hit:?}, check {check:?}");
}
