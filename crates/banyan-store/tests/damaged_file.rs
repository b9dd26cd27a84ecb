//! A file that is not a store, or is damaged: a clear refusal, no panic, the file unchanged.

use std::fs;
use std::path::Path;

use banyan_store::{EmbeddedStore, Store, StoreError, Txn};
use proptest::prelude::*;

#[test]
fn garbage_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let contents: [&[u8]; 5] = [
        b"",
        b"x",
        &[0; 1 << 16],
        b"SQLite format 3\0 and more",
        b"redb\x1A\x0A\xA9\x0D\x0A",
    ];
    for content in contents {
        fs::write(&path, content).unwrap();
        let error = support::refusal(&path);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let other = redb::Database::create(&path).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    let txn = other.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    let error = support::refusal(&path);
    assert!(error.to_string().contains("another program"), "{error}");
    assert!(fs::read(&path).unwrap() == before, "the file is as it was");
}

#[test]
fn a_store_of_a_later_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    drop(EmbeddedStore::open(&path).unwrap());
    let raw = redb::Database::open(&path).unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    let txn = raw.begin_write().unwrap();
    txn.open_table(meta).unwrap().insert("format", 2).unwrap();
    txn.commit().unwrap();
    drop(raw);
    let before = fs::read(&path).unwrap();
    let error = support::refusal(&path);
    assert!(
        matches!(
            error,
            StoreError::Format {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(fs::read(&path).unwrap() == before, "the file is as it was");
}

#[test]
fn a_truncated_store_is_refused_and_left_alone() {
    let whole = support::store_file();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let used = support::last_used(&whole);
    for len in [
        9,
        10,
        100,
        320,
        511,
        512,
        4095,
        4096,
        8192,
        used / 2,
        used - 1,
    ] {
        fs::write(&path, &whole[..len]).unwrap();
        let error = support::refusal(&path);
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{len}: {error:?}"
        );
        assert!(
            fs::read(&path).unwrap() == whole[..len],
            "the file is as it was"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A damaged file that opens can be read without a panic; a refused one is left unchanged.
    #[test]
    fn a_store_with_changed_bytes_never_panics(at in 0.0..1.0_f64, bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let mut file = support::store_file();
        let last = support::last_used(&file);
        let start = ((last - bytes.len()) as f64 * at) as usize;
        file[start..start + bytes.len()].copy_from_slice(&bytes);
        support::open_and_read(&file)?;
    }

    #[test]
    fn a_store_with_a_changed_header_never_panics(start in 0..320_usize, bytes in prop::collection::vec(any::<u8>(), 1..16)) {
        let mut file = support::store_file();
        file[start..start + bytes.len()].copy_from_slice(&bytes);
        support::open_and_read(&file)?;
    }
}

#[cfg(test)]
mod support {
    use std::sync::OnceLock;

    use banyan_store::{KeyRange, read_all};

    use super::*;

    pub(crate) fn refusal(path: &Path) -> StoreError {
        EmbeddedStore::open(path).unwrap_err()
    }

    pub(crate) fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    /// A file of a store with a few hundred entries, closed cleanly.
    pub(crate) fn store_file() -> Vec<u8> {
        static FILE: OnceLock<Vec<u8>> = OnceLock::new();
        let make = || {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("store");
            let store = EmbeddedStore::open(&path).unwrap();
            runtime().block_on(async {
                for part in 0..4 {
                    let txn = (0..100).fold(Txn::new(), |txn, n| {
                        txn.put(format!("key/{part}/{n}"), vec![n; 300])
                    });
                    store.commit(txn).await.unwrap();
                }
            });
            drop(store);
            fs::read(&path).unwrap()
        };
        FILE.get_or_init(make).clone()
    }

    /// The end of the nonzero part of the file.
    pub(crate) fn last_used(file: &[u8]) -> usize {
        file.iter().rposition(|byte| *byte != 0).unwrap() + 1
    }

    pub(crate) fn open_and_read(file: &[u8]) -> Result<(), TestCaseError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        fs::write(&path, file).unwrap();
        match EmbeddedStore::open(&path) {
            Ok(store) => runtime().block_on(async {
                if let Ok(snapshot) = store.snapshot().await {
                    let _ = read_all(&*snapshot, &KeyRange::all()).await;
                }
            }),
            Err(_) => prop_assert!(fs::read(&path).unwrap() == file, "the file is as it was"),
        }
        Ok(())
    }
}
