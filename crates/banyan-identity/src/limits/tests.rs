//! With a hand clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn wait(seconds: u64) -> Result<(), Wait> {
    Err(Wait(s(seconds)))
}

/// Attempts for another name each time, so that only the address counts.
fn from(limits: &Limits, address: &str, times: usize, now: Duration) {
    static NAMES: AtomicU64 = AtomicU64::new(0);
    for _ in 0..times {
        let name = format!("user-{}", NAMES.fetch_add(1, Ordering::Relaxed));
        assert_eq!(limits.attempt(ip(address), &name, now), Ok(()), "{address}");
    }
}

/// A failed attempt from the host itself.
fn fail(limits: &Limits, account: &str, now: Duration) {
    assert_eq!(limits.attempt(None, account, now), Ok(()));
    limits.failed(account, now);
}

#[test]
fn an_address_has_ten_attempts_a_minute_and_is_told_when_the_next_one_is() {
    let limits = Limits::new();
    from(&limits, "192.0.2.1", 4, s(0));
    from(&limits, "192.0.2.1", 6, s(20));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", s(20)), wait(40));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", s(59)), wait(1));
    from(&limits, "192.0.2.1", 4, s(60));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", s(60)), wait(20));
}

#[test]
fn a_wait_is_rounded_up_to_whole_seconds_and_never_nothing() {
    let limits = Limits::new();
    from(&limits, "192.0.2.1", 10, ms(500));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", s(1)), wait(60));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", ms(60_499)), wait(1));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "x", ms(60_500)), Ok(()));
    assert_eq!(Wait::rounded_up(Duration::ZERO), Wait(s(1)));
    assert_eq!(Wait::rounded_up(Duration::MAX).duration().subsec_nanos(), 0);
}

#[test]
fn addresses_are_counted_apart_and_ipv6_by_64() {
    let limits = Limits::new();
    from(&limits, "192.0.2.1", 10, s(0));
    from(&limits, "192.0.2.2", 10, s(0));
    from(&limits, "2001:db8:0:1::1", 5, s(0));
    from(&limits, "2001:db8:0:1:ffff::", 5, s(0));
    assert_eq!(limits.attempt(ip("2001:db8:0:1::9"), "x", s(0)), wait(60));
    assert_eq!(limits.attempt(ip("2001:db8:0:2::1"), "x", s(0)), Ok(()));
    // An IPv4 address is the same one however it is written.
    assert_eq!(limits.attempt(ip("::ffff:192.0.2.1"), "y", s(0)), wait(60));
}

#[test]
fn the_host_itself_has_no_limit_by_address() {
    let limits = Limits::new();
    for name in 0..100 {
        assert_eq!(limits.attempt(None, &name.to_string(), s(0)), Ok(()));
    }
}

#[test]
fn an_attempt_that_is_refused_counts_neither_by_address_nor_by_account() {
    let limits = Limits::new();
    from(&limits, "192.0.2.1", 10, s(0));
    for _ in 0..100 {
        assert!(limits.attempt(ip("192.0.2.1"), "alice", s(1)).is_err());
    }
    for _ in 0..5 {
        fail(&limits, "alice", s(2));
    }
    for _ in 0..100 {
        assert!(limits.attempt(ip("192.0.2.2"), "alice", s(2)).is_err());
    }
    from(&limits, "192.0.2.2", 10, s(2));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "alice", s(60)), Ok(()));
}

#[test]
fn an_accounts_delay_grows_with_its_failures_up_to_a_minute() {
    let limits = Limits::new();
    let mut now = s(0);
    for _ in 0..FREE_FAILURES {
        fail(&limits, "alice", now);
    }
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        assert_eq!(limits.attempt(None, "alice", now), wait(seconds));
        now += s(seconds);
        fail(&limits, "alice", now);
    }
    assert_eq!(delay(u32::MAX), s(60));
    assert_eq!(limits.attempt(None, "bob", now), Ok(()));
}

#[test]
fn the_longer_of_two_waits_is_told() {
    let limits = Limits::new();
    for _ in 0..5 {
        fail(&limits, "alice", s(0));
    }
    from(&limits, "192.0.2.1", 10, s(0));
    assert_eq!(limits.attempt(ip("192.0.2.1"), "alice", s(0)), wait(60));
    assert_eq!(limits.attempt(ip("192.0.2.2"), "alice", s(0)), wait(1));
}

#[test]
fn a_success_clears_the_account() {
    let limits = Limits::new();
    for _ in 0..5 {
        fail(&limits, "alice", s(0));
    }
    assert_eq!(limits.attempt(None, "alice", s(1)), Ok(()));
    limits.succeeded("alice");
    for _ in 0..5 {
        fail(&limits, "alice", s(1));
    }
    assert_eq!(limits.attempt(None, "alice", s(1)), wait(1));
}

