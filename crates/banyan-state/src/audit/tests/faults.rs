//! Lost responses.

use banyan_store::Fault;

use super::*;

/// Appends until it works, as the engine does, with more to write each time.
async fn insist(log: &AuditLog, entries: &[AuditEntry], growing: bool) {
    let mut from = 0;
    let mut count = 3.min(entries.len());
    while from < entries.len() {
        let batch = &entries[from..(from + count).min(entries.len())];
        match log.append(batch).await {
            Ok(appended) => from += appended.written,
            Err(_) if growing => count += 2,
            Err(_) => {}
        }
    }
}

#[tokio::test]
async fn whichever_response_is_lost_each_entry_is_written_once_and_in_order() {
    let entries = numbered(1..16);
    for growing in [false, true] {
        for fault in [Fault::Refuse, Fault::LoseAnswer] {
            for nth in 1..40 {
                let store = MemoryStore::new();
                let log = log(&store);
                // Several in a row, so that looking for the lost request fails too.
                for n in [nth, nth + 1, nth + 3] {
                    store.inject(n, fault);
                }
                insist(&log, &entries, growing).await;
                let done = store.operations();
                // The remaining faults would otherwise hit the checks.
                for _ in done..nth + 4 {
                    let _ = store.snapshot().await;
                }
                assert_eq!(
                    numbers(&log).await,
                    (1..16).collect::<Vec<_>>(),
                    "{fault:?} at {nth}"
                );
                log.verify(None).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn after_a_lost_answer_another_process_may_have_written_behind() {
    let store = MemoryStore::new();
    let (one, two) = (log(&store), log(&store));
    append(&one, &numbered(1..3)).await;
    store.inject(1, Fault::LoseAnswer);
    one.append(&numbered(3..5)).await.unwrap_err();
    append(&two, &numbered(5..7)).await;
    assert_eq!(one.append(&numbered(3..5)).await.unwrap().written, 2);
    append(&one, &numbered(7..8)).await;
    assert_eq!(numbers(&one).await, (1..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_given_up_and_is_there_after_all_stays() {
    let store = MemoryStore::new();
    let log = log(&store);
    append(&log, &numbered(1..3)).await;
    store.inject(1, Fault::LoseAnswer);
    log.append(&numbered(3..5)).await.unwrap_err();
    append(&log, &numbered(8..9)).await;
    assert_eq!(numbers(&log).await, [1, 2, 3, 4, 8]);
    log.verify(None).await.unwrap();
}

#[tokio::test]
async fn a_crash_at_any_instant_leaves_a_whole_chain() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for nth in 1..20 {
            let store = MemoryStore::new();
            let log = log(&store);
            append(&log, &numbered(1..250)).await;
            store.inject(nth, fault);
            for number in 250..255 {
                let _ = log.append(&[entry(number)]).await;
                let _ = log.trim(20).await;
            }
            let store = store.reopen().await;
            let log = super::log(&store);
            log.verify(None).await.unwrap();
            append(&log, &numbered(255..256)).await;
            log.trim(20).await.unwrap();
            assert_eq!(log.verify(None).await.unwrap().head.kept(), 20);
        }
    }
}

#[tokio::test]
async fn trimming_between_a_lost_answer_and_the_next_try_writes_nothing_twice() {
    for fault in [Fault::Refuse, Fault::LoseAnswer] {
        let store = MemoryStore::new();
        let log = log(&store);
        append(&log, &numbered(1..30)).await;
        store.inject(1, fault);
        log.append(&numbered(30..32)).await.unwrap_err();
        log.trim(20).await.unwrap();
        append(&log, &numbered(30..32)).await;
        let numbers = numbers(&log).await;
        assert_eq!(numbers.last(), Some(&31));
        assert_eq!(numbers.iter().filter(|n| **n == 30).count(), 1);
        log.verify(None).await.unwrap();
    }
}
