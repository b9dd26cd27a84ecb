//! Taking archives and reading files.

use super::*;

/// Existing files must stay readable: a change of this snapshot requires a new format number.
#[tokio::test(start_paused = true)]
async fn the_file_format_is_pinned() {
    let bytes = written(&take(&store(1, 0).await).await);
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_archive_has_durable_entries_and_no_ephemeral_ones() {
    let store = store(1, 300).await;
    put(&store, "v1/engine/one", r#"{"name":"one"}"#).await;
    let before = entries(&store).await;
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    let leased = Txn::new()
        .put_leased("v1/leader", *b"{}", lease)
        .put_leased("v1/alive/one", *b"{}", lease)
        .put_leased("v1/other", *b"{}", lease);
    store.commit(leased).await.unwrap();
    for key in [
        "v1/leader",
        "v1/alive/two",
        "v1/hint",
        "v1/standing",
        "v2/x",
    ] {
        put(&store, key, "{}").await;
    }
    let archive = take(&store).await;
    let keys: Vec<&String> = archive.entries.keys().collect();
    let expected: Vec<&String> = before.iter().map(|entry| &entry.key).collect();
    assert_eq!(keys, expected);
    let summary = archive.summary();
    assert_eq!(summary.entries, before.len());
    assert_eq!(summary.commit, commit(1).id);
    assert_eq!(summary.cluster, Some("demo".parse().unwrap()));
    assert_eq!(reread(&written(&archive)).unwrap(), archive);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_retried_if_the_store_compacts_its_revision() {
    let store = store(1, 300).await;
    let calm = take(&store).await;
    for nth in [2, 5] {
        store.inject(nth, Fault::Refuse);
    }
    assert_eq!(take(&store).await, calm);
    for nth in 1..20 {
        store.inject(nth, Fault::Refuse);
    }
    Archive::take(&store, t(NOW)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_commit_or_with_a_broken_record_gives_no_archive() {
    let empty = Archive::take(&MemoryStore::new(), t(NOW)).await;
    assert!(matches!(empty, Err(ArchiveError::NothingInForce)));
    for key in ["v1/record/x", "v1/record/00000000000000000001/user/vera"] {
        let store = store(1, 0).await;
        put(&store, key, "{}").await;
        let error = Archive::take(&store, t(NOW)).await.unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

/// These do not stop an engine, so they must not prevent a backup.
#[tokio::test(start_paused = true)]
async fn a_broken_entry_that_decides_nothing_is_left_out() {
    let store = store(1, 0).await;
    let calm = take(&store).await;
    for (key, value) in [
        ("v1/history/x", "{}"),
        ("v1/floor", "{}"),
        ("v1/engine/x", "{"),
    ] {
        put(&store, key, value).await;
    }
    assert_eq!(take(&store).await, calm);
}

#[tokio::test(start_paused = true)]
async fn a_file_with_any_byte_changed_or_cut_off_is_refused() {
    let bytes = written(&take(&store(1, 0).await).await);
    for at in 0..bytes.len() {
        reread(&bytes[..at]).unwrap_err();
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        reread(&altered).unwrap_err();
    }
    let longer = [bytes.as_slice(), b"\n"].concat();
    reread(&longer).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn errors_say_what_is_wrong_with_a_file() {
    let bytes = written(&take(&store(1, 0).await).await);
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let error = |text: &str| reread(text.as_bytes()).unwrap_err().to_string();
    let without_last = format!("{}\n", lines[..lines.len() - 1].join("\n"));
    insta::assert_snapshot!(
        [
            error(""),
            error("apiVersion: banyan/v1\n"),
            error(&text.replacen("\"format\":1", "\"format\":2", 1)),
            error(&text[..text.len() / 2]),
            error(&without_last),
            error(&text.replace("alice", "aiice")),
            error(&text.replacen("v1/record", "v2/record", 1)),
            error(&text.replacen("{\"key\"", "{\"kee\"", 1)),
        ]
        .join("\n")
    );
}

/// A digest proves that a file is complete, not that this program wrote it.
#[tokio::test(start_paused = true)]
async fn an_intact_file_with_an_invalid_state_is_refused() {
    let whole = take(&store(1, 0).await).await;
    for (key, value) in [
        ("v2/x", "{}"),
        ("v1/leader", "{}"),
        ("v1/restoring", "{}"),
        ("v1/record/x", "{}"),
        ("v1/history/x", "{}"),
        ("v1/floor", "{}"),
        ("v1/engine/x", "{"),
        ("v1/\0", "{}"),
    ] {
        let mut archive = whole.clone();
        archive
            .entries
            .insert(key.to_owned(), value.as_bytes().into());
        archive.summary.entries += 1;
        let error = reread(&written(&archive)).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Unsound { .. }),
            "{key}: {error}"
        );
    }
    let mut archive = whole;
    archive.summary.generation = Generation(7);
    reread(&written(&archive)).unwrap_err();
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(reread(&bytes).is_err());
    }

    #[test]
    fn no_lines_make_the_reader_panic(
        count in 0usize..5,
        lines in prop::collection::vec("[{]\"(key|value|sha256)\":\"[a-z0-9/\\\\]{0,12}\"(,\"value\":\"[{}\"0-9]{0,4}\")?[}]", 0..5),
    ) {
        let commit = "0".repeat(40);
        let header = format!(r#"{{"banyan":"backup","format":1,"made_at":"{NOW}","entries":{count},"generation":1,"commit":"{commit}","cluster":null}}"#);
        let text = format!("{header}\n{}\n", lines.join("\n"));
        prop_assert!(reread(text.as_bytes()).is_err());
    }
}
