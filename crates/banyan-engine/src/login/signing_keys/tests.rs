//! Two engines on one store.

use std::sync::Arc;

use banyan_core::fixture::t;
use banyan_core::people::Id;
use banyan_core::{Name, SecretText};
use banyan_identity::{FirstLogin, NewUser};
use banyan_store::MemoryStore;

use super::*;

const HOST: Caller = Caller::Host { uid: 0 };

fn now() -> Timestamp {
    t("2026-01-01T00:00:00Z")
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn open(store: &MemoryStore) -> State {
    State::open(Arc::new(store.clone())).await.unwrap()
}

async fn add(state: &State, new: &NewUser) {
    let added = state.change(Scope::Powers, |view| context(view, &HOST, now()).add(new));
    added.await.unwrap();
}

async fn remove(
    state: &State,
    text: &str,
) -> Result<banyan_identity::Taken, ChangeError<ChangeRefused>> {
    let decide = |view: &View| context(view, &HOST, now()).remove(&name(text));
    state.change(Scope::Powers, decide).await
}

#[tokio::test]
async fn of_two_engines_that_start_at_once_one_makes_the_key() {
    let store = MemoryStore::new();
    for _ in 0..10 {
        let (one, two) = (open(&store).await, open(&store).await);
        let (a, b) = tokio::join!(ensure(&one, now()), ensure(&two, now()));
        let made = [a.unwrap(), b.unwrap()];
        assert!(made.iter().filter(|made| **made).count() <= 1, "{made:?}");
        for state in [one, two] {
            assert_eq!(state.view().people.signing_keys.len(), 1);
        }
    }
}

#[tokio::test]
async fn two_engines_do_not_take_away_each_others_last_admin() {
    let store = MemoryStore::new();
    let (one, two) = (open(&store).await, open(&store).await);
    let admin = |text: &str, byte: u8| NewUser {
        name: name(text),
        id: Id::from_bytes([byte; 16]),
        email: None,
        roles: [name("admin")].into(),
        expires: None,
        login: FirstLogin::Password(SecretText::new("$2b$12$x".into())),
    };
    add(&one, &admin("root", 1)).await;
    add(&two, &admin("other", 2)).await;
    let (a, b) = tokio::join!(remove(&one, "root"), remove(&two, "other"));
    let refused = [a, b]
        .into_iter()
        .filter(|gone| matches!(gone, Err(ChangeError::Refused(ChangeRefused::LastAdmin(_)))));
    assert_eq!(refused.count(), 1);
    assert_eq!(one.view().directory().lasting_admins(now()).count(), 1);
}

#[tokio::test]
async fn of_two_that_revoke_all_keys_at_once_one_key_is_left_to_sign() {
    let store = MemoryStore::new();
    let (one, two) = (open(&store).await, open(&store).await);
    ensure(&one, now()).await.unwrap();
    let keys = [
        random::signing_key().unwrap(),
        random::signing_key().unwrap(),
    ];
    let (a, b) = tokio::join!(
        revoke(&one, &HOST, &keys[0], now()),
        revoke(&two, &HOST, &keys[1], now()),
    );
    a.unwrap();
    b.unwrap();
    let view = open(&store).await.view();
    let left: Vec<_> = view.people.signing_keys.keys().collect();
    assert!(
        matches!(left[..], [id] if keys.iter().any(|key| key.id == *id)),
        "{left:?}"
    );
}
