//! The pool at bcrypt's lowest cost, and its threads held still where order matters.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

fn password(text: &str) -> Password {
    Password::entered(text.to_owned()).unwrap()
}

fn pool() -> Hashing {
    Hashing::new(Cost::LOWEST, 2, 8).unwrap()
}

/// A pool whose jobs stay in the queue, since it has no thread.
fn halted(bound: usize) -> Hashing {
    Hashing {
        shared: Arc::new(Shared {
            cost: Cost::LOWEST,
            bound,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            runs: AtomicU64::new(0),
        }),
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn the_right_password_verifies_and_a_wrong_one_does_not() {
    let pool = pool();
    let hash = pool.hash(password("correct horse")).await.unwrap();
    assert_eq!(check_hash(hash.expose(), Cost::LOWEST.number()), Ok(()));
    let verify = |text: &str| pool.verify(password(text), Some(hash.clone()));
    assert!(verify("correct horse").await.unwrap());
    assert!(!verify("correct horsE").await.unwrap());
}

#[tokio::test]
async fn a_hash_made_elsewhere_at_the_standard_cost_verifies() {
    let pool = Hashing::new(Cost::STANDARD, 1, 1).unwrap();
    let known = "$2y$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
    let known = SecretText::new(known.to_owned());
    assert!(
        pool.verify(password("abc123xyz"), Some(known))
            .await
            .unwrap()
    );
    let own = pool.hash(password("abc123xyz")).await.unwrap();
    assert!(own.expose().starts_with("$2b$12$"));
}

#[tokio::test]
async fn two_hashes_of_one_password_differ() {
    let pool = pool();
    let one = pool.hash(password("correct horse")).await.unwrap();
    let other = pool.hash(password("correct horse")).await.unwrap();
    assert_ne!(one.expose(), other.expose());
}

#[tokio::test]
async fn nobody_a_wrong_password_and_an_unusable_hash_cost_one_run_each() {
    let pool = pool();
    let hash = pool.hash(password("correct horse")).await.unwrap();
    let before = pool.work_done();
    assert!(!pool.verify(password("x"), Some(hash)).await.unwrap());
    assert_eq!(pool.work_done(), before + 1);
    assert!(!pool.verify(password("x"), None).await.unwrap());
    assert_eq!(pool.work_done(), before + 2);
    let broken = SecretText::new("$2y$31$broken".to_owned());
    let error = pool.verify(password("x"), Some(broken)).await.unwrap_err();
    assert!(matches!(error, HashingError::Hash(_)), "{error}");
    assert_eq!(pool.work_done(), before + 3);
}

#[tokio::test]
async fn a_hash_of_a_higher_cost_is_never_run() {
    let pool = pool();
    let days = Cost::LOWEST.dummy().expose().replace("$04$", "$31$");
    let answer = pool
        .verify(password("x"), Some(SecretText::new(days)))
        .await;
    assert!(matches!(
        answer,
        Err(HashingError::Hash(HashError::Cost { found: 31, .. }))
    ));
}

#[test]
fn a_full_queue_says_busy_at_once() {
    let pool = halted(2);
    let mut one = Box::pin(pool.verify(password("x"), None));
    let mut two = Box::pin(pool.hash(password("x")));
    assert!(poll(&mut one).is_pending() && poll(&mut two).is_pending());
    let mut three = Box::pin(pool.verify(password("x"), None));
    assert!(matches!(
        poll(&mut three),
        Poll::Ready(Err(HashingError::Busy))
    ));
}

#[test]
fn who_went_away_makes_room_in_a_full_queue() {
    let pool = halted(1);
    let mut gone = Box::pin(pool.verify(password("x"), None));
    assert!(poll(&mut gone).is_pending());
    drop(gone);
    let mut next = Box::pin(pool.verify(password("x"), None));
    assert!(poll(&mut next).is_pending());
}

#[test]
fn who_went_away_while_queued_costs_no_run() {
    let pool = halted(4);
    let mut gone = Box::pin(pool.verify(password("x"), None));
    let mut stays = Box::pin(pool.verify(password("x"), None));
    assert!(poll(&mut gone).is_pending() && poll(&mut stays).is_pending());
    drop(gone);
    // The thread's own loop, until the queue is empty.
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| pool.shared.work());
        while poll(&mut stays).is_pending() {
            std::thread::yield_now();
        }
        pool.shared.lock().closed = true;
        pool.shared.arrived.notify_all();
        worker.join().unwrap();
    });
    assert_eq!(pool.work_done(), 1);
}

#[test]
fn dropping_the_pool_ends_its_threads() {
    let pool = pool();
    let shared = Arc::downgrade(&pool.shared);
    drop(pool);
    while shared.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn only_the_thread_that_hashes_gives_way() {
    let own = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
    let before = own();
    let lowered = std::thread::spawn(move || {
        thread_priority::lower(NICE);
        own()
    });
    assert_eq!(lowered.join().unwrap(), NICE.max(before));
    assert_eq!(own(), before);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let pool = pool();
    let hash = pool.hash(password("correct horse")).await.unwrap();
    let shown = format!("{pool:?} {hash:?}");
    assert!(!shown.contains("horse") && !shown.contains("$2"), "{shown}");
}
