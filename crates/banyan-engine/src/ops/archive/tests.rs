//! The commands on real files and a real socket.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use banyan_state::{Archive, State};
use banyan_store::{KeyRange, MemoryStore, Store, Txn, read_all};

use super::*;
use crate::clock::now;
use crate::run::Engine;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

struct Host {
    folder: tempfile::TempDir,
    config: Config,
}

/// A host with everything in one directory.
fn host() -> Host {
    let folder = tempfile::tempdir().unwrap();
    let (place, source) = (folder.path().display(), folder.path().join("cluster.git"));
    let text = format!(
        "engine:\n  state_dir: {place}/state\n  socket: {place}/engine.sock\n  grpc_port: 0\n  http: {{port: 0}}\n  metrics_port: 0\n  wireguard: none\n  gitops: {{url: {}}}\n",
        source.display()
    );
    let config = Config::parse(Path::new("banyan.yaml"), &text).unwrap();
    Host { folder, config }
}

/// The pointer of an otherwise empty state.
fn pointer(generation: u64) -> String {
    format!(
        r#"{{"format":1,"applied":{{"generation":{generation},"commit":{{"id":"{COMMIT}","author":"Ada <ada@example.org>","committed_at":"2026-01-01T00:00:00Z","summary":"a"}},"at":"2026-01-01T00:00:00Z"}}}}"#
    )
}

fn state_of(generation: u64) -> Txn {
    Txn::new().put("v1/pointer", pointer(generation).into_bytes())
}

async fn archive(generation: u64) -> Archive {
    let store = MemoryStore::new();
    store.commit(state_of(generation)).await.unwrap();
    Archive::take(&store, now()).await.unwrap()
}

impl Host {
    /// Gives the embedded store a state.
    async fn with_state(self, generation: u64) -> Self {
        crate::private_file::make_private_dir(&self.config.state_dir).unwrap();
        let store = self.store().await;
        store.commit(state_of(generation)).await.unwrap();
        self
    }

    async fn store(&self) -> EmbeddedStore {
        open(&embedded_path(&self.config)).await.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        keys(&self.store().await).await
    }

    async fn generation(&self) -> u64 {
        let archive = backup::take(&self.config).await.unwrap();
        archive.summary().generation.0
    }

