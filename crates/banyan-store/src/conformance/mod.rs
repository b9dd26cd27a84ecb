//! The contract of the store interface, as tests that every backend passes.
//!
//! A backend's crate has a test file with a [`Bench`] and one line, `banyan_store::conformance_tests!(make);`, which
//! expands to one `#[test]` per behaviour. `make` is an async function without parameters that returns a bench with an
//! empty store. Other users may share the server as long as they stay away from these keys, so the tests never expect
//! an exact revision.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod lease;
mod read;
mod txn;
mod watch;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Batch, Entry, Event, Outcome, Revision, Store, Txn, Watch, WatchError};

pub use lease::*;
pub use read::*;
pub use txn::*;
pub use watch::*;

/// The time limit of one test.
const DEADLINE: Duration = Duration::from_secs(60);

/// The place of a store, for one test.
#[async_trait]
pub trait Bench: Send + Sync {
    /// Opens the store. A later call, made after all earlier handles are dropped, opens the same store as after a
    /// restart.
    async fn open(&self) -> Arc<dyn Store>;

    /// Compacts the history up to now; may write keys that start with `~`.
    async fn forget_history(&self, store: &dyn Store);
}

/// A test on a bench.
pub type Case = for<'a> fn(&'a dyn Bench) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one case. [`conformance_tests!`](crate::conformance_tests) calls this.
///
/// # Panics
///
/// If the store does not behave.
pub fn run<B: Bench, F: Future<Output = B>>(make: impl FnOnce() -> F, case: Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the test");
    runtime.block_on(async {
        let bench = make().await;
        let done = tokio::time::timeout(DEADLINE, case(&bench)).await;
        done.expect("the store answers within a minute");
    });
}

/// One `#[test]` for each behaviour of a store; see [`conformance`](crate::conformance).
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests! { @each $make;
            an_absent_key_reads_as_nothing
            a_put_is_read_back
            created_stays_while_modified_moves
            a_key_made_again_is_new
            a_snapshot_does_not_see_later_writes
            a_range_has_its_start_and_not_its_end
            a_prefix_range_leaves_out_its_neighbours
            pages_join_without_gap_or_repeat
            a_bad_key_cannot_be_read
            a_reopened_store_has_everything
            every_compare_means_what_it_says
            a_conflict_names_what_failed_and_changes_nothing
            compares_are_judged_on_the_state_before
            a_transaction_without_changes_makes_no_revision
            the_largest_transaction_is_taken_whole
            a_transaction_beyond_a_limit_is_refused
            a_key_twice_in_one_transaction_is_refused
            of_racing_creators_one_wins
            counting_under_compare_loses_nothing
            a_watch_gets_a_transaction_whole_and_in_key_order
            a_watch_from_the_past_gets_all_since
            a_watch_waits_for_what_comes
            a_watch_sees_its_prefix_only
            a_snapshot_and_its_watch_miss_nothing
            a_watch_that_lags_too_far_is_told_so
            a_watch_from_forgotten_history_is_told_so
            an_expired_lease_takes_its_keys_at_once
            a_lease_kept_alive_keeps_its_keys
            a_revoked_lease_takes_its_keys_at_once
            a_put_without_lease_frees_the_key
            an_unknown_lease_is_not_found
            a_lease_has_a_longest_time
        }
    };
    (@each $make:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::conformance::run($make, |bench| {
                    Box::pin($crate::conformance::$name(bench))
                });
            }
        )*
    };
}

/// Commits a transaction that must succeed.
async fn commit(store: &dyn Store, txn: Txn) -> Revision {
    match store.commit(txn).await {
        Ok(Outcome::Committed(revision)) => revision,
        other => panic!("a transaction that must succeed gave {other:?}"),
    }
}

async fn put(store: &dyn Store, key: &str, value: &str) -> Revision {
    commit(store, Txn::new().put(key, value.as_bytes())).await
}

async fn get(store: &dyn Store, key: &str) -> Option<Entry> {
    let snapshot = store.snapshot().await.expect("a snapshot");
    snapshot.get(key).await.expect("a read")
}

async fn now(store: &dyn Store) -> Revision {
    store.snapshot().await.expect("a snapshot").revision()
}

async fn watch(store: &dyn Store, prefix: &str, after: Revision) -> Watch {
    store.watch(prefix, after).await.expect("a watch")
}

async fn next(watch: &mut Watch) -> Batch {
    watch.next().await.expect("a batch")
}

/// A batch as text: `+key=value` and `-key`.
fn shown(batch: &Batch) -> Vec<String> {
    let show = |event: &Event| match event {
        Event::Put(entry) => format!("+{}={}", entry.key, String::from_utf8_lossy(&entry.value)),
        Event::Delete { key } => format!("-{key}"),
    };
    batch.events.iter().map(show).collect()
}

/// The revision named by a watch that must have been compacted.
async fn compacted(watch: &mut Watch) -> Revision {
    loop {
        match watch.next().await {
            Err(WatchError::Compacted { oldest }) => return oldest,
            Ok(_) => {}
            Err(other) => panic!("the watch must be compacted, not {other:?}"),
        }
    }
}
