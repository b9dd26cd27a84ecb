//! Restores, interrupted at every operation.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_restored_store_holds_the_commit_of_the_backup_and_waits() {
    let archive = take(&store(1, 300).await).await;
    let target = MemoryStore::new();
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
    let floor = text(&target, FLOOR).await.unwrap();
    assert_eq!(floor, format!(r#"{{"floor":"restored","at":"{LATER}"}}"#));
    assert!(usable(&target).await);
    // The next commit is applied on top as usual.
    apply(&target, 2, 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_with_a_state_is_replaced_only_when_that_is_asked_for() {
    let archive = take(&store(1, 300).await).await;
    let target = store(9, 20).await;
    put(&target, "v1/engine/old", "{}").await;
    put(&target, FLOOR, r#"{"floor":"accepted"}"#).await;
    let before = entries(&target).await;
    let refused = restore(&target, &archive, false, t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    assert_eq!(entries(&target).await, before);
    restore(&target, &archive, true, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
    // Repeating it changes nothing and loses nothing.
    restore(&target, &archive, false, t(LATER)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_engines_run_on_is_left_alone_and_they_are_named() {
    let archive = take(&store(1, 0).await).await;
    let target = MemoryStore::new();
    for name in ["one", "two"] {
        put(&target, &format!("v1/alive/{name}"), "{}").await;
    }
    let error = restore(&target, &archive, true, t(LATER))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("one, two"), "{error}");
    assert_eq!(entries(&target).await.len(), 2);
}

/// A store on which an engine starts while the mark is written.
struct Starting(MemoryStore);

#[async_trait::async_trait]
impl Store for Starting {
    async fn snapshot(&self) -> Result<Arc<dyn banyan_store::Snapshot>, StoreError> {
        self.0.snapshot().await
    }
    async fn commit(&self, txn: Txn) -> Result<banyan_store::Outcome, StoreError> {
        let outcome = self.0.commit(txn).await;
        put(&self.0, "v1/alive/late", "{}").await;
        outcome
    }
    async fn watch(
        &self,
        prefix: &str,
        after: banyan_store::Revision,
    ) -> Result<banyan_store::Watch, StoreError> {
        self.0.watch(prefix, after).await
    }
    async fn grant(&self, ttl: Duration) -> Result<banyan_store::LeaseId, StoreError> {
        self.0.grant(ttl).await
    }
    async fn keep_alive(&self, lease: banyan_store::LeaseId) -> Result<(), StoreError> {
        self.0.keep_alive(lease).await
    }
    async fn revoke(&self, lease: banyan_store::LeaseId) -> Result<(), StoreError> {
        self.0.revoke(lease).await
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_starts_as_the_restore_begins_keeps_its_state() {
    let archive = take(&store(1, 0).await).await;
    let target = store(9, 20).await;
    let before = state(&target).await;
    let starting = Starting(target.clone());
    let error = restore(&starting, &archive, true, t(LATER))
        .await
        .unwrap_err();
    assert!(matches!(error, ArchiveError::EnginesRun { .. }), "{error}");
    assert_eq!(state(&target).await, before);
    assert!(usable(&target).await);
}

/// Restores with the store failing at one operation, then again with what the next process finds.
async fn cut_restore(at: u64, fault: Fault, old: Option<u16>, archive: &Archive) -> bool {
    let store = match old {
        Some(users) => store(9, users).await,
        None => MemoryStore::new(),
    };
    let before = state(&store).await;
    let operations = store.operations();
    store.inject(at, fault);
    let result = restore(&store, archive, old.is_some(), t(LATER)).await;
    let reached = store.operations() >= operations + at;
    let store = store.reopen().await;
    let after = state(&store).await;
    let whole = after == archive.entries;
    if result.is_ok() {
        assert!(whole && usable(&store).await);
    } else if unfit(&entries(&store).await).unwrap().is_none() {
        assert!(after == before || whole, "half of it is usable");
    }
    restore(&store, archive, old.is_some(), t(LATER))
        .await
        .unwrap();
    assert_eq!(state(&store).await, archive.entries);
    assert!(usable(&store).await);
    assert!(text(&store, FLOOR).await.unwrap().contains("restored"));
    reached
}

#[tokio::test(start_paused = true)]
async fn a_restore_cut_off_at_any_operation_leaves_old_or_new_or_a_mark_and_goes_through_again() {
    let archive = take(&store(1, 300).await).await;
    for fault in FAULTS {
        for old in [Some(200), None] {
            let mut at = 1;
            while cut_restore(at, fault, old, &archive).await {
                at += 1;
            }
            assert!(at > 8, "there is more to cut at than {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_restore_continues_without_replace_but_only_with_the_same_backup() {
    let archive = take(&store(1, 10).await).await;
    let other = take(&store(2, 20).await).await;
    let target = store(9, 200).await;
    // The first interruption after which both the mark and the old pointer are present.
    let mut nth = 1;
    let target = loop {
        let target = target_of(&target).await;
        target.inject(nth, Fault::CrashAfter);
        let cut = restore(&target, &archive, true, t(LATER)).await;
        cut.unwrap_err();
        let target = target.reopen().await;
        if find(&entries(&target).await, RESTORING).is_some() {
            break target;
        }
        nth += 1;
    };
    assert!(find(&entries(&target).await, POINTER).is_some());
    let refused = restore(&target, &other, false, t(LATER)).await;
    assert!(matches!(refused, Err(ArchiveError::InForce { .. })));
    let taken = Archive::take(&target, t(NOW)).await;
    assert!(matches!(
        taken,
        Err(ArchiveError::Unfit(Unfit::Unfinished { .. }))
    ));
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    assert_eq!(state(&target).await, archive.entries);
}

#[tokio::test(start_paused = true)]
async fn of_two_concurrent_restores_one_completes_and_the_other_stops() {
    let one = take(&store(1, 200).await).await;
    let two = take(&store(2, 150).await).await;
    let target = MemoryStore::new();
    let (first, second) = tokio::join!(
        restore(&target, &one, false, t(LATER)),
        restore(&target, &two, false, t(LATER)),
    );
    let winner = match (first, second) {
        (Ok(()), Err(_)) => one,
        (Err(_), Ok(())) => two,
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&target).await, winner.entries);
}
