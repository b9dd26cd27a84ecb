//! The audit logs in a backup.

use banyan_core::audit::{Action, Actor, AuditEntry};

use super::*;
use crate::{AuditLog, Found};

fn log(store: &MemoryStore, engine: &str) -> AuditLog {
    AuditLog::new(Arc::new(store.clone()), engine.parse().unwrap())
}

async fn append(log: &AuditLog, count: usize) {
    let entry = AuditEntry::new(t(NOW), Actor::Engine, Action::STATE_BACKUP);
    for _ in 0..count {
        log.append(std::slice::from_ref(&entry)).await.unwrap();
    }
}

/// The actions, oldest first.
async fn actions(log: &AuditLog) -> Vec<String> {
    let listed = log.list(None, 100).await.unwrap();
    let actions = listed
        .into_iter()
        .rev()
        .map(|recorded| match recorded.found {
            Found::Entry(entry) => entry.action.to_string(),
            other => panic!("{other:?}"),
        });
    actions.collect()
}

/// A store with a commit in force and the logs of two engines, one of them trimmed.
async fn logged() -> MemoryStore {
    let store = store(1, 3).await;
    append(&log(&store, "north"), 3).await;
    append(&log(&store, "south"), 5).await;
    log(&store, "south").trim(2).await.unwrap();
    store
}

#[tokio::test(start_paused = true)]
async fn a_restored_log_verifies_records_the_restore_and_continues() {
    let archive = take(&logged().await).await;
    let archive = reread(&written(&archive)).unwrap();
    let target = store(9, 20).await;
    append(&log(&target, "north"), 50).await;
    append(&log(&target, "lost"), 1).await;
    restore(&target, &archive, true, t(LATER)).await.unwrap();
    for (engine, count) in [("north", 3), ("south", 2)] {
        let log = log(&target, engine);
        let mut expected = vec!["state.backup"; count];
        expected.push("state.restored");
        assert_eq!(actions(&log).await, expected);
        log.verify(None).await.unwrap();
        append(&log, 2).await;
        log.verify(None).await.unwrap();
    }
    assert_eq!(actions(&log(&target, "lost")).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn restoring_again_adds_nothing_to_a_log() {
    let archive = take(&logged().await).await;
    let target = MemoryStore::new();
    restore(&target, &archive, false, t(NOW)).await.unwrap();
    let before = entries(&target).await;
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    assert_eq!(entries(&target).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_restore_cut_off_anywhere_ends_with_whole_logs() {
    let archive = take(&logged().await).await;
    for fault in FAULTS {
        for nth in 1..20 {
            let target = MemoryStore::new();
            target.inject(nth, fault);
            let _ = restore(&target, &archive, false, t(NOW)).await;
            let target = target.reopen().await;
            restore(&target, &archive, false, t(LATER)).await.unwrap();
            for (engine, count) in [("north", 4), ("south", 3)] {
                let log = log(&target, engine);
                let head = log.verify(None).await.unwrap().head;
                assert_eq!(head.kept(), count, "{fault:?} at {nth}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_migrated_log_is_the_same() {
    let from = logged().await;
    let head = log(&from, "south").verify(None).await.unwrap();
    let to = MemoryStore::new();
    migrate(&from, &to, "elsewhere", t(LATER)).await.unwrap();
    assert_eq!(log(&to, "south").verify(None).await.unwrap(), head);
    assert_eq!(actions(&log(&to, "north")).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_log_does_not_prevent_a_backup_and_stays_damaged() {
    let from = logged().await;
    put(
        &from,
        &crate::key::audit(&"north".parse().unwrap(), 2),
        "{}",
    )
    .await;
    put(
        &from,
        &crate::key::audit_head(&"south".parse().unwrap()),
        "{}",
    )
    .await;
    let archive = take(&from).await;
    let target = MemoryStore::new();
    restore(&target, &archive, false, t(LATER)).await.unwrap();
    for engine in ["north", "south"] {
        log(&target, engine).verify(None).await.unwrap_err();
    }
}
