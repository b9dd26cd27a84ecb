//! Migration from store to store, interrupted at every operation.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_migration_moves_all_of_it_and_leaves_a_store_that_says_where_it_went() {
    let from = store(1, 300).await;
    put(
        &from,
        FLOOR,
        r#"{"floor":"restored","at":"2026-01-01T00:00:00Z"}"#,
    )
    .await;
    let to = MemoryStore::new();
    let done = migrate(&from, &to, "etcd at there", t(LATER))
        .await
        .unwrap();
    assert_eq!(done.earlier, None);
    assert_eq!(lasting(&entries(&to).await), lasting(&entries(&from).await));
    let error = Archive::take(&from, t(LATER))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("etcd at there at 2026-01-02"), "{error}");
    // Again, after the other store has changed.
    apply(&to, 2, 3).await;
    let again = migrate(&from, &to, "etcd at there", t(LATER))
        .await
        .unwrap();
    assert_eq!(again.earlier, Some(t(LATER)));
    let elsewhere = migrate(&from, &to, "etcd at home", t(LATER)).await;
    assert!(matches!(
        elsewhere,
        Err(ArchiveError::Unfit(Unfit::Moved { .. }))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_migration_into_a_store_with_a_state_is_refused_and_both_stay() {
    let (from, to) = (store(1, 3).await, store(2, 2).await);
    let refused = migrate(&from, &to, "there", t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    assert!(usable(&from).await && usable(&to).await);
}

/// Migrates with one of the stores failing at one operation, then again with what the next process finds.
async fn cut_migration(at: u64, fault: Fault, target_fails: bool) -> bool {
    let (from, to) = (store(1, 150).await, MemoryStore::new());
    let expected = state(&from).await;
    let fails = if target_fails { &to } else { &from };
    let operations = fails.operations();
    fails.inject(at, fault);
    let result = migrate(&from, &to, "there", t(LATER)).await;
    let reached = fails.operations() >= operations + at;
    let (from, to) = (from.reopen().await, to.reopen().await);
    let usable_now = (usable(&from).await, usable(&to).await);
    assert_ne!(usable_now, (true, true), "{fault:?} at {at}");
    if result.is_ok() {
        assert_eq!(usable_now, (false, true));
    }
    migrate(&from, &to, "there", t(LATER)).await.unwrap();
    assert_eq!((usable(&from).await, usable(&to).await), (false, true));
    assert_eq!(state(&to).await, expected);
    reached
}

#[tokio::test(start_paused = true)]
async fn a_migration_cut_off_at_any_operation_never_leaves_two_usable_stores_and_goes_through_again()
 {
    for fault in FAULTS {
        for (target_fails, least) in [(true, 8), (false, 4)] {
            let mut at = 1;
            while cut_migration(at, fault, target_fails).await {
                at += 1;
            }
            assert!(at >= least, "there is more to cut at than {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_migration_whose_last_step_fails_leaves_the_source_usable() {
    let (from, to) = (store(1, 3).await, MemoryStore::new());
    // The operations of a successful migration, to find the last commit.
    let before = to.operations();
    migrate(&target_of(&from).await, &to, "there", t(LATER))
        .await
        .unwrap();
    let last = to.operations() - before;
    let to = MemoryStore::new();
    to.inject(last, Fault::Refuse);
    migrate(&from, &to, "there", t(LATER)).await.unwrap_err();
    assert!(usable(&from).await && !usable(&to).await);
    assert_eq!(text(&from, MOVED).await, None);
}
