//! bcrypt on dedicated threads, so that logins cannot starve other work.
//!
//! A run takes a fifth of a second of one core. The threads are few and run at low priority, and their queue is bounded:
//! when it is full, callers get an error at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use banyan_core::SecretText;
use banyan_core::people::{HashError, check_hash};
use banyan_identity::{BcryptError, Cost, Password};
use tokio::sync::oneshot;

use crate::{random, thread_priority};

/// The niceness of these threads.
const NICE: i32 = 10;

/// Hashes and verifies passwords. Dropping it ends its threads, each after its current run.
pub(crate) struct Hashing {
    shared: Arc<Shared>,
}

struct Shared {
    cost: Cost,
    bound: usize,
    queue: Mutex<Queue>,
    arrived: Condvar,
    runs: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

enum Job {
    Hash(Password, oneshot::Sender<Result<SecretText, HashingError>>),
    Verify(
        Password,
        SecretText,
        oneshot::Sender<Result<bool, HashingError>>,
    ),
}

/// Why a password was neither hashed nor verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingError {
    /// The queue is full.
    #[error("too many passwords are being checked at this moment: try again in a few seconds")]
    Busy,
    /// The stored hash is not one that a password could match.
    #[error("the stored password hash cannot be used: set a new password")]
    Hash(#[source] HashError),
    /// A thread could not be started.
    #[error("cannot start a thread for password hashing")]
    Thread(#[source] std::io::Error),
    /// There are no random bytes for a salt.
    #[error(transparent)]
    Random(#[from] random::RandomError),
    /// bcrypt itself failed.
    #[error("bcrypt failed")]
    Bcrypt(#[source] BcryptError),
    /// The threads have stopped.
    #[error("password hashing has been shut down")]
    Stopped,
}

impl Hashing {
    /// Starts `threads` threads (at least one) with room for `queue` waiting passwords (at least one).
    ///
    /// All cores but one is a good number of threads.
    ///
    /// # Errors
    /// The system cannot start a thread.
    pub(crate) fn new(cost: Cost, threads: usize, queue: usize) -> Result<Self, HashingError> {
        let hashing = Self {
            shared: Arc::new(Shared {
                cost,
                bound: queue.max(1),
                queue: Mutex::default(),
                arrived: Condvar::new(),
                runs: AtomicU64::new(0),
            }),
        };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&hashing.shared);
            // The kernel keeps at most 15 characters of a thread's name.
            std::thread::Builder::new()
                .name(format!("banyan-bcrypt{number}"))
                .spawn(move || shared.work())
                .map_err(HashingError::Thread)?;
        }
        Ok(hashing)
    }

    /// The cost of the hashes made and accepted here.
    pub(crate) fn cost(&self) -> Cost {
        self.shared.cost
    }

    /// How often bcrypt has run: shows that two paths through a login cost the same.
    pub(crate) fn work_done(&self) -> u64 {
        self.shared.runs.load(Ordering::Relaxed)
    }

    /// A new hash of the password.
    ///
    /// # Errors
    /// [`HashingError::Busy`] at once when the queue is full.
    pub(crate) async fn hash(&self, password: Password) -> Result<SecretText, HashingError> {
        let (reply, answer) = oneshot::channel();
        self.shared.push(Job::Hash(password, reply))?;
        answer.await.map_err(|_| HashingError::Stopped)?
    }

    /// Whether the password matches the hash. Without a hash (no such user, or no password set) the same work is done and the
    /// answer is no.
    ///
    /// # Errors
    /// [`HashingError::Busy`] at once when the queue is full; [`HashingError::Hash`] when the stored hash is unusable,
    /// after the same work. To the user, the latter must look like a wrong password.
    pub(crate) async fn verify(
        &self,
        password: Password,
        hash: Option<SecretText>,
    ) -> Result<bool, HashingError> {
        let (stored, otherwise) =
            match hash.map(|hash| (check_hash(hash.expose(), self.cost().number()), hash)) {
                Some((Ok(()), hash)) => (Some(hash), Ok(false)),
                Some((Err(error), _)) => (None, Err(HashingError::Hash(error))),
                None => (None, Ok(false)),
            };
        let known = stored.is_some();
        let (reply, answer) = oneshot::channel();
        let hash = stored.unwrap_or_else(|| self.cost().dummy());
        self.shared.push(Job::Verify(password, hash, reply))?;
        let matches = answer.await.map_err(|_| HashingError::Stopped)??;
        if known { Ok(matches) } else { otherwise }
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing")
            .field("cost", &self.shared.cost)
            .field("work_done", &self.work_done())
            .finish_non_exhaustive()
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.arrived.notify_all();
    }
}

impl Shared {
    /// A panic elsewhere cannot leave the queue half changed, so a poisoned lock can be used.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), HashingError> {
        let mut queue = self.lock();
        if queue.jobs.len() >= self.bound {
            queue.jobs.retain(Job::is_awaited);
        }
        if queue.jobs.len() >= self.bound {
            return Err(HashingError::Busy);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    fn work(&self) {
        thread_priority::lower(NICE);
        while let Some(job) = self.next() {
            if job.is_awaited() {
                self.run(job);
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self
                .arrived
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, job: Job) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        // A send fails if the caller has gone away, and then the result is not needed.
        match job {
            Job::Hash(password, reply) => {
                let _ = reply.send(hash(&password, self.cost));
            }
            Job::Verify(password, hash, reply) => {
                let matches = password.matches(&hash);
                let _ = reply.send(matches.map_err(HashingError::Bcrypt));
            }
        }
    }
}

fn hash(password: &Password, cost: Cost) -> Result<SecretText, HashingError> {
    let salt = random::bytes()?;
    password.hash(cost, *salt).map_err(HashingError::Bcrypt)
}

impl Job {
    /// Whether the caller still waits: one that hung up must not cost a run.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Hash(_, reply) => !reply.is_closed(),
            Self::Verify(_, _, reply) => !reply.is_closed(),
        }
    }
}

#[cfg(test)]
mod tests;
