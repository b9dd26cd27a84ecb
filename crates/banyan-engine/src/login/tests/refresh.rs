//! What refresh tokens are worth.

use super::*;

#[tokio::test]
async fn a_refresh_token_sent_again_at_once_gets_the_same_successor_byte_by_byte() {
    let (_store, login, _) = fixture().await;
    let first = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let second = login
        .refresh(&caller(1), first.refresh.expose())
        .await
        .unwrap();
    let again = login
        .refresh(&caller(2), first.refresh.expose())
        .await
        .unwrap();
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(second.refresh, first.refresh);
    let third = login
        .refresh(&caller(1), second.refresh.expose())
        .await
        .unwrap();
    assert_ne!(third.refresh, second.refresh);
}

#[tokio::test]
async fn a_refresh_token_whose_successor_was_used_ends_the_session_for_everybody() {
    let (_store, login, _) = fixture().await;
    let first = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let second = login
        .refresh(&caller(1), first.refresh.expose())
        .await
        .unwrap();
    let third = login
        .refresh(&caller(1), second.refresh.expose())
        .await
        .unwrap();
    assert_eq!(
        cause(login.refresh(&caller(2), first.refresh.expose()).await),
        "session-ended"
    );
    assert_eq!(
        session(&login, &first).ended.unwrap().because,
        EndReason::Suspicion
    );
    assert_eq!(
        cause(login.refresh(&caller(1), third.refresh.expose()).await),
        "session-ended"
    );
}

#[tokio::test]
async fn a_refresh_token_sent_again_after_the_grace_ends_the_session() {
    let (_store, login, _) = fixture().await;
    let first = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    login
        .refresh(&caller(1), first.refresh.expose())
        .await
        .unwrap();
    let mut old = session(&login, &first);
    old.current.issued = crate::clock::now() - SignedDuration::from_secs(11);
    write(
        &login,
        vec![Write::Session(first.session.clone(), Some(old))],
    )
    .await;
    assert_eq!(
        cause(login.refresh(&caller(1), first.refresh.expose()).await),
        "session-ended"
    );
    assert_eq!(
        session(&login, &first).ended.unwrap().because,
        EndReason::Suspicion
    );
}

#[tokio::test]
async fn two_engines_that_get_the_same_refresh_token_at_once_give_the_same_successor() {
    let (store, one, _) = fixture().await;
    let two = login_over(&store).await;
    let mut token = one
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap()
        .refresh;
    for _ in 0..20 {
        two.state
            .changes()
            .wait_for(|at| *at >= one.state.view().revision)
            .await
            .unwrap();
        let (from, also) = (caller(1), caller(2));
        let (a, b) = tokio::join!(
            one.refresh(&from, token.expose()),
            two.refresh(&also, token.expose()),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.refresh, b.refresh);
        token = a.refresh;
    }
}

#[tokio::test]
async fn a_refresh_reads_the_user_anew_and_gives_nothing_to_one_who_may_not_act() {
    let (_store, login, _) = fixture().await;
    let first = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let admin = user("alice", 1, |user| {
        user.roles = ["admin".parse().unwrap()].into();
    });
    write(&login, vec![admin]).await;
    let second = login
        .refresh(&caller(1), first.refresh.expose())
        .await
        .unwrap();
    let keyring = login
        .keys
        .at(&login.state.view().people.signing_keys, second.now)
        .unwrap();
    let access = keyring.verify(
        Kind::Access,
        second.access.expose(),
        &login.settings,
        second.now,
    );
    assert_eq!(access.unwrap().permissions, ["*"]);
    let lock = Lock {
        at: second.now,
        by: "host".into(),
        reason: String::new(),
        emergency: false,
    };
    let mut account = Account::clone(&login.state.view().people.accounts[&id_of(1)]);
    account.lock = Some(lock);
    write(&login, vec![Write::Account(id_of(1), Some(account))]).await;
    assert_eq!(
        cause(login.refresh(&caller(1), second.refresh.expose()).await),
        "session-ended"
    );
    for not_a_refresh_token in [second.access.expose(), "", "x.y.z"] {
        assert_eq!(
            cause(login.refresh(&caller(1), not_a_refresh_token).await),
            "malformed"
        );
    }
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_not_ones_own() {
    let (_store, login, _) = fixture().await;
    let one = login
        .login(&caller(1), "alice", ALICES.into())
        .await
        .unwrap();
    let two = login
        .login(&caller(2), "alice", ALICES.into())
        .await
        .unwrap();
    let wrong = login
        .change_password(&as_user(&one), "wrong password".into(), NEW.into())
        .await;
    assert_eq!(cause(wrong), "bad-credentials");
    let ended = login
        .change_password(&as_user(&one), ALICES.into(), NEW.into())
        .await
        .unwrap();
    assert_eq!(ended, 1);
    assert_eq!(
        cause(login.refresh(&caller(2), two.refresh.expose()).await),
        "session-ended"
    );
    login
        .refresh(&caller(1), one.refresh.expose())
        .await
        .unwrap();
    assert_eq!(
        cause(login.login(&caller(3), "alice", ALICES.into()).await),
        "bad-credentials"
    );
    login.login(&caller(4), "alice", NEW.into()).await.unwrap();
}
