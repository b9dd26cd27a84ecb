//! Out-of-band changes to the log in the store.

use banyan_core::audit::{Fault, Link};

use super::*;

async fn put(store: &MemoryStore, key: &str, value: &str) {
    let txn = Txn::new().put(key, value.as_bytes());
    store.commit(txn).await.unwrap();
}

async fn delete(store: &MemoryStore, key: &str) {
    store.commit(Txn::new().delete(key)).await.unwrap();
}

async fn broken(log: &AuditLog) -> Break {
    match log.verify(None).await.unwrap_err() {
        AuditError::Broken(broken) => broken,
        AuditError::State(error) => panic!("{error}"),
    }
}

async fn text(store: &MemoryStore, key: &str) -> String {
    let entry = store.snapshot().await.unwrap().get(key).await.unwrap();
    String::from_utf8(entry.unwrap().value.to_vec()).unwrap()
}

/// A log of ten entries.
async fn ten() -> (MemoryStore, AuditLog) {
    let store = MemoryStore::new();
    let log = log(&store);
    append(&log, &numbered(1..11)).await;
    (store, log)
}

#[tokio::test]
async fn what_was_changed_in_the_store_is_found_and_still_listed() {
    let place = |seq| key::audit(&engine(), seq);
    let (store, log) = ten().await;
    let edited = text(&store, &place(4)).await.replace("backup", "uckbap");
    put(&store, &place(4), &edited).await;
    assert_eq!(broken(&log).await, Fault::Altered.at(4));
    put(&store, &place(4), "{}").await;
    assert_eq!(broken(&log).await, Fault::Unreadable.at(4));
    let fifth = text(&store, &place(5)).await;
    put(&store, &place(4), &fifth).await;
    assert_eq!(broken(&log).await, Fault::Unreadable.at(4));
    delete(&store, &place(4)).await;
    assert_eq!(broken(&log).await, Fault::Missing.at(4));
    put(&store, &place(3), "nothing").await;
    let listed = log.list(None, 100).await.unwrap();
    assert_eq!(listed.len(), 10);
    assert_eq!((listed[6].seq, &listed[6].found), (4, &Found::Missing));
    assert_eq!((listed[7].seq, &listed[7].found), (3, &Found::Unreadable));
}

#[tokio::test]
async fn entries_that_do_not_belong_to_the_log_are_found() {
    for (key, at) in [
        (key::audit(&engine(), 0), 0),
        (format!("{}x", key::audit(&engine(), 4)), 5),
        (key::audit(&engine(), 11), 11),
    ] {
        let (store, log) = ten().await;
        let genesis = Head::start(&engine()).hash;
        let link = Link::new(at, genesis, "{}".into());
        put(&store, &key, &serde_json::to_string(&link).unwrap()).await;
        assert_eq!(broken(&log).await, Fault::Misplaced.at(at));
    }
}

#[tokio::test]
async fn a_cut_end_is_found_by_the_head() {
    let (store, log) = ten().await;
    for seq in 8..11 {
        delete(&store, &key::audit(&engine(), seq)).await;
    }
    assert_eq!(broken(&log).await, Fault::CutOff { to: 10 }.at(8));
}

#[tokio::test]
async fn a_head_that_is_gone_or_unreadable_is_found_and_written_down() {
    let head = key::audit_head(&engine());
    for lost in [true, false] {
        let (store, running) = ten().await;
        match lost {
            true => delete(&store, &head).await,
            false => put(&store, &head, "nothing").await,
        }
        assert_eq!(broken(&running).await.what, Fault::Headless);
        // Both a running writer and a new process notice it.
        let next = match lost {
            true => running,
            false => log(&store),
        };
        append(&next, &numbered(11..13)).await;
        let found = numbers(&next).await;
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 11, 12]);
        let note = &next.list(Some(12), 1).await.unwrap()[0];
        let Found::Entry(note) = &note.found else {
            panic!("{note:?}");
        };
        assert_eq!(note.action, Action::AUDIT_BROKEN);
        assert!(note.detail.as_ref().unwrap().as_str().contains("the head"));
        next.verify(None).await.unwrap();
    }
}

#[tokio::test]
async fn an_end_cut_off_under_a_running_engine_is_written_down() {
    let (store, log) = ten().await;
    let five = super::log(&MemoryStore::new());
    let earlier = append(&five, &numbered(1..6)).await;
    for seq in 6..11 {
        delete(&store, &key::audit(&engine(), seq)).await;
    }
    let earlier = serde_json::to_string(&earlier).unwrap();
    put(&store, &key::audit_head(&engine()), &earlier).await;
    append(&log, &numbered(11..12)).await;
    assert_eq!(numbers(&log).await, [1, 2, 3, 4, 5, 0, 11]);
    let note = &log.list(Some(7), 1).await.unwrap()[0].found;
    assert!(
        format!("{note:?}").contains("ended in entry 10"),
        "{note:?}"
    );
    log.verify(None).await.unwrap();
}

#[tokio::test]
async fn trimming_tells_what_was_wrong_with_what_goes() {
    let (store, log) = ten().await;
    delete(&store, &key::audit(&engine(), 3)).await;
    put(&store, &key::audit(&engine(), 5), "nothing").await;
    let trimmed = log.trim(5).await.unwrap();
    assert_eq!(trimmed.removed, 5);
    assert_eq!(trimmed.broken, Some(Fault::Missing.at(3)));
    // The remaining entries are intact.
    assert_eq!(log.verify(None).await.unwrap().head.kept(), 5);
}
