//! How often logging in may be tried: by address, and by account.
//!
//! The tables are bounded, and an attacker cannot evict an account's delay cheaply: the entry of an account with `n`
//! failures is evicted only when all other [`ENTRIES`] have at least `n`. Each of these failures costs a password hash, and
//! all must lie within [`FORGOTTEN_AFTER`]: for five each, that is over 80,000 runs of bcrypt in a quarter of an hour, more
//! than four hours of one core. Trying many names once each, from any number of addresses, evicts only other names that
//! were tried once.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::table::Table;

/// Attempts of one address within [`WINDOW`].
const ATTEMPTS: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Failures of one account that cause no delay yet.
const FREE_FAILURES: u32 = 5;
const LONGEST_DELAY: u64 = 60;
/// After the last failure.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// The most addresses, and accounts, that are kept at one time: a few MiB.
const ENTRIES: usize = 16_384;

/// Counts attempts to log in. `now` is the time since any fixed instant, on a clock that does not jump.
///
/// An attempt counts as failed from its start, so that concurrent attempts do not all pass as the first. Its maker reports
/// the result: [`Limits::failed`], [`Limits::succeeded`] or [`Limits::unjudged`]. Without a report (the caller hung up) it
/// remains a failure.
#[derive(Debug)]
pub struct Limits {
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    /// The times of the attempts within the window.
    addresses: Table<Network, VecDeque<Duration>>,
    /// Consecutive failures.
    accounts: Table<Account, u32>,
}

/// A digest of the given name: bounded for any input, and keeps no list of names in memory.
type Account = [u8; 32];

/// The addresses of one party: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    V4(Ipv4Addr),
    V6([u8; 8]),
}

/// An attempt must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to log in: try again in {} s", .0.as_secs())]
pub struct Wait(Duration);

impl Wait {
    /// How long: whole seconds, at least one.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0
    }

    fn rounded_up(wait: Duration) -> Self {
        let part = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(part).max(1);
        Self(Duration::from_secs(seconds))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// Without any attempts.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room_for(ENTRIES)
    }

    fn with_room_for(entries: usize) -> Self {
        let tables = Tables {
            addresses: Table::new(entries, WINDOW),
            accounts: Table::new(entries, FORGOTTEN_AFTER),
        };
        Self {
            tables: Mutex::new(tables),
        }
    }

    /// Counts an attempt to log in to an account from an address; `None` is the host itself, which is not counted by
    /// address. Unknown names are treated like any others. A refused attempt does not count.
    ///
    /// # Errors
    /// The attempt must wait.
    pub fn attempt(
        &self,
        address: Option<IpAddr>,
        account: &str,
        now: Duration,
    ) -> Result<(), Wait> {
        let network = address.map(Network::of);
        let account = digest(account);
        let mut tables = self.lock();
        tables.forget(now);
        let by_network =
            network.map_or(Duration::ZERO, |network| tables.address_wait(network, now));
        let wait = by_network.max(tables.account_wait(&account, now));
        if !wait.is_zero() {
            return Err(Wait::rounded_up(wait));
        }
        if let Some(network) = network {
            tables.count_address(network, now);
        }
        let failures = tables.failures(&account).saturating_add(1);
        tables.accounts.put(account, failures, failures, now);
        Ok(())
    }

    /// The attempt failed with a wrong password. The delay starts now.
    pub fn failed(&self, account: &str, now: Duration) {
        let account = digest(account);
        let mut tables = self.lock();
        tables.forget(now);
        // It is counted already, unless another attempt's success has cleared the account meanwhile.
        let failures = tables.failures(&account).max(1);
        tables.accounts.put(account, failures, failures, now);
    }

    /// The attempt succeeded: clears the account's failures.
    pub fn succeeded(&self, account: &str) {
        self.lock().accounts.remove(&digest(account));
    }

    /// The password was not checked, for a reason on our side: the attempt is not a failure of the account.
    pub fn unjudged(&self, account: &str) {
        let account = digest(account);
        let mut tables = self.lock();
        if let Some(entry) = tables.accounts.remove(&account)
            && entry.value > 1
        {
            let failures = entry.value - 1;
            tables
                .accounts
                .put(account, failures, failures, entry.touched);
        }
    }

    /// No step under the lock leaves the tables half changed, so a poisoned lock can be used.
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn forget(&mut self, now: Duration) {
        self.addresses.forget(now);
        self.accounts.forget(now);
    }

    fn failures(&self, account: &Account) -> u32 {
        self.accounts.get(account).map_or(0, |entry| entry.value)
    }

    fn account_wait(&self, account: &Account, now: Duration) -> Duration {
        self.accounts.get(account).map_or(Duration::ZERO, |entry| {
            let until = entry.touched.saturating_add(delay(entry.value));
            until.saturating_sub(now)
        })
    }

    fn address_wait(&self, network: Network, now: Duration) -> Duration {
        let attempts = self.addresses.get(&network).map(|entry| &entry.value);
        let tenth_last = attempts.and_then(|attempts| attempts.iter().rev().nth(ATTEMPTS - 1));
        tenth_last.map_or(Duration::ZERO, |at| {
            at.saturating_add(WINDOW).saturating_sub(now)
        })
    }

    fn count_address(&mut self, network: Network, now: Duration) {
        let former = self.addresses.remove(&network);
        let mut attempts = former.map(|entry| entry.value).unwrap_or_default();
        attempts.retain(|at| at.saturating_add(WINDOW) > now);
        attempts.push_back(now);
        let weight = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        self.addresses.put(network, attempts, weight, now);
    }
}

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// How long an account must wait after that many failures in a row.
fn delay(failures: u32) -> Duration {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES) else {
        return Duration::ZERO;
    };
    let seconds = 1_u64.checked_shl(doublings).unwrap_or(LONGEST_DELAY);
    Duration::from_secs(seconds.min(LONGEST_DELAY))
}

fn digest(account: &str) -> Account {
    Sha256::digest(account).into()
}

#[cfg(test)]
mod tests;
