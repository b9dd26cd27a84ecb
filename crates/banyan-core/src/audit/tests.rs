use proptest::prelude::*;

use super::*;
use crate::fixture::{commit, t};
use crate::{Digest, Name};

fn engine() -> Name {
    "north".parse().unwrap()
}

/// A chain with these texts.
fn chain(texts: &[String]) -> (Vec<Link>, Head) {
    let mut head = Head::start(&engine());
    let links = texts.iter().map(|text| head.push(text.as_str().into()));
    (links.collect(), head)
}

fn numbered(count: usize) -> (Vec<Link>, Head) {
    let texts: Vec<String> = (0..count).map(|n| format!("entry {n}")).collect();
    chain(&texts)
}

fn broken(links: &[Link], head: Head) -> Break {
    verify(&engine(), links, head, None).unwrap_err()
}

#[test]
fn a_chain_of_any_length_verifies() {
    for count in 0..5 {
        let (links, head) = numbered(count);
        let verified = verify(&engine(), &links, head, None).unwrap();
        assert_eq!(
            (verified.head, verified.anchored),
            (head, Anchored::Without)
        );
        assert_eq!(head.kept(), count as u64);
    }
}

#[test]
fn each_kind_of_damage_is_named_with_its_place() {
    let (links, head) = numbered(5);
    let without = |n: usize| {
        let mut links = links.clone();
        links.remove(n);
        links
    };
    assert_eq!(broken(&without(0), head), Fault::Missing.at(1));
    assert_eq!(broken(&without(2), head), Fault::Missing.at(3));
    assert_eq!(broken(&without(4), head), Fault::CutOff { to: 5 }.at(5));
    assert_eq!(broken(&links[..2], head), Fault::CutOff { to: 5 }.at(3));
    let mut edited = links.clone();
    edited[1].entry = "another".into();
    assert_eq!(broken(&edited, head), Fault::Altered.at(2));
    edited[1] = Link::new(2, links[0].hash, "another".into());
    assert_eq!(broken(&edited, head), Fault::Unlinked.at(3));
    let mut last = links.clone();
    last[4] = Link::new(5, links[3].hash, "another".into());
    assert_eq!(broken(&last, head), Fault::Head.at(5));
    let (_, short) = numbered(4);
    assert_eq!(broken(&links, short), Fault::Misplaced.at(5));
}

#[test]
fn a_cut_end_with_a_rewritten_head_is_revealed_only_by_an_anchor() {
    let (links, head) = numbered(5);
    let anchor = |head: Head| Anchor {
        seq: head.seq,
        hash: head.hash,
    };
    let (cut, shorter) = numbered(4);
    assert!(verify(&engine(), &cut, shorter, None).is_ok());
    let found = verify(&engine(), &cut, shorter, Some(anchor(head)));
    assert_eq!(found.unwrap_err(), Fault::Anchor.at(5));
    let (other, other_head) = chain(&["x", "y", "z", "a", "b", "c"].map(str::to_owned));
    let found = verify(&engine(), &other, other_head, Some(anchor(head)));
    assert_eq!(found.unwrap_err(), Fault::Anchor.at(5));
    // An earlier head of the same chain matches.
    let found = verify(&engine(), &links, head, Some(anchor(shorter))).unwrap();
    assert_eq!(found.anchored, Anchored::Holds);
}

#[test]
fn the_head_vouches_for_trimmed_entries_and_an_older_anchor_proves_nothing() {
    let (links, mut head) = numbered(6);
    head.first = 4;
    head.before = links[2].hash;
    let kept = &links[3..];
    let anchored = |n: usize| {
        let (seq, hash) = (links[n].seq, links[n].hash);
        let anchor = Some(Anchor { seq, hash });
        verify(&engine(), kept, head, anchor).unwrap().anchored
    };
    assert_eq!(anchored(1), Anchored::TooOld);
    assert_eq!(anchored(2), Anchored::Holds);
    assert_eq!(anchored(3), Anchored::Holds);
    assert_eq!(broken(&links[4..], head), Fault::Missing.at(4));
    assert_eq!(broken(&links, head), Fault::Misplaced.at(1));
}

#[test]
fn one_engines_chain_is_not_anothers() {
    let (links, head) = numbered(3);
    let other = "south".parse().unwrap();
    let found = verify(&other, &links, head, None).unwrap_err();
    assert_eq!(found, Fault::Unlinked.at(1));
}

#[test]
fn a_head_that_contradicts_itself_is_no_head() {
    let (links, head) = numbered(3);
    for first in [0, 5, u64::MAX] {
        assert_eq!(broken(&links, Head { first, ..head }).what, Fault::Head);
    }
    let wrong = Head {
        seq: u64::MAX,
        ..head
    };
    assert!(matches!(broken(&links, wrong).what, Fault::CutOff { .. }));
}