#[test]
fn failures_are_forgotten_a_quarter_of_an_hour_after_the_last() {
    let limits = Limits::new();
    for _ in 0..5 {
        fail(&limits, "alice", s(0));
    }
    fail(&limits, "alice", s(899));
    assert_eq!(limits.attempt(None, "alice", s(899)), wait(2));
    for _ in 0..5 {
        fail(&limits, "alice", s(899 + 900));
    }
    assert_eq!(limits.attempt(None, "alice", s(899 + 900)), wait(1));
}

#[test]
fn attempts_at_once_do_not_all_pass_as_the_first() {
    let limits = Limits::new();
    let passed = std::thread::scope(|scope| {
        let one = || limits.attempt(None, "alice", s(0)).is_ok();
        let all: Vec<_> = (0..32).map(|_| scope.spawn(one)).collect();
        let passed = all.into_iter().map(|thread| thread.join().unwrap());
        passed.filter(|passed| *passed).count()
    });
    assert_eq!(passed, 5);
}

#[test]
fn a_failure_that_ends_after_anothers_success_counts_once() {
    let limits = Limits::new();
    assert_eq!(limits.attempt(None, "alice", s(0)), Ok(()));
    assert_eq!(limits.attempt(None, "alice", s(0)), Ok(()));
    limits.succeeded("alice");
    limits.failed("alice", s(0));
    for _ in 0..4 {
        fail(&limits, "alice", s(0));
    }
    assert_eq!(limits.attempt(None, "alice", s(0)), wait(1));
}

#[test]
fn an_attempt_that_nobody_judged_is_no_failure() {
    let limits = Limits::new();
    for _ in 0..100 {
        assert_eq!(limits.attempt(None, "alice", s(0)), Ok(()));
        limits.unjudged("alice");
    }
    for _ in 0..5 {
        fail(&limits, "alice", s(0));
    }
    assert_eq!(limits.attempt(None, "alice", s(1)), Ok(()));
    limits.unjudged("alice");
    assert_eq!(limits.attempt(None, "alice", s(1)), wait(1));
    limits.unjudged("bob");
    assert_eq!(limits.attempt(None, "bob", s(1)), Ok(()));
}

#[test]
fn trying_many_names_and_addresses_keeps_the_victims_delay_and_the_bound() {
    let limits = Limits::with_room_for(64);
    for _ in 0..5 {
        fail(&limits, "victim", s(0));
    }
    for n in 0..1_000_u32 {
        let address = Some(IpAddr::V4(Ipv4Addr::from_bits(n)));
        let name = n.to_string();
        for _ in 0..4 {
            assert_eq!(limits.attempt(address, &name, ms(500)), Ok(()));
            limits.failed(&name, ms(500));
        }
    }
    let tables = limits.lock();
    assert_eq!((tables.accounts.len(), tables.addresses.len()), (64, 64));
    drop(tables);
    assert_eq!(limits.attempt(None, "victim", ms(500)), wait(1));
}

#[test]
fn a_name_of_any_length_takes_the_same_room() {
    let limits = Limits::new();
    fail(&limits, &"x".repeat(1 << 20), s(0));
    assert_eq!(limits.attempt(None, "", s(0)), Ok(()));
    assert_eq!(size_of::<Account>(), 32);
}

proptest! {
    #[test]
    fn no_minute_has_more_than_ten_attempts_of_one_address_and_every_wait_is_true(
        steps in prop::collection::vec((0..3_u8, 0..4_u8, 0..9_000_u64, 0..4_u8), 1..200),
    ) {
        let limits = Limits::with_room_for(8);
        let mut now = Duration::ZERO;
        let mut passed: BTreeMap<u8, Vec<Duration>> = BTreeMap::new();
        for (address, account, pause, end) in steps {
            now += ms(pause);
            let from = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, address)));
            let account = account.to_string();
            if let Err(wait) = limits.attempt(from, &account, now) {
                prop_assert!(wait.duration() >= s(1) && wait.duration() <= s(60));
                prop_assert_eq!(wait.duration().subsec_nanos(), 0);
                now += wait.duration();
                prop_assert_eq!(limits.attempt(from, &account, now), Ok(()));
            }
            passed.entry(address).or_default().push(now);
            match end {
                0 => limits.succeeded(&account),
                1 => limits.unjudged(&account),
                2 => limits.failed(&account, now),
                _ => {}
            }
            let tables = limits.lock();
            prop_assert!(tables.accounts.len() <= 8 && tables.addresses.len() <= 8);
        }
        for times in passed.values() {
            for eleven in times.windows(ATTEMPTS + 1) {
                prop_assert!(eleven[ATTEMPTS] - eleven[0] >= WINDOW);
            }
        }
    }

    #[test]
    fn no_time_makes_it_panic(times in prop::collection::vec(any::<Duration>(), 1..40)) {
        let limits = Limits::with_room_for(4);
        for now in times {
            let _ = limits.attempt(ip("2001:db8::1"), "alice", now);
            limits.failed("alice", now);
            let _ = limits.attempt(None, "bob", now);
        }
    }
}
