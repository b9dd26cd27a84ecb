use super::*;
use crate::fixture::{commit, t};
use crate::{CommitInfo, Generation};

const AT: &str = "2026-01-02T03:04:05Z";

fn applied(commit: CommitInfo) -> Applied {
    Applied {
        generation: Generation(4),
        commit,
        at: t(AT),
    }
}

fn ancestry(applied: Descent, accepted: Option<Descent>) -> Ancestry {
    Ancestry {
        applied: Some(applied),
        accepted,
    }
}

fn accepted(number: u8) -> Floor {
    Floor::Accepted {
        commit: commit(number).id,
        at: t(AT),
    }
}

/// The refusal of commit 2 while commit 1 is in force; empty if it may follow.
fn refusal(floor: Option<&Floor>, ancestry: Ancestry) -> String {
    let judged = judge(Some(&applied(commit(1))), floor, ancestry, commit(2).id);
    judged.err().map_or_else(String::new, |f| {
        assert_eq!(f.rule, "floor");
        f.to_string()
    })
}

#[test]
fn the_first_commit_and_what_descends_from_the_one_in_force_may_follow() {
    assert_eq!(judge(None, None, Ancestry::default(), commit(2).id), Ok(()));
    assert_eq!(refusal(None, ancestry(Descent::Descends, None)), "");
}

#[test]
fn rewritten_history_and_an_old_commit_are_refused() {
    insta::assert_snapshot!(refusal(None, ancestry(Descent::Apart, None)), @"(repository): error: commit 020202020202 does not descend from commit 010101010101, which is in force: history was rewritten or an old commit was pushed again (find out who pushed it, and see what it would revert with `banyan plan 020202020202`; if this is intended: banyan gitops accept 020202020202)");
    insta::assert_snapshot!(refusal(None, ancestry(Descent::Unknown, None)), @"(repository): error: commit 020202020202 does not descend from commit 010101010101, which is in force and is no longer in the repo: history was rewritten or an old commit was pushed again (find out who pushed it, and see what it would revert with `banyan plan 020202020202`; if this is intended: banyan gitops accept 020202020202)");
    // An unknown relation does not permit anything.
    assert_eq!(
        refusal(None, Ancestry::default()),
        refusal(None, ancestry(Descent::Apart, None))
    );
}

#[test]
fn an_accepted_commit_and_what_descends_from_it_may_follow_and_nothing_else() {
    let floor = accepted(2);
    for descent in [Descent::Same, Descent::Descends] {
        assert_eq!(
            refusal(Some(&floor), ancestry(Descent::Unknown, Some(descent))),
            ""
        );
    }
    // A commit that descends only from the one in force may be an old commit that was never applied here.
    let below = ancestry(Descent::Descends, Some(Descent::Apart));
    assert!(refusal(Some(&floor), below).contains("which was accepted"));
    let floor = accepted(3);
    for descent in [Some(Descent::Apart), Some(Descent::Unknown), None] {
        assert!(
            refusal(Some(&floor), ancestry(Descent::Apart, descent)).contains("which was accepted")
        );
    }
    insta::assert_snapshot!(refusal(Some(&floor), ancestry(Descent::Apart, Some(Descent::Apart))), @"(repository): error: commit 020202020202 does not descend from commit 030303030303, which was accepted: history was rewritten or an old commit was pushed again (find out who pushed it, and see what it would revert with `banyan plan 020202020202`; if this is intended: banyan gitops accept 020202020202)");
}

#[test]
fn after_a_restore_only_the_commit_in_force_is_allowed() {
    let floor = Floor::Restored { at: t(AT) };
    insta::assert_snapshot!(refusal(Some(&floor), ancestry(Descent::Descends, None)), @"(repository): error: commit 020202020202 is waiting: a backup with commit 010101010101 in force was restored at 2026-01-02T03:04:05Z, and commits applied after that backup are unknown (check that 020202020202 is the intended head of the branch and not older than the commit that was in force; if so: banyan gitops accept 020202020202)");
    let one = applied(commit(1));
    let same = ancestry(Descent::Same, None);
    assert_eq!(judge(Some(&one), Some(&floor), same, one.commit.id), Ok(()));
}

#[test]
fn if_the_store_lost_what_is_in_force_an_operator_must_accept_a_commit() {
    let judged = |floor: Option<&Floor>, accepted| {
        judge(
            None,
            floor,
            Ancestry {
                applied: None,
                accepted,
            },
            commit(2).id,
        )
    };
    assert_eq!(judged(None, None), Ok(()), "the first commit of all");
    let floor = Floor::Restored { at: t(AT) };
    assert!(judged(Some(&floor), None).is_err());
    let floor = accepted(3);
    assert!(judged(Some(&floor), Some(Descent::Apart)).is_err());
    assert_eq!(judged(Some(&floor), Some(Descent::Descends)), Ok(()));
}