#[test]
fn texts_from_outside_are_bounded_and_cannot_mislead() {
    let text = |text: &str| Text::<8>::new(text).to_string();
    assert_eq!(text("alice"), "alice");
    assert_eq!(text("12345678"), "12345678");
    assert_eq!(text("123456789"), "1234567…");
    assert_eq!(text("a\nb"), "a\\u{a}b");
    assert_eq!(text("a\u{202e}b"), "a…");
    assert_eq!(Text::<128>::new("x\u{1b}[2J").to_string(), "x\\u{1b}[2J");
}

#[test]
fn an_entry_reads_back_and_says_what_it_is_about() {
    let commit = commit(7);
    let entry = AuditEntry::new(
        t("2026-01-01T00:00:00Z"),
        Actor::author(&commit),
        Action::GITOPS_REFUSED,
    )
    .commit(commit.id)
    .generation(Generation(3))
    .refused("no admin would be left");
    let text = serde_text(&entry);
    insta::assert_snapshot!(text);
    let claimed = Some(Text::new("root\r\n"));
    for actor in [
        Actor::Host { uid: 0 },
        Actor::Engine,
        Actor::Nobody { claimed },
        Actor::Nobody { claimed: None },
    ] {
        let entry = AuditEntry::new(entry.at, actor, Action::STATE_BACKUP)
            .via("local socket")
            .on("user alice")
            .detail("x");
        assert!(!serde_text(&entry).contains('\r'));
    }
}

/// The serde form of an entry; the store chooses the encoding.
fn serde_text(entry: &AuditEntry) -> String {
    format!("{entry:#?}")
}

#[test]
fn every_action_is_in_the_documentation() {
    let docs = include_str!("../../../../docs/audit.md");
    for action in Action::ALL {
        assert!(docs.contains(&format!("`{action}`")), "{action} is missing");
    }
}

/// A tampering with the chain.
#[derive(Debug, Clone)]
enum Attack {
    Edit(usize, String),
    /// An edit with a recomputed hash.
    Forge(usize, String),
    Remove(usize),
    Swap(usize, usize),
    Insert(usize, String),
    Repeat(usize),
}

fn attack() -> impl Strategy<Value = Attack> {
    let at = || 0usize..12;
    prop_oneof![
        (at(), "[a-z]{1,5}").prop_map(|(n, text)| Attack::Edit(n, text)),
        (at(), "[a-z]{1,5}").prop_map(|(n, text)| Attack::Forge(n, text)),
        at().prop_map(Attack::Remove),
        (at(), at()).prop_map(|(a, b)| Attack::Swap(a, b)),
        (at(), "[a-z]{1,5}").prop_map(|(n, text)| Attack::Insert(n, text)),
        at().prop_map(Attack::Repeat),
    ]
}

fn apply(links: &mut Vec<Link>, attack: Attack) {
    let len = links.len();
    match attack {
        Attack::Edit(n, text) => links[n % len].entry = text.into(),
        Attack::Forge(n, text) => {
            let Link { seq, prev, .. } = links[n % len];
            links[n % len] = Link::new(seq, prev, text.into());
        }
        Attack::Remove(n) => {
            links.remove(n % len);
        }
        Attack::Swap(a, b) => links.swap(a % len, b % len),
        Attack::Insert(n, text) => {
            let Link { seq, prev, .. } = links[n % len];
            links.insert(n % len, Link::new(seq, prev, text.into()));
        }
        Attack::Repeat(n) => links.insert(n % len, links[n % len].clone()),
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_one_entry_is_found(
        texts in prop::collection::vec("[a-z]{1,5}", 1..12),
        attack in attack(),
    ) {
        let (whole, head) = chain(&texts);
        let mut links = whole.clone();
        apply(&mut links, attack);
        let found = verify(&engine(), &links, head, None);
        prop_assert_eq!(found.is_ok(), links == whole);
    }

    #[test]
    fn no_text_is_too_long_or_has_a_control_and_safe_ones_stay(text in ".{0,40}", odd in any::<String>()) {
        for text in [text, odd] {
            let safe = Text::<20>::new(&text);
            prop_assert!(safe.as_str().chars().count() <= 20);
            prop_assert!(!safe.as_str().chars().any(char::is_control));
            prop_assert_eq!(Text::<20>::new(safe.as_str()), safe);
        }
    }

    #[test]
    fn a_digest_reads_back_from_its_text(bytes in any::<[u8; 32]>(), odd in ".{0,70}") {
        let digest = Digest(bytes);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        let _ = odd.parse::<Digest>();
    }
}