    /// The names in the state directory.
    fn files(&self) -> Vec<String> {
        let listed = std::fs::read_dir(&self.config.state_dir).unwrap();
        let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn backup_to(&self, name: &str) -> Result<String, Failure> {
        let output = Some(self.path(name));
        backup(&self.config, &BackupOptions { output }).await
    }

    async fn restore_from(&self, name: &str, replace: bool) -> Result<String, Failure> {
        let file = self.path(name);
        restore(&self.config, &RestoreOptions { file, replace }).await
    }
}

async fn keys(store: &dyn Store) -> Vec<String> {
    let snapshot = store.snapshot().await.unwrap();
    let entries = read_all(&*snapshot, &KeyRange::all()).await.unwrap();
    entries.into_iter().map(|entry| entry.key).collect()
}

fn text(result: Result<String, Failure>) -> String {
    crate::report(&result.unwrap_err())
}

#[tokio::test]
async fn a_backup_of_a_stopped_engine_is_a_private_file_that_restores_elsewhere() {
    let old = host().with_state(7).await;
    std::fs::write(old.path("backup"), "an older one, readable for all").unwrap();
    let said = old.backup_to("backup").await.unwrap();
    assert!(
        said.contains("1 entries, generation 7 of commit 0123456789ab"),
        "{said}"
    );
    let mode = std::fs::metadata(old.path("backup"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(old.folder.path()).unwrap().count(), 2);

    let new = host();
    std::fs::copy(old.path("backup"), new.path("backup")).unwrap();
    let said = new.restore_from("backup", false).await.unwrap();
    assert!(
        said.contains(COMMIT) && said.contains("banyan gitops accept"),
        "{said}"
    );
    assert_eq!(new.keys().await, ["v1/floor", "v1/pointer"]);
    assert_eq!(new.files(), ["store.redb"]);
}

#[tokio::test]
async fn a_backup_of_a_running_engine_comes_through_its_socket() {
    let host = host().with_state(3).await;
    let engine = Engine::start(host.config.clone(), true).await.unwrap();
    // The engine has the store open, so it cannot be opened again.
    let busy = EmbeddedStore::open(embedded_path(&host.config));
    assert!(matches!(busy, Err(StoreError::Busy { .. })));
    host.backup_to("backup").await.unwrap();
    let read = restore::read(&host.path("backup")).unwrap();
    assert_eq!(read.summary().generation.0, 3);
    let refused = text(host.restore_from("backup", true).await);
    assert!(refused.contains("stop the engine first"), "{refused}");
    engine.stop().await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_named_with_its_socket() {
    let host = host().with_state(3).await;
    let _held = host.store().await;
    let refused = text(host.backup_to("backup").await);
    assert!(
        refused.contains("no engine answers at") && refused.contains("engine.sock"),
        "{refused}"
    );
    assert!(!host.path("backup").exists());
}

#[tokio::test]
async fn without_a_store_there_is_no_backup_and_none_is_made() {
    let host = host();
    let refused = text(host.backup_to("backup").await);
    assert!(refused.contains("the file does not exist"), "{refused}");
    assert!(!host.config.state_dir.exists());
}

#[tokio::test]
async fn nothing_but_a_file_is_replaced_by_a_backup() {
    let host = host().with_state(3).await;
    std::os::unix::fs::symlink("/dev/null", host.path("link")).unwrap();
    let refused = text(host.backup_to("link").await);
    assert!(refused.contains("not a regular file"), "{refused}");
    assert!(host.path("link").is_symlink());
    text(host.backup_to("no-such-folder/backup").await);
}

#[tokio::test]
async fn a_state_is_lost_only_when_that_is_asked_for() {
    let host = host().with_state(9).await;
    let backup = archive(4).await;
    let refused = into_embedded(&host, &backup, false).await;
    assert!(
        refused.contains("generation 9") && refused.contains("--replace"),
        "{refused}"
    );
    assert_eq!(host.generation().await, 9);
    assert_eq!(into_embedded(&host, &backup, true).await, "");
    assert_eq!(host.generation().await, 4);
    assert_eq!(host.files(), ["store.redb"]);
}

/// The error, or an empty text.
async fn into_embedded(host: &Host, archive: &Archive, replace: bool) -> String {
    let restored = restore::into_embedded(&host.config, archive, replace, now()).await;
    restored
        .err()
        .map(|failure| crate::report(&failure))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_damaged_file_changes_nothing() {
    let host = host().with_state(9).await;
    host.backup_to("backup").await.unwrap();
    let bytes = std::fs::read(host.path("backup")).unwrap();
    std::fs::write(host.path("cut"), &bytes[..bytes.len() - 20]).unwrap();
    let refused = text(host.restore_from("cut", true).await);
    assert!(refused.contains("cut off"), "{refused}");
    assert_eq!(host.generation().await, 9);
    assert_eq!(host.files(), ["store.redb"]);
}

#[tokio::test]
async fn a_damaged_store_is_what_a_backup_is_for() {
    let host = host().with_state(9).await;
    std::fs::write(embedded_path(&host.config), "no store at all").unwrap();
    let backup = archive(4).await;
    let refused = into_embedded(&host, &backup, false).await;
    assert!(
        refused.contains("is not a usable store") && refused.contains("--replace"),
        "{refused}"
    );
    assert_eq!(into_embedded(&host, &backup, true).await, "");
    assert_eq!(host.generation().await, 4);
}

#[tokio::test]
async fn a_restore_that_was_cut_off_left_the_old_store_and_goes_through_again() {
    let host = host().with_state(9).await;
    std::fs::write(host.config.state_dir.join("store.redb.restoring"), "half").unwrap();
    assert_eq!(host.generation().await, 9);
    assert_eq!(into_embedded(&host, &archive(4).await, true).await, "");
    assert_eq!(host.generation().await, 4);
    assert_eq!(host.files(), ["store.redb"]);
}

#[tokio::test]
async fn a_restored_store_belongs_to_whom_its_folder_belongs_to() {
    let host = host();
    crate::private_file::make_private_dir(&host.config.state_dir).unwrap();
    // Only root can give a folder away; others own both anyway.
    let given = std::os::unix::fs::chown(&host.config.state_dir, Some(4711), Some(4712)).is_ok();
    assert_eq!(into_embedded(&host, &archive(4).await, true).await, "");
    let file = std::fs::metadata(embedded_path(&host.config)).unwrap();
    let folder = std::fs::metadata(&host.config.state_dir).unwrap();
    assert_eq!((file.uid(), file.gid()), (folder.uid(), folder.gid()));
    assert_eq!(given, file.uid() == 4711);
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_moved_store_is_whole_in_its_new_place_and_says_where_that_is() {
    let host = host().with_state(9).await;
    let to = MemoryStore::new();
    let said = migrate::move_embedded(&host.config, &to, "etcd at there", now())
        .await
        .unwrap();
    assert!(said.contains("store_backend: etcd"), "{said}");
    assert_eq!(keys(&to).await, ["v1/pointer"]);
    let state = State::open(Arc::new(to.clone())).await.unwrap();
    assert_eq!(state.view().in_force.generation().0, 9);
    let refused = text(host.backup_to("backup").await);
    assert!(refused.contains("was moved to etcd at there"), "{refused}");
    let again = migrate::move_embedded(&host.config, &to, "etcd at there", now()).await;
    assert!(again.unwrap().contains("already"));
}

#[tokio::test]
async fn a_store_that_an_engine_holds_is_not_moved() {
    let host = host().with_state(9).await;
    let _held = host.store().await;
    let refused =
        text(migrate::move_embedded(&host.config, &MemoryStore::new(), "there", now()).await);
    assert!(refused.contains("stop the engine first"), "{refused}");
}

#[tokio::test]
async fn a_shared_store_is_restored_in_place_and_keeps_its_state_unless_told() {
    let store = MemoryStore::new();
    store.commit(state_of(9)).await.unwrap();
    let backup = archive(4).await;
    let refused = restore::into_shared(&store, &backup, false, now()).await;
    let refused = crate::report(&refused.unwrap_err());
    assert!(
        refused.contains("generation 9") && refused.contains("--replace"),
        "{refused}"
    );
    restore::into_shared(&store, &backup, true, now())
        .await
        .unwrap();
    let restored = Archive::take(&store, now()).await.unwrap();
    assert_eq!(restored.summary().generation.0, 4);
}

#[tokio::test]
async fn moving_to_an_etcd_that_is_not_configured_says_which_key_is_missing() {
    let host = host().with_state(9).await;
    let to = migrate::Target::Etcd;
    let refused = text(migrate(&host.config, &MigrateOptions { to }).await);
    assert!(refused.contains("engine.etcd"), "{refused}");
    assert_eq!(host.generation().await, 9);
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    assert_eq!(address("https://ada:s3cret@one:2379"), "one:2379");
    assert_eq!(address("http://[::1]:2379"), "[::1]:2379");
}
